"""
The recorder: our subclass of the library's, on the same table, with two ways in.

`insert_events` keeps the library's surface; `append` is the bulk surface. No pipeline (the library's hangs over a Unix
socket from 2,000 events on), no LISTEN, no database functions, and an advisory lock that an append-only role may take:
positions then rise in the order of commits, and a reader that follows them never skips one (docs/decisions/0006).
"""

from __future__ import annotations

import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final, NamedTuple, NoReturn
from uuid import UUID

from eventsourcing.persistence import NotSupportedError, ProgrammingError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Copy, Cursor, errors
from psycopg.copy import LibpqWriter
from psycopg.rows import tuple_row

from adapters.postgres.commits import record_commit
from domain.envelope import Commit
from domain.errors import Unavailable, Unreadable

Rows = Cursor[tuple[Any, ...]]

#: One appender at a time in this database. The number is ours and means nothing.
APPEND_LOCK: Final = 7_340_021_102
LOCK_SECONDS: Final = 10
#: From this many events on, COPY is faster than one INSERT.
COPY_FROM: Final = 64
#: Rows that go to the server at once: it writes them while we make the next ones. A slice is well below what a socket
#: holds, so that the server soon has the first and is never without the next.
COPY_SLICE: Final = 200

_LOCK_SQL: Final = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SELECT pg_advisory_xact_lock({APPEND_LOCK})"
_INSERT_SQL: Final = """
INSERT INTO events (originator_id, originator_version, topic, state)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[])
RETURNING notification_id
"""
_COPY_SQL: Final = "COPY events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
_LAST_SQL: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_notification_id_seq"

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
COPY_TRAILER: Final = struct.pack("!h", -1)
_ROW_BEGIN: Final = struct.pack("!hi", 4, 16)  # four columns, the first of 16 bytes
_LENGTH_8: Final = struct.pack("!i", 8)


class StoreBusy(Unavailable):
    """
    Another writer held the event store for more than 10 seconds; nothing was recorded, try again.
    """


class PositionsBroken(Unreadable):
    """
    Events were given positions outside the append lock; nothing was recorded. Find who else writes to the events table.
    """


class EventRows(NamedTuple):
    """
    Rows to append, column by column, in the order of their positions.
    """

    streams: Sequence[UUID]
    versions: Sequence[int]
    types: Sequence[str]
    states: Sequence[bytes]


def take_append_lock(cursor: Rows) -> None:
    """
    Wait for our turn to append; held until the transaction ends. Raises StoreBusy.
    """
    try:
        cursor.execute(_LOCK_SQL, prepare=False)
    except errors.LockNotAvailable:
        raise StoreBusy from None


def append_rows(cursor: Rows, count: int, slices: Iterable[EventRows], meanwhile: Iterable[object] = ()) -> range:
    """
    Take the append lock, add `count` rows, and return their positions, which follow each other without a hole.

    Few are encoded before anyone waits for us. Of many, the server writes one slice while we make the next, so the
    lock is held no longer for it; `meanwhile` is further work of ours, step by step, while it writes the last ones.
    What either raises ends the transaction, as does a version that exists: psycopg's UniqueViolation.
    """
    if count < COPY_FROM:
        found = _insert(cursor, list(slices))
        for _ in meanwhile:
            pass
        first, last = found[0][0], found[-1][0]
    else:
        take_append_lock(cursor)
        before = _last_position(cursor)
        with copying(cursor, _COPY_SQL) as (copy, writer):
            for piece in packed(slices):
                copy.write(piece)
            for _ in meanwhile:
                writer.push()
        first, last = before + 1, _last_position(cursor)
    if last - first + 1 != count:
        raise PositionsBroken
    return range(first, last + 1)


def _insert(cursor: Rows, slices: Sequence[EventRows]) -> list[tuple[Any, ...]]:
    columns = [list(chain.from_iterable(column)) for column in zip(*slices, strict=True)]
    take_append_lock(cursor)
    cursor.execute(_INSERT_SQL, columns)
    return cursor.fetchall()


