"""
What we decide towards the Agency: the report, its correction, and what the Agency answers.
"""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from domain.decisions import PassedOver, Selected
from domain.errors import NotFound, Refused
from domain.events import Basis, Used
from domain.facts import MemberFacts
from domain.money import ZERO, Cents
from domain.parameters import Parameters
from domain.rules import arrears as rules
from domain.zorgkas_affiliation.consequences import missed_years_of, unpaid_years_of
from domain.zorgkas_affiliation.happened import (
    Allocation,
    FineFollowedUp,
    FineImposed,
    FineOutcome,
    HappenedToAffiliation,
    ReportCorrected,
    ReportedToAgency,
)
from domain.zorgkas_affiliation.remembered import AffiliationState, Letter

# --- What we decide --------------------------------------------------------------------------------------------------


class ReportTooEarly(Refused):
    """
    The last day to pay after the registered letter has not passed; report on a later day.
    """

    rule = "ZB-4"


class ReportTooLate(Refused):
    """
    The last day to report to the Agency has passed; nothing is back-dated, a person decides with the Agency.
    """

    rule = "ZB-10"


class FineWithoutReport(Refused):
    """
    The fine names a letter or years that were not reported to the Agency; ask the Agency.
    """

    rule = "ZB-10"


class FineOnImpossibleDay(Refused):
    """
    A fine is imposed after the report that it rests on, and not after today; correct the day.
    """

    rule = "ZB-10"


class NoSuchFine(NotFound):
    """
    No fine with that reference is recorded for this member; record that it was imposed first.
    """

    rule = "ZB-10"


def report(
    state: AffiliationState, *, member: MemberFacts, as_of: date, law: Parameters, report_id: UUID
) -> Selected[HappenedToAffiliation] | PassedOver:
    """
    Report who got the registered letter and did not pay: posted in time with proof, too many years still incomplete.

    What counts is the money on the account on the last day to pay; what came later is a correction (`correct_report`).
    Raises ReportTooEarly, ReportTooLate, and NoValue for the procedure until 2018, which knew no report.

    Rules: ZB-3, ZB-4, ZB-9, ZB-10. Law: order of 30 November 2018, art. 74, 81 and 82.
    """
    letter_by, by = rules.letter_by(letter_year=as_of.year, law=law)
    pay_by, pay = rules.pay_by(letter_year=as_of.year, law=law)
    report_by, reported = rules.report_by(letter_year=as_of.year, law=law)
    minimum, used = rules.report_unpaid_years_min(letter_year=as_of.year, law=law)
    if as_of <= pay_by:
        raise ReportTooEarly(as_of=as_of, pay_by=pay_by)
    if as_of > report_by:
        raise ReportTooLate(as_of=as_of, report_by=report_by)
    letter = _letter_of(state, as_of.year)
    unfit = _why_not_reported(letter, member=member, as_of=as_of, letter_by=letter_by)
    if letter is None or unfit:
        return PassedOver(reason=unfit, basis=Basis(rules=("ZB-9", "ZB-10"), values=(by,)))
    unpaid = unpaid_years_of(state, letter, until=pay_by)
    if len(unpaid) < minimum:
        return PassedOver(reason="paid", basis=Basis(rules=("ZB-4", "ZB-10"), values=(pay, used)))
    reported_years = tuple(
        Allocation(owed.year, Cents(owed.amount_cents - state.paid_cents(owed.year, until=pay_by))) for owed in unpaid
    )
    amount_cents = Cents(sum(share.amount_cents for share in reported_years))
    event = ReportedToAgency(
        letter_id=letter.letter_id,
        report_id=report_id,
        years=reported_years,
        amount_cents=amount_cents,
        reported_on=as_of,
        basis=Basis(rules=("ZB-3", "ZB-4", "ZB-9", "ZB-10"), values=(by, pay, reported, used)),
    )
    return Selected(events=(event,), amount_cents=amount_cents)


