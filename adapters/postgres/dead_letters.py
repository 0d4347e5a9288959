"""
Messages that could not be taken, kept in the transaction that passed them over; later ones of their key wait behind.

A consumer whose messages hold personal data keeps its letters sealed: only a message's place stands in the clear.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Cursor
from psycopg.types.json import Jsonb

from adapters.postgres.consumer_positions import Record
from adapters.sealing import MasterKey, SealBroken
from domain.errors import NotFound, Refused

#: More than this many bad messages of one consumer is not bad input but a defect: it stops.
WAITING_MAX: Final = 100
BEHIND: Final = "BEHIND"
_NONCE_BYTES: Final = 12

_COLUMNS: Final = (
    'number, consumer, topic, partition, "offset", key, value, headers, sealed, bytes, timestamp_ms, sequence, '
    "previous_sequence, code, problem, attempts, parked_at"
)
_WAITING: Final = f"""
SELECT {_COLUMNS} FROM dead_letters WHERE state = 'waiting' AND (%s::text IS NULL OR consumer = %s)
ORDER BY consumer, topic, partition, "offset" LIMIT %s
"""  # noqa: S608  the columns are ours
_QUEUE: Final = f"""
SELECT {_COLUMNS} FROM dead_letters WHERE state = 'waiting' AND consumer = %s AND topic = %s
AND (key = %s OR number = %s) ORDER BY partition, "offset" FOR UPDATE
"""  # noqa: S608  the columns are ours
_PARK: Final = """
INSERT INTO dead_letters (consumer, topic, partition, "offset", key, value, headers, sealed, bytes, timestamp_ms,
    sequence, previous_sequence, code, problem)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


class TooManyDeadLetters(Refused):
    """
    Too many messages could not be taken; the consumer stopped before it parks more. See: backoffice dead-letters list
    """


class NoSuchDeadLetter(NotFound):
    """
    There is no waiting dead letter with that number; see: backoffice dead-letters list
    """


class NotTheFirst(Refused):
    """
    An earlier message of the same key waits before this one; resolve that one first.
    """


class Kept(NamedTuple):
    """
    A message as it is kept. `key` is what finds others of its key.
    """

    key: bytes | None
    value: bytes | None
    headers: list[list[str | None]]
    sealed: bool


class Keeper(Protocol):
    """
    How the letters of a consumer are kept: in the clear, or sealed.
    """

    def key_of(self, key: bytes) -> bytes: ...

    def keep(self, consumer: str, record: Record) -> Kept: ...

    def open(self, consumer: str, record: Record) -> Record: ...


class InTheClear:
    """
    For messages that hold nothing personal.
    """

    def key_of(self, key: bytes) -> bytes:
        return key

    def keep(self, consumer: str, record: Record) -> Kept:
        return Kept(record.key, record.value, [[name, _text(value)] for name, value in record.headers], sealed=False)

    def open(self, consumer: str, record: Record) -> Record:
        return record


class Sealed:
    """
    For messages with personal data: value, key and headers in one box (AES-256-GCM, bound to the message's place), and
    beside it a keyed digest of the key.
    """

    def __init__(self, master: MasterKey) -> None:
        self._master = master
        self._cipher = AESGCM(master.blind("dead letters", "key"))

    def key_of(self, key: bytes) -> bytes:
        return self._master.blind("dead letter key", key.hex())

    def keep(self, consumer: str, record: Record) -> Kept:
        content = msgspec.msgpack.encode([record.key, record.value, record.headers])
        nonce = os.urandom(_NONCE_BYTES)
        box = nonce + self._cipher.encrypt(nonce, content, _where(consumer, record))
        return Kept(None if record.key is None else self.key_of(record.key), box, [], sealed=True)

    def open(self, consumer: str, record: Record) -> Record:
        """
        Return the message as it came. Raises SealBroken.
        """
        box = record.value or b""
        try:
            content = self._cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _where(consumer, record))
        except (InvalidTag, ValueError):
            raise SealBroken from None
        key, value, headers = msgspec.msgpack.decode(
            content, type=tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
        )
        return record._replace(key=key, value=value, headers=headers)


class DeadLetter(NamedTuple):
    """
    A message that waits for a person. `code` BEHIND waits for an earlier one of its key only; `record` is as kept.
    """

    number: int
    consumer: str
    record: Record
    sealed: bool
    bytes: int | None
    sequence: int | None
    previous_sequence: int | None
    code: str
    problem: str
    attempts: int
    parked_at: datetime


def park(
    cursor: Cursor[Any],
    consumer: str,
    record: Record,
    *,
    keeper: Keeper,
    code: str,
    problem: str,
    sequence: int | None = None,
    previous: int | None = None,
) -> None:
    """
    Keep a message that cannot be taken now.
    """
    kept = keeper.keep(consumer, record)
    size = None if record.value is None else len(record.value)
    cursor.execute(
        _PARK,
        [consumer, *record[:3], kept.key, kept.value, Jsonb(kept.headers), kept.sealed, size, record.timestamp_ms,
         sequence, previous, code, problem[:500]],
    )  # fmt: skip


