"""
The relay under faults on a real broker: nothing lost, every copy the same, order kept, the chain without a gap.

BACKOFFICE_TEST_RELAY_KILLS sets how many kills and stops (more at night), BACKOFFICE_TEST_SEED which ones. What is checked is read by
a client that is not ours, from offset 0, against the event table. The planted defect must be caught by the same checker.
The broker itself is killed, paused and filled in `test_broker_faults.py`.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.kafka.topics import TopicMadeAgain, Topics
from adapters.postgres.database import WRITER, Database, Role
from consumers.publishing import LIVE, RelayPositions, wait_until_published, wanted_topics
from domain.errors import Unavailable
from tests.faults.relays import Plan, RelayProcess, Writer, publish_the_rest, relay_of, verdict
from tests.faults.topic_log import Found
from tests.patience import PATIENCE_S, eventually

KILLS = int(os.environ.get("BACKOFFICE_TEST_RELAY_KILLS", "12"))
SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20261122"))


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
    assert verdict(topics.address, database) == Found()


def test_the_planted_defect_position_before_acknowledgement_is_caught_by_the_same_checker(
    topics: Kafka, database: Database, running: list[RelayProcess]
) -> None:
    plan = Plan(url=database.url, bootstrap=topics.address, defect="position first", page_events=1_000)
    kill_relays(database, plan, running, life_s=0.3, once_it_moved=True)
    found = verdict(topics.address, database)
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
    assert verdict(topics.address, database) == Found()


def holder_of(positions: RelayPositions) -> str:
    """
    Wait until one of them is the active one.
    """
    found: list[str] = []
    eventually(lambda: bool(found.extend(filter(None, [positions.standing().holder])) or found))
    return found[0]


class StopsBeforeItsCommit(Database):
    """
    The database of a relay whose process is stopped in the middle of a transaction (SIGSTOP, a machine put to sleep).
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.stopped, self.wakes = threading.Event(), threading.Event()

    @contextmanager
    def session(self, role: Role = WRITER) -> Iterator[Any]:
        with super().session(role) as session:
            yield session
            self.stopped.set()
            assert self.wakes.wait(PATIENCE_S)


@pytest.mark.parametrize("work", ["move", "renew", "tell"])
def test_a_relay_stopped_before_its_commit_holds_its_heir_up_no_longer_than_its_lease(
    database: Database, work: str
) -> None:
    heir = RelayPositions(database, LIVE, lease_seconds=0.2)
    epoch = heir.take("one").epoch
    calls: dict[str, Callable[[RelayPositions], None]] = {
        "move": lambda of: of.move(epoch=epoch, start=0, end=5, recorded_at=datetime(2026, 11, 1, tzinfo=UTC), sent={}),
        "renew": lambda of: of.renew(epoch),
        "tell": lambda of: of.tell(epoch, "the broker"),
    }
    with StopsBeforeItsCommit(database.url) as stops:
        problems: list[BaseException] = []
        ended = _in_a_thread(partial(calls[work], RelayPositions(stops, LIVE, lease_seconds=0.2)), problems)
        assert stops.stopped.wait(PATIENCE_S)
        assert heir.take("two").epoch == epoch + 1
        stops.wakes.set()
        ended()
    assert [type(problem) for problem in problems] == [Unavailable]
    assert "stood still for too long" in str(problems[0])
    assert (heir.standing().position, heir.standing().waits_for) == (0, "")


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
    assert verdict(kafka_cluster.address, database) == Found()


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
