"""
The relay: every recorded event to Kafka, in order, at least once, by one active process; never one skipped.

It reads the event table, which is the outbox, translates, sends a page, and moves its position only when every record
was acknowledged. What is away is waited for. What cannot be published stops it, after all that came before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from adapters.garbage import rare_collections
from adapters.kafka.clients import REFUSED_BACKOFF_S
from adapters.kafka.line import BrokerAccessRefused, BrokerUnavailable
from adapters.kafka.relay import CannotBePublished, Outgoing, PageNotAcknowledged, Pages
from adapters.kafka.topics import Watch
from adapters.postgres.relay_positions import HeldByAnother, Overtaken, Partition, RelayPositions
from application.ports import Feed
from domain.envelope import Envelope
from domain.errors import BackofficeError, Unavailable, Unreadable
from formats.published import NotPublishable

PAGE_EVENTS: Final = 2_000
#: How often a relay that has nothing to do looks: soon after the last event, then ever slower.
_IDLE_MIN_S: Final = 0.01
_IDLE_MAX_S: Final = 0.1
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0)

logger = logging.getLogger(__name__)

#: Turns an event into a record on its way, or None when it is not published. The mapping is what was sent last.
Translate = Callable[[Envelope, Mapping[Partition, int]], Outgoing | None]


class Metrics(Protocol):
    """
    What the relay tells of itself while it works.
    """

    def published(self, *, events: int, records: int, seconds: float) -> None: ...

    def waits_for(self, what: str) -> None: ...

    def abandoned(self, producers: int) -> None: ...


class _Stopped(Exception):
    """
    Somebody asked to stop; what is not acknowledged will be sent by the next one.
    """


@dataclass
class _Page:
    """
    One page: what was read, what goes out, what stands last in the partitions it touches, and what ended it early.
    """

    events: Sequence[Envelope]
    records: list[Outgoing]
    sent: dict[Partition, int]
    problem: BackofficeError | None = None


@dataclass(kw_only=True)
class Relay:
    """
    One relay process. `run` ends when `stop` is set or its end is reached, or raises what only a person can resolve.

    `translation` is asked for a translator each time this relay becomes the active one, with the name of the store's
    history (header `epoch`); `name` is of one process only.
    """

    name: str
    feed: Feed
    positions: RelayPositions
    pages: Pages
    watch: Watch
    translation: Callable[[str], Translate]
    metrics: Metrics
    stop: threading.Event = field(default_factory=threading.Event)
    page_events: int = PAGE_EVENTS
    _sent: dict[Partition, int] = field(default_factory=dict, init=False)
    _translate: Translate = field(init=False)
    _until: int | None = field(default=None, init=False)
    _epoch: int = field(default=0, init=False)
    _renewed: float = field(default=0.0, init=False)
    _waits_for: str = field(default="", init=False)

    def run(self) -> None:
        """
        Work until told to stop. Raises CannotBePublished, NotPublishable, TopicsWrong, TopicMadeAgain, ProducerLivesOn
        and Unreadable (an event that cannot be read), all of them after everything before it was acknowledged.
        """
        with rare_collections():
            try:
                self._run()
            finally:
                self._knock("")

    def _run(self) -> None:
        attempt, checked, done = 0, False, False
        while not done and not self.stop.is_set():
            try:
                if not checked:
                    self.watch.begin()
                attempt, checked = 0, True
                self._hold_and_work()
                done = True
            except _Stopped:
                done = True
            except HeldByAnother:
                self._waits("another relay")
                self.stop.wait(min(1.0, self.positions.lease_seconds / 4))
            except Overtaken:
                logger.warning("Another relay took over", extra={"action": "relay.overtaken"})
            except Unavailable as problem:
                self._waits(_awaited(problem), problem)
                self._knock(_awaited(problem))
                checked = False
                self.stop.wait(_backoff_s(problem, attempt))
                attempt += 1

    # --- Being the active one ----------------------------------------------------------------------------------------

    def _hold_and_work(self) -> None:
        held = self.positions.take(self.name)
        self._epoch, self._until, self._sent = held.epoch, held.until, dict(held.sent)
        self._renewed = time.monotonic()
        self._waits("")
        logger.info("The relay begins", extra={"action": "relay.taken", "position": held.position, "epoch": held.epoch})
        try:
            self._translate = self.translation(self.positions.history())
            self._work(held.position)
        finally:
            self.pages.close()
            self.watch.close()
            self._let_go()

    def _let_go(self) -> None:
        try:
            self.positions.let_go(self._epoch)
        except Unavailable:
            logger.warning("The lease could not be given back; it ends by itself", extra={"action": "relay.left"})

    def _work(self, position: int) -> None:
        idle = _IDLE_MIN_S
        page = self._read(position)
        while not self.stop.is_set():
            if page.events:
                idle = _IDLE_MIN_S
                ahead = self._publish(page)
                self._move(position, page)
                position = page.events[-1].position
                page = ahead if ahead is not None else self._read(position)
                continue
            if page.problem is not None:
                raise page.problem
            if self._until is not None and position >= self._until:
                return
            self.stop.wait(idle)
            idle = min(idle * 1.5, _IDLE_MAX_S)
            self.watch.glance()
            self._until_let_in()
            self._hold_on()
            page = self._read(position)

    def _move(self, position: int, page: _Page) -> None:
        last = page.events[-1]
        self.positions.move(
            epoch=self._epoch, start=position, end=last.position, recorded_at=last.recorded_at, sent=page.sent
        )
        self._renewed = time.monotonic()

    def _hold_on(self) -> None:
        if time.monotonic() - self._renewed > self.positions.lease_seconds / 3:
            self.positions.renew(self._epoch)
            self._renewed = time.monotonic()

    # --- One page ----------------------------------------------------------------------------------------------------

    def _publish(self, page: _Page) -> _Page | None:
        """
        Send the page until all of it is acknowledged, however long the broker is away; return the next one, read and
        translated while the broker worked, if that went well.
        """
        began, attempt = time.monotonic(), 0
        ahead: list[_Page | None] = []
        self._sent.update(page.sent)

        def read_ahead() -> None:
            if not ahead:
                ahead.append(self._read_ahead(page))

        while page.records:
            try:
                self.pages.send(page.records, meanwhile=read_ahead)
                break
            except (PageNotAcknowledged, BrokerUnavailable) as problem:
                self._wait_for_the_broker(problem, attempt)
                attempt += 1
        read_ahead()
        # A topic that was deleted and made again takes everything, too: look before it counts as sent.
        (self.watch.look if attempt else self.watch.glance)()
        self._waits("")
        seconds = time.monotonic() - began
        self.metrics.published(events=len(page.events), records=len(page.records), seconds=seconds)
        return ahead[0]

    def _wait_for_the_broker(self, problem: Unavailable, attempt: int) -> None:
        self.metrics.abandoned(self.pages.abandoned)
        self._waits(f"topic {self.watch.missing}" if self.watch.missing else _awaited(problem), problem)
        if self.stop.wait(_backoff_s(problem, attempt)):
            raise _Stopped
        self.watch.glance()
        self.positions.renew(self._epoch)
        self._renewed = time.monotonic()

    def _until_let_in(self) -> None:
        """
        Wait, as the one that holds the lease, while the broker does not let us in though there is nothing to send.
        """
        attempt = 0
        while self.watch.refused is not None:
            self._wait_for_the_broker(self.watch.refused, attempt)
            attempt += 1
        if attempt:
            self._waits("")

    def _read_ahead(self, page: _Page) -> _Page | None:
        try:
            return self._read(page.events[-1].position)
        except Unavailable:  # said when its turn comes: the page under way has nothing to do with it
            return None

    def _read(self, after: int) -> _Page:
        """
        Return the next events with their records, up to the first one that cannot be published.
        """
        events, problem = self._next(after)
        records: list[Outgoing] = []
        sent: dict[Partition, int] = {}
        last = dict(self._sent)
        translate = self._translate
        for index, envelope in enumerate(events):
            try:
                record = translate(envelope, last)
            except (CannotBePublished, NotPublishable) as found:
                return _Page(events[:index], records, sent, _at(found, envelope))
            if record is not None:
                records.append(record)
                place = (record.topic, record.partition)
                sent[place] = last[place] = record.sequence
        return _Page(events, records, sent, problem)

    def _next(self, after: int) -> tuple[Sequence[Envelope], BackofficeError | None]:
        """
        Read a page. One that holds something unreadable is read in ever smaller parts, up to just before it.
        """
        limit = self.page_events
        while True:
            try:
                events = self.feed.read(after=after, limit=limit)
            except Unreadable as problem:
                if limit == 1:
                    return [], problem
                limit = max(1, limit // 4)
                continue
            if self._until is not None and events and events[-1].position > self._until:
                events = [envelope for envelope in events if envelope.position <= self._until]
            return events, None

    # --- Telling -----------------------------------------------------------------------------------------------------

    def _waits(self, what: str, problem: BackofficeError | None = None) -> None:
        if what == self._waits_for:
            return
        self._waits_for = what
        self.metrics.waits_for(what)
        if what:
            logger.warning("The relay waits for %s. %s", what, problem or "", extra={"action": "relay.waits"})
        if self._epoch and what != "another relay":
            try:
                self.positions.tell(self._epoch, what)
            except Unavailable:
                logger.warning("The database does not answer", extra={"action": "relay.waits"})

    def _knock(self, what: str) -> None:
        """
        Let others see what keeps this relay from being the active one; the holder's own words count before it.
        """
        try:
            self.positions.knock(what)
        except Unavailable:
            logger.debug("The database does not answer", extra={"action": "relay.waits"})


def _awaited(problem: Unavailable) -> str:
    if isinstance(problem, BrokerAccessRefused):
        return "access to the broker"
    return "the broker" if isinstance(problem, BrokerUnavailable | PageNotAcknowledged) else "the database"


def _backoff_s(problem: Unavailable, attempt: int) -> float:
    """
    Return how long to wait before the next attempt; always shorter than the lease.
    """
    backoff = REFUSED_BACKOFF_S if isinstance(problem, BrokerAccessRefused) else _BACKOFF_S
    return backoff[min(attempt, len(backoff) - 1)]


def _at(problem: BackofficeError, envelope: Envelope) -> BackofficeError:
    """
    Say which event it was; the message is kept.
    """
    if "position" in problem.facts:
        return problem
    return type(problem)(problem.message, **problem.facts, position=envelope.position, event=envelope.type)
