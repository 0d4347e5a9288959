"""
The one way in which a reader of foreign bytes says no: `InputRejected`, with a code, a place and what to do.

No other exception leaves a reader, and the message never holds the value that was wrong: it may be somebody's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.errors import Unreadable

_ASK_THE_SENDER: Final = "nothing was taken, ask the sender for the file again"
_ASK_THE_BANK: Final = "nothing was taken, ask the bank for this statement again"
_CORRECT_IT: Final = "nothing was taken, correct the file and import it again"

#: Every code a reader may use, with what a person does about it.
ADVICE: Final[Mapping[str, str]] = {
    # the file as a whole
    "FORMAT": "nothing was taken, hand in a CODA or a camt.053 file",
    "TRUNCATED": "nothing was taken, fetch the complete file again",
    "LIMIT": "nothing was taken, have the file split",
    "ENCODING": "nothing was taken, have the file sent as UTF-8 (a CODA file also as Windows-1252)",
    "TEXT": _ASK_THE_SENDER,
    # bank statements
    "ACCOUNT": "nothing was taken, check which account the bank reports on",
    "AMOUNT": _ASK_THE_BANK,
    "BALANCE": _ASK_THE_BANK,
    "CURRENCY": "nothing was taken, only accounts in euro are kept here",
    "DATE": _ASK_THE_BANK,
    "FIELD": _ASK_THE_BANK,
    "LINE_LENGTH": _ASK_THE_BANK,
    "PAGES": "nothing was taken, ask the bank for the statement in one piece",
    "RECORD_ORDER": _ASK_THE_BANK,
    "VERSION": "nothing was taken, ask the bank for a version that is read here",
    # XML
    "DTD": "nothing was taken, do not import this file and tell who is responsible for security",
    "MIXED": "nothing was taken, do not import this file and tell who is responsible for security",
    "NAMESPACE": "nothing was taken, ask the bank for a camt.053 file",
    "XML": _ASK_THE_BANK,
    # JSON lines
    "DUPLICATE_KEY": _CORRECT_IT,
    "NUMBER": _CORRECT_IT,
    "RESERVED": _CORRECT_IT,
    "SCHEMA": _CORRECT_IT,
}


class InputRejected(Unreadable):
    """
    A file is bad; nothing of it was taken.

    `code` is one of `ADVICE`; `line` and `column` count from 1; `field` is named in the words of its format.
    """

    code: str  # type: ignore[misc]  # here each refusal has its own

    def __init__(
        self, code: str, problem: str, *, line: int | None = None, column: int | None = None, field: str = ""
    ) -> None:
        self.code = code
        self.problem = problem
        self.line = line
        self.column = column
        self.field = field
        spots = [f"line {line}" if line else "", f"column {column}" if column else "", field]
        place = ", ".join(spot for spot in spots if spot) or "the file"
        super().__init__(f"{place[0].upper()}{place[1:]}: {problem}; {ADVICE.get(code, _ASK_THE_SENDER)}.")

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"
