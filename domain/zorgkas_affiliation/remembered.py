"""
What we remember of an affiliation: only what its decisions need, nothing personal.

Money stands as pieces, each with its value date, because the law asks what was on the account on a day.
"""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from domain.catalogue import Aggregate
from domain.ids import Kind, StreamId
from domain.money import ZERO, Cents
from domain.rules.allocation import (
    CREDIT,
    Moved,
    OpenYear,
    Piece,
    after_moves,
    amount_on,
    credit_to_year,
    leaving_credit,
    without_credit,
    year_to_credit,
)
from domain.zorgkas_affiliation.happened import (
    AffiliationKind,
    AffiliationOpened,
    AllocationsReordered,
    CreditAllocated,
    CreditRefunded,
    FineFollowedUp,
    FineImposed,
    HappenedToAffiliation,
    InvitationIssued,
    MissCorrected,
    MissReinstated,
    PaymentReceived,
    PaymentReversed,
    PostedLetterContradicted,
    RegisteredLetterIssued,
    RegisteredLetterPosted,
    RegisteredLetterWithdrawn,
    ReminderIssued,
    ReportCorrected,
    ReportedToAgency,
    YearMissed,
    ZorgpremieAmountChanged,
    ZorgpremieCharged,
)

# --- What we remember of it ------------------------------------------------------------------------------------------
# The shape is stored in head rows, a cache: raise AFFILIATION.fold_version whenever it or `evolve` changes.


class YearOwed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    The premium of one year. `last_day` is the last day before it counts as missed; `mandatory` what it was charged as.

    `asked_cents` is the least that it ever cost: who paid that by the last day did what was asked (open question 6).
    """

    year: int
    amount_cents: Cents
    reduced: bool
    mandatory: bool
    due_on: date
    last_day: date
    asked_cents: Cents
    reminded: bool = False
    missed: bool = False


class Letter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A registered letter; it counts as sent once `posted_on` is proved.

    `enough_cents` is what each of its years had to reach when it was made: its amount, or what was asked of it before
    where that had been paid and only a late fact made it dearer (open question 6).
    """

    letter_id: UUID
    letter_year: int
    years: tuple[int, ...]
    enough_cents: tuple[Cents, ...]
    pay_by: date
    issued_on: date
    posted_on: date | None = None
    barcode: str = ""
    withdrawn: bool = False
    contradicted: bool = False
    report_id: UUID | None = None
    reported_on: date | None = None
    reported_years: tuple[int, ...] = ()
    corrected: bool = False


class Fine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A fine by the Agency; `outcomes` is all that we heard of it since, `letter_id` the letter that led to it.
    """

    reference: str
    years: tuple[int, ...]
    outcomes: tuple[str, ...] = ()
    letter_id: UUID | None = None

    @property
    def stands(self) -> bool:
        return "annulled" not in self.outcomes


class Refunded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    The part of a payment that went back to the member as credit, for as long as the bank did not take the payment back.
    """

    movement: StreamId
    amount_cents: Cents


