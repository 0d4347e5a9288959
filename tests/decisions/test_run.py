"""
What is decided about a run: planned, approved by a second person by its digest, executed, settled; or given up.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import run
from domain.errors import BackofficeError
from domain.events import Basis
from domain.money import Cents
from domain.run import RUN, Control, RunAbandoned, RunApproved, RunExecuted, RunPlanned, RunSettled, RunStarted
from domain.run_refusals import AnotherClosing, ClosedWithoutReason, NoName, NotPlanned
from tests.decisions.given import given
from tests.table import cases

DIGEST, OTHER = "a" * 64, "b" * 64
BASIS = Basis(rules=("ZB-2",))
PLAN: dict[str, Any] = {
    "job": "registered_letters",
    "business_date": date(2026, 6, 1),
    "round": 1,
    "items": 3,
    "passed_over": 2,
    "amount_cents": Cents(49200),
    "digest": DIGEST,
    "needs_approval": True,
    "planned_by": "an",
    "basis": BASIS,
}
PLANNED = RunPlanned(**PLAN)
APPROVED = RunApproved(digest=DIGEST, approved_by="bert")
STARTED = RunStarted(chunks=1)
TOTALS: dict[str, Any] = {"done": 3, "refused": 0, "parked": 0, "events": 3, "amount_cents": Cents(49200)}
EXECUTED = RunExecuted(**TOTALS)
AGREES = (Control(name="plan = events", expected=3, actual=3), Control(name="cents", expected=49200, actual=49200))
DIFFERS = (Control(name="plan = events", expected=3, actual=2),)
SETTLED = RunSettled(controls=AGREES, agrees=True)
ABANDONED = RunAbandoned(abandoned_by="an", reason="wrong date")

#: How a run comes to each phase.
PHASES: dict[str, list[Any]] = {
    "none": [],
    "planned": [PLANNED],
    "approved": [PLANNED, APPROVED],
    "started": [PLANNED, APPROVED, STARTED],
    "executed": [PLANNED, APPROVED, STARTED, EXECUTED],
    "settled": [PLANNED, APPROVED, STARTED, EXECUTED, SETTLED],
    "abandoned": [PLANNED, ABANDONED],
}
STEPS: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "plan": (run.plan, PLAN, PLANNED),
    "approve": (run.approve, {"digest": DIGEST, "approved_by": "bert"}, APPROVED),
    "start": (run.start, {"chunks": 1}, STARTED),
    "record_execution": (run.record_execution, TOTALS, EXECUTED),
    "settle": (run.settle, {"controls": AGREES}, SETTLED),
    "abandon": (run.abandon, {"abandoned_by": "an", "reason": "wrong date"}, ABANDONED),
}


@cases("""
    phase      plan            approve         start            record_execution  settle          abandon
    none       does            NotPlanned      NotPlanned       NotPlanned        NotPlanned      NotPlanned
    planned    AlreadyPlanned  does            NotApproved      NotStarted        NotExecuted     does
    approved   AlreadyPlanned  nothing         does             NotStarted        NotExecuted     does
    started    AlreadyPlanned  nothing         nothing          does              NotExecuted     TooLateToAbandon
    executed   AlreadyPlanned  nothing         AlreadyExecuted  nothing           does            TooLateToAbandon
    settled    AlreadyPlanned  nothing         AlreadyExecuted  nothing           nothing         TooLateToAbandon
    abandoned  AlreadyPlanned  RunIsAbandoned  RunIsAbandoned   RunIsAbandoned    RunIsAbandoned  nothing
""")
def test_every_step_in_every_phase(
    phase: str, plan: str, approve: str, start: str, record_execution: str, settle: str, abandon: str
) -> None:
    outcomes = (plan, approve, start, record_execution, settle, abandon)
    for step, outcome in zip(STEPS, outcomes, strict=True):
        decision, facts, event = STEPS[step]
        attempt = given(RUN, *PHASES[phase]).when(decision, **facts)
        match outcome:
            case "does":
                attempt.then(event)
            case "nothing":
                attempt.then_nothing()
            case _:
                attempt.then_refused(getattr(run, outcome))


@pytest.mark.parametrize("approved_by", ["an", " An ", "AN", "a\u00adn", "\uff41\uff4e", "an\u200b"])
def test_nobody_approves_their_own_plan(approved_by: str) -> None:
    given(RUN, PLANNED).when(run.approve, digest=DIGEST, approved_by=approved_by).then_refused(run.OwnPlan)


def test_an_approval_is_of_exactly_the_plan_that_was_seen() -> None:
    for phase in ("planned", "approved", "started"):
        given(RUN, *PHASES[phase]).when(run.approve, digest=OTHER, approved_by="bert").then_refused(run.OtherDigest)


def test_who_approves_or_gives_up_says_who_they_are() -> None:
    given(RUN, PLANNED).when(run.approve, digest=DIGEST, approved_by=" ").then_refused(run.NoName)
    given(RUN, PLANNED).when(run.abandon, abandoned_by="", reason="wrong date").then_refused(run.NoName)


def test_a_run_that_moves_no_money_and_sends_nothing_starts_without_approval() -> None:
    planned = RunPlanned(**(PLAN | {"needs_approval": False}))
    given(RUN, planned).when(run.approve, digest=DIGEST, approved_by="bert").then_refused(run.NeedsNoApproval)
    given(RUN, planned).when(run.start, chunks=2).then(RunStarted(chunks=2))


def test_a_run_for_0_items_is_a_run_too() -> None:
    planned = RunPlanned(**(PLAN | {"items": 0, "amount_cents": 0}))
    nothing = RunExecuted(done=0, refused=0, parked=0, events=0, amount_cents=Cents(0))
    (
        given(RUN, planned, APPROVED)
        .when(run.start, chunks=0)
        .then(RunStarted(chunks=0))
        .when(run.record_execution, done=0, refused=0, parked=0, events=0, amount_cents=0)
        .then(nothing)
    )


@pytest.mark.parametrize("chunks", [0, -1, 4])
def test_every_chunk_has_an_item(chunks: int) -> None:
    with pytest.raises(ValueError, match="every chunk has an item"):
        run.start(RUN.fold(PHASES["approved"]), chunks=chunks)


@pytest.mark.parametrize(
    "wrong",
    [{"items": -1}, {"passed_over": -1}, {"round": 0}, {"digest": "a" * 63}, {"digest": "A" * 64}, {"planned_by": " "}],
)
def test_a_plan_that_cannot_be_is_a_mistake_of_the_program(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="counts of zero or more"):
        run.plan(RUN.initial, **(PLAN | wrong))


@cases("""
    done  refused  parked  amount  fits
    3     0        0       49200   yes
    2     1        0       30000   yes
    1     1        1       9200    yes
    0     0        3       0       yes
    2     0        0       30000   no      # one item is lost
    3     1        0       49200   no
    4     -1       0       49200   no
    3     0        0       49100   no      # all done, and yet another amount
