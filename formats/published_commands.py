"""
Commands that come in by Kafka, and the answers that go back: one record around the JSON of `backoffice import`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Literal, NamedTuple
from uuid import UUID

from formats.avro import NotOurMessage, dataschema, frame, read_message
from formats.avro_writer import writer_of
from formats.cloudevents import fixed_headers
from formats.contract import Schema, contract
from formats.published import Message

COMMANDS: Final = "backoffice.commands.v1"
#: As long as a line of a file of commands may be.
COMMAND_BYTES_MAX: Final = 64 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Sent(NamedTuple):
    """
    A command as it came: its id, and one JSON object that has the same `command_id`.
    """

    command_id: UUID
    command_json: str


def read_command(value: bytes | None) -> Sent:
    """
    Read a message of the topic of commands. Raises NotOurMessage, whose sentence repeats nothing of the command.
    """
    fields = read_message(value, None, topic=COMMANDS).fields
    if len(fields["command_json"].encode()) > COMMAND_BYTES_MAX:
        raise NotOurMessage("LIMIT", f"its command is longer than {COMMAND_BYTES_MAX} bytes")
    return Sent(fields["command_id"], fields["command_json"])


def command_value(*, command_id: UUID, command_json: str) -> bytes:
    """
    Return the value that a sender of commands makes.
    """
    schema = _schema("backoffice.commands.CommandSent/1")
    fields = {"command_id": command_id, "command_json": command_json}
    return frame(schema) + writer_of(schema.raw, record=schema.name)(fields)


def answer_message(
    *,
    command_id: UUID,
    outcome: Literal["accepted", "refused"],
    repeated: bool,
    answered_at: datetime,
    source: str,
    code: str | None = None,
    rule: str | None = None,
    message: str | None = None,
    member_id: UUID | None = None,
) -> Message:
    """
    Return the answer to one command, ready to send; `answered_at` is aware. Raises NotPublishable.

    Code, rule and message are those of the refusal (`BackofficeError.name`, `.rule`, the sentence without facts).
    """
    schema = _schema("backoffice.commands.CommandAnswered/1")
    moment = answered_at.astimezone(UTC)
    micros = (moment - _EPOCH) // _MICROSECOND
    says = {"outcome": outcome.upper(), "code": code, "rule": rule, "message": message}
    fields = {"command_id": command_id, "repeated": repeated, "member_id": member_id, "answered_at": micros, **says}
    value = writer_of(schema.raw, record=schema.name)(fields)
    key = str(command_id).encode()
    headers = [
        *fixed_headers(type=schema.record, dataschema=dataschema(schema), source=source),
        ("ce_id", b"%b:answer:%b" % (source.encode(), key)),
        ("ce_time", moment.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()),
        ("ce_subject", key),
        ("ce_partitionkey", key),
    ]
    return Message(schema.topic, key, frame(schema) + value, headers, micros // 1000)


@cache
def _schema(name: str) -> Schema:
    return contract().schema(name)
