"""
Bank files that wait for an earlier statement: kept in the transaction that noted them, sealed with their account's key.
"""

from __future__ import annotations

from typing import cast

from adapters.postgres.database import WRITER, Database
from adapters.postgres.keys import TransactionKeys
from adapters.postgres.unit import PostgresUnit
from adapters.sealing import Ciphers, MasterKey
from application.ports import Unit
from domain.ids import StreamId, owner_of


class PostgresWaitingFiles:
    """
    The port `application.money_in.WaitingFiles`. A file goes in the transaction in which nothing of it waits any more.
    """

    def __init__(self, database: Database, master: MasterKey) -> None:
        self._database = database
        self._master = master

    def keep(self, unit: Unit, *, account: StreamId, digest: str, content: bytes) -> None:
        cursor = cast(PostgresUnit, unit).cursor
        ciphers = Ciphers(self._master, TransactionKeys(cursor))
        owner = owner_of(account)
        ciphers.fetch_or_make([owner])
        cursor.execute(
            "INSERT INTO waiting_files (digest, account, sealed) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [digest, account, ciphers.seal(owner, _place(digest), content)],
        )

    def forget(self, unit: Unit, *, digest_start: str) -> None:
        cast(PostgresUnit, unit).cursor.execute(
            "DELETE FROM waiting_files WHERE starts_with(digest, %s)", [digest_start]
        )

    def content(self, digest_start: str) -> bytes | None:
        with self._database.session(WRITER) as session, session.cursor() as cursor:
            cursor.execute(
                "SELECT digest, account, sealed FROM waiting_files WHERE starts_with(digest, %s)", [digest_start]
            )
            found = cursor.fetchone()
            if found is None:
                return None
            digest, account, box = found
            ciphers = Ciphers(self._master, TransactionKeys(cursor))
            ciphers.fetch([owner_of(account)])
            return ciphers.open(owner_of(account), _place(digest), bytes(box))


def _place(digest: str) -> bytes:
    return b"waiting file " + digest.encode()
