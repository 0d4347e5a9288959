"""
Writers that are killed: each works through its commands, and notes every one that was answered.

They run in processes of their own, forked from a clean server process, so that a kill takes nothing else along.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import msgspec

from adapters.postgres import recorder
from adapters.postgres.database import Database
from adapters.postgres.store import PostgresStore
from adapters.sealing import MasterKey
from application.ports import Answer, WrittenMeanwhile
from domain.errors import Unavailable
from domain.ids import StreamId
from tests.small_aggregate import COUNTER, change, command_id, commit, counted, counter, opened

KEY = MasterKey(b"k" * 32)
_SHARED_STREAMS = 6


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one writer has to do. `with_command_id=False` is the planted defect: nothing tells a repeat from a new command.
    """

    url: str
    writer: int
    commands: int
    notes: str
    seed: int
    with_command_id: bool = True
    locked: bool = True


def context() -> ForkServerContext:
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.faults.writers"])
    return found


def start(plan: Plan) -> ForkServerProcess:
    process = context().Process(target=work, args=[plan], daemon=True)
    process.start()
    return process


def number_of(plan: Plan, index: int) -> int:
    return plan.writer * 1_000_000 + index


def streams_of(plan: Plan, index: int) -> Sequence[tuple[StreamId, int]]:
    """
    Return which streams a command counts on, and how often: few on shared streams, or many on streams of its own.
    """
    chance = random.Random(f"{plan.seed} {plan.writer} {index}")
    if chance.random() < 0.7:
        return [(counter(chance.randrange(_SHARED_STREAMS)), chance.randint(1, 3))]
    first = 1_000 + (plan.writer * 1_000 + index) * 100
    return [(counter(first + n), chance.randint(1, 4)) for n in range(chance.choice([10, 60]))]


def answered(plan: Plan) -> int:
    """
    Return how many commands the writer noted as answered; a note cut by a kill is none.
    """
    path = Path(plan.notes)
    return path.read_bytes().count(b"\n") if path.exists() else 0


def work(plan: Plan) -> None:
    if not plan.locked:
        recorder._LOCK_SQL = "SELECT 1"  # the other planted defect: positions without a lock
    notes = os.open(plan.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with (
        Database(plan.url, application=f"writer-{plan.writer}") as database,
        PostgresStore(database, aggregates=[COUNTER], master=KEY) as store,
    ):
        for index in range(answered(plan), plan.commands):
            _until_answered(store, plan, index)
            time.sleep(random.uniform(0, 0.003))  # the answer's way back to who asked
            os.write(notes, f"{index}\n".encode())


def _until_answered(store: PostgresStore, plan: Plan, index: int) -> None:
    number = number_of(plan, index)
    while True:
        try:
            if plan.with_command_id and command_id(number) in store.answers([command_id(number)]):
                return
            _record(store, plan, index)
        except WrittenMeanwhile:
            continue
        except recorder.PositionsBroken:  # the second wall, which a writer without the lock runs into
            if plan.locked:
                raise
        except Unavailable:
            time.sleep(0.01)
        else:
            return


def _record(store: PostgresStore, plan: Plan, index: int) -> None:
    number = number_of(plan, index)
    wanted = streams_of(plan, index)
    with store.transaction(commit(number)) as unit:
        loaded = unit.load(COUNTER, [stream for stream, _ in wanted])
        changes = []
        for stream, times in wanted:
            state, version = loaded[stream]
            events = [counted(1, note=f"{number}/{n}") for n in range(times)]
            named = [opened(f"name of {number}")] if version == 0 else []
            changes.append(change(stream, version, *named, *events, state=state))
        unit.append(COUNTER, changes)
        if plan.with_command_id:
            unit.answer(Answer(command_id=command_id(number), digest=str(number), outcome="counted"))
        if not plan.locked:
            time.sleep(random.uniform(0, 0.01))
