"""
The batch run: planned, approved by its hash by a second person, executed in chunks, settled against control totals.
"""

from __future__ import annotations

from datetime import date

import msgspec

from domain.events import Basis, Event
from domain.money import Cents

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.


class Control(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Two figures that must be the same, in cents or counts, such as plan and events.
    """

    name: str
    expected: int
    actual: int


class RunPlanned(Event, frozen=True, kw_only=True):
    """
    The selection is frozen: `digest` is the SHA-256 over the run's key, every item and every value of the law used.

    `round` is 1, and more for a follow-up of the same job and date. Items and those passed over stand in their own
    table.
    """

    job: str
    business_date: date
    round: int
    items: int
    passed_over: int
    amount_cents: Cents
    digest: str
    needs_approval: bool
    planned_by: str
    basis: Basis


class RunApproved(Event, frozen=True, kw_only=True):
    """
    A second person approved exactly this digest.
    """

    digest: str
    approved_by: str


class RunStarted(Event, frozen=True, kw_only=True):
    """
    The first worker began.
    """

    chunks: int


class RunExecuted(Event, frozen=True, kw_only=True):
    """
    Every item was done, refused because the world had moved since the plan, or parked with its reason.
    """

    done: int
    refused: int
    parked: int
    events: int
    amount_cents: Cents


class RunSettled(Event, frozen=True, kw_only=True):
    """
    The control totals were compared; differences are named, never hidden.
    """

    controls: tuple[Control, ...]
    agrees: bool


class RunAbandoned(Event, frozen=True, kw_only=True):
    """
    A person gave the plan up before it was executed.
    """

    abandoned_by: str
    reason: str


HappenedToRun = RunPlanned | RunApproved | RunStarted | RunExecuted | RunSettled | RunAbandoned
