"""
Kafka clients as we make them: with our settings, only when a broker answers, and quiet in the log.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, NoOffsetForPartitionError, UnknownTopicOrPartitionError

from adapters.kafka import clients, jvm
from adapters.kafka.broker import Kafka
from adapters.kafka.clients import ClusterView, RateLimit
from adapters.kafka.line import BrokerUnavailable
from tests.patience import PATIENCE_S, eventually

MakeTopic = Callable[..., str]


def test_what_a_producer_of_ours_sent_a_consumer_of_ours_reads(kafka: Kafka, make_topic: MakeTopic) -> None:
    topic = make_topic(kafka, partitions=3)
    producer = clients.producer(kafka.address)
    producer.send(topic, b"value", key=b"key", headers=[("ce_type", b"test")], partition=2).get(PATIENCE_S)
    producer.close()
    consumer = clients.consumer(kafka.address, group=None)
    partition = TopicPartition(topic, 2)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    (record,) = consumer.poll(timeout_ms=int(PATIENCE_S * 1000))[partition]
    consumer.close()
    assert (record.key, record.value, record.headers) == (b"key", b"value", [("ce_type", b"test")])


def test_a_consumer_without_a_position_says_so_and_does_not_jump(kafka: Kafka, make_topic: MakeTopic) -> None:
    consumer = clients.consumer(kafka.address, group=f"{make_topic(kafka)}.readers")
    consumer.assign([TopicPartition(make_topic(kafka), 0)])
    with pytest.raises(NoOffsetForPartitionError):
        eventually(lambda: bool(consumer.poll(timeout_ms=200)))
    consumer.close()


def test_a_topic_is_never_made_by_accident(kafka: Kafka) -> None:
    producer = clients.producer(kafka.address, max_block_ms=500)
    with pytest.raises((UnknownTopicOrPartitionError, KafkaTimeoutError)):
        producer.send("nobody.made.this", b"value").get(2)
    clients.abandon(producer)
    assert "nobody.made.this" not in clients.probe(kafka.address).partitions


@pytest.mark.parametrize(
    "make", [clients.producer, clients.admin, lambda *a, **k: clients.consumer(*a, group="g", **k)]
)
def test_no_client_is_made_and_no_thread_leaks_when_nobody_answers(make: Callable[..., object]) -> None:
    (port,) = jvm.free_ports(1)
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(BrokerUnavailable, match=f"address=127.0.0.1:{port}"):
            make(f"127.0.0.1:{port}", within_s=0.2)
    assert threading.active_count() == before


def test_a_port_that_answers_nothing_is_no_broker() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(BrokerUnavailable, match="reason=TimeoutError"):
            clients.probe(f"127.0.0.1:{deaf.getsockname()[1]}", within_s=0.2)


def test_an_address_that_is_none_is_refused_in_a_sentence() -> None:
    with pytest.raises(BrokerUnavailable, match="No Kafka broker answers"):
        clients.probe("localhost")


def test_the_second_address_is_asked_when_the_first_is_silent(kafka: Kafka) -> None:
    (port,) = jvm.free_ports(1)
    assert clients.probe(f"127.0.0.1:{port},{kafka.address}").cluster_id == kafka.cluster_id


def test_a_setting_that_the_client_does_not_know_is_an_error_of_ours(kafka: Kafka) -> None:
    with pytest.raises((TypeError, ValueError), match="no_such_setting"):
        clients.producer(kafka.address, no_such_setting=1)


def test_a_cluster_is_complete_when_all_brokers_are_there_and_every_partition_has_a_leader() -> None:
    whole = ClusterView(cluster_id="x", broker_ids=frozenset({1, 2, 3}), partitions={"t": 2}, leaderless=())
    assert whole.is_complete(brokers=3)
    assert not replace(whole, leaderless=("t/1",)).is_complete(brokers=3)
    assert not replace(whole, broker_ids=frozenset({1, 2})).is_complete(brokers=3)


# ---- the log --------------------------------------------------------------------------------------------------------


def record_at(second: float, *, line: int = 1) -> logging.LogRecord:
    record = logging.LogRecord("kafka.x", logging.WARNING, "x.py", line, "node %d is away", (7,), None)
    record.created = second
    return record


def test_the_same_line_is_written_three_times_a_minute_and_then_counted() -> None:
    limit = RateLimit(at_most=3, per_s=60)
    assert [limit.filter(record_at(second)) for second in range(30)] == [True] * 3 + [False] * 27
    later = record_at(61)
    assert limit.filter(later)
    assert later.getMessage() == "node 7 is away [27 like this held back in the last 60 seconds]"


def test_another_line_has_a_count_of_its_own() -> None:
    limit = RateLimit(at_most=1, per_s=60)
    assert [limit.filter(record_at(0, line=line)) for line in (1, 2, 1, 2)] == [True, True, False, False]


def test_a_client_that_knocks_in_vain_for_long_writes_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("kafka.net.manager")
    clients.quiet_logs(RateLimit(at_most=3, per_s=60))
    clients.quiet_logs()
    limits = [each for each in logger.filters if isinstance(each, RateLimit)]
    try:
        for _ in range(100):
            logger.error("Connection failed")
        assert len(caplog.records) == 3
    finally:
        for name in list(logging.root.manager.loggerDict):
            for each in limits:
                logging.getLogger(name).removeFilter(each)
