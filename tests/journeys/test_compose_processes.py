"""
What docker-compose.yml starts of ours does its work: the same commands with the same settings, from the same files as in
the image but without the containers, on a real database, a real broker and a real registry.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from formats.published_commands import COMMANDS
from tests.cli import ROOT, Cli, as_url
from tests.consumer_material import send
from tests.image import PYTHON, image
from tests.integration.test_consumers_inbound import a_command, sent
from tests.patience import PATIENCE_S, eventually

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
OURS = [name for name, service in SERVICES.items() if service.get("build")]
#: What the head of the file says is to be done the first time.
FIRST_TIME = re.findall(r"^#   docker compose run --rm (\w+) (.+)$", TEXT, re.MULTILINE)
(HEALTH,) = re.findall(r"HEALTHCHECK .* CMD (\[.*\])", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


@pytest.fixture
def services(database: Any, own_kafka: Any, registry: Any, tmp_path: Path) -> dict[str, Cli]:
    """
    The settings of each service, with the addresses of this test in them and a home of its own.
    """
    key = tmp_path / "master.key"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(32), encoding="ascii")
    here = {
        "BACKOFFICE_DATABASE_URL": as_url(database.url),
        "BACKOFFICE_MASTER_KEY_FILE": str(key),
        "BACKOFFICE_KAFKA_BROKERS": own_kafka.address,
        "BACKOFFICE_SCHEMA_REGISTRY_URL": registry.address,
        "PGPASSWORD": "",
    }
    inside = image(tmp_path / "image")
    made = {}
    for name in OURS:
        home = tmp_path / name
        home.mkdir(mode=0o700)
        made[name] = Cli(home)
        made[name].python = PYTHON
        made[name].environment = {**inside, **SERVICES[name]["environment"], **here, "BACKOFFICE_HOME": str(home)}
    return made


def test_our_processes_come_up_stay_work_and_go_down(services: dict[str, Cli], own_kafka: Any) -> None:
    assert len(FIRST_TIME) == 3
    for name, words in FIRST_TIME:
        done = services[name].process(*words.split())
        assert done.returncode == 0, done.stderr
    with started(services) as processes:
        recorded = services["schedule"].json("status")["last_position"]
        assert recorded > 0
        send(own_kafka, COMMANDS, [sent(a_command(1))])
        eventually(lambda: services["commands"].json("status")["last_position"] > recorded)
        eventually(lambda: followed(services["relay"]))
        for name in OURS:
            checked = services[name].process(*json.loads(HEALTH)[3:])
            assert (processes[name].poll(), checked.returncode) == (None, 0), checked.stderr


def followed(cli: Cli) -> bool:
    """
    Return whether the relay and every read model are at the last event, and somebody holds the relay.
    """
    status = cli.json("status")
    (relay,) = status["relays"]
    models = status["projections"]
    return bool(relay["holder"] and models) and not any(each["lag_events"] for each in (relay, *models))


@contextmanager
def started(services: dict[str, Cli]) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """
    Start every service of ours, and stop them as Docker does (SIGTERM), which they obey without complaint.
    """
    processes = {name: services[name].start(*SERVICES[name]["command"]) for name in OURS}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        said = {name: process.communicate(timeout=PATIENCE_S)[1] for name, process in processes.items()}
    assert {name: (process.returncode, said[name]) for name, process in processes.items() if process.returncode} == {}
