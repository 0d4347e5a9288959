"""
The miss of 30 April, the reminder, the registered letter and the proof of its posting.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain import zorgkas_affiliation as zorgkas
from domain.rules.arrears import NotABarcode
from domain.zorgkas_affiliation import AFFILIATION
from domain.zorgkas_affiliation import happened as h
from tests.builders import (
    ACCOUNT,
    AN_OGM,
    LAW,
    a_member,
    barcode,
    charged,
    fined,
    invited,
    letter_id,
    missed,
    movement,
    opened,
    paid,
    posted,
    reported,
    written,
)
from tests.given_when_then import given, like
from tests.table import cases

TWO_YEARS = (opened(), charged(2024, 6200), missed(2024, 6200), charged(2025, 6400), missed(2025, 6400))
LETTER = written(1, date(2025, 6, 1), (2024, 6200), (2025, 6400))


def closing(year: int, as_of: date, **facts: Any) -> dict[str, Any]:
    return {"member": a_member(), "year": year, "as_of": as_of, "law": LAW} | facts


def writing(as_of: date, **facts: Any) -> dict[str, Any]:
    return {"member": a_member(), "as_of": as_of, "law": LAW, "ogm": AN_OGM, "letter_id": letter_id(2)} | facts


def reminding(year: int, as_of: date, **facts: Any) -> dict[str, Any]:
    return writing(as_of, **facts) | {"year": year}


def proof(posted_on: date, **facts: Any) -> dict[str, Any]:
    usual = {"letter_id": letter_id(1), "posted_on": posted_on, "barcode": barcode(1), "law": LAW}
    return usual | {"as_of": posted_on} | facts


@cases("""
    as_of       paid_on     cents  answer       # ZB-1, ZP-3, ZP-5
    2026-04-30  -           0      not_due_yet  # the day itself is in time
    2026-05-01  -           0      missed
    2026-05-01  2026-04-30  10000  paid
    2026-05-01  2026-05-01  10000  missed
    2026-05-01  2026-04-30  9999   missed       # one cent short is incomplete
    2027-03-01  2026-05-01  10000  missed       # a machine that slept says the same
""")
def test_whether_a_year_was_missed(as_of: date, paid_on: date | None, cents: int, answer: str) -> None:
    payment = [paid(1, paid_on, (2026, cents))] if paid_on else []
    asked = given(AFFILIATION, opened(), charged(2026, 10000), *payment).when(
        zorgkas.close_year, **closing(2026, as_of)
    )
    if answer != "missed":
        asked.then_passed_over(answer)
        return
    in_time = cents if paid_on and paid_on <= date(2026, 4, 30) else 0
    asked.then(like(h.YearMissed, year=2026, missed_on=date(2026, 4, 30), open_cents=10000 - in_time))


def test_a_year_is_missed_once_and_only_when_it_was_charged_to_someone_alive() -> None:
    may = date(2026, 5, 1)
    given(AFFILIATION, opened(), charged(2026, 10000), missed(2026, 10000)).when(
        zorgkas.close_year, **closing(2026, may)
    ).then_passed_over("already_missed", rule="ZB-1")
    given(AFFILIATION).when(zorgkas.close_year, **closing(2026, may)).then_passed_over("not_charged")
    given(AFFILIATION, opened(), charged(2026, 10000)).when(
        zorgkas.close_year, **closing(2026, may, member=a_member(died_on=date(2026, 4, 1)))
    ).then_passed_over("died", rule="ZP-17")


@cases("""
    as_of       missed       # ZK-11: turned 26 in 2024, both premiums may be paid until 31 December 2025
    2025-12-31  -
    2026-01-01  2024,2025
