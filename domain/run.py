"""
The batch run: planned, approved by its hash by a second person, executed in chunks, settled against control totals.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.catalogue import Aggregate
from domain.events import Basis, Event
from domain.ids import Kind
from domain.money import ZERO, Cents
from domain.run_refusals import (
    AlreadyExecuted,
    AlreadyPlanned,
    AlreadySettled,
    AnotherClosing,
    ClosedWithoutReason,
    NeedsNoApproval,
    NoControls,
    NoName,
    NotApproved,
    NotExecuted,
    NotPlanned,
    NotStarted,
    OtherDigest,
    OwnPlan,
    RunIsAbandoned,
    TooLateToAbandon,
    TotalsDoNotAddUp,
)

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.


class Control(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Two figures that must be the same, in cents or counts, such as plan and events.
    """

    name: str
    expected: int
    actual: int


class RunPlanned(Event, frozen=True, kw_only=True):
    """
    The selection is frozen: `digest` is the SHA-256 over the run's key, every item and every value of the law used.

    `round` is 1, and more for a follow-up of the same job and date. Items and those passed over stand in their own
    table.
    """

    job: str
    business_date: date
    round: int
    items: int
    passed_over: int
    amount_cents: Cents
    digest: str
    needs_approval: bool
    planned_by: str
    basis: Basis


class RunApproved(Event, frozen=True, kw_only=True):
    """
    A second person approved exactly this digest.
    """

    digest: str
    approved_by: str


class RunStarted(Event, frozen=True, kw_only=True):
    """
    The first worker began.
    """

    chunks: int


class RunExecuted(Event, frozen=True, kw_only=True):
    """
    Every item was done, refused because the world had moved since the plan, or parked with its reason.
    """

    done: int
    refused: int
    parked: int
    events: int
    amount_cents: Cents


class RunSettled(Event, frozen=True, kw_only=True):
    """
    The control totals were compared; differences are named, never hidden.
    """

    controls: tuple[Control, ...]
    agrees: bool


class RunAbandoned(Event, frozen=True, kw_only=True):
    """
    A person gave the plan up before it was executed.
    """

    abandoned_by: str
    reason: str


Closing = Literal["not_ours", "done_elsewhere", "given_up"]


class RunDateClosed(Event, frozen=True, kw_only=True):
    """
    A person says that this job of this year will have no run here, and why. Its stream has no plan.
    """

    job: str
    year: int
    because: Closing
    reason: str
    closed_by: str
    closed_on: date


HappenedToRun = RunPlanned | RunApproved | RunStarted | RunExecuted | RunSettled | RunAbandoned | RunDateClosed


# --- What we remember of it ------------------------------------------------------------------------------------------

Phase = Literal["none", "planned", "approved", "started", "executed", "settled", "abandoned", "closed"]


