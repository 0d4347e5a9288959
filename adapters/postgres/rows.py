"""
The rows of a read model's tables on PostgreSQL: made, looked up by a batch of streams, and written.

Each read model has a schema of its own, `rm_<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import astuple
from psycopg import Cursor, sql

from adapters.postgres.arrays import column_of, copy_rows, types_of
from domain.envelope import Envelope
from projections.model import ReadModel, Row, StreamRows, Table

#: From this many rows on, COPY and one merge are quicker than arrays.
STAGED_FROM = 500
_LOOKERS = sql.SQL("backoffice_reader, backoffice_writer")


def schema_of(model: ReadModel) -> str:
    return f"rm_{model.name}"


def qualified(schema: str, table: Table[Any]) -> sql.Identifier:
    return sql.Identifier(schema, table.name)


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