""")
def test_the_first_two_premiums_have_until_31_december_of_27(as_of: date, missed: str | None) -> None:
    window = date(2025, 12, 31)
    asked = given(AFFILIATION, opened(), charged(2024, 6200, window=window), charged(2025, 6400, window=window)).when(
        zorgkas.close_year, **closing(2025, as_of)
    )
    if missed is None:
        asked.then_passed_over("first_premiums", rule="ZK-11")
    else:
        years = [int(year) for year in missed.split(",")]
        asked.then(*(like(h.YearMissed, year=year, missed_on=window) for year in years))


def test_the_letter_asks_all_premiums_due_and_says_why() -> None:
    (letter,) = (
        given(AFFILIATION, *TWO_YEARS)
        .when(zorgkas.write_registered_letter, **writing(date(2025, 6, 1)))
        .then(
            like(
                h.RegisteredLetterIssued,
                letter_year=2025,
                years=(h.Allocation(2024, 6200), h.Allocation(2025, 6400)),
                amount_cents=12600,
                account=ACCOUNT,
                pay_by=date(2025, 10, 5),
                issued_on=date(2025, 6, 1),
            )
        )
    )
    basis = letter.basis  # type: ignore[attr-defined]
    assert set(basis.rules) == {"ZB-2", "ZB-13"}
    assert [(used.parameter, used.value) for used in basis.values] == [
        ("arrears/missed_years_min", 2),
        ("arrears/letter_by", "09-01"),
        ("arrears/pay_by", "10-05"),
        ("zorgpremie/account", ACCOUNT),
    ]


def test_what_does_not_count_for_the_letter() -> None:
    def no_letter(*events: Any, reason: str, on: date = date(2026, 6, 1), **facts: Any) -> None:
        given(AFFILIATION, *events).when(zorgkas.write_registered_letter, **writing(on, **facts)).then_passed_over(
            reason
        )

    third = (charged(2026, 10000), missed(2026, 10000))
    paid_since = paid(1, date(2025, 5, 20), (2024, 6200))
    no_letter(*TWO_YEARS, paid_since, reason="too_few_missed_years", on=date(2025, 6, 1))
    with_agency = (
        *TWO_YEARS,
        LETTER,
        posted(1, date(2025, 6, 3)),
        reported(1, date(2025, 10, 8), (2024, 6200), (2025, 6400)),
    )
    no_letter(*with_agency, *third, reason="too_few_missed_years")
    no_letter(*with_agency, fined(1, date(2025, 11, 20), 2024, 2025), *third, reason="too_few_missed_years")
    no_letter(opened("voluntary"), *TWO_YEARS[1:], reason="voluntary")
    no_letter(reason="not_affiliated")
    no_letter(*TWO_YEARS, reason="died", member=a_member(died_on=date(2026, 1, 1)))
    no_letter(*TWO_YEARS, LETTER, reason="already_written", on=date(2025, 6, 2))


def test_premiums_that_the_agency_claims_are_not_asked_in_a_later_letter() -> None:
    later = [charged(2026, 10000), missed(2026, 10000)]
    earlier = [charged(2022, 5400), missed(2022, 5400), charged(2023, 5800), missed(2023, 5800)]
    given(
        AFFILIATION,
        *(opened(), *earlier),
        written(1, date(2023, 6, 1), (2022, 5400), (2023, 5800)),
        reported(1, date(2023, 10, 8), (2022, 5400), (2023, 5800)),
        fined(1, date(2023, 11, 20), 2022, 2023),
        *(charged(2025, 6400), missed(2025, 6400), *later),
    ).when(zorgkas.write_registered_letter, **writing(date(2026, 6, 1))).then(
        like(h.RegisteredLetterIssued, years=(h.Allocation(2025, 6400), h.Allocation(2026, 10000)))
    )


def test_a_year_missed_as_a_voluntary_member_is_asked_along_and_does_not_count() -> None:
    voluntary = (opened("voluntary"), charged(2024, 6200), missed(2024, 6200), opened("mandatory", from_year=2025))
    one = (*voluntary, charged(2025, 6400), missed(2025, 6400))
    given(AFFILIATION, *one).when(zorgkas.write_registered_letter, **writing(date(2025, 6, 1))).then_passed_over(
        "too_few_missed_years"
    )
    two = (*one, charged(2026, 10000), missed(2026, 10000))
    (letter,) = (
        given(AFFILIATION, *two)
        .when(zorgkas.write_registered_letter, **writing(date(2026, 6, 1)))
        .then(like(h.RegisteredLetterIssued, amount_cents=6200 + 6400 + 10000))
    )
    # The mandatory year of 2025 is paid first; the two that stay open do not carry the letter.
    given(AFFILIATION, *two, letter).when(
        zorgkas.receive_payment,
        movement=movement(1),
        amount_cents=6400,
        value_date=date(2026, 6, 2),
        booked_on=date(2026, 6, 2),
        matched_by="ogm",
        payer_iban="",
        as_of=date(2026, 6, 2),
        law=LAW,
    ).then(
        like(h.PaymentReceived, allocations=(h.Allocation(2025, 6400),)),
        like(h.RegisteredLetterWithdrawn, because="paid"),
    )


def test_a_letter_that_was_never_posted_is_written_again_the_year_after() -> None:
    given(AFFILIATION, *TWO_YEARS, LETTER).when(zorgkas.write_registered_letter, **writing(date(2026, 6, 1))).then(
        like(h.RegisteredLetterIssued, letter_year=2026)
    )


def test_a_letter_withdrawn_for_a_payment_that_the_bank_took_back_is_written_again_in_the_same_year() -> None:
    history = [*TWO_YEARS, LETTER, paid(1, date(2025, 6, 2), (2024, 6200))]
    history.append(
        h.RegisteredLetterWithdrawn(
            letter_id=letter_id(1), withdrawn_on=date(2025, 6, 2), because="paid", basis=opened().basis
        )
    )
    no_more = given(AFFILIATION, *history).when(zorgkas.write_registered_letter, **writing(date(2025, 6, 9)))
    no_more.then_passed_over("too_few_missed_years")
    taken_back = h.PaymentReversed(
        movement=history[-2].movement,
        reversed_by=history[-2].movement,
        amount_cents=h.Cents(6200),
        value_date=date(2025, 6, 5),
        allocations=history[-2].allocations,
        credit_cents=h.Cents(0),
        basis=opened().basis,
    )
    given(AFFILIATION, *history, taken_back).when(zorgkas.write_registered_letter, **writing(date(2025, 6, 9))).then(
        like(h.RegisteredLetterIssued, amount_cents=12600)
    )


def test_the_proof_of_posting_is_recorded_once() -> None:
    given(AFFILIATION, *TWO_YEARS, LETTER).when(zorgkas.post_letter, **proof(date(2025, 6, 3))).then(
        like(h.RegisteredLetterPosted, posted_on=date(2025, 6, 3), barcode=barcode(1))
    )
    known = (*TWO_YEARS, LETTER, posted(1, date(2025, 6, 3)))
    given(AFFILIATION, *known).when(zorgkas.post_letter, **proof(date(2025, 6, 3))).then_nothing()
    given(AFFILIATION, *known).when(zorgkas.post_letter, **proof(date(2025, 6, 4))).then_refused(
        zorgkas.PostedOtherwise, letter=letter_id(1)
    )


@cases("""
    posted_on   known_on    fine  # a letter is not posted before it is made, nor in the future
    2025-05-31  2025-06-05  no
    2025-06-01  2025-06-05  yes
    2025-06-05  2025-06-05  yes
    2025-06-06  2025-06-05  no
    2025-09-02  2025-09-05  yes   # too late to count, and recorded all the same
