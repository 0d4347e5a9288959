"""
Every letter: what it asks, when it was made, posted, withdrawn or contradicted, and what the Agency was told after it.
"""

from __future__ import annotations

from datetime import date
from typing import cast
from uuid import UUID

from msgspec.structs import replace

from domain.envelope import Envelope
from domain.ids import Kind
from domain.zorgkas_affiliation import happened as h
from projections.model import Row, StreamRows, Table


class LetterRow(Row, frozen=True):
    """
    One letter. `kind` is invitation, reminder or registered_letter; amounts in cents.
    """

    stream: UUID
    letter_id: UUID
    kind: str
    year: int
    amount_cents: int
    ogm: str
    account: str
    pay_by: date | None
    issued_on: date
    run: UUID | None
    version: int
    posted_on: date | None = None
    barcode: str | None = None
    withdrawn_on: date | None = None
    withdrawn_because: str | None = None
    contradicted_on: date | None = None


class ReportRow(Row, frozen=True):
    """
    One member in a report to the Agency, with the correction or the fine that followed.
    """

    stream: UUID
    letter_id: UUID
    report_id: UUID
    amount_cents: int
    reported_on: date
    run: UUID | None
    corrected_on: date | None = None
    correction_run: UUID | None = None
    fine_reference: str | None = None
    fine_cents: int | None = None
    fine_outcome: str | None = None


LETTER = Table(
    name="letter",
    row=LetterRow,
    columns="""
    stream uuid NOT NULL, letter_id uuid NOT NULL, kind text NOT NULL, year integer NOT NULL,
    amount_cents bigint NOT NULL, ogm text NOT NULL, account text NOT NULL, pay_by date, issued_on date NOT NULL,
    run uuid, version bigint NOT NULL, posted_on date, barcode text, withdrawn_on date, withdrawn_because text,
    contradicted_on date""",
    key=("stream", "letter_id"),
    indexes=(
        "CREATE UNIQUE INDEX ON {table} (ogm)",
        "CREATE UNIQUE INDEX ON {table} (letter_id)",
        "CREATE INDEX ON {table} (run, stream)",
    ),
)
REPORT = Table(
    name="agency_report",
    row=ReportRow,
    columns="""
    stream uuid NOT NULL, letter_id uuid NOT NULL, report_id uuid NOT NULL, amount_cents bigint NOT NULL,
    reported_on date NOT NULL, run uuid, corrected_on date, correction_run uuid, fine_reference text,
    fine_cents bigint, fine_outcome text""",
    key=("stream", "letter_id"),
    indexes=("CREATE INDEX ON {table} (run, stream)",),
)


class Letters:
    """
    Rules: ZP-4, ZB-2, ZB-9, ZB-10, ZB-12 as they were decided.
    """

    name = "letters"
    version = 1
    kinds = frozenset({Kind.ZORGKAS_AFFILIATION})
    tables = (LETTER, REPORT)
    reads_personal = False

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        match event:
            case h.InvitationIssued():
                _issued(rows, envelope, event, kind="invitation", year=event.year, pay_by=event.due_on)
            case h.ReminderIssued():
                _issued(rows, envelope, event, kind="reminder", year=event.year, pay_by=None)
            case h.RegisteredLetterIssued():
                _issued(rows, envelope, event, kind="registered_letter", year=event.letter_year, pay_by=event.pay_by)
            case h.RegisteredLetterPosted():
                _letter(rows, event.letter_id, posted_on=event.posted_on, barcode=event.barcode)
            case h.RegisteredLetterWithdrawn():
                _letter(rows, event.letter_id, withdrawn_on=event.withdrawn_on, withdrawn_because=event.because)
            case h.PostedLetterContradicted():
                _letter(rows, event.letter_id, contradicted_on=event.known_on)
            case h.ReportedToAgency():
                row = ReportRow(envelope.stream, event.letter_id, event.report_id, event.amount_cents,
                                event.reported_on, envelope.commit.run)  # fmt: skip
                rows.put("agency_report", row, event.letter_id)
            case h.ReportCorrected():
                _report(rows, event.letter_id, corrected_on=event.corrected_on, correction_run=envelope.commit.run)
            case h.FineImposed():
                _report(rows, event.letter_id, fine_reference=event.reference, fine_cents=event.amount_cents,
                        fine_outcome="imposed")  # fmt: skip
            case h.FineFollowedUp():
                for report in rows.of("agency_report"):
                    if cast(ReportRow, report).fine_reference == event.reference:
                        _report(rows, cast(ReportRow, report).letter_id, fine_outcome=event.outcome)
            case _:
                pass


def _issued(
    rows: StreamRows,
    envelope: Envelope,
    event: h.InvitationIssued | h.ReminderIssued | h.RegisteredLetterIssued,
    *,
    kind: str,
    year: int,
    pay_by: date | None,
) -> None:
    row = LetterRow(
        envelope.stream, event.letter_id, kind, year, event.amount_cents, event.ogm, event.account, pay_by,
        event.issued_on, envelope.commit.run, envelope.version,
    )  # fmt: skip
    rows.put("letter", row, event.letter_id)


def _letter(rows: StreamRows, letter_id: UUID, **changes: object) -> None:
    row = rows.get("letter", letter_id)
    if row is not None:
        rows.put("letter", replace(row, **changes), letter_id)


def _report(rows: StreamRows, letter_id: UUID, **changes: object) -> None:
    row = rows.get("agency_report", letter_id)
    if row is not None:
        rows.put("agency_report", replace(row, **changes), letter_id)
