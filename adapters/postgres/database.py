"""
Connections to the database, embedded or a server: the same code, the same roles, the same limits.

Work is done in the role it needs and no more: `backoffice_writer` may add but not change, `backoffice_reader` may look,
`backoffice_owner` owns the tables and is for migrations and rebuilds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.errors import Unavailable, Unreadable

Role = Literal["backoffice_owner", "backoffice_writer", "backoffice_reader"]
Connection = psycopg.Connection[tuple[Any, ...]]

WRITER: Final[Role] = "backoffice_writer"
OWNER: Final[Role] = "backoffice_owner"
READER: Final[Role] = "backoffice_reader"
SCHEMA: Final = "backoffice"

_DECIDE_AGAIN: Final = ("40001", "40P01")  # serialization failure, deadlock: the caller's to repeat

#: The server ended a transaction that took too long; psycopg does not count these as operational.
_STOOD_STILL: Final = (psycopg.errors.IdleInTransactionSessionTimeout, psycopg.errors.TransactionTimeout)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """
    How long the server waits, in seconds, before it gives up for us. 0 waits for ever.

    `statement` for one statement, `lock` for another session to let go of a row or table, `idle` inside an open
    transaction that does nothing (a hung program must not stop the others).
    """

    statement: int = 600
    lock: int = 15
    idle: int = 120


class NotConfirmed(Unavailable):
    """
    The change is recorded here, but the standby did not confirm it; repeat the command when the standby is back.
    """


class DatabaseFull(Unavailable):
    """
    The disk of the database is full; this step was not recorded, what came before it was. Make room there and give the
    same command again: what was recorded is not done twice.
    """


class DatabaseBusy(Unavailable):
    """
    The database has no session or no memory left; this step was not recorded. Close other programs and try again.
    """


def out_of(state: str) -> Unavailable | None:
    """
    Say what the server has run out of by its code (class 53); None when it is something else.
    """
    if state == "53100":
        return DatabaseFull()
    return DatabaseBusy() if state.startswith("53") else None


class Database:
    """
    One database by its URL. Close it when done; sessions are opened when first needed and kept.
    """

    def __init__(
        self,
        url: str,
        *,
        application: str = "backoffice",
        timeouts: Timeouts | None = None,
        sessions_max: int = 8,
    ) -> None:
        try:
            self._known = conninfo_to_dict(url)
        except psycopg.Error:
            raise Unreadable(
                "BACKOFFICE_DATABASE_URL cannot be read; write it as postgresql://user@host:5432/database"
            ) from None
        self.url = url
        self._application = application
        self._timeouts = timeouts or Timeouts()
        self._sessions_max = sessions_max
        self._pools: dict[Role, ConnectionPool[Connection]] = {}
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"Database({self.where})"

    @property
    def where(self) -> str:
        """
        Return which database this is, for people, without user or password.
        """
        host = str(self._known.get("host") or "this machine")
        name = self._known.get("dbname") or "its default database"
        port = f":{self._known['port']}" if self._known.get("port") and not host.startswith("/") else ""
        return f"{name} on {'the embedded server' if host.startswith('/') else host}{port}"

    def connect(
        self, role: Role | None = WRITER, *, autocommit: bool = False, statement_seconds: int | None = None
    ) -> Connection:
        """
        Open a session of its own (the caller closes it: `with`); `role=None` is the login itself, for administration.

        Raises Unavailable in one sentence that holds no secret; errors of later statements are the driver's own.
        """
        try:
            session: Connection = psycopg.connect(
                self.url, autocommit=autocommit, **self._parameters(role, statement_seconds)
            )
        except psycopg.OperationalError as error:
            raise self._unreachable(error, role) from None
        _listen_for_unconfirmed(session)
        return session

    @contextmanager
    def session(self, role: Role = WRITER) -> Iterator[Connection]:
        """
        Lend a session of the pool for one transaction: the end of the block commits, an error rolls back.

        A lost connection, a full disk or too long a wait is raised as Unavailable; serialization failures and deadlocks
        stay as they are, for the caller to decide again. NotConfirmed when a synchronous standby did not answer.
        """
        try:
            with self.answering(), self._pool(role).connection() as session:
                unconfirmed = _unconfirmed(session)
                unconfirmed.clear()
                yield session
                session.commit()
                if unconfirmed:
                    raise NotConfirmed
        except PoolTimeout:
            raise self._why_no_session(role) from None

    @contextmanager
    def answering(self) -> Iterator[None]:
        """
        Raise Unavailable when the database goes away, runs out of something or waits too long inside the block, also on
        sessions of its own; serialization failures and deadlocks stay as they are.
        """
        try:
            yield
        except (psycopg.OperationalError, *_STOOD_STILL) as error:
            if isinstance(error, PoolTimeout) or error.sqlstate in _DECIDE_AGAIN:
                raise
            raise self.unavailable(error) from None

    def parameters(self, role: Role) -> dict[str, Any]:
        """
        Return what a session of that role starts with, for a pool that another library opens.
        """
        return self._parameters(role)

    def close(self) -> None:
        with self._guard:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def unavailable(self, error: psycopg.Error) -> Unavailable:
        """
        Say in one sentence why the database stopped answering in the middle of work; never what it was working on.
        """
        state = error.sqlstate or ""
        if state == "55P03":
            return Unavailable("Somebody else holds what this work needs for too long; nothing was done, try again.")
        if isinstance(error, _STOOD_STILL):
            return Unavailable("This work stood still for too long and the database ended it; nothing of it was done.")
        if state == "57014":
            return Unavailable("The database took too long for one step and was stopped; nothing of it was done.")
        if short := out_of(state):
            return short
        return Unavailable(
            f"The connection to the database ({self.where}) was lost; whether the last step was recorded is not known. "
            "Give the same command again: what was recorded is not done twice."
        )

    # --- How it is done ----------------------------------------------------------------------------------------------

    def _parameters(self, role: Role | None, statement_seconds: int | None = None) -> dict[str, Any]:
        """
        Return what every session starts with. The role is part of the start, so that RESET ROLE keeps it.
        """
        limits = self._timeouts
        settings = {
            "statement_timeout": f"{limits.statement if statement_seconds is None else statement_seconds}s",
            "lock_timeout": f"{limits.lock}s",
            "idle_in_transaction_session_timeout": f"{limits.idle}s",
            "search_path": SCHEMA,
            "TimeZone": "UTC",
            "DateStyle": "ISO",
            **({"role": role} if role else {}),
            **({"default_transaction_read_only": "on"} if role == READER else {}),
        }
        return {
            "application_name": self._application,
            "client_encoding": "UTF8",
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        }

    def _pool(self, role: Role) -> ConnectionPool[Connection]:
        with self._guard:
            if role not in self._pools:
                self.connect(role).close()  # the pool would only say that it waited; this says why
                self._pools[role] = ConnectionPool(
                    self.url,
                    kwargs=self._parameters(role),
                    min_size=0,
                    max_size=self._sessions_max,
                    configure=_listen_for_unconfirmed,
                    timeout=30,
                    open=True,
                    name=f"{self._application}-{role}",
                )
            return self._pools[role]

    def _why_no_session(self, role: Role) -> Unavailable:
        try:
            self.connect(role).close()
        except Unavailable as reason:
            return reason
        return Unavailable("All sessions of this program are busy; nothing was done, try again.")

    def _unreachable(self, error: psycopg.OperationalError, role: Role | None) -> Unavailable:
        said = str(error)  # only searched, never shown: a server may put anything in it
        if "No space left on device" in said or "Disk quota exceeded" in said:
            return DatabaseFull()
        if f'role "{role}" does not exist' in said:
            return Unavailable(f"The database ({self.where}) is not prepared for the back office; run: backoffice init")
        if "permission denied to set role" in said:
            return Unavailable(
                f"The login may not work as {role} in {self.where}; an administrator must run: "
                "GRANT backoffice_owner, backoffice_writer, backoffice_reader TO the login;"
            )
        if "does not exist" in said and "database" in said:
            reason = "that database does not exist; make it with CREATE DATABASE"
        elif "authentication failed" in said or "no password supplied" in said or "pg_hba.conf" in said:
            reason = "it refuses the login; check the user and the password file"
        elif "too many clients" in said or "remaining connection slots" in said:
            reason = "it has no session left; close other programs and try again"
        elif "starting up" in said or "recovery" in said or "shutting down" in said:
            reason = "it is starting or stopping; try again in a moment"
        elif "could not translate host name" in said or "resolve" in said:
            reason = "its host name is not known; check BACKOFFICE_DATABASE_URL"
        elif "timeout" in said:
            reason = "it did not answer in 10 seconds; check the network and the server"
        else:
            reason = "nothing answers there; check that the server runs and that the address is right"
        return Unavailable(f"The database ({self.where}) cannot be reached: {reason}.")


def _listen_for_unconfirmed(session: Connection) -> None:
    """
    Note when a commit returns without its synchronous standby: PostgreSQL reports that as a mere warning.
    """
    seen: list[str] = []

    def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
        with suppress(Exception):
            if diagnostic.source_function == "SyncRepWaitForLSN":
                seen.append(diagnostic.sqlstate or "")

    session.add_notice_handler(notice)
    session._unconfirmed_standby = seen  # type: ignore[attr-defined]  # ours, kept with the session


def _unconfirmed(session: Connection) -> list[str]:
    found: list[str] = session._unconfirmed_standby  # type: ignore[attr-defined]  # see above
    return found
