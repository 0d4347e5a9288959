"""
What the relay reaches on a real broker: against a bare send loop, from commit to subscriber, and over a long catch-up.

`python -m tests.bench.kafka [--quick] [--events N] [--write]` takes them alone and writes docs/benchmarks-kafka.md;
`./backoffice bench kafka` takes them with the others. The broker has fsync as Kafka has it: by copies, not by disk.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaProducer

from adapters.kafka import clients
from adapters.kafka.broker import STEADY, Kafka
from adapters.kafka.relay import Outgoing
from adapters.kafka.topics import Topics
from adapters.kafka.translation import Translation
from adapters.postgres.database import OWNER, Database
from adapters.postgres.relay_positions import RelayPositions
from consumers.publishing import LIVE, Options, live_relay, public_topics, unopened_feed, wanted_topics
from domain.zorgkas_affiliation.remembered import AFFILIATION
from tests.bench import harness, material, report
from tests.bench.harness import Bench, Figure, Stopwatch, median_rate, middle, spread
from tests.bench.store_figures import store_on
from tests.faults.relays import Plan, RelayProcess, until

_PAGE = 5_000


def kafka(bench: Bench) -> None:
    """
    All three, on one broker.
    """
    with _broker() as broker:
        throughput(bench, broker)
        latency(bench, broker)
        catch_up(bench, broker, events=bench.size(200_000, 20_000))


@contextmanager
def _broker() -> Iterator[Kafka]:
    with tempfile.TemporaryDirectory(prefix="backoffice-bench-kafka-") as folder:
        server = Kafka(Path(folder) / "kafka", pace=STEADY)
        server.start()
        try:
            Topics(server.address).create(wanted_topics(one_broker=True))
            yield server
        finally:
            server.stop()


def _record(bench: Bench, database: Database, events: int) -> int:
    with store_on(database) as store:
        histories = material.histories(material.members(-(-events // 20), seed=bench.seed))
        for number, batch in enumerate(material.batches(histories, _PAGE)):
            with store.transaction(material.commit_of("kafka", number)) as unit:
                unit.append(AFFILIATION, material.changes(batch))
        return store.feed.high_water()


# --- Against a bare send loop ------------------------------------------------------------------------------------------


def throughput(bench: Bench, broker: Kafka) -> None:
    """
    The whole relay (read, translate, send, acknowledged, position moved) against the client's send loop alone.
    """
    with bench.database() as database:
        last = _record(bench, database, bench.size(60_000, 4_000))
        records = _translated(database)

        def bare(watch: Stopwatch) -> int:
            producer = clients.producer(broker.address)
            with watch.timed():
                _send_all(producer, records)
            producer.close()
            return len(records)

        def ours(watch: Stopwatch) -> int:
            _forget(database)
            RelayPositions(database, LIVE).begin(after=0, until=last)
            relay = live_relay(database, broker.address, Options(one_broker=True))
            with watch.timed():
                relay.run()
            harness.agree(position=relay.positions.standing().position, expected=last)
            return len(records)

        took = bench.turns({"bare": bare, "ours": ours})
        profile = bench.profile(ours)
    now, against = median_rate(took["ours"]), median_rate(took["bare"])
    one = middle(took["ours"])
    bench.add(Figure(
        name="relay", what="relay, store to acknowledged, against a bare send loop with the same records", unit="records/s",
        ours="read, translated, sent in pages, acknowledged, position moved", against="KafkaProducer.send and flush alone",
        ours_value=now, against_value=against, ratio=now / against, target=0.60, stretch=0.75,
        limit="one interpreter lock: reading, translating and the client's own work share a core",
        details=[
            (f"{len(records):,} records of {statistics.mean(len(each.value) for each in records):.0f} bytes and "
            f"{len(records[0].headers)} headers"),
            f"rates {spread(took['ours'])} against {spread(took['bare'])}",
            f"{1e6 * one.client / one.items:.1f} us of processor time per record in our process",
        ],
        profile=profile,
    ))  # fmt: skip


def _translated(database: Database) -> list[Outgoing]:
    feed, sent, after = unopened_feed(database), dict[tuple[str, int], int](), 0
    translate = Translation(epoch="1-1", partitions={topic.name: topic.partitions for topic in public_topics()})
    records: list[Outgoing] = []
    while page := feed.read(after=after, limit=_PAGE):
        after = page[-1].position
        for envelope in page:
            record = translate(envelope, sent)
            if record is not None:
                sent[record.topic, record.partition] = record.sequence
                records.append(record)
    return records


def _send_all(producer: KafkaProducer, records: Sequence[Outgoing]) -> None:
    send = producer.send
    futures = [
        send(
            record.topic, value=record.value, key=record.key, headers=record.headers, partition=record.partition,
            timestamp_ms=record.timestamp_ms,
        )
        for record in records
    ]  # fmt: skip
    producer.flush()
    assert all(future.succeeded() for future in futures)


def _forget(database: Database) -> None:
    with database.connect(OWNER) as session:
        session.execute("DELETE FROM relay_topics")
        session.execute("DELETE FROM relay_partitions")
        session.execute("DELETE FROM relays")


# --- From commit to subscriber -----------------------------------------------------------------------------------------


def latency(bench: Bench, broker: Kafka) -> None:
    """
    One event a commit, a thousand a second, relay in a process of its own; until a subscriber's poll returns it.
    """
    rate, seconds = 1_000, bench.size(15, 3)
    with bench.database() as database:
        consumer = _at_the_end(broker)
        relay = RelayProcess(Plan(url=database.url, bootstrap=broker.address, page_events=2_000, lease_seconds=20))
        try:
            relay.wait_until_active()
            writer = threading.Thread(target=_write_steadily, args=(bench, database, rate, rate * seconds))
            writer.start()
            delays = sorted(_delays(consumer, rate * seconds))
            writer.join()
        finally:
            relay.end()
            consumer.close()
    half, most = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    for name, value, target, stretch in (("p50", half, 50.0, 30.0), ("p99", most, 500.0, 150.0)):
        bench.add(Figure(
            name=f"latency_{name}", what=f"commit to subscriber at {rate} events a second, {name}", unit="ms",
            ours="one event a commit; recorded_at to the return of poll", against="1 ms", ours_value=value, against_value=1,
            ratio=value, target=target, stretch=stretch, at_most=True,
            limit="a page is not sent before the one before it is acknowledged and its position moved",
            details=[f"{len(delays):,} events; the slowest took {delays[-1]:.0f} ms"],
        ))  # fmt: skip


def _write_steadily(bench: Bench, database: Database, rate: int, events: int) -> None:
    ids = material.members(events, seed=bench.seed + 1)
    with store_on(database) as store:
        began = time.perf_counter()
        for number, member in enumerate(ids):
            late = began + number / rate - time.perf_counter()
            if late > 0:
                time.sleep(late)
            history = material.History(material.affiliation_of(member), [material.opened(2020)])
            with store.transaction(material.commit_of("steady", number)) as unit:
                unit.append(AFFILIATION, material.changes([history]))


def _at_the_end(broker: Kafka) -> Consumer:
    topic = next(topic for topic in public_topics() if topic.folder == "zorgkas-affiliation")
    settings = {"bootstrap.servers": broker.address, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer({**settings, "fetch.wait.max.ms": 10})
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    for place in places:
        place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
    consumer.assign(places)
    return consumer


def _delays(consumer: Consumer, events: int) -> Iterator[float]:
    """
    Give the milliseconds from the moment of recording to now, by the clock that both sides of one machine share.
    """
    for _ in range(events):
        message = consumer.poll(30)
        assert message is not None, "the events stopped coming"
        assert message.error() is None, message.error()
        yield time.time() * 1000 - message.timestamp()[1]


# --- A long way to catch up --------------------------------------------------------------------------------------------


def catch_up(bench: Bench, broker: Kafka, *, events: int) -> None:
    """
    Everything from the beginning, in a process of its own: the rate of the last quarter against that of the first.
    """
    with bench.database() as database:
        last = _record(bench, database, events)
        positions = RelayPositions(database, LIVE)
        relay = RelayProcess(Plan(url=database.url, bootstrap=broker.address, page_events=2_000, lease_seconds=20))
        try:
            relay.wait_until_active()
            process, marks = psutil.Process(relay.pid), list[tuple[int, float, float]]()
            for quarter in range(5):
                until(lambda at=quarter * last // 4: positions.standing().position >= max(at, 1), within_s=1_800)
                marks.append((positions.standing().position, time.perf_counter(), process.memory_info().rss / 2**20))
        finally:
            relay.end()
    rates = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in itertools.pairwise(marks)]
    bench.add(Figure(
        name="catch_up", what=f"relay catching up {last:,} events: rate of the last quarter against the first",
        unit="events/s", ours="the last quarter", against="the first quarter", ours_value=rates[-1], against_value=rates[0],
        ratio=rates[-1] / rates[0], target=0.85, stretch=0.95,
        details=[
            "rate by quarter: " + ", ".join(f"{rate:,.0f}" for rate in rates),
            "memory of the process at each quarter, MiB: " + ", ".join(f"{mark[2]:.0f}" for mark in marks),
        ],
    ))  # fmt: skip


# --- By itself ---------------------------------------------------------------------------------------------------------

DOCUMENT = harness.ROOT / "docs" / "benchmarks-kafka.md"


def main(arguments: Sequence[str]) -> int:
    known = argparse.ArgumentParser(description=__doc__)
    known.add_argument("--quick", action="store_true")
    known.add_argument("--events", type=int, default=1_000_000, help="how many to catch up")
    known.add_argument("--seed", type=int, default=1)
    known.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    given = known.parse_args(arguments)
    machine, started = harness.machine(), time.monotonic()
    opened: Any = harness.opened(quick=given.quick, seed=given.seed, members=0, say=harness.to_stderr)
    with opened as bench, _broker() as broker:
        throughput(bench, broker)
        latency(bench, broker)
        catch_up(bench, broker, events=given.events)
    taken = report.Taken(
        figures=bench.figures, machine=machine, commit=harness.commit(), seed=given.seed, quick=given.quick,
        seconds=round(time.monotonic() - started),
    )  # fmt: skip
    print(report.as_text(taken))
    if given.write:
        text = report.as_markdown(taken).replace("./backoffice bench --write", "python -m tests.bench.kafka --write")
        DOCUMENT.write_text(text.replace("# What it reaches", "# What the relay reaches", 1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
