"""
Read models on PostgreSQL: batches of events in, rows changed and position moved in one transaction.

A worker whose position is not the stored one is fenced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from psycopg import Connection, Cursor

from adapters.postgres.rows import RowWriter, make_tables, schema_of
from application.ports import Feed
from application.threads import made_ahead
from domain.envelope import Envelope
from domain.errors import Conflict, Unavailable
from projections.model import ReadModel, StreamRows

#: Live batches; a catch-up over millions takes larger ones, because events of one stream then fold together.
BATCH_EVENTS = 5_000
CATCH_UP_EVENTS = 20_000
#: Rows of a batch are looked up by index. Of arrays and of a temporary table the planner does not know how much they
#: hold; it would hash the whole table for each batch, the more rows stand the dearer (docs/decisions/0006).
_BY_INDEX_SQL = "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"


class MadeByAnotherVersion(Unavailable):
    """
    This read model was made by another version of the program; make it again and take what differs: backoffice
    project rebuild NAME --accept
    """


class Fenced(Conflict):
    """
    Another projector moved this read model meanwhile; this one stops and reads its position again.
    """


class Projector:
    """
    Keeps one read model up to date. `connection` is not in autocommit; the projector owns its transactions.

    `batch_events` sets the size of a batch; without it, it goes by how far there is to go. With a second session,
    `ahead`, a thread reads the next batch and looks up its rows while the last one is written.
    """

    def __init__(
        self,
        *,
        connection: Connection[Any],
        feed: Feed,
        model: ReadModel,
        batch_events: int | None = None,
        ahead: Connection[Any] | None = None,
    ) -> None:
        self._connection = connection
        self._batch_events = batch_events
        self._ahead = ahead
        self._written: dict[int, StreamRows] = {}
        self._feed = feed
        self._model = model
        self._writer = RowWriter(schema_of(model), model.tables, staged=True)
        self.position = -1

    def catch_up(self, *, moved: Callable[[int], None] | None = None, until: int | None = None) -> int:
        """
        Apply events until the feed has no more (or position `until` is reached); return how many were read.

        Raises Fenced when another projector moved the position meanwhile.
        """
        read = 0
        self._written = {}
        self.position = self.stored_position()
        target = self._feed.high_water()
        if until is not None:
            target = min(target, until)
        if self.position >= target:
            return 0  # asked every moment, mostly for nothing: no thread for that
        batches = self._batches(target)
        for batch in made_ahead(batches) if self._ahead else batches:
            self.apply(batch.events, reached=batch.reached, found=batch.found)
            read += len(batch.events)
            if moved is not None:
                moved(len(batch.events))
        return read

    def _batches(self, target: int) -> Iterator[_Batch]:
        """
        Give batch after batch.
        """
        reached = self.position
        while reached < target:
            batch = self._read(reached, target)
            reached = batch.reached
            yield batch

    def _read(self, after: int, target: int) -> _Batch:
        usual = CATCH_UP_EVENTS if target - after > CATCH_UP_EVENTS else BATCH_EVENTS
        limit = self._batch_events or usual
        events = self._feed.read(after=after, limit=limit, kinds=self._model.kinds)
        last = events[-1].position if events else 0
        return _Batch(events, last if len(events) == limit else max(target, last), self._looked_up(events))

    def _looked_up(self, events: Sequence[Envelope]) -> _Found | None:
        """
        Look up the rows of a batch ahead, in a transaction of its own: nobody changes them but who moves the position.

        They lack only what the batch before is writing meanwhile, which `apply` adds. Should another projector have
        changed them, it has moved the position too, and this one is fenced before it writes.
        """
        if self._ahead is None:
            return None
        by_stream = _by_stream(self._model, events)
        with self._ahead.transaction(), self._ahead.cursor() as cursor:
            return _Found(by_stream, _rows_of(cursor, self._writer, by_stream))

    def stored_position(self) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT position, version FROM projection_positions WHERE projection = %s", [self._model.name]
            )
            found = cursor.fetchone()
        if found and found[1] != self._model.version:
            raise MadeByAnotherVersion(name=self._model.name)
        return int(found[0]) if found else create(self._connection, self._model)

    def apply(self, batch: Sequence[Envelope], *, reached: int | None = None, found: _Found | None = None) -> None:
        """
        Fold a batch into the rows and move the position, in one transaction.

        `reached` is how far the feed was read, when that is further than the batch: events of other kinds lie there.
        `found` are its rows, where they were looked up ahead.
        """
        if reached is None:
            reached = batch[-1].position
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(
                "UPDATE projection_positions SET position = %s, moved_at = clock_timestamp() "
                "WHERE projection = %s AND version = %s AND position = %s",
                [reached, self._model.name, self._model.version, self.position],
            )
            if cursor.rowcount != 1:
                raise Fenced(projection=self._model.name, position=self.position)
            if found is None:
                fold_into(cursor, self._model, self._writer, batch)
            else:
                self._fold_found(cursor, found)
        self.position = reached

    def _fold_found(self, cursor: Cursor[Any], found: _Found) -> None:
        for of_stream in found.rows:
            if before := self._written.get(of_stream.stream.int):
                of_stream.standing.update(before.changed)
        _fold(self._model, found)
        cursor.execute(_BY_INDEX_SQL)
        self._writer.write(cursor, found.rows)
        self._written = {of_stream.stream.int: of_stream for of_stream in found.rows}


class _Found(NamedTuple):
    """
    The events of a batch, stream by stream in id order, and of each stream the rows that stand.
    """

    events: Sequence[Sequence[Envelope]]
    rows: Sequence[StreamRows]


class _Batch(NamedTuple):
    """
    Events in the order of the feed, how far it was read for them, and what was looked up ahead.
    """

    events: Sequence[Envelope]
    reached: int
    found: _Found | None


def fold_into(cursor: Cursor[Any], model: ReadModel, writer: RowWriter, batch: Sequence[Envelope]) -> None:
    """
    Fold the batch's events, stream by stream in id order, into the rows that stand, and write what changed.
    """
    events = _by_stream(model, batch)
    if events:
        found = _Found(events, _rows_of(cursor, writer, events))
        _fold(model, found)
        writer.write(cursor, found.rows)


def _by_stream(model: ReadModel, batch: Sequence[Envelope]) -> Sequence[Sequence[Envelope]]:
    by_stream: dict[int, list[Envelope]] = {}  # by number: ids are hashed and compared in Python
    for envelope in batch:
        by_stream.setdefault(envelope.stream.int, []).append(envelope)
    kinds = {int(kind) for kind in model.kinds}  # a stream's kind stands in its id (domain.ids)
    return [by_stream[number] for number in sorted(by_stream) if number >> 16 & 0xFF in kinds]


def _rows_of(cursor: Cursor[Any], writer: RowWriter, events: Sequence[Sequence[Envelope]]) -> Sequence[StreamRows]:
    if not events:
        return []
    cursor.execute(_BY_INDEX_SQL)
    return writer.rows_of(cursor, events)


def _fold(model: ReadModel, found: _Found) -> None:
    evolve = model.evolve
    for of_stream, envelopes in zip(found.rows, found.events, strict=True):
        for envelope in envelopes:
            evolve(of_stream, envelope)


def create(connection: Connection[Any], model: ReadModel, *, schema: str | None = None) -> int:
    """
    Make the read model's schema and tables, empty, at position 0; return that position.
    """
    name = schema or schema_of(model)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"projection:{model.name}"])
        cursor.execute("SELECT position FROM projection_positions WHERE projection = %s", [model.name])
        if schema is None and (found := cursor.fetchone()):
            return int(found[0])  # another process made it while we waited
        make_tables(cursor, name, model.tables, indexed=True)
        if schema is None:
            cursor.execute(
                "INSERT INTO projection_positions (projection, version, position) VALUES (%s, %s, 0)",
                [model.name, model.version],
            )
    return 0
