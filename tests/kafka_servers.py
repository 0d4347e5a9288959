"""
The real broker and the real registry that tests run on, once per session; and brokers of a test's own, to be killed.

Nothing outlives pytest: should pytest itself be killed, a watchman process sees its pipe close and ends what runs here.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.kafka import clients
from adapters.kafka.broker import FAST, FAST_CLUSTER, PATIENT, Kafka
from adapters.kafka.registry import Registry
from tests.patience import eventually

ROOT = Path(__file__).parent.parent

#: Only for tests: members of a group may be declared dead soon, nothing is compacted, and nothing is thrown away: tests
#: send messages of fixed days, and a broker keeps messages for a week by their own time (it looks 30 s after its start).
TEST_SETTINGS = {
    "group.min.session.timeout.ms": "500",
    "log.cleaner.enable": "false",
    "log.retention.ms": "-1",
}

_WATCHMAN = """
import shutil, sys, pathlib
sys.stdin.read()
from adapters.kafka import jvm
folder = pathlib.Path(sys.argv[1])
if folder.exists():
    for part in [folder, *folder.rglob("*")]:
        if part.is_dir() and jvm.running(part):
            jvm.kill(part)
    shutil.rmtree(folder, ignore_errors=True)
"""


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    A folder for servers; what still runs in it when pytest ends, however it ends, is killed.
    """
    folder = tmp_path_factory.mktemp("servers")
    watchman = subprocess.Popen(
        [sys.executable, "-c", _WATCHMAN, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True
    )
    yield folder
    watchman.communicate()
    assert watchman.returncode == 0


@pytest.fixture(scope="session")
def kafka(servers_folder: Path) -> Iterator[Kafka]:
    """
    A broker that all tests share; make topics of your own, and leave it running.
    """
    server = Kafka(servers_folder / "kafka", pace=PATIENT, extra=TEST_SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def registry(servers_folder: Path) -> Iterator[Registry]:
    """
    A schema registry that all tests share; use subjects of your own.
    """
    server = Registry(servers_folder / "registry")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sockets_left_behind() -> Iterator[None]:
    """
    Each connection that kafka-python could not make is a socket that it leaves to the garbage collector: expected in the
    tests that take brokers away, and collected there, so that no other test is blamed for it.
    """
    warnings.filterwarnings("ignore", message="unclosed <socket", category=ResourceWarning)  # until the test has ended
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # pytest keeps log records, and they keep the sockets
    yield
    logger.setLevel(level)
    # A client that was closed while it tried to connect has a thread that is still about to let go of its socket.
    eventually(lambda: not any("kafka" in thread.name.lower() for thread in threading.enumerate()))
    gc.collect()


@pytest.fixture
def own_kafka(servers_folder: Path, sockets_left_behind: None) -> Iterator[Kafka]:
    """
    A broker for one test, which may kill, pause and restart it.
    """
    server = Kafka(servers_folder / f"kafka-{uuid.uuid4().hex[:8]}", pace=FAST, extra=TEST_SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kafka_cluster(servers_folder: Path, sockets_left_behind: None) -> Iterator[Kafka]:
    """
    Three brokers for one test, which may kill any of them.
    """
    folder = servers_folder / f"cluster-{uuid.uuid4().hex[:8]}"
    server = Kafka(folder, nodes=3, pace=FAST_CLUSTER, extra=TEST_SETTINGS)
    server.start()
    yield server
    for node_id in server.node_ids:  # the last ones would wait for a majority that is gone
        server.kill(node_id)


@pytest.fixture
def make_topic() -> Callable[..., str]:
    """
    Make a topic with a name of its own on a broker: `make_topic(kafka, partitions=3)` returns the name.
    """

    def make(server: Kafka, *, partitions: int = 1, name: str | None = None) -> str:
        topic = name or f"test.{uuid.uuid4().hex[:12]}"
        copies = min(3, len(server.node_ids))
        admin = clients.admin(server.address)
        try:
            admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": copies}})
        finally:
            admin.close()
        eventually(lambda: clients.probe(server.address).partitions.get(topic) == partitions)
        return topic

    return make
