"""
Apache Kafka from packages, on this machine: one KRaft node, or three that form a cluster.

Each node is broker and controller in one process and has a folder: `server.properties`, `log`, `data/`. The ports and
the cluster id are chosen once and remembered in `kafka.json`, so that an address stays the same from start to start.
Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from adapters.kafka import clients, jvm
from adapters.maven import cache_folder, fetch, java
from domain.errors import Unavailable

VERSION: Final = "4.3.0"
LOCK: Final = Path(__file__).parent.parent / "jars" / "kafka.lock"

_OPTIONS: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
#: A part that ends is noticed at once; this is for one that a busy machine lets wait.
_SECONDS_TO_START: Final = 180.0
_SECONDS_TO_ANSWER: Final = 5.0
_ATTEMPTS_AT_PORTS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Pace:
    """
    How soon the controller believes that a broker is gone, and how often a broker shows that it is there.

    After a SIGKILL a node is ready again only when its old session has ended.
    """

    session_ms: int
    heartbeat_ms: int


STEADY: Final = Pace(session_ms=3000, heartbeat_ms=500)
#: For a broker that nobody kills: it stays known however busy the machine is.
PATIENT: Final = Pace(session_ms=30_000, heartbeat_ms=500)
FAST: Final = Pace(session_ms=1000, heartbeat_ms=200)
FAST_CLUSTER: Final = Pace(session_ms=2000, heartbeat_ms=300)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """
    Where a node listens: for clients, and for the controllers among themselves.
    """

    clients: int
    controller: int


def program() -> jvm.Program:
    """
    Return the broker as a program; fetches its files the first time.
    """
    jars = fetch(LOCK)
    class_path = os.pathsep.join(str(jar) for jar in jars)
    return jvm.Program(
        name="kafka",
        version=VERSION,
        run=("-cp", class_path, "kafka.Kafka"),
        files=tuple(jars),
        options=_OPTIONS,
    )


class Kafka:
    """
    One broker (`nodes=1`), or a cluster of brokers, with everything it has in `folder`.

    `extra` are broker settings on top of ours, for tests.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        pace: Pace = STEADY,
        extra: dict[str, str] | None = None,
        aot: bool = True,
    ) -> None:
        self.folder = folder.resolve()
        self.node_ids = range(1, nodes + 1)
        self.pace = pace
        self.extra = extra or {}
        self.aot = aot
        self.version = VERSION

    # ---- for everybody

    @property
    def address(self) -> str:
        """
        The `bootstrap_servers` of clients; empty before the first start.
        """
        return ",".join(f"{jvm.HOST}:{ports.clients}" for ports in self._remembered().values())

    @property
    def cluster_id(self) -> str:
        """
        The id that this cluster was given at its first start; empty before.
        """
        return str(self._read().get("cluster_id", ""))

    def pid(self, node_id: int = 1) -> int | None:
        """
        Return the process id of a node that runs, or nothing.
        """
        found = jvm.running(self._node(node_id))
        return int(found.pid) if found else None

    def start(self, *, within_s: float = _SECONDS_TO_START) -> None:
        """
        Start what does not run yet and wait until it is ready: every node is listed, every partition has a leader.

        Raises PartDidNotStart (with the path of the log), JavaUnavailable and JarsUnavailable.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS_AT_PORTS + 1):
            self._choose_ports(anew=attempt > 1)
            try:
                pids = {self._node(node_id): self._start_node(node_id) for node_id in self.node_ids}
                jvm.wait_until(self.is_ready, pids, name=self.name, within_s=within_s)
            except jvm.PartDidNotStart:
                # Another program may have taken a port between our choice and Java's; only then do we try again.
                if attempt == _ATTEMPTS_AT_PORTS or not self._lost_a_port():
                    raise
            else:
                return

    def is_ready(self) -> bool:
        """
        Do all nodes and all partitions of this very cluster answer?
        """
        try:
            view = clients.probe(self.address, within_s=_SECONDS_TO_ANSWER)
        except Unavailable:
            return False
        return view.cluster_id == self.cluster_id and view.is_complete(brokers=len(self.node_ids))

    def stop(self) -> None:
        """
        Stop all nodes; what they wrote stays.
        """
        jvm.stop(*(self._node(node_id) for node_id in self.node_ids))

    # ---- for tests of faults

    def start_node(self, node_id: int = 1) -> None:
        """
        Start one node and come back at once; `wait_until_ready` waits.
        """
        self._start_node(node_id)

    def wait_until_ready(self, *, within_s: float = _SECONDS_TO_START) -> None:
        """
        Wait until the cluster is whole again. Raises PartDidNotStart.
        """
        pids = {self._node(node_id): self.pid(node_id) or 0 for node_id in self.node_ids}
        jvm.wait_until(self.is_ready, pids, name=self.name, within_s=within_s)

    def kill(self, node_id: int = 1) -> None:
        """
        SIGKILL, as a crash does.
        """
        jvm.kill(self._node(node_id))

    def pause(self, node_id: int = 1) -> None:
        """
        SIGSTOP: the ports stay open and nobody answers.
        """
        jvm.pause(self._node(node_id))

    def resume(self, node_id: int = 1) -> None:
        """
        SIGCONT.
        """
        for process in jvm.find(self._node(node_id)):
            jvm.send(process, signal.SIGCONT)

    # ---- inside

    def _node(self, node_id: int) -> Path:
        return self.folder if len(self.node_ids) == 1 else self.folder / f"node-{node_id}"

    def _start_node(self, node_id: int) -> int:
        folder = self._node(node_id)
        folder.mkdir(exist_ok=True)
        found = jvm.running(folder)
        if found is not None:
            return int(found.pid)
        what = program()
        (folder / "server.properties").write_text(self._properties(node_id), encoding="utf-8")
        _format(what, folder / "data", node_id=node_id, cluster_id=self.cluster_id)
        aot = jvm.aot_options(what, _train) if self.aot else []
        return jvm.spawn(what, folder, "server.properties", aot=aot)

    def _properties(self, node_id: int) -> str:
        all_ports = self._remembered()
        ports = all_ports[node_id]
        copies = str(min(3, len(all_ports)))
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(node_id),
            "controller.quorum.voters": ",".join(f"{n}@{jvm.HOST}:{p.controller}" for n, p in all_ports.items()),
            "listeners": f"BROKER://{jvm.HOST}:{ports.clients},CONTROLLER://{jvm.HOST}:{ports.controller}",
            "advertised.listeners": f"BROKER://{jvm.HOST}:{ports.clients}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            # Relative to the folder the broker starts in: Kafka splits this setting at commas.
            "log.dirs": "data",
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": str(self.pace.session_ms),
            "broker.heartbeat.interval.ms": str(self.pace.heartbeat_ms),
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.num.partitions": "1",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": "1" if copies == "1" else "2",
            "default.replication.factor": copies,
            "min.insync.replicas": "1" if copies == "1" else "2",
            # A quarter of the stock 128 MB, which would not fit in our heap.
            "log.cleaner.dedupe.buffer.size": "33554432",
        }
        return "".join(f"{name}={value}\n" for name, value in (settings | self.extra).items())

    def _choose_ports(self, *, anew: bool) -> None:
        known = self._read()
        if len(known.get("ports", {})) == len(self.node_ids) and not anew and not self._lost_a_port():
            return
        chosen = jvm.free_ports(2 * len(self.node_ids))
        known["ports"] = {
            str(node_id): {"clients": chosen.pop(), "controller": chosen.pop()} for node_id in self.node_ids
        }
        known.setdefault("cluster_id", _random_id())
        # Written before anything starts: a starter that is killed here leaves a note that the next one uses.
        jvm.write_note(self.folder / "kafka.json", known)

    def _lost_a_port(self) -> bool:
        """
        Does nothing of ours run, and somebody else listen on a port that we remember?
        """
        if any(jvm.find(self._node(node_id)) for node_id in self.node_ids):
            return False
        ports = [port for pair in self._remembered().values() for port in (pair.clients, pair.controller)]
        return not all(jvm.is_free(port) for port in ports)

    def _remembered(self) -> dict[int, Ports]:
        ports = self._read().get("ports", {})
        return {int(node_id): Ports(**pair) for node_id, pair in ports.items()}

    def _read(self) -> dict[str, Any]:
        return jvm.read_note(self.folder / "kafka.json")


def _train(folder: Path, option: str) -> None:
    """
    The training run of the AOT cache: a node that starts, and answers.
    """
    kafka = Kafka(folder, pace=FAST, aot=False)
    kafka._choose_ports(anew=True)
    what = program()
    (folder / "server.properties").write_text(kafka._properties(1), encoding="utf-8")
    _format(what, folder / "data", node_id=1, cluster_id=kafka.cluster_id)
    pid = jvm.spawn(what, folder, "server.properties", aot=[option])
    jvm.wait_until(kafka.is_ready, {folder: pid}, name=kafka.name, within_s=_SECONDS_TO_START)


# ---- the first start: a formatted data folder ----------------------------------------------------------------------


def _format(what: jvm.Program, data: Path, *, node_id: int, cluster_id: str) -> None:
    """
    Make a formatted data folder from the template; one that is formatted already is left alone.

    `meta.properties` comes last, because with it the folder counts as formatted.
    """
    if (data / "meta.properties").exists():
        return
    data.mkdir(exist_ok=True)
    shutil.copy(_template(what) / "bootstrap.checkpoint", data / "bootstrap.checkpoint")
    facts = {"version": "1", "cluster.id": cluster_id, "node.id": str(node_id), "directory.id": _random_id()}
    draft = data / "meta.properties.new"
    draft.write_text("".join(f"{name}={value}\n" for name, value in facts.items()), encoding="ascii")
    os.replace(draft, data / "meta.properties")


def _template(what: jvm.Program) -> Path:
    """
    Return a folder that Kafka's own StorageTool formatted once; that takes a second, and is the same for every node.
    """
    final = cache_folder("kafka-template") / what.version
    if (final / "bootstrap.checkpoint").exists():
        return final
    with tempfile.TemporaryDirectory(prefix="formatting-", dir=final.parent, ignore_cleanup_errors=True) as work:
        kafka = Kafka(Path(work))
        kafka._choose_ports(anew=True)
        properties = Path(work) / "server.properties"
        properties.write_text(kafka._properties(1), encoding="utf-8")
        class_path = what.run[1]
        tool = ["-cp", class_path, "kafka.tools.StorageTool", "format", "-t", kafka.cluster_id, "-c", properties.name]
        done = subprocess.run([str(java()), *tool], cwd=work, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise jvm.PartDidNotStart(f"Kafka could not format its data folder: {done.stderr.strip()[-300:]}")
        try:
            os.rename(Path(work) / "data", final)
        except OSError:  # another process was first
            if not (final / "bootstrap.checkpoint").exists():
                raise
    return final


def _random_id() -> str:
    # Kafka's own notation of a UUID. One that begins with a dash would be read as an option by its tools.
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return text
