"""
The file with which the fund reports to the Agency who got the registered letter and did not pay, and its correction.

The Agency's own layout was not found in public texts; this one is ours, and says everything that the law names. CSV in
UTF-8, a semicolon between fields, CR LF at the end of each line, fields without quotes. The first field is the kind of
record:

    H;zorgpremie-report/1;<report|correction>;<report id>;<fund>;<letter year>;<made on>
    D;<number>;<national number>;<letter id>;<posted on>;<barcode>;<year=cents,year=cents>;<cents>
    T;<count of D>;<total cents>;<SHA-256 of every byte before this line>

Amounts are integer cents, dates YYYY-MM-DD. In a correction each D takes the line with that letter out of the report.
Rules: ZB-3, ZB-9, ZB-10. Law: order of 30 November 2018, art. 74 and 82.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final, Literal
from uuid import UUID

import msgspec

from domain.dates import NotADate, date_from_text
from domain.errors import Refused, Unreadable
from domain.money import Cents

LAYOUT: Final = "zorgpremie-report/1"
ReportKind = Literal["report", "correction"]

_END: Final = "\r\n"
_TEXT: Final = re.compile(r"[^;\r\n\x00-\x1f\x7f]{1,100}")
_DIGITS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_NATIONAL_NUMBER: Final = re.compile(r"[0-9]{11}", re.ASCII)
_BARCODE: Final = re.compile(r"[0-9]{30}", re.ASCII)


class LineRefused(Refused):
    """
    A line of the report to the Agency is not complete; nothing of the file may be sent.
    """

    rule = "ZB-10"


class ReportUnreadable(Unreadable):
    """
    This is not a whole report to the Agency as we write them; do not send it, make it again from its run.
    """


class ReportHead(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the file is about: `letter_year` is the year of the registered letters.
    """

    kind: ReportKind
    report_id: UUID
    fund: str
    letter_year: int
    made_on: date


class ReportLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    One member. `years` are the years that were open with their cents, oldest first; the sum is `amount_cents`.
    """

    national_number: str
    letter_id: UUID
    posted_on: date
    barcode: str
    years: tuple[tuple[int, Cents], ...]

    @property
    def amount_cents(self) -> Cents:
        return Cents(sum(cents for _, cents in self.years))


class ReportTotals(msgspec.Struct, frozen=True, kw_only=True):
    """
    What stands in the last record: the count, the total in cents, and the SHA-256 of all before it.
    """

    count: int
    amount_cents: int
    sha256: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """
    A whole file, read back.
    """

    head: ReportHead
    lines: tuple[ReportLine, ...]
    totals: ReportTotals


def write_report(head: ReportHead, lines: Iterable[ReportLine]) -> Iterator[bytes]:
    """
    Yield the file record by record, in constant memory. Raises LineRefused with the number of the line, never its data.
    """
    if not _TEXT.fullmatch(head.fund):
        raise LineRefused("The name of the fund is empty, too long, or holds a semicolon.")
    count = total_cents = 0
    running = hashlib.sha256()
    record = ";".join(
        ("H", LAYOUT, head.kind, str(head.report_id), head.fund, str(head.letter_year), head.made_on.isoformat())
    )
    yield _hashed(running, record)
    for count, line in enumerate(lines, start=1):
        total_cents += line.amount_cents
        yield _hashed(running, _detail(count, line, head))
    yield f"T;{count};{total_cents};{running.hexdigest()}{_END}".encode()


def read_report(content: bytes) -> Report:
    """
    Read a file back and check it whole: order, numbers, count, total and hash. Raises ReportUnreadable with the line.
    """
    try:
        records = content.decode("utf-8").split(_END)
    except UnicodeDecodeError:
        raise ReportUnreadable("The report is not UTF-8.") from None
    if len(records) < 3 or records[-1]:
        raise ReportUnreadable("The report does not end with its totals; it was cut.")
    head = _read_head(records[0])
    lines = tuple(_read_detail(number, record) for number, record in enumerate(records[1:-2], start=1))
    totals = _read_totals(records[-2])
    before = content[: len(content) - len(records[-2].encode()) - len(_END)]
    found = (len(lines), sum(line.amount_cents for line in lines), hashlib.sha256(before).hexdigest())
    if found != (totals.count, totals.amount_cents, totals.sha256):
        raise ReportUnreadable("The totals of the report are not those of its lines; it was changed.")
    return Report(head=head, lines=lines, totals=totals)


def _hashed(running: hashlib._Hash, record: str) -> bytes:
    encoded = (record + _END).encode()
    running.update(encoded)
    return encoded


def _detail(number: int, line: ReportLine, head: ReportHead) -> str:
    years = [year for year, _ in line.years]
    if not _NATIONAL_NUMBER.fullmatch(line.national_number):
        raise LineRefused("The national number is missing or erased.", line=number, letter=line.letter_id)
    if not _BARCODE.fullmatch(line.barcode) or line.posted_on > head.made_on:
        raise LineRefused("There is no proof of posting before the report.", line=number, letter=line.letter_id)
    positive = all(cents > 0 for _, cents in line.years)
    if head.kind == "report" and (not years or not positive or years != sorted(set(years))):
        raise LineRefused("A report names open years, the oldest first.", line=number, letter=line.letter_id)
    shares = ",".join(f"{year}={cents}" for year, cents in line.years)
    return ";".join(
        ("D", str(number), line.national_number, str(line.letter_id), line.posted_on.isoformat(), line.barcode,
         shares, str(line.amount_cents))
    )  # fmt: skip


def _read_head(record: str) -> ReportHead:
    match record.split(";"):
        case ["H", layout, ("report" | "correction") as kind, report_id, fund, year, made_on] if layout == LAYOUT:
            return ReportHead(
                kind="report" if kind == "report" else "correction",
                report_id=_uuid(report_id, 1),
                fund=fund,
                letter_year=_number(year, 1),
                made_on=_date(made_on, 1),
            )
    raise ReportUnreadable(f"The first record is not that of a {LAYOUT}.", line=1)


def _read_detail(number: int, record: str) -> ReportLine:
    at = number + 1
    match record.split(";"):
        case ["D", ordinal, national_number, letter, posted_on, barcode, shares, amount] if ordinal == str(number):
            years = tuple(_share(share, at) for share in shares.split(",")) if shares else ()
            line = ReportLine(
                national_number=national_number,
                letter_id=_uuid(letter, at),
                posted_on=_date(posted_on, at),
                barcode=barcode,
                years=years,
            )
            if line.amount_cents == _number(amount, at):
                return line
    raise ReportUnreadable("A record has other fields than the layout says, or does not add up.", line=at)


def _read_totals(record: str) -> ReportTotals:
    match record.split(";"):
        case ["T", count, amount, sha256]:
            return ReportTotals(count=_number(count, -1), amount_cents=_number(amount, -1), sha256=sha256)
    raise ReportUnreadable("The report does not end with its totals; it was cut.")


def _share(text: str, line: int) -> tuple[int, Cents]:
    year, _, cents = text.partition("=")
    return _number(year, line), Cents(_number(cents, line))


def _number(text: str, line: int) -> int:
    if not _DIGITS.fullmatch(text):
        raise ReportUnreadable("A field that is a number holds something else.", line=line)
    return int(text)


def _date(text: str, line: int) -> date:
    try:
        return date_from_text(text)
    except NotADate:
        raise ReportUnreadable("A field that is a date holds something else.", line=line) from None


def _uuid(text: str, line: int) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ReportUnreadable("A field that is an id holds something else.", line=line) from None
