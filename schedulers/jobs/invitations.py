"""
January: the year is charged, and everyone who must pay is invited to (Rules: ZK-1, ZK-12, ZP-1 to ZP-5).
"""

from __future__ import annotations

from typing import Any, Final

from application.jobs import Candidate, Turn
from domain.decisions import PassedOver, Selected
from domain.parameters import Parameters
from domain.zorgkas_affiliation import InvitationIssued, invite
from schedulers.jobs.affiliation_job import AffiliationJob


def _decide(candidate: Candidate, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
    if turn.ogm is None:
        raise TypeError("an invitation has a payment number")
    return invite(
        candidate.state,
        member=candidate.facts,
        year=turn.business_date.year,
        as_of=turn.business_date,
        law=law,
        ogm=turn.ogm,
        letter_id=turn.letter_id,
    )


INVITATIONS: Final = AffiliationJob(
    name="invitations",
    makes=InvitationIssued,
    topic="invitation",
    when_not="Not invited",
    rules=("ZK-1", "ZK-12", "ZP-1", "ZP-2", "ZP-3", "ZP-4", "ZP-5"),
    decision=_decide,
    law=("zorgpremie/gewoon", "zorgpremie/verlaagd", "zorgpremie/due_by", "zorgpremie/age_min", "zorgpremie/account"),
    takes_ogm=True,
    counted_field="amount_cents",
)
