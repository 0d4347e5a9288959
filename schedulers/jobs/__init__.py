"""
All jobs, by name. A new job is a module here, a line in `schedulers.legal_calendar`, and its place in this list.
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
