"""
A long way in four quarters: is the last as quick as the first, and does a process keep its size?
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import psutil

from tests.bench.harness import Bench, Figure

_WITHIN_S = 1_800


class Works(Protocol):
    """
    A process that works.
    """

    @property
    def pid(self) -> int | None: ...

    def is_alive(self) -> bool: ...


class Mark(NamedTuple):
    """
    How far it was, when, the processor time that the process had had, and how large it was then.
    """

    position: int
    seconds: float
    processor: float
    mib: float


def quarters(position: Callable[[], int], last: int, process: Works) -> list[Mark]:
    """
    Return a mark at the first step, and at the end of each quarter.
    """
    marks: list[Mark] = []
    size = psutil.Process(process.pid)
    for quarter in range(5):
        reached = wait_for(position, max(1, quarter * last // 4), process)
        times = size.cpu_times()
        marks.append(
            Mark(reached, time.perf_counter(), times.user + times.system, size.memory_info().rss / 2**20)
        )  # fmt: skip
    return marks


def wait_for(position: Callable[[], int], at_least: int, *processes: Works) -> int:
    """
    Wait until a position is reached, and return it; complain at once when a process that should get there has ended.
    """
    deadline = time.monotonic() + _WITHIN_S
    while (reached := position()) < at_least:
        assert all(process.is_alive() for process in processes), "a process ended before its work was done"
        assert time.monotonic() < deadline, f"{reached:,} of {at_least:,} after {_WITHIN_S} seconds"
        time.sleep(0.02)
    return reached


def add_quarters(bench: Bench, marks: Sequence[Mark], *, name: str, what: str) -> None:
    """
    Add two figures: the rate of the last quarter against the first, and the size at the end against the first quarter's.
    """
    rates = [(b.position - a.position) / (b.seconds - a.seconds) for a, b in itertools.pairwise(marks)]
    costs = [1e6 * (b.processor - a.processor) / (b.position - a.position) for a, b in itertools.pairwise(marks)]
    details = [
        "rate by quarter: " + ", ".join(f"{rate:,.0f}" for rate in rates),
        "processor time of the process per event by quarter, us: " + ", ".join(f"{cost:.1f}" for cost in costs),
        "memory of the process at the start and after each quarter, MiB: "
        + ", ".join(f"{mark.mib:.0f}" for mark in marks),
    ]
    bench.add(Figure(
        name=name, what=f"{what}: rate of the last quarter against the first", unit="events/s", ours="the last quarter",
        against="the first quarter", ours_value=rates[-1], against_value=rates[0], ratio=rates[-1] / rates[0], target=0.85,
        stretch=0.95, details=details,
    ))  # fmt: skip
    bench.add(Figure(
        name=f"{name}_memory", what=f"{what}: memory of its process at the end against after the first quarter", unit="MiB",
        ours="after the last quarter", against="after the first quarter", ours_value=marks[-1].mib, against_value=marks[1].mib,
        ratio=marks[-1].mib / marks[1].mib, target=1.15, stretch=1.05, at_most=True, details=details[2:],
    ))  # fmt: skip