def _last_position(cursor: Rows) -> int:
    cursor.execute(_LAST_SQL)
    row = cursor.fetchone()
    return int(row[0]) if row else 0


class EagerWriter(LibpqWriter):
    """
    Sends what the server takes now and keeps the rest for later; the library's waits after every megabyte.
    """

    def __init__(self, cursor: Rows) -> None:
        super().__init__(cursor, flush_threshold=sys.maxsize)
        self._waiting: deque[bytes] = deque()

    def write(self, data: Any) -> None:
        self._waiting.append(data)
        self.push()

    def push(self) -> None:
        """
        Send on without waiting, which whoever works in between should ask for now and then.
        """
        while self._pgconn.flush() == 0 and self._waiting:
            super().write(self._waiting.popleft())

    def finish(self, exc: BaseException | None = None) -> None:
        self.flush_threshold = 0  # now there is nothing better to do than to wait
        while self._waiting and exc is None:
            super().write(self._waiting.popleft())
        super().finish(exc)


@contextmanager
def copying(cursor: Rows, statement: str) -> Iterator[tuple[Copy, EagerWriter]]:
    """
    Copy to the server while the block makes what is to be copied; the end of the block waits until all is there.
    """
    writer = EagerWriter(cursor)
    with cursor.copy(statement, writer=writer) as copy:
        yield copy, writer


def packed(slices: Iterable[EventRows]) -> Iterator[bytes]:
    """
    Give the rows as PostgreSQL's binary COPY format, a slice at a time.
    """
    row_of: dict[str, tuple[Callable[[bytes, int, bytes, int], bytes], bytes]] = {}
    yield COPY_HEADER
    for rows in slices:
        row_of.update({name: _row_of(name.encode()) for name in {*rows.types} - row_of.keys()})
        pieces: list[bytes] = []
        before, begin = None, b""
        for stream, version, name, state in zip(*rows, strict=True):
            if stream is not before:
                before, begin = stream, _ROW_BEGIN + stream.bytes + _LENGTH_8
            pack, column = row_of[name]
            pieces += (pack(begin, version, column, len(state)), state)
        yield b"".join(pieces)
    yield COPY_TRAILER


def _row_of(name: bytes) -> tuple[Callable[[bytes, int, bytes, int], bytes], bytes]:
    """
    Return what packs a row up to its state, and the column with the type's name: for all rows of a type the same.
    """
    column = struct.pack("!i", len(name)) + name
    return struct.Struct(f"!26sq{len(column)}si").pack, column


class Recorder(PostgresApplicationRecorder):
    """
    Records events in `backoffice.events`, whatever the application is called.
    """

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "events") -> None:
        super().__init__(datastore, events_table_name="events")

    def create_table(self) -> NoReturn:
        raise ProgrammingError("the tables of the store are made by adapters/postgres/migrations")

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """
        Record what the library's surface gives (`app.events.put(events, commit=...)`), with its row in commits.

        Never repeated by itself after a lost connection: the caller asks again with the same command id.
        """
        commit = kwargs.get("commit")
        if not isinstance(commit, Commit):
            raise ProgrammingError("say what the events were recorded with: put(events, commit=Commit(...))")
        if not stored_events:
            return []
        rows = EventRows(
            [UUID(str(event.originator_id)) for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )
        with (
            self.datastore.get_connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            self._insert_events(cursor, stored_events, **kwargs)  # type: ignore[arg-type]  # its rows are named tuples
            positions = append_rows(cursor, len(stored_events), [rows])
            record_commit(cursor, commit, positions)
        return list(positions)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> NoReturn:
        """
        Refused: the library's subscription misses what is recorded before its LISTEN. Read the feed instead.
        """
        raise NotSupportedError("the store is not listened to; read the feed (adapters.postgres.feed)")
