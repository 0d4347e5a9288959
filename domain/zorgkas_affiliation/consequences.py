"""
What follows when money or an amount changed: credit is used, misses are corrected, letters lose their ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from domain.events import Basis, Used
from domain.parameters import Parameters
from domain.rules.allocation import Piece, allocate, moves_by_value_date
from domain.rules.arrears import missed_years_min
from domain.zorgkas_affiliation.happened import (
    Allocation,
    AllocationsReordered,
    CreditAllocated,
    MissCorrected,
    Move,
    PostedLetterContradicted,
    RegisteredLetterWithdrawn,
)
from domain.zorgkas_affiliation.remembered import AffiliationState, Letter, YearOwed
from domain.zorgkas_affiliation.story import Story

Cause = Literal["paid_in_time", "amount_changed"]

_DAY = timedelta(days=1)


def use_up_credit(story: Story, *, as_of: date) -> None:
    """
    Put credit on the years that are open, in the order of the law (Rule: ZP-16).
    """
    state = story.state
    credit_cents = state.credit_cents
    if credit_cents <= 0:
        return
    shares, _ = allocate(amount_cents=credit_cents, open_years=state.open_years())
    if shares:
        allocations = tuple(Allocation(year, share) for year, share in shares)
        story.happens(
            CreditAllocated(allocations=allocations, allocated_on=as_of, basis=Basis(rules=("ZP-14", "ZP-16")))
        )


def give_places_by_value_date(story: Story, *, loose: Sequence[Piece]) -> None:
    """
    Let money that was on the account earlier stand on the years that come first, whenever we heard of it.

    Rules: ZB-1, ZP-16.
    """
    state = story.state
    order = [owed.year for owed in sorted(state.years, key=lambda owed: (not state.fine_possible(owed), owed.year))]
    moves = moves_by_value_date(state.pieces, loose=loose, order=order)
    if moves:
        story.happens(
            AllocationsReordered(moves=tuple(Move(*move) for move in moves), basis=Basis(rules=("ZP-16", "ZB-1")))
        )


def draw_consequences(story: Story, *, cause: Cause, as_of: date, law: Parameters) -> None:
    """
    Correct the misses that were none, then withdraw or name the letters that no longer stand on enough missed years.

    Rules: ZB-1, ZB-2.
    """
    for owed in story.state.years:
        if owed.missed and story.state.is_paid_in_time(owed):
            basis = Basis(rules=("ZB-1",) if cause == "paid_in_time" else ("ZB-1", "ZP-2"))
            story.happens(MissCorrected(year=owed.year, because=cause, known_on=as_of, basis=basis))
    for letter in story.state.letters:
        if not letter.withdrawn:
            if letter.posted_on is None:
                _withdraw_if_groundless(story, letter, cause=cause, as_of=as_of, law=law)
            else:
                contradict_if_groundless(story, letter, cause=cause, as_of=as_of, law=law)


def missed_years_of(state: AffiliationState, letter: Letter) -> list[YearOwed]:
    """
    Return the letter's years that are missed and can lead to a fine; other premiums due were only asked along.
    """
    return [owed for owed in state.years if owed.year in letter.years and owed.mandatory and owed.missed]


def unpaid_years_of(state: AffiliationState, letter: Letter, *, until: date) -> list[YearOwed]:
    """
    Return the letter's missed years whose money was not there on a day; none when all that the letter asked was there.

    A year that became dearer since counts with what the letter asked. Money goes to the oldest year first, also to what
    the letter did not ask of it; a later year then lacks it, and together all that was asked is there.

    Rules: ZB-2, ZB-4, as read in open question 6. Law: order of 30 November 2018, art. 74 and 81.
    """
    asked = zip(letter.years, letter.enough_cents, strict=True)
    enough = {owed.year: min(cents, owed.amount_cents) for year, cents in asked if (owed := state.owed(year))}
    paid = {year: state.paid_cents(year, until=until) for year in enough}
    if sum(paid.values()) >= sum(enough.values()):
        return []
    return [owed for owed in missed_years_of(state, letter) if paid[owed.year] < enough[owed.year]]


def contradict_if_groundless(story: Story, letter: Letter, *, cause: Cause, as_of: date, law: Parameters) -> None:
    """
    Name a posted letter for a person when the money on the account before its posting left too few missed years.
    """
    if letter.contradicted or letter.posted_on is None:
        return
    minimum, used = missed_years_min(as_of=letter.issued_on, law=law)
    missed = missed_years_of(story.state, letter)
    day_before = letter.posted_on - _DAY
    if len(unpaid_years_of(story.state, letter, until=day_before)) >= minimum:
        return
    because: Literal["miss_corrected", "amount_changed", "paid_before_posting"] = (
        "amount_changed"
        if cause == "amount_changed"
        else "miss_corrected"
        if len(missed) < minimum
        else "paid_before_posting"
    )
    story.happens(
        PostedLetterContradicted(letter_id=letter.letter_id, known_on=as_of, because=because, basis=_why(used))
    )


def _withdraw_if_groundless(story: Story, letter: Letter, *, cause: Cause, as_of: date, law: Parameters) -> None:
    minimum, used = missed_years_min(as_of=letter.issued_on, law=law)
    missed = missed_years_of(story.state, letter)
    if len(unpaid_years_of(story.state, letter, until=date.max)) >= minimum:
        return
    because: Literal["paid", "miss_corrected", "amount_changed"] = (
        "amount_changed" if cause == "amount_changed" else "miss_corrected" if len(missed) < minimum else "paid"
    )
    story.happens(
        RegisteredLetterWithdrawn(letter_id=letter.letter_id, withdrawn_on=as_of, because=because, basis=_why(used))
    )


def _why(used: Used) -> Basis:
    return Basis(rules=("ZB-1", "ZB-2"), values=(used,))
