"""
Every run from its plan to its settlement, with who did what.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import cast
from uuid import UUID

from msgspec.structs import replace

from domain import run
from domain.envelope import Envelope
from domain.ids import Kind
from projections.model import Row, StreamRows, Table


class RunRow(Row, frozen=True):
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
        if isinstance(event, run.RunPlanned):
            row = RunRow(
                envelope.stream, event.job, event.business_date, event.round, "planned", event.items,
                event.passed_over, event.amount_cents, event.digest, event.planned_by, envelope.recorded_at,
                event.needs_approval,
            )  # fmt: skip
            rows.put("run", row)
            return
        known = cast(RunRow | None, rows.get("run"))
        if known is not None:
            rows.put("run", _changed(known, event, envelope.recorded_at))


def _changed(row: RunRow, event: object, moment: datetime) -> RunRow:
    match event:
        case run.RunApproved():
            return replace(row, state="approved", approved_by=event.approved_by, approved_at=moment)
        case run.RunStarted():
            return replace(row, state="started")
        case run.RunExecuted():
            return replace(
                row, state="executed", done=event.done, refused=event.refused, parked=event.parked,
                events=event.events, done_cents=event.amount_cents, executed_at=moment,
            )  # fmt: skip
        case run.RunSettled():
            differences = sum(control.expected != control.actual for control in event.controls)
            return replace(row, state="settled" if event.agrees else "differs", differences=differences)
        case run.RunAbandoned():
            return replace(row, state="abandoned")
        case _:
            return row
