"""
The words of payments: structured communication (OGM), IBAN, and what a bank statement says, whatever its file format.

An `Ogm` or an `Iban` that exists is right: the check digits were verified when it was made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from domain.errors import Unreadable
from domain.ids import Kind, StreamId, derived_id
from domain.money import Cents

_OGM_BASE_MAX: Final = 10**10
_OGM_PRINTED = re.compile(r"([+*]{3})?([0-9]{3})/([0-9]{4})/([0-9]{5})([+*]{3})?", re.ASCII)
_TWELVE_DIGITS = re.compile(r"[0-9]{12}", re.ASCII)
_LETTERS_AS_NUMBERS: Final = {ord(letter): str(10 + index) for index, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_IBAN_SHAPE = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)


class NotAnOgm(Unreadable):
    """
    A structured communication has twelve digits, of which the last two are the first ten modulo 97 (97 when that is 0).
    """


class NotAnIban(Unreadable):
    """
    An IBAN starts with a country and two check digits, and these must fit the rest.
    """


class Ogm(str):
    """
    A Belgian structured communication, kept as its twelve digits.
    """

    __slots__ = ()

    @classmethod
    def from_base(cls, base: int) -> Ogm:
        """
        Make the communication of a number of at most ten digits. Base 0 is never issued (its check digits would be 97).
        """
        if not 0 < base < _OGM_BASE_MAX:
            raise NotAnOgm
        return cls(f"{base:010d}{base % 97 or 97:02d}")

    @classmethod
    def from_text(cls, text: str) -> Ogm:
        """
        Read `+++090/9337/55493+++`, `***...***`, or the bare twelve digits. Raises NotAnOgm.
        """
        candidate = text.strip()
        printed = _OGM_PRINTED.fullmatch(candidate)
        if printed and (printed[1] or "") == (printed[5] or ""):
            candidate = printed[2] + printed[3] + printed[4]
        if not _TWELVE_DIGITS.fullmatch(candidate):
            raise NotAnOgm
        base, check = int(candidate[:10]), int(candidate[10:])
        if check != (base % 97 or 97):
            raise NotAnOgm
        return cls(candidate)

    @property
    def printed(self) -> str:
        return f"+++{self[:3]}/{self[3:7]}/{self[7:]}+++"


class Iban(str):
    """
    An international account number without blanks, check digits verified (ISO 13616, modulo 97).
    """

    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> Iban:
        """
        Read an IBAN with or without blanks. Raises NotAnIban. An unknown bank code is not an error: banks come and go.
        """
        candidate = text.replace(" ", "").upper()
        if not _IBAN_SHAPE.fullmatch(candidate):
            raise NotAnIban
        if candidate.startswith("BE") and not _belgian_check(candidate):
            raise NotAnIban
        if int((candidate[4:] + candidate[:4]).translate(_LETTERS_AS_NUMBERS)) % 97 != 1:
            raise NotAnIban
        return cls(candidate)

    @property
    def printed(self) -> str:
        return " ".join(self[index : index + 4] for index in range(0, len(self), 4))


def _belgian_check(candidate: str) -> bool:
    digits = candidate[4:]
    return len(digits) == 12 and digits.isdecimal() and int(digits[10:]) == (int(digits[:10]) % 97 or 97)


CommunicationKind = Literal["structured", "creditor_reference", "free"]
ReversalKind = Literal["reject", "return", "refund", "reversal", "cancellation", "other"]


class Movement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One movement of a bank statement; money in is positive, money out negative.

    `ordinal` counts from 1 within the statement. `communication_kind` says what the bank file says: "structured" only
    when the file marks it as an OGM (`communication` then holds the twelve digits as sent, checked or not),
    "creditor_reference" for ISO 11649, else "free". `end_to_end_id` and `bank_reference` are the bank's; `reversal` is
    set on R-transactions. `mandate_reference` is that of a SEPA direct debit.
    """

    ordinal: int
    amount_cents: Cents
    value_date: date
    booked_on: date
    communication: str = ""
    communication_kind: CommunicationKind = "free"
    counterparty_iban: str = ""
    counterparty_name: str = ""
    end_to_end_id: str = ""
    bank_reference: str = ""
    reversal: ReversalKind | None = None
    reversal_reason: str = ""
    mandate_reference: str = ""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """
    One bank statement of one account: balances in cents (negative when overdrawn) and its movements in file order.

    `number` is the bank's sequence number within `year`. `format` names the reader, `first_line` where it starts in its
    file. `duplicate` is the bank's own mark that it sent this statement before. A statement that exists adds up:
    opening balance + movements = closing balance, checked by the reader. `pending_count` entries of the file were left
    out, because the bank has announced but not booked them.
    """

    account: Iban
    year: int
    number: int
    opened_on: date
    closed_on: date
    opening_cents: Cents
    closing_cents: Cents
    movements: Sequence[Movement]
    format: Literal["CODA", "camt.053"]
    duplicate: bool = False
    first_line: int = 1
    pending_count: int = 0


def bank_account_id(account: Iban) -> StreamId:
    """
    Return the stream of one of our own bank accounts.
    """
    return derived_id(Kind.BANK_ACCOUNT, account)


def bank_movement_id(*, account: Iban, year: int, number: int, ordinal: int) -> StreamId:
    """
    Return the identity of one movement: the same statement imported under any name gives the same movements.
    """
    return derived_id(Kind.BANK_MOVEMENT, account, f"{year:04d}", str(number), str(ordinal))
