"""
Bank statements and their chain, and the movements that wait for a person.
"""

from __future__ import annotations

from datetime import date
from typing import cast
from uuid import UUID

from msgspec.structs import replace

from domain import bank_account, bank_movement
from domain.envelope import Envelope
from domain.ids import Kind
from projections.model import Row, StreamRows, Table


class AccountRow(Row, frozen=True):
    stream: UUID
    iban: str
    purpose: str


class StatementRow(Row, frozen=True):
    """
    One statement; `state` is taken or held. Amounts in cents; `debit_cents` is positive.
    """

    stream: UUID
    year: int
    number: int
    state: str
    content_digest: str
    opened_on: date | None = None
    closed_on: date | None = None
    opening_cents: int | None = None
    closing_cents: int | None = None
    credit_cents: int = 0
    debit_cents: int = 0
    movements: int = 0
    waits_for_year: int | None = None
    waits_for_number: int | None = None
    recorded_on: date | None = None


class HeldRow(Row, frozen=True):
    """
    A movement that could not be allocated by itself; `state` is open, allocated, returned or explained.

    amount = open + allocated + returned + explained, in cents, negative for money that left.
    """

    stream: UUID
    account: UUID
    year: int
    number: int
    ordinal: int
    amount_cents: int
    value_date: date
    booked_on: date
    because: str
    state: str
    held_on: date
    open_cents: int
    allocated_cents: int = 0
    returned_cents: int = 0
    resolved_on: date | None = None


ACCOUNT = Table(
    name="account",
    row=AccountRow,
    columns="stream uuid NOT NULL, iban text NOT NULL, purpose text NOT NULL",
    key=("stream",),
)
STATEMENT = Table(
    name="statement",
    row=StatementRow,
    columns="""
    stream uuid NOT NULL, year integer NOT NULL, number integer NOT NULL, state text NOT NULL,
    content_digest text NOT NULL, opened_on date, closed_on date, opening_cents bigint, closing_cents bigint,
    credit_cents bigint NOT NULL, debit_cents bigint NOT NULL, movements integer NOT NULL, waits_for_year integer,
    waits_for_number integer, recorded_on date""",
    key=("stream", "year", "number"),
)
HELD = Table(
    name="held_movement",
    row=HeldRow,
    columns="""
    stream uuid NOT NULL, account uuid NOT NULL, year integer NOT NULL, number integer NOT NULL,
    ordinal integer NOT NULL, amount_cents bigint NOT NULL, value_date date NOT NULL, booked_on date NOT NULL,
    because text NOT NULL, state text NOT NULL, held_on date NOT NULL, open_cents bigint NOT NULL,
    allocated_cents bigint NOT NULL, returned_cents bigint NOT NULL, resolved_on date""",
    key=("stream",),
    indexes=("CREATE INDEX ON {table} (held_on) WHERE state = 'open'",),
)


class Bank:
    """
    Rule: ZP-14: no money is lost or dropped; what is not allocated stands here until a person resolves it.
    """

    name = "bank"
    version = 1
    kinds = frozenset({Kind.BANK_ACCOUNT, Kind.BANK_MOVEMENT})
    tables = (ACCOUNT, STATEMENT, HELD)
    reads_personal = False

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        match event:
            case bank_account.BankAccountOpened():
                rows.put("account", AccountRow(envelope.stream, event.iban, event.purpose))
            case bank_account.StatementTaken():
                taken = StatementRow(
                    envelope.stream, event.year, event.number, "taken", event.content_digest, event.opened_on,
                    event.closed_on, event.opening_cents, event.closing_cents, event.credit_cents, event.debit_cents,
                    event.movements, None, None, envelope.commit.business_date,
                )  # fmt: skip
                rows.put("statement", taken, event.year, event.number)
            case bank_account.StatementHeld():
                waiting = StatementRow(
                    envelope.stream, event.year, event.number, "held", event.content_digest,
                    waits_for_year=event.waits_for_year, waits_for_number=event.waits_for_number,
                    recorded_on=envelope.commit.business_date,
                )  # fmt: skip
                rows.put("statement", waiting, event.year, event.number)
            case bank_movement.MovementHeld():
                held = HeldRow(
                    envelope.stream, event.account, event.year, event.number, event.ordinal, event.amount_cents,
                    event.value_date, event.booked_on, event.because, "open", envelope.commit.business_date,
                    event.amount_cents,
                )  # fmt: skip
                rows.put("held_movement", held)
            case bank_movement.MovementAllocated():
                known = cast(HeldRow, rows.get("held_movement"))
                changed = replace(known, allocated_cents=known.allocated_cents + event.amount_cents)
                _placed(rows, changed, event.amount_cents, "allocated", event.allocated_on)
            case bank_movement.MovementReturned():
                known = cast(HeldRow, rows.get("held_movement"))
                changed = replace(known, returned_cents=known.returned_cents + event.amount_cents)
                _placed(rows, changed, event.amount_cents, "returned", event.returned_on)
            case bank_movement.MovementExplained():
                known = cast(HeldRow, rows.get("held_movement"))
                _placed(rows, known, known.open_cents, "explained", event.explained_on)
            case _:
                pass


def _placed(rows: StreamRows, row: HeldRow, amount_cents: int, state: str, day: date) -> None:
    open_cents = row.open_cents - amount_cents
    if open_cents:
        rows.put("held_movement", replace(row, open_cents=open_cents))
    else:
        rows.put("held_movement", replace(row, open_cents=0, state=state, resolved_on=day))
