"""
What the commands around Kafka answer with `--json`; see `console.answers.every`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from console.answers.answer import Answer


class Relayed(Answer, frozen=True, kw_only=True):
    """
    `relay`, `relay resend`: how far the relay came before it was stopped.
    """

    relay: str
    position: int
    lag_events: int


class TopicShown(msgspec.Struct, frozen=True, kw_only=True):
    """
    One topic of ours; `made` when this call made it.
    """

    topic: str
    partitions: int
    made: bool


class TopicsShown(Answer, frozen=True, kw_only=True):
    """
    `topics`: every topic of ours, all of them right.
    """

    topics: Sequence[TopicShown]


class RelayShown(msgspec.Struct, frozen=True, kw_only=True):
    """
    One relay as the store sees it. `waits_for` is empty for one that works, or that does not run; with an empty
    `holder` it is what a relay said within the last minute that keeps it from beginning, and `waits_since` is null.
    `events_per_second` is over about the last minute.
    """

    relay: str
    position: int
    lag_events: int
    oldest_unpublished_seconds: int
    events_per_second: float
    holder: str
    lease_until: datetime | None
    waits_for: str
    waits_since: datetime | None
    until: int | None


class ProjectionShown(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a read model is.
    """

    projection: str
    position: int
    lag_events: int


class StatusShown(Answer, frozen=True, kw_only=True):
    """
    `status`: the last recorded position, and how far everybody is who reads the events.
    """

    last_position: int
    relays: Sequence[RelayShown]
    projections: Sequence[ProjectionShown]


class Consumed(Answer, frozen=True, kw_only=True):
    """
    `consume`: how many messages the consumer took, and how many letters of it wait.
    """

    consumer: str
    messages: int
    letters_waiting: int


class Compared(Answer, frozen=True, kw_only=True):
    """
    `consume compare`: the premium account from the store and from Kafka. `unlike` names affiliations that differ, at
    most twenty.
    """

    store_affiliations: int
    kafka_affiliations: int
    store_sha256: str
    kafka_sha256: str
    equal: bool
    unlike: Sequence[str]


class DeadLetter(Answer, frozen=True, kw_only=True):
    """
    `dead-letters show`, `discard`: one letter that waits for itself, without anything of what it says; `behind` others
    wait for it.
    """

    number: int
    consumer: str
    topic: str
    partition: int
    offset: int
    key: str
    code: str
    problem: str
    bytes: int | None
    schema_id: int | None
    header_names: Sequence[str]
    attempts: int
    parked_at: datetime
    behind: int


class DeadLetters(Answer, frozen=True, kw_only=True):
    """
    `dead-letters list`: the letters that wait, one for each key.
    """

    letters: Sequence[DeadLetter]


class Retried(Answer, frozen=True, kw_only=True):
    """
    `dead-letters retry`: what trying again did; `stopped_at` is the letter that still cannot be taken, and why.
    """

    taken: int
    still_waiting: int
    stopped_at: int | None
    code: str
    problem: str


class SchemaLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    One record in one version; `id` is 0 until it is released.
    """

    id: int
    record: str
    version: int
    topic: str


class SchemaList(Answer, frozen=True, kw_only=True):
    """
    `schema list`: every record and version.
    """

    schemas: Sequence[SchemaLine]


class SchemasChecked(Answer, frozen=True, kw_only=True):
    """
    `schema check`: what is wrong in the schemas, in a registry, and in the pages made from the schemas.
    """

    released: int
    not_released: int
    problems: Sequence[str]


class SchemasPublished(Answer, frozen=True, kw_only=True):
    """
    `schema publish`: what got an id now, and what a registry has: registered now, and there before.
    """

    new_ids: Sequence[SchemaLine]
    registered: int
    were_there: int


class SchemaShown(Answer, frozen=True, kw_only=True):
    """
    `schema show`: one record in one version, with the Avro `schema` that subscribers get.
    """

    id: int
    record: str
    version: int
    topic: str
    schema: Mapping[str, Any]


class PagesWritten(Answer, frozen=True, kw_only=True):
    """
    `schema pages`: the files of docs/subscribers/ that were not what the schemas say, and are now.
    """

    pages: Sequence[str]


class StackPart(msgspec.Struct, frozen=True, kw_only=True):
    """
    One part of the stack.
    """

    name: str
    state: str
    address: str
    version: str
    pid: int | None


class StackShown(Answer, frozen=True, kw_only=True):
    """
    `stack up`, `down`, `status`: every part as it is now.
    """

    parts: Sequence[StackPart]


#: Which record each of these commands answers with `--json`.
ANSWERS_OF_KAFKA: Final[Mapping[str, type[Answer]]] = {
    "stack": StackShown,
    "topics create": TopicsShown,
    "topics check": TopicsShown,
    "relay": Relayed,
    "relay resend": Relayed,
    "status": StatusShown,
    "consume premium-accounts": Consumed,
    "consume commands": Consumed,
    "consume compare": Compared,
    "dead-letters list": DeadLetters,
    "dead-letters show": DeadLetter,
    "dead-letters retry": Retried,
    "dead-letters discard": DeadLetter,
    "schema list": SchemaList,
    "schema show": SchemaShown,
    "schema check": SchemasChecked,
    "schema publish": SchemasPublished,
    "schema pages": PagesWritten,
}
