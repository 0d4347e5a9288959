"""
All jobs, by name. What else a new job needs stands in docs/architecture.md.
"""

from __future__ import annotations

from typing import Final

from application.jobs import by_name
from schedulers.jobs.agency_correction import AGENCY_CORRECTION
from schedulers.jobs.agency_report import AGENCY_REPORT
from schedulers.jobs.deadline import DEADLINE
from schedulers.jobs.invitations import INVITATIONS
from schedulers.jobs.registered_letters import REGISTERED_LETTERS
from schedulers.jobs.reminders import REMINDERS

JOBS: Final = by_name((INVITATIONS, DEADLINE, REGISTERED_LETTERS, AGENCY_REPORT, AGENCY_CORRECTION, REMINDERS))
