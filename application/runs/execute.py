"""
Executing: chunk by chunk, each one transaction with its progress, by any number of workers beside each other.

What was approved is appended exactly as it was frozen. Where the stream or its member changed since, the decision is
made again, and an item that would now differ is named and left out. One bad item is parked; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from application.defects import error_code
from application.jobs import Candidate, Job
from application.ports import Change, EventStore, Loaded, Unit, WrittenMeanwhile
from application.runs.digest import decision_decoder, encode_decision
from application.runs.pages import Members, ogm_of, turn_of
from application.runs.plan import digest_of
from application.runs.ports import Chunk, Item, Outcome, OutcomeRow, Registered, RunBook, Totals
from domain.decisions import PassedOver, Selected
from domain.envelope import Commit
from domain.errors import Refused, Unavailable
from domain.events import Event
from domain.ids import StreamId, derived_key, owner_of
from domain.parameters import Parameters

CHUNK_ITEMS: Final = 2_000
#: A transaction that takes longer hangs; the database ends it and the chunk is free again.
LEASE_SECONDS: Final = 300
_ATTEMPTS_MAX: Final = 3

T = TypeVar("T")


class Tampered(Refused):
    """
    What stands in the tables is not what was approved; nothing is executed. Compare with a back-up, abandon the run.
    """


class Done(NamedTuple):
    """
    What became of some items of a chunk.
    """

    changes: Sequence[Change[Any, Any]]
    outcomes: Sequence[OutcomeRow]
    amount_cents: int

    @property
    def events(self) -> int:
        return sum(len(change.events) for change in self.changes)


class Standing(NamedTuple):
    """
    How an item's stream stands; and its member, when one of the two is no longer as it was when the item was planned.
    """

    known: Loaded[Any]
    moved: Loaded[Any] | None


class Worker:
    """
    Does chunks of one run until none is left that nobody else holds. `name` is for people: who did this chunk.
    """

    def __init__(
        self, *, store: EventStore, book: RunBook, members: Members, job: Job, law: Parameters, run: Registered,
        actor: str, name: str,
    ) -> None:  # fmt: skip
        self._store, self._book, self._members = store, book, members
        self._job, self._law, self._run = job, law, run
        self._actor, self._name = actor, name
        self._decode = decision_decoder(job.aggregate.happened).decode

    def work(self, *, may_go_on: Callable[[], None]) -> None:
        """
        Do chunks; `may_go_on` is asked before each, and raises to stop.
        """
        while True:
            may_go_on()
            number = self._book.open_chunk(self._run.run)
            if number is None:
                return
            self._do_chunk(number)

    def _do_chunk(self, number: int) -> None:
        commit = Commit(
            command_id=derived_key(str(self._run.run), "chunk", str(number)),
            actor=self._actor,
            business_date=self._run.key.business_date,
            cause=self._job.name,
            run=self._run.run,
        )
        with self._store.transaction(commit) as unit:
            chunk = self._book.claim(unit, self._run.run, number, worker=self._name, seconds=LEASE_SECONDS)
            if chunk is None:
                return  # somebody else took it since we looked
            items = self._book.chunk_items(unit, self._run.run, chunk)
            parts = self._do(unit, items)
            self._finish(unit, chunk, parts)

    def _finish(self, unit: Unit, chunk: Chunk, parts: Sequence[Done]) -> None:
        outcomes = [outcome for part in parts for outcome in part.outcomes]
        totals = Totals(
            done=sum(len(part.changes) for part in parts),
            refused=sum(outcome.outcome == "refused" for outcome in outcomes),
            parked=sum(outcome.outcome == "parked" for outcome in outcomes),
            events=sum(part.events for part in parts),
            amount_cents=sum(part.amount_cents for part in parts),
        )
        if totals.looked_at != chunk.last - chunk.first + 1:
            raise RuntimeError("a chunk lost sight of one of its items")
        self._book.finish_chunk(unit, self._run.run, chunk, totals, outcomes, worker=self._name)

    def _do(self, unit: Unit, items: Sequence[Item]) -> Sequence[Done]:
        """
        Do items together; when that fails, do each half by itself, down to the one that it is about, which is parked.
        """
        if not items:
            return ()
        try:
            return (self._append(unit, items),)
        except (Unavailable, Tampered):
            raise
        except Exception as error:
            if len(items) == 1:
                return (self._one_more_time(unit, items[0], error),)
        half = len(items) // 2
        return (*self._do(unit, items[:half]), *self._do(unit, items[half:]))

    def _one_more_time(self, unit: Unit, item: Item, error: Exception) -> Done:
        """
        A single item whose stream others are writing to is tried again; anything else parks it.
        """
        for _ in range(_ATTEMPTS_MAX):
            if not isinstance(error, WrittenMeanwhile):
                break
            try:
                return self._append(unit, [item])
            except (Unavailable, Tampered):
                raise
            except Exception as again:
                error = again
        return Done((), (_outcome(item, "parked", error_code(error), "the item failed when it was written"),), 0)

    def _append(self, unit: Unit, items: Sequence[Item]) -> Done:
        with self._book.savepoint(unit):
            done = self._decide_all(items, self._standing(unit, items))
            if done.changes:
                unit.append(self._job.aggregate, done.changes)
        return done

    def _standing(self, unit: Unit, items: Sequence[Item]) -> Iterator[Standing]:
        """
        Yield how the streams of items stand, in their order. Of members only the version is needed, unless they or
        their stream moved on since the plan.
        """
        owners = [StreamId(owner_of(item.stream)) for item in items]
        versions = self._book.versions(unit, owners)
        known = unit.load(self._job.aggregate, [item.stream for item in items])
        moved = [
            owner
            for item, owner, version in zip(items, owners, versions, strict=True)
            if version != item.member_version or known[item.stream].version != item.version
        ]
        members = unit.load(self._members.aggregate, moved) if moved else {}
        for item, owner in zip(items, owners, strict=True):
            yield Standing(known[item.stream], members.get(owner))

    def _decide_all(self, items: Sequence[Item], standing: Iterator[Standing]) -> Done:
        changes: list[Change[Any, Any]] = []
        outcomes: list[OutcomeRow] = []
        amount_cents = 0
        evolve = self._job.aggregate.evolve
        for item, (known, moved) in zip(items, standing, strict=True):
            refused = self._problem(item, known, moved)
            if refused is not None:
                outcomes.append(refused)
                continue
            events = self._decode(item.decision)
            state = known.state
            for event in events:
                state = evolve(state, event)
            changes.append(Change(item.stream, known.version, events, state))
            amount_cents += item.amount_cents
        return Done(changes, outcomes, amount_cents)

    def _problem(self, item: Item, known: Loaded[Any], moved: Loaded[Any] | None) -> OutcomeRow | None:
        """
        Return why an item is not done, or None. On the versions it was decided on, a decision cannot differ: decisions
        are pure, and the law is checked to be the same before a run starts.
        """
        if digest_of(item) != item.digest:
            raise Tampered(run=self._run.run, ordinal=item.ordinal)
        if moved is None:
            return None
        ogm = ogm_of(first_ogm=self._run.first_ogm, ordinal=item.ordinal)
        turn = turn_of(self._run.run, self._run.key, stream=item.stream, ogm=ogm)
        candidate = Candidate(item.stream, self._members.facts_of(moved.state), known.state)
        try:
            now = self._job.decide(candidate, turn=turn, law=self._law)
        except Exception as error:
            return _outcome(item, "parked", error_code(error), "the decision failed when it was made again")
        return self._what_changed(item, now)

    def _what_changed(self, item: Item, now: Selected[Any] | PassedOver) -> OutcomeRow | None:
        if isinstance(now, PassedOver):
            return _outcome(item, "refused", f"now_passed_over:{now.reason}", ", ".join(now.basis.rules))
        if encode_decision(now) == item.decision and now.amount_cents == item.amount_cents:
            return None
        differing = ", ".join(differing_fields(self._decode(item.decision), now.events))
        reason = "other_amount" if now.amount_cents != item.amount_cents else "other_decision"
        return _outcome(item, "refused", reason, differing)


def differing_fields(planned: Sequence[Event], now: Sequence[Event]) -> Sequence[str]:
    """
    Name what differs between two decisions, such as `InvitationIssued.amount_cents`; names only, never values.
    """
    kinds_planned, kinds_now = [type(event).__name__ for event in planned], [type(event).__name__ for event in now]
    if kinds_planned != kinds_now:
        return [f"{'+'.join(kinds_planned)} is now {'+'.join(kinds_now)}"]
    return [
        f"{type(before).__name__}.{field}"
        for before, after in zip(planned, now, strict=True)
        for field in before.__struct_fields__
        if getattr(before, field) != getattr(after, field)
    ]


def chunks_of(items: int, *, size: int) -> Sequence[Chunk]:
    return [
        Chunk(number, first, min(first + size - 1, items))
        for number, first in enumerate(range(1, items + 1, size), start=1)
    ]


def _outcome(item: Item, outcome: Outcome, reason: str, detail: str) -> OutcomeRow:
    return OutcomeRow(item.ordinal, item.stream, outcome, reason[:100], detail[:500])


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    When a run stops by itself: more parked or undecided items than `parked_percent_max` of those looked at, the first
    `parked_free` not counted.
    """

    parked_percent_max: int = 5
    parked_free: int = 20

    def exceeded_by(self, *, parked: int, looked_at: int) -> bool:
        return parked > self.parked_free and parked * 100 > looked_at * self.parked_percent_max
