"""
A checker that knows nothing of the program: what stands in the topics, against what stands in the event table.

It reads with the client of a stranger (confluent-kafka), the event table with plain SQL, and the promise from the files in
`schemas/`. No line of it is imported from the house.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg
import yaml
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.patience import PATIENCE_S

SCHEMAS = Path(__file__).parents[2] / "schemas"
_DIGITS = 19


class Record(NamedTuple):
    """
    One record as it stands in the log.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def sequence(self) -> int:
        return int(dict(self.headers)["ce_sequence"])

    @property
    def previous(self) -> int | None:
        found = dict(self.headers).get("ce_previoussequence")
        return None if found is None else int(found)

    @property
    def event(self) -> str:
        """
        The stream and version of the event, without what names the house.
        """
        return ":".join(dict(self.headers)["ce_id"].decode().rsplit(":", 2)[1:])


class Found(NamedTuple):
    """
    What is wrong, in counts; `copies` is not wrong: what arrives twice is dropped by everybody.
    """

    lost: int = 0
    unknown: int = 0
    changed_copies: int = 0
    lost_by_dropping: int = 0
    gaps: int = 0
    out_of_order: int = 0
    keys_in_two_places: int = 0


def public_topics() -> dict[str, int]:
    """
    Return the topics that events go to, and how many partitions each is promised to have.
    """
    topics = yaml.safe_load((SCHEMAS / "topics.yaml").read_text())["topics"]
    ours = {name: of for name, of in topics.items() if of["direction"] == "out" and of["folder"] != "command-answers"}
    return {name: of["partitions"] for name, of in ours.items()}


def read_all(bootstrap: str, topics: Mapping[str, int], *, from_offset: int = 0) -> list[Record]:
    """
    Read every partition from offset 0 to the end that it had when the reading began.

    An error of the broker is asked again: it may be coming back from a fault, and not yet lead its partitions.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "a-stranger", "enable.auto.commit": False})
    places = [TopicPartition(topic, number, from_offset) for topic, count in topics.items() for number in range(count)]
    ends = {(place.topic, place.partition): _end(consumer, place) for place in places}
    open_places = {place for place, end in ends.items() if end > from_offset}
    consumer.assign([place for place in places if (place.topic, place.partition) in open_places])
    found: list[Record] = []
    deadline = time.monotonic() + PATIENCE_S
    while open_places:
        message = consumer.poll(PATIENCE_S)
        assert message is not None, f"nothing comes, and {len(open_places)} partitions are not at their end"
        if message.error() is not None:
            assert time.monotonic() < deadline, message.error()
            continue
        deadline = time.monotonic() + PATIENCE_S
        headers = tuple((name, bytes(value)) for name, value in message.headers() or ())
        place = (message.topic(), message.partition())
        found.append(Record(*place, message.offset(), message.key(), message.value(), headers))
        if message.offset() + 1 >= ends[place]:
            open_places.discard(place)
    consumer.close()
    return found


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """
    Return the offset behind the last record.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            # The client would believe for minutes what it heard while there was no leader, so it hears it anew.
            consumer.list_topics(place.topic, timeout=PATIENCE_S)
            _, end = consumer.get_watermark_offsets(place, timeout=PATIENCE_S)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return int(end)


def expected(database_url: str, *, after: int = 0, until: int | None = None) -> dict[str, int]:
    """
    Return the events that must be in the topics, by stream and version, with their positions.
    """
    published = yaml.safe_load((SCHEMAS / "catalogue.yaml").read_text())["published"]
    with psycopg.connect(database_url) as session:
        rows = session.execute(
            "SELECT originator_id::text, originator_version, notification_id, topic FROM backoffice.events "
            "WHERE notification_id > %s AND (%s::bigint IS NULL OR notification_id <= %s) ORDER BY notification_id",
            [after, until, until],
        ).fetchall()
    return {f"{stream}:{version}": position for stream, version, position, name in rows if name in published}


def check(log: Sequence[Record], wanted: Mapping[str, int]) -> Found:
    """
    Hold the log against the events.
    """
    there = {record.event for record in log}
    copies: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    places: dict[tuple[str, bytes], set[int]] = defaultdict(set)
    by_partition: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in log:
        copies[record.event].add((record.topic, record.partition, record.key, record.value, record.headers))
        places[record.topic, record.key].add(record.partition)
        by_partition[record.topic, record.partition].append(record)
    dropping = gaps = disorder = 0
    for records in by_partition.values():
        kept = above_high_water(records)
        dropping += len({record.event for record in records}) - len(kept)
        gaps += sum(
            record.previous != (before.sequence if before else None)
            for before, record in zip([None, *kept], kept, strict=False)
        )
        disorder += _disorder(kept) + sum(wanted.get(record.event) != record.sequence for record in kept)
    return Found(
        lost=len(wanted.keys() - there),
        unknown=len(there - wanted.keys()),
        changed_copies=sum(len(each) > 1 for each in copies.values()),
        lost_by_dropping=dropping,
        gaps=gaps,
        out_of_order=disorder,
        keys_in_two_places=sum(len(each) > 1 for each in places.values()),
    )


def above_high_water(records: Iterable[Record]) -> list[Record]:
    """
    Return what a subscriber keeps that drops everything at or below the highest sequence it has seen.
    """
    kept: list[Record] = []
    for record in records:
        if not kept or record.sequence > kept[-1].sequence:
            kept.append(record)
    return kept


def _disorder(kept: Sequence[Record]) -> int:
    wrong, last = 0, dict[str, int]()
    for record in kept:
        stream, _, version = record.event.rpartition(":")
        wrong += int(version) <= last.get(stream, 0)
        last[stream] = int(version)
    return wrong
