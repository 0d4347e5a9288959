"""
One transaction of the store: states loaded in bulk, events appended, the command's answer kept; all or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, compress, count
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import Cursor, errors

from adapters.postgres import heads
from adapters.postgres.arrays import Uuids
from adapters.postgres.commits import record_commit
from adapters.postgres.keys import TransactionKeys
from adapters.postgres.recorder import COPY_SLICE, EventRows, append_rows, take_append_lock
from adapters.sealing import Ciphers, MasterKey, NoMasterKey, places_of
from application.ports import Answer, Change, Loaded, MarkTaken, WrittenMeanwhile
from domain.catalogue import Aggregate
from domain.envelope import Commit
from domain.events import Event
from domain.ids import MemberId, StreamId, owner_of
from formats.stored import StoredEvents

_ANSWER_SQL: Final = """
INSERT INTO answers (command_id, digest, outcome, detail)
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %s::text[]::jsonb[])
"""
_MARK_SQL: Final = """
INSERT INTO unique_marks (kind, digest, stream)
SELECT %b, digest, stream FROM unnest(%b::bytea[], %b::uuid[]) AS claimed(digest, stream) ON CONFLICT DO NOTHING
"""
_HELD_SQL: Final = """
SELECT claimed.stream
FROM unnest(%b::bytea[], %b::uuid[]) AS claimed(digest, stream)
JOIN unique_marks AS held ON held.kind = %b AND held.digest = claimed.digest
WHERE held.stream <> claimed.stream
"""
_GAP_SQL: Final = """
SELECT count(*)
FROM unnest(%b::uuid[], %b::bigint[]) AS expected(stream, version)
WHERE NOT EXISTS (
    SELECT FROM events WHERE originator_id = expected.stream AND originator_version = expected.version
)
"""


class PostgresUnit:
    """
    Made by `PostgresStore.transaction`. `cursor` is for what must be written in the same transaction.
    """

    def __init__(
        self, cursor: Cursor[Any], *, commit: Commit, stored: StoredEvents, master: MasterKey | None, checked: bool
    ) -> None:
        self.cursor = cursor
        self._commit = commit
        self._stored = stored
        self._master = master
        self._checked = checked
        self._ciphers = Ciphers(master, TransactionKeys(cursor))
        self._versions: dict[StreamId, int] = {}
        self._answers: list[Answer] = []
        self._positions: range | None = None
        self._locked = False
        self._owners: dict[int, MemberId] = {}  # by the stream's number

    def load(self, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]) -> Mapping[StreamId, Loaded[Any]]:
        loaded = heads.load(self.cursor, self._stored, aggregate, streams)
        self._versions.update({stream: of.version for stream, of in loaded.items()})
        return loaded

    def append(self, aggregate: Aggregate[Any, Any], changes: Sequence[Change[Any, Any]]) -> None:
        changes = [change for change in changes if change.events]
        if not changes:
            return
        kind = int(aggregate.kind)
        for change in changes:
            if change.stream.int >> 16 & 0xFF != kind:
                raise ValueError(f"{change.stream} is not a stream of {aggregate.context} kind {kind}")
        self._prepare_keys(changes)
        new_heads = heads.NewHeads(aggregate, changes)
        number = sum(len(change.events) for change in changes)
        try:
            positions = append_rows(self.cursor, number, self._slices(changes), meanwhile=new_heads.encode())
        except errors.UniqueViolation:
            raise WrittenMeanwhile(streams=len(changes)) from None
        self._locked = True
        self._refuse_gaps(changes)
        new_heads.write(self.cursor)
        self._versions.update({change.stream: change.after_version + len(change.events) for change in changes})
        first = positions[0] if self._positions is None else self._positions[0]
        self._positions = range(first, positions[-1] + 1)

    def lock(self) -> None:
        """
        Wait for our turn to append, and keep it until the end. Raises `recorder.StoreBusy` after 10 seconds.
        """
        if not self._locked:
            take_append_lock(self.cursor)
            self._locked = True

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """
        A part of the transaction that can fail alone. Its end by an error gives back the lock that it took.
        """
        locked, positions = self._locked, self._positions
        try:
            with self.cursor.connection.transaction():
                yield
        except BaseException:
            self._locked, self._positions = locked, positions
            raise

    def mark_unique(self, kind: str, values: Sequence[tuple[str, StreamId]]) -> None:
        if not values:
            return
        if self._master is None:
            raise NoMasterKey
        marks = sorted({(self._master.blind(kind, value), stream) for value, stream in values})
        digests, streams = [mark[0] for mark in marks], [mark[1] for mark in marks]
        self.cursor.execute(_MARK_SQL, (kind, digests, streams))
        self.cursor.execute(_HELD_SQL, (digests, streams, kind), binary=True)
        taken = [row[0] for row in self.cursor.fetchall()]
        if taken:
            raise MarkTaken(kind=kind, streams=", ".join(str(stream) for stream in sorted(taken)[:10]))

    def answer(self, answer: Answer) -> None:
        self._answers.append(answer)

    def finish(self) -> None:
        """
        Write what stands at the end of the transaction: the answers, and the row of this commit.
        """
        if self._answers:
            of = self._answers
            details = [msgspec.json.encode(answer.detail).decode() for answer in of]
            self.cursor.execute(
                _ANSWER_SQL,
                ([a.command_id for a in of], [a.digest for a in of], [a.outcome for a in of], details),
            )
        if self._positions is not None:
            record_commit(self.cursor, self._commit, self._positions)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _slices(self, changes: Sequence[Change[Any, Any]]) -> Iterator[EventRows]:
        """
        Make the rows, a slice at a time and each when it is asked for.
        """
        events: list[Event] = []
        streams: list[UUID] = []
        versions: list[int] = []
        for stream, after_version, added, _ in changes:
            events += added
            streams += [stream] * len(added)
            versions += range(after_version + 1, after_version + 1 + len(added))
            if len(events) >= COPY_SLICE:
                yield self._rows(events, streams, versions)
                events, streams, versions = [], [], []
        if events:
            yield self._rows(events, streams, versions)

    def _rows(self, events: Sequence[Event], streams: Sequence[UUID], versions: Sequence[int]) -> EventRows:
        stored = self._stored
        types = stored.types_of(events)
        names = [of.name for of in types]
        shapes: list[msgspec.Struct] = list(events)
        if not stored.sealed.isdisjoint(map(type, events)):
            sealed = list(compress(count(), map(stored.sealed.__contains__, map(type, events))))
            owners = [self._owners[streams[index].int] for index in sealed]
            places = places_of((streams[index], versions[index], names[index]) for index in sealed)
            personal = [stored.personal_of(events[index], types[index]) for index in sealed]
            boxes = self._ciphers.seal_all(owners, places, personal)
            for index, box in zip(sealed, boxes, strict=True):
                shapes[index] = stored.shape_of(events[index], types[index], box)
        states = stored.states_of(shapes, types)
        if self._checked:
            stored.check(events, names, states)
        return EventRows(streams, versions, names, states)

    def _prepare_keys(self, changes: Sequence[Change[Any, Any]]) -> None:
        """
        Fetch the keys that seal these events' personal fields, of all members at once: no question can be asked later.
        """
        sealed = self._stored.sealed
        if sealed.isdisjoint(map(type, chain.from_iterable(change.events for change in changes))):
            return
        streams = [change.stream for change in changes if not sealed.isdisjoint(map(type, change.events))]
        self._owners = {stream.int: owner_of(stream) for stream in streams}
        self._ciphers.fetch_or_make(list(self._owners.values()))

    def _refuse_gaps(self, changes: Sequence[Change[Any, Any]]) -> None:
        """
        The table's key refuses a version that is there; this refuses one that is not the next.
        """
        known = self._versions
        doubtful = [
            (change.stream, change.after_version)
            for change in changes
            if change.events and change.after_version and known.get(change.stream) != change.after_version
        ]
        if doubtful:
            streams, versions = zip(*doubtful, strict=True)
            self.cursor.execute(_GAP_SQL, (Uuids(streams), list(versions)), binary=True)
            row = self.cursor.fetchone()
            if row is None or row[0]:
                raise WrittenMeanwhile(streams=row[0] if row else len(doubtful))
