"""
A decision in the making: each event is remembered at once, so that the next one is decided on what it changed.
"""

from __future__ import annotations

from domain.zorgkas_affiliation.happened import HappenedToAffiliation
from domain.zorgkas_affiliation.remembered import AffiliationState, evolve


class Story:
    """
    The events of one decision, in order, and the state after them.
    """

    __slots__ = ("events", "state")

    def __init__(self, state: AffiliationState) -> None:
        self.state = state
        self.events: list[HappenedToAffiliation] = []

    def happens(self, event: HappenedToAffiliation) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)
