"""
How a worker process of a run or a rebuild opens the back office; found by name in that process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

from adapters.postgres.rebuild import Rebuild
from adapters.settings import Settings
from adapters.wiring import Backoffice, Schedule, opened
from application.runs.lifecycle import Runs
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR


@contextmanager
def open_runs() -> Iterator[Runs]:
    """
    Open the runs of this environment's back office.
    """
    with _opened() as backoffice:
        yield backoffice.runs


@contextmanager
def open_rebuild(name: str) -> Iterator[Rebuild]:
    """
    Open the rebuild of one read model of this environment's back office.
    """
    with _opened() as backoffice:
        yield backoffice.rebuild(name)


@contextmanager
def _opened() -> Iterator[Backoffice]:
    """
    Ctrl-C is for the process that started us; it ends us.
    """
    if parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    settings = Settings.from_environment(os.environ)
    with opened(settings, schedule=Schedule(jobs=JOBS, calendar=LEGAL_CALENDAR)) as backoffice:
        yield backoffice