def bad_ones(cursor: Cursor[Any], consumer: str) -> int:
    """
    Return how many letters of a consumer wait for themselves, not behind another one.
    """
    cursor.execute(
        "SELECT count(*) FROM dead_letters WHERE consumer = %s AND state = 'waiting' AND code <> %s", [consumer, BEHIND]
    )
    return int((cursor.fetchone() or (0,))[0])


def waiting_keys(cursor: Cursor[Any], consumer: str, topic: str, keys: Collection[bytes]) -> set[bytes]:
    """
    Return which of these keys (as they are kept) have a message that waits, so that later ones wait behind it.
    """
    cursor.execute(
        "SELECT DISTINCT key FROM dead_letters "
        "WHERE consumer = %s AND topic = %s AND state = 'waiting' AND key = ANY(%s)",
        [consumer, topic, list(keys)],
    )
    return {bytes(key) for (key,) in cursor.fetchall()}


def parked_before(cursor: Cursor[Any], consumer: str, record: Record, sequence: int) -> bool:
    """
    Was this very message parked already, when it was sent the first time?
    """
    cursor.execute(
        "SELECT 1 FROM dead_letters WHERE consumer = %s AND topic = %s AND partition = %s AND sequence = %s "
        "AND value IS NOT DISTINCT FROM %s AND NOT sealed LIMIT 1",
        [consumer, record.topic, record.partition, sequence, record.value],
    )
    return cursor.fetchone() is not None


def parked_sequences(cursor: Cursor[Any], consumer: str, record: Record, above: int) -> Mapping[int, int | None]:
    """
    Return the sequences of the partition's parked messages above a number, each with the one before it.
    """
    cursor.execute(
        "SELECT sequence, previous_sequence FROM dead_letters "
        "WHERE consumer = %s AND topic = %s AND partition = %s AND sequence > %s",
        [consumer, record.topic, record.partition, above],
    )
    return dict(cursor.fetchall())


def waiting(cursor: Cursor[Any], consumer: str | None = None, *, limit: int = 1_000) -> list[DeadLetter]:
    """
    Return the letters that wait, in the order in which they must be taken.
    """
    cursor.execute(_WAITING, [consumer, consumer, limit])
    return [_letter(row) for row in cursor.fetchall()]


def topic_of(cursor: Cursor[Any], number: int) -> tuple[str, str]:
    """
    Return consumer and topic of a waiting letter. Raises NoSuchDeadLetter.
    """
    cursor.execute("SELECT consumer, topic FROM dead_letters WHERE number = %s AND state = 'waiting'", [number])
    found = cursor.fetchone()
    if found is None:
        raise NoSuchDeadLetter(number=number)
    return found[0], found[1]


def queue_of(cursor: Cursor[Any], number: int) -> list[DeadLetter]:
    """
    Return all waiting letters of that one's key, locked, in order. Raises NoSuchDeadLetter.
    """
    cursor.execute("SELECT consumer, topic, key FROM dead_letters WHERE number = %s AND state = 'waiting'", [number])
    found = cursor.fetchone()
    if found is None:
        raise NoSuchDeadLetter(number=number)
    cursor.execute(_QUEUE, [*found, number])
    return [_letter(row) for row in cursor.fetchall()]


def resolve(cursor: Cursor[Any], number: int, *, state: str, by: str, reason: str) -> None:
    cursor.execute(
        "UPDATE dead_letters SET state = %s, resolved_at = clock_timestamp(), resolved_by = %s, reason = %s "
        "WHERE number = %s AND state = 'waiting'",
        [state, by, reason, number],
    )


def tried_again(cursor: Cursor[Any], number: int, *, code: str, problem: str) -> None:
    cursor.execute(
        "UPDATE dead_letters SET attempts = attempts + 1, code = %s, problem = %s WHERE number = %s",
        [code, problem[:500], number],
    )


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    number, consumer, topic, partition, offset, key, value, headers, sealed, size, timestamp_ms, *rest = row
    opened = [(name, None if text is None else base64.b64decode(text)) for name, text in headers]
    record = Record(topic, partition, offset, _bytes(key), _bytes(value), opened, timestamp_ms)
    return DeadLetter(number, consumer, record, sealed, size, *rest)


def _where(consumer: str, record: Record) -> bytes:
    return f"{consumer}|{record.topic}|{record.partition}|{record.offset}".encode()


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def begin_afresh(cursor: Cursor[Any], consumer: str) -> None:
    """
    Give up what waits, because it comes again from the log; what people decided stays on record, out of the way of
    messages that are then read a second time. For the owner of the tables.
    """
    cursor.execute("DELETE FROM dead_letters WHERE consumer = %s AND state = 'waiting'", [consumer])
    cursor.execute("UPDATE dead_letters SET sequence = NULL, previous_sequence = NULL WHERE consumer = %s", [consumer])
