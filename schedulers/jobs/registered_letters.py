"""
June, by 1 September at the latest: the registered letter to who missed as many years as the law asks (Rules: ZB-2,
ZB-13).
"""

from __future__ import annotations

from typing import Any, Final

from application.jobs import Candidate, Turn
from domain.decisions import PassedOver, Selected
from domain.parameters import Parameters
from domain.zorgkas_affiliation import RegisteredLetterIssued, write_registered_letter
from schedulers.jobs.affiliation_job import AffiliationJob


def _decide(candidate: Candidate, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
    if turn.ogm is None:
        raise TypeError("a registered letter has a payment number")
    return write_registered_letter(
        candidate.state,
        member=candidate.facts,
        as_of=turn.business_date,
        law=law,
        ogm=turn.ogm,
        letter_id=turn.letter_id,
    )


REGISTERED_LETTERS: Final = AffiliationJob(
    name="registered_letters",
    makes=RegisteredLetterIssued,
    topic="letter",
    when_not="No registered letter was made",
    rules=("ZB-2", "ZB-8", "ZB-13"),
    decision=_decide,
    law=("arrears/missed_years_min", "arrears/letter_by", "arrears/pay_by", "zorgpremie/account"),
    takes_ogm=True,
    counted_field="amount_cents",
)
