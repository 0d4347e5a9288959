"""
What an AsyncAPI 3 document must look like, as far as ours uses it: a JSON Schema of our own after the specification.
"""

from __future__ import annotations

from typing import Any


def _object(required: str, **properties: Any) -> dict[str, Any]:
    names = required.split()
    return {
        "type": "object",
        "required": names,
        "additionalProperties": False,
        "properties": {**{name: {} for name in names}, **properties},
    }


def _map_of(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, "additionalProperties": value,
            "propertyNames": {"pattern": r"^[A-Za-z0-9_.\-]+$"}}  # fmt: skip


TEXT = {"type": "string", "minLength": 1}
REF = _object("$ref", **{"$ref": {"type": "string", "pattern": "^#/"}})
BINDING = {"const": "0.5.0"}
TOPIC_SETTINGS = _object(
    "",
    **{
        "cleanup.policy": {"type": "array", "items": {"enum": ["delete", "compact"]}},
        "retention.ms": {"type": "integer", "minimum": -1},
    },
)
CHANNEL_BINDING = _object(
    "topic partitions replicas topicConfiguration bindingVersion",
    topic=TEXT,
    partitions={"type": "integer", "minimum": 1},
    replicas={"type": "integer", "minimum": 1},
    topicConfiguration=TOPIC_SETTINGS,
    bindingVersion=BINDING,
)
CHANNEL = _object(
    "address messages bindings",
    address=TEXT,
    title=TEXT,
    summary=TEXT,
    description=TEXT,
    messages=_map_of(REF),
    bindings=_object("kafka", kafka=CHANNEL_BINDING),
)
OPERATION = _object(
    "action channel messages",
    action={"enum": ["send", "receive"]},
    channel=REF,
    summary=TEXT,
    messages={"type": "array", "items": REF, "minItems": 1},
    reply=_object("channel", channel=REF),
)
MESSAGE_BINDING = _object(
    "key schemaIdLocation schemaIdPayloadEncoding schemaLookupStrategy bindingVersion",
    key={"type": "object"},
    schemaIdLocation={"enum": ["payload", "header"]},
    schemaIdPayloadEncoding={"type": "string"},
    schemaLookupStrategy={"type": "string"},
    bindingVersion=BINDING,
)
MESSAGE = _object(
    "name payload contentType bindings",
    name=TEXT,
    title=TEXT,
    summary=TEXT,
    contentType={"const": "application/avro"},
    headers=REF,
    payload=_object(
        "schemaFormat schema",
        schemaFormat={"type": "string", "pattern": r"^application/vnd\.apache\.avro\+json;version=1\."},
        schema={"type": "object", "required": ["type", "name", "fields"]},
    ),
    bindings=_object("kafka", kafka=MESSAGE_BINDING),
)
SHAPE: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    **_object(
        "asyncapi info channels operations components",
        asyncapi={"const": "3.0.0"},
        info=_object("title version", title=TEXT, version=TEXT, description=TEXT),
        defaultContentType=TEXT,
        channels=_map_of(CHANNEL),
        operations=_map_of(OPERATION),
        components=_object("messages schemas", messages=_map_of(MESSAGE), schemas=_map_of({"type": "object"})),
    ),
}
