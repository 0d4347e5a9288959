"""
What can have happened to a bank account.

These names and fields are the storage format. Add, never rename: docs/decisions/0004.
"""

from __future__ import annotations

from datetime import date

from domain.events import Event
from domain.money import Cents


class BankAccountOpened(Event, frozen=True, kw_only=True):
    """
    The fund receives money on this account; only statements of opened accounts are taken. The IBAN is the fund's own.
    """

    iban: str
    purpose: str


class StatementTaken(Event, frozen=True, kw_only=True):
    """
    A whole statement was taken: it follows the one before it and adds up. All its movements are recorded with it.

    `content_digest` is the SHA-256 of the file's canonical content; `movements_digest` of the movements as we read
    them.
    """

    year: int
    number: int
    opened_on: date
    closed_on: date
    opening_cents: Cents
    closing_cents: Cents
    credit_cents: Cents
    debit_cents: Cents
    movements: int
    content_digest: str
    movements_digest: str
    format: str


class StatementHeld(Event, frozen=True, kw_only=True):
    """
    A good statement came before its turn; its file waits until `waits_for_number` of `waits_for_year` has come.
    """

    year: int
    number: int
    opening_cents: Cents
    content_digest: str
    waits_for_year: int
    waits_for_number: int
    movements_digest: str = ""


class StatementDiscarded(Event, frozen=True, kw_only=True):
    """
    A person gave up a statement that waited; its file was deleted and may be handed in again.

    `content_digest` is the first 16 digits of the file's.
    """

    year: int
    number: int
    opening_cents: Cents
    content_digest: str
    reason: str
    discarded_by: str
    discarded_on: date


class StatementGapDeclared(Event, frozen=True, kw_only=True):
    """
    A person says that this statement, opening with `opening_cents`, may follow the last one that was taken, although
    statements between them are missing or the balances do not meet. It counts at once where they do meet, else when a
    second person approves it.
    """

    year: int
    number: int
    opening_cents: Cents
    after_year: int
    after_number: int
    after_cents: Cents
    reason: str
    declared_by: str
    declared_on: date


class StatementGapApproved(Event, frozen=True, kw_only=True):
    """
    A second person agrees that this statement follows with another balance.
    """

    year: int
    number: int
    approved_by: str
    approved_on: date


class StatementGapExplained(Event, frozen=True, kw_only=True):
    """
    A person found out what the difference in balance was; it stays on record, and waits for nobody any more.
    """

    year: int
    number: int
    difference_cents: Cents
    reason: str
    explained_by: str
    explained_on: date


HappenedToBankAccount = (
    BankAccountOpened
    | StatementTaken
    | StatementHeld
    | StatementDiscarded
    | StatementGapDeclared
    | StatementGapApproved
    | StatementGapExplained
)
