"""
A movement that could not be allocated safely by itself: on the worklist until a person says where its money belongs.

Movements that match at once have no stream here; they are `PaymentReceived` on the member's affiliation.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from domain.events import Basis, Event
from domain.ids import StreamId
from domain.money import Cents
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
]


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
    as_what: Literal["bank_costs", "own_transfer", "refund_paid", "other"]
    reason: str


HappenedToMovement = MovementHeld | MovementAllocated | MovementReturned | MovementExplained
