"""
One zorgpremie year, 2026, for seven members on the real database: six runs, two people, and the bank in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapters.agency_files import NothingToReport, controls_of_file, write_agency_file
from adapters.postgres.database import Database
from application.runs.lifecycle import Runs
from application.runs.show import passed_over_page, show
from application.runs.today import run_due, today
from domain import zorgkas_affiliation as zorgkas
from domain.events import Event
from domain.ids import Kind, StreamId, derived_id
from domain.member import MEMBER
from domain.money import Cents
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState
from formats.agency_report import read_report
from tests.run_house import ANN, BERT, LAW, affiliation, have_members, member_id, open_runs, owes, record, registered

SINCE = date(2026, 1, 1)
FUND = "CM-Zorgkas"

PAYS_IN_TIME, PAYS_LATE, NEVER_PAYS, PAYS_IN_SUMMER, PAYS_12_OCTOBER, NO_PROOF, TOO_YOUNG = range(7)


@pytest.fixture
def runs(database: Database) -> Iterator[Runs]:
    with open_runs(database.url) as opened:
        have_members(opened, 6)
        record(opened, MEMBER, {StreamId(member_id(TOO_YOUNG)): registered(birth_year=2010)})
        two_years_ago = {affiliation(number): owes(2025, missed=(2025,)) for number in range(2, 6)}
        record(opened, AFFILIATION, two_years_ago)
        yield opened


def state(runs: Runs, number: int) -> AffiliationState:
    return AFFILIATION.fold(envelope.event for envelope in runs.store.history(affiliation(number)))  # type: ignore[misc]


def told(runs: Runs, number: int) -> Sequence[str]:
    return [type(envelope.event).__name__ for envelope in runs.store.history(affiliation(number))]


def happens(runs: Runs, number: int, events: Sequence[Event]) -> None:
    record(runs, AFFILIATION, {affiliation(number): events})


def pays(runs: Runs, number: int, cents: int, value_date: date) -> None:
    happens(
        runs,
        number,
        zorgkas.receive_payment(
            state(runs, number), movement=derived_id(Kind.BANK_MOVEMENT, str(number), value_date.isoformat()),
            amount_cents=Cents(cents), value_date=value_date, booked_on=value_date, matched_by="ogm", payer_iban="",
            as_of=value_date, law=LAW,
        ),
    )  # fmt: skip


def post(runs: Runs, number: int, posted_on: date) -> None:
    letter = state(runs, number).letters[-1]
    happens(
        runs,
        number,
        zorgkas.post_letter(
            state(runs, number), letter_id=letter.letter_id, posted_on=posted_on, barcode=f"010{number:027d}",
            as_of=posted_on, law=LAW,
        ),
    )  # fmt: skip


def on(runs: Runs, day: date) -> dict[str, Any]:
    """
    Let the alarm clock ring, and let a second person approve what it planned.
    """
    done = {}
    for did in run_due(runs, as_of=day, since=SINCE):
        assert not did.stopped, did
        run = runs.book.last(did.job)
        assert run is not None
        if run.needs_approval:
            runs.approve(run.run, digest=run.digest, actor=BERT)
            runs.execute(run.run, as_of=day, actor=ANN)
            assert all(control.expected == control.actual for control in runs.settle(run.run, actor=ANN))
        done[did.job] = run
    return done


def test_a_year_goes_from_the_invitations_to_the_report_and_its_correction(runs: Runs, tmp_path: Path) -> None:
    invitations = on(runs, date(2026, 1, 20))["invitations"]
    assert invitations.items == 6
    (young,) = passed_over_page(runs, invitations.run)
    assert young.member == member_id(TOO_YOUNG)
    assert young.basis.rules
    pays(runs, PAYS_IN_TIME, 10_000, date(2026, 4, 30))
    assert on(runs, date(2026, 5, 1))["deadline"].items == 5
    pays(runs, PAYS_LATE, 10_000, date(2026, 5, 2))

    letters = on(runs, date(2026, 6, 1))["registered_letters"]
    assert (letters.items, show(runs, letters.run).amount_cents) == (4, 4 * 16_400)
    for number in (NEVER_PAYS, PAYS_IN_SUMMER, PAYS_12_OCTOBER):
        post(runs, number, date(2026, 6, 3))
    pays(runs, PAYS_IN_SUMMER, 16_400, date(2026, 7, 1))

    report = on(runs, date(2026, 10, 6))["agency_report"]
    reasons = {passed.member: passed.reason for passed in passed_over_page(runs, report.run)}
    assert reasons[member_id(NO_PROOF)] == "not_posted"
    assert reasons[member_id(PAYS_IN_SUMMER)] == "paid"
    assert report.items == 2
    with pytest.raises(NothingToReport):
        write_agency_file(runs, runs.store, letters.run, folder=tmp_path, fund=FUND)  # type: ignore[arg-type]

    pays(runs, PAYS_12_OCTOBER, 16_400, date(2026, 10, 12))
    correction = on(runs, date(2026, 10, 16))["agency_correction"]
    assert correction.items == 1
    reminders = on(runs, date(2026, 11, 15))["reminders"]
    assert reminders.items == 1
    assert told(runs, NO_PROOF)[-1] == "ReminderIssued"
    assert told(runs, NEVER_PAYS)[-3:] == ["RegisteredLetterIssued", "RegisteredLetterPosted", "ReportedToAgency"]
    assert told(runs, PAYS_12_OCTOBER)[-1] == "ReportCorrected"
    assert told(runs, PAYS_IN_TIME) == ["AffiliationOpened", "ZorgpremieCharged", "InvitationIssued", "PaymentReceived"]
    assert {line.status for line in today(runs, as_of=date(2026, 12, 31), since=SINCE)} == {"done"}


def test_the_file_for_the_agency_is_the_same_every_time_and_agrees_with_its_run(runs: Runs, tmp_path: Path) -> None:
    on(runs, date(2026, 1, 20))
    on(runs, date(2026, 5, 1))
    on(runs, date(2026, 6, 1))
    for number in (NEVER_PAYS, PAYS_12_OCTOBER):
        post(runs, number, date(2026, 6, 3))
    report = on(runs, date(2026, 10, 6))["agency_report"]
    store: Any = runs.store
    file = write_agency_file(runs, store, report.run, folder=tmp_path, fund=FUND)
    assert (file.totals.count, file.totals.amount_cents) == (2, 2 * 16_400)
    controls = controls_of_file(file, runs.book.totals(report.run))
    assert all(control.expected == control.actual for control in controls)
    first = file.path.read_bytes()
    write_agency_file(runs, store, report.run, folder=tmp_path, fund=FUND)
    assert file.path.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["agency-report-2026-10-06-1.csv"]
    whole = read_report(first)
    assert [line.years for line in whole.lines] == [((2025, 6400), (2026, 10000))] * 2
    assert whole.head.letter_year == 2026
