"""
What we decide about years that are not paid: the miss of 30 April, the reminder, the registered letter and its posting.
"""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from domain.decisions import PassedOver, Selected
from domain.errors import NotFound, Refused
from domain.events import Basis, Used
from domain.facts import MemberFacts
from domain.money import Cents
from domain.parameters import Parameters
from domain.payments import Ogm
from domain.rules import arrears as rules
from domain.rules.law import text
from domain.zorgkas_affiliation.consequences import contradict_if_groundless
from domain.zorgkas_affiliation.happened import (
    Allocation,
    HappenedToAffiliation,
    PostedLetterContradicted,
    RegisteredLetterIssued,
    RegisteredLetterPosted,
    ReminderIssued,
    YearMissed,
)
from domain.zorgkas_affiliation.remembered import AffiliationState, Letter, YearOwed
from domain.zorgkas_affiliation.story import Story

# --- What we decide --------------------------------------------------------------------------------------------------

#: Every last day that is not the year's own due day is a 31 December.
_DECEMBER: Final = 12


class ReminderTooLate(Refused):
    """
    The last day for reminders of that year has passed; nothing is back-dated, a person decides.
    """

    rule = "ZB-12"


class LetterTooLate(Refused):
    """
    The last day for registered letters of that year has passed; nothing is back-dated, the letter goes out next year.
    """

    rule = "ZB-2"


class NoLetterOfThisMember(NotFound):
    """
    No registered letter with that id was made for this member; check the manifest that the barcodes were taken from.
    """

    rule = "ZB-9"


class PostedOnImpossibleDay(Refused):
    """
    A letter is posted on the day it was made or later, and not after the day the proof came.
    """

    rule = "ZB-9"


class PostedOtherwise(Refused):
    """
    Another proof of posting was recorded for this letter before; compare the two proofs.
    """

    rule = "ZB-9"


def close_year(
    state: AffiliationState, *, member: MemberFacts, year: int, as_of: date, law: Parameters
) -> Selected[HappenedToAffiliation] | PassedOver:
    """
    Say that the year was missed when its money was not on the account, in full, on its last day.

    `as_of` is any later day: what came in between does not help the year, its value date decides. Earlier years with a
    later last day of their own are judged along once it has passed: the first premiums of who turned 26, and the first
    year of who joined after 30 April (open questions 9 and 18).

    Rules: ZB-1, ZP-5, ZK-11, ZP-17. Law: order of 30 November 2018, art. 69 and 56.
    """
    # `law` stands in the signature of every job; the last day was fixed when the year was charged.
    del law
    if member.has_died_by(as_of):
        return PassedOver(reason="died", basis=Basis(rules=("ZP-17", "ZB-11")))
    until_december = (owed for owed in state.years if owed.year < year and owed.last_day.month == _DECEMBER)
    this = state.owed(year)
    to_judge = [*until_december, *([this] if this else [])]
    events = tuple(_missed(state, owed) for owed in to_judge if _is_missed(state, owed, as_of=as_of))
    if events:
        return Selected(events=events, amount_cents=Cents(sum(event.open_cents for event in events)))
    if this is None:
        return PassedOver(reason="not_charged", basis=Basis(rules=("ZP-1",)))
    if this.missed:
        return PassedOver(reason="already_missed", basis=Basis(rules=("ZB-1",)))
    if as_of <= this.last_day:
        reason = "not_due_yet" if this.last_day == this.due_on else "first_premiums"
        return PassedOver(reason=reason, basis=Basis(rules=("ZP-3", "ZK-11")))
    return PassedOver(reason="paid", basis=Basis(rules=("ZB-1",)))


def remind(
    state: AffiliationState,
    *,
    member: MemberFacts,
    year: int,
    as_of: date,
    law: Parameters,
    ogm: Ogm,
    letter_id: UUID,
) -> Selected[HappenedToAffiliation] | PassedOver:
    """
    Remind of a year that is not paid after its invitation, unless a posted registered letter asked for it already.

    Raises ReminderTooLate after 30 November.

    Rules: ZB-12, ZB-9. Law: order of 30 November 2018, art. 73.
    """
    last_day, by = rules.reminder_by(year=year, law=law)
    if as_of > last_day:
        raise ReminderTooLate(year=year, reminder_by=last_day)
    owed = state.owed(year)
    why_not = _why_not_reminded(state, owed, member=member, as_of=as_of)
    if owed is None or why_not:
        return _passed(why_not, by)
    account = law["zorgpremie/account"].on(as_of)
    open_cents = state.open_cents(owed)
    reminder = ReminderIssued(
        year=year,
        letter_id=letter_id,
        amount_cents=open_cents,
        ogm=ogm,
        account=text(account),
        issued_on=as_of,
        basis=Basis(rules=("ZB-12",), values=(by, account)),
    )
    return Selected(events=(reminder,), amount_cents=open_cents)


def write_registered_letter(
    state: AffiliationState, *, member: MemberFacts, as_of: date, law: Parameters, ogm: Ogm, letter_id: UUID
) -> Selected[HappenedToAffiliation] | PassedOver:
    """
    Make the registered letter for who has as many missed years as the law of that day asks, with all premiums due.

    Once a year, mandatory members only. Missed years that were paid in full since, that led to a fine, or that stand in
    a report to the Agency do not count (open questions 2 to 4). Raises LetterTooLate after the last day of the year.

    Rules: ZB-2, ZB-13, ZB-8. Law: order of 30 November 2018, art. 74.
    """
    last_day, by = rules.letter_by(letter_year=as_of.year, law=law)
    if as_of > last_day:
        raise LetterTooLate(as_of=as_of, letter_by=last_day)
    if member.has_died_by(as_of):
        return PassedOver(reason="died", basis=Basis(rules=("ZP-17", "ZB-11")))
    if state.kind != "mandatory":
        reason = "voluntary" if state.kind == "voluntary" else "not_affiliated"
        return PassedOver(reason=reason, basis=Basis(rules=("ZB-2", "ZB-8")))
    minimum, used = rules.missed_years_min(as_of=as_of, law=law)
    if any(letter.letter_year == as_of.year and not letter.withdrawn for letter in state.letters):
        return _passed("already_written", by, rule="ZB-2")
    if sum(_counts_for_letter(state, owed) for owed in state.years) < minimum:
        return _passed("too_few_missed_years", used, rule="ZB-2")
    letter = _letter(state, as_of=as_of, law=law, ogm=ogm, letter_id=letter_id, procedure=(used, by))
    return Selected(events=(letter,), amount_cents=letter.amount_cents)


