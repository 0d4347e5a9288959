"""
The contract as an AsyncAPI 3 document, for the tools that subscribers use. Made from `schemas/` and nothing else.

Source: AsyncAPI 3.0.0, Kafka bindings 0.5.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from formats.avro import json_copy
from formats.contract import Contract, Schema, Topic

_BINDINGS: Final = "0.5.0"
_AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"

_HEADERS: Final[dict[str, tuple[str, bool]]] = {
    "ce_specversion": ("Always 1.0.", True),
    "ce_id": ("Identity of the event: source, stream and version by colons. The same event, the same id.", True),
    "ce_source": ("Which back office sent it, as a URI.", True),
    "ce_type": ("Full name of the record.", True),
    "ce_time": ("When it was recorded, RFC 3339 in UTC.", True),
    "ce_subject": ("Random id of the stream that the event belongs to.", True),
    "ce_dataschema": ("urn:backoffice:schema:<record>:<version> with which the value was written.", True),
    "ce_partitionkey": ("The key of the message, as text.", True),
    "ce_sequence": ("Position of the event, 19 digits; rises within a partition.", True),
    "ce_previoussequence": ("The sequence before it in the same partition; absent on the first.", False),
    "ce_epoch": ("Changes when the store was put back from a backup; sequences of two epochs do not compare.", True),
    "ce_runid": ("Id of the batch run that caused it; absent when none did.", False),
    "content-type": ("Always application/avro.", True),
}
#: An answer is no event of the store: it has no place in its count.
_OF_EVENTS: Final = frozenset({"ce_sequence", "ce_previoussequence", "ce_epoch", "ce_runid", "ce_id", "ce_subject"})
_ANSWER_HEADERS: Final[dict[str, tuple[str, bool]]] = {
    **{name: text for name, text in _HEADERS.items() if name not in _OF_EVENTS},
    "ce_id": ("Identity of the answer: source, the word answer, and the id of the command by colons.", True),
    "ce_subject": ("Id of the command.", True),
}


def document(contract: Contract) -> dict[str, Any]:
    """
    Return the whole document, ready to be written as YAML.
    """
    messages = {
        _message_name(schema): _message(schema, contract.topics[schema.topic])
        for versions in contract.records.values()
        for schema in versions
        if schema.id
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Back office of a Belgian health-insurance fund",
            "version": "1.0.0",
            "description": "Events on Kafka: complete, in order per member, compatible for ever, without "
            "personal data. What is promised stands in promises.md.",
        },
        "defaultContentType": "application/avro",
        "channels": {_channel_name(topic): _channel(contract, topic) for topic in contract.topics.values()},
        "operations": {
            f"{'receive' if topic.direction == 'in' else 'send'}.{_channel_name(topic)}": _operation(contract, topic)
            for topic in contract.topics.values()
        },
        "components": {
            "messages": messages,
            "schemas": {"Headers": _headers(_HEADERS), "AnswerHeaders": _headers(_ANSWER_HEADERS)},
        },
    }


def as_yaml(contract: Contract) -> str:
    """
    Return the document as it stands in docs/subscribers/asyncapi.yaml.
    """
    body = yaml.dump(document(contract), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return f"# Made from schemas/ by `backoffice schema pages`; do not edit.\n{body}"


class _Plain(yaml.SafeDumper):
    """
    YAML without anchors: many tools cannot follow them.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


def released(contract: Contract, topic: Topic) -> list[Schema]:
    """
    Return every released schema of a topic, by name and version.
    """
    found = (each for versions in contract.records.values() for each in versions)
    return [schema for schema in found if schema.topic == topic.name and schema.id]


def _channel_name(topic: Topic) -> str:
    return topic.folder


def _message_name(schema: Schema) -> str:
    return f"{schema.record.rpartition('.')[2]}.v{schema.version}"


def _channel(contract: Contract, topic: Topic) -> dict[str, Any]:
    names = [_message_name(schema) for schema in released(contract, topic)]
    return {
        "address": topic.name,
        "title": topic.name,
        "summary": topic.about,
        "description": topic.order,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    "retention.ms": topic.retention_ms,
                },
                "bindingVersion": _BINDINGS,
            }
        },
    }


def _operation(contract: Contract, topic: Topic) -> dict[str, Any]:
    channel = f"#/channels/{_channel_name(topic)}"
    return {
        "action": "receive" if topic.direction == "in" else "send",
        "channel": {"$ref": channel},
        "summary": topic.about,
        "messages": [{"$ref": f"{channel}/messages/{_message_name(schema)}"} for schema in released(contract, topic)],
        **({"reply": {"channel": {"$ref": "#/channels/command-answers"}}} if topic.direction == "in" else {}),
    }


def _message(schema: Schema, topic: Topic) -> dict[str, Any]:
    name = schema.record.rpartition(".")[2]
    kind = "AnswerHeaders" if topic.folder == "command-answers" else "Headers"
    headers = {"headers": {"$ref": f"#/components/schemas/{kind}"}} if topic.direction == "out" else {}
    return {
        "name": schema.record,
        "title": name,
        "summary": schema.raw["doc"],
        "contentType": "application/avro",
        **headers,
        "payload": {"schemaFormat": _AVRO, "schema": json_copy(schema.raw)},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic.key},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "4",
                "schemaLookupStrategy": "RecordNameStrategy",
                "bindingVersion": _BINDINGS,
            }
        },
    }


def _headers(of: Mapping[str, tuple[str, bool]]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name for name, (_, needed) in of.items() if needed],
        "properties": {name: {"type": "string", "description": text} for name, (text, _) in of.items()},
    }
