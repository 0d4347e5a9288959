"""
Every run from its plan to its settlement, with who did what.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

from domain import run
from domain.envelope import Envelope
from domain.ids import Kind
from projections.model import ByEvent, Fold, Row, StreamRows, Table, unmoved


class RunRow(Row):
    """
    One run; `state` is planned, approved, started, executed, settled, differs or abandoned.
    """

    stream: UUID
    job: str
    business_date: date
    round: int
    state: str
    items: int
    passed_over: int
    amount_cents: int
    digest: str
    planned_by: str
    planned_at: datetime
    needs_approval: bool
    approved_by: str | None = None
    approved_at: datetime | None = None
    executed_at: datetime | None = None
    done: int = 0
    refused: int = 0
    parked: int = 0
    events: int = 0
    done_cents: int = 0
    differences: int | None = None


RUN = Table(
    name="run",
    row=RunRow,
    columns="""
    stream uuid NOT NULL, job text NOT NULL, business_date date NOT NULL, round integer NOT NULL, state text NOT NULL,
    items integer NOT NULL, passed_over integer NOT NULL, amount_cents bigint NOT NULL, digest text NOT NULL,
    planned_by text NOT NULL, planned_at timestamptz NOT NULL, needs_approval boolean NOT NULL, approved_by text,
    approved_at timestamptz, executed_at timestamptz, done integer NOT NULL, refused integer NOT NULL,
    parked integer NOT NULL, events integer NOT NULL, done_cents bigint NOT NULL, differences integer""",
    key=("stream",),
    indexes=("CREATE UNIQUE INDEX ON {table} (job, business_date, round)",),
)


class Runs:
    name = "runs"
    version = 1
    kinds = frozenset({Kind.RUN})
    tables = (RUN,)
    reads_personal = False

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        _FOLDS[type(event)](rows, event, envelope)


def _planned(rows: StreamRows, event: run.RunPlanned, envelope: Envelope) -> None:
    row = RunRow(
        rows.stream, event.job, event.business_date, event.round, "planned", event.items, event.passed_over,
        event.amount_cents, event.digest, event.planned_by, envelope.recorded_at, event.needs_approval,
    )  # fmt: skip
    rows.put(RUN, row)


def _approved(rows: StreamRows, event: run.RunApproved, envelope: Envelope) -> None:
    if row := rows.known(RUN):
        row.state = "approved"
        row.approved_by = event.approved_by
        row.approved_at = envelope.recorded_at


def _started(rows: StreamRows, _event: run.RunStarted, _envelope: Envelope) -> None:
    if row := rows.known(RUN):
        row.state = "started"


def _executed(rows: StreamRows, event: run.RunExecuted, envelope: Envelope) -> None:
    if row := rows.known(RUN):
        row.state = "executed"
        row.executed_at = envelope.recorded_at
        row.done = event.done
        row.refused = event.refused
        row.parked = event.parked
        row.events = event.events
        row.done_cents = event.amount_cents


def _settled(rows: StreamRows, event: run.RunSettled, _envelope: Envelope) -> None:
    if row := rows.known(RUN):
        row.state = "settled" if event.agrees else "differs"
        row.differences = sum(control.expected != control.actual for control in event.controls)


def _abandoned(rows: StreamRows, _event: run.RunAbandoned, _envelope: Envelope) -> None:
    if row := rows.known(RUN):
        row.state = "abandoned"


_FOLDS: Final = ByEvent[Fold](
    {
        run.RunPlanned: _planned,
        run.RunApproved: _approved,
        run.RunStarted: _started,
        run.RunExecuted: _executed,
        run.RunSettled: _settled,
        run.RunAbandoned: _abandoned,
    },
    otherwise=unmoved,
)
