"""
What a year costs, by when, and who must be affiliated: tables for a lawyer.
"""

from __future__ import annotations

from datetime import date

import pytest

from domain.dates import Period
from domain.facts import MemberFacts, Region, Residence
from domain.parameters import NotChecked, NoValue
from domain.rules.affiliation_scope import InScope, scope_in
from domain.rules.zorgpremie import due_on, first_premiums_until, zorgpremie_of
from tests.builders import AMOUNTS, LAW, a_member
from tests.table import cases


@cases("""
    year  allowance_from  allowance_until  owes    # ZP-1, ZP-2, ZP-18; order of 30 November 2018, art. 68
    2017  -               -                5000
    2018  -               -                5100
    2024  -               -                6200    # 64 is 2025: the fund's English page is wrong
    2024  2023-01-01      -                3100    # 1 January of the year before, that day included
    2024  2023-01-02      -                6200    # a day too late
    2024  2022-06-01      2023-01-02       3100    # still running on 1 January
    2024  2022-06-01      2023-01-01       6200    # the first day without it is 1 January
    2025  -               -                6400
    2026  -               -                10000
    2026  2024-01-01      -                3500    # never half of the full amount
""")
def test_a_year_costs_what_the_law_says_for_that_year(
    year: int, allowance_from: date | None, allowance_until: date | None, owes: int
) -> None:
    allowance = [Period(start=allowance_from, end=allowance_until)] if allowance_from else []
    premium = zorgpremie_of(year=year, member=a_member(allowance=allowance), law=LAW)
    assert premium.amount_cents == owes
    assert premium.reduced is (premium.used.parameter == "zorgpremie/verlaagd")
    assert premium.used.since == date(year, 1, 1)


@pytest.mark.parametrize("year", AMOUNTS)
def test_the_amounts_in_the_files_are_the_amounts_of_the_law(year: int) -> None:
    first_day = date(year, 1, 1)
    amounts = LAW["zorgpremie/gewoon"].on(first_day).value, LAW["zorgpremie/verlaagd"].on(first_day).value
    assert amounts == tuple(euros * 100 for euros in AMOUNTS[year])


def test_a_year_before_the_first_amount_is_refused_by_the_name_of_the_parameter() -> None:
    with pytest.raises(NoValue, match="zorgpremie/gewoon"):
        zorgpremie_of(year=1999, member=a_member(), law=LAW)


def test_a_year_that_nobody_checked_is_refused_by_the_name_of_the_parameter() -> None:
    with pytest.raises(NotChecked, match="zorgpremie/gewoon"):
        zorgpremie_of(year=2027, member=a_member(), law=LAW)
    with pytest.raises(NotChecked, match="zorgpremie/due_by"):
        due_on(year=2027, law=LAW)


def test_the_premium_is_due_on_30_april_also_when_that_is_a_sunday() -> None:
    assert due_on(year=2023, law=LAW)[0] == date(2023, 4, 30)  # a Sunday


@cases("""
    birth_year  year  until         # ZK-11; order of 30 November 2018, art. 56
    1998        2023  -             # turns 25
    1998        2024  2025-12-31    # turns 26
    1998        2025  2025-12-31    # turns 27
    1998        2026  -             # turns 28
    1970        2026  -
""")
def test_the_first_two_premiums_may_be_paid_until_the_end_of_the_year_of_turning_27(
    birth_year: int, year: int, until: date | None
) -> None:
    assert first_premiums_until(year=year, birth_year=birth_year, law=LAW) == until


@cases("""
    birth_year  region    cm_since    died_on     answer                # on 20 January 2026
    2000        flanders  2000-01-01  -           mandatory             # ZK-1: turns 26 in the year, be it on 31 December
    2001        flanders  2000-01-01  -           under_age             # ZK-10: turns 25
    2000        brussels  2000-01-01  -           voluntary             # ZK-2
    2001        brussels  2000-01-01  -           under_age
    1970        wallonia  2000-01-01  -           other_region
    1970        abroad    2000-01-01  -           other_region
    1970        flanders  2026-01-20  -           mandatory             # ZK-9: CM member from that day
    1970        flanders  2026-01-21  -           not_cm_member         # ZK-9: a day too early
    1970        flanders  2000-01-01  2026-01-20  died                  # ZP-17
    1970        flanders  2000-01-01  2026-01-21  mandatory             # not known yet
    -           flanders  2000-01-01  -           birth_year_unknown
""")
def test_who_must_may_and_cannot_be_affiliated(
    birth_year: int | None, region: Region, cm_since: date, died_on: date | None, answer: str
) -> None:
    member = a_member(birth_year=birth_year, region=region, cm_since=cm_since, died_on=died_on)
    scope = scope_in(year=2026, member=member, as_of=date(2026, 1, 20), law=LAW)
    assert (scope.kind if isinstance(scope, InScope) else scope.reason) == answer
    assert scope.basis.rules


@cases("""
    first     second    moved_on    answer         # as known on 20 January 2026; ZK-18: a year is a whole year
    flanders  brussels  2025-12-31  voluntary      # lived in Brussels all year
    flanders  brussels  2026-01-01  voluntary      # not one day of the year in Flanders
    flanders  brussels  2026-01-02  mandatory      # one day is enough
    brussels  flanders  2026-01-20  mandatory
    brussels  flanders  2026-01-21  voluntary      # not moved yet
    wallonia  flanders  2026-01-20  mandatory
    flanders  abroad    2025-12-31  other_region
""")
def test_where_someone_lived_in_the_year_so_far_decides(
    first: Region, second: Region, moved_on: date, answer: str
) -> None:
    member = MemberFacts(
        birth_year=1970,
        residences=(Residence(date(1990, 1, 1), first), Residence(moved_on, second)),
        cm_membership=(Period(start=date(2000, 1, 1)),),
    )
    scope = scope_in(year=2026, member=member, as_of=date(2026, 1, 20), law=LAW)
    assert (scope.kind if isinstance(scope, InScope) else scope.reason) == answer
