"""
What the relay does, as Prometheus metrics: counted while it works, and looked up in the store when somebody asks.

Nothing here names a person. A look that fails leaves its figures out; it never stops the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric

from adapters.postgres.relay_positions import Standing
from domain.errors import BackofficeError

#: Seconds of a page; the deadline of a page is 10, so the last ones were waited for.
_PAGE_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_LOOK_FAILURES: Final = (BackofficeError, OSError)


class RelayMetrics:
    """
    The figures of one relay process, in a registry of its own.
    """

    def __init__(self, relay: str) -> None:
        self.registry = CollectorRegistry()
        of: dict[str, Any] = {"labelnames": ("relay",), "registry": self.registry}
        self.relay = relay
        self._events = Counter("backoffice_relay_events", "Events that were dealt with.", **of).labels(relay)
        self._records = Counter("backoffice_relay_records", "Records that were acknowledged.", **of).labels(relay)
        self._pages = Histogram(
            "backoffice_relay_page_seconds", "From the first send of a page to its last acknowledgement.",
            buckets=_PAGE_SECONDS, **of,
        ).labels(relay)  # fmt: skip
        self._given_up = Gauge(
            "backoffice_relay_abandoned_producers", "Producers that were given up after a page failed.", **of
        ).labels(relay)
        self._waiting = Gauge(
            "backoffice_relay_waits", "1 for what the relay waits for now.", labelnames=("relay", "waits_for"),
            registry=self.registry,
        )  # fmt: skip
        self.waiting_for = ""

    def published(self, *, events: int, records: int, seconds: float) -> None:
        self._events.inc(events)
        self._records.inc(records)
        self._pages.observe(seconds)

    def waits_for(self, what: str) -> None:
        self._waiting.clear()
        if what:
            self._waiting.labels(self.relay, what).set(1)
        self.waiting_for = what

    def abandoned(self, producers: int) -> None:
        self._given_up.set(producers)

    def look_up(self, standing: Callable[[], Standing], now: Callable[[], datetime]) -> None:
        """
        Add the position, the lag and the age of the oldest unpublished event, asked of the store at each scrape.
        """
        self.registry.register(_Lag(self.relay, standing, now))

    def text(self) -> str:
        """
        Return all figures in Prometheus's text form.
        """
        return generate_latest(self.registry).decode()

    def serve(self, port: int, *, address: str = "127.0.0.1") -> tuple[WSGIServer, Thread]:
        """
        Serve the figures over HTTP until the program ends. Raises OSError when the port is taken.
        """
        return start_http_server(port, addr=address, registry=self.registry)


class _Lag:
    """
    Looks in the store how far the relay is, so that one that has published nothing yet, or waits, says it too.
    """

    def __init__(self, relay: str, standing: Callable[[], Standing], now: Callable[[], datetime]) -> None:
        self._relay = relay
        self._standing = standing
        self._now = now

    def describe(self) -> Iterator[Metric]:
        """
        Nothing: so that registering does not ask the store.
        """
        return iter(())

    def collect(self) -> Iterator[Metric]:
        try:
            found = self._standing()
        except _LOOK_FAILURES:
            return
        position = GaugeMetricFamily("backoffice_relay_position", "The last acknowledged position.", labels=["relay"])
        position.add_metric([self._relay], found.position)
        yield position
        lag = GaugeMetricFamily("backoffice_relay_lag_events", "Positions not yet acknowledged.", labels=["relay"])
        lag.add_metric([self._relay], found.lag_events)
        yield lag
        age = GaugeMetricFamily(
            "backoffice_relay_oldest_unpublished_seconds", "Age of the oldest event that is not out.", labels=["relay"]
        )
        oldest = found.oldest_unpublished_at
        age.add_metric([self._relay], max(0.0, (self._now() - oldest).total_seconds()) if oldest else 0.0)
        yield age
        rate = GaugeMetricFamily(
            "backoffice_relay_events_per_second", "Events published a second, over about a minute.", labels=["relay"]
        )
        rate.add_metric([self._relay], found.rate)
        yield rate
