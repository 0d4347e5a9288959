"""
How far the relay is, who holds it, and what was sent last to each partition; moved only by the holder of the epoch.

All moments are the database's, so that the clocks of the machines on which relays run do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final, NamedTuple

from psycopg import Connection

from adapters.postgres.database import READER, WRITER, Database
from domain.errors import Conflict, Refused

#: Seconds after which a published event counts for a third in the rate.
RATE_SECONDS: Final = 60
#: The rate now: what it was at the last move, faded since. Rounded, so that it comes to nothing and not below.
_RATE_NOW: Final = f"""
round((rate * exp(-least(extract(epoch FROM clock_timestamp() - moved_at), 3600) / {RATE_SECONDS}))::numeric, 3)::float8
"""
#: A holder renews its lease with every page, and at least every third of this. Longer than a page that fails takes.
LEASE_SECONDS: Final = 20.0
#: A relay that waits before it holds anything says so at every attempt, which is more often than this.
KNOCK_SECONDS: Final = 60

#: Shorter leases are for tests; a busy machine alone makes nobody stand still for so long.
_IDLE_MIN_S: Final = 1.0

_MAKE: Final = """
INSERT INTO relays (relay, position, started_after, until) VALUES (%(relay)s, %(after)s, %(after)s, %(until)s)
ON CONFLICT (relay) DO NOTHING
"""
# A holder may take again from itself: its name is of one process only.
_TAKE: Final = """
UPDATE relays
SET holder = %(holder)s, epoch = epoch + 1, lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE relay = %(relay)s
    AND (lease_until IS NULL OR lease_until < clock_timestamp() OR holder = %(holder)s)
RETURNING position, epoch, until
"""
_RENEW: Final = """
UPDATE relays SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE relay = %s AND epoch = %s
"""
# One statement and no wait for the disk: a move that a crash of the server forgets means records sent twice, as after
# any crash, and what is sent twice is the same.
_MOVE: Final = f"""
WITH moved AS (
    UPDATE relays SET position = %(end)s, recorded_at = %(recorded_at)s, moved_at = clock_timestamp(),
        rate = {_RATE_NOW} + (%(end)s - %(start)s)::float8 / {RATE_SECONDS},
        lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE relay = %(relay)s AND epoch = %(epoch)s AND position = %(start)s
    RETURNING relay
), kept AS (
    INSERT INTO relay_partitions (relay, topic, partition, last_sequence)
    SELECT moved.relay, sent.*
    FROM moved, unnest(%(topics)s::text[], %(partitions)s::integer[], %(last)s::bigint[]) AS sent
    ON CONFLICT (relay, topic, partition) DO UPDATE SET last_sequence = excluded.last_sequence
)
SELECT count(*), set_config('synchronous_commit', 'off', true),
    set_config('idle_in_transaction_session_timeout', %(idle)s, true)
FROM moved
"""  # noqa: S608 - what stands in it is our own
# A relay that is stopped between a statement and its commit holds the row; it would hold it for as long as any work may
# stand still, and its heir waits for the row, not only for the lease.
_STAND_STILL: Final = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
_LET_GO: Final = """
UPDATE relays SET holder = NULL, lease_until = NULL, waits_for = '', waits_since = NULL WHERE relay = %s AND epoch = %s
"""
_TELL: Final = """
UPDATE relays SET waits_for = %(what)s, waits_since = CASE WHEN %(what)s = '' THEN NULL ELSE clock_timestamp() END
WHERE relay = %(relay)s AND epoch = %(epoch)s AND waits_for <> %(what)s
"""
# A row of its own: the relay's is its holder's, and who waits before the door holds nothing.
_KNOCK: Final = """
INSERT INTO heartbeats (process, beaten_at, said) VALUES ('relay ' || %(relay)s, clock_timestamp(), %(what)s)
ON CONFLICT (process) DO UPDATE SET beaten_at = excluded.beaten_at, said = excluded.said
WHERE excluded.said <> '' OR heartbeats.said <> ''
"""
_KNOCKED: Final = f"""
SELECT said FROM heartbeats
WHERE process = 'relay ' || %s AND beaten_at > clock_timestamp() - make_interval(secs => {KNOCK_SECONDS})
"""  # noqa: S608 - what stands in it is our own
_STANDING: Final = f"""
SELECT position, epoch, CASE WHEN lease_until >= clock_timestamp() THEN holder END, lease_until, waits_for, waits_since,
    started_after, until, {_RATE_NOW}
