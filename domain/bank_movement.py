"""
A movement that could not be allocated safely by itself: on the worklist until a person says where its money belongs.

Movements that match at once have no stream here; they are `PaymentReceived` on the member's affiliation.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.catalogue import Aggregate
from domain.errors import NotFound, Refused
from domain.events import Basis, Event
from domain.ids import Kind, StreamId
from domain.money import ZERO, Cents
from domain.payments import Movement
from domain.personal import Personal

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.

HeldBecause = Literal[
    "no_ogm",
    "wrong_check_digits",
    "unknown_ogm",
    "nothing_open",
    "several_candidates",
    "money_out",
    "reversal_without_original",
    "not_our_member",
    "payer_erased",
]
ExplainedAs = Literal["bank_costs", "own_transfer", "refund_paid", "other"]


class MovementHeld(Event, frozen=True, kw_only=True):
    """
    Money that we have, or that left, and do not know yet to whom it belongs. Never dropped (Rule: ZP-14).
    """

    account: StreamId
    year: int
    number: int
    ordinal: int
    amount_cents: Cents
    value_date: date
    booked_on: date
    because: HeldBecause
    communication: Personal
    counterparty_iban: Personal
    counterparty_name: Personal
    end_to_end_id: Personal
    basis: Basis


class MovementAllocated(Event, frozen=True, kw_only=True):
    """
    A person allocated the money to a member; the affiliation records the payment in the same transaction.
    """

    affiliation: StreamId
    amount_cents: Cents
    allocated_on: date
    reason: str
    basis: Basis


class MovementReturned(Event, frozen=True, kw_only=True):
    """
    The money went back to whom it came from, by bank transfer on that day.
    """

    amount_cents: Cents
    returned_on: date
    reference: str
    reason: str


class MovementExplained(Event, frozen=True, kw_only=True):
    """
    The movement is not premium money (bank costs, a transfer between own accounts, a refund of ours); it leaves the
    worklist.
    """

    explained_on: date
    as_what: ExplainedAs
    reason: str


HappenedToMovement = MovementHeld | MovementAllocated | MovementReturned | MovementExplained


# --- What we remember of it ------------------------------------------------------------------------------------------


class BankMovementState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    How much of the money has no place yet (negative for money that left), since when we had it, and when it counts.
    """

    booked_on: date | None = None
    value_date: date | None = None
    amount_cents: Cents = ZERO
    open_cents: Cents = ZERO


def evolve(state: BankMovementState, event: HappenedToMovement) -> BankMovementState:
    """
    Remember one event.
    """
    match event:
        case MovementHeld(amount_cents=amount, booked_on=booked_on, value_date=value_date):
            return BankMovementState(booked_on=booked_on, value_date=value_date, amount_cents=amount, open_cents=amount)
        case MovementAllocated(amount_cents=amount) | MovementReturned(amount_cents=amount):
            return replace(state, open_cents=Cents(state.open_cents - amount))
        case MovementExplained():
            return replace(state, open_cents=ZERO)


BANK_MOVEMENT: Final = Aggregate[BankMovementState, HappenedToMovement](
    context="bank",
    kind=Kind.BANK_MOVEMENT,
    happened=HappenedToMovement,
    initial=BankMovementState(),
    evolve=evolve,
    fold_version=1,
)

# --- What we decide --------------------------------------------------------------------------------------------------

_BASIS: Final = Basis(rules=("ZP-14",))


class NotOnTheWorklist(NotFound):
    """
    There is no such movement on the worklist; look its number up with `backoffice today`.
    """

    rule = "ZP-14"


class NothingOpen(Refused):
    """
    All money of this movement has its place already.
    """

    rule = "ZP-14"


class MoreThanIsOpen(Refused):
    """
    The amount is zero, has the wrong sign, or is more than is still open of this movement.
    """

    rule = "ZP-14"


class MoneyDidNotComeIn(Refused):
    """
    This money left the account; it cannot be given back.
    """

    rule = "ZP-14"


