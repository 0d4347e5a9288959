"""
The relay on a real broker: what goes out, what stops it, what it waits for, and that it goes on where it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from psycopg.conninfo import conninfo_to_dict

from adapters.clock import FixedClock
from adapters.kafka import clients
from adapters.kafka import translation as translating
from adapters.kafka.broker import Kafka
from adapters.kafka.relay import CannotBePublished, Outgoing
from adapters.kafka.resend import NothingToResend, TargetInUse, TargetRefused
from adapters.kafka.topics import Topics, TopicsWrong, Wanted
from adapters.kafka.translation import Translation
from adapters.metrics import RelayMetrics
from adapters.postgres.database import OWNER, Database
from adapters.postgres.relay_positions import LEASE_SECONDS, HeldByAnother, OtherRange, Overtaken, RelayPositions
from adapters.settings import Settings
from adapters.wiring import Backoffice, Schedule
from consumers.publishing import (
    LIVE,
    Options,
    live_relay,
    public_topics,
    publish_everything,
    resend_relay,
    unopened_feed,
    wait_until_published,
    wanted_topics,
)
from consumers.relay import Relay
from domain.envelope import Envelope
from domain.errors import Refused, Unreadable
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR
from tests.faults import topic_log
from tests.faults.relays import Writer
from tests.faults.topic_log import Found, Record
from tests.patience import PATIENCE_S, eventually
from tests.table import cases

ROOT = Path(__file__).parents[2]
SEED = 7
NOBODY = "127.0.0.1:1"


@pytest.fixture
def topics(kafka: Kafka) -> Iterator[Kafka]:
    """
    Our topics, fresh, on the broker that all tests share; gone again afterwards.
    """
    clear(kafka)
    Topics(kafka.address).create(wanted_topics(one_broker=True))
    yield kafka
    clear(kafka)


def clear(kafka: Kafka) -> None:
    there = set(clients.probe(kafka.address).partitions)
    ours = [name for name in there if name.startswith("backoffice.")]
    if ours:
        with closing(clients.admin(kafka.address)) as admin:
            admin.delete_topics(ours)
        eventually(lambda: not any(name.startswith("backoffice.") for name in clients.probe(kafka.address).partitions))


def written(database: Database, members: int) -> int:
    """
    Record that many members with twenty years of premiums; return the last position.
    """
    Writer(database, seed=SEED).write(members)
    return unopened_feed(database).high_water()


def relay_on(database: Database, kafka: Kafka | str, **options: Any) -> Relay:
    address = kafka if isinstance(kafka, str) else kafka.address
    return live_relay(database, address, Options(one_broker=True, **options))


def run_until_published(relay: Relay) -> None:
    thread = threading.Thread(target=relay.run)
    thread.start()
    wait_until_published(relay.positions, within_s=PATIENCE_S, thread=thread)
    relay.stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def log_of(kafka: Kafka, topics: Mapping[str, int] | None = None) -> list[Record]:
    return sorted(topic_log.read_all(kafka.address, topics or topic_log.public_topics()))


# --- What goes out -----------------------------------------------------------------------------------------------------


def test_every_published_event_goes_out_once_and_a_second_relay_goes_on_where_the_first_stopped(
    topics: Kafka, database: Database
) -> None:
    writer = Writer(database, seed=SEED)
    for _ in range(2):
        writer.write(40)
        run_until_published(relay_on(database, topics, page_events=300))
    log = log_of(topics)
    wanted = topic_log.expected(database.url)
    assert topic_log.check(log, wanted) == Found()
    assert len(log) == len(wanted), "nothing stopped the relay, so nothing was sent twice"
    assert {dict(record.headers)["ce_epoch"].decode() for record in log} == {RelayPositions(database, LIVE).history()}


def test_what_is_not_published_is_passed_over_and_the_position_moves_on(topics: Kafka, database: Database) -> None:
    last = written(database, 3)
    backoffice = _backoffice(database, topics)
    assert publish_everything(backoffice, topics.address) == last


def _backoffice(database: Database, kafka: Kafka) -> Backoffice:
    return Backoffice(
        settings=Settings(home=kafka.folder, actor="an", master_key_file=kafka.folder / "master.key"),
        database=database,
        schedule=Schedule(jobs=JOBS, calendar=LEGAL_CALENDAR),
        clock=FixedClock(datetime(2026, 11, 1, 8, tzinfo=UTC)),
    )


def test_personal_fields_stay_sealed_in_what_the_relay_reads(database: Database) -> None:
    written(database, 2)
    read = str(unopened_feed(database).read(after=0, limit=100))
    assert "Kerkstraat" not in read
    assert "Peeters" not in read


# --- What stops it -----------------------------------------------------------------------------------------------------


def test_everything_before_what_cannot_be_published_goes_out_and_nothing_after_it(
    topics: Kafka, database: Database
) -> None:
    written(database, 20)
    relay = relay_on(database, topics, page_events=100)
    right = relay.translation

    def one_too_large(epoch: str) -> Callable[[Envelope, Mapping[Any, int]], Outgoing | None]:
        translate = right(epoch)

        def translated(envelope: Envelope, sent: Mapping[Any, int]) -> Outgoing | None:
            if envelope.position == 237:
                raise CannotBePublished(reason="its record is larger than 524288 bytes", position=envelope.position)
            return translate(envelope, sent)

        return translated

    relay.translation = one_too_large
    with pytest.raises(CannotBePublished, match="the relay stops before it and skips nothing") as refused:
        relay.run()
    assert refused.value.facts["position"] == 237
    assert relay.positions.standing().position == 236
    assert topic_log.check(log_of(topics), topic_log.expected(database.url, until=236)) == Found()
    run_until_published(relay_on(database, topics))
    assert topic_log.check(log_of(topics), topic_log.expected(database.url)) == Found()


def test_everything_before_an_event_that_cannot_be_read_goes_out(topics: Kafka, database: Database) -> None:
    written(database, 20)
    relay = relay_on(database, topics, page_events=100)
    feed = relay.feed

    class OneIsUnreadable:
        def read(self, *, after: int, limit: int) -> Sequence[Envelope]:
            events = feed.read(after=after, limit=limit)
            if any(envelope.position == 150 for envelope in events):
                raise Unreadable("This event cannot be read.", position=150)
            return events

        def high_water(self) -> int:
            return feed.high_water()

    relay.feed = OneIsUnreadable()
    with pytest.raises(Unreadable, match="position=150"):
        relay.run()
    assert relay.positions.standing().position == 149
    assert topic_log.check(log_of(topics), topic_log.expected(database.url, until=149)) == Found()


@cases("""
    bytes_over  outcome
    0           sent
    1           refused
