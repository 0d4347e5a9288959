"""
The only place that reads the clock. Everything else is told what time it is, and which day it works for.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from application.ports import Clock
from domain.dates import brussels_day


class SystemClock:
    """
    The clock of this machine.
    """

    def now(self) -> datetime:
        """
        Return the moment, aware, in UTC.
        """
        return datetime.now(UTC)


class FixedClock:
    """
    A clock that stands still until it is moved, for tests and demonstrations.
    """

    def __init__(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError("a moment has a time zone")
        self._moment = moment.astimezone(UTC)

    def now(self) -> datetime:
        return self._moment

    def advance(self, by: timedelta) -> None:
        """
        Move the clock on; it never goes back.
        """
        if by < timedelta(0):
            raise ValueError("a clock does not go back")
        self._moment += by


def today_in_brussels(clock: Clock) -> date:
    """
    Return the calendar day in Brussels: at 30 April 22:30 UTC it is 1 May there.
    """
    return brussels_day(clock.now())
