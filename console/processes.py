"""
`backoffice projector` and `worker`: processes that run beside the others until told to stop, as many as one likes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import click

from console.asking import Asked, asks, back_office
from console.output import count, give, out, say
from console.stopping import until_told
from domain.errors import BackofficeError, Conflict, Unavailable

if TYPE_CHECKING:
    from adapters.wiring import Backoffice

_LOOK_SECONDS = 1.0
_RUNS_MAX = 1_000


@click.command("projector")
@asks
def projector_command(asked: Asked) -> None:
    """
    Keep every read model up to the last recorded event, until told to stop.

    Example: ./backoffice projector
    """
    from adapters.postgres.looking import model_statuses
    from console.answers.every import Projected

    read, stop = 0, threading.Event()
    with back_office(asked) as backoffice, until_told(stop):
        say("The projector runs; Ctrl-C stops it after what is under way.")

        def look() -> None:
            nonlocal read
            read += backoffice.catch_up()

        _again_and_again(look, stop)
        high_water = backoffice.store.feed.high_water()
        models = model_statuses(backoffice.database, names=list(backoffice.models), high_water=high_water)
    give(Projected(models=models, read=read), lambda: out(f"{count(read, 'event')} read."), as_json=asked.as_json)


@click.command("worker")
@asks
def worker_command(asked: Asked) -> None:
    """
    Help with every run that somebody started, part by part, until told to stop.

    Which runs are planned, approved and started is for others to say: a person, or `schedule`.

    Example: ./backoffice worker
    """
    from console.answers.of_runs import Worked

    helped: dict[UUID, None] = {}
    refused: set[str] = set()
    stop = threading.Event()
    with back_office(asked) as backoffice, until_told(stop):
        say("The worker runs; Ctrl-C stops it after the part that is under way.")

        def look() -> None:
            for run in _started(backoffice):
                if stop.is_set():
                    return
                try:
                    _help(backoffice, run, stop)
                    helped[run] = None
                except (Conflict, _Told):
                    continue  # another one was quicker, or we are to stop
                except BackofficeError as refusal:
                    if str(refusal) not in refused:
                        say(str(refusal))
                    refused.add(str(refusal))

        _again_and_again(look, stop)
    give(Worked(runs=list(helped)), lambda: out(f"Helped with {count(len(helped), 'run')}."), as_json=asked.as_json)


class _Told(Exception):
    """
    Somebody asked us to stop.
    """


def _started(backoffice: Backoffice) -> list[UUID]:
    from adapters.postgres.looking import run_lines

    backoffice.catch_up(("runs",))
    return [line.run for line in run_lines(backoffice.database, limit=_RUNS_MAX) if line.state == "started"]


def _help(backoffice: Backoffice, run: UUID, stop: threading.Event) -> None:
    import os
    import socket

    from domain.ids import StreamId

    def between_parts(_done: int, _of_all: int) -> None:
        if stop.is_set():
            raise _Told

    actor = backoffice.settings.actor
    name = f"{actor}/{socket.gethostname()[:20]}-{os.getpid()}"
    backoffice.runs.work(StreamId(run), actor=actor, name=name, progress=between_parts)
    backoffice.runs.finish(StreamId(run), actor=actor)


def _again_and_again(look: Callable[[], None], stop: threading.Event) -> None:
    """
    Look, wait a second, and look again. What is away for a while is told once, and waited for.
    """
    told = ""
    while not stop.is_set():
        try:
            look()
            told = ""
        except (Unavailable, Conflict) as problem:
            if str(problem) != told:
                say(f"Waiting: {problem}")
            told = str(problem)
        stop.wait(_LOOK_SECONDS)
