"""
The event store on PostgreSQL: the port `application.ports.EventStore`, for online decisions and for bulk jobs alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import errors

from adapters.postgres import heads
from adapters.postgres.application import StoreApplication, refuse_database_functions
from adapters.postgres.database import OWNER, WRITER, Database
from adapters.postgres.feed import StoreFeed
from adapters.postgres.keys import DatabaseKeys
from adapters.postgres.recorder import take_append_lock
from adapters.postgres.unit import PostgresUnit
from adapters.sealing import Ciphers, MasterKey, NoMasterKey
from application.ports import Answer, Loaded, WrittenMeanwhile
from domain.catalogue import Aggregate
from domain.envelope import Commit, Envelope
from domain.ids import MemberId, StreamId
from formats.stored import StoredEvents, Upcast

_PAGE: Final = 1_000
_OURS: Final = ("events", "answers", "heads", "commits")
_ANSWERS_SQL: Final = "SELECT command_id, digest, outcome, detail::text FROM answers WHERE command_id = ANY(%b::uuid[])"
_ERASE_SQL: Final = """
INSERT INTO member_keys (owner, erased_at) VALUES (%s, clock_timestamp())
ON CONFLICT (owner) DO UPDATE SET wrapped = NULL, erased_at = clock_timestamp() WHERE member_keys.wrapped IS NOT NULL
"""


class PostgresStore:
    """
    `aggregates` is all that may be stored; `master` opens and seals personal fields (without it they read `[erased]`,
    and nothing personal can be recorded). `checked=False` skips reading back what was encoded, for measuring only.
    """

    def __init__(
        self,
        database: Database,
        *,
        aggregates: Sequence[Aggregate[Any, Any]],
        master: MasterKey | None,
        upcasts: Mapping[str, Upcast] | None = None,
        checked: bool = True,
    ) -> None:
        refuse_database_functions()
        self._database = database
        self._master = master
        self._checked = checked
        self.stored = StoredEvents(aggregates, upcasts)
        self._library: StoreApplication | None = None

    @property
    def library(self) -> StoreApplication:
        """
        Return the same store as an application of the library: repository, event store, notification log.
        """
        if self._library is None:
            self._library = StoreApplication(
                self._database,
                stored=self.stored,
                ciphers=lambda: Ciphers(self._master, DatabaseKeys(self._database)),
            )
        return self._library

    def close(self) -> None:
        """
        Let go of the library's sessions; the database belongs to who opened it.
        """
        if self._library is not None:
            self._library.close()
            self._library = None

    def __enter__(self) -> PostgresStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, commit: Commit, *, lock_first: bool = False) -> Iterator[PostgresUnit]:
        """
        Open one transaction; the end of the block commits, an error rolls all of it back.

        With `lock_first` nobody else appends from the start on, for imports that decide on what they just looked up.
        Raises WrittenMeanwhile (decide again), `recorder.StoreBusy` after 10 seconds of waiting, or Unavailable.
        """
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            unit = PostgresUnit(cursor, commit=commit, stored=self.stored, master=self._master, checked=self._checked)
            try:
                if lock_first:
                    unit.lock()
                yield unit
                unit.finish()
            except (errors.DeadlockDetected, errors.SerializationFailure):
                raise WrittenMeanwhile from None
            except errors.UniqueViolation as error:
                if error.diag.table_name in _OURS:
                    raise WrittenMeanwhile from None
                raise

    def answers(self, command_ids: Sequence[UUID]) -> Mapping[UUID, Answer]:
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            cursor.execute(_ANSWERS_SQL, [list(command_ids)], binary=True)
            return {
                row[0]: Answer(command_id=row[0], digest=row[1], outcome=row[2], detail=msgspec.json.decode(row[3]))
                for row in cursor.fetchall()
            }

    def erase(self, owner: MemberId) -> None:
        """
        Destroy a member's key, for good: their sealed fields read `[erased]`, and no new key is ever made.

        The right to do so, and who must agree, is the caller's; copies in read models go with their rebuild.
        """
        with self._database.session(OWNER) as session:
            session.execute(_ERASE_SQL, [owner])

    def blind(self, kind: str, text: str) -> bytes:
        """
        Return the keyed digest by which a value may be looked up without being stored. Raises NoMasterKey.
        """
        if self._master is None:
            raise NoMasterKey
        return self._master.blind(kind, text)

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def feed(self) -> StoreFeed:
        return StoreFeed(self._database, stored=self.stored, master=self._master)

    def history(self, stream: StreamId) -> Sequence[Envelope]:
        return self.feed.of_streams([stream])

    def load(self, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]) -> Mapping[StreamId, Loaded[Any]]:
        """
        Return states for looking only, without a transaction to decide in.
        """
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            return heads.load(cursor, self.stored, aggregate, streams)

    def streams(self, aggregate: Aggregate[Any, Any], *, after: StreamId | None, limit: int) -> Sequence[StreamId]:
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            return heads.streams_after(cursor, aggregate, after, limit)

    # --- heads -------------------------------------------------------------------------------------------------------

    def rebuild_heads(self, aggregate: Aggregate[Any, Any]) -> int:
        """
        Make all head rows of an aggregate again, a page at a time while others work; return how many.
        """
        count = 0
        for page in heads.pages(lambda after: self.streams(aggregate, after=after, limit=_PAGE)):
            with self._database.session(WRITER) as session, session.cursor() as cursor:
                take_append_lock(cursor)
                heads.rebuild_page(cursor, self.stored, aggregate, page)
            count += len(page)
        return count

    def heads_unlike_replay(self, aggregate: Aggregate[Any, Any]) -> Sequence[StreamId]:
        """
        Return the streams whose head row is not what replay gives; none, unless something is wrong.
        """
        unlike: list[StreamId] = []
        for page in heads.pages(lambda after: self.streams(aggregate, after=after, limit=_PAGE)):
            with self._database.session(WRITER) as session, session.cursor() as cursor:
                take_append_lock(cursor)
                unlike += heads.unlike_replay(cursor, self.stored, aggregate, page)
        return unlike

    def heads_of_unlike_replay(self, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]) -> Sequence[StreamId]:
        """
        Return which of these streams have a head row that is not what replay gives.
        """
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            take_append_lock(cursor)
            return heads.unlike_replay(cursor, self.stored, aggregate, streams)

    def heads_equal_replay(self, aggregate: Aggregate[Any, Any]) -> bool:
        return not self.heads_unlike_replay(aggregate)
