"""
What runs need of the database beside the event store: their items, chunks, approvals and number ranges.

All writing goes through the store's own transaction, so that progress and events cannot part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Literal, NamedTuple, Protocol

import msgspec

from application.ports import Unit
from domain.errors import Unavailable
from domain.events import Event
from domain.ids import StreamId

Outcome = Literal["refused", "parked"]


class ConnectionGone(Unavailable):
    """
    The connection to the database is gone; what this worker had not committed is undone, another takes it over.
    """


class RunKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which run: a job, a business date, and the how-manieth of these.
    """

    job: str
    business_date: date
    round: int


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """
    A run as the register has it, written once when it was planned; `first_ogm` is 0 for a job without payment numbers.

    `follows` is the run whose refused and parked items this one looks at again.
    """

    run: StreamId
    key: RunKey
    planned_by: str
    digest: str
    needs_approval: bool
    items: int
    first_ogm: int
    follows: StreamId | None = None


class Item(NamedTuple):
    """
    One selected stream with its frozen decision: the exact events, as JSON, and the versions they were decided on.
    """

    ordinal: int
    stream: StreamId
    version: int
    member_version: int
    amount_cents: int
    decision: bytes
    digest: bytes


class NotSelected(NamedTuple):
    """
    One that was looked at and passed over; `reason_no` points into the run's list of reasons.
    """

    stream: StreamId
    reason_no: int


class Reason(NamedTuple):
    """
    Why streams were passed over: the code, and the rule with the values it used as JSON; `times` it was said.
    """

    reason_no: int
    reason: str
    basis: bytes
    times: int


class OutcomeRow(NamedTuple):
    """
    An item that was not done: its stable reason code, and what differs or failed in words without personal data.
    """

    ordinal: int
    stream: StreamId
    outcome: Outcome
    reason: str
    detail: str


class Chunk(NamedTuple):
    """
    A part of the items, done in one transaction: the ordinals `first` to `last`, both included.
    """

    number: int
    first: int
    last: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """
    What has become of a run's items, added up over its chunks.
    """

    chunks: int = 0
    chunks_done: int = 0
    done: int = 0
    refused: int = 0
    parked: int = 0
    events: int = 0
    amount_cents: int = 0

    @property
    def looked_at(self) -> int:
        return self.done + self.refused + self.parked


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """
    This plan beside the run of the same job before it, by stream.
    """

    previous: RunKey
    previous_items: int
    previous_cents: int
    new: int
    gone: int
    other_amount: int


class RunBook(Protocol):
    """
    The tables of runs. What takes a `unit` is part of that unit's transaction; the rest reads what is committed.
    """

    def exclusively(self, unit: Unit, job: str) -> None:
        """
        Make other planners of the job wait until this transaction ends.
        """

    def last(self, job: str) -> Registered | None: ...
    def of_date(self, job: str, business_date: date) -> Sequence[Registered]: ...
    def between(self, first: date, last: date) -> Sequence[Registered]: ...
    def registered(self, run: StreamId) -> Registered | None: ...
    def before(self, run: StreamId) -> Registered | None:
        """
        Return the run of the same job, first round, that was planned for the business date before this one.
        """

    def set_ogms_aside(self, job: str) -> int:
        """
        Set payment numbers aside for the job's next plan, at once and for good, and return the first.

        Ask `exclusively` before. Nobody waits for the plan to take a number; one that is made again after its planner
        died has the same numbers.
        """

    def take_ogms(self, unit: Unit, run: Registered) -> None:
        """
        Give a run its numbers of those set aside for its job; the others go back, unless somebody took one since.
        """

    def register(self, unit: Unit, run: Registered) -> None: ...
    def item_rows(self, run: StreamId, items: Sequence[Item]) -> bytes:
        """
        Return these items as `add_items` takes them. It asks nothing of the database, so any process can make them.
        """

    def passed_over_rows(self, run: StreamId, streams: Sequence[NotSelected]) -> bytes: ...
    def add_items(self, unit: Unit, rows: bytes) -> None: ...
    def add_passed_over(self, unit: Unit, rows: bytes) -> None: ...
    def add_reasons(self, unit: Unit, run: StreamId, reasons: Sequence[Reason]) -> None: ...
    def approve(self, unit: Unit, run: StreamId, *, digest: str, planned_by: str, approved_by: str) -> None: ...
    def add_chunks(self, unit: Unit, run: StreamId, chunks: Sequence[Chunk]) -> None: ...

    def open_chunk(self, run: StreamId) -> int | None:
        """
        Return a chunk that is not done and that nobody holds at this moment.
        """

    def claim(self, unit: Unit, run: StreamId, chunk: int, *, worker: str, seconds: int) -> Chunk | None:
        """
        Take the chunk for this transaction, for at most so many seconds; None when it is done or somebody else's.
        """

    def chunk_items(self, unit: Unit, run: StreamId, chunk: Chunk) -> Sequence[Item]: ...

    def versions(self, unit: Unit, streams: Sequence[StreamId]) -> Sequence[int]:
        """
        Return the version at which each of these streams stands now, in the order asked; 0 for one without events.
        """

    def savepoint(self, unit: Unit) -> AbstractContextManager[None]:
        """
        A part of the transaction that can fail alone. Raises ConnectionGone when there is no connection left.
        """

    def finish_chunk(
        self, unit: Unit, run: StreamId, chunk: Chunk, totals: Totals, outcomes: Sequence[OutcomeRow], *, worker: str
    ) -> None: ...

    def totals(self, run: StreamId) -> Totals: ...

    def all_items(self, run: StreamId) -> Iterator[Sequence[Item]]: ...

    def item_digests(self, run: StreamId) -> Iterator[bytes]:
        """
        Give the digests of the run's items, taken again from the rows as they stand: page by page, one after another.
        """

    def passed_over_facts(self, run: StreamId) -> Iterator[bytes]:
        """
        Give what the hash covers of everyone passed over, from the rows as they stand: page by page, in id order.
        """

    def items(self, run: StreamId, *, after: int, limit: int, stream: StreamId | None = None) -> Sequence[Item]: ...
    def largest(self, run: StreamId, *, limit: int) -> Sequence[Item]: ...
    def passed_over(
        self, run: StreamId, *, after: StreamId | None, limit: int, stream: StreamId | None = None
    ) -> Sequence[NotSelected]: ...
    def reasons(self, run: StreamId) -> Sequence[Reason]: ...
    def outcomes(self, run: StreamId, *, after: int, limit: int) -> Sequence[OutcomeRow]: ...
    def outcomes_of(self, run: StreamId, ordinals: Sequence[int]) -> Sequence[OutcomeRow]:
        """
        Return what became of those of these items that were not done.
        """

    def outcome_reasons(self, run: StreamId) -> Mapping[tuple[Outcome, str], int]: ...
    def to_follow_up(self, run: StreamId, *, after: StreamId | None, limit: int) -> Sequence[StreamId]:
        """
        Return the streams that were refused, parked or left undecided in a run, in id order.
        """

    def not_done_cents(self, run: StreamId) -> int:
        """
        Add up the amounts of the items that were refused or parked.
        """

    def difference(self, run: StreamId, previous: Registered) -> Difference: ...

    def written(self, run: StreamId, counted: Mapping[type[Event], str]) -> tuple[int, int]:
        """
        Count the run's events in the event table itself, and add up their counted fields.
        """
