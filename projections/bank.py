"""
Bank statements and their chain, and the movements that wait for a person.
"""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from domain import bank_account, bank_movement
from domain.envelope import Envelope
from domain.ids import Kind
from projections.model import ByEvent, Fold, Row, StreamRows, Table, unmoved


class AccountRow(Row):
    stream: UUID
    iban: str
    purpose: str


class StatementRow(Row):
    """
    One statement; `state` is taken, held or discarded. Amounts in cents; `debit_cents` is positive.
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


class HeldRow(Row):
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
        _FOLDS[type(event)](rows, event, envelope)


def _account_opened(rows: StreamRows, event: bank_account.BankAccountOpened, _envelope: Envelope) -> None:
    rows.put(ACCOUNT, AccountRow(rows.stream, event.iban, event.purpose))


def _statement_taken(rows: StreamRows, event: bank_account.StatementTaken, envelope: Envelope) -> None:
    taken = StatementRow(
        rows.stream, event.year, event.number, "taken", event.content_digest, event.opened_on, event.closed_on,
        event.opening_cents, event.closing_cents, event.credit_cents, event.debit_cents, event.movements,
        recorded_on=envelope.commit.business_date,
    )  # fmt: skip
    rows.put(STATEMENT, taken, event.year, event.number)


def _statement_held(rows: StreamRows, event: bank_account.StatementHeld, envelope: Envelope) -> None:
    waiting = StatementRow(
        rows.stream, event.year, event.number, "held", event.content_digest, waits_for_year=event.waits_for_year,
        waits_for_number=event.waits_for_number, recorded_on=envelope.commit.business_date,
    )  # fmt: skip
    rows.put(STATEMENT, waiting, event.year, event.number)


def _statement_discarded(rows: StreamRows, event: bank_account.StatementDiscarded, _envelope: Envelope) -> None:
    if waiting := rows.known(STATEMENT, event.year, event.number):
        waiting.state = "discarded"


def _held(rows: StreamRows, event: bank_movement.MovementHeld, envelope: Envelope) -> None:
    held = HeldRow(
        rows.stream, event.account, event.year, event.number, event.ordinal, event.amount_cents, event.value_date,
        event.booked_on, event.because, "open", envelope.commit.business_date, event.amount_cents,
    )  # fmt: skip
    rows.put(HELD, held)


def _allocated(rows: StreamRows, event: bank_movement.MovementAllocated, _envelope: Envelope) -> None:
    held = rows.row(HELD)
    held.allocated_cents += event.amount_cents
    _placed(held, event.amount_cents, "allocated", event.allocated_on)


def _returned(rows: StreamRows, event: bank_movement.MovementReturned, _envelope: Envelope) -> None:
    held = rows.row(HELD)
    held.returned_cents += event.amount_cents
    _placed(held, event.amount_cents, "returned", event.returned_on)


def _explained(rows: StreamRows, event: bank_movement.MovementExplained, _envelope: Envelope) -> None:
    held = rows.row(HELD)
    _placed(held, held.open_cents, "explained", event.explained_on)


def _placed(held: HeldRow, amount_cents: int, state: str, day: date) -> None:
    held.open_cents -= amount_cents
    if not held.open_cents:
        held.state = state
        held.resolved_on = day


_FOLDS: Final = ByEvent[Fold](
    {
        bank_account.BankAccountOpened: _account_opened,
        bank_account.StatementTaken: _statement_taken,
        bank_account.StatementHeld: _statement_held,
        bank_account.StatementDiscarded: _statement_discarded,
        bank_movement.MovementHeld: _held,
        bank_movement.MovementAllocated: _allocated,
        bank_movement.MovementReturned: _returned,
        bank_movement.MovementExplained: _explained,
    },
    otherwise=unmoved,
)
