"""
How long tests wait for what must come.

A test never measures time: an upper bound in it only says "broken for ever", so there is one, and it is generous enough
for a machine that gives most of its processors to others. Nothing waits for it to pass, except a test that fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 120.0


def eventually(true: Callable[[], bool]) -> None:
    """
    Wait until something becomes true; fails when patience ends.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"did not become true within {PATIENCE_S:.0f} seconds"
        time.sleep(0.02)
