"""
An alarm clock does nothing on a clock that it cannot trust, and leaves a sign of life that people see.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.clock import FixedClock
from adapters.postgres.database import Database
from adapters.postgres.heartbeats import Heartbeats, alarm_lives
from adapters.postgres.runs import one_alarm
from domain.errors import Unavailable
from schedulers import alarm
from schedulers.alarm import BEHIND_MAX, SILENCE_MAX, AlarmClock, ClockFarAhead, ClockWentBack, check_clock
from tests.world import World

NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)


class Life:
    """
    Signs of life that are said, not stored.
    """

    def __init__(self, recorded: datetime | None, beaten: datetime | None = None) -> None:
        self.recorded, self.beaten = recorded, beaten

    def last_recorded(self) -> datetime | None:
        return self.recorded

    def last_beat(self) -> datetime | None:
        return self.beaten

    def beat(self, moment: datetime, said: str) -> None:
        self.beaten = moment


@pytest.mark.parametrize(
    ("life", "refused"),
    [
        (Life(None), None),
        (Life(NOW + BEHIND_MAX), None),
        (Life(NOW + BEHIND_MAX + timedelta(seconds=1)), ClockWentBack),
        (Life(NOW + timedelta(days=365)), ClockWentBack),
        (Life(NOW - SILENCE_MAX), None),
        (Life(NOW - SILENCE_MAX - timedelta(seconds=1)), ClockFarAhead),
        (Life(NOW - timedelta(days=90), NOW - timedelta(minutes=1)), None),
        (Life(NOW - timedelta(days=90), NOW - timedelta(days=32)), ClockFarAhead),
        (Life(None, NOW + timedelta(days=1)), None),
    ],
)
def test_which_clock_is_trusted(life: Life, refused: type[Exception] | None) -> None:
    with pytest.raises(refused) if refused else nullcontext():
        check_clock(NOW, life)


@pytest.fixture
def fund(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path, started_on=date(2026, 1, 2))


@contextmanager
def usual_signals() -> Iterator[None]:
    """
    Put the signals back that an alarm clock listens to.
    """
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, usual in before.items():
            signal.signal(each, usual)


def clock_of(fund: World, moment: datetime) -> AlarmClock:
    return AlarmClock(
        runs=fund.backoffice.runs, clock=FixedClock(moment), since=date(2026, 1, 2), only_one=lambda: nullcontext(True),
        tell=lambda line: None, life=Heartbeats(fund.backoffice.database),
    )  # fmt: skip


def test_a_clock_that_jumps_stops_the_alarm_before_anything_is_done(fund: World) -> None:
    life = Heartbeats(fund.backoffice.database)
    recorded = life.last_recorded()
    assert recorded is not None
    before = fund.backoffice.store.feed.high_water()
    for days in (-365, -1, 40, 400):
        with pytest.raises(ClockWentBack if days < 0 else ClockFarAhead):
            clock_of(fund, recorded + timedelta(days=days)).run()
    assert life.last_beat() is None
    assert fund.backoffice.store.feed.high_water() == before


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_stop_in_the_first_ring_finishes_it_and_stops(fund: World, told: signal.Signals) -> None:
    life = Heartbeats(fund.backoffice.database)
    recorded = life.last_recorded()
    assert recorded is not None

    @contextmanager
    def told_meanwhile() -> Iterator[bool]:
        signal.raise_signal(told)
        yield True

    with usual_signals():
        replace(clock_of(fund, recorded + timedelta(minutes=1)), only_one=told_meanwhile).run()
    assert life.last_beat() == recorded + timedelta(minutes=1)


def test_a_database_that_is_away_is_told_and_asked_again(fund: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rings = iter([False, False, True])
    told: list[str] = []

    @contextmanager
    def away_twice() -> Iterator[bool]:
        if not next(rings):
            raise Unavailable
        signal.raise_signal(signal.SIGTERM)
        yield True

    monkeypatch.setattr(alarm, "EVERY_SECONDS", 1)
    recorded = Heartbeats(fund.backoffice.database).last_recorded()
    assert recorded is not None
    with usual_signals():
        clock = clock_of(fund, recorded + timedelta(minutes=1))
        replace(clock, only_one=away_twice, tell=told.append).run()
    assert [line.partition(": ")[2][:26] for line in told[:2]] == ["nothing could be done: The"] * 2
    assert next(rings, None) is None


def test_a_mistake_of_ours_in_a_later_ring_ends_the_alarm_clock_as_one_in_the_first_does(
    fund: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings = iter([True])

    @contextmanager
    def wrong_later() -> Iterator[bool]:
        if not next(rings, False):
            raise LookupError("a mistake of ours")
        yield True

    monkeypatch.setattr(alarm, "EVERY_SECONDS", 1)
    recorded = Heartbeats(fund.backoffice.database).last_recorded()
    assert recorded is not None
    with usual_signals(), pytest.raises(LookupError, match="a mistake of ours"):
        replace(clock_of(fund, recorded + timedelta(minutes=1)), only_one=wrong_later).run()


def test_a_session_that_ends_while_the_alarm_rings_is_said_in_a_sentence(fund: World) -> None:
    database = fund.backoffice.database
    with pytest.raises(Unavailable, match="was lost"), one_alarm(database) as mine:  # noqa: PT012 - the block is the ring
        assert mine
        with database.connect(None, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def test_each_ring_leaves_a_sign_of_life_and_a_day_without_one_is_seen(fund: World) -> None:
    life = Heartbeats(fund.backoffice.database)
    recorded = life.last_recorded()
    assert recorded is not None
    assert alarm_lives(fund.backoffice.database, now=recorded).ok
    clock_of(fund, recorded + timedelta(minutes=1)).ring()
    beat = life.last_beat()
    assert beat == recorded + timedelta(minutes=1)
    assert alarm_lives(fund.backoffice.database, now=beat + timedelta(hours=26)).ok
    silent = alarm_lives(fund.backoffice.database, now=beat + timedelta(hours=27))
    assert not silent.ok
    assert "backoffice schedule" in silent.sentence


def test_a_person_who_vouches_for_the_clock_lets_it_ring_after_a_long_silence(fund: World) -> None:
    life = Heartbeats(fund.backoffice.database)
    recorded = life.last_recorded()
    assert recorded is not None
    later = recorded + timedelta(days=60)
    with pytest.raises(ClockFarAhead):
        clock_of(fund, later).ring()
    life.beat(later, "the clock is right, says an")
    clock_of(fund, later).ring()
    assert life.last_beat() == later
