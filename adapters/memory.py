"""
The event store in memory: the same port, the same stored form, the same refusals; for tests, demos and simulations.

What is kept are the rows as the database would hold them, sealed fields included, so that nothing works here only.
"""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from adapters.sealing import Ciphers, MasterKey, NoMasterKey, place_of
from application.ports import Answer, Change, Clock, Loaded, MarkTaken, WrittenMeanwhile
from domain.catalogue import Aggregate
from domain.envelope import Commit, Envelope
from domain.events import Event
from domain.ids import Kind, MemberId, StreamId, kind_of, owner_of
from formats.stored import Boxed, StoredEvents, Upcast


class MemoryRow(NamedTuple):
    """
    One stored event.
    """

    stream: StreamId
    version: int
    type: str
    state: bytes


class _Recorded(NamedTuple):
    position: int
    row: MemoryRow
    recorded_at: datetime
    commit: Commit


class MemoryKeys:
    """
    The key table.
    """

    def __init__(self) -> None:
        self._wrapped: dict[MemberId, bytes | None] = {}

    def wrapped(self, owners: Sequence[MemberId]) -> Mapping[MemberId, bytes | None]:
        return {owner: self._wrapped[owner] for owner in owners if owner in self._wrapped}

    def add(self, keys: Mapping[MemberId, bytes]) -> None:
        for owner, wrapped in keys.items():
            self._wrapped.setdefault(owner, wrapped)

    def erase(self, owner: MemberId) -> None:
        self._wrapped[owner] = None


