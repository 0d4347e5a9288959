"""
Stored events: what stands in a row, and how it becomes an event again. Typed JSON that an auditor can read.

The type name in the row (`zorgkas.ZorgpremieCharged/1`) is ours, never a Python path, and is looked up before anything
is decoded. Fields marked as personal leave the JSON and come back as one sealed box (docs/decisions/0004, 0007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Union, cast

import msgspec

from domain.catalogue import Aggregate
from domain.errors import Refused, Unreadable
from domain.events import Event
from domain.personal import ERASED
from formats.stored_proof import proof_of
from formats.stored_shapes import BOX, EventType, event_type, folding_shape

#: An event is a fact, not a document; what is larger belongs in a file of its own.
EVENT_BYTES_MAX: Final = 256 * 1024
#: Rows that are read as one JSON text. That of a whole batch is megabytes, which a thread's memory has a hole for today
#: and tomorrow not: a process that reads many batches grew by ten MiB until it had enough of them.
_AT_ONCE: Final = 100
_TEXT: Final = frozenset({str})
#: One step from a version to the next, on the plain JSON object. Sealed fields may be absent: never require one.
Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownEventType(Unreadable):
    """
    A stored event has a type or version that this program does not know; run the version that wrote it, or a newer one.
    """


class MisshapenEvent(Unreadable):
    """
    A stored event does not have the shape of its type; stop, and compare the events with the last good backup.
    """


class EventTooLarge(Refused):
    """
    An event of more than 256 KiB is not recorded; put the document in a file and record its digest.
    """


class UnstorableEvent(Refused):
    """
    An event holds a value that would not come back as it was, such as half a character; nothing was recorded.
    """


class Boxed(NamedTuple):
    """
    A stored event whose personal fields are still sealed. `name` is the type it was sealed under.
    """

    name: str
    box: bytes
    clear: dict[str, Any]
    type: EventType
    upcasts: tuple[Upcast, ...]


class StoredEvents:
    """
    The catalogue of stored types, made from the aggregates and the upcasts of older versions.

    An upcast is named by what it reads: `zorgkas.ZorgpremieCharged/1` gives the shape of version 2.
    """

    def __init__(self, aggregates: Sequence[Aggregate[Any, Any]], upcasts: Mapping[str, Upcast] | None = None) -> None:
        self.by_event: dict[type[Event], EventType] = {}
        self.by_name: dict[str, EventType] = {}
        for aggregate in aggregates:
            for event in aggregate.events:
                self._add(event_type(aggregate.context, event))
        self._older = dict(self._chains(upcasts or {}))
        self._encode = msgspec.json.Encoder().encode
        self._decoders = {name: msgspec.json.Decoder(of.stored).decode for name, of in self.by_name.items()}
        #: The events that have a personal field.
        self.sealed = frozenset(event for event, of in self.by_event.items() if of.sealed)
        self._proofs = {event: proof_of(event) for event in self.by_event}
        self._by_stored = {of.stored: of for of in self.by_name.values() if of.sealed}
        self._names = {of.stored: of.name for of in self.by_name.values()}
        self._page = self._page_decoder(self._names)
        self._folding_names = {folding_shape(of): of.name for of in self.by_name.values()}
        self._folding_page = self._page_decoder(self._folding_names)
        self._streams = {_key(aggregate): self._stream_decoder(aggregate) for aggregate in aggregates}

    def _add(self, of: EventType) -> None:
        if of.name in self.by_name or of.event in self.by_event:
            raise ValueError(f"two events would be stored as {of.name}")
        self.by_event[of.event] = self.by_name[of.name] = of

    def _chains(self, upcasts: Mapping[str, Upcast]) -> Iterator[tuple[str, tuple[EventType, tuple[Upcast, ...]]]]:
        for of in self.by_name.values():
            base, newest = _split(of.name)
            steps: tuple[Upcast, ...] = ()
            for version in range(newest - 1, 0, -1):
                older = f"{base}/{version}"
                if older not in upcasts:
                    raise ValueError(f"{older} has no upcast to version {version + 1}")
                steps = (upcasts[older], *steps)
                yield older, (of, steps)

    def _stream_decoder(self, aggregate: Aggregate[Any, Any]) -> Callable[[bytes], list[Any]]:
        shapes = tuple(folding_shape(self.by_event[event]) for event in aggregate.events)
        return _reader_of_many(shapes)

    def _page_decoder(self, shapes: Mapping[type[msgspec.Struct], str]) -> Callable[[bytes], list[Any]] | None:
        """
        Return what reads events of all aggregates in one go; None when two contexts use the same tag.
        """
        if len({_tag(name) for name in self.by_name}) < len(self.by_name):
            return None
        return _reader_of_many(shapes)

    @property
    def names(self) -> frozenset[str]:
        """
        Return every stored type and version that can be read.
        """
        return frozenset(self.by_name) | frozenset(self._older)

    # --- to rows -----------------------------------------------------------------------------------------------------

    def type_of(self, event: Event) -> EventType:
        try:
            return self.by_event[type(event)]
        except KeyError:
            raise UnknownEventType(type=type(event).__name__) from None

    def types_of(self, events: Sequence[Event]) -> list[EventType]:
        try:
            return list(map(self.by_event.__getitem__, map(type, events)))
        except KeyError:
            return list(map(self.type_of, events))  # says which

    def personal_of(self, event: Event, of: EventType) -> bytes:
        """
        Return what goes into the event's box: its personal fields by name.
        """
        if of.written is None:
            raise ValueError(f"{of.name} has no personal field")
        values = of.written.personal(event)
        if not _TEXT.issuperset(map(type, values)):
            raise UnstorableEvent(type=of.name)
        return self._encoded(of.written.box(*values), of)

    def state_of(self, event: Event, of: EventType, box: bytes | None = None) -> bytes:
        """
        Return what stands in the row. Raises UnstorableEvent and EventTooLarge.
        """
        return self._encoded(self.shape_of(event, of, box), of)

    def shape_of(self, event: Event, of: EventType, box: bytes | None) -> msgspec.Struct:
        """
        Return an event as it stands in the row: of a sealed one, its clear fields and the box.
        """
        return event if of.written is None else of.written.row(*of.written.clear(event), box)

    def states_of(self, shapes: Sequence[msgspec.Struct], types: Sequence[EventType]) -> list[bytes]:
        """
        Do what `state_of` does for many: events without a personal field, and the shapes of those that have one.
        """
        with suppress(TypeError, ValueError, OverflowError):
            states = list(map(self._encode, shapes))
            if max(map(len, states), default=0) <= EVENT_BYTES_MAX:
                return states
        return list(map(self._encoded, shapes, types))  # says which

    def _encoded(self, value: Any, of: EventType) -> bytes:
        try:
            state = self._encode(value)
        except (TypeError, ValueError, OverflowError):  # half a character is a ValueError too
            raise UnstorableEvent(type=of.name) from None
        if len(state) > EVENT_BYTES_MAX:
            raise EventTooLarge(type=of.name, bytes=len(state))
        return state

    def check(self, events: Sequence[Event], names: Sequence[str], states: Sequence[bytes]) -> None:
        """
        Raise UnstorableEvent unless what is to stand in the rows will read back as the events.

        For most that is sure from what they hold (`stored_proof`); of the others the row is read and compared.
        """
        by_class: dict[type[Event], list[Event]] = {of: [] for of in set(map(type, events))}
        for event in events:
            by_class[type(event)].append(event)
        if not all(self._proofs[of](some) for of, some in by_class.items()):
            for event, name, state in zip(events, names, states, strict=True):
                self._read_back(event, name, state)

    def _read_back(self, event: Event, name: str, state: bytes) -> None:
        try:
            stored = self._decoders[name](state)
        except msgspec.MsgspecError:
            raise UnstorableEvent(type=name) from None
        if stored != event and not _same_where_clear(stored, event, self.by_name[name]):
            raise UnstorableEvent(type=name)

    # --- from rows ---------------------------------------------------------------------------------------------------

    def read(self, name: str, state: bytes) -> Event | Boxed:
        """
        Return the event, or its box to open first. Raises UnknownEventType and MisshapenEvent.
        """
        decode = self._decoders.get(name)
        if decode is None:
            return self._read_older(name, state)
        try:
            stored = decode(state)
        except msgspec.MsgspecError:
            raise MisshapenEvent(type=name) from None
        of = self._by_stored.get(type(stored))
        if of is None:
            return cast(Event, stored)
        return Boxed(of.name, getattr(stored, BOX), {field: getattr(stored, field) for field in of.clear}, of, ())

    def read_page(self, names: Sequence[str], states: Sequence[bytes]) -> list[Event | Boxed]:
        """
        Do what `read` does for many rows, in one decode where all of them are of today's versions.
        """
        events = self._read_today(self._page, self._names, names, states)
        if events is None:
            return list(map(self.read, names, states))  # says which
        boxed = self._by_stored
        for index, stored in enumerate(events):
            of = boxed.get(type(stored))
            if of is not None:
                clear = {name: getattr(stored, name) for name in of.clear}
                events[index] = Boxed(of.name, getattr(stored, BOX), clear, of, ())
        return events

    def read_page_for_folding(self, names: Sequence[str], states: Sequence[bytes]) -> list[Event]:
        """
        Return the events of many rows as `read_stream` does, for read models that need no more.
        """
        events = self._read_today(self._folding_page, self._folding_names, names, states)
        if events is not None:
            return events
        read = map(self.read, names, states)
        return [self.unbox(event, None) if isinstance(event, Boxed) else event for event in read]

    def read_whole_stream(self, joined: bytes) -> tuple[list[str], list[Event]] | None:
        """
        Return the type names and events of one stream as `read_stream` does, whatever it is a stream of; None when it
        holds an older version, which needs the names that stand in the rows.
        """
        if self._folding_page is None:
            return None
        try:
            events = self._folding_page(b"[" + joined + b"]")
        except msgspec.MsgspecError:
            return None
        return list(map(self._folding_names.__getitem__, map(type, events))), events

    def _read_today(
        self,
        decode: Callable[[bytes], list[Any]] | None,
        shapes: Mapping[type[msgspec.Struct], str],
        names: Sequence[str],
        states: Sequence[bytes],
    ) -> list[Any] | None:
        if decode is None or not self.by_name.keys() >= set(names):
            return None
        events: list[Any] = []
        try:
            for start in range(0, len(states), _AT_ONCE):
                events += decode(b"[" + b",".join(states[start : start + _AT_ONCE]) + b"]")
        except msgspec.MsgspecError:
            return None
        return events if list(map(shapes.__getitem__, map(type, events))) == list(names) else None

    def _read_older(self, name: str, state: bytes) -> Event | Boxed:
        if name not in self._older:
            raise UnknownEventType(type=name[:100])
        of, upcasts = self._older[name]
        try:
            fields = msgspec.json.decode(state, type=dict[str, Any])
            if fields.pop("type") != _tag(name):
                raise MisshapenEvent(type=name)
            if BOX in fields:
                return Boxed(name, msgspec.convert(fields.pop(BOX), bytes), fields, of, upcasts)
        except (msgspec.MsgspecError, KeyError):
            raise MisshapenEvent(type=name) from None
        return self._upcast(name, fields, of, upcasts)

    def unbox(self, boxed: Boxed, personal: bytes | None) -> Event:
        """
        Return the event with what was in its box, or with `[erased]` when it could not or need not be opened.
        """
        fields = boxed.clear
        if personal is not None:
            fields = {**fields, **msgspec.json.decode(personal, type=dict[str, str])}
        if boxed.upcasts:
            return self._upcast(boxed.name, fields, boxed.type, boxed.upcasts, erased=personal is None)
        if personal is None:
            fields = {**fields, **dict.fromkeys(boxed.type.sealed, ERASED)}
        try:
            return boxed.type.event(**fields)
        except TypeError:
            raise MisshapenEvent(type=boxed.name) from None

    def _upcast(
        self, name: str, fields: dict[str, Any], of: EventType, upcasts: Sequence[Upcast], *, erased: bool = False
    ) -> Event:
        try:
            for upcast in upcasts:
                fields = upcast(fields)
            if erased:
                fields = {**fields, **dict.fromkeys(of.sealed, ERASED)}
            return msgspec.convert(fields, of.event)
        except (KeyError, TypeError, ValueError):  # msgspec's errors are ValueErrors
            raise MisshapenEvent(type=name) from None

    def read_stream(self, aggregate: Aggregate[Any, Any], joined: bytes) -> list[Any]:
        """
        Return the events of one stream from its states, joined by commas, in one decode, as folding needs them:
        personal fields read `[erased]`, and why something was decided is left unread (`stored_shapes.folding_shape`).
        """
        rows = b"[" + joined + b"]"
        try:
            return self._streams[_key(aggregate)](rows)
        except msgspec.MsgspecError:
            return self._read_mixed(aggregate.context, rows)

    def _read_mixed(self, context: str, rows: bytes) -> list[Any]:
        """
        The slow way, taken when a stream holds an older version (or something that is not ours).
        """
        events = []
        try:
            for raw in msgspec.json.decode(rows, type=list[msgspec.Raw]):
                tag = msgspec.json.decode(raw, type=_Tagged).type
                name = f"{context}.{tag}" if "/" in tag else f"{context}.{tag}/1"
                read = self.read(name, bytes(raw))
                events.append(self.unbox(read, None) if isinstance(read, Boxed) else read)
        except msgspec.MsgspecError:
            raise MisshapenEvent(context=context) from None
        return events


def _same_where_clear(stored: object, event: object, of: EventType) -> bool:
    return bool(of.sealed) and all(getattr(stored, name) == getattr(event, name) for name in of.clear)


def _reader_of_many(shapes: Iterable[type[msgspec.Struct]]) -> Callable[[bytes], list[Any]]:
    """
    Return what reads a JSON array of records, each of one of these shapes.
    """
    array_of: Any = list  # the shapes are only known now, which no type checker can follow
    one_of: Any = Union
    decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(array_of[one_of[tuple(shapes)]]).decode
    return decode


class _Tagged(msgspec.Struct):
    type: str


def _key(aggregate: Aggregate[Any, Any]) -> tuple[str, int]:
    return (aggregate.context, int(aggregate.kind))


def _split(name: str) -> tuple[str, int]:
    base, _, version = name.rpartition("/")
    return base, int(version)


def _tag(name: str) -> str:
    base, version = _split(name)
    short = base.rpartition(".")[2]
    return short if version == 1 else f"{short}/{version}"
