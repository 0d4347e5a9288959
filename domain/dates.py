"""
Business dates: calendar days of Europe/Brussels.

The law counts days, so facts are `date`s; only `recorded_at` is a moment.

Half-open periods, the Belgian legal holidays, and the closing days of TARGET (the euro payment system).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from domain.errors import Unreadable

BRUSSELS: Final = ZoneInfo("Europe/Brussels")
_DAY = timedelta(days=1)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class NotADate(Unreadable):
    """
    A date is written as YYYY-MM-DD and must exist in the calendar.
    """


def date_from_text(text: str) -> date:
    """
    Read "2026-04-30". Week dates, other orders and days that do not exist raise NotADate.
    """
    if not _ISO.fullmatch(text):
        raise NotADate
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotADate from None


def brussels_day(moment: datetime) -> date:
    """
    Return the calendar day in Brussels of an aware moment: 30 April 22:30 UTC is 1 May.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment has a time zone")
    return moment.astimezone(BRUSSELS).date()


class Period(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """
    Days from `start` up to, not including, `end`; no end means that it is still running.
    """

    start: date
    end: date | None = None

    def __contains__(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)


def joined(periods: Iterable[Period], period: Period) -> tuple[Period, ...]:
    """
    Return the days of `periods` and of `period` together: in order, and periods that overlap or meet made one.
    """
    together: list[Period] = []
    for following in sorted((*periods, period), key=lambda each: each.start):
        last = together[-1] if together else None
        if last is None or (last.end is not None and last.end < following.start):
            together.append(following)
        elif last.end is not None and (following.end is None or following.end > last.end):
            together[-1] = Period(start=last.start, end=following.end)
    return tuple(each for each in together if each.end is None or each.end > each.start)


def cut_off(periods: Iterable[Period], on: date) -> tuple[Period, ...]:
    """
    Return `periods` without the days from `on` on.
    """
    before = (each for each in periods if each.start < on)
    return tuple(
        each if each.end is not None and each.end <= on else Period(start=each.start, end=on) for each in before
    )


class MonthDay(msgspec.Struct, frozen=True, order=True):
    """
    A day that comes back every year, such as 30 April.
    """

    month: int
    day: int

    def in_(self, year: int) -> date:
        return date(year, self.month, self.day)


def easter_sunday(year: int) -> date:
    """
    Return Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876).
    """
    century, year_of_century = divmod(year, 100)
    golden = year % 19
    leap_centuries = century // 4
    moon = (19 * golden + century - leap_centuries - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (year_of_century // 4) - moon - year_of_century % 4) % 7
    correction = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=256)
def belgian_holidays(year: int) -> frozenset[date]:
    """
    Return the ten legal public holidays. Source: law of 4 January 1974, royal decree of 18 April 1974.
    """
    easter = easter_sunday(year)
    return frozenset(
        {
            date(year, 1, 1),
            easter + _DAY,
            date(year, 5, 1),
            easter + 39 * _DAY,  # Ascension
            easter + 50 * _DAY,  # Whit Monday
            date(year, 7, 21),
            date(year, 8, 15),
            date(year, 11, 1),
            date(year, 11, 11),
            date(year, 12, 25),
        }
    )


@lru_cache(maxsize=256)
def target_holidays(year: int) -> frozenset[date]:
    """
    Return the six weekday closing days of TARGET. Source: ECB, 14 December 2000, in force until further notice.
    """
    easter = easter_sunday(year)
    return frozenset(
        {
            date(year, 1, 1),
            easter - 2 * _DAY,
            easter + _DAY,
            date(year, 5, 1),
            date(year, 12, 25),
            date(year, 12, 26),
        }
    )


def is_belgian_working_day(day: date) -> bool:
    return day.weekday() < 5 and day not in belgian_holidays(day.year)


def is_target_day(day: date) -> bool:
    return day.weekday() < 5 and day not in target_holidays(day.year)


def first_on_or_after(day: date, is_open: Callable[[date], bool]) -> date:
    """
    Return `day`, or the first later day that `is_open` accepts, such as `is_target_day`.
    """
    while not is_open(day):
        day += _DAY
    return day
