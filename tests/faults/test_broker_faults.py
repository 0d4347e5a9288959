"""
The broker killed, paused and without room on its disk, while writers write and two members of a group come and go.

BACKOFFICE_TEST_BROKER_FAULTS sets how many faults, of which two in three are kills and one is a pause (30 at night: 20 and 10),
BACKOFFICE_TEST_SEED which ones and when. What stands in the topics is checked by a client that is not ours against the event
table, and what the members made of it against the store's own read model. The planted defect must be caught by the same.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from adapters.kafka.broker import Kafka
from adapters.postgres.database import OWNER, Database
from adapters.postgres.projector import Projector
from consumers import published_accounts
from consumers.published_accounts import TOPIC, Compared
from consumers.publishing import LIVE, RelayPositions, unopened_feed, wait_until_published
from projections.premium_account import PremiumAccount
from tests.cli import Cli
from tests.consumer_material import codes, offsets
from tests.faults import topic_log
from tests.faults.members import Member, Membership
from tests.faults.relays import Plan, RelayProcess, Writer, verdict
from tests.faults.topic_log import Found
from tests.patience import PATIENCE_S, eventually

FAULTS = int(os.environ.get("BACKOFFICE_TEST_BROKER_FAULTS", "6"))
SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20261128"))
PAUSE_S = 0.05
#: Longer than the deadline of a page, and longer than a member may be silent: what was sent is sent again.
LONG_S = 4.5
#: More than the broker writes of itself, in its own log and in that of the cluster.
ROOM_BYTES = 60_000
MORE_THAN_FITS = 700  # members


@pytest.fixture
def group(database: Database, topics: Kafka) -> Iterator[list[Member]]:
    """
    Members that a test adds, killed at its end, however it ends.
    """
    published_accounts.prepare(database)
    members: list[Member] = []
    yield members
    for member in members:
        member.kill()


@contextmanager
def two_writers(database: Database) -> Iterator[list[Writer]]:
    one = Writer(database, seed=SEED, pause_s=PAUSE_S)
    other = Writer(database, seed=SEED + 1, pause_s=PAUSE_S, first=50_000_000)
    with one.writing(), other.writing():
        yield [one, other]


def drawn_faults(drawn: random.Random) -> list[tuple[str, str]]:
    """
    Return what happens to the broker and, each time, to a member; of every kind as many, in an order of the seed's.
    """
    broker = [("kill", "kill", "pause")[number % 3] for number in range(FAULTS)]
    member = [("closed", "killed", "stopped")[number % 3] for number in range(FAULTS)]
    drawn.shuffle(broker)
    drawn.shuffle(member)
    return list(zip(broker, member, strict=True))


@contextmanager
def broken(kafka: Kafka, fault: str, *, seconds: float) -> Iterator[None]:
    if fault == "kill":
        kafka.kill()
        yield
        time.sleep(seconds)
        kafka.start()
    else:
        kafka.pause()
        yield
        time.sleep(seconds)
        kafka.resume()


@contextmanager
def away(member: Member, how: str) -> Iterator[None]:
    """
    Take a member away, and let it come back: as itself when it was stopped, as a new process otherwise.
    """
    if how == "stopped":
        member.send(signal.SIGSTOP)
        yield
        member.send(signal.SIGCONT)
    else:
        killed = how == "killed"
        assert member.end(signal.SIGKILL if killed else signal.SIGTERM) == (-signal.SIGKILL if killed else 0)
        yield
        member.start()


def taken(database: Database) -> int:
    return sum(next_offset for _, next_offset, _ in offsets(database))


def goes_on(database: Database, before: int) -> bool:
    return taken(database) > before


def wait_until_taken(database: Database, bootstrap: str) -> None:
    """
    Wait until the group took all that stands in its topic, to which nothing more is sent.
    """
    counted = Counter(record.partition for record in affiliations(bootstrap))
    eventually(lambda: {partition: following for partition, following, _ in offsets(database)} == counted)


def affiliations(bootstrap: str) -> list[topic_log.Record]:
    return topic_log.read_all(bootstrap, {TOPIC: topic_log.public_topics()[TOPIC]})


def compared_with_the_store(database: Database) -> Compared:
    with database.connect(OWNER) as session:
        Projector(connection=session, feed=unopened_feed(database), model=PremiumAccount()).catch_up()
    return published_accounts.compare(database)


def test_a_broker_killed_and_paused_while_writers_write_and_a_group_comes_and_goes(
    topics: Kafka, database: Database, running: list[RelayProcess], group: list[Member]
) -> None:
    drawn = random.Random(SEED)
    running.append(RelayProcess(Plan(url=database.url, bootstrap=topics.address, lease_seconds=20)))
    of = Membership(url=database.url, bootstrap=topics.address)
    group += [Member(of), Member(of)]
    with two_writers(database) as writers:
        running[0].wait_until_active()
        for fault, how in drawn_faults(drawn):
            time.sleep(drawn.uniform(0.2, 0.8))
            seconds = drawn.uniform(0, 0.5) if fault == "kill" else drawn.choice([0.3, LONG_S])
            breaks = partial(broken, topics, fault, seconds=seconds)
            goes = partial(away, drawn.choice(group), how)
            first, second = drawn.choice([(breaks, goes), (goes, breaks)])
            with first(), second():
                time.sleep(drawn.uniform(0, 0.3))
            if drawn.choice([True, False]):  # the next fault may come while this one is still being got over
                eventually(partial(goes_on, database, taken(database)))
    wait_until_published(RelayPositions(database, LIVE), within_s=PATIENCE_S)
    wait_until_taken(database, topics.address)
    assert [running[0].end(signal.SIGTERM), *(member.end(signal.SIGTERM) for member in group)] == [0, 0, 0]
    assert verdict(topics.address, database) == Found()
    compared = compared_with_the_store(database)
    assert compared.equal
    assert compared.kafka_affiliations == sum(writer.written for writer in writers)
    assert codes(database) == []


def test_the_planted_defect_no_look_at_what_was_taken_is_caught_by_the_same_comparison(
    topics: Kafka, database: Database, running: list[RelayProcess], group: list[Member]
) -> None:
    running.append(RelayProcess(Plan(url=database.url, bootstrap=topics.address, lease_seconds=20)))
    group.append(Member(Membership(url=database.url, bootstrap=topics.address, kind="looks at nothing")))
    with two_writers(database):
        running[0].wait_until_active()
        eventually(lambda: taken(database) > 0)
        eventually(lambda: sent_twice_after_a_pause(topics))
    wait_until_published(RelayPositions(database, LIVE), within_s=PATIENCE_S)
    wait_until_taken(database, topics.address)
    assert not compared_with_the_store(database).equal


def sent_twice_after_a_pause(kafka: Kafka) -> bool:
    before = len(affiliations(kafka.address))
    # A relay that is still getting over the last pause sends nothing that could be sent twice.
    eventually(lambda: len(affiliations(kafka.address)) > before)
    with broken(kafka, "pause", seconds=LONG_S):
        pass
    log = affiliations(kafka.address)
    return len({record.event for record in log}) < len(log)


# --- A disk without room ----------------------------------------------------------------------------------------------


def leave_no_room(kafka: Kafka) -> None:
    """
    Let every write of the broker fail that makes a file longer than `ROOM_BYTES`.

    A broker does the same when its file system is full and when it may not make a file larger: a write fails, and with it
    the folder of its logs. This one needs no rights, and holds for the process that runs now.
    """
    process = psutil.Process(kafka.pid())
    _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (ROOM_BYTES, hard))


def test_a_broker_whose_disk_is_full_is_waited_for_and_nothing_is_lost(
    topics: Kafka, database: Database, running: list[RelayProcess], group: list[Member], tmp_path: Path
) -> None:
    positions = RelayPositions(database, LIVE)
    running.append(RelayProcess(Plan(url=database.url, bootstrap=topics.address, lease_seconds=20)))
    group.append(Member(Membership(url=database.url, bootstrap=topics.address)))
    with two_writers(database) as writers:
        running[0].wait_until_active()
        eventually(lambda: taken(database) > 0)
        leave_no_room(topics)
        Writer(database, seed=SEED + 2, first=70_000_000).write(MORE_THAN_FITS)
        eventually(lambda: topics.pid() is None)  # a broker without a folder for its logs ends itself
        eventually(lambda: positions.standing().waits_for == "the broker")
        stood, written = positions.standing(), sum(writer.written for writer in writers)
        eventually(lambda: sum(writer.written for writer in writers) > written + 20)
        stands = positions.standing()
        assert (stands.position, stands.epoch, stands.waits_for) == (stood.position, stood.epoch, "the broker")
        assert stands.lag_events > stood.lag_events
        (shown,) = Cli(tmp_path, database_url=database.url).json("status")["relays"]
        assert (shown["waits_for"], shown["position"]) == ("the broker", stood.position)
        topics.start()  # there is room again
    wait_until_published(positions, within_s=PATIENCE_S)
    assert positions.standing().waits_for == ""
    wait_until_taken(database, topics.address)
    assert [running[0].end(signal.SIGTERM), group[0].end(signal.SIGTERM)] == [0, 0]
    assert "Shutdown broker because all log dirs" in (topics.folder / "log").read_text()
    assert verdict(topics.address, database) == Found()
    assert compared_with_the_store(database).equal
    assert codes(database) == []


# --- A registry that is away ------------------------------------------------------------------------------------------


def test_a_registry_that_is_away_is_missed_by_neither_the_relay_nor_a_consumer(
    topics: Kafka, database: Database, tmp_path: Path, group: list[Member]
) -> None:
    Writer(database, seed=SEED).write(60)
    cli = Cli(tmp_path, database_url=database.url)
    cli.environment["BACKOFFICE_KAFKA_BROKERS"] = topics.address
    cli.environment["BACKOFFICE_SCHEMA_REGISTRY_URL"] = "http://127.0.0.1:9"
    assert cli.say("schema", "publish").code == 6
    relay = cli.start("relay", "--one-broker")
    wait_until_published(RelayPositions(database, LIVE), within_s=PATIENCE_S)
    relay.send_signal(signal.SIGTERM)
    relay.communicate(timeout=PATIENCE_S)
    assert relay.returncode == 0
    assert cli.json("consume", "premium-accounts", "--once")["messages"] == len(affiliations(topics.address))
    assert verdict(topics.address, database) == Found()
    assert compared_with_the_store(database).equal
