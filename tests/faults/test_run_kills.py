"""
Planners and workers of runs are killed with SIGKILL at moments drawn by a seed; what is recorded is the same.

`BACKOFFICE_TEST_KILLS` sets how many kills (40 here; releases take 500). Each promise has a planted defect that the same
harness must catch, or its silence would prove nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import psutil
import pytest

from adapters.postgres.database import READER, Database
from adapters.run_workers import PlannersStopped, Processes
from application.runs import plan as runs_plan
from application.runs.execute import LEASE_SECONDS, Worker
from application.runs.lifecycle import Runs
from application.runs.ports import Item, OutcomeRow
from domain.envelope import Commit
from domain.ids import StreamId, derived_key
from tests.faults.kills import kill_if_there
from tests.patience import PATIENCE_S
from tests.run_house import ANN, BERT, events_of_members, have_members, open_runs

KILLS = int(os.environ.get("BACKOFFICE_TEST_KILLS", "40"))
SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20261121"))
DAY = date(2026, 1, 20)
MEMBERS = 2_400
PART_SECONDS = 0.02

#: What a process does: open the database, and work; before each part it says something.
Body = Callable[[str, StreamId, Connection], None]
# A server of forks that has everything imported: a worker starts in milliseconds, so that kills hit its work.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.run_house", "tests.faults.test_run_kills"])


def worker(url: str, run: StreamId, says: Connection) -> None:
    with open_runs(url, calendar=False) as runs:
        tell = lambda done, _all: says.send(done)  # noqa: E731
        runs.work(run, actor=ANN, name=f"worker {os.getpid()}", progress=tell)


def worker_of_two(url: str, run: StreamId, says: Connection) -> None:
    """
    The same with two threads.
    """
    with open_runs(url, calendar=False) as opened:
        runs = replace(opened, chunk_items=20)
        tell = lambda done, _all: says.send(done)  # noqa: E731
        runs.work_here(runs.registered(run), actor=f"worker {os.getpid()} ", limits=runs.limits, progress=tell)


def planner(url: str, _run: StreamId, says: Connection) -> None:
    with open_runs(url, calendar=False) as runs:
        says.send(0)
        runs.plan("invitations", business_date=DAY, as_of=DAY, actor=ANN, seen=lambda looked, _: says.send(looked))


def planner_of_two(url: str, _run: StreamId, says: Connection) -> None:
    """
    The same with two processes that make the pages, small ones.
    """
    runs_plan.PAGE_STREAMS = 200  # type: ignore[misc]  # in this process, which ends with the plan
    with open_runs(url, calendar=False) as opened:
        runs = with_planners(opened)
        says.send(0)
        tell = lambda looked, _: says.send(looked)  # noqa: E731
        runs.plan("invitations", business_date=DAY, as_of=DAY, actor=ANN, workers=2, seen=tell)


def with_planners(runs: Runs) -> Runs:
    """
    Return the runs with a crew that plans every page, however late it comes.
    """
    assert isinstance(runs.crew, Processes)
    return replace(runs, crew=runs.crew._replace(wait_seconds=PATIENCE_S))


class FlagAtTheEnd(Worker):
    """
    The planted defect: the events first, "done" in a transaction of its own afterwards, and no look at what is there.
    """

    def _do_chunk(self, number: int) -> None:
        commit = Commit(
            command_id=derived_key(str(self._run.run), "chunk", str(number)), actor=ANN, business_date=DAY,
            cause="defect", run=self._run.run,
        )  # fmt: skip
        with self._store.transaction(commit) as unit:
            chunk = self._book.claim(unit, self._run.run, number, worker=self._name, seconds=LEASE_SECONDS)
            if chunk is None:
                return
            parts = self._do(unit, self._book.chunk_items(unit, self._run.run, chunk))
        time.sleep(0.01)
        with self._store.transaction(commit) as unit:
            if self._book.claim(unit, self._run.run, number, worker=self._name, seconds=LEASE_SECONDS):
                self._finish(unit, chunk, parts)

    def _problem(self, item: Item, known: Any, moved: Any) -> OutcomeRow | None:
        return None


def defective_worker(url: str, run: StreamId, says: Connection) -> None:
    with open_runs(url, calendar=False) as runs:
        registered = runs.registered(run)
        FlagAtTheEnd(
            store=runs.store, book=runs.book, members=runs.members, job=runs.job("invitations"), law=runs.law,
            run=registered, actor=ANN, name="defect",
        ).work(may_go_on=lambda: says.send(0))  # fmt: skip


class Killer:
    """
    Keeps two processes at work and kills them at drawn moments, `kills` times in all; then lets them finish.
    """

    def __init__(self, *, url: str, run: StreamId, body: Body, seed: int, parts_max: int = 8) -> None:
        self._url, self._run, self._body, self._parts_max = url, run, body, parts_max
        self._random = random.Random(seed)
        self.killed_pids: list[int] = []

    @property
    def killed(self) -> int:
        return len(self.killed_pids)

    def until(self, is_done: Callable[[], bool], *, kills: int, processes: int = 2) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_done():
            assert time.monotonic() < end, "the run does not get to its end"
            started = [self._start() for _ in range(processes)]
            for process, hears in started:
                if self.killed < kills:
                    self._let_live_a_while(process, hears)
                    if process.is_alive() and kill_if_there(process):
                        self.killed_pids.append(process.pid)
            if self.killed < kills:
                end = time.monotonic() + PATIENCE_S  # as many rounds as there are kills to come
            for process, hears in started:
                process.join(PATIENCE_S)
                process.close()
                hears.close()

    def _let_live_a_while(self, process: Any, hears: Connection) -> None:
        """
        Wait for a drawn number of parts, and for a drawn moment of the next one: by its own pace, on any machine.
        """
        for _ in range(self._random.randint(1, self._parts_max)):
            if not hears.poll(PATIENCE_S):
                return
            try:
                hears.recv()
            except EOFError:
                return
        process.join(self._random.uniform(0, PART_SECONDS))

    def _start(self) -> tuple[Any, Connection]:
        hears, says = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=self._body, args=(self._url, self._run, says))
        process.start()
        says.close()
        return process, hears


@contextmanager
def approved_run(url: str, *, members: int) -> Iterator[tuple[Runs, StreamId]]:
    """
    Give a run of small chunks that is started and has no worker yet.
    """
    with open_runs(url, calendar=False) as opened:
        runs = replace(opened, chunk_items=20)
        have_members(runs, members)
        planned = runs.plan("invitations", business_date=DAY, as_of=DAY, actor=ANN)
        runs.approve(planned.run, digest=planned.digest, actor=BERT)
        runs.start(planned.run, as_of=DAY, actor=ANN, limits=runs.limits)
        yield runs, planned.run


def what_the_run_did(url: str) -> list[Any]:
    return [row for row in events_of_members(url) if row[2].startswith("zorgkas.")]


def workers_that_finished_a_chunk(url: str) -> set[int]:
    with Database(url) as database, database.session(READER) as session:
        names = session.execute("SELECT DISTINCT worker FROM run_chunks WHERE worker LIKE 'worker %'").fetchall()
    return {int(name.split()[1]) for (name,) in names}


def all_chunks_done(runs: Runs, run: StreamId) -> bool:
    totals = runs.book.totals(run)
    return totals.chunks_done == totals.chunks


@pytest.fixture(scope="module")
def undisturbed(make_database: Any, template: str) -> list[Any]:
    url = make_database(like=template)
    with approved_run(url, members=MEMBERS) as (runs, run):
        runs.work(run, actor=ANN, name="alone")
        assert all_chunks_done(runs, run)
    return what_the_run_did(url)


@pytest.mark.parametrize("body", [worker, worker_of_two])
def test_workers_killed_at_any_moment_leave_the_same_events_as_an_undisturbed_run(
    make_database: Any, template: str, undisturbed: list[Any], body: Body
) -> None:
    kills = KILLS // 2  # of each kind of worker
    killed = attempt = hit_at_work = 0
    while killed < kills:
        url = make_database(like=template)
        with approved_run(url, members=MEMBERS) as (runs, run):
            killer = Killer(url=url, run=run, body=body, seed=SEED + attempt)
            killer.until(partial(all_chunks_done, runs, run), kills=kills - killed)
            totals = runs.finish(run, actor=ANN)
            assert (totals.done, totals.refused, totals.parked) == (MEMBERS, 0, 0)
            controls = runs.settle(run, actor=ANN)
            assert all(control.expected == control.actual for control in controls), f"seed {SEED + attempt}"
        assert what_the_run_did(url) == undisturbed, f"seed {SEED + attempt}"
        killed, attempt = killed + killer.killed, attempt + 1
        hit_at_work += len(workers_that_finished_a_chunk(url) & set(killer.killed_pids))
        assert killer.killed
    assert hit_at_work >= kills // 2, "most kills must hit a worker in the middle of its work, or they prove nothing"


def test_the_same_harness_catches_a_worker_that_sets_its_done_flag_at_the_end(
    make_database: Any, template: str, undisturbed: list[Any]
) -> None:
    url = make_database(like=template)
    with approved_run(url, members=MEMBERS) as (runs, run):
        killer = Killer(url=url, run=run, body=defective_worker, seed=SEED)
        killer.until(partial(all_chunks_done, runs, run), kills=20)
    assert len(what_the_run_did(url)) > len(undisturbed)


def test_a_planner_that_is_killed_leaves_nothing_and_the_next_plan_is_the_same(
    make_database: Any, template: str
) -> None:
    digests = []
    for body, kills in ((planner, 0), (planner, 8), (planner_of_two, 4)):
        url = make_database(like=template)
        with open_runs(url, calendar=False) as runs:
            have_members(runs, 6_000)
            killer = Killer(url=url, run=StreamId(derived_key("none")), body=body, seed=SEED, parts_max=3)
            killer.until(lambda runs=runs: runs.book.last("invitations") is not None, kills=kills, processes=1)
            last = runs.book.last("invitations")
            assert last is not None
            assert killer.killed >= kills // 2
            digests.append((last.digest, last.items, last.key.round, last.first_ogm))
    assert digests[0] == digests[1] == digests[2]


def test_a_plan_whose_helper_is_killed_leaves_nothing_and_the_next_plan_is_the_same(
    make_database: Any, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database(like=template)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with open_runs(url, calendar=False) as opened:
        have_members(opened, 3_000)
        monkeypatch.setattr(runs_plan, "PAGE_STREAMS", 100)
        runs, killed = with_planners(opened), list[int]()

        def kill_one(looked_at: int, _items: int) -> None:
            if looked_at >= 500 and not killed:
                helpers = [
                    child.pid
                    for child in psutil.Process().children(recursive=True)
                    if child.pid not in before and not child.children()
                ]
                killed.append(max(helpers))
                os.kill(killed[0], signal.SIGKILL)

        with pytest.raises(PlannersStopped, match="nothing of the plan stands"):
            runs.plan("invitations", business_date=DAY, as_of=DAY, actor=ANN, workers=2, seen=kill_one)
        assert killed
        assert runs.book.last("invitations") is None
        with Database(url) as database, database.session(READER) as session:
            assert session.execute("SELECT count(*) FROM run_items").fetchone() == (0,)
        again = runs.plan("invitations", business_date=DAY, as_of=DAY, actor=ANN, workers=2)
        assert (again.items, again.key.round) == (3_000, 1)


def test_a_plan_in_several_processes_at_once_is_one_plan(make_database: Any, template: str) -> None:
    url = make_database(like=template)
    with open_runs(url, calendar=False) as runs:
        have_members(runs, 500)
        started = []
        for _ in range(3):
            hears, says = PROCESSES.Pipe(duplex=False)
            process = PROCESSES.Process(target=planner, args=(url, StreamId(derived_key("none")), says), daemon=True)
            process.start()
            started.append((process, hears))
            says.close()
        for process, _ in started:
            process.join(PATIENCE_S)
        assert sorted(process.exitcode or 0 for process, _ in started) == [0, 1, 1]
        assert len(runs.book.between(DAY, DAY)) == 1
