"""
The legal year as one table: which job, from when, on which day, until when, and what it waits for.

Days come from `parameters/` (Rules: ZB-1, ZB-2, ZB-4, ZB-10, ZB-12, ZP-3, ZP-4). They are literal: a Sunday stays a
Sunday (FACTS: no shift was found in the texts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec

from application.runs.gates import Calendar, Line
from domain.events import Used
from domain.parameters import Parameters
from domain.rules.law import day_of

_DAY: Final = timedelta(days=1)


class Days:
    """
    The days of one year, read from the law; every value that was read is kept, to be shown beside the line.
    """

    def __init__(self, law: Parameters, year: int) -> None:
        self._law, self.year = law, year
        self.used: dict[str, Used] = {}

    def __call__(self, parameter: str, *, year: int | None = None) -> date:
        in_year = self.year if year is None else year
        used = self._law[parameter].on(date(in_year, 1, 1))
        self.used[parameter] = used
        return day_of(used, year=in_year)


class Dates(msgspec.Struct, frozen=True, kw_only=True):
    """
    The days of one row in one year, as `application.runs.gates.Line` explains them.
    """

    earliest: date
    planned: date
    latest: date | None = None
    records: date | None = None
    statements_until: date | None = None
    statements_wished: date | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class LegalEntry:
    """
    One row of the table; `dates` fills in the days of a year.
    """

    job: str
    rules: tuple[str, ...]
    dates: Callable[[Days], Dates]

    def line(self, law: Parameters, *, year: int) -> Line:
        """
        Return the row's days in a year. Raises NoValue or NotChecked, naming the parameter.
        """
        days = Days(law, year)
        found = self.dates(days)
        return Line(
            job=self.job,
            year=year,
            earliest=found.earliest,
            planned=max(found.planned, found.earliest),
            latest=found.latest,
            records=found.records,
            statements_until=found.statements_until,
            statements_wished=found.statements_wished,
            needs=found.needs,
            rules=self.rules,
            values=tuple(days.used.values()),
        )


def _invitations(day: Days) -> Dates:
    return Dates(
        earliest=date(day.year, 1, 1), planned=day("zorgpremie/invitation_on"), latest=day("zorgpremie/due_by")
    )


def _deadline(day: Days) -> Dates:
    """
    It can be run without the statements of its day, and be set right by them; the alarm clock waits: thousands of
    misses that are none help nobody, and nothing before the letters needs it (docs/decisions/0008).
    """
    last = day("zorgpremie/due_by")
    return Dates(earliest=last + _DAY, planned=last + _DAY, records=last, statements_wished=last)


def _registered_letters(day: Days) -> Dates:
    """
    Until 2018 the letter came before that year's last day to pay, so the one before it decided (Rule: ZB-13).
    """
    latest, planned = day("arrears/letter_by"), day("arrears/letter_on")
    decisive = day("zorgpremie/due_by")
    if latest <= decisive:
        decisive = day("zorgpremie/due_by", year=day.year - 1)
    return Dates(
        earliest=max(decisive + _DAY, date(day.year, 1, 1)),
        planned=min(planned, latest),
        latest=latest,
        statements_until=decisive,
        needs=("deadline",) if decisive.year == day.year else (),
    )


def _agency_report(day: Days) -> Dates:
    decisive = day("arrears/pay_by")
    return Dates(
        earliest=decisive + _DAY,
        planned=decisive + _DAY,
        latest=day("arrears/report_by"),
        statements_until=decisive,
        needs=("registered_letters",),
    )


def _agency_correction(day: Days) -> Dates:
    """
    No text names a last day. It stays possible until the next letters are made: a report that stands keeps its years
    out of them (open questions 4 and 25).
    """
    decisive = day("arrears/corrections_until")
    return Dates(
        earliest=decisive + _DAY,
        planned=decisive + _DAY,
        latest=day("arrears/letter_by").replace(year=day.year + 1),
        statements_until=decisive,
        needs=("agency_report",),
    )


def _reminders(day: Days) -> Dates:
    return Dates(
        earliest=day("zorgpremie/due_by") + _DAY,
        planned=day("arrears/reminder_on"),
        latest=day("arrears/reminder_by"),
        needs=("deadline",),
    )


LEGAL_CALENDAR: Final[Calendar] = (
    LegalEntry("invitations", ("ZP-4",), _invitations),
    LegalEntry("deadline", ("ZB-1", "ZP-3"), _deadline),
    LegalEntry("registered_letters", ("ZB-2", "ZB-13"), _registered_letters),
    LegalEntry("agency_report", ("ZB-3", "ZB-10"), _agency_report),
    LegalEntry("agency_correction", ("ZB-4", "ZB-10"), _agency_correction),
    LegalEntry("reminders", ("ZB-12",), _reminders),
)
