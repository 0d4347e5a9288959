"""
Letters about the zorgpremie: facts in, PDF/A-2b out (and PDF/UA-1 when read on a screen), the same bytes every time.

The words stand in `letters/*.typ`; facts reach them as JSON and are never built into a template. Letters are typeset
many at a time: faster, and one file with its letter type once (docs/decisions/0011).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

import msgspec
import typst

from formats import epc_qr, wording
from formats.fonts import FONTS
from formats.letter_facts import Channel, LetterFacts, LetterRefused, YearDue, checked
from formats.printer_manifest import ManifestRow

_TEMPLATES: Final = Path(__file__).parent / "letters"
#: Bounds memory: typst holds about 1.4 MB a letter while a file is being made.
LETTERS_PER_FILE: Final = 250
#: typst throws away what it remembers of a file only after it has made this many others (`_forget`).
_FILES_REMEMBERED: Final = 11
_TITLES: Final = {
    "invitation": "Betalingsuitnodiging zorgpremie",
    "reminder": "Herinnering zorgpremie",
    "registered_letter": "Aangetekende brief zorgpremie",
}


class NotTypeset(Exception):
    """
    The templates do not fit the facts: an error of ours, never of a member.
    """


class House(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who writes, and where a member can ask.
    """

    name: str = "CM-Zorgkas"
    tagline: str = "Vlaamse sociale bescherming"
    phone: str = "078 15 40 40"
    hours: str = "maandag tot donderdag 8.30-12 en 13-17 uur, vrijdag 8.30-12 en 13-16 uur"


CM_ZORGKAS: Final = House()


class LettersFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    One file of a run: a merged PDF for the printer, or a single letter for e-mail, and its rows of the manifest.
    """

    name: str
    channel: Channel
    pdf: bytes
    rows: tuple[ManifestRow, ...]


class RefusedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """
    A letter that cannot be printed and the reason; the others of its run go on.
    """

    facts: LetterFacts
    reason: str


def render_letter(facts: LetterFacts, *, house: House = CM_ZORGKAS) -> bytes:
    """
    Return one letter as PDF/A-2b. Raises LetterRefused when the facts cannot be printed as they stand.
    """
    pdf, _ = _typeset([checked(facts)], house=house, tagged=True)
    return pdf


def pictures(facts: LetterFacts, *, ppi: int = 144, house: House = CM_ZORGKAS) -> list[bytes]:
    """
    Return the pages of one letter as PNG, to look at on a screen. Raises LetterRefused.
    """
    pages = _compiler(_inputs([checked(facts)], house=house)).compile(format="png", ppi=ppi)
    return pages if isinstance(pages, list) else [pages or b""]


def render_run(
    letters: Iterable[LetterFacts],
    *,
    name: str,
    house: House = CM_ZORGKAS,
    letters_per_file: int = LETTERS_PER_FILE,
) -> Iterator[LettersFile | RefusedLetter]:
    """
    Yield the files of a run as they are ready: merged ones per postal channel, one per letter for e-mail.

    Every letter is in exactly one file or is yielded as refused. Holds at most `letters_per_file` letters per channel
    and one file in memory. `sequence` counts from 1 through the files, in the order in which they are yielded.
    """
    waiting: dict[Channel, list[LetterFacts]] = {"post": [], "registered": [], "email": []}
    files = 0
    sequence = 1
    for facts in letters:
        try:
            good = checked(facts)
        except LetterRefused as refusal:
            yield RefusedLetter(facts=facts, reason=refusal.message)
            continue
        batch = waiting[good.channel]
        batch.append(good)
        if len(batch) >= (1 if good.channel == "email" else letters_per_file):
            files += 1
            yield _file(batch, name=name, number=files, sequence=sequence, house=house)
            sequence += len(batch)
            batch.clear()
    for batch in waiting.values():
        if batch:
            files += 1
            yield _file(batch, name=name, number=files, sequence=sequence, house=house)
            sequence += len(batch)


def _file(batch: list[LetterFacts], *, name: str, number: int, sequence: int, house: House) -> LettersFile:
    channel = batch[0].channel
    pdf, starts = _typeset(batch, house=house, tagged=channel == "email")
    if len(batch) > 1:
        _forget()
    file_name = f"{name}-{number:04d}-{channel}.pdf"
    rows = tuple(
        ManifestRow.of(facts, file=file_name, sequence=sequence + index, first_page=first, pages=following - first)
        for index, (facts, first, following) in enumerate(zip(batch, starts, starts[1:], strict=False))
    )
    return LettersFile(name=file_name, channel=channel, pdf=pdf, rows=rows)


def _typeset(letters: list[LetterFacts], *, house: House, tagged: bool) -> tuple[bytes, list[int]]:
    """
    Return the PDF, and the first page of each letter followed by the number of pages plus one.

    Tags let a screen reader read a letter aloud; paper has no use for them, and they triple the size of a file.
    """
    moment = datetime.combine(max(facts.written_on for facts in letters), time(12), tzinfo=UTC)
    compiler = _compiler(_inputs(letters, house=house))
    standards: list[Any] = ["a-2b", "ua-1"] if tagged else ["a-2b"]
    try:
        pdf, warnings = compiler.compile_with_warnings(
            format="pdf", pdf_standards=standards, timestamp=moment, pdf_tags=tagged
        )
    except typst.TypstError:
        raise NotTypeset("the templates do not compile") from None  # its message may repeat what a member is called
    if warnings or not isinstance(pdf, bytes):
        # Such as an unknown letter type, for which typst would silently take another one.
        raise NotTypeset("the templates compile with warnings")
    return pdf, json.loads(compiler.query("<page>", field="value"))


def _inputs(letters: list[LetterFacts], *, house: House) -> dict[str, str]:
    run = {
        "title": _TITLES[letters[0].kind] if len(letters) == 1 else "Brieven zorgpremie",
        "house": msgspec.to_builtins(house),
        "letters": [_as_printed(facts) for facts in letters],
    }
    return {"run": json.dumps(run, ensure_ascii=False)}


def _forget() -> None:
    """
    Let typst throw away what it remembers of the file just made, by making empty ones: without this, memory grows with
    each of the next ten files.
    """
    compiler = _compiler({})
    for _ in range(_FILES_REMEMBERED):
        compiler.compile(input=b" ", format="pdf")


def _compiler(inputs: dict[str, str]) -> typst.Compiler:
    return typst.Compiler(
        _TEMPLATES / "run.typ", root=_TEMPLATES, font_paths=[FONTS], ignore_system_fonts=True, sys_inputs=inputs
    )


def _as_printed(facts: LetterFacts) -> dict[str, Any]:
    """
    Return the facts as the templates print them: every amount, date and account already in words.
    """
    code = epc_qr.payload(
        creditor_name=facts.creditor_name, account=facts.account, amount_cents=facts.total_cents, ogm=facts.ogm
    )
    return {
        "kind": facts.kind,
        "registered": facts.channel == "registered",
        "barcode": " ".join(facts.barcode[index : index + 5] for index in range(0, len(facts.barcode), 5)),
        "mandatory": facts.mandatory,
        "name": facts.addressee.name,
        "lines": facts.addressee.lines,
        "longest_word": max(re.split("[ -]", " ".join((facts.addressee.name, *facts.addressee.lines))), key=len),
        "reference": facts.reference,
        "written_on": wording.day(facts.written_on),
        "years": [_year_as_printed(year) for year in facts.years],
        "years_text": wording.enumeration([str(year.year) for year in facts.years]),
        "newest_year": str(facts.years[-1].year),
        "total": wording.amount(facts.total_cents),
        "pay_by": wording.day(facts.pay_by),
        "creditor": facts.creditor_name,
        "account": wording.iban(facts.account),
        "ogm": wording.ogm(facts.ogm),
        "qr": epc_qr.svg(code),
        "consequence": _consequence_as_printed(facts),
        "basis": "; ".join(facts.basis),
    }


def _year_as_printed(year: YearDue) -> dict[str, Any]:
    return {
        "year": str(year.year),
        "due": wording.amount(year.due_cents),
        "paid": wording.amount(year.paid_cents),
        "open": wording.amount(year.open_cents),
        "reduced": year.reduced,
        "allowance_on": wording.day(year.allowance_on) if year.allowance_on else "",
    }


def _consequence_as_printed(facts: LetterFacts) -> dict[str, Any] | None:
    if facts.consequence is None:
        return None
    return {
        "amount": wording.amount(facts.consequence.fine_cents),
        "reduced": facts.consequence.fine_reduced,
        "agency": facts.consequence.agency,
        "last_day": wording.day(facts.consequence.last_day),
    }
