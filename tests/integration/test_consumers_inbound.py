"""
Commands that come by Kafka: taken once, answered always, and nothing personal where it should not be.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.kafka.relay import PageNotAcknowledged, Pages
from adapters.postgres.database import Database
from adapters.postgres.dead_letters import Sealed
from adapters.sealing import MasterKey, SealBroken
from consumers import dead_letters
from consumers.inbound import Answers, Commands, begin_afresh
from consumers.loop import Loop
from formats.avro import frame, read_message
from formats.avro_writer import writer_of
from formats.contract import contract
from tests.consumer_material import NOW_MS, QUICK, Out, asked, codes, offsets, send
from tests.world import World

TODAY = date(2026, 1, 21)
NOW = datetime(2026, 1, 21, 10, tzinfo=UTC)
CANARY = "Canarisse"


@pytest.fixture
def world(database: Database, tmp_path: Any) -> World:
    return World(database, tmp_path, started_on=date(2025, 1, 2))


def a_command(number: int, **changes: Any) -> dict[str, Any]:
    address = {"region": "flanders", "street": "Kerkstraat", "house_number": "7", "postcode": "9000", "town": "Gent"}
    usual = {
        "type": "RegisterMember", "command_id": str(UUID(int=number)), "first_name": "An", "last_name": CANARY,
        "born_on": "1970-05-17", "address": address, "address_since": "2010-01-01", "cm_member_since": "2010-01-01",
    }  # fmt: skip
    return {**usual, **changes}


def sent(command: dict[str, Any] | str, *, command_id: str | None = None, key: bytes | None = b"member 1") -> Out:
    schema = contract().newest_released("backoffice.commands.CommandSent")
    text = command if isinstance(command, str) else json.dumps(command)
    of = command_id or (command["command_id"] if isinstance(command, dict) else str(UUID(int=99)))
    value = writer_of(schema.raw, record=schema.name)({"command_id": UUID(of), "command_json": text})
    return Out(0, key, frame(schema) + value, [], NOW_MS)


class Desk:
    """
    The two topics, and the consumer between them.
    """

    def __init__(self, kafka: Kafka, world: World, make_topic: Callable[..., str]) -> None:
        self.kafka, self.world, self.database = kafka, world, world.backoffice.database
        self.inbound, self.replies = make_topic(kafka), make_topic(kafka, partitions=2)
        self.pages = Pages(kafka.address)

    def effect(self, **changes: Any) -> Commands:
        office = self.world.backoffice
        usual: dict[str, Any] = {
            "store": office.store,
            "context": office.context,
            "today": lambda: TODAY,
            "now": lambda: NOW,
            "actor": "inbound",
            "answers": Answers(self.pages, partitions=2, topic=self.replies),
            "keeper": Sealed(office.master),
        }
        return Commands(**{**usual, **changes})

    def take(self, *outs: Out, effect: Commands | None = None) -> list[dict[str, Any]]:
        """
        Send, have everything taken, and return all answers so far, in the order of their topic.
        """
        send(self.kafka, self.inbound, outs)
        Loop(
            bootstrap=self.kafka.address, topics=[self.inbound], effect=effect or self.effect(), database=self.database,
            now_ms=lambda: NOW_MS, settings=QUICK, until_caught_up=True,
        ).run()  # fmt: skip
        return self.answers()

    def answers(self) -> list[dict[str, Any]]:
        from kafka import TopicPartition

        consumer = clients.consumer(self.kafka.address, group=None)
        found = []
        for number in range(2):
            partition = TopicPartition(self.replies, number)
            consumer.assign([partition])
            consumer.seek(partition, 0)
            end = consumer.end_offsets([partition])[partition]
            while consumer.position(partition) < end:
                for record in consumer.poll(timeout_ms=200).get(partition, []):
                    read = read_message(record.value, None, topic="backoffice.command-answers.v1")
                    assert record.key == str(read.fields["command_id"]).encode()
                    assert CANARY not in repr(record)
                    found.append({**read.fields, "headers": dict(record.headers)})
        consumer.close()
        return sorted(found, key=lambda each: each["command_id"])


@pytest.fixture
def desk(kafka: Kafka, world: World, make_topic: Callable[..., str]) -> Any:
    desk = Desk(kafka, world, make_topic)
    yield desk
    desk.pages.close()


def members(desk: Desk) -> int:
    return asked(desk.database, "SELECT count(*) FROM events WHERE topic LIKE 'members.MemberRegistered%%'")[0][0]


def test_a_command_is_taken_and_its_answer_names_the_new_member(desk):
    (answer,) = desk.take(sent(a_command(1)))
    assert (answer["outcome"], answer["repeated"], answer["code"]) == ("ACCEPTED", False, None)
    assert answer["member_id"] is not None
    assert answer["answered_at"] == NOW
    assert answer["headers"]["ce_type"] == b"backoffice.commands.CommandAnswered"
    assert members(desk) == 1
    assert asked(desk.database, "SELECT DISTINCT cause, actor FROM commits WHERE cause = 'inbound'") == [
        ("inbound", "inbound")
    ]


def test_the_same_command_again_has_no_second_effect_and_the_same_answer(desk):
    first, again, other = desk.take(sent(a_command(1)), sent(a_command(1)), sent(a_command(1, first_name="Bo")))
    assert first["member_id"] == again["member_id"]
    assert sorted([first["repeated"], again["repeated"]]) == [False, True]
    assert (other["outcome"], other["code"]) == ("REFUSED", "IdReused")
    assert members(desk) == 1


def test_the_same_command_by_file_and_by_topic_is_one_command(desk):
    from adapters.command_files import read_command

    desk.world.give(read_command(json.dumps(a_command(1)).encode()), on=date(2025, 1, 3))
    (answer,) = desk.take(sent(a_command(1)))
    assert (answer["outcome"], answer["repeated"]) == ("ACCEPTED", True)
    assert members(desk) == 1


def test_a_refusal_is_an_answer_with_code_and_sentence_and_does_not_stop_the_next(desk):
    bad_number = a_command(2, national_number="85.07.30-033.00")
    refused, accepted = desk.take(sent(bad_number), sent(a_command(3)))
    assert (refused["outcome"], refused["member_id"]) == ("REFUSED", None)
    assert refused["code"]
    assert refused["message"]
    assert accepted["outcome"] == "ACCEPTED"
    assert codes(desk.database) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"type": "RegisterMember", "type": "RecordDeath"}', "DUPLICATE_KEY"),
        ('{"type": "RecordDeath", "amount": NaN}', "NUMBER"),
        ('{"type": "RecordDeath", "amount": 1.5}', "NUMBER"),
        ('{"type": "RecordDeath"', "SCHEMA"),
        ('{"type": "Nothing", "command_id": "00000000-0000-0000-0000-000000000063"}', "SCHEMA"),
        ("[]", "SCHEMA"),
        ("", "SCHEMA"),
        ("[" * 5_000, "LIMIT"),
        ('{"type": "' + "x" * 70_000 + '"}', "LIMIT"),
        ('{"first_name": "An\\u202e"}', "TEXT"),
        (json.dumps(a_command(1)), "SCHEMA"),
    ],
    ids=["key twice", "NaN", "fraction", "cut", "unknown type", "list", "empty", "deep", "long", "hidden", "other id"],
)
def test_json_that_no_file_may_hold_is_answered_with_the_same_code(desk, text, code):
    (answer,) = desk.take(sent(text, command_id=str(UUID(int=99))))
    assert (answer["outcome"], answer["code"]) == ("REFUSED", code)
    assert "An" not in answer["message"].split()
    assert members(desk) == 0


def test_what_cannot_be_answered_is_parked_sealed_and_later_ones_of_its_key_wait(desk, caplog):
    caplog.set_level(logging.DEBUG, logger="consumers")
    good = sent(a_command(1), key=CANARY.encode())
    bad = good._replace(value=(good.value or b"")[:-3], headers=[("trace", CANARY.encode())])
    (answer,) = desk.take(bad, good, sent(a_command(2), key=b"somebody else"))
    assert answer["command_id"] == UUID(int=2)
    assert codes(desk.database) == ["CONTENT", "BEHIND"]
    rows = asked(
        desk.database, "SELECT dead_letters::text, encode(value, 'escape'), encode(key, 'escape') FROM dead_letters"
    )
    assert CANARY not in repr(rows)
    assert CANARY not in caplog.text
    (shown,) = dead_letters.find(desk.database)
    assert CANARY not in repr(shown)
    assert (shown.key, shown.header_names, shown.schema_id, shown.behind) == ("", [], None, 1)


def test_a_sealed_letter_is_tried_again_with_what_waits_behind_it(desk):
    class NotYet(Commands):
        def read(self, record: Any, *, latest_ms: int) -> Any:
            from formats.avro import NotOurMessage

            if record.offset == 0:
                raise NotOurMessage("SCHEMA", "its schema id is unknown here")
            return super().read(record, latest_ms=latest_ms)

    outs = sent(a_command(1)), sent(a_command(2))
    of = desk.effect()
    assert desk.take(*outs, effect=NotYet(**{name: getattr(of, name) for name in of.__dataclass_fields__})) == []
    (waits,) = dead_letters.find(desk.database)
    done = dead_letters.retry(desk.database, waits.number, effect=of, now_ms=NOW_MS, by="an")
    assert (done.taken, done.still_waiting) == (2, 0)
    assert [answer["outcome"] for answer in desk.answers()] == ["ACCEPTED", "ACCEPTED"]
    assert members(desk) == 2


def test_a_sealed_letter_that_was_moved_or_changed_does_not_open(desk):
    keeper = Sealed(desk.world.backoffice.master)
    desk.take(sent(a_command(1))._replace(value=b"junk"))
    asked(desk.database, 'UPDATE dead_letters SET "offset" = 7 RETURNING 1')
    (number,) = asked(desk.database, "SELECT number FROM dead_letters")[0]
    done = dead_letters.retry(desk.database, number, effect=desk.effect(keeper=keeper), now_ms=NOW_MS, by="an")
    assert done.code == SealBroken.name()


def test_killed_between_the_effect_and_the_offset_nothing_is_lost_and_the_answer_comes_again(desk):
    class Dies(Answers):
        dies = True

        def send(self, told: Any, *, now: Any) -> None:
            super().send(told, now=now)
            if self.dies:
                self.dies = False
                raise PageNotAcknowledged

    desk.take(sent(a_command(1)), effect=desk.effect(answers=Dies(desk.pages, partitions=2, topic=desk.replies)))
    answers = desk.answers()
    assert [answer["repeated"] for answer in answers] == [False, True]
    assert len({answer["member_id"] for answer in answers}) == 1
    assert members(desk) == 1
    assert offsets(desk.database) == [(0, 1, None)]


def test_begun_afresh_nothing_happens_twice(desk):
    desk.take(sent(a_command(1)), sent(a_command(2)))
    begin_afresh(desk.database)
    assert [answer["repeated"] for answer in desk.take()] == [False, True, False, True]
    assert members(desk) == 2


def test_the_key_of_sealed_letters_is_of_this_house_alone(tmp_path):
    one, other = Sealed(MasterKey(b"1" * 32)), Sealed(MasterKey(b"2" * 32))
    assert one.key_of(b"85073003328") != other.key_of(b"85073003328")
    assert one.key_of(b"85073003328") == one.key_of(b"85073003328")
