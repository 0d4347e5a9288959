"""
Reads CODA, the Belgian coded statement of account, version 2: strictly, with line numbers and reasons.

A file is taken whole or not at all. What holds, holds by `raise`: lengths, order of records, counts, totals, balances.
Why a reader of our own: docs/decisions/0010-own-coda-reader.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import AnyStr, Final

from domain.money import Cents
from domain.payments import Iban, Movement, Statement
from formats.bank_text import (
    UTF8_BOM,
    BookedDays,
    canonical,
    forbidden_position,
    iban_or_nothing,
    reference_or_nothing,
    refuse_oversized,
)
from formats.coda_records import (
    NO_DATE,
    RECORD_LENGTH,
    count,
    day,
    own_account,
    r_transaction,
    remittance,
    signed_cents,
    unsigned_cents,
)
from formats.rejections import InputRejected

_STRIDE: Final = RECORD_LENGTH + 1  # a record and its line end

# Which record may follow which; "" is the start of the file.
_AFTER_MOVEMENT: Final = frozenset({"21", "31", "8"})
_FOLLOWERS: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"0"}),
    "0": frozenset({"1"}),
    "1": frozenset({"21", "8", "4", "9"}),
    "21": _AFTER_MOVEMENT | {"22", "23", "9"},
    "22": _AFTER_MOVEMENT | {"23", "9"},
    "23": _AFTER_MOVEMENT | {"9"},
    "31": _AFTER_MOVEMENT | {"32", "33", "9"},
    "32": _AFTER_MOVEMENT | {"33", "9"},
    "33": _AFTER_MOVEMENT | {"9"},
    "8": frozenset({"4", "9"}),
    "4": frozenset({"4", "9"}),
    "9": frozenset({"0"}),
}
# Which detail explains which total: 1 by the customer, 2 by the bank, 3 a single amount; 9 explains a 7.
_DETAILS_OF: Final = {"1": "5", "2": "67", "3": "8"}


class _Raw:
    """
    A movement as it stands in the file: its records 21, 22 and 23.
    """

    __slots__ = ("cents", "detail", "first", "line", "second", "third", "type")

    def __init__(self, line: int, cents: Cents, record: str) -> None:
        self.line = line
        self.cents = cents
        self.detail = record[6:10]
        self.type = record[53]
        self.first = record
        self.second = ""
        self.third = ""


def read_coda(content: bytes) -> tuple[Statement, ...]:
    """
    Read every statement of a CODA file. Raises InputRejected, and nothing else.
    """
    text = coda_text(content)
    reader = _Reader()
    for line, start in enumerate(range(0, len(text), _STRIDE), start=1):
        reader.take(line, text[start : start + RECORD_LENGTH])
    return reader.finish()


def coda_text(content: bytes) -> str:
    """
    Return the records as text, each of 128 characters, with one line feed between them and none at the end.

    Windows-1252 when every record has 128 bytes, else UTF-8 when every record has 128 characters. Raises InputRejected.
    """
    refuse_oversized(content)
    body = content.replace(b"\r\n", b"\n").rstrip(b"\r\n")
    if not body:
        raise InputRejected("TRUNCATED", "it is empty")
    if not body.startswith(UTF8_BOM) and _is_ruled(body, b"\n"):
        text = _windows_1252(body)
    else:
        text = _utf8(body)
        if not _is_ruled(text, "\n"):
            raise _wrong_length(text)
    position = forbidden_position(text, also="\t\r")
    if position is not None:
        raise InputRejected("TEXT", "it holds a control character", line=text.count("\n", 0, position) + 1)
    return text


def _is_ruled(body: AnyStr, line_end: AnyStr) -> bool:
    ends, rest = divmod(len(body), _STRIDE)
    return rest == RECORD_LENGTH and body[RECORD_LENGTH::_STRIDE] == line_end * ends and body.count(line_end) == ends


def _utf8(body: bytes) -> str:
    try:
        return body.removeprefix(UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        if body.startswith(UTF8_BOM):
            line = body.count(b"\n", 0, error.start) + 1
            raise InputRejected("ENCODING", "it says that it is UTF-8 and is not", line=line) from None
        if error.end == len(body) and error.reason == "unexpected end of data":
            raise InputRejected("TRUNCATED", "it stops inside this record", line=body.count(b"\n") + 1) from None
        raise _wrong_length(body.decode("latin-1")) from None


def _windows_1252(body: bytes) -> str:
    try:
        return body.decode("windows-1252")
    except UnicodeDecodeError as error:
        line = error.start // _STRIDE + 1
        raise InputRejected("ENCODING", "it holds a byte that Windows-1252 does not know", line=line) from None


def _wrong_length(text: str) -> InputRejected:
    lines = text.split("\n")
    number = next(number for number, line in enumerate(lines, start=1) if len(line) != RECORD_LENGTH)
    if number == len(lines) and len(lines[-1]) < RECORD_LENGTH:
        return InputRejected("TRUNCATED", "the file stops inside this record", line=number)
    return InputRejected("LINE_LENGTH", "a record has 128 characters", line=number)


class _Reader:
    """
    Takes records one by one; what is open is the statement between its record 0 and its record 9.
    """

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.line = 0
        self.kind = ""
        self.more_follow = True
        self.free_text_follows = False
        self._days: dict[str, date] = {}
        self._takers: dict[str, Callable[[str], None]] = {
            "0": self._header,
            "1": self._old_balance,
            "21": self._movement,
            "22": self._movement_second,
            "23": self._movement_third,
            "31": self._information,
            "32": self._information_more,
            "33": self._information_more,
            "8": self._new_balance,
            "4": self._free_text,
            "9": self._trailer,
        }

    def take(self, line: int, record: str) -> None:
        kind = record[:2] if record[0] in "23" else record[0]
        if kind not in _FOLLOWERS[self.kind]:
            self._refuse_order(line, kind)
        self.line = line
        if self.free_text_follows and kind != "4":
            raise self._rejected("TRUNCATED", "the free communication that was announced is missing", "record")
        self._takers[kind](record)
        self.kind = kind

    def finish(self) -> tuple[Statement, ...]:
        if self.kind != "9":
            raise self._rejected("TRUNCATED", "the file stops without a trailer (record 9)", "")
        if self.more_follow:
            raise self._rejected("TRUNCATED", "another statement is announced and missing", "multiple file code")
        return tuple(self.statements)

    def _refuse_order(self, line: int, kind: str) -> None:
        self.line = line
        if kind not in self._takers:
            raise self._rejected("RECORD_ORDER", "this record is unknown", "record")
        if kind == "0" and self.kind != "9":
            raise self._rejected("TRUNCATED", "the statement before this one has no trailer (record 9)", "record")
        raise self._rejected("RECORD_ORDER", "this record cannot stand here", "record")

    def _rejected(self, code: str, problem: str, field: str, *, line: int = 0) -> InputRejected:
        return InputRejected(code, problem, line=line or self.line, field=field)

    def _day(self, text: str, field: str, *, line: int = 0) -> date:
        known = self._days.get(text)
        if known is None:
            known = self._days[text] = day(text, line=line or self.line, field=field)
        return known

    # --- The frame: records 0, 1, 8, 4, 9 ---------------------------------------------------

    def _header(self, record: str) -> None:
        if not self.more_follow:
            raise self._rejected("RECORD_ORDER", "the statement before this one said that it was the last", "record")
        if record[127] != "2":
            raise self._rejected("VERSION", "only version 2 is read", "version")
        if record[14:16] != "05":
            raise self._rejected("VERSION", "application 05 is a statement of account", "application code")
        if record[16] not in " D":
            raise self._rejected("FIELD", "it is neither blank nor D", "duplicate")
        self.duplicate = record[16] == "D"
        self.created_on = self._day(record[5:11], "creation date")
        self.first_line = self.line
        self.record_count = 0
        self.totals: dict[bool, int] = {False: 0, True: 0}
        self.movements: list[Movement] = []
        self.group: list[_Raw] = []
        self.sequence = ""
        self.closing: Cents | None = None

    def _old_balance(self, record: str) -> None:
        self.record_count += 1
        self.account: Iban = own_account(record, line=self.line)
        self.account_field = record[5:42]
        self.opening = signed_cents(record[42:58], line=self.line, field="old balance")
        self.days = BookedDays(opened_on=self._day(record[58:64], "old balance date"), field="entry date")
        self.number = count(record[125:128], line=self.line, field="sequence number")
        if self.number == 0:
            raise self._rejected("FIELD", "it counts from 001 each year", "sequence number")

    def _new_balance(self, record: str) -> None:
        self.record_count += 1
        self._close_group()
        if record[4:41] != self.account_field:
            raise self._rejected("ACCOUNT", "it is another account than that of record 1", "account")
        self.closing = signed_cents(record[41:57], line=self.line, field="new balance")
        # Some banks send no date here; then the last booking says until when the statement runs, else the header.
        if record[57:63] == NO_DATE:
            self.closed_on = self.days.last or self.created_on
        else:
            self.closed_on = self._day(record[57:63], "new balance date")
        self.days.close(self.closed_on, line=self.line, field="new balance date")
        self._check_balance("new balance")
        self.free_text_follows = record[127] == "1"

    def _check_balance(self, field: str) -> None:
        if self.opening + self.totals[False] - self.totals[True] != self.closing:
            raise self._rejected("BALANCE", "old balance and movements do not add up to the new balance", field)

    def _free_text(self, record: str) -> None:
        self.free_text_follows = record[127] == "1"

    def _trailer(self, record: str) -> None:
        if self.kind not in {"8", "4", "1"} or (self.closing is None and self.movements):
            raise self._rejected("TRUNCATED", "the new balance (record 8) is missing", "record")
        if self.closing is None:  # a day without movements may have no record 8
            self.closing, self.closed_on = self.opening, self.created_on
            self.days.close(self.closed_on, line=self.line, field="creation date")
        if count(record[16:22], line=self.line, field="number of records") != self.record_count:
            raise self._rejected("BALANCE", "the file holds another number of records", "number of records")
        for is_debit, start, field in ((True, 22, "total debit"), (False, 37, "total credit")):
            if unsigned_cents(record[start : start + 15], line=self.line, field=field) != self.totals[is_debit]:
                raise self._rejected("BALANCE", "the movements add up to another total", field)
        if record[127] not in "12":
            raise self._rejected("FIELD", "it is neither 1 (more follow) nor 2 (last)", "multiple file code")
        self.more_follow = record[127] == "1"
        self.statements.append(self._statement(self.closing))

    def _statement(self, closing: Cents) -> Statement:
        return Statement(
            account=self.account,
            year=self.closed_on.year,
            number=self.number,
            opened_on=self.days.opened_on,
            closed_on=self.closed_on,
            opening_cents=self.opening,
            closing_cents=closing,
            movements=tuple(self.movements),
            format="CODA",
            duplicate=self.duplicate,
            first_line=self.first_line,
        )

    # --- Movements: records 21, 22, 23; information 31, 32, 33 is checked for order only -----

    def _movement(self, record: str) -> None:
        self.record_count += 1
        sequence, detail = record[2:6], record[6:10]
        if not (record[2:10].isascii() and record[2:10].isdecimal()):
            raise self._rejected("FIELD", "this is a number, with leading zeros", "sequence number")
        if detail == "0000":
            self._close_group()
        elif not self.group or sequence != self.sequence or detail <= self.group[-1].detail:
            raise self._rejected("RECORD_ORDER", "this detail does not belong to the movement before it", "detail")
        self.sequence = sequence
        cents = signed_cents(record[31:47], line=self.line, field="amount")
        self.group.append(_Raw(self.line, cents, record))
        if detail == "0000":
            self.totals[cents < 0] += abs(cents)

    def _movement_second(self, record: str) -> None:
        self.record_count += 1
        self._check_continues(record)
        self.group[-1].second = record

    def _movement_third(self, record: str) -> None:
        self.record_count += 1
        self._check_continues(record)
        self.group[-1].third = record

    def _check_continues(self, record: str) -> None:
        if record[2:10] != self.sequence + self.group[-1].detail:
            raise self._rejected("RECORD_ORDER", "this record continues another movement", "sequence number")

    def _information(self, record: str) -> None:
        self.record_count += 1
        self.information = record[2:10]

    def _information_more(self, record: str) -> None:
        self.record_count += 1
        if record[2:10] != self.information:
            raise self._rejected("RECORD_ORDER", "this record continues another one", "sequence number")

    def _close_group(self) -> None:
        """
        Book a movement once: a total by its details, when the details pay for different things and add up to it.
        """
        if not self.group:
            return
        total, *details = self.group
        self.group = []
        if total.type not in "0123":
            raise self._rejected("FIELD", "a movement has type 0, 1, 2 or 3", "transaction code", line=total.line)
        if not details:
            self._book(total)
            return
        self._check_details(total, details)
        # The details of type 3 explain one payment (gross amount, charges); those of 1 and 2 are payments themselves.
        for raw in [total] if total.type == "3" else details:
            if raw.type != "9":
                self._book(raw)

    def _check_details(self, total: _Raw, details: list[_Raw]) -> None:
        allowed, added, explained, parts = _DETAILS_OF.get(total.type, ""), 0, total, 0
        for raw in details:
            if raw.type == "9" and explained.type == "7":
                parts += raw.cents
                continue
            if raw.type not in allowed:
                problem = "this detail explains no such movement"
                raise self._rejected("RECORD_ORDER", problem, "transaction code", line=raw.line)
            self._check_parts(explained, parts)
            explained, parts = raw, 0
            added += raw.cents
        self._check_parts(explained, parts)
        if added != total.cents:
            raise self._rejected("BALANCE", "its details add up to another amount", "amount", line=total.line)

    def _check_parts(self, explained: _Raw, parts: int) -> None:
        if parts and parts != explained.cents:
            raise self._rejected("BALANCE", "its details add up to another amount", "amount", line=explained.line)

    def _book(self, raw: _Raw) -> None:
        line, record = raw.line, raw.first
        if raw.cents == 0:
            raise self._rejected("AMOUNT", "a movement has an amount", "amount", line=line)
        booked_on = self._day(record[115:121], "entry date", line=line)
        value_date = booked_on if record[47:53] == NO_DATE else self._day(record[47:53], "value date", line=line)
        self.days.add(booked_on, value_date, line=line)
        told = remittance(record, raw.second, raw.third, line=line)
        reversal, reason = r_transaction(raw.second, told, transaction=record[54:58])
        self.movements.append(
            Movement(
                ordinal=len(self.movements) + 1,
                amount_cents=raw.cents,
                value_date=value_date,
                booked_on=booked_on,
                communication=told.communication,
                communication_kind=told.kind,
                counterparty_iban=iban_or_nothing(raw.third[10:44].rstrip()),
                counterparty_name=canonical(raw.third[47:82]),
                end_to_end_id=reference_or_nothing(raw.second[63:98]),
                bank_reference=canonical(record[10:31]),
                reversal=reversal,
                reversal_reason=reason,
                mandate_reference=told.mandate_reference,
            )
        )
