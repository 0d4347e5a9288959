"""
Where consumers stand: always in the transaction of the effect, so that neither is ever without the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from domain.errors import Conflict

_COLUMNS: Final = "topic, partition, topic_id, next_offset, high_water, epoch, tombstones, standing"
_WHERE: Final = "FROM consumer_offsets WHERE consumer = %s AND topic = %s AND partition = %s"
_PLACE: Final = f"SELECT {_COLUMNS} {_WHERE}"
# A consumer that is stopped in its transaction holds the row; it would hold it for as long as any work may stand still.
_HOLD: Final = f"""
SELECT {_COLUMNS}, set_config('idle_in_transaction_session_timeout', %s, true) {_WHERE} FOR UPDATE
"""
#: Longer than anything between two statements of a batch takes on a machine that gives most of itself to others.
STAND_STILL_S: Final = 20

Headers = Sequence[tuple[str, bytes | None]]


class OvertakenConsumer(Conflict):
    """
    The database does not have this partition where this consumer thought; it begins again where the database says.
    """


class Place(NamedTuple):
    """
    One partition as one consumer has it: the next offset to take, the last sequence taken, and the topic it belongs to.

    `standing` says why nothing is taken from it until a person has looked.
    """

    topic: str
    partition: int
    topic_id: str
    next_offset: int = 0
    high_water: int | None = None
    epoch: str = ""
    tombstones: int = 0
    standing: str = ""


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


def place_of(cursor: Cursor[Any], consumer: str, topic: str, partition: int, *, lock: bool) -> Place | None:
    """
    Return where a consumer stands; with `lock`, hold the row until the transaction ends: a zombie waits, then sees.

    Who holds it and does nothing for `STAND_STILL_S` loses the transaction, so that its heir goes on.
    """
    if lock:
        cursor.execute(_HOLD, [f"{STAND_STILL_S}s", consumer, topic, partition])
    else:
        cursor.execute(_PLACE, [consumer, topic, partition])
    found = cursor.fetchone()
    return Place(*found[: len(Place._fields)]) if found else None


def lock_topic(cursor: Cursor[Any], consumer: str, topic: str) -> None:
    """
    Hold all partitions of a topic until the transaction ends: nothing is taken or parked meanwhile.
    """
    cursor.execute(
        "SELECT 1 FROM consumer_offsets WHERE consumer = %s AND topic = %s ORDER BY partition FOR UPDATE",
        [consumer, topic],
    )


def begin(cursor: Cursor[Any], consumer: str, place: Place) -> None:
    """
    Note where a consumer that never read this partition begins; somebody else's note stays.
    """
    cursor.execute(
        "INSERT INTO consumer_offsets (consumer, topic, partition, topic_id, next_offset) "
        "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [consumer, *place[:4]],
    )


def move(cursor: Cursor[Any], consumer: str, place: Place) -> None:
    cursor.execute(
        "UPDATE consumer_offsets SET next_offset = %s, high_water = %s, epoch = %s, tombstones = %s, standing = %s, "
        "moved_at = clock_timestamp() WHERE consumer = %s AND topic = %s AND partition = %s",
        [*place[3:], consumer, place.topic, place.partition],
    )


def forget(cursor: Cursor[Any], consumer: str) -> None:
    """
    Forget where a consumer stood, so that it begins at the start of its topics. For the owner of the tables.
    """
    cursor.execute("DELETE FROM consumer_offsets WHERE consumer = %s", [consumer])


def positions(cursor: Cursor[Any]) -> Mapping[str, list[Place]]:
    """
    Return where every consumer stands, for `backoffice status`.
    """
    cursor.execute(f"SELECT consumer, {_COLUMNS} FROM consumer_offsets ORDER BY consumer, topic, partition")  # noqa: S608  ours
    found: dict[str, list[Place]] = {}
    for consumer, *place in cursor.fetchall():
        found.setdefault(consumer, []).append(Place(*place))
    return found
