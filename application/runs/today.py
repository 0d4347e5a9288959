"""
The legal calendar against what was done: what is due, late, waiting or impossible on a day; and doing what is due.

The alarm clock only calls `run_due`, with the day. It asks the database which runs are not closed and takes them in
order, so that a machine that slept over a date does the same as one that did not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from application.runs.closing import closing_of, words_of
from application.runs.gates import Entry, Line, business_date_for, short_of_statements
from application.runs.lifecycle import Runs
from application.runs.ports import Registered
from domain.errors import BackofficeError, NotFound, Refused
from domain.ids import StreamId
from domain.run import RunState

#: `next`: its day has not come. `due`, `late`: to be planned or executed now. `waiting`: for what `waits_for` names.
#: `impossible`: the law's last day has passed, a person decides. `done`: settled. `refused`: the law is not known.
#: `closed`: a person said that it has no run here (`waits_for` tells who and why).
Status = Literal["next", "due", "late", "waiting", "impossible", "done", "refused", "closed"]

ALARM: Final = "alarm clock"


class TodayLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of the calendar as it stands on a day. `left_over` counts refused and parked items of a settled run.
    """

    job: str
    year: int
    status: Status
    line: Line | None = None
    run: StreamId | None = None
    phase: str = "none"
    waits_for: str = ""
    left_over: int = 0

    @property
    def planned(self) -> date:
        return self.line.planned if self.line else date(self.year, 1, 1)


class Did(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the alarm clock did about one line: the steps it took, and the sentence that stopped it, if one did.
    """

    job: str
    year: int
    business_date: date | None
    steps: tuple[str, ...]
    stopped: str = ""


def today(runs: Runs, *, as_of: date, since: date, everything: bool = False) -> Sequence[TodayLine]:
    """
    Return every line of this year, and those of earlier years back to `since` that are not done, in date order.

    `since` is the day from which this house does the work itself; what was over before is not asked for. With
    `everything`, also what was done or closed in earlier years.
    """
    lines = [_status(runs, entry, year, as_of) for entry, year in _entries(runs, as_of=as_of, since=since)]
    return sorted(
        (line for line in lines if everything or line.year == as_of.year or line.status not in {"done", "closed"}),
        key=lambda line: (line.planned, line.job),
    )


def run_due(runs: Runs, *, as_of: date, since: date, actor: str = ALARM) -> Sequence[Did]:
    """
    Plan what is due, in date order; execute and settle what approves itself, and go on with what was started.

    What needs a second person is only planned. Nothing is dated back: a line whose last day has passed stays as it is.
    """
    did = []
    order = sorted(
        _entries(runs, as_of=as_of, since=since),
        key=lambda found: _status(runs, found[0], found[1], as_of).planned,
    )
    for entry, year in order:
        line = _status(runs, entry, year, as_of)  # asked again: what came before may have made it possible
        done = _do(runs, line, as_of=as_of, actor=actor)
        if done is not None:
            did.append(done)
    return did


def _entries(runs: Runs, *, as_of: date, since: date) -> Iterator[tuple[Entry, int]]:
    for year in range(since.year, as_of.year + 1):
        for entry in runs.calendar:
            try:
                line = entry.line(runs.law, year=year)
            except (NotFound, Refused):
                line = None
            if line is None or (line.latest or line.planned) >= since:
                yield entry, year


def _status(runs: Runs, entry: Entry, year: int, as_of: date) -> TodayLine:
    try:
        line = entry.line(runs.law, year=year)
    except (NotFound, Refused) as error:
        unknown = TodayLine(job=entry.job, year=year, status="refused", waits_for=str(error))
        return _or_closed(runs, unknown)
    found = runs.run_of(line)
    if found is None:
        without = _without_run(runs, line, as_of)
        return without if without.status in {"next", "due"} else _or_closed(runs, without)
    return _with_run(runs, line, found, as_of)


def _or_closed(runs: Runs, line: TodayLine) -> TodayLine:
    closed = closing_of(runs.store, line.job, line.year)
    return line if closed is None else msgspec.structs.replace(line, status="closed", waits_for=words_of(closed))


def _without_run(runs: Runs, line: Line, as_of: date) -> TodayLine:
    status: Status = "late" if as_of > line.planned else "due"
    waits_for = ""
    if as_of < line.planned:
        status = "next"
    elif line.latest is not None and as_of > line.latest:
        said = f"a person: its last day was {line.latest}, nothing is dated back"
        status, waits_for = "impossible", f"{said}; backoffice run close {line.job} {line.year}"
    else:
        try:
            runs.check_ready(line, as_of=as_of)
            if waits_for := short_of_statements(line, runs.statements_cover):
                status = "waiting"
        except Refused as error:
            status, waits_for = "waiting", str(error)
    return TodayLine(job=line.job, year=line.year, status=status, line=line, waits_for=waits_for)


def _with_run(runs: Runs, line: Line, run: Registered, as_of: date) -> TodayLine:
    state = runs.state(run.run)
    totals = runs.book.totals(run.run)
    status, waits_for = _of_phase(state, run.run, as_of=as_of, line=line)
    return TodayLine(
        job=line.job,
        year=line.year,
        status=status,
        line=line,
        run=run.run,
        phase=state.phase,
        waits_for=waits_for,
        left_over=totals.refused + totals.parked,
    )


def _of_phase(state: RunState, run: StreamId, *, as_of: date, line: Line) -> tuple[Status, str]:
    too_late = line.latest is not None and as_of > line.latest
    match state.phase:
        case "settled":
            agrees = state.settled is not None and state.settled.agrees
            return ("done", "") if agrees else ("waiting", "its control totals differ; settle it again")
        case "started":
            return "waiting", "its workers; execute it again when none is at work"
        case "executed":
            return "waiting", "its settlement"
        case _ if too_late:
            said = f"a person: its last day was {line.latest}, nothing is dated back"
            return "impossible", f"{said}; backoffice run abandon {str(run)[:8]}"
        case "planned" if state.needs_approval:
            return "waiting", "the approval of a second person"
        case _:
            return "waiting", "its execution"


def _do(runs: Runs, line: TodayLine, *, as_of: date, actor: str) -> Did | None:
    steps: list[str] = []
    day: date | None = None
    try:
        run, phase = line.run, line.phase
        if run is None and line.status in {"due", "late"} and line.line is not None:
            day = line.line.records or business_date_for(runs.calendar, line.job, as_of=as_of, law=runs.law)
            planned = runs.plan(line.job, business_date=day, as_of=as_of, actor=actor)
            steps.append("planned")
            run, phase = planned.run, "planned"
        if run is not None:
            steps += _go_on(runs, run, phase, as_of=as_of, actor=actor)
    except BackofficeError as error:
        return Did(job=line.job, year=line.year, business_date=day, steps=tuple(steps), stopped=str(error))
    if not steps:
        return None
    return Did(job=line.job, year=line.year, business_date=day, steps=tuple(steps))


def _go_on(runs: Runs, run: StreamId, phase: str, *, as_of: date, actor: str) -> Sequence[str]:
    """
    Execute what approves itself or was started by a person, and settle what is executed.
    """
    steps = []
    approves_itself = not runs.registered(run).needs_approval
    if phase == "started" or (phase == "planned" and approves_itself):
        runs.execute(run, as_of=as_of, actor=actor)
        steps.append("executed")
        phase = runs.state(run).phase
    if phase == "executed":
        runs.settle(run, actor=actor)
        steps.append("settled")
    return steps
