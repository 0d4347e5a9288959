"""
Commands that come by Kafka: the same JSON and the same checks as `backoffice import`, each answered on the reply topic.

A command is taken in a transaction of its own with its answer, keyed by its id; then the answer is sent; then the
consumer moves on. Killed in between, it is read again, has no second effect, and its answer is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple, cast
from uuid import UUID

from psycopg import Cursor

from adapters.command_files import read_command
from adapters.kafka.relay import Outgoing, Pages
from adapters.kafka.translation import SOURCE
from adapters.postgres import consumer_positions as places
from adapters.postgres.consumer_positions import Record
from adapters.postgres.database import OWNER, Database
from adapters.postgres.dead_letters import Keeper
from application.commands import AnyCommand
from application.deciding import Context
from application.ports import EventStore
from application.take_commands import Answered, Sender, take_commands
from consumers.batch import Chain
from formats.avro import NotOurMessage, read_message
from formats.partitions import partition_of
from formats.published_commands import COMMANDS, answer_message
from formats.rejections import InputRejected

TOPIC: Final = COMMANDS
ANSWERS: Final = "backoffice.command-answers.v1"


class Sent(NamedTuple):
    """
    One message: a command, or why it is none.
    """

    command_id: UUID
    command: AnyCommand | None
    rejected: InputRejected | None


class Told(NamedTuple):
    """
    What the sender is told of one command.
    """

    command_id: UUID
    outcome: Literal["accepted", "refused"]
    repeated: bool
    detail: Mapping[str, Any]


class Answers:
    """
    Sends answers, all acknowledged or none of them counts. `topic` has `partitions`.
    """

    def __init__(self, pages: Pages, *, partitions: int, topic: str = ANSWERS, source: str = SOURCE) -> None:
        self._pages = pages
        self._partitions = partitions
        self._topic = topic
        self._source = source

    def send(self, told: Sequence[Told], *, now: datetime) -> None:
        """
        Raises PageNotAcknowledged or BrokerUnavailable: send them again.
        """
        self._pages.send([self._record(each, now) for each in told])

    def _record(self, told: Told, now: datetime) -> Outgoing:
        detail = told.detail
        member_id = detail.get("member_id")
        _, key, value, headers, timestamp_ms = answer_message(
            command_id=told.command_id,
            outcome=told.outcome,
            repeated=told.repeated,
            answered_at=now,
            source=self._source,
            code=detail.get("code"),
            rule=detail.get("rule"),
            message=detail.get("message"),
            member_id=None if member_id is None else UUID(str(member_id)),
        )
        return Outgoing(self._topic, partition_of(key, self._partitions), key, value, headers, timestamp_ms, 0)


@dataclass(kw_only=True)
class Commands:
    """
    The effect of the consumer `commands`: who sends is `actor`, the business date is `today`.

    `keeper` seals its dead letters: commands hold names, accounts and national numbers.
    """

    store: EventStore
    context: Callable[[date], Context]
    today: Callable[[], date]
    now: Callable[[], datetime]
    actor: str
    answers: Answers
    keeper: Keeper
    name: str = "commands"

    def read(self, record: Record, *, latest_ms: int) -> Sent:
        """
        Read one message. What is no record of ours is parked; bad JSON in a good record is answered, as any refusal.
        """
        fields = read_message(record.value, None, topic=TOPIC).fields
        if not 0 <= record.timestamp_ms <= latest_ms:
            raise NotOurMessage("ENVELOPE", "its time lies in the future")
        command_id: UUID = fields["command_id"]
        try:
            command = read_command(fields["command_json"].encode(errors="surrogatepass"))
        except InputRejected as rejected:
            return Sent(command_id, None, rejected)
        if command.command_id != command_id:
            problem = "it is not the command_id of the message"
            return Sent(command_id, None, InputRejected("SCHEMA", problem, field="command_id"))
        return Sent(command_id, command, None)

    def chain_of(self, message: Sent) -> Chain | None:
        """
        Senders number nothing: a repeat is known by its command id.
        """

    def apply(self, cursor: Cursor[Any], messages: Sequence[tuple[Record, Sent]]) -> None:
        day = self.today()
        lines = [(number, sent.command) for number, (_, sent) in enumerate(messages) if sent.command is not None]
        sender = Sender(self.actor, day, "inbound")
        taken = take_commands(self.store, lines, context=self.context(day), sender=sender)
        told = {answered.line: _told(answered) for answered in taken}
        for number, (_, sent) in enumerate(messages):
            if sent.rejected is not None:
                told[number] = _refused(sent.command_id, sent.rejected)
        self.answers.send([told[number] for number in sorted(told)], now=self.now())


def begin_afresh(database: Database) -> None:
    """
    Forget where the consumer stood: it begins at the first command that the topic still holds. What was taken before
    has no second effect; letters that wait stay.
    """
    with database.session(OWNER) as session, session.cursor() as cursor:
        places.forget(cursor, Commands.name)


def _told(answered: Answered) -> Told:
    answer = answered.answer
    outcome = cast(Literal["accepted", "refused"], answer.outcome)
    return Told(answer.command_id, outcome, answered.repeated, answer.detail)


def _refused(command_id: UUID, rejected: InputRejected) -> Told:
    where = f" ({rejected.field})" if rejected.field else ""
    message = f"The command was not taken: {rejected.problem}{where}."
    return Told(command_id, "refused", repeated=False, detail={"code": rejected.code, "message": message})
