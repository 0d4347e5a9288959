"""
The fields of CODA records, version 2: dates, amounts, accounts, communications. Slices count from 0.

Source: Febelfin, coded statement of account (CODA), versions 2.6 and 2.8: the layout is the same.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final, NamedTuple

from domain.money import Cents
from domain.payments import CommunicationKind, Iban, NotAnIban, ReversalKind
from formats.bank_text import canonical, day_in_this_century
from formats.rejections import InputRejected

RECORD_LENGTH: Final = 128
NO_DATE: Final = "000000"

_R_TYPES: Final[dict[str, ReversalKind]] = {
    "1": "reject",
    "2": "return",
    "3": "refund",
    "4": "reversal",
    "5": "cancellation",
}
# Transaction family and transaction of a booking that undoes another, for banks that leave the R-type blank.
_R_TRANSACTIONS: Final[dict[str, ReversalKind]] = {
    "0199": "cancellation",
    "0299": "cancellation",
    "0503": "other",  # unpaid debt
    "0505": "refund",
    "0558": "reversal",
    "0599": "cancellation",
}

_R_REASON: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{2}", re.ASCII)


class Remittance(NamedTuple):
    """
    What the payer said, and what the bank said about a direct debit.
    """

    communication: str
    kind: CommunicationKind = "free"
    mandate_reference: str = ""
    r_type: str = ""
    r_reason: str = ""


def day(text: str, *, line: int, field: str) -> date:
    """
    Read DDMMYY, always of this century. Raises InputRejected DATE.
    """
    if text.isascii() and text.isdecimal():
        found = day_in_this_century(2000 + int(text[4:]), int(text[2:4]), int(text[:2]))
        if found is not None:
            return found
    raise InputRejected("DATE", "this is no day of the calendar (DDMMYY)", line=line, field=field)


def unsigned_cents(text: str, *, line: int, field: str) -> Cents:
    """
    Read twelve digits and three decimals, of which the third must be 0. Raises InputRejected AMOUNT.
    """
    if not (text.isascii() and text.isdecimal()):
        raise InputRejected("AMOUNT", "an amount has fifteen digits", line=line, field=field)
    if text[14] != "0":
        raise InputRejected("AMOUNT", "an amount in euro has no third decimal", line=line, field=field)
    return Cents(int(text[:14]))


def signed_cents(text: str, *, line: int, field: str) -> Cents:
    """
    Read a sign (0 credit, 1 debit) and an amount. Raises InputRejected AMOUNT.
    """
    amount = unsigned_cents(text[1:], line=line, field=field)
    match text[0]:
        case "0":
            return amount
        case "1":
            return Cents(-amount)
    raise InputRejected("AMOUNT", "the sign is neither 0 (credit) nor 1 (debit)", line=line, field=field)


def count(text: str, *, line: int, field: str) -> int:
    """
    Read a number of digits only. Raises InputRejected FIELD.
    """
    if not (text.isascii() and text.isdecimal()):
        raise InputRejected("FIELD", "this is a number, with leading zeros", line=line, field=field)
    return int(text)


def own_account(record: str, *, line: int) -> Iban:
    """
    Read the account of record 1: a Belgian number or a Belgian IBAN, in euro. Raises InputRejected ACCOUNT, CURRENCY.
    """
    match record[1]:
        case "0":
            number, currency = record[5:17], record[18:21]
            if not (number.isascii() and number.isdecimal()):
                raise InputRejected("ACCOUNT", "a Belgian account has twelve digits", line=line, field="account")
            account = f"BE{98 - int(number + '111400') % 97:02d}{number}"
        case "2":
            account, currency = record[5:36].rstrip(), record[39:42]
        case "1" | "3":
            raise InputRejected("ACCOUNT", "this is a foreign account", line=line, field="account structure")
        case _:
            raise InputRejected("FIELD", "an account structure is 0, 1, 2 or 3", line=line, field="account structure")
    if currency != "EUR":
        raise InputRejected("CURRENCY", "the account is not kept in euro", line=line, field="currency")
    if not account.startswith("BE"):
        raise InputRejected("ACCOUNT", "this is no Belgian account", line=line, field="account")
    try:
        return Iban.from_text(account)
    except NotAnIban:
        raise InputRejected("ACCOUNT", "its check digits are wrong", line=line, field="account") from None


def remittance(first: str, second: str, third: str, *, line: int) -> Remittance:
    """
    Read the communication, which runs over records 21, 22 and 23; the latter two may be "". Raises InputRejected FIELD.
    """
    if third and not second:
        second = " " * RECORD_LENGTH
    text = first[62:115] + second[10:63] + third[82:125]
    if first[61] == "0":
        return Remittance(canonical(text))
    if first[61] != "1":
        raise InputRejected("FIELD", "it is neither 0 (free) nor 1 (structured)", line=line, field="communication type")
    match text[:3]:
        case "101" | "102":
            return Remittance(canonical(text[3:15]), "structured")
        case "100":
            return Remittance(canonical(text[3:24]), "creditor_reference")
        case "127":
            return _direct_debit(text[3:].ljust(146))
    return Remittance(canonical(text[3:]))


def _direct_debit(text: str) -> Remittance:
    # settlement 6, type, scheme, paid, creditor 35, mandate 35, communication 62, R-type, reason 4
    return Remittance(
        communication=canonical(text[79:141]),
        mandate_reference=canonical(text[44:79]),
        r_type=text[141],
        r_reason=canonical(text[142:146]),
    )


def r_transaction(second: str, told: Remittance, *, transaction: str) -> tuple[ReversalKind | None, str]:
    """
    Return what kind of R-transaction a movement is, and its ISO reason.

    From record 22, else from the direct debit, else (no reason) from the transaction code. Where record 22 holds no ISO
    reason beside its type, it is of a time when these positions held something else.
    """
    for r_type, reason in ((second[112:113].strip(), second[113:117].strip()), (told.r_type.strip(), told.r_reason)):
        if r_type not in {"", "0"} and (not reason or _R_REASON.fullmatch(reason)):
            return _R_TYPES.get(r_type, "other"), reason
    return _R_TRANSACTIONS.get(transaction), ""
