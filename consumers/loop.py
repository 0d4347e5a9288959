"""
The one loop of every consumer of ours: a member of a group that takes batches, and stands where the database says.

What a batch is: `consumers/batch.py`. Nothing is committed to the broker: the offsets that count are in the transaction
of the effect. What is away is waited for; what only a person can resolve stops one partition, or the consumer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, NoOffsetForPartitionError, OffsetOutOfRangeError

from adapters.garbage import rare_collections
from adapters.kafka import clients
from adapters.kafka.access import Bootstrap
from adapters.kafka.clients import REFUSED_BACKOFF_S
from adapters.kafka.line import BrokerAccessRefused
from adapters.postgres import consumer_positions as places
from adapters.postgres.consumer_positions import Place, Record
from adapters.postgres.database import WRITER, Database
from adapters.postgres.dead_letters import TooManyDeadLetters
from consumers.batch import Batch, Effect, MakeBatch, Taken
from consumers.topic_guard import OtherTopic, TopicGuard
from domain.errors import BackofficeError, Conflict, Refused, Unavailable

POLL_MS: Final = 200
JOIN_POLL_MS: Final = 1_000
RECORDS_AT_ONCE: Final = 5_000
#: How long may pass until a topic that was deleted or made again is noticed.
TOPIC_CHECK_S: Final = 2.0
#: A client that is not in its group by then (session and rebalance of the others included), or does not know the
#: partitions of its topics, is thrown away: on a busy machine kafka-python 3.0.12 was seen to look for its coordinator
#: for minutes, a processor at full speed; and a leader that does not know them gives nothing to anybody.
JOIN_S: Final = 30.0
#: Where a member is: it was given nothing yet; it gave back what it had and wants to join; it was given something.
_OUTSIDE, _AT_THE_DOOR, _INSIDE = "outside", "at the door", "inside"
_BACKOFF_S: Final = (0.1, 0.5, 1.0, 5.0)
_ALARM_S: Final = 1.0
_POSITION_LOST: Final = (OffsetOutOfRangeError, NoOffsetForPartitionError, LogTruncationError)
#: What passes by itself; a batch is taken again until it has.
_PASSES: Final = (Unavailable, Conflict, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
#: Larger fetches than the client's own: events of one stream then fold together.
_FETCH: Final[Mapping[str, Any]] = {"max_partition_fetch_bytes": 4 * 1024 * 1024}

logger = logging.getLogger(__name__)


class PositionLost(Refused):
    """
    The log does not hold the place where this consumer stands (cut off, or lost by the broker); nothing is jumped over.
    Find out what is missing; to begin at the start of what is left: backoffice consume CONSUMER --afresh
    """


class ClientStuck(Unavailable):
    """
    The Kafka client did not get into its group, or did not learn of its topics, in time, though a broker answers; a new
    client is made.
    """


@dataclass(kw_only=True)
class Loop:
    """
    One member of a consumer group. `run` ends when `stop` is set, or raises what only a person can resolve.

    With `until_caught_up` it also ends when everything is taken that the topics hold. `says` hears what it waits for.
    """

    bootstrap: Bootstrap
    topics: Sequence[str]
    effect: Effect
    database: Database
    now_ms: Callable[[], int]
    stop: threading.Event = field(default_factory=threading.Event)
    says: Callable[[str], None] = lambda _: None
    until_caught_up: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    make_batch: MakeBatch = Batch
    records_at_once: int = RECORDS_AT_ONCE
    topic_check_s: float = TOPIC_CHECK_S
    join_s: float = JOIN_S
    taken: int = field(default=0, init=False)
    _unplaced: set[TopicPartition] = field(default_factory=set, init=False)
    _reached: dict[TopicPartition, int] = field(default_factory=dict, init=False)
    _standing: dict[TopicPartition, float] = field(default_factory=dict, init=False)
    _said: str = field(default="", init=False)
    _given_out: int = field(default=0, init=False)
    _membership: str = field(default="outside", init=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self) -> None:
        """
        Work until told to stop. Raises OtherTopic and TooManyDeadLetters; with `until_caught_up` also
        BrokerAccessRefused, which otherwise is waited for.
        """
        with rare_collections():
            self._run()

    def _run(self) -> None:
        attempt = 0
        while not self.stop.is_set():
            try:
                self._serve()
            except Unavailable as away:
                refused = isinstance(away, BrokerAccessRefused)
                if refused and self.until_caught_up:
                    raise
                self._tell(str(away))
                backoff = REFUSED_BACKOFF_S if refused else _BACKOFF_S[:3]
                self.stop.wait(backoff[min(attempt, len(backoff) - 1)])
                attempt += 1
            else:
                return

    def _serve(self) -> None:
        with TopicGuard(self.bootstrap, self.topics, every_s=self.topic_check_s) as guard:
            while guard.check(now=True):
                self._tell(f"The topic {guard.missing} is not there; waiting until it is made.")
                if self.stop.wait(1.0):
                    return
            group = f"backoffice.{self.effect.name}"
            consumer = clients.consumer(self.bootstrap, group=group, **{**_FETCH, **self.settings})
            try:
                consumer.subscribe(list(self.topics), listener=_Assigned(self, consumer))
                if clients.learn(consumer, self.topics, within_s=self.join_s, stop=self.stop):
                    self._consume(consumer, guard)
                elif not self.stop.is_set():
                    raise ClientStuck(seconds=self.join_s)
            finally:
                consumer.close()

    def _consume(self, consumer: KafkaConsumer, guard: TopicGuard) -> None:
        well, self._membership = time.monotonic(), _OUTSIDE
        while not self.stop.is_set():
            guard.check()
            if guard.missing or (self._membership == _INSIDE and clients.knows(consumer, self.topics)):
                well = time.monotonic()
            elif time.monotonic() - well > self._patience_s():
                raise ClientStuck(seconds=self._patience_s())
            self._place(consumer, guard)
            polled = self._poll(consumer, guard)
            for partition, records in polled.items():
                # What the client heard is no promise of the library, but it comes before the next look of the guard.
                guard.same(partition.topic, consumer._cluster.topic_id(partition.topic))
                self._take(consumer, partition, [_record(record) for record in records])
            if not polled and self.until_caught_up and self._caught_up(consumer):
                return

    def _patience_s(self) -> float:
        """
        Return how long this client may be out of its group: who is at the door waits for all the others, too.
        """
        others_ms = {**clients.CONSUMER, **self.settings}["max_poll_interval_ms"]
        return self.join_s + (others_ms / 1000 if self._membership == _AT_THE_DOOR else 0)

    def _poll(self, consumer: KafkaConsumer, guard: TopicGuard) -> Mapping[TopicPartition, Sequence[Any]]:
        try:
            # Looking for the coordinator begins anew with every poll: it gets longer than one that waits for records.
            timeout_ms = POLL_MS if consumer.assignment() else JOIN_POLL_MS
            polled: Mapping[TopicPartition, Sequence[Any]] = consumer.poll(
                timeout_ms=timeout_ms, max_records=self.records_at_once
            )
        except _POSITION_LOST as lost:
            guard.check(now=True)  # a topic that was made again is the likelier reason
            self._alarm(consumer, lost)
        except KafkaError as error:
            raise clients.unavailable(error, self.bootstrap) from error
        else:
            return polled
        return {}

    # --- Where it stands ---------------------------------------------------------------------------------------------

    def assigned(self, partitions: set[TopicPartition], *, inside: bool) -> None:
        """
        Note what this member has now; where it stands there is asked in the loop, which can wait for a database.

        The client calls this in its own thread, also while the loop is at work on what it had before.
        """
        with self._guard:
            self._given_out += 1
            self._membership = _INSIDE if inside else _AT_THE_DOOR
            self._unplaced, self._reached, self._standing = set(partitions), {}, {}

    def _place(self, consumer: KafkaConsumer, guard: TopicGuard) -> None:
        """
        Put this member where the database says that it stands, in every partition that it has and is not placed in.
        """
        with self._guard:
            now = time.monotonic()
            self._standing = {each: until for each, until in self._standing.items() if until > now}
            placed = self._reached.keys() - self._unplaced
            self._unplaced = set(consumer.assignment()) - self._standing.keys() - placed
            unplaced, given_out = sorted(self._unplaced), self._given_out
        for partition in unplaced:
            topic_id = guard.ids.get(partition.topic)
            if topic_id is None:
                return  # it is gone again; the next check says so
            try:
                place = self._place_of(consumer, partition, topic_id)
            except (*_PASSES, KafkaError) as away:
                self._tell(str(away) or type(away).__name__)
                self.stop.wait(_BACKOFF_S[0])
                return
            if place.topic_id != topic_id:
                raise OtherTopic(topic=partition.topic)
            with self._guard:
                if self._given_out != given_out:
                    return  # given out anew meanwhile: asked again in the next round
                consumer.seek(partition, place.next_offset)
                consumer.resume(partition)
                self._reached[partition] = place.next_offset
                self._unplaced.discard(partition)

    def _place_of(self, consumer: KafkaConsumer, partition: TopicPartition, topic_id: str) -> Place:
        """
        Return where the database says that we stand; who was never here begins at the first message that there is.
        """
        with self.database.session(WRITER) as session, session.cursor() as cursor:
            found = places.place_of(cursor, self.effect.name, *partition, lock=False)
        if found is not None:
            return found
        start = consumer.beginning_offsets([partition])[partition]
        begins = Place(partition.topic, partition.partition, topic_id, start)
        with self.database.session(WRITER) as session, session.cursor() as cursor:
            places.begin(cursor, self.effect.name, begins)
            return places.place_of(cursor, self.effect.name, *partition, lock=False) or begins

    def _again(self, consumer: KafkaConsumer, partition: TopicPartition) -> None:
        """
        Take nothing more from a partition before the database was asked where it stands.
        """
        with self._guard:
            self._reached.pop(partition, None)
            self._unplaced.add(partition)
            if partition in consumer.assignment():
                consumer.pause(partition)

    def _alarm(self, consumer: KafkaConsumer, lost: KafkaError) -> None:
        """
        Say it, leave the partitions alone for a second, and look again: nobody jumps, and the others go on.
        """
        named = lost.args[0] if lost.args and isinstance(lost.args[0], Mapping) else {}
        mine = [each for each in self._reached if each in named] or list(self._reached)
        if isinstance(lost, NoOffsetForPartitionError) or not mine:
            for partition in mine:  # given out a moment ago, and not placed yet
                self._again(consumer, partition)
            self.stop.wait(_BACKOFF_S[0])
            return
        where = ", ".join(f"{each.topic}/{each.partition}" for each in sorted(mine))
        problem = str(PositionLost(partitions=where, error=type(lost).__name__))
        self._tell(problem)
        logger.error(
            "A position is not in the log (%s)",
            type(lost).__name__,
            extra={"action": "consumer.position_lost", "partitions": where},
        )
        for partition in mine:
            self._stand_still(consumer, partition, for_s=_ALARM_S)
            with suppress(*_PASSES), self.database.session(WRITER) as session, session.cursor() as cursor:
                place = places.place_of(cursor, self.effect.name, *partition, lock=True)
                if place is not None:
                    places.move(cursor, self.effect.name, place._replace(standing=problem))

    def _stand_still(self, consumer: KafkaConsumer, partition: TopicPartition, *, for_s: float) -> None:
        with self._guard:
            if partition not in consumer.assignment():
                return
            consumer.pause(partition)
            self._reached.pop(partition, None)
            self._standing[partition] = time.monotonic() + for_s

    def _caught_up(self, consumer: KafkaConsumer) -> bool:
        """
        Is everything taken that this member's partitions hold? A partition that stands still for a person counts.
        """
        mine = consumer.assignment()
        if not mine or self._unplaced:
            return False
        try:
            ends = consumer.end_offsets(list(mine))
        except KafkaError:
            return False
        return ends.keys() == mine and all(
            each in self._standing or self._reached.get(each, 0) >= end for each, end in ends.items()
        )

    # --- One batch ---------------------------------------------------------------------------------------------------

    def _take(self, consumer: KafkaConsumer, partition: TopicPartition, records: Sequence[Record]) -> None:
        attempt = 0
        reached = self._reached.get(partition)
        while not self.stop.is_set() and reached is not None:
            try:
                taken = self._in_one_transaction(records, reached)
            except places.OvertakenConsumer:
                self._again(consumer, partition)
                return
            except _PASSES as away:
                self._tell(str(away) if isinstance(away, BackofficeError) else "Somebody else writes; trying again.")
                self.stop.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
                attempt += 1
            else:
                self._tell("")
                self._after(consumer, partition, reached, taken)
                return

    def _in_one_transaction(self, records: Sequence[Record], reached: int) -> Taken:
        with self.database.session(WRITER) as session, session.cursor() as cursor:
            batch: Batch = self.make_batch(cursor, self.effect, now_ms=self.now_ms())
            return batch.take(records, reached=reached)

    def _after(self, consumer: KafkaConsumer, partition: TopicPartition, reached: int, taken: Taken) -> None:
        self.taken += max(0, taken.next_offset - reached)
        with self._guard:
            if self._reached.get(partition) == reached:
                self._reached[partition] = taken.next_offset
        if taken.stopped is None:
            return
        logger.error("A partition stands still", extra={"action": "consumer.stands", "code": taken.stopped.name()})
        self._tell(str(taken.stopped))
        if isinstance(taken.stopped, TooManyDeadLetters):
            raise taken.stopped
        self._stand_still(consumer, partition, for_s=60.0)

    def _tell(self, sentence: str) -> None:
        """
        Say what it waits for, once; and nothing while all is well.
        """
        if sentence and sentence != self._said:
            self.says(sentence)
        self._said = sentence


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """
    Hands over what was assigned, paused: it runs inside the client, where nothing may wait or raise.
    """

    def __init__(self, loop: Loop, consumer: KafkaConsumer) -> None:
        self._loop = loop
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Any) -> None:
        """
        Nothing to hand over: what was done is in the database.
        """
        self._loop.assigned(set(), inside=False)

    def on_partitions_assigned(self, assigned: Any) -> None:
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)  # a place at all, so that the client does not look for one of its own
        self._loop.assigned(set(assigned), inside=True)


def _record(record: Any) -> Record:
    return Record(
        record.topic, record.partition, record.offset, record.key, record.value, record.headers or (), record.timestamp
    )
