"""
How a database gets to this program's schema, and when it is refused instead.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from adapters.postgres.database import OWNER, READER, WRITER, Database, DatabaseFull, Timeouts
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.migrate import (
    MIGRATIONS,
    EditedMigration,
    EmptyDatabase,
    NewerDatabase,
    OlderDatabase,
    migrate,
    migrations,
    require_schema,
    schema_of,
)
from adapters.postgres.programs import find_programs
from adapters.postgres.roles import RolesMissing
from domain.errors import Refused, Unavailable, Unreadable
from tests.servers import FAST, SessionFolder, tcp_server

SCHEMA_SQL = MIGRATIONS.parent / "schema.sql"
ROLES_SQL = (MIGRATIONS / "0001_roles.sql").read_text()


@pytest.fixture
def empty(make_database) -> Iterator[Database]:
    with Database(make_database()) as database:
        yield database


@pytest.fixture
def files(tmp_path) -> Path:
    """
    A folder of migrations of this test alone: the roles, and one table.
    """
    (tmp_path / "0001_roles.sql").write_text(ROLES_SQL)
    (tmp_path / "0002_first.sql").write_text("CREATE TABLE first (number integer);\n")
    return tmp_path


@pytest.fixture(scope="module")
def over_tcp() -> Iterator[str]:
    """
    A server as an administrator gives it: over TCP, with a password, the login no superuser.
    """
    with SessionFolder() as folder, tcp_server(folder / "postgres") as url:
        yield url


def names(applied) -> list[str]:
    return [f"{file.number:04d}_{file.name}" for file in applied]


# --- Going there -----------------------------------------------------------------------------------------------------


def test_an_empty_database_gets_every_file_once(empty, files):
    assert names(migrate(empty, folder=files)) == ["0001_roles", "0002_first"]
    assert migrate(empty, folder=files) == []
    require_schema(empty, folder=files)
    assert schema_of(empty, folder=files) == (2, 2)


def test_a_new_file_is_applied_by_itself(empty, files):
    migrate(empty, folder=files)
    (files / "0007_later.sql").write_text("CREATE TABLE later (number integer);\n")
    assert names(migrate(empty, folder=files)) == ["0007_later"]


def test_a_file_that_fails_leaves_nothing_of_itself_and_all_before_it(empty, files):
    (files / "0003_wrong.sql").write_text("CREATE TABLE half (number integer);\nSELECT 1 / 0;\n")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty, folder=files)
    assert schema_of(empty, folder=files) == (2, 3)
    with empty.session(OWNER) as session:
        assert session.execute("SELECT to_regclass('half'), to_regclass('first')::text").fetchone() == (None, "first")


def test_two_programs_that_migrate_at_once_apply_each_file_once(empty, files):
    (files / "0003_slow.sql").write_text("SELECT pg_sleep(0.3);\n")
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(names(migrate(empty, folder=files)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [[], [], ["0001_roles", "0002_first", "0003_slow"]]


def test_line_ends_of_another_system_do_not_count_as_an_edit(empty, files):
    migrate(empty, folder=files)
    path = files / "0002_first.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    require_schema(empty, folder=files)


def test_tables_belong_to_the_owner_role_and_not_to_the_login(database):
    with database.session(OWNER) as session:
        owners = session.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'backoffice'::regnamespace"
        ).fetchall()
    assert owners == [("backoffice_owner",)]


# --- Refused ---------------------------------------------------------------------------------------------------------


def test_an_edited_file_is_refused_by_name_and_nothing_is_applied(empty, files):
    migrate(empty, folder=files)
    (files / "0002_first.sql").write_text("CREATE TABLE first (number bigint);\n")
    (files / "0003_next.sql").write_text("CREATE TABLE next (number integer);\n")
    for act in (migrate, require_schema):
        with pytest.raises(EditedMigration, match=r"0002_first\.sql"):
            act(empty, folder=files)
    with empty.session(OWNER) as session:
        assert session.execute("SELECT to_regclass('next')").fetchone() == (None,)


def test_a_database_of_a_newer_program_is_refused(empty, files):
    (files / "0003_new.sql").write_text("SELECT 1;\n")
    migrate(empty, folder=files)
    (files / "0003_new.sql").unlink()
    for act in (migrate, require_schema):
        with pytest.raises(NewerDatabase, match=r"applied=3, known=2"):
            act(empty, folder=files)


def test_a_database_of_an_older_program_says_how_to_migrate(empty, files):
    migrate(empty, folder=files)
    (files / "0003_new.sql").write_text("SELECT 1;\n")
    with pytest.raises(OlderDatabase, match=r"run: backoffice migrate \(applied=2, needed=3\)"):
        require_schema(empty, folder=files)


def test_an_empty_database_says_how_to_begin(empty):
    with pytest.raises(EmptyDatabase, match="run: backoffice init"):
        require_schema(empty)


def test_a_badly_named_file_and_a_number_used_twice_are_refused(files):
    (files / "0002_second.sql").write_text("SELECT 1;\n")
    with pytest.raises(Unreadable, match="0002 is there twice: first and second"):
        migrations(files)
    (files / "0002_second.sql").rename(files / "2_second.sql")
    with pytest.raises(Unreadable, match=r"2_second\.sql .* must be named like"):
        migrations(files)


# --- The schema that one reads ---------------------------------------------------------------------------------------


def dumped(url: str) -> str:
    """
    Return the schema of a database as `pg_dump` writes it, without what differs from one dump to the next.
    """
    code, said = find_programs().run(
        "pg_dump", "--schema-only", f"--role={OWNER}", "--restrict-key=schema", f"--dbname={url}"
    )
    assert code == 0, said
    # What only a superuser's migration closes (public, large objects) differs from server to server; doctor looks at it.
    noise = re.compile(
        r"--|SET |\\(un)?restrict |SELECT pg_catalog\.set_config|.*(SCHEMA public|FUNCTION pg_catalog\.lo_)"
    )
    kept = [line for line in said.splitlines() if not noise.match(line)]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return f"-- What the migrations lead to, for reading; written by pytest --approve, never by hand.\n\n{text}\n"


def test_schema_sql_is_what_the_migrations_lead_to(request, make_database):
    with Database(make_database()) as database:
        migrate(database)
        text = dumped(database.url)
    if request.config.getoption("--approve"):
        SCHEMA_SQL.write_text(text, encoding="utf-8")
    assert SCHEMA_SQL.exists(), "schema.sql was never approved; run pytest --approve and read the diff"
    assert text == SCHEMA_SQL.read_text(encoding="utf-8")


# --- Roles and sessions ----------------------------------------------------------------------------------------------


def test_a_session_works_in_its_role_and_resetting_does_not_leave_it(database):
    for role in (OWNER, WRITER, READER):
        with database.session(role) as session:
            assert session.execute("SELECT current_user").fetchone() == (role,)
            session.execute("RESET ROLE")
            assert session.execute("SELECT current_user").fetchone() == (role,)


@pytest.mark.parametrize("role", [WRITER, READER])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE t (n integer)",
        "CREATE TABLE backoffice.t (n integer)",
        "CREATE TABLE public.t (n integer)",
        "CREATE SCHEMA mine",
        "INSERT INTO migration VALUES (99, 'x', repeat('0', 64))",
        "UPDATE migration SET name = 'x'",
        "DELETE FROM migration",
        "TRUNCATE migration",
        "DROP TABLE migration",
        "ALTER TABLE migration DISABLE TRIGGER ALL",
        "COPY migration TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE ROLE somebody",
        "ALTER SYSTEM SET fsync = off",
    ],
)
def test_neither_writer_nor_reader_may_change_how_things_are(database, role, statement):
    with database.connect(role, autocommit=True) as session:
        session.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)


def test_a_session_has_limits_a_name_and_utc(database):
    with database.session() as session:
        shown = [
            session.execute(f"SHOW {name}").fetchone()[0]
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "TimeZone")
        ]
        shown.append(session.execute("SELECT current_setting('application_name')").fetchone()[0])
    assert shown == ["15s", "10min", "2min", "UTC", "backoffice-tests"]


def test_an_error_rolls_back_and_the_end_of_the_block_commits(database):
    with database.connect(OWNER, autocommit=True) as session:
        session.execute("CREATE TABLE notes (note text)")
    with database.session(OWNER) as session:
        session.execute("INSERT INTO notes VALUES ('kept')")
    with pytest.raises(Refused), database.session(OWNER) as session:  # noqa: PT012 - the block is the transaction
        session.execute("INSERT INTO notes VALUES ('lost')")
        raise Refused
    with database.session(OWNER) as session:
        assert session.execute("SELECT note FROM notes").fetchall() == [("kept",)]


def test_waiting_too_long_for_another_session_is_said_in_a_sentence(database):
    with database.connect(OWNER, autocommit=True) as session:
        session.execute("CREATE TABLE held (n integer)")
    impatient = Database(database.url, timeouts=Timeouts(lock=1))
    with impatient, database.session(OWNER) as holder:
        holder.execute("LOCK TABLE held")
        with pytest.raises(Unavailable, match="holds what this work needs"), impatient.session(OWNER) as session:
            session.execute("SELECT * FROM held")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("53100", "The disk of the database is full"), ("53300", "no session or no memory left"), ("53200", "no memory")],
)
def test_what_the_server_has_run_out_of_is_said_and_the_next_session_works(database, code, sentence):
    with pytest.raises(Unavailable, match=sentence), database.session(OWNER) as session:
        session.execute(f"DO $$ BEGIN RAISE 'a value' USING ERRCODE = '{code}'; END $$")
    with database.session(OWNER) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_disk_too_full_to_begin_a_session_is_said(database, monkeypatch):
    def connect(*_, **__):
        raise psycopg.OperationalError(
            'FATAL:  could not write init file "base/5/pg_internal": No space left on device'
        )

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(DatabaseFull, match="Make room there"):
        database.connect(OWNER)


def test_a_session_that_was_ended_is_said_in_a_sentence_and_the_next_one_works(database):
    def end(pid: int) -> None:
        with database.connect(None, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    with pytest.raises(Unavailable, match="was lost"), database.session(OWNER) as session:  # noqa: PT012 - as above
        end(session.info.backend_pid)
        session.execute("SELECT 1")
    with database.session(OWNER) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


# --- A server that is not ours ---------------------------------------------------------------------------------------


def test_a_login_that_owns_its_database_migrates_and_works_over_tcp(over_tcp):
    with Database(over_tcp) as database:
        assert names(migrate(database))[0] == "0001_roles"
        assert migrate(database) == []
        with database.session() as session:
            assert session.execute("SELECT current_user, session_user").fetchone() == (WRITER, "fund")


def test_a_login_that_may_not_make_roles_is_told_what_an_administrator_must_run():
    with SessionFolder() as folder:
        server = EmbeddedServer(folder / "postgres", settings=FAST | {"unix_socket_permissions": "0777"})
        server.start()
        try:
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute("CREATE ROLE modest LOGIN")
                admin.execute("CREATE DATABASE modest OWNER modest")
            told = _advice_for_modest(server)
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute(told)
                granted = admin.execute(
                    "SELECT bool_and(pg_has_role('modest', rolname, 'SET')) FROM pg_roles WHERE rolname LIKE 'backoffice\\_%'"
                ).fetchone()
            assert granted == (True,)
        finally:
            server.stop()


def _advice_for_modest(server: EmbeddedServer) -> str:
    from adapters.postgres.roles import ensure_roles

    with psycopg.connect(make_conninfo(server.url, dbname="modest"), autocommit=True) as session:
        session.execute("SET SESSION AUTHORIZATION modest")
        with pytest.raises(RolesMissing) as refusal:
            ensure_roles(session)
    return refusal.value.message.partition("must run: ")[2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong-Geheim"}, "refuses the login"),
        ({"user": "nobody-Geheim"}, "refuses the login"),
        ({"dbname": "gone"}, "does not exist"),
        ({"port": "1"}, "nothing answers there"),
        ({"host": "host.invalid"}, "host name is not known"),
    ],
)
def test_a_server_that_cannot_be_reached_says_why_without_a_secret(over_tcp, change, said):
    url = make_conninfo(over_tcp, **change)
    password = psycopg.conninfo.conninfo_to_dict(over_tcp)["password"]
    with Database(url) as database, pytest.raises(Unavailable, match=said) as refusal, database.session():
        pass
    assert "Geheim" not in f"{refusal.value!s} {database!r}"
    assert password not in f"{refusal.value!s} {database!r}"
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_a_database_that_was_never_prepared_says_how_to_begin(server_url):
    with SessionFolder() as folder:
        server = EmbeddedServer(folder / "postgres", settings=FAST)
        server.start()
        try:
            with pytest.raises(Unavailable, match="run: backoffice init"), Database(server.url) as database:
                database.connect()
        finally:
            server.stop()


def test_a_url_that_cannot_be_read_is_not_repeated():
    with pytest.raises(Unreadable, match="BACKOFFICE_DATABASE_URL cannot be read") as refusal:
        Database("postgresql://fund:Geheim@[half:5432/fund")
    assert "Geheim" not in str(refusal.value)


def test_databases_are_named_without_user_and_password():
    database = Database("postgresql://fund:Geheim@db.example:6432/fund")
    assert repr(database) == "Database(fund on db.example:6432)"
    assert sql.Identifier(WRITER).as_string() == '"backoffice_writer"'
