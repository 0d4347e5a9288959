"""
The headers of our messages: CloudEvents 1.0 in Kafka's binary mode, with sequence and previous sequence to find gaps.

Attribute names are lower case without underscores, as the specification asks. `ce_previoussequence` is absent on the
first message of a partition. Source: CloudEvents Kafka protocol binding 1.0.2; extensions `partitionkey`, `sequence`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

Headers = list[tuple[str, bytes]]

CONTENT_TYPE: Final = "application/avro"
_SPEC: Final = ("ce_specversion", b"1.0")
_CONTENT: Final = ("content-type", CONTENT_TYPE.encode())
#: Fixed width, so that text order is number order, as the `sequence` extension asks.
SEQUENCE_DIGITS: Final = 19
_ID: Final = re.compile(rb"[0-9a-f-]{36}")
_VERSION: Final = re.compile(rb"[1-9][0-9]{0,9}")
_SOURCE_BYTES_MAX: Final = 200
_HEADERS_MAX: Final = 64
_HEADER_BYTES_MAX: Final = 1024
_OTHER_FORM: Final = "one of its headers has another form than ours"


class HeadersUnreadable(Exception):
    """
    The headers are not those of one of our messages; `problem` says why, without their values.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class CloudEvent(NamedTuple):
    """
    What the headers say. `sequence` rises within a partition; `previous_sequence` is that of the message before it.

    `epoch` changes when the store was put back from a backup: sequences of another epoch are not to be compared.
    """

    id: str
    source: str
    type: str
    time: datetime
    stream: UUID
    stream_version: int
    dataschema: str
    partition_key: str
    sequence: int
    previous_sequence: int | None
    epoch: str
    run: UUID | None


def fixed_headers(
    *, type: str, dataschema: str, source: str, epoch: str | None = None
) -> tuple[tuple[str, bytes], ...]:
    """
    Return the headers that all messages of one record and version have, from one source in one epoch.
    """
    about = (("ce_type", type.encode()), ("ce_dataschema", dataschema.encode()), ("ce_source", source.encode()))
    return (_SPEC, _CONTENT, *about, *((("ce_epoch", epoch.encode()),) if epoch is not None else ()))


def headers_of(
    fixed: tuple[tuple[str, bytes], ...],
    *,
    source: bytes,
    stream: bytes,
    version: int,
    time: bytes,
    partition_key: bytes,
    sequence: int,
    previous_sequence: int | None,
    run: bytes | None,
) -> Headers:
    """
    Return all headers of one message. `stream`, `partition_key` and `run` are ids as text; `fixed` has the source too.
    """
    headers = [
        *fixed,
        ("ce_id", b"%b:%b:%d" % (source, stream, version)),
        ("ce_time", time),
        ("ce_subject", stream),
        ("ce_partitionkey", partition_key),
        ("ce_sequence", b"%019d" % sequence),
    ]
    if previous_sequence is not None:
        headers.append(("ce_previoussequence", b"%019d" % previous_sequence))
    if run is not None:
        headers.append(("ce_runid", run))
    return headers


def read_headers(headers: Iterable[tuple[str, bytes | None]]) -> CloudEvent:
    """
    Return what the headers say; other headers, such as those of a tracing tool, are passed over. `time` is in UTC.

    Raises HeadersUnreadable.
    """
    found = _ours(headers)
    source, type_, dataschema, epoch = _about((
        found["ce_specversion"], found["content-type"], found["ce_source"], found["ce_type"], found["ce_dataschema"],
        found["ce_epoch"],
    ))  # fmt: skip
    subject, raw_id, sequence = found["ce_subject"], found["ce_id"], _number(found["ce_sequence"])
    before, run = found.get("ce_previoussequence"), found.get("ce_runid")
    previous = None if before is None else _number(before)
    if previous is not None and previous >= sequence:
        raise HeadersUnreadable("its previous sequence is not before its own")
    prefix = b"%b:%b:" % (found["ce_source"], subject)
    version = raw_id[len(prefix) :]
    if not raw_id.startswith(prefix) or not _VERSION.fullmatch(version):
        raise HeadersUnreadable("its id, its source and its subject do not belong together")
    return CloudEvent(
        raw_id.decode(), source, type_, _moment(found["ce_time"]), _stream(subject), int(version), dataschema,
        _text(found["ce_partitionkey"]), sequence, previous, epoch, None if run is None else _stream(run),
    )  # fmt: skip


# --- Each part; what many messages have is read once ------------------------------------------------------------------


@lru_cache(maxsize=1_024)
def _about(raw: tuple[bytes, bytes, bytes, bytes, bytes, bytes]) -> tuple[str, str, str, str]:
    *form, source, type_, dataschema, epoch = raw
    if form != [_SPEC[1], _CONTENT[1]]:
        raise HeadersUnreadable("its headers are not of a CloudEvent 1.0 in Avro")
    if not 0 < len(source) <= _SOURCE_BYTES_MAX:
        raise HeadersUnreadable(_OTHER_FORM)
    return _text(source), _text(type_), _text(dataschema), _text(epoch)


@lru_cache(maxsize=8_192)
def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise HeadersUnreadable(_OTHER_FORM) from None


@lru_cache(maxsize=8_192)
def _stream(value: bytes) -> UUID:
    if not _ID.fullmatch(value):
        raise HeadersUnreadable(_OTHER_FORM)
    try:
        return UUID(value.decode())
    except ValueError:
        raise HeadersUnreadable(_OTHER_FORM) from None


@lru_cache(maxsize=4_096)
def _moment(value: bytes) -> datetime:
    try:
        time = datetime.fromisoformat(value.decode())
        if time.tzinfo is None:
            raise HeadersUnreadable("its time has no zone")
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise HeadersUnreadable(_OTHER_FORM) from None


def _number(value: bytes) -> int:
    if len(value) != SEQUENCE_DIGITS or not value.isdigit():
        raise HeadersUnreadable(_OTHER_FORM)
    return int(value)


_NEEDED: Final = frozenset({
    "ce_specversion", "content-type", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_dataschema",
    "ce_partitionkey", "ce_sequence", "ce_epoch",
})  # fmt: skip
_KNOWN: Final = frozenset({*_NEEDED, "ce_previoussequence", "ce_runid"})


def _ours(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    pairs = headers if isinstance(headers, list) else list(headers)
    found = dict(pairs)
    # As we write them, which is nearly always: ours alone, each once, and small together.
    try:
        plain = (
            len(found) == len(pairs) and found.keys() <= _KNOWN and sum(map(len, found.values())) <= _HEADER_BYTES_MAX
        )
    except TypeError:  # one is empty
        plain = False
    if not plain:
        found = _sorted_out(pairs)
    if not found.keys() >= _NEEDED:
        raise HeadersUnreadable("headers are missing")
    return found


def _sorted_out(headers: list[tuple[str, bytes | None]]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for count, (name, value) in enumerate(headers):
        if count >= _HEADERS_MAX or (value is not None and len(value) > _HEADER_BYTES_MAX):
            raise HeadersUnreadable("it has too many or too large headers")
        if name in _KNOWN:
            if name in found or value is None:
                raise HeadersUnreadable("one of its headers stands there twice or is empty")
            found[name] = value
    return found
