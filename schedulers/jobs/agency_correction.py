"""
After 15 October: who was reported and whose money was on the account by then is taken out again (Rules: ZB-4, ZB-10).
"""

from __future__ import annotations

from typing import Any, Final

from application.jobs import Candidate, Turn
from domain.decisions import PassedOver, Selected
from domain.parameters import Parameters
from domain.zorgkas_affiliation import ReportCorrected, correct_report
from schedulers.jobs.affiliation_job import AffiliationJob


def _decide(candidate: Candidate, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
    return correct_report(candidate.state, member=candidate.facts, as_of=turn.business_date, law=law)


AGENCY_CORRECTION: Final = AffiliationJob(
    name="agency_correction",
    makes=ReportCorrected,
    topic="report",
    when_not="No report was corrected",
    rules=("ZB-4", "ZB-10"),
    decision=_decide,
    law=("arrears/corrections_until", "arrears/report_unpaid_years_min"),
)
