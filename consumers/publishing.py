"""
Puts a relay together: the live one, and the one that gives a subscriber the past again.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from adapters.kafka import resend
from adapters.kafka.access import Bootstrap
from adapters.kafka.relay import Pages
from adapters.kafka.topics import Topics, TopicsWrong, Wanted, Watch
from adapters.kafka.translation import Translation
from adapters.metrics import RelayMetrics
from adapters.postgres.database import Database
from adapters.postgres.feed import StoreFeed
from adapters.postgres.relay_positions import LEASE_SECONDS, RelayPositions
from adapters.wiring import Backoffice
from consumers.relay import PAGE_EVENTS, Relay, Translate
from domain.aggregates import AGGREGATES
from domain.errors import Unavailable
from formats.contract import Topic, contract
from formats.stored import StoredEvents

#: The relay that everybody lives on.
LIVE: Final = "kafka"


def public_topics() -> list[Topic]:
    """
    Return the topics that the relay fills: those of the records that the catalogue publishes.
    """
    ours = contract()
    filled = {ours.schema(name).topic for name in ours.published.values()}
    return [topic for name, topic in ours.topics.items() if name in filled]


def wanted_topics(*, one_broker: bool, every: bool = False) -> Wanted:
    """
    Return the public topics to make or check; with `every`, those of inbound commands and their answers too.
    """
    return Wanted(topics=list(contract().topics.values()) if every else public_topics(), one_broker=one_broker)


def unopened_feed(database: Database) -> StoreFeed:
    """
    Return the feed of a relay: it opens nothing personal and needs no key.
    """
    return StoreFeed(database, stored=StoredEvents(AGGREGATES), master=None, open_personal=False)


@dataclass(frozen=True, kw_only=True)
class Options:
    """
    How a relay is run; the defaults are those of production.
    """

    one_broker: bool = False
    lease_seconds: float = LEASE_SECONDS
    page_events: int = PAGE_EVENTS
    deadline_s: float = 10.0
    metrics: RelayMetrics | None = None
    stop: threading.Event = field(default_factory=threading.Event)


def live_relay(database: Database, bootstrap: Bootstrap, options: Options | None = None) -> Relay:
    """
    Return the relay of the public topics; `run()` it.
    """
    options = options or Options()
    wanted = wanted_topics(one_broker=options.one_broker)
    partitions = {topic.name: topic.partitions for topic in wanted.topics}
    return _relay(
        database, bootstrap, options, relay=LIVE, wanted=wanted,
        translation=lambda epoch: Translation(epoch=epoch, partitions=partitions),
    )  # fmt: skip


def resend_relay(
    database: Database,
    bootstrap: Bootstrap,
    options: Options,
    *,
    target: str,
    first: str,
    until: str | None = None,
    topics: Sequence[str] = (),
) -> Relay:
    """
    Return the relay that gives one subscriber the past again on `target`, prepared: `run()` it, again after a kill.

    Raises TargetRefused, TargetInUse, NothingToResend, OtherRange, TopicsWrong and BrokerUnavailable.
    """
    resend.check_target(target)
    unknown = set(topics) - {topic.name for topic in public_topics()}
    if unknown:
        raise TopicsWrong("Only public topics can be given again; backoffice topics check names them.")
    positions = RelayPositions(database, resend.relay_name(target), lease_seconds=options.lease_seconds)
    standing = positions.standing()
    if until is None and standing.until is not None:  # begun before: to the end that was meant then
        until = str(standing.until)
    asked = resend.range_of(positions, first=first, until=until, high_water=unopened_feed(database).high_water())
    wanted = Wanted(topics=[resend.target_topic(target)], one_broker=options.one_broker)
    resend.prepare(Topics(bootstrap), wanted, positions, asked)
    return _relay(
        database, bootstrap, options, relay=positions.relay, wanted=wanted,
        translation=lambda epoch: Translation(
            epoch=epoch, partitions={target: resend.PARTITIONS}, target=target, topics=frozenset(topics)
        ),
    )  # fmt: skip


def _relay(
    database: Database,
    bootstrap: Bootstrap,
    options: Options,
    *,
    relay: str,
    wanted: Wanted,
    translation: Callable[[str], Translate],
) -> Relay:
    positions = RelayPositions(database, relay, lease_seconds=options.lease_seconds)
    return Relay(
        name=f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}",
        feed=unopened_feed(database),
        positions=positions,
        pages=Pages(bootstrap, deadline_s=options.deadline_s, stop=options.stop),
        watch=Watch(topics=Topics(bootstrap), wanted=wanted, remember=positions.remember_topics),
        translation=translation,
        metrics=options.metrics or RelayMetrics(relay),
        stop=options.stop,
        page_events=options.page_events,
    )


# --- For demonstrations and journeys ----------------------------------------------------------------------------------


class NotPublishedInTime(Unavailable):
    """
    Not every event was published in time; ask `backoffice status` what the relay waits for.
    """


@contextmanager
def publishing(backoffice: Backoffice, bootstrap: Bootstrap, *, one_broker: bool = True) -> Iterator[RelayPositions]:
    """
    Run the live relay in a thread while the block works, on topics that are made when they are not there; at the end of
    the block everything that was recorded is published.
    """
    Topics(bootstrap).create(wanted_topics(one_broker=one_broker))
    options = Options(one_broker=one_broker)
    relay = live_relay(backoffice.database, bootstrap, options)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            relay.run()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=work, name="relay", daemon=True)
    thread.start()
    try:
        yield relay.positions
        wait_until_published(relay.positions, thread=thread)
    finally:
        options.stop.set()
        thread.join(30)
    if problems:
        raise problems[0]


def publish_everything(backoffice: Backoffice, bootstrap: Bootstrap, *, one_broker: bool = True) -> int:
    """
    Publish every event that is recorded now, and return the position that was reached.
    """
    with publishing(backoffice, bootstrap, one_broker=one_broker) as positions:
        wait_until_published(positions)
    return positions.standing().position


def wait_until_published(
    positions: RelayPositions, *, within_s: float = 600.0, thread: threading.Thread | None = None
) -> None:
    """
    Wait until nothing is unpublished. Raises NotPublishedInTime.
    """
    deadline = time.monotonic() + within_s
    while positions.standing().lag_events:
        if thread is not None and not thread.is_alive():
            return
        if time.monotonic() > deadline:
            raise NotPublishedInTime
        time.sleep(0.05)
