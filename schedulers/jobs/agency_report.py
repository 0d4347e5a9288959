"""
6 to 10 October: who got the registered letter and did not pay by 5 October stands in the report to the Agency (Rules:
ZB-3, ZB-4, ZB-9, ZB-10).
"""

from __future__ import annotations

from typing import Any, Final

from application.jobs import Candidate, Turn
from domain.decisions import PassedOver, Selected
from domain.parameters import Parameters
from domain.zorgkas_affiliation import ReportedToAgency, report
from schedulers.jobs.affiliation_job import AffiliationJob


def _decide(candidate: Candidate, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
    return report(candidate.state, member=candidate.facts, as_of=turn.business_date, law=law, report_id=turn.report_id)


AGENCY_REPORT: Final = AffiliationJob(
    name="agency_report",
    makes=ReportedToAgency,
    topic="report",
    when_not="Not reported to the Agency",
    rules=("ZB-3", "ZB-4", "ZB-9", "ZB-10"),
    decision=_decide,
    law=("arrears/letter_by", "arrears/pay_by", "arrears/report_by", "arrears/report_unpaid_years_min"),
    counted_field="amount_cents",
)
