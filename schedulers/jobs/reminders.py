"""
November: a reminder of the year's premium, unless a registered letter asked for it already (Rule: ZB-12).
"""

from __future__ import annotations

from typing import Any, Final

from application.jobs import Candidate, Turn
from domain.decisions import PassedOver, Selected
from domain.parameters import Parameters
from domain.zorgkas_affiliation import ReminderIssued, remind
from schedulers.jobs.affiliation_job import AffiliationJob


def _decide(candidate: Candidate, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
    if turn.ogm is None:
        raise TypeError("a reminder has a payment number")
    return remind(
        candidate.state,
        member=candidate.facts,
        year=turn.business_date.year,
        as_of=turn.business_date,
        law=law,
        ogm=turn.ogm,
        letter_id=turn.letter_id,
    )


REMINDERS: Final = AffiliationJob(
    name="reminders",
    makes=ReminderIssued,
    topic="reminder",
    when_not="No reminder was made",
    rules=("ZB-12",),
    decision=_decide,
    law=("arrears/reminder_by", "arrears/reminder_pay_days", "zorgpremie/account"),
    takes_ogm=True,
    counted_field="amount_cents",
)
