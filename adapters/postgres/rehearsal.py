"""
A database on which everything happens and nothing stays, for dry runs: the same code, the same checks, the same report.

All sessions that are asked for are one real session in one transaction. What would be a transaction of its own is a
savepoint in it, so a later step sees what an earlier one did, a refusal undoes its own step, and the end undoes all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import psycopg
from psycopg import sql

from adapters.postgres.database import WRITER, Connection, Database, Role


class Rehearsal(Database):
    """
    Stands in for `database` until the block ends. Who records meanwhile waits: the append lock is held to the end.

    For one thread. What the server counts outside transactions (sequences) keeps its holes, as after any rollback.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, application="backoffice-rehearsal")
        self._role: Role | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._only = stack.enter_context(super().connect(None))
            stack.enter_context(self._only.transaction(force_rollback=True))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.close()

    @contextmanager
    def session(self, role: Role = WRITER) -> Iterator[Connection]:
        """
        Lend the one session, as that role; the end of the block keeps what was done until the rehearsal is over.
        """
        try:
            with self._part(role):
                yield self._only
        except psycopg.OperationalError as error:
            raise self.unavailable(error) from None

    @contextmanager
    def connect(self, role: Role | None = WRITER, **_: Any) -> Iterator[Connection]:  # type: ignore[override]  # lent
        """
        Lend the one session to who would open one of their own; they do not close it, and use `transaction()`.
        """
        with self._part(role):
            yield self._only

    @contextmanager
    def _part(self, role: Role | None) -> Iterator[None]:
        before = self._role
        with self._only.transaction():  # undone, the role is again what it was
            self._be(role)
            try:
                yield
            finally:
                self._role = before
            self._be(before)

    def _be(self, role: Role | None) -> None:
        wanted = sql.Identifier(role) if role else sql.SQL("NONE")
        self._only.execute(sql.SQL("SET LOCAL ROLE {}").format(wanted))
        self._role = role