class PartlyPlaced(Refused):
    """
    A part of this money has its place already, so the movement cannot be something else; allocate or give back the
    rest.
    """

    rule = "ZP-14"


class BeforeItWasBooked(Refused):
    """
    This would have happened before the bank booked the movement; correct the day.
    """


class ReasonMissing(Refused):
    """
    Someone who places money by hand says why.
    """

    rule = "ZP-14"


def hold(
    state: BankMovementState, *, account: StreamId, year: int, number: int, movement: Movement, because: HeldBecause
) -> list[HappenedToMovement]:
    """
    Put a movement on the worklist, once; `year` and `number` are its statement's (Rule: ZP-14).
    """
    if state.booked_on is not None:
        return []
    return [
        MovementHeld(
            account=account,
            year=year,
            number=number,
            ordinal=movement.ordinal,
            amount_cents=movement.amount_cents,
            value_date=movement.value_date,
            booked_on=movement.booked_on,
            because=because,
            communication=movement.communication,
            counterparty_iban=str(movement.counterparty_iban),
            counterparty_name=movement.counterparty_name,
            end_to_end_id=movement.end_to_end_id,
            basis=_BASIS,
        )
    ]


def allocate(
    state: BankMovementState,
    *,
    affiliation: StreamId,
    allocated_on: date,
    reason: str,
    amount_cents: Cents | None = None,
) -> list[HappenedToMovement]:
    """
    Say that the money is for this member (Rule: ZP-14): all that is open, or a part of it (a couple's one payment).

    Money that left, such as a reversal whose payment we did not find, is allocated with its sign. Raises
    NotOnTheWorklist, NothingOpen, MoreThanIsOpen, BeforeItWasBooked, ReasonMissing.
    """
    _must_be_open(state, on=allocated_on, reason=reason)
    amount = _part_of(state.open_cents, amount_cents)
    return [
        MovementAllocated(
            affiliation=affiliation,
            amount_cents=amount,
            allocated_on=allocated_on,
            reason=reason.strip(),
            basis=_BASIS,
        )
    ]


def give_back(
    state: BankMovementState, *, returned_on: date, reference: str, reason: str, amount_cents: Cents | None = None
) -> list[HappenedToMovement]:
    """
    Record that all that is open, or a part of it, went back by bank transfer; `reference` is the transfer's.

    Raises NotOnTheWorklist, NothingOpen, MoneyDidNotComeIn, MoreThanIsOpen, BeforeItWasBooked, ReasonMissing.
    """
    _must_be_open(state, on=returned_on, reason=reason)
    if state.open_cents < 0:
        raise MoneyDidNotComeIn
    amount = _part_of(state.open_cents, amount_cents)
    return [
        MovementReturned(
            amount_cents=amount, returned_on=returned_on, reference=reference.strip(), reason=reason.strip()
        )
    ]


def explain(
    state: BankMovementState,
    *,
    explained_on: date,
    as_what: ExplainedAs,
    reason: str,
) -> list[HappenedToMovement]:
    """
    Say that the whole movement is no premium money, such as bank costs; it leaves the worklist.

    Raises NotOnTheWorklist, NothingOpen, PartlyPlaced, BeforeItWasBooked, ReasonMissing.
    """
    _must_be_open(state, on=explained_on, reason=reason)
    if state.open_cents != state.amount_cents:
        raise PartlyPlaced
    return [MovementExplained(explained_on=explained_on, as_what=as_what, reason=reason.strip())]


def _must_be_open(state: BankMovementState, *, on: date, reason: str) -> None:
    if state.booked_on is None:
        raise NotOnTheWorklist
    if state.open_cents == ZERO:
        raise NothingOpen
    if on < state.booked_on:
        raise BeforeItWasBooked(day=on)
    if not reason.strip():
        raise ReasonMissing


def _part_of(open_cents: Cents, amount_cents: Cents | None) -> Cents:
    if amount_cents is None:
        return open_cents
    fits = 0 < amount_cents <= open_cents if open_cents > 0 else open_cents <= amount_cents < 0
    if not fits:
        raise MoreThanIsOpen
    return amount_cents
