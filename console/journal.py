"""
The journal of this machine: one JSON sentence a line in `log/backoffice.jsonl` under the home, without personal data.

A trace names files, lines and functions, never a value: a value may be somebody's name.
"""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

import msgspec


def home_of_journal() -> Path:
    """
    Return the folder of the journal, also when the rest of the environment is wrong.
    """
    from adapters.settings import PROJECT

    return Path(os.environ.get("BACKOFFICE_HOME") or PROJECT / "var").absolute() / "log"


def note(sentence: str, *, action: str, **facts: object) -> None:
    """
    Append one line; `facts` are ids, counts and codes. Raises OSError when it cannot be written.
    """
    from adapters.clock import SystemClock

    folder = home_of_journal()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = msgspec.json.encode({"at": SystemClock().now(), "action": action, "sentence": sentence, **facts}) + b"\n"
    handle = os.open(folder / "backoffice.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def note_defect(number: str, error: BaseException) -> None:
    """
    Keep where a defect happened, by its number.
    """
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    kinds = [type(each).__name__ for each in (error, error.__cause__, error.__context__) if each is not None]
    note("A defect stopped a command.", action="defect", number=number, kinds=kinds, frames=frames)
