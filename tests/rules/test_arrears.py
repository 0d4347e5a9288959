"""
The procedure for who does not pay, before and since 2019: tables for a lawyer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from domain import zorgkas_affiliation as zorgkas
from domain.dates import Period
from domain.decisions import PassedOver
from domain.parameters import NoValue
from domain.rules import arrears
from domain.zorgkas_affiliation import AFFILIATION
from tests.builders import (
    AMOUNTS,
    AN_OGM,
    LAW,
    a_member,
    barcode,
    charged,
    letter_id,
    missed,
    opened,
    paid,
    posted,
    written,
)
from tests.table import cases


@cases("""
    year  years_min  letter_by   pay_by      # ZB-13
    2017  3          2017-03-31  2017-04-30
    2018  3          2018-03-31  2018-04-30
    2019  2          2019-09-01  2019-10-05
    2026  2          2026-09-01  2026-10-05
""")
def test_the_procedure_is_dated_like_an_amount(year: int, years_min: int, letter_by: date, pay_by: date) -> None:
    assert arrears.missed_years_min(as_of=date(year, 3, 1), law=LAW)[0] == years_min
    assert arrears.letter_by(letter_year=year, law=LAW)[0] == letter_by
    assert arrears.pay_by(letter_year=year, law=LAW)[0] == pay_by


@pytest.mark.parametrize("rule", [arrears.report_by, arrears.corrections_until, arrears.report_unpaid_years_min])
def test_until_2018_there_is_no_report_and_asking_for_it_names_the_parameter(rule: Callable[..., object]) -> None:
    with pytest.raises(NoValue, match="arrears/"):
        rule(letter_year=2018, law=LAW)


@cases("""
    as_of       missed_years    letter  # ZB-2, ZB-13; art. 74
    2017-03-31  2015,2016       no      # until 2018: three years
    2018-03-31  2015,2016,2017  yes
    2019-01-01  2016,2018       yes     # since 2019: two years, not necessarily consecutive
    2025-09-01  2025            no
    2025-09-01  2024,2025       yes     # the last day
    2025-06-01  2020,2025       yes
    2025-06-01  -               no
""")
def test_the_registered_letter_of_a_day(as_of: date, missed_years: int | str | None, letter: bool) -> None:
    years = [int(year) for year in str(missed_years or "").split(",") if year]
    history = [opened()]
    for year in years:
        cents = AMOUNTS[year][0] * 100
        history += [charged(year, cents), missed(year, cents)]
    answer = zorgkas.write_registered_letter(
        AFFILIATION.fold(history), member=a_member(), as_of=as_of, law=LAW, ogm=AN_OGM, letter_id=letter_id(1)
    )
    assert letter is not isinstance(answer, PassedOver)


@cases("""
    as_of       letter_by   # too late to be lawful: refused, naming the day, never back-dated
    2018-04-01  2018-03-31
    2025-09-02  2025-09-01
""")
def test_a_registered_letter_after_the_last_day_is_refused(as_of: date, letter_by: date) -> None:
    with pytest.raises(zorgkas.LetterTooLate) as refusal:
        zorgkas.write_registered_letter(
            AFFILIATION.initial, member=a_member(), as_of=as_of, law=LAW, ogm=AN_OGM, letter_id=letter_id(1)
        )
    assert refusal.value.facts["letter_by"] == letter_by


@cases("""
    posted_on   paid_2024   paid_2025   answer           # ZB-3, ZB-4, ZB-9, ZB-10, on 8 October 2025
    2025-06-03  -           -           reported
    2025-09-01  -           -           reported         # the last day of posting
    2025-09-02  -           -           posted_too_late
    -           -           -           not_posted       # a letter without proof is not a letter
    2025-06-03  2025-10-05  2025-10-05  paid             # 5 October is in time
    2025-06-03  2025-10-06  2025-10-06  reported         # the correction run looks at it until 15 October
    2025-06-03  2025-10-05  -           paid             # one year left is not two (open question 5)
    2025-06-03  2025-10-06  -           reported
""")
def test_who_is_reported(posted_on: date | None, paid_2024: date | None, paid_2025: date | None, answer: str) -> None:
    history = [
        opened(),
        *(charged(2024, 6200), missed(2024, 6200), charged(2025, 6400), missed(2025, 6400)),
        written(1, date(2025, 6, 1), (2024, 6200), (2025, 6400)),
        *([posted(1, posted_on)] if posted_on else []),
        *([paid(1, paid_2024, (2024, 6200))] if paid_2024 else []),
        *([paid(2, paid_2025, (2025, 6400))] if paid_2025 else []),
    ]
    decision = zorgkas.report(
        AFFILIATION.fold(history), member=a_member(), as_of=date(2025, 10, 8), law=LAW, report_id=letter_id(9)
    )
    assert (decision.reason if isinstance(decision, PassedOver) else "reported") == answer


@cases("""
    imposed_on  allowance_from  allowance_until  expected  # ZB-5: 1 January of the year before the fine
    2025-11-20  -               -                25000
    2025-11-20  2024-01-01      -                10000
    2025-11-20  2024-01-02      -                25000
    2025-11-20  2020-01-01      2024-01-02       10000
    2025-11-20  2020-01-01      2024-01-01       25000
    2026-01-02  2024-06-01      -                10000     # imposed in January: one year later counts
""")
def test_the_fine_that_the_law_names(
    imposed_on: date, allowance_from: date | None, allowance_until: date | None, expected: int
) -> None:
    allowance = [Period(start=allowance_from, end=allowance_until)] if allowance_from else []
    used = arrears.fine_expected(member=a_member(allowance=allowance), imposed_on=imposed_on, law=LAW)
    assert used.value == expected


@pytest.mark.parametrize(
    "text", ["", "010", "0" * 30, "011" + "0" * 27, barcode(1) + "1", barcode(1)[:-1] + "x", "٠" * 30]
)
def test_a_barcode_of_the_post_has_30_digits_and_starts_with_010(text: str) -> None:
    assert arrears.checked_barcode(barcode(7)) == barcode(7)
    with pytest.raises(arrears.NotABarcode):
        arrears.checked_barcode(text)
