"""
Stopping cleanly: Ctrl-C or the system's signal is remembered, and obeyed at the end of the part that is under way.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from console.exits import Terminated
from domain.errors import Unavailable

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def obey_the_system() -> None:
    """
    Make SIGTERM and SIGHUP end the program as orderly as Ctrl-C does.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)


@contextmanager
def at_the_end_of_a_part(tell: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """
    Yield a function to call between parts: it raises when somebody asked to stop. Asked twice, we stop at once.

    Who is asked in the last part finishes, and says what was done.
    """
    asked: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        if asked:
            _raise(number)
        asked.append(number)
        tell("Stopping after the part that is under way ...")

    def check() -> None:
        if asked:
            _raise(asked[0])

    with _handled_by(remember):
        try:
            yield check
        except Unavailable:
            check()  # our helpers may have been told as well: then that they ended is no news
            raise


@contextmanager
def until_told(stop: threading.Event) -> Iterator[None]:
    """
    Let Ctrl-C and the system's signals set the event, which whoever works looks at between parts.
    """
    with _handled_by(lambda _signal, _frame: stop.set()):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, usual in before.items():
            signal.signal(each, usual)


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated
