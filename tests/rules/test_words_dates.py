"""
Business dates: periods, the Belgian legal holidays and the closing days of TARGET, against an independent calendar.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dates import (
    MonthDay,
    NotADate,
    Period,
    belgian_holidays,
    brussels_day,
    date_from_text,
    easter_sunday,
    first_on_or_after,
    is_belgian_working_day,
    is_target_day,
    target_holidays,
)
from tests.table import cases

YEARS = range(2000, 2051)
days = st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 12, 31))


@pytest.mark.parametrize("year", YEARS)
def test_the_ten_legal_holidays_are_those_of_an_independent_calendar(year: int) -> None:
    oracle = holidays.country_holidays("BE", years=year)
    sundays = {easter_sunday(year), easter_sunday(year) + timedelta(days=49)}  # the oracle also names these two
    assert belgian_holidays(year) == frozenset(oracle) - sundays
    assert len(belgian_holidays(year)) == 10 - _two_on_one_day(year)


def _two_on_one_day(year: int) -> int:
    return 1 if easter_sunday(year) + timedelta(days=39) == date(year, 5, 1) else 0


@pytest.mark.parametrize("year", [year for year in YEARS if year >= 2002])
def test_target_closes_on_the_days_of_an_independent_calendar(year: int) -> None:
    assert target_holidays(year) == frozenset(holidays.financial_holidays("ECB", years=year))


@cases("""
    day         belgian  target
    2026-04-03  yes      no      # Good Friday
    2026-04-06  no       no      # Easter Monday
    2026-05-14  no       yes     # Ascension
    2026-07-21  no       yes     # national holiday
    2026-12-25  no       no
    2026-12-26  no       no      # a Saturday
    2025-12-26  yes      no      # a Friday: closed for payments only
    2026-04-30  yes      yes
    2023-04-30  no       no      # a Sunday
""")
def test_a_day_is_open_in_belgium_and_in_target(day: date, belgian: bool, target: bool) -> None:
    assert (is_belgian_working_day(day), is_target_day(day)) == (belgian, target)


@cases("""
    day         opens
    2026-03-02  2026-03-02
    2026-04-02  2026-04-02
    2026-04-03  2026-04-07   # Good Friday, the weekend, Easter Monday
    2026-02-28  2026-03-02
""")
def test_the_first_open_day_on_or_after_a_day(day: date, opens: date) -> None:
    assert first_on_or_after(day, is_target_day) == opens


@pytest.mark.parametrize("text", ["2026-04-30", "2000-02-29", "0001-01-01"])
def test_a_date_is_read_as_it_is_written(text: str) -> None:
    assert date_from_text(text).isoformat() == text


@pytest.mark.parametrize(
    "text",
    ["", "2026-4-30", "20260430", "30-04-2026", "2026/04/30", "2026-W18-4", "2026-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-04-30T00:00", " 2026-04-30", "２０２６-04-30"],
)  # fmt: skip
def test_what_is_not_a_date_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(NotADate):
        date_from_text(text)


@given(days)
def test_reading_a_written_date_gives_the_same_day(day: date) -> None:
    assert date_from_text(day.isoformat()) == day


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 4, 30, 21, 59, 59, tzinfo=UTC), date(2026, 4, 30)),
        (datetime(2026, 4, 30, 22, 0, 0, tzinfo=UTC), date(2026, 5, 1)),  # summer time: two hours ahead
        (datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC), date(2026, 12, 31)),
        (datetime(2026, 12, 31, 23, 0, 0, tzinfo=UTC), date(2027, 1, 1)),  # winter time: one hour ahead
    ],
)
def test_a_moment_falls_on_a_day_of_brussels(moment: datetime, day: date) -> None:
    assert brussels_day(moment) == day


def test_a_moment_without_a_time_zone_has_no_day() -> None:
    with pytest.raises(ValueError, match="time zone"):
        brussels_day(datetime(2026, 4, 30, 12, 0))  # noqa: DTZ001 - the naive moment is what is refused


@cases("""
    start       end         day         inside
    2026-01-01  2026-05-01  2025-12-31  no
    2026-01-01  2026-05-01  2026-01-01  yes
    2026-01-01  2026-05-01  2026-04-30  yes
    2026-01-01  2026-05-01  2026-05-01  no
    2026-01-01  -           2099-12-31  yes
    2026-01-01  2026-01-01  2026-01-01  no
""")
def test_a_period_holds_its_first_day_and_not_its_end(start: date, end: date | None, day: date, inside: bool) -> None:
    assert (day in Period(start=start, end=end)) is inside


@given(days, st.integers(min_value=0, max_value=400), days)
def test_a_day_is_in_one_of_two_periods_that_meet_exactly_when_it_is_in_both_together(
    start: date, length: int, day: date
) -> None:
    middle, end = start + timedelta(days=length), start + timedelta(days=2 * length)
    halves = (Period(start=start, end=middle), Period(start=middle, end=end))
    assert sum(day in half for half in halves) == (day in Period(start=start, end=end))


def test_a_month_day_comes_back_every_year() -> None:
    assert [MonthDay(4, 30).in_(year) for year in (2025, 2026)] == [date(2025, 4, 30), date(2026, 4, 30)]
