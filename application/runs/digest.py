"""
The hash that a second person approves: over the run's key, every item, everyone passed over, and every value of the law
that was used. Anybody who has the rows can take it again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from application.runs.ports import Item, NotSelected, Reason, RunKey
from domain.catalogue import Aggregate
from domain.decisions import Selected
from domain.errors import BackofficeError
from domain.events import Basis, Event, Used
from domain.ids import StreamId
from domain.personal import personal_fields


class PersonalInPlan(BackofficeError):
    """
    A job decided an event with personal fields, which a plan would show unsealed. This is a defect: report it.
    """


#: By the name of the event's class: to look it up takes longer than to encode a decision.
_PERSONAL: Final[dict[str, bool]] = {}
_FACTS: Final = struct.Struct(">I16sIIq")


def _plain(value: object) -> str:
    """
    A text that was checked when it was made, such as an OGM, stands in an event as plain text.
    """
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"an event holds plain values, not {type(value).__name__}")


_ENCODER: Final = msgspec.json.Encoder(order="deterministic", enc_hook=_plain)


def encode_decision(decision: Selected[Any]) -> bytes:
    """
    Return the exact events of a decision as JSON; the same decision always gives the same bytes.

    Raises PersonalInPlan: the items of a plan stand unsealed, for every approver to read.
    """
    for event in decision.events:
        if _is_personal(type(event)):
            raise PersonalInPlan(event=type(event).__name__)
    return _ENCODER.encode(decision.events)


def _is_personal(event: type[Event]) -> bool:
    known = _PERSONAL.get(event.__name__)
    if known is None:
        known = _PERSONAL[event.__name__] = bool(personal_fields(event))
    return known


def encode_basis(basis: Basis) -> bytes:
    return _ENCODER.encode(basis)


@lru_cache(maxsize=32)
def decision_decoder(happened: Any) -> msgspec.json.Decoder[tuple[Event, ...]]:
    """
    Return the decoder of an aggregate's decisions, given the union of its events.
    """
    return msgspec.json.Decoder(tuple[happened, ...])


def events_of(aggregate: Aggregate[Any, Any], item: Item) -> tuple[Event, ...]:
    return decision_decoder(aggregate.happened).decode(item.decision)


def item_digest(
    *, ordinal: int, stream: StreamId, version: int, member_version: int, amount_cents: int, decision: bytes
) -> bytes:
    """
    Return the SHA-256 of one item; amounts in cents, versions as they stood when it was decided.
    """
    return hashlib.sha256(_FACTS.pack(ordinal, stream.bytes, version, member_version, amount_cents) + decision).digest()


def passed_over_facts(streams: Sequence[NotSelected]) -> bytes:
    """
    Return what the hash of a plan covers of streams that were passed over.
    """
    return b"".join([stream.bytes + reason_no.to_bytes(4, "big") for stream, reason_no in streams])


class PlanDigest:
    """
    Takes the hash of a plan while it goes by, in constant memory: items and passed-over streams in order.
    """

    def __init__(self, key: RunKey, law_used: Sequence[Used]) -> None:
        self._head = _ENCODER.encode((key, list(law_used)))
        self._items = hashlib.sha256()
        self._passed_over = hashlib.sha256()

    def items(self, digests: bytes) -> None:
        self._items.update(digests)

    def passed_over(self, facts: bytes) -> None:
        self._passed_over.update(facts)

    def result(self, reasons: Sequence[Reason]) -> str:
        """
        Return the hash as 64 hexadecimal digits, once everything went by.
        """
        told = [(reason.reason_no, reason.reason, msgspec.Raw(reason.basis), reason.times) for reason in reasons]
        parts = (self._head, self._items.digest(), self._passed_over.digest(), _ENCODER.encode(told))
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
