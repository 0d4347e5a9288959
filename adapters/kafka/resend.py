"""
The past again for one subscriber, on a topic of its own: same ids, same sequences, same bytes, its own chain.

It is a relay with a beginning and an end and a position of its own, so a resend that was stopped goes on where it was,
and the public topics and everybody who reads them notice nothing.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final, NamedTuple

from adapters.kafka.topics import Topics, Wanted
from adapters.postgres.relay_positions import RelayPositions
from domain.dates import date_from_text
from domain.errors import BackofficeError, Refused
from formats.contract import Topic, contract

PARTITIONS: Final = 12
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)
_WEEK_MS: Final = 7 * 24 * 3600 * 1000


class TargetRefused(Refused):
    """
    The past is given again on a topic of the subscriber's own; choose a name that does not begin with backoffice. or _
    """


class NothingToResend(Refused):
    """
    No event was recorded in this range; nothing was made.
    """


class TargetInUse(Refused):
    """
    Somebody else's records may be on this topic already; take a name that is not in use.
    """


class Range(NamedTuple):
    """
    Which events: those above `after`, up to and with `until`.
    """

    after: int
    until: int


def relay_name(target: str) -> str:
    return f"resend:{target}"


def check_target(target: str) -> None:
    """
    Refuse the public topics, names that look like one, and names that are none. Raises TargetRefused.
    """
    public = target in contract().topics or target.lower().startswith(("backoffice.", "_"))
    if public or not _NAME.fullmatch(target):
        raise TargetRefused


def range_of(positions: RelayPositions, *, first: str, until: str | None, high_water: int) -> Range:
    """
    Return the range of positions that two texts mean: a position, or a day (the whole of it; Brussels).

    Raises Refused (a text that is neither) and NothingToResend.
    """
    after = _position(positions, first, high_water=high_water) - 1
    last = high_water if until is None else _position(positions, until, high_water=high_water, end=True)
    last = min(last, high_water)
    if after < 0 or last <= after:
        raise NothingToResend(from_position=after + 1, until_position=last)
    return Range(after, last)


def _position(positions: RelayPositions, text: str, *, high_water: int, end: bool = False) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    try:
        day: date = date_from_text(text)
    except BackofficeError:
        raise Refused("From and until are a position or a day (YYYY-MM-DD).") from None
    found = positions.first_recorded_on(day + timedelta(days=1) if end else day)
    first = high_water + 1 if found is None else found
    return first - 1 if end else first


def target_topic(target: str, *, partitions: int = PARTITIONS) -> Topic:
    """
    Return the topic as it is made: one copy of the past, kept for seven days, by the same key.
    """
    return Topic(
        name=target, direction="out", folder="", about="The past again, for one subscriber.",
        key="as on the public topics", order="as on the public topics",
        partitions=partitions, replication=3, min_insync_replicas=2, retention_ms=_WEEK_MS, cleanup_policy="delete",
    )  # fmt: skip


def prepare(topics: Topics, wanted: Wanted, positions: RelayPositions, of: Range) -> None:
    """
    Make the target and remember the range. Raises TargetInUse when the topic was there and no resend of ours made it,
    OtherRange when one of ours made it with another range, and what `Topics.create` raises.
    """
    (target,) = wanted.topics
    known = positions.standing().until is not None
    if not known and topics.find([target.name]):
        raise TargetInUse(topic=target.name)
    positions.begin(after=of.after, until=of.until)
    topics.create(wanted)
