"""
The post's proof that it took registered letters: CSV in UTF-8, a comma between fields, no quotes, this very header.

    letter_id,posted_on,barcode
    5f0c2f58-0d3e-8a67-8f20-1b7f7a1d9f10,2026-06-02,010541234567890123456789012345

A line is read whole or the file is refused; a letter that stands there twice refuses it too.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from domain.dates import NotADate, date_from_text
from formats.rejections import InputRejected

HEADER: Final = "letter_id,posted_on,barcode"
LINES_MAX: Final = 1_000_000
_BARCODE: Final = re.compile(r"010[0-9]{27}", re.ASCII)
_LETTER: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class Proof(NamedTuple):
    """
    One letter that the post took.
    """

    line: int
    letter_id: UUID
    posted_on: date
    barcode: str


def read_proofs(content: bytes) -> list[Proof]:
    """
    Return all proofs; a file with only its header has none. Raises InputRejected.
    """
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("ascii")
    except UnicodeDecodeError:
        raise InputRejected("ENCODING", "it holds other characters than those of ids, dates and barcodes") from None
    if not text:
        raise InputRejected("TRUNCATED", "it is empty")
    if not text.endswith("\n"):
        raise InputRejected("TRUNCATED", "the last line has no end")
    header, *lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if header != HEADER:
        raise InputRejected("SCHEMA", f"the first line must be {HEADER}", line=1)
    if len(lines) > LINES_MAX:
        raise InputRejected("LIMIT", f"it has more than {LINES_MAX} lines")
    proofs = [_proof(number, line) for number, line in enumerate(lines, start=2)]
    seen: set[UUID] = set()
    for proof in proofs:
        if proof.letter_id in seen:
            raise InputRejected("DUPLICATE_KEY", "the letter stands there twice", line=proof.line, field="letter_id")
        seen.add(proof.letter_id)
    return proofs


def _proof(number: int, line: str) -> Proof:
    fields = line.split(",")
    if len(fields) != 3:
        raise InputRejected("SCHEMA", "a line has three fields with a comma between them", line=number)
    letter, day, barcode = fields
    if not _LETTER.fullmatch(letter):
        raise InputRejected("SCHEMA", "this is not the id of a letter", line=number, field="letter_id")
    if not _BARCODE.fullmatch(barcode):
        problem = "a barcode has 30 digits and starts with 010 (a spreadsheet may have rounded it)"
        raise InputRejected("SCHEMA", problem, line=number, field="barcode")
    try:
        return Proof(number, UUID(letter), date_from_text(day), barcode)
    except NotADate:
        raise InputRejected("SCHEMA", "a date is written as YYYY-MM-DD", line=number, field="posted_on") from None
