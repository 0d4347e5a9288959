"""
Read models on PostgreSQL: batches of events in, rows changed and position moved in one transaction.

Each read model has a schema of its own, `rm_<name>`. A worker whose position is not the stored one is fenced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import astuple
from psycopg import Connection, Cursor, sql

from application.ports import Feed
from domain.envelope import Envelope
from domain.errors import Conflict
from domain.events import Event
from domain.ids import kind_of
from projections.model import ReadModel, Row, StreamRows, Table

#: Live batches; a catch-up over millions takes larger ones, because events of one stream then fold together.
BATCH_EVENTS = 5_000
CATCH_UP_EVENTS = 20_000
#: From this many rows on, COPY and one merge are quicker than arrays.
STAGED_FROM = 500
_LOOKERS = sql.SQL("backoffice_reader, backoffice_writer")


class Fenced(Conflict):
    """
    Another projector moved this read model meanwhile; this one stops and reads its position again.
    """


def schema_of(model: ReadModel) -> str:
    return f"rm_{model.name}"


def qualified(schema: str, table: Table) -> sql.Identifier:
    return sql.Identifier(schema, table.name)


class Projector:
    """
    Keeps one read model up to date. `connection` is not in autocommit; the projector owns its transactions.

    `batch_events` sets the size of a batch; without it, it goes by how far there is to go.
    """

    def __init__(
        self, *, connection: Connection[Any], feed: Feed, model: ReadModel, batch_events: int | None = None
    ) -> None:
        self._connection = connection
        self._batch_events = batch_events
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
        while self.position < target:
            usual = CATCH_UP_EVENTS if target - self.position > CATCH_UP_EVENTS else BATCH_EVENTS
            limit = self._batch_events or usual
            batch = self._feed.read(after=self.position, limit=limit, kinds=self._model.kinds)
            last = batch[-1].position if batch else 0
            self.apply(batch, reached=last if len(batch) == limit else max(target, last))
            read += len(batch)
            if moved is not None:
                moved(len(batch))
        return read

    def stored_position(self) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("SELECT position FROM projection_positions WHERE projection = %s", [self._model.name])
            found = cursor.fetchone()
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
    Fold the batch's events, stream by stream, into the rows that stand, and write what changed.
    """
    by_stream: dict[UUID, list[Envelope]] = {}
    for envelope in batch:
        by_stream.setdefault(envelope.stream, []).append(envelope)
    by_stream = {stream: envelopes for stream, envelopes in by_stream.items() if kind_of(stream) in model.kinds}
    if not by_stream:
        return
    rows = writer.rows_of(cursor, by_stream)
    evolve = model.evolve
    for stream, envelopes in by_stream.items():
        of_stream = rows.get(stream)
        if of_stream is None:
            of_stream = rows[stream] = StreamRows()
        for envelope in envelopes:
            evolve(of_stream, envelope)
    writer.write(cursor, rows)


class RowWriter:
    """
    Reads and writes the rows of a read model's tables, a batch of streams at a time.

    `staged` lets large batches go by COPY through a temporary table, which is quicker; the role must be allowed to.
    """

    def __init__(self, schema: str, tables: Sequence[Table], *, staged: bool = False) -> None:
        self._tables = tables
        self._stages = {table.name: _Stage(schema, table) for table in tables} if staged else {}
        self._select = {table.name: _select(schema, table) for table in tables}
        self._upsert = {table.name: _upsert(schema, table) for table in tables}
        self._delete = {table.name: _delete(schema, table) for table in tables}

    def rows_of(self, cursor: Cursor[Any], events: Mapping[UUID, Sequence[Envelope]]) -> dict[UUID, StreamRows]:
        """
        Return the rows that stand, of these streams, as far as their events are about them.
        """
        found: dict[UUID, StreamRows] = {}
        wanted = sorted(events)
        for table in self._tables:
            keys = [wanted] if table.looks_at is None else columns_of(_looked_at(table.looks_at, events, wanted))
            cursor.execute(self._select[table.name], keys or [[] for _ in table.key], binary=True)
            make, name, rest = table.row, table.name, [table.fields.index(column) for column in table.key[1:]]
            for values in cursor.fetchall():
                of_stream = found.get(values[0])
                if of_stream is None:
                    of_stream = found[values[0]] = StreamRows()
                of_stream.already(name, make(*values), *(values[index] for index in rest))
        return found

    def write(self, cursor: Cursor[Any], rows: Mapping[UUID, StreamRows]) -> None:
        puts: dict[str, list[Row]] = {table.name: [] for table in self._tables}
        drops: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in self._tables}
        for stream, of_stream in rows.items():
            for (name, key), row in of_stream.changed.items():
                if row is None:
                    drops[name].append((stream, *key))
                else:
                    puts[name].append(row)
        for table in self._tables:
            if drops[table.name]:
                cursor.execute(self._delete[table.name], columns_of(drops[table.name]))
            rows_put = puts[table.name]
            if table.name in self._stages and len(rows_put) >= STAGED_FROM:
                self._stages[table.name].write(cursor, rows_put)
            elif rows_put:
                cursor.execute(self._upsert[table.name], columns_of(map(astuple, rows_put)))


