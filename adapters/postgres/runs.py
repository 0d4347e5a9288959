"""
The tables of runs on PostgreSQL: items by COPY, chunks claimed by row locks, approvals with their constraints.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final, cast

from psycopg import Connection, Cursor, Error
from psycopg.rows import class_row, tuple_row

from adapters.postgres import runs_statements as sql
from adapters.postgres.arrays import Uuids
from adapters.postgres.database import READER, WRITER, Database
from adapters.postgres.recorder import COPY_HEADER, COPY_TRAILER
from adapters.postgres.unit import PostgresUnit
from application.ports import Unit
from application.runs.ports import (
    Chunk,
    ConnectionGone,
    Difference,
    Item,
    NotSelected,
    Outcome,
    OutcomeRow,
    Reason,
    Registered,
    RunKey,
    Totals,
)
from domain.events import Event
from domain.ids import StreamId
from formats.stored import StoredEvents

#: Rows fetched at once when a whole run is read again, such as to take its hash.
PAGE_ROWS: Final = 5_000
#: So many payment numbers a plan sets aside: more than a fund of this country has members. Of the 10,000,000,000 there
#: are, a block is lost only when somebody takes a number while a plan is made.
OGM_BLOCK: Final = 5_000_000
# Rows as COPY reads them: each field after its length; the text of the decision stands between head and tail.
_ITEM_HEAD: Final = struct.Struct("!hi16siii16siiiiiqi")
_ITEM_TAIL: Final = struct.Struct("!i32s")
_PASSED_OVER: Final = struct.Struct("!hi16si16sii")


class PostgresRunBook:
    """
    Keeps `application.runs.ports.RunBook`. The statements that write run in the unit's own transaction.

    `stored` knows under which name the event table has an event's type.
    """

    def __init__(self, database: Database, *, stored: StoredEvents) -> None:
        self._database = database
        self._stored = stored

    # --- Planning ----------------------------------------------------------------------------------------------------

    def exclusively(self, unit: Unit, job: str) -> None:
        _cursor(unit).execute(sql.PLAN_LOCK, [f"plan {job}"])

    def set_ogms_aside(self, job: str) -> int:
        with self._database.session(WRITER) as session:
            found = session.execute(sql.OGM_BLOCK, [job]).fetchone()
            if found is None:
                found = _one(session.execute(sql.SET_OGMS_ASIDE, {"job": job, "count": OGM_BLOCK}))
        return int(found[0])

    def take_ogms(self, unit: Unit, run: Registered) -> None:
        cursor, after = _cursor(unit), run.first_ogm + run.items
        (block_ends,) = _one(cursor.execute(sql.END_OGM_BLOCK, [run.key.job, run.first_ogm, run.items]))
        cursor.execute(sql.GIVE_OGMS_BACK, [after, block_ends])
        if run.items:
            cursor.execute(sql.ADD_OGM_RANGE, [run.first_ogm, run.items, run.run])

    def register(self, unit: Unit, run: Registered) -> None:
        key = run.key
        _cursor(unit).execute(
            sql.REGISTER,
            [run.run, key.job, key.business_date, key.round, run.planned_by, run.digest, run.needs_approval,
             run.items, run.first_ogm, run.follows],
        )  # fmt: skip

    def item_rows(self, run: StreamId, items: Sequence[Item]) -> bytes:
        head, tail, of_run = _ITEM_HEAD.pack, _ITEM_TAIL.pack, run.bytes
        pieces = [COPY_HEADER]
        for ordinal, stream, version, member_version, amount, decision, digest in items:
            facts = (4, ordinal, 16, stream.bytes, 4, version, 4, member_version, 8, amount, len(decision))
            pieces += (head(8, 16, of_run, *facts), decision, tail(32, digest))
        return b"".join((*pieces, COPY_TRAILER))

    def passed_over_rows(self, run: StreamId, streams: Sequence[NotSelected]) -> bytes:
        row, of_run = _PASSED_OVER.pack, run.bytes
        rows = [row(3, 16, of_run, 16, stream.bytes, 4, reason_no) for stream, reason_no in streams]
        return b"".join((COPY_HEADER, *rows, COPY_TRAILER))

    def add_items(self, unit: Unit, rows: bytes) -> None:
        with _cursor(unit).copy(sql.COPY_ITEMS) as copy:
            copy.write(rows)

    def add_passed_over(self, unit: Unit, rows: bytes) -> None:
        with _cursor(unit).copy(sql.COPY_PASSED_OVER) as copy:
            copy.write(rows)

    def add_reasons(self, unit: Unit, run: StreamId, reasons: Sequence[Reason]) -> None:
        rows = [(run, one.reason_no, one.reason, one.basis.decode(), one.times) for one in reasons]
        _cursor(unit).executemany(sql.ADD_REASON, rows)

    def approve(self, unit: Unit, run: StreamId, *, digest: str, planned_by: str, approved_by: str) -> None:
        _cursor(unit).execute(sql.APPROVE, [run, digest, planned_by, approved_by])

    # --- Execution ---------------------------------------------------------------------------------------------------

    def add_chunks(self, unit: Unit, run: StreamId, chunks: Sequence[Chunk]) -> None:
        with _cursor(unit).copy(sql.COPY_CHUNKS) as copy:
            copy.set_types(("uuid", "int4", "int4", "int4"))
            for chunk in chunks:
                copy.write_row((run, *chunk))

    def open_chunk(self, run: StreamId) -> int | None:
        with self._database.session(WRITER) as connection:
            row = connection.execute(sql.OPEN_CHUNK, [run]).fetchone()
        return None if row is None else int(row[0])

    def claim(self, unit: Unit, run: StreamId, chunk: int, *, worker: str, seconds: int) -> Chunk | None:
        cursor = _cursor(unit)
        cursor.execute(sql.LEASE, {"lease": f"{seconds}s"})
        row = cursor.execute(sql.CLAIM, [run, chunk]).fetchone()
        return None if row is None else Chunk(*row)

    def chunk_items(self, unit: Unit, run: StreamId, chunk: Chunk) -> Sequence[Item]:
        with unit_connection(unit).cursor(binary=True, row_factory=tuple_row) as cursor:
            return _items(cursor.execute(sql.CHUNK_ITEMS, [run, chunk.first, chunk.last]))

    def versions(self, unit: Unit, streams: Sequence[StreamId]) -> Sequence[int]:
        with unit_connection(unit).cursor(binary=True, row_factory=tuple_row) as cursor:
            return [row[0] for row in cursor.execute(sql.VERSIONS, [Uuids(streams)])]

    @contextmanager
    def savepoint(self, unit: Unit) -> Iterator[None]:
        writer = cast(PostgresUnit, unit)
        connection = writer.cursor.connection
        try:
            with writer.savepoint():
                yield
        except Error as error:
            if connection.closed:
                raise ConnectionGone from error
            raise

    def finish_chunk(
        self, unit: Unit, run: StreamId, chunk: Chunk, totals: Totals, outcomes: Sequence[OutcomeRow], *, worker: str
    ) -> None:
        cursor = _cursor(unit)
        if outcomes:
            cursor.executemany(sql.ADD_OUTCOME, [(run, *outcome) for outcome in outcomes])
        cursor.execute(
            sql.FINISH_CHUNK,
            [worker, totals.done, totals.refused, totals.parked, totals.events, totals.amount_cents, run, chunk.number],
        )
        if cursor.rowcount != 1:
            raise RuntimeError("a chunk was finished twice")

    # --- Reading -----------------------------------------------------------------------------------------------------

    def last(self, job: str) -> Registered | None:
        return next(iter(self._registered(sql.LAST_OF_JOB, [job])), None)

    def of_date(self, job: str, business_date: date) -> Sequence[Registered]:
        return self._registered(sql.OF_DATE, [job, business_date])

    def between(self, first: date, last: date) -> Sequence[Registered]:
        return self._registered(sql.BETWEEN, [first, last])

    def registered(self, run: StreamId) -> Registered | None:
        return next(iter(self._registered(sql.BY_ID, [run])), None)

    def before(self, run: StreamId) -> Registered | None:
        return next(iter(self._registered(sql.BEFORE, {"run": run})), None)

    def totals(self, run: StreamId) -> Totals:
        with self._database.session(READER) as connection, connection.cursor(row_factory=class_row(Totals)) as cursor:
            found = cursor.execute(sql.TOTALS, [run]).fetchone()
        return found or Totals()

    def all_items(self, run: StreamId) -> Iterator[Sequence[Item]]:
        after = 0
        while page := self.items(run, after=after, limit=PAGE_ROWS):
            yield page
            after = page[-1].ordinal

    def item_digests(self, run: StreamId) -> Iterator[bytes]:
        after = 0
        while (page := self._page(sql.ITEM_DIGESTS, [run, after, PAGE_ROWS]))[0] is not None:
            after, digests = page
            yield digests

    def passed_over_facts(self, run: StreamId) -> Iterator[bytes]:
        after: StreamId | None = None
        while True:
            last, facts = self._page(sql.PASSED_OVER_FACTS, {"run": run, "after": after, "limit": PAGE_ROWS})
            if last is None:
                return
            yield facts
            after = last

    def _page(self, statement: Any, parameters: Sequence[Any] | Mapping[str, Any]) -> tuple[Any, ...]:
        with (
            self._database.session(READER) as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            return _one(cursor.execute(statement, parameters))

    def items(self, run: StreamId, *, after: int, limit: int, stream: StreamId | None = None) -> Sequence[Item]:
        with (
            self._database.session(READER) as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            if stream is None:
                return _items(cursor.execute(sql.ITEMS, [run, after, limit]))
            return _items(cursor.execute(sql.ITEMS_OF, [run, stream]))

    def largest(self, run: StreamId, *, limit: int) -> Sequence[Item]:
        with (
            self._database.session(READER) as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            return _items(cursor.execute(sql.LARGEST, [run, limit]))

    def passed_over(
        self, run: StreamId, *, after: StreamId | None, limit: int, stream: StreamId | None = None
    ) -> Sequence[NotSelected]:
        with self._database.session(READER) as connection:
            if stream is None:
                rows = connection.execute(sql.PASSED_OVER, {"run": run, "after": after, "limit": limit})
            else:
                rows = connection.execute(sql.PASSED_OVER_OF, [run, stream])
            return [NotSelected(*row) for row in rows]

    def reasons(self, run: StreamId) -> Sequence[Reason]:
        with self._database.session(READER) as connection:
            rows = connection.execute(sql.REASONS, [run])
            return [Reason(number, reason, basis.encode(), count) for number, reason, basis, count in rows]

    def outcomes(self, run: StreamId, *, after: int, limit: int) -> Sequence[OutcomeRow]:
        with self._database.session(READER) as connection:
            parameters = {"run": run, "after": after, "limit": limit}
            return [OutcomeRow(*row) for row in connection.execute(sql.OUTCOMES, parameters)]

    def outcomes_of(self, run: StreamId, ordinals: Sequence[int]) -> Sequence[OutcomeRow]:
        with self._database.session(READER) as connection:
            return [OutcomeRow(*row) for row in connection.execute(sql.OUTCOMES_OF, [run, list(ordinals)])]

    def outcome_reasons(self, run: StreamId) -> Mapping[tuple[Outcome, str], int]:
        with self._database.session(READER) as connection:
            rows = connection.execute(sql.OUTCOME_REASONS, [run])
            return {(outcome, reason): count for outcome, reason, count in rows}

    def to_follow_up(self, run: StreamId, *, after: StreamId | None, limit: int) -> Sequence[StreamId]:
        with self._database.session(READER) as connection:
            rows = connection.execute(sql.TO_FOLLOW_UP, {"run": run, "after": after, "limit": limit})
            return [row[0] for row in rows]

    def not_done_cents(self, run: StreamId) -> int:
        with self._database.session(READER) as connection:
            return int(_one(connection.execute(sql.NOT_DONE_CENTS, [run]))[0])

    def difference(self, run: StreamId, previous: Registered) -> Difference:
        with self._database.session(READER) as connection:
            row = _one(connection.execute(sql.DIFFERENCE, {"run": run, "previous": previous.run}))
        items, cents, new, gone, other = row
        return Difference(
            previous=previous.key, previous_items=items, previous_cents=cents, new=new, gone=gone, other_amount=other
        )

    def written(self, run: StreamId, counted: Mapping[type[Event], str]) -> tuple[int, int]:
        types = self._stored.by_event
        fields = {types[event].name.partition("/")[0]: field for event, field in counted.items()}
        with self._database.session(READER) as connection:
            parameters = {"run": run, "types": list(fields), "fields": list(fields.values())}
            events, cents = _one(connection.execute(sql.WRITTEN, parameters))
        return int(events), int(cents)

    def _registered(self, statement: Any, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Registered]:
        with self._database.session(READER) as connection:
            return [_register_row(row) for row in connection.execute(statement, parameters)]


@contextmanager
def one_alarm(database: Database) -> Iterator[bool]:
    """
    Yield whether this process is the one alarm clock for as long as the block lasts; nobody waits for another.

    Raises Unavailable, also for what the block meets when the database goes away.
    """
    with database.answering(), database.connect(WRITER, autocommit=True) as connection:
        mine = bool(_one(connection.execute(sql.TRY_ALARM))[0])
        try:
            yield mine
        finally:
            if mine and not connection.closed:
                connection.execute(sql.STOP_ALARM)


def unit_connection(unit: Unit) -> Connection[Any]:
    """
    Return the connection that a PostgreSQL unit of work writes on.
    """
    return _cursor(unit).connection


def _cursor(unit: Unit) -> Cursor[Any]:
    return cast(PostgresUnit, unit).cursor


def _items(rows: Cursor[Any]) -> Sequence[Item]:
    return [
        Item(ordinal, stream, version, member_version, amount, decision.encode(), digest)
        for ordinal, stream, version, member_version, amount, decision, digest in rows.fetchall()
    ]


def _register_row(row: tuple[Any, ...]) -> Registered:
    run, job, business_date, number, planned_by, digest, needs_approval, items, first_ogm, follows = row
    return Registered(
        run=run,
        key=RunKey(job=job, business_date=business_date, round=number),
        planned_by=planned_by,
        digest=digest,
        needs_approval=needs_approval,
        items=items,
        first_ogm=first_ogm,
        follows=follows,
    )


def _one(rows: Cursor[Any]) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = rows.fetchone()
    if row is None:
        raise RuntimeError("a statement that always gives a row gave none")
    return row
