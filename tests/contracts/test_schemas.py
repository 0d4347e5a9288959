"""
The schemas themselves, and messages that are not ours: each is refused with its code, none ends the reader.
"""

from __future__ import annotations

import io
import json
import shutil
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.registry import Registry
from adapters.kafka.schema_registry import (
    RegistryGaveAnotherId,
    RegistryRefused,
    RegistryUnavailable,
    SchemaRegistry,
)
from domain.ids import derived_key
from domain.zorgkas_affiliation import AFFILIATION
from formats.avro import MESSAGE_BYTES_MAX, NotOurMessage, Reader, SchemaUnusable, check_placed, parsed, read_message
from formats.avro_writer import writer_of
from formats.contract import SCHEMAS, NoSuchSchema, Schema, contract, load
from formats.published import Message, publish
from formats.published_commands import COMMAND_BYTES_MAX, answer_message, command_value, read_command
from tests.builders import charged
from tests.contracts.published_samples import SOURCE, envelope
from tests.patience import PATIENCE_S
from tests.table import cases

TOPIC = "backoffice.zorgkas-affiliation.v1"


def a_message() -> Message:
    message = publish(envelope(AFFILIATION, charged(2026, 10000)), source=SOURCE, epoch="1", previous_sequence=6)
    assert message is not None
    return message


GOOD = a_message()


def refusal(value: bytes | None, headers: Any = GOOD.headers, *, topic: str | None = TOPIC) -> str:
    with pytest.raises(NotOurMessage) as refused:
        read_message(value, headers, topic=topic)
    return refused.value.kind


def kind_of_refusal(value: bytes, headers: Any) -> str | None:
    try:
        read_message(value, headers)
    except NotOurMessage as refused:
        return refused.kind
    return None


# --- The files --------------------------------------------------------------------------------------------------------


def test_every_schema_has_an_id_and_ids_have_no_holes() -> None:
    ours = contract()
    schemas = [schema for versions in ours.records.values() for schema in versions]
    assert sorted(schema.id for schema in schemas) == list(range(1, len(schemas) + 1))
    assert len({schema.text for schema in schemas}) == len(schemas)  # a registry gives equal texts one id


def test_topics_are_kept_for_ever_and_never_compacted() -> None:
    for topic in contract().topics.values():
        assert topic.cleanup_policy == "delete"
        assert (topic.replication, topic.min_insync_replicas) == (3, 2)
        events = topic.folder not in {"inbound", "command-answers"}
        assert (topic.retention_ms == -1) == events
    assert contract().topics[TOPIC].partitions == contract().topics["backoffice.member.v1"].partitions
    assert contract().topics[TOPIC].settings["cleanup.policy"] == "delete"


def test_a_schema_that_nobody_wrote_is_not_found() -> None:
    with pytest.raises(NoSuchSchema):
        contract().schema("backoffice.run.RunStarted/2")
    with pytest.raises(NoSuchSchema):
        contract().schema("backoffice.run.Nothing")


# --- Messages that are not ours ---------------------------------------------------------------------------------------


def test_a_message_of_ours_is_read() -> None:
    read = read_message(GOOD.value, GOOD.headers, topic=TOPIC)
    assert (read.record_name, read.version) == ("backoffice.zorgkas.ZorgpremieCharged", 1)
    assert read.fields["amount_cents"] == 10000
    assert read.event is not None
    assert (read.event.sequence, read.event.previous_sequence, read.event.epoch) == (7, 6, "1")


def test_a_tombstone_is_told_apart() -> None:
    assert refusal(None) == "TOMBSTONE"


