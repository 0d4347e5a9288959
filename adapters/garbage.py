"""
How often Python looks for cycles: rarely, in a program that makes millions of small objects which die without one.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Objects made before the youngest are looked at; and how often the older ones are looked at with them.
_THRESHOLDS: Final = (100_000, 20, 100)


@contextmanager
def rare_collections() -> Iterator[None]:
    """
    Look for cycles less often while the block works: the default costs bulk work a fifth to a third of its time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