""")
def test_what_was_done_refused_and_parked_is_what_was_planned(
    done: int, refused: int, parked: int, amount: int, fits: bool
) -> None:
    totals = {"done": done, "refused": refused, "parked": parked, "events": done, "amount_cents": amount}
    if fits:
        given(RUN, *PHASES["started"]).when(run.record_execution, **totals).then(RunExecuted(**totals))
    else:
        with pytest.raises(run.TotalsDoNotAddUp):
            run.record_execution(RUN.fold(PHASES["started"]), **totals)


def test_an_executed_run_keeps_its_totals() -> None:
    other = TOTALS | {"done": 2, "refused": 1, "amount_cents": 30000}
    given(RUN, *PHASES["executed"]).when(run.record_execution, **other).then_refused(run.AlreadyExecuted)


def test_differences_are_named_and_a_run_is_settled_again_until_all_agrees() -> None:
    (
        given(RUN, *PHASES["executed"])
        .when(run.settle, controls=DIFFERS)
        .then(RunSettled(controls=DIFFERS, agrees=False))
        .when(run.settle, controls=DIFFERS)
        .then_nothing()
        .when(run.settle, controls=AGREES)
        .then(SETTLED)
        .when(run.settle, controls=DIFFERS)
        .then_refused(run.AlreadySettled)
    )


def test_a_run_is_settled_against_something() -> None:
    given(RUN, *PHASES["executed"]).when(run.settle, controls=()).then_refused(run.NoControls)


attempts = st.lists(
    st.one_of(
        st.tuples(st.just(run.plan), st.just(PLAN)),
        st.tuples(
            st.just(run.approve),
            st.fixed_dictionaries(
                {"digest": st.sampled_from([DIGEST, OTHER]), "approved_by": st.sampled_from(["an", "bert"])}
            ),
        ),
        st.tuples(st.just(run.start), st.just({"chunks": 1})),
        st.tuples(st.just(run.record_execution), st.just(TOTALS)),
        st.tuples(st.just(run.settle), st.fixed_dictionaries({"controls": st.sampled_from([AGREES, DIFFERS])})),
        st.tuples(st.just(run.abandon), st.just({"abandoned_by": "an", "reason": "wrong date"})),
    ),
    max_size=40,
)


@for_all(attempts)
def test_whatever_is_tried_a_run_goes_one_way_and_needs_its_second_person(
    tried: list[tuple[Any, dict[str, Any]]],
) -> None:
    history: list[Any] = []
    for decision, facts in tried:
        try:
            history += decision(RUN.fold(history), **facts)
        except BackofficeError:
            continue
    happened = [type(event) for event in history]
    order = [RunPlanned, RunApproved, RunStarted, RunExecuted]
    whole = [event for event in happened if event in order]
    assert whole == order[: len(whole)]
    assert happened.count(RunAbandoned) <= 1
    if RunAbandoned in happened:
        assert happened[-1] is RunAbandoned
        assert RunStarted not in happened
    assert all(
        event.approved_by == "bert" and event.digest == DIGEST for event in history if isinstance(event, RunApproved)
    )
    agreed = [index for index, event in enumerate(history) if isinstance(event, RunSettled) and event.agrees]
    assert agreed in ([], [len(history) - 1])


CLOSING = {"job": "deadline", "year": 2025, "because": "not_ours", "closed_on": date(2026, 1, 5)}


def test_who_closes_a_date_of_the_calendar_says_who_and_why_and_it_is_no_run_that_can_be_executed() -> None:
    (closed,) = run.close_date(RUN.initial, **CLOSING, reason=" we began later ", closed_by="an")
    assert (closed.reason, closed.closed_by) == ("we began later", "an")
    state = RUN.fold([closed])
    assert run.close_date(state, **CLOSING, reason="again", closed_by="bert") == []
    with pytest.raises(AnotherClosing):
        run.close_date(state, **{**CLOSING, "because": "given_up"}, reason="no", closed_by="an")
    with pytest.raises(ClosedWithoutReason):
        run.close_date(RUN.initial, **CLOSING, reason=" ", closed_by="an")
    with pytest.raises(NoName):
        run.close_date(RUN.initial, **CLOSING, reason="so", closed_by="")
    with pytest.raises(NotPlanned):
        run.start(state, chunks=0)
    with pytest.raises(NotPlanned):
        run.abandon(state, abandoned_by="an", reason="so")
