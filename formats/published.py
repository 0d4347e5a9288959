"""
From an event to the message that others get: what is promised in `schemas/`, and never the stored event.

Pure: the same envelope gives the same bytes, key and headers, so that sending it again is the same message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.aggregates import AGGREGATES
from domain.envelope import Commit, Envelope
from domain.events import Event
from domain.ids import Kind, kind_of, owner_of
from formats.avro import dataschema, frame
from formats.avro_writer import NotPublishable, writer_of
from formats.cloudevents import Headers, fixed_headers, headers_of
from formats.contract import Contract, contract
from formats.partitions import partition_of
from formats.published_fields import TRANSLATIONS, Translate
from formats.stored_shapes import event_type

__all__ = ["Message", "NotPublishable", "Publisher", "catalogue", "partition_of", "publish", "topic_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_OF_A_MEMBER: Final = frozenset({Kind.MEMBER, Kind.ZORGKAS_AFFILIATION})
#: A member's id is its stream's with the last six hexadecimal digits zero (`domain.ids`); cutting text is faster.
_FAMILY_DIGITS: Final = 30
_MEMBER_TAIL: Final = b"000000"
_IDS_MAX: Final = 8_192
#: What the first field of a record is called: the id that is also the key.
_FIRST: Final[Mapping[Kind, str]] = {
    Kind.MEMBER: "member_id",
    Kind.ZORGKAS_AFFILIATION: "member_id",
    Kind.BANK_ACCOUNT: "account_id",
    Kind.BANK_MOVEMENT: "movement_id",
    Kind.RUN: "run_id",
}


class Message(NamedTuple):
    """
    One message, ready to send. `partition_of(partition_key, partitions)` says where; `timestamp_ms` is since 1970.
    """

    topic: str
    partition_key: bytes
    value: bytes
    headers: Headers
    timestamp_ms: int


class _Route(NamedTuple):
    """
    What is the same for all events of one type.
    """

    topic: str
    first: str
    of_member: bool
    with_run: bool
    translate: Translate
    frame: bytes
    write: Callable[[Mapping[str, Any]], bytes]
    record: str
    dataschema: str


class Publisher:
    """
    Translates the events of one contract. `routes` has an entry for every published event.
    """

    def __init__(self, of: Contract) -> None:
        self.routes: dict[type[Event], _Route] = {}
        self.not_published: set[type[Event]] = set()
        self._fixed_headers: dict[tuple[str, str, str], tuple[tuple[str, bytes], ...]] = {}
        #: By the number of the stream: its id and the key of its messages; emptied when it has grown large.
        self._ids: dict[int, tuple[bytes, bytes]] = {}
        self._last_commit: Commit | None = None
        self._last_run: bytes | None = None
        for aggregate in AGGREGATES:
            for event in aggregate.events:
                name = event_type(aggregate.context, event).name
                if name in of.not_published:
                    self.not_published.add(event)
                elif name in of.published:
                    self.routes[event] = _route(of, of.published[name], event, aggregate.kind)

    def publish(self, envelope: Envelope, *, source: str, epoch: str, previous_sequence: int | None) -> Message | None:
        """
        Return the message of an event, or None when the catalogue says that it is not published.

        `source` names this back office (a URI), `epoch` its history since the last restore, `previous_sequence` the
        position of the message before it in its partition. Raises NotPublishable.
        """
        event = envelope.event
        route = self.routes.get(type(event))
        if route is None:
            if type(event) in self.not_published:
                return None
            raise NotPublishable("The catalogue in schemas/ does not say whether this event is published.",
                                 event=type(event).__name__)  # fmt: skip
        position, stream, version, _, recorded_at, _, commit = envelope
        subject, key = self._ids.get(stream.int) or self._ids_of(stream, route)
        run = self._run_of(commit)
        millis, micros, time = _moment(recorded_at)
        fields = route.translate(event)
        fields[route.first] = key
        fields["stream_version"] = version
        fields["recorded_at"] = micros
        if route.with_run:
            fields["run_id"] = run
        headers = headers_of(
            self._fixed_headers.get((route.record, source, epoch)) or self._fixed(route, source, epoch),
            source=_encoded(source),
            stream=subject,
            version=version,
            time=time,
            partition_key=key,
            sequence=position,
            previous_sequence=previous_sequence,
            run=run,
        )
        return Message(route.topic, key, route.frame + route.write(fields), headers, millis)

    def _ids_of(self, stream: UUID, route: _Route) -> tuple[bytes, bytes]:
        """
        Return the id of a stream as text, and the key of its messages.
        """
        if len(self._ids) >= _IDS_MAX:
            self._ids.clear()
        subject = str(stream).encode()
        key = subject[:_FAMILY_DIGITS] + _MEMBER_TAIL if route.of_member else subject
        found = self._ids[stream.int] = (subject, key)
        return found

    def _run_of(self, commit: Commit) -> bytes | None:
        """
        Return the run's id as text; the events of one transaction come one after the other with the same commit.
        """
        if commit is not self._last_commit:
            self._last_run = None if commit.run is None else str(commit.run).encode()
            self._last_commit = commit
        return self._last_run

    def _fixed(self, route: _Route, source: str, epoch: str) -> tuple[tuple[str, bytes], ...]:
        """
        Return the headers that all messages of a route have, from this source in this epoch.
        """
        found = fixed_headers(type=route.record, dataschema=route.dataschema, source=source, epoch=epoch)
        self._fixed_headers[route.record, source, epoch] = found
        return found


class _Ours:
    """
    The publisher of the contract that ships with this program, made at the first event.
    """

    @cached_property
    def publisher(self) -> Publisher:
        return Publisher(contract())


_OURS: Final = _Ours()


def publish(envelope: Envelope, *, source: str, epoch: str, previous_sequence: int | None) -> Message | None:
    """
    Translate one event by the contract that ships with this program; see `Publisher.publish`. Raises NotPublishable.
    """
    return _OURS.publisher.publish(envelope, source=source, epoch=epoch, previous_sequence=previous_sequence)


def catalogue() -> Mapping[str, str | None]:
    """
    Return, for every event by its stored type, the record and version that it is published as, or None.
    """
    ours = contract()
    return {**ours.published, **dict.fromkeys(ours.not_published)}


def topic_of(envelope: Envelope) -> str | None:
    """
    Return the topic of an event, or None when it is not published.
    """
    route = _OURS.publisher.routes.get(type(envelope.event))
    return route.topic if route else None


def key_of(stream: UUID) -> bytes:
    """
    Return the key of all messages of a stream: the member's id for what belongs to a member, the stream's otherwise.
    """
    return str(owner_of(stream) if kind_of(stream) in _OF_A_MEMBER else stream).encode()


def _route(of: Contract, published_as: str, event: type[Event], kind: Kind) -> _Route:
    schema = of.schema(published_as)
    if not schema.id:
        raise NotPublishable("The catalogue names a schema that is not released; publish it first.", schema=schema.name)
    names = [field["name"] for field in schema.raw["fields"]]
    return _Route(
        topic=schema.topic,
        first=_FIRST[kind],
        of_member=kind in _OF_A_MEMBER,
        with_run=names[0] != "run_id" and "run_id" in names,
        translate=TRANSLATIONS[event],
        frame=frame(schema),
        write=writer_of(schema.raw, record=schema.name),
        record=schema.record,
        dataschema=dataschema(schema),
    )


@lru_cache(maxsize=64)
def _encoded(text: str) -> bytes:
    return text.encode()


@lru_cache(maxsize=1_024)
def _moment(recorded_at: datetime) -> tuple[int, int, bytes]:
    """
    Return milliseconds and microseconds since 1970, and the moment as RFC 3339; all events of a commit have the same.
    """
    if recorded_at.tzinfo is None:
        raise NotPublishable("An event was recorded at a moment without a zone.", moment="recorded_at")
    in_utc = recorded_at.astimezone(UTC)
    micros = (in_utc - _EPOCH) // _MICROSECOND
    return micros // 1000, micros, (in_utc.isoformat(timespec="microseconds")[:-6] + "Z").encode()
