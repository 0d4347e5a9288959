"""
What kafka-python really does when a broker dies, on a real broker that dies.

Each test shows a behaviour that our settings and `abandon` are there for. When one of them fails after an upgrade of the
client, the client changed: read docs/decisions/0020-kafka-from-packages.md, and see what may be simplified.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError, LogTruncationError, OffsetOutOfRangeError
from kafka.net.compat import KafkaNetClient

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from tests.patience import PATIENCE_S, eventually
from tests.table import cases

ROOT = Path(__file__).parent.parent.parent
MakeTopic = Callable[..., str]

#: What may not be set: a batch may expire inside the client. (The linger must fit in it, and the request too.)
BATCHES_EXPIRE = {"delivery_timeout_ms": 5000, "request_timeout_ms": 2000}


def log_of(kafka: Kafka, topic: str) -> list[str]:
    """
    Everything that stands in partition 0 of a topic, in order.
    """
    partition = TopicPartition(topic, 0)
    consumer = clients.consumer(kafka.address, group=None)
    try:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        end = consumer.end_offsets([partition])[partition]
        read: list[str] = []
        while consumer.position(partition) < end:
            read += [record.value.decode() for record in consumer.poll(timeout_ms=200).get(partition, [])]
        return read
    finally:
        consumer.close()


# ---- finding 1: the idempotent producer that never sends again ------------------------------------------------------


def test_after_an_expired_batch_an_idempotent_producer_never_sends_again(
    own_kafka: Kafka, make_topic: MakeTopic
) -> None:
    topic = make_topic(own_kafka)
    producer = clients.producer(own_kafka.address, **BATCHES_EXPIRE)
    producer.send(topic, b"before", partition=0).get(PATIENCE_S)
    own_kafka.pause()
    with pytest.raises(KafkaTimeoutError):
        producer.send(topic, b"expires", partition=0).get(PATIENCE_S)
    own_kafka.resume()
    after = producer.send(topic, b"after", partition=0)
    with pytest.raises(KafkaTimeoutError):
        after.get(4)
    assert not producer._transaction_manager.has_producer_id()
    assert clients.abandon(producer)


def test_with_our_settings_the_same_outage_passes_and_nothing_is_lost(own_kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = make_topic(own_kafka)
    producer = clients.producer(own_kafka.address, request_timeout_ms=1000)
    producer.send(topic, b"before", partition=0).get(PATIENCE_S)
    own_kafka.pause()
    during = producer.send(topic, b"during", partition=0)
    with pytest.raises(KafkaTimeoutError):
        during.get(3)
    own_kafka.resume()
    # Mostly at once; a connection that was being made during the pause is given up only after 10 seconds.
    during.get(PATIENCE_S)
    producer.send(topic, b"after", partition=0).get(PATIENCE_S)
    producer.close()
    assert log_of(own_kafka, topic) == ["before", "during", "after"]


# ---- finding 3: no transactions with this client --------------------------------------------------------------------

_COMMITS_WHEN_TOLD = """
import sys
from adapters.kafka import clients
address, topic = sys.argv[1:]
producer = clients.producer(address, transactional_id=topic)
producer.init_transactions()
producer.begin_transaction()
producer.send(topic, b"in a transaction", partition=0).get(100)
print("sent", flush=True)
sys.stdin.readline()
print("commits", flush=True)
producer.commit_transaction()
print("committed", flush=True)
"""


def test_a_commit_while_the_broker_is_away_blocks_for_ever(own_kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = make_topic(own_kafka)
    with child(_COMMITS_WHEN_TOLD, own_kafka.address, topic) as process:
        assert process.line() == "sent"
        own_kafka.kill()
        process.tell("commit")
        assert process.line() == "commits"
        # Not back at once: the commit must have been tried while nobody was there.
        assert process.line(within_s=1.5) == ""
        own_kafka.start()
        assert process.line(within_s=5) == ""


# ---- finding 4: a producer that will not close ----------------------------------------------------------------------


def test_close_without_waiting_leaves_the_thread_alive_and_abandon_ends_it(
    own_kafka: Kafka, make_topic: MakeTopic
) -> None:
    topic = make_topic(own_kafka)
    producer = clients.producer(own_kafka.address)
    producer.send(topic, b"before", partition=0).get(PATIENCE_S)
    own_kafka.pause()
    stuck = producer.send(topic, b"stuck", partition=0)
    with pytest.raises(KafkaTimeoutError):
        producer.close(timeout=0)
    assert producer._sender.is_alive()
    assert clients.abandon(producer)
    assert not producer._sender.is_alive()
    assert stuck.failed()
    assert not [thread for thread in threading.enumerate() if "producer" in thread.name.lower()]


def test_abandon_ends_a_producer_that_waits_for_a_broker_which_does_not_answer(own_kafka: Kafka) -> None:
    connects = threading.Event()

    class BrokerStops(KafkaNetClient):  # type: ignore[misc]
        """
        The broker stops between the moment when it was found and the first connection for records.
        """

        def await_ready(self, *args: object, **named: object) -> bool:
            own_kafka.pause()
            connects.set()
            return bool(super().await_ready(*args, **named))

    producer = clients.producer(own_kafka.address, kafka_client=BrokerStops)
    assert connects.wait(PATIENCE_S)
    assert clients.abandon(producer)
    assert not producer._sender.is_alive()


def test_abandon_of_a_producer_with_nothing_open_is_a_plain_close(kafka: Kafka, make_topic: MakeTopic) -> None:
    producer = clients.producer(kafka.address)
    producer.send(make_topic(kafka), b"sent", partition=0).get(PATIENCE_S)
    assert clients.abandon(producer)
    assert clients.abandon(producer)


# ---- finding 6: what was given up still arrives ---------------------------------------------------------------------

PAGE = [f"{number:04d}".ljust(100, ".") for number in range(300)]


@cases("""
    given_up_by  copies_min  copies_max
    abandon      300         399         # what was in the socket may still arrive, the rest never
    close        600         600         # the zombie delivers its whole page beside the new producer
