"""
What others get of an event: everything promised, nothing personal, and always the same bytes.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any, Literal, get_args, get_origin, get_type_hints

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_murmur2

from domain.aggregates import AGGREGATES
from domain.envelope import Envelope
from domain.events import Event
from domain.ids import Kind, belonging_to, new_member_id, owner_of
from domain.zorgkas_affiliation import AFFILIATION
from domain.zorgkas_affiliation import happened as z
from formats.avro import check_placed, parsed, read_message
from formats.avro_writer import NotPublishable, writer_of
from formats.contract import contract
from formats.partitions import murmur2
from formats.published import Message, catalogue, key_of, partition_of, publish, topic_of
from formats.published_back import to_ledger_facts
from formats.published_fields import TRANSLATIONS
from formats.stored import StoredEvents
from formats.stored_shapes import event_type
from projections.model import folded
from projections.premium_account import PremiumAccount
from projections.published_premium_account import PublishedPremiumAccount, digest_of
from tests.builders import charged, invited, missed, opened, paid
from tests.contracts.published_samples import (
    CANARY,
    MEMBER,
    RECORDED,
    RUN,
    SOURCE,
    envelope,
    event_types,
    sample,
    stream_of,
)
from tests.life import Life

EVERY_EVENT = pytest.mark.parametrize(
    ("aggregate", "event"), [pytest.param(a, e, id=event_type(a.context, e).name) for a, e in event_types()]
)


def told(of: Envelope, *, previous: int | None = 6) -> Message | None:
    return publish(of, source=SOURCE, epoch="1", previous_sequence=previous)


# --- The catalogue ----------------------------------------------------------------------------------------------------


def test_every_event_is_either_published_or_has_a_reason_why_not() -> None:
    ours = contract()
    assert set(ours.published) | set(ours.not_published) == set(StoredEvents(AGGREGATES).by_name)
    assert not set(ours.published) & set(ours.not_published)
    assert all(reason.endswith(".") for reason in ours.not_published.values())
    assert catalogue()["zorgkas.ZorgpremieCharged/1"] == "backoffice.zorgkas.ZorgpremieCharged/1"
    assert catalogue()["members.EmailAddressGiven/1"] is None


def test_every_published_event_has_a_translation_and_a_schema_of_its_own() -> None:
    ours = contract()
    translated = {event_type(a.context, e).name for a, e in event_types() if e in TRANSLATIONS}
    assert translated == set(ours.published)
    assert len(set(ours.published.values())) == len(ours.published)
    in_use = set(ours.published.values()) | {
        "backoffice.commands.CommandSent/1",
        "backoffice.commands.CommandAnswered/1",
    }
    assert {versions[-1].name for versions in ours.records.values()} == in_use


@EVERY_EVENT
def test_every_event_is_published_whole_or_not_at_all(aggregate: Any, event: type[Event]) -> None:
    name = event_type(aggregate.context, event).name
    for optional in (True, False):
        message = told(envelope(aggregate, sample(event, optional=optional)))
        if name in contract().not_published:
            assert message is None
            continue
        assert message is not None
        read = read_message(message.value, message.headers, topic=message.topic)
        assert f"{read.record_name}/{read.version}" == contract().published[name]
        assert read.fields["stream_version"] == 3
        assert read.fields["recorded_at"] == RECORDED
        check_placed(read, key=message.partition_key, timestamp_ms=message.timestamp_ms, latest_ms=message.timestamp_ms)
        assert topic_of(envelope(aggregate, sample(event))) == message.topic


@EVERY_EVENT
def test_every_word_of_the_domain_has_a_symbol(aggregate: Any, event: type[Event]) -> None:
    most = max([1, *(len(get_args(hint)) for hint in get_type_hints(event).values() if get_origin(hint) is Literal)])
    for words in range(most):
        told(envelope(aggregate, sample(event, words=words)))  # a word without a symbol is NotPublishable


@EVERY_EVENT
def test_no_personal_text_is_in_bytes_key_or_headers(aggregate: Any, event: type[Event]) -> None:
    given_event = sample(event)
    message = told(envelope(aggregate, given_event))
    if message is None:
        return
    everything = message.value + message.partition_key + repr(message.headers).encode() + message.topic.encode()
    for part in (CANARY, *CANARY.split("-")):
        assert part.encode() not in everything


def test_the_canary_would_be_found() -> None:
    samples = [sample(event) for _, event in event_types()]
    assert sum(CANARY in repr(each) for each in samples) >= 30


@EVERY_EVENT
def test_the_writer_makes_the_bytes_that_fastavro_makes(aggregate: Any, event: type[Event]) -> None:
    message = told(envelope(aggregate, sample(event)))
    if message is None:
        return
    schema = contract().by_id[int.from_bytes(message.value[1:5], "big")]
    fields = fastavro.schemaless_reader(io.BytesIO(message.value[5:]), parsed(schema), None)
    again = io.BytesIO()
    fastavro.schemaless_writer(again, parsed(schema), fields)  # type: ignore[arg-type]
    assert message.value == b"\x00" + schema.id.to_bytes(4, "big") + again.getvalue()


# --- Key, headers, moment ---------------------------------------------------------------------------------------------


def test_all_that_belongs_to_a_member_has_the_members_key() -> None:
    for kind in (Kind.MEMBER, Kind.ZORGKAS_AFFILIATION):
        stream = belonging_to(MEMBER, kind, ordinal=3 if kind else 0)
        assert key_of(stream) == str(MEMBER).encode() == str(owner_of(stream)).encode()
    assert key_of(RUN) == str(RUN).encode()


@EVERY_EVENT
def test_the_key_of_a_message_is_the_key_of_its_stream(aggregate: Any, event: type[Event]) -> None:
    message = told(envelope(aggregate, sample(event)))
    if message is not None:
        assert message.partition_key == key_of(stream_of(aggregate.kind))


def test_headers_say_who_when_and_what_came_before() -> None:
    message = told(envelope(AFFILIATION, charged(2026, 10000)))
    assert message is not None
    stream = str(stream_of(Kind.ZORGKAS_AFFILIATION)).encode()
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "content-type": b"application/avro",
        "ce_id": b"urn:backoffice:test:" + stream + b":3",
        "ce_source": b"urn:backoffice:test",
        "ce_type": b"backoffice.zorgkas.ZorgpremieCharged",
        "ce_time": b"2026-01-20T09:30:00.123456Z",
        "ce_subject": stream,
        "ce_dataschema": b"urn:backoffice:schema:backoffice.zorgkas.ZorgpremieCharged:1",
        "ce_partitionkey": str(MEMBER).encode(),
        "ce_sequence": b"0000000000000000007",
        "ce_previoussequence": b"0000000000000000006",
        "ce_epoch": b"1",
        "ce_runid": str(RUN).encode(),
    }
    assert message.timestamp_ms == 1_768_901_400_123


def test_the_first_message_of_a_partition_has_no_previous_one() -> None:
    message = told(envelope(AFFILIATION, charged(2026, 10000)), previous=None)
    assert message is not None
    event = read_message(message.value, message.headers).event
    assert event is not None
    assert event.previous_sequence is None


def test_the_same_moment_in_another_zone_is_the_same_message() -> None:
    one = envelope(AFFILIATION, charged(2026, 10000))
    brussels = one._replace(recorded_at=one.recorded_at.astimezone(timezone(timedelta(hours=1))))
    assert told(one) == told(brussels)


def test_a_moment_without_a_zone_is_not_published() -> None:
    naive = envelope(AFFILIATION, charged(2026, 10000))._replace(recorded_at=RECORDED.replace(tzinfo=None))
    with pytest.raises(NotPublishable):
        told(naive)


class _NewEvent(Event, frozen=True, kw_only=True):
    """
    An event that the catalogue does not know.
    """


def test_an_event_that_the_catalogue_does_not_know_stops_the_relay() -> None:
    with pytest.raises(NotPublishable, match="_NewEvent"):
        told(envelope(AFFILIATION, _NewEvent()))


@given(st.binary(min_size=0, max_size=80))
def test_partitions_are_those_of_the_java_client(key: bytes) -> None:
    assert murmur2(key) == kafka_murmur2(key) & 0xFFFFFFFF
    assert partition_of(key, 12) == (kafka_murmur2(key) & 0x7FFFFFFF) % 12


def test_a_known_key_never_moves() -> None:
    assert partition_of(str(MEMBER).encode(), 12) == partition_of(str(MEMBER).encode(), 12)
    assert murmur2(b"21") == -973932308 & 0xFFFFFFFF  # from the tests of Apache Kafka's own client
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF


# --- Strict types -----------------------------------------------------------------------------------------------------

EVERY_TYPE = {
    "type": "record",
    "name": "Sample",
    "namespace": "test",
    "fields": [
        {"name": "count", "type": "int"},
        {"name": "amount_cents", "type": "long"},
        {"name": "on", "type": {"type": "int", "logicalType": "date"}},
        {"name": "text", "type": "string"},
        {"name": "yes", "type": "boolean"},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "maybe", "type": ["null", "long"], "default": None},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["UNKNOWN", "A"], "default": "UNKNOWN"}},
        {"name": "many", "type": {"type": "array", "items": "int"}},
    ],
}
GOOD: dict[str, Any] = {
    "count": 1, "amount_cents": 6400, "on": RECORDED.date(), "text": "é", "yes": True, "id": RUN, "maybe": None,
    "kind": "A", "many": [1, 2],
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("count", True),
        ("count", 2**31),
        ("count", -(2**31) - 1),
        ("amount_cents", True),
        ("amount_cents", 64.0),
        ("amount_cents", 2**63),
        ("amount_cents", "6400"),
        ("amount_cents", None),
        ("on", RECORDED),
        ("on", 20000),
        ("text", b"text"),
        ("text", "\ud800"),
        ("yes", 1),
        ("id", "not an id"),
        ("id", b"short"),
        ("maybe", 1.5),
        ("maybe", False),
        ("kind", "B"),
        ("kind", "a"),
        ("kind", None),
        ("many", (1, 2)),
        ("many", [1, True]),
    ],
)
def test_a_value_of_another_type_is_refused_by_name_and_never_repeated(field: str, bad: object) -> None:
    with pytest.raises(NotPublishable) as refused:
        writer_of(EVERY_TYPE, record="test.Sample/1")({**GOOD, field: bad})
    assert refused.value.facts == {"record": "test.Sample/1", "field": field}


def test_a_field_too_many_or_missing_is_refused() -> None:
    write = writer_of(EVERY_TYPE, record="test.Sample/1")
    with pytest.raises(NotPublishable):
        write({**GOOD, "more": 1})
    with pytest.raises(NotPublishable):
        write({name: value for name, value in GOOD.items() if name != "yes"})
    with pytest.raises(NotPublishable, match=r"yes \(missing\)"):
        write({("no" if name == "yes" else name): value for name, value in GOOD.items()})


@given(
    st.fixed_dictionaries(
        {
            "count": st.integers(-(2**31), 2**31 - 1),
            "amount_cents": st.integers(-(2**63), 2**63 - 1),
            "on": st.dates(),
            "text": st.text(),
            "yes": st.booleans(),
            "id": st.uuids(),
            "maybe": st.none() | st.integers(-(2**63), 2**63 - 1),
            "kind": st.sampled_from(["UNKNOWN", "A"]),
            "many": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=200),
        }
    )
)
def test_whatever_is_written_is_what_fastavro_writes_and_reads(fields: dict[str, Any]) -> None:
    schema = fastavro.parse_schema(msgspec.json.decode(msgspec.json.encode(EVERY_TYPE)))
    raw = writer_of(EVERY_TYPE, record="test.Sample/1")(fields)
    theirs = io.BytesIO()
    fastavro.schemaless_writer(theirs, schema, fields)
    assert raw == theirs.getvalue()
    assert fastavro.schemaless_reader(io.BytesIO(raw), schema, None) == fields


# --- The premium account, rebuilt from what is published --------------------------------------------------------------


def a_busy_life() -> list[Event]:
    life = Life()
    for year in (2023, 2024, 2025, 2026):
        life.invited_for(year)
        life.pays({2023: 20, 2024: 100, 2025: 5, 2026: 300}[year], value=datetime(year, 3, 1, tzinfo=UTC).date())
    return list(life.happened)


def test_the_premium_account_from_messages_is_the_one_from_the_store() -> None:
    positions = count(1)
    envelopes: list[Envelope] = []
    every_kind = [sample(event, words=words) for event in AFFILIATION.events for words in range(2)]
    lives = [a_busy_life(), every_kind, [opened(), charged(2025, 6400), invited(2025, 6400), missed(2025, 6400)],
             [opened("voluntary"), charged(2026, 3500, reduced=True), paid(9, RECORDED.date(), (2026, 3500), credit=5)]]  # fmt: skip
    for number, events in enumerate(lives):
        member = new_member_id(moment_ms=1_767_225_600_000 + number, randomness=lambda size: b"\x01" * size)
        stream = belonging_to(member, Kind.ZORGKAS_AFFILIATION)
        for version, event in enumerate(events, start=1):
            envelopes.append(
                envelope(AFFILIATION, event, position=next(positions), version=version)._replace(stream=stream)
            )
    messages = [told(each, previous=None) for each in envelopes]
    received = [read_message(message.value, message.headers) for message in messages if message is not None]
    facts = [fact for each in received if (fact := to_ledger_facts(each)) is not None]
    from_store, from_topic = folded(PremiumAccount(), envelopes), folded(PublishedPremiumAccount(), facts)
    assert len(from_store["premium_year"]) >= 7
    assert any(row.ogm for row in from_store["premium_year"])  # type: ignore[attr-defined]
    assert not any(row.ogm for row in from_topic["premium_year"])  # type: ignore[attr-defined]
    assert digest_of(from_topic) == digest_of(from_store)
    one_short = {**from_topic, "affiliation": from_topic["affiliation"][1:]}
    assert digest_of(one_short) != digest_of(from_store)


def test_what_changes_no_amount_gives_the_ledger_nothing() -> None:
    letters = {e for e in AFFILIATION.events if e.__name__.startswith(("RegisteredLetter", "PostedLetter", "Report"))}
    letters |= {z.FineFollowedUp, z.AllocationsReordered}
    for event in AFFILIATION.events:
        message = told(envelope(AFFILIATION, sample(event)))
        assert message is not None
        assert (to_ledger_facts(read_message(message.value, message.headers)) is None) == (event in letters)
