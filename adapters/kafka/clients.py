"""
Kafka clients with the settings that were measured against brokers that die, and nothing of them left to chance.

Why each value stands here: docs/decisions/0020-kafka-from-packages.md. What kafka-python does without them is kept as
tests in tests/integration/test_kafka_clients*.py, so that an upgrade shows what changed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.protocol.metadata import MetadataRequest

from adapters.kafka.access import AccessFileWrong, Bootstrap, Security, access_to
from adapters.kafka.line import CLIENT_ID, BrokerAccessRefused, BrokerUnavailable, Line, keep_secrets, refusal

PRODUCER: Final[Mapping[str, object]] = {
    "acks": "all",
    # Without it, retries with several requests in flight change the order, and high-water dedupe loses records.
    "enable_idempotence": True,
    "max_in_flight_requests_per_connection": 5,
    # Never let a batch expire inside the client: an idempotent producer never sends again after that, and a plain one
    # leaves a gap. The deadline belongs to the caller, who abandons the producer and resends.
    "delivery_timeout_ms": 2_147_483_647,
    "request_timeout_ms": 5_000,
    "max_block_ms": 5_000,
    "bootstrap_timeout_ms": 5_000,
    "retry_backoff_ms": 100,
    "reconnect_backoff_ms": 50,
    # 30 seconds by default: after an outage of 11 seconds the client would stay away for another 10.
    "reconnect_backoff_max_ms": 1_000,
    "metadata_max_age_ms": 60_000,
    "linger_ms": 5,
    # The default of 16 KB halves the speed.
    "batch_size": 262_144,
    "compression_type": "lz4",
    "allow_auto_create_topics": False,
}

CONSUMER: Final[Mapping[str, object]] = {
    "enable_auto_commit": False,
    # A position that the log does not hold is an alarm, never a silent jump.
    "auto_offset_reset": "none",
    "session_timeout_ms": 6_000,
    "heartbeat_interval_ms": 2_000,
    "max_poll_interval_ms": 60_000,
    "request_timeout_ms": 5_000,
    "reconnect_backoff_max_ms": 1_000,
    "fetch_max_wait_ms": 200,
    "metadata_max_age_ms": 30_000,
    "bootstrap_timeout_ms": 20_000,
    "allow_auto_create_topics": False,
}

ADMIN: Final[Mapping[str, object]] = {
    "request_timeout_ms": 5_000,
    "bootstrap_timeout_ms": 5_000,
    "reconnect_backoff_max_ms": 1_000,
}

#: How long a page of records may take from the first send to the last acknowledgement, in seconds.
PAGE_DEADLINE_S: Final = 10.0
#: How long a producer may take to end. Its thread waits for a connection to a broker that does not answer twice as long
#: as for a request, and hears nothing meanwhile.
ABANDON_S: Final = 30.0
#: How often a client that was not told of a topic is made to ask again.
_ASK_AGAIN_S: Final = 0.5

#: Whoever was not let in tries again ever later: each time is a failed login in the broker's log.
REFUSED_BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0)

_METADATA_VERSION: Final = 9


# ---- clients -------------------------------------------------------------------------------------------------------


def producer(
    bootstrap: Bootstrap, *, client_id: str = CLIENT_ID, within_s: float = 5.0, **settings: object
) -> KafkaProducer:
    """
    Return a producer for `bootstrap` (host:port, several by comma). Raises BrokerUnavailable when nobody answers, and
    BrokerAccessRefused at once when somebody does not let us in.

    `settings` go on top of PRODUCER, for tests that show why a value is as it is.
    """
    return _construct(KafkaProducer, bootstrap, PRODUCER, settings, client_id=client_id, within_s=within_s)


def consumer(
    bootstrap: Bootstrap, *, group: str | None, client_id: str = CLIENT_ID, within_s: float = 5.0, **settings: object
) -> KafkaConsumer:
    """
    Return a consumer of a group (None: no group, for `assign`). Raises BrokerUnavailable when nobody answers.
    """
    settings = {"group_id": group, **settings}
    return _construct(KafkaConsumer, bootstrap, CONSUMER, settings, client_id=client_id, within_s=within_s)


def admin(
    bootstrap: Bootstrap, *, client_id: str = CLIENT_ID, within_s: float = 5.0, **settings: object
) -> KafkaAdminClient:
    """
    Return a client for topics and their settings. Raises BrokerUnavailable when nobody answers.
    """
    return _construct(KafkaAdminClient, bootstrap, ADMIN, settings, client_id=client_id, within_s=within_s)


def _construct(
    kind: type,
    bootstrap: Bootstrap,
    defaults: Mapping[str, object],
    settings: Mapping[str, object],
    *,
    client_id: str,
    within_s: float,
) -> Any:
    """
    Look for the broker first, because a client that fails to reach it leaks a thread and its sockets for good, and one
    that is not let in tries again without end.

    A setting that the client does not know stays a TypeError or ValueError: trying again would not help.
    """
    security = _read(bootstrap)
    _wait_for_broker(str(bootstrap), security, within_s=within_s)
    keep_secrets()
    asked = {**defaults, **security.settings(), **settings}
    try:
        return kind(bootstrap_servers=str(bootstrap).split(","), client_id=client_id, **asked)
    except KafkaError as error:
        raise unavailable(error, bootstrap) from error


def unavailable(error: KafkaError, bootstrap: Bootstrap) -> BrokerUnavailable:
    """
    Return what an error of a client means; BrokerAccessRefused when it is no longer let in.
    """
    sentence = refusal(error)
    if sentence:
        return BrokerAccessRefused(sentence, address=bootstrap)
    return BrokerUnavailable(reason=type(error).__name__, address=bootstrap)


def _read(bootstrap: Bootstrap) -> Security:
    """
    Read the files of the broker's access. Raises BrokerAccessRefused: whoever waits may wait for the file to be right.
    """
    try:
        return access_to(bootstrap).read()
    except AccessFileWrong as wrong:
        raise BrokerAccessRefused(wrong.message, **wrong.facts) from None


def abandon(producer: KafkaProducer, *, within_s: float = ABANDON_S) -> bool:
    """
    End a producer now, whatever it still holds; return whether its thread ended within `within_s` seconds.

    `close(timeout=0)` does not do it: it flushes first, raises, and the thread lives on and delivers later what was
    given up. Records already in the socket may still arrive. There is no public way, hence `_sender`.
    """
    sender = producer._sender
    sender.force_close()
    sender.join(within_s)
    if sender.is_alive():
        return False
    try:
        producer.close(timeout=0)
    except KafkaError:  # the batches that were given up; nobody waits for them
        return not sender.is_alive()
    return True


# ---- a consumer that knows its topics ------------------------------------------------------------------------------


def knows(consumer: KafkaConsumer, topics: Sequence[str]) -> bool:
    """
    Does this client know the partitions of every topic? Who does not, and leads its group, gives nothing to anybody.
    """
    return all(consumer._cluster.partitions_for_topic(topic) for topic in topics)


def learn(consumer: KafkaConsumer, topics: Sequence[str], *, within_s: float, stop: threading.Event) -> bool:
    """
    Wait until a client that has subscribed knows the partitions of its topics, before its first poll; return whether it
    does within `within_s` seconds (False also when told to stop).

    kafka-python 3.0.12 joins its group at that poll without waiting for them: as the leader it then gives out nothing,
    and gives out again when it has heard. And it forgets that it wanted to ask when the answer to an older question
    comes in between: it asks again after `metadata_max_age_ms`. So it is asked until it knows. What is public for this
    waits for ever.
    """
    asked = time.monotonic()
    deadline = asked + within_s
    while not knows(consumer, topics):
        now = time.monotonic()
        if now >= deadline or stop.wait(0.02):
            return False
        if now - asked >= _ASK_AGAIN_S:
            consumer._cluster.request_update()
            asked = now
    return True


# ---- is there a broker? --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClusterView:
    """
    What one broker says of the cluster: its id, who is there, partitions by topic, and which of them nobody leads.
    """

    cluster_id: str
    broker_ids: frozenset[int]
    partitions: Mapping[str, int]
    leaderless: tuple[str, ...]

    def is_complete(self, *, brokers: int = 1) -> bool:
        """
        Are that many brokers there, and has every partition a leader among them?
        """
        return len(self.broker_ids) >= brokers and not self.leaderless


def probe(bootstrap: Bootstrap, *, within_s: float = 1.0) -> ClusterView:
    """
    Ask the first broker that answers for the state of the cluster: one socket, one question, nothing left behind.

    Raises BrokerUnavailable; BrokerAccessRefused when one does not let us in and no other does.
    """
    return _probe(str(bootstrap), _read(bootstrap), within_s=within_s)


def _probe(addresses: str, security: Security, *, within_s: float = 1.0) -> ClusterView:
    problem = BrokerUnavailable(reason="no address", address=addresses)
    for address in addresses.split(","):
        try:
            with Line(address, security, within_s=within_s) as line:
                return _view(line.ask(MetadataRequest[_METADATA_VERSION](topics=None)))
        except BrokerAccessRefused as refused:
            problem = refused
        except (OSError, ValueError, KafkaError) as error:
            if not isinstance(problem, BrokerAccessRefused):
                problem = BrokerUnavailable(reason=type(error).__name__, address=addresses)
    raise problem


def _wait_for_broker(addresses: str, security: Security, *, within_s: float) -> None:
    """
    Wait until a broker answers; raises BrokerUnavailable after `within_s` seconds, and BrokerAccessRefused at once.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            _probe(addresses, security)
        except BrokerAccessRefused:
            raise
        except BrokerUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _view(response: Any) -> ClusterView:
    brokers = frozenset(broker.node_id for broker in response.brokers)
    partitions = [(topic.name, each) for topic in response.topics for each in topic.partitions]
    return ClusterView(
        cluster_id=response.cluster_id or "",
        broker_ids=brokers,
        partitions={topic.name: len(topic.partitions) for topic in response.topics},
        leaderless=tuple(
            f"{name}/{each.partition_index}" for name, each in partitions if each.leader_id not in brokers
        ),
    )


