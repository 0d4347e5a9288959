"""
Wrapped member keys in the database: made in the transaction of the first sealed event, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import Cursor

from adapters.postgres.arrays import Uuids
from adapters.postgres.database import WRITER, Database
from domain.ids import MemberId

_WRAPPED_SQL: Final = """
SELECT wanted.place, held.wrapped
FROM unnest(%b::uuid[]) WITH ORDINALITY AS wanted(owner, place)
JOIN member_keys AS held ON held.owner = wanted.owner
"""
_ADD_SQL: Final = """
INSERT INTO member_keys (owner, wrapped) SELECT * FROM unnest(%b::uuid[], %b::bytea[]) ON CONFLICT DO NOTHING
"""


class TransactionKeys:
    """
    The key table as one transaction sees it.
    """

    def __init__(self, cursor: Cursor[Any]) -> None:
        self._cursor = cursor

    def wrapped(self, owners: Sequence[MemberId]) -> Mapping[MemberId, bytes | None]:
        self._cursor.execute(_WRAPPED_SQL, [Uuids(owners)], binary=True)
        return {owners[place - 1]: wrapped for place, wrapped in self._cursor.fetchall()}

    def add(self, keys: Mapping[MemberId, bytes]) -> None:
        self._cursor.execute(_ADD_SQL, [Uuids(keys), list(keys.values())])


class DatabaseKeys:
    """
    The key table for who has no transaction of their own: each call is one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def wrapped(self, owners: Sequence[MemberId]) -> Mapping[MemberId, bytes | None]:
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            return TransactionKeys(cursor).wrapped(owners)

    def add(self, keys: Mapping[MemberId, bytes]) -> None:
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            TransactionKeys(cursor).add(keys)
