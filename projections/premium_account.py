"""
The premium account: per member and year what was charged, paid and is open; and the affiliation it belongs to.

One stream is one affiliation; `premium_year` has a row per year, `affiliation` one row with its totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final
from uuid import UUID

from domain.envelope import Envelope
from domain.events import Event
from domain.ids import Kind
from domain.rules.allocation import CREDIT
from domain.zorgkas_affiliation import happened as h
from projections.model import ByEvent, Fold, Row, StreamRows, Table, unmoved


class PremiumYear(Row):
    """
    One year of one member. Amounts in cents; `missed_on` is empty when the year is not (or no longer) missed.

    `last_value_date` is that of the newest payment put on the year; empty when nothing was, or when money was taken off
    again, for these rows do not remember what stood there before. The pieces of the account itself do.
    """

    stream: UUID
    year: int
    charged_cents: int = 0
    paid_cents: int = 0
    reduced: bool = False
    due_on: date | None = None
    missed_on: date | None = None
    ogm: str | None = None
    invited_on: date | None = None
    reminded_on: date | None = None
    last_value_date: date | None = None
    claimed_by_agency: bool = False
    missed_run: UUID | None = None


class AffiliationRow(Row):
    """
    One affiliation. received = allocated + credit + refunded, checked by `backoffice doctor` and after every run.
    """

    stream: UUID
    kind: str = ""
    from_year: int = 0
    received_cents: int = 0
    allocated_cents: int = 0
    credit_cents: int = 0
    refunded_cents: int = 0
    charged_cents: int = 0
    version: int = 0


def _own_year(event: Event) -> Iterable[tuple[int]]:
    year = getattr(event, "year", None)
    return () if year is None else ((year,),)


def _years_allocated(event: h.PaymentReceived | h.PaymentReversed | h.CreditAllocated) -> Iterable[tuple[int]]:
    return [(share.year,) for share in event.allocations]


def _years_moved(event: h.AllocationsReordered) -> Iterable[tuple[int]]:
    return {(year,) for move in event.moves for year in (move.from_year, move.to_year) if year != CREDIT}


_YEARS_OF: Final = ByEvent[Callable[[Any], Iterable[tuple[int]]]](
    {
        h.PaymentReceived: _years_allocated,
        h.PaymentReversed: _years_allocated,
        h.CreditAllocated: _years_allocated,
        h.AllocationsReordered: _years_moved,
        h.FineImposed: lambda event: [(year,) for year in event.years],
    },
    otherwise=_own_year,
)


def _years_of(event: Event) -> Iterable[tuple[int]]:
    """
    Return the years that an event is about.
    """
    return _YEARS_OF[type(event)](event)


# No index on what is open: every payment would move a row in it, and no question needs it but one that a person asks.
YEAR = Table(
    name="premium_year",
    row=PremiumYear,
    columns="""
    stream uuid NOT NULL, year integer NOT NULL, charged_cents bigint NOT NULL, paid_cents bigint NOT NULL,
    reduced boolean NOT NULL, due_on date, missed_on date, ogm text, invited_on date, reminded_on date,
    last_value_date date, claimed_by_agency boolean NOT NULL, missed_run uuid""",
    key=("stream", "year"),
    looks_at=_years_of,
)
AFFILIATION = Table(
    name="affiliation",
    row=AffiliationRow,
    columns="""
    stream uuid NOT NULL, kind text NOT NULL, from_year integer NOT NULL, received_cents bigint NOT NULL,
    allocated_cents bigint NOT NULL, credit_cents bigint NOT NULL, refunded_cents bigint NOT NULL,
    charged_cents bigint NOT NULL, version bigint NOT NULL""",
    key=("stream",),
)


class PremiumAccount:
    """
    Rules: ZP-5, ZP-14, ZP-16, ZB-1 as they were decided; nothing is decided here.
    """

    name = "premium_account"
    version = 2
    kinds = frozenset({Kind.ZORGKAS_AFFILIATION})
    tables = (YEAR, AFFILIATION)
    reads_personal = False

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        _FOLDS[type(event)](rows, event, envelope)


def _account(rows: StreamRows, envelope: Envelope) -> AffiliationRow:
    """
    Return the row of totals, to be changed by this event.
    """
    account = rows.row(AFFILIATION)
    account.version = envelope.version
    return account


def _opened(rows: StreamRows, event: h.AffiliationOpened, envelope: Envelope) -> None:
    account = _account(rows, envelope)
    account.kind = event.kind
    account.from_year = event.from_year


def _charged(rows: StreamRows, event: h.ZorgpremieCharged, envelope: Envelope) -> None:
    year = rows.row(YEAR, event.year)
    year.charged_cents = event.amount_cents
    year.reduced = event.reduced
    year.due_on = event.due_on
    _account(rows, envelope).charged_cents += event.amount_cents


def _amount_changed(rows: StreamRows, event: h.ZorgpremieAmountChanged, envelope: Envelope) -> None:
    year = rows.row(YEAR, event.year)
    year.charged_cents = event.to_cents
    year.reduced = event.reduced
    year.paid_cents -= event.freed_cents
    account = _account(rows, envelope)
    account.charged_cents += event.to_cents - event.from_cents
    account.allocated_cents -= event.freed_cents
    account.credit_cents += event.freed_cents


def _invited(rows: StreamRows, event: h.InvitationIssued, _envelope: Envelope) -> None:
    year = rows.row(YEAR, event.year)
    year.ogm = event.ogm
    year.invited_on = event.issued_on


def _reminded(rows: StreamRows, event: h.ReminderIssued, _envelope: Envelope) -> None:
    rows.row(YEAR, event.year).reminded_on = event.issued_on


def _paid(rows: StreamRows, event: h.PaymentReceived, envelope: Envelope) -> None:
    account = _account(rows, envelope)
    account.received_cents += event.amount_cents
    account.credit_cents += event.credit_cents
    for share in event.allocations:
        year = rows.row(YEAR, share.year)
        year.paid_cents += share.amount_cents
        year.last_value_date = event.value_date
        account.allocated_cents += share.amount_cents


def _reversed(rows: StreamRows, event: h.PaymentReversed, envelope: Envelope) -> None:
    account = _account(rows, envelope)
    account.received_cents -= event.amount_cents
    account.credit_cents -= event.credit_cents
    for share in event.allocations:
        year = rows.row(YEAR, share.year)
        year.paid_cents -= share.amount_cents
        year.last_value_date = None
        account.allocated_cents -= share.amount_cents


def _reordered(rows: StreamRows, event: h.AllocationsReordered, _envelope: Envelope) -> None:
    for key in _years_moved(event):
        rows.row(YEAR, *key).last_value_date = None


def _credit_used(rows: StreamRows, event: h.CreditAllocated, envelope: Envelope) -> None:
    account = _account(rows, envelope)
    for share in event.allocations:
        rows.row(YEAR, share.year).paid_cents += share.amount_cents
        account.allocated_cents += share.amount_cents
        account.credit_cents -= share.amount_cents


def _credit_refunded(rows: StreamRows, event: h.CreditRefunded, envelope: Envelope) -> None:
    account = _account(rows, envelope)
    account.credit_cents -= event.amount_cents
    account.refunded_cents += event.amount_cents


def _missed(rows: StreamRows, event: h.YearMissed, envelope: Envelope) -> None:
    year = rows.row(YEAR, event.year)
    year.missed_on = event.missed_on
    year.missed_run = envelope.commit.run


def _missed_after_all(rows: StreamRows, event: h.MissReinstated, _envelope: Envelope) -> None:
    rows.row(YEAR, event.year).missed_on = event.known_on


def _not_missed(rows: StreamRows, event: h.MissCorrected, _envelope: Envelope) -> None:
    rows.row(YEAR, event.year).missed_on = None


def _fined(rows: StreamRows, event: h.FineImposed, _envelope: Envelope) -> None:
    for year in event.years:
        rows.row(YEAR, year).claimed_by_agency = True


# Letters and reports have read models of their own.
_FOLDS: Final = ByEvent[Fold](
    {
        h.AffiliationOpened: _opened,
        h.ZorgpremieCharged: _charged,
        h.ZorgpremieAmountChanged: _amount_changed,
        h.InvitationIssued: _invited,
        h.ReminderIssued: _reminded,
        h.PaymentReceived: _paid,
        h.PaymentReversed: _reversed,
        h.CreditAllocated: _credit_used,
        h.CreditRefunded: _credit_refunded,
        h.AllocationsReordered: _reordered,
        h.YearMissed: _missed,
        h.MissReinstated: _missed_after_all,
        h.MissCorrected: _not_missed,
        h.FineImposed: _fined,
    },
    otherwise=unmoved,
)
