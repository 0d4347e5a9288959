"""
What the six jobs of a zorgpremie year have in common: they look at members and decide about their affiliation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from application.jobs import Candidate, Turn
from domain.catalogue import Aggregate
from domain.decisions import PassedOver, Selected
from domain.events import Event, Used
from domain.parameters import Parameters
from domain.zorgkas_affiliation import AFFILIATION

Decide = Callable[[Candidate, Turn, Parameters], Selected[Any] | PassedOver]


@dataclass(frozen=True, kw_only=True)
class AffiliationJob:
    """
    One job of the year. `law` names the parameters that its decisions rest on; they must hold on 1 January and on the
    business date, or the run is refused before anyone is looked at. `counted_field` of what it makes adds up to the
    run's total.
    """

    name: str
    makes: type[Event]
    topic: str
    when_not: str
    rules: tuple[str, ...]
    decision: Decide
    law: tuple[str, ...]
    needs_approval: bool = True
    takes_ogm: bool = False
    counted_field: str = ""
    aggregate: Aggregate[Any, Any] = AFFILIATION

    @property
    def counted(self) -> Mapping[type[Event], str]:
        return {self.makes: self.counted_field} if self.counted_field else {}

    def law_used(self, law: Parameters, *, business_date: date) -> Sequence[Used]:
        """
        Return the values in force on 1 January of the business date's year and on that date itself.
        """
        days = (date(business_date.year, 1, 1), business_date)
        return tuple(dict.fromkeys(law[name].on(day) for name in self.law for day in days))

    def decide(self, candidate: Candidate, *, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver:
        return self.decision(candidate, turn, law)
