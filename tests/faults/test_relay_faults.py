"""
The relay under faults on a real broker: nothing lost, every copy the same, order kept, the chain without a gap.

BACKOFFICE_RELAY_KILLS sets how many kills and stops (more at night), BACKOFFICE_SEED which ones. What is checked is read by
a client that is not ours, from offset 0, against the event table. The planted defect must be caught by the same checker.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.kafka.topics import TopicMadeAgain, Topics
from adapters.postgres.database import Database
from consumers.publishing import LIVE, RelayPositions, wait_until_published, wanted_topics
from tests.faults import topic_log
from tests.faults.relays import Plan, RelayProcess, Writer, publish_the_rest, relay_of
from tests.faults.topic_log import Found
from tests.patience import PATIENCE_S, eventually

KILLS = int(os.environ.get("BACKOFFICE_RELAY_KILLS", "12"))
SEED = int(os.environ.get("BACKOFFICE_SEED", "20261122"))


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


def verdict(kafka: Kafka, database: Database) -> Found:
    log = topic_log.read_all(kafka.address, topic_log.public_topics())
    wanted = topic_log.expected(database.url)
    assert len(wanted) > 1_000, "too little was written to prove anything"
    return topic_log.check(log, wanted)


def test_a_broker_killed_and_paused_under_writers_loses_nothing_and_keeps_the_order(
    topics: Kafka, database: Database, running: list[RelayProcess]
) -> None:
    drawn = random.Random(SEED)
    plan = Plan(url=database.url, bootstrap=topics.address, lease_seconds=20)
    relay = RelayProcess(plan)
    running.append(relay)
    with Writer(database, seed=SEED).writing():
        relay.wait_until_active()
        for number in range(max(3, KILLS // 3)):
            time.sleep(drawn.uniform(0.2, 0.8))
            if number % 3 < 2:
                topics.kill()
                time.sleep(drawn.uniform(0, 0.5))
                topics.start()
            else:
                topics.pause()
                time.sleep(drawn.choice([0.3, 4.5]))  # the longer one outlasts the deadline of a page
                topics.resume()
    wait_until_published(RelayPositions(database, LIVE), within_s=PATIENCE_S)
    assert relay.end(signal.SIGTERM) == 0
    assert verdict(topics, database) == Found()


def kill_relays(
    database: Database, plan: Plan, running: list[RelayProcess], *, life_s: float, once_it_moved: bool = False
) -> None:
    """
    Start relays one after the other while a writer writes, and kill each at a drawn moment of its work: after it became
    the active one, or after it moved its position for the first time.
    """
    drawn = random.Random(SEED)
    positions = RelayPositions(database, LIVE)
    with Writer(database, seed=SEED).writing():
        for _ in range(KILLS):
            relay = RelayProcess(plan)
            running.append(relay)
            before = positions.standing().position
            relay.wait_until_active()
            if once_it_moved:
                eventually(partial(moved, positions, before))
            time.sleep(drawn.uniform(0, life_s))
            relay.end()
    publish_the_rest(database, plan)


def moved(positions: RelayPositions, before: int) -> bool:
    return positions.standing().position > before


def test_relays_killed_anywhere_lose_nothing_and_the_copies_are_the_same(
    topics: Kafka, database: Database, running: list[RelayProcess]
) -> None:
    kill_relays(database, Plan(url=database.url, bootstrap=topics.address), running, life_s=0.8)
    assert RelayPositions(database, LIVE).standing().epoch == KILLS + 1
    assert verdict(topics, database) == Found()


def test_the_planted_defect_position_before_acknowledgement_is_caught_by_the_same_checker(
    topics: Kafka, database: Database, running: list[RelayProcess]
) -> None:
    plan = Plan(url=database.url, bootstrap=topics.address, defect="position first", page_events=1_000)
    kill_relays(database, plan, running, life_s=0.3, once_it_moved=True)
    found = verdict(topics, database)
    assert found.lost > 0, "the kills catch nothing: they prove nothing"
    assert found.gaps > 0, "a subscriber would not notice what is lost"


def test_of_three_relays_one_sends_and_what_a_stopped_one_sends_late_is_dropped(
    topics: Kafka, database: Database, running: list[RelayProcess]
) -> None:
    drawn = random.Random(SEED)
    plan = Plan(url=database.url, bootstrap=topics.address, lease_seconds=0.4)
    positions = RelayPositions(database, LIVE)
    running += [RelayProcess(plan) for _ in range(3)]
    with Writer(database, seed=SEED).writing():
        for _ in range(KILLS):
            time.sleep(drawn.uniform(0.05, 0.3))
            holder = holder_of(positions)
            pid = int(holder.split(":")[1])
            os.kill(pid, signal.SIGSTOP)
            if drawn.choice([False, True]):  # before and after its lease ended
                eventually(lambda holder=holder: positions.standing().holder not in {None, holder})
            os.kill(pid, signal.SIGCONT)
    # A lease that is shorter than a page goes round for ever on a slow machine; one alone publishes the rest.
    ended = [relay.end(signal.SIGTERM) for relay in running[1:]]
    wait_until_published(positions, within_s=PATIENCE_S)
    assert [*ended, running[0].end(signal.SIGTERM)] == [0, 0, 0]
    assert positions.standing().epoch > 2, "no relay took over: nothing was tried"
    assert verdict(topics, database) == Found()


def holder_of(positions: RelayPositions) -> str:
    """
    Wait until one of them is the active one.
    """
    found: list[str] = []
    eventually(lambda: bool(found.extend(filter(None, [positions.standing().holder])) or found))
    return found[0]


def test_a_leader_lost_on_a_cluster_of_three_loses_nothing(
    kafka_cluster: Kafka, database: Database, running: list[RelayProcess]
) -> None:
    Topics(kafka_cluster.address).create(wanted_topics(one_broker=False))
    plan = Plan(url=database.url, bootstrap=kafka_cluster.address, one_broker=False, deadline_s=10, lease_seconds=20)
    relay = RelayProcess(plan)
    running.append(relay)
    with Writer(database, seed=SEED, pause_s=0.01).writing():
        relay.wait_until_active()
        for node_id in (1, 2):
            time.sleep(0.5)
            kafka_cluster.kill(node_id)
            time.sleep(1.0)
            kafka_cluster.start_node(node_id)
            kafka_cluster.wait_until_ready()
    wait_until_published(RelayPositions(database, LIVE), within_s=PATIENCE_S)
    assert relay.end(signal.SIGTERM) == 0
    assert verdict(kafka_cluster, database) == Found()


def test_a_topic_deleted_and_made_again_under_the_relay_stops_it(topics: Kafka, database: Database) -> None:
    writer = Writer(database, seed=SEED)
    writer.write(60)
    relay = relay_of(database, Plan(url=database.url, bootstrap=topics.address))
    stopped: list[BaseException] = []
    ended = _in_a_thread(relay.run, stopped)
    wait_until_published(relay.positions, within_s=PATIENCE_S)
    name = "backoffice.zorgkas-affiliation.v1"
    admin = clients.admin(topics.address)
    admin.delete_topics([name])
    admin.close()
    eventually(lambda: name not in clients.probe(topics.address).partitions)
    writer.write(5)
    eventually(lambda: relay.positions.standing().waits_for == f"topic {name}")
    before = relay.positions.standing().position
    Topics(topics.address).create(wanted_topics(one_broker=True))
    ended()
    assert isinstance(stopped[0], TopicMadeAgain)
    assert stopped[0].facts == {"topics": name}
    assert relay.positions.standing().position == before
    again: list[BaseException] = []
    _in_a_thread(relay_of(database, Plan(url=database.url, bootstrap=topics.address)).run, again)()
    assert isinstance(again[0], TopicMadeAgain), "the next relay must not go on either"


def _in_a_thread(work: Callable[[], None], problems: list[BaseException]) -> Callable[[], None]:
    import threading

    def guarded() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def join() -> None:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()

    return join
