"""
Given these events, when this is decided, then that happens, is passed over, is refused, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from domain.catalogue import Aggregate
from domain.decisions import PassedOver, Selected
from domain.errors import BackofficeError
from domain.events import Event

Expectation = tuple[type[Event], dict[str, Any]]


def like(kind: type[Event], /, **fields: Any) -> Expectation:
    """
    An event of this kind with at least these fields.
    """
    return kind, fields


class When:
    """
    A decision that was asked for, and not yet looked at.
    """

    def __init__(self, decide: Callable[[], Any]) -> None:
        self._decide = decide

    def _events(self) -> list[Event]:
        answer = self._decide()
        assert not isinstance(answer, PassedOver), f"passed over: {answer.reason}"
        return list(answer.events) if isinstance(answer, Selected) else list(answer)

    def then(self, *expected: Expectation) -> list[Event]:
        """
        Exactly these events, in this order; fields that are not named may be anything.
        """
        events = self._events()
        seen = [
            (type(event), {name: getattr(event, name) for name in fields})
            for event, (_, fields) in zip(events, expected, strict=False)
        ]
        assert [type(event).__name__ for event in events] == [kind.__name__ for kind, _ in expected]
        assert seen == list(expected)
        for event in events:
            basis = getattr(event, "basis", None)
            assert basis is None or basis.rules, f"{type(event).__name__} names no rule"
        return events

    def then_nothing(self) -> None:
        assert self._decide() == []

    def then_passed_over(self, reason: str, *, rule: str | None = None) -> None:
        answer = self._decide()
        assert isinstance(answer, PassedOver), answer
        assert answer.reason == reason
        assert answer.basis.rules
        if rule is not None:
            assert rule in answer.basis.rules

    def then_refused(self, error: type[BackofficeError], **facts: Any) -> None:
        with pytest.raises(error) as refusal:
            self._decide()
        assert {name: refusal.value.facts.get(name) for name in facts} == facts


class Given:
    """
    An aggregate with its history.
    """

    def __init__(self, aggregate: Aggregate[Any, Any], events: tuple[Event, ...]) -> None:
        self.state: Any = aggregate.fold(events)
        # What is remembered must survive the head row that it is kept in.
        packed = msgspec.json.encode(self.state)
        assert msgspec.json.decode(packed, type=type(self.state)) == self.state

    def when(self, decide: Callable[..., Any], **facts: Any) -> When:
        return When(lambda: decide(self.state, **facts))


def given(aggregate: Aggregate[Any, Any], *events: Event) -> Given:
    return Given(aggregate, events)
