"""
Writes CODA statements of account, version 2: for demonstrations, tests and measurements. Same input, same bytes.

What the reader gives back is what was written, except that names are cut at the 35 characters of the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from domain.payments import Iban, Movement, ReversalKind, Statement
from formats.coda_records import RECORD_LENGTH

_CHUNK_RECORDS: Final = 4_096
_FREE_LENGTH_MAX: Final = 149
_DEBIT_COMMUNICATION_LENGTH_MAX: Final = 62
_R_DIGITS: Final[dict[ReversalKind | None, str]] = {
    None: " ",
    "reject": "1",
    "return": "2",
    "refund": "3",
    "reversal": "4",
    "cancellation": "5",
    "other": " ",
}
_CREDIT_TRANSFER, _DEBIT_TRANSFER, _UNPAID_DEBT = "0150000", "0101000", "0503000"


def write_coda(statements: Iterable[Statement], *, created_on: date, encoding: str = "windows-1252") -> Iterator[bytes]:
    """
    Write statements into one file, as chunks of bytes; each Statement and its movements are gone through once.

    Raises ValueError when something does not fit into the format, such as a communication of 150 characters.
    """
    records: list[str] = []
    waiting: Statement | None = None
    for statement in statements:
        if waiting is not None:
            yield from _statement(waiting, created_on=created_on, is_last=False, records=records, encoding=encoding)
        waiting = statement
    if waiting is not None:
        yield from _statement(waiting, created_on=created_on, is_last=True, records=records, encoding=encoding)
    yield _packed(records, encoding)


def _packed(records: list[str], encoding: str) -> bytes:
    packed = "".join(record + "\n" for record in records).encode(encoding)
    records.clear()
    return packed


def _statement(
    statement: Statement, *, created_on: date, is_last: bool, records: list[str], encoding: str
) -> Iterator[bytes]:
    records.append(header(created_on=created_on, duplicate=statement.duplicate))
    records.append(old_balance(statement.account, statement.opening_cents, statement.opened_on, statement.number))
    record_count, debit, credit = 2, 0, 0
    for movement in statement.movements:
        lines = movement_records(movement, statement_number=statement.number)
        records += lines
        record_count += len(lines)
        if movement.amount_cents < 0:
            debit -= movement.amount_cents
        else:
            credit += movement.amount_cents
        if len(records) >= _CHUNK_RECORDS:
            yield _packed(records, encoding)
    records.append(new_balance(statement.account, statement.closing_cents, statement.closed_on, statement.number))
    records.append(trailer(record_count=record_count, debit=debit, credit=credit, is_last=is_last))


def header(*, created_on: date, duplicate: bool = False) -> str:
    mark = "D" if duplicate else " "
    return _record(f"00000{_day(created_on)}00005{mark:8}{'':10}{'':26}{'':11}{'0' * 11} {'0' * 5}", end="2")


def old_balance(account: Iban, cents: int, on: date, number: int) -> str:
    if not account.startswith("BE"):
        raise ValueError("a statement is of a Belgian account")
    return _record(f"12{number % 1000:03d}{account:34}EUR{_signed(cents)}{_day(on)}{'':61}", end=_number(number))


def new_balance(account: Iban, cents: int, on: date, number: int) -> str:
    return _record(f"8{number % 1000:03d}{account:34}EUR{_signed(cents)}{_day(on)}", end="0")


def trailer(*, record_count: int, debit: int, credit: int, is_last: bool) -> str:
    return _record(f"9{'':15}{record_count:06d}{_amount(debit)}{_amount(credit)}", end="2" if is_last else "1")


def movement_records(
    movement: Movement, *, statement_number: int, detail: int = 0, code: str = "", sequence: int = 0
) -> list[str]:
    """
    Return the records 21 (and 22, 23 where something stands in them) of one movement or detail.

    `code` is the transaction code of eight digits; its first says whether this is a total or a detail.
    """
    position = f"{sequence or (movement.ordinal - 1) % 9999 + 1:04d}{detail:04d}"
    text = _communication(movement)
    reference, r_type, reason = movement.end_to_end_id, _R_DIGITS[movement.reversal], movement.reversal_reason
    needs_third = bool(movement.counterparty_iban or movement.counterparty_name or len(text) > 107)
    needs_second = bool(reference or r_type != " " or reason or len(text) > 54)
    first = (
        f"21{position}{_fit(movement.bank_reference, 21)}{_signed(movement.amount_cents)}{_day(movement.value_date)}"
        f"{code or _code(movement)}{text[:54]:54}{_day(movement.booked_on)}{statement_number % 1000:03d}0"
    )
    records = [_record(f"{first}{int(needs_second or needs_third)}", end="0")]
    if needs_second:
        second = f"22{position}{text[54:107]:53}{_fit(reference, 35)}{'':14}{r_type}{_fit(reason, 4)}"
        records.append(_record(f"{second:125}{int(needs_third)}", end="0"))
    if needs_third:
        account = f"{movement.counterparty_iban:34}{'EUR' if movement.counterparty_iban else '':3}"
        third = f"23{position}{account}{movement.counterparty_name[:35]:35}{text[107:150]:43}0"
        records.append(_record(third, end="0"))
    return records


def _communication(movement: Movement) -> str:
    """
    Return the type (0 free, 1 structured) and the text of a communication.
    """
    text = movement.communication
    if movement.mandate_reference:
        if len(text) > _DEBIT_COMMUNICATION_LENGTH_MAX or movement.communication_kind != "free":
            raise ValueError("a direct debit carries a free communication of 62 characters at the most")
        mandate = _fit(movement.mandate_reference, 35)
        return f"1127{_day(movement.value_date)}1100{'':34}{mandate}{text:62}0{'':4}"
    match movement.communication_kind:
        case "structured":
            return f"1101{_fit(text, 12)}"
        case "creditor_reference":
            return f"1100{_fit(text, 21)}"
    return f"0{_fit(text, _FREE_LENGTH_MAX)}".rstrip()


def _code(movement: Movement) -> str:
    if movement.reversal == "other":
        return f"0{_UNPAID_DEBT}"
    return f"0{_CREDIT_TRANSFER if movement.amount_cents > 0 else _DEBIT_TRANSFER}"


def _fit(text: str, length: int) -> str:
    if len(text) > length:
        raise ValueError(f"a text is longer than the {length} characters of its field")
    return text.ljust(length)


def _number(number: int) -> str:
    if not 0 < number < 1000:
        raise ValueError("a CODA sequence number lies between 1 and 999")
    return f"{number:03d}"


def _day(day: date) -> str:
    return f"{day.day:02d}{day.month:02d}{day.year % 100:02d}"


def _amount(cents: int) -> str:
    if cents >= 10**14:
        raise ValueError("an amount has at most twelve digits before the point")
    return f"{cents:014d}0"


def _signed(cents: int) -> str:
    return f"{int(cents < 0)}{_amount(abs(cents))}"


def _record(start: str, *, end: str) -> str:
    record = f"{start:{RECORD_LENGTH - len(end)}}{end}"
    if len(record) != RECORD_LENGTH:
        raise ValueError("a record has 128 characters")
    return record
