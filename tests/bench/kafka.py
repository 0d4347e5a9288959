"""
What the relay reaches on a real broker: against a bare send loop, from commit to subscriber, and over a long catch-up.

Those of the consumers: `tests.bench.kafka_consumers`. The broker has fsync as Kafka has it: by copies, not by disk.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaProducer

from adapters.garbage import rare_collections
from adapters.kafka import clients
from adapters.kafka.broker import STEADY, Kafka
from adapters.kafka.relay import Outgoing
from adapters.kafka.topics import Topics
from adapters.kafka.translation import Translation
from adapters.postgres.database import OWNER, Database
from adapters.postgres.relay_positions import RelayPositions
from consumers.publishing import LIVE, Options, live_relay, public_topics, unopened_feed, wanted_topics
from domain.zorgkas_affiliation import AFFILIATION
from tests.bench import harness, kafka_consumers, material
from tests.bench.harness import Bench, Figure, Stopwatch, median_rate, middle, spread
from tests.bench.quarters import add_quarters, quarters
from tests.bench.store_figures import store_on
from tests.faults.relays import Plan, RelayProcess

_PAGE = 5_000
_EVENTS_EACH = 20


def kafka(bench: Bench) -> None:
    """
    Relay, latency, consumers and the long catch-up of both. Topics hold one history, so each has a broker of its own.
    """
    with broker_with_topics() as broker:
        throughput(bench, broker)
        latency(bench, broker)
    with broker_with_topics() as broker:
        kafka_consumers.consumers(bench, broker)
    with broker_with_topics() as broker, bench.database() as database:
        events = record(bench, database, bench.size(1_000_000, 20_000))
        relay_catches_up(bench, broker, database, events)
        kafka_consumers.consumer_catches_up(bench, broker, database, events)


@contextmanager
def broker_with_topics() -> Iterator[Kafka]:
    """
    Lend a broker with the public topics, empty.
    """
    with tempfile.TemporaryDirectory(prefix="backoffice-bench-kafka-") as folder:
        server = Kafka(Path(folder) / "kafka", pace=STEADY)
        server.start()
        try:
            Topics(server.address).create(wanted_topics(one_broker=True))
            yield server
        finally:
            server.stop()


def record(bench: Bench, database: Database, events: int) -> int:
    """
    Record about that many events, twenty of each affiliation one after the other; return the last position.
    """
    ids = material.members(-(-events // _EVENTS_EACH), seed=bench.seed)
    at_once = _PAGE // _EVENTS_EACH
    with store_on(database) as store, rare_collections():
        for start in range(0, len(ids), at_once):
            with store.transaction(material.commit_of("kafka", start)) as unit:
                unit.append(AFFILIATION, material.changes(material.histories(ids[start : start + at_once])))
        return store.feed.high_water()


# --- Against a bare send loop ------------------------------------------------------------------------------------------


def throughput(bench: Bench, broker: Kafka) -> None:
    """
    The whole relay (read, translate, send, acknowledged, position moved) against the client's send loop alone.
    """
    with bench.database() as database:
        last = record(bench, database, bench.size(60_000, 4_000))
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


def relay_catches_up(bench: Bench, broker: Kafka, database: Database, last: int) -> None:
    """
    Everything from the beginning, in a process of its own: rate and memory by quarter.
    """
    positions = RelayPositions(database, LIVE)
    relay = RelayProcess(Plan(url=database.url, bootstrap=broker.address, page_events=2_000, lease_seconds=20))
    try:
        relay.wait_until_active()
        marks = quarters(lambda: positions.standing().position, last, relay.process)
    finally:
        relay.end()
    add_quarters(bench, marks, name="catch_up", what=f"relay catching up {last:,} events")
