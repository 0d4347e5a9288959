"""
What an aggregate is to who stores it: its events, its first state, how it remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, get_args

import msgspec

from domain.events import Event
from domain.ids import Kind

S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Aggregate(msgspec.Struct, Generic[S, E], frozen=True, kw_only=True):
    """
    One aggregate. `context` is the first half of the stored type name (`zorgkas.ZorgpremieCharged/1`).

    `fold_version` rises whenever `evolve` or the state's shape changes: head rows of an older one are made again.
    """

    context: str
    kind: Kind
    happened: Any
    initial: S
    evolve: Callable[[S, E], S]
    fold_version: int

    @property
    def events(self) -> tuple[type[E], ...]:
        return get_args(self.happened)

    def fold(self, events: Iterable[E], *, state: S | None = None) -> S:
        folded = self.initial if state is None else state
        for event in events:
            folded = self.evolve(folded, event)
        return folded
