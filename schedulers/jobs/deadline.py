"""
30 April: who had not paid in full on that day missed the year (Rule: ZB-1).

It records what was so on a day, moves no money and sends nothing, so it approves itself. It gives the same on any later
day: value dates decide, and money of which we hear later corrects the miss by itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from application.jobs import Candidate, Turn
from domain.decisions import PassedOver, Selected
from domain.parameters import Parameters
from domain.zorgkas_affiliation import YearMissed, close_year
from schedulers.jobs.affiliation_job import AffiliationJob

_DAY: Final = timedelta(days=1)


def _decide(candidate: Candidate, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
    day_after = turn.business_date + _DAY  # whenever the run takes place: the last day itself is over, no more is known
    return close_year(candidate.state, member=candidate.facts, year=turn.business_date.year, as_of=day_after, law=law)


DEADLINE: Final = AffiliationJob(
    name="deadline",
    makes=YearMissed,
    topic="missed",
    when_not="Not missed",
    rules=("ZB-1", "ZP-3", "ZP-5", "ZK-11"),
    decision=_decide,
    law=("zorgpremie/due_by",),
    needs_approval=False,
    counted_field="open_cents",
)
