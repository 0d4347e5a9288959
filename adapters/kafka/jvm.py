"""
Java programs as background processes: started, found again, watched and stopped, without anything left behind.

Each process carries the folder it works in on its command line (`-Dbackoffice.part=<folder>`). That mark is the truth
about who runs where: a pid that the system gave to somebody else, a starter that was killed between fork and the first
note, a second program that asks at the same moment all come out right.

A first start writes an AOT cache (classes already loaded and linked, made by one training run), which makes each later
start two to three times faster.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import psutil

from adapters.maven import cache_folder, java
from domain.errors import Unavailable

HOST: Final = "127.0.0.1"

_JAVA_WITH_AOT: Final = 25  # -XX:AOTCacheOutput; an older Java refuses to start when it sees the option
_LOG_BYTES_MAX: Final = 10_000_000
_SECONDS_TO_STOP: Final = 15.0
#: After SIGKILL: for a machine that gives its processors to others.
_SECONDS_TO_DIE: Final = 120.0
# Below the range from which the system takes the near end of outgoing connections (32768 on Linux, 49152 elsewhere). A
# port inside that range can be taken by the very client that tries to reconnect to a broker that is away.
_PORTS: Final = range(20_000, 32_000)

logger = logging.getLogger(__name__)

# Children of this process, kept so that the dead are reaped and their exit code is known.
_children: dict[int, subprocess.Popen[bytes]] = {}


class PartDidNotStart(Unavailable):
    """
    A part of the stack did not start; the end of its log says why.
    """


@dataclass(frozen=True, kw_only=True)
class Program:
    """
    A Java program: `run` is what follows the options of the machine (class path and main class, or `-jar` and a file).
    """

    name: str
    version: str
    run: tuple[str, ...]
    files: tuple[Path, ...]
    options: tuple[str, ...] = ()


# ---- Java ----------------------------------------------------------------------------------------------------------


def java_version(executable: Path) -> int:
    """
    Return the main version of a Java from the file `release` beside it; 0 when there is none.
    """
    release = executable.resolve().parent.parent / "release"
    if not release.is_file():
        return 0
    for line in release.read_text(encoding="utf-8").splitlines():
        if line.startswith("JAVA_VERSION="):
            return int(line.split('"')[1].split(".")[0])
    return 0


def command(program: Program, folder: Path, *arguments: str, aot: Sequence[str] = ()) -> list[str]:
    """
    Return the command line of a program that works in `folder`.
    """
    quiet = ["-Xlog:aot*=error"] if aot else []  # it warns of every class that it leaves out
    scratch = f"-Djava.io.tmpdir={_scratch(folder)}"
    return [str(java()), *quiet, *aot, *program.options, scratch, mark(folder), *program.run, *arguments]


def _scratch(folder: Path) -> Path:
    return folder.resolve() / "scratch"


def mark(folder: Path) -> str:
    """
    Return the mark by which processes that work in `folder` are found.
    """
    return f"-Dbackoffice.part={folder.resolve()}"


# ---- processes -----------------------------------------------------------------------------------------------------


def spawn(program: Program, folder: Path, *arguments: str, aot: Sequence[str] = ()) -> int:
    """
    Start a program in the background, with its words in `folder/log`; return its pid.

    It lives in a session of its own: closing the terminal or Ctrl-C does not end it, `stop` does. The libraries that it
    unpacks lie in its folder: one that is killed leaves them behind, and the next start clears them away.
    """
    shutil.rmtree(_scratch(folder), ignore_errors=True)
    _scratch(folder).mkdir(mode=0o700)
    log = folder / "log"
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        os.replace(log, folder / "log.1")
    with log.open("ab") as words:
        process = subprocess.Popen(
            command(program, folder, *arguments, aot=aot),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ},
        )
    _children[process.pid] = process
    return process.pid


def find(folder: Path) -> list[psutil.Process]:
    """
    Return the living processes that work in `folder`, whoever started them.
    """
    wanted = mark(folder)
    return [process for process in psutil.process_iter() if wanted in _arguments(process)]


def running(folder: Path) -> psutil.Process | None:
    """
    Return the process that works in `folder`, or nothing.
    """
    return next(iter(find(folder)), None)


def works_in(folder: Path, pid: int) -> bool:
    """
    Does process `pid` live, and work in `folder`?
    """
    try:
        return mark(folder) in _arguments(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def _arguments(process: psutil.Process) -> list[str]:
    child = _children.get(process.pid)
    if child is not None and child.poll() is None:
        # Asked of ourselves: right after its start, the system may show a process without its command line.
        return [str(argument) for argument in cast("list[str]", child.args)]
    if child is not None:
        del _children[process.pid]
        return []
    try:
        return list(process.cmdline())
    except psutil.Error:  # gone meanwhile, a zombie, or another user's
        return []


def stop(*folders: Path, within_s: float = _SECONDS_TO_STOP) -> None:
    """
    Stop what works in `folders`: politely, and after `within_s` seconds by force. Nothing runs there afterwards.
    """
    processes = [process for folder in folders for process in find(folder)]
    for process in processes:
        send(process, signal.SIGTERM)
        send(process, signal.SIGCONT)  # a paused process would hear the request only when it goes on
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    for process in alive:
        logger.warning("process %d did not stop within %d seconds and is killed", process.pid, within_s)
        send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_SECONDS_TO_DIE)
    reap()


def kill(folder: Path) -> None:
    """
    Kill what works in `folder` at once (SIGKILL), as a crash does.
    """
    processes = find(folder)
    for process in processes:
        send(process, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=_SECONDS_TO_DIE)
    reap()


def send(process: psutil.Process, which: signal.Signals) -> None:
    """
    Send a signal; a process that is gone already is no error.
    """
    try:
        process.send_signal(which)
    except psutil.NoSuchProcess:
        return


def pause(folder: Path) -> None:
    """
    Stop what works in `folder` (SIGSTOP), and come back when all of it stands still.

    The signal is sent to a process and reaches its threads one by one, when they are given a processor: until then one
    of them may still answer.
    """
    processes = find(folder)
    for process in processes:
        send(process, signal.SIGSTOP)
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while not all(_stands_still(process) for process in processes):
        if time.monotonic() > deadline:
            raise Unavailable(f"What works in {folder} does not stand still.")
        time.sleep(0.005)


def _stands_still(process: psutil.Process) -> bool:
    threads = Path(f"/proc/{process.pid}/task")
    try:
        if not threads.exists():  # no Linux, or gone
            return process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
        # After the name in brackets, which may hold anything: T is stopped, Z and X have ended.
        states = [(each / "stat").read_text().rpartition(") ")[2][:1] for each in threads.iterdir()]
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return not psutil.pid_exists(process.pid)
    return set(states) <= set("TtZX")


def reap() -> None:
    """
    Let go of the children that have ended.
    """
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def wait_until(ready: Callable[[], bool], pids: Mapping[Path, int], *, name: str, within_s: float) -> None:
    """
    Wait until `ready()`, and watch the processes (by folder) meanwhile.

    Raises PartDidNotStart when one of them ends first, or after `within_s` seconds.
    """
    deadline = time.monotonic() + within_s
    while not ready():
        gone = next((folder for folder, pid in pids.items() if not works_in(folder, pid)), None)
        if gone is not None:
            words = gone / "log"
            raise PartDidNotStart(f"{name} ended before it was ready; the end of its log says why.", log=str(words))
        if time.monotonic() > deadline:
            logs = ", ".join(str(folder / "log") for folder in pids)
            raise PartDidNotStart(f"{name} was not ready within {within_s:.0f} seconds; see its log.", log=logs)
        time.sleep(0.02)


@atexit.register
def _let_go() -> None:
    """
    Say no word about the servers that go on when we end: they are meant to.
    """
    for child in _children.values():
        child.returncode = child.poll() or 0


# ---- ports ---------------------------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """
    Return ports on which nobody listens now, different from each other.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise PartDidNotStart(f"No {count} free ports between {_PORTS.start} and {_PORTS.stop} on {HOST}.")


