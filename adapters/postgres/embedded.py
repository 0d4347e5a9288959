"""
The embedded PostgreSQL: one server per home folder, started by whoever needs it first, stopped only on purpose.

No process counts its users, so there is nothing to go wrong when one is killed: whoever comes next finds the running
server by its own files, uses it, and may stop it. Why, and what else was tried: docs/decisions/0005.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import shlex
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

import psutil

from adapters.postgres.embedded_settings import (
    ROOM_TO_MAKE_MB,
    ROOM_TO_START_MB,
    access_rules,
    check_room,
    identities,
    server_settings,
)
from adapters.postgres.programs import MAJOR_VERSION, SYSTEM_PLACE, Programs, find_programs, make_folder, reachable
from domain.errors import Unavailable, Unreadable

SUPERUSER: Final = "postgres"
DATABASE: Final = "backoffice"

_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 5
NOTE: Final = "LOCATION"
#: `pg_ctl` hands the path to a shell between double quotes.
_NOT_IN_PATHS: Final = frozenset('"$`\\\n\r')
#: The protocol's SSLRequest, which any server answers with one letter before anybody logs in.
_DO_YOU_ENCRYPT: Final = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
#: A Unix socket's whole path has 107 bytes on Linux and 103 on macOS; `.s.PGSQL.5432.lock` is the longest name.
_SOCKET_FOLDER_BYTES_MAX: Final = 103 - len("/.s.PGSQL.5432.lock")


class Status(NamedTuple):
    """
    How the server is: its process when it runs, and the folder that really holds its data.
    """

    running: bool
    pid: int | None
    place: Path


class EmbeddedServer:
    """
    The server of one folder. `settings` are PostgreSQL settings on top of ours, for tests.
    """

    def __init__(self, directory: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        if _NOT_IN_PATHS & set(str(self.directory)):
            raise Unreadable(
                'The home of an embedded database has no ", $, `, \\ or line end in its path; choose another.'
            )
        self._settings = dict(settings or {})
        self._found: Programs | None = None

    # --- What others call --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """
        Make the server run, and its folder on first use; nothing happens when it runs already, from any process.

        Raises Unavailable, saying what stands in the way.
        """
        place = self._place()
        if _is_ready(place):
            return
        place = self._made_place()
        with _locked(place):
            if not _becomes_ready(place):
                self._make_data(place)
                self._launch(place)

    def stop(self) -> None:
        """
        Stop the server, whoever started it; nothing happens when it does not run. Data stays.
        """
        place = self._place()
        if not (place / "data").exists():
            return
        with _locked(place):
            process = _postmaster(place)
            if process is None:
                return
            data = str(place / "data")
            sockets = Path(_pid_lines(place)[4])
            for mode in ("fast", "immediate"):
                self._programs.run("pg_ctl", "stop", "-w", "-t", str(_STOP_SECONDS), "-m", mode, "-D", data)
                if _postmaster(place) is None:
                    if sockets != place / "socket":
                        shutil.rmtree(sockets, ignore_errors=True)
                    return
            raise Unavailable(f"The database process {process.pid} does not stop; end it and try again.")

    def status(self) -> Status:
        place = self._place()
        process = _postmaster(place)
        return Status(process is not None, process.pid if process else None, place)

    @property
    def url(self) -> str:
        """
        Return where the running server listens, for `Database`. It holds no secret: the account is the password.
        """
        place = self._place()
        lines = _pid_lines(place)
        if not _is_ready(place):
            raise Unavailable("The embedded database is not running; start it with: backoffice stack up")
        where = urlencode({"host": lines[4], "port": lines[3]}, quote_via=quote)
        return f"postgresql://{SUPERUSER}@/{DATABASE}?{where}"

    @property
    def programs(self) -> Programs:
        """
        Return the server's own programs, such as `pg_dump`, for back-ups and checks.
        """
        return self._programs

    # --- How it is done ----------------------------------------------------------------------------------------------

    @property
    def _programs(self) -> Programs:
        if self._found is None:
            self._found = find_programs()
        return self._found

    def _place(self) -> Path:
        """
        Return the folder that holds the data, or will; nothing is made.
        """
        note = self.directory / NOTE
        try:
            return Path(note.read_text(encoding="utf-8").strip()) if note.exists() else self.directory
        except PermissionError:
            raise _not_ours(self.directory) from None

    def _made_place(self) -> Path:
        """
        Make the folder that holds the data: ours, or for root, when the server's account may not enter ours, one in
        /var/lib named after it. Once chosen it stays: a note in our folder says where.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            place = self._place()
            account = self._programs.account
            if place != self.directory or (place / "data").exists() or not account or reachable(place, account):
                make_folder(place, 0o755)
                return place
            key = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:10]
            place = SYSTEM_PLACE / f"{self.directory.parent.parent.name or 'home'}-{key}"
            make_folder(place, 0o755)
            _write(self.directory / NOTE, f"{place}\n")
        except PermissionError:
            raise _not_ours(self.directory) from None
        return place

    def _make_data(self, place: Path) -> None:
        """
        Make a new data folder beside its final name and move it there whole, so that a killed start leaves no half one.
        """
        data = place / "data"
        if data.exists():
            version = (data / "PG_VERSION").read_text().strip()
            if version != str(MAJOR_VERSION):
                raise Unavailable(
                    f"The data in {data} was written by PostgreSQL {version}, this program has {MAJOR_VERSION}; "
                    "restore a back-up into a new home, or use the program that wrote it."
                )
            return
        scratch = place / "data.new"
        if scratch.exists():
            shutil.rmtree(scratch)
        check_room(place, ROOM_TO_MAKE_MB)
        make_folder(scratch, 0o700, self._programs.account)
        sync = ("--no-sync",) if self._settings.get("fsync") == "off" else ()
        code, said = self._programs.run(
            "initdb", "-D", str(scratch), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
            "--auth-local=peer", "--auth-host=scram-sha-256", "--no-instructions", *sync,
        )  # fmt: skip
        if code == 0:
            make = f"CREATE DATABASE {DATABASE};\n"
            code, said = self._programs.run("postgres", "--single", "-D", str(scratch), SUPERUSER, text=make)
        if code != 0:
            raise Unavailable(f"The embedded database cannot be made in {place}: {_last_line(said)}")
        scratch.rename(data)

    def _launch(self, place: Path) -> None:
        data = place / "data"
        check_room(place, ROOM_TO_START_MB)
        _forget_dead_server(place)
        sockets = self._socket_folder(place)
        for left in sockets.glob(".s.PGSQL.*"):  # its lock file holds a number too, which may be a zombie's
            left.unlink(missing_ok=True)
        settings = server_settings(place, sockets) | self._settings
        names = {_account_name(), *((self._programs.account.name,) if self._programs.account else ())}
        make_folder(place / "config", 0o755)
        _write(place / "config" / "postgresql.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
        _write(place / "config" / "pg_hba.conf", access_rules())
        _write(place / "config" / "pg_ident.conf", identities(names, SUPERUSER))
        options = f"-c config_file={shlex.quote(str(place / 'config' / 'postgresql.conf'))}"
        log = data / "start.log"
        command = ("start", "-w", "-t", str(_START_SECONDS), "-D", str(data), "-l", str(log), "-o", options)
        for attempt in range(40):
            code, _ = self._programs.run("pg_ctl", *command, timeout=_START_SECONDS + 30)
            if code == 0 and _is_ready(place):
                return
            # After its main process was killed, the server's other processes need a moment to notice and leave.
            if attempt < 39 and "shared memory block" in _tail(log):
                time.sleep(0.25)
                continue
            break
        check_room(place, ROOM_TO_START_MB)  # what it read back of its log may have filled the disk
        raise Unavailable(
            f"The embedded database does not start; {log} and {data / 'log'} say why. "
            "After a crash on a large database it may still be recovering: try again in a minute."
        )

    def _socket_folder(self, place: Path) -> Path:
        account = self._programs.account
        inside = place / "socket"
        # A comma would part the path in two for whoever connects.
        if len(os.fsencode(inside)) <= _SOCKET_FOLDER_BYTES_MAX and "," not in str(inside):
            make_folder(inside, 0o700, account)
            return inside
        uid = account.uid if account else os.geteuid()
        runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
        if account or not (runtime.is_absolute() and runtime.is_dir() and runtime.stat().st_uid == uid):
            runtime = Path("/tmp")  # noqa: S108 - the folder below is checked to be nobody else's
        key = hashlib.sha256(os.fsencode(place)).hexdigest()[:10]
        folder = runtime / f"backoffice-{uid}-{key}"
        make_folder(folder, 0o700, account)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
            raise Unavailable(f"{folder} belongs to somebody else; remove it, or choose a shorter BACKOFFICE_HOME.")
        return folder


# --- What the folder says about a running server ----------------------------------------------------------------------


def _pid_lines(place: Path) -> list[str]:
    try:
        return (place / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except PermissionError:
        raise _not_ours(place) from None


def _postmaster(place: Path) -> psutil.Process | None:
    """
    Return the process of the pid file only if it is a living PostgreSQL that works in this very folder: after a crash
    the number may belong to anything, and in a container without an init process a dead server stays as a zombie.
    """
    lines = _pid_lines(place)
    if not lines or not lines[0].lstrip("-").isdecimal():
        return None
    try:
        process = psutil.Process(abs(int(lines[0])))
        return process if _works_in(process, place / "data") else None
    except psutil.Error:
        return None


def _is_ready(place: Path) -> bool:
    """
    Say whether the server says so itself, lives, and answers: one that is being killed still has its file and socket.
    """
    lines = _pid_lines(place)
    if len(lines) < 8 or lines[7].strip() != "ready" or _postmaster(place) is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(_ANSWER_SECONDS)
        try:
            door.connect(f"{lines[4]}/.s.PGSQL.{lines[3]}")
            door.sendall(_DO_YOU_ENCRYPT)
            return bool(door.recv(1))
        except OSError:
            return False


def _becomes_ready(place: Path) -> bool:
    """
    Wait for a server that is starting, recovering or dying to be one or the other; False when there is none.
    """
    deadline = time.monotonic() + _START_SECONDS
    while (process := _postmaster(place)) is not None:
        if _is_ready(place):
            return True
        if time.monotonic() > deadline:
            raise Unavailable(
                f"The database process {process.pid} does not answer; it may be recovering from a crash. Try again in "
                "a minute, or end it."
            )
        time.sleep(0.05)
    return False


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return alive and process.name().startswith("postgres") and Path(process.cwd()) == data.resolve()
    except psutil.Error:
        return False


def _forget_dead_server(place: Path) -> None:
    """
    Remove a pid file whose number now belongs to another program: PostgreSQL itself would refuse to start for ever.

    A number that belongs to nobody is left to PostgreSQL, which then also checks its shared memory.
    """
    lines = _pid_lines(place)
    if not lines or not lines[0].isdecimal() or not psutil.pid_exists(int(lines[0])):
        return
    data = place / "data"
    deadline = time.monotonic() + 10
    while any(_works_in(process, data) for process in psutil.process_iter()):
        if _postmaster(place) is not None:
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"Parts of a crashed database still work in {data}; end these postgres processes first.")
        time.sleep(0.1)
    (data / "postmaster.pid").unlink(missing_ok=True)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """
    Let one process at a time start or stop the server of a folder; the lock dies with its process.
    """
    deadline = time.monotonic() + _START_SECONDS + _STOP_SECONDS
    try:
        guard = (place / "start.lock").open("a")
    except PermissionError:
        raise _not_ours(place) from None
    with guard:
        while True:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable("Another process has been starting the database for minutes.") from None
                time.sleep(0.05)
        yield


def _not_ours(place: Path) -> Unavailable:
    return Unavailable(
        f"The database in {place} belongs to another user of this machine; work as that user, or choose a home of your "
        "own with BACKOFFICE_HOME."
    )


def _account_name() -> str:
    return "root" if os.geteuid() == 0 else getpass.getuser()


def _write(path: Path, text: str) -> None:
    """
    Write a small file whole or not at all, readable for the server's account.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as scratch:
        scratch.write(text)
    os.chmod(scratch.name, 0o644)
    os.replace(scratch.name, path)


def _tail(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-2000:]
    except OSError:
        return ""


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["it gave no reason"])[-1]
