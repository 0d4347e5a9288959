"""
Head rows: the latest state of each stream, so that deciding about thousands does not replay them.

A cache. What is loaded is the head and the events after it; a head folded by other code is not used; all of them can be
made again (`rebuild_heads`), and compared with replay (`heads_unlike_replay`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from types import GenericAlias
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import Cursor

from adapters.postgres.arrays import Integers, Uuids
from adapters.postgres.recorder import COPY_FROM, COPY_HEADER, COPY_SLICE, COPY_TRAILER
from application.ports import Change, Loaded
from domain.catalogue import Aggregate
from domain.ids import StreamId
from formats.stored import MisshapenEvent, StoredEvents

#: Many streams a row, their states as one JSON list: a wide row each would wake us up for every eighth of them, and
#: ask for our turn each time while another thread works.
_LOAD_SQL: Final = """
SELECT array_agg(wanted.place), array_agg(head.version), string_agg(coalesce(head.state, 'null'), ','::bytea),
       array_agg(tail.last), array_agg(tail.states)
FROM unnest(%b::uuid[]) WITH ORDINALITY AS wanted(stream, place)
LEFT JOIN heads AS head ON head.stream = wanted.stream AND head.fold_version = %b
LEFT JOIN LATERAL (
    SELECT max(originator_version) AS last, string_agg(state, ','::bytea ORDER BY originator_version) AS states
    FROM events
    WHERE originator_id = wanted.stream AND originator_version > coalesce(head.version, 0)
) AS tail ON true
GROUP BY wanted.place / %b
"""
_REPLAY_SQL: Final = """
SELECT wanted.place, NULL, NULL, tail.last, tail.states
FROM unnest(%b::uuid[]) WITH ORDINALITY AS wanted(stream, place)
LEFT JOIN LATERAL (
    SELECT max(originator_version) AS last, string_agg(state, ','::bytea ORDER BY originator_version) AS states
    FROM events WHERE originator_id = wanted.stream
) AS tail ON true
"""
_STANDING_SQL: Final = "SELECT stream, version, fold_version, state FROM heads WHERE stream = ANY(%b::uuid[])"
_MOVE_SQL: Final = """
INSERT INTO heads (stream, kind, version, fold_version, state)
SELECT stream, %b, version, %b, state
FROM unnest(%b::uuid[], %b::integer[], %b::bytea[]) AS moved(stream, version, state)
ON CONFLICT (stream) DO UPDATE
SET version = excluded.version, fold_version = excluded.fold_version, state = excluded.state
"""
_BEGIN_SQL: Final = "COPY heads (stream, kind, version, fold_version, state) FROM STDIN (FORMAT BINARY)"
_ROW: Final = struct.Struct("!hi16sihiqiii")
_STREAMS_SQL: Final = """
SELECT originator_id FROM events
WHERE originator_version = 1 AND get_byte(uuid_send(originator_id), 13) = %b AND originator_id > %b
ORDER BY originator_id LIMIT %b
"""
_BEFORE_ALL: Final = UUID(int=0)
#: Streams whose heads come in one row: more, and the server's answer and our one JSON text take megabytes.
_TOGETHER: Final = 100


def load(
    cursor: Cursor[Any], stored: StoredEvents, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]
) -> dict[StreamId, Loaded[Any]]:
    """
    Return the states of many streams in one query, from their heads and the events after them.
    """
    cursor.execute(_LOAD_SQL, (Uuids(streams), aggregate.fold_version, _TOGETHER), binary=True)
    decode = _decoder(GenericAlias(list, type(aggregate.initial) | None))
    rows = (
        zip(places, versions, decode(b"[" + heads + b"]"), lasts, tails, strict=True)
        for places, versions, heads, lasts, tails in cursor.fetchall()
    )
    return _folded(chain.from_iterable(rows), stored, aggregate, streams)


def replay(
    cursor: Cursor[Any], stored: StoredEvents, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]
) -> dict[StreamId, Loaded[Any]]:
    """
    Return the same from events alone.
    """
    cursor.execute(_REPLAY_SQL, (Uuids(streams),), binary=True)
    return _folded(cursor.fetchall(), stored, aggregate, streams)


def _folded(
    rows: Iterable[tuple[Any, ...]], stored: StoredEvents, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]
) -> dict[StreamId, Loaded[Any]]:
    """
    Fold rows of a stream's place, its head's version and state (None without a head), and the events after it: the last
    one's version and all of them as JSON.
    """
    evolve, initial, read = aggregate.evolve, aggregate.initial, stored.read_stream
    loaded: dict[StreamId, Loaded[Any]] = {}
    for place, version, head, last, states in rows:
        state = initial if head is None else head
        stream = streams[place - 1]
        if states is not None:
            events = read(aggregate, states)
            if len(events) != last - (version or 0):
                raise MisshapenEvent(stream=stream)
            for event in events:
                state = evolve(state, event)
        loaded[stream] = Loaded(state, last or version or 0)
    return loaded


def state_decoder(aggregate: Aggregate[Any, Any]) -> Callable[[bytes], Any]:
    """
    Return what reads this aggregate's states from head rows.
    """
    state: Any = type(aggregate.initial)
    return _decoder(state)


@lru_cache(maxsize=64)
def _decoder(of: Hashable) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(of).decode


encode_state: Final = msgspec.json.Encoder().encode


class NewHeads:
    """
    The head rows of one append: encoded step by step, while the server is busy with the events, and written after them.
    """

    def __init__(self, aggregate: Aggregate[Any, Any], changes: Sequence[Change[Any, Any]]) -> None:
        self._aggregate = aggregate
        begun = [change for change in changes if not change.after_version]
        moved = [change for change in changes if change.after_version]
        self._begun, self._moved = (begun, moved) if len(begun) >= COPY_FROM else ([], list(changes))
        self._rows: list[bytes] = []
        self._states: list[bytes] = []

    def encode(self) -> Iterator[None]:
        """
        Do a part of the work at each step; `write` may follow the last.
        """
        for piece in packed(self._aggregate, self._begun) if self._begun else ():
            self._rows.append(piece)
            yield
        for start in range(0, len(self._moved), COPY_SLICE):
            self._states += [encode_state(change.state) for change in self._moved[start : start + COPY_SLICE]]
            yield

    def write(self, cursor: Cursor[Any]) -> None:
        """
        Write the rows, under the append lock. Nobody else can have written those of streams that began just now.
        """
        if self._begun:
            with cursor.copy(_BEGIN_SQL) as copy:
                for piece in self._rows:
                    copy.write(piece)
        if self._moved:
            streams = [change.stream for change in self._moved]
            versions = [change.after_version + len(change.events) for change in self._moved]
            _move(cursor, self._aggregate, streams, versions, self._states)


def _move(
    cursor: Cursor[Any],
    aggregate: Aggregate[Any, Any],
    streams: Sequence[UUID],
    versions: Sequence[int],
    states: Sequence[bytes],
) -> None:
    columns = (Uuids(streams), Integers(versions), list(states))
    cursor.execute(_MOVE_SQL, (int(aggregate.kind), aggregate.fold_version, *columns))


def packed(aggregate: Aggregate[Any, Any], begun: Sequence[Change[Any, Any]]) -> Iterator[bytes]:
    """
    Give the head rows of new streams as PostgreSQL's binary COPY format, a slice at a time.
    """
    row, kind, fold_version = _ROW.pack, int(aggregate.kind), aggregate.fold_version
    yield COPY_HEADER
    for start in range(0, len(begun), COPY_SLICE):
        pieces: list[bytes] = []
        for stream, after_version, events, state in begun[start : start + COPY_SLICE]:
            encoded, version = encode_state(state), after_version + len(events)
            pieces += (row(5, 16, stream.bytes, 2, kind, 8, version, 4, fold_version, len(encoded)), encoded)
        yield b"".join(pieces)
    yield COPY_TRAILER


def streams_after(
    cursor: Cursor[Any], aggregate: Aggregate[Any, Any], after: StreamId | None, limit: int
) -> list[StreamId]:
    """
    Return ids of the aggregate's streams in id order; from the events, so that a lost head loses no one.
    """
    cursor.execute(_STREAMS_SQL, (int(aggregate.kind), after or _BEFORE_ALL, limit), binary=True)
    return [row[0] for row in cursor.fetchall()]


def pages(
    next_page: Callable[[StreamId | None], Sequence[StreamId]],
) -> Iterator[Sequence[StreamId]]:
    """
    Give page after page until there are no more streams.
    """
    after: StreamId | None = None
    while page := next_page(after):
        yield page
        after = page[-1]


def rebuild_page(
    cursor: Cursor[Any], stored: StoredEvents, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]
) -> None:
    """
    Make the heads of these streams again, under the append lock.
    """
    replayed = replay(cursor, stored, aggregate, streams)
    states = [encode_state(replayed[stream].state) for stream in streams]
    _move(cursor, aggregate, streams, [replayed[stream].version for stream in streams], states)


def unlike_replay(
    cursor: Cursor[Any], stored: StoredEvents, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]
) -> list[StreamId]:
    """
    Return which of these streams have a head of today's code that is not what replay gives.
    """
    cursor.execute(_STANDING_SQL, (Uuids(streams),), binary=True)
    standing: Mapping[StreamId, tuple[int, int, bytes]] = {row[0]: row[1:] for row in cursor.fetchall()}
    replayed = replay(cursor, stored, aggregate, streams)
    decode = state_decoder(aggregate)
    unlike = []
    for stream, (version, fold_version, state) in standing.items():
        if fold_version == aggregate.fold_version and (decode(state), version) != replayed[stream]:
            unlike.append(stream)
    return sorted(unlike)
