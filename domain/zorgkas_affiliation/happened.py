"""
The affiliation of one member with CM-Zorgkas: what is owed per year, what was paid, missed, written, reported and
fined.
"""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from domain.events import Basis, Event
from domain.ids import StreamId
from domain.money import ZERO, Cents
from domain.personal import Personal

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.

AffiliationKind = Literal["mandatory", "voluntary"]
FineOutcome = Literal["appealed", "annulled", "paid", "in_instalments"]
MatchedBy = Literal["ogm", "amount_and_iban", "person"]


class Allocation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A part of a payment put on the premium of one year.
    """

    year: int
    amount_cents: Cents


class Move(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A part of a payment that goes from one year to another; year 0 is the credit.
    """

    movement: StreamId
    from_year: int
    to_year: int
    amount_cents: Cents


class AffiliationOpened(Event, frozen=True, kw_only=True):
    """
    The member belongs to CM-Zorgkas' scope from a calendar year on: mandatory, or voluntary because they asked.
    """

    kind: AffiliationKind
    from_year: int
    basis: Basis


class ZorgpremieCharged(Event, frozen=True, kw_only=True):
    """
    The premium of one calendar year is owed. One amount, one payment (Rules: ZP-1, ZP-2, ZP-5).

    `due_on` is the last day that is asked for. `window_until`, when there is one, is the later last day before the year
    counts as missed: the first two premiums of who turns 26 (Rule: ZK-11).
    """

    year: int
    amount_cents: Cents
    reduced: bool
    due_on: date
    basis: Basis
    window_until: date | None = None


class ZorgpremieAmountChanged(Event, frozen=True, kw_only=True):
    """
    A late fact (increased allowance with effect in the past) changed what a year costs; what was paid too much is
    credit.
    """

    year: int
    from_cents: Cents
    to_cents: Cents
    reduced: bool
    freed_cents: Cents
    basis: Basis


class InvitationIssued(Event, frozen=True, kw_only=True):
    """
    The payment invitation of a year was made, with a structured communication of its own (Rule: ZP-4).

    `amount_cents` is what is asked: this year's premium with the arrears of earlier years that are asked along.
    """

    year: int
    letter_id: UUID
    amount_cents: Cents
    ogm: str
    account: str
    due_on: date
    issued_on: date
    basis: Basis


class PaymentReceived(Event, frozen=True, kw_only=True):
    """
    Money came in for this member. `value_date` decides, not the day we heard of it (Rule: ZB-1).

    amount = sum of allocations + credit. Oldest year first, years that can still lead to a fine before others (ZP-16).
    """

    movement: StreamId
    amount_cents: Cents
    value_date: date
    booked_on: date
    matched_by: MatchedBy
    allocations: tuple[Allocation, ...]
    credit_cents: Cents
    payer_iban: Personal
    basis: Basis


class PaymentReversed(Event, frozen=True, kw_only=True):
    """
    The bank took a payment back; its allocations and credit are undone, the years are open again.

    amount = sum of allocations + credit. Of the credit, `owed_back_cents` had been refunded before: the member has that
    money twice and owes it back (open question 24).
    """

    movement: StreamId
    reversed_by: StreamId
    amount_cents: Cents
    value_date: date
    allocations: tuple[Allocation, ...]
    credit_cents: Cents
    basis: Basis
    owed_back_cents: Cents = ZERO


class AllocationsReordered(Event, frozen=True, kw_only=True):
    """
    Money that was on the account earlier takes the place of money that came later (Rule: ZB-1).

    A statement came late, or a late fact freed money.

    Every year, and the credit (year 0), keeps the same total; only which money stands there, with its value date,
    changes. So a ledger of amounts may pass over it.
    """

    moves: tuple[Move, ...]
    basis: Basis


class CreditAllocated(Event, frozen=True, kw_only=True):
    """
    Credit of earlier payments was put on years that were open.
    """

    allocations: tuple[Allocation, ...]
    allocated_on: date
    basis: Basis


class CreditRefunded(Event, frozen=True, kw_only=True):
    """
    Credit went back to the member by bank transfer on that day.
    """

    amount_cents: Cents
    refunded_on: date
    reference: str
    basis: Basis


class YearMissed(Event, frozen=True, kw_only=True):
    """
    On the last day to pay, the year was unpaid or incomplete (Rule: ZB-1).
    """

    year: int
    missed_on: date
    open_cents: Cents
    basis: Basis


