"""
What we decide about owing: who is affiliated, what a year costs, the invitation, and an allowance that came late.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from domain.decisions import PassedOver, Selected
from domain.errors import Refused
from domain.events import Basis, Used
from domain.facts import MemberFacts
from domain.money import ZERO, Cents
from domain.parameters import Parameters
from domain.payments import Ogm
from domain.rules.affiliation_scope import InScope, OutOfScope, scope_in
from domain.rules.allocation import CREDIT
from domain.rules.law import text
from domain.rules.zorgpremie import due_on, first_premiums_until, zorgpremie_of
from domain.zorgkas_affiliation.consequences import (
    draw_consequences,
    give_places_by_value_date,
    use_up_credit,
)
from domain.zorgkas_affiliation.happened import (
    AffiliationOpened,
    HappenedToAffiliation,
    InvitationIssued,
    ZorgpremieAmountChanged,
    ZorgpremieCharged,
)
from domain.zorgkas_affiliation.remembered import AffiliationState, YearOwed
from domain.zorgkas_affiliation.story import Story

# --- What we decide --------------------------------------------------------------------------------------------------


class InvitationOutOfSeason(Refused):
    """
    An invitation is made in the year of its premium, on the last day to pay at the latest; choose a date in that time.
    """

    rule = "ZP-4"


class CannotJoin(Refused):
    """
    This member cannot be affiliated with CM-Zorgkas for that year; `reason` says why.
    """

    rule = "ZK-2"


def invite(
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
    Charge the year and make its payment invitation, with the arrears that we may ask for; first affiliate who must be.

    What credit pays in full is charged and not asked. A voluntary member is invited once affiliated (`ask_to_join`).
    Raises InvitationOutOfSeason, and NoValue when the law has no amount for the year.

    Rules: ZK-1, ZK-9, ZK-10, ZK-12, ZP-1 to ZP-5, ZP-18. Law: order of 30 November 2018, art. 68 and 69.
    """
    due = due_on(year=year, law=law)
    if as_of.year != year or as_of > due[0]:
        raise InvitationOutOfSeason(year=year, as_of=as_of, due_on=due[0])
    scope = scope_in(year=year, member=member, as_of=as_of, law=law)
    if isinstance(scope, OutOfScope):
        return PassedOver(reason=scope.reason, basis=scope.basis)
    if state.owed(year) is not None:
        return PassedOver(reason="already_invited", basis=Basis(rules=("ZP-4",)))
    if scope.kind == "voluntary" and state.kind != "voluntary":
        return PassedOver(reason="not_asked", basis=Basis(rules=("ZK-2", "ZK-12")))
    story = Story(state)
    _affiliate_and_charge(story, scope, member=member, year=year, as_of=as_of, due=due, law=law)
    asked_cents = _ask(story, year=year, as_of=as_of, law=law, ogm=ogm, letter_id=letter_id)
    return Selected(events=tuple(story.events), amount_cents=asked_cents)


def ask_to_join(
    state: AffiliationState,
    *,
    member: MemberFacts,
    year: int,
    as_of: date,
    law: Parameters,
    ogm: Ogm,
    letter_id: UUID,
) -> list[HappenedToAffiliation]:
    """
    Affiliate a member who asks for it, and invite them to pay the year. Asked again for the same year: nothing.

    After 30 April the premium of the year is asked by 31 December (open question 9). Raises CannotJoin.

    Rules: ZK-2, ZK-9, ZK-12.
    """
    scope = scope_in(year=year, member=member, as_of=as_of, law=law)
    if isinstance(scope, OutOfScope):
        raise CannotJoin(year=year, reason=scope.reason)
    if as_of.year != year:
        raise InvitationOutOfSeason(year=year, as_of=as_of, due_on=date(year, 12, 31))
    if state.owed(year) is not None:
        return []
    story = Story(state)
    last_day, used = due_on(year=year, law=law)
    # After 30 April the year can still be paid while it lasts: open question 9.
    due = (last_day if as_of <= last_day else date(year, 12, 31), used)
    _affiliate_and_charge(story, scope, member=member, year=year, as_of=as_of, due=due, law=law)
    _ask(story, year=year, as_of=as_of, law=law, ogm=ogm, letter_id=letter_id)
    return story.events


def apply_late_allowance(
    state: AffiliationState, *, member: MemberFacts, as_of: date, law: Parameters
) -> list[HappenedToAffiliation]:
    """
    Change what charged years cost when the increased allowance on their reference day became known, or ended, late.

    Money that is freed goes to open years, the rest is credit. A year that costs more since its last day passed is open
    again but not missed: who paid what was asked did what the law asks (open question 6).

    Rules: ZP-2, ZP-18, ZB-1.
    """
    story = Story(state)
    for owed in state.years:
        _change_amount(story, owed, member=member, law=law)
    if story.events:
        give_places_by_value_date(story, loose=[piece for piece in story.state.pieces if piece.year == CREDIT])
        use_up_credit(story, as_of=as_of)
        draw_consequences(story, cause="amount_changed", as_of=as_of, law=law)
    return story.events


def _change_amount(story: Story, owed: YearOwed, *, member: MemberFacts, law: Parameters) -> None:
    premium = zorgpremie_of(year=owed.year, member=member, law=law)
    if premium.reduced == owed.reduced:
        return
    paid_cents = story.state.paid_cents(owed.year)
    story.happens(
        ZorgpremieAmountChanged(
            year=owed.year,
            from_cents=owed.amount_cents,
            to_cents=premium.amount_cents,
            reduced=premium.reduced,
            freed_cents=max(ZERO, Cents(paid_cents - premium.amount_cents)),
            basis=Basis(rules=("ZP-2", "ZP-18"), values=(premium.used,)),
        )
    )


def _affiliate_and_charge(
    story: Story,
    scope: InScope,
    *,
    member: MemberFacts,
    year: int,
    as_of: date,
    due: tuple[date, Used],
    law: Parameters,
) -> None:
    if story.state.kind != scope.kind:
        story.happens(AffiliationOpened(kind=scope.kind, from_year=year, basis=scope.basis))
    premium = zorgpremie_of(year=year, member=member, law=law)
    window = (
        None if member.birth_year is None else first_premiums_until(year=year, birth_year=member.birth_year, law=law)
    )
    story.happens(
        ZorgpremieCharged(
            year=year,
            amount_cents=premium.amount_cents,
            reduced=premium.reduced,
            due_on=due[0],
            window_until=window,
            basis=Basis(
                rules=("ZP-1", "ZP-2", "ZP-3", "ZP-5", "ZP-18") + (("ZK-11",) if window else ()),
                values=(premium.used, due[1]),
            ),
        )
    )
    use_up_credit(story, as_of=as_of)


def _ask(story: Story, *, year: int, as_of: date, law: Parameters, ogm: Ogm, letter_id: UUID) -> Cents:
    state = story.state
    asked_cents = Cents(
        sum(each.open_cents for each in state.open_years() if not state.is_claimed_by_agency(each.year))
    )
    if not asked_cents:
        return ZERO
    account = law["zorgpremie/account"].on(as_of)
    owed = state.owed(year)
    assert owed is not None  # it was charged just now
    story.happens(
        InvitationIssued(
            year=year,
            letter_id=letter_id,
            amount_cents=asked_cents,
            ogm=str(ogm),
            account=text(account),
            due_on=owed.due_on,
            issued_on=as_of,
            basis=Basis(rules=("ZP-3", "ZP-4", "ZP-5", "ZK-12"), values=(account,)),
        )
    )
    return asked_cents
