"""
Showing a run: who and why, who not and why not, totals, the largest, and what is other than last time. Page by page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from application.runs.digest import events_of
from application.runs.lifecycle import Runs
from application.runs.pages import UNDECIDED
from application.runs.ports import Difference, Item, NotSelected, OutcomeRow, Registered, Totals
from domain.errors import Refused
from domain.events import Basis
from domain.ids import MemberId, StreamId, belonging_to, owner_of
from domain.run import Control

LARGEST: Final = 10
PAGE_MAX: Final = 1_000


class PageTooLong(Refused):
    """
    A page has at most 1,000 lines; ask for the next one with `after`.
    """


class ReasonView(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why so many were passed over, with the rule and the values of the law that say so.
    """

    reason: str
    basis: Basis
    times: int


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """
    One selected member: the exact events that were planned, and what became of them ("" while it is open or done).
    """

    ordinal: int
    member: MemberId
    stream: StreamId
    amount_cents: int
    events: Sequence[Mapping[str, Any]]
    rules: Sequence[str]
    outcome: str = ""
    reason: str = ""
    detail: str = ""


class PassedOverView(msgspec.Struct, frozen=True, kw_only=True):
    """
    One member that was looked at and not selected, and why not.
    """

    member: MemberId
    stream: StreamId
    reason: str
    basis: Basis


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A run as a whole. `not_done` counts refused and parked items by outcome and reason; amounts are in cents.
    """

    run: StreamId
    job: str
    business_date: date
    round: int
    phase: str
    planned_by: str
    digest: str
    needs_approval: bool
    items: int
    passed_over: int
    undecided: int
    amount_cents: int
    basis: Basis
    reasons: Sequence[ReasonView]
    largest: Sequence[ItemView]
    totals: Totals
    not_done: Mapping[str, int]
    controls: Sequence[Control]
    difference: Difference | None = None
    follows: StreamId | None = None

    @property
    def sentence(self) -> str:
        """
        Say in one sentence what the plan comes to; 0 selected is said, with the most frequent reason.
        """
        looked_at = self.items + self.passed_over
        if self.items:
            return f"{self.items} of {looked_at} selected, {self.passed_over} passed over."
        if not looked_at:
            return "0 selected: there was nobody to look at."
        most = max(self.reasons, key=lambda reason: reason.times)
        return f"0 of {looked_at} selected; most were passed over because: {most.reason} ({most.times})."


def show(runs: Runs, run: StreamId) -> RunView:
    """
    Return the run as a whole. Raises NoSuchRun.
    """
    registered = runs.registered(run)
    planned, state = runs.plan_of(run), runs.state(run)
    reasons = [
        ReasonView(reason=reason.reason, basis=_basis(reason.basis), times=reason.times)
        for reason in runs.book.reasons(run)
    ]
    return RunView(
        run=run,
        job=planned.job,
        business_date=planned.business_date,
        round=planned.round,
        phase=state.phase,
        planned_by=planned.planned_by,
        digest=planned.digest,
        needs_approval=planned.needs_approval,
        items=planned.items,
        passed_over=planned.passed_over,
        undecided=sum(reason.times for reason in reasons if reason.reason.startswith(UNDECIDED)),
        amount_cents=planned.amount_cents,
        basis=planned.basis,
        reasons=sorted(reasons, key=lambda reason: (-reason.times, reason.reason)),
        largest=_views(runs, registered, runs.book.largest(run, limit=LARGEST)),
        totals=runs.book.totals(run),
        not_done={f"{kind}/{reason}": times for (kind, reason), times in runs.book.outcome_reasons(run).items()},
        controls=state.settled.controls if state.settled else (),
        difference=_difference(runs, registered),
        follows=registered.follows,
    )


def items_page(
    runs: Runs, run: StreamId, *, after: int = 0, limit: int = 50, member: MemberId | None = None
) -> Sequence[ItemView]:
    """
    Return selected members in id order, those after ordinal `after`, or only one member's.
    """
    registered = runs.registered(run)
    return _views(
        runs,
        registered,
        runs.book.items(run, after=after, limit=_page(limit), stream=_stream(runs, registered, member)),
    )


def passed_over_page(
    runs: Runs, run: StreamId, *, after: StreamId | None = None, limit: int = 50, member: MemberId | None = None
) -> Sequence[PassedOverView]:
    """
    Return who was looked at and not selected, in id order, those after stream `after`, or only one member.
    """
    registered = runs.registered(run)
    why = {reason.reason_no: reason for reason in runs.book.reasons(run)}
    rows: Sequence[NotSelected] = runs.book.passed_over(
        run, after=after, limit=_page(limit), stream=_stream(runs, registered, member)
    )
    return [
        PassedOverView(
            member=owner_of(row.stream),
            stream=row.stream,
            reason=why[row.reason_no].reason,
            basis=_basis(why[row.reason_no].basis),
        )
        for row in rows
    ]


def not_done_page(runs: Runs, run: StreamId, *, after: int = 0, limit: int = 50) -> Sequence[OutcomeRow]:
    """
    Return the items that were refused or parked, with reason and what differs, those after ordinal `after`.
    """
    return runs.book.outcomes(runs.registered(run).run, after=after, limit=_page(limit))


def _views(runs: Runs, run: Registered, items: Sequence[Item]) -> Sequence[ItemView]:
    aggregate = runs.job(run.key.job).aggregate
    not_done = {row.ordinal: row for row in runs.book.outcomes_of(run.run, [item.ordinal for item in items])}
    views = []
    for item in items:
        events = events_of(aggregate, item)
        told = not_done.get(item.ordinal)
        bases = [basis for event in events if isinstance(basis := getattr(event, "basis", None), Basis)]
        views.append(
            ItemView(
                ordinal=item.ordinal,
                member=owner_of(item.stream),
                stream=item.stream,
                amount_cents=item.amount_cents,
                events=msgspec.json.decode(item.decision),
                rules=sorted({rule for basis in bases for rule in basis.rules}),
                outcome=told.outcome if told else "",
                reason=told.reason if told else "",
                detail=told.detail if told else "",
            )
        )
    return views


def _difference(runs: Runs, run: Registered) -> Difference | None:
    previous = runs.book.before(run.run)
    return None if previous is None else runs.book.difference(run.run, previous)


def _stream(runs: Runs, run: Registered, member: MemberId | None) -> StreamId | None:
    return None if member is None else belonging_to(member, runs.job(run.key.job).aggregate.kind)


def _basis(encoded: bytes) -> Basis:
    return msgspec.json.decode(encoded, type=Basis)


def _page(limit: int) -> int:
    if not 1 <= limit <= PAGE_MAX:
        raise PageTooLong(limit=limit)
    return limit
