"""
From a recorded event to a record with its place: topic, partition of its key, and the sequence before it there.

What the record says is decided by `formats.published`; here only where it goes, and that it is not too large to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from adapters.kafka.relay import RECORD_BYTES_MAX, CannotBePublished, Outgoing, record_bytes
from adapters.postgres.relay_positions import Partition
from domain.envelope import Envelope
from formats.partitions import partition_of
from formats.published import key_of, publish, topic_of

#: Names this back office in the headers, the same for ever: with it stand the ids of its events (CloudEvents `source`).
SOURCE = "urn:cm:zorgkas:backoffice"

#: Smaller than this by far means that nobody has to add up the parts.
_SURELY_SMALL = RECORD_BYTES_MAX - 64 * 1024
_PLACES_MAX = 8_192


class Translation:
    """
    Translates for one run of the relay: `epoch` names the history of the store, `partitions` how many each topic has.

    With `target`, everything goes to that one topic instead (the past again, for one subscriber), or only what
    `topics` would have got.
    """

    def __init__(
        self,
        *,
        epoch: str,
        partitions: Mapping[str, int],
        target: str | None = None,
        topics: frozenset[str] = frozenset(),
        source: str = SOURCE,
    ) -> None:
        self._epoch = epoch
        self._source = source
        self._target = target
        self._topics = topics
        self._partitions = partitions
        #: By the number of the stream, which is of one topic; emptied when it has grown large.
        self._places: dict[int, Partition] = {}

    def __call__(self, envelope: Envelope, sent: Mapping[Partition, int]) -> Outgoing | None:
        """
        Return the record of an event, or None when it is not published. Raises CannotBePublished and NotPublishable.
        """
        place = self._places.get(envelope.stream.int)
        if place is None:
            topic = topic_of(envelope)
            if topic is None or (self._topics and topic not in self._topics):
                if topic is None:  # says so when the catalogue does not know the event
                    publish(envelope, source=self._source, epoch=self._epoch, previous_sequence=None)
                return None
            place = self._place(envelope.stream, topic)
        message = publish(envelope, source=self._source, epoch=self._epoch, previous_sequence=sent.get(place))
        if message is None:
            return None
        _, key, value, headers, timestamp_ms = message
        record = Outgoing(*place, key, value, headers, timestamp_ms, envelope.position)
        if len(value) > _SURELY_SMALL and record_bytes(record) > RECORD_BYTES_MAX:
            raise CannotBePublished(
                reason=f"its record is larger than {RECORD_BYTES_MAX} bytes", event=envelope.type,
                position=envelope.position, bytes=record_bytes(record),
            )  # fmt: skip
        return record

    def _place(self, stream: UUID, topic: str) -> Partition:
        if len(self._places) >= _PLACES_MAX:
            self._places.clear()
        to = self._target or topic
        place = self._places[stream.int] = (to, partition_of(key_of(stream), self._partitions[to]))
        return place
