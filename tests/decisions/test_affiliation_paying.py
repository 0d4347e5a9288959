"""
Money in and money back: where it goes, what it corrects, what is refused.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain import zorgkas_affiliation as zorgkas
from domain.zorgkas_affiliation import AFFILIATION
from domain.zorgkas_affiliation import happened as h
from tests.builders import (
    LAW,
    charged,
    fined,
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


def money(number: int, cents: int, value_date: date, *, known_on: date | None = None) -> dict[str, Any]:
    return {
        "movement": movement(number),
        "amount_cents": cents,
        "value_date": value_date,
        "booked_on": value_date,
        "matched_by": "ogm",
        "payer_iban": "BE68539007547034",
        "as_of": known_on or value_date,
        "law": LAW,
    }


def back(number: int, cents: int, on: date) -> dict[str, Any]:
    return {
        "movement": movement(number),
        "reversed_by": movement(1000 + number),
        "amount_cents": cents,
        "value_date": on,
        "as_of": on,
        "law": LAW,
    }


def test_money_fills_the_oldest_year_first_and_the_rest_is_credit() -> None:
    given(AFFILIATION, *TWO_YEARS).when(zorgkas.receive_payment, **money(1, 13000, date(2025, 7, 1))).then(
        like(
            h.PaymentReceived,
            amount_cents=13000,
            allocations=(h.Allocation(2024, 6200), h.Allocation(2025, 6400)),
            credit_cents=400,
            matched_by="ogm",
        )
    )


def test_a_year_that_was_fined_for_comes_after_those_that_can_still_lead_to_a_fine() -> None:
    given(
        AFFILIATION,
        *TWO_YEARS,
        written(1, date(2025, 6, 1), (2024, 6200), (2025, 6400)),
        reported(1, date(2025, 10, 8), (2024, 6200), (2025, 6400)),
        fined(1, date(2025, 11, 20), 2024, 2025),
        charged(2026, 10000),
    ).when(zorgkas.receive_payment, **money(1, 12000, date(2026, 2, 1))).then(
        like(h.PaymentReceived, allocations=(h.Allocation(2026, 10000), h.Allocation(2024, 2000)), credit_cents=0)
    )


def test_money_of_someone_who_owes_nothing_is_credit() -> None:
    given(AFFILIATION).when(zorgkas.receive_payment, **money(1, 6400, date(2025, 2, 1))).then(
        like(h.PaymentReceived, allocations=(), credit_cents=6400)
    )


@cases("""
    value_date  corrected  # ZB-1: on the account on 30 April, that day included
    2025-04-30  yes
    2025-05-01  no
