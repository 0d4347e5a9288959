"""
Processes that help us do not hear Ctrl-C: a terminal sends it to all of them, and who asked for their help stops them.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def unheard_by_who_is_started() -> Iterator[None]:
    """
    Let processes that start in this block never be interrupted, not even while Python starts in them. We hear a Ctrl-C
    of the meantime at the end of the block.
    """
    resource_tracker.ensure_running()  # else it is started in between, and lets Ctrl-C through again when it is
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
