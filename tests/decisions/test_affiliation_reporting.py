"""
The report to the Agency, its correction, and what the Agency answers.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain import zorgkas_affiliation as zorgkas
from domain.dates import Period
from domain.ids import derived_key
from domain.parameters import NoValue
from domain.zorgkas_affiliation import AFFILIATION
from domain.zorgkas_affiliation import happened as h
from tests.builders import (
    LAW,
    a_member,
    charged,
    fined,
    letter_id,
    missed,
    opened,
    paid,
    posted,
    reported,
    written,
)
from tests.given_when_then import given, like
from tests.table import cases

POSTED = (
    *(opened(), charged(2024, 6200), missed(2024, 6200), charged(2025, 6400), missed(2025, 6400)),
    written(1, date(2025, 6, 1), (2024, 6200), (2025, 6400)),
    posted(1, date(2025, 6, 3)),
)
REPORTED = (*POSTED, reported(1, date(2025, 10, 8), (2024, 6200), (2025, 6400)))
REPORT_ID = derived_key("report", "2025")


def reporting(as_of: date, **facts: Any) -> dict[str, Any]:
    return {"member": a_member(), "as_of": as_of, "law": LAW, "report_id": REPORT_ID} | facts


def correcting(as_of: date, **facts: Any) -> dict[str, Any]:
    return {"member": a_member(), "as_of": as_of, "law": LAW} | facts


def fine(**facts: Any) -> dict[str, Any]:
    usual = {
        "reference": "fine 1",
        "letter_id": letter_id(1),
        "years": (2024, 2025),
        "amount_cents": 25000,
        "imposed_on": date(2025, 11, 20),
        "member": a_member(),
        "as_of": date(2025, 11, 25),
        "law": LAW,
    }
    return usual | facts


def test_who_did_not_pay_is_reported_with_what_was_open_on_5_october() -> None:
    (event,) = (
        given(AFFILIATION, *POSTED, paid(1, date(2025, 8, 1), (2024, 6000)), paid(2, date(2025, 10, 6), (2024, 200)))
        .when(zorgkas.report, **reporting(date(2025, 10, 8)))
        .then(
            like(
                h.ReportedToAgency,
                letter_id=letter_id(1),
                report_id=REPORT_ID,
                years=(h.Allocation(2024, 200), h.Allocation(2025, 6400)),
                amount_cents=6600,
                reported_on=date(2025, 10, 8),
            )
        )
    )
    assert {"ZB-9", "ZB-10"} <= set(event.basis.rules)  # type: ignore[attr-defined]


@cases("""
    as_of       answer  # ZB-4, ZB-10
    2025-10-05  early
    2025-10-06  reported
    2025-10-10  reported
    2025-10-11  late
""")
def test_when_a_report_can_be_made(as_of: date, answer: str) -> None:
    asked = given(AFFILIATION, *POSTED).when(zorgkas.report, **reporting(as_of))
    match answer:
        case "early":
            asked.then_refused(zorgkas.ReportTooEarly, pay_by=date(2025, 10, 5))
        case "late":
            asked.then_refused(zorgkas.ReportTooLate, report_by=date(2025, 10, 10))
        case _:
            asked.then(like(h.ReportedToAgency, reported_on=as_of))


def test_until_2018_there_is_no_report() -> None:
    with pytest.raises(NoValue, match="arrears/report_by"):
        zorgkas.report(AFFILIATION.initial, **reporting(date(2018, 5, 2)))


def test_who_is_not_reported_and_why() -> None:
    october = reporting(date(2025, 10, 8))
    given(AFFILIATION, opened()).when(zorgkas.report, **october).then_passed_over("no_letter", rule="ZB-9")
    given(AFFILIATION, *POSTED[:-1]).when(zorgkas.report, **october).then_passed_over("not_posted", rule="ZB-9")
    given(AFFILIATION, *REPORTED).when(zorgkas.report, **october).then_passed_over("already_reported")
    dead = a_member(died_on=date(2025, 9, 1))
    given(AFFILIATION, *POSTED).when(zorgkas.report, **(october | {"member": dead})).then_passed_over("died")


@cases("""
    value_date  as_of       answer           # ZB-4, ZB-10: money on the account by 15 October still prevents the fine
    2025-10-15  2025-10-16  corrected
    2025-10-15  2025-11-20  corrected        # the statement came late
    2025-10-12  2026-01-10  corrected        # or not before the next year
    2025-10-15  2026-09-01  corrected
    2025-10-15  2026-10-15  corrected        # what is planned that late is refused by the calendar
    2025-10-15  2026-10-16  not_reported     # from now on the report of 2026 is the last one
    2025-10-16  2025-10-20  still_unpaid
    2025-10-16  2026-01-10  still_unpaid
    -           2025-10-16  still_unpaid