""")
def test_on_which_days_a_letter_can_have_been_posted(posted_on: date, known_on: date, fine: bool) -> None:
    asked = given(AFFILIATION, *TWO_YEARS, LETTER).when(zorgkas.post_letter, **proof(posted_on, as_of=known_on))
    if fine:
        asked.then(like(h.RegisteredLetterPosted, posted_on=posted_on))
    else:
        asked.then_refused(zorgkas.PostedOnImpossibleDay, issued_on=date(2025, 6, 1))


def test_a_proof_that_does_not_fit_is_refused() -> None:
    given(AFFILIATION, *TWO_YEARS).when(zorgkas.post_letter, **proof(date(2025, 6, 3))).then_refused(
        zorgkas.NoLetterOfThisMember, letter=letter_id(1)
    )
    with pytest.raises(NotABarcode):
        zorgkas.post_letter(AFFILIATION.initial, **proof(date(2025, 6, 3), barcode="123"))


@cases("""
    as_of       history       answer                       # ZB-12
    2025-05-01  open          reminded
    2025-04-30  open          not_due_yet
    2025-11-30  open          reminded                     # the last day
    2025-12-01  open          too_late
    2025-11-15  paid          paid
    2025-11-15  posted        asked_by_registered_letter
    2025-11-15  not_posted    reminded                     # ZB-9: a letter without proof is not a letter
    2025-11-15  not_charged   not_charged
    2025-11-15  dead          died
""")
def test_who_is_reminded(as_of: date, history: str, answer: str) -> None:
    events: list[h.HappenedToAffiliation] = {
        "open": [*TWO_YEARS, invited(2025, 6400)],
        "dead": [*TWO_YEARS],
        "paid": [*TWO_YEARS, paid(1, date(2025, 6, 1), (2024, 6200), (2025, 6400))],
        "posted": [*TWO_YEARS, LETTER, posted(1, date(2025, 6, 3))],
        "not_posted": [*TWO_YEARS, LETTER],
        "not_charged": [opened()],
    }[history]
    member = a_member(died_on=date(2025, 11, 1) if history == "dead" else None)
    asked = given(AFFILIATION, *events).when(zorgkas.remind, **reminding(2025, as_of, member=member))
    if answer == "reminded":
        asked.then(like(h.ReminderIssued, year=2025, amount_cents=6400, issued_on=as_of))
    elif answer == "too_late":
        asked.then_refused(zorgkas.ReminderTooLate, reminder_by=date(2025, 11, 30))
    else:
        asked.then_passed_over(answer)
