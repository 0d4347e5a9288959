"""
Every letter: what it asks, when it was made, posted, withdrawn or contradicted, and what the Agency was told after it.
"""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from domain.envelope import Envelope
from domain.ids import Kind
from domain.zorgkas_affiliation import happened as h
from projections.model import ByEvent, Fold, Row, StreamRows, Table, unmoved


class LetterRow(Row):
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


class ReportRow(Row):
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
        _FOLDS[type(event)](rows, event, envelope)


def _invited(rows: StreamRows, event: h.InvitationIssued, envelope: Envelope) -> None:
    _issued(rows, event, envelope, kind="invitation", year=event.year, pay_by=event.due_on)


def _reminded(rows: StreamRows, event: h.ReminderIssued, envelope: Envelope) -> None:
    _issued(rows, event, envelope, kind="reminder", year=event.year, pay_by=None)


def _registered(rows: StreamRows, event: h.RegisteredLetterIssued, envelope: Envelope) -> None:
    _issued(rows, event, envelope, kind="registered_letter", year=event.letter_year, pay_by=event.pay_by)


def _issued(
    rows: StreamRows,
    event: h.InvitationIssued | h.ReminderIssued | h.RegisteredLetterIssued,
    envelope: Envelope,
    *,
    kind: str,
    year: int,
    pay_by: date | None,
) -> None:
    row = LetterRow(
        rows.stream, event.letter_id, kind, year, event.amount_cents, event.ogm, event.account, pay_by,
        event.issued_on, envelope.commit.run, envelope.version,
    )  # fmt: skip
    rows.put(LETTER, row, event.letter_id)


def _posted(rows: StreamRows, event: h.RegisteredLetterPosted, _envelope: Envelope) -> None:
    if letter := rows.known(LETTER, event.letter_id):
        letter.posted_on = event.posted_on
        letter.barcode = event.barcode


def _withdrawn(rows: StreamRows, event: h.RegisteredLetterWithdrawn, _envelope: Envelope) -> None:
    if letter := rows.known(LETTER, event.letter_id):
        letter.withdrawn_on = event.withdrawn_on
        letter.withdrawn_because = event.because


def _contradicted(rows: StreamRows, event: h.PostedLetterContradicted, _envelope: Envelope) -> None:
    if letter := rows.known(LETTER, event.letter_id):
        letter.contradicted_on = event.known_on


def _reported(rows: StreamRows, event: h.ReportedToAgency, envelope: Envelope) -> None:
    row = ReportRow(
        rows.stream, event.letter_id, event.report_id, event.amount_cents, event.reported_on, envelope.commit.run
    )
    rows.put(REPORT, row, event.letter_id)


def _report_corrected(rows: StreamRows, event: h.ReportCorrected, envelope: Envelope) -> None:
    if report := rows.known(REPORT, event.letter_id):
        report.corrected_on = event.corrected_on
        report.correction_run = envelope.commit.run


def _fined(rows: StreamRows, event: h.FineImposed, _envelope: Envelope) -> None:
    if report := rows.known(REPORT, event.letter_id):
        report.fine_reference = event.reference
        report.fine_cents = event.amount_cents
        report.fine_outcome = "imposed"


def _followed_up(rows: StreamRows, event: h.FineFollowedUp, _envelope: Envelope) -> None:
    for fined in rows.of(REPORT):
        if fined.fine_reference == event.reference:
            rows.row(REPORT, fined.letter_id).fine_outcome = event.outcome


_FOLDS: Final = ByEvent[Fold](
    {
        h.InvitationIssued: _invited,
        h.ReminderIssued: _reminded,
        h.RegisteredLetterIssued: _registered,
        h.RegisteredLetterPosted: _posted,
        h.RegisteredLetterWithdrawn: _withdrawn,
        h.PostedLetterContradicted: _contradicted,
        h.ReportedToAgency: _reported,
        h.ReportCorrected: _report_corrected,
        h.FineImposed: _fined,
        h.FineFollowedUp: _followed_up,
    },
    otherwise=unmoved,
)