@cases("""
    value_hex         code     # what it is
    -                 SCHEMA   # nothing at all
    00                SCHEMA   # cut in the frame
    0000000b          SCHEMA
    0100000b48        SCHEMA   # another magic byte (a GUID follows in newer clients)
    7b22612220        SCHEMA   # JSON
    00ffffffff48      SCHEMA   # an id that nobody has
    000000000048      SCHEMA   # id 0 stands for nothing
    0000270f48        SCHEMA   # a newer release wrote it
""")
def test_what_does_not_name_a_schema_of_ours_is_refused(value_hex: str | None, code: str) -> None:
    assert refusal(bytes.fromhex(str(value_hex or "").zfill(len(str(value_hex or "")) // 2 * 2))) == code


@pytest.mark.parametrize("length", range(5, len(GOOD.value)))
def test_a_message_that_is_cut_is_refused_wherever_it_is_cut(length: int) -> None:
    assert refusal(GOOD.value[:length]) == "CONTENT"


def test_bytes_left_over_are_refused() -> None:
    assert refusal(GOOD.value + b"\x00") == "CONTENT"
    assert refusal(GOOD.value + GOOD.value) == "CONTENT"


@pytest.mark.parametrize(
    "body",
    [
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a text of 2**63 - 1 bytes
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",  # a text of 2**63 bytes
        b"\x01",  # a text of -1 bytes
        b"\xff" * 40,  # a number without end
        b"\x04\xff\xff",  # no UTF-8
        b"H" + b"z" * 36,  # no id
        b"",
    ],
)
def test_lengths_and_texts_that_cannot_be_are_refused(body: bytes) -> None:
    assert refusal(GOOD.value[:5] + body) == "CONTENT"


def test_two_megabytes_are_refused_unread() -> None:
    assert refusal(GOOD.value + b"\x00" * 2_000_000) == "LIMIT"
    assert refusal(GOOD.value.ljust(MESSAGE_BYTES_MAX, b"\x00")) == "CONTENT"
    assert refusal(GOOD.value.ljust(MESSAGE_BYTES_MAX + 1, b"\x00")) == "LIMIT"


def test_a_record_of_another_topic_is_refused() -> None:
    assert refusal(GOOD.value, topic="backoffice.bank.v1") == "TOPIC"


@given(st.sampled_from(sorted(contract().by_id)), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(number: int, body: bytes) -> None:
    assert kind_of_refusal(b"\x00" + number.to_bytes(4, "big") + body, None) in {None, "CONTENT"}


@given(st.integers(5, len(GOOD.value) - 1), st.integers(0, 255))
def test_one_changed_byte_is_read_as_a_value_or_refused(place: int, byte: int) -> None:
    changed = GOOD.value[:place] + bytes([byte]) + GOOD.value[place + 1 :]
    assert kind_of_refusal(changed, GOOD.headers) in {None, "CONTENT"}


def test_a_refusal_repeats_nothing_of_the_message() -> None:
    with pytest.raises(NotOurMessage) as refused:
        read_message(GOOD.value[:5] + b"\x20Jan Peeters, secret", GOOD.headers)
    assert "Jan" not in str(refused.value)
    assert "Jan" not in repr(refused.value.__cause__)


# --- Headers, key, time -----------------------------------------------------------------------------------------------


def headers_with(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    return [(each, value if each == name else old) for each, old in GOOD.headers]


@pytest.mark.parametrize("name", [name for name, _ in GOOD.headers if name not in {"ce_previoussequence", "ce_runid"}])
def test_a_header_that_is_missing_empty_or_there_twice_is_refused(name: str) -> None:
    without = [each for each in GOOD.headers if each[0] != name]
    assert refusal(GOOD.value, without) == "ENVELOPE"
    assert refusal(GOOD.value, headers_with(name, None)) == "ENVELOPE"
    assert refusal(GOOD.value, [*GOOD.headers, (name, dict(GOOD.headers)[name])]) == "ENVELOPE"


@cases("""
    name                 value                                                          # what is wrong
    ce_specversion       0.3
    content-type         application/json
    ce_type              backoffice.zorgkas.PaymentReceived
    ce_dataschema        urn:backoffice:schema:backoffice.zorgkas.ZorgpremieCharged:2
    ce_id                1
    ce_source            urn:somebody:else
    ce_subject           00000000-0000-0000-0000-000000000000
    ce_time              yesterday
    ce_time              2026-01-20T09:30:00                                            # no zone
    ce_time              0001-01-01T00:00:00+14:00                                      # before there were days
    ce_sequence          seven
    ce_sequence          -000000000000000007
    ce_previoussequence  0000000000000000007                                            # not before its own
    ce_previoussequence  0000000000000000008
    ce_runid             none
""")
def test_a_header_that_says_something_else_is_refused(name: str, value: object) -> None:
    assert refusal(GOOD.value, headers_with(name, str(value).encode())) == "ENVELOPE"


def test_headers_that_are_not_text_or_too_many_are_refused() -> None:
    assert refusal(GOOD.value, headers_with("ce_epoch", b"\xff\xfe")) == "ENVELOPE"
    assert refusal(GOOD.value, [*GOOD.headers, *[("x", b"")] * 60]) == "ENVELOPE"
    assert refusal(GOOD.value, [*GOOD.headers, ("x", b"x" * 2_000)]) == "ENVELOPE"


def test_headers_of_other_tools_are_passed_over() -> None:
    read = read_message(GOOD.value, [("traceparent", b"00-abc"), *GOOD.headers, ("other", None)])
    assert read.event is not None


def test_key_and_time_belong_to_the_record() -> None:
    read = read_message(GOOD.value, GOOD.headers)
    now = GOOD.timestamp_ms + 60_000
    check_placed(read, key=GOOD.partition_key, timestamp_ms=GOOD.timestamp_ms, latest_ms=now)
    year_ms = 365 * 86_400_000
    for key, timestamp_ms in [
        (None, GOOD.timestamp_ms),
        (b"", GOOD.timestamp_ms),
        (b"another", GOOD.timestamp_ms),
        (GOOD.partition_key, now + 1),
        (GOOD.partition_key, now + year_ms),
        (GOOD.partition_key, -1),
    ]:
        with pytest.raises(NotOurMessage) as refused:
            check_placed(read, key=key, timestamp_ms=timestamp_ms, latest_ms=now)
        assert refused.value.kind == "ENVELOPE"


# --- Commands in, answers out -----------------------------------------------------------------------------------------

COMMAND = derived_key("a command")


def test_a_command_comes_as_the_json_of_an_import() -> None:
    line = '{"type":"RecordDeath","command_id":"x"}'
    value = command_value(command_id=COMMAND, command_json=line)
    assert read_command(value) == (COMMAND, line)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "TOMBSTONE"),
        (b'{"type":"RecordDeath"}', "SCHEMA"),
        (GOOD.value, "TOPIC"),
        (command_value(command_id=COMMAND, command_json="{}")[:-1], "CONTENT"),
        (command_value(command_id=COMMAND, command_json="x" * (COMMAND_BYTES_MAX + 1)), "LIMIT"),
        (command_value(command_id=COMMAND, command_json="x" * MESSAGE_BYTES_MAX), "LIMIT"),
    ],
)
def test_what_is_no_command_is_refused(value: bytes | None, code: str) -> None:
    with pytest.raises(NotOurMessage) as refused:
        read_command(value)
    assert refused.value.kind == code


def test_an_answer_says_what_became_of_the_command() -> None:
    at = datetime(2026, 1, 20, 9, 30, tzinfo=UTC)
    answer = answer_message(
        command_id=COMMAND, outcome="refused", repeated=True, answered_at=at, source=SOURCE, code="NotRegistered"
    )
    read = read_message(answer.value, None, topic="backoffice.command-answers.v1")
    assert read.fields == {
        "command_id": COMMAND,
        "outcome": "REFUSED",
        "repeated": True,
        "code": "NotRegistered",
        "rule": None,
        "message": None,
        "member_id": None,
        "answered_at": at,
    }
    assert answer.partition_key == str(COMMAND).encode()
    assert dict(answer.headers)["ce_id"] == f"{SOURCE}:answer:{COMMAND}".encode()
    assert dict(answer.headers)["ce_time"] == b"2026-01-20T09:30:00.000000Z"


# --- Versions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def three_versions(tmp_path: Path) -> Path:
    """
    A contract with three versions of RunStarted: the second adds a count, the third a day.
    """
    folder = Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))
    raw = json.loads((folder / "run/RunStarted.v1.avsc").read_text())
    ids = (folder / "ids.yaml").read_text()
    for version, name, type_ in ((2, "workers", "long"), (3, "late_on", {"type": "int", "logicalType": "date"})):
        field = {"name": name, "type": ["null", type_], "doc": "More.", "x-data": "none", "default": None}
        raw["fields"].append(field)
        (folder / f"run/RunStarted.v{version}.avsc").write_text(json.dumps(raw))
        sha256 = Schema("", 0, 0, "", raw, "").sha256
        ids += f"  {100 + version}: {{record: backoffice.run.RunStarted, version: {version}, sha256: {sha256}}}\n"
    (folder / "ids.yaml").write_text(ids)
    return folder


