"""
How the embedded server is set up: safe before fast, silent about what rows hold, open to nobody else.

Written anew at every start, so that a new version of the program also brings its settings.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

#: A new database is 47 MB, and its first work writes as much again of log.
ROOM_TO_MAKE_MB: Final = 96
#: What the server writes before it answers, above all a segment of its log (16 MB).
ROOM_TO_START_MB: Final = 32

_FIXED: Final[Mapping[str, str]] = {
    # What was acknowledged is on disk, and a torn page is noticed.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "checkpoint_timeout": "'15min'",
    # Nobody from outside; on the machine, the account is the password.
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "password_encryption": "'scram-sha-256'",
    "max_connections": "100",
    # Logs never repeat what a row or a statement holds: terse leaves out "Key (iban)=(...) already exists".
    "logging_collector": "on",
    "log_directory": "'log'",
    "log_filename": "'postgresql-%a.log'",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "'1d'",
    "log_rotation_size": "0",
    "log_error_verbosity": "'terse'",
    "log_min_error_statement": "'panic'",
    "log_statement": "'none'",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    "TimeZone": "'UTC'",
    "DateStyle": "'ISO, YMD'",
    # Many small statements on a local disk.
    "random_page_cost": "1.1",
    "jit": "off",
}
_MEGABYTE: Final = 2**20


class NoRoomForDatabase(Unavailable):
    """
    The disk has too little room for the embedded database to start. Nothing is lost; make room, and try again.
    """


def check_room(place: Path, needs_mb: int) -> None:
    """
    Raise NoRoomForDatabase when the server could not write what it must.

    Asked before it starts: a server that finds the disk full says so only in its own log.
    """
    free_mb = shutil.disk_usage(place).free // _MEGABYTE
    if free_mb < needs_mb:
        raise NoRoomForDatabase(free_mb=free_mb, needs_mb=needs_mb, folder=place)


def server_settings(place: Path, sockets: Path) -> dict[str, str]:
    """
    Return every setting as the configuration file writes it; memory and log space fit the machine.
    """
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEGABYTE
    free_mb = shutil.disk_usage(place).free // _MEGABYTE
    return {
        **_FIXED,
        "shared_buffers": f"'{_between(128, memory_mb // 4, 4096)}MB'",
        "max_wal_size": f"'{_between(1024, free_mb // 10, 8192)}MB'",
        "unix_socket_directories": _quoted(f'"{sockets}"'),
        "hba_file": _quoted(str(place / "config" / "pg_hba.conf")),
        "ident_file": _quoted(str(place / "config" / "pg_ident.conf")),
    }


def access_rules() -> str:
    """
    Return pg_hba.conf: through the socket as the account one is, over TCP (off unless asked for) with a password.
    """
    return (
        "local  all  all                peer map=backoffice\n"
        "host   all  all  127.0.0.1/32  scram-sha-256\n"
        "host   all  all  ::1/128       scram-sha-256\n"
    )


def identities(accounts: Iterable[str], superuser: str) -> str:
    """
    Return pg_ident.conf: which operating-system accounts may be the database's superuser.
    """
    return "".join(f'backoffice  "{account}"  {superuser}\n' for account in sorted(accounts))


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
