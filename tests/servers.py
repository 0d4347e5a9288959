"""
The real parts that tests run on, started from packages once per session.

`database` is a migrated database of the test's own. It lives on an embedded server of this session, or on the server
that BACKOFFICE_TEST_DATABASE_URL names (a login that may make databases); both are run in CI.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.postgres.database import Database
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.migrate import migrate

#: Nothing here outlives the session, so nothing waits for the disk.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "'128MB'",
    "max_wal_size": "'2GB'",
    "autovacuum_naptime": "'1h'",
}
_PREFIX = "backoffice-tests-"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """
    The URL of a server whose login may make databases and roles.
    """
    given = os.environ.get("BACKOFFICE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with _session_folder() as folder:
        server = EmbeddedServer(folder / "postgres", settings=FAST)
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


@pytest.fixture(scope="session")
def make_database(server_url: str) -> Iterator[Callable[..., str]]:
    """
    Make databases by `make_database()` (empty) or `make_database(like=name)` (a copy); the answer is the URL. All are
    dropped at the end of the session.
    """
    made: list[str] = []

    def make(*, like: str = "template0") -> str:
        name = f"{_PREFIX.replace('-', '_')}{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(like))
        with psycopg.connect(server_url, autocommit=True) as session:
            session.execute(statement)
        made.append(name)
        return make_conninfo(server_url, dbname=name)

    yield make
    for name in made:
        drop_database(server_url, name)


@pytest.fixture(scope="session")
def template(make_database: Callable[..., str]) -> str:
    """
    The name of a migrated database that others are copied from.
    """
    url = make_database()
    with Database(url) as database:
        migrate(database)
    return str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def database(server_url: str, make_database: Callable[..., str], template: str) -> Iterator[Database]:
    """
    A migrated database without events, of this test alone.
    """
    url = make_database(like=template)
    with Database(url, application="backoffice-tests") as fresh:
        yield fresh
    drop_database(server_url, str(conninfo_to_dict(url)["dbname"]))


def drop_database(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


class _session_folder:
    """
    A folder of this test session, and an end to what killed sessions left: each holds a lock that dies with it.
    """

    def __enter__(self) -> Path:
        base = Path(tempfile.gettempdir())
        for left in base.glob(f"{_PREFIX}*"):
            _sweep(left)
        making = Path(tempfile.mkdtemp(prefix="backoffice-making-", dir=base))
        making.chmod(0o711)  # when root tests, the server runs as another account and must get through
        self.guard = (making / "session.lock").open("w")
        fcntl.flock(self.guard, fcntl.LOCK_EX)
        self.folder = making.rename(base / making.name.replace("making", "tests"))  # locked before others may see it
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.guard.close()


def _sweep(folder: Path) -> None:
    try:
        guard = (folder / "session.lock").open("r+")
    except OSError:  # just being made, or somebody else's
        return
    with guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if (folder / "postgres").exists():
            EmbeddedServer(folder / "postgres").stop()
        shutil.rmtree(folder, ignore_errors=True)