def test_old_and_new_versions_are_read_as_the_newest(three_versions: Path) -> None:
    theirs = load(three_versions)
    reader = Reader(theirs)
    first = {"run_id": GOOD.partition_key, "stream_version": 2, "recorded_at": 0, "chunks": 5}
    for version, extra in ((1, {}), (2, {"workers": 3}), (3, {"workers": 3, "late_on": None})):
        schema = theirs.schema(f"backoffice.run.RunStarted/{version}")
        value = b"\x00" + schema.id.to_bytes(4, "big") + writer_of(schema.raw, record=schema.name)({**first, **extra})
        found, fields = reader.read_value(value)
        assert found.version == version
        assert fields["chunks"] == 5
        assert (fields["workers"], fields["late_on"]) == (extra.get("workers"), None)


def test_an_older_reader_refuses_a_newer_id(three_versions: Path) -> None:
    newer = load(three_versions).schema("backoffice.run.RunStarted/3")
    assert refusal(b"\x00" + newer.id.to_bytes(4, "big") + b"\x00" * 20) == "SCHEMA"


def test_a_symbol_that_the_reader_does_not_know_is_unknown() -> None:
    kind = {"type": "enum", "name": "Kind", "symbols": ["UNKNOWN", "A", "B"], "default": "UNKNOWN"}
    newer = {"type": "record", "name": "T", "namespace": "t", "fields": [{"name": "kind", "type": kind}]}
    older = {**newer, "fields": [{"name": "kind", "type": {**kind, "symbols": ["UNKNOWN", "A"]}}]}
    value = writer_of(newer, record="t.T/2")({"kind": "B"})
    read = fastavro.schemaless_reader(io.BytesIO(value), parsed(_schema(newer)), parsed(_schema(older)))
    assert read == {"kind": "UNKNOWN"}


def _schema(raw: dict[str, Any]) -> Schema:
    return Schema("t.T", 1, 1, TOPIC, raw, "")


@pytest.mark.parametrize(
    "type_", ["t.T", "T", ["null", "t.T"], {"type": "array", "items": "T"}, {"type": "array", "items": ["null", "T"]}]
)
def test_a_schema_that_contains_itself_is_never_used(type_: Any) -> None:
    raw = {"type": "record", "name": "T", "namespace": "t", "fields": [{"name": "next", "type": type_}]}
    with pytest.raises(SchemaUnusable, match="contains itself"):
        parsed(_schema(raw))


# --- The registry -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_registry(servers_folder: Path) -> Any:
    """
    A registry that is empty at first: ids are given in order.
    """
    server = Registry(servers_folder / "registry-of-schemas")
    server.start()
    yield server
    server.stop()


def all_schemas() -> list[Schema]:
    return list(contract().by_id.values())


def test_an_empty_registry_takes_our_schemas_under_our_ids(own_registry: Registry) -> None:
    client = SchemaRegistry(own_registry.address)
    assert len(client.differences(all_schemas())) == len(all_schemas())
    assert all(each.new for each in client.register(all_schemas()))
    assert not any(each.new for each in client.register(all_schemas()))
    assert client.differences(all_schemas()) == []
    assert client.compatibility_of("backoffice.run.RunStarted") == "FULL_TRANSITIVE"

    # A stranger asks by the id in a message for the schema that it was written with, and reads it with that alone.
    number = int.from_bytes(GOOD.value[1:5], "big")
    with urllib.request.urlopen(f"{own_registry.address}/schemas/ids/{number}", timeout=PATIENCE_S) as answer:
        theirs = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    read = fastavro.schemaless_reader(io.BytesIO(GOOD.value[5:]), theirs, None)
    assert read["amount_cents"] == 10000  # type: ignore[call-overload, index]

    broken = contract().schema("backoffice.run.RunStarted/1")
    raw = {**broken.raw, "fields": [*broken.raw["fields"], {"name": "more", "type": "int"}]}
    with pytest.raises(RegistryRefused):
        client.register([broken._replace(raw=raw, version=2, id=999)])

    added = {"name": "more", "type": ["null", "int"], "default": None}
    next_version = broken._replace(raw={**broken.raw, "fields": [*broken.raw["fields"], added]}, version=2, id=999)
    with pytest.raises(RegistryGaveAnotherId):
        client.register([next_version])
    (difference,) = client.differences([broken._replace(raw=raw)])
    assert "another schema" in difference.problem


def test_a_registry_that_is_away_is_said_so() -> None:
    with pytest.raises(RegistryUnavailable):
        SchemaRegistry("http://127.0.0.1:9/nothing", timeout_s=1).register(all_schemas())
    with pytest.raises(RegistryUnavailable, match="http"):
        SchemaRegistry("file:///etc/passwd")
