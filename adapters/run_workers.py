"""
Several processes on one run. Each opens its own back office; what a killed one had not committed, another one does.

They come from a process that has read all modules once and does nothing else, so that the second one and all later ones
start in milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple
from uuid import UUID

from adapters.ctrl_c import unheard_by_who_is_started
from application.ports import Progress
from application.runs.crew import Meanwhile
from application.runs.execute import Limits
from application.runs.lifecycle import Runs
from application.runs.pages import Because, PagePlan, PagePlanner, Planning, Reached
from application.runs.ports import Registered
from domain.errors import BackofficeError, Unavailable
from domain.ids import StreamId

#: Opens the runs of one back office in a worker process; it must be found by name there (a function of a module).
OpenRuns = Callable[[], AbstractContextManager[Runs]]

_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 10
_ID_BYTES: Final = 16
#: What this process does between two looks at its workers is worth doing for so many items more.
_MEANWHILE_ITEMS: Final = 10_000
#: More of them than that wait for the one database rather than for each other.
_PROCESSES_MAX: Final = 8


class WorkersStopped(Unavailable):
    """
    Workers of the run stopped before it was done; what they committed stands. Execute it again, it continues.
    """


class PlannersStopped(Unavailable):
    """
    Workers stopped while the run was planned; nothing of the plan stands. Plan it again.
    """


class _Started(NamedTuple):
    process: BaseProcess
    line: Connection


class Processes(NamedTuple):
    """
    What `Runs.crew` wants: worker processes that open the same back office by `open_runs`. Planning goes on in this
    process until they are there, which is asked before each page for `wait_seconds`.
    """

    open_runs: OpenRuns
    processes: int
    wait_seconds: float = 0.0

    def plan(
        self, planning: Planning, *, here: PagePlanner, pages: Iterator[Sequence[StreamId]], reached: Reached,
        workers: int,
    ) -> Iterator[PagePlan]:  # fmt: skip
        """
        Give the plans of pages in their order; until the workers are there, `here` makes them.

        Raises what a worker refused, or PlannersStopped when one was killed.
        """
        with self._started(_planner_process, [(planning,)] * workers) as started:
            while not any(worker.line.poll(self.wait_seconds) for worker in started):
                mine = next(pages, None)
                if mine is None:
                    return
                yield here.plan(mine, reached)
            for worker in started:
                _heard(worker)
            yield from _planned_by([_Planner(worker, reached) for worker in started], pages, reached)

    def execute(
        self, run: Registered, *, actor: str, workers: int, limits: Limits, progress: Progress, meanwhile: Meanwhile
    ) -> None:
        """
        Do a started run with so many processes, and report progress meanwhile.

        Raises what the first worker refused, or WorkersStopped when one was killed.
        """
        names = [(run.run, (actor, f"{actor}/{number}"), limits) for number in range(1, workers + 1)]
        with self._started(_worker_process, names) as started:
            with self.open_runs() as runs:
                _watch(runs, run, started, progress, partial(meanwhile, run))
            _raise_problem(started)

    @contextmanager
    def _started(
        self, target: Callable[..., None], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[Sequence[_Started]]:
        """
        Start a process for each of these arguments; none is left at the end of the block.
        """
        started: list[_Started] = []
        try:
            for each in arguments:
                ours, theirs = _PROCESSES.Pipe()
                inside = (dict(os.environ), target, self.open_runs, *each, theirs)
                process = _PROCESSES.Process(target=_in_our_environment, args=inside, daemon=True)
                _PROCESSES.set_forkserver_preload([_module_of(self.open_runs)])
                _start(process)
                theirs.close()
                started.append(_Started(process, ours))
            yield started
        finally:
            for worker in started:
                worker.line.close()
            for worker in started:
                _stop(worker)


_PROCESSES: Final = multiprocessing.get_context("forkserver")


def _start(process: BaseProcess) -> None:
    try:
        with unheard_by_who_is_started():
            process.start()
    except (EOFError, OSError):
        raise WorkersStopped from None  # the process that they come from was ended just then


def crew_of(open_runs: OpenRuns, *, processes: int | None = None) -> Processes:
    """
    Return the crew of a back office; without a number, as many pay as this process may use processors.
    """
    return Processes(open_runs, processes or min(len(os.sched_getaffinity(0)), _PROCESSES_MAX))


def _in_our_environment(environment: Mapping[str, str], target: Callable[..., None], *arguments: Any) -> None:
    """
    Work in the environment of the process that asks, as it is now and not as it was when its first helper started.
    """
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


def _module_of(open_runs: Any) -> str:
    while isinstance(open_runs, partial):
        open_runs = open_runs.func
    return str(open_runs.__module__)


# --- Planning --------------------------------------------------------------------------------------------------------


class _Planner:
    """
    One worker that plans, as the one who writes sees it.
    """

    def __init__(self, worker: _Started, reached: Reached) -> None:
        self._worker = worker
        self._reached = reached
        self._told = 0  # reasons that it knows

    def look_at(self, streams: Sequence[StreamId]) -> None:
        self._say(b"".join([stream.bytes for stream in streams]))

    def decide(self) -> None:
        """
        Tell it what the pages before gave, and wait until it knows what its own gives for the next.
        """
        reached = self._reached
        self._say((reached.items, reached.reasons[self._told :]))
        reached.items, new = _heard(self._worker)
        reached.learn(new)
        self._told = len(reached.reasons)

    def plan(self) -> PagePlan:
        found: PagePlan = _heard(self._worker)
        return found

    def _say(self, what: Any) -> None:
        try:
            self._worker.line.send(what)
        except OSError:
            raise PlannersStopped from None


def _planned_by(
    planners: Sequence[_Planner], pages: Iterator[Sequence[StreamId]], reached: Reached
) -> Iterator[PagePlan]:
    """
    Give page after page to one planner after another. Each waits for the page before it only to decide.
    """
    looking: list[_Planner] = []
    for planner, streams in zip(planners, islice(pages, len(planners)), strict=False):
        planner.look_at(streams)
        looking.append(planner)
    if looking:
        looking[0].decide()
    while looking:
        first = looking.pop(0)
        if looking:
            looking[0].decide()
        plan = first.plan()
        more = next(pages, None)
        if more is not None:
            first.look_at(more)
            looking.append(first)
            if len(looking) == 1:
                first.decide()
        yield plan


def _planner_process(open_runs: OpenRuns, planning: Planning, line: Connection) -> None:
    with suppress(EOFError, OSError), line:  # who asked is gone: nobody needs the rest
        try:
            with open_runs() as runs:
                planner, reached = runs.page_planner(planning), Reached()
                line.send(None)
                while True:
                    _plan_page(planner, reached, line)
        except BackofficeError as refusal:
            line.send(refusal)


def _plan_page(planner: PagePlanner, reached: Reached, line: Connection) -> None:
    ids = line.recv()
    starts = range(0, len(ids), _ID_BYTES)
    page = list(planner.look_at([StreamId(UUID(bytes=ids[start : start + _ID_BYTES])) for start in starts]))
    before: tuple[int, list[Because]] = line.recv()
    reached.items = before[0]
    known = reached.learn(before[1])
    decided = planner.decide(page, reached)
    line.send((reached.items, reached.reasons[known:]))
    line.send(planner.freeze(decided))


def _heard(worker: _Started) -> Any:
    """
    Return what a worker says next. Raises what it refused, or PlannersStopped when it is gone.
    """
    try:
        said = worker.line.recv()
    except (EOFError, OSError):
        raise PlannersStopped from None
    if isinstance(said, BackofficeError):
        raise said
    return said


# --- Executing -------------------------------------------------------------------------------------------------------


def _worker_process(
    open_runs: OpenRuns, run: StreamId, names: tuple[str, str], limits: Limits, line: Connection
) -> None:
    actor, name = names
    with line:
        try:
            with open_runs() as runs:
                runs.work(run, actor=actor, name=name, limits=limits)
        except BackofficeError as refusal:
            line.send(refusal)


def _watch(
    runs: Runs, run: Registered, started: Sequence[_Started], progress: Progress, meanwhile: Callable[[], None]
) -> None:
    useful_at = _MEANWHILE_ITEMS
    while any(worker.process.is_alive() for worker in started):
        looked_at = runs.book.totals(run.run).looked_at
        progress(looked_at, run.items)
        if looked_at >= useful_at:
            meanwhile()
            useful_at = looked_at + _MEANWHILE_ITEMS
        else:
            time.sleep(_POLL_SECONDS)
    progress(runs.book.totals(run.run).looked_at, run.items)


def _stop(worker: _Started) -> None:
    if worker.process.is_alive():
        worker.process.terminate()
        worker.process.join(_STOP_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
    worker.process.join()


def _raise_problem(started: Sequence[_Started]) -> None:
    for worker in started:
        with suppress(EOFError, OSError):
            if worker.line.poll():
                raise worker.line.recv()
    died = [worker.process.exitcode for worker in started if worker.process.exitcode]
    if died:
        raise WorkersStopped(workers=len(died))