""")
def test_the_value_date_decides_not_the_day_of_the_statement(value_date: date, corrected: bool) -> None:
    asked = given(AFFILIATION, opened(), charged(2025, 6400), missed(2025, 6400)).when(
        zorgkas.receive_payment, **money(1, 6400, value_date, known_on=date(2025, 5, 4))
    )
    correction = like(h.MissCorrected, year=2025, because="paid_in_time", known_on=date(2025, 5, 4))
    asked.then(like(h.PaymentReceived), *([correction] if corrected else []))


def test_a_part_payment_in_time_corrects_nothing() -> None:
    given(AFFILIATION, opened(), charged(2025, 6400), missed(2025, 6400)).when(
        zorgkas.receive_payment, **money(1, 6399, date(2025, 4, 30), known_on=date(2025, 5, 4))
    ).then(like(h.PaymentReceived, credit_cents=0))


def test_the_same_movement_twice_is_nothing_also_when_it_was_refunded_or_reversed() -> None:
    first = paid(1, date(2025, 2, 1), (2025, 6400), credit=100)
    history = [opened(), charged(2025, 6400), first]
    given(AFFILIATION, *history).when(zorgkas.receive_payment, **money(1, 6500, date(2025, 2, 1))).then_nothing()
    reversal = zorgkas.reverse_payment(AFFILIATION.fold(history), **back(1, 6500, date(2025, 2, 3)))
    given(AFFILIATION, *history, *reversal).when(
        zorgkas.receive_payment, **money(1, 6500, date(2025, 2, 1))
    ).then_nothing()
    given(AFFILIATION, *history, *reversal).when(
        zorgkas.reverse_payment, **back(1, 6500, date(2025, 2, 3))
    ).then_nothing()


def test_the_miss_corrected_while_the_letter_is_not_posted_withdraws_the_letter() -> None:
    given(AFFILIATION, *TWO_YEARS, written(1, date(2025, 6, 1), (2024, 6200), (2025, 6400))).when(
        zorgkas.receive_payment, **money(1, 12600, date(2025, 4, 30), known_on=date(2025, 6, 2))
    ).then(
        like(h.PaymentReceived),
        like(h.MissCorrected, year=2025),
        like(h.RegisteredLetterWithdrawn, because="miss_corrected", withdrawn_on=date(2025, 6, 2)),
    )


def test_the_miss_corrected_after_posting_names_the_letter_once() -> None:
    history = [
        *TWO_YEARS,
        written(1, date(2025, 6, 1), (2024, 6200), (2025, 6400)),
        posted(1, date(2025, 6, 3)),
    ]
    first = money(1, 12600, date(2025, 4, 30), known_on=date(2025, 6, 10))
    given(AFFILIATION, *history).when(zorgkas.receive_payment, **first).then(
        like(h.PaymentReceived),
        like(h.MissCorrected, year=2025),
        like(h.PostedLetterContradicted, because="miss_corrected"),
    )
    named = zorgkas.receive_payment(AFFILIATION.fold(history), **first)
    given(AFFILIATION, *history, *named).when(zorgkas.receive_payment, **money(2, 100, date(2025, 6, 11))).then(
        like(h.PaymentReceived)
    )


def test_a_reversal_opens_the_years_and_the_credit_of_others_fills_them_first() -> None:
    given(
        AFFILIATION,
        *(opened(), charged(2025, 6400)),
        paid(1, date(2025, 2, 1), (2025, 6400)),
        paid(2, date(2025, 2, 3), credit=6400),
    ).when(zorgkas.reverse_payment, **back(1, 6400, date(2025, 6, 1))).then(
        like(h.PaymentReversed, allocations=(h.Allocation(2025, 6400),), credit_cents=0),
        like(h.CreditAllocated, allocations=(h.Allocation(2025, 6400),)),
    )


@cases("""
    on          missed_again  # ZB-1
    2025-04-30  no            # there is still time
    2025-05-01  yes
