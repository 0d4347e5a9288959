"""
Is this database one that money may be trusted to? Each check is a name, yes or no, and a sentence that says what to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg

from adapters.postgres.database import OWNER, READER, WRITER, Connection, Database, Role
from adapters.postgres.migrate import migrations, require_schema
from application.ports import Clock
from domain.errors import BackofficeError

CLOCK_DIFFERENCE_MAX_SECONDS: Final = 2
FREE_BYTES_MIN: Final = 2 * 2**30
SERVER_VERSION_MIN: Final = 170000

_OFF: Final = frozenset({"", "0", "n", "no", "f", "false", "off"})
_SAFE: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "fsync": (frozenset({"on"}), "a power cut may lose or garble what was recorded"),
    "full_page_writes": (frozenset({"on"}), "a power cut may leave half a page"),
    "data_checksums": (frozenset({"on"}), "a failing disk goes unnoticed; pg_checksums --enable switches them on"),
    "synchronous_commit": (
        frozenset({"on", "remote_apply"}),
        "what was acknowledged may be lost",
    ),
}


class Check(NamedTuple):
    """
    One answer. `sentence` is for a person; it says what is wrong and what to do, or what was found right.
    """

    name: str
    ok: bool
    sentence: str


class Surroundings(NamedTuple):
    """
    What is looked at besides the database: the environment, this machine's clock and the folders that must have room:
    the home, and that of an embedded database, which may lie on another disk.
    """

    environment: Mapping[str, str]
    clock: Clock
    home: Path
    data: Path | None = None


def self_check(database: Database, around: Surroundings) -> Sequence[Check]:
    """
    Look at everything (`backoffice doctor`), good and bad. A database that cannot be reached is one bad check.
    """
    checks = [_switch(around.environment), _time_zones(), *_rooms(around)]
    try:
        with database.connect(None, autocommit=True) as session:
            checks += [_answers(database, session), *_settings(session), *_server(session, around.clock)]
        checks.append(_schema(database))
        checks += _grants(database)
    except BackofficeError as error:
        checks.append(Check("database", False, str(error)))
    except psycopg.OperationalError as error:
        checks.append(Check("database", False, str(database.unavailable(error))))
    return checks


# --- This machine ----------------------------------------------------------------------------------------------------


def _switch(environment: Mapping[str, str]) -> Check:
    name = "POSTGRES_ENABLE_DB_FUNCTIONS"
    if environment.get(name, "").strip().lower() in _OFF:
        return Check("event library", True, "Its database functions are off, so no reader misses an event.")
    return Check("event library", False, f"Remove {name} from the environment: with it, readers miss events.")


def _time_zones() -> Check:
    try:
        noon = datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(ZoneInfo("Europe/Brussels"))
    except ZoneInfoNotFoundError:
        return Check("time zones", False, "Europe/Brussels is not known here; install the system's tzdata.")
    if noon.hour != 14:
        return Check("time zones", False, "Europe/Brussels has no summer time here; install the system's tzdata anew.")
    return Check("time zones", True, "Europe/Brussels is known, with its summer time.")


def _rooms(around: Surroundings) -> Iterable[Check]:
    home = next(path for path in (around.home, *around.home.parents) if path.exists())
    yield _room("disk", home)
    data = around.data
    if data is not None and data.exists() and data.stat().st_dev != home.stat().st_dev:
        yield _room("disk of the database", data)


def _room(name: str, folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    size = f"{free // 2**20} MB free"
    if free < FREE_BYTES_MIN:
        needs = f"{FREE_BYTES_MIN // 2**20} MB are wanted before a run"
        return Check(name, False, f"Only {size} in {folder}, and {needs}; make room there.")
    return Check(name, True, f"{size} in {folder}.")


# --- The server ------------------------------------------------------------------------------------------------------


def _answers(database: Database, session: Connection) -> Check:
    version = session.info.server_version
    sentence = f"PostgreSQL {version // 10000}.{version % 10000} answers ({database.where})."
    if version < SERVER_VERSION_MIN:
        return Check("database", False, f"{sentence} Version 17 or newer is needed.")
    return Check("database", True, sentence)


def _settings(session: Connection) -> Iterable[Check]:
    rows = session.execute("SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", [list(_SAFE)]).fetchall()
    found: dict[str, str] = dict(rows)
    for name, (safe, harm) in _SAFE.items():
        setting = found.get(name, "unknown")
        ok = setting in safe
        yield Check(name, ok, f"{name} is {setting}." if ok else f"{name} is {setting}: {harm}; set it to on.")


def _server(session: Connection, clock: Clock) -> Iterable[Check]:
    before = clock.now()
    row = session.execute(
        "SELECT clock_timestamp(), current_setting('lock_timeout'), current_setting('TimeZone'),"
        " EXISTS (SELECT FROM pg_timezone_names WHERE name = 'Europe/Brussels')"
    ).fetchone()
    after = clock.now()
    if row is None:  # cannot be: the query has no FROM
        raise BackofficeError("The database gave no answer.")
    moment, lock_timeout, zone, brussels = row
    middle = before + (after - before) / 2
    seconds = abs((moment - middle).total_seconds())
    close = seconds <= CLOCK_DIFFERENCE_MAX_SECONDS
    yield Check(
        "clock",
        close,
        "The clocks of this machine and of the database agree."
        if close
        else f"The clocks of this machine and of the database differ by {seconds:.0f} seconds; set both by NTP.",
    )
    limited = lock_timeout not in {"0", "0ms", "0s"}
    yield Check(
        "lock_timeout",
        limited,
        f"A session waits {lock_timeout} for another at the most."
        if limited
        else "A session would wait for another for ever; something between us and the server drops our settings.",
    )
    right = zone == "UTC" and brussels
    yield Check(
        "database time zone",
        right,
        "The session counts in UTC and the server knows Europe/Brussels."
        if right
        else "The session does not count in UTC, or the server lacks Europe/Brussels; install its tzdata.",
    )


# --- The schema and the roles ----------------------------------------------------------------------------------------


def _schema(database: Database) -> Check:
    try:
        require_schema(database)
    except BackofficeError as error:
        return Check("schema", False, str(error))
    return Check("schema", True, f"The schema is this program's: {max(file.number for file in migrations()):04d}.")


def _grants(database: Database) -> Iterable[Check]:
    """
    Ask as each role what it may: a grant that crept in is found whoever gave it.
    """
    asked: Sequence[tuple[str, Role, Callable[[Connection], list[str]], str]] = (
        ("append-only", WRITER, _changeable, "history could be changed"),
        ("auditor", READER, _writable, "whoever looks could also write"),
        ("temporary tables", WRITER, _makeable, "things could be made in passing"),
        ("large objects", WRITER, _large_objects, "data could be put where no grant looks"),
    )
    for name, role, ask, harm in asked:
        try:
            with database.connect(role, autocommit=True) as session:
                found = ask(session)
        except psycopg.Error as error:
            yield Check(name, False, f"Asking as {role} was refused ({error.sqlstate}); run: backoffice migrate")
            continue
        if found:
            yield Check(name, False, f"{role} may {', '.join(found)}: {harm}. {_remedy(name, found)}")
        else:
            yield Check(name, True, f"{role} may do nothing of the kind.")


#: A table that must never change carries a trigger named append_only; the grants are the first wall, it is the second.
_CHANGEABLE: Final = """
    SELECT right_name || ' ' || class.relname
      FROM pg_class class
     CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) right_name
     WHERE class.oid IN (SELECT tgrelid FROM pg_trigger WHERE starts_with(tgname, 'append_only'))
       AND (has_table_privilege(class.oid, right_name)
            OR (right_name = 'UPDATE' AND has_any_column_privilege(class.oid, 'UPDATE')))
     ORDER BY 1
