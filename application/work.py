"""
The states that a batch of decisions works on: loaded once, changed in memory, appended once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from application.ports import Change, Loaded, Unit
from domain.catalogue import Aggregate
from domain.events import Event
from domain.ids import Kind, StreamId

S = TypeVar("S")
E = TypeVar("E", bound=Event)

Need = tuple[Aggregate[Any, Any], StreamId]


class Work:
    """
    One batch. What a decision records is kept or forgotten as a whole, so that a refused command leaves no trace.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._loaded: dict[StreamId, Loaded[Any]] = {}
        self._aggregates: dict[StreamId, Aggregate[Any, Any]] = {}
        self._events: dict[StreamId, list[Event]] = {}
        self._states: dict[StreamId, Any] = {}
        self._marks: list[tuple[str, str, StreamId]] = []
        self._tentative: dict[StreamId, tuple[Any, list[Event]]] = {}
        self._tentative_marks: list[tuple[str, str, StreamId]] = []

    def load(self, needs: Iterable[Need]) -> None:
        """
        Load what the decisions need, in one query per aggregate and in id order (docs/decisions/0006).
        """
        by_aggregate: dict[Kind, tuple[Aggregate[Any, Any], set[StreamId]]] = {}
        for aggregate, stream in needs:
            if stream not in self._loaded:
                by_aggregate.setdefault(aggregate.kind, (aggregate, set()))[1].add(stream)
        for aggregate, streams in by_aggregate.values():
            found = self._unit.load(aggregate, sorted(streams))
            self._loaded.update(found)
            self._aggregates.update(dict.fromkeys(found, aggregate))

    def begin(self, aggregate: Aggregate[S, E], stream: StreamId) -> None:
        """
        Announce a stream that nobody can have written to, because its id was made just now: nothing to load.
        """
        self._loaded[stream] = Loaded(aggregate.initial, 0)
        self._aggregates[stream] = aggregate

    def state(self, aggregate: Aggregate[S, E], stream: StreamId) -> S:
        """
        Return the state as it is after everything decided so far; loads the stream when nobody announced it.
        """
        if stream in self._tentative:
            state: S = self._tentative[stream][0]
            return state
        if stream in self._states:
            kept: S = self._states[stream]
            return kept
        if stream not in self._loaded:
            self.load([(aggregate, stream)])
        loaded: S = self._loaded[stream].state
        return loaded

    def record(self, aggregate: Aggregate[S, E], stream: StreamId, events: Sequence[E]) -> None:
        """
        Note what a decision recorded, until `keep` or `forget`.
        """
        if not events:
            return
        state = aggregate.fold(events, state=self.state(aggregate, stream))
        earlier = self._tentative[stream][1] if stream in self._tentative else []
        self._tentative[stream] = (state, [*earlier, *events])

    def mark_unique(self, kind: str, value: str, stream: StreamId) -> None:
        self._tentative_marks.append((kind, value, stream))

    def keep(self) -> None:
        for stream, (state, events) in self._tentative.items():
            self._states[stream] = state
            self._events.setdefault(stream, []).extend(events)
        self._marks += self._tentative_marks
        self.forget()

    def forget(self) -> None:
        self._tentative = {}
        self._tentative_marks = []

    def save(self) -> None:
        """
        Append all that was kept, in id order, and claim what must be unique. Raises WrittenMeanwhile, MarkTaken.
        """
        by_aggregate: dict[Kind, tuple[Aggregate[Any, Any], list[Change[Any, Any]]]] = {}
        for stream in sorted(self._events):
            aggregate = self._aggregates[stream]
            change = Change(stream, self._loaded[stream].version, self._events[stream], self._states[stream])
            by_aggregate.setdefault(aggregate.kind, (aggregate, []))[1].append(change)
        for aggregate, changes in by_aggregate.values():
            self._unit.append(aggregate, changes)
        for kind in {kind for kind, _, _ in self._marks}:
            self._unit.mark_unique(kind, [(value, stream) for of, value, stream in self._marks if of == kind])
        self._loaded, self._events, self._states, self._marks = {}, {}, {}, []
