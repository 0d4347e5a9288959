"""
Stored names and fields are a promise to the past: they are kept in a golden file, and every decision says why.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain.aggregates import AGGREGATES
from domain.catalogue import Aggregate
from domain.events import Basis, Event
from tests.golden_files import Golden

#: Events without a `basis`, and why. What is not here says which rules and values of the law it used.
WITHOUT_BASIS = {
    "members": "facts that someone told us; no rule decides them",
    "BankAccountOpened": "the fund's own choice",
    "StatementTaken": "what the bank says; the chain is arithmetic",
    "StatementHeld": "what the bank says; the chain is arithmetic",
    "StatementDiscarded": "a person's choice, with its reason",
    "StatementGapDeclared": "a person's choice, with its reason",
    "StatementGapApproved": "a person's choice, of the gap that carries the reason",
    "StatementGapExplained": "a person's choice, with its reason",
    "MovementReturned": "a person's choice, with its reason",
    "MovementExplained": "a person's choice, with its reason",
    "RunApproved": "a person's choice, of the plan that carries the basis",
    "RunStarted": "the plan carries the basis",
    "RunExecuted": "the plan carries the basis",
    "RunSettled": "arithmetic on what was planned and what happened",
    "RunAbandoned": "a person's choice, with its reason",
    "RunDateClosed": "a person's choice, with its reason",
}


def stored_names(aggregates: tuple[Aggregate[Any, Any], ...]) -> str:
    lines = [
        f"{aggregate.context}.{event.__name__}: {', '.join(field.encode_name for field in msgspec.structs.fields(event))}"
        for aggregate in aggregates
        for event in aggregate.events
    ]
    return "\n".join(lines) + "\n"


def without_reason(aggregates: tuple[Aggregate[Any, Any], ...]) -> list[str]:
    return [
        event.__name__
        for aggregate in aggregates
        for event in aggregate.events
        if not _has_basis(event) and not {aggregate.context, event.__name__} & set(WITHOUT_BASIS)
    ]


def _has_basis(event: type[Event]) -> bool:
    return any(field.name == "basis" and field.type is Basis for field in msgspec.structs.fields(event))


def test_stored_event_names_and_fields_never_change(golden: Golden) -> None:
    golden("stored_event_names.txt", stored_names(AGGREGATES))


def test_every_decision_carries_the_rules_and_values_it_used() -> None:
    assert without_reason(AGGREGATES) == []


def test_every_exception_is_still_needed() -> None:
    events = {event.__name__: event for aggregate in AGGREGATES for event in aggregate.events}
    for name in WITHOUT_BASIS.keys() - {aggregate.context for aggregate in AGGREGATES}:
        assert not _has_basis(events[name]), f"{name} has a basis now"


def test_no_two_events_share_a_stored_name_and_no_two_aggregates_a_kind() -> None:
    names = [f"{aggregate.context}.{event.__name__}" for aggregate in AGGREGATES for event in aggregate.events]
    assert len(names) == len(set(names))
    assert len({aggregate.kind for aggregate in AGGREGATES}) == len(AGGREGATES)


class PremiumForgiven(Event, frozen=True, kw_only=True):
    """
    A decision that does not say why.
    """

    year: int


class PremiumForgot(Event, frozen=True, kw_only=True):
    """
    Another one.
    """

    year: int


PLANTED: Aggregate[int, Any] = Aggregate(
    context="planted",
    kind=AGGREGATES[0].kind,
    happened=PremiumForgiven | PremiumForgot,
    initial=0,
    evolve=lambda state, _: state,
    fold_version=1,
)


def test_a_decision_without_a_basis_is_seen() -> None:
    assert without_reason((PLANTED,)) == ["PremiumForgiven", "PremiumForgot"]


def test_a_renamed_field_is_seen(golden: Golden) -> None:
    if not golden.approve:
        with pytest.raises(AssertionError):
            golden("stored_event_names.txt", stored_names((*AGGREGATES, PLANTED)))


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.kind.name)
def test_the_state_before_anything_happened_can_be_kept_as_a_head_row(aggregate: Aggregate[Any, Any]) -> None:
    encoded = msgspec.json.encode(aggregate.initial)
    assert msgspec.json.decode(encoded, type=type(aggregate.initial)) == aggregate.initial
