"""
Dates of the calendar that will have no run here: from before our time, done elsewhere, or given up; said by a person.

Closing hides nothing and forbids nothing: the record stands, and a run that somebody plans all the same goes before it.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, cast

from application.ports import Change, EventStore
from domain import run as runs
from domain.envelope import Commit
from domain.errors import NotFound, Refused
from domain.ids import Kind, StreamId, derived_id, derived_key
from domain.run import RUN, Closing, RunDateClosed

if TYPE_CHECKING:
    from application.runs.lifecycle import Runs

_WORDS: Final[dict[Closing, str]] = {
    "not_ours": "was not ours",
    "done_elsewhere": "was done elsewhere",
    "given_up": "was given up",
}


class NotOver(Refused):
    """
    The last day of this job has not passed in that year; run it, or close it afterwards.
    """


class HasARun(Refused):
    """
    There is a run for this date; execute and settle it, or abandon it if it has not started.
    """


def closing_id(job: str, year: int) -> StreamId:
    """
    Return the stream in which the closing of a job's year is recorded.
    """
    return derived_id(Kind.RUN, "closed", job, str(year))


def closing_of(store: EventStore, job: str, year: int) -> RunDateClosed | None:
    """
    Return how a date was closed, if it was.
    """
    happened = store.history(closing_id(job, year))
    return RUN.fold(cast(runs.HappenedToRun, envelope.event) for envelope in happened).closed


def words_of(closed: RunDateClosed) -> str:
    """
    Say in words how a date was closed, by whom and why.
    """
    return f"it {_WORDS[closed.because]}, said {closed.closed_by} on {closed.closed_on}: {closed.reason}"


def close_date(
    of: Runs, job: str, *, year: int, because: Closing, reason: str, as_of: date, actor: str
) -> RunDateClosed:
    """
    Close a job's year, once its last day has passed and no run stands for it.

    Raises NoSuchJob, NotOver, HasARun, and what `domain.run.close_date` refuses.
    """
    of.job(job)
    _check_over(of, job, year=year, as_of=as_of)
    stream = closing_id(job, year)
    commit = Commit(command_id=derived_key(str(stream), because), actor=actor, business_date=as_of, cause=job, run=None)
    with of.store.transaction(commit) as unit:
        known = unit.load(RUN, [stream])[stream]
        events = runs.close_date(
            known.state, job=job, year=year, because=because, reason=reason, closed_by=actor, closed_on=as_of
        )
        state = RUN.fold(events, state=known.state)
        if events:
            unit.append(RUN, [Change(stream, known.version, events, state)])
    if state.closed is None:
        raise TypeError("a date that was closed says how")
    return state.closed


def _check_over(of: Runs, job: str, *, year: int, as_of: date) -> None:
    try:
        line = of.line(job, year=year)
    except (NotFound, Refused):
        line = None  # the law of that year is not known here, and will not be
    if line is None:
        if year >= as_of.year:
            raise NotOver(job=job, year=year)
        return
    last = line.latest or line.planned
    if as_of <= last:
        raise NotOver(job=job, last_day=last)
    run = of.run_of(line)
    if run is not None:
        raise HasARun(run=run.run)
