"""
Stopping cleanly: Ctrl-C or the system's signal is remembered, and obeyed at the end of the part that is under way.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from console.exits import Terminated

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

    before = {each: signal.signal(each, remember) for each in _SIGNALS}
    try:
        yield check
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    check()


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated
