"""
Money: whole cents, read strictly, split and rounded without losing one.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import CENTS_MAX, Cents, NotAnAmount, cents_from_euros, euros_from_cents, percent_half_up, split_over
from tests.table import cases

amounts = st.integers(min_value=0, max_value=CENTS_MAX).map(Cents)
signed_amounts = st.integers(min_value=-(10**14) + 1, max_value=10**14 - 1).map(Cents)


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("12.50", 1250),
        ("12.5", 1250),
        ("12", 1200),
        ("0.01", 1),
        ("-0.01", -1),
        ("007", 700),
        ("999999999999.99", 10**14 - 1),
    ],
)
def test_an_amount_written_for_machines_is_read_to_the_cent(text: str, cents: int) -> None:
    assert cents_from_euros(text) == cents


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1,50", "1.000,00", "1.234", "1.", ".5", "+1", "--1", "1e3", "1E3", "NaN", "Infinity", "1_000", "١٢", "½", "1000000000000", "0x10", "1\n"],
)  # fmt: skip
def test_what_is_not_plainly_an_amount_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(NotAnAmount) as refused:
        cents_from_euros(text)
    assert str(refused.value) == str(NotAnAmount())


@given(signed_amounts)
def test_writing_and_reading_an_amount_gives_the_same_cents(amount: Cents) -> None:
    assert cents_from_euros(euros_from_cents(amount)) == amount


@given(amounts, st.integers(min_value=1, max_value=400))
def test_splitting_never_loses_a_cent_and_shares_differ_by_one_at_the_most(amount: Cents, parts: int) -> None:
    shares = split_over(amount, parts)
    assert len(shares) == parts
    assert sum(shares) == amount
    assert max(shares) - min(shares) <= 1
    assert list(shares) == sorted(shares, reverse=True)


@cases("""
    amount  parts
    100     0
    100     -1
    -1      2
""")
def test_an_amount_below_zero_or_no_parts_is_no_split(amount: int, parts: int) -> None:
    with pytest.raises(ValueError, match="split over one part or more"):
        split_over(Cents(amount), parts)


@cases("""
    amount  percent  share
    1250    25       313      # 312.5 goes up
    -1250   25       -313     # a correction undoes exactly what it corrects
    1       50       1
    1       49       0
    10000   0        0
    10000   100      10000
""")
def test_a_percentage_rounds_half_up_at_the_cent_once(amount: int, percent: int, share: int) -> None:
    assert percent_half_up(Cents(amount), percent) == share


@given(signed_amounts, st.integers(min_value=0, max_value=1000))
def test_a_percentage_is_what_decimal_arithmetic_says(amount: Cents, percent: int) -> None:
    expected = (Decimal(amount) * percent / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert percent_half_up(amount, percent) == int(expected)
