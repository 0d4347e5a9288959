"""
The states that a batch of decisions works on: loaded once, changed in memory, appended once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from application.ports import Change, Loaded, Unit
from domain.catalogue import Aggregate
from domain.events import Event
from domain.ids import Kind, StreamId, in_order

S = TypeVar("S")
E = TypeVar("E", bound=Event)

Need = tuple[Aggregate[Any, Any], StreamId]


class _Held:
    """
    One stream of the batch: as it was loaded, and as it is after what was kept; a decision not yet kept stands beside.
    """

    __slots__ = ("aggregate", "events", "loaded", "state", "tentative", "tentative_events")

    def __init__(self, aggregate: Aggregate[Any, Any], loaded: Loaded[Any]) -> None:
        self.aggregate = aggregate
        self.loaded = loaded
        self.state = self.tentative = loaded.state
        self.events: list[Event] = []
        self.tentative_events: list[Event] = []


class Work:
    """
    One batch. What a decision records is kept or forgotten as a whole, so that a refused command leaves no trace.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._held: dict[StreamId, _Held] = {}
        self._touched: list[_Held] = []
        self._marks: list[tuple[str, str, StreamId]] = []
        self._tentative_marks: list[tuple[str, str, StreamId]] = []

    def load(self, needs: Iterable[Need]) -> None:
        """
        Load what the decisions need, in one query per aggregate and in id order (docs/decisions/0006).
        """
        by_aggregate: dict[Kind, tuple[Aggregate[Any, Any], set[StreamId]]] = {}
        for aggregate, stream in needs:
            if stream not in self._held:
                by_aggregate.setdefault(aggregate.kind, (aggregate, set()))[1].add(stream)
        for aggregate, streams in by_aggregate.values():
            found = self._unit.load(aggregate, in_order(streams))
            self._held.update({stream: _Held(aggregate, loaded) for stream, loaded in found.items()})

    def begin(self, aggregate: Aggregate[S, E], stream: StreamId) -> None:
        """
        Announce a stream that nobody can have written to, because its id was made just now: nothing to load.
        """
        self._held[stream] = _Held(aggregate, Loaded(aggregate.initial, 0))

    def state(self, aggregate: Aggregate[S, E], stream: StreamId) -> S:
        """
        Return the state as it is after everything decided so far; loads the stream when nobody announced it.
        """
        state: S = self._of(aggregate, stream).tentative
        return state

    def record(self, aggregate: Aggregate[S, E], stream: StreamId, events: Sequence[E]) -> None:
        """
        Note what a decision recorded, until `keep` or `forget`.
        """
        if not events:
            return
        held = self._of(aggregate, stream)
        held.tentative = aggregate.fold(events, state=held.tentative)
        held.tentative_events += events
        self._touched.append(held)

    def _of(self, aggregate: Aggregate[Any, Any], stream: StreamId) -> _Held:
        held = self._held.get(stream)
        if held is None:
            self.load([(aggregate, stream)])
            held = self._held[stream]
        return held

    def mark_unique(self, kind: str, value: str, stream: StreamId) -> None:
        self._tentative_marks.append((kind, value, stream))

    def keep(self) -> None:
        for held in self._touched:
            held.state = held.tentative
            held.events += held.tentative_events
            held.tentative_events = []
        self._marks += self._tentative_marks
        self._touched, self._tentative_marks = [], []

    def forget(self) -> None:
        for held in self._touched:
            held.tentative, held.tentative_events = held.state, []
        self._touched, self._tentative_marks = [], []

    def save(self) -> None:
        """
        Append all that was kept, in id order, and claim what must be unique. Raises WrittenMeanwhile, MarkTaken.
        """
        by_aggregate: dict[Kind, tuple[Aggregate[Any, Any], list[Change[Any, Any]]]] = {}
        for stream in in_order(stream for stream, held in self._held.items() if held.events):
            held = self._held[stream]
            change = Change(stream, held.loaded.version, held.events, held.state)
            by_aggregate.setdefault(held.aggregate.kind, (held.aggregate, []))[1].append(change)
        for aggregate, changes in by_aggregate.values():
            self._unit.append(aggregate, changes)
        for kind in {kind for kind, _, _ in self._marks}:
            self._unit.mark_unique(kind, [(value, stream) for of, value, stream in self._marks if of == kind])
        self._held, self._marks = {}, []
