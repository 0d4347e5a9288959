"""
A page per topic for those who read our events, made from `schemas/`: what it holds, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from formats.asyncapi import as_yaml, released
from formats.contract import Contract, Schema, Topic

_MADE: Final = "\n<!-- Made from schemas/ by `backoffice schema pages`; do not edit. -->\n"
_DAY_MS: Final = 86_400_000


def pages(contract: Contract) -> dict[str, str]:
    """
    Return every generated file of docs/subscribers/ by name.
    """
    made = {f"{topic.name}.md": "\n".join(_topic_page(contract, topic)) + _MADE for topic in contract.topics.values()}
    return {
        "README.md": "\n".join(_index(contract)) + _MADE,
        **made,
        "asyncapi.yaml": as_yaml(contract),
    }


def _index(contract: Contract) -> Iterator[str]:
    yield "# For subscribers\n"
    yield "What holds for all topics stands in [promises.md](promises.md); for tools there is"
    yield "[asyncapi.yaml](asyncapi.yaml). The schemas are in `schemas/`, and in the registry under the same ids."
    yield "Clients to copy, in Python and in Java, and how to see that nothing is missing:"
    yield "[gap-detector.md](gap-detector.md).\n"
    yield "| Topic | What it holds | Key | Partitions | Kept |"
    yield "|---|---|---|---|---|"
    for topic in contract.topics.values():
        yield f"| [{topic.name}]({topic.name}.md) | {topic.about} | {topic.key} | {topic.partitions} | {_kept(topic)} |"
    yield "\n## What is not published\n"
    yield "| Event | Why not |"
    yield "|---|---|"
    for event, reason in sorted(contract.not_published.items()):
        yield f"| {event.partition('.')[2].partition('/')[0]} | {reason} |"
    yield ""


def _kept(topic: Topic) -> str:
    return "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // _DAY_MS} days"


def _topic_page(contract: Contract, topic: Topic) -> Iterator[str]:
    yield f"# {topic.name}\n"
    yield f"{topic.about}\n"
    yield "| | |"
    yield "|---|---|"
    yield f"| Direction | {'to the back office' if topic.direction == 'in' else 'from the back office'} |"
    yield f"| Key | {topic.key}, as text |"
    yield f"| Order | {topic.order} |"
    yield f"| Partitions | {topic.partitions}, never changed; murmur2 over the key, as Java's default |"
    yield f"| Kept | {_kept(topic)}; cleanup.policy {topic.cleanup_policy} |"
    in_sync = topic.min_insync_replicas
    yield f"| Copies | {topic.replication}, of which {in_sync} hold a record before it counts as sent |"
    yield ""
    schemas = released(contract, topic)
    newest = {schema.record: schema for schema in schemas}
    for schema in newest.values():
        versions = [each for each in schemas if each.record == schema.record]
        yield from _record(schema, versions, contract.used_by)


def _record(schema: Schema, versions: list[Schema], used_by: Mapping[str, list[str]]) -> Iterator[str]:
    yield f"## {schema.raw['name']}\n"
    yield f"{schema.raw['doc']}\n"
    ids = ", ".join(f"version {each.version} is id {each.id}" for each in versions)
    yield f"`{schema.record}`: {ids}. Used by: {', '.join(schema.raw['x-used-by'])}; a field that fewer need says so.\n"
    yield "| Field | Type | Meaning | Data |"
    yield "|---|---|---|---|"
    yield from _rows(
        schema.raw["fields"], "", {name: used_by.get(f"{schema.record}.{name}", []) for name in _names(schema)}
    )
    yield ""


def _names(schema: Schema) -> list[str]:
    return [field["name"] for field in schema.raw["fields"]]


def _rows(fields: list[Mapping[str, Any]], prefix: str, users: Mapping[str, list[str]]) -> Iterator[str]:
    for field in fields:
        word, inside = _type(field["type"])
        used = f" For: {', '.join(users[field['name']])}." if users.get(field["name"]) else ""
        yield f"| {prefix}{field['name']} | {word} | {field['doc']}{used} | {field['x-data']} |"
        yield from _rows(inside, f"{prefix}{field['name']}.", {})


def _type(of: Any) -> tuple[str, list[Mapping[str, Any]]]:
    """
    Return the type in a few words, and the fields of the record that is in it.
    """
    if isinstance(of, str):
        return of, []
    if isinstance(of, list):
        word, inside = _type(next(branch for branch in of if branch != "null"))
        return f"{word} or null", inside
    if "logicalType" in of:
        return str(of["logicalType"]), []
    if of["type"] == "array":
        word, inside = _type(of["items"])
        return f"list of {word}", inside
    if of["type"] == "enum":
        return " ".join(of["symbols"]), []
    return (str(of["name"]), list(of["fields"])) if of["type"] == "record" else (str(of["type"]), [])
