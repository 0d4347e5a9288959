"""
A page of events to Kafka: every record acknowledged, in order, or none of it counts.

The recipe that survived the kills (docs/decisions/0022-relay.md): explicit partitions, one deadline for the page
outside the client, and on any error the producer is thrown away and the whole page sent again by a new one. Records
that arrive twice carry the same identity; records never overtake each other within a partition.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from adapters.kafka import clients
from adapters.kafka.access import Bootstrap
from domain.errors import Refused, Unavailable

#: Larger records are refused before they are sent: a refusal by the broker would leave a gap in the partition.
RECORD_BYTES_MAX: Final = 512 * 1024
#: Who is asked to stop waits no longer than this for what is under way.
_STOPPING_S: Final = 2.0
_SLICE_S: Final = 0.25

logger = logging.getLogger(__name__)


class PageNotAcknowledged(Unavailable):
    """
    The broker did not acknowledge every record in time; the page is sent again, whole.
    """


class CannotBePublished(Refused):
    """
    An event cannot be published as it stands; the relay stops before it and skips nothing. Correct the cause, then
    start the relay again.
    """


class ProducerLivesOn(Refused):
    """
    A Kafka producer could not be ended; this process stops, so that it ends with it. Start the relay again.
    """


class Outgoing(NamedTuple):
    """
    One record on its way: its place is decided before it is sent, and never changes.
    """

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int
    sequence: int


def record_bytes(record: Outgoing) -> int:
    return len(record.value) + len(record.key) + sum(len(name) + len(value) for name, value in record.headers)


class Pages:
    """
    Sends pages with one producer, and makes a new one after every failure. `stop` shortens the wait for a page.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        deadline_s: float = clients.PAGE_DEADLINE_S,
        stop: threading.Event | None = None,
        make: Callable[[Bootstrap], Any] = clients.producer,
    ) -> None:
        self._bootstrap = bootstrap
        self._deadline_s = deadline_s
        self._stop = stop or threading.Event()
        self._make = make
        self._producer: KafkaProducer | None = None
        self.abandoned = 0

    def send(self, page: Sequence[Outgoing], *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Send a page and wait for all of it; `meanwhile` is done between the two, while the broker works. Raises
        PageNotAcknowledged (send it again), BrokerUnavailable, CannotBePublished or ProducerLivesOn.
        """
        deadline = time.monotonic() + self._deadline_s
        try:
            self._send(page, deadline, meanwhile)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            self._abandon()
            raise CannotBePublished(reason="the broker takes only smaller records", first=page[0].sequence) from None
        except KafkaError as error:
            self._abandon()
            raise PageNotAcknowledged(error=type(error).__name__, first=page[0].sequence) from None
        except BaseException:
            self._abandon()
            raise

    def _send(self, page: Sequence[Outgoing], deadline: float, meanwhile: Callable[[], None]) -> None:
        if self._producer is None:
            self._producer = self._make(self._bootstrap)
        send, give_up = self._producer.send, _ends(self._producer)
        futures = []
        for topic, partition, key, value, headers, timestamp_ms, _ in page:
            future = send(topic, value, key, headers, partition, timestamp_ms)
            future.add_errback(give_up)
            futures.append(future)
        meanwhile()
        for future in futures:
            if not future.is_done:
                self._wait(future, deadline)
            if future.exception is not None:
                raise future.exception

    def _wait(self, future: Any, deadline: float) -> None:
        """
        Wait for one record, in slices, so that somebody who asks to stop is heard. Raises KafkaTimeoutError.
        """
        asked_at = None
        while not future.is_done:
            now = time.monotonic()
            if asked_at is None and self._stop.is_set():
                asked_at = now
            if now >= deadline or (asked_at is not None and now >= asked_at + _STOPPING_S):
                raise KafkaTimeoutError
            try:
                future.get(timeout=min(_SLICE_S, deadline - now))
            except KafkaError:
                if future.is_done:
                    raise

    def _abandon(self) -> None:
        """
        Throw the producer away with all that it still holds: closing it would deliver later what was given up.
        """
        if self._producer is not None:
            producer, self._producer = self._producer, None
            self.abandoned += 1
            if not clients.abandon(producer):
                raise ProducerLivesOn

    def close(self) -> None:
        """
        End the producer, if there is one; what it was not told to be acknowledged is given up.
        """
        if self._producer is not None:
            producer, self._producer = self._producer, None
            clients.abandon(producer)

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ends(producer: KafkaProducer) -> Callable[[BaseException], None]:
    """
    Return what ends a producer when a batch of it failed for good, in its own thread, before it sends another one.

    The client would go on with the next batches under a new producer epoch. What was resent later would then stand
    behind them, and a subscriber that drops what is not above its high-water mark would lose it.
    """
    sender = producer._sender

    def give_up(_: BaseException) -> None:
        sender.force_close()

    return give_up
