"""
The file that goes to the Agency, made from a run that was executed: the same run always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple, cast
from uuid import UUID

from adapters.postgres.store import PostgresStore
from adapters.whole_files import write_whole
from application.jobs import report_id_of
from application.runs.digest import events_of
from application.runs.lifecycle import Runs
from application.runs.ports import Item, Registered, Totals
from domain.errors import Refused
from domain.events import Event
from domain.ids import StreamId, owner_of
from domain.member.happened import MemberRegistered
from domain.money import Cents
from domain.run import Control
from domain.zorgkas_affiliation import (
    AFFILIATION,
    AffiliationState,
    HappenedToAffiliation,
    Letter,
    ReportCorrected,
    ReportedToAgency,
)
from formats.agency_report import ReportHead, ReportKind, ReportLine, ReportTotals, read_report, write_report

_KINDS: Final[Mapping[type[Event], ReportKind]] = {ReportedToAgency: "report", ReportCorrected: "correction"}


class NothingToReport(Refused):
    """
    This run has no file for the Agency: it is not a report or a correction, or it was not executed to its end.
    """


class ReportFile(NamedTuple):
    """
    Where the file stands, and what its last record says.
    """

    path: Path
    kind: ReportKind
    totals: ReportTotals


def write_agency_file(runs: Runs, store: PostgresStore, run: StreamId, *, folder: Path, fund: str) -> ReportFile:
    """
    Write the file of a report or correction run and read it back. Raises NothingToReport, `formats` LineRefused.
    """
    registered = runs.registered(run)
    kind = _KINDS.get(runs.job(registered.key.job).makes)
    if kind is None or runs.state(run).executed is None:
        raise NothingToReport(run=run)
    made_on = registered.key.business_date
    head = ReportHead(
        kind=kind,
        report_id=report_id_of(run),
        fund=fund,
        letter_year=made_on.year,
        made_on=made_on,
    )
    path = folder / f"agency-{kind}-{made_on}-{registered.key.round}.csv"
    write_whole(path, write_report(head, _lines(runs, store, registered)))
    return ReportFile(path, kind, read_report(path.read_bytes()).totals)


def controls_of_file(file: ReportFile, totals: Totals) -> Sequence[Control]:
    """
    Return the control totals between a run's `totals` and its file.
    """
    controls = [Control(name="items: run = file for the Agency", expected=totals.done, actual=file.totals.count)]
    if file.kind == "report":
        controls.append(
            Control(
                name="cents: run = file for the Agency", expected=totals.amount_cents, actual=file.totals.amount_cents
            )
        )
    return controls


def _lines(runs: Runs, store: PostgresStore, run: Registered) -> Iterator[ReportLine]:
    for page in runs.book.all_items(run.run):
        first, last = page[0].ordinal, page[-1].ordinal
        not_done = {row.ordinal for row in runs.book.outcomes(run.run, after=first - 1, limit=last - first + 1)}
        done = [item for item in page if item.ordinal not in not_done]
        numbers = _national_numbers(store, done)
        states = _states(store, done)
        for item in done:
            letters = {letter.letter_id: letter for letter in states[item.stream].letters}
            for event in events_of(AFFILIATION, item):
                yield _line(event, letters, numbers.get(StreamId(owner_of(item.stream)), ""))


def _line(event: Event, letters: Mapping[UUID, Letter], national_number: str) -> ReportLine:
    match event:
        case ReportedToAgency(letter_id=letter_id, years=shares):
            years = tuple((share.year, share.amount_cents) for share in shares)
        case ReportCorrected(letter_id=letter_id):
            years = tuple[tuple[int, Cents], ...]()
        case _:
            raise TypeError(f"{type(event).__name__} has no line in a report")
    letter = letters[letter_id]
    return ReportLine(
        national_number=national_number,
        letter_id=letter_id,
        posted_on=letter.posted_on or date.max,  # never posted: the format refuses it
        barcode=letter.barcode,
        years=years,
    )


def _national_numbers(store: PostgresStore, items: Sequence[Item]) -> dict[StreamId, str]:
    members = [StreamId(owner_of(item.stream)) for item in items]
    return {
        envelope.stream: envelope.event.national_number
        for envelope in store.feed.of_streams(members)
        if isinstance(envelope.event, MemberRegistered)
    }


def _states(store: PostgresStore, items: Sequence[Item]) -> Mapping[StreamId, AffiliationState]:
    """
    Fold the affiliations from their events, not from a cache: this file goes out of the house.
    """
    states: dict[StreamId, AffiliationState] = {}
    for envelope in store.feed.of_streams([item.stream for item in items]):
        before = states.get(envelope.stream, AFFILIATION.initial)
        states[envelope.stream] = AFFILIATION.evolve(before, cast(HappenedToAffiliation, envelope.event))
    return states
