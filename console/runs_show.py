"""
`backoffice run show`: who and why, who not and why not, what was left out, page by page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import click

from application.wording import because
from console.asking import Asked, MemberType, asks, back_office
from console.finding import run_named
from console.output import count, euros, facts, give, heading, out, table
from domain.ids import MemberId, StreamId

if TYPE_CHECKING:
    from datetime import date

    from application.runs.lifecycle import Runs
    from application.runs.ports import OutcomeRow
    from application.runs.show import ItemView, PassedOverView, RunView
    from console.answers.of_runs import LeftOutItem
    from domain.events import Basis

_LEAST = 10


@click.command("show")
@click.argument("run")
@click.option("--selected", is_flag=True, help="List who is selected, with amount and rules.")
@click.option("--passed-over", is_flag=True, help="List who is not, and why not.")
@click.option("--left-out", is_flag=True, help="List what was planned and then refused or parked.")
@click.option("--member", type=MemberType(), help="Only this member.")
@click.option("--after", help="Go on after this line of the list (the number or the id that the page ended with).")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Lines of a page.")
@asks
def run_show(
    asked: Asked, run: str, *, selected: bool, passed_over: bool, left_out: bool, member: MemberId | None,
    after: str | None, limit: int,
) -> None:  # fmt: skip
    """
    Show a run: its totals, the reasons, the largest amounts, and what is other than last time.

    RUN is a run's id, its first letters, or the name of a job: then its newest run that was not given up.

    Example: ./backoffice run show invitations --passed-over --limit 20
    """
    from application.runs.show import items_page, not_done_page, passed_over_page, show
    from console.answers.of_runs import RunShown

    with back_office(asked) as backoffice:
        stream = run_named(backoffice, run)
        runs = backoffice.runs
        view = show(runs, stream)
        number = _number(after) if (selected or left_out) else 0
        one_member = member is not None
        items: Sequence[ItemView] = ()
        passed: Sequence[PassedOverView] = ()
        outcomes: Sequence[OutcomeRow] = ()
        if selected or one_member:
            items = items_page(runs, stream, after=number, limit=limit, member=member)
        if passed_over or one_member:
            since = StreamId(_id(after)) if passed_over and after else None
            passed = passed_over_page(runs, stream, after=since, limit=limit, member=member)
        if left_out:
            outcomes = not_done_page(runs, stream, after=number, limit=limit)
        waits = view.phase in {"planned", "approved"}
        warning = warning_of(runs, view.job, view.business_date) if waits else ""

    left = [_left_out(each) for each in outcomes]

    def on_screen() -> None:
        if not one_member:
            _show_run(view)
            warn(warning)
        _show_items(items)
        _show_passed_over(passed)
        _show_left_out(left)
        if one_member and not items and not passed:
            out("This run did not look at this member.")

    shown = RunShown(run=view, items=items, passed_over=passed, left_out=left, warning=warning)
    give(shown, on_screen, as_json=asked.as_json)


def warning_of(runs: Runs, job: str, business_date: date) -> str:
    """
    Say what a run would better wait for; nothing when all is there.
    """
    from application.runs.gates import line_on, short_of_statements

    line = line_on(runs.calendar, job, business_date=business_date, law=runs.law)
    return short_of_statements(line, runs.statements_cover) if line is not None else ""


def warn(warning: str) -> None:
    if warning:
        out(click.style(f"Better wait for {warning}. Whoever paid in time is named as late until they come.", fg="red"))


def figure(name: str, value: int) -> str:
    """
    Write a control total; its name says whether it counts cents.
    """
    return euros(value) if name.startswith("cents") else str(value)


def _number(after: str | None) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdecimal()):
        raise click.UsageError("--after is the number that the page ended with", click.get_current_context())
    return int(after)


def _id(after: str) -> UUID:
    try:
        return UUID(after)
    except ValueError:
        raise click.UsageError("--after is the id that the page ended with", click.get_current_context()) from None


def _show_run(view: RunView) -> None:
    again = f", round {view.round}" if view.round > 1 else ""
    out(click.style(f"{view.job} for {view.business_date}{again}: {view.phase}", bold=True))
    facts([
        ("run", view.run),
        ("follows", view.follows),
        ("planned by", view.planned_by),
        ("hash", view.digest),
        ("selected", f"{count(view.items, 'member')}, {euros(view.amount_cents)}"),
        ("passed over", count(view.passed_over, "member")),
        ("rules", ", ".join(view.basis.rules)),
    ])  # fmt: skip
    out(view.sentence)
    if view.basis.values:
        heading("The law that was used")
        rows = [(used.parameter, _value(used.parameter, used.value), used.since) for used in view.basis.values]
        table(("parameter", "value", "since"), rows)
    if view.reasons:
        heading("Who not, and why not")
        why = [(each.times, because(each.reason), ", ".join(each.basis.rules)) for each in view.reasons[:_LEAST]]
        table(("times", "because", "rules"), why, right=("times",))
    if view.largest:
        heading("The largest amounts")
        largest = [(each.member, euros(each.amount_cents)) for each in view.largest[:_LEAST]]
        table(("member", "amount"), largest, right=("amount",))
    _show_difference(view)
    if view.totals.looked_at:
        heading("Executed")
        totals = view.totals
        facts([("done", totals.done), ("refused", totals.refused), ("parked", totals.parked)])
        for key, times in sorted(view.not_done.items()):
            kind, _, reason = key.partition("/")
            out(f"  {times} {kind} because {because(reason.removeprefix('now_passed_over:'))}")
    if view.controls:
        heading("Control totals")
        table(
            ("control", "expected", "found"),
            [(each.name, figure(each.name, each.expected), figure(each.name, each.actual)) for each in view.controls],
            right=("expected", "found"),
        )


def _value(parameter: str, value: int | str) -> str:
    return (
        euros(value) if isinstance(value, int) and parameter.startswith("zorgpremie/") and value > 100 else str(value)
    )


def _show_difference(view: RunView) -> None:
    other = view.difference
    if other is None:
        return
    heading(f"Beside the run for {other.previous.business_date}")
    facts([
        ("then", f"{count(other.previous_items, 'member')}, {euros(other.previous_cents)}"),
        ("new", count(other.new, "member")),
        ("gone", count(other.gone, "member")),
        ("other amount", count(other.other_amount, "member")),
    ])  # fmt: skip


def _show_items(items: Sequence[ItemView]) -> None:
    if not items:
        return
    heading("Selected")
    rows = [
        (item.ordinal, item.member, euros(item.amount_cents), ", ".join(str(each["type"]) for each in item.events),
         ", ".join(item.rules), because(item.reason) if item.reason else item.outcome)
        for item in items
    ]  # fmt: skip
    headers = ("no", "member", "amount", "what happens", "rules", "left out because")
    table(headers, rows, right=("no", "amount"))


def _show_passed_over(passed: Sequence[PassedOverView]) -> None:
    if not passed:
        return
    heading("Passed over")
    rows = [(each.member, because(each.reason), ", ".join(each.basis.rules), _used(each.basis)) for each in passed]
    table(("member", "because", "rules", "law"), rows)


def _used(basis: Basis) -> str:
    return ", ".join(f"{used.parameter} {used.value}" for used in basis.values)


def _left_out(row: OutcomeRow) -> LeftOutItem:
    from console.answers.of_runs import LeftOutItem
    from domain.ids import owner_of

    return LeftOutItem(
        ordinal=row.ordinal, member=owner_of(row.stream), outcome=row.outcome, reason=row.reason, detail=row.detail
    )


def _show_left_out(left_out: Sequence[LeftOutItem]) -> None:
    if not left_out:
        return
    heading("Left out")
    rows = [
        (each.ordinal, each.member, each.outcome, because(each.reason.removeprefix("now_passed_over:")), each.detail)
        for each in left_out
    ]
    table(("no", "member", "", "because", "what differs"), rows, right=("no",))
