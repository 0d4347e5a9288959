"""
`backoffice demo --kafka`: a broker and the relay beside the made-up fund, so that one sees the topics fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from adapters.postgres.relay_positions import RelayPositions
    from adapters.wiring import Backoffice
    from console.demo.telling import Teller


class TopicTold(msgspec.Struct, frozen=True, kw_only=True):
    """
    One topic after the demonstration: how many records it holds, over how many partitions.
    """

    topic: str
    partitions: int
    records: int


class Topics:
    """
    The broker of the demonstration, while it runs.
    """

    def __init__(self, address: str, positions: RelayPositions) -> None:
        self._address = address
        self._positions = positions

    def wait_until_published(self) -> None:
        from consumers.publishing import wait_until_published

        wait_until_published(self._positions)

    def told(self) -> list[TopicTold]:
        """
        Count what the public topics hold.
        """
        from kafka import TopicPartition

        from adapters.kafka import clients
        from consumers.publishing import public_topics

        consumer = clients.consumer(self._address, group=None)
        try:
            found = []
            for topic in public_topics():
                partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
                ends = consumer.end_offsets(partitions)
                found.append(TopicTold(topic=topic.name, partitions=topic.partitions, records=sum(ends.values())))
        finally:
            consumer.close()
        return found


@contextmanager
def topics_that_fill(backoffice: Backoffice, folder: Path, teller: Teller) -> Iterator[Topics]:
    """
    Start a broker in the folder and publish every event of the block while it is recorded.
    """
    from adapters.kafka.broker import Kafka
    from consumers.publishing import publishing

    broker = Kafka(folder / "stack" / "kafka")
    with teller.step(None, "A broker and the relay") as step:
        broker.start()
        step.says(f"Apache Kafka answers on {broker.address}; every event is published as it is recorded")
    try:
        with publishing(backoffice, broker.address) as positions:
            yield Topics(broker.address, positions)
    finally:
        broker.stop()
