"""
Read the affiliation topic from its beginning and add up the zorgpremie: charged, received, open; in cents.

    pip install "confluent-kafka[avro,schemaregistry]"
    python premium_totals.py BROKERS REGISTRY_URL [TOPIC]

Prints one JSON object. Shows what a subscriber needs: the registry client, the order per member, the gap detector.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from gap_detector import GapDetector

TOPIC = "backoffice.zorgkas-affiliation.v1"


class PremiumTotals:
    """
    What a ledger wants to know of all members together. Amounts are whole cents; years are kept apart.
    """

    def __init__(self) -> None:
        self.received_cents = 0
        self.credit_cents = 0
        self.refunded_cents = 0
        self.charged_by_year: Counter[int] = Counter()
        self.paid_by_year: Counter[int] = Counter()

    def take(self, record: str, fields: dict) -> None:
        match record:
            case "ZorgpremieCharged":
                self.charged_by_year[fields["year"]] += fields["amount_cents"]
            case "ZorgpremieAmountChanged":
                self.charged_by_year[fields["year"]] += fields["to_cents"] - fields["from_cents"]
                self.paid_by_year[fields["year"]] -= fields["freed_cents"]
                self.credit_cents += fields["freed_cents"]
            case "PaymentReceived":
                self.received_cents += fields["amount_cents"]
                self.credit_cents += fields["credit_cents"]
                self._allocate(fields, 1)
            case "PaymentReversed":
                self.received_cents -= fields["amount_cents"]
                self.credit_cents -= fields["credit_cents"]
                self._allocate(fields, -1)
            case "CreditAllocated":
                self.credit_cents -= self._allocate(fields, 1)
            case "CreditRefunded":
                self.credit_cents -= fields["amount_cents"]
                self.refunded_cents += fields["amount_cents"]

    def _allocate(self, fields: dict, sign: int) -> int:
        for each in fields["allocations"]:
            self.paid_by_year[each["year"]] += sign * each["amount_cents"]
        return sum(each["amount_cents"] for each in fields["allocations"])


def main(brokers: str, registry_url: str, topic: str = TOPIC) -> None:
    read = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "example-premium-totals",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    known = consumer.list_topics(topic, 30).topics[topic].partitions
    partitions = [TopicPartition(topic, number, 0) for number in known]
    ends = {each.partition: consumer.get_watermark_offsets(each, timeout=30)[1] for each in partitions}
    consumer.assign(partitions)
    totals, detector, records = PremiumTotals(), GapDetector(), Counter()
    while any(each.offset < ends[each.partition] for each in consumer.position(partitions) if ends[each.partition] > 0):
        message = consumer.poll(5.0)
        if message is None:
            continue
        if message.error():
            raise SystemExit(f"The broker says: {message.error()}")
        if message.value() is None or not detector.is_new(topic, message.partition(), message.headers()):
            continue
        fields = read(message.value(), SerializationContext(topic, MessageField.VALUE, message.headers()))
        record = dict(message.headers())["ce_type"].decode().rpartition(".")[2]
        totals.take(record, fields)
        records[record] += 1
    consumer.close()
    answer = {
        "records": dict(sorted(records.items())),
        "charged_cents": sum(totals.charged_by_year.values()),
        "paid_cents": sum(totals.paid_by_year.values()),
        "received_cents": totals.received_cents,
        "credit_cents": totals.credit_cents,
        "refunded_cents": totals.refunded_cents,
        "open_by_year": {
            str(year): charged - totals.paid_by_year[year] for year, charged in sorted(totals.charged_by_year.items())
        },
    }
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
