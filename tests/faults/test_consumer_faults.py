"""
Consumers are killed, stopped and woken, and lose their database and their broker: every message counts exactly once.

`BACKOFFICE_TEST_KILLS` sets how many kills. The planted defects (the offset before the effect, no look at what was taken) must
be caught by the same checker.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.kafka.broker import Kafka
from adapters.postgres.database import Database
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.migrate import migrate
from consumers import published_accounts
from consumers.batch import Batch
from consumers.loop import Loop
from consumers.published_accounts import PremiumAccounts
from domain.errors import Unavailable
from tests.consumer_material import (
    NOW_MS,
    Out,
    a_loop,
    catch_up,
    codes,
    expected,
    life_of,
    messages,
    offsets,
    running,
    send,
    stands,
)
from tests.faults.members import BATCHES, SOON_GONE
from tests.patience import PATIENCE_S, eventually
from tests.servers import FAST, SessionFolder

KILLS = int(os.environ.get("BACKOFFICE_TEST_KILLS", "40"))
SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20261121"))
PARTITIONS = 2
#: A member that is killed and started again is the same one for the group: nobody waits until it is declared dead.
THE_SAME = {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 1_000, "group_instance_id": "one"}
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.consumer_material", "tests.faults.test_consumer_faults"])


def consume(url: str, bootstrap: str, topic: str, begins: Any, kind: str, settings: dict[str, Any]) -> None:
    """
    One member of the group, in a process of its own. It says so each time when it begins a batch.
    """

    def made(*args: Any, **named: Any) -> Batch:
        begins.release()
        return BATCHES[kind](*args, **named)

    with Database(url) as database:
        Loop(
            bootstrap=bootstrap, topics=[topic], effect=PremiumAccounts(), database=database, now_ms=lambda: NOW_MS,
            make_batch=made, records_at_once=5, settings=settings,
        ).run()  # fmt: skip


def start(url: str, kafka: Kafka, topic: str, *, kind: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    begins = PROCESSES.Semaphore(0)
    process = PROCESSES.Process(target=consume, args=(url, kafka.address, topic, begins, kind, settings), daemon=True)
    process.start()
    return process, begins


def with_pages_sent_again(outs: list[Out]) -> list[Out]:
    """
    Send every fourth page twice, as a relay does whose page was not acknowledged in time.
    """
    pages = [outs[at : at + 25] for at in range(0, len(outs), 25)]
    return [out for number, page in enumerate(pages) for out in page * (2 if number % 4 == 3 else 1)]


def kill_often(database: Database, kafka: Kafka, topic: str, *, kind: str, kills: int) -> int:
    """
    Keep a member at work, kill it in a batch and at a moment drawn by the seed, start the next; return how many.

    Batches are counted by its own pace, on any machine; so few that the log lasts for all kills.
    """
    drawn, killed = random.Random(SEED), 0
    batches_max = min(6, 1 + 200 // kills)
    for _ in range(kills):
        process, begins = start(database.url, kafka, topic, kind=kind, settings=THE_SAME)
        for _ in range(drawn.randint(1, batches_max)):
            assert begins.acquire(timeout=PATIENCE_S)
        process.join(drawn.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        killed += 1
        process.join(PATIENCE_S)
        process.close()
    return killed


def killed_often(database: Database, kafka: Kafka, make_topic: Any, *, kind: str, kills: int) -> tuple[str, str]:
    """
    Return what stands in the end, and what should.
    """
    published_accounts.prepare(database)
    # A night of 200 kills needs more to read: a member that waits for messages that never come is not killed at work.
    topic, events = make_topic(kafka, partitions=PARTITIONS), life_of(40, payments=max(60, 2 * kills - 40))
    outs = with_pages_sent_again(messages(events, partitions=PARTITIONS))
    writer = threading.Thread(target=trickle, args=(kafka, topic, outs))
    writer.start()
    assert kill_often(database, kafka, topic, kind=kind, kills=kills) == kills
    writer.join()
    finish(kafka, database, topic, outs, kind, THE_SAME)
    return stands(database), expected(events)


def trickle(kafka: Kafka, topic: str, outs: list[Out]) -> None:
    for at in range(0, len(outs), 60):
        send(kafka, topic, outs[at : at + 60])
        time.sleep(0.05)


def finish(kafka: Kafka, database: Database, topic: str, outs: list[Out], kind: str, settings: dict[str, Any]) -> None:
    with running(lambda: a_loop(kafka, database, topic, make_batch=BATCHES[kind], settings=settings)):
        eventually(lambda: sum(next_offset for _, next_offset, _ in offsets(database)) == len(outs))


def test_members_killed_anywhere_leave_every_message_counted_once(kafka, database, make_topic):
    found, right = killed_often(database, kafka, make_topic, kind="right", kills=KILLS)
    assert found == right
    assert codes(database) == []


def test_the_planted_defect_offset_first_is_caught(kafka, database, make_topic):
    found, right = killed_often(database, kafka, make_topic, kind="offset first", kills=KILLS // 3)
    assert found != right


def test_the_planted_defect_no_look_at_what_was_taken_is_caught(kafka, database, make_topic):
    found, right = killed_often(database, kafka, make_topic, kind="looks at nothing", kills=2)
    assert found != right


def test_a_member_that_was_stopped_and_woke_up_changes_nothing(kafka, database, make_topic):
    published_accounts.prepare(database)
    topic, events = make_topic(kafka, partitions=PARTITIONS), life_of(40, payments=40)
    outs = messages(events, partitions=PARTITIONS)
    writer = threading.Thread(target=trickle, args=(kafka, topic, outs))
    zombie, begins = start(database.url, kafka, topic, kind="right", settings=SOON_GONE)
    try:
        writer.start()
        assert begins.acquire(timeout=PATIENCE_S)
        for _ in range(3):
            os.kill(zombie.pid, signal.SIGSTOP)
            with running(lambda: a_loop(kafka, database, topic, settings=SOON_GONE)) as other:
                eventually(lambda: other.loop.taken > 0 or not writer.is_alive())
                while begins.acquire(block=False):  # what it began before it was stopped
                    continue
                os.kill(zombie.pid, signal.SIGCONT)
                eventually(lambda: begins.acquire(block=False) or not writer.is_alive())
        writer.join()
        finish(kafka, database, topic, outs, "right", SOON_GONE)
    finally:
        os.kill(zombie.pid, signal.SIGKILL)
        zombie.join()
    assert stands(database) == expected(events)


# --- What is away is waited for ---------------------------------------------------------------------------------------


def test_what_passes_by_itself_is_tried_again_and_never_parked(kafka, database, make_topic):
    class Busy(PremiumAccounts):
        refusals = 3

        def apply(self, cursor: Any, messages: Any) -> None:
            super().apply(cursor, messages)
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("The database took too long for one step and was stopped; nothing of it was done.")

    topic, events = make_topic(kafka), life_of(5, payments=2)
    send(kafka, topic, messages(events))
    told: list[str] = []
    catch_up(kafka, database, topic, effect=Busy(), says=told.append)
    assert told == ["The database took too long for one step and was stopped; nothing of it was done."]
    assert codes(database) == []
    assert stands(database) == expected(events)


@pytest.fixture
def own_database() -> Iterator[tuple[EmbeddedServer, Database]]:
    """
    A database on a server of the test's own, which may be stopped.
    """
    with SessionFolder() as folder:
        server = EmbeddedServer(folder / "postgres", settings=FAST)
        server.start()
        try:
            with Database(server.url) as database:
                migrate(database)
                yield server, database
        finally:
            server.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_database_that_is_away_is_waited_for_and_the_work_goes_on(kafka, own_database, make_topic):
    server, database = own_database
    topic, events = make_topic(kafka), life_of(20, payments=5)
    outs = messages(events)
    with running(lambda: a_loop(kafka, database, topic)) as member:
        send(kafka, topic, outs[:50])
        eventually(lambda: member.loop.taken == 50)
        server.stop()
        send(kafka, topic, outs[50:])
        eventually(lambda: bool(member.told))
        server.start()
        eventually(lambda: member.loop.taken == len(outs))
    assert member.error is None
    assert stands(database) == expected(events)
    assert codes(database) == []


def test_a_database_that_is_away_when_partitions_are_given_out_is_waited_for(kafka, own_database, make_topic):
    server, database = own_database
    topic, events = make_topic(kafka), life_of(5, payments=2)
    send(kafka, topic, messages(events))
    loop = a_loop(kafka, database, topic)
    server.stop()
    with running(lambda: loop) as member:
        eventually(lambda: bool(member.told))
        server.start()
        eventually(lambda: member.loop.taken == len(events))
    assert stands(database) == expected(events)


def test_a_broker_that_dies_and_comes_back_costs_nothing(own_kafka, database, make_topic):
    topic, events = make_topic(own_kafka, partitions=PARTITIONS), life_of(20, payments=10)
    outs = messages(events, partitions=PARTITIONS)
    with running(lambda: a_loop(own_kafka, database, topic)) as member:
        for part in (outs[:80], outs[80:160], outs[160:]):
            send(own_kafka, topic, part)
            own_kafka.kill()
            time.sleep(0.2)
            own_kafka.start()
        eventually(lambda: sum(each[1] for each in offsets(database)) == len(outs))
    assert member.error is None
    assert stands(database) == expected(events)
