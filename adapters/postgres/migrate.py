"""
Numbered plain-SQL files bring a database to this program's schema; the database keeps what each file held.

`adapters/postgres/schema.sql` is what they lead to, for reading; a test compares the two.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from adapters.postgres.database import OWNER, Connection, Database
from adapters.postgres.roles import close_to_public, ensure_roles
from domain.errors import Refused, Unavailable, Unreadable

MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: One migrator at a time per database, whatever machine it runs on. The number is ours and means nothing.
_LOCK: Final = 7_340_021_101
_FILE: Final = re.compile(r"(?P<number>[0-9]{4})_(?P<name>[a-z0-9_]+)\.sql")


class EditedMigration(Unavailable):
    """
    A migration that this database already has was edited afterwards; put the file back and write a new one.
    """


class NewerDatabase(Unavailable):
    """
    The database was made by a newer version of the program; install that version. Nothing was changed.
    """


class OlderDatabase(Unavailable):
    """
    The database was made by an older version of the program; make a back-up, then run: backoffice migrate
    """


class EmptyDatabase(Unavailable):
    """
    The database holds nothing of the back office yet; run: backoffice init
    """


class Migration(NamedTuple):
    """
    One file: its number, its name, its statements and their SHA-256.
    """

    number: int
    name: str
    statements: str
    sha256: str


class Schema(NamedTuple):
    """
    How far a database is, and how far this program goes.
    """

    applied: int
    known: int


def migrations(folder: Path = MIGRATIONS) -> Sequence[Migration]:
    """
    Return the files in order. Raises Unreadable for a name that is not `0007_what_it_does.sql`, or a number used twice.

    Numbers may be left out: files of parts that were made side by side.
    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        matched = _FILE.fullmatch(path.name)
        if matched is None:
            raise Unreadable(f"{path.name} in {folder.name}/ must be named like 0007_what_it_does.sql")
        number = int(matched["number"])
        if number in found:
            raise Unreadable(f"Migration {number:04d} is there twice: {found[number].name} and {matched['name']}")
        content = path.read_bytes().replace(b"\r\n", b"\n")
        found[number] = Migration(number, matched["name"], content.decode(), hashlib.sha256(content).hexdigest())
    return list(found.values())


def migrate(database: Database, *, folder: Path = MIGRATIONS) -> Sequence[Migration]:
    """
    Bring the database to this program's schema; return the files that were applied, none when it was there already.

    Each file is one transaction with its own row, so that a killed migration continues where it was. Raises
    EditedMigration, NewerDatabase, `roles.RolesMissing`, or Unavailable when another one is migrating for minutes.
    """
    files = migrations(folder)
    with database.connect(None, autocommit=True, statement_seconds=0) as session:
        _alone(session)
        ensure_roles(session)
        close_to_public(session)
        done = _applied(session)
        _agree(files, done)
        missing = [file for file in files if file.number not in done]
        for file in missing:
            _apply(session, file)
    return missing


def schema_of(database: Database, *, folder: Path = MIGRATIONS) -> Schema:
    """
    Return how far the database is and how far this program goes, checking that the files are the same.
    """
    files = migrations(folder)
    with database.connect(None, autocommit=True) as session:
        done = _applied(session)
    _agree(files, done)
    return Schema(max(done, default=0), max((file.number for file in files), default=0))


def require_schema(database: Database, *, folder: Path = MIGRATIONS) -> None:
    """
    Refuse to work on a database of another version: EmptyDatabase, OlderDatabase, NewerDatabase or EditedMigration.
    """
    files = migrations(folder)
    with database.connect(None, autocommit=True) as session:
        done = _applied(session)
    if not done:
        raise EmptyDatabase
    _agree(files, done)
    missing = [file.number for file in files if file.number not in done]
    if missing:
        raise OlderDatabase(applied=max(done), needed=max(missing))


def _alone(session: Connection) -> None:
    session.execute("SET lock_timeout = '300s'")
    try:
        session.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    except psycopg.errors.LockNotAvailable:
        raise Unavailable("Another program has been migrating this database for minutes; wait for it.") from None
    session.execute("SET lock_timeout = '15s'")


def _applied(session: Connection) -> Mapping[int, tuple[str, str]]:
    """
    Return name and hash per applied number; nothing for a database that was never migrated.
    """
    there = session.execute(
        "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'backoffice' AND tablename = 'migration')"
    ).fetchone()
    if not there or not there[0]:
        return {}
    with session.transaction():
        session.execute(f"SET LOCAL ROLE {OWNER}")
        rows = session.execute("SELECT number, name, sha256 FROM backoffice.migration ORDER BY number").fetchall()
    return {number: (name, sha256) for number, name, sha256 in rows}


def _agree(files: Sequence[Migration], done: Mapping[int, tuple[str, str]]) -> None:
    known = {file.number: file for file in files}
    unknown = sorted(set(done) - set(known))
    if unknown:
        raise NewerDatabase(applied=max(done), known=max(known, default=0))
    for number, (name, sha256) in done.items():
        if known[number].sha256 != sha256:
            raise EditedMigration(migration=f"{number:04d}_{name}.sql")


def _apply(session: Connection, file: Migration) -> None:
    """
    Run one file and note it, in one transaction: the first as the login, all others as the owner of the tables.
    """
    try:
        with session.transaction():
            session.execute("SET LOCAL search_path = backoffice")
            if file.number > 1:
                session.execute(f"SET LOCAL ROLE {OWNER}")
            session.execute(file.statements.encode())
            session.execute(
                "INSERT INTO backoffice.migration (number, name, sha256) VALUES (%s, %s, %s)",
                [file.number, file.name, file.sha256],
            )
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"Migration {file.number:04d}_{file.name}.sql needs a right that this login lacks "
            f"({error.diag.message_primary}); let the owner of the database run: backoffice migrate"
        ) from None
