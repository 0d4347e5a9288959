"""
The recorder: our subclass of the library's, on the same table, with two ways in.

`insert_events` keeps the library's surface; `append` is the bulk surface. No pipeline (the library's hangs over a Unix
socket from 2,000 events on), no LISTEN, no database functions, and an advisory lock that an append-only role may take:
positions then rise in the order of commits, and a reader that follows them never skips one (docs/decisions/0006).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
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
#: The server works on one slice while we pack the next.
_SLICE: Final = 500

_LOCK_SQL: Final = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SELECT pg_advisory_xact_lock({APPEND_LOCK})"
_INSERT_SQL: Final = """
INSERT INTO events (originator_id, originator_version, topic, state)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[])
RETURNING notification_id
"""
_COPY_SQL: Final = "COPY events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
_LAST_SQL: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_notification_id_seq"

_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
_COPY_TRAILER: Final = struct.pack("!h", -1)
_KEY: Final = struct.Struct("!hi16siqi")
_LENGTH: Final = struct.Struct("!i")


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

    streams: list[UUID]
    versions: list[int]
    types: list[str]
    states: list[bytes]


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
    Add the rows under the append lock and return their positions, which follow each other without a hole.

    A version that exists raises psycopg's UniqueViolation, and the transaction is over.
    """
    count = len(rows.states)
    if count < COPY_FROM:
        cursor.execute(_INSERT_SQL, rows)
        first, last = (found := cursor.fetchall())[0][0], found[-1][0]
    else:
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
    key, length = _KEY.pack, _LENGTH.pack
    types = {name: name.encode() for name in set(rows.types)}
    yield _COPY_HEADER
    for start in range(0, len(rows.states), _SLICE):
        part = slice(start, start + _SLICE)
        yield b"".join(
            [
                key(4, 16, stream.bytes, 8, version, len(name)) + name + length(len(state)) + state
                for stream, version, name, state in zip(
                    rows.streams[part],
                    rows.versions[part],
                    map(types.__getitem__, rows.types[part]),
                    rows.states[part],
                    strict=True,
                )
            ]
        )
    yield _COPY_TRAILER


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
            self._insert_events(cursor, stored_events, **kwargs)  # type: ignore[arg-type]
            take_append_lock(cursor)
            positions = append_rows(cursor, rows)
            record_commit(cursor, commit, positions)
        return list(positions)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> NoReturn:
        """
        Refused: the library's subscription misses what is recorded before its LISTEN. Read the feed instead.
        """
        raise NotSupportedError("the store is not listened to; read the feed (adapters.postgres.feed)")
