"""
What the readers of bank files share: limits, forbidden characters, the canonical form of a text, the days.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, timedelta
from typing import Final

from domain.payments import Iban, NotAnIban
from formats.rejections import InputRejected

CONTENT_BYTES_MAX: Final = 50_000_000
UTF8_BOM: Final = b"\xef\xbb\xbf"
#: A value date further than this from the day of booking is a typing error: R-transactions go back 13 months.
VALUE_DATE_DISTANCE_MAX: Final = timedelta(days=400)

# Control characters, and those that turn the direction of writing or cut a line where nobody sees it.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_BREAKS: Final = re.compile(r"[\t\r\n]+")
_NO_REFERENCE: Final = frozenset({"NOTPROVIDED", "NOT PROVIDED", "NOTAVAILABLE"})


def refuse_oversized(content: bytes) -> None:
    """
    Raise InputRejected LIMIT when a file is larger than 50 MB.
    """
    if len(content) > CONTENT_BYTES_MAX:
        raise InputRejected("LIMIT", "it is larger than 50 MB")


def forbidden_position(text: str, *, also: str = "") -> int | None:
    """
    Return where a character stands that no text may hold, or one of `also`; None when there is none.
    """
    found = _FORBIDDEN.search(text)
    positions = [found.start()] if found else []
    positions += [text.index(character) for character in also if character in text]
    return min(positions, default=None)


def canonical(text: str) -> str:
    """
    Return a text trimmed, in Unicode NFC, on one line.
    """
    text = text.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = _BREAKS.sub(" ", text)
    return text


def iban_or_nothing(text: str) -> str:
    """
    Return the IBAN of a counterparty, or "" for what is none: such an account identifies nobody and matches nothing.
    """
    if len(text) < 15:
        return ""
    try:
        return str(Iban.from_text(text))
    except NotAnIban:
        return ""


def reference_or_nothing(text: str) -> str:
    """
    Return an end-to-end reference, or "" when the bank says that there was none.
    """
    reference = canonical(text)
    return "" if reference.upper() in _NO_REFERENCE else reference


class BookedDays:
    """
    Watches the days of one statement: nothing is booked before it opens or after it closes.
    """

    __slots__ = ("_field", "last", "last_line", "opened_on")

    def __init__(self, *, opened_on: date, field: str) -> None:
        self.opened_on = opened_on
        self.last: date | None = None
        self.last_line = 0
        self._field = field

    def add(self, booked_on: date, value_date: date, *, line: int) -> None:
        """
        Look at the days of one movement. Raises InputRejected DATE.
        """
        if booked_on < self.opened_on:
            raise InputRejected("DATE", "it lies before the statement opens", line=line, field=self._field)
        if abs(value_date - booked_on) > VALUE_DATE_DISTANCE_MAX:
            problem = "it lies more than 400 days from the day of booking"
            raise InputRejected("DATE", problem, line=line, field="value date")
        if self.last is None or booked_on > self.last:
            self.last, self.last_line = booked_on, line

    def close(self, closed_on: date, *, line: int, field: str) -> None:
        """
        Look at the day of closing. Raises InputRejected DATE.
        """
        if closed_on < self.opened_on:
            raise InputRejected("DATE", "the statement closes before it opens", line=line, field=field)
        if self.last is not None and self.last > closed_on:
            problem = "it lies after the statement closes"
            raise InputRejected("DATE", problem, line=self.last_line, field=self._field)


def day_in_this_century(year: int, month: int, day: int) -> date | None:
    """
    Return a day between 2000 and 2099, or None when there is no such day.
    """
    try:
        return date(year, month, day) if 2000 <= year <= 2099 else None
    except ValueError:
        return None
