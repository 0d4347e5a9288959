"""
The recorder: our subclass of the library's, on the same table, with two ways in.

`insert_events` keeps the library's surface; `append` is the bulk surface. No pipeline (the library's hangs over a Unix
socket from 2,000 events on), no LISTEN, no database functions, and an advisory lock that an append-only role may take:
positions then rise in the order of commits, and a reader that follows them never skips one (docs/decisions/0006).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn
from uuid import UUID

from eventsourcing.persistence import NotSupportedError, ProgrammingError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Cursor, errors
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
#: Rows that go to the server at once: it writes them while we make the next ones.
COPY_SLICE: Final = 500

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
    Rows to append, column by column, in the order of their positions. `states` gives a slice of the last column when it
    is needed; what it refuses by raising ends the transaction.
    """

    streams: list[UUID]
    versions: list[int]
    types: list[str]
    states: Callable[[slice], Sequence[bytes]]


def take_append_lock(cursor: Rows) -> None:
    """
    Wait for our turn to append; held until the transaction ends. Raises StoreBusy.
    """
    try:
        cursor.execute(_LOCK_SQL, prepare=False)
    except errors.LockNotAvailable:
        raise StoreBusy from None


def append_rows(cursor: Rows, rows: EventRows) -> range:
    """
    Take the append lock, add the rows, and return their positions, which follow each other without a hole.

    Few are encoded before anyone waits for us. Of many, the server writes one slice while we encode the next, so the
    lock is held no longer for it. A version that exists raises psycopg's UniqueViolation, and the transaction is over.
    """
    count = len(rows.streams)
    if count < COPY_FROM:
        states = list(rows.states(slice(0, count)))
        take_append_lock(cursor)
        cursor.execute(_INSERT_SQL, (rows.streams, rows.versions, rows.types, states))
        first, last = (found := cursor.fetchall())[0][0], found[-1][0]
    else:
        take_append_lock(cursor)
        before = _last_position(cursor)
        with cursor.copy(_COPY_SQL) as copy:
            for piece in packed(rows):
                copy.write(piece)
        first, last = before + 1, _last_position(cursor)
    if last - first + 1 != count:
        raise PositionsBroken
    return range(first, last + 1)


def _last_position(cursor: Rows) -> int:
    cursor.execute(_LAST_SQL)
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def packed(rows: EventRows) -> Iterator[bytes]:
    """
    Give the rows as PostgreSQL's binary COPY format, a slice at a time.
    """
    row_of = {name: _row_of(name.encode()) for name in set(rows.types)}
    yield COPY_HEADER
    for start in range(0, len(rows.streams), COPY_SLICE):
        part = slice(start, start + COPY_SLICE)
        pieces: list[bytes] = []
        before, raw = None, b""
        for stream, version, name, state in zip(
            rows.streams[part], rows.versions[part], rows.types[part], rows.states(part), strict=True
        ):
            if stream is not before:
                before, raw = stream, stream.bytes
            pack, type_length, type_name = row_of[name]
            pieces += (pack(4, 16, raw, 8, version, type_length, type_name, len(state)), state)
        yield b"".join(pieces)
    yield COPY_TRAILER


def _row_of(name: bytes) -> tuple[Callable[..., bytes], int, bytes]:
    return struct.Struct(f"!hi16siqi{len(name)}si").pack, len(name), name


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
            [event.state for event in stored_events].__getitem__,
        )
        with (
            self.datastore.get_connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            self._insert_events(cursor, stored_events, **kwargs)  # type: ignore[arg-type]
            positions = append_rows(cursor, rows)
            record_commit(cursor, commit, positions)
        return list(positions)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> NoReturn:
        """
        Refused: the library's subscription misses what is recorded before its LISTEN. Read the feed instead.
        """
        raise NotSupportedError("the store is not listened to; read the feed (adapters.postgres.feed)")