class MemoryStore:
    """
    The same arguments as `adapters.postgres.store.PostgresStore`, with the clock that stamps `recorded_at`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        aggregates: Sequence[Aggregate[Any, Any]],
        master: MasterKey | None,
        upcasts: Mapping[str, Upcast] | None = None,
    ) -> None:
        self.stored = StoredEvents(aggregates, upcasts)
        self.keys = MemoryKeys()
        self._clock = clock
        self._master = master
        self._log: list[_Recorded] = []
        self._streams: dict[StreamId, list[_Recorded]] = {}
        self._ids: dict[Kind, list[StreamId]] = {}
        self._heads: dict[StreamId, tuple[int, Loaded[Any]]] = {}
        self._answers: dict[UUID, Answer] = {}
        self._marks: dict[tuple[str, bytes], StreamId] = {}
        self._lock = threading.RLock()

    # --- writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, commit: Commit, *, lock_first: bool = False) -> Iterator[MemoryUnit]:
        """
        Open one transaction; the end of the block commits, an error leaves everything as it was.
        """
        unit = MemoryUnit(self, commit)
        if lock_first:
            self._lock.acquire()
        try:
            yield unit
            self._commit(unit)
        finally:
            if lock_first:
                self._lock.release()

    def _commit(self, unit: MemoryUnit) -> None:
        with self._lock:
            self._refuse_conflicts(unit)
            self.keys.add(unit.new_keys.made)
            now = self._clock.now()
            recorded_at = max(now, self._log[-1].recorded_at) if self._log else now
            for row in unit.rows:
                recorded = _Recorded(len(self._log) + 1, row, recorded_at, unit.commit)
                self._log.append(recorded)
                self._streams.setdefault(row.stream, []).append(recorded)
                if row.version == 1:
                    insort(self._ids.setdefault(kind_of(row.stream), []), row.stream)
            self._heads.update(unit.heads)
            self._answers.update({answer.command_id: answer for answer in unit.answers})
            self._marks.update(unit.marks)

    def _refuse_conflicts(self, unit: MemoryUnit) -> None:
        for stream, after in unit.expected.items():
            if self.version(stream) != after:
                raise WrittenMeanwhile(streams=1)
        answered = [answer.command_id for answer in unit.answers]
        if len(set(answered)) < len(answered) or any(command_id in self._answers for command_id in answered):
            raise WrittenMeanwhile
        for mark, stream in unit.marks.items():
            if self._marks.get(mark, stream) != stream:
                raise MarkTaken(kind=mark[0], streams=stream)

    def erase(self, owner: MemberId) -> None:
        """
        Destroy a member's key, for good.
        """
        self.keys.erase(owner)

    def blind(self, kind: str, text: str) -> bytes:
        if self._master is None:
            raise NoMasterKey
        return self._master.blind(kind, text)

    # --- reading -----------------------------------------------------------------------------------------------------

    def answers(self, command_ids: Sequence[UUID]) -> Mapping[UUID, Answer]:
        return {command_id: self._answers[command_id] for command_id in command_ids if command_id in self._answers}

    def history(self, stream: StreamId) -> Sequence[Envelope]:
        return self.feed.of_streams([stream])

    def load(self, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]) -> Mapping[StreamId, Loaded[Any]]:
        return {stream: self._load(aggregate, stream) for stream in streams}

    def _load(self, aggregate: Aggregate[Any, Any], stream: StreamId) -> Loaded[Any]:
        fold_version, head = self._heads.get(stream, (None, None))
        state, version = head if head is not None and fold_version == aggregate.fold_version else (aggregate.initial, 0)
        tail = self._streams.get(stream, [])[version:]
        if tail:
            events = self.stored.read_stream(aggregate, b",".join(recorded.row.state for recorded in tail))
            state, version = aggregate.fold(events, state=state), tail[-1].row.version
        return Loaded(state, version)

    def version(self, stream: StreamId) -> int:
        return len(self._streams.get(stream, ()))

    def streams(self, aggregate: Aggregate[Any, Any], *, after: StreamId | None, limit: int) -> Sequence[StreamId]:
        ids = self._ids.get(aggregate.kind, [])
        start = 0 if after is None else bisect_right(ids, after)
        return ids[start : start + limit]

    def holder(self, mark: tuple[str, bytes]) -> StreamId | None:
        return self._marks.get(mark)

    @property
    def master(self) -> MasterKey | None:
        return self._master

    @property
    def feed(self) -> MemoryFeed:
        return MemoryFeed(self)

    def recorded(self) -> Sequence[_Recorded]:
        return self._log

    def recorded_of(self, stream: StreamId) -> Sequence[_Recorded]:
        return self._streams.get(stream, ())

    # --- heads -------------------------------------------------------------------------------------------------------

    def rebuild_heads(self, aggregate: Aggregate[Any, Any]) -> int:
        ids = self._ids.get(aggregate.kind, [])
        for stream in ids:
            self._heads.pop(stream, None)
            self._heads[stream] = (aggregate.fold_version, self._load(aggregate, stream))
        return len(ids)

    def heads_unlike_replay(self, aggregate: Aggregate[Any, Any]) -> Sequence[StreamId]:
        unlike = []
        for stream in self._ids.get(aggregate.kind, []):
            events = [recorded.row.state for recorded in self._streams[stream]]
            state = aggregate.fold(self.stored.read_stream(aggregate, b",".join(events)))
            fold_version, head = self._heads.get(stream, (None, None))
            if fold_version == aggregate.fold_version and head != Loaded(state, len(events)):
                unlike.append(stream)
        return unlike

    def heads_equal_replay(self, aggregate: Aggregate[Any, Any]) -> bool:
        return not self.heads_unlike_replay(aggregate)


class _NewKeys:
    """
    The key table as one transaction sees it: new keys are kept by its commit.
    """

    def __init__(self, table: MemoryKeys) -> None:
        self._table = table
        self.made: dict[MemberId, bytes] = {}

    def wrapped(self, owners: Sequence[MemberId]) -> Mapping[MemberId, bytes | None]:
        return {**{owner: self.made[owner] for owner in owners if owner in self.made}, **self._table.wrapped(owners)}

    def add(self, keys: Mapping[MemberId, bytes]) -> None:
        self.made.update(keys)


class MemoryUnit:
    """
    One transaction; nothing is seen by others before it commits.
    """

    def __init__(self, store: MemoryStore, commit: Commit) -> None:
        self._store = store
        self.commit = commit
        self.new_keys = _NewKeys(store.keys)
        self.rows: list[MemoryRow] = []
        self.expected: dict[StreamId, int] = {}
        self.heads: dict[StreamId, tuple[int, Loaded[Any]]] = {}
        self.answers: list[Answer] = []
        self.marks: dict[tuple[str, bytes], StreamId] = {}
        self._ciphers = Ciphers(store.master, self.new_keys)

    def load(self, aggregate: Aggregate[Any, Any], streams: Sequence[StreamId]) -> Mapping[StreamId, Loaded[Any]]:
        ours = {stream: self.heads[stream][1] for stream in streams if stream in self.heads}
        others = [stream for stream in streams if stream not in ours]
        return {**self._store.load(aggregate, others), **ours}

    def append(self, aggregate: Aggregate[Any, Any], changes: Sequence[Change[Any, Any]]) -> None:
        for stream, after_version, events, state in changes:
            if not events:
                continue
            if kind_of(stream) != aggregate.kind:
                raise ValueError(f"{stream} is not a stream of {aggregate.context} kind {int(aggregate.kind)}")
            stands = self.heads[stream][1].version if stream in self.heads else self._store.version(stream)
            if stands != after_version:
                raise WrittenMeanwhile(streams=1)
            self.expected.setdefault(stream, after_version)
            for version, event in enumerate(events, after_version + 1):
                self.rows.append(self._row(stream, version, event))
            self.heads[stream] = (aggregate.fold_version, Loaded(state, after_version + len(events)))

    def _row(self, stream: StreamId, version: int, event: Event) -> MemoryRow:
        stored = self._store.stored
        of = stored.type_of(event)
        box = None
        if of.sealed:
            owner = owner_of(stream)
            self._ciphers.fetch_or_make([owner])
            box = self._ciphers.seal(owner, place_of(stream, version, of.name), stored.personal_of(event, of))
        state = stored.state_of(event, of, box)
        stored.check([event], [of.name], [state])
        return MemoryRow(stream, version, of.name, state)

    def mark_unique(self, kind: str, values: Sequence[tuple[str, StreamId]]) -> None:
        for value, stream in values:
            mark = (kind, self._store.blind(kind, value))
            holder = self.marks.get(mark) or self._store.holder(mark) or stream
            if holder != stream:
                raise MarkTaken(kind=kind, streams=stream)
            self.marks[mark] = stream

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)


class MemoryFeed:
    """
    The feed of a memory store.
    """

    def __init__(self, store: MemoryStore, *, open_personal: bool = True) -> None:
        self._store = store
        self._master = store.master if open_personal else None

    def read(self, *, after: int, limit: int, kinds: Collection[Kind] | None = None) -> Sequence[Envelope]:
        log = self._store.recorded()
        if kinds is None:
            return self._envelopes(log[after : after + limit])
        wanted = [recorded for recorded in log[after:] if kind_of(recorded.row.stream) in kinds]
        return self._envelopes(wanted[:limit])

    def high_water(self) -> int:
        return len(self._store.recorded())

    def of_streams(self, streams: Sequence[StreamId]) -> Sequence[Envelope]:
        return self._envelopes([of for stream in sorted(streams) for of in self._store.recorded_of(stream)])

    def _envelopes(self, recorded: Sequence[_Recorded]) -> Sequence[Envelope]:
        ciphers = Ciphers(self._master, self._store.keys)
        envelopes = []
        for position, (stream, version, name, state), recorded_at, commit in recorded:
            event = self._store.stored.read(name, state)
            if isinstance(event, Boxed):
                ciphers.fetch([owner_of(stream)])
                opened = ciphers.open(owner_of(stream), place_of(stream, version, event.name), event.box)
                event = self._store.stored.unbox(event, opened)
            envelopes.append(Envelope(position, stream, version, name, recorded_at, event, commit))
        return envelopes
