"""
When a run may be planned and executed: never before its day, never for another day than it is, not without the bank's
statements up to the day that decides, and a legal act not after its last day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol

import msgspec

from domain.errors import NotFound, Refused
from domain.events import Used
from domain.parameters import Parameters

#: The last day that an unbroken chain of bank statements covers, when that is the asked day or later; otherwise None.
StatementsCover = Callable[[date], date | None]


class TooEarly(Refused):
    """
    This run may not be planned yet; wait for its first day.
    """

    rule = "ZB-1"


class TooLate(Refused):
    """
    The law's last day for this has passed; it is not done any more and nothing is dated back. A person decides.
    """

    rule = "ZB-2"


class OtherDate(Refused):
    """
    This job records what was so on one day of the year; give that day as the business date.
    """


class NotToday(Refused):
    """
    What is sent or reported carries the day on which it is done; the business date is today's, not another.
    """


class StatementsMissing(Refused):
    """
    The bank statements do not yet cover the day that decides; import them, then plan again.
    """

    rule = "ZB-1"


class EarlierJobMissing(Refused):
    """
    Another run of this year has to be settled first.
    """


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """
    One job of one year on the legal calendar.

    From `earliest` on it may be planned, on `planned` the alarm clock does so, after `latest` it is not lawful any
    more. `records` is the business date of a job that records what was so on that day, whenever it is run; an act has
    none and is dated the day it is done. `statements_until` is the day up to which the bank must have told us
    everything; up to `statements_wished` the alarm clock waits for it, and a person is warned. `needs` are the jobs of
    the same year that come first.
    """

    job: str
    year: int
    earliest: date
    planned: date
    latest: date | None = None
    records: date | None = None
    statements_until: date | None = None
    statements_wished: date | None = None
    needs: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    values: tuple[Used, ...] = ()

    def covers(self, business_date: date) -> bool:
        """
        Tell whether a run with that business date is a run of this line.
        """
        if self.records is not None:
            return business_date == self.records
        if self.reaches_into_next_year:
            return self.earliest <= business_date <= self.last_business_date
        return business_date.year == self.year

    @property
    def reaches_into_next_year(self) -> bool:
        return self.latest is not None and self.latest.year > self.year

    @property
    def last_business_date(self) -> date:
        """
        Return the last business date that a run of this line can have.
        """
        return self.latest if self.latest is not None and self.reaches_into_next_year else date(self.year, 12, 31)


class Entry(Protocol):
    """
    One line of the calendar before the year is known. `line` raises NoValue or NotChecked when the law is not known.
    """

    @property
    def job(self) -> str: ...

    def line(self, law: Parameters, *, year: int) -> Line: ...


Calendar = Sequence[Entry]


def line_of(calendar: Calendar, job: str, *, year: int, law: Parameters) -> Line | None:
    """
    Return the job's line in a year; None for a job that is not on the legal calendar.
    """
    entry = next((entry for entry in calendar if entry.job == job), None)
    return None if entry is None else entry.line(law, year=year)


def line_on(calendar: Calendar, job: str, *, business_date: date, law: Parameters) -> Line | None:
    """
    Return the line that a run with that business date belongs to: that of the year before for as long as it lasts.
    """
    try:
        before = line_of(calendar, job, year=business_date.year - 1, law=law)
    except (NotFound, Refused):
        before = None
    if before is not None and before.reaches_into_next_year and before.covers(business_date):
        return before
    return line_of(calendar, job, year=business_date.year, law=law)


def business_date_for(calendar: Calendar, job: str, *, as_of: date, law: Parameters) -> date:
    """
    Return the business date of a run that somebody plans today: today for an act, the last recorded day otherwise.
    """
    line = line_of(calendar, job, year=as_of.year, law=law)
    if line is None or line.records is None:
        return as_of
    if as_of >= line.earliest:
        return line.records
    before = line_of(calendar, job, year=as_of.year - 1, law=law)
    return line.records if before is None or before.records is None else before.records


def check_dates(line: Line, *, business_date: date, as_of: date) -> None:
    """
    Raise the first reason why the run may not be planned with that business date on that day.
    """
    if line.records is not None and business_date != line.records:
        raise OtherDate(job=line.job, day=line.records)
    if as_of < line.earliest:
        raise TooEarly(job=line.job, earliest=line.earliest)
    if line.latest is not None and as_of > line.latest:
        raise TooLate(job=line.job, latest=line.latest)
    if line.records is None and business_date != as_of:
        raise NotToday(job=line.job, business_date=business_date, as_of=as_of)


def short_of_statements(line: Line, statements_cover: StatementsCover) -> str:
    """
    Say which statements the line would better wait for, and how far they are; nothing when they are there.
    """
    wished = line.statements_wished
    if wished is None or statements_cover(wished) is not None:
        return ""
    last = statements_cover(date.min)
    until = f"the last one of every account is of {last}" if last else "an account has none yet"
    return f"bank statements up to {wished}: {until}"


def check_statements(line: Line, statements_cover: StatementsCover) -> None:
    if line.statements_until is not None and statements_cover(line.statements_until) is None:
        raise StatementsMissing(job=line.job, until=line.statements_until)
