"""
Several processes on one rebuild: each folds some pages of streams and copies their rows in, beside the others.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
from typing import Final

from adapters.ctrl_c import unheard_by_who_is_started
from adapters.garbage import rare_collections
from adapters.postgres.rebuild import Fill, Rebuild
from domain.errors import Unavailable
from domain.ids import StreamId

#: Opens the rebuild of one read model in a worker process; it must be found by name there (a function of a module).
OpenRebuild = Callable[[], AbstractContextManager[Rebuild]]

_PAGES_WAITING: Final = 2  # per other process; the ids of all streams are never in memory at once
_LARGE_EVENTS: Final = 1_000_000


def workers_for(events: int) -> int:
    """
    Return how many processes a rebuild of so many events is worth: two are quicker once they have more to do than to
    start, and no more than the machine has cores.
    """
    return 2 if events >= _LARGE_EVENTS and len(os.sched_getaffinity(0)) >= 2 else 1


def filled_by(open_rebuild: OpenRebuild, *, workers: int) -> Fill:
    """
    Return what `Rebuild.build(fill=...)` wants, for so many processes, at least two: this one works from the start, and
    the others join it once they have started.

    The first error ends the rebuild; `fill` raises RebuildersStopped when a process died.
    """
    others = workers - 1

    def fill(pages: Iterator[Sequence[StreamId]], position: int) -> Generator[tuple[int, int]]:
        spawn = multiprocessing.get_context("spawn")
        running: deque[Future[tuple[int, int]]] = deque()
        with (
            open_rebuild() as rebuild,
            rebuild.filling(position) as fill_here,
            ProcessPoolExecutor(others, mp_context=spawn, initializer=_open, initargs=(open_rebuild, position)) as pool,
        ):
            try:
                for page in pages:
                    if len(running) < _PAGES_WAITING * others:
                        with unheard_by_who_is_started():
                            running.append(pool.submit(_fill, page))
                    else:
                        yield len(page), fill_here(page)
                    while running and running[0].done():
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            except BrokenProcessPool:
                raise RebuildersStopped(workers=workers) from None
            finally:
                pool.shutdown(cancel_futures=True)  # who stops early waits for the pages under way, and no others

    return fill


class RebuildersStopped(Unavailable):
    """
    A process of the rebuild could not start or was ended; what is in use was not touched. Rebuild again.
    """


class _Worker:
    """
    What a worker process keeps open from its first page to its end.
    """

    opened = ExitStack()
    fill: Callable[[Sequence[StreamId]], int]


def _open(open_rebuild: OpenRebuild, position: int) -> None:
    _Worker.opened.enter_context(rare_collections())
    rebuild = _Worker.opened.enter_context(open_rebuild())
    _Worker.fill = staticmethod(_Worker.opened.enter_context(rebuild.filling(position)))


def _fill(page: Sequence[StreamId]) -> tuple[int, int]:
    return len(page), _Worker.fill(page)
