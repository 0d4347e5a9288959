"""
From what was published of an affiliation back to facts that a ledger needs: the same words, without what was kept back.

So a read model that is fed from Kafka folds with the same code as one that is fed from the store. What is not published
(the structured communication, accounts, references, the basis of a decision) is empty here and must not be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from domain.envelope import Commit, Envelope
from domain.events import Basis, Event
from domain.ids import StreamId
from domain.money import Cents
from domain.personal import ERASED
from domain.zorgkas_affiliation import happened as z
from formats.avro import NotOurMessage, Received

Read = Callable[[Mapping[str, Any]], Event]

_NO_BASIS: Final = Basis(rules=())
#: Which command it was, who sent it and for which day of business is not published.
_NOT_TOLD: Final = UUID(int=0)
_NO_DAY: Final = date.min


def _allocations(items: Iterable[Mapping[str, Any]]) -> tuple[z.Allocation, ...]:
    return tuple(z.Allocation(item["year"], Cents(item["amount_cents"])) for item in items)


def _same(event: type[Event], *names: str) -> Read:
    """
    Return what reads a record whose fields have the names that the event's have.
    """
    return lambda f: event(**{name: f[name] for name in names}, basis=_NO_BASIS)


def _payment(f: Mapping[str, Any]) -> Event:
    return z.PaymentReceived(
        movement=StreamId(f["movement_id"]),
        amount_cents=f["amount_cents"],
        value_date=f["value_date"],
        booked_on=f["booked_on"],
        matched_by=f["matched_by"].lower(),
        allocations=_allocations(f["allocations"]),
        credit_cents=f["credit_cents"],
        payer_iban=ERASED,
        basis=_NO_BASIS,
    )


def _reversal(f: Mapping[str, Any]) -> Event:
    return z.PaymentReversed(
        movement=StreamId(f["movement_id"]),
        reversed_by=StreamId(f["reversed_by_movement_id"]),
        amount_cents=f["amount_cents"],
        value_date=f["value_date"],
        allocations=_allocations(f["allocations"]),
        credit_cents=f["credit_cents"],
        basis=_NO_BASIS,
    )


def _letter_facts(f: Mapping[str, Any]) -> dict[str, Any]:
    names = ("year", "letter_id", "amount_cents", "issued_on")
    return {name: f[name] for name in names} | {"ogm": "", "account": "", "basis": _NO_BASIS}


_READ: Final[Mapping[str, Read]] = {
    f"backoffice.zorgkas.{name}": read
    for name, read in {
        "AffiliationOpened": lambda f: z.AffiliationOpened(
            kind=f["kind"].lower(), from_year=f["from_year"], basis=_NO_BASIS
        ),
        "ZorgpremieCharged": _same(z.ZorgpremieCharged, "year", "amount_cents", "reduced", "due_on", "window_until"),
        "ZorgpremieAmountChanged": _same(
            z.ZorgpremieAmountChanged, "year", "from_cents", "to_cents", "reduced", "freed_cents"
        ),
        "InvitationIssued": lambda f: z.InvitationIssued(**_letter_facts(f), due_on=f["due_on"]),
        "ReminderIssued": lambda f: z.ReminderIssued(**_letter_facts(f)),
        "PaymentReceived": _payment,
        "PaymentReversed": _reversal,
        "CreditAllocated": lambda f: z.CreditAllocated(
            allocations=_allocations(f["allocations"]), allocated_on=f["allocated_on"], basis=_NO_BASIS
        ),
        "CreditRefunded": lambda f: z.CreditRefunded(
            amount_cents=f["amount_cents"], refunded_on=f["refunded_on"], reference="", basis=_NO_BASIS
        ),
        "YearMissed": _same(z.YearMissed, "year", "missed_on", "open_cents"),
        "MissReinstated": _same(z.MissReinstated, "year", "open_cents", "known_on"),
        "MissCorrected": lambda f: z.MissCorrected(
            year=f["year"], because=f["because"].lower(), known_on=f["known_on"], basis=_NO_BASIS
        ),
        "FineImposed": lambda f: z.FineImposed(
            reference="",
            letter_id=f["letter_id"],
            years=tuple(f["years"]),
            amount_cents=f["amount_cents"],
            imposed_on=f["imposed_on"],
            basis=_NO_BASIS,
        ),
    }.items()
}


def to_ledger_facts(received: Received) -> Envelope | None:
    """
    Return a message of the affiliation topic as an event of the affiliation, or None when no amount, year or day of the
    premium account changes by it (letters, reports). `position` is the message's sequence.

    Raises NotOurMessage when it was read without its headers.
    """
    if received.event is None:
        raise NotOurMessage("ENVELOPE", "it was read without its headers", record=received.record_name)
    read = _READ.get(received.record_name)
    if read is None:
        return None
    ce = received.event
    name = _type_of(received.record_name, received.version)
    event = read(received.fields)
    return Envelope(ce.sequence, StreamId(ce.stream), ce.stream_version, name, ce.time, event, _commit_of(ce.run))


@lru_cache(maxsize=1_024)
def _type_of(record_name: str, version: int) -> str:
    return f"{record_name}/{version}"


@lru_cache(maxsize=1_024)
def _commit_of(run: UUID | None) -> Commit:
    """
    Return what is told of a commit: its run. The events of a run come one after the other.
    """
    return Commit(
        command_id=_NOT_TOLD, actor="", business_date=_NO_DAY, cause="published",
        run=None if run is None else StreamId(run),
    )  # fmt: skip
