"""
What a letter about the zorgpremie says: plain facts, and the checks that every letter passes before it is printed.

Nothing of the law stands here or in the templates: amounts, dates, the fine and who imposes it come in as facts.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import Final, Literal
from uuid import UUID

import msgspec

from domain.errors import Refused
from domain.money import Cents
from domain.payments import Iban, Ogm
from formats.fonts import printable_characters

Kind = Literal["invitation", "reminder", "registered_letter"]
Channel = Literal["post", "registered", "email"]

_YEARS_MAX: Final = 40
_ADDRESS_LINES_MAX: Final = 5
#: bpost refuses the announcement of a registered letter with a longer field; in the window a line may also wrap.
_ADDRESS_FIELD_MAX: Final[dict[Channel, int]] = {"registered": 50, "post": 70, "email": 70}
_BARCODE = re.compile(r"010[0-9]{27}", re.ASCII)
#: The longest word that the window still holds in the smallest type.
_ADDRESS_WORD_MAX: Final = 40
#: A spreadsheet would take a field that starts so for a formula; the printer may open the manifest in one.
_FORMULA_STARTS: Final = "=+-@"


class LetterRefused(Refused):
    """
    A letter cannot be printed as it stands.
    """


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who is written to, as it stands in the window: a name, then street, postcode and town, and a country when abroad.
    """

    name: str
    lines: tuple[str, ...]


class YearDue(msgspec.Struct, frozen=True, kw_only=True):
    """
    One year of the zorgpremie. `allowance_on` is the day on which the increased allowance made it the reduced one.
    """

    year: int
    due_cents: Cents
    paid_cents: Cents
    open_cents: Cents
    reduced: bool = False
    allowance_on: date | None = None


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """
    What follows when a registered letter is not paid: which fine, by whom, and the last day on which money on the
    account still prevents it.
    """

    fine_cents: Cents
    fine_reduced: bool = False
    agency: str
    last_day: date


class LetterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything that one letter says. `reference` is the one a member may quote, never the national number; `basis` are
    the articles of law at the foot of the letter; `barcode` is the national one of bpost (30 digits, from 010).
    """

    kind: Kind
    letter_id: UUID
    written_on: date
    addressee: Addressee
    reference: str
    years: tuple[YearDue, ...]
    total_cents: Cents
    pay_by: date
    ogm: Ogm
    account: Iban
    creditor_name: str
    channel: Channel = "post"
    barcode: str = ""
    mandatory: bool = True
    consequence: Consequence | None = None
    basis: tuple[str, ...] = ()


def facts_sha256(facts: LetterFacts) -> str:
    """
    Return the SHA-256 of the facts: the proof of what was sent, also when a template changes later.
    """
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic", enc_hook=str)).hexdigest()


def checked(facts: LetterFacts) -> LetterFacts:
    """
    Return the facts with every text in Unicode form NFC, or raise LetterRefused.

    The reason names the field, never what stands in it.
    """
    problem = next(_problems(facts), None)
    if problem is not None:
        raise LetterRefused(problem, letter=facts.letter_id)
    return msgspec.structs.replace(
        facts,
        addressee=Addressee(name=_nfc(facts.addressee.name), lines=tuple(_nfc(line) for line in facts.addressee.lines)),
        reference=_nfc(facts.reference),
        creditor_name=_nfc(facts.creditor_name),
        basis=tuple(_nfc(line) for line in facts.basis),
    )


def _problems(facts: LetterFacts) -> Iterator[str]:
    yield from _problems_of_text(facts)
    yield from _problems_of_address(facts)
    yield from _problems_of_money(facts)
    yield from _problems_of_kind(facts)


def _problems_of_text(facts: LetterFacts) -> Iterator[str]:
    agency = facts.consequence.agency if facts.consequence else "agency"
    fields = {
        "The name of the addressee": facts.addressee.name,
        **{f"Address line {number}": line for number, line in enumerate(facts.addressee.lines, start=1)},
        "The reference": facts.reference,
        "The name of the creditor": facts.creditor_name,
        "The name of the agency": agency,
        **{f"Legal source {number}": line for number, line in enumerate(facts.basis, start=1)},
    }
    printable = printable_characters()
    for field, text in fields.items():
        if not text.strip():
            yield f"{field} is empty; fill it in."
        elif not printable.issuperset(_nfc(text)):
            yield f"{field} holds a control character or one that our letter type does not have; correct it."


def _problems_of_address(facts: LetterFacts) -> Iterator[str]:
    lines = facts.addressee.lines
    if not 1 <= len(lines) <= _ADDRESS_LINES_MAX:
        yield f"The address has {len(lines)} lines; the window has room for 1 to {_ADDRESS_LINES_MAX}."
    longest = _ADDRESS_FIELD_MAX[facts.channel]
    for field in (facts.addressee.name, *lines):
        if len(_nfc(field)) > longest:
            yield f"A line of the address is longer than {longest} characters; abbreviate it."
        if any(len(word) > _ADDRESS_WORD_MAX for word in re.split("[ -]", _nfc(field))):
            yield f"A word of the address is longer than {_ADDRESS_WORD_MAX} characters; split it."
        if field.startswith(tuple(_FORMULA_STARTS)):
            yield "A line of the address starts with =, +, - or @; correct it."


def _problems_of_money(facts: LetterFacts) -> Iterator[str]:
    years = [year.year for year in facts.years]
    if not 1 <= len(years) <= _YEARS_MAX or years != sorted(set(years)):
        yield f"A letter names 1 to {_YEARS_MAX} years, the oldest first, each once."
    if any(year.due_cents - year.paid_cents != year.open_cents or year.open_cents < 0 for year in facts.years):
        yield "A year does not add up: due minus paid must be what is open, and not below zero."
    if sum(year.open_cents for year in facts.years) != facts.total_cents or facts.total_cents <= 0:
        yield "The total is not the sum of what is open, or nothing is open."
    if facts.pay_by < facts.written_on:
        yield "The day to pay by lies before the day of the letter."


def _problems_of_kind(facts: LetterFacts) -> Iterator[str]:
    if (facts.kind == "registered_letter") != (facts.channel == "registered"):
        yield "A registered letter, and no other, goes by registered post."
    if (facts.kind == "registered_letter") != (facts.consequence is not None):
        yield "A registered letter, and no other, says what follows when it is not paid."
    if facts.kind == "registered_letter" and not facts.mandatory:
        yield "A voluntary member gets no registered letter."
    if facts.consequence and (facts.consequence.fine_cents <= 0 or facts.consequence.last_day < facts.pay_by):
        yield "The fine is not an amount, or its last day lies before the day to pay by."
    if facts.barcode and not (facts.channel == "registered" and _BARCODE.fullmatch(facts.barcode)):
        yield "The barcode is for registered letters and has 30 digits, the first three 010."


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
