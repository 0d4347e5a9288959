"""
Messages that are not ours, not whole or not where they belong: parked with a code, what is behind them for their key waits,
the others go on; and what people can do about them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import fastavro
import pytest

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.postgres.dead_letters import NoSuchDeadLetter, NotTheFirst, TooManyDeadLetters
from consumers import dead_letters
from consumers.dead_letters import NoReason
from consumers.published_accounts import PremiumAccounts
from domain.errors import Refused
from domain.events import Basis
from domain.zorgkas_affiliation import FineFollowedUp
from formats.avro import NotOurMessage, frame, parsed, read_message
from formats.contract import contract
from formats.published import publish
from tests.consumer_material import (
    NOW_MS,
    SOURCE,
    Out,
    asked,
    catch_up,
    codes,
    expected,
    life_of,
    messages,
    offsets,
    send,
    stands,
)
from tests.contracts.published_samples import envelope, event_types, sample
from tests.patience import PATIENCE_S

MakeTopic = Callable[..., str]
A_YEAR_MS = 366 * 24 * 3600 * 1000


def of_another_topic() -> Out:
    aggregate, event = next(each for each in event_types() if each[1].__name__ == "MemberRegistered")
    message = publish(envelope(aggregate, sample(event)), source=SOURCE, epoch="1", previous_sequence=None)
    assert message is not None
    return Out(0, message.partition_key, message.value, message.headers, NOW_MS)


def with_value(change: Callable[[bytes], bytes | None]) -> Callable[[Out], Out]:
    return lambda out: out._replace(value=change(out.value or b""))


def without(name: str) -> Callable[[Out], Out]:
    return lambda out: out._replace(headers=[each for each in out.headers if each[0] != name])


BAD: list[tuple[str, str, Callable[[Out], Out]]] = [
    ("SCHEMA", "not Avro at all", with_value(lambda _: b'{"type": "json"}')),
    ("SCHEMA", "empty", with_value(lambda _: b"")),
    ("SCHEMA", "frame cut", with_value(lambda value: value[:3])),
    ("SCHEMA", "a wrong magic byte", with_value(lambda value: b"\x01" + value[1:])),
    ("SCHEMA", "an unknown schema id", with_value(lambda value: b"\x00\x7f\xff\xff\xff" + value[5:])),
    ("CONTENT", "header only", with_value(lambda value: value[:5])),
    ("CONTENT", "cut", with_value(lambda value: value[:-3])),
    ("CONTENT", "trailing bytes", with_value(lambda value: value + b"\x00")),
    ("CONTENT", "a length of 2**62", with_value(lambda value: value[:5] + b"\x80" * 8 + b"\x40" + value[6:])),
    ("LIMIT", "2 MB", with_value(lambda value: value + b"\x00" * 2_000_000)),
    ("TOPIC", "a record of another topic", lambda out: of_another_topic()._replace(key=out.key)),
    ("ENVELOPE", "a key that is not the record's", lambda out: out._replace(key=b"somebody else")),
    ("ENVELOPE", "no key", lambda out: out._replace(key=None)),
    ("ENVELOPE", "a timestamp of next year", lambda out: out._replace(timestamp_ms=NOW_MS + A_YEAR_MS)),
    ("ENVELOPE", "no headers", lambda out: out._replace(headers=[])),
    ("ENVELOPE", "a header is missing", without("ce_sequence")),
    ("ENVELOPE", "from another source", lambda out: out._replace(headers=elsewhere(out))),
]


def elsewhere(out: Out) -> list[tuple[str, bytes]]:
    return [(name, value.replace(SOURCE.encode(), b"urn:stranger")) for name, value in out.headers]


@pytest.fixture(scope="module")
def large_messages(kafka: Kafka) -> Callable[[str], None]:
    """
    Let a topic take messages of 4 MB and of next year: a broker with its usual settings refuses both.
    """

    def allow(topic: str) -> None:
        from kafka.admin import ConfigResource

        settings = {"max.message.bytes": "4194304", "message.timestamp.after.max.ms": str(10 * A_YEAR_MS)}
        admin = clients.admin(kafka.address)
        admin.alter_configs([ConfigResource("topic", topic, configs=settings)])
        admin.close()

    return allow


def send_large(kafka: Kafka, topic: str, out: Out) -> None:
    producer = clients.producer(kafka.address, max_request_size=4_194_304)
    producer.send(
        topic, value=out.value, key=out.key, headers=out.headers, partition=0, timestamp_ms=out.timestamp_ms
    ).get(PATIENCE_S)
    producer.close()


@pytest.mark.parametrize(("code", "spoil"), [pytest.param(code, spoil, id=why) for code, why, spoil in BAD])
def test_a_bad_message_is_parked_and_only_its_key_waits(kafka, database, make_topic, large_messages, code, spoil):
    topic, events = make_topic(kafka), life_of(3, payments=2)
    large_messages(topic)
    outs = messages(events)
    bad = spoil(outs[4])  # the charge of member 1: three members take turns
    send(kafka, topic, outs[:4])
    send_large(kafka, topic, bad)
    send(kafka, topic, outs[4:])
    catch_up(kafka, database, topic)
    others_wait = bad.key == outs[4].key
    assert codes(database) == [code, *["BEHIND"] * (3 if others_wait else 0)]
    assert offsets(database) == [(0, len(outs) + 1, len(events))]
    (number,) = asked(database, "SELECT min(number) FROM dead_letters")[0]
    dead_letters.discard(database, number, by="an", reason="a stranger wrote it")
    if others_wait:
        after = asked(database, "SELECT number FROM dead_letters WHERE state = 'waiting' ORDER BY \"offset\"")[0][0]
        assert dead_letters.retry(database, after, effect=PremiumAccounts(), now_ms=NOW_MS, by="an").taken == 3
    assert stands(database) == expected(events)


def test_a_tombstone_is_passed_over_and_counted(kafka, database, make_topic):
    topic, events = make_topic(kafka), life_of(2, payments=1)
    outs = messages(events)
    send(kafka, topic, [outs[0], outs[0]._replace(value=None), *outs[1:], outs[0]._replace(value=None, headers=[])])
    catch_up(kafka, database, topic)
    assert codes(database) == []
    assert asked(database, "SELECT tombstones FROM consumer_offsets") == [(2,)]
    assert stands(database) == expected(events)


def as_version_1(out: Out) -> Out:
    """
    Return a FineFollowedUp as a release wrote it that knew no letter and no years of it.
    """
    read, older = read_message(out.value, out.headers), contract().schema("backoffice.zorgkas.FineFollowedUp/1")
    fields = {field["name"]: read.fields[field["name"]] for field in older.raw["fields"]}
    headers = [(name, value.replace(b"FineFollowedUp:2", b"FineFollowedUp:1")) for name, value in out.headers]
    written = io.BytesIO()
    fastavro.schemaless_writer(written, parsed(older), fields)  # type: ignore[arg-type]
    return out._replace(value=frame(older) + written.getvalue(), headers=headers)


def test_a_message_of_an_older_version_of_ours_is_taken_like_any_other(kafka, database, make_topic):
    told = FineFollowedUp(
        reference="A-1", outcome="paid", happened_on=date(2025, 12, 1), basis=Basis(rules=("ZB-10",)), years=(2025,)
    )
    events = life_of(1, payments=3)
    events[3] = events[3]._replace(event=told)  # between two payments
    outs = messages(events)
    older = as_version_1(outs[3])
    versions = [read_message(out.value, out.headers).version for out in (outs[3], older)]
    assert versions == [2, 1]
    topic = make_topic(kafka)
    send(kafka, topic, [*outs[:3], older, *outs[4:]])
    catch_up(kafka, database, topic)
    assert codes(database) == []
    assert offsets(database) == [(0, len(outs), len(events))]
    assert stands(database) == expected([each for each in events if each.event is not told])


class NotYet(PremiumAccounts):
    """
    A release that does not know the schema of some of our own messages.
    """

    def __init__(self, unknown: set[int]) -> None:
        super().__init__()
        self.unknown = unknown

    def read(self, record: Any, *, latest_ms: int) -> Any:
        read = super().read(record, latest_ms=latest_ms)
        if read.event is not None and read.event.sequence in self.unknown:
            raise NotOurMessage("SCHEMA", "its schema id is unknown here")
        return read


def test_after_the_repair_all_is_taken_in_order_nothing_lost_and_nothing_twice(kafka, database, make_topic):
    """
    Ours, unreadable for a while: what follows in the partition shows no gap, and a page that is sent again no second letter.
    """
    topic, events = make_topic(kafka), life_of(4, payments=4)
    outs = messages(events)
    send(kafka, topic, [*outs[:12], *outs[4:12], *outs[12:]])
    catch_up(kafka, database, topic, effect=NotYet({1, 6, 7, 18}))
    assert codes(database).count("SCHEMA") == 4  # the second of member 1 waits behind its first
    assert stands(database) != expected(events)
    found = dead_letters.find(database)
    assert [(each.code, each.behind > 0) for each in found] == [("SCHEMA", True)] * 3
    for each in found:
        done = dead_letters.retry(database, each.number, effect=PremiumAccounts(), now_ms=NOW_MS, by="an")
        assert (done.still_waiting, done.problem) == (0, "")
    assert codes(database) == []
    assert stands(database) == expected(events)
    catch_up(kafka, database, topic)
    assert stands(database) == expected(events)


def test_a_retry_that_meets_another_bad_one_keeps_what_it_did_and_says_where_it_stopped(kafka, database, make_topic):
    topic, events = make_topic(kafka), life_of(1, payments=4)
    send(kafka, topic, messages(events))
    catch_up(kafka, database, topic, effect=NotYet({2}))
    (first,) = dead_letters.find(database)
    done = dead_letters.retry(database, first.number, effect=NotYet({4}), now_ms=NOW_MS, by="an")
    assert (done.taken, done.still_waiting, done.code) == (2, 3, "SCHEMA")
    (again,) = dead_letters.find(database)
    assert (again.number, again.attempts, again.behind) == (done.stopped_at, 2, 2)
    dead_letters.retry(database, again.number, effect=PremiumAccounts(), now_ms=NOW_MS, by="an")
    assert stands(database) == expected(events)


def test_what_the_effect_refuses_is_parked_alone(kafka, database, make_topic):
    class RefusesOne(PremiumAccounts):
        def apply(self, cursor: Any, messages: Any) -> None:
            super().apply(cursor, messages)
            if any(message.event.sequence == 7 for _, message in messages):
                raise Refused("This one not.")

    class MeetsADefect(PremiumAccounts):
        def apply(self, cursor: Any, messages: Any) -> None:
            super().apply(cursor, messages)
            if any(message.event.sequence == 8 for _, message in messages):
                raise KeyError("Peeters")

    topic, events = make_topic(kafka), life_of(3, payments=3)
    send(kafka, topic, messages(events)[:7])
    catch_up(kafka, database, topic, effect=RefusesOne())
    send(kafka, topic, messages(events)[7:])
    catch_up(kafka, database, topic, effect=MeetsADefect())
    shown = dead_letters.find(database)
    assert [each.code for each in shown] == ["Refused", "DEFECT"]
    assert shown[0].problem == "This one not."
    assert re.fullmatch(
        r"It met a defect of the program \(KeyError at [a-z_/]+\.py line [0-9]+\); retry it with the next release\.",
        shown[1].problem,
    )
    for each in shown:
        dead_letters.retry(database, each.number, effect=PremiumAccounts(), now_ms=NOW_MS, by="an")
    assert stands(database) == expected(events)


def test_more_than_a_hundred_bad_messages_stop_the_consumer_and_the_hundred_are_there_to_look_at(
    kafka, database, make_topic
):
    topic = make_topic(kafka)
    outs = messages(life_of(150, payments=0))
    send(kafka, topic, [*outs[:20], *[out._replace(value=b"junk") for out in outs[20:130]], *outs[130:]])
    for _ in range(2):
        with pytest.raises(TooManyDeadLetters, match="dead-letters list"):
            catch_up(kafka, database, topic)
        assert codes(database) == ["SCHEMA"] * 100
        assert offsets(database)[0][1] == 120
    dead_letters.discard(database, dead_letters.find(database)[0].number, by="an", reason="junk")
    with pytest.raises(TooManyDeadLetters):
        catch_up(kafka, database, topic)
    assert offsets(database)[0][1] == 121


# --- What people may do -----------------------------------------------------------------------------------------------


@pytest.fixture
def a_queue(kafka: Kafka, database: Any, make_topic: MakeTopic) -> list[int]:
    topic = make_topic(kafka)
    send(kafka, topic, messages(life_of(1, payments=3)))
    catch_up(kafka, database, topic, effect=NotYet({3}))
    return [number for (number,) in asked(database, 'SELECT number FROM dead_letters ORDER BY "offset"')]


def test_only_the_first_of_a_queue_can_be_tried_again_or_given_up(database, a_queue):
    first, second, _ = a_queue
    with pytest.raises(NotTheFirst, match=f"first={first}"):
        dead_letters.retry(database, second, effect=PremiumAccounts(), now_ms=NOW_MS, by="an")
    with pytest.raises(NotTheFirst):
        dead_letters.discard(database, second, by="an", reason="not needed")
    assert dead_letters.show(database, second).behind == 1


def test_giving_up_is_recorded_with_who_why_and_when(database, a_queue):
    given_up = dead_letters.discard(database, a_queue[0], by="an", reason="it was a test")
    assert given_up.behind == 2
    (row,) = asked(database, "SELECT state, resolved_by, reason, resolved_at IS NOT NULL FROM dead_letters "
                             "WHERE number = %s", a_queue[0])  # fmt: skip
    assert row == ("discarded", "an", "it was a test", True)
    with pytest.raises(NoSuchDeadLetter):
        dead_letters.discard(database, a_queue[0], by="bob", reason="again")


def test_nothing_is_given_up_without_a_reason(database, a_queue):
    with pytest.raises(NoReason):
        dead_letters.discard(database, a_queue[0], by="an", reason="  ")


def test_what_is_shown_of_a_letter_says_nothing_of_what_it_says(kafka, database, make_topic):
    topic = make_topic(kafka)
    out = messages(life_of(1, payments=0))[0]
    send(kafka, topic, [out._replace(key=b"Jan Peeters", value=b"Jan Peeters", headers=[("name", b"Peeters")])])
    catch_up(kafka, database, topic)
    (shown,) = dead_letters.find(database)
    assert "Peeters" not in repr(shown)
    assert (shown.bytes, shown.schema_id, shown.header_names, shown.key) == (11, None, ["name"], "")
