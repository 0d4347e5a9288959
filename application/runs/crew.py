"""
Several processes on one run: who they are to the run, and when they pay.

A new process takes half a second to be of use, so a small run is done by one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, islice
from typing import Final, Protocol

from application.ports import Progress
from application.runs.execute import Limits
from application.runs.pages import PagePlan, PagePlanner, Planning, Reached
from application.runs.ports import Registered
from domain.ids import StreamId

#: Pages that one process plans before it asks for help; and from how many items on help pays.
PAGES_ALONE: Final = 10
ITEMS_SHARED: Final = 20_000

#: What the one who waits for the others does meanwhile, such as bring the read models up to date.
Meanwhile = Callable[[Registered], None]


class Crew(Protocol):
    """
    The processes beside this one. `processes` of them pay on this machine.
    """

    @property
    def processes(self) -> int: ...

    def plan(
        self, planning: Planning, *, here: PagePlanner, pages: Iterator[Sequence[StreamId]], reached: Reached,
        workers: int,
    ) -> Iterator[PagePlan]:  # fmt: skip
        """
        Give the plans of pages, in their order, as `here` would make them. Raises what a worker refused.
        """

    def execute(
        self, run: Registered, *, actor: str, workers: int, limits: Limits, progress: Progress, meanwhile: Meanwhile
    ) -> None:
        """
        Do a started run until no chunk is free.
        """


def planned_pages(
    planning: Planning, *, here: PagePlanner, pages: Iterator[Sequence[StreamId]], reached: Reached,
    crew: Crew | None, workers: int | None,
) -> Generator[PagePlan, None, None]:  # fmt: skip
    """
    Give the plans of pages by so many workers; without a number, by one until it shows that more of them pay.
    """
    if workers is None and crew is not None:
        yield from here.plans(islice(pages, PAGES_ALONE), reached)
    several = 1 if crew is None else crew.processes if workers is None else workers
    if crew is None or several == 1:
        yield from here.plans(pages, reached)
        return
    first = next(pages, None)
    if first is not None:
        yield from crew.plan(planning, here=here, pages=chain((first,), pages), reached=reached, workers=several)


def workers_for(crew: Crew | None, run: Registered, workers: int | None) -> int:
    """
    Return how many workers execute a run: as many as asked, or as many as pay.
    """
    if crew is None:
        return 1
    if workers is None:
        return crew.processes if run.items >= ITEMS_SHARED else 1
    return workers