""")
def test_a_record_is_measured_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch, database: Database, bytes_over: int, outcome: str
) -> None:
    written(database, 1)
    (first, *_) = unopened_feed(database).read(after=0, limit=1)
    partitions = {topic.name: topic.partitions for topic in public_topics()}
    message = translating.publish(first, source=translating.SOURCE, epoch="1", previous_sequence=None)
    assert message is not None
    head = len(message.partition_key) + sum(len(name) + len(value) for name, value in message.headers)
    large = message._replace(value=b"x" * (translating.RECORD_BYTES_MAX - head + bytes_over))
    monkeypatch.setattr(translating, "publish", lambda *_, **__: large)
    translate = Translation(epoch="1", partitions=partitions)
    if outcome == "sent":
        assert translate(first, {}) is not None
    else:
        with pytest.raises(CannotBePublished, match="larger than 524288 bytes"):
            translate(first, {})


def test_with_wrong_topics_nothing_is_sent(topics: Kafka, database: Database) -> None:
    clear(topics)
    written(database, 2)
    one, *others = wanted_topics(one_broker=True).topics
    Topics(topics.address).create(Wanted(topics=others, one_broker=True))
    with pytest.raises(TopicsWrong, match=f"{one.name}: it is not there"):
        relay_on(database, topics).run()
    assert log_of(topics, {topic.name: topic.partitions for topic in others}) == []
    assert RelayPositions(database, LIVE).standing().position == 0


# --- What it waits for -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sockets_left_behind")
def test_a_relay_without_a_broker_waits_says_so_and_stops_at_once_when_told(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    written(database, 1)
    metrics = RelayMetrics(LIVE)
    relay = relay_on(database, NOBODY, metrics=metrics)
    relay.watch.topics.within_s = 0.2
    thread = threading.Thread(target=relay.run)
    thread.start()
    eventually(lambda: metrics.waiting_for == "the broker")
    assert 'waits_for="the broker"} 1.0' in metrics.text()
    relay.stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    said = [record.getMessage() for record in caplog.records if record.name == "consumers.relay"]
    assert len(said) == 1, "one line for one outage"
    assert "The relay waits for the broker. No Kafka broker answers" in said[0]


def test_a_broker_that_stops_is_waited_for_and_the_store_shows_it(own_kafka: Kafka, database: Database) -> None:
    topics = own_kafka
    Topics(topics.address).create(wanted_topics(one_broker=True))
    writer = Writer(database, seed=SEED)
    writer.write(5)
    relay = relay_on(database, topics, deadline_s=1.0)
    thread = threading.Thread(target=relay.run)
    thread.start()
    wait_until_published(relay.positions, within_s=PATIENCE_S)
    topics.kill()
    writer.write(5)
    eventually(lambda: relay.positions.standing().waits_for == "the broker")
    assert relay.positions.standing().lag_events > 0
    topics.start()
    wait_until_published(relay.positions, within_s=PATIENCE_S)
    assert relay.positions.standing().waits_for == ""
    relay.stop.set()
    thread.join(PATIENCE_S)
    assert topic_log.check(log_of(topics), topic_log.expected(database.url)) == Found()


# --- One at a time -----------------------------------------------------------------------------------------------------


def test_one_relay_holds_and_who_was_overtaken_can_move_nothing(database: Database) -> None:
    written(database, 1)
    positions, short = (RelayPositions(database, LIVE, lease_seconds=seconds) for seconds in (PATIENCE_S, 0.2))
    first = positions.take("one")
    with pytest.raises(HeldByAnother):
        positions.take("two")
    assert short.take("one").epoch == first.epoch + 1, "one process may take again from itself"
    eventually(lambda: positions.standing().holder is None)
    second = positions.take("two")
    now = datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(Overtaken):
        positions.move(epoch=first.epoch, start=0, end=5, recorded_at=now, sent={("topic", 0): 5})
    with pytest.raises(Overtaken):
        positions.renew(first.epoch)
    positions.let_go(first.epoch)
    assert positions.standing().position == 0
    assert positions.standing().epoch == second.epoch
    positions.move(epoch=second.epoch, start=0, end=5, recorded_at=now, sent={("topic", 0): 5})
    with pytest.raises(Overtaken):
        positions.move(epoch=second.epoch, start=0, end=6, recorded_at=now, sent={("topic", 0): 6})
    positions.let_go(second.epoch)
    assert positions.take("three").sent == {("topic", 0): 5}


# --- The past again ----------------------------------------------------------------------------------------------------


def test_a_resend_gives_the_same_records_on_a_topic_of_its_own_and_disturbs_nobody(
    topics: Kafka, database: Database
) -> None:
    last = written(database, 40)
    run_until_published(relay_on(database, topics))
    public = log_of(topics)
    options = Options(one_broker=True)
    relay = resend_relay(database, topics.address, options, target="resend.ledger", first="101", until="700")
    relay.run()
    again = log_of(topics, {"resend.ledger": 12})
    assert topic_log.check(again, topic_log.expected(database.url, after=100, until=700)) == Found()
    assert log_of(topics) == public
    originals = {record.event: record for record in public}
    for record in again:
        original = originals[record.event]
        assert (record.key, record.value) == (original.key, original.value)
        assert _without_chain(record) == _without_chain(original)
    assert RelayPositions(database, LIVE).standing().position == last


def _without_chain(record: Record) -> dict[str, bytes]:
    return {name: value for name, value in record.headers if name != "ce_previoussequence"}


def test_a_resend_that_was_stopped_goes_on_where_it_was(topics: Kafka, database: Database) -> None:
    last = written(database, 40)

    def resend(**more: Any) -> Relay:
        options = Options(one_broker=True, page_events=100, **more)
        return resend_relay(database, topics.address, options, target="resend.house", first="1")

    relay = resend()
    send, sent = relay.pages.send, []

    def stop_after_two(page: Any, **arguments: Any) -> None:
        send(page, **arguments)
        sent.append(len(page))
        if len(sent) == 2:
            relay.stop.set()

    relay.pages.send = stop_after_two  # type: ignore[method-assign]
    relay.run()
    assert relay.positions.standing().position == 200
    written_more = Writer(database, seed=SEED + 1)
    written_more.write(1)
    resend().run()
    assert relay.positions.standing().position == last, "the end is that of the day it was begun"
    log = log_of(topics, {"resend.house": 12})
    assert topic_log.check(log, topic_log.expected(database.url, until=last)) == Found()


def test_a_resend_may_be_of_one_public_topic_only_and_by_days(topics: Kafka, database: Database) -> None:
    written(database, 5)
    with database.connect(OWNER) as session:
        (day,) = session.execute(
            "SELECT min(recorded_at AT TIME ZONE 'Europe/Brussels')::date::text FROM commits"
        ).fetchone()
    options = Options(one_broker=True)
    only = ("backoffice.member.v1",)
    resend_relay(database, topics.address, options, target="mine", first=day, until=day, topics=only).run()
    log = log_of(topics, {"mine": 12})
    assert {dict(record.headers)["ce_type"].split(b".")[1] for record in log} == {b"member"}
    assert len(log) == 15


@cases("""
    target                             first       until       problem
    backoffice.member.v1               1           -           TargetRefused
    backoffice.commands.v1             1           -           TargetRefused
    backoffice.anything                1           -           TargetRefused
    __consumer_offsets                 1           -           TargetRefused
    a b                                1           -           TargetRefused
    right                              5           4           NothingToResend
    right                              1-1         -           Refused
    right                              2099-01-01  -           NothingToResend
    right                              1           2001-01-01  NothingToResend
