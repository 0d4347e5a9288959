"""
Letters to synthetic people, for the tests.
"""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import msgspec

from domain.money import Cents
from domain.payments import Iban, Ogm
from formats.letter_facts import Addressee, Consequence, LetterFacts, YearDue

DECREE = "decreet van 18 mei 2018 houdende de Vlaamse sociale bescherming"
ORDER = "besluit van de Vlaamse Regering van 30 november 2018"


def year(number: int, due: int, paid: int = 0, *, reduced: bool = False) -> YearDue:
    return YearDue(
        year=number,
        due_cents=Cents(due),
        paid_cents=Cents(paid),
        open_cents=Cents(due - paid),
        reduced=reduced,
        allowance_on=date(number - 1, 1, 1) if reduced else None,
    )


def with_years(facts: LetterFacts, *years: YearDue) -> LetterFacts:
    return msgspec.structs.replace(facts, years=years, total_cents=Cents(sum(each.open_cents for each in years)))


INVITATION = LetterFacts(
    kind="invitation",
    letter_id=UUID("018f0000-0000-8000-8000-000000000001"),
    written_on=date(2026, 1, 20),
    addressee=Addressee(
        name="Marie-Thérèse Vandenbroucke-Peeters", lines=("Lange Leemstraat 212 bus 4", "2018 Antwerpen")
    ),
    reference="ZP-2026-0004711",
    years=(year(2026, 10000),),
    total_cents=Cents(10000),
    pay_by=date(2026, 4, 30),
    ogm=Ogm.from_text("+++090/9337/55493+++"),
    account=Iban.from_text("BE72 7775 9420 6316"),
    creditor_name="CM-Zorgkas",
    basis=(f"{DECREE}, art. 45", f"{ORDER}, art. 68 en 69"),
)
INVITATION_REDUCED = with_years(INVITATION, year(2025, 6400, 3000), year(2026, 3500, reduced=True))
REMINDER = msgspec.structs.replace(
    INVITATION, kind="reminder", written_on=date(2026, 11, 16), pay_by=date(2026, 12, 15), basis=(f"{ORDER}, art. 73",)
)
REMINDER_VOLUNTARY = msgspec.structs.replace(REMINDER, mandatory=False)
REGISTERED = with_years(
    msgspec.structs.replace(
        INVITATION,
        kind="registered_letter",
        channel="registered",
        barcode="010541288500452621221234567890",
        written_on=date(2026, 6, 1),
        pay_by=date(2026, 10, 5),
        consequence=Consequence(
            fine_cents=Cents(25000),
            agency="Agentschap voor Vlaamse Sociale Bescherming",
            last_day=date(2026, 10, 15),
        ),
        basis=(f"{DECREE}, art. 45 en 47", f"{ORDER}, art. 74 en 81 tot 85"),
    ),
    year(2023, 3000, reduced=True),
    year(2025, 6400, 3000),
    year(2026, 10000),
)
REGISTERED_LONG = with_years(
    msgspec.structs.replace(
        REGISTERED,
        consequence=Consequence(
            fine_cents=Cents(10000),
            fine_reduced=True,
            agency="Agentschap voor Vlaamse Sociale Bescherming",
            last_day=date(2026, 10, 5),
        ),
    ),
    *(year(number, 6400) for number in range(2013, 2027)),
)

SAMPLES = {
    "invitation": INVITATION,
    "invitation_reduced": INVITATION_REDUCED,
    "reminder": REMINDER,
    "reminder_voluntary": REMINDER_VOLUNTARY,
    "registered_letter": REGISTERED,
    "registered_letter_long": REGISTERED_LONG,
}


def changed(facts: LetterFacts, **changes: Any) -> LetterFacts:
    return msgspec.structs.replace(facts, **changes)


def addressed_to(facts: LetterFacts, name: str, *lines: str) -> LetterFacts:
    return changed(facts, addressee=Addressee(name=name, lines=lines or facts.addressee.lines))


def numbered(number: int) -> LetterFacts:
    """
    Return one of many letters, every fact of it recognisable by its number.
    """
    registered = REGISTERED_LONG if number % 20 == 3 else REGISTERED
    facts = (INVITATION, INVITATION_REDUCED, REMINDER, registered)[number % 4]
    return changed(
        facts,
        letter_id=UUID(int=number + 1),
        reference=f"K{number:06d}",
        ogm=Ogm.from_base(7_000_000 + number),
        addressee=Addressee(name=f"Naam N{number:06d}", lines=(f"Straat S{number:06d}", "2000 Antwerpen")),
    )
