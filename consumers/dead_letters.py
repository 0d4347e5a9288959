"""
What people do with messages that could not be taken: look, try again in order, or give one up with a reason.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Cursor

from adapters.postgres import dead_letters as letters
from adapters.postgres.consumer_positions import lock_topic
from adapters.postgres.database import WRITER, Database
from adapters.postgres.dead_letters import BEHIND, DeadLetter, NotTheFirst
from consumers.batch import CLOCK_DIFFERENCE_MS, MESSAGE_FAULTS, Effect, fault_of
from domain.errors import Refused


class NoReason(Refused):
    """
    Giving a message up is recorded with who and why; give a reason of at least three characters.
    """


class NotThisConsumer(Refused):
    """
    This letter is of another consumer.
    """


class Shown(NamedTuple):
    """
    A letter as people see it: nothing of what it says. `key` is empty when it is no id of ours, or sealed.
    """

    number: int
    consumer: str
    topic: str
    partition: int
    offset: int
    key: str
    code: str
    problem: str
    bytes: int | None
    schema_id: int | None
    header_names: Sequence[str]
    attempts: int
    parked_at: datetime
    behind: int


class Retried(NamedTuple):
    """
    What trying again did: how many of the queue were taken, and at which letter it stopped, and why.
    """

    taken: int
    still_waiting: int
    stopped_at: int | None
    code: str
    problem: str


def find(database: Database, consumer: str | None = None, *, limit: int = 1_000) -> list[Shown]:
    """
    Return the letters that wait for themselves, each with how many wait behind it.
    """
    with database.session(WRITER) as session, session.cursor() as cursor:
        waiting = letters.waiting(cursor, consumer, limit=limit)
    behind: dict[tuple[str, str, bytes | None], int] = {}
    firsts: dict[tuple[str, str, bytes | None], DeadLetter] = {}
    alone = [each for each in waiting if each.record.key is None]
    for each in waiting:
        if each.record.key is not None:
            queue = (each.consumer, each.record.topic, each.record.key)
            firsts.setdefault(queue, each)
            behind[queue] = behind.get(queue, -1) + 1
    shown = [_shown(each, behind[queue]) for queue, each in firsts.items()] + [_shown(each, 0) for each in alone]
    return sorted(shown, key=lambda each: each.number)


def show(database: Database, number: int) -> Shown:
    """
    Return one letter that waits. Raises NoSuchDeadLetter.
    """
    with database.session(WRITER) as session, session.cursor() as cursor:
        queue = letters.queue_of(cursor, number)
    index = next(index for index, each in enumerate(queue) if each.number == number)
    return _shown(queue[index], len(queue) - index - 1)


def retry(database: Database, number: int, *, effect: Effect, now_ms: int, by: str) -> Retried:
    """
    Take a letter and those behind it, in order, in one transaction with the effect; stop at the first that cannot be
    taken. Raises NoSuchDeadLetter, NotTheFirst and NotThisConsumer.
    """
    with database.session(WRITER) as session, session.cursor() as cursor:
        queue = _locked_queue(cursor, number)
        if queue[0].consumer != effect.name:
            raise NotThisConsumer(number=number, consumer=queue[0].consumer)
        for done, letter in enumerate(queue):
            try:
                with cursor.connection.transaction():
                    record = effect.keeper.open(letter.consumer, letter.record) if letter.sealed else letter.record
                    message = effect.read(record, latest_ms=now_ms + CLOCK_DIFFERENCE_MS)
                    effect.apply(cursor, [(record, message)])
            except MESSAGE_FAULTS as fault:
                code, problem = fault_of(fault)
                letters.tried_again(cursor, letter.number, code=code, problem=problem)
                return Retried(done, len(queue) - done, letter.number, code, problem)
            letters.resolve(cursor, letter.number, state="taken", by=by, reason="taken when tried again")
    return Retried(len(queue), 0, None, "", "")


def discard(database: Database, number: int, *, by: str, reason: str) -> Shown:
    """
    Give a letter up: it will never be taken. Only the first of its key; those behind it wait until `retry` of the next.

    Returns what was given up. Raises NoReason, NoSuchDeadLetter and NotTheFirst.
    """
    if len(reason.strip()) < 3:
        raise NoReason
    with database.session(WRITER) as session, session.cursor() as cursor:
        queue = _locked_queue(cursor, number)
        letters.resolve(cursor, number, state="discarded", by=by, reason=reason.strip())
    return _shown(queue[0], len(queue) - 1)


def consumer_of(database: Database, number: int) -> str:
    """
    Return whose letter it is. Raises NoSuchDeadLetter.
    """
    with database.session(WRITER) as session, session.cursor() as cursor:
        return letters.topic_of(cursor, number)[0]


def _locked_queue(cursor: Cursor[Any], number: int) -> list[DeadLetter]:
    """
    Return the queue that a letter is the first of; nothing is parked behind it meanwhile.
    """
    lock_topic(cursor, *letters.topic_of(cursor, number))
    queue = letters.queue_of(cursor, number)
    if queue[0].number != number:
        raise NotTheFirst(number=number, first=queue[0].number)
    return queue


def _shown(letter: DeadLetter, behind: int) -> Shown:
    record = letter.record
    return Shown(
        number=letter.number,
        consumer=letter.consumer,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=_id_in(record.key),
        code=letter.code,
        problem=letter.problem if letter.code != BEHIND else "It waits for an earlier message of its key.",
        bytes=letter.bytes,
        schema_id=None if letter.sealed else _schema_id(record.value),
        header_names=[name for name, _ in record.headers],
        attempts=letter.attempts,
        parked_at=letter.parked_at,
        behind=behind,
    )


def _id_in(key: bytes | None) -> str:
    """
    Return a key that is an id of ours; any other may be what a stranger wrote, and is not shown.
    """
    try:
        return str(UUID((key or b"").decode("ascii")))
    except ValueError:
        return ""


def _schema_id(value: bytes | None) -> int | None:
    return struct.unpack(">I", value[1:5])[0] if value and value[0] == 0 and len(value) >= 5 else None
