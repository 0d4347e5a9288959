"""
What is decided about money that no member was found for: it stays on the worklist until a person places all of it.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import bank_movement
from domain.bank_movement import BANK_MOVEMENT, MovementAllocated, MovementExplained, MovementHeld, MovementReturned
from domain.errors import Refused
from domain.events import Basis
from domain.ids import Kind, StreamId, derived_id
from domain.money import Cents
from domain.payments import Movement
from tests.decisions.given import given
from tests.table import cases

ACCOUNT = derived_id(Kind.BANK_ACCOUNT, "ours")
AN, BERT = (StreamId(derived_id(Kind.ZORGKAS_AFFILIATION, name)) for name in ("an", "bert"))
BASIS = Basis(rules=("ZP-14",))
DAY = date(2026, 4, 30)


def held(amount: int = 20000) -> MovementHeld:
    return MovementHeld(
        account=ACCOUNT,
        year=2026,
        number=83,
        ordinal=4,
        amount_cents=Cents(amount),
        value_date=DAY,
        booked_on=DAY,
        because="no_ogm",
        communication="zorgpremie",
        counterparty_iban="",
        counterparty_name="",
        end_to_end_id="",
        basis=BASIS,
    )


def allocated(amount: int, affiliation: StreamId = AN) -> MovementAllocated:
    return MovementAllocated(
        affiliation=affiliation,
        amount_cents=Cents(amount),
        allocated_on=date(2026, 5, 6),
        reason="rang us",
        basis=BASIS,
    )


def returned(amount: int) -> MovementReturned:
    return MovementReturned(amount_cents=Cents(amount), returned_on=date(2026, 5, 6), reference="R1", reason="not ours")


ALLOCATE = {"affiliation": AN, "allocated_on": date(2026, 5, 6), "reason": "rang us"}
GIVE_BACK = {"returned_on": date(2026, 5, 6), "reference": "R1", "reason": "not ours"}
EXPLAIN = {"explained_on": date(2026, 5, 6), "as_what": "bank_costs", "reason": "yearly costs"}


def test_money_without_a_member_is_held_once_with_the_reason() -> None:
    movement = Movement(ordinal=4, amount_cents=Cents(20000), value_date=DAY, booked_on=DAY, communication="zorgpremie")
    facts = {"account": ACCOUNT, "year": 2026, "number": 83, "movement": movement, "because": "no_ogm"}
    given(BANK_MOVEMENT).when(bank_movement.hold, **facts).then(held()).when(bank_movement.hold, **facts).then_nothing()


def test_all_of_the_money_is_for_one_member() -> None:
    given(BANK_MOVEMENT, held()).when(bank_movement.allocate, **ALLOCATE).then(allocated(20000))


def test_one_payment_of_a_couple_is_allocated_in_two_parts() -> None:
    history = (
        given(BANK_MOVEMENT, held())
        .when(bank_movement.allocate, **ALLOCATE, amount_cents=10000)
        .then(allocated(10000))
        .when(bank_movement.allocate, **(ALLOCATE | {"affiliation": BERT}))
        .then(allocated(10000, BERT))
    )
    assert history.state.open_cents == 0


def test_what_is_left_goes_back() -> None:
    given(BANK_MOVEMENT, held(), allocated(15000)).when(bank_movement.give_back, **GIVE_BACK).then(returned(5000))


@cases("""
    open    amount   fits
    20000   20000    yes
    20000   1        yes
    20000   20001    no
    20000   0        no
    20000   -1       no
    -10000  -10000   yes    # a reversal whose payment was not found
    -10000  -10001   no
    -10000  10000    no
