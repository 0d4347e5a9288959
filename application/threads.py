"""
A second thread, for what is long: runs and read models. Python lets one of the two work at a time; what one waits for
the database, the other uses.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Final, TypeVar

from application.ports import Progress

#: How long a thread that has its answer waits for its turn, at most. In Python's own 5 milliseconds the database would
#: have sent the next piece of it too.
_TURN: Final = timedelta(microseconds=500)

T = TypeVar("T")


class _OtherFailed(Exception):
    """
    The other thread failed; this one does no further part.
    """


def made_ahead(items: Iterator[T]) -> Iterator[T]:
    """
    Give the same items; a thread makes the next one while the present one is used.
    """
    with _thread() as thread:
        upcoming = thread.submit(list, islice(items, 1))
        while found := upcoming.result():
            upcoming = thread.submit(list, islice(items, 1))
            yield found[0]


def both(here: Callable[[Progress], None], beside: Callable[[Progress], None], *, progress: Progress) -> None:
    """
    Do `here` in this thread and `beside` in another. Each calls what it is given before each of its parts; when one
    fails, the other ends there. `progress` is only called in this thread.
    """
    stop = threading.Event()

    def unless_stopped(_done: int, _all: int) -> None:
        if stop.is_set():
            raise _OtherFailed

    with _thread() as thread:
        other = thread.submit(beside, unless_stopped)

        def unless_failed(done: int, all_: int) -> None:
            if other.done():
                other.result()
            progress(done, all_)

        try:
            here(unless_failed)
        except BaseException:
            stop.set()
            raise
        other.result()


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN.total_seconds()))
    try:
        with ThreadPoolExecutor(1) as thread:
            yield thread
    finally:
        sys.setswitchinterval(before)
