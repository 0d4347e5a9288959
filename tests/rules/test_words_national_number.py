"""
National numbers: both centuries, BIS, unknown days, against an independent reader.
"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum.be import bis as oracle_bis
from stdnum.be import nn as oracle

from domain.national_number import BirthDate, NationalNumber, NotANationalNumber
from tests.table import cases

counters = st.integers(min_value=1, max_value=998)
# The oracle reads the clock to choose a century; up to 2020 its answer is the same for ever.
birth_days = st.dates(min_value=date(1900, 1, 1), max_value=date(2020, 12, 31))


def digits_of(*, year: int, month: int, day: int, counter: int) -> str:
    front = f"{year % 100:02d}{month:02d}{day:02d}{counter:03d}"
    return front + f"{97 - int(('2' if year >= 2000 else '') + front) % 97:02d}"


@cases("""
    text             digits       bis  year  month  day
    85.07.30-033.28  85073003328  no   1985  7      30
    17.07.30-033.84  17073003384  no   2017  7      30
    98.47.28-997.65  98472899765  yes  1998  7      28    # BIS, sex known
    01.49.07-001.85  01490700185  yes  2001  9      7     # BIS of this century
""")
def test_a_national_number_says_when_someone_was_born(
    text: str, digits: int, bis: bool, year: int, month: int, day: int
) -> None:
    number = NationalNumber.from_text(text)
    assert number == f"{digits:011d}"
    assert number.printed == text
    assert number.is_bis is bis
    assert number.birth_date == BirthDate(year=year, month=month, day=day)


@pytest.mark.parametrize("text", ["85.07.30-033.28", "85 07 30 033 28", "85-07-30-033-28", " 85073003328 "])
def test_separators_do_not_matter(text: str) -> None:
    assert NationalNumber.from_text(text) == "85073003328"


@cases("""
    year  month  day  says_year  says_month  says_day
    1985  0      0    1985       -           -          # only the year is known, or the counter of the day was full
    1985  0      1    1985       -           -          # that was full as well
    1985  7      0    1985       7           -
    1985  20     0    1985       -           -          # BIS, sex unknown
    2001  27     30   2001       7           30
    1900  0      1    -          -           -          # nothing known
    2000  0      1    -          -           -
    2000  40     1    -          -           -
    2000  2      29   2000       2           29
    1900  2      29   1900       2           -          # 1900 was no leap year
""")
def test_a_part_that_the_number_does_not_say_is_unknown(
    year: int, month: int, day: int, says_year: int | None, says_month: int | None, says_day: int | None
) -> None:
    number = NationalNumber.from_text(digits_of(year=year, month=month, day=day, counter=33))
    assert number.birth_date == BirthDate(year=says_year, month=says_month, day=says_day)


@given(birth_days, counters, st.sampled_from([0, 20, 40]))
def test_every_number_reads_as_the_oracle_reads_it(born_on: date, counter: int, offset: int) -> None:
    text = digits_of(year=born_on.year, month=born_on.month + offset, day=born_on.day, counter=counter)
    number = NationalNumber.from_text(text)
    assert (oracle_bis if offset else oracle).validate(text) == number
    assert oracle.get_birth_date(text) == born_on
    assert number.birth_date == BirthDate(year=born_on.year, month=born_on.month, day=born_on.day)
    assert number.is_bis is (offset > 0)


@given(birth_days, counters, st.integers(min_value=0, max_value=10), st.integers(min_value=0, max_value=9))
def test_with_a_digit_changed_it_is_accepted_exactly_when_the_oracle_accepts_it(
    born_on: date, counter: int, position: int, digit: int
) -> None:
    text = digits_of(year=born_on.year, month=born_on.month, day=born_on.day, counter=counter)
    changed = text[:position] + str(digit) + text[position + 1 :]
    assume(int(changed[:2]) <= 20)
    accepted = oracle.is_valid(changed) or oracle_bis.is_valid(changed)
    assert _is_national_number(changed) is (accepted and 1 <= int(changed[6:9]) <= 998)


def _is_national_number(text: str) -> bool:
    try:
        NationalNumber.from_text(text)
    except NotANationalNumber:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8507300332",
        "850730033280",
        "85.07.30-033.27",  # wrong check digits
        "85.13.30-033.28",
        "85073003328x",
        "８５073003328",
        "85/07/30/033/28",
        digits_of(year=1985, month=13, day=1, counter=1),
        digits_of(year=1985, month=33, day=1, counter=1),
        digits_of(year=1985, month=53, day=1, counter=1),
        digits_of(year=1985, month=7, day=30, counter=0),
        digits_of(year=1985, month=7, day=30, counter=999),
    ],
)
def test_what_is_not_a_national_number_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(NotANationalNumber) as refused:
        NationalNumber.from_text(text)
    assert str(refused.value) == str(NotANationalNumber())
