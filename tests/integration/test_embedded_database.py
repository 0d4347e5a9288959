"""
The embedded server, and every way in which a server of files and processes can be found in disorder.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.embedded_settings import NoRoomForDatabase
from adapters.postgres.programs import SYSTEM_PLACE
from domain.errors import Unavailable, Unreadable
from tests.patience import PATIENCE_S
from tests.servers import FAST, SessionFolder

ROOT = os.geteuid() == 0
STRANGER = 65534  # nobody
PROJECT = Path(__file__).parents[2]

START = """
import sys, time
from pathlib import Path
from adapters.postgres.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), settings={"fsync": "off"})
server.start()
print(server.status().pid, flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with SessionFolder() as made:
        yield made


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    """
    A folder with a database in it, made once; each test finds its server stopped.
    """
    server = EmbeddedServer(folder / "postgres", settings=FAST)
    server.start()
    with psycopg.connect(server.url) as session:
        session.execute("CREATE TABLE survives (number integer)")
    server.stop()
    return folder / "postgres"


@pytest.fixture
def server(made: Path) -> Iterator[EmbeddedServer]:
    handle = EmbeddedServer(made, settings=FAST)
    handle.stop()
    yield handle
    handle.stop()


def answers(server: EmbeddedServer) -> bool:
    with psycopg.connect(server.url) as session:
        return session.execute("SELECT count(*) >= 0 FROM survives").fetchone() == (True,)


def pid_of(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def starter(place: Path, seconds: float = 0) -> subprocess.Popen[str]:
    return run_python(START, str(place), str(seconds))


def run_python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        text=True,
    )


def leave_pid_file(server: EmbeddedServer, pid: int) -> None:
    """
    Leave what a power cut leaves: the file of a server that is gone, with a number that is somebody else's now.
    """
    server.start()
    file = server.status().place / "data" / "postmaster.pid"
    text = file.read_text()
    server.stop()
    file.write_text("\n".join([str(pid), *text.splitlines()[1:]]) + "\n")
    found = file.parent.stat()
    os.chown(file, found.st_uid, found.st_gid)


# --- In order --------------------------------------------------------------------------------------------------------


def test_a_second_start_finds_the_running_server(server):
    server.start()
    first = pid_of(server)
    EmbeddedServer(server.directory).start()
    assert pid_of(server) == first
    assert answers(server)


def test_a_stopped_server_keeps_its_data_and_stopping_twice_is_no_error(server):
    server.start()
    server.stop()
    server.stop()
    assert not server.status().running
    with pytest.raises(Unavailable, match="not running"):
        _ = server.url
    server.start()
    assert answers(server)


def test_a_server_that_was_never_made_has_nothing_to_stop(tmp_path):
    never = EmbeddedServer(tmp_path / "never")
    never.stop()
    assert not never.status().running
    assert not (tmp_path / "never").exists()


def test_processes_that_start_at_once_share_one_server(folder):
    place = folder / "together"
    started = [starter(place) for _ in range(4)]
    pids = {process.communicate(timeout=PATIENCE_S)[0].strip() for process in started}
    EmbeddedServer(place).stop()
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    assert len(pids) == 1


# --- Killed ----------------------------------------------------------------------------------------------------------


def test_a_server_whose_starter_was_killed_is_used_and_stopped_by_the_next(server):
    process = starter(server.directory, seconds=60)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    assert pid_of(server) == pid
    server.start()
    assert answers(server)
    assert pid_of(server) == pid
    server.stop()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_server_starts_again_with_what_was_committed(server):
    server.start()
    with psycopg.connect(server.url) as session:
        session.execute("INSERT INTO survives VALUES (42)")
        session.commit()
        os.kill(pid_of(server), signal.SIGKILL)
        server.start()
    with psycopg.connect(server.url) as session:
        assert session.execute("SELECT count(*) FROM survives WHERE number = 42").fetchone() == (1,)


def test_a_start_that_was_killed_while_making_the_data_is_made_anew(folder):
    place = folder / "half"
    (place / "data.new" / "base").mkdir(parents=True)
    (place / "data.new" / "PG_VERSION").write_text("18\n")
    server = EmbeddedServer(place, settings=FAST)
    server.start()
    try:
        assert server.status().running
        assert not (place / "data.new").exists()
    finally:
        server.stop()


def test_a_starter_that_hangs_does_not_hold_the_lock_once_it_is_killed(server):
    process = starter(server.directory)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    server.start()
    assert answers(server)


SESSION = """
import time
from tests.servers import FAST, SessionFolder
from adapters.postgres.embedded import EmbeddedServer
with SessionFolder() as folder:
    server = EmbeddedServer(folder / "postgres", settings=FAST)
    server.start()
    print(folder, server.status().pid, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_test_session_left_is_cleared_by_the_next():
    process = run_python(SESSION)
    assert process.stdout is not None
    left, pid = process.stdout.readline().split()
    with SessionFolder():
        assert psutil.pid_exists(int(pid)), "a session that lives is left alone"
    process.kill()
    process.communicate()
    with SessionFolder():
        assert not Path(left).exists()
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


# --- A pid file that lies --------------------------------------------------------------------------------------------


def test_a_pid_file_of_another_living_program_does_not_stand_in_the_way(server):
    leave_pid_file(server, os.getpid())
    assert not server.status().running
    server.start()
    assert answers(server)


def test_a_pid_file_of_the_server_of_another_folder_does_not_stand_in_the_way(server, folder):
    other = EmbeddedServer(folder / "other", settings=FAST)
    other.start()
    try:
        leave_pid_file(server, pid_of(other))
        server.stop()
        server.start()
        assert answers(server)
        assert other.status().running
        assert pid_of(server) != pid_of(other)
    finally:
        other.stop()


def test_a_pid_file_of_nobody_does_not_stand_in_the_way(server):
    gone = subprocess.Popen(["true"])
    gone.wait()
    leave_pid_file(server, gone.pid)
    server.start()
    assert answers(server)


def test_a_dead_server_that_nobody_buried_does_not_look_alive(server):
    zombie = subprocess.Popen(["true"])
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    leave_pid_file(server, zombie.pid)
    assert not server.status().running
    server.start()
    assert answers(server)
    zombie.wait()


# --- Places ----------------------------------------------------------------------------------------------------------


def test_a_long_path_has_its_socket_in_a_short_folder_that_nobody_else_may_enter(folder):
    place = folder / ("a" * 60) / ("b" * 60) / "postgres"
    server = EmbeddedServer(place, settings=FAST)
    server.start()
    try:
        with psycopg.connect(server.url) as session:
            sockets = Path(session.info.host)
        assert len(str(sockets)) < 80
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    finally:
        server.stop()
    assert not sockets.exists()


def test_a_path_with_blanks_and_quotes_works(folder):
    server = EmbeddedServer(folder / "it's a home, (ok)" / "postgres", settings=FAST)
    server.start()
    try:
        with psycopg.connect(server.url) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()


@pytest.mark.parametrize("name", ['a"b', "a$HOME", "a`id`", "a\\b", "a\nb"])
def test_a_path_that_a_shell_would_change_is_refused(folder, name):
    with pytest.raises(Unreadable, match="choose another"):
        EmbeddedServer(folder / name)


def test_a_home_that_only_its_owner_may_enter_works_and_stays_closed(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedServer(closed / "var" / "postgres", settings=FAST)
    server.start()
    place = server.status().place
    try:
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert (place == server.directory) is not ROOT
        assert (SYSTEM_PLACE in place.parents) is ROOT
        closed.chmod(0o755)
        assert EmbeddedServer(closed / "var" / "postgres").status() == server.status(), "once chosen it stays"
    finally:
        server.stop()
        if ROOT:
            shutil.rmtree(place)


def test_data_of_another_version_of_postgresql_is_refused_by_name(folder):
    data = folder / "old" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(Unavailable, match="written by PostgreSQL 16, this program has 18"):
        EmbeddedServer(folder / "old").start()


# --- Other people of this machine ------------------------------------------------------------------------------------


@contextmanager
def as_another_account() -> Iterator[None]:
    """
    Be another account for a while, when we are root and can; an ordinary account stays itself.
    """
    if ROOT:
        os.setresuid(STRANGER, STRANGER, 0)
    try:
        yield
    finally:
        if ROOT:
            os.setresuid(0, 0, 0)


def test_somebody_elses_folder_is_refused_in_a_sentence(folder):
    theirs = folder / "theirs"
    theirs.mkdir(mode=0o555)
    with as_another_account(), pytest.raises(Unavailable, match="belongs to another user"):
        EmbeddedServer(theirs / "postgres").start()


def test_another_account_has_a_server_of_its_own_at_the_same_time(server, folder, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    server.start()
    mine = folder / "second-account"
    mine.mkdir()
    if ROOT:
        os.chown(mine, STRANGER, STRANGER)
    with as_another_account():
        second = EmbeddedServer(mine / "postgres", settings=FAST)
        second.start()
        assert second.status().running
        second.stop()
    assert answers(server)


def test_a_database_of_another_account_is_refused_in_a_sentence(server):
    server.start()
    server.stop()
    if not ROOT:
        server.directory.chmod(0o000)
    try:
        with as_another_account(), pytest.raises(Unavailable, match="belongs to another user"):
            EmbeddedServer(server.directory).start()
    finally:
        server.directory.chmod(0o755)


def test_the_socket_is_only_for_the_account_that_owns_the_database(server):
    server.start()
    url = server.url
    with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
        psycopg.connect(make_conninfo(url, user="backoffice_writer"))
    if ROOT:
        with as_another_account(), pytest.raises(psycopg.OperationalError, match="Permission denied"):
            psycopg.connect(url)


def test_nothing_listens_on_the_network(server):
    server.start()
    assert psutil.Process(pid_of(server)).net_connections("inet") == []


def test_the_log_never_repeats_what_a_row_or_a_statement_holds(server):
    server.start()
    secret = "BE68539007547034"
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE TEMP TABLE account (iban text PRIMARY KEY CHECK (length(iban) < 20))")
        session.execute("INSERT INTO account VALUES (%s)", [secret])
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("INSERT INTO account VALUES (%s)", [secret])
        with pytest.raises(psycopg.errors.CheckViolation):
            session.execute(f"INSERT INTO account VALUES ('{secret}{secret}')")
    server.stop()  # the collector writes a little later than the server speaks
    logs = "".join(path.read_text() for path in (server.status().place / "data" / "log").iterdir())
    assert "duplicate key value" in logs
    assert secret not in logs


def test_a_disk_without_room_is_said_before_the_server_is_asked(
    server: EmbeddedServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr("adapters.postgres.embedded.ROOM_TO_START_MB", 10**9)
        full.setattr("adapters.postgres.embedded.ROOM_TO_MAKE_MB", 10**9)
        for place in (server, EmbeddedServer(folder / "never-made", settings=FAST)):
            with pytest.raises(NoRoomForDatabase, match="make room, and try again"):
                place.start()
            assert not place.status().running
    server.start()
    assert answers(server)
