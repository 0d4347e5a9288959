"""
Which facts of an event others get to see, event by event: the translation from what we store to what we promised.

Names, accounts, references and reasons that people wrote stay here; what is published stands in `schemas/`. The fields
that every record has (whose it is, version, moment, run) are added by `formats.published`. A word of the domain becomes
a symbol in capitals; one that the schema does not know stops the relay, and a test finds it before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from domain import bank_account as ba
from domain import bank_movement as bm
from domain import member as m
from domain import run as r
from domain.events import Event
from domain.zorgkas_affiliation import happened as z

Fields = dict[str, Any]
Translate = Callable[[Any], Fields]


def _year_amounts(allocations: Sequence[z.Allocation]) -> list[Fields]:
    return [{"year": each.year, "amount_cents": each.amount_cents} for each in allocations]


def _move(move: z.Move) -> Fields:
    return {
        "movement_id": move.movement,
        "from_year": move.from_year,
        "to_year": move.to_year,
        "amount_cents": move.amount_cents,
    }


def _control(control: r.Control) -> Fields:
    return {"name": control.name, "expected": control.expected, "actual": control.actual}


_MEMBER: Final[Mapping[type[Event], Translate]] = {
    m.MemberRegistered: lambda e: {"language": e.language.upper()},
    m.DomicileRecorded: lambda e: {"starts_on": e.starts_on, "region": e.region.upper()},
    m.CmMembershipStarted: lambda e: {"starts_on": e.starts_on},
    m.CmMembershipEnded: lambda e: {"ends_on": e.ends_on},
    m.VerhoogdeTegemoetkomingGranted: lambda e: {"starts_on": e.starts_on, "ends_on": e.ends_on},
    m.VerhoogdeTegemoetkomingEnded: lambda e: {"ends_on": e.ends_on},
    m.MemberDied: lambda e: {"died_on": e.died_on},
}

_PREMIUM: Final[Mapping[type[Event], Translate]] = {
    z.AffiliationOpened: lambda e: {"kind": e.kind.upper(), "from_year": e.from_year},
    z.ZorgpremieCharged: lambda e: {
        "year": e.year,
        "amount_cents": e.amount_cents,
        "reduced": e.reduced,
        "due_on": e.due_on,
        "window_until": e.window_until,
    },
    z.ZorgpremieAmountChanged: lambda e: {
        "year": e.year,
        "from_cents": e.from_cents,
        "to_cents": e.to_cents,
        "reduced": e.reduced,
        "freed_cents": e.freed_cents,
    },
    z.InvitationIssued: lambda e: {
        "year": e.year,
        "letter_id": e.letter_id,
        "amount_cents": e.amount_cents,
        "due_on": e.due_on,
        "issued_on": e.issued_on,
    },
    z.PaymentReceived: lambda e: {
        "movement_id": e.movement,
        "amount_cents": e.amount_cents,
        "value_date": e.value_date,
        "booked_on": e.booked_on,
        "matched_by": e.matched_by.upper(),
        "allocations": _year_amounts(e.allocations),
        "credit_cents": e.credit_cents,
    },
    z.PaymentReversed: lambda e: {
        "movement_id": e.movement,
        "reversed_by_movement_id": e.reversed_by,
        "amount_cents": e.amount_cents,
        "value_date": e.value_date,
        "allocations": _year_amounts(e.allocations),
        "credit_cents": e.credit_cents,
    },
    z.AllocationsReordered: lambda e: {"moves": [_move(move) for move in e.moves]},
    z.CreditAllocated: lambda e: {"allocations": _year_amounts(e.allocations), "allocated_on": e.allocated_on},
    z.CreditRefunded: lambda e: {"amount_cents": e.amount_cents, "refunded_on": e.refunded_on},
}

_ARREARS: Final[Mapping[type[Event], Translate]] = {
    z.YearMissed: lambda e: {"year": e.year, "missed_on": e.missed_on, "open_cents": e.open_cents},
    z.MissCorrected: lambda e: {"year": e.year, "because": e.because.upper(), "known_on": e.known_on},
    z.MissReinstated: lambda e: {"year": e.year, "open_cents": e.open_cents, "known_on": e.known_on},
    z.ReminderIssued: lambda e: {
        "year": e.year,
        "letter_id": e.letter_id,
        "amount_cents": e.amount_cents,
        "issued_on": e.issued_on,
    },
    z.RegisteredLetterIssued: lambda e: {
        "letter_id": e.letter_id,
        "letter_year": e.letter_year,
        "years": _year_amounts(e.years),
        "amount_cents": e.amount_cents,
        "pay_by": e.pay_by,
        "issued_on": e.issued_on,
    },
    z.RegisteredLetterPosted: lambda e: {"letter_id": e.letter_id, "posted_on": e.posted_on},
    z.RegisteredLetterWithdrawn: lambda e: {
        "letter_id": e.letter_id,
        "withdrawn_on": e.withdrawn_on,
        "because": e.because.upper(),
    },
    z.PostedLetterContradicted: lambda e: {
        "letter_id": e.letter_id,
        "known_on": e.known_on,
        "because": e.because.upper(),
    },
    z.ReportedToAgency: lambda e: {
        "letter_id": e.letter_id,
        "report_id": e.report_id,
        "years": _year_amounts(e.years),
        "amount_cents": e.amount_cents,
        "reported_on": e.reported_on,
    },
    z.ReportCorrected: lambda e: {
        "letter_id": e.letter_id,
        "report_id": e.report_id,
        "corrected_on": e.corrected_on,
        "because": e.because.upper(),
    },
    z.FineImposed: lambda e: {
        "letter_id": e.letter_id,
        "years": list(e.years),
        "amount_cents": e.amount_cents,
        "imposed_on": e.imposed_on,
    },
    z.FineFollowedUp: lambda e: {
        "outcome": e.outcome.upper(),
        "happened_on": e.happened_on,
        "letter_id": e.letter_id,
        "years": list(e.years) or None,
    },
}

_BANK: Final[Mapping[type[Event], Translate]] = {
    ba.StatementTaken: lambda e: {
        "year": e.year,
        "number": e.number,
        "opened_on": e.opened_on,
        "closed_on": e.closed_on,
        "opening_cents": e.opening_cents,
        "closing_cents": e.closing_cents,
        "credit_cents": e.credit_cents,
        "debit_cents": e.debit_cents,
        "movements": e.movements,
        "content_digest": e.content_digest,
    },
    ba.StatementHeld: lambda e: {
        "year": e.year,
        "number": e.number,
        "opening_cents": e.opening_cents,
        "waits_for_year": e.waits_for_year,
        "waits_for_number": e.waits_for_number,
    },
    bm.MovementHeld: lambda e: {
        "account_id": e.account,
        "year": e.year,
        "number": e.number,
        "ordinal": e.ordinal,
        "amount_cents": e.amount_cents,
        "value_date": e.value_date,
        "booked_on": e.booked_on,
        "because": e.because.upper(),
    },
    bm.MovementAllocated: lambda e: {"amount_cents": e.amount_cents, "allocated_on": e.allocated_on},
    bm.MovementReturned: lambda e: {"amount_cents": e.amount_cents, "returned_on": e.returned_on},
    bm.MovementExplained: lambda e: {"explained_on": e.explained_on, "as_what": e.as_what.upper()},
}

_RUN: Final[Mapping[type[Event], Translate]] = {
    r.RunPlanned: lambda e: {
        "job": e.job,
        "business_date": e.business_date,
        "round": e.round,
        "items": e.items,
        "passed_over": e.passed_over,
        "amount_cents": e.amount_cents,
        "digest": e.digest,
        "needs_approval": e.needs_approval,
    },
    r.RunApproved: lambda e: {"digest": e.digest},
    r.RunStarted: lambda e: {"chunks": e.chunks},
    r.RunExecuted: lambda e: {
        "done": e.done,
        "refused": e.refused,
        "parked": e.parked,
        "events": e.events,
        "amount_cents": e.amount_cents,
    },
    r.RunSettled: lambda e: {"controls": [_control(control) for control in e.controls], "agrees": e.agrees},
    r.RunAbandoned: lambda _: {},
}

TRANSLATIONS: Final[Mapping[type[Event], Translate]] = {**_MEMBER, **_PREMIUM, **_ARREARS, **_BANK, **_RUN}
