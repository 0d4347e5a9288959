"""
A page of events to Kafka: every record acknowledged, in order, or none of it counts.

The recipe that survived the kills (docs/decisions/0022): explicit partitions, one deadline for the page outside the
client, and on any error the producer is thrown away and the whole page sent again by a new one. Records that arrive
twice carry the same identity; records never overtake each other within a partition.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from adapters.kafka import clients
from domain.errors import Refused, Unavailable

#: Larger records are refused before they are sent: a refusal by the broker would leave a gap (STACK finding 7).
RECORD_BYTES_MAX: Final = 512 * 1024

logger = logging.getLogger(__name__)


class PageNotAcknowledged(Unavailable):
    """
    The broker did not acknowledge every record in time; the page will be sent again, whole.
    """


class CannotBePublished(Refused):
    """
    An event cannot be published as it stands; the relay stops here and skips nothing. Correct the cause, start it
    again.
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


class Pages:
    """
    Sends pages with one producer, and makes a new one after every failure.
    """

    def __init__(
        self, bootstrap: str, *, deadline_s: float = clients.PAGE_DEADLINE_S, make: Callable[..., Any] | None = None
    ) -> None:
        self._bootstrap = bootstrap
        self._deadline_s = deadline_s
        self._make = make or clients.producer
        self._producer: KafkaProducer | None = None
        self.abandoned = 0

    def send(self, page: Sequence[Outgoing], *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Send a page and wait for all of it; `meanwhile` is done between the two, while the broker works. Raises
        PageNotAcknowledged (send it again), CannotBePublished or BrokerUnavailable.
        """
        for record in page:
            size = len(record.value) + len(record.key) + sum(len(name) + len(value) for name, value in record.headers)
            if size > RECORD_BYTES_MAX:
                raise CannotBePublished(sequence=record.sequence, bytes=size)
        deadline = time.monotonic() + self._deadline_s
        try:
            self._send(page, deadline, meanwhile)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            self.close()
            raise CannotBePublished(first_sequence=page[0].sequence) from None
        except KafkaError as error:
            self._abandon()
            raise PageNotAcknowledged(error=type(error).__name__, first_sequence=page[0].sequence) from None
        except BaseException:
            self._abandon()
            raise

    def _send(self, page: Sequence[Outgoing], deadline: float, meanwhile: Callable[[], None]) -> None:
        if self._producer is None:
            self._producer = self._make(self._bootstrap)
        send = self._producer.send
        futures = [
            send(
                record.topic,
                value=record.value,
                key=record.key,
                headers=record.headers,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in page
        ]
        meanwhile()
        for future in futures:
            future.get(timeout=max(0.001, deadline - time.monotonic()))

    def _abandon(self) -> None:
        """
        Throw the producer away with all that it still holds: closing it would deliver later what was given up.
        """
        if self._producer is not None:
            producer, self._producer = self._producer, None
            self.abandoned += 1
            if not clients.abandon(producer):
                raise PageNotAcknowledged("A producer could not be ended; start the relay again.")

    def close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            clients.abandon(producer)

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
