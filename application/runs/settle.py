"""
Settling: the same figures from places that do not know each other. What differs is named, never hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.jobs import Job
from application.runs.ports import Registered, RunBook, Totals
from domain.run import Control

#: Figures of others that must agree with the run: read models, letters, payment files. They catch up before they count.
ControlSource = Callable[[Registered, Totals], Sequence[Control]]


def own_controls(book: RunBook, job: Job, run: Registered, totals: Totals, *, planned_cents: int) -> Sequence[Control]:
    """
    Return what plan, progress and event table say about a run: counts of items and events, amounts in cents.
    """
    events, cents = book.written(run.run, job.counted)
    controls = [
        Control(name="items: plan = done + refused + parked", expected=run.items, actual=totals.looked_at),
        Control(
            name="cents: plan = done + refused + parked",
            expected=planned_cents,
            actual=totals.amount_cents + book.not_done_cents(run.run),
        ),
        Control(name="events: run = event table", expected=totals.events, actual=events),
    ]
    if job.counted:
        controls.append(Control(name="cents: run = event table", expected=totals.amount_cents, actual=cents))
    return controls
