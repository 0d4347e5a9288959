"""
Projectors and imports are killed with SIGKILL at moments drawn by a seed: nothing is lost, nothing counts twice.

`BACKOFFICE_TEST_KILLS` sets how many kills. The planted defect (the position moved before the rows) must be caught by the same
harness.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.postgres.database import OWNER, Database
from adapters.postgres.projector import Projector, fold_into
from adapters.postgres.rows import RowWriter, schema_of
from adapters.sealing import MasterKey
from application import take_commands
from domain.ids import Kind
from formats.jsonl import write_lines
from projections.premium_account import PremiumAccount
from tests.faults.kills import kill_if_there
from tests.patience import PATIENCE_S
from tests.world import World, paid

KILLS = int(os.environ.get("BACKOFFICE_TEST_KILLS", "40"))
SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20261121"))
YEAR_MEMBERS = max(1_500, 40 * KILLS)  # so many that a projector is killed at work to the last
BATCH_EVENTS = 20
PART_COMMANDS = 50
REGISTERED_ON = date(2025, 1, 3)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.world", "tests.faults.test_projector_and_import_kills"])


class PositionFirst(Projector):
    """
    The planted defect: the position in a transaction of its own, then the rows.
    """

    def apply(self, batch: Any, *, reached: int | None = None, **_: Any) -> None:
        position = batch[-1].position if reached is None else reached
        with self._connection.transaction(), self._connection.cursor() as cursor:
            move = "UPDATE projection_positions SET position = %s WHERE projection = %s"
            cursor.execute(move, [position, self._model.name])
        with self._connection.transaction(), self._connection.cursor() as cursor:
            fold_into(cursor, self._model, RowWriter(schema_of(self._model), self._model.tables), batch)
        self.position = position


def project(url: str, home: str, begins: Connection, *, projector: type[Projector]) -> None:
    with Database(url) as database:
        world = World(database, Path(home), opened=True)
        with database.connect(OWNER) as session:
            works = projector(
                connection=session, feed=world.backoffice.store.feed, model=PremiumAccount(), batch_events=BATCH_EVENTS
            )
            works.stored_position()
            take = works.apply

            def apply(*args: Any, **named: Any) -> None:
                begins.send(True)
                take(*args, **named)

            works.apply = apply  # type: ignore[method-assign]
            works.catch_up()
            begins.send(True)  # there was nothing more to do


def project_right(url: str, home: str, begins: Connection) -> None:
    project(url, home, begins, projector=Projector)


def project_wrong(url: str, home: str, begins: Connection) -> None:
    project(url, home, begins, projector=PositionFirst)


def import_bank_file(url: str, home: str, begins: Connection) -> None:
    with Database(url) as database:
        world = World(database, Path(home), opened=True)
        world.backoffice.money_in.lookups.refresh()
        begins.send(True)
        world.take((Path(home) / "statement.cod").read_bytes(), on=date(2025, 3, 4))


def import_commands(url: str, home: str, begins: Connection) -> None:
    with Database(url) as database, pytest.MonkeyPatch.context() as changed:
        changed.setattr(take_commands, "CHUNK_COMMANDS", PART_COMMANDS)
        world = World(database, Path(home), opened=True)
        world.take_file(
            (Path(home) / "commands.jsonl").read_bytes(), on=REGISTERED_ON, moved=lambda _: begins.send(True)
        )


def kill_often(body: Callable[..., None], url: str, home: Path, *, kills: int, life_seconds: float) -> int:
    """
    Start the body again and again and kill it at drawn moments; return how many were killed before they were done.
    """
    drawn, count = random.Random(SEED), 0
    for _ in range(kills):
        hears, says = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=body, args=(url, str(home), says), daemon=True)
        process.start()
        says.close()
        assert hears.poll(PATIENCE_S)
        process.join(drawn.uniform(0, life_seconds))
        count += process.is_alive() and kill_if_there(process)
        process.join(PATIENCE_S)
        process.close()
        hears.close()
    return count


def fund_with_a_year(database: Database, home: Path, *, members: int) -> World:
    world = World(database, home, started_on=date(2025, 1, 2))
    world.register_many(members, on=date(2025, 1, 3))
    world.backoffice.catch_up(("premium_account",))  # the kills are to hit the events that change rows
    planned = world.plan("invitations", on=date(2025, 1, 20))
    world.backoffice.runs.approve(planned.run, digest=planned.digest, actor="bob")
    world.backoffice.runs.execute(planned.run, as_of=date(2025, 1, 20), actor="an")
    return world


def standing(world: World) -> list[Any]:
    world.backoffice.catch_up(("premium_account",))
    return world.rows("SELECT * FROM rm_premium_account.premium_year ORDER BY 1, 2") + world.rows(
        "SELECT * FROM rm_premium_account.affiliation ORDER BY 1"
    )


def rebuilt(world: World) -> list[Any]:
    rebuild = world.backoffice.rebuild("premium_account")
    rebuild.build(streams=world.backoffice.pages, moved=lambda _: None)
    rebuild.swap()
    return standing(world)


def test_projectors_killed_anywhere_leave_the_rows_of_an_undisturbed_rebuild(database, tmp_path):
    world = fund_with_a_year(database, tmp_path, members=YEAR_MEMBERS)
    killed = kill_often(project_right, database.url, tmp_path, kills=KILLS, life_seconds=0.06)
    assert killed > KILLS // 4
    assert standing(world) == rebuilt(world)


def test_the_planted_defect_position_first_is_caught_by_the_same_kills(database, tmp_path):
    world = fund_with_a_year(database, tmp_path, members=YEAR_MEMBERS)
    kill_often(project_wrong, database.url, tmp_path, kills=KILLS, life_seconds=0.06)
    assert standing(world) != rebuilt(world)


def test_bank_imports_killed_anywhere_take_the_file_once_or_not_at_all(database, tmp_path):
    world = fund_with_a_year(database, tmp_path, members=600)
    world.backoffice.catch_up()
    asked = world.asked("invitation", 2025)
    statement = world.statement(
        date(2025, 3, 3), [paid(ogm, cents, value_date=date(2025, 3, 3)) for _, _, ogm, cents in asked]
    )
    (tmp_path / "statement.cod").write_bytes(world.coda(statement))
    killed = kill_often(import_bank_file, database.url, tmp_path, kills=KILLS // 2, life_seconds=0.25)
    assert killed > 0
    world.take((tmp_path / "statement.cod").read_bytes(), on=date(2025, 3, 4))
    (received, open_cents) = world.rows(
        "SELECT sum(paid_cents), sum(charged_cents - paid_cents) FROM rm_premium_account.premium_year"
    )[0]
    assert received == sum(cents for _, _, _, cents in asked)
    assert open_cents == 0
    assert world.rows("SELECT count(*) FROM rm_bank.statement") == [(1,)]
    assert MasterKey.read(tmp_path / "master.key")


def test_imports_of_commands_killed_anywhere_give_each_line_one_effect_and_the_same_answer(database, tmp_path):
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    commands = [world.newcomer() for _ in range(60 * PART_COMMANDS)]
    content = b"".join(write_lines(msgspec.to_builtins(command) for command in commands))
    (tmp_path / "commands.jsonl").write_bytes(content)
    assert kill_often(import_commands, database.url, tmp_path, kills=KILLS // 4, life_seconds=0.2) > 0
    kept = world.backoffice.store.answers([command.command_id for command in commands])
    assert kept
    answered = world.take_file(content, on=date(2025, 2, 1))
    assert {each.answer.outcome for each in answered} == {"accepted"}
    assert {each.answer.command_id: each.answer for each in answered if each.repeated} == kept
    assert sum(len(page) for page in world.backoffice.pages(Kind.MEMBER)) == len(commands)
