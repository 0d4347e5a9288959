"""
Several processes on one run. Each opens its own back office; what a killed one had not committed, another one does.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final, NamedTuple

from application.ports import Progress
from application.runs import Crew, Runs
from application.runs_execute import Limits
from domain.errors import BackofficeError, Unavailable
from domain.ids import StreamId

#: Opens the runs of one back office in a worker process; it must be found by name there (a function of a module).
OpenRuns = Callable[[], AbstractContextManager[Runs]]

_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 10


class WorkersStopped(Unavailable):
    """
    Workers of the run stopped before it was done; what they committed stands. Execute it again, it continues.
    """


class _Started(NamedTuple):
    process: BaseProcess
    says: Connection


def crew_of(open_runs: OpenRuns) -> Crew:
    """
    Return what `Runs.crew` wants: it does a started run with so many processes, and reports progress meanwhile.

    Raises what the first worker refused, or WorkersStopped when one was killed.
    """

    def work(run: StreamId, actor: str, workers: int, limits: Limits, progress: Progress) -> None:
        spawn = multiprocessing.get_context("spawn")
        started: list[_Started] = []
        try:
            for number in range(1, workers + 1):
                says, told = spawn.Pipe(duplex=False)
                process = spawn.Process(
                    target=_worker_process,
                    args=(open_runs, run, (actor, f"{actor}/{number}"), limits, told),
                    daemon=True,
                )
                process.start()
                told.close()
                started.append(_Started(process, says))
            with open_runs() as runs:
                _watch(runs, run, started, progress)
        finally:
            for worker in started:
                _stop(worker)
        _raise_problem(started)

    return work


def _worker_process(
    open_runs: OpenRuns, run: StreamId, names: tuple[str, str], limits: Limits, told: Connection
) -> None:
    actor, name = names
    try:
        with open_runs() as runs:
            runs.work(run, actor=actor, name=name, limits=limits)
    except BackofficeError as refusal:
        told.send(refusal)
    finally:
        told.close()


def _watch(runs: Runs, run: StreamId, started: Sequence[_Started], progress: Progress) -> None:
    items = runs.registered(run).items
    while any(worker.process.is_alive() for worker in started):
        progress(runs.book.totals(run).looked_at, items)
        time.sleep(_POLL_SECONDS)
    progress(runs.book.totals(run).looked_at, items)


def _stop(worker: _Started) -> None:
    if worker.process.is_alive():
        worker.process.terminate()
        worker.process.join(_STOP_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
    worker.process.join()


def _raise_problem(started: Sequence[_Started]) -> None:
    for worker in started:
        with worker.says:
            if worker.says.poll():
                try:
                    raise worker.says.recv()
                except EOFError:
                    continue
    died = [worker.process.exitcode for worker in started if worker.process.exitcode]
    if died:
        raise WorkersStopped(workers=len(died))