"""
_WRITABLE: Final = """
    SELECT right_name || ' ' || class.relname
      FROM pg_class class
      JOIN pg_namespace space ON space.oid = class.relnamespace AND space.nspname !~ '^(pg_|information_schema)'
     CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) right_name
     WHERE class.relkind IN ('r', 'p') AND has_table_privilege(class.oid, right_name)
     ORDER BY 1
"""
_MAKEABLE: Final = """
    SELECT 'make temporary tables' WHERE has_database_privilege(current_database(), 'TEMPORARY')
    UNION ALL
    SELECT 'make schemas' WHERE has_database_privilege(current_database(), 'CREATE')
    UNION ALL
    SELECT 'make tables in ' || nspname FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')
"""
_LARGE: Final = """
    SELECT oid::regprocedure::text FROM pg_proc
     WHERE pronamespace = 'pg_catalog'::regnamespace
       AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_put')
       AND has_function_privilege(oid, 'EXECUTE')
     ORDER BY 1
"""


def _remedy(name: str, found: Sequence[str]) -> str:
    """
    Say who takes the right away; functions of the server itself belong to its administrator alone.
    """
    if name != "large objects":
        return f"Revoke it as {OWNER} or administrator."
    return f"The server's administrator ends it here (REVOKE EXECUTE ON FUNCTION {', '.join(found)} FROM PUBLIC)."


def _names(session: Connection, query: str) -> list[str]:
    return [row[0] for row in session.execute(query.encode())]


def _changeable(session: Connection) -> list[str]:
    return _names(session, _CHANGEABLE)


def _writable(session: Connection) -> list[str]:
    return _names(session, _WRITABLE)


def _makeable(session: Connection) -> list[str]:
    return _names(session, _MAKEABLE)


def _large_objects(session: Connection) -> list[str]:
    return _names(session, _LARGE)
