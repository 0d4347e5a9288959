"""
How far the relay is, who holds it, and what was sent last to each partition; moved only by the holder of the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from adapters.postgres.database import READER, WRITER, Database
from domain.errors import Conflict

#: A holder renews its lease with every page, and at least every third of this.
LEASE_SECONDS: Final = 15

_TAKE: Final = """
INSERT INTO relays AS mine (relay, holder, epoch, lease_until)
VALUES (%(relay)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (relay) DO UPDATE
SET holder = excluded.holder, epoch = mine.epoch + 1, lease_until = excluded.lease_until
WHERE mine.lease_until IS NULL OR mine.lease_until < clock_timestamp()
RETURNING position, epoch
"""
_RENEW: Final = """
UPDATE relays SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE relay = %s AND epoch = %s
"""
_MOVE: Final = """
UPDATE relays SET position = %s, recorded_at = %s, moved_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE relay = %s AND epoch = %s AND position = %s
"""
_SENT: Final = """
INSERT INTO relay_partitions (relay, topic, partition, last_sequence)
SELECT %s, * FROM unnest(%s::text[], %s::integer[], %s::bigint[])
ON CONFLICT (relay, topic, partition) DO UPDATE SET last_sequence = excluded.last_sequence
"""
_LET_GO: Final = "UPDATE relays SET holder = NULL, lease_until = NULL WHERE relay = %s AND epoch = %s"

Partition = tuple[str, int]


class HeldByAnother(Conflict):
    """
    Another relay is at work; this one waits until it stops or its lease ends.
    """


class Overtaken(Conflict):
    """
    Another relay took over since; this one stops at once, and what it sent last is sent again by the other.
    """


class Held(NamedTuple):
    """
    What a holder starts from.
    """

    position: int
    epoch: int
    sent: Mapping[Partition, int]


class Standing(NamedTuple):
    """
    The relay as others see it. The lag counts positions, so it is never less than the events that wait.
    """

    position: int
    epoch: int
    holder: str | None
    lag_events: int
    oldest_unpublished_at: datetime | None


class RelayPositions:
    """
    The stored position of one relay, by its name.
    """

    def __init__(self, database: Database, relay: str) -> None:
        self._database = database
        self._relay = relay

    def take(self, holder: str) -> Held:
        """
        Become the one active relay, with an epoch of one's own. Raises HeldByAnother while somebody's lease runs.
        """
        with self._database.session(WRITER) as session:
            found = session.execute(
                _TAKE, {"relay": self._relay, "holder": holder, "seconds": LEASE_SECONDS}
            ).fetchone()
            if found is None:
                raise HeldByAnother(relay=self._relay)
            sent = session.execute(
                "SELECT topic, partition, last_sequence FROM relay_partitions WHERE relay = %s", [self._relay]
            ).fetchall()
        return Held(found[0], found[1], {(topic, partition): last for topic, partition, last in sent})

    def renew(self, epoch: int) -> None:
        with self._database.session(WRITER) as session:
            if session.execute(_RENEW, [LEASE_SECONDS, self._relay, epoch]).rowcount != 1:
                raise Overtaken(relay=self._relay)

    def move(self, *, epoch: int, start: int, end: int, recorded_at: datetime, sent: Mapping[Partition, int]) -> None:
        """
        Move from `start` to `end`, with what was sent last to each partition. Raises Overtaken.
        """
        with self._database.session(WRITER) as session:
            moved = session.execute(_MOVE, [end, recorded_at, LEASE_SECONDS, self._relay, epoch, start])
            if moved.rowcount != 1:
                raise Overtaken(relay=self._relay)
            if sent:
                topics, partitions = [topic for topic, _ in sent], [partition for _, partition in sent]
                session.execute(_SENT, [self._relay, topics, partitions, list(sent.values())])

    def let_go(self, epoch: int) -> None:
        with self._database.session(WRITER) as session:
            session.execute(_LET_GO, [self._relay, epoch])

    def timeline(self) -> str:
        """
        Return the database's timeline: after a failover it is another one, and positions may mean other events.
        """
        with self._database.session(READER) as session:
            (name,) = session.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone() or ("",)
        return str(int(str(name)[:8], 16))

    def standing(self) -> Standing:
        with self._database.session(READER) as session:
            found = session.execute(
                "SELECT position, epoch, CASE WHEN lease_until >= clock_timestamp() THEN holder END "
                "FROM relays WHERE relay = %s",
                [self._relay],
            ).fetchone()
            position, epoch, holder = found or (0, 0, None)
            (last,) = session.execute("SELECT coalesce(max(notification_id), 0) FROM events").fetchone() or (0,)
            oldest = session.execute(
                "SELECT recorded_at FROM commits WHERE last_position > %s ORDER BY first_position LIMIT 1", [position]
            ).fetchone()
        return Standing(position, epoch, holder, max(0, last - position), oldest[0] if oldest else None)
