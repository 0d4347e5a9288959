"""
What is recorded of a run itself: that it was planned, and that all of it was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from application.runs.ports import RunKey, Totals
from domain import run as runs
from domain.envelope import Commit
from domain.events import Basis, Used
from domain.ids import StreamId, derived_key
from domain.money import Cents
from domain.run import RunState


class Planned(NamedTuple):
    """
    What planning froze: `items` of them will be done for `amount_cents`, `passed_over` will not. 0 items is an answer.
    """

    run: StreamId
    key: RunKey
    items: int
    passed_over: int
    amount_cents: int
    digest: str
    needs_approval: bool


def commit_of(run: StreamId, key: RunKey, step: str, actor: str) -> Commit:
    """
    Return with what a step of a run is recorded: once, whoever repeats it.
    """
    return Commit(
        command_id=derived_key(str(run), step),
        actor=actor,
        business_date=key.business_date,
        cause=key.job,
        run=run,
    )


def planned(
    state: RunState, plan: Planned, actor: str, rules: tuple[str, ...], law_used: tuple[Used, ...]
) -> Sequence[runs.HappenedToRun]:
    return runs.plan(
        state,
        job=plan.key.job,
        business_date=plan.key.business_date,
        round=plan.key.round,
        items=plan.items,
        passed_over=plan.passed_over,
        amount_cents=Cents(plan.amount_cents),
        digest=plan.digest,
        needs_approval=plan.needs_approval,
        planned_by=actor,
        basis=Basis(rules=rules, values=law_used),
    )


def executed(state: RunState, totals: Totals) -> Sequence[runs.HappenedToRun]:
    return runs.record_execution(
        state,
        done=totals.done,
        refused=totals.refused,
        parked=totals.parked,
        events=totals.events,
        amount_cents=Cents(totals.amount_cents),
    )
