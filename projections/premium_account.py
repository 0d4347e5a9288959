"""
The premium account: per member and year what was charged, paid and is open; and the affiliation it belongs to.

One stream is one affiliation; `premium_year` has a row per year, `affiliation` one row with its totals.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import cast
from uuid import UUID

from msgspec.structs import replace

from domain.envelope import Envelope
from domain.events import Event
from domain.ids import Kind
from domain.zorgkas_affiliation import happened as h
from projections.model import Row, StreamRows, Table


class PremiumYear(Row, frozen=True):
    """
    One year of one member. Amounts in cents; `missed_on` is empty when the year is not (or no longer) missed.
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


class AffiliationRow(Row, frozen=True):
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


def _years_of(event: Event) -> Iterable[tuple[int]]:
    """
    Return the years that an event is about.
    """
    match event:
        case h.PaymentReceived() | h.PaymentReversed() | h.CreditAllocated():
            return [(share.year,) for share in event.allocations]
        case h.FineImposed():
            return [(year,) for year in event.years]
        case _:
            year = getattr(event, "year", None)
            return () if year is None else ((year,),)


YEAR = Table(
    name="premium_year",
    row=PremiumYear,
    columns="""
    stream uuid NOT NULL, year integer NOT NULL, charged_cents bigint NOT NULL, paid_cents bigint NOT NULL,
    reduced boolean NOT NULL, due_on date, missed_on date, ogm text, invited_on date, reminded_on date,
    last_value_date date, claimed_by_agency boolean NOT NULL, missed_run uuid""",
    key=("stream", "year"),
    indexes=("CREATE INDEX ON {table} (year) WHERE paid_cents < charged_cents",),
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
    version = 1
    kinds = frozenset({Kind.ZORGKAS_AFFILIATION})
    tables = (YEAR, AFFILIATION)
    reads_personal = False

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        match event:
            case h.ZorgpremieCharged():
                _year(rows, envelope, event.year, charged_cents=event.amount_cents, reduced=event.reduced,
                      due_on=event.due_on)  # fmt: skip
                account = _account(rows, envelope)
                _total(rows, envelope, account, charged_cents=account.charged_cents + event.amount_cents)
            case h.InvitationIssued():
                _year(rows, envelope, event.year, ogm=event.ogm, invited_on=event.issued_on)
            case h.PaymentReceived():
                _paid(rows, envelope, event, sign=1)
            case h.AffiliationOpened():
                _total(rows, envelope, _account(rows, envelope), kind=event.kind, from_year=event.from_year)
            case h.ZorgpremieAmountChanged():
                _amount_changed(rows, envelope, event)
            case h.ReminderIssued():
                _year(rows, envelope, event.year, reminded_on=event.issued_on)
            case h.PaymentReversed():
                _paid(rows, envelope, event, sign=-1)
            case h.CreditAllocated():
                _credit_used(rows, envelope, event)
            case h.CreditRefunded():
                account = _account(rows, envelope)
                _total(rows, envelope, account, credit_cents=account.credit_cents - event.amount_cents,
                       refunded_cents=account.refunded_cents + event.amount_cents)  # fmt: skip
            case h.YearMissed():
                _year(rows, envelope, event.year, missed_on=event.missed_on, missed_run=envelope.commit.run)
            case h.MissReinstated():
                _year(rows, envelope, event.year, missed_on=event.known_on)
            case h.MissCorrected():
                _year(rows, envelope, event.year, missed_on=None)
            case h.FineImposed():
                for year in event.years:
                    _year(rows, envelope, year, claimed_by_agency=True)
            case _:
                pass  # letters and reports have read models of their own


def _year(rows: StreamRows, envelope: Envelope, year: int, **changes: object) -> None:
    row = rows.get("premium_year", year) or PremiumYear(envelope.stream, year)
    rows.put("premium_year", replace(row, **changes), year)


def _account(rows: StreamRows, envelope: Envelope) -> AffiliationRow:
    row: AffiliationRow = rows.get("affiliation") or AffiliationRow(envelope.stream)  # type: ignore[assignment]
    return row


def _total(rows: StreamRows, envelope: Envelope, account: AffiliationRow, **changes: object) -> None:
    rows.put("affiliation", replace(account, version=envelope.version, **changes))


def _put_on_years(
    rows: StreamRows, envelope: Envelope, allocations: tuple[h.Allocation, ...], *, sign: int, value_date: date | None
) -> int:
    total = 0
    for allocation in allocations:
        row = cast(PremiumYear | None, rows.get("premium_year", allocation.year))
        paid = row.paid_cents if row else 0
        last = value_date if sign > 0 and value_date is not None else (row.last_value_date if row else None)
        _year(rows, envelope, allocation.year, paid_cents=paid + sign * allocation.amount_cents, last_value_date=last)
        total += sign * allocation.amount_cents
    return total


def _paid(rows: StreamRows, envelope: Envelope, event: h.PaymentReceived | h.PaymentReversed, *, sign: int) -> None:
    allocated = _put_on_years(rows, envelope, event.allocations, sign=sign, value_date=event.value_date)
    account = _account(rows, envelope)
    _total(
        rows,
        envelope,
        account,
        received_cents=account.received_cents + sign * event.amount_cents,
        allocated_cents=account.allocated_cents + allocated,
        credit_cents=account.credit_cents + sign * event.credit_cents,
    )


def _credit_used(rows: StreamRows, envelope: Envelope, event: h.CreditAllocated) -> None:
    allocated = _put_on_years(rows, envelope, event.allocations, sign=1, value_date=None)
    account = _account(rows, envelope)
    _total(
        rows,
        envelope,
        account,
        allocated_cents=account.allocated_cents + allocated,
        credit_cents=account.credit_cents - allocated,
    )


def _amount_changed(rows: StreamRows, envelope: Envelope, event: h.ZorgpremieAmountChanged) -> None:
    row = cast(PremiumYear | None, rows.get("premium_year", event.year))
    paid = row.paid_cents if row else 0
    _year(
        rows,
        envelope,
        event.year,
        charged_cents=event.to_cents,
        reduced=event.reduced,
        paid_cents=paid - event.freed_cents,
    )
    account = _account(rows, envelope)
    _total(
        rows,
        envelope,
        account,
        charged_cents=account.charged_cents + event.to_cents - event.from_cents,
        allocated_cents=account.allocated_cents - event.freed_cents,
        credit_cents=account.credit_cents + event.freed_cents,
    )
