"""
Files that are there whole or not at all, also when the machine stops half-way; for nobody's eyes but the owner's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

OWNER_ONLY: Final = 0o600
_FOLDER_OWNER_ONLY: Final = 0o700
#: What a disk says that has no room for us, or fails.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class NoRoom(Unavailable):
    """
    The disk is full or fails; nothing of the file is there. Make room and give the same command again.
    """


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """
    Write a file beside its final name, make sure that it is on the disk, and put it in its place. Raises NoRoom.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    write_safely(half, chunks)
    half.replace(path)
    sync_folder(path.parent)


def write_safely(path: Path, chunks: Iterable[bytes]) -> None:
    """
    Write a new file and wait until the disk has it. Raises FileExistsError and NoRoom.
    """
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with _no_room_said(path), os.fdopen(number, "wb") as out:
        for chunk in chunks:
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _no_room_said(path: Path) -> Iterator[None]:
    """
    Raise NoRoom when the disk cannot take what the block writes to a file, and leave nothing of the file behind.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        path.unlink(missing_ok=True)
        raise NoRoom(folder=path.parent) from error


def new_folder(path: Path) -> None:
    """
    Make an empty folder for the owner alone, in the place of what a killed program may have left there.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, mode=_FOLDER_OWNER_ONLY)


def move_folder(half: Path, to: Path) -> None:
    """
    Give a finished folder its name: from now on it is there, whole.
    """
    sync_folder(half)
    half.rename(to)
    sync_folder(to.parent)


def sync_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """
    Let one process at a time work in a folder; the others wait. A killed one lets go.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_OWNER_ONLY)
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
