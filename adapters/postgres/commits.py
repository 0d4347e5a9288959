"""
What was the same for all events of a transaction: one row in `commits`, with the range of their positions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from domain.envelope import Commit
from domain.errors import Unreadable

_RECORD_SQL: Final = """
INSERT INTO commits (first_position, last_position, recorded_at, command_id, actor, run, cause, business_date)
VALUES (%s, %s,
        greatest(clock_timestamp(), (SELECT recorded_at FROM commits ORDER BY first_position DESC LIMIT 1)),
        %s, %s, %s, %s, %s)
"""
_RANGE_SQL: Final = """
SELECT first_position, last_position, recorded_at, command_id, actor, run, cause, business_date
FROM commits WHERE last_position >= %s AND first_position <= %s ORDER BY first_position
"""
_OF_RANGES_SQL: Final = """
SELECT DISTINCT first_position, last_position, recorded_at, command_id, actor, run, cause, business_date
FROM unnest(%s::bigint[], %s::bigint[]) AS wanted(first, last)
CROSS JOIN LATERAL (
    SELECT * FROM commits
    WHERE first_position <= wanted.last AND first_position >= coalesce((
        SELECT first_position FROM commits WHERE first_position <= wanted.first ORDER BY first_position DESC LIMIT 1
    ), 0)
) AS found
ORDER BY first_position
"""
#: Positions no further apart than this are looked up as one range: what lies between costs less than another look.
_NEAR: Final = 50


class StrayEvent(Unreadable):
    """
    An event stands in the table that no transaction of ours recorded; find who else can write to the events table.
    """


class Recorded(NamedTuple):
    """
    One row of commits: which positions, since when we knew, and with what they were recorded.
    """

    first: int
    last: int
    recorded_at: datetime
    commit: Commit


def record_commit(cursor: Cursor[Any], commit: Commit, positions: range) -> None:
    """
    Keep what these positions were recorded with; under the append lock, so that `recorded_at` rises with positions.
    """
    of = (commit.command_id, commit.actor, commit.run, commit.cause, commit.business_date)
    cursor.execute(_RECORD_SQL, (positions[0], positions[-1], *of))


def commits_between(cursor: Cursor[Any], first: int, last: int) -> Sequence[Recorded]:
    """
    Return the commits that hold any position from `first` to `last`, in order.
    """
    cursor.execute(_RANGE_SQL, (first, last), binary=True)
    return [_recorded(row) for row in cursor.fetchall()]


def commits_of(cursor: Cursor[Any], positions: Sequence[int]) -> Sequence[Recorded]:
    """
    Return the commits of single positions, such as those of some streams, in order; others may be among them.

    What was recorded in bulk for streams that lie together has positions that lie together, in few commits.
    """
    firsts: list[int] = []
    lasts: list[int] = []
    last = -_NEAR - 1
    for position in sorted(positions):
        if position - last > _NEAR:
            firsts.append(position)
            lasts.append(position)
        last = lasts[-1] = position
    cursor.execute(_OF_RANGES_SQL, (firsts, lasts), binary=True)
    return [_recorded(row) for row in cursor.fetchall()]


def runs_of(
    positions: Sequence[int], commits: Sequence[Recorded], firsts: Sequence[int]
) -> Iterator[tuple[int, Recorded]]:
    """
    Give how many of these positions follow each other in one commit, and that commit, until all are told.

    `firsts` are the first positions of the commits, in order. Raises StrayEvent for a position that is in none of them.
    """
    start, end = 0, len(positions)
    while start < end:
        index = bisect_right(firsts, positions[start])
        of = commits[index - 1] if index else None
        if of is None or of.last < positions[start]:
            raise StrayEvent(position=positions[start])
        first, last, after = of.first, of.last, start + 1
        while after < end and first <= positions[after] <= last:
            after += 1
        yield after - start, of
        start = after


def _recorded(row: tuple[Any, ...]) -> Recorded:
    first, last, recorded_at, command_id, actor, run, cause, business_date = row
    commit = Commit(command_id=command_id, actor=actor, run=run, cause=cause, business_date=business_date)
    return Recorded(first, last, recorded_at, commit)
