"""
What people decide about a chain of statements that does not go on by itself.
"""

from __future__ import annotations

from datetime import date

from domain import bank_account
from domain.bank_account import (
    BANK_ACCOUNT,
    StatementDiscarded,
    StatementGapApproved,
    StatementGapDeclared,
    StatementGapExplained,
)
from domain.money import Cents
from tests.decisions.given import Given, given
from tests.decisions.test_bank_account import FIRST, OPENED, THIRD, a_statement, digests, held, offered, taken

DAY = date(2026, 2, 2)
LATE = a_statement(8, 16400, 10000, -500)  # goes from the first to the third
PART = a_statement(8, 16400, 5000)  # not all of what is between them
ELSEWHERE = a_statement(8, 20000, 5900)


def declared(number: int, opening: int, *, by: str = "ann") -> StatementGapDeclared:
    return StatementGapDeclared(
        year=2026, number=number, opening_cents=Cents(opening), after_year=2026, after_number=7,
        after_cents=Cents(16400), reason="the bank has no other", declared_by=by, declared_on=DAY,
    )  # fmt: skip


APPROVED = StatementGapApproved(year=2026, number=9, approved_by="bob", approved_on=DAY)
WAITING = (OPENED, taken(FIRST), held(THIRD, waits_for=(2026, 8)))
BRIDGED = (*WAITING, declared(9, 25900), APPROVED, taken(THIRD))


def accepted(history: Given, number: int, opening: int | None = None) -> Given:
    cents = None if opening is None else Cents(opening)
    return history.when(
        bank_account.declare_gap, year=2026, number=number, opening_cents=cents, reason="the bank has no other",
        declared_by="ann", declared_on=DAY,
    )  # fmt: skip


def approved(history: Given, by: str, number: int = 9) -> Given:
    return history.when(bank_account.approve_gap, year=2026, number=number, approved_by=by, approved_on=DAY)


def test_a_gap_over_which_the_balance_moves_counts_when_a_second_person_approves_it() -> None:
    history = accepted(given(BANK_ACCOUNT, *WAITING), 9).then(declared(9, 25900))
    approved(history, "ann").then_refused(bank_account.OwnGap)
    offered(history, THIRD).then_nothing()  # it waits on
    history = approved(history, "bob").then(APPROVED)
    offered(history, THIRD).then(taken(THIRD))


def test_a_number_that_the_bank_left_out_needs_no_second_person_when_the_balances_meet() -> None:
    skipped = a_statement(9, 16400, 500)
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), held(skipped, waits_for=(2026, 8)))
    history = accepted(history, 9).then(declared(9, 16400))
    offered(history, skipped).then(taken(skipped))


def test_the_next_number_with_another_balance_is_taken_when_two_people_stand_by_it() -> None:
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST))
    offered(history, ELSEWHERE).then_refused(bank_account.BalanceDoesNotFollow, year=2026, number=8)
    accepted(history, 8).then_refused(bank_account.OpeningUnknown, year=2026, number=8)
    history = approved(accepted(history, 8, 20000).then(declared(8, 20000)), "bob", number=8)
    history = history.then(StatementGapApproved(year=2026, number=8, approved_by="bob", approved_on=DAY))
    offered(history, a_statement(8, 16401, 5900)).then_refused(bank_account.BalanceDoesNotFollow, year=2026, number=8)
    offered(history, ELSEWHERE).then(taken(ELSEWHERE))


def test_saying_it_again_changes_nothing_and_what_is_not_missing_is_refused() -> None:
    history = given(BANK_ACCOUNT, *WAITING, declared(9, 25900))
    accepted(history, 9).then_nothing()
    accepted(history, 9, 1).then_refused(bank_account.OpensOtherwise, year=2026, number=9, opening_cents=25900)
    accepted(history, 8, 16400).then_refused(bank_account.NothingIsMissing, year=2026, number=8)
    accepted(history, 7).then_refused(bank_account.NothingIsMissing, year=2026, number=7)
    accepted(given(BANK_ACCOUNT), 9).then_refused(bank_account.AccountNotOpened)
    approved(given(BANK_ACCOUNT, *WAITING), "bob").then_refused(bank_account.NoSuchGap, year=2026, number=9)


def test_a_declared_gap_lapses_when_the_missing_statement_comes_before_anybody_approved_it() -> None:
    history = offered(given(BANK_ACCOUNT, *WAITING, declared(9, 25900)), LATE).then(taken(LATE))
    approved(history, "bob").then_refused(bank_account.NoSuchGap, year=2026, number=9)
    offered(history, THIRD).then(taken(THIRD))


def test_the_missing_statement_that_turns_up_after_all_is_taken_into_the_gap_and_closes_it() -> None:
    history = given(BANK_ACCOUNT, *BRIDGED)
    assert [gap.difference_cents for gap in history.state.gaps if gap.is_open] == [9500]
    history = offered(history, LATE).then(taken(LATE))
    assert [gap for gap in history.state.gaps if gap.is_open] == []
    offered(history, LATE).then_nothing()
    fourth = a_statement(10, 29400, 100)
    offered(history, fourth).then(taken(fourth))


def test_a_late_statement_that_does_not_go_on_where_the_gap_begins_is_refused() -> None:
    offered(given(BANK_ACCOUNT, *BRIDGED), ELSEWHERE).then_refused(
        bank_account.DoesNotFitTheGap, after="2026/7", closed_with=16400
    )
    offered(given(BANK_ACCOUNT, *BRIDGED), a_statement(6, 0)).then_refused(
        bank_account.StatementOutOfTurn, year=2026, number=6
    )


def test_what_is_left_of_the_difference_is_explained_once_and_stays_on_record() -> None:
    history = offered(given(BANK_ACCOUNT, *BRIDGED), PART).then(taken(PART))

    def explained(of: Given) -> Given:
        return of.when(
            bank_account.explain_gap, year=2026, number=9, reason="costs", explained_by="ann", explained_on=DAY
        )

    explained(given(BANK_ACCOUNT, *WAITING, declared(9, 25900))).then_refused(
        bank_account.NoSuchGap, year=2026, number=9
    )
    history = explained(history).then(
        StatementGapExplained(
            year=2026, number=9, difference_cents=Cents(4500), reason="costs", explained_by="ann", explained_on=DAY
        )
    )
    assert [(gap.difference_cents, gap.is_open) for gap in history.state.gaps] == [(4500, False)]
    explained(history).then_nothing()


def test_a_file_that_waits_can_be_given_up_and_handed_in_again() -> None:
    history = given(BANK_ACCOUNT, *WAITING)

    def discarded(of: Given, number: int) -> Given:
        return of.when(
            bank_account.discard_statement, year=2026, number=number, reason="a new file comes", discarded_by="ann",
            discarded_on=DAY,
        )  # fmt: skip

    discarded(history, 8).then_refused(bank_account.NothingWaits, year=2026, number=8)
    gone = StatementDiscarded(
        year=2026, number=9, opening_cents=Cents(25900), content_digest=digests(THIRD)["content_digest"][:16],
        reason="a new file comes", discarded_by="ann", discarded_on=DAY,
    )  # fmt: skip
    history = discarded(history, 9).then(gone)
    offered(history, THIRD).then(held(THIRD, waits_for=(2026, 8)))
