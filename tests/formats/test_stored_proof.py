"""
What is told of an event from the types it holds: never that it comes back when it does not.
"""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.aggregates import AGGREGATES
from domain.events import Basis, Event, Used
from formats.stored import StoredEvents
from formats.stored_proof import proof_of
from tests.event_values import events_of, sample_of

STORED = StoredEvents(AGGREGATES)
EVENTS = sorted(STORED.by_event, key=lambda event: STORED.by_event[event].name)
ON = date(2026, 4, 30)


class Colour(enum.IntEnum):
    RED = 1


class Word(str):
    pass


#: What no field or not every field may hold: wrong kinds, kinds that look alike, parts that are wrong deeper down.
ODD: list[Any] = [
    None, True, 0, 5, -(2**80), 1.0, float("nan"), "", "5", "mandatory", Word("mandatory"), Colour.RED, b"x", ON,
    datetime(2026, 4, 30, tzinfo=UTC), UUID(int=7), (), [], (1,), ("a",), (1.5,), (True,), (None,), {}, {"a": 1},
    Basis(rules=["ZP-1"]), Basis(rules=(1,)), Basis(rules=("ZP-1",), values=(Used("a", "b", 3),)),
    Basis(rules=("ZP-1",), values=(Used("a", ON, 3.5),)), Basis(rules=("ZP-1",), values=(Used("a", ON, True),)),
    Basis(rules=("ZP-1",), values=("a",)), Used("a", ON, 3), (Used("a", ON, 3),),
]  # fmt: skip


def comes_back(event: Event) -> bool:
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return False


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: STORED.by_event[event].name)
@settings(max_examples=25)
@given(data=st.data())
def test_a_well_formed_event_is_known_to_come_back_without_reading_it(event: type[Event], data: st.DataObject) -> None:
    several = [data.draw(events_of(event)) for _ in range(3)]
    assert proof_of(event)(several)
    assert all(map(comes_back, several))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: STORED.by_event[event].name)
def test_whatever_a_field_holds_nothing_is_said_to_come_back_that_does_not(event: type[Event]) -> None:
    proves, good = proof_of(event), sample_of(event)
    for name in event.__struct_fields__:
        for odd in ODD:
            changed = msgspec.structs.replace(good, **{name: odd})
            assert not proves([good, changed]) or comes_back(changed), (name, odd)


def test_one_wrong_basis_among_many_that_are_the_same_is_seen() -> None:
    (charged,) = (event for event in EVENTS if event.__name__ == "ZorgpremieCharged")
    good = sample_of(charged)
    wrong = msgspec.structs.replace(good, basis=Basis(rules=("ZP-1",), values=(Used("a", ON, 1.5),)))  # type: ignore[arg-type]
    assert proof_of(charged)([good] * 50)
    assert not proof_of(charged)([good] * 50 + [wrong] + [good] * 50)


class Bounded(Event, frozen=True, kw_only=True):
    amount: Annotated[int, msgspec.Meta(ge=0)]


class Mixed(Event, frozen=True, kw_only=True):
    either: int | tuple[int, ...]


class Moment(Event, frozen=True, kw_only=True):
    at: datetime


@pytest.mark.parametrize("event", [Bounded(amount=1), Mixed(either=1), Moment(at=datetime(2026, 4, 30, tzinfo=UTC))])
def test_a_kind_of_field_of_which_nothing_is_known_is_left_to_reading_back(event: Event) -> None:
    assert not proof_of(type(event))([event])
