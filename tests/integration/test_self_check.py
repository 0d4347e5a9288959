"""
What doctor finds: nothing on a database as we make it, and each fault by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from adapters.clock import FixedClock, SystemClock
from adapters.postgres.database import OWNER, Database
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.migrate import migrate
from adapters.postgres.self_check import Surroundings, self_check
from tests.patience import eventually
from tests.servers import SessionFolder


@pytest.fixture(scope="module")
def as_made() -> Iterator[Database]:
    """
    The embedded database exactly as a user gets it, without the settings that make tests fast.
    """
    with SessionFolder() as folder:
        server = EmbeddedServer(folder / "postgres")
        server.start()
        try:
            with Database(server.url) as database:
                migrate(database)
                yield database
        finally:
            server.stop()


@pytest.fixture
def around(tmp_path) -> Surroundings:
    return Surroundings({}, SystemClock(), tmp_path)


def bad(checks) -> dict[str, str]:
    return {check.name: check.sentence for check in checks if not check.ok}


def test_the_embedded_database_as_we_make_it_has_nothing_wrong(as_made, around):
    checks = self_check(as_made, around)
    assert bad(checks) == {}
    assert [check.name for check in checks] == [
        "event library",
        "time zones",
        "disk",
        "database",
        "fsync",
        "full_page_writes",
        "data_checksums",
        "synchronous_commit",
        "clock",
        "lock_timeout",
        "database time zone",
        "schema",
        "append-only",
        "auditor",
        "temporary tables",
        "large objects",
    ]


def test_every_answer_ends_as_a_sentence(as_made, around):
    assert [c.sentence for c in self_check(as_made, around) if not c.sentence.endswith(".")] == []


@pytest.mark.parametrize(("setting", "harm"), [("fsync", "power cut"), ("full_page_writes", "power cut")])
def test_a_server_that_does_not_wait_for_its_disk_is_named(as_made, around, setting, harm):
    with as_made.connect(None, autocommit=True) as session:
        session.execute(f"ALTER SYSTEM SET {setting} = off")
        session.execute("SELECT pg_reload_conf()")
    try:
        eventually(lambda: setting in bad(self_check(as_made, around)))
        assert harm in bad(self_check(as_made, around))[setting]
    finally:
        with as_made.connect(None, autocommit=True) as session:
            session.execute(f"ALTER SYSTEM RESET {setting}")
            session.execute("SELECT pg_reload_conf()")
        eventually(lambda: setting not in bad(self_check(as_made, around)))


def test_commits_that_are_not_awaited_are_named(database, around):
    with database.connect(None, autocommit=True) as session:
        name = session.info.dbname
        session.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    assert "may be lost" in bad(self_check(database, around))["synchronous_commit"]


def test_the_switch_that_makes_readers_miss_events_is_named(database, around):
    for value in ("y", "1", "true"):
        with_switch = around._replace(environment={"POSTGRES_ENABLE_DB_FUNCTIONS": value})
        assert "readers miss events" in bad(self_check(database, with_switch))["event library"]
    without = around._replace(environment={"POSTGRES_ENABLE_DB_FUNCTIONS": "n"})
    assert "event library" not in bad(self_check(database, without))


def test_large_objects_come_with_the_words_that_take_them_away(database, around):
    with database.connect(None, autocommit=True) as session:
        session.execute("GRANT EXECUTE ON FUNCTION lo_creat(integer), lo_put(oid, bigint, bytea) TO PUBLIC")
    sentence = bad(self_check(database, around))["large objects"]
    remedy = "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_put(oid,bigint,bytea) FROM PUBLIC"
    assert f"({remedy})." in sentence
    with database.connect(None, autocommit=True) as session:
        session.execute(remedy)
    assert "large objects" not in bad(self_check(database, around))


@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE", "UPDATE (state)"])
def test_a_grant_that_would_let_history_be_changed_is_named(database, around, right):
    with database.connect(OWNER, autocommit=True) as session:
        session.execute(f"GRANT {right} ON events TO backoffice_writer")
    sentence = bad(self_check(database, around))["append-only"]
    assert f"backoffice_writer may {right.split()[0]} events" in sentence


def test_an_auditor_that_could_write_is_named(database, around):
    with database.connect(OWNER, autocommit=True) as session:
        session.execute("GRANT INSERT ON migration TO backoffice_reader")
    assert "INSERT migration" in bad(self_check(database, around))["auditor"]


def test_an_open_database_is_named(database, around):
    with database.connect(None, autocommit=True) as session:
        session.execute(f'GRANT TEMPORARY ON DATABASE "{session.info.dbname}" TO PUBLIC')
    assert "make temporary tables" in bad(self_check(database, around))["temporary tables"]


@pytest.mark.parametrize(("seconds", "fine"), [(1, True), (10, False), (-10, False)])
def test_a_clock_that_differs_from_the_databases_is_named(as_made, around, seconds, fine):
    with as_made.connect(None, autocommit=True) as session:
        moment = session.execute("SELECT clock_timestamp()").fetchone()[0]
    found = bad(self_check(as_made, around._replace(clock=FixedClock(moment + timedelta(seconds=seconds)))))
    assert ("clock" not in found) is fine


def test_a_database_of_an_older_program_is_named_with_what_to_do(make_database, around):
    with Database(make_database()) as empty:
        assert "backoffice init" in bad(self_check(empty, around))["schema"]


def test_a_database_that_is_not_there_is_one_bad_check(around):
    nowhere = Database("postgresql://fund@127.0.0.1:1/fund")
    assert "cannot be reached" in bad(self_check(nowhere, around))["database"]


def test_too_little_room_is_named(database, around, monkeypatch):
    monkeypatch.setattr("adapters.postgres.self_check.FREE_BYTES_MIN", 2**70)
    said = bad(self_check(database, around._replace(home=Path("/not/yet/made"))))["disk"]
    assert f"{2**50} MB are wanted before a run; make room there" in said


def test_the_disk_of_an_embedded_database_that_lies_elsewhere_is_looked_at_too(database, around):
    def disks(data):
        return [each.name for each in self_check(database, around._replace(data=data)) if each.name.startswith("disk")]

    assert disks(around.home) == disks(Path("/not/yet/made")) == ["disk"]
    assert disks(Path("/proc")) == ["disk", "disk of the database"]


def test_an_ended_session_is_no_crash_of_the_check(as_made):
    class Cutting:
        """
        A clock that ends every session of this database when it is asked, as a failing network would.
        """

        def now(self) -> datetime:
            with psycopg.connect(as_made.url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            return datetime(2026, 5, 1, tzinfo=UTC)

    found = bad(self_check(as_made, Surroundings({}, Cutting(), Path("/"))))
    assert "was lost" in found["database"]