""")
def test_what_takes_a_report_back(value_date: date | None, as_of: date, answer: str) -> None:
    payment = [paid(1, value_date, (2024, 6200), (2025, 6400))] if value_date else []
    asked = given(AFFILIATION, *REPORTED, *payment).when(zorgkas.correct_report, **correcting(as_of))
    if answer == "corrected":
        asked.then(like(h.ReportCorrected, because="paid", report_id=REPORT_ID, corrected_on=as_of))
    else:
        asked.then_passed_over(answer, rule="ZB-10")


def test_a_miss_corrected_after_the_report_takes_the_report_back() -> None:
    late_news = zorgkas.receive_payment(
        AFFILIATION.fold(REPORTED),
        movement=h.StreamId(letter_id(77)),
        amount_cents=h.Cents(12600),
        value_date=date(2025, 4, 30),
        booked_on=date(2025, 4, 30),
        matched_by="person",
        payer_iban="",
        as_of=date(2025, 10, 20),
        law=LAW,
    )
    given(AFFILIATION, *REPORTED, *late_news).when(zorgkas.correct_report, **correcting(date(2025, 10, 21))).then(
        like(h.ReportCorrected, because="miss_corrected")
    )


def test_what_was_not_reported_is_not_corrected_and_a_death_is_told_by_a_person() -> None:
    on = date(2025, 10, 16)
    given(AFFILIATION, *POSTED).when(zorgkas.correct_report, **correcting(on)).then_passed_over("not_reported")
    dead = a_member(died_on=date(2025, 10, 12))
    given(AFFILIATION, *REPORTED).when(zorgkas.correct_report, **correcting(on, member=dead)).then_passed_over("died")


def test_a_fine_is_recorded_once_with_what_the_law_names() -> None:
    (event,) = (
        given(AFFILIATION, *REPORTED)
        .when(zorgkas.record_fine, **fine())
        .then(like(h.FineImposed, years=(2024, 2025), amount_cents=25000, imposed_on=date(2025, 11, 20)))
    )
    assert [used.value for used in event.basis.values] == [25000]  # type: ignore[attr-defined]
    given(AFFILIATION, *REPORTED, event).when(zorgkas.record_fine, **fine()).then_nothing()


def test_the_fine_that_the_law_names_stands_beside_the_one_that_the_agency_imposed() -> None:
    allowed = a_member(allowance=[Period(start=date(2024, 1, 1))])
    (event,) = (
        given(AFFILIATION, *REPORTED)
        .when(zorgkas.record_fine, **fine(member=allowed))
        .then(like(h.FineImposed, amount_cents=25000))
    )
    assert [used.value for used in event.basis.values] == [10000]  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"years": (2023,)}, {"years": ()}, {"letter_id": letter_id(9)}])
def test_a_fine_that_does_not_fit_a_report_is_for_a_person(wrong: dict[str, Any]) -> None:
    given(AFFILIATION, *REPORTED).when(zorgkas.record_fine, **fine(**wrong)).then_refused(zorgkas.FineWithoutReport)
    given(AFFILIATION, *POSTED).when(zorgkas.record_fine, **fine()).then_refused(zorgkas.FineWithoutReport)


@pytest.mark.parametrize(
    ("imposed_on", "possible"),
    [(date(2025, 10, 7), False), (date(2025, 10, 8), True), (date(2025, 11, 25), True), (date(2025, 11, 26), False)],
)
def test_a_fine_lies_between_its_report_and_today(imposed_on: date, possible: bool) -> None:
    asked = given(AFFILIATION, *REPORTED).when(zorgkas.record_fine, **fine(imposed_on=imposed_on))
    if possible:
        asked.then(like(h.FineImposed, imposed_on=imposed_on))
    else:
        asked.then_refused(zorgkas.FineOnImpossibleDay, reported_on=date(2025, 10, 8))


def test_what_the_agency_tells_about_a_fine_is_recorded_once() -> None:
    history = [*REPORTED, fined(1, date(2025, 11, 20), 2024, 2025)]
    facts = {"reference": "fine 1", "outcome": "appealed", "happened_on": date(2026, 1, 5)}
    told = (
        given(AFFILIATION, *history)
        .when(zorgkas.follow_up_fine, **facts)
        .then(like(h.FineFollowedUp, outcome="appealed", happened_on=date(2026, 1, 5)))
    )
    given(AFFILIATION, *history, *told).when(zorgkas.follow_up_fine, **facts).then_nothing()
    given(AFFILIATION, *REPORTED).when(zorgkas.follow_up_fine, **facts).then_refused(zorgkas.NoSuchFine)
