"""
The quick reader says what fastavro says, of every byte, or leaves it to fastavro.
"""

from __future__ import annotations

import gc
import io
import threading
from datetime import date
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.garbage import rare_collections
from domain.events import Event
from domain.zorgkas_affiliation import AFFILIATION
from formats.avro import NotOurMessage, Reader, parsed
from formats.avro_reader import Unusual, reader_of
from formats.avro_writer import writer_of
from formats.contract import Schema, contract
from formats.published import publish
from formats.stored_shapes import event_type
from tests.builders import paid
from tests.contracts.published_samples import SOURCE, envelope, event_types, sample
from tests.patience import PATIENCE_S

FRAME = 5
PUBLISHED = [
    pytest.param(a, e, id=event_type(a.context, e).name)
    for a, e in event_types()
    if event_type(a.context, e).name in contract().published
]


def message_of(aggregate: Any, event: Event) -> tuple[Schema, bytes]:
    message = publish(envelope(aggregate, event), source=SOURCE, epoch="1", previous_sequence=6)
    assert message is not None
    return contract().by_id[int.from_bytes(message.value[1:FRAME], "big")], message.value


def by_fastavro(schema: Schema, value: bytes) -> Any:
    """
    Return what fastavro reads, or None when it refuses or leaves something over.
    """
    source = io.BytesIO(value[FRAME:])
    try:
        fields = fastavro.schemaless_reader(source, parsed(schema), None)
    except Exception:
        return None
    return fields if source.tell() == len(value) - FRAME else None


def quickly(schema: Schema, value: bytes) -> Any:
    """
    Return what the quick reader says, or None when it leaves it to fastavro.
    """
    try:
        return reader_of(schema.raw)(value, FRAME)[0]
    except Unusual:
        return None


@pytest.mark.parametrize(("aggregate", "event"), PUBLISHED)
def test_every_published_event_is_read_quickly_and_as_fastavro_reads_it(aggregate: Any, event: type[Event]) -> None:
    for optional in (True, False):
        schema, value = message_of(aggregate, sample(event, optional=optional))
        read = quickly(schema, value)
        assert read is not None
        assert read == by_fastavro(schema, value)
        assert list(map(type, read.values())) == list(map(type, by_fastavro(schema, value).values()))


@pytest.mark.parametrize(("aggregate", "event"), PUBLISHED)
def test_no_part_of_a_message_is_read_quickly(aggregate: Any, event: type[Event]) -> None:
    schema, value = message_of(aggregate, sample(event))
    assert all(quickly(schema, value[:end]) is None for end in range(FRAME, len(value)))
    assert quickly(schema, value + b"\x00") is None


SCHEMA, VALUE = message_of(AFFILIATION, paid(2026, date(2026, 3, 1), (2026, 10_000)))


def test_a_changed_byte_is_read_as_fastavro_reads_it_or_left_to_fastavro() -> None:
    for place in range(FRAME, len(VALUE)):
        for byte in {0, 1, 2, 3, 0x47, 0x48, 0x7F, 0x80, 0xFF, VALUE[place] ^ 1, VALUE[place] ^ 0x80}:
            changed = VALUE[:place] + bytes([byte]) + VALUE[place + 1 :]
            assert quickly(SCHEMA, changed) in (None, by_fastavro(SCHEMA, changed))


@given(st.sampled_from(sorted(contract().by_id)), st.binary(max_size=200))
def test_any_bytes_are_read_as_fastavro_reads_them_or_left_to_fastavro(number: int, body: bytes) -> None:
    schema = contract().by_id[number]
    value = b"\x00" * FRAME + body
    assert quickly(schema, value) in (None, by_fastavro(schema, value))


def test_a_day_or_a_moment_of_long_ago_is_left_to_fastavro_which_reads_it() -> None:
    schema = contract().by_id[SCHEMA.id]
    fields = {**quickly(SCHEMA, VALUE), "value_date": date(1970, 1, 3)}
    moment = fields["recorded_at"]
    as_written = {**fields, "recorded_at": round(moment.timestamp()) * 1_000_000}
    value = VALUE[:FRAME] + writer_of(schema.raw, record=schema.name)(as_written)
    assert quickly(schema, value) is None
    read = Reader(contract()).read_value(value)[1]
    assert read == {**fields, "recorded_at": moment.replace(microsecond=0)}


def test_a_schema_with_types_that_are_not_ours_is_left_to_fastavro() -> None:
    raw = {"type": "record", "name": "R", "namespace": "t", "fields": [{"name": "f", "type": "double"}]}
    with pytest.raises(Unusual):
        reader_of(raw)(b"\x00" * 8, 0)


def test_the_second_message_of_a_record_is_judged_as_the_first() -> None:
    reader = Reader(contract())
    for _ in range(2):
        assert reader.read_value(VALUE)[1] == by_fastavro(SCHEMA, VALUE)
        for bad in (VALUE[:-1], VALUE + b"\x00"):
            with pytest.raises(NotOurMessage) as refused:
                reader.read_value(bad)
            assert refused.value.kind == "CONTENT"


def test_the_last_of_several_that_work_in_bulk_puts_the_garbage_collector_back() -> None:
    usual = gc.get_threshold()
    first, second = threading.Event(), threading.Event()

    def work() -> None:
        with rare_collections():
            first.set()
            second.wait(PATIENCE_S)

    thread = threading.Thread(target=work)
    with rare_collections():
        thread.start()
        assert first.wait(PATIENCE_S)
    assert gc.get_threshold() != usual
    second.set()
    thread.join()
    assert gc.get_threshold() == usual