def post_letter(
    state: AffiliationState, *, letter_id: UUID, posted_on: date, barcode: str, as_of: date, law: Parameters
) -> list[HappenedToAffiliation]:
    """
    Record the post's proof: from now on the letter counts as sent on that day. The same proof twice is nothing.

    A posting after the last day is recorded, and cannot lead to a report. A letter that was withdrawn before, or that
    money on the account had made groundless, is named for a person. Raises NotABarcode, NoLetterOfThisMember,
    PostedOnImpossibleDay or PostedOtherwise.

    Rules: ZB-2, ZB-9.
    """
    barcode = rules.checked_barcode(barcode)
    letter = state.letter(letter_id)
    if letter is None:
        raise NoLetterOfThisMember(letter=letter_id)
    if letter.posted_on is not None:
        if (letter.posted_on, letter.barcode) == (posted_on, barcode):
            return []
        raise PostedOtherwise(letter=letter_id)
    if not letter.issued_on <= posted_on <= as_of:
        raise PostedOnImpossibleDay(letter=letter_id, issued_on=letter.issued_on, as_of=as_of)
    _, by = rules.letter_by(letter_year=letter.letter_year, law=law)
    story = Story(state)
    story.happens(
        RegisteredLetterPosted(
            letter_id=letter_id, posted_on=posted_on, barcode=barcode, basis=Basis(rules=("ZB-9",), values=(by,))
        )
    )
    _doubt_posting(story, letter_id, withdrawn=letter.withdrawn, as_of=as_of, law=law)
    return story.events


def _why_not_reminded(state: AffiliationState, owed: YearOwed | None, *, member: MemberFacts, as_of: date) -> str:
    if member.has_died_by(as_of):
        return "died"
    if owed is None:
        return "not_charged"
    if state.open_cents(owed) <= 0:
        return "paid"
    if as_of <= owed.due_on:
        return "not_due_yet"
    if owed.reminded:
        return "already_reminded"
    if any(letter.posted_on and owed.year in letter.years for letter in state.letters):
        return "asked_by_registered_letter"
    return "claimed_by_agency" if state.is_claimed_by_agency(owed.year) else ""


def _doubt_posting(story: Story, letter_id: UUID, *, withdrawn: bool, as_of: date, law: Parameters) -> None:
    if withdrawn:
        story.happens(
            PostedLetterContradicted(
                letter_id=letter_id, known_on=as_of, because="posted_after_withdrawal", basis=Basis(rules=("ZB-9",))
            )
        )
        return
    for letter in story.state.letters:
        if letter.letter_id == letter_id:
            contradict_if_groundless(story, letter, cause="paid_in_time", as_of=as_of, law=law)


def _is_missed(state: AffiliationState, owed: YearOwed, *, as_of: date) -> bool:
    return not owed.missed and owed.last_day < as_of and not state.is_paid_in_time(owed)


def _missed(state: AffiliationState, owed: YearOwed) -> YearMissed:
    paid_cents = state.paid_cents(owed.year, until=owed.last_day)
    rule = ("ZB-1", "ZP-3", "ZP-5") if owed.last_day == owed.due_on else ("ZB-1", "ZK-11")
    return YearMissed(
        year=owed.year,
        missed_on=owed.last_day,
        open_cents=Cents(owed.amount_cents - paid_cents),
        basis=Basis(rules=rule),
    )


def _counts_for_letter(state: AffiliationState, owed: YearOwed) -> bool:
    return (
        owed.missed
        and state.fine_possible(owed)
        and not state.is_paid_as_asked(owed)
        and not any(_is_with_agency(letter) and owed.year in letter.reported_years for letter in state.letters)
    )


def _is_with_agency(letter: Letter) -> bool:
    return letter.report_id is not None and not letter.corrected


def _letter(
    state: AffiliationState,
    *,
    as_of: date,
    law: Parameters,
    ogm: Ogm,
    letter_id: UUID,
    procedure: tuple[Used, ...],
) -> RegisteredLetterIssued:
    due = tuple(
        Allocation(owed.year, state.open_cents(owed))
        for owed in state.years
        if owed.last_day < as_of and state.open_cents(owed) > 0 and not state.is_claimed_by_agency(owed.year)
    )
    pay_by, pay = rules.pay_by(letter_year=as_of.year, law=law)
    account = law["zorgpremie/account"].on(as_of)
    return RegisteredLetterIssued(
        letter_id=letter_id,
        letter_year=as_of.year,
        years=due,
        amount_cents=Cents(sum(share.amount_cents for share in due)),
        ogm=str(ogm),
        account=text(account),
        pay_by=pay_by,
        issued_on=as_of,
        basis=Basis(rules=("ZB-2", "ZB-13"), values=(*procedure, pay, account)),
    )


def _passed(reason: str, used: Used, *, rule: str = "ZB-12") -> PassedOver:
    return PassedOver(reason=reason, basis=Basis(rules=(rule,), values=(used,)))
