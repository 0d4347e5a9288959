"""
Public records as bytes: a zero byte, the schema's id in four, then Avro. What is not ours is refused, with a code.

Written by `formats.avro_writer`, read by `formats.avro_reader` when all is well and by fastavro otherwise. Each message
says by its id with which schema it was written; ids stand in `schemas/ids.yaml`, so that no registry is needed to read.
A reader gets the newest version that we know.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, NamedTuple

import fastavro
from fastavro.schema import SchemaParseException
from fastavro.types import Schema as ParsedSchema

from domain.errors import Unreadable
from formats.avro_reader import Read, Unusual, reader_of
from formats.cloudevents import CloudEvent, HeadersUnreadable, read_headers
from formats.contract import Contract, Schema, contract

#: A record of ours has some hundred bytes; the largest event that is stored has 256 KiB.
MESSAGE_BYTES_MAX: Final = 1024 * 1024
_FRAME: Final = struct.Struct(">bI")

Code = Literal["TOMBSTONE", "SCHEMA", "CONTENT", "LIMIT", "ENVELOPE", "TOPIC"]
#: What fastavro raises over bytes that are not what the schema says; every other error is a defect.
_BAD_BYTES: Final = (EOFError, IndexError, ValueError, KeyError, TypeError, OverflowError, MemoryError, struct.error)


class NotOurMessage(Unreadable):
    """
    A message is not one of ours, or is not whole.

    Its code says how: TOMBSTONE (no value), SCHEMA (frame or id), CONTENT (cut, too long, or not what its schema says),
    LIMIT (too large), ENVELOPE (headers, key or time contradict it), TOPIC (a record of another topic).
    """

    def __init__(self, code: Code, problem: str, **facts: object) -> None:
        super().__init__(f"This message is not taken: {problem}.", **facts)
        self.kind: Code = code


class Received(NamedTuple):
    """
    A message that was read. `version` is the one it was written with; `fields` are those of the newest version we know.
    """

    record_name: str
    version: int
    fields: Mapping[str, Any]
    event: CloudEvent | None


class Reader:
    """
    Reads messages of one contract. Writer and reader schemas are parsed once.
    """

    def __init__(self, of: Contract) -> None:
        self._contract = of
        self._writers: dict[int, tuple[Schema, ParsedSchema, ParsedSchema | None]] = {}
        #: By the frame of a message: what reads messages of a newest version quickly.
        self._quick: dict[bytes, tuple[Schema, Read]] = {}

    def read(
        self, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None, *, topic: str | None = None
    ) -> Received:
        """
        Return what a message says. `headers` None reads the value alone; `topic` is where it was found.

        Raises NotOurMessage.
        """
        schema, fields = self.read_value(value)
        if topic is not None and schema.topic != topic:
            raise NotOurMessage("TOPIC", "it is a record of another topic", record=schema.record, found_on=topic[:200])
        event = None if headers is None else self._event(headers, schema)
        return Received(schema.record, schema.version, fields, event)

    def read_value(self, value: bytes | None) -> tuple[Schema, Mapping[str, Any]]:
        """
        Return the schema that a value was written with, and its fields in the newest version. Raises NotOurMessage.
        """
        quick = None if value is None else self._quick.get(value[: _FRAME.size])
        if quick is not None and value is not None and len(value) <= MESSAGE_BYTES_MAX:
            try:
                return quick[0], quick[1](value, _FRAME.size)[0]
            except Unusual:
                pass  # fastavro says what it is, or what is wrong with it
        return self._read_carefully(value)

    def _read_carefully(self, value: bytes | None) -> tuple[Schema, Mapping[str, Any]]:
        number = _id_of(value)
        found = self._writers.get(number) or self._parsed(number)
        schema, writer, reader = found
        assert value is not None
        source = io.BytesIO(value)
        source.seek(_FRAME.size)
        try:
            fields = fastavro.schemaless_reader(source, writer, reader)
        except (*_BAD_BYTES, fastavro.read.SchemaResolutionError):
            raise NotOurMessage("CONTENT", "its bytes are not what its schema says", record=schema.name) from None
        if source.tell() != len(value):
            raise NotOurMessage("CONTENT", "bytes are left over at its end", record=schema.name)
        assert isinstance(fields, dict)
        return schema, fields

    def _parsed(self, number: int) -> tuple[Schema, ParsedSchema, ParsedSchema | None]:
        schema = self._contract.by_id.get(number)
        if schema is None:
            problem = "its schema id is unknown here; a newer release may have written it"
            raise NotOurMessage("SCHEMA", problem, id=number)
        newest = self._contract.newest_released(schema.record)
        writer = parsed(schema)
        reader = None if newest is schema else parsed(newest)
        self._writers[number] = (schema, writer, reader)
        if reader is None:
            self._quick[frame(schema)] = (schema, reader_of(schema.raw))
        return self._writers[number]

    def _event(self, headers: Iterable[tuple[str, bytes | None]], schema: Schema) -> CloudEvent:
        try:
            event = read_headers(headers)
        except HeadersUnreadable as error:
            raise NotOurMessage("ENVELOPE", error.problem, record=schema.name) from None
        if event.type != schema.record or event.dataschema != _dataschema(schema.record, schema.version):
            raise NotOurMessage("ENVELOPE", "its headers name another record than its value", record=schema.name)
        return event


class _Ours:
    """
    The reader of the contract that ships with this program, made at the first message.
    """

    @cached_property
    def reader(self) -> Reader:
        return Reader(contract())


_OURS: Final = _Ours()


def read_message(
    value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None, *, topic: str | None = None
) -> Received:
    """
    Read one message of the contract that ships with this program. Raises NotOurMessage.
    """
    return _OURS.reader.read(value, headers, topic=topic)


def check_placed(
    received: Received,
    *,
    key: bytes | None,
    timestamp_ms: int,
    latest_ms: int,
) -> None:
    """
    Check that key, time and value belong together; `latest_ms` is now with what clocks may differ, in ms since 1970.

    Raises NotOurMessage with the code ENVELOPE.
    """
    event = received.event
    if event is None or key is None:
        raise NotOurMessage("ENVELOPE", "it has no headers or no key", record=received.record_name)
    if event.partition_key.encode() != key or _as_key(next(iter(received.fields.values()))) != event.partition_key:
        raise NotOurMessage("ENVELOPE", "its key is not that of its record", record=received.record_name)
    if timestamp_ms > latest_ms or timestamp_ms < 0:
        raise NotOurMessage("ENVELOPE", "its time lies in the future", record=received.record_name)


def dataschema(schema: Schema) -> str:
    """
    Return the name of a schema as headers carry it; it needs no registry to be understood.
    """
    return _dataschema(schema.record, schema.version)


@lru_cache(maxsize=1_024)
def _dataschema(record: str, version: int) -> str:
    return f"urn:backoffice:schema:{record}:{version}"


@lru_cache(maxsize=8_192, typed=True)
def _as_key(value: Any) -> str:
    """
    Return the first field of a record as its key is written; the messages of one stream have the same.
    """
    return str(value)


def frame(schema: Schema) -> bytes:
    """
    Return the five bytes before the Avro of this schema.
    """
    return _FRAME.pack(0, schema.id)


def parsed(schema: Schema) -> ParsedSchema:
    """
    Return a schema as fastavro wants it. Raises SchemaUnusable, also for one that contains itself.
    """
    if recursive(schema.raw):
        raise SchemaUnusable(record=schema.name, problem="it contains itself; a short message could end the reader")
    try:
        return fastavro.parse_schema(json_copy(schema.raw), named_schemas={})
    except (SchemaParseException, KeyError, TypeError, ValueError) as error:
        raise SchemaUnusable(record=schema.name, problem=type(error).__name__) from None


class SchemaUnusable(Unreadable):
    """
    A schema is no Avro schema that we can use; correct its file.
    """


def recursive(schema: Any, *, inside: frozenset[str] = frozenset(), namespace: str = "") -> bool:
    """
    Tell whether a schema contains itself: fastavro then overflows the stack on a short message.
    """
    if isinstance(schema, str):
        return schema in inside or f"{namespace}.{schema}" in inside
    if isinstance(schema, list):
        return any(recursive(each, inside=inside, namespace=namespace) for each in schema)
    kind = schema.get("type")
    if kind != "record":
        return any(
            recursive(schema[part], inside=inside, namespace=namespace)
            for part in ("type", "items", "values")
            if isinstance(schema.get(part), (dict, list, str)) and not (part == "type" and kind in {"array", "map"})
        )
    namespace = schema.get("namespace", namespace)
    inside = inside | {f"{namespace}.{schema['name']}", str(schema["name"])}
    return any(recursive(field["type"], inside=inside, namespace=namespace) for field in schema["fields"])


def json_copy(schema: Any) -> Any:
    """
    Return a copy that a library may write into.
    """
    if isinstance(schema, Mapping):
        return {key: json_copy(value) for key, value in schema.items()}
    return [json_copy(each) for each in schema] if isinstance(schema, list) else schema


def _id_of(value: bytes | None) -> int:
    if value is None:
        raise NotOurMessage("TOMBSTONE", "it has no value; nothing on our topics is ever deleted that way")
    if len(value) > MESSAGE_BYTES_MAX:
        raise NotOurMessage("LIMIT", f"it is larger than {MESSAGE_BYTES_MAX} bytes", bytes=len(value))
    if len(value) < _FRAME.size:
        raise NotOurMessage("SCHEMA", "it is too short to name its schema", bytes=len(value))
    magic, number = _FRAME.unpack_from(value)
    if magic != 0:
        raise NotOurMessage("SCHEMA", "it does not begin with a zero byte and a schema id")
    return int(number)
