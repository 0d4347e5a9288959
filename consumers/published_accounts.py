"""
The premium account built from what is published: fed by Kafka, in a schema of its own, equal to the store's by hash.

It shows that a subscriber can have everything that is promised. The store's read model stays the one that is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Cursor, sql

from adapters.kafka.translation import SOURCE
from adapters.postgres import consumer_positions as places
from adapters.postgres import dead_letters
from adapters.postgres.consumer_positions import Record
from adapters.postgres.database import OWNER, READER, Database
from adapters.postgres.dead_letters import InTheClear, Keeper
from adapters.postgres.projector import fold_into
from adapters.postgres.rows import RowWriter, make_tables, qualified, schema_of
from consumers.batch import Chain
from formats.avro import NotOurMessage, Received, check_placed, read_message
from formats.published_back import to_ledger_facts
from projections.model import Row, Table
from projections.premium_account import AFFILIATION, PremiumAccount
from projections.published_premium_account import PublishedPremiumAccount, digest_of

TOPIC: Final = "backoffice.zorgkas-affiliation.v1"
_STREAMS_AT_ONCE: Final = 5_000
_MODEL: Final = PublishedPremiumAccount()
_WRITER: Final = sql.Identifier("backoffice_writer")


class PremiumAccounts:
    """
    The effect of the consumer `premium-accounts`. `stands_for` is the topic of the contract that its messages are of.
    """

    name = "premium-accounts"

    def __init__(self, *, source: str = SOURCE, stands_for: str = TOPIC) -> None:
        self._source = source
        self._stands_for = stands_for
        self._rows = RowWriter(schema_of(_MODEL), _MODEL.tables)
        self.keeper: Keeper = InTheClear()

    def read(self, record: Record, *, latest_ms: int) -> Received:
        received = read_message(record.value, record.headers, topic=self._stands_for)
        check_placed(received, key=record.key, timestamp_ms=record.timestamp_ms, latest_ms=latest_ms)
        if received.event is None or received.event.source != self._source:
            raise NotOurMessage("ENVELOPE", "it comes from another source", record=received.record_name)
        return received

    def chain_of(self, message: Received) -> Chain | None:
        event = message.event
        return None if event is None else Chain(event.sequence, event.previous_sequence, event.epoch)

    def apply(self, cursor: Cursor[Any], messages: Sequence[tuple[Record, Received]]) -> None:
        facts = [fact for _, message in messages if (fact := to_ledger_facts(message)) is not None]
        fold_into(cursor, _MODEL, self._rows, facts)


def prepare(database: Database) -> None:
    """
    Make the schema and its tables, empty, unless they are there.
    """
    schema = schema_of(_MODEL)
    with database.session(OWNER) as session, session.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"projection:{_MODEL.name}"])
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema])
        if cursor.fetchone() is None:
            make_tables(cursor, schema, _MODEL.tables, indexed=True)
            for table in _MODEL.tables:
                grant = sql.SQL("GRANT INSERT, UPDATE, DELETE ON {} TO {}").format(qualified(schema, table), _WRITER)
                cursor.execute(grant)


def begin_afresh(database: Database) -> None:
    """
    Empty the read model and forget where its consumer stood: it is built again from the start of the topic.

    Its letters that wait are given up with it: what they hold comes again.
    """
    prepare(database)
    with database.session(OWNER) as session, session.cursor() as cursor:
        cursor.execute("SELECT 1 FROM consumer_offsets WHERE consumer = %s FOR UPDATE", [PremiumAccounts.name])
        for table in _MODEL.tables:
            cursor.execute(sql.SQL("DELETE FROM {}").format(qualified(schema_of(_MODEL), table)))
        dead_letters.begin_afresh(cursor, PremiumAccounts.name)
        places.forget(cursor, PremiumAccounts.name)


# --- The same as the store's? -----------------------------------------------------------------------------------------


class Compared(NamedTuple):
    """
    Both read models: how many affiliations, and the SHA-256 over their rows. `unlike` names streams that differ, at
    most twenty.
    """

    store_affiliations: int
    kafka_affiliations: int
    store_sha256: str
    kafka_sha256: str
    unlike: Sequence[UUID]

    @property
    def equal(self) -> bool:
        return self.store_sha256 == self.kafka_sha256


def compare(database: Database) -> Compared:
    """
    Compare the two read models as they stand, in one look at the database and in constant memory.
    """
    store, kafka = hashlib.sha256(), hashlib.sha256()
    ours_seen, theirs_seen = 0, 0
    unlike: list[UUID] = []
    with database.session(READER) as session, session.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for low, high in _ranges(cursor):
            ours = _rows(cursor, schema_of(PremiumAccount()), low, high)
            theirs = _rows(cursor, schema_of(_MODEL), low, high)
            ours_seen += len(ours[AFFILIATION.name])
            theirs_seen += len(theirs[AFFILIATION.name])
            one, other = digest_of(ours), digest_of(theirs)
            store.update(one.encode())
            kafka.update(other.encode())
            if one != other and len(unlike) < 20:
                unlike += _unlike(ours, theirs)[: 20 - len(unlike)]
    return Compared(ours_seen, theirs_seen, store.hexdigest(), kafka.hexdigest(), unlike)


def _ranges(cursor: Cursor[Any]) -> Iterator[tuple[UUID, UUID]]:
    """
    Yield ranges of stream ids, both ends in them, that hold all rows of both read models.
    """
    low = UUID(int=0)
    last = UUID(int=2**128 - 1)
    own = sql.Identifier(schema_of(PremiumAccount()), AFFILIATION.name)
    query = sql.SQL("SELECT stream FROM {} WHERE stream >= %s ORDER BY stream OFFSET %s LIMIT 1").format(own)
    while True:
        cursor.execute(query, [low, _STREAMS_AT_ONCE])
        found = cursor.fetchone()
        yield low, found[0] if found else last
        if found is None:
            return
        low = UUID(int=found[0].int + 1)


def _rows(cursor: Cursor[Any], schema: str, low: UUID, high: UUID) -> dict[str, list[Row]]:
    return {table.name: _rows_of(cursor, schema, table, low, high) for table in _MODEL.tables}


def _rows_of(cursor: Cursor[Any], schema: str, table: Table[Any], low: UUID, high: UUID) -> list[Row]:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.fields))
    query = sql.SQL("SELECT {} FROM {} WHERE stream BETWEEN %s AND %s").format(columns, qualified(schema, table))
    cursor.execute(query, [low, high], binary=True)
    return [table.row(*values) for values in cursor.fetchall()]


def _unlike(ours: dict[str, list[Row]], theirs: dict[str, list[Row]]) -> list[UUID]:
    one, other = _by_stream(ours), _by_stream(theirs)
    return [stream for stream in sorted(one.keys() | other.keys()) if one.get(stream) != other.get(stream)]


def _by_stream(rows: dict[str, list[Row]]) -> dict[UUID, str]:
    of: dict[UUID, dict[str, list[Row]]] = {}
    for table, found in rows.items():
        for row in found:
            of.setdefault(row.stream, {}).setdefault(table, []).append(row)  # type: ignore[attr-defined]  # in each row
    return {stream: digest_of(each) for stream, each in of.items()}
