"""
What we decide about money: a payment, its reversal, credit that goes back.
"""

from __future__ import annotations

from datetime import date

from domain.errors import Refused
from domain.events import Basis
from domain.ids import StreamId
from domain.money import Cents
from domain.parameters import Parameters
from domain.rules.allocation import CREDIT, allocate
from domain.zorgkas_affiliation.consequences import (
    draw_consequences,
    give_places_by_value_date,
    use_up_credit,
)
from domain.zorgkas_affiliation.happened import (
    Allocation,
    CreditRefunded,
    HappenedToAffiliation,
    MatchedBy,
    MissReinstated,
    PaymentReceived,
    PaymentReversed,
)
from domain.zorgkas_affiliation.remembered import AffiliationState
from domain.zorgkas_affiliation.story import Story

# --- What we decide --------------------------------------------------------------------------------------------------


class NotMoneyIn(Refused):
    """
    Only an amount above zero is a payment, a reversal or a refund.
    """

    rule = "ZP-14"


class NoSuchPayment(Refused):
    """
    The payment that the bank takes back was not received here; put the movement on the worklist.
    """

    rule = "ZP-14"


class ReversalDoesNotFit(Refused):
    """
    The bank took back another amount than the payment was, or a payment that it took back already; put the movement on
    the worklist.
    """

    rule = "ZP-14"


class MoreThanCredit(Refused):
    """
    A refund is never more than the credit.
    """

    rule = "ZP-14"


def receive_payment(
    state: AffiliationState,
    *,
    movement: StreamId,
    amount_cents: Cents,
    value_date: date,
    booked_on: date,
    matched_by: MatchedBy,
    payer_iban: str,
    as_of: date,
    law: Parameters,
) -> list[HappenedToAffiliation]:
    """
    Take money in: it fills the oldest open year that can lead to a fine first, what is left is credit.

    The value date counts: money that was in time corrects the miss and what followed from it. The same movement twice
    is nothing, except another part of it that a person places. `payer_iban` may be empty; `as_of` is the day we know.

    Rules: ZP-14, ZP-16, ZB-1. Law: order of 30 November 2018, art. 70.
    """
    if amount_cents <= 0:
        raise NotMoneyIn
    if state.knows_movement(movement) and matched_by != "person":
        return []
    story = Story(state)
    shares, left_cents = allocate(amount_cents=amount_cents, open_years=state.open_years())
    story.happens(
        PaymentReceived(
            movement=movement,
            amount_cents=amount_cents,
            value_date=value_date,
            booked_on=booked_on,
            matched_by=matched_by,
            allocations=tuple(Allocation(year, share) for year, share in shares),
            credit_cents=left_cents,
            payer_iban=str(payer_iban),
            basis=Basis(rules=("ZP-14", "ZP-16")),
        )
    )
    give_places_by_value_date(story, loose=[piece for piece in story.state.pieces if piece.movement == movement])
    draw_consequences(story, cause="paid_in_time", as_of=as_of, law=law)
    return story.events


def reverse_payment(
    state: AffiliationState,
    *,
    movement: StreamId,
    reversed_by: StreamId,
    amount_cents: Cents,
    value_date: date,
    as_of: date,
    law: Parameters,
) -> list[HappenedToAffiliation]:
    """
    Undo a payment that the bank took back: its years are open again, and missed again when their last day has passed.

    `amount_cents` is positive. Credit of other payments fills the gap first; what was refunded before, the member owes
    back (open question 24). The same reversal of the same payment twice is nothing.
    Raises NoSuchPayment or ReversalDoesNotFit.

    Rules: ZP-14, ZP-16, ZB-1.
    """
    if amount_cents <= 0:
        raise NotMoneyIn
    ours = [piece for piece in state.pieces if piece.movement == movement]
    refunded_cents = state.refunded_cents(movement)
    if reversed_by in state.reversals and not refunded_cents and not any(piece.amount_cents for piece in ours):
        return []
    if not ours:
        raise NoSuchPayment
    if sum(piece.amount_cents for piece in ours) + refunded_cents != amount_cents:
        raise ReversalDoesNotFit
    credit_cents = sum(piece.amount_cents for piece in ours if piece.year == CREDIT)
    story = Story(state)
    taken = tuple(Allocation(piece.year, piece.amount_cents) for piece in ours if piece.year != CREDIT)
    story.happens(
        PaymentReversed(
            movement=movement,
            reversed_by=reversed_by,
            amount_cents=amount_cents,
            value_date=value_date,
            allocations=taken,
            credit_cents=Cents(credit_cents + refunded_cents),
            basis=Basis(rules=("ZP-14", "ZP-16")),
            owed_back_cents=refunded_cents,
        )
    )
    use_up_credit(story, as_of=as_of)
    _reinstate_misses(story, {share.year for share in taken}, as_of=as_of)
    draw_consequences(story, cause="paid_in_time", as_of=as_of, law=law)
    return story.events


def refund_credit(
    state: AffiliationState, *, amount_cents: Cents, refunded_on: date, reference: str
) -> list[HappenedToAffiliation]:
    """
    Record that credit went back to the member. The same reference twice is nothing. Raises MoreThanCredit.

    Rule: ZP-14.
    """
    if amount_cents <= 0:
        raise NotMoneyIn
    if reference in state.refunds:
        return []
    if amount_cents > state.credit_cents:
        raise MoreThanCredit
    return [
        CreditRefunded(
            amount_cents=amount_cents, refunded_on=refunded_on, reference=reference, basis=Basis(rules=("ZP-14",))
        )
    ]


def _reinstate_misses(story: Story, years: set[int], *, as_of: date) -> None:
    for owed in story.state.years:
        if owed.year in years and not owed.missed and owed.last_day < as_of and not story.state.is_paid_in_time(owed):
            story.happens(
                MissReinstated(
                    year=owed.year,
                    open_cents=story.state.open_cents(owed),
                    known_on=as_of,
                    basis=Basis(rules=("ZB-1",)),
                )
            )
