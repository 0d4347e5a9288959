"""
The manifest that goes to the printer with the files of a run: CSV, one line per letter, and a summary with totals.

Names and addresses stand in it for registered letters alone, because bpost wants them announced; for the others the
window shows them and the manifest need not.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from formats.letter_facts import Channel, LetterFacts, facts_sha256


class ManifestRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    One letter: in which file, from which page (the first is 1), how many pages, how it goes, and what proves its facts.
    """

    sequence: int
    letter_id: UUID
    file: str
    first_page: int
    pages: int
    channel: Channel
    barcode: str = ""
    name: str = ""
    address: tuple[str, ...] = ()
    facts_sha256: str

    @classmethod
    def of(cls, facts: LetterFacts, *, file: str, sequence: int, first_page: int, pages: int) -> ManifestRow:
        registered = facts.channel == "registered"
        return cls(
            sequence=sequence,
            letter_id=facts.letter_id,
            file=file,
            first_page=first_page,
            pages=pages,
            channel=facts.channel,
            barcode=facts.barcode,
            name=facts.addressee.name if registered else "",
            address=facts.addressee.lines if registered else (),
            facts_sha256=facts_sha256(facts),
        )


class FileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the printer checks before printing a file.
    """

    file: str
    channel: Channel
    letters: int
    pages: int
    bytes: int
    sha256: str


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    The totals of a run. `refused` letters are in no file.
    """

    run: str
    files: tuple[FileSummary, ...]
    letters: int
    pages: int
    refused: int


_ADDRESS_COLUMNS: Final = ("address_1", "address_2", "address_3", "address_4", "address_5")
COLUMNS: Final = (
    "sequence", "letter_id", "file", "first_page", "pages", "channel", "barcode", "name", *_ADDRESS_COLUMNS,
    "facts_sha256",
)  # fmt: skip


def header() -> bytes:
    """
    Return the first line of the manifest: the names of its columns.
    """
    return _csv([COLUMNS])


def lines(rows: Iterable[ManifestRow]) -> bytes:
    """
    Return one line per letter (RFC 4180: commas, CRLF, UTF-8), to be written after `header`.
    """
    return _csv(
        (
            row.sequence, row.letter_id, row.file, row.first_page, row.pages, row.channel, row.barcode, row.name,
            *row.address, *[""] * (len(_ADDRESS_COLUMNS) - len(row.address)), row.facts_sha256,
        )
        for row in rows
    )  # fmt: skip


def file_summary(*, file: str, channel: Channel, pdf: bytes, rows: Sequence[ManifestRow]) -> FileSummary:
    """
    Return the summary of one file of letters.
    """
    return FileSummary(
        file=file,
        channel=channel,
        letters=len(rows),
        pages=sum(row.pages for row in rows),
        bytes=len(pdf),
        sha256=hashlib.sha256(pdf).hexdigest(),
    )


def summary(*, run: str, files: Sequence[FileSummary], refused: int) -> bytes:
    """
    Return the summary of a run as JSON, for people and machines.
    """
    totals = RunSummary(
        run=run,
        files=tuple(files),
        letters=sum(file.letters for file in files),
        pages=sum(file.pages for file in files),
        refused=refused,
    )
    return msgspec.json.format(msgspec.json.encode(totals), indent=2) + b"\n"


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
