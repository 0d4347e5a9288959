"""
The alarm clock: every minute it asks the database what is due today, and does that; nothing is remembered here.

It may be stopped, started twice, or sleep through a week: what is not closed stands in the database, in date order.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import FrameType
from typing import Final, Protocol

from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger

from application.ports import Clock
from application.runs.lifecycle import Runs
from application.runs.today import Did, run_due
from domain.dates import brussels_day
from domain.errors import BackofficeError, Refused

EVERY_SECONDS: Final = 60
#: The server's clock, by which events are recorded, may be so far before this machine's.
BEHIND_MAX: Final = timedelta(minutes=2)
#: A machine may sleep over weeks; after a longer silence a person says that the clock is right.
SILENCE_MAX: Final = timedelta(days=31)


class ClockWentBack(Refused):
    """
    The clock of this machine stands before what was recorded last; nothing is done. Set it right and start again.
    """


class ClockFarAhead(Refused):
    """
    The clock of this machine stands more than a month after the last sign of life, and legal acts depend on it; nothing
    is done. Set it right, or start again with --confirm-clock when it is.
    """


class SignsOfLife(Protocol):
    """
    When something was last recorded, and when an alarm clock last lived; None when never.
    """

    def last_recorded(self) -> datetime | None: ...

    def last_beat(self) -> datetime | None: ...

    def beat(self, moment: datetime, said: str) -> None: ...


#: Whether this process is the one that may ring, for as long as the block lasts.
OnlyOne = Callable[[], AbstractContextManager[bool]]
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class AlarmClock:
    """
    Rings for one back office. `since` is the day from which it does the work itself; `tell` gets one line per event.

    By its signs of `life` the clock is checked before each ring; without them, such as for a day that a person names,
    it is believed.
    """

    runs: Runs
    clock: Clock
    since: date
    only_one: OnlyOne
    tell: Tell
    life: SignsOfLife | None = None

    def ring(self) -> Sequence[Did]:
        """
        Do what is due today in Brussels, unless another alarm clock is at it.

        Raises ClockWentBack, ClockFarAhead, and Unavailable when the database is away.
        """
        now = self.clock.now()
        if self.life is not None:
            check_clock(now, self.life)
            self.life.beat(now, "rang")
        as_of = brussels_day(now)
        with self.only_one() as mine:
            did = run_due(self.runs, as_of=as_of, since=self.since) if mine else ()
        for one in did:
            self.tell(_line(as_of, one))
        return did

    def run(self) -> None:
        """
        Ring now and every minute until the process is told to stop; a run that is under way is finished first, also
        when that is the first ring's. What could not be done, as when the database is away, is told and asked again.

        Raises ClockWentBack and ClockFarAhead, and a mistake of ours, also when that is in a later ring.
        """
        ended: list[Exception] = []

        def ring() -> None:
            try:
                self.ring()
            except Exception as error:
                if isinstance(error, BackofficeError) and not isinstance(error, ClockWentBack | ClockFarAhead):
                    self.tell(f"{brussels_day(self.clock.now())}: nothing could be done: {error}")
                    return
                ended.append(error)  # the scheduler would print it, with its trace, and ring on
                if scheduler.running:
                    scheduler.shutdown(wait=False)

        scheduler = scheduler_of(ring, every_seconds=EVERY_SECONDS)
        told_to_stop = threading.Event()

        def stop_if_told(_started: object = None) -> None:
            if told_to_stop.is_set() and scheduler.running:
                scheduler.shutdown(wait=False)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            told_to_stop.set()
            stop_if_told()

        scheduler.add_listener(stop_if_told, EVENT_SCHEDULER_STARTED)  # who told us in the first ring is heard then
        for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(which, stop)
        ring()
        if not ended:
            scheduler.start()
        if ended:
            raise ended[0]


def check_clock(now: datetime, life: SignsOfLife) -> None:
    """
    Refuse a clock that stands before what was recorded, or far after the last sign of life.
    """
    recorded = life.last_recorded()
    if recorded is not None and now < recorded - BEHIND_MAX:
        raise ClockWentBack(now=now, last_recorded=recorded)
    last = max((moment for moment in (recorded, life.last_beat()) if moment is not None), default=None)
    if last is not None and now - last > SILENCE_MAX:
        raise ClockFarAhead(now=now, last_sign_of_life=last)


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
