"""
A schema registry from packages, on this machine: Apicurio, asked through Confluent's API.

What is registered stays in an H2 file in the registry's folder, ids included, so that it is there after the next start.
The port is chosen once and remembered in `registry.json`. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import http.client
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from adapters.kafka import jvm
from adapters.maven import cache_folder, fetch, read_lock

VERSION: Final = "3.3.3"
LOCK: Final = Path(__file__).parent.parent / "jars" / "registry.lock"
API: Final = "/apis/ccompat/v7"

_OPTIONS: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    f"-Dquarkus.http.host={jvm.HOST}",
    f"-Dquarkus.management.host={jvm.HOST}",
    "-Dquarkus.http.access-log.enabled=false",
    # "./" is the folder the registry is started in; a path could hold a sign that H2 reads as its own.
    # Without WRITE_DELAY=0, what was registered in the last half second before a kill is gone, and its id used again.
    "-Dapicurio.datasource.url=jdbc:h2:file:./registry;WRITE_DELAY=0",
)
#: A part that ends is noticed at once; this is for one that a busy machine lets wait.
_SECONDS_TO_START: Final = 180.0
_SECONDS_TO_ANSWER: Final = 5.0
_ATTEMPTS_AT_PORTS: Final = 3


def program() -> jvm.Program:
    """
    Return the registry as a program; fetches and unpacks it the first time.
    """
    jar = _unpacked() / "quarkus-run.jar"
    return jvm.Program(name="registry", version=VERSION, run=("-jar", str(jar)), files=(jar,), options=_OPTIONS)


class Registry:
    """
    A schema registry with everything it has in `folder`.
    """

    name = "registry"

    def __init__(self, folder: Path, *, aot: bool = True) -> None:
        self.folder = folder.resolve()
        self.aot = aot
        self.version = VERSION

    @property
    def address(self) -> str:
        """
        The URL that Confluent's clients take as `url`; empty before the first start.
        """
        port = self._port()
        return f"http://{jvm.HOST}:{port}{API}" if port else ""

    def pid(self) -> int | None:
        """
        Return the process id when the registry runs, or nothing.
        """
        found = jvm.running(self.folder)
        return int(found.pid) if found else None

    def start(self, *, within_s: float = _SECONDS_TO_START) -> None:
        """
        Start the registry, when it does not run yet, and wait until it answers.

        Raises PartDidNotStart (with the path of the log), JavaUnavailable and JarsUnavailable.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS_AT_PORTS + 1):
            self._choose_ports(anew=attempt > 1)
            pid = self.pid() or self._spawn()
            try:
                jvm.wait_until(self.is_ready, {self.folder: pid}, name=self.name, within_s=within_s)
            except jvm.PartDidNotStart:
                # Another program may have taken a port between our choice and Java's; only then do we try again.
                if attempt == _ATTEMPTS_AT_PORTS or not self._lost_a_port():
                    raise
            else:
                return

    def stop(self) -> None:
        """
        Stop the registry; what is registered stays.
        """
        jvm.stop(self.folder)

    def kill(self) -> None:
        """
        SIGKILL, as a crash does.
        """
        jvm.kill(self.folder)

    def is_ready(self) -> bool:
        """
        Does it answer the question that every client of it asks?
        """
        # Not urllib: a proxy in the environment has nothing to do with this machine's own ports.
        connection = http.client.HTTPConnection(jvm.HOST, self._port(), timeout=_SECONDS_TO_ANSWER)
        try:
            connection.request("GET", f"{API}/subjects")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _spawn(self) -> int:
        what = program()
        aot = jvm.aot_options(what, _train) if self.aot else []
        return jvm.spawn(self._with_ports(what), self.folder, aot=aot)

    def _with_ports(self, what: jvm.Program) -> jvm.Program:
        known = self._read()
        ports = (f"-Dquarkus.http.port={known['port']}", f"-Dquarkus.management.port={known['management_port']}")
        return jvm.Program(
            name=what.name, version=what.version, run=what.run, files=what.files, options=(*what.options, *ports)
        )

    def _choose_ports(self, *, anew: bool) -> None:
        if self._port() and not anew and not self._lost_a_port():
            return
        port, management_port = jvm.free_ports(2)
        jvm.write_note(self.folder / "registry.json", {"port": port, "management_port": management_port})

    def _lost_a_port(self) -> bool:
        known = self._read()
        return self.pid() is None and not all(jvm.is_free(port) for port in known.values())

    def _port(self) -> int:
        return int(self._read().get("port", 0))

    def _read(self) -> dict[str, Any]:
        return jvm.read_note(self.folder / "registry.json")


def _train(folder: Path, option: str) -> None:
    """
    The training run of the AOT cache: a registry that starts, and answers.
    """
    registry = Registry(folder, aot=False)
    registry._choose_ports(anew=True)
    pid = jvm.spawn(registry._with_ports(program()), folder, aot=[option])
    jvm.wait_until(registry.is_ready, {folder: pid}, name=registry.name, within_s=_SECONDS_TO_START)


def _unpacked() -> Path:
    """
    Return the folder with the unpacked archive; the archive itself is only fetched when that folder is not there.
    """
    (locked,) = read_lock(LOCK)
    final = cache_folder("registry") / f"{VERSION}-{locked.sha256[:16]}"
    if final.exists():
        return final
    (archive,) = fetch(LOCK)
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=final.parent, ignore_cleanup_errors=True) as work:
        whole = Path(work) / "registry"
        with tarfile.open(archive) as packed:
            packed.extractall(whole, filter="data")
        try:
            os.rename(whole, final)
        except OSError:  # another process was first
            if not final.exists():
                raise
    return final
