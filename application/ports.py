"""
What use cases need of the world, as protocols; adapters keep them (`adapters.memory`, `adapters.postgres`).

One transaction is a `Unit`: load states in bulk, append, and remember the command's answer, all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec

from domain.catalogue import Aggregate
from domain.envelope import Commit, Envelope
from domain.errors import Conflict, Refused
from domain.events import Event
from domain.ids import Kind, StreamId

__all__ = [
    "Answer",
    "Change",
    "Clock",
    "Commit",
    "Envelope",
    "EventStore",
    "Feed",
    "IdReused",
    "Loaded",
    "MarkTaken",
    "MemberErased",
    "Unit",
    "WrittenMeanwhile",
]

S = TypeVar("S")
E = TypeVar("E", bound=Event)


class WrittenMeanwhile(Conflict):
    """
    Another writer added to the same stream first; the decision is made again on what is there now.
    """


class IdReused(Refused):
    """
    This command id was used before for another command; give the new command an id of its own.
    """


class MarkTaken(Refused):
    """
    Something that must be unique, such as a national number, is already in use by another member.
    """


class MemberErased(Refused):
    """
    The personal data of this member were erased for good; nothing personal can be recorded for them any more.
    """


class Loaded(NamedTuple, Generic[S]):
    """
    The folded state of a stream and the version it was folded to; version 0 is a stream without events.
    """

    state: S
    version: int


class Change(NamedTuple, Generic[S, E]):
    """
    Events to append to one stream that stands at `after_version`, and the state they lead to (for its head row).
    """

    stream: StreamId
    after_version: int
    events: Sequence[E]
    state: S


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a command was answered the first time; the same command again gets the same answer and changes nothing.
    """

    command_id: UUID
    digest: str
    outcome: str
    detail: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Unit(Protocol):
    """
    One transaction. Leaving the block without an error commits; any error rolls back all of it.
    """

    def load(self, aggregate: Aggregate[S, E], streams: Sequence[StreamId]) -> Mapping[StreamId, Loaded[S]]:
        """
        Return the states of many streams of one aggregate, from head rows and the events after them; a stream
        without events gives the aggregate's initial state at version 0.
        """

    def append(self, aggregate: Aggregate[S, E], changes: Sequence[Change[S, E]]) -> None:
        """
        Append and move the head rows. Raises WrittenMeanwhile when a stream is not at its expected version, and
        MemberErased when something personal would be recorded for somebody who was erased.
        """

    def mark_unique(self, kind: str, values: Sequence[tuple[str, StreamId]]) -> None:
        """
        Claim values that only one stream may hold, such as national numbers, without storing them in the clear.

        Raises MarkTaken when another stream holds one.
        """

    def answer(self, answer: Answer) -> None:
        """
        Keep the answer to a command, in this transaction.
        """


class EventStore(Protocol):
    """
    The one truth. Online decisions and bulk jobs use the same surface.
    """

    def transaction(self, commit: Commit) -> AbstractContextManager[Unit]: ...

    def answers(self, command_ids: Sequence[UUID]) -> Mapping[UUID, Answer]: ...

    def history(self, stream: StreamId) -> Sequence[Envelope]: ...

    def load(self, aggregate: Aggregate[S, E], streams: Sequence[StreamId]) -> Mapping[StreamId, Loaded[S]]:
        """
        Return the states of many streams as `Unit.load` does, for looking only: nothing is decided in a transaction.
        """

    def streams(self, aggregate: Aggregate[Any, Any], *, after: StreamId | None, limit: int) -> Sequence[StreamId]:
        """
        Return the ids of the aggregate's streams that follow `after`, in id order, at most `limit`.
        """


class Feed(Protocol):
    """
    Events in the order of the store, never skipping one, whoever writes meanwhile.
    """

    def read(self, *, after: int, limit: int, kinds: Collection[Kind] | None = None) -> Sequence[Envelope]: ...

    def high_water(self) -> int: ...


class Clock(Protocol):
    """
    The only source of time; business dates are arguments everywhere else.
    """

    def now(self) -> datetime: ...


Decide = Callable[[S], Sequence[E]]
Progress = Callable[[int, int], None]