class _Stage:
    """
    A temporary table with the columns of a read model's table: filled by COPY, merged in one statement, then empty.
    """

    def __init__(self, schema: str, table: Table) -> None:
        stage = sql.Identifier(f"stage_{schema}_{table.name}")
        names = _names(table.fields)
        self._types = [types_of(table)[name] for name in table.fields]
        self._make = sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {} (" + table.columns + ") ON COMMIT DELETE ROWS"
        ).format(stage)
        self._fill = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(stage, names)
        self._merge = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} {}").format(
            qualified(schema, table), names, names, stage, _on_conflict(table)
        )

    def write(self, cursor: Cursor[Any], rows: Iterable[Row]) -> None:
        cursor.execute(self._make)
        with cursor.copy(self._fill) as copy:
            copy.set_types(self._types)
            for row in rows:
                copy.write_row(astuple(row))
        cursor.execute(self._merge)


def _looked_at(
    looks_at: Callable[[Event], Iterable[tuple[Any, ...]]],
    events: Mapping[UUID, Sequence[Envelope]],
    streams: Sequence[UUID],
) -> list[tuple[Any, ...]]:
    return [
        (stream, *key)
        for stream in streams
        for key in dict.fromkeys(key for envelope in events[stream] for key in looks_at(envelope.event))
    ]


def columns_of(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


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


def make_tables(cursor: Cursor[Any], schema: str, tables: Sequence[Table], *, indexed: bool) -> None:
    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), _LOOKERS))
    for table in tables:
        cursor.execute(
            sql.SQL("CREATE TABLE {} (" + table.columns + ") WITH (fillfactor = 50)").format(qualified(schema, table))
        )
        cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(qualified(schema, table), _LOOKERS))
        if indexed:
            add_indexes(cursor, schema, table)


def add_indexes(cursor: Cursor[Any], schema: str, table: Table) -> None:
    key = sql.SQL(", ").join(sql.Identifier(column) for column in table.key)
    cursor.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(qualified(schema, table), key))
    for index in table.indexes:
        cursor.execute(sql.SQL(index).format(table=qualified(schema, table)))


def types_of(table: Table) -> dict[str, str]:
    """
    Return the SQL type of each column, read from the column list itself.
    """
    words = [definition.split() for definition in table.columns.split(",")]
    return {word[0]: word[1] for word in words}


def _arrays(table: Table, names: Sequence[str]) -> sql.Composed:
    types = types_of(table)
    return sql.SQL(", ").join(sql.SQL("%b::" + types[name] + "[]") for name in names)


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _select(schema: str, table: Table) -> sql.Composed:
    place, names = qualified(schema, table), _names(table.fields)
    if table.looks_at is None:
        return sql.SQL("SELECT {} FROM {} WHERE stream = ANY(%b)").format(names, place)
    keys = _names(table.key)
    return sql.SQL("SELECT {} FROM unnest({}) AS wanted({}) JOIN {} USING ({})").format(
        names, _arrays(table, table.key), keys, place, keys
    )


def _upsert(schema: str, table: Table) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({}) {}").format(
        qualified(schema, table), _names(table.fields), _arrays(table, table.fields), _on_conflict(table)
    )


def _on_conflict(table: Table) -> sql.Composed:
    others = [name for name in table.fields if name not in table.key]
    action = sql.SQL("UPDATE SET {}").format(
        sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in others)
    )
    return sql.SQL("ON CONFLICT ({}) DO {}").format(_names(table.key), action if others else sql.SQL("NOTHING"))


def _delete(schema: str, table: Table) -> sql.Composed:
    return sql.SQL("DELETE FROM {} WHERE ({}) IN (SELECT * FROM unnest({}))").format(
        qualified(schema, table), _names(table.key), _arrays(table, table.key)
    )
