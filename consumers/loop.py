"""
The one loop of every consumer of ours: batches, and in one transaction the effect, the offset and the dead letters.

A repeat is absorbed by its sequence, a gap stops the partition, a bad message is parked with what comes behind it,
and a database that is away is waited for. The broker's own committed offsets only show the lag; ours decide.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from psycopg import Cursor

from adapters.kafka import clients
from adapters.postgres import consumer_positions as places
from adapters.postgres.consumer_positions import Place, Record
from adapters.postgres.database import WRITER, Database
from domain.errors import Refused, Unavailable
from formats.avro import NotOurMessage, Received, check_placed, read_message

POLL_MS: Final = 200
RECORDS_AT_ONCE: Final = 2_000
#: What clocks of other machines may be ahead of ours.
CLOCK_DIFFERENCE_MS: Final = 5 * 60 * 1000
_TOPIC_CHECK_S: Final = 60.0
_BACKOFF_S: Final = (0.1, 0.5, 1.0, 5.0)

logger = logging.getLogger(__name__)


class GapInPartition(Refused):
    """
    A message says that another one came before it which we do not have; nothing is skipped. Ask for a resend.
    """


class OtherTopic(Refused):
    """
    The topic was deleted and made again under the same name; our position means nothing in it. A person must look.
    """


class Effect(Protocol):
    """
    What a consumer does with messages, in the loop's transaction. Errors of the message itself raise NotOurMessage or
    Refused and park it; everything else is the loop's to retry.
    """

    @property
    def name(self) -> str: ...

    def apply(self, cursor: Cursor[Any], messages: Sequence[tuple[Record, Received]]) -> None: ...


@dataclass(kw_only=True)
class Loop:
    """
    One member of a consumer group. `run` ends when `stop` is set, or raises what a person must resolve.
    """

    bootstrap: str
    topics: Sequence[str]
    effect: Effect
    database: Database
    now_ms: Callable[[], int]
    stop: threading.Event = field(default_factory=threading.Event)
    says: Callable[[str], None] = lambda _: None

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                consumer = clients.consumer(self.bootstrap, group=f"backoffice.{self.effect.name}")
            except clients.BrokerUnavailable as away:
                self.says(str(away))
                self.stop.wait(1.0)
                continue
            try:
                self._consume(consumer)
            finally:
                consumer.close()

    def _consume(self, consumer: KafkaConsumer) -> None:
        guard = TopicGuard(self.bootstrap, self.topics)
        guard.check()
        consumer.subscribe(list(self.topics), listener=_Seeker(self, consumer, guard))
        checked = time.monotonic()
        while not self.stop.is_set():
            try:
                polled = consumer.poll(timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE)
            except KafkaError as error:
                # A position that the log does not hold comes back at every poll until somebody looks.
                self.says(
                    f"The position does not fit the log of the topic ({type(error).__name__}); a person must look."
                )
                self.stop.wait(1.0)
                guard.check()
                continue
            for partition, records in polled.items():
                self._take(consumer, partition, [_record(record) for record in records])
            if time.monotonic() - checked > _TOPIC_CHECK_S:
                guard.check()
                checked = time.monotonic()

    def _take(self, consumer: KafkaConsumer, partition: TopicPartition, records: Sequence[Record]) -> None:
        for attempt in range(1_000_000):
            try:
                with self.database.session(WRITER) as session, session.cursor() as cursor:
                    Batch(cursor, self.effect, now_ms=self.now_ms()).take(records)
            except Unavailable as away:
                if attempt == 0:
                    self.says(str(away))
                if self.stop.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]):
                    return
            except places.OvertakenConsumer:
                return  # the other one has it; the next rebalance tells us
            else:
                return


class Batch:
    """
    The messages of one partition in one transaction.
    """

    def __init__(self, cursor: Cursor[Any], effect: Effect, *, now_ms: int) -> None:
        self._cursor = cursor
        self._effect = effect
        self._latest_ms = now_ms + CLOCK_DIFFERENCE_MS

    def take(self, records: Sequence[Record]) -> None:
        """
        Take what was not taken before, and move on behind the last record. Raises GapInPartition.
        """
        first = records[0]
        place = places.place_of(self._cursor, self._effect.name, first.topic, first.partition, lock=True)
        if place is None:
            raise places.OvertakenConsumer(topic=first.topic, partition=first.partition)
        fresh = [record for record in records if record.offset >= place.next_offset]
        if not fresh:
            return
        keys = {record.key for record in fresh if record.key is not None}
        parked = places.waiting_keys(self._cursor, self._effect.name, first.topic, keys)
        high_water = place.high_water
        good: list[tuple[Record, Received]] = []
        for record in fresh:
            received = self._read(record, parked)
            sequence = received.event.sequence if received and received.event else None
            if received is None or received.event is None or sequence is None:
                continue
            if high_water is not None and sequence <= high_water:
                continue  # a repeat: the relay sent a page again
            previous = received.event.previous_sequence
            if high_water is not None and previous is not None and previous > high_water:
                raise GapInPartition(topic=record.topic, partition=record.partition, offset=record.offset)
            high_water = sequence
            if record.key in parked:
                self._park(record, places.BEHIND, "an earlier message of its key waits")
                continue
            good.append((record, received))
        self._apply(good, parked)
        moved = place._replace(next_offset=fresh[-1].offset + 1, high_water=high_water)
        places.move(self._cursor, self._effect.name, moved)

    def _read(self, record: Record, parked: set[bytes]) -> Received | None:
        try:
            received = read_message(record.value, record.headers, topic=record.topic)
            check_placed(received, key=record.key, timestamp_ms=record.timestamp_ms, latest_ms=self._latest_ms)
        except NotOurMessage as bad:
            if bad.kind == "TOMBSTONE":
                logger.info("A message without a value was passed over", extra={"action": "consumer.tombstone"})
                return None
            self._park(record, bad.kind, bad.message)
            if record.key is not None:
                parked.add(record.key)
            return None
        return received

    def _apply(self, good: Sequence[tuple[Record, Received]], parked: set[bytes]) -> None:
        """
        Apply all together; when that fails for a message's own reason, one by one, and park the one that it is about.
        """
        if not good:
            return
        with suppress(Refused, NotOurMessage), self._cursor.connection.transaction():
            self._effect.apply(self._cursor, good)
            return
        for record, received in good:
            if record.key in parked:
                self._park(record, places.BEHIND, "an earlier message of its key waits")
                continue
            try:
                with self._cursor.connection.transaction():
                    self._effect.apply(self._cursor, [(record, received)])
            except (Refused, NotOurMessage) as bad:
                self._park(record, bad.name(), bad.message)
                if record.key is not None:
                    parked.add(record.key)

    def _park(self, record: Record, code: str, problem: str) -> None:
        places.park(self._cursor, self._effect.name, record, code=code, problem=problem)
        logger.warning(
            "A message was parked",
            extra={"action": "consumer.parked", "code": code, "topic": record.topic, "offset": record.offset},
        )


class TopicGuard:
    """
    Knows the id of each topic, and notices when another topic was made under the same name.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self.ids: dict[str, str] = {}

    def check(self) -> None:
        """
        Ask the broker for the topics' ids. Raises OtherTopic.
        """
        admin = clients.admin(self._bootstrap)
        try:
            described = admin.describe_topics(list(self._topics))
        finally:
            admin.close()
        for topic in described:
            found = str(topic["topic_id"])
            if self.ids.setdefault(topic["name"], found) != found:
                raise OtherTopic(topic=topic["name"])


class _Seeker(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """
    Puts the consumer where the database says that it stands; runs on the client's own thread, so it is quick.
    """

    def __init__(self, loop: Loop, consumer: KafkaConsumer, guard: TopicGuard) -> None:
        self._loop = loop
        self._consumer = consumer
        self._guard = guard

    def on_partitions_revoked(self, revoked: Any) -> None:
        """
        Nothing to hand over: what was done is in the database.
        """

    def on_partitions_assigned(self, assigned: Any) -> None:
        name = self._loop.effect.name
        with self._loop.database.session(WRITER) as session, session.cursor() as cursor:
            for partition in assigned:
                topic_id = self._guard.ids.get(partition.topic, "")
                begins = Place(partition.topic, partition.partition, topic_id, 0, None)
                places.begin(cursor, name, begins)
                place = places.place_of(cursor, name, partition.topic, partition.partition, lock=False) or begins
                if place.topic_id != topic_id:
                    raise OtherTopic(topic=partition.topic)
                self._consumer.seek(partition, place.next_offset)


def _record(record: Any) -> Record:
    return Record(
        record.topic, record.partition, record.offset, record.key, record.value, tuple(record.headers), record.timestamp
    )