class MissCorrected(Event, frozen=True, kw_only=True):
    """
    The year was not missed after all: money that was on the account in time, or a late fact, became known (Rule: ZB-1).
    """

    year: int
    because: Literal["paid_in_time", "amount_changed"]
    known_on: date
    basis: Basis


class MissReinstated(Event, frozen=True, kw_only=True):
    """
    The year is missed again: the payment that had corrected or prevented the miss was taken back by the bank.
    """

    year: int
    open_cents: Cents
    known_on: date
    basis: Basis


class ReminderIssued(Event, frozen=True, kw_only=True):
    """
    A reminder for a year not paid after its invitation, unless a registered letter asked for it (Rule: ZB-12).
    """

    year: int
    letter_id: UUID
    amount_cents: Cents
    ogm: str
    account: str
    issued_on: date
    basis: Basis


class RegisteredLetterIssued(Event, frozen=True, kw_only=True):
    """
    The registered letter was made, with all premiums due. It counts as sent only once posting is proved (ZB-2, ZB-9).
    """

    letter_id: UUID
    letter_year: int
    years: tuple[Allocation, ...]
    amount_cents: Cents
    ogm: str
    account: str
    pay_by: date
    issued_on: date
    basis: Basis


class RegisteredLetterPosted(Event, frozen=True, kw_only=True):
    """
    The post proved that it took the letter on that day; `barcode` is the post's own (30 digits).
    """

    letter_id: UUID
    posted_on: date
    barcode: str
    basis: Basis


class RegisteredLetterWithdrawn(Event, frozen=True, kw_only=True):
    """
    A letter that was made but not posted is not to be posted: fewer missed years are open than the law asks.
    """

    letter_id: UUID
    withdrawn_on: date
    because: Literal["paid", "miss_corrected", "amount_changed"]
    basis: Basis


class PostedLetterContradicted(Event, frozen=True, kw_only=True):
    """
    A letter already posted turns out to be wrong; nothing is undone by itself, a person decides what to tell the
    member.
    """

    letter_id: UUID
    known_on: date
    because: Literal["miss_corrected", "amount_changed", "posted_after_withdrawal", "paid_before_posting"]
    basis: Basis


class ReportedToAgency(Event, frozen=True, kw_only=True):
    """
    The member stands in the report to the Agency: letter posted in time, still too much unpaid on the last day (ZB-10).
    """

    letter_id: UUID
    report_id: UUID
    years: tuple[Allocation, ...]
    amount_cents: Cents
    reported_on: date
    basis: Basis


class ReportCorrected(Event, frozen=True, kw_only=True):
    """
    The report was taken back for this member: the money was on the account before the fine could be imposed (ZB-4,
    ZB-10).
    """

    letter_id: UUID
    report_id: UUID
    corrected_on: date
    because: Literal["paid", "miss_corrected"]
    basis: Basis


class FineImposed(Event, frozen=True, kw_only=True):
    """
    The Agency told us that it imposed a fine; it claims the premiums of those years itself (Rules: ZB-5, ZB-6).
    """

    reference: str
    letter_id: UUID
    years: tuple[int, ...]
    amount_cents: Cents
    imposed_on: date
    basis: Basis


class FineFollowedUp(Event, frozen=True, kw_only=True):
    """
    What the Agency told us since about a fine (Rules: ZB-7, ZB-10).

    `letter_id` and `years` are those of the fine, for who does not know the Agency's reference; older events have none.
    """

    reference: str
    outcome: FineOutcome
    happened_on: date
    basis: Basis
    letter_id: UUID | None = None
    years: tuple[int, ...] = ()


HappenedToAffiliation = (
    AffiliationOpened
    | ZorgpremieCharged
    | ZorgpremieAmountChanged
    | InvitationIssued
    | PaymentReceived
    | PaymentReversed
    | AllocationsReordered
    | CreditAllocated
    | CreditRefunded
    | YearMissed
    | MissCorrected
    | MissReinstated
    | ReminderIssued
    | RegisteredLetterIssued
    | RegisteredLetterPosted
    | RegisteredLetterWithdrawn
    | PostedLetterContradicted
    | ReportedToAgency
    | ReportCorrected
    | FineImposed
    | FineFollowedUp
)
