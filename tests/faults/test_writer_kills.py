"""
Writers killed at random moments, sessions ended under them, answers lost on their way: nothing lost, nothing doubled.

BACKOFFICE_TEST_KILLS sets how many kills (60 here, more at night), BACKOFFICE_TEST_SEED which ones. The planted defect must be
caught by the very same run.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections import Counter as Count
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.postgres.database import Database
from adapters.postgres.store import PostgresStore
from application.ports import Answer
from domain.envelope import Envelope
from domain.errors import Unavailable
from tests.faults.writers import KEY, Plan, answered, number_of, start, streams_of
from tests.patience import PATIENCE_S, eventually
from tests.small_aggregate import COUNTER, Counted, change, command_id, commit, counted, counter

KILLS = int(os.environ.get("BACKOFFICE_TEST_KILLS", "60"))
SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20260430"))
WRITERS = 4


class Found(msgspec.Struct, frozen=True):
    """
    What a checker that only reads found, against what the writers noted.
    """

    lost: int
    doubled: int


def kill_writers(database: Database, notes: Path, *, with_command_id: bool) -> Found:
    """
    Let writers work under kills until all of them are through, and compare.
    """
    chance = random.Random(SEED)
    plans = [
        Plan(
            url=database.url,
            writer=n,
            commands=10**6,
            notes=str(notes / f"{n}"),
            seed=SEED,
            with_command_id=with_command_id,
        )
        for n in range(WRITERS)
    ]
    running, before = [start(plan) for plan in plans], [0] * WRITERS
    for _ in range(KILLS):
        victim = chance.randrange(WRITERS)
        if chance.random() < 0.7:  # often one that is at work, however slow the machine is
            eventually(partial(has_answered_more, plans[victim], before[victim]))
        time.sleep(chance.uniform(0.005, 0.06))
        if chance.random() < 0.75:
            pid = running[victim].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            running[victim].join()
            before[victim] = answered(plans[victim])
            running[victim] = start(plans[victim])
        else:
            end_sessions_of(database, victim)
    for process in running:
        process.kill()
        process.join()
    finish(plans)
    with PostgresStore(database, aggregates=[COUNTER], master=KEY) as store:
        assert store.heads_equal_replay(COUNTER)
        return compare(plans, all_events(store))


def has_answered_more(plan: Plan, before: int) -> bool:
    return answered(plan) > before


def end_sessions_of(database: Database, writer: int) -> None:
    with database.connect(None, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [f"writer-{writer}"]
        )


def finish(plans: list[Plan]) -> None:
    """
    Whoever asked and got no answer asks again: each writer repeats its last command, and then stops.
    """
    last = [start(msgspec.structs.replace(plan, commands=answered(plan) + 1)) for plan in plans]
    for process in last:
        process.join(PATIENCE_S)
        assert process.exitcode == 0


def all_events(store: PostgresStore) -> list[Envelope]:
    envelopes: list[Envelope] = []
    while page := store.feed.read(after=envelopes[-1].position if envelopes else 0, limit=5_000):
        envelopes += page
    return envelopes


def compare(plans: list[Plan], envelopes: list[Envelope]) -> Found:
    """
    Every command that was answered stands exactly once, each stream has its versions, each commit one answer.
    """
    counted_notes = Count(e.event.note for e in envelopes if isinstance(e.event, Counted))
    lost = doubled = 0
    for plan in plans:
        for index in range(answered(plan)):
            expected = max(times for _, times in streams_of(plan, index))
            streams = len(streams_of(plan, index))
            of_command = [counted_notes[f"{number_of(plan, index)}/{n}"] for n in range(expected)]
            lost += of_command[0] < streams
            doubled += of_command[0] > streams
    last: dict[object, int] = {}
    for envelope in envelopes:
        assert envelope.version == last.get(envelope.stream, 0) + 1
        last[envelope.stream] = envelope.version
    return Found(lost, doubled)


def test_killed_writers_lose_nothing_and_double_nothing(database: Database, tmp_path: Path) -> None:
    assert kill_writers(database, tmp_path, with_command_id=True) == Found(lost=0, doubled=0)


def test_the_same_kills_catch_a_writer_without_command_ids(database: Database, tmp_path: Path) -> None:
    found = kill_writers(database, tmp_path, with_command_id=False)
    assert found.lost == 0
    assert found.doubled > 0, "the kills catch nothing: they prove nothing"


# --- the answer is lost after the commit -----------------------------------------------------------------------------


class LossyProxy:
    """
    Stands between program and server; once armed, it lets the next COMMIT through and cuts the line before its answer.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._known = conninfo_to_dict(url)
        self._path = folder / ".s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self.url = make_conninfo(url, host=str(folder), port=5432)
        self.armed = False
        self.cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                threading.Thread(target=self._forward, args=[client, server, True], daemon=True).start()
                threading.Thread(target=self._forward, args=[server, client, False], daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._known.get("host") or "localhost"), self._known.get("port") or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _forward(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if self.armed and not from_client and b"COMMIT\x00" in data:  # the server says: it is done
                    self.armed = False
                    self.cut += 1
                    break
                sink.sendall(data)
        for line in (source, sink):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy(database: Database, tmp_path: Path) -> Iterator[LossyProxy]:
    made = LossyProxy(database.url, tmp_path)
    yield made
    made.close()


def test_a_command_whose_answer_was_lost_is_answered_when_asked_again_50_times(
    database: Database, proxy: LossyProxy
) -> None:
    told_failed = doubled = 0
    with (
        PostgresStore(database, aggregates=[COUNTER], master=KEY) as direct,
        Database(proxy.url) as through,
        PostgresStore(through, aggregates=[COUNTER], master=KEY) as lossy,
    ):
        for number in range(1, 51):
            answer = Answer(command_id=command_id(number), digest=str(number), outcome="counted")

            def ask(answer: Answer = answer, number: int = number) -> Answer:
                known = lossy.answers([answer.command_id])
                if known:
                    return known[answer.command_id]
                with lossy.transaction(commit(number)) as unit:
                    unit.append(COUNTER, [change(counter(number), 0, counted(1))])
                    unit.answer(answer)
                    proxy.armed = True
                return answer

            with pytest.raises(Unavailable, match="not known"):
                ask()
            told_failed += ask() != answer
            doubled += len(direct.history(counter(number))) != 1
    assert (proxy.cut, told_failed, doubled) == (50, 0, 0)
