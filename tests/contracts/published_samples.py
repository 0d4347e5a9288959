"""
One sample of every event of the domain, with a canary in every personal field and in every text that people write.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from domain.aggregates import AGGREGATES
from domain.catalogue import Aggregate
from domain.envelope import Commit, Envelope
from domain.events import Basis, Event
from domain.ids import Kind, StreamId, belonging_to, derived_id, derived_key, new_member_id

CANARY = "CANARY-Jan-Peeters-85073003328"
MEMBER = new_member_id(moment_ms=1_767_225_600_000, randomness=lambda size: b"\x5a" * size)
RUN = derived_id(Kind.RUN, "invitations", "2026-01-20", "1")
RECORDED = datetime(2026, 1, 20, 9, 30, 0, 123456, tzinfo=UTC)
SOURCE = "urn:backoffice:test"
#: Texts that are codes of ours; every other text is one that a person may have written.
OUR_CODES = {("RunPlanned", "job"), ("Control", "name")}
DIGESTS = {"digest", "content_digest", "movements_digest"}


def event_types() -> Iterator[tuple[Aggregate[Any, Any], type[Event]]]:
    for aggregate in AGGREGATES:
        for event in aggregate.events:
            yield aggregate, event


def stream_of(kind: Kind) -> StreamId:
    if kind in {Kind.MEMBER, Kind.ZORGKAS_AFFILIATION}:
        return belonging_to(MEMBER, kind)
    return derived_id(kind, "sample")


def sample(event: type[Any], *, words: int = 0, optional: bool = True) -> Any:
    """
    Return an event of that type. `words` chooses which word of each Literal; `optional` fills what may be empty.
    """
    hints = get_type_hints(event, include_extras=True)
    values = {
        field.name: _value(hints[field.name], (event.__name__, field.name), words=words, optional=optional)
        for field in msgspec.structs.fields(event)
    }
    return event(**values)


def _value(hint: Any, where: tuple[str, str], *, words: int, optional: bool) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        return _value(get_args(hint)[0], where, words=words, optional=optional)
    if origin is Literal:
        choices = get_args(hint)
        return choices[words % len(choices)]
    if origin in {Union, UnionType}:
        given = next(each for each in get_args(hint) if each is not type(None))
        return _value(given, where, words=words, optional=optional) if optional else None
    if origin is tuple:
        return tuple(_value(get_args(hint)[0], where, words=words, optional=optional) for _ in range(2))
    if hint is Basis:
        return Basis(rules=(CANARY,))
    plain: dict[Any, Any] = {int: 2026, bool: True, date: date(2026, 4, 30), UUID: derived_key(*where)}
    if hint is str:
        return _text(where)
    if hint in plain:
        return plain[hint]
    if hasattr(hint, "__supertype__"):  # Cents, StreamId
        return _value(hint.__supertype__, where, words=words, optional=optional)
    return sample(hint, words=words, optional=optional)


def _text(where: tuple[str, str]) -> str:
    if where[1] in DIGESTS:
        return "ab" * 32
    return "zorgpremie.invitations" if where in OUR_CODES else CANARY


def envelope(aggregate: Aggregate[Any, Any], event: Event, *, position: int = 7, version: int = 3) -> Envelope:
    commit = Commit(command_id=derived_key("c"), actor=CANARY, business_date=date(2026, 1, 20), cause=CANARY, run=RUN)
    return Envelope(position, stream_of(aggregate.kind), version, "", RECORDED, event, commit)
