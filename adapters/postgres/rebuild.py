"""
Building a read model again, beside the one that is in use: fill, compare, swap. Nobody waits, and nothing is sent.

Streams are read in id order, whole, and folded from nothing by the same `evolve` as live; COPY writes the rows, indexes
come after. What was recorded meanwhile is then followed from the feed, and one transaction swaps the schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain
from typing import Any

from psycopg import Connection, sql

from adapters.postgres.arrays import copy_rows
from adapters.postgres.database import OWNER, Database
from adapters.postgres.differences import Difference, difference
from adapters.postgres.feed import StoreFeed
from adapters.postgres.projector import BATCH_EVENTS, fold_into
from adapters.postgres.rows import RowWriter, add_indexes, make_tables, qualified, schema_of
from domain.ids import Kind, StreamId
from projections.model import ReadModel, Row, StreamRows, Table

#: Does pages of streams up to a position, and gives for each how many streams and events it had.
Fill = Callable[[Iterator[Sequence[StreamId]], int], Generator[tuple[int, int]]]


class Rebuild:
    """
    Builds one read model again. Use: `build`, `differences`, `swap` (or `drop`).
    """

    def __init__(self, database: Database, *, feed: StoreFeed, model: ReadModel) -> None:
        self._database = database
        self._feed = feed
        self._model = model
        self._live = schema_of(model)
        self._next = f"{self._live}_next"
        self.position = 0

    def build(
        self,
        *,
        streams: Callable[[Kind], Iterator[Sequence[StreamId]]],
        moved: Callable[[int], None],
        fill: Fill | None = None,
    ) -> int:
        """
        Fill a new schema from all streams; return how many events were folded.

        `fill` does the pages in other processes (`adapters.rebuild_workers`); without it they are done here.
        """
        self.position = self._feed.high_water()
        events = 0
        with self._database.connect(OWNER) as connection:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self._next)))
                make_tables(cursor, self._next, self._model.tables, indexed=False)
            pages = chain.from_iterable(streams(kind) for kind in sorted(self._model.kinds))
            with closing((fill or self._fill_here)(pages, self.position)) as filled:
                for count, folded in filled:
                    events += folded
                    moved(count)
            with connection.transaction(), connection.cursor() as cursor:
                for table in self._model.tables:
                    add_indexes(cursor, self._next, table)
                    cursor.execute(sql.SQL("ANALYZE {}").format(qualified(self._next, table)))
            self._follow(connection)
        return events

    def _fill_here(self, pages: Iterator[Sequence[StreamId]], position: int) -> Generator[tuple[int, int]]:
        with self.filling(position) as fill:
            for page in pages:
                yield len(page), fill(page)

    @contextmanager
    def filling(self, position: int) -> Iterator[Callable[[Sequence[StreamId]], int]]:
        """
        Give what folds a page of streams up to a position and copies its rows in; it returns how many events it folded.
        """
        self.position = position
        with self._database.connect(OWNER) as connection:
            yield partial(self._fill, connection)

    def _fill(self, connection: Connection[Any], page: Sequence[StreamId]) -> int:
        rows: dict[Table[Any], list[Row]] = {table: [] for table in self._model.tables}
        events = 0
        evolve = self._model.evolve
        for envelopes in self._feed.by_stream(page):
            known = envelopes
            if known[-1].position > self.position:
                known = [each for each in envelopes if each.position <= self.position]
            of_stream = StreamRows(envelopes[0].stream)
            for envelope in known:
                evolve(of_stream, envelope)
            events += len(known)
            for (table, _), row in of_stream.changed.items():
                rows[table].append(row)
        with connection.transaction(), connection.cursor() as cursor:
            for table in self._model.tables:
                copy_rows(cursor, table, qualified(self._next, table), rows[table])
        return events

    def _follow(self, connection: Connection[Any]) -> None:
        writer = RowWriter(self._next, self._model.tables)
        reached = self._feed.high_water()
        while batch := self._feed.read(after=self.position, limit=BATCH_EVENTS, kinds=self._model.kinds):
            with connection.transaction(), connection.cursor() as cursor:
                fold_into(cursor, self._model, writer, batch)
            self.position = batch[-1].position
        self.position = max(self.position, reached)

    def differences(self) -> list[Difference]:
        """
        Compare table by table with the one in use, once both stand at the same position. Nothing in use: nothing
        differs.
        """
        with self._database.connect(OWNER) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [self._live])
            if not (cursor.fetchone() or (False,))[0]:
                return []
            return [difference(cursor, table, live=self._live, rebuilt=self._next) for table in self._model.tables]

    def swap(self) -> None:
        """
        Put the new one in the place of the old one and move the position with it, in one transaction.

        The projector that stood on the old position is fenced and reads its position again.
        """
        with self._database.connect(OWNER) as connection, connection.transaction(), connection.cursor() as cursor:
            lock = "SELECT position FROM projection_positions WHERE projection = %s FOR UPDATE"
            cursor.execute(lock, [self._model.name])
            writer = RowWriter(self._next, self._model.tables)
            while batch := self._feed.read(after=self.position, limit=BATCH_EVENTS):
                fold_into(cursor, self._model, writer, batch)
                self.position = batch[-1].position
            cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self._live)))
            cursor.execute(
                sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(self._next), sql.Identifier(self._live))
            )
            cursor.execute(
                "INSERT INTO projection_positions (projection, version, position) VALUES (%s, %s, %s) "
                "ON CONFLICT (projection) DO UPDATE SET version = EXCLUDED.version, position = EXCLUDED.position, "
                "moved_at = clock_timestamp()",
                [self._model.name, self._model.version, self.position],
            )

    def drop(self) -> None:
        with self._database.connect(OWNER) as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self._next)))
