"""
The feed: events in the order of the store, in batches, never skipping one, whoever writes meanwhile.

Positions are given under the append lock, so they rise in the order of commits: what is below the last one read is
read. Holes are left by transactions that were rolled back, and mean nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, count, groupby, repeat
from operator import attrgetter
from typing import Any, Final, cast

from psycopg import Cursor

from adapters.postgres.arrays import Uuids
from adapters.postgres.commits import Recorded, commits_between, commits_of, runs_of
from adapters.postgres.database import WRITER, Database
from adapters.postgres.keys import TransactionKeys
from adapters.sealing import Ciphers, MasterKey, place_of
from domain.envelope import Commit, Envelope
from domain.ids import Kind, StreamId, owner_of
from formats.stored import Boxed, StoredEvents

_READ_SQL: Final = """
SELECT notification_id, originator_id, originator_version, topic, state FROM events
WHERE notification_id > %b
ORDER BY notification_id LIMIT %b
"""
_READ_KINDS_SQL: Final = """
SELECT notification_id, originator_id, originator_version, topic, state FROM events
WHERE notification_id > %b AND get_byte(uuid_send(originator_id), 13) = ANY(%b::integer[])
ORDER BY notification_id LIMIT %b
"""
#: The kind stands in a stream's id, and the planner takes every kind for rare: for each batch it would read and sort
#: all that is left, with helpers started for it, instead of following the index for as long as it needs.
_BY_POSITION_SQL: Final = (
    "SELECT set_config('enable_sort', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"
)
_OF_STREAMS_SQL: Final = """
SELECT notification_id, originator_id, originator_version, topic, state FROM events
WHERE originator_id = ANY(%b::uuid[])
ORDER BY originator_id, originator_version
"""
_WHOLE_STREAMS_SQL: Final = """
SELECT wanted.stream, whole.positions, whole.states
FROM unnest(%b::uuid[]) AS wanted(stream)
CROSS JOIN LATERAL (
    SELECT string_agg(int8send(notification_id), ''::bytea ORDER BY originator_version) AS positions,
           string_agg(state, ','::bytea ORDER BY originator_version) AS states
    FROM events WHERE originator_id = wanted.stream
) AS whole
WHERE whole.states IS NOT NULL
"""
_HIGH_WATER_SQL: Final = "SELECT coalesce(max(notification_id), 0) FROM events"


class StoreFeed:
    """
    Reads with personal fields opened; `open_personal=False` leaves them `[erased]`, and needs no keys.

    With `for_folding`, events come as states and most read models need them: personal fields `[erased]`, and the basis
    left unread. That is twice as fast.
    """

    def __init__(
        self,
        database: Database,
        *,
        stored: StoredEvents,
        master: MasterKey | None,
        open_personal: bool = True,
        for_folding: bool = False,
    ) -> None:
        self._database = database
        self._stored = stored
        self._master = master if open_personal else None
        self._for_folding = for_folding

    def read(self, *, after: int, limit: int, kinds: Collection[Kind] | None = None) -> Sequence[Envelope]:
        """
        Return the next events after a position, at most `limit`; with `kinds`, only those of these streams.
        """
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            if kinds is None:
                cursor.execute(_READ_SQL, (after, limit), binary=True)
            else:
                cursor.execute(_BY_POSITION_SQL)
                cursor.execute(_READ_KINDS_SQL, (after, [int(kind) for kind in kinds], limit), binary=True)
            rows = cursor.fetchall()
            if not rows:
                return []
            return self._envelopes(cursor, rows, commits_between(cursor, rows[0][0], rows[-1][0]))

    def high_water(self) -> int:
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            row = cursor.execute(_HIGH_WATER_SQL).fetchone()
            return int(row[0]) if row else 0

    def of_streams(self, streams: Sequence[StreamId]) -> Sequence[Envelope]:
        """
        Return all events of these streams, by stream and version; for rebuilding what is kept per stream.
        """
        return list(chain.from_iterable(self.by_stream(streams)))

    def by_stream(self, streams: Sequence[StreamId]) -> Sequence[Sequence[Envelope]]:
        """
        Return the same, one sequence for each stream that has events.
        """
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            found = self._whole_streams(cursor, streams) if self._for_folding else None
            if found is not None:
                return found
            cursor.execute(_OF_STREAMS_SQL, (Uuids(streams),), binary=True)
            rows = cursor.fetchall()
            commits = commits_of(cursor, [row[0] for row in rows])
            envelopes = self._envelopes(cursor, rows, commits)
            return [list(of_stream) for _, of_stream in groupby(envelopes, key=attrgetter("stream.int"))]

    def _whole_streams(self, cursor: Cursor[Any], streams: Sequence[StreamId]) -> Sequence[Sequence[Envelope]] | None:
        """
        The quick way: one row and one decode per stream. None when a stream holds an older version of an event.
        """
        cursor.execute(_WHOLE_STREAMS_SQL, (Uuids(streams),), binary=True)
        rows = [(stream, _positions(raw), states) for stream, raw, states in cursor.fetchall()]
        commits = commits_of(cursor, list(chain.from_iterable(positions for _, positions, _ in rows)))
        firsts = [of.first for of in commits]
        found: list[list[Envelope]] = []
        for stream, positions, states in rows:
            read = self._stored.read_whole_stream(states)
            if read is None:
                return None
            names, events = read
            recorded_at, recorded_with = _recorded(positions, commits, firsts)
            columns = (positions, repeat(stream), count(1), names, recorded_at, events, recorded_with)
            found.append(list(map(_envelope, zip(*columns, strict=False))))
        return found

    def _envelopes(
        self, cursor: Cursor[Any], rows: Sequence[tuple[Any, ...]], commits: Sequence[Recorded]
    ) -> Sequence[Envelope]:
        if not rows:
            return []
        positions, streams, versions, names, states = zip(*rows, strict=True)
        recorded_at, recorded_with = _recorded(positions, commits, [of.first for of in commits])
        events: list[Any]
        if self._for_folding:
            events = self._stored.read_page_for_folding(names, states)
        else:
            events = self._stored.read_page(names, states)
            self._open(cursor, rows, events)
        columns = (positions, streams, versions, names, recorded_at, events, recorded_with)
        return list(map(_envelope, zip(*columns, strict=True)))

    def _open(self, cursor: Cursor[Any], rows: Sequence[tuple[Any, ...]], events: list[Any]) -> None:
        """
        Open the boxes of a batch, with the keys of all its members fetched at once.
        """
        boxed = [(index, rows[index]) for index, event in enumerate(events) if type(event) is Boxed]
        if not boxed:
            return
        ciphers = Ciphers(self._master, TransactionKeys(cursor))
        ciphers.fetch([owner_of(row[1]) for _, row in boxed])
        for index, (_, stream, version, _, _) in boxed:
            of: Boxed = events[index]
            opened = ciphers.open(owner_of(stream), place_of(stream, version, of.name), of.box)
            events[index] = self._stored.unbox(of, opened)


def _positions(raw: bytes) -> Sequence[int]:
    return struct.unpack(f">{len(raw) // 8}q", raw)


def _recorded(
    positions: Sequence[int], commits: Sequence[Recorded], firsts: Sequence[int]
) -> tuple[list[datetime], list[Commit]]:
    """
    Return since when we knew of each position, and what it was recorded with.
    """
    recorded_at: list[datetime] = []
    recorded_with: list[Commit] = []
    for length, of in runs_of(positions, commits, firsts):
        recorded_at += repeat(of.recorded_at, length)
        recorded_with += repeat(of.commit, length)
    return recorded_at, recorded_with


#: What `Envelope._make` does, without a Python frame for each of millions.
_envelope: Final = cast(Callable[[tuple[Any, ...]], Envelope], partial(tuple.__new__, Envelope))
