"""
What payment matching looks up: payments by movement, and accounts that members pay from (as keyed digests, never the
IBAN).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from uuid import UUID

from domain.envelope import Envelope
from domain.ids import Kind, owner_of
from domain.member import BankAccountGiven
from domain.personal import ERASED
from domain.zorgkas_affiliation import PaymentReceived, PaymentReversed
from projections.model import ByEvent, Fold, Row, StreamRows, Table, unmoved


class PaymentRow(Row):
    """
    One movement that is this member's payment; `reversed_by` is the movement that took it back.
    """

    stream: UUID
    movement: UUID
    amount_cents: int
    value_date: date
    booked_on: date
    matched_by: str
    recorded_on: date
    reversed_by: UUID | None = None


class KnownAccountRow(Row):
    """
    An account known for a member: given by the member, or seen on a payment that carried the member's own OGM.
    """

    stream: UUID
    digest: bytes
    member: UUID


PAYMENT = Table(
    name="payment",
    row=PaymentRow,
    columns="""
    stream uuid NOT NULL, movement uuid NOT NULL, amount_cents bigint NOT NULL, value_date date NOT NULL,
    booked_on date NOT NULL, matched_by text NOT NULL, recorded_on date NOT NULL, reversed_by uuid""",
    key=("stream", "movement"),
    indexes=("CREATE INDEX ON {table} (movement)",),
)
KNOWN_ACCOUNT = Table(
    name="known_account",
    row=KnownAccountRow,
    columns="stream uuid NOT NULL, digest bytea NOT NULL, member uuid NOT NULL",
    key=("stream", "digest"),
    indexes=("CREATE INDEX ON {table} (digest)",),
)


class Payments:
    """
    Rule: ZP-14. `blind` turns an IBAN into a keyed digest; without the key the table says nothing about anyone.
    """

    name = "payments"
    version = 1
    kinds = frozenset({Kind.ZORGKAS_AFFILIATION, Kind.MEMBER})
    tables = (PAYMENT, KNOWN_ACCOUNT)
    reads_personal = True

    def __init__(self, blind: Callable[[str, str], bytes]) -> None:
        self._blind = blind
        self._folds = ByEvent[Fold](
            {BankAccountGiven: self._account_given, PaymentReceived: self._paid, PaymentReversed: _reversed},
            otherwise=unmoved,
        )

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        self._folds[type(event)](rows, event, envelope)

    def _account_given(self, rows: StreamRows, event: BankAccountGiven, _envelope: Envelope) -> None:
        self._known(rows, event.iban)

    def _paid(self, rows: StreamRows, event: PaymentReceived, envelope: Envelope) -> None:
        # A person may place a movement in parts: together they are one payment.
        part = rows.known(PAYMENT, event.movement)
        before = part.amount_cents if part is not None and part.reversed_by is None else 0
        row = PaymentRow(rows.stream, event.movement, before + event.amount_cents, event.value_date, event.booked_on,
                         event.matched_by, envelope.commit.business_date)  # fmt: skip
        rows.put(PAYMENT, row, event.movement)
        # Only an own OGM makes an account known: a guess must not feed later guesses, and money that a person had to
        # place often comes from who pays for several people. A person gives an account with `GiveBankAccount`.
        if event.matched_by == "ogm":
            self._known(rows, event.payer_iban)

    def _known(self, rows: StreamRows, iban: str) -> None:
        if iban in ("", ERASED):
            return
        digest = self._blind("iban", iban)
        rows.put(KNOWN_ACCOUNT, KnownAccountRow(rows.stream, digest, owner_of(rows.stream)), digest)


def _reversed(rows: StreamRows, event: PaymentReversed, _envelope: Envelope) -> None:
    if paid := rows.known(PAYMENT, event.movement):
        paid.reversed_by = event.reversed_by
