"""
An aggregate for the tests of stores: a counter with a name that is personal.
"""

from __future__ import annotations

import hashlib
from datetime import date
from uuid import UUID

import msgspec

from application.ports import Change
from domain.catalogue import Aggregate
from domain.envelope import Commit
from domain.events import Event
from domain.ids import Kind, MemberId, StreamId, belonging_to, new_member_id
from domain.personal import Personal


class Opened(Event, frozen=True, kw_only=True):
    name: Personal
    opened_on: date
    town: Personal = ""
    note: str = ""


class Counted(Event, frozen=True, kw_only=True):
    amount: int
    note: str = ""


class Described(Event, frozen=True, kw_only=True):
    detail: dict[str, str]


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    total: int = 0
    counted: int = 0
    opened_on: date | None = None


def evolve(state: Counter, event: Opened | Counted | Described) -> Counter:
    match event:
        case Opened():
            return msgspec.structs.replace(state, opened_on=event.opened_on)
        case Counted():
            return msgspec.structs.replace(state, total=state.total + event.amount, counted=state.counted + 1)
        case Described():
            return state


COUNTER: Aggregate[Counter, Opened | Counted | Described] = Aggregate(
    context="tests",
    kind=Kind.ZORGKAS_AFFILIATION,
    happened=Opened | Counted | Described,
    initial=Counter(),
    evolve=evolve,
    fold_version=1,
)

ON = date(2026, 4, 30)


def opened(name: str = "An Peeters") -> Opened:
    return Opened(name=name, opened_on=ON, town="Lier")


def counted(amount: int, note: str = "") -> Counted:
    return Counted(amount=amount, note=note)


def member(number: int) -> MemberId:
    """
    Return the id of a test member; higher numbers follow in id order.
    """
    return new_member_id(
        moment_ms=1_700_000_000_000 + number,
        randomness=lambda size: hashlib.sha256(f"{number}".encode()).digest()[:size],
    )


def counter(number: int) -> StreamId:
    return belonging_to(member(number), Kind.ZORGKAS_AFFILIATION)


def command_id(number: int) -> UUID:
    return UUID(int=number + (1 << 100))


def commit(number: int = 1, *, actor: str = "tester", cause: str = "test") -> Commit:
    return Commit(command_id=command_id(number), actor=actor, business_date=ON, cause=cause)


def change(
    stream: StreamId, after_version: int, *events: Opened | Counted | Described, state: Counter | None = None
) -> Change[Counter, Opened | Counted | Described]:
    """
    Return a change with the state it leads to, from the state before it (none: a new stream).
    """
    before = Counter() if state is None else state
    return Change(stream, after_version, events, COUNTER.fold(events, state=before))
