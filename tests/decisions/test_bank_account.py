"""
What is decided about a bank account: its statements form one unbroken chain, each taken once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import bank_account
from domain.bank_account import BANK_ACCOUNT, BankAccountState, StatementHeld, StatementTaken
from domain.money import Cents
from domain.payments import Iban, Movement, Statement
from tests.decisions.given import Given, given
from tests.table import cases

OURS = Iban.from_text("BE72777594206316")
OTHER = Iban.from_text("BE02068893856340")
OPENED = bank_account.BankAccountOpened(iban=str(OURS), purpose="zorgpremie")


def a_statement(number: int, opening: int, *amounts: int, year: int = 2026, account: Iban = OURS) -> Statement:
    day = date(year, 1, 5) + timedelta(days=number)
    return Statement(
        account=account,
        year=year,
        number=number,
        opened_on=day,
        closed_on=day,
        opening_cents=Cents(opening),
        closing_cents=Cents(opening + sum(amounts)),
        movements=tuple(
            Movement(ordinal=ordinal, amount_cents=Cents(amount), value_date=day, booked_on=day)
            for ordinal, amount in enumerate(amounts, start=1)
        ),
        format="CODA",
    )


def digests(statement: Statement, mark: str = "") -> dict[str, str]:
    content = f"{statement.year:04d}{statement.number:04d}{mark}".ljust(64, "c")
    return {"content_digest": content, "movements_digest": content.replace("c", "d")}


def offered(history: Given, statement: Statement, **others: str) -> Given:
    return history.when(bank_account.take_statement, statement=statement, **(digests(statement) | others))


def taken(statement: Statement, **others: str) -> StatementTaken:
    amounts = [movement.amount_cents for movement in statement.movements]
    return StatementTaken(
        year=statement.year,
        number=statement.number,
        opened_on=statement.opened_on,
        closed_on=statement.closed_on,
        opening_cents=statement.opening_cents,
        closing_cents=statement.closing_cents,
        credit_cents=Cents(sum(amount for amount in amounts if amount > 0)),
        debit_cents=Cents(sum(-amount for amount in amounts if amount < 0)),
        movements=len(amounts),
        format="CODA",
        **(digests(statement) | others),
    )


def held(statement: Statement, *, waits_for: tuple[int, int]) -> StatementHeld:
    return StatementHeld(
        year=statement.year,
        number=statement.number,
        opening_cents=statement.opening_cents,
        content_digest=digests(statement)["content_digest"],
        waits_for_year=waits_for[0],
        waits_for_number=waits_for[1],
        movements_digest=digests(statement)["movements_digest"],
    )


FIRST = a_statement(7, 0, 10000, 6400)  # the chain begins where we begin
SECOND = a_statement(8, 16400, 10000, -500)
THIRD = a_statement(9, 25900, 3500)


def test_an_account_is_opened_once() -> None:
    (
        given(BANK_ACCOUNT)
        .when(bank_account.open_account, iban=OURS, purpose="zorgpremie")
        .then(OPENED)
        .when(bank_account.open_account, iban=OURS, purpose="zorgpremie")
        .then_nothing()
        .when(bank_account.open_account, iban=OURS, purpose="insurance")
        .then_refused(bank_account.OpenedOtherwise)
    )


def test_statements_are_taken_one_after_the_other() -> None:
    history = offered(given(BANK_ACCOUNT, OPENED), FIRST).then(taken(FIRST))
    history = offered(history, SECOND).then(taken(SECOND))
    offered(history, THIRD).then(taken(THIRD))


def test_a_statement_says_what_came_in_and_what_went_out() -> None:
    assert (taken(SECOND).credit_cents, taken(SECOND).debit_cents, taken(SECOND).movements) == (10000, 500, 2)
    offered(given(BANK_ACCOUNT, OPENED, taken(FIRST)), SECOND).then(taken(SECOND))


def test_a_day_without_movements_is_a_statement_too() -> None:
    quiet = a_statement(8, 16400)
    offered(given(BANK_ACCOUNT, OPENED, taken(FIRST)), quiet).then(taken(quiet))


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"content_digest": "other file, same movements".ljust(64)},  # the bank's duplicate, or the other file format
        {"movements_digest": "same file, a reader that sees more".ljust(64)},
    ],
)
def test_the_same_statement_again_is_nothing_new(others: dict[str, str]) -> None:
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), taken(SECOND))
    offered(history, FIRST, **others).then_nothing()


def test_the_same_number_with_other_content_is_refused() -> None:
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), taken(SECOND))
    other = a_statement(8, 16400, 9500)
    offered(history, other, **digests(other, "x")).then_refused(bank_account.StatementContradicts, year=2026, number=8)


def test_a_statement_before_its_turn_waits_and_says_for_what() -> None:
    offered(given(BANK_ACCOUNT, OPENED, taken(FIRST)), THIRD).then(held(THIRD, waits_for=(2026, 8)))


def test_a_waiting_statement_again_is_nothing_new_and_with_other_content_is_refused() -> None:
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), held(THIRD, waits_for=(2026, 8)))
    offered(history, THIRD).then_nothing()
    offered(history, THIRD, **digests(THIRD, "x")).then_refused(bank_account.StatementContradicts, year=2026, number=9)


def test_a_waiting_statement_that_comes_in_another_file_with_the_same_movements_is_the_same() -> None:
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), held(THIRD, waits_for=(2026, 8)))
    other_file = {"content_digest": "a file with more statements".ljust(64)}
    offered(history, THIRD, **other_file).then_nothing()
    history = offered(history, SECOND).then(taken(SECOND))
    offered(history, THIRD, **other_file).then(taken(THIRD, **other_file))


def test_a_statement_that_follows_takes_the_place_of_one_that_waits_and_never_can() -> None:
    wrong = a_statement(9, THIRD.opening_cents + 1)
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), held(wrong, waits_for=(2026, 8)), taken(SECOND))
    assert history.state.next_held is None
    history = offered(history, THIRD, **digests(THIRD, "x")).then(taken(THIRD, **digests(THIRD, "x")))
    assert history.state.held == ()


def test_of_two_statements_that_could_both_follow_neither_is_taken() -> None:
    other = a_statement(9, THIRD.opening_cents, 77)
    history = given(BANK_ACCOUNT, OPENED, taken(FIRST), held(other, waits_for=(2026, 8)), taken(SECOND))
    offered(history, THIRD, **digests(THIRD, "x")).then_refused(bank_account.StatementContradicts, year=2026, number=9)


def test_a_late_statement_closes_the_gap_and_calls_the_one_that_waited() -> None:
    history = offered(given(BANK_ACCOUNT, OPENED, taken(FIRST)), THIRD).then(held(THIRD, waits_for=(2026, 8)))
    assert history.state.next_held is None
    history = offered(history, SECOND).then(taken(SECOND))
    assert (history.state.next_held.year, history.state.next_held.number) == (2026, 9)
    history = offered(history, THIRD).then(taken(THIRD))
    assert (history.state.next_held, history.state.held) == (None, ())


@cases("""
    year  number  opening  outcome
    2026  8       16400    taken
    2026  8       16401    BalanceDoesNotFollow
    2026  9       16400    2026-8
    2027  1       16400    taken
    2027  1       16401    2026-8                # 2026 had another statement after the last that we have
    2027  2       16400    2027-1
    2028  1       16400    2027-1
    2026  6       0        StatementOutOfTurn
    2025  250     0        StatementOutOfTurn
