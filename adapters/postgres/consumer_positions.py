"""
Where consumers stand, and their dead letters: always in the transaction of the effect.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Cursor
from psycopg.types.json import Jsonb

from domain.errors import Conflict, NotFound, Refused

#: More than this many waiting letters of one consumer is not a bad message but a defect: it stops.
WAITING_MAX: Final = 100
BEHIND: Final = "BEHIND"

_PLACE: Final = """
SELECT topic_id, next_offset, high_water FROM consumer_offsets WHERE consumer = %s AND topic = %s AND partition = %s
"""
_PLACE_LOCKED: Final = f"{_PLACE} FOR UPDATE"
_COLUMNS: Final = (
    'number, consumer, topic, partition, "offset", key, value, headers, timestamp_ms, code, problem, attempts, '
    "parked_at"
)
_WAITING: Final = f"""
SELECT {_COLUMNS} FROM dead_letters WHERE state = 'waiting' AND (%s::text IS NULL OR consumer = %s)
ORDER BY consumer, topic, partition, "offset"
"""  # noqa: S608  the columns are ours
_QUEUE: Final = f"""
SELECT {_COLUMNS} FROM dead_letters WHERE state = 'waiting' AND consumer = %s AND topic = %s
AND (key = %s OR number = %s) ORDER BY "offset" FOR UPDATE
"""  # noqa: S608  the columns are ours

Headers = Sequence[tuple[str, bytes | None]]


class OvertakenConsumer(Conflict):
    """
    Another consumer of the group took this partition over; what it has done is not done again.
    """


class TooManyDeadLetters(Refused):
    """
    Too many messages could not be taken; the consumer stops before it parks more. Look at: backoffice dead-letters list
    """


class NoSuchDeadLetter(NotFound):
    """
    There is no waiting dead letter with that number; look at: backoffice dead-letters list
    """


class NotTheFirst(Refused):
    """
    An earlier message of the same key waits before this one; resolve that one first.
    """


class Place(NamedTuple):
    """
    One partition as one consumer has it: the next offset to take, the last sequence taken, and the topic it belongs to.
    """

    topic: str
    partition: int
    topic_id: str
    next_offset: int
    high_water: int | None


class Record(NamedTuple):
    """
    One message as it lies in the log.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class DeadLetter(NamedTuple):
    """
    A message that waits for a person. `code` BEHIND waits for an earlier one of its key only.
    """

    number: int
    consumer: str
    record: Record
    code: str
    problem: str
    attempts: int
    parked_at: Any


def place_of(cursor: Cursor[Any], consumer: str, topic: str, partition: int, *, lock: bool) -> Place | None:
    """
    Return where a consumer stands; with `lock`, hold the row until the transaction ends: a zombie waits, then sees.
    """
    cursor.execute(_PLACE_LOCKED if lock else _PLACE, [consumer, topic, partition])
    found = cursor.fetchone()
    return Place(topic, partition, *found) if found else None


def begin(cursor: Cursor[Any], consumer: str, place: Place) -> None:
    """
    Note where a consumer that never read this partition begins; somebody else's note stays.
    """
    cursor.execute(
        "INSERT INTO consumer_offsets (consumer, topic, partition, topic_id, next_offset, high_water) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [consumer, *place],
    )


def move(cursor: Cursor[Any], consumer: str, place: Place) -> None:
    cursor.execute(
        "UPDATE consumer_offsets SET next_offset = %s, high_water = %s, moved_at = clock_timestamp() "
        "WHERE consumer = %s AND topic = %s AND partition = %s",
        [place.next_offset, place.high_water, consumer, place.topic, place.partition],
    )


def waiting_keys(cursor: Cursor[Any], consumer: str, topic: str, keys: Collection[bytes]) -> set[bytes]:
    """
    Return which of these keys have a message that waits, so that later ones wait behind it.
    """
    cursor.execute(
        "SELECT DISTINCT key FROM dead_letters "
        "WHERE consumer = %s AND topic = %s AND state = 'waiting' AND key = ANY(%s)",
        [consumer, topic, list(keys)],
    )
    return {bytes(key) for (key,) in cursor.fetchall()}


def park(cursor: Cursor[Any], consumer: str, record: Record, *, code: str, problem: str) -> None:
    """
    Keep a message that cannot be taken now. Raises TooManyDeadLetters when more wait than can be an accident.
    """
    cursor.execute("SELECT count(*) FROM dead_letters WHERE consumer = %s AND state = 'waiting' AND code <> %s",
                   [consumer, BEHIND])  # fmt: skip
    if (cursor.fetchone() or (0,))[0] >= WAITING_MAX and code != BEHIND:
        raise TooManyDeadLetters(consumer=consumer)
    headers = [[name, None if value is None else base64.b64encode(value).decode()] for name, value in record.headers]
    cursor.execute(
        'INSERT INTO dead_letters (consumer, topic, partition, "offset", key, value, headers, timestamp_ms, code, '
        "problem) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [consumer, *record[:5], Jsonb(headers), record.timestamp_ms, code, problem[:500]],
    )


def waiting(cursor: Cursor[Any], consumer: str | None = None) -> list[DeadLetter]:
    """
    Return the letters that wait, in the order in which they must be taken.
    """
    cursor.execute(_WAITING, [consumer, consumer])
    return [_letter(row) for row in cursor.fetchall()]


def queue_behind(cursor: Cursor[Any], number: int) -> list[DeadLetter]:
    """
    Return the waiting letter with that number and those behind it, locked, in order.

    Raises NoSuchDeadLetter, NotTheFirst.
    """
    cursor.execute("SELECT consumer, topic, key FROM dead_letters WHERE number = %s AND state = 'waiting'", [number])
    found = cursor.fetchone()
    if found is None:
        raise NoSuchDeadLetter(number=number)
    cursor.execute(_QUEUE, [*found, number])
    letters = [_letter(row) for row in cursor.fetchall()]
    if letters and letters[0].number != number:
        raise NotTheFirst(number=number, first=letters[0].number)
    return letters


def resolve(cursor: Cursor[Any], number: int, *, state: str, by: str, reason: str) -> None:
    cursor.execute(
        "UPDATE dead_letters SET state = %s, resolved_at = clock_timestamp(), resolved_by = %s, reason = %s "
        "WHERE number = %s",
        [state, by, reason, number],
    )


def tried_again(cursor: Cursor[Any], number: int, *, code: str, problem: str) -> None:
    cursor.execute(
        "UPDATE dead_letters SET attempts = attempts + 1, code = %s, problem = %s WHERE number = %s",
        [code, problem[:500], number],
    )


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    number, consumer, topic, partition, offset, key, value, headers, timestamp_ms, code, problem, attempts, at = row
    opened = [(name, None if text is None else base64.b64decode(text)) for name, text in headers]
    record = Record(topic, partition, offset, _bytes(key), _bytes(value), opened, timestamp_ms)
    return DeadLetter(number, consumer, record, code, problem, attempts, at)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def positions(cursor: Cursor[Any]) -> Mapping[str, list[Place]]:
    """
    Return where every consumer stands, for `backoffice status`.
    """
    cursor.execute(
        "SELECT consumer, topic, partition, topic_id, next_offset, high_water FROM consumer_offsets ORDER BY 1, 2, 3"
    )
    found: dict[str, list[Place]] = {}
    for consumer, *place in cursor.fetchall():
        found.setdefault(consumer, []).append(Place(*place))
    return found