class AffiliationState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One member's affiliation. `years` are in order; `pieces` is all money that came in and was not refunded or reversed.

    `owed_back_cents` is what was refunded of payments that the bank took back since: the member owes it (question 24).
    """

    kind: AffiliationKind | None = None
    from_year: int = 0
    years: tuple[YearOwed, ...] = ()
    pieces: tuple[Piece, ...] = ()
    letters: tuple[Letter, ...] = ()
    fines: tuple[Fine, ...] = ()
    reversals: tuple[StreamId, ...] = ()
    refunds: tuple[str, ...] = ()
    refunded: tuple[Refunded, ...] = ()
    owed_back_cents: Cents = ZERO

    def owed(self, year: int) -> YearOwed | None:
        return next((owed for owed in self.years if owed.year == year), None)

    def paid_cents(self, year: int, *, until: date = date.max) -> Cents:
        return amount_on(self.pieces, year=year, until=until)

    def open_cents(self, owed: YearOwed) -> Cents:
        return Cents(owed.amount_cents - amount_on(self.pieces, year=owed.year))

    def is_paid_as_asked(self, owed: YearOwed) -> bool:
        """
        Tell whether the least that it ever cost is there; what a late fact added is owed, and nobody is fined for it.
        """
        return self.paid_cents(owed.year) >= owed.asked_cents

    def enough_cents(self, owed: YearOwed) -> Cents:
        """
        Return what a letter that is made now asks of a year before it counts as paid (`Letter.enough_cents`).
        """
        return owed.asked_cents if self.is_paid_as_asked(owed) else owed.amount_cents

    def is_paid_in_time(self, owed: YearOwed) -> bool:
        return self.paid_cents(owed.year, until=owed.last_day) >= owed.asked_cents

    @property
    def credit_cents(self) -> Cents:
        """
        Return what the fund owes the member, above what the member owes back; below zero the member owes.
        """
        return Cents(amount_on(self.pieces, year=CREDIT) - self.owed_back_cents)

    def refunded_cents(self, movement: StreamId) -> Cents:
        """
        Return how much of a standing payment went back to the member.
        """
        return Cents(sum(part.amount_cents for part in self.refunded if part.movement == movement))

    def knows_movement(self, movement: StreamId) -> bool:
        return any(piece.movement == movement for piece in self.pieces)

    def letter(self, letter_id: UUID) -> Letter | None:
        return next((letter for letter in self.letters if letter.letter_id == letter_id), None)

    def was_fined_for(self, year: int) -> bool:
        """
        Tell whether any fine, also one annulled since, was for this year: it is not fined for again.
        """
        return any(year in fine.years for fine in self.fines)

    def is_claimed_by_agency(self, year: int) -> bool:
        """
        Tell whether the Agency claims the premium of this year itself, with its fine (Rule: ZB-6).
        """
        return any(year in fine.years and fine.stands for fine in self.fines)

    def open_years(self) -> list[OpenYear]:
        paid: dict[int, int] = {}
        for piece in self.pieces:
            paid[piece.year] = paid.get(piece.year, 0) + piece.amount_cents
        return [
            OpenYear(owed.year, Cents(owed.amount_cents - paid.get(owed.year, 0)), self.fine_possible(owed))
            for owed in self.years
            if owed.amount_cents > paid.get(owed.year, 0)
        ]

    def fine_possible(self, owed: YearOwed) -> bool:
        return owed.mandatory and not self.was_fined_for(owed.year)


def _with_year(state: AffiliationState, year: int, **changes: Any) -> AffiliationState:
    last = state.years[-1]
    if last.year == year:
        return replace(state, years=(*state.years[:-1], replace(last, **changes)))
    return replace(state, years=tuple(replace(owed, **changes) if owed.year == year else owed for owed in state.years))


def _letter_changed(
    state: AffiliationState,
    event: RegisteredLetterPosted
    | RegisteredLetterWithdrawn
    | PostedLetterContradicted
    | ReportedToAgency
    | ReportCorrected,
) -> AffiliationState:
    changes: dict[str, Any]
    match event:
        case RegisteredLetterPosted():
            changes = {"posted_on": event.posted_on, "barcode": event.barcode}
        case RegisteredLetterWithdrawn():
            changes = {"withdrawn": True}
        case PostedLetterContradicted():
            changes = {"contradicted": True}
        case ReportedToAgency():
            reported_years = tuple(share.year for share in event.years)
            changes = {
                "report_id": event.report_id,
                "reported_on": event.reported_on,
                "reported_years": reported_years,
            }
        case ReportCorrected():
            changes = {"corrected": True}
    letters = (
        replace(letter, **changes) if letter.letter_id == event.letter_id else letter for letter in state.letters
    )
    return replace(state, letters=tuple(letters))


def _charged(state: AffiliationState, event: ZorgpremieCharged) -> AffiliationState:
    owed = YearOwed(
        event.year,
        event.amount_cents,
        event.reduced,
        state.kind == "mandatory",
        event.due_on,
        event.window_until or event.due_on,
        event.amount_cents,
    )
    if state.years and state.years[-1].year > event.year:
        return replace(state, years=tuple(sorted((*state.years, owed), key=lambda each: each.year)))
    return replace(state, years=(*state.years, owed))


def _amount_changed(state: AffiliationState, event: ZorgpremieAmountChanged) -> AffiliationState:
    if event.freed_cents:
        moves = year_to_credit(state.pieces, year=event.year, amount_cents=event.freed_cents)
        state = replace(state, pieces=after_moves(state.pieces, moves))
    owed = state.owed(event.year)
    asked_cents = min(event.to_cents, owed.asked_cents) if owed else event.to_cents
    return _with_year(state, event.year, amount_cents=event.to_cents, reduced=event.reduced, asked_cents=asked_cents)


def _received(state: AffiliationState, event: PaymentReceived) -> AffiliationState:
    movement, value_date = event.movement, event.value_date
    pieces = [*state.pieces]
    for share in event.allocations:
        pieces.append(Piece(movement, value_date, share.year, share.amount_cents))  # noqa: PERF401  faster than extend
    if event.credit_cents:
        pieces.append(Piece(movement, value_date, CREDIT, event.credit_cents))
    return replace(state, pieces=tuple(pieces))


def _reversed(state: AffiliationState, event: PaymentReversed) -> AffiliationState:
    ours = next(piece for piece in state.pieces if piece.movement == event.movement)
    left = (piece for piece in state.pieces if piece.movement != event.movement)
    return replace(
        state,
        pieces=(*left, Piece(event.movement, ours.value_date, CREDIT, ZERO)),
        reversals=(*state.reversals, event.reversed_by),
        refunded=tuple(part for part in state.refunded if part.movement != event.movement),
        owed_back_cents=Cents(state.owed_back_cents + event.owed_back_cents),
    )


def _refunded(state: AffiliationState, event: CreditRefunded) -> AffiliationState:
    leaving = leaving_credit(state.pieces, amount_cents=event.amount_cents)
    return replace(
        state,
        pieces=without_credit(state.pieces, leaving),
        refunds=(*state.refunds, event.reference),
        refunded=(*state.refunded, *(Refunded(part.movement, part.amount_cents) for part in leaving)),
    )


def _credit_allocated(state: AffiliationState, event: CreditAllocated) -> AffiliationState:
    pieces = state.pieces
    for share in event.allocations:
        moves = credit_to_year(pieces, year=share.year, amount_cents=share.amount_cents)
        pieces = after_moves(pieces, moves)
    return replace(state, pieces=pieces)


def _letter_issued(state: AffiliationState, event: RegisteredLetterIssued) -> AffiliationState:
    years = tuple(share.year for share in event.years)
    enough = tuple(state.enough_cents(owed) for owed in state.years if owed.year in years)
    letter = Letter(event.letter_id, event.letter_year, years, enough, event.pay_by, event.issued_on)
    return replace(state, letters=(*state.letters, letter))


def _fine_followed_up(state: AffiliationState, event: FineFollowedUp) -> AffiliationState:
    fines = (
        replace(fine, outcomes=(*fine.outcomes, event.outcome)) if fine.reference == event.reference else fine
        for fine in state.fines
    )
    return replace(state, fines=tuple(fines))


def evolve(state: AffiliationState, event: HappenedToAffiliation) -> AffiliationState:
    """
    Return the state after the event. No rules and no refusals here: what happened, happened.
    """
    match event:  # what happens most stands first
        case ZorgpremieCharged():
            return _charged(state, event)
        case InvitationIssued():
            return state  # it is made with the charge; what is open is asked, whoever made the letter
        case PaymentReceived():
            return _received(state, event)
        case AffiliationOpened():
            return replace(state, kind=event.kind, from_year=event.from_year)
        case YearMissed() | MissReinstated():
            return _with_year(state, event.year, missed=True)
        case MissCorrected():
            return _with_year(state, event.year, missed=False)
        case ReminderIssued():
            return _with_year(state, event.year, reminded=True)
        case RegisteredLetterIssued():
            return _letter_issued(state, event)
        case (
            RegisteredLetterPosted()
            | RegisteredLetterWithdrawn()
            | PostedLetterContradicted()
            | ReportedToAgency()
            | ReportCorrected()
        ):
            return _letter_changed(state, event)
        case CreditAllocated():
            return _credit_allocated(state, event)
        case CreditRefunded():
            return _refunded(state, event)
        case ZorgpremieAmountChanged():
            return _amount_changed(state, event)
        case PaymentReversed():
            return _reversed(state, event)
        case AllocationsReordered():
            moves = (Moved(move.movement, move.from_year, move.to_year, move.amount_cents) for move in event.moves)
            return replace(state, pieces=after_moves(state.pieces, moves))
        case FineImposed():
            return replace(state, fines=(*state.fines, Fine(event.reference, event.years, (), event.letter_id)))
        case FineFollowedUp():
            return _fine_followed_up(state, event)


AFFILIATION: Aggregate[AffiliationState, HappenedToAffiliation] = Aggregate(
    context="zorgkas",
    kind=Kind.ZORGKAS_AFFILIATION,
    happened=HappenedToAffiliation,
    initial=AffiliationState(),
    evolve=evolve,
    fold_version=4,
)