""")
def test_no_more_is_allocated_than_is_open_and_never_with_the_other_sign(open: int, amount: int, fits: bool) -> None:
    part = given(BANK_MOVEMENT, held(open)).when(bank_movement.allocate, **ALLOCATE, amount_cents=amount)
    if fits:
        part.then(allocated(amount))
    else:
        part.then_refused(bank_movement.MoreThanIsOpen)


def test_more_than_is_open_does_not_go_back() -> None:
    given(BANK_MOVEMENT, held(), allocated(15000)).when(
        bank_movement.give_back, **GIVE_BACK, amount_cents=5001
    ).then_refused(bank_movement.MoreThanIsOpen)


def test_money_that_left_cannot_be_given_back() -> None:
    given(BANK_MOVEMENT, held(-500)).when(bank_movement.give_back, **GIVE_BACK).then_refused(
        bank_movement.MoneyDidNotComeIn
    )


def test_bank_costs_leave_the_worklist() -> None:
    explained = MovementExplained(explained_on=date(2026, 5, 6), as_what="bank_costs", reason="yearly costs")
    history = given(BANK_MOVEMENT, held(-500)).when(bank_movement.explain, **EXPLAIN).then(explained)
    assert history.state.open_cents == 0


def test_money_that_is_partly_a_members_cannot_be_something_else() -> None:
    given(BANK_MOVEMENT, held(), allocated(10000)).when(bank_movement.explain, **EXPLAIN).then_refused(
        bank_movement.PartlyPlaced
    )


DECISIONS: list[tuple[Any, dict[str, Any]]] = [
    (bank_movement.allocate, ALLOCATE),
    (bank_movement.give_back, GIVE_BACK),
    (bank_movement.explain, EXPLAIN),
]


@pytest.mark.parametrize(("decision", "facts"), DECISIONS)
def test_what_is_not_on_the_worklist_cannot_be_placed(decision: Any, facts: dict[str, Any]) -> None:
    given(BANK_MOVEMENT).when(decision, **facts).then_refused(bank_movement.NotOnTheWorklist)


@pytest.mark.parametrize(("decision", "facts"), DECISIONS)
@pytest.mark.parametrize(
    "last", [allocated(20000), returned(20000), MovementExplained(explained_on=DAY, as_what="other", reason="test")]
)
def test_money_that_has_its_place_is_not_placed_again(decision: Any, facts: dict[str, Any], last: Any) -> None:
    given(BANK_MOVEMENT, held(), last).when(decision, **facts).then_refused(bank_movement.NothingOpen)


@pytest.mark.parametrize(("decision", "facts"), DECISIONS)
def test_who_places_money_says_why(decision: Any, facts: dict[str, Any]) -> None:
    given(BANK_MOVEMENT, held()).when(decision, **(facts | {"reason": " "})).then_refused(bank_movement.ReasonMissing)


@pytest.mark.parametrize(("decision", "facts"), DECISIONS)
def test_nothing_is_placed_before_the_bank_booked_it(decision: Any, facts: dict[str, Any]) -> None:
    days = {name: date(2026, 4, 29) for name in facts if name.endswith("_on")}
    given(BANK_MOVEMENT, held()).when(decision, **(facts | days)).then_refused(
        bank_movement.BeforeItWasBooked, day=date(2026, 4, 29)
    )
    same_day = dict.fromkeys(days, DAY)
    assert decision(BANK_MOVEMENT.fold([held()]), **(facts | same_day))


@for_all(
    st.integers(-50000, 50000).filter(bool),
    st.lists(st.tuples(st.sampled_from(DECISIONS), st.integers(-60000, 60000) | st.none())),
)
def test_placing_never_loses_or_makes_a_cent(amount: int, attempts: list[Any]) -> None:
    """
    Rule: ZP-14.
    """
    state = BANK_MOVEMENT.fold([held(amount)])
    placed = 0
    for (decision, facts), part in attempts:
        parts = {} if decision is bank_movement.explain else {"amount_cents": part}
        try:
            events = decision(state, **facts, **parts)
        except Refused:
            continue
        explained = any(isinstance(event, MovementExplained) for event in events)
        placed += state.open_cents if explained else sum(event.amount_cents for event in events)
        state = BANK_MOVEMENT.fold(events, state=state)
        assert placed + state.open_cents == amount
        assert abs(state.open_cents) <= abs(amount)
