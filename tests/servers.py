"""
The real parts that tests run on, started from packages once per session.

`database` is a migrated database of the test's own. It lives on an embedded server of this session, or on the server
that BACKOFFICE_TEST_DATABASE_URL names (a login that may make databases and roles); both are run in CI:

    python -m pytest tests                          on the embedded server
    python -m tests.servers python -m pytest tests  over TCP, as a login with a password that is no superuser
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.postgres.database import Database
from adapters.postgres.embedded import NOTE, EmbeddedServer
from adapters.postgres.migrate import migrate
from adapters.postgres.programs import SYSTEM_PLACE
from adapters.postgres.roles import close_to_public

#: Nothing here outlives the session, so nothing waits for the disk; a killed server still loses nothing committed.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
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
    with SessionFolder() as folder:
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
    with psycopg.connect(url, autocommit=True) as session:
        close_to_public(session)
    with Database(url, application="backoffice-tests") as fresh:
        yield fresh
    drop_database(server_url, str(conninfo_to_dict(url)["dbname"]))


@pytest.fixture(scope="session")
def server_over_tcp() -> Iterator[str]:
    """
    The URL of a migrated database on a server as an administrator gives it to us (BACKOFFICE_DATABASE_URL).
    """
    with SessionFolder() as folder, tcp_server(folder / "postgres") as url:
        with Database(url) as database:
            migrate(database)
        yield url


@pytest.fixture
def database_over_tcp(server_over_tcp: str) -> Iterator[Database]:
    """
    The same as `database`, over TCP and with a login that is no superuser.
    """
    template = str(conninfo_to_dict(server_over_tcp)["dbname"])
    maintenance = make_conninfo(server_over_tcp, dbname="postgres")
    name = f"tests_{secrets.token_hex(6)}"
    with psycopg.connect(maintenance, autocommit=True) as session:
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    with Database(make_conninfo(server_over_tcp, dbname=name), application="backoffice-tests") as fresh:
        migrate(fresh)  # grants on a database are not copied with it
        yield fresh
    drop_database(maintenance, name)


def drop_database(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def tcp_server(folder: Path) -> Iterator[str]:
    """
    Run a server as an administrator would give it to us: over TCP, a login with a password that is no superuser.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = EmbeddedServer(folder, settings={**FAST, "listen_addresses": "'127.0.0.1'", "port": str(port)})
    server.start()
    try:
        password = secrets.token_urlsafe(12)
        with psycopg.connect(server.url, autocommit=True) as session:
            session.execute(sql.SQL("CREATE ROLE fund LOGIN CREATEDB CREATEROLE PASSWORD {}").format(password))
            session.execute("CREATE DATABASE fund OWNER fund")
        yield f"postgresql://fund:{password}@127.0.0.1:{port}/fund"
    finally:
        server.stop()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_in_the_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Remove what root's embedded databases keep in /var/lib, because their account may not enter a test's folder.
    """
    yield
    for server in _servers_under(tmp_path_factory.getbasetemp()):
        place = server.status().place
        server.stop()
        shutil.rmtree(place, ignore_errors=True)


def _servers_under(folder: Path) -> Iterator[EmbeddedServer]:
    for note in folder.rglob(NOTE):
        server = EmbeddedServer(note.parent)
        if server.status().place.parent == SYSTEM_PLACE:
            yield server


class SessionFolder:
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


def main(command: list[str]) -> int:
    """
    Run a command with BACKOFFICE_TEST_DATABASE_URL naming a server over TCP that lives as long as the command.
    """
    with SessionFolder() as folder, tcp_server(folder / "postgres") as url:
        environment = {**os.environ, "BACKOFFICE_TEST_DATABASE_URL": url}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