""")
def test_what_may_follow_statement_7_that_closed_with_164_euro(
    year: int, number: int, opening: int, outcome: str
) -> None:
    statement = a_statement(number, opening, 100, year=year)
    next_one = offered(given(BANK_ACCOUNT, OPENED, taken(FIRST)), statement)
    if outcome == "taken":
        next_one.then(taken(statement))
    elif outcome[0].isdigit():
        waits_year, waits_number = outcome.split("-")
        next_one.then(held(statement, waits_for=(int(waits_year), int(waits_number))))
    else:
        next_one.then_refused(getattr(bank_account, outcome), year=year, number=number)


def test_a_statement_of_an_account_that_is_not_open_is_refused() -> None:
    offered(given(BANK_ACCOUNT), FIRST).then_refused(bank_account.AccountNotOpened)


def test_a_statement_of_another_account_is_refused_without_naming_it() -> None:
    other = a_statement(7, 0, 100, account=OTHER)
    offered(given(BANK_ACCOUNT, OPENED), other).then_refused(
        bank_account.StatementOfAnotherAccount, year=2026, number=7
    )


def test_a_statement_that_does_not_add_up_is_refused() -> None:
    wrong = msgspec.structs.replace(FIRST, closing_cents=Cents(16401))
    offered(given(BANK_ACCOUNT, OPENED), wrong).then_refused(bank_account.StatementDoesNotAddUp, year=2026, number=7)


def test_after_years_of_statements_the_state_stays_small_and_an_old_one_is_never_taken_again() -> None:
    state: BankAccountState = BANK_ACCOUNT.fold([OPENED])
    statements = [a_statement(number, 100 * number, 100) for number in range(1, 1201)]
    for statement in statements:
        state = BANK_ACCOUNT.fold([taken(statement)], state=state)
    assert len(msgspec.json.encode(state)) < 25_000
    recent, old = statements[-400], statements[-401]
    assert bank_account.take_statement(state, statement=recent, **digests(recent)) == []
    with pytest.raises(bank_account.StatementOutOfTurn):
        bank_account.take_statement(state, statement=old, **digests(old))


@for_all(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=6))
def test_in_whatever_order_the_files_come_and_come_again_the_chain_is_the_same(
    order: Sequence[int], again: list[int]
) -> None:
    chain: list[Statement] = [FIRST]
    for index in range(12):
        year, number = (2026, 8 + index) if index < 6 else (2027, index - 5)
        chain.append(a_statement(number, chain[-1].closing_cents, 1000 + index, -index, year=year))
    history: list[Any] = [OPENED, taken(FIRST)]
    state: BankAccountState = BANK_ACCOUNT.fold(history)
    for index in [*order, *again]:
        offer: Statement | None = chain[1 + index]
        while offer is not None:
            events = bank_account.take_statement(state, statement=offer, **digests(offer))
            history += events
            state = BANK_ACCOUNT.fold(events, state=state)
            waiting = state.next_held
            offer = next(
                (each for each in chain if waiting and (each.year, each.number) == (waiting.year, waiting.number)), None
            )
    assert [event for event in history if isinstance(event, StatementTaken)] == [taken(each) for each in chain]
    assert state.held == ()
