"""
Topics on a real broker: made as the contract says, checked, and named when they are wrong; never repaired.
"""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.kafka.relay import CannotBePublished, Outgoing, Pages
from adapters.kafka.topics import Topics, TopicsWrong, Wanted
from formats.contract import Topic
from tests.patience import eventually
from tests.table import cases


def _topic(name: str, *, partitions: int = 3, retention_ms: int = -1) -> Topic:
    return Topic(
        name=name, direction="out", folder="", about="", key="", order="", partitions=partitions, replication=3,
        min_insync_replicas=2, retention_ms=retention_ms, cleanup_policy="delete",
    )  # fmt: skip


def _alter(kafka: Kafka, topic: str, settings: dict[str, str]) -> None:
    from kafka.admin import ConfigResource

    with closing(clients.admin(kafka.address)) as admin:
        admin.alter_configs([ConfigResource("topic", topic, settings)])


@cases("""
    setting                         value    problem
    retention.ms                    1000     retention.ms is 1000 instead of -1
    cleanup.policy                  compact  cleanup.policy is compact instead of delete
    max.message.bytes               5000     max.message.bytes is 5000 instead of 1048588
    unclean.leader.election.enable  true     unclean.leader.election.enable is true instead of false
    message.timestamp.type          LogAppendTime  message.timestamp.type is LogAppendTime instead of CreateTime
""")
def test_a_topic_with_a_wrong_setting_is_named_and_not_repaired(
    kafka: Kafka, setting: str, value: object, problem: str
) -> None:
    name = f"wrong.{setting}"
    wanted = Wanted(topics=[_topic(name)], one_broker=True)
    topics = Topics(kafka.address)
    assert topics.create(wanted) == [name]
    assert topics.create(wanted) == []
    _alter(kafka, name, {setting: str(value)})
    eventually(lambda: topics.find([name])[name].settings[setting] == str(value))
    for ask in (topics.check, topics.create):
        with pytest.raises(TopicsWrong) as refused:
            ask(wanted)
        assert f"{name}: {problem}." in str(refused.value)


def test_wrong_partitions_and_missing_topics_are_all_named_in_one_sentence(kafka: Kafka) -> None:
    topics = Topics(kafka.address)
    topics.create(Wanted(topics=[_topic("counted", partitions=2)], one_broker=True))
    with pytest.raises(TopicsWrong) as refused:
        topics.check(Wanted(topics=[_topic("counted", partitions=3), _topic("absent")], one_broker=True))
    assert "counted: it has 2 partitions instead of 3; absent: it is not there." in str(refused.value)


def test_one_copy_is_refused_unless_somebody_said_that_there_is_one_broker(kafka: Kafka) -> None:
    topics, wanted = Topics(kafka.address), [_topic("copies")]
    with pytest.raises(TopicsWrong, match="--one-broker"):
        topics.create(Wanted(topics=wanted))
    topics.create(Wanted(topics=wanted, one_broker=True))
    with pytest.raises(TopicsWrong, match=r"a partition has 1 copies instead of 3.* say so \(--one-broker\)\.$"):
        topics.check(Wanted(topics=wanted))


def test_a_record_that_the_broker_does_not_take_stops_the_relay_and_its_producer(
    kafka: Kafka,
) -> None:
    topic = _topic("small", partitions=1)
    wanted = Wanted(topics=[topic], one_broker=True)
    Topics(kafka.address).create(wanted)
    _alter(kafka, "small", {"max.message.bytes": "1000"})
    with Pages(kafka.address) as pages:
        record = Outgoing("small", 0, b"key", os.urandom(5_000), [], 1, 1)
        with pytest.raises(CannotBePublished, match="the broker takes only smaller records"):
            pages.send([record])
        assert pages.abandoned == 1
