"""
The library's surface on our events: what its repository, event store and notification log pass around.

The domain's events know nothing of the library; `Recorded` carries where an event stands. Types are looked up in our
catalogue, never imported from what stands in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from adapters.sealing import Ciphers, place_of
from application.ports import Loaded
from domain.catalogue import Aggregate
from domain.events import Event
from domain.ids import owner_of
from formats.stored import Boxed, StoredEvents


class Recorded(NamedTuple):
    """
    An event at its place, as the library wants it.
    """

    originator_id: UUID
    originator_version: int
    event: Event


class EventMapper(Mapper[UUID]):
    """
    Turns `Recorded` into rows and back. `ciphers` gives a fresh set, so that an erased key is not kept in memory.
    """

    def __init__(self, *, stored: StoredEvents, ciphers: Callable[[], Ciphers]) -> None:
        super().__init__(transcoder=JSONTranscoder())  # never used: our events have a fixed shape
        self._stored = stored
        self._ciphers = ciphers

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        recorded = cast(Recorded, domain_event)
        stream, version, event = recorded
        of = self._stored.type_of(event)
        box = None
        if of.sealed:
            owner = owner_of(stream)
            ciphers = self._ciphers()
            ciphers.fetch_or_make([owner])
            box = ciphers.seal(owner, place_of(stream, version, of.name), self._stored.personal_of(event, of))
        state = self._stored.state_of(event, of, box)
        self._stored.check([event], [of.name], [state])
        return StoredEvent(originator_id=stream, originator_version=version, topic=of.name, state=state)

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        stream = UUID(str(stored_event.originator_id))
        version = stored_event.originator_version
        read = self._stored.read(stored_event.topic, stored_event.state)
        if isinstance(read, Boxed):
            owner = owner_of(stream)
            ciphers = self._ciphers()
            ciphers.fetch([owner])
            opened = ciphers.open(owner, place_of(stream, version, read.name), read.box)
            read = self._stored.unbox(read, opened)
        return cast(DomainEventProtocol[UUID], Recorded(stream, version, read))


def folding(aggregate: Aggregate[Any, Any]) -> Callable[[Any, Iterable[Any]], Any]:
    """
    Return the projector function for `app.repository.get(stream, projector_func=folding(AGGREGATE))`.
    """

    def fold(before: Loaded[Any] | None, recorded: Iterable[Recorded]) -> Loaded[Any] | None:
        state, version = before if before is not None else (aggregate.initial, 0)
        for stands in recorded:
            state = aggregate.evolve(state, stands.event)
            version = stands.originator_version
        return Loaded(state, version) if version else None

    return fold
