"""
The relay: every recorded event to Kafka, in order, at least once, by one active process; never one skipped.

It reads the event table, which is the outbox, translates, sends a page, and moves its position only when every record
was acknowledged. A broker that is away is waited for. What cannot be published stops it, with one sentence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from adapters.kafka.clients import BrokerUnavailable
from adapters.kafka.relay import Outgoing, PageNotAcknowledged, Pages
from adapters.postgres.relay_positions import LEASE_SECONDS, HeldByAnother, Overtaken, Partition, RelayPositions
from application.ports import Feed
from domain.envelope import Envelope

PAGE_EVENTS: Final = 2_000
#: How often an idle relay looks for new events. A tenth of what a subscriber may notice.
IDLE_S: Final = 0.02
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0)

logger = logging.getLogger(__name__)

#: Turns an event into a record on its way, or None when it is not published.
Translate = Callable[[Envelope, Mapping[Partition, int]], Outgoing | None]


class Metrics(Protocol):
    """
    What the relay tells of itself while it works.
    """

    def published(self, *, events: int, records: int, position: int, seconds: float) -> None: ...

    def waits_for(self, what: str) -> None: ...


@dataclass
class _Page:
    """
    One page: what was read, what goes out, and what stands last in each partition after it.
    """

    events: Sequence[Envelope]
    records: list[Outgoing]
    sent: dict[Partition, int]


@dataclass(kw_only=True)
class Relay:
    """
    One relay process. `run` ends when `stop` is set, or raises what only a person can resolve.
    """

    name: str
    feed: Feed
    positions: RelayPositions
    pages: Pages
    translate: Translate
    metrics: Metrics
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self._hold_and_work()
            except HeldByAnother:
                self.metrics.waits_for("another relay")
                self.stop.wait(1.0)
            except Overtaken:
                logger.warning("Another relay took over", extra={"action": "relay.overtaken"})
                self.pages.close()

    def _hold_and_work(self) -> None:
        held = self.positions.take(self.name)
        logger.info("The relay begins", extra={"action": "relay.taken", "position": held.position, "epoch": held.epoch})
        try:
            self._work(held.position, held.epoch, dict(held.sent))
        finally:
            self.pages.close()
            self.positions.let_go(held.epoch)

    def _work(self, position: int, epoch: int, sent: dict[Partition, int]) -> None:
        page = self._read(position, sent)
        renewed = time.monotonic()
        while not self.stop.is_set():
            if not page.events:
                self.metrics.waits_for("")
                self.stop.wait(IDLE_S)
                if time.monotonic() - renewed > LEASE_SECONDS / 3:
                    self.positions.renew(epoch)
                    renewed = time.monotonic()
                page = self._read(position, sent)
                continue
            ahead = self._publish(page, epoch)
            self.positions.move(
                epoch=epoch, start=position, end=page.events[-1].position,
                recorded_at=page.events[-1].recorded_at, sent=page.sent,
            )  # fmt: skip
            position, renewed = page.events[-1].position, time.monotonic()
            sent.update(page.sent)
            page = ahead

    def _publish(self, page: _Page, epoch: int) -> _Page:
        """
        Send the page until all of it is acknowledged, however long the broker is away; return the next one, read and
        translated meanwhile.
        """
        began, attempt = time.monotonic(), 0
        ahead: list[_Page] = []

        def read_ahead() -> None:
            if not ahead:
                after = {**page.sent}
                ahead.append(self._read(page.events[-1].position, after))

        while page.records:
            try:
                self.pages.send(page.records, meanwhile=read_ahead)
                break
            except (PageNotAcknowledged, BrokerUnavailable) as problem:
                self.metrics.waits_for("the broker")
                if attempt == 0:
                    logger.warning(str(problem), extra={"action": "relay.waits", "for": "broker"})
                if self.stop.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]):
                    raise Overtaken("The relay was stopped while it waited for the broker.") from None
                attempt += 1
                self.positions.renew(epoch)
        read_ahead()
        self.metrics.waits_for("")
        self.metrics.published(
            events=len(page.events), records=len(page.records), position=page.events[-1].position,
            seconds=time.monotonic() - began,
        )  # fmt: skip
        return ahead[0]

    def _read(self, after: int, sent: Mapping[Partition, int]) -> _Page:
        events = self.feed.read(after=after, limit=PAGE_EVENTS)
        records: list[Outgoing] = []
        last = dict(sent)
        translate = self.translate
        for envelope in events:
            record = translate(envelope, last)
            if record is not None:
                records.append(record)
                last[record.topic, record.partition] = record.sequence
        return _Page(events, records, last)
