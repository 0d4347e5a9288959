"""
What tests of the relay under faults stand on: a broker that they may break, and relays that end with the test.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from adapters.kafka.broker import Kafka
from adapters.kafka.topics import Topics
from consumers.publishing import wanted_topics
from tests.faults.relays import RelayProcess


@pytest.fixture
def topics(own_kafka: Kafka) -> Kafka:
    """
    A broker of this test's own, with our topics on it.
    """
    Topics(own_kafka.address).create(wanted_topics(one_broker=True))
    return own_kafka


@pytest.fixture
def running() -> Iterator[list[RelayProcess]]:
    """
    Relays that are killed at the end of the test, however it ends.
    """
    relays: list[RelayProcess] = []
    yield relays
    for relay in relays:
        try:
            os.kill(relay.pid, signal.SIGCONT)
            relay.end()
        except (ValueError, ProcessLookupError):
            continue  # ended by the test
