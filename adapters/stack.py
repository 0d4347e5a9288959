"""
The real parts on one machine, in one folder: up, down, status.

`up` may be asked again and again, by several at once, after a `kill -9` of anything: what runs is left alone, what does
not is started, on the addresses it had before. `down` stops all of it and leaves the data. What runs is found by a mark
on the processes themselves (`adapters/kafka/jvm.py`), never by a pid from a file.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from adapters.kafka.broker import Kafka
from adapters.kafka.registry import Registry
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.programs import MAJOR_VERSION
from domain.errors import BackofficeError, Unavailable


class StackFolderUnusable(Unavailable):
    """
    The folder of the stack cannot be made or written to; name another one.
    """


class StackIncomplete(Unavailable):
    """
    Not every part of the stack came up; the others run. Each line says which part, and what to do.
    """


class State(StrEnum):
    """
    What a part does: it answers, it has a process that does not answer yet (or no more), or it does not run.
    """

    RUNNING = "running"
    NOT_ANSWERING = "not answering"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """
    One part as it is now; `address` is where clients connect, also while it is stopped (empty before the first start).
    """

    name: str
    state: State
    address: str
    pid: int | None
    version: str


class Part(Protocol):
    """
    Something that can be started and stopped; both may be asked when there is nothing to do.
    """

    @property
    def name(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def status(self) -> PartStatus: ...


class _Server(Protocol):
    name: str
    version: str

    @property
    def address(self) -> str: ...

    def pid(self) -> int | None: ...

    def is_ready(self) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class ServerPart:
    """
    A part made of a server that knows its own pid, address and readiness.
    """

    server: _Server

    @property
    def name(self) -> str:
        return self.server.name

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def status(self) -> PartStatus:
        pid = self.server.pid()
        answers = pid is not None and self.server.is_ready()
        state = State.STOPPED if pid is None else State.RUNNING if answers else State.NOT_ANSWERING
        return PartStatus(
            name=self.name, state=state, address=self.server.address, pid=pid, version=self.server.version
        )


@dataclass(frozen=True)
class PostgresPart:
    """
    The embedded PostgreSQL as a part; its address holds no secret.
    """

    server: EmbeddedServer
    name: str = "postgres"

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def status(self) -> PartStatus:
        found = self.server.status()
        address = ""
        state = State.STOPPED
        if found.running:
            try:
                address, state = self.server.url, State.RUNNING
            except Unavailable:
                state = State.NOT_ANSWERING
        return PartStatus(name=self.name, state=state, address=address, pid=found.pid, version=str(MAJOR_VERSION))


def default_parts(directory: Path) -> list[Part]:
    """
    Return the broker and the registry, each with a folder of its own in `directory`; a PostgresPart may stand beside.
    """
    return [ServerPart(Kafka(directory / Kafka.name)), ServerPart(Registry(directory / Registry.name))]


def up(directory: Path, parts: Sequence[Part] | None = None) -> list[PartStatus]:
    """
    Start what does not run, all parts at once, and wait until they answer.

    Raises StackFolderUnusable, and StackIncomplete when a part did not come up (the others stay up).
    """
    wanted = default_parts(directory) if parts is None else list(parts)
    with _alone(directory), ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
        problems = [problem for problem in pool.map(_start, wanted) if problem]
    if problems:
        raise StackIncomplete("\n".join(problems))
    return [part.status() for part in wanted]


def down(directory: Path, parts: Sequence[Part] | None = None) -> list[PartStatus]:
    """
    Stop all parts, the last started first; their data stays.
    """
    wanted = default_parts(directory) if parts is None else list(parts)
    # Without the folder nothing of the stack ever ran here; but other commands start the database by themselves.
    with _alone(directory) if directory.exists() else nullcontext():
        for part in reversed(wanted):
            part.stop()
    return [part.status() for part in wanted]


def status(directory: Path, parts: Sequence[Part] | None = None) -> list[PartStatus]:
    """
    Say how each part is; changes nothing, waits for nobody.
    """
    return [part.status() for part in (default_parts(directory) if parts is None else parts)]


def _start(part: Part) -> str:
    try:
        part.start()
    except BackofficeError as error:
        return f"{part.name}: {error}"
    return ""


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """
    One `up` or `down` at a time in a folder: the second waits, and finds the work of the first done.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        guard = (directory / ".lock").open("w")
    except OSError as error:
        raise StackFolderUnusable(reason=error.strerror or "", folder=str(directory)) from None
    with guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # let go when the file closes, also when this process is killed
        yield
