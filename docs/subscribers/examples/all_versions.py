"""
Read a topic that holds several versions of one record, all as the version that this program was written for.

    python all_versions.py BROKERS REGISTRY_URL TOPIC READER_SCHEMA_FILE

Prints each message as one line of JSON. The registry says with which version a message was written; the deserialiser
fills what an older one did not have, and leaves out what a newer one added.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def main(brokers: str, registry_url: str, topic: str, schema_file: str) -> None:
    registry = SchemaRegistryClient({"url": registry_url})
    read = AvroDeserializer(registry, schema_str=Path(schema_file).read_text(encoding="utf-8"))
    settings = {"bootstrap.servers": brokers, "group.id": "example-all-versions", "auto.offset.reset": "error"}
    consumer = Consumer(settings)
    partition = TopicPartition(topic, 0, 0)
    end = consumer.get_watermark_offsets(partition, timeout=30)[1]
    consumer.assign([partition])
    taken = 0
    while taken < end:
        message = consumer.poll(5.0)
        if message is None:
            continue
        if message.error():
            raise SystemExit(f"The broker says: {message.error()}")
        print(json.dumps(read(message.value(), SerializationContext(topic, MessageField.VALUE)), default=str))
        taken = message.offset() + 1
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