""")
def test_a_resend_that_cannot_be_is_refused_in_a_sentence_and_makes_nothing(
    kafka: Kafka, database: Database, target: str, first: object, until: object, problem: str
) -> None:
    written(database, 2)
    kinds = {"TargetRefused": TargetRefused, "NothingToResend": NothingToResend, "Refused": Refused}
    with pytest.raises(kinds[problem]):
        resend_relay(
            database, kafka.address, Options(one_broker=True), target=target, first=str(first),
            until=None if until is None else str(until),
        )  # fmt: skip
    assert RelayPositions(database, f"resend:{target}").standing().until is None


def test_a_resend_never_writes_on_a_topic_that_somebody_else_made_or_with_another_range(
    kafka: Kafka, make_topic: Callable[..., str], database: Database
) -> None:
    written(database, 2)
    options = Options(one_broker=True)
    somebodys = make_topic(kafka)
    with pytest.raises(TargetInUse):
        resend_relay(database, kafka.address, options, target=somebodys, first="1")
    resend_relay(database, kafka.address, options, target=f"{somebodys}.mine", first="1", until="20")
    with pytest.raises(OtherRange):
        resend_relay(database, kafka.address, options, target=f"{somebodys}.mine", first="2", until="20")


# --- Figures, and the command ------------------------------------------------------------------------------------------


def test_lag_and_the_age_of_the_oldest_event_are_served_over_http(database: Database) -> None:
    last = written(database, 3)
    metrics = RelayMetrics(LIVE)
    positions = RelayPositions(database, LIVE)
    oldest = positions.standing().oldest_unpublished_at
    assert oldest is not None
    metrics.look_up(positions.standing, lambda: oldest.replace(year=oldest.year + 1))
    server, thread = metrics.serve(0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=PATIENCE_S) as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert f'backoffice_relay_lag_events{{relay="kafka"}} {float(last)}' in text
    assert 'backoffice_relay_position{relay="kafka"} 0.0' in text
    assert 'backoffice_relay_oldest_unpublished_seconds{relay="kafka"} 3.1' in text  # 31,536,000 seconds
    assert float(LEASE_SECONDS) > 10 + 5 + 1, "a page that fails must not cost the lease"


def test_a_relay_that_has_published_nothing_yet_tells_the_position_where_it_stands(database: Database) -> None:
    positions = RelayPositions(database, LIVE)
    held = positions.take("one")
    positions.move(epoch=held.epoch, start=0, end=35_515, recorded_at=datetime(2026, 5, 4, 8, tzinfo=UTC), sent={})
    begun_again = RelayMetrics(LIVE)
    begun_again.look_up(positions.standing, lambda: datetime(2026, 5, 4, 8, tzinfo=UTC))
    assert 'backoffice_relay_position{relay="kafka"} 35515.0' in begun_again.text()


def test_status_says_what_a_relay_that_holds_nothing_waits_for_while_it_waits(database: Database) -> None:
    positions = RelayPositions(database, LIVE)
    relay = relay_on(database, NOBODY)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        eventually(lambda: positions.standing().waits_for == "the broker")
        assert positions.standing().holder is None
        held = positions.take("another")
        assert positions.standing().waits_for == ""  # the holder has the word
        positions.let_go(held.epoch)
        eventually(lambda: positions.standing().waits_for == "the broker")
    finally:
        relay.stop.set()
        thread.join(PATIENCE_S)
    assert positions.standing().waits_for == ""  # it was stopped
    positions.knock("the broker")
    with database.connect(OWNER) as session:
        session.execute("UPDATE heartbeats SET beaten_at = beaten_at - interval '61 seconds'")
    assert positions.standing().waits_for == ""  # killed: nothing was heard for a minute


def test_the_rate_of_the_last_minute_rises_with_what_is_published_and_fades(database: Database) -> None:
    positions = RelayPositions(database, LIVE)
    held = positions.take("one")
    now = datetime(2026, 5, 4, 8, tzinfo=UTC)
    positions.move(epoch=held.epoch, start=0, end=600, recorded_at=now, sent={})
    assert 5.0 < positions.standing().rate <= 10.0  # 600 of the last 60 seconds, as many as there are
    positions.move(epoch=held.epoch, start=600, end=1_200, recorded_at=now, sent={})
    assert 10.0 < positions.standing().rate <= 20.0
    with database.connect(OWNER) as session:
        session.execute("UPDATE relays SET moved_at = moved_at - interval '1 minute'")
    assert 3.0 < positions.standing().rate < 7.4  # a third is left
    with database.connect(OWNER) as session:
        session.execute("UPDATE relays SET moved_at = moved_at - interval '3 days'")
    assert positions.standing().rate == 0.0


def _as_url(database: Database) -> str:
    known = {name: str(value) for name, value in conninfo_to_dict(database.url).items()}
    return f"postgresql:///{known.pop('dbname')}?{urlencode(known)}"


def _command(database: Database, kafka: str, home: Path, *words: str) -> subprocess.Popen[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BACKOFFICE_")},
        "BACKOFFICE_HOME": str(home),
        "BACKOFFICE_DATABASE_URL": _as_url(database),
        "BACKOFFICE_MASTER_KEY_FILE": str(home / "master.key"),
        "BACKOFFICE_KAFKA_BROKERS": kafka,
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "console", *words], env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def test_the_command_publishes_until_sigterm_and_status_shows_it(
    topics: Kafka, database: Database, tmp_path: Path
) -> None:
    clear(topics)
    last = written(database, 10)
    made, _ = _command(database, topics.address, tmp_path, "topics", "create", "--one-broker").communicate(
        timeout=PATIENCE_S
    )
    assert made.count("made") == 6
    relay = _command(database, topics.address, tmp_path, "relay", "--one-broker")
    wait_until_published(RelayPositions(database, LIVE), within_s=PATIENCE_S)
    relay.send_signal(signal.SIGTERM)
    out, err = relay.communicate(timeout=PATIENCE_S)
    assert (relay.returncode, out) == (0, f"Published up to position {last}; 0 events left.\n"), err
    status = _command(database, topics.address, tmp_path, "status", "--json")
    answered, problem = status.communicate(timeout=PATIENCE_S)
    assert status.returncode == 0, (answered, problem)
    shown = msgspec.json.decode(answered)
    assert shown["last_position"] == last
    assert [(each["relay"], each["position"], each["holder"]) for each in shown["relays"]] == [("kafka", last, "")]


@cases("""
    words                                         code  sentence
    topics check                                  6     No Kafka broker answers
    relay resend --to mine --from 1               6     No Kafka broker answers
    relay resend --to backoffice.run.v1 --from 1  3     a topic of the subscriber's own
""")
def test_a_refusal_of_the_command_is_one_sentence_and_one_code(
    database: Database, tmp_path: Path, words: str, code: int, sentence: str
) -> None:
    written(database, 1)
    process = _command(database, NOBODY, tmp_path, *words.split())
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (code, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1, err
