"""
What stands in the way of an account's chain of statements, and every gap that people ever declared in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal

import msgspec

from domain.bank_account import (
    BankAccountState,
    Gap,
    HappenedToBankAccount,
    StatementDiscarded,
    StatementGapApproved,
    StatementGapDeclared,
    StatementGapExplained,
)

#: `to_approve`: waits for a second person. `open`: the chain goes on, and a difference waits for its explanation.
#: `explained`: a person said what it was. `closed`: the balances meet. `lapsed`: the chain went on by itself.
GapIs = Literal["to_approve", "open", "explained", "closed", "lapsed"]


class GapView(msgspec.Struct, frozen=True, kw_only=True):
    """
    One gap, with who said what of it. `difference_cents` is what is still missing: above zero money came in.
    """

    statement: str
    after: str
    state: GapIs
    difference_cents: int
    declared_cents: int
    reason: str
    declared_by: str
    declared_on: date
    approved_by: str = ""
    approved_on: date | None = None
    explanation: str = ""
    explained_by: str = ""
    explained_on: date | None = None


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """
    A statement that waited and was given up.
    """

    statement: str
    reason: str
    discarded_by: str
    discarded_on: date


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why the first statement that waits cannot follow: `missing` names one, or the balances do not meet (cents).
    """

    statement: str
    opening_cents: int
    last: str
    closing_cents: int
    missing: str = ""


def obstacle(state: BankAccountState) -> Obstacle | None:
    """
    Return what keeps the first waiting statement back, or None when none waits.
    """
    if not state.held or state.last is None:
        return None
    last, first = state.last, state.held[0]
    is_next_number = (first.year, first.number) == (last.year, last.number + 1)
    missing = (last.year, last.number + 1)
    if first.year > last.year and first.number > 1:
        missing = (last.year + 1, 1)
    return Obstacle(
        statement=f"{first.year}/{first.number}",
        opening_cents=first.opening_cents,
        last=f"{last.year}/{last.number}",
        closing_cents=last.closing_cents,
        missing="" if is_next_number else f"{missing[0]}/{missing[1]}",
    )


def gaps_of(state: BankAccountState, history: Iterable[HappenedToBankAccount]) -> Sequence[GapView]:
    """
    Return every gap ever declared, oldest first; `state` says what is left of each.
    """
    views: list[GapView] = []
    for event in history:
        match event:
            case StatementGapDeclared():
                views.append(_declared(event))
            case StatementGapApproved():
                _change(views, event, approved_by=event.approved_by, approved_on=event.approved_on)
            case StatementGapExplained():
                _change(
                    views, event, explanation=event.reason, explained_by=event.explained_by,
                    explained_on=event.explained_on,
                )  # fmt: skip
            case _:
                pass
    left = {f"{gap.year}/{gap.number}": gap for gap in state.gaps}
    newest = {view.statement: place for place, view in enumerate(views)}
    return [
        _as_it_is(view, left.get(view.statement) if newest[view.statement] == place else None)
        for place, view in enumerate(views)
    ]


def discarded_of(history: Iterable[HappenedToBankAccount]) -> Sequence[Discarded]:
    """
    Return every statement that was given up while it waited, oldest first.
    """
    return [
        Discarded(
            statement=f"{event.year}/{event.number}", reason=event.reason, discarded_by=event.discarded_by,
            discarded_on=event.discarded_on,
        )
        for event in history
        if isinstance(event, StatementDiscarded)
    ]  # fmt: skip


def _declared(event: StatementGapDeclared) -> GapView:
    difference = event.opening_cents - event.after_cents
    return GapView(
        statement=f"{event.year}/{event.number}", after=f"{event.after_year}/{event.after_number}", state="to_approve",
        difference_cents=difference, declared_cents=difference, reason=event.reason, declared_by=event.declared_by,
        declared_on=event.declared_on,
    )  # fmt: skip


def _change(views: list[GapView], of: StatementGapApproved | StatementGapExplained, **changes: object) -> None:
    for place in reversed(range(len(views))):
        if views[place].statement == f"{of.year}/{of.number}":
            views[place] = msgspec.structs.replace(views[place], **changes)
            return


def _as_it_is(view: GapView, gap: Gap | None) -> GapView:
    if gap is None:
        return msgspec.structs.replace(view, state="lapsed", difference_cents=0)
    is_now: GapIs = "to_approve"
    if gap.counts:
        is_now = "closed" if not gap.difference_cents else "explained" if gap.explained else "open"
    return msgspec.structs.replace(
        view, state=is_now, difference_cents=gap.difference_cents, after=f"{gap.after_year}/{gap.after_number}"
    )
