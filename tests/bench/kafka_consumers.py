"""
What consumers reach: the premium account from Kafka by one process and by two, and over a long catch-up.

A rate is taken from when all members have their partitions until 95 % of the messages are taken: joining a group, and
what is left to the slowest at the end, are no part of it. What one message costs each part is processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import psutil

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.postgres.database import OWNER, Database
from adapters.postgres.relay_positions import RelayPositions
from application.ports import Change
from consumers import published_accounts
from consumers.loop import Loop
from consumers.publishing import LIVE, Options, live_relay
from domain.zorgkas_affiliation import AFFILIATION
from formats.contract import contract
from tests.bench import harness, material
from tests.bench.harness import Bench, Figure
from tests.bench.quarters import add_quarters, quarters, wait_for
from tests.bench.store_figures import store_on
from tests.faults.relays import PROCESSES
from tests.patience import PATIENCE_S

_ASKED = 10_000
_EVENTS_EACH = 20
_UNTIL = 0.95
_POSITION = "SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets WHERE consumer = %s"
_ROWS = "SELECT count(*), sum(charged_cents) FROM rm_published_premium_account.affiliation"
_EMPTY = "TRUNCATE rm_published_premium_account.affiliation, rm_published_premium_account.premium_year"


class Turn(NamedTuple):
    """
    Messages a second of all processes together, and what a message cost each part, in microseconds of processor time.
    """

    rate: float
    consumers: float
    database: float
    broker: float


# --- One process, and two ----------------------------------------------------------------------------------------------


def consumers(bench: Bench, broker: Kafka) -> None:
    """
    Members take turns in the topic, as after yearly runs: a batch has few messages of each.
    """
    members = bench.size(10_000, 300)
    with bench.database() as database:
        _record_by_turn(bench, database, members)
        last = _publish(database, broker)
        one = sorted(_turn(bench, broker, database, last, processes=1) for _ in range(bench.rounds))
        two = sorted(_turn(bench, broker, database, last, processes=2) for _ in range(bench.rounds))
        harness.agree(
            rows=_ask(database, _ROWS), expected=(members, members * sum(material.CENTS.values()))
        )  # fmt: skip
    middle, both = one[len(one) // 2], two[len(two) // 2]
    bench.add(Figure(
        name="consumer", what=f"consumer into the read model, one process, against the {_ASKED:,} a second asked",
        unit="events/s", ours="Loop, PremiumAccounts: read, checked, folded, rows, offset and high-water mark in one transaction",
        against=f"{_ASKED:,} events/s", ours_value=middle.rate, against_value=_ASKED, ratio=middle.rate / _ASKED, target=1.0,
        stretch=1.5, limit="one interpreter: the client's own reading of records is the larger part, then headers and Avro",
        details=[f"{last:,} events, members taking turns; rates {one[0].rate:,.0f} to {one[-1].rate:,.0f}", _costs(middle)],
    ))  # fmt: skip
    bench.add(Figure(
        name="consumers_two", what="two consumer processes of one group against one", unit="events/s", ours="two processes",
        against="one process", ours_value=both.rate, against_value=middle.rate, ratio=both.rate / middle.rate, target=1.3,
        stretch=1.6, limit="the cores of this machine, which broker and database share; then the partitions of the topic (12)",
        details=[f"rates {two[0].rate:,.0f} to {two[-1].rate:,.0f}", _costs(both)],
    ))  # fmt: skip


def _costs(turn: Turn) -> str:
    return (
        f"processor time per event: the consumer {turn.consumers:.0f} us, the database {turn.database:.0f} us, "
        f"the broker {turn.broker:.0f} us"
    )


def _turn(bench: Bench, broker: Kafka, database: Database, last: int, *, processes: int) -> Turn:
    _forget(database)
    with _members(database, broker, processes) as (at_work, begin):
        watched = [psutil.Process(each.pid) for each in at_work]
        broker_process = psutil.Process(broker.pid())

        def spent() -> tuple[float, float, float, float]:
            ours = sum(_seconds(each) for each in watched)
            return time.perf_counter(), ours, bench.server_seconds(), _seconds(broker_process)

        began = spent()
        begin()
        taken = wait_for(lambda: _position(database), int(last * _UNTIL), *at_work)
        took = [after - before for before, after in zip(began, spent(), strict=True)]
        wait_for(lambda: _position(database), last, *at_work)
    bench.say(f"    {processes} consumer(s): {taken / took[0]:,.0f}/s")
    return Turn(taken / took[0], *(1e6 * each / taken for each in took[1:]))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _members(database: Database, broker: Kafka, processes: int) -> Iterator[tuple[list[Any], Callable[[], None]]]:
    """
    Lend the processes of a group that share the partitions evenly, and what lets them all begin.
    """
    go = PROCESSES.Event()
    started, pipes = [], []
    for _ in range(processes):
        hears, says = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=_consume, args=(database.url, broker.address, says, go), daemon=True)
        process.start()
        started.append(process)
        pipes.append(hears)
    try:
        partitions = contract().topics[published_accounts.TOPIC].partitions
        has = [0] * processes
        while has != [partitions // processes] * processes:
            heard = wait(pipes, PATIENCE_S)
            assert heard, f"the partitions were not shared evenly: {has}"
            for hears in heard:
                has[pipes.index(hears)] = hears.recv()
        yield started, go.set
    finally:
        for process in started:
            process.terminate()
            process.join(PATIENCE_S)


@dataclass(kw_only=True)
class _Held(Loop):
    """
    A member that tells how many partitions it has, and takes nothing from them before it is let go.
    """

    has: Callable[[int], None]
    go: Any

    def assigned(self, partitions: set[Any], *, inside: bool) -> None:
        super().assigned(partitions, inside=inside)
        self.has(len(partitions))

    def _place(self, consumer: Any, guard: Any) -> None:
        if self.go.is_set():
            super()._place(consumer, guard)


def _consume(url: str, bootstrap: str, says: Connection, go: Any) -> None:
    """
    Be one member of the group, as `backoffice consume premium-accounts` is.
    """
    clients.quiet_logs()
    with Database(url, application="backoffice-bench") as database:
        _Held(
            bootstrap=bootstrap, topics=[published_accounts.TOPIC], effect=published_accounts.PremiumAccounts(),
            database=database, now_ms=lambda: round(time.time() * 1000), has=says.send, go=go,
        ).run()  # fmt: skip


# --- A long way to catch up --------------------------------------------------------------------------------------------


def consumer_catches_up(bench: Bench, broker: Kafka, database: Database, last: int) -> None:
    """
    The topic from its start, in a process of its own: rate and memory by quarter.
    """
    _forget(database)
    with _members(database, broker, 1) as ((process,), begin):
        begin()
        marks = quarters(lambda: _position(database), last, process)
    add_quarters(bench, marks, name="consumer_catch_up", what=f"consumer catching up {last:,} events")


# --- What is read, and how far -----------------------------------------------------------------------------------------


def _record_by_turn(bench: Bench, database: Database, members: int) -> None:
    """
    Record two events of every affiliation, then the next two of every affiliation: as the years go by.
    """
    histories = material.histories(material.members(members, seed=bench.seed))
    states = {history.stream: AFFILIATION.initial for history in histories}
    with store_on(database) as store:
        for start in range(0, _EVENTS_EACH, 2):
            turn = [material.History(stream, events[start : start + 2]) for stream, events in histories]
            for number, batch in enumerate(material.batches(turn, 5_000)):
                changes = []
                for stream, events in batch:
                    states[stream] = AFFILIATION.fold(events, state=states[stream])
                    changes.append(Change(stream, start, events, states[stream]))
                with store.transaction(material.commit_of("turn", start, number)) as unit:
                    unit.load(AFFILIATION, [history.stream for history in batch])
                    unit.append(AFFILIATION, changes)


def _publish(database: Database, broker: Kafka) -> int:
    with store_on(database) as store:
        last = store.feed.high_water()
    RelayPositions(database, LIVE).begin(after=0, until=last)
    live_relay(database, broker.address, Options(one_broker=True)).run()
    return last


def _forget(database: Database) -> None:
    published_accounts.prepare(database)
    with database.connect(OWNER) as session:
        session.execute(_EMPTY)
    published_accounts.begin_afresh(database)


def _position(database: Database) -> int:
    return int(_ask(database, _POSITION, published_accounts.PremiumAccounts.name)[0])


def _ask(database: Database, query: str, *values: object) -> tuple[int, ...]:
    with database.session(OWNER) as session:
        found = session.execute(query.encode(), values or None).fetchone()
    assert found is not None
    return tuple(map(int, found))
