"""
How often Python looks for cycles: rarely, in a program that makes millions of small objects which die without one.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Objects made before the youngest are looked at; and how often the older ones are looked at with them.
_THRESHOLDS: Final = (100_000, 20, 100)


class _AtWork:
    """
    How many are at it in this process, in threads or one within the other; and what was set before the first of them.
    """

    guard: Final = threading.Lock()
    count = 0
    before = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """
    Look for cycles less often while the block works: the default costs bulk work a fifth to a third of its time.
    """
    with _AtWork.guard:
        _AtWork.count += 1
        if _AtWork.count == 1:
            _AtWork.before = gc.get_threshold()
            gc.freeze()
            gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        with _AtWork.guard:
            _AtWork.count -= 1
            if _AtWork.count == 0:
                gc.set_threshold(*_AtWork.before)
                gc.unfreeze()
