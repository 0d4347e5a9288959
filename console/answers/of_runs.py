"""
What the `run` commands answer with `--json`; see `console.answers.every`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import msgspec

from adapters.postgres.looking import RunLine
from application.runs.ports import Totals
from application.runs.show import ItemView, PassedOverView, RunView
from console.answers.answer import Answer
from domain.run import Control


class Planned(Answer, frozen=True, kw_only=True):
    """
    `run plan`: what was frozen; approve exactly this `digest`. `warning` says what would better come first.
    """

    run: UUID
    job: str
    business_date: date
    round: int
    items: int
    passed_over: int
    amount_cents: int
    digest: str
    needs_approval: bool
    warning: str = ""


class LeftOutItem(msgspec.Struct, frozen=True, kw_only=True):
    """
    One item that was planned and then refused or parked: the reason code, and what differs in words.
    """

    ordinal: int
    member: UUID
    outcome: str
    reason: str
    detail: str


class RunShown(Answer, frozen=True, kw_only=True):
    """
    `run show`: the run as a whole, with a page of who is selected and of who is not, each with the reason.

    `warning` says, of a plan that is not executed, what would better come first.
    """

    run: RunView
    items: Sequence[ItemView] = ()
    passed_over: Sequence[PassedOverView] = ()
    left_out: Sequence[LeftOutItem] = ()
    warning: str = ""


class RunMoved(Answer, frozen=True, kw_only=True):
    """
    `run approve`, `run abandon`: the run and the phase it is in now.
    """

    run: UUID
    phase: str


class Worked(Answer, frozen=True, kw_only=True):
    """
    `worker`: the runs that this worker helped with until it was stopped.
    """

    runs: Sequence[UUID]


class DateClosed(Answer, frozen=True, kw_only=True):
    """
    `run close`: the date of the calendar that has no run here, and how it was closed.
    """

    job: str
    year: int
    because: str
    reason: str
    closed_by: str
    closed_on: date


class Executed(Answer, frozen=True, kw_only=True):
    """
    `run execute`: what became of the items; `not_done` counts the others by outcome and reason.
    """

    run: UUID
    phase: str
    totals: Totals
    not_done: Mapping[str, int]


class Settled(Answer, frozen=True, kw_only=True):
    """
    `run settle`: every control total with both figures.
    """

    run: UUID
    agrees: bool
    controls: Sequence[Control]


class AgencyFile(Answer, frozen=True, kw_only=True):
    """
    `run file`: the file for the Agency and its closing totals.
    """

    path: str
    count: int
    amount_cents: int
    sha256: str


class RunList(Answer, frozen=True, kw_only=True):
    """
    `run list`: runs, the newest business date first.
    """

    runs: Sequence[RunLine]