""")
def test_a_page_that_was_given_up_arrives_twice_and_high_water_drops_the_copies(
    own_kafka: Kafka, make_topic: MakeTopic, given_up_by: str, copies_min: int, copies_max: int
) -> None:
    topic = make_topic(own_kafka)
    # Small batches, so that most of the page still waits in the client when five requests are on their way.
    first = clients.producer(own_kafka.address, batch_size=1000, request_timeout_ms=30_000)
    first.send(topic, b"warm", partition=0).get(PATIENCE_S)
    own_kafka.pause()
    sent = [first.send(topic, record.encode(), partition=0) for record in PAGE]
    with pytest.raises(KafkaTimeoutError):
        sent[0].get(0.5)
    if given_up_by == "abandon":
        assert clients.abandon(first)
    else:
        with pytest.raises(KafkaTimeoutError):
            first.close(timeout=0)
    own_kafka.resume()
    second = clients.producer(own_kafka.address)
    for future in [second.send(topic, record.encode(), partition=0) for record in PAGE]:
        future.get(PATIENCE_S)
    if given_up_by == "close":
        eventually(lambda: all(future.is_done for future in sent))
        clients.abandon(first)
    second.close()
    log = log_of(own_kafka, topic)[1:]
    assert set(Counter(log)) == set(PAGE)
    assert copies_min <= len(log) <= copies_max
    assert after_high_water(log) == PAGE


def after_high_water(log: list[str]) -> list[str]:
    """
    What a consumer keeps that drops everything at or below the highest it has seen.
    """
    kept: list[str] = []
    for record in log:
        if not kept or record > kept[-1]:
            kept.append(record)
    return kept


# ---- finding 7: a finite delivery timeout leaves a gap --------------------------------------------------------------


@cases("""
    delivery_timeout_ms  log
    5000                 zero two       # "one" expired, "two" was sent after it: a gap nobody sees
    2147483647           zero one two
""")
def test_a_batch_that_may_expire_leaves_a_gap_and_ours_never_does(
    own_kafka: Kafka, make_topic: MakeTopic, delivery_timeout_ms: int, log: str
) -> None:
    topic = make_topic(own_kafka)
    producer = clients.producer(
        own_kafka.address,
        enable_idempotence=False,
        max_in_flight_requests_per_connection=1,
        request_timeout_ms=2000,
        delivery_timeout_ms=delivery_timeout_ms,
    )
    producer.send(topic, b"zero", partition=0).get(PATIENCE_S)
    own_kafka.kill()
    one = producer.send(topic, b"one", partition=0)
    with pytest.raises(KafkaTimeoutError):
        one.get(8)
    own_kafka.start()
    producer.send(topic, b"two", partition=0).get(PATIENCE_S)
    producer.close()
    assert log_of(own_kafka, topic) == log.split()


# ---- finding 10: a stopped member reads on --------------------------------------------------------------------------

QUICK_GROUP = {"session_timeout_ms": 1500, "heartbeat_interval_ms": 300}


class FromTheStart(ConsumerRebalanceListener):  # type: ignore[misc]
    """
    Seeks every assigned partition to 0, as a projector seeks to the position in its own tables.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        self.consumer = consumer

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        for partition in assigned:
            self.consumer.seek(partition, 0)

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """
        Nothing to save: there is no position in this test.
        """


