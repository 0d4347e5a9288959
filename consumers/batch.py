"""
The messages of one partition in one transaction: the effect, where the consumer stands, and what could not be taken.

A repeat is absorbed by its sequence. A message that says that another one came before it which we do not have ends the
batch before it. A bad message is parked with what comes behind it for its key; nothing is skipped without a trace.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import psycopg
from psycopg import Cursor

from adapters.postgres import consumer_positions as places
from adapters.postgres import dead_letters as letters
from adapters.postgres.consumer_positions import Place, Record
from adapters.postgres.dead_letters import BEHIND, WAITING_MAX, Keeper
from application.defects import error_code
from domain.errors import BackofficeError, NotFound, Refused, Unreadable
from formats.avro import NotOurMessage
from formats.cloudevents import HeadersUnreadable, read_headers

#: What the clocks of other machines may be ahead of ours.
CLOCK_DIFFERENCE_MS: Final = 5 * 60 * 1000
#: What is the message's own fault, or a defect that it met: parked. Everything else passes, and is tried again.
MESSAGE_FAULTS: Final = (
    Refused, NotFound, Unreadable, psycopg.DataError, psycopg.IntegrityError, ArithmeticError, LookupError, TypeError,
    ValueError, AttributeError, AssertionError,
)  # fmt: skip
_BEHIND: Final = "an earlier message of its key waits"

logger = logging.getLogger(__name__)


class GapInPartition(Refused):
    """
    A message says that another one came before it which is not here; nothing more is taken from this partition. Compare
    the topic with the store, then give the consumer its past again from a complete topic.
    """


class OtherHistory(Refused):
    """
    The source was put back to an earlier state and counts from there again; nothing more is taken from this partition.
    Find out what of it is still true, then build this consumer's state again from the start.
    """


class Chain(NamedTuple):
    """
    What a message says of its place among the messages of its source in this partition.
    """

    sequence: int
    previous: int | None
    epoch: str


class Effect(Protocol):
    """
    What a consumer does with messages.

    `read` raises NotOurMessage, which parks the message. `apply` works in the loop's transaction; what it raises of
    MESSAGE_FAULTS parks the message that it is about, everything else is tried again until it passes.
    """

    @property
    def name(self) -> str: ...

    @property
    def keeper(self) -> Keeper: ...

    def read(self, record: Record, *, latest_ms: int) -> Any: ...

    def chain_of(self, message: Any) -> Chain | None: ...

    def apply(self, cursor: Cursor[Any], messages: Sequence[tuple[Record, Any]]) -> None: ...


class Taken(NamedTuple):
    """
    What became of a batch. `stopped` is why it ended before its last record.
    """

    next_offset: int
    stopped: Refused | None


class _EndsBefore(Exception):
    """
    The batch ends before this record.
    """

    def __init__(self, index: int, problem: Refused) -> None:
        super().__init__(index)
        self.index = index
        self.problem = problem


class Batch:
    """
    One batch in one transaction, which the caller ends. `cursor` is in no savepoint.
    """

    def __init__(self, cursor: Cursor[Any], effect: Effect, *, now_ms: int) -> None:
        self._cursor = cursor
        self._effect = effect
        self._keeper = effect.keeper
        self._name = effect.name
        self._latest_ms = now_ms + CLOCK_DIFFERENCE_MS
        self._parked: dict[int, int | None] = {}
        self._bad = 0

    def take(self, records: Sequence[Record], *, reached: int = 0) -> Taken:
        """
        Take what was not taken before, and move on behind the last record.

        `reached` is the offset up to which the caller has handed over everything. Raises OvertakenConsumer when the
        database has not got that far, so that nothing is ever jumped over.
        """
        first = records[0]
        place = places.place_of(self._cursor, self._name, first.topic, first.partition, lock=True)
        if place is None or place.next_offset < reached:
            raise places.OvertakenConsumer(topic=first.topic, partition=first.partition)
        fresh = [record for record in records if record.offset >= place.next_offset]
        stopped: Refused | None = None
        while fresh:
            try:
                with self._cursor.connection.transaction():
                    place = self._take(fresh, place)
                break
            except _EndsBefore as end:
                fresh, stopped = fresh[: end.index], end.problem
        if stopped is not None:
            places.move(self._cursor, self._name, place._replace(standing=str(stopped)))
        return Taken(place.next_offset, stopped)

    def _take(self, records: Sequence[Record], place: Place) -> Place:
        self._parked, self._bad = {}, letters.bad_ones(self._cursor, self._name)
        keys = {self._keeper.key_of(record.key) for record in records if record.key is not None}
        waiting = letters.waiting_keys(self._cursor, self._name, place.topic, keys)
        good: list[tuple[Record, Any]] = []
        read, chain_of, latest_ms = self._effect.read, self._effect.chain_of, self._latest_ms
        taken, epoch, tombstones = place.high_water, place.epoch, place.tombstones
        for index, record in enumerate(records):
            try:
                message = read(record, latest_ms=latest_ms)
            except NotOurMessage as bad:
                if bad.kind == "TOMBSTONE":
                    tombstones += 1
                else:
                    self._park_bad(index, record, bad, waiting)
                continue
            chain = chain_of(message)
            if chain is not None:
                if self._is_repeat(index, record, chain, taken, epoch):
                    continue
                taken, epoch = chain.sequence, chain.epoch
            if waiting and self._waits(record, waiting):
                self._park(record, BEHIND, _BEHIND, chain)
            else:
                good.append((record, message))
        self._apply(good, waiting, records)
        place = place._replace(
            next_offset=records[-1].offset + 1, high_water=taken, epoch=epoch, tombstones=tombstones, standing=""
        )
        places.move(self._cursor, self._name, place)
        return place

    # --- In order, and once ------------------------------------------------------------------------------------------

    def _is_repeat(self, index: int, record: Record, chain: Chain, taken: int | None, epoch: str) -> bool:
        """
        Tell whether the message was taken before: `taken` and `epoch` are those of the last one that was. Raises
        _EndsBefore when one before it is missing.
        """
        other = taken is not None and chain.epoch != epoch
        if taken is not None and chain.sequence <= taken:
            if other:
                raise _EndsBefore(index, OtherHistory(**_where(record)))
            return True
        had, before = self._follows(chain.previous, taken, record)
        if other and had and before != taken:
            raise _EndsBefore(index, OtherHistory(**_where(record)))  # the last one taken never happened there
        if not had:
            raise _EndsBefore(index, GapInPartition(**_where(record)))
        return False

    def _follows(self, previous: int | None, taken: int | None, record: Record) -> tuple[bool, int | None]:
        """
        Do we have everything up to `previous`, and which one of what was taken comes before it? What was parked counts
        as had: it waits for a person.
        """
        if previous is None:
            return taken is None, None
        if taken is not None and previous <= taken:
            return True, previous  # nearly always
        known = letters.parked_sequences(self._cursor, self._name, record, -1 if taken is None else taken)
        known = {**known, **self._parked}
        while previous is not None and (taken is None or previous > taken):
            if previous not in known:
                return False, None
            previous = known[previous]
        return previous is not None or taken is None, previous

    # --- The effect --------------------------------------------------------------------------------------------------

    def _apply(self, good: Sequence[tuple[Record, Any]], waiting: set[bytes], records: Sequence[Record]) -> None:
        """
        Apply all together; when that fails for a message's own reason, one by one, and park the one that it is about.
        """
        if not good or self._applied(good) is None:
            return
        for record, message in good:
            chain = self._effect.chain_of(message)
            if self._waits(record, waiting):
                self._park(record, BEHIND, _BEHIND, chain)
            elif (fault := self._applied([(record, message)])) is not None:
                self._count_bad(records.index(record))
                self._park(record, *fault_of(fault), chain)
                self._stops(record, waiting)

    def _applied(self, messages: Sequence[tuple[Record, Any]]) -> Exception | None:
        try:
            with self._cursor.connection.transaction():
                self._effect.apply(self._cursor, messages)
        except MESSAGE_FAULTS as fault:
            return fault
        return None

    # --- What cannot be taken ----------------------------------------------------------------------------------------

    def _park_bad(self, index: int, record: Record, bad: NotOurMessage, waiting: set[bytes]) -> None:
        chain = chain_in_headers(record) if bad.kind != "TOPIC" else None
        if chain is not None:
            if letters.parked_before(self._cursor, self._name, record, chain.sequence):
                return  # the page that it is in was sent again
            self._parked[chain.sequence] = chain.previous
        self._count_bad(index)
        self._park(record, bad.kind, bad.message, chain)
        self._stops(record, waiting)

    def _count_bad(self, index: int) -> None:
        if self._bad >= WAITING_MAX:
            raise _EndsBefore(index, letters.TooManyDeadLetters(consumer=self._name, waiting=self._bad))
        self._bad += 1

    def _park(self, record: Record, code: str, problem: str, chain: Chain | None) -> None:
        sequence, previous = (chain.sequence, chain.previous) if chain else (None, None)
        letters.park(
            self._cursor, self._name, record, keeper=self._keeper, code=code, problem=problem, sequence=sequence,
            previous=previous,
        )  # fmt: skip
        if code != BEHIND:
            logger.warning("A message was parked", extra={"action": "consumer.parked", "code": code, **_where(record)})

    def _waits(self, record: Record, waiting: set[bytes]) -> bool:
        return record.key is not None and self._keeper.key_of(record.key) in waiting

    def _stops(self, record: Record, waiting: set[bytes]) -> None:
        if record.key is not None:
            waiting.add(self._keeper.key_of(record.key))


def chain_in_headers(record: Record) -> Chain | None:
    """
    Return what the headers of a message say that cannot be read otherwise, so that the ones behind it show no gap.
    """
    try:
        event = read_headers(record.headers)
    except HeadersUnreadable:
        return None
    return Chain(event.sequence, event.previous_sequence, event.epoch)


def fault_of(fault: Exception) -> tuple[str, str]:
    """
    Return code and sentence of what a message was parked for; of a defect only its class and where it happened.
    """
    if isinstance(fault, NotOurMessage):
        return fault.kind, fault.message
    if isinstance(fault, BackofficeError):
        return fault.name(), fault.message
    return "DEFECT", f"It met a defect of the program ({error_code(fault)}); retry it with the next release."


def _where(record: Record) -> dict[str, Any]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


MakeBatch = Callable[..., Batch]
