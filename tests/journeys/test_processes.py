"""
The processes that run beside the others, as docker-compose.yml starts them: real ones, on a real database.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from application.runs.execute import Limits
from tests.cli import Cli, schema_path
from tests.patience import PATIENCE_S, eventually
from tests.world import World, paid


@pytest.fixture
def world(database: Any, tmp_path: Path) -> World:
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(12, on=date(2025, 1, 3))
    return world


@pytest.fixture
def cli(database: Any, tmp_path: Path) -> Cli:
    return Cli(tmp_path, database_url=database.url)


def answer_of(process: subprocess.Popen[str], name: str, *, by: signal.Signals = signal.SIGTERM) -> Any:
    """
    Stop a process as the system does, and return its answer, held against its schema.
    """
    process.send_signal(by)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    Draft202012Validator(json.loads(schema_path(name).read_text(encoding="utf-8"))).validate(json.loads(out))
    return json.loads(out)


def test_the_projector_follows_what_is_recorded_until_it_is_stopped(world: World, cli: Cli) -> None:
    process = cli.start("projector", "--json")
    try:
        eventually(lambda: _behind(cli) == 0)
        world.run("invitations", on=date(2025, 1, 20))
        asks = world.asked("invitation", 2025)
        world.bank(date(2025, 3, 3), [paid(asks[0][2], asks[0][3], value_date=date(2025, 3, 3))])
        eventually(lambda: _behind(cli) == 0)
    finally:
        answer = answer_of(process, "projector")
    assert all(model["behind"] == 0 for model in answer["models"])
    assert answer["read"] > 0


def _behind(cli: Cli) -> int:
    """
    How far read models are behind; 1 while there is none yet.
    """
    models = cli.json("status")["projections"]
    return sum(each["lag_events"] for each in models) if models else 1


def test_a_worker_does_what_others_started_and_nothing_that_was_not(world: World, cli: Cli) -> None:
    runs = dataclasses.replace(world.backoffice.runs, chunk_items=4)
    planned = world.plan("invitations", on=date(2025, 1, 20))
    run = planned.run
    process = cli.start("worker", "--json", BACKOFFICE_ACTOR="helper")
    try:
        runs.approve(run, digest=planned.digest, actor="bob")
        time.sleep(2.5)  # it looks every second
        assert runs.state(run).phase == "approved"
        runs.start(run, as_of=date(2025, 1, 20), actor="an", limits=Limits())
        eventually(lambda: runs.state(run).phase == "executed")
    finally:
        answer = answer_of(process, "worker", by=signal.SIGINT)
    assert answer["runs"] == [str(run)]
    totals = runs.book.totals(run)
    assert (totals.done, totals.chunks_done) == (12, 3)
