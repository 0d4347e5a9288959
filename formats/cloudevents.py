"""
The headers of our messages: CloudEvents 1.0 in Kafka's binary mode, with sequence and previous sequence to find gaps.

Attribute names are lower case without underscores, as the specification asks. `ce_previoussequence` is absent on the
first message of a partition. Source: CloudEvents Kafka protocol binding 1.0.2; extensions `partitionkey`, `sequence`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

Headers = list[tuple[str, bytes]]

CONTENT_TYPE: Final = "application/avro"
_SPEC: Final = ("ce_specversion", b"1.0")
_CONTENT: Final = ("content-type", CONTENT_TYPE.encode())
#: Fixed width, so that text order is number order, as the `sequence` extension asks.
SEQUENCE_DIGITS: Final = 19
_SEQUENCE: Final = re.compile(rb"[0-9]{19}")
_ID: Final = re.compile(r"(?P<source>.{1,200}):(?P<stream>[0-9a-f-]{36}):(?P<version>[1-9][0-9]{0,9})", re.DOTALL)
_HEADERS_MAX: Final = 64
_HEADER_BYTES_MAX: Final = 1024


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
    Return what the headers say; other headers, such as those of a tracing tool, are passed over.

    Raises HeadersUnreadable.
    """
    found = _ours(headers)
    if found["ce_specversion"] != b"1.0" or found["content-type"] != CONTENT_TYPE.encode():
        raise HeadersUnreadable("its headers are not of a CloudEvent 1.0 in Avro")
    match = _ID.fullmatch(found["ce_id"].decode(errors="replace"))
    if match is None or match["stream"].encode() != found["ce_subject"]:
        raise HeadersUnreadable("its id and its subject do not belong together")
    try:
        time = datetime.fromisoformat(found["ce_time"].decode())
        run = found.get("ce_runid")
        event = CloudEvent(
            id=match[0],
            source=found["ce_source"].decode(),
            type=found["ce_type"].decode(),
            time=time,
            stream=UUID(match["stream"]),
            stream_version=int(match["version"]),
            dataschema=found["ce_dataschema"].decode(),
            partition_key=found["ce_partitionkey"].decode(),
            sequence=_sequence(found["ce_sequence"]),
            previous_sequence=_sequence(found["ce_previoussequence"]) if "ce_previoussequence" in found else None,
            epoch=found["ce_epoch"].decode(),
            run=UUID(run.decode()) if run is not None else None,
        )
    except ValueError:  # not UTF-8, not an id, not a moment, not a number
        raise HeadersUnreadable("one of its headers has another form than ours") from None
    _check(event, match["source"])
    return event


_NEEDED: Final = (
    "ce_specversion", "content-type", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_dataschema",
    "ce_partitionkey", "ce_sequence", "ce_epoch",
)  # fmt: skip
_KNOWN: Final = frozenset({*_NEEDED, "ce_previoussequence", "ce_runid"})


def _ours(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for count, (name, value) in enumerate(headers):
        if count >= _HEADERS_MAX or (value is not None and len(value) > _HEADER_BYTES_MAX):
            raise HeadersUnreadable("it has too many or too large headers")
        if name in _KNOWN:
            if name in found or value is None:
                raise HeadersUnreadable("one of its headers stands there twice or is empty")
            found[name] = value
    if any(name not in found for name in _NEEDED):
        raise HeadersUnreadable("headers are missing")
    return found


def _sequence(value: bytes) -> int:
    if not _SEQUENCE.fullmatch(value):
        raise ValueError
    return int(value)


def _check(event: CloudEvent, source: str) -> None:
    if source != event.source:
        raise HeadersUnreadable("its id names another source than its headers")
    if event.time.tzinfo is None:
        raise HeadersUnreadable("its time has no zone")
    if event.previous_sequence is not None and event.previous_sequence >= event.sequence:
        raise HeadersUnreadable("its previous sequence is not before its own")
