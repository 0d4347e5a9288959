"""
Read models on PostgreSQL: batches of events in, rows changed and position moved in one transaction.

Each read model has a schema of its own, `rm_<name>`. A worker whose position is not the stored one is fenced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec.structs import astuple
from psycopg import Connection, Cursor, sql

from adapters.postgres.arrays import column_of, copy_rows, types_of
from application.ports import Feed
from domain.envelope import Envelope
from domain.errors import Conflict, Unavailable
from projections.model import ReadModel, Row, StreamRows, Table

#: Live batches; a catch-up over millions takes larger ones, because events of one stream then fold together.
BATCH_EVENTS = 5_000
CATCH_UP_EVENTS = 20_000
#: From this many rows on, COPY and one merge are quicker than arrays.
STAGED_FROM = 500
#: Rows of a batch are looked up by index. Of arrays and of a temporary table the planner does not know how much they
#: hold; it would hash the whole table for each batch, the more rows stand the dearer (docs/decisions/0006).
_BY_INDEX_SQL = "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
_LOOKERS = sql.SQL("backoffice_reader, backoffice_writer")


class MadeByAnotherVersion(Unavailable):
    """
    This read model was made by another version of the program; make it again and take what differs: backoffice
    project rebuild NAME --accept
    """


class Fenced(Conflict):
    """
    Another projector moved this read model meanwhile; this one stops and reads its position again.
    """


def schema_of(model: ReadModel) -> str:
    return f"rm_{model.name}"


def qualified(schema: str, table: Table[Any]) -> sql.Identifier:
    return sql.Identifier(schema, table.name)


class Projector:
    """
    Keeps one read model up to date. `connection` is not in autocommit; the projector owns its transactions.

    `batch_events` sets the size of a batch; without it, it goes by how far there is to go. With `reads_ahead` the next
    batch is read, by a thread on the feed's own session, while the server writes the last one.
    """

    def __init__(
        self,
        *,
        connection: Connection[Any],
        feed: Feed,
        model: ReadModel,
        batch_events: int | None = None,
        reads_ahead: bool = False,
    ) -> None:
        self._connection = connection
        self._batch_events = batch_events
        self._reads_ahead = reads_ahead
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
        self.position = self.stored_position()
        target = self._feed.high_water()
        if until is not None:
            target = min(target, until)
        for batch, reached in self._batches(target):
            self.apply(batch, reached=reached)
            read += len(batch)
            if moved is not None:
                moved(len(batch))
        return read

    def _batches(self, target: int) -> Iterator[tuple[Sequence[Envelope], int]]:
        """
        Give batch after batch, each with how far the feed was read for it.
        """
        reached = self.position
        if reached >= target:
            return
        with ThreadPoolExecutor(1) as ahead:  # its thread starts with the first thing to do
            batch, reached = self._read(reached, target)
            while reached < target:
                upcoming = ahead.submit(self._read, reached, target) if self._reads_ahead else None
                yield batch, reached
                batch, reached = upcoming.result() if upcoming else self._read(reached, target)
            yield batch, reached

    def _read(self, after: int, target: int) -> tuple[Sequence[Envelope], int]:
        usual = CATCH_UP_EVENTS if target - after > CATCH_UP_EVENTS else BATCH_EVENTS
        limit = self._batch_events or usual
        batch = self._feed.read(after=after, limit=limit, kinds=self._model.kinds)
        last = batch[-1].position if batch else 0
        return batch, last if len(batch) == limit else max(target, last)

    def stored_position(self) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT position, version FROM projection_positions WHERE projection = %s", [self._model.name]
            )
            found = cursor.fetchone()
        if found and found[1] != self._model.version:
            raise MadeByAnotherVersion(name=self._model.name)
        return int(found[0]) if found else create(self._connection, self._model)

    def apply(self, batch: Sequence[Envelope], *, reached: int | None = None) -> None:
        """
        Fold a batch into the rows and move the position, in one transaction.

        `reached` is how far the feed was read, when that is further than the batch: events of other kinds lie there.
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
            fold_into(cursor, self._model, self._writer, batch)
        self.position = reached


def fold_into(cursor: Cursor[Any], model: ReadModel, writer: RowWriter, batch: Sequence[Envelope]) -> None:
    """
    Fold the batch's events, stream by stream in id order, into the rows that stand, and write what changed.
    """
    by_stream: dict[int, list[Envelope]] = {}  # by number: ids are hashed and compared in Python
    for envelope in batch:
        by_stream.setdefault(envelope.stream.int, []).append(envelope)
    kinds = {int(kind) for kind in model.kinds}  # a stream's kind stands in its id (domain.ids)
    events = [by_stream[number] for number in sorted(by_stream) if number >> 16 & 0xFF in kinds]
    if not events:
        return
    cursor.execute(_BY_INDEX_SQL)
    rows = writer.rows_of(cursor, events)
    evolve = model.evolve
    for of_stream, envelopes in zip(rows, events, strict=True):
        for envelope in envelopes:
            evolve(of_stream, envelope)
    writer.write(cursor, rows)


