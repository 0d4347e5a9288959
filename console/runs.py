"""
`backoffice run`: plan, approve by hash as a second person, execute, settle; every refusal is one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from console.asking import Asked, asks, back_office, beginning, confirmed, deciding_day
from console.exits import Exit
from console.finding import run_named
from console.output import count, euros, facts, give, heading, out, progress, say, table
from console.runs_show import figure, run_show, warn, warning_of
from console.stopping import at_the_end_of_a_part
from domain.run import Closing

if TYPE_CHECKING:
    from application.runs.ports import Totals
    from console.answers.of_runs import Planned

_RUN = "RUN is a run's id, its first letters, or the name of a job: then its newest run that was not given up."

_workers = click.option(
    "--workers", type=click.IntRange(1, 64), help="How many processes; without it, as many as pay on this machine."
)


@click.group("run")
def run_command() -> None:
    """
    Do something to many members at once: plan it, have a second person approve it, execute it, settle it.

    Example: ./backoffice run plan invitations --on 2026-01-15
    """


run_command.add_command(run_show)


@run_command.command("plan")
@click.argument("job")
@_workers
@asks
def run_plan(asked: Asked, job: str, workers: int | None) -> None:
    """
    Freeze who is selected, for what, and who is not and why. Nothing else changes: this is the dry run. The plan and
    its hash are the same whatever the number of processes.

    Example: ./backoffice run plan invitations --on 2026-01-15
    """
    from application.runs.gates import TooEarly
    from console.answers.of_runs import Planned

    with back_office(asked) as backoffice, at_the_end_of_a_part(say) as check, progress(f"planning {job}") as told:

        def seen(done: int, of_all: int) -> None:
            told(done, of_all)
            check()

        day = deciding_day(asked, backoffice)
        runs = backoffice.runs
        business_date = runs.business_date_for(job, as_of=day)
        if business_date < beginning(backoffice):
            line = runs.line(job, year=day.year)
            raise TooEarly(job=job, earliest=line.earliest if line else day)
        actor = backoffice.settings.actor
        found = runs.plan(job, business_date=business_date, as_of=day, actor=actor, workers=workers, seen=seen)
        warning = warning_of(runs, job, business_date)
    planned = Planned(
        run=found.run, job=job, business_date=found.key.business_date, round=found.key.round, items=found.items,
        passed_over=found.passed_over, amount_cents=found.amount_cents, digest=found.digest,
        needs_approval=found.needs_approval, warning=warning,
    )  # fmt: skip
    give(planned, lambda: _show_plan(planned), as_json=asked.as_json)


def _show_plan(planned: Planned) -> None:
    again = f", round {planned.round}" if planned.round > 1 else ""
    out(f"Planned {planned.job} for {planned.business_date}{again}.")
    facts([
        ("run", planned.run),
        ("selected", f"{count(planned.items, 'member')}, {euros(planned.amount_cents)}"),
        ("passed over", count(planned.passed_over, "member")),
        ("hash", planned.digest),
    ])  # fmt: skip
    warn(planned.warning)
    out()
    if planned.needs_approval:
        out("A second person looks at it and approves exactly this:")
        out(f"  backoffice run show {planned.run}")
        out(f"  backoffice run approve {planned.run} --hash {planned.digest[:16]}")
    else:
        out("It moves no money and sends nothing, so it needs no approval:")
        out(f"  backoffice run execute {planned.run}")


@run_command.command("approve", epilog=_RUN)
@click.argument("run")
@click.option("--hash", "digest", required=True, help="The hash of the plan, or at least its first 12 characters.")
@asks
def run_approve(asked: Asked, run: str, digest: str) -> None:
    """
    Approve exactly the plan with this hash, as a second person: never one's own.

    Example: ./backoffice run approve invitations --hash 3f9a1c0d77b2
    """
    from console.answers.of_runs import RunMoved

    with back_office(asked) as backoffice:
        stream = run_named(backoffice, run)
        whole = backoffice.runs.plan_of(stream).digest
        given = whole if len(digest) >= 12 and whole.startswith(digest.lower()) else digest
        newly = backoffice.runs.approve(stream, digest=given, actor=backoffice.settings.actor)
        moved = RunMoved(run=stream, phase=backoffice.runs.state(stream).phase)
        told = f"Approved by {backoffice.settings.actor}." if newly else "It was approved before, as `run show` says."
    give(moved, lambda: out(f"{told} Next: backoffice run execute {moved.run}"), as_json=asked.as_json)


@run_command.command("abandon", epilog=_RUN)
@click.argument("run")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@asks
def run_abandon(asked: Asked, run: str, reason: str) -> None:
    """
    Give a plan up before it is executed; then it can be planned again.

    Example: ./backoffice run abandon invitations --reason "wrong account" --yes
    """
    from console.answers.of_runs import RunMoved

    with back_office(asked) as backoffice:
        stream = run_named(backoffice, run)
        key = backoffice.runs.registered(stream).key
        confirmed(asked, f"Give up the plan {key.job} for {key.business_date}?")
        backoffice.runs.abandon(stream, reason=reason, actor=backoffice.settings.actor)
        moved = RunMoved(run=stream, phase=backoffice.runs.state(stream).phase)
    give(moved, lambda: out("Given up. The next plan for this date is a new round."), as_json=asked.as_json)


@run_command.command("close")
@click.argument("job")
@click.argument("year", type=click.IntRange(2001, 2200))
@click.option("--because", type=click.Choice(get_args(Closing)), required=True, help="Why it has no run here.")
@click.option("--reason", required=True, help="In your own words; it is recorded.")
@asks
def run_close(asked: Asked, job: str, year: int, because: Closing, reason: str) -> None:
    """
    Close a date of the calendar that is over and has no run: it was not ours, was done elsewhere, or is given up.

    `today` no longer names it, `today --all` and `explain` do. A run planned all the same goes before it.

    Example: ./backoffice run close agency_report 2025 --because done_elsewhere --reason "by the old program"
    """
    from application.runs.closing import close_date, words_of
    from console.answers.of_runs import DateClosed

    with back_office(asked) as backoffice:
        day, actor = deciding_day(asked, backoffice), backoffice.settings.actor
        found = close_date(backoffice.runs, job, year=year, because=because, reason=reason, as_of=day, actor=actor)
    closed = DateClosed(
        job=job, year=year, because=found.because, reason=found.reason, closed_by=found.closed_by,
        closed_on=found.closed_on,
    )  # fmt: skip
    give(closed, lambda: out(f"{job} {year} is closed: {words_of(found)}."), as_json=asked.as_json)


@run_command.command("execute", epilog=_RUN)
@click.argument("run")
@_workers
@click.option("--parked-max", type=click.IntRange(0, 100), help="Go on though up to this percentage of items fails.")
@asks
def run_execute(asked: Asked, run: str, workers: int | None, parked_max: int | None) -> None:
    """
    Do what was approved, in parts. Stopped anywhere, the same command goes on where it was.

    Example: ./backoffice run execute invitations --workers 2
    """
    from adapters.postgres.exclusive import only_one
    from application.runs.execute import Limits
    from console.answers.of_runs import Executed

    limits = Limits() if parked_max is None else Limits(parked_percent_max=parked_max, parked_free=0)
    with back_office(asked) as backoffice:
        day, actor = deciding_day(asked, backoffice), backoffice.settings.actor
        stream = run_named(backoffice, run)
        runs = backoffice.runs
        with (
            only_one(backoffice.database, f"run {stream.hex[-24:-8]}", actor=actor),
            at_the_end_of_a_part(say) as check,
            progress(runs.registered(stream).key.job) as told,
        ):

            def moved(done: int, of_all: int) -> None:
                told(done, of_all)
                check()

            totals = runs.execute(stream, as_of=day, actor=actor, workers=workers, limits=limits, progress=moved)
        not_done = {f"{kind}/{why}": times for (kind, why), times in runs.book.outcome_reasons(stream).items()}
        executed = Executed(run=stream, phase=runs.state(stream).phase, totals=totals, not_done=not_done)
        backoffice.catch_up()
    give(executed, lambda: _show_totals(str(stream), totals, not_done), as_json=asked.as_json)
    if totals.refused or totals.parked:
        click.get_current_context().exit(Exit.PARTLY)


def _show_totals(run: str, totals: Totals, not_done: Mapping[str, int]) -> None:
    out(f"Executed: {count(totals.done, 'item')} done, {euros(totals.amount_cents)}, {count(totals.events, 'event')}.")
    if not_done:
        from application.wording import because

        heading("Left out")
        rows = []
        for key, times in sorted(not_done.items()):
            kind, _, reason = key.partition("/")
            rows.append((times, kind, because(reason.removeprefix("now_passed_over:"))))
        table(("times", "", "because"), rows, right=("times",))
        out(f"Each of them: backoffice run show {run} --left-out")
    out(f"Next: backoffice run settle {run}")


@run_command.command("settle", epilog=_RUN)
@click.argument("run")
@asks
def run_settle(asked: Asked, run: str) -> None:
    """
    Compare the control totals: plan, items, events, read model. What differs is named.

    Example: ./backoffice run settle invitations
    """
    from console.answers.of_runs import Settled

    with back_office(asked) as backoffice:
        backoffice.catch_up()
        stream = run_named(backoffice, run)
        controls = backoffice.runs.settle(stream, actor=backoffice.settings.actor)
        totals, job = backoffice.runs.book.totals(stream), backoffice.runs.registered(stream).key.job
        left_out = totals.refused + totals.parked
        backoffice.catch_up(("runs",))
    agrees = all(control.expected == control.actual for control in controls)

    def show() -> None:
        rows = [(each.name, figure(each.name, each.expected), figure(each.name, each.actual),
                 "" if each.expected == each.actual else "DIFFERS") for each in controls]  # fmt: skip
        table(("control", "expected", "found", ""), rows, right=("expected", "found"))
        out(
            "Everything agrees; the run is closed."
            if agrees
            else "There are differences: find them, then settle again."
        )
        if left_out:
            out(f"{count(left_out, 'item')} left out, each with its reason: backoffice run show {stream} --left-out")
            out(f"Mend what is wrong there; this then looks at them again: backoffice run plan {job}")

    give(Settled(run=stream, agrees=agrees, controls=controls), show, as_json=asked.as_json)
    if not agrees:
        click.get_current_context().exit(Exit.DIFFERENCES)


@run_command.command("file", epilog=_RUN)
@click.argument("run")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder; without it agency/ under the home.")
@asks
def run_file(asked: Asked, run: str, folder: Path | None) -> None:
    """
    Write the file for the Agency of a report or a correction; the same run always gives the same bytes.

    Example: ./backoffice run file agency_report
    """
    from adapters.letters import make_agency_file
    from console.answers.of_runs import AgencyFile

    with back_office(asked) as backoffice:
        stream = run_named(backoffice, run)
        to = folder or backoffice.settings.home / "agency"
        file = make_agency_file(backoffice, stream, directory=to)
    answer = AgencyFile(
        path=str(file.path), count=file.totals.count, amount_cents=file.totals.amount_cents, sha256=file.totals.sha256
    )

    def show() -> None:
        facts([
            ("file", answer.path),
            ("lines", answer.count),
            ("together", euros(answer.amount_cents)),
            ("SHA-256", answer.sha256),
        ])  # fmt: skip

    give(answer, show, as_json=asked.as_json)


@run_command.command("list")
@click.option("--job", default="", help="Only this job.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@asks
def run_list(asked: Asked, job: str, limit: int) -> None:
    """
    List runs, the newest business date first.

    Example: ./backoffice run list --job invitations
    """
    from adapters.postgres.looking import run_lines
    from console.answers.of_runs import RunList

    with back_office(asked) as backoffice:
        backoffice.catch_up(("runs",))
        runs = run_lines(backoffice.database, job=job, limit=limit)

    def show() -> None:
        if not runs:
            out("There are no runs yet; backoffice today says which are due.")
            return
        rows = [
            (run.run, run.job, run.business_date, run.state, run.items, euros(run.amount_cents), run.planned_by,
             run.approved_by)
            for run in runs
        ]  # fmt: skip
        headers = ("run", "job", "for", "state", "items", "amount", "planned by", "approved by")
        table(headers, rows, right=("items", "amount"))

    give(RunList(runs=runs), show, as_json=asked.as_json)