class RunState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    How far the run is, what was planned and by whom, and what came of it.
    """

    phase: Phase = "none"
    job: str = ""
    items: int = 0
    amount_cents: Cents = ZERO
    digest: str = ""
    needs_approval: bool = True
    planned_by: str = ""
    executed: RunExecuted | None = None
    settled: RunSettled | None = None
    closed: RunDateClosed | None = None


def evolve(state: RunState, event: HappenedToRun) -> RunState:
    """
    Remember one event.
    """
    match event:
        case RunPlanned():
            return RunState(
                phase="planned",
                job=event.job,
                items=event.items,
                amount_cents=event.amount_cents,
                digest=event.digest,
                needs_approval=event.needs_approval,
                planned_by=event.planned_by,
            )
        case RunApproved():
            return replace(state, phase="approved")
        case RunStarted():
            return replace(state, phase="started")
        case RunExecuted():
            return replace(state, phase="executed", executed=event)
        case RunSettled():
            return replace(state, phase="settled", settled=event)
        case RunAbandoned():
            return replace(state, phase="abandoned")
        case RunDateClosed():
            return replace(state, phase="closed", closed=event)


RUN: Final = Aggregate[RunState, HappenedToRun](
    context="runs",
    kind=Kind.RUN,
    happened=HappenedToRun,
    initial=RunState(),
    evolve=evolve,
    fold_version=2,
)

# --- What we decide --------------------------------------------------------------------------------------------------

_SHA_256: Final = re.compile(r"[0-9a-f]{64}")


def plan(
    state: RunState,
    *,
    job: str,
    business_date: date,
    round: int,
    items: int,
    passed_over: int,
    amount_cents: Cents,
    digest: str,
    needs_approval: bool,
    planned_by: str,
    basis: Basis,
) -> list[HappenedToRun]:
    """
    Freeze the selection. `digest` is a SHA-256 in hexadecimal; a run for 0 items is a run too. Raises AlreadyPlanned.
    """
    if state.phase != "none":
        raise AlreadyPlanned
    if min(items, passed_over, round - 1) < 0 or not _SHA_256.fullmatch(digest) or not planned_by.strip():
        raise ValueError("a plan has counts of zero or more, a SHA-256 and someone who made it")
    return [
        RunPlanned(
            job=job,
            business_date=business_date,
            round=round,
            items=items,
            passed_over=passed_over,
            amount_cents=amount_cents,
            digest=digest,
            needs_approval=needs_approval,
            planned_by=planned_by.strip(),
            basis=basis,
        )
    ]


def approve(state: RunState, *, digest: str, approved_by: str) -> list[HappenedToRun]:
    """
    Approve exactly the plan that has this digest; never one's own.

    Raises NotPlanned, RunIsAbandoned, NeedsNoApproval, OtherDigest, NoName, OwnPlan.
    """
    _must_be_planned(state)
    if not state.needs_approval:
        raise NeedsNoApproval
    if digest != state.digest:
        raise OtherDigest
    if not approved_by.strip():
        raise NoName
    if _same_person(approved_by, state.planned_by):
        raise OwnPlan
    return [RunApproved(digest=digest, approved_by=approved_by.strip())] if state.phase == "planned" else []


def start(state: RunState, *, chunks: int) -> list[HappenedToRun]:
    """
    Begin, or go on after a worker was stopped. Raises NotPlanned, RunIsAbandoned, NotApproved, AlreadyExecuted.
    """
    _must_be_planned(state)
    if state.phase in {"executed", "settled"}:
        raise AlreadyExecuted
    if state.phase == "started":
        return []
    if state.phase == "planned" and state.needs_approval:
        raise NotApproved
    if not (0 < chunks <= state.items or chunks == state.items == 0):
        raise ValueError("every chunk has an item, and every item stands in a chunk")
    return [RunStarted(chunks=chunks)]


def record_execution(
    state: RunState, *, done: int, refused: int, parked: int, events: int, amount_cents: Cents
) -> list[HappenedToRun]:
    """
    Record the totals once every item is done, refused or parked.

    Raises NotPlanned, RunIsAbandoned, NotStarted, AlreadyExecuted (with other totals), TotalsDoNotAddUp.
    """
    _must_be_planned(state)
    executed = RunExecuted(done=done, refused=refused, parked=parked, events=events, amount_cents=amount_cents)
    if state.executed == executed:
        return []
    if state.executed is not None:
        raise AlreadyExecuted
    if state.phase != "started":
        raise NotStarted
    if min(done, refused, parked, events) < 0 or done + refused + parked != state.items:
        raise TotalsDoNotAddUp(planned=state.items, done=done, refused=refused, parked=parked)
    if done == state.items and amount_cents != state.amount_cents:
        raise TotalsDoNotAddUp(planned_cents=state.amount_cents, done_cents=amount_cents)
    return [executed]


def settle(state: RunState, *, controls: tuple[Control, ...]) -> list[HappenedToRun]:
    """
    Compare the control totals. While they differ, the run can be settled again; once they agree, it is closed.

    Raises NotPlanned, RunIsAbandoned, NotExecuted, NoControls, AlreadySettled.
    """
    _must_be_planned(state)
    if state.executed is None:
        raise NotExecuted
    if not controls:
        raise NoControls
    settled = RunSettled(controls=controls, agrees=all(each.expected == each.actual for each in controls))
    if state.settled == settled:
        return []
    if state.settled is not None and state.settled.agrees:
        raise AlreadySettled
    return [settled]


def abandon(state: RunState, *, abandoned_by: str, reason: str) -> list[HappenedToRun]:
    """
    Give the plan up before it is executed. Raises NotPlanned, TooLateToAbandon, NoName.
    """
    if state.phase in {"none", "closed"}:
        raise NotPlanned
    if state.phase == "abandoned":
        return []
    if state.phase not in {"planned", "approved"}:
        raise TooLateToAbandon
    if not abandoned_by.strip():
        raise NoName
    return [RunAbandoned(abandoned_by=abandoned_by.strip(), reason=reason.strip())]


def close_date(
    state: RunState, *, job: str, year: int, because: Closing, reason: str, closed_by: str, closed_on: date
) -> list[HappenedToRun]:
    """
    Close a date of the calendar that will have no run here. The same ground again is nothing.

    Raises ClosedWithoutReason, NoName, AnotherClosing.
    """
    if not reason.strip():
        raise ClosedWithoutReason
    if not closed_by.strip():
        raise NoName
    if state.closed is not None:
        if state.closed.because != because:
            raise AnotherClosing(because=state.closed.because)
        return []
    return [
        RunDateClosed(
            job=job, year=year, because=because, reason=reason.strip(), closed_by=closed_by.strip(), closed_on=closed_on
        )
    ]


def _must_be_planned(state: RunState) -> None:
    if state.phase in {"none", "closed"}:
        raise NotPlanned
    if state.phase == "abandoned":
        raise RunIsAbandoned


def _same_person(one: str, other: str) -> bool:
    # As a reader sees names: letter case, width, spaces and invisible characters make no other person.
    return _as_read(one) == _as_read(other)


def _as_read(name: str) -> str:
    letters = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(each for each in letters if unicodedata.category(each) != "Cf").split())
