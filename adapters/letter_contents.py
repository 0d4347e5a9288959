"""
What one letter says, taken from events alone: the affiliation and the member as they stood when the letter was made.

So a letter that is made again years later has the same words, whatever was paid, moved or renamed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final, Literal, cast
from uuid import UUID

from babel.core import Locale
from msgspec.structs import replace

from domain.envelope import Envelope
from domain.events import Used
from domain.facts import MemberFacts
from domain.member import MEMBER, DomicileRecorded, MemberRegistered, MemberState
from domain.money import Cents
from domain.parameters import NoValue, Parameters
from domain.payments import Iban, Ogm
from domain.personal import ERASED
from domain.rules.arrears import corrections_until, fine_expected
from domain.rules.law import cents
from domain.rules.zorgpremie import reference_day_for_reduction
from domain.zorgkas_affiliation import (
    AFFILIATION,
    AffiliationState,
    InvitationIssued,
    RegisteredLetterIssued,
    ReminderIssued,
    YearOwed,
    ZorgpremieCharged,
)
from formats.letter_facts import Addressee, Consequence, LetterFacts, LetterRefused, YearDue
from formats.wording import enumeration

AGENCY: Final = "Agentschap voor Vlaamse Sociale Bescherming"
CREDITOR: Final = "CM-Zorgkas"

LetterEvent = InvitationIssued | ReminderIssued | RegisteredLetterIssued

_DAY: Final = timedelta(days=1)
_COUNTRIES: Final = Locale("nl", "BE").territories
#: How the sources in parameters/ name a law, and how a Dutch letter does.
_LAWS: Final = {
    "decree of 18 May 2018": "decreet van 18 mei 2018 houdende de Vlaamse sociale bescherming",
    "order of 30 November 2018": "besluit van de Vlaamse Regering van 30 november 2018",
}
_ARTICLES: Final = re.compile(rf"({'|'.join(_LAWS)})(?: \([^)]*\))?, art\. (\d+(?:(?: and |, )\d+\b(?!°))*)")


def contents_of(
    letter_id: UUID, *, affiliation: Sequence[Envelope], member: Sequence[Envelope], law: Parameters
) -> LetterFacts:
    """
    Return the facts of a letter, given all events of its affiliation and of its member, opened and in order.

    Raises LetterRefused when it cannot be addressed, or when its years do not add up to what it asks.
    """
    of, letter = next(
        (each, each.event)
        for each in affiliation
        if isinstance(each.event, LetterEvent) and each.event.letter_id == letter_id
    )
    before = [envelope.event for envelope in affiliation if envelope.version < of.version]
    state = AFFILIATION.fold(cast(Any, before))
    known = [envelope for envelope in member if envelope.position < of.position]
    who = MEMBER.fold(cast(Any, [envelope.event for envelope in known]))
    years = _years(letter, state)
    if sum(year.open_cents for year in years) != letter.amount_cents:
        raise LetterRefused("The years of this letter do not add up to what it asks.", letter=letter_id)
    contents = LetterFacts(
        kind=kind_of_letter(letter),
        letter_id=letter_id,
        written_on=letter.issued_on,
        addressee=_addressee(known, on=letter.issued_on, letter_id=letter_id),
        reference=reference_of(letter),
        years=years,
        total_cents=letter.amount_cents,
        pay_by=_pay_by(letter, law),
        ogm=Ogm.from_text(letter.ogm),
        account=Iban.from_text(letter.account),
        creditor_name=CREDITOR,
        channel=_channel(letter, who),
        mandatory=state.kind == "mandatory",
        basis=tuple(_articles(_values_used(letter, before), law)),
    )
    return (
        _with_consequence(contents, letter, who.facts, law) if isinstance(letter, RegisteredLetterIssued) else contents
    )


def kind_of_letter(letter: LetterEvent) -> Literal["invitation", "reminder", "registered_letter"]:
    match letter:
        case InvitationIssued():
            return "invitation"
        case ReminderIssued():
            return "reminder"
        case RegisteredLetterIssued():
            return "registered_letter"


def reference_of(letter: LetterEvent) -> str:
    """
    Return what a member quotes on the telephone: it says nothing of the person, and finds one letter.
    """
    year = letter.letter_year if isinstance(letter, RegisteredLetterIssued) else letter.year
    code = letter.letter_id.hex[:10].upper()
    return f"ZP-{year}-{code[:5]}-{code[5:]}"


def _years(letter: LetterEvent, state: AffiliationState) -> tuple[YearDue, ...]:
    match letter:
        case InvitationIssued():
            asked = {year.year: year.open_cents for year in state.open_years()}
            return tuple(
                _year_due(owed, asked[owed.year])
                for owed in state.years
                if owed.year in asked and not state.is_claimed_by_agency(owed.year)
            )
        case ReminderIssued():
            return tuple(_year_due(owed, state.open_cents(owed)) for owed in state.years if owed.year == letter.year)
        case RegisteredLetterIssued():
            opens = {share.year: share.amount_cents for share in letter.years}
            return tuple(_year_due(owed, opens[owed.year]) for owed in state.years if owed.year in opens)


def _year_due(owed: YearOwed, open_cents: Cents) -> YearDue:
    return YearDue(
        year=owed.year,
        due_cents=owed.amount_cents,
        paid_cents=Cents(owed.amount_cents - open_cents),
        open_cents=open_cents,
        reduced=owed.reduced,
        allowance_on=reference_day_for_reduction(owed.year) if owed.reduced else None,
    )


def _addressee(known: Sequence[Envelope], *, on: date, letter_id: UUID) -> Addressee:
    """
    Return name and address as we knew them. Raises LetterRefused when they were erased or never known.
    """
    person = next((each.event for each in known if isinstance(each.event, MemberRegistered)), None)
    homes = [each.event for each in known if isinstance(each.event, DomicileRecorded)]
    home = max((each for each in homes if each.starts_on <= on), key=lambda each: each.starts_on, default=None)
    if home is None and homes:
        home = homes[0]
    if person is None or home is None:
        raise LetterRefused("No name or no address of this member is known.", letter=letter_id)
    latest = next(each for each in reversed(homes) if each.starts_on == home.starts_on)
    lines = tuple(_lines(latest))
    if ERASED in (person.first_name, person.last_name, latest.street, latest.town):
        raise LetterRefused("The personal data of this member were erased; nobody can be written to.", letter=letter_id)
    return Addressee(name=f"{person.first_name} {person.last_name}".strip(), lines=lines)


def _lines(home: DomicileRecorded) -> Iterator[str]:
    box = f" bus {home.box}" if home.box else ""
    if street := f"{home.street} {home.house_number}".strip():
        yield f"{street}{box}"
    yield f"{home.postcode} {home.town}".strip()
    if home.country not in ("BE", ""):
        yield str(_COUNTRIES.get(home.country, home.country)).upper()


def reminder_asks_by(issued_on: date, law: Parameters) -> date:
    """
    Rule: ZB-12 names no day to pay by after the reminder; the fund gives some days from the day of the letter.
    """
    return issued_on + int(law["arrears/reminder_pay_days"].on(issued_on).value) * _DAY


def _pay_by(letter: LetterEvent, law: Parameters) -> date:
    match letter:
        case InvitationIssued():
            return letter.due_on
        case ReminderIssued():
            return reminder_asks_by(letter.issued_on, law)
        case RegisteredLetterIssued():
            return letter.pay_by


def _channel(letter: LetterEvent, who: MemberState) -> Literal["post", "registered", "email"]:
    """
    Rule: ZP-15: by e-mail only to an address that was confirmed before the letter was made.
    """
    if isinstance(letter, RegisteredLetterIssued):
        return "registered"
    return "email" if who.email == "confirmed" else "post"


def _with_consequence(
    contents: LetterFacts, letter: RegisteredLetterIssued, member: MemberFacts, law: Parameters
) -> LetterFacts:
    """
    Say which fine the Agency can impose as soon as corrections of the report are over (Rules: ZB-4, ZB-5).
    """
    try:
        last_day, until = corrections_until(letter_year=letter.letter_year, law=law)
        fine = fine_expected(member=member, imposed_on=last_day + _DAY, law=law)
    except NoValue as missing:
        raise LetterRefused(
            "The law of that year, as we have it, does not say what follows when this letter is not paid.",
            parameter=missing.facts.get("parameter"),
        ) from None
    consequence = Consequence(
        fine_cents=cents(fine), fine_reduced=fine.parameter.endswith("verlaagd"), agency=AGENCY, last_day=last_day
    )
    basis = tuple(_articles((*letter.basis.values, fine, until), law))
    return replace(contents, consequence=consequence, basis=basis)


def _values_used(letter: LetterEvent, before: Sequence[object]) -> Iterator[Used]:
    """
    Yield the values of the law that the letter rests on, those of the premium that an invitation asks included.
    """
    if isinstance(letter, InvitationIssued):
        for event in before:
            if isinstance(event, ZorgpremieCharged) and event.year == letter.year:
                yield from event.basis.values
    yield from letter.basis.values


def _articles(values: Iterable[Used], law: Parameters) -> Iterator[str]:
    """
    Yield one line per law with the articles that these values come from; sources that are no law are not printed.
    """
    found: dict[str, set[int]] = {name: set() for name in _LAWS}
    for used in values:
        dated = law[used.parameter].dated_on(used.since)
        for name, numbers in _ARTICLES.findall(dated.source if dated else ""):
            found[name] |= {int(number) for number in re.findall(r"\d+", numbers)}
    for name, articles in found.items():
        if articles:
            yield f"{_LAWS[name]}, art. {enumeration([str(number) for number in sorted(articles)])}"
