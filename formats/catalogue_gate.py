"""
The gate before the catalogue, the ids and the topics: each event published or not, each record of an event, and each
id, just once; and what was released of a topic stays as it is.

`formats.schema_gate` holds the schemas themselves; `backoffice schema check` asks both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from domain.aggregates import AGGREGATES
from formats.contract import Contract, ReleasedTopic
from formats.schema_gate import Problem
from formats.stored_shapes import event_type

#: Records that are no events of ours: what others send us, and our answer.
_NO_EVENTS: Final = "backoffice.commands."
_OTHER_TOPIC: Final = "put it back, or make a new topic (.v2), filled from the store"
#: Why what was released of a topic is not changed, and what to do.
_NEVER: Final = {
    "folder": f"Records never change topic; {_OTHER_TOPIC}.",
    "key": f"A key is never changed, others join and sort by it; {_OTHER_TOPIC}.",
    "partitions": f"Partitions are never changed: keys would move to other ones and lose their order; {_OTHER_TOPIC}.",
    "cleanup_policy": f"What a topic keeps is never changed, subscribers count on it; {_OTHER_TOPIC}.",
    "retention_ms": f"What a topic keeps is never changed, subscribers count on it; {_OTHER_TOPIC}.",
}


def problems_in_catalogue(contract: Contract) -> list[Problem]:
    """
    Return what is wrong with the catalogue, the ids and the topics; empty when the contract may be released.
    """
    return [
        *_events(contract),
        *_records(contract),
        *_ids(contract),
        *_topics(contract),
        *_strays(contract),
        *_users(contract),
    ]


def _events(contract: Contract) -> Iterator[Problem]:
    ours = {event_type(aggregate.context, event).name for aggregate in AGGREGATES for event in aggregate.events}
    said = {*contract.published, *contract.not_published}
    for event in sorted(ours - said):
        yield _problem(event, "Nothing says whether it is published; add it, with its record or with why not.")
    for event in sorted(said - ours):
        yield _problem(event, "There is no such event; correct its name or take it out.")
    for event in sorted({*contract.published} & {*contract.not_published}):
        yield _problem(event, "It stands under both published and not_published; take one out.")
    for event, reason in contract.not_published.items():
        if not reason.strip():
            yield _problem(event, "Say why it is not published.")


def _records(contract: Contract) -> Iterator[Problem]:
    there = {schema.name: schema for versions in contract.records.values() for schema in versions}
    for event, name in contract.published.items():
        if name not in there:
            yield _problem(event, f"It is published as {name}, which has no schema; write it, or correct the name.")
    for name, times in Counter(contract.published.values()).items():
        if times > 1:
            yield _problem(name, f"{times} events are published as it; a record stands for one.")
    used = {name.partition("/")[0] for name in contract.published.values()}
    for record in sorted(contract.records.keys() - used):
        if not record.startswith(_NO_EVENTS):
            yield _problem(record, "No event is published as this record; add it to the catalogue, or remove the file.")


def _ids(contract: Contract) -> Iterator[Problem]:
    for place, number in enumerate(contract.released, start=1):
        if number != place:
            yield Problem(
                "ids.yaml", str(number), "id", f"Here {place} stood: put it back, no id is changed or left out."
            )
            return


def _topics(contract: Contract) -> Iterator[Problem]:
    for name, pinned in contract.released_topics.items():
        if name not in contract.topics:
            yield _of_topic(name, "It was released and is gone; put it back, others read it.")
            continue
        now = ReleasedTopic.of(contract.topics[name])
        for field in ReleasedTopic.__struct_fields__:
            was, wanted = getattr(pinned, field), getattr(now, field)
            if was != wanted:
                yield _of_topic(name, f"Its {field} was released as `{was}` and stands as `{wanted}`. {_NEVER[field]}")
    for name in sorted({schema.topic for schema in contract.by_id.values()} - contract.released_topics.keys()):
        yield _of_topic(name, "It has released records, but no line in released-topics.yaml; put its line back.")


def _strays(contract: Contract) -> Iterator[Problem]:
    for place in contract.strays:
        sentence = "Nothing reads this file. A record stands in the folder of a topic of topics.yaml; else remove it."
        yield Problem("schemas", place, "stray", sentence)


def _users(contract: Contract) -> Iterator[Problem]:
    for place, users in contract.used_by.items():
        record, _, name = place.rpartition(".")
        versions = contract.records.get(record, ())
        if not any(field["name"] == name for each in versions[-1:] for field in each.raw["fields"]):
            yield _problem(place, "No published record has this field; correct its name or take it out.")
        elif not users or not set(users) < set(versions[-1].raw["x-used-by"]):
            yield _problem(place, "Name some of those who use the record, not all and nobody else.")


def _of_topic(name: str, sentence: str) -> Problem:
    return Problem("topics.yaml", name, "topic", sentence)


def _problem(what: str, sentence: str) -> Problem:
    return Problem("catalogue.yaml", what, "catalogue", sentence)
