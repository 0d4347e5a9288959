"""
Many writers at once, small and bulk, and a reader that follows them: it misses nothing and sees nothing twice.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from pathlib import Path

import pytest

from adapters.postgres.database import Database
from adapters.postgres.store import PostgresStore
from domain.envelope import Envelope
from tests.faults.writers import KEY, Plan, start
from tests.small_aggregate import COUNTER

WRITERS = 12
COMMANDS = 20


def follow(database: Database, notes: Path, *, locked: bool) -> tuple[list[Envelope], list[Envelope]]:
    """
    Return what a reader saw while the writers wrote, and what stands there afterwards.
    """
    plans = [
        Plan(url=database.url, writer=n, commands=COMMANDS, notes=str(notes / f"{n}"), seed=7, locked=locked)
        for n in range(WRITERS)
    ]
    processes = [start(plan) for plan in plans]
    with PostgresStore(database, aggregates=[COUNTER], master=KEY) as store:
        feed = store.feed
        seen: list[Envelope] = []
        while True:
            writing = any(process.is_alive() for process in processes)
            page = feed.read(after=seen[-1].position if seen else 0, limit=400)
            seen += page
            if not page and not writing:
                break
        assert [process.exitcode for process in processes] == [0] * WRITERS or not locked
        return seen, list(feed.read(after=0, limit=10**6))


def test_twelve_writers_and_a_reader_that_misses_nothing(database: Database, tmp_path: Path) -> None:
    seen, there = follow(database, tmp_path, locked=True)
    assert seen == there
    assert len({e.commit.command_id for e in there}) == WRITERS * COMMANDS
    for _, of_commit in groupby(there, key=lambda e: e.commit.command_id):
        positions = [e.position for e in of_commit]
        assert positions == list(range(positions[0], positions[0] + len(positions)))
    assert len({e.recorded_at for e in there}) <= WRITERS * COMMANDS
    assert all(before.recorded_at <= after.recorded_at for before, after in pairwise(there))
    with PostgresStore(database, aggregates=[COUNTER], master=KEY) as store:
        assert store.heads_equal_replay(COUNTER)


def test_without_the_append_lock_the_same_reader_misses_events(database: Database, tmp_path: Path) -> None:
    seen, there = follow(database, tmp_path, locked=False)
    assert len(seen) < len(there), "the reader catches nothing: it proves nothing"


@pytest.fixture(autouse=True)
def _writers_are_gone(database: Database) -> None:
    """
    Each test starts with a database that no writer of another one knows.
    """
    with database.connect(None) as session:
        row = session.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'writer-%'").fetchone()
    assert row == (0,)
