"""
The answer of a decision that a run asks of many: selected with its events, or passed over with the reason and the rule.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from domain.events import Basis, Event
from domain.money import Cents

E = TypeVar("E", bound=Event)


class Selected(msgspec.Struct, Generic[E], frozen=True, kw_only=True, gc=False):
    """
    Something happens to this one: these events, in order. `amount_cents` is what the run's total counts for it.
    """

    events: tuple[E, ...]
    amount_cents: Cents


class PassedOver(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Looked at, and nothing happens: `reason` is a stable code such as `nothing_open`, `basis` the rule that says so.
    """

    reason: str
    basis: Basis
