"""
The alarm clock: every minute it asks the database what is due today, and does that; nothing is remembered here.

It may be stopped, started twice, or sleep through a week: what is not closed stands in the database, in date order.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date
from types import FrameType
from typing import Final

from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger

from application.ports import Clock
from application.runs import Runs
from application.runs_today import Did, run_due
from domain.dates import brussels_day
from domain.errors import BackofficeError

EVERY_SECONDS: Final = 60

#: Whether this process is the one that may ring, for as long as the block lasts.
OnlyOne = Callable[[], AbstractContextManager[bool]]
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class AlarmClock:
    """
    Rings for one back office. `since` is the day from which it does the work itself; `tell` gets one line per event.
    """

    runs: Runs
    clock: Clock
    since: date
    only_one: OnlyOne
    tell: Tell

    def ring(self) -> Sequence[Did]:
        """
        Do what is due today in Brussels, unless another alarm clock is at it. A refusal is told, and asked again later.
        """
        as_of = brussels_day(self.clock.now())
        try:
            with self.only_one() as mine:
                did = run_due(self.runs, as_of=as_of, since=self.since) if mine else ()
        except BackofficeError as refusal:
            self.tell(f"{as_of}: nothing could be done: {refusal}")
            return ()
        for one in did:
            self.tell(_line(as_of, one))
        return did

    def run(self) -> None:
        """
        Ring now and every minute until the process is told to stop; a run that is under way is finished first.
        """
        scheduler = scheduler_of(self.ring)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            scheduler.shutdown(wait=False)

        for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(which, stop)
        self.ring()
        scheduler.start()


def scheduler_of(ring: Callable[[], object], *, every_seconds: int = EVERY_SECONDS) -> BlockingScheduler:
    """
    Return a scheduler with its one job. However late it wakes up, it rings once: which dates were missed, the database
    knows. Two rings never overlap.
    """
    scheduler = BlockingScheduler(timezone=UTC)
    scheduler.add_job(
        ring,
        IntervalTrigger(seconds=every_seconds, timezone=UTC),
        id="ring",
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
    )
    return scheduler


def _line(as_of: date, did: Did) -> str:
    steps = ", ".join(did.steps) or "nothing"
    dated = f" for {did.business_date}" if did.business_date else ""
    return f"{as_of}: {did.job} {did.year}{dated}: {steps}" + (f"; stopped: {did.stopped}" if did.stopped else "")