# ---- logs ----------------------------------------------------------------------------------------------------------


class RateLimit(logging.Filter):
    """
    Let each line of the program through at most `at_most` times in `per_s` seconds; then say how many were held back.

    One outage makes kafka-python write some thirty warnings, some with a traceback, each time it happens.
    """

    def __init__(self, *, at_most: int = 3, per_s: float = 60.0) -> None:
        super().__init__()
        self.at_most = at_most
        self.per_s = per_s
        self._guard = threading.Lock()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """
        Decide for one record; counted by the place in the code that writes it, never by its words.
        """
        place = (record.pathname, record.lineno)
        now = record.created
        with self._guard:
            since, count = self._seen.get(place, (now, 0))
            held_back = max(0, count - self.at_most)
            if now - since >= self.per_s:
                since, count = now, 0
            else:
                held_back = 0
            self._seen[place] = (since, count + 1)
        if held_back:
            record.msg = f"{record.msg} [{held_back} like this held back in the last {self.per_s:.0f} seconds]"
        return count < self.at_most


def quiet_logs(limit: RateLimit | None = None) -> None:
    """
    Put a rate limit on everything that kafka-python writes; once is enough, twice does no harm.

    A filter of a logger does not see the records of the loggers below it, therefore each gets the same one.
    """
    shared = limit or RateLimit()
    for name in ("kafka", *(each for each in logging.root.manager.loggerDict if each.startswith("kafka."))):
        each = logging.getLogger(name)
        if not any(isinstance(known, RateLimit) for known in each.filters):
            each.addFilter(shared)