class RowWriter:
    """
    Reads and writes the rows of a read model's tables, a batch of streams at a time.

    `staged` lets large batches go by COPY, changes through a temporary table, which is quicker; the role must be
    allowed to.
    """

    def __init__(self, schema: str, tables: Sequence[Table[Any]], *, staged: bool = False) -> None:
        self._tables = tables
        self._staged = {table: _Staged(schema, table) for table in tables} if staged else {}
        self._select = {table: _select(schema, table) for table in tables}
        self._upsert = {table: _upsert(schema, table) for table in tables}
        self._types = {table: types_of(table) for table in tables}

    def rows_of(self, cursor: Cursor[Any], events: Sequence[Sequence[Envelope]]) -> list[StreamRows]:
        """
        Return the rows that stand of each of these streams, as far as its events are about them.
        """
        found = [StreamRows(envelopes[0].stream) for envelopes in events]
        for table in self._tables:
            owners, keys = self._wanted(table, found, events)
            cursor.execute(self._select[table], keys, binary=True)
            make, end_of_key = table.row, len(table.key)
            for values in cursor.fetchall():
                of_stream = owners[values[0] - 1]
                of_stream.standing[table, values[1:end_of_key]] = make(of_stream.stream, *values[1:])
        return found

    def _wanted(
        self, table: Table[Any], rows: Sequence[StreamRows], events: Sequence[Sequence[Envelope]]
    ) -> tuple[Sequence[StreamRows], list[list[Any]]]:
        """
        Return which rows to fetch, as columns of their keys, and whose they are.
        """
        looks_at, types = table.looks_at, self._types[table]
        if looks_at is None:
            return rows, [column_of("uuid", [of.stream for of in rows])]
        wanted = [
            (of, key)
            for of, envelopes in zip(rows, events, strict=True)
            for key in {key: None for envelope in envelopes for key in looks_at(envelope.event)}
        ]
        columns = [column_of("uuid", [of.stream for of, _ in wanted])]
        columns += [
            column_of(types[name], [key[index] for _, key in wanted]) for index, name in enumerate(table.key[1:])
        ]
        return [of for of, _ in wanted], columns

    def write(self, cursor: Cursor[Any], rows: Iterable[StreamRows]) -> None:
        """
        Write the rows that were made or changed, in the order of their streams.
        """
        new: dict[Table[Any], list[Row]] = {table: [] for table in self._tables}
        changed: dict[Table[Any], list[Row]] = {table: [] for table in self._tables}
        for of_stream in rows:
            standing = of_stream.standing
            for place, row in of_stream.changed.items():
                (changed if place in standing else new)[place[0]].append(row)
        for table in self._tables:
            if table in self._staged and len(new[table]) + len(changed[table]) >= STAGED_FROM:
                self._staged[table].write(cursor, new[table], changed[table])
            elif both := new[table] + changed[table]:
                types = self._types[table].values()
                columns = zip(*map(astuple, both), strict=True)
                cursor.execute(self._upsert[table], list(map(column_of, types, columns)))


class _Staged:
    """
    Writes many rows by COPY: new ones into the table itself, changed ones into a temporary table that is then merged.

    A new row that is there already is a fault, not a race (the position is held), and the server refuses it.
    """

    def __init__(self, schema: str, table: Table[Any]) -> None:
        place, stage = qualified(schema, table), sql.Identifier(f"stage_{schema}_{table.name}")
        self._table, self._place, self._stage = table, place, stage
        self._make = sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {} (" + table.columns + ") ON COMMIT DELETE ROWS"
        ).format(stage)
        others = table.fields[len(table.key) :]
        self._can_change = bool(others)
        self._merge = sql.SQL("UPDATE {} AS standing SET ({}) = ROW({}) FROM {} AS changed WHERE {}").format(
            place,
            _names(others),
            sql.SQL(", ").join(sql.Identifier("changed", name) for name in others),
            stage,
            sql.SQL(" AND ").join(sql.SQL("standing.{0} = changed.{0}").format(sql.Identifier(n)) for n in table.key),
        )

    def write(self, cursor: Cursor[Any], new: Sequence[Row], changed: Sequence[Row]) -> None:
        if new:
            copy_rows(cursor, self._table, self._place, new)
        if changed and self._can_change:
            cursor.execute(self._make)
            copy_rows(cursor, self._table, self._stage, changed)
            cursor.execute(self._merge)


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


def make_tables(cursor: Cursor[Any], schema: str, tables: Sequence[Table[Any]], *, indexed: bool) -> None:
    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), _LOOKERS))
    for table in tables:
        cursor.execute(
            sql.SQL("CREATE TABLE {} (" + table.columns + ") WITH (fillfactor = 50)").format(qualified(schema, table))
        )
        cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(qualified(schema, table), _LOOKERS))
        if indexed:
            add_indexes(cursor, schema, table)


def add_indexes(cursor: Cursor[Any], schema: str, table: Table[Any]) -> None:
    key = sql.SQL(", ").join(sql.Identifier(column) for column in table.key)
    cursor.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(qualified(schema, table), key))
    for index in table.indexes:
        cursor.execute(sql.SQL(index).format(table=qualified(schema, table)))


def _arrays(table: Table[Any], names: Sequence[str]) -> sql.Composed:
    types = types_of(table)
    return sql.SQL(", ").join(sql.SQL("%b::" + types[name] + "[]") for name in names)


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _select(schema: str, table: Table[Any]) -> sql.Composed:
    """
    Ask for rows by their keys, as far as the events say them; each answer says whose it is by its place among these.
    """
    keys = table.key[:1] if table.looks_at is None else table.key
    return sql.SQL("SELECT place, {} FROM unnest({}) WITH ORDINALITY AS wanted({}, place) JOIN {} USING ({})").format(
        _names(table.fields[1:]), _arrays(table, keys), _names(keys), qualified(schema, table), _names(keys)
    )


def _upsert(schema: str, table: Table[Any]) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({}) {}").format(
        qualified(schema, table), _names(table.fields), _arrays(table, table.fields), _on_conflict(table)
    )


def _on_conflict(table: Table[Any]) -> sql.Composed:
    others = [name for name in table.fields if name not in table.key]
    action = sql.SQL("UPDATE SET {}").format(
        sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in others)
    )
    return sql.SQL("ON CONFLICT ({}) DO {}").format(_names(table.key), action if others else sql.SQL("NOTHING"))