_READS_WHEN_TOLD = """
import sys
from adapters.kafka import clients
from tests.integration.test_kafka_clients_faults import QUICK_GROUP, FromTheStart
address, topic = sys.argv[1:]
consumer = clients.consumer(address, group=topic, **QUICK_GROUP)
consumer.subscribe([topic], listener=FromTheStart(consumer))
for _ in sys.stdin:
    records = []
    while not records:
        records = [each for some in consumer.poll(timeout_ms=100, max_records=10).values() for each in some]
    print(*(record.offset for record in records), flush=True)
"""


def test_a_member_that_was_stopped_hands_out_records_that_another_has_had(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = make_topic(kafka)
    producer = clients.producer(kafka.address)
    for number in range(1000):
        producer.send(topic, str(number).encode(), partition=0)
    producer.flush(10)
    producer.close()
    with child(_READS_WHEN_TOLD, kafka.address, topic) as stopped:
        stopped.tell("read")
        assert stopped.line() == "0 1 2 3 4 5 6 7 8 9"
        os.kill(stopped.pid, signal.SIGSTOP)
        heir = clients.consumer(kafka.address, group=topic, **QUICK_GROUP)
        heir.subscribe([topic], listener=FromTheStart(heir))
        read: set[int] = set()
        eventually(lambda: bool(read.update(offsets(heir)) or len(read) == 1000))
        stopped.tell("read")  # waiting for it when it wakes up, before it can hear that it was declared dead
        os.kill(stopped.pid, signal.SIGCONT)
        again = stopped.line()
        heir.close()
    assert [int(offset) for offset in again.split()] == list(range(10, 20))
    assert read.issuperset(range(10, 20))


def offsets(consumer: KafkaConsumer) -> list[int]:
    return [record.offset for some in consumer.poll(timeout_ms=100).values() for record in some]


# ---- finding 12: a topic deleted and made again ---------------------------------------------------------------------


@cases("""
    made_again_with  outcome
    150              100            # reading goes on at 100, and 0 to 99 are skipped without a word
    50               refused        # by one of two exceptions
""")
def test_a_topic_made_again_is_noticed_only_by_its_id(
    kafka: Kafka, make_topic: MakeTopic, made_again_with: int, outcome: object
) -> None:
    topic = make_topic(kafka)
    partition = TopicPartition(topic, 0)
    fill(kafka, topic, 100)
    consumer = clients.consumer(kafka.address, group=None)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    read: list[int] = []
    eventually(lambda: bool(read.extend(offsets(consumer)) or len(read) == 100))
    before = topic_id(kafka, topic)
    make_again(kafka, make_topic, topic)
    fill(kafka, topic, made_again_with)
    assert first_of(consumer) == outcome
    consumer.close()
    assert topic_id(kafka, topic) != before


def first_of(consumer: KafkaConsumer) -> object:
    found: list[int] = []
    try:
        eventually(lambda: bool(found.extend(offsets(consumer)) or found))
    except (OffsetOutOfRangeError, LogTruncationError):  # which of the two is a race
        return "refused"
    return found[0]


def fill(kafka: Kafka, topic: str, count: int) -> None:
    producer = clients.producer(kafka.address)
    for future in [producer.send(topic, b".", partition=0) for _ in range(count)]:
        future.get(PATIENCE_S)
    producer.close()


def topic_id(kafka: Kafka, topic: str) -> str:
    admin = clients.admin(kafka.address)
    try:
        return str(admin.describe_topics([topic])[0]["topic_id"])
    finally:
        admin.close()


def make_again(kafka: Kafka, make_topic: MakeTopic, topic: str) -> None:
    admin = clients.admin(kafka.address)
    admin.delete_topics([topic])
    admin.close()
    eventually(lambda: topic not in clients.probe(kafka.address).partitions)
    make_topic(kafka, name=topic)


# ---- a child process that does one thing when it is told -------------------------------------------------------------


class child:
    """
    A Python process of our own that reads commands and writes lines; killed at the end, also when it is stopped.
    """

    def __init__(self, program: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self._process.pid
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def line(self, *, within_s: float = PATIENCE_S) -> str:
        """
        The next line, or nothing when none came in time.
        """
        try:
            return self._lines.get(timeout=within_s)
        except queue.Empty:
            return ""

    def __enter__(self) -> child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
