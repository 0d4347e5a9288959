"""
The stack comes up, stays up, comes back, and goes down, whatever is killed when.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from adapters import stack
from adapters.kafka import broker, clients, jvm, registry
from adapters.kafka.broker import FAST, Kafka
from adapters.kafka.registry import Registry
from adapters.postgres.embedded import EmbeddedServer
from adapters.stack import ServerPart, State
from tests.kafka_servers import TEST_SETTINGS
from tests.patience import PATIENCE_S, eventually

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(servers_folder: Path) -> Iterator[Path]:
    """
    A stack's folder with a name that is hard on Java, SQL and shells; what runs in it is stopped at the end.
    """
    folder = servers_folder / f"a stack, 100% 'ours'; {time.monotonic_ns()}"
    yield folder
    for part in (folder / "kafka", folder / "registry"):
        jvm.kill(part)


def only_kafka(folder: Path) -> list[stack.Part]:
    return [ServerPart(Kafka(folder / "kafka", pace=FAST, extra=TEST_SETTINGS))]


def kafka_of(folder: Path) -> Kafka:
    return Kafka(folder / "kafka", pace=FAST, extra=TEST_SETTINGS)


# ---- up, down, status -----------------------------------------------------------------------------------------------


def test_the_whole_stack_comes_up_is_seen_and_goes_down_and_leaves_nothing_running(folder: Path) -> None:
    assert [part.state for part in stack.status(folder)] == [State.STOPPED, State.STOPPED]
    came_up = stack.up(folder)
    assert [(part.name, part.state, part.version) for part in came_up] == [
        ("kafka", State.RUNNING, "4.3.0"),
        ("registry", State.RUNNING, "3.3.3"),
    ]
    assert stack.up(folder) == came_up == stack.status(folder)
    kafka, schemas = came_up
    assert clients.probe(kafka.address).is_complete()
    assert get_json(f"{schemas.address}/subjects") == []
    went_down = stack.down(folder)
    assert [(part.state, part.pid) for part in went_down] == [(State.STOPPED, None), (State.STOPPED, None)]
    assert [part.address for part in went_down] == [part.address for part in came_up]
    assert not any(psutil.pid_exists(part.pid or 0) for part in came_up)
    assert stack.down(folder) == went_down


def test_the_embedded_database_is_a_part_like_the_others(tmp_path: Path) -> None:
    parts = [stack.PostgresPart(EmbeddedServer(tmp_path / "postgres")), *only_kafka(tmp_path)]
    assert [part.state for part in stack.status(tmp_path, parts)] == [State.STOPPED, State.STOPPED]
    try:
        database, broker_ = stack.up(tmp_path, parts)
        assert (database.name, database.state, broker_.state) == ("postgres", State.RUNNING, State.RUNNING)
        with psycopg.connect(database.address) as session:
            assert session.info.server_version // 10_000 == int(database.version)
        assert stack.up(tmp_path, parts) == [database, broker_]
    finally:
        assert [part.state for part in stack.down(tmp_path, parts)] == [State.STOPPED, State.STOPPED]


def test_going_down_where_nothing_was_ever_up_changes_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert [part.state for part in stack.down(nowhere)] == [State.STOPPED, State.STOPPED]
    assert not nowhere.exists()


def test_a_database_that_another_command_started_goes_down_too(folder: Path) -> None:
    server = EmbeddedServer(folder.parent / f"{folder.name}-postgres")
    server.start()
    missing = folder / "never-up"
    assert [part.state for part in stack.down(missing, [stack.PostgresPart(server)])] == [State.STOPPED]
    assert not missing.exists()


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(stack.StackFolderUnusable, match="name another one"):
        stack.up(tmp_path / "file" / "stack")


def test_the_versions_we_name_are_those_of_the_locks() -> None:
    assert f"org.apache.kafka:kafka_2.13:{broker.VERSION} " in broker.LOCK.read_text()
    assert f"apicurio-registry-app:{registry.VERSION}:" in registry.LOCK.read_text()


# ---- kill -9 --------------------------------------------------------------------------------------------------------


def test_a_broker_that_was_killed_comes_back_at_its_address_with_its_records(folder: Path) -> None:
    (before,) = stack.up(folder, only_kafka(folder))
    admin = clients.admin(before.address)
    admin.create_topics({"kept": {"num_partitions": 3, "replication_factor": 1}})
    admin.close()
    kafka_of(folder).kill()
    (killed,) = stack.status(folder, only_kafka(folder))
    assert (killed.state, killed.pid) == (State.STOPPED, None)
    (after,) = stack.up(folder, only_kafka(folder))
    assert after.address == before.address
    assert after.pid != before.pid
    assert clients.probe(after.address).partitions["kept"] == 3


def test_what_is_registered_outlives_a_kill_of_the_registry(folder: Path) -> None:
    server = Registry(folder / "registry")
    server.start()
    schema = {"schema": json.dumps({"type": "record", "name": "Charged", "fields": [{"name": "year", "type": "int"}]})}
    id_before = post_json(f"{server.address}/subjects/Charged/versions", schema)["id"]
    server.kill()
    server.start()
    assert get_json(f"{server.address}/subjects") == ["Charged"]
    assert post_json(f"{server.address}/subjects/Charged", schema)["id"] == id_before
    server.stop()


def test_a_paused_broker_is_seen_as_not_answering_and_goes_down_all_the_same(folder: Path) -> None:
    (before,) = stack.up(folder, only_kafka(folder))
    kafka_of(folder).pause()
    (paused,) = stack.status(folder, only_kafka(folder))
    assert (paused.state, paused.pid) == (State.NOT_ANSWERING, before.pid)
    (after,) = stack.down(folder, only_kafka(folder))
    assert after.state == State.STOPPED
    assert not psutil.pid_exists(before.pid or 0)


# ---- others at the same time ----------------------------------------------------------------------------------------

_UP = """
import sys, pathlib
from adapters import stack
from tests.integration.test_stack import only_kafka
folder = pathlib.Path(sys.argv[1])
(part,) = stack.up(folder, only_kafka(folder))
print(part.pid)
"""


def test_two_programs_that_start_it_at_once_get_one_broker(folder: Path) -> None:
    both = [starter(folder) for _ in range(2)]
    pids = {process.communicate(timeout=PATIENCE_S)[0] for process in both}
    (part,) = stack.status(folder, only_kafka(folder))
    assert pids == {f"{part.pid}\n"}
    assert len(jvm.find(folder / "kafka")) == 1


def test_a_starter_that_is_killed_half_way_leaves_a_broker_that_the_next_one_takes_over(folder: Path) -> None:
    first = starter(folder)
    eventually(lambda: jvm.running(folder / "kafka") is not None)
    orphan = kafka_of(folder).pid()
    first.kill()
    first.communicate()
    (part,) = stack.up(folder, only_kafka(folder))
    assert part.pid == orphan
    stack.down(folder, only_kafka(folder))
    assert not psutil.pid_exists(orphan or 0)


def starter(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _UP, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_process_of_somebody_else_is_never_taken_for_ours(folder: Path) -> None:
    folder.mkdir()
    # The folder's name, but not the mark; and the mark of a folder whose name only begins like ours.
    marks = [str(folder / "kafka"), jvm.mark(folder / "kafka-2")]
    others = [subprocess.Popen([sys.executable, "-c", "input()", mark], stdin=subprocess.PIPE) for mark in marks]
    assert jvm.find(folder / "kafka") == []
    stack.down(folder, only_kafka(folder))
    assert [other.poll() for other in others] == [None, None]
    for other in others:
        other.kill()
        other.communicate()


def test_a_process_that_the_system_shows_without_its_command_line_yet_counts_as_running(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    kafka = kafka_of(folder)
    kafka.start()
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [])
    assert jvm.works_in(kafka.folder, kafka.pid() or 0)
    kafka.stop()
    assert kafka.pid() is None


def test_a_port_that_somebody_took_meanwhile_is_replaced(folder: Path) -> None:
    (before,) = stack.up(folder, only_kafka(folder))
    stack.down(folder, only_kafka(folder))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(before.address.rpartition(":")[2])))
        other.listen()
        (after,) = stack.up(folder, only_kafka(folder))
    assert after.address != before.address
    assert after.state == State.RUNNING


def test_ports_lie_where_no_outgoing_connection_gets_its_own() -> None:
    ports = jvm.free_ports(50)
    assert len(set(ports)) == 50
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(ranges.read_text().split()[0]) if ranges.exists() else 49152
    assert max(ports) < lowest


# ---- what does not start --------------------------------------------------------------------------------------------


def test_a_part_that_cannot_start_names_its_log_and_the_others_stay_up(folder: Path) -> None:
    broken = ServerPart(Kafka(folder / "broken", extra={"log.segment.bytes": "nonsense"}))
    with pytest.raises(stack.StackIncomplete, match="kafka ended before it was ready") as refused:
        stack.up(folder, [broken, *only_kafka(folder)])
    log = folder / "broken" / "log"
    assert str(log) in str(refused.value)
    assert "nonsense" in log.read_text()
    assert stack.status(folder, only_kafka(folder))[0].state == State.RUNNING


def test_a_log_that_grew_large_is_put_aside_at_the_next_start(folder: Path) -> None:
    kafka = kafka_of(folder)
    kafka.folder.mkdir(parents=True)
    (kafka.folder / "log").write_bytes(b"old words\n" * 1_100_000)
    kafka.start()
    assert (kafka.folder / "log.1").stat().st_size == 11_000_000
    assert (kafka.folder / "log").stat().st_size < 100_000
    kafka.stop()


# ---- three brokers --------------------------------------------------------------------------------------------------


def test_three_brokers_go_on_when_the_leader_dies_and_are_whole_again_when_it_is_back(
    kafka_cluster: Kafka, make_topic: Any
) -> None:
    topic = make_topic(kafka_cluster)
    producer = clients.producer(kafka_cluster.address)
    producer.send(topic, b"before", partition=0).get(PATIENCE_S)
    leader = kafka_cluster_leader(kafka_cluster, topic)
    kafka_cluster.kill(leader)
    producer.send(topic, b"without it", partition=0).get(PATIENCE_S)
    assert not kafka_cluster.is_ready()
    assert kafka_cluster_leader(kafka_cluster, topic) != leader
    kafka_cluster.start_node(leader)
    kafka_cluster.wait_until_ready()
    producer.close()


def kafka_cluster_leader(kafka: Kafka, topic: str) -> int:
    admin = clients.admin(kafka.address)
    try:
        return int(admin.describe_topics([topic])[0]["partitions"][0]["leader_id"])
    finally:
        admin.close()


# ---- nothing outlives the tests --------------------------------------------------------------------------------------


def test_a_broker_of_a_test_run_that_is_killed_does_not_outlive_it(tmp_path: Path) -> None:
    case = tmp_path / "test_waits.py"
    case.write_text(
        "import pathlib, time\n"
        "def test_waits(kafka):\n"
        f"    pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(kafka.pid()))\n"
        "    time.sleep(120)\n"
    )
    arguments = [
        "-p",
        "tests.kafka_servers",
        "--rootdir",
        str(tmp_path),
        "--basetemp",
        str(tmp_path / "base"),
        str(case),
    ]
    run = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not psutil.pid_exists(pid))


# ---- a client of the registry that shares nothing with ours -----------------------------------------------------------


def get_json(url: str) -> Any:
    return ask(urllib.request.Request(url))


def post_json(url: str, body: object) -> Any:
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    return ask(urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers))


def ask(request: urllib.request.Request) -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)
