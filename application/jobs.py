"""
What a job is to the run that carries it out: whom to look at, what to decide for each, and which law it needs.

A job is pure. The run brings the facts, the number of its letter and of its payment, and the date; it writes what is
decided, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from domain.catalogue import Aggregate
from domain.decisions import PassedOver, Selected
from domain.events import Event, Used
from domain.facts import MemberFacts
from domain.ids import StreamId, derived_key
from domain.parameters import Parameters
from domain.payments import Ogm


class Candidate(NamedTuple):
    """
    One that is looked at: the stream that its events would go to, the member's facts, and the stream's state.
    """

    stream: StreamId
    facts: MemberFacts
    state: Any


class Turn(NamedTuple):
    """
    What the run gives to one decision. The same run and stream always give the same `letter_id` and `ogm`.

    `ogm` is None for a job that does not take one.
    """

    run: StreamId
    stream: StreamId
    job: str
    business_date: date
    ogm: Ogm | None

    @property
    def letter_id(self) -> UUID:
        return derived_key(str(self.run), str(self.stream), self.job)

    @property
    def report_id(self) -> UUID:
        """
        Return the id of what the run as a whole hands over, such as the report to the Agency.
        """
        return report_id_of(self.run)


def report_id_of(run: StreamId) -> UUID:
    return derived_key(str(run), "report")


class Job(Protocol):
    """
    One kind of run. `aggregate` is what its events happen to; its streams belong to members, one each.

    `makes` is the event that stands for each item: by it is known where the run shows, what papers it has, and against
    what it is settled. Whom it passes over is told `when_not` under the `topic` of `explain`, followed by the reason.

    `takes_ogm` reserves a payment number for every item. `counted` says which field of which event adds up to the run's
    total, so that the total can be taken again from the event table.
    """

    @property
    def name(self) -> str: ...
    @property
    def makes(self) -> type[Event]: ...
    @property
    def topic(self) -> str: ...
    @property
    def when_not(self) -> str: ...
    @property
    def rules(self) -> tuple[str, ...]: ...
    @property
    def needs_approval(self) -> bool: ...
    @property
    def takes_ogm(self) -> bool: ...
    @property
    def aggregate(self) -> Aggregate[Any, Any]: ...
    @property
    def counted(self) -> Mapping[type[Event], str]: ...

    def law_used(self, law: Parameters, *, business_date: date) -> Sequence[Used]:
        """
        Return every value of the law that the decisions rest on. Raises NoValue or NotChecked, naming the parameter.
        """

    def decide(self, candidate: Candidate, *, turn: Turn, law: Parameters) -> Selected[Any] | PassedOver: ...


def by_name(jobs: Iterable[Job]) -> Mapping[str, Job]:
    return {job.name: job for job in jobs}