def correct_report(
    state: AffiliationState, *, member: MemberFacts, as_of: date, law: Parameters
) -> Selected[HappenedToAffiliation] | PassedOver:
    """
    Take the last report back when money on the account by 15 October left too few years incomplete.

    Statements may come later, also in the next year: until 15 October the report of the year before is the last one.

    Rules: ZB-4, ZB-10. Law: order of 30 November 2018, art. 82, 7°.
    """
    letter_year = as_of.year
    until, used = rules.corrections_until(letter_year=letter_year, law=law)
    if as_of <= until:
        letter_year -= 1
        until, used = rules.corrections_until(letter_year=letter_year, law=law)
    minimum, least = rules.report_unpaid_years_min(letter_year=letter_year, law=law)
    values = (used, least)
    letter = _letter_of(state, letter_year)
    if letter is None or letter.report_id is None:
        return _passed("not_reported", values)
    if letter.corrected:
        return _passed("already_corrected", values)
    died = member.has_died_by(as_of)
    if len(unpaid_years_of(state, letter, until=until)) >= minimum:
        # A death is told to the Agency by a person: the report was right on its day (open question 8).
        return _passed("died" if died else "still_unpaid", values)
    because: Literal["paid", "miss_corrected"] = (
        "paid" if len(missed_years_of(state, letter)) >= minimum else "miss_corrected"
    )
    event = ReportCorrected(
        letter_id=letter.letter_id,
        report_id=letter.report_id,
        corrected_on=as_of,
        because=because,
        basis=Basis(rules=("ZB-4", "ZB-10"), values=values),
    )
    return Selected(events=(event,), amount_cents=ZERO)


def record_fine(
    state: AffiliationState,
    *,
    reference: str,
    letter_id: UUID,
    years: tuple[int, ...],
    amount_cents: Cents,
    imposed_on: date,
    member: MemberFacts,
    as_of: date,
    law: Parameters,
) -> list[HappenedToAffiliation]:
    """
    Record a fine as the Agency told it; the premiums stay owed, the Agency claims them. The same reference: nothing.

    The amount is the Agency's; the basis holds what the law names. Raises FineWithoutReport, FineOnImpossibleDay.

    Rules: ZB-5, ZB-6, ZB-10. Law: decree of 18 May 2018, art. 47.
    """
    if any(fine.reference == reference for fine in state.fines):
        return []
    letter = state.letter(letter_id)
    if letter is None or letter.reported_on is None or not years or not set(years) <= set(letter.reported_years):
        raise FineWithoutReport(letter=letter_id)
    if not letter.reported_on <= imposed_on <= as_of:
        raise FineOnImpossibleDay(reported_on=letter.reported_on, as_of=as_of)
    expected = rules.fine_expected(member=member, imposed_on=imposed_on, law=law)
    return [
        FineImposed(
            reference=reference,
            letter_id=letter_id,
            years=tuple(sorted(years)),
            amount_cents=amount_cents,
            imposed_on=imposed_on,
            basis=Basis(rules=("ZB-5", "ZB-6", "ZB-10"), values=(expected,)),
        )
    ]


def follow_up_fine(
    state: AffiliationState, *, reference: str, outcome: FineOutcome, happened_on: date
) -> list[HappenedToAffiliation]:
    """
    Record what the Agency told since about a fine. The same outcome twice is nothing. Raises NoSuchFine.

    Rules: ZB-7, ZB-10.
    """
    fine = next((fine for fine in state.fines if fine.reference == reference), None)
    if fine is None:
        raise NoSuchFine
    if outcome in fine.outcomes:
        return []
    return [
        FineFollowedUp(
            reference=reference,
            outcome=outcome,
            happened_on=happened_on,
            basis=Basis(rules=("ZB-7", "ZB-10")),
            letter_id=fine.letter_id,
            years=fine.years,
        )
    ]


def _letter_of(state: AffiliationState, year: int) -> Letter | None:
    """
    Return the letter of a year: the last one made, since another is only made when the one before was withdrawn.
    """
    return next((letter for letter in reversed(state.letters) if letter.letter_year == year), None)


def _why_not_reported(letter: Letter | None, *, member: MemberFacts, as_of: date, letter_by: date) -> str:
    if member.has_died_by(as_of):
        return "died"
    if letter is None:
        return "no_letter"
    if letter.withdrawn:
        return "letter_withdrawn"
    if letter.posted_on is None:
        return "not_posted"
    if letter.posted_on > letter_by:
        return "posted_too_late"
    if letter.contradicted:
        return "letter_contradicted"
    if letter.report_id is not None:
        return "already_reported"
    return ""


def _passed(reason: str, values: tuple[Used, ...]) -> PassedOver:
    return PassedOver(reason=reason, basis=Basis(rules=("ZB-10",), values=values))
