"""
One of the fund's own bank accounts: the unbroken chain of its statements.
"""

from __future__ import annotations

from datetime import date

from domain.events import Event
from domain.money import Cents

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.


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
    content_digest: str
    waits_for_year: int
    waits_for_number: int


HappenedToBankAccount = BankAccountOpened | StatementTaken | StatementHeld
