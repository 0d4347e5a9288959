"""
Read a topic that holds several versions of one record, all as the version that this program was written for.

    python all_versions.py BROKERS REGISTRY_URL TOPIC READER_SCHEMA_FILE

Prints each message of that record as one line of JSON, and passes over the topic's other records. The registry says
with which version a message was written; the deserialiser fills what an older one did not have, and leaves out what a
newer one added.
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
    schema_text = Path(schema_file).read_text(encoding="utf-8")
    schema = json.loads(schema_text)
    record = f"{schema['namespace']}.{schema['name']}".encode()
    read = AvroDeserializer(registry, schema_str=schema_text)
    settings = {"bootstrap.servers": brokers, "group.id": "example-all-versions", "auto.offset.reset": "error"}
    consumer = Consumer(settings)
    partitions = [
        TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, 30).topics[topic].partitions
    ]
    ends = {each.partition: consumer.get_watermark_offsets(each, timeout=30)[1] for each in partitions}
    consumer.assign(partitions)
    while any(each.offset < ends[each.partition] for each in consumer.position(partitions) if ends[each.partition] > 0):
        message = consumer.poll(5.0)
        if message is None:
            continue
        if message.error():
            raise SystemExit(f"The broker says: {message.error()}")
        if dict(message.headers() or [])["ce_type"] == record:
            print(json.dumps(read(message.value(), SerializationContext(topic, MessageField.VALUE)), default=str))
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
