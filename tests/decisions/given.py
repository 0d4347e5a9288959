"""
given / when / then for decisions: what happened before, what is decided, and what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from domain.catalogue import Aggregate
from domain.errors import BackofficeError
from domain.events import Event


class Given:
    """
    `given(MEMBER, event, ...).when(decision, fact=...).then(event, ...)`, or `.then_nothing()`, `.then_refused(...)`.
    """

    def __init__(self, aggregate: Aggregate[Any, Any], history: Sequence[Event]) -> None:
        self.aggregate = aggregate
        self.state = aggregate.fold(history)
        self.decide: Callable[[], Sequence[Event]] = lambda: ()

    def when(self, decision: Callable[..., Sequence[Event]], **facts: Any) -> Given:
        self.decide = lambda: decision(self.state, **facts)
        return self

    def then(self, *events: Event) -> Given:
        """
        Compare the events, see that each can be stored and read again, and go on from the state after them.
        """
        decided = self.decide()
        assert tuple(decided) == events
        assert [msgspec.json.decode(msgspec.json.encode(event), type=type(event)) for event in decided] == list(decided)
        self.state = self.aggregate.fold(decided, state=self.state)
        return self

    def then_nothing(self) -> Given:
        return self.then()

    def then_refused(self, error: type[BackofficeError], **facts: object) -> Given:
        """
        Compare the kind of refusal and the facts that it names.
        """
        with pytest.raises(error) as refused:
            self.decide()
        assert type(refused.value) is error
        assert dict(refused.value.facts) == facts
        return self


def given(aggregate: Aggregate[Any, Any], *history: Event) -> Given:
    return Given(aggregate, history)
