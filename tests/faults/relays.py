"""
Relays in processes of their own, to be killed and stopped; and a writer that never stops giving them something to do.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from adapters.kafka import clients
from adapters.postgres.database import Database
from adapters.postgres.store import PostgresStore
from adapters.sealing import MasterKey
from application.ports import Change
from consumers.publishing import LIVE, Options, RelayPositions, live_relay, wait_until_published
from consumers.relay import Relay
from domain.aggregates import AGGREGATES
from domain.ids import StreamId
from domain.member import MEMBER
from domain.zorgkas_affiliation import AFFILIATION
from tests.bench import material
from tests.faults import topic_log
from tests.patience import PATIENCE_S, eventually

KEY = MasterKey(b"k" * 32)
MEMBERS_MIN = 60
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.relays"])


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a relay is run in these tests. `defect` names a planted one.
    """

    url: str
    bootstrap: str
    lease_seconds: float = 0.4
    page_events: int = 100
    deadline_s: float = 3.0
    one_broker: bool = True
    defect: str = ""


class PositionFirst(Relay):
    """
    The planted defect: the position is moved before the records are acknowledged.
    """

    def _publish(self, page: Any) -> Any:
        super()._move(self.at, page)
        self.at = page.events[-1].position
        return super()._publish(page)

    def _move(self, position: int, page: Any) -> None:
        """
        Done already, too early.
        """

    at = 0


def relay_of(database: Database, plan: Plan) -> Relay:
    options = Options(
        one_broker=plan.one_broker, lease_seconds=plan.lease_seconds, page_events=plan.page_events,
        deadline_s=plan.deadline_s,
    )  # fmt: skip
    relay = live_relay(database, plan.bootstrap, options)
    if plan.defect == "position first":
        relay.__class__ = PositionFirst
        taken = relay.positions.take

        def take(holder: str) -> Any:
            held = taken(holder)
            relay.at = held.position  # type: ignore[attr-defined]
            return held

        relay.positions.take = take  # type: ignore[method-assign]
    return relay


def work(plan: Plan, begins: Connection) -> None:
    """
    Be a relay; say when this one is the active one. SIGTERM stops it cleanly.
    """
    clients.quiet_logs()
    with Database(plan.url, application="relay") as database:
        relay = relay_of(database, plan)
        signal.signal(signal.SIGTERM, lambda *_: relay.stop.set())
        translation = relay.translation

        def begun(epoch: str) -> Any:
            begins.send(True)
            return translation(epoch)

        relay.translation = begun
        relay.run()


class RelayProcess:
    """
    One relay process, and the moment when it became the active one.
    """

    def __init__(self, plan: Plan) -> None:
        self._hears, says = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=work, args=(plan, says), daemon=True)
        self.process.start()
        says.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait_until_active(self) -> None:
        assert self._hears.poll(PATIENCE_S), "the relay did not become the active one"
        self._hears.recv()

    def end(self, how: signal.Signals = signal.SIGKILL) -> int | None:
        os.kill(self.pid, how)
        self.process.join(PATIENCE_S)
        code = self.process.exitcode
        self.process.close()
        self._hears.close()
        return code


class Writer:
    """
    Registers members and records years of premiums for them, a few at a time, until it is stopped.
    """

    def __init__(
        self, database: Database, *, seed: int, pause_s: float = 0.004, members: int = 100_000, first: int = 0
    ) -> None:
        self.store = PostgresStore(database, aggregates=AGGREGATES, master=KEY)
        self._ids = material.members(members, seed=seed)
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._first = first  # what tells the people of two writers apart
        self.written = 0
        self.problem: BaseException | None = None

    def write(self, members: int) -> None:
        """
        Record that many members now.
        """
        for _ in range(members):
            self._next()

    def _work(self) -> None:
        try:
            while not self._stop.wait(self._pause_s):
                self._next()
        except BaseException as problem:
            self.problem = problem

    def _next(self) -> None:
        number, member = self._first + self.written, self._ids[self.written]
        person, years = material.person(number), material.twenty(number)
        with self.store.transaction(material.commit_of("member", number)) as unit:
            unit.append(MEMBER, [Change(StreamId(member), 0, person, MEMBER.fold(person))])
            unit.append(AFFILIATION, [Change(material.affiliation_of(member), 0, years, AFFILIATION.fold(years))])
        self.written += 1

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """
        Write while the block lasts, and until there is enough to prove something, however slow the machine is.
        """
        self._thread.start()
        try:
            yield self
            eventually(lambda: self.written >= MEMBERS_MIN or not self._thread.is_alive())
        finally:
            self._stop.set()
            self._thread.join()
        assert self.problem is None, self.problem


def publish_the_rest(database: Database, plan: Plan) -> RelayPositions:
    """
    Let one undisturbed relay publish what is left, and stop it cleanly.
    """
    last = RelayProcess(plan)
    try:
        last.wait_until_active()
        positions = RelayPositions(database, LIVE)
        wait_until_published(positions, within_s=PATIENCE_S)
    finally:
        code = last.end(signal.SIGTERM)
    assert code == 0
    return positions


def verdict(bootstrap: str, database: Database) -> topic_log.Found:
    """
    Hold everything that stands in the public topics against the event table.
    """
    log = topic_log.read_all(bootstrap, topic_log.public_topics())
    wanted = topic_log.expected(database.url)
    assert len(wanted) > 1_000, "too little was written to prove anything"
    return topic_log.check(log, wanted)