FROM relays WHERE relay = %s
"""  # noqa: S608 - what stands in it is our own
_NEVER: Final = (0, 0, None, None, "", None, 0, None, 0.0)
_HISTORY: Final = "SELECT pg_walfile_name(pg_current_wal_lsn()), (pg_control_system()).system_identifier"
_FIRST_OF: Final = """
SELECT min(first_position) FROM commits WHERE recorded_at >= (%s::date)::timestamp AT TIME ZONE 'Europe/Brussels'
"""

Partition = tuple[str, int]


class HeldByAnother(Conflict):
    """
    Another relay is at work; this one waits until it stops or its lease ends.
    """


class Overtaken(Conflict):
    """
    Another relay took over since; this one stops at once, and what it sent last is sent again by the other.
    """


class OtherRange(Refused):
    """
    This topic was begun with another range of events; give it a topic of its own, or the range it was begun with.
    """


class Held(NamedTuple):
    """
    What a holder starts from. `until` is the last position it may send; None has no end.
    """

    position: int
    epoch: int
    until: int | None
    sent: Mapping[Partition, int]


class Standing(NamedTuple):
    """
    The relay as others see it; without a holder, `waits_for` is what keeps a relay from holding it. The lag counts
    positions, so it is never less than the events that wait; the rate too, a second, over about the last minute.
    """

    relay: str
    position: int
    epoch: int
    holder: str | None
    lease_until: datetime | None
    lag_events: int
    oldest_unpublished_at: datetime | None
    waits_for: str
    waits_since: datetime | None
    started_after: int
    until: int | None
    rate: float


class RelayPositions:
    """
    The stored position of one relay, by its name.
    """

    def __init__(self, database: Database, relay: str, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self.relay = relay
        self.lease_seconds = lease_seconds

    @property
    def _idle(self) -> str:
        """
        Return how long this relay may stand still inside a transaction; with its unit, as PostgreSQL reads it.
        """
        return f"{int(1000 * max(_IDLE_MIN_S, self.lease_seconds))}ms"

    @contextmanager
    def _written(self) -> Iterator[Connection]:
        """
        Lend a session that the server ends when this process stands still in it for longer than its lease.
        """
        with self._database.session(WRITER) as session:
            session.execute(_STAND_STILL, [self._idle])
            yield session

    def begin(self, *, after: int = 0, until: int | None = None) -> None:
        """
        Make the relay if there is none. Raises OtherRange when it was made with another beginning or end.
        """
        with self._database.session(WRITER) as session:
            session.execute(_MAKE, {"relay": self.relay, "after": after, "until": until})
            found = session.execute("SELECT started_after, until FROM relays WHERE relay = %s", [self.relay]).fetchone()
        if found != (after, until):
            raise OtherRange(after=found[0] if found else None, until=found[1] if found else None)

    def take(self, holder: str) -> Held:
        """
        Become the one active relay, with an epoch of one's own. Raises HeldByAnother while somebody's lease runs.
        """
        with self._written() as session:
            session.execute(_MAKE, {"relay": self.relay, "after": 0, "until": None})
            found = session.execute(
                _TAKE, {"relay": self.relay, "holder": holder, "seconds": self.lease_seconds}
            ).fetchone()
            if found is None:
                raise HeldByAnother(relay=self.relay)
            session.execute(_KNOCK, {"relay": self.relay, "what": ""})
            sent = session.execute(
                "SELECT topic, partition, last_sequence FROM relay_partitions WHERE relay = %s", [self.relay]
            ).fetchall()
        return Held(found[0], found[1], found[2], {(topic, partition): last for topic, partition, last in sent})

    def renew(self, epoch: int) -> None:
        """
        Hold on without moving. Raises Overtaken.
        """
        with self._written() as session:
            if session.execute(_RENEW, [self.lease_seconds, self.relay, epoch]).rowcount != 1:
                raise Overtaken(relay=self.relay)

    def move(self, *, epoch: int, start: int, end: int, recorded_at: datetime, sent: Mapping[Partition, int]) -> None:
        """
        Move from `start` to `end`; `sent` is the last sequence of each partition that got something. Raises Overtaken.
        """
        values = {
            "relay": self.relay, "epoch": epoch, "start": start, "end": end, "recorded_at": recorded_at,
            "seconds": self.lease_seconds, "topics": [topic for topic, _ in sent],
            "partitions": [partition for _, partition in sent], "last": list(sent.values()), "idle": self._idle,
        }  # fmt: skip
        with self._database.session(WRITER) as session:
            moved = session.execute(_MOVE, values).fetchone()
            if moved is None or moved[0] != 1:
                raise Overtaken(relay=self.relay)

    def tell(self, epoch: int, waits_for: str) -> None:
        """
        Let others see what the holder waits for; nothing for one that works.
        """
        with self._written() as session:
            session.execute(_TELL, {"relay": self.relay, "epoch": epoch, "what": waits_for})

    def knock(self, waits_for: str) -> None:
        """
        Let others see for a minute what a relay that holds nothing waits for; nothing for one that waits no more.
        """
        with self._written() as session:
            session.execute(_KNOCK, {"relay": self.relay, "what": waits_for})

    def let_go(self, epoch: int) -> None:
        """
        Let the next one begin at once.
        """
        with self._written() as session:
            session.execute(_LET_GO, [self.relay, epoch])

    def remember_topics(self, ids: Mapping[str, str]) -> Mapping[str, str]:
        """
        Return the topic ids that this relay knows; those of topics that it never saw are taken from `ids`.
        """
        with self._written() as session:
            session.execute(_MAKE, {"relay": self.relay, "after": 0, "until": None})
            session.execute(
                "INSERT INTO relay_topics (relay, topic, topic_id) SELECT %s, * FROM unnest(%s::text[], %s::text[]) "
                "ON CONFLICT DO NOTHING",
                [self.relay, list(ids), list(ids.values())],
            )
            known: list[tuple[str, str]] = session.execute(
                "SELECT topic, topic_id FROM relay_topics WHERE relay = %s", [self.relay]
            ).fetchall()
        return dict(known)

    def history(self) -> str:
        """
        Return a name of the database's history: after a restore or a failover it is another one, and positions may mean
        other events.
        """
        with self._database.session(WRITER) as session:
            segment, system = session.execute(_HISTORY).fetchone() or ("0" * 8, 0)
        return f"{system}-{int(str(segment)[:8], 16)}"

    def standing(self) -> Standing:
        with self._database.session(READER) as session:
            found = session.execute(_STANDING, [self.relay]).fetchone()
            position, epoch, holder, lease, waits_for, since, after, until, rate = found or _NEVER
            knocked = None if holder else session.execute(_KNOCKED, [self.relay]).fetchone()
            (last,) = session.execute("SELECT coalesce(max(notification_id), 0) FROM events").fetchone() or (0,)
            last = last if until is None else min(last, until)
            oldest = session.execute(
                "SELECT recorded_at FROM commits WHERE last_position > %s ORDER BY last_position LIMIT 1", [position]
            ).fetchone()
        lag = max(0, last - position)
        return Standing(
            self.relay, position, epoch, holder, lease, lag, oldest[0] if oldest and lag else None,
            waits_for if holder else (knocked[0] if knocked else ""), since if holder else None, after, until, rate,
        )  # fmt: skip

    def first_recorded_on(self, day: date) -> int | None:
        """
        Return the first position that was recorded on a day (of Brussels) or later; None when there is none yet.
        """
        with self._database.session(READER) as session:
            found = session.execute(_FIRST_OF, [day]).fetchone()
        return found[0] if found else None


def relays(database: Database) -> list[str]:
    """
    Return the names of all relays that ever began, in order.
    """
    with database.session(READER) as session:
        return [name for (name,) in session.execute("SELECT relay FROM relays ORDER BY relay").fetchall()]
