"""
Where money goes: which year a payment fills, and which money, with its value date, stands on which year.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from domain.ids import StreamId
from domain.money import ZERO, Cents

#: Money that stands on no year stands on this one.
CREDIT: Final = 0


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A part of one bank movement that stands on a year, or on the credit; what was refunded or reversed stands as zero.
    """

    movement: StreamId
    value_date: date
    year: int
    amount_cents: Cents


class OpenYear(NamedTuple):
    """
    A year that is not fully paid; `fine_possible` when its arrears can still lead to a fine.
    """

    year: int
    open_cents: Cents
    fine_possible: bool


class Moved(NamedTuple):
    """
    A part of a movement that changes place.
    """

    movement: StreamId
    from_year: int
    to_year: int
    amount_cents: Cents


_earliest = attrgetter("value_date", "movement.int")


def amount_on(pieces: Iterable[Piece], *, year: int, until: date = date.max) -> Cents:
    """
    Return the money on a year that was on the account on `until`, that day included. Value dates count (Rule: ZB-1).
    """
    return Cents(sum(piece.amount_cents for piece in pieces if piece.year == year and piece.value_date <= until))


def allocate(*, amount_cents: Cents, open_years: Iterable[OpenYear]) -> tuple[list[tuple[int, Cents]], Cents]:
    """
    Return which part of an amount goes to which year, and what is left for the credit.

    The least recent year comes first, years that can still lead to a fine before all others. A year never gets more
    than is open.

    Rule: ZP-16, as read in open question 7. Law: order of 30 November 2018, art. 70.
    """
    left = amount_cents
    shares: list[tuple[int, Cents]] = []
    for owed in sorted(open_years, key=lambda owed: (not owed.fine_possible, owed.year)):
        share = min(left, owed.open_cents)
        if share > 0:
            shares.append((owed.year, share))
            left = Cents(left - share)
    return shares, left


def moves_by_value_date(pieces: Sequence[Piece], *, loose: Sequence[Piece], order: Sequence[int]) -> list[Moved]:
    """
    Return the moves that give `loose` money its place by value date among money that came later and is known longer.

    `loose` are some of the pieces: those of a payment whose statement came late, or what a change freed. Had we known
    it in time, it would have filled the first years of `order`, later money the next ones. Every year keeps its
    total, and none gets later money than it had.
    """
    if not loose or max(piece.value_date for piece in pieces) <= min(piece.value_date for piece in loose):
        return []
    places = {(piece.movement, piece.year) for piece in loose}
    moves: list[Moved] = []
    waiting = [piece for piece in loose if piece.amount_cents]
    for year in (*order, CREDIT):
        here = [piece for piece in pieces if piece.year == year and piece.amount_cents]
        needed: int = sum(piece.amount_cents for piece in here)
        staying = (piece for piece in here if (piece.movement, year) not in places)
        candidates = sorted([*waiting, *staying], key=_earliest)
        waiting = []
        for piece in candidates:
            taken = min(piece.amount_cents, needed)
            needed -= taken
            if taken and piece.year != year:
                moves.append(Moved(piece.movement, piece.year, year, Cents(taken)))
            if taken < piece.amount_cents:
                waiting.append(msgspec.structs.replace(piece, amount_cents=Cents(piece.amount_cents - taken)))
    return moves


def after_moves(pieces: Iterable[Piece], moves: Iterable[Moved]) -> tuple[Piece, ...]:
    """
    Return the pieces after these moves.
    """
    days: dict[StreamId, date] = {}
    amounts: dict[tuple[StreamId, int], int] = {}
    for piece in pieces:
        days[piece.movement] = piece.value_date
        place = (piece.movement, piece.year)
        amounts[place] = amounts.get(place, 0) + piece.amount_cents
    for move in moves:
        amounts[move.movement, move.from_year] -= move.amount_cents
        place = (move.movement, move.to_year)
        amounts[place] = amounts.get(place, 0) + move.amount_cents
    return tuple(
        Piece(movement, days[movement], year, Cents(amount)) for (movement, year), amount in amounts.items() if amount
    ) + tuple(
        # A movement without money left stays known, so that it is never taken a second time.
        Piece(movement, day, CREDIT, ZERO)
        for movement, day in days.items()
        if not any(amount for (of, _), amount in amounts.items() if of == movement)
    )


def credit_to_year(pieces: Sequence[Piece], *, year: int, amount_cents: Cents) -> list[Moved]:
    """
    Return the moves that put credit on a year: the money that came first goes first.
    """
    return _moves(sorted(pieces, key=_earliest), from_year=CREDIT, to_year=year, amount_cents=amount_cents)


def year_to_credit(pieces: Sequence[Piece], *, year: int, amount_cents: Cents) -> list[Moved]:
    """
    Return the moves that free money of a year: the money that came last goes first.
    """
    return _moves(
        sorted(pieces, key=_earliest, reverse=True), from_year=year, to_year=CREDIT, amount_cents=amount_cents
    )


def leaving_credit(pieces: Sequence[Piece], *, amount_cents: Cents) -> list[Moved]:
    """
    Return which money a refund takes: the credit that came last leaves first. Nothing of it goes to a year.
    """
    latest_first = sorted(pieces, key=_earliest, reverse=True)
    return _moves(latest_first, from_year=CREDIT, to_year=CREDIT, amount_cents=amount_cents)


def without_credit(pieces: Sequence[Piece], leaving: Iterable[Moved]) -> tuple[Piece, ...]:
    """
    Return the pieces after a refund of what `leaving_credit` names.
    """
    left = {move.movement: move.amount_cents for move in leaving}
    shrunk = [
        msgspec.structs.replace(piece, amount_cents=Cents(piece.amount_cents - left[piece.movement]))
        if piece.year == CREDIT and piece.movement in left
        else piece
        for piece in pieces
    ]
    return after_moves(shrunk, ())


def _moves(pieces: Iterable[Piece], *, from_year: int, to_year: int, amount_cents: Cents) -> list[Moved]:
    left = amount_cents
    moves: list[Moved] = []
    for piece in pieces:
        if piece.year == from_year and left and piece.amount_cents:
            taken = min(left, piece.amount_cents)
            moves.append(Moved(piece.movement, from_year, to_year, taken))
            left = Cents(left - taken)
    return moves
