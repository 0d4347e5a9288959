"""
How a worker process of a run opens the back office; found by name in that process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

from adapters.settings import Settings
from adapters.wiring import Schedule, opened
from application.runs import Runs
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR


@contextmanager
def open_runs() -> Iterator[Runs]:
    """
    Open the runs of this environment's back office. Ctrl-C is for the process that started us; it ends us.
    """
    if parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    settings = Settings.from_environment(os.environ)
    with opened(settings, schedule=Schedule(jobs=JOBS, calendar=LEGAL_CALENDAR)) as backoffice:
        yield backoffice.runs
