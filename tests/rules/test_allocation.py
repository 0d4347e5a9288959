"""
Where money goes (ZP-16), and which money stands where when statements come late (ZB-1).
"""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.money import Cents
from domain.rules.allocation import (
    CREDIT,
    OpenYear,
    Piece,
    after_moves,
    allocate,
    amount_on,
    credit_to_year,
    leaving_credit,
    moves_by_value_date,
    without_credit,
    year_to_credit,
)
from tests.builders import movement
from tests.table import cases


def _shares(text: str | None) -> list[tuple[int, int]]:
    return [
        (int(year), int(cents)) for year, _, cents in (part.partition(":") for part in (text or "").split(",") if part)
    ]


@cases("""
    amount  open                 cannot_be_fined  shares             credit  # ZP-16; order of 30 November 2018, art. 70
    6400    2025:6400            -                2025:6400          0
    6399    2025:6400            -                2025:6399          0       # a part payment leaves the year incomplete
    6401    2025:6400            -                2025:6400          1
    6400    -                    -                -                  6400    # nothing open: credit, never dropped
    6400    2024:6200,2025:6400  -                2024:6200,2025:200  0       # the least recent year first
    6400    2024:100,2025:6400   -                2024:100,2025:6300  0       # what was left of an incomplete year
    6400    2023:5800,2025:6400  2023             2025:6400          0       # a year that can still lead to a fine first
    7000    2023:5800,2025:6400  2023             2025:6400,2023:600  0       # then the others
    1       2024:6200            -                2024:1             0
""")
def test_money_fills_the_oldest_year_that_can_lead_to_a_fine_first(
    amount: int, open: str | None, cannot_be_fined: int | None, shares: str | None, credit: int
) -> None:
    open_years = [OpenYear(year, Cents(cents), year != cannot_be_fined) for year, cents in _shares(open)]
    assert allocate(amount_cents=Cents(amount), open_years=open_years) == (_shares(shares), credit)


@given(
    amount=st.integers(1, 10**6),
    open_years=st.lists(
        st.tuples(st.integers(2014, 2026), st.integers(1, 10_000), st.booleans()), unique_by=lambda y: y[0]
    ),
)
def test_allocating_never_loses_a_cent_nor_fills_a_year_too_far(
    amount: int, open_years: list[tuple[int, int, bool]]
) -> None:
    years = [OpenYear(year, Cents(cents), fine) for year, cents, fine in open_years]
    shares, credit = allocate(amount_cents=Cents(amount), open_years=years)
    assert sum(cents for _, cents in shares) + credit == amount
    assert all(0 < cents <= next(y.open_cents for y in years if y.year == year) for year, cents in shares)
    assert credit >= 0
    assert credit == 0 or sum(cents for _, cents in shares) == sum(y.open_cents for y in years)
    assert allocate(amount_cents=Cents(amount), open_years=reversed(years)) == (shares, credit)


def _piece(number: int, day: date, year: int, cents: int) -> Piece:
    return Piece(movement(number), day, year, Cents(cents))


def _of(pieces: tuple[Piece, ...], number: int) -> list[Piece]:
    return [piece for piece in pieces if piece.movement == movement(number)]


APRIL, MAY = date(2026, 4, 30), date(2026, 5, 5)


def test_money_that_was_there_first_takes_the_first_year_when_its_statement_comes_last() -> None:
    known_late = (_piece(1, MAY, 2025, 6400), _piece(2, APRIL, 2026, 6400))
    moves = moves_by_value_date(known_late, loose=_of(known_late, 2), order=(2025, 2026))
    assert set(after_moves(known_late, moves)) == {_piece(2, APRIL, 2025, 6400), _piece(1, MAY, 2026, 6400)}


def test_money_that_comes_in_order_moves_nothing() -> None:
    in_order = (_piece(1, APRIL, 2025, 6400), _piece(2, MAY, 2026, 6400))
    assert moves_by_value_date(in_order, loose=_of(in_order, 2), order=(2025, 2026)) == []


def test_money_of_the_same_day_moves_nothing() -> None:
    same_day = (_piece(1, MAY, 2025, 6400), _piece(2, MAY, 2026, 6400))
    assert moves_by_value_date(same_day, loose=_of(same_day, 2), order=(2025, 2026)) == []


def test_credit_that_was_there_first_takes_the_year_and_the_later_money_is_credit() -> None:
    pieces = (_piece(1, MAY, 2026, 10000), _piece(2, APRIL, CREDIT, 10000))
    moves = moves_by_value_date(pieces, loose=_of(pieces, 2), order=(2026,))
    assert set(after_moves(pieces, moves)) == {_piece(2, APRIL, 2026, 10000), _piece(1, MAY, CREDIT, 10000)}


def test_credit_is_used_oldest_first_freed_and_refunded_latest_first() -> None:
    credit = (_piece(1, APRIL, CREDIT, 100), _piece(2, MAY, CREDIT, 100))
    used = after_moves(credit, credit_to_year(credit, year=2026, amount_cents=Cents(150)))
    assert amount_on(used, year=2026, until=APRIL) == 100
    freed = after_moves(used, year_to_credit(used, year=2026, amount_cents=Cents(50)))
    assert amount_on(freed, year=2026) == amount_on(freed, year=2026, until=APRIL) == 100
    refunded = without_credit(credit, leaving_credit(credit, amount_cents=Cents(150)))
    assert amount_on(refunded, year=CREDIT) == amount_on(refunded, year=CREDIT, until=APRIL) == 50


def test_a_movement_that_was_refunded_whole_stays_known() -> None:
    credit = (_piece(1, APRIL, CREDIT, 100),)
    refunded = without_credit(credit, leaving_credit(credit, amount_cents=Cents(100)))
    assert refunded == (_piece(1, APRIL, CREDIT, 0),)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 15_000)), min_size=1, max_size=6),
    st.permutations(range(6)),
)
def test_the_order_in_which_payments_become_known_changes_nothing(
    payments: list[tuple[int, int]], shuffled: list[int]
) -> None:
    owed = {2024: 6200, 2025: 6400, 2026: 10000}

    def known_in(order: list[int]) -> dict[tuple[int, date], int]:
        pieces: tuple[Piece, ...] = ()
        for index in order:
            days, cents = payments[index]
            day = APRIL + timedelta(days=days)
            open_years = [OpenYear(year, Cents(due - amount_on(pieces, year=year)), True) for year, due in owed.items()]
            shares, credit = allocate(amount_cents=Cents(cents), open_years=open_years)
            pieces += tuple(_piece(index, day, year, part) for year, part in [*shares, (CREDIT, credit)] if part)
            pieces = after_moves(pieces, moves_by_value_date(pieces, loose=_of(pieces, index), order=tuple(owed)))
        stands: dict[tuple[int, date], int] = {}
        for piece in pieces:
            stands[piece.year, piece.value_date] = stands.get((piece.year, piece.value_date), 0) + piece.amount_cents
        return stands

    by_value_date = sorted(range(len(payments)), key=lambda index: payments[index][0])
    assert known_in([index for index in shuffled if index < len(payments)]) == known_in(by_value_date)
