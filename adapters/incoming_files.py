"""
Files that people hand in: opened once, without following a link, and only when they are whole.

A pipe, a device or a file that somebody is still writing to would be half a statement that looks like a whole one.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import Final

from application.ports import Clock
from domain.errors import Unreadable

BYTES_MAX: Final = 512 * 1024 * 1024
#: A file that was written to a moment ago is looked at again after this time.
QUIET_SECONDS: Final = 1.0
_STEP: Final = 8 * 1024 * 1024


class NoSuchFile(Unreadable):
    """
    The file does not exist or its folder may not be entered; check the path.
    """


class MayNotRead(Unreadable):
    """
    This account may not read the file; ask its owner.
    """


class NotAFile(Unreadable):
    """
    This is no ordinary file but a folder, a link, a pipe or a device; give the path of the file itself.
    """


class StillGrowing(Unreadable):
    """
    Somebody is still writing to the file; nothing was taken, import it when it is complete.
    """


class TooLarge(Unreadable):
    """
    The file is larger than what is read here; have it split.
    """


def shown(path: Path) -> str:
    """
    Return the file's name for messages: without its folder, and without characters that move the cursor.
    """
    return "".join(each if each.isprintable() else "?" for each in path.name)[:80]


def read_file(path: Path, *, clock: Clock, bytes_max: int = BYTES_MAX) -> bytes:
    """
    Return the content of a file that nobody is writing to. Raises Unreadable, one kind for each reason.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchFile from None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise NotAFile from None
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise MayNotRead from None
        raise NoSuchFile from None
    try:
        return _read(handle, clock=clock, bytes_max=bytes_max)
    finally:
        os.close(handle)


def _read(handle: int, *, clock: Clock, bytes_max: int) -> bytes:
    before = os.fstat(handle)
    if not stat.S_ISREG(before.st_mode):
        raise NotAFile
    if before.st_size > bytes_max:
        raise TooLarge(megabytes_max=bytes_max // 1024 // 1024)
    if abs(clock.now().timestamp() - before.st_mtime) < QUIET_SECONDS:
        time.sleep(QUIET_SECONDS)
    parts, size = [], 0
    while part := os.read(handle, _STEP):
        parts.append(part)
        size += len(part)
        if size > bytes_max:
            raise TooLarge(megabytes_max=bytes_max // 1024 // 1024)
    after = os.fstat(handle)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or size != before.st_size:
        raise StillGrowing
    return b"".join(parts)