""")
def test_a_reversal_makes_the_year_missed_only_when_its_last_day_has_passed(on: date, missed_again: bool) -> None:
    asked = given(AFFILIATION, opened(), charged(2025, 6400), paid(1, date(2025, 2, 1), (2025, 6400))).when(
        zorgkas.reverse_payment, **back(1, 6400, on)
    )
    again = like(h.MissReinstated, year=2025, open_cents=6400, known_on=on)
    asked.then(like(h.PaymentReversed), *([again] if missed_again else []))


def test_a_reversal_of_a_late_payment_leaves_the_miss_as_it_was() -> None:
    given(AFFILIATION, opened(), charged(2025, 6400), missed(2025, 6400), paid(1, date(2025, 5, 9), (2025, 6400))).when(
        zorgkas.reverse_payment, **back(1, 6400, date(2025, 5, 12))
    ).then(like(h.PaymentReversed))


def test_a_reversal_of_what_we_did_not_receive_or_gave_back_is_for_a_person() -> None:
    history = [opened(), charged(2025, 6400), paid(1, date(2025, 2, 1), (2025, 6400), credit=100)]
    given(AFFILIATION, *history).when(zorgkas.reverse_payment, **back(9, 6500, date(2025, 3, 1))).then_refused(
        zorgkas.NoSuchPayment
    )
    given(AFFILIATION, *history).when(zorgkas.reverse_payment, **back(1, 6400, date(2025, 3, 1))).then_refused(
        zorgkas.ReversalDoesNotFit
    )


PAID_TWICE = (
    opened(),
    charged(2025, 6400),
    paid(1, date(2025, 2, 1), (2025, 6400)),
    paid(2, date(2025, 2, 8), credit=6400),
)


def refunded(cents: int, reference: str = "R1") -> h.CreditRefunded:
    (event,) = zorgkas.refund_credit(
        AFFILIATION.fold(PAID_TWICE), amount_cents=h.Cents(cents), refunded_on=date(2025, 3, 1), reference=reference
    )
    assert isinstance(event, h.CreditRefunded)
    return event


@pytest.mark.parametrize("cents", [6400, 2500, 1])
def test_a_payment_that_was_refunded_and_then_taken_back_is_owed_back_and_the_year_stays_paid(cents: int) -> None:
    history = (*PAID_TWICE, refunded(cents))
    taken_back = (
        given(AFFILIATION, *history)
        .when(zorgkas.reverse_payment, **back(2, 6400, date(2025, 5, 12)))
        .then(like(h.PaymentReversed, allocations=(), credit_cents=6400, owed_back_cents=cents))
    )
    after = AFFILIATION.fold((*history, *taken_back))
    assert (after.credit_cents, after.paid_cents(2025)) == (-cents, 6400)
    assert zorgkas.reverse_payment(after, **back(2, 6400, date(2025, 5, 12))) == []
    with pytest.raises(zorgkas.ReversalDoesNotFit):
        zorgkas.reverse_payment(after, **{**back(2, 6400, date(2025, 5, 13)), "reversed_by": movement(77)})
    with pytest.raises(zorgkas.MoreThanCredit):
        zorgkas.refund_credit(after, amount_cents=h.Cents(1), refunded_on=date(2025, 6, 1), reference="R2")


def test_what_a_member_owes_back_is_settled_by_what_they_pay_beyond_their_premiums() -> None:
    owing = AFFILIATION.fold((*PAID_TWICE, refunded(6400)))
    owing = AFFILIATION.fold(zorgkas.reverse_payment(owing, **back(2, 6400, date(2025, 5, 12))), state=owing)
    owing = AFFILIATION.fold([charged(2026, 10000)], state=owing)

    less = AFFILIATION.fold(zorgkas.receive_payment(owing, **money(3, 13000, date(2026, 2, 1))), state=owing)
    assert (less.paid_cents(2026), less.credit_cents) == (10000, -3400)
    beyond = AFFILIATION.fold(zorgkas.receive_payment(less, **money(4, 4000, date(2026, 3, 1))), state=less)
    assert beyond.credit_cents == 600
    with pytest.raises(zorgkas.MoreThanCredit):
        zorgkas.refund_credit(beyond, amount_cents=h.Cents(601), refunded_on=date(2026, 4, 1), reference="R2")
    refund = zorgkas.refund_credit(beyond, amount_cents=h.Cents(600), refunded_on=date(2026, 4, 1), reference="R2")
    assert AFFILIATION.fold(refund, state=beyond).credit_cents == 0


def test_credit_that_only_makes_up_for_a_debt_is_not_put_on_a_new_year() -> None:
    owing = AFFILIATION.fold((*PAID_TWICE, refunded(6400)))
    owing = AFFILIATION.fold(zorgkas.reverse_payment(owing, **back(2, 6400, date(2025, 5, 12))), state=owing)
    owing = AFFILIATION.fold(zorgkas.receive_payment(owing, **money(3, 6400, date(2025, 6, 1))), state=owing)
    assert owing.credit_cents == 0
    reversed_year = zorgkas.reverse_payment(owing, **back(1, 6400, date(2025, 6, 2)))
    assert [type(event) for event in reversed_year] == [h.PaymentReversed, h.MissReinstated]


def test_credit_is_refunded_once_and_never_more_than_there_is() -> None:
    history = [opened(), charged(2025, 6400), paid(1, date(2025, 2, 1), (2025, 6400), credit=100)]
    facts = {"refunded_on": date(2025, 3, 1), "reference": "R1"}
    given(AFFILIATION, *history).when(zorgkas.refund_credit, amount_cents=101, **facts).then_refused(
        zorgkas.MoreThanCredit
    )
    refund = (
        given(AFFILIATION, *history)
        .when(zorgkas.refund_credit, amount_cents=100, **facts)
        .then(like(h.CreditRefunded, amount_cents=100, reference="R1"))
    )
    given(AFFILIATION, *history, *refund).when(zorgkas.refund_credit, amount_cents=100, **facts).then_nothing()


@pytest.mark.parametrize("cents", [0, -6400])
def test_only_an_amount_above_zero_is_money_in(cents: int) -> None:
    given(AFFILIATION).when(zorgkas.receive_payment, **money(1, cents, date(2025, 2, 1))).then_refused(
        zorgkas.NotMoneyIn
    )
    given(AFFILIATION).when(zorgkas.reverse_payment, **back(1, cents, date(2025, 2, 1))).then_refused(
        zorgkas.NotMoneyIn
    )
    given(AFFILIATION).when(
        zorgkas.refund_credit, amount_cents=cents, refunded_on=date(2025, 2, 1), reference="R"
    ).then_refused(zorgkas.NotMoneyIn)