def is_free(port: int) -> bool:
    """
    Can a server listen on that port of this machine?
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Java does; otherwise the last connections of a server that just stopped would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


# ---- notes ---------------------------------------------------------------------------------------------------------


def read_note(path: Path) -> dict[str, Any]:
    """
    Read what an earlier start chose and remembered; empty when there was none.
    """
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        raise PartDidNotStart(f"{path} cannot be read; take the part down, delete that file and start again.") from None
    return known


def write_note(path: Path, known: Mapping[str, object]) -> None:
    """
    Remember what was chosen: whole or not at all, whatever is killed when.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)


# ---- AOT cache -----------------------------------------------------------------------------------------------------


def aot_options(program: Program, train: Callable[[Path, str], None]) -> list[str]:
    """
    Return the options that use the AOT cache of a program; the first time, make it.

    `train(folder, option)` starts the program in that empty folder with that option and stops it when it is warm; the
    cache is written as it ends. The cache only makes starts faster: when it cannot be made, nothing is returned.
    """
    executable = java()
    if java_version(executable) < _JAVA_WITH_AOT:
        return []
    folder = cache_folder("aot")
    path = folder / f"{program.name}-{_fingerprint(executable, program)}.aot"
    with (folder / f".{program.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two first starts at once: the second waits and finds the cache made
        if not path.exists():
            _make_cache(path, train)
    return [f"-XX:AOTCache={path}"] if path.exists() else []


def _make_cache(path: Path, train: Callable[[Path, str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="training-", dir=path.parent, ignore_cleanup_errors=True) as work:
        made = Path(work) / "made.aot"
        scratch = Path(work) / "scratch"
        scratch.mkdir()
        try:
            train(scratch, f"-XX:AOTCacheOutput={made}")
        except Unavailable as error:
            logger.warning("no AOT cache was made (%s); starts are slower", type(error).__name__)
        finally:
            stop(scratch, within_s=60)  # writing the cache takes some seconds
        if made.exists():
            os.replace(made, path)


def _fingerprint(executable: Path, program: Program) -> str:
    # The cache is good for one Java, one class path (with its times) and one set of options.
    release = executable.resolve().parent.parent / "release"
    facts = [release.read_text(encoding="utf-8"), *program.options, *program.run]
    facts += [f"{path} {path.stat().st_mtime_ns}" for path in program.files]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
