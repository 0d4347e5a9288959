"""
`backoffice relay`, `topics` and `status`: events to Kafka, the topics they go to, and how far everything is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from console.answers.of_kafka import ProjectionShown, Relayed, RelayShown, StatusShown, TopicShown, TopicsShown
from console.asking import Asked, asks, back_office
from console.output import count, facts, give, heading, out, say, table
from console.stopping import until_told
from domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    from adapters.kafka.access import Brokers
    from adapters.settings import Settings
    from adapters.wiring import Backoffice
    from consumers.relay import Relay

_ONE_BROKER = click.option(
    "--one-broker", is_flag=True, help="One copy of everything is enough: for development, never for a fund."
)


class NoBroker(Unavailable):
    """
    Nothing says where Kafka is; set BACKOFFICE_KAFKA_BROKERS (host:port), or start it here: backoffice stack up
    """


class PortTaken(Refused):
    """
    The metrics cannot be served on that port; choose another one.
    """


# --- relay ------------------------------------------------------------------------------------------------------------


@click.group("relay", invoke_without_command=True)
@click.option("--metrics-port", type=click.IntRange(1, 65_535), help="Serve Prometheus metrics on 127.0.0.1.")
@_ONE_BROKER
@asks
def relay_command(asked: Asked, metrics_port: int | None, one_broker: bool) -> None:
    """
    Publish every recorded event to Kafka, in order, until told to stop; started again, it goes on where it was.

    Example: ./backoffice relay --metrics-port 9400
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from consumers.publishing import LIVE, Options, live_relay

    with back_office(asked) as backoffice:
        options = Options(one_broker=one_broker, metrics=_metrics(backoffice, LIVE, metrics_port))
        relay = live_relay(backoffice.database, brokers_of(backoffice.settings), options)
        _run(asked, relay)


@relay_command.command("resend")
@click.option("--to", "target", required=True, metavar="TOPIC", help="A topic of the subscriber's own; made if new.")
@click.option("--from", "first", required=True, metavar="POSITION|DATE", help="The first position, or day.")
@click.option("--until", metavar="POSITION|DATE", help="The last position, or day; without it, what is recorded now.")
@click.option("--only", multiple=True, metavar="TOPIC", help="Only what this public topic got; may be repeated.")
@_ONE_BROKER
@asks
def resend_command(
    asked: Asked, *, target: str, first: str, until: str | None, only: Sequence[str], one_broker: bool
) -> None:
    """
    Give one subscriber the past again on a topic of its own, with the same ids and sequences; nobody else notices.

    Example: ./backoffice relay resend --to resend.ledger --from 2026-01-01 --one-broker
    """
    from consumers.publishing import Options, resend_relay

    with back_office(asked) as backoffice:
        relay = resend_relay(
            backoffice.database, brokers_of(backoffice.settings), Options(one_broker=one_broker),
            target=target, first=first, until=until, topics=only,
        )  # fmt: skip
        _run(asked, relay)


def brokers_of(settings: Settings) -> Brokers:
    """
    Return where Kafka is and how it lets us in: what the environment says, else the stack's broker on this machine.

    Raises NoBroker, and AccessFileWrong for a file that cannot be used now.
    """
    from adapters.kafka.access import Brokers
    from adapters.kafka.broker import Kafka

    if settings.kafka_brokers:
        settings.kafka_access.read()
        return settings.brokers
    found = Kafka(settings.home / "stack" / Kafka.name).address
    if not found:
        raise NoBroker
    return Brokers(found)


def _metrics(backoffice: Backoffice, relay: str, port: int | None) -> Any:
    from adapters.metrics import RelayMetrics
    from adapters.postgres.relay_positions import RelayPositions

    metrics = RelayMetrics(relay)
    if port is not None:
        metrics.look_up(RelayPositions(backoffice.database, relay).standing, backoffice.clock.now)
        try:
            metrics.serve(port)
        except OSError:
            raise PortTaken(port=port) from None
        say(f"Metrics: http://127.0.0.1:{port}/metrics")
    return metrics


def _run(asked: Asked, relay: Relay) -> None:
    from adapters.kafka.clients import quiet_logs

    quiet_logs()
    say(f"The relay {relay.positions.relay} runs; Ctrl-C stops it.")
    with _said_aloud(), until_told(relay.stop):
        relay.run()
    standing = relay.positions.standing()
    moved = Relayed(relay=standing.relay, position=standing.position, lag_events=standing.lag_events)
    give(
        moved,
        lambda: out(f"Published up to position {moved.position}; {count(moved.lag_events, 'event')} left."),
        as_json=asked.as_json,
    )


@contextmanager
def _said_aloud() -> Iterator[None]:
    """
    Let a person see what the relay waits for, one line each time it changes.
    """
    import logging

    class Aloud(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    logger, handler, level = logging.getLogger("consumers.relay"), Aloud(), logging.getLogger("consumers.relay").level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


# --- topics -----------------------------------------------------------------------------------------------------------


@click.group("topics")
def topics_command() -> None:
    """
    Make the topics on the broker as schemas/topics.yaml says, or check that they are so.

    Example: ./backoffice topics check
    """


@topics_command.command("create")
@_ONE_BROKER
@asks
def topics_create(asked: Asked, one_broker: bool) -> None:
    """
    Make the topics that are not there; those that are there are checked, never changed.

    Example: ./backoffice topics create --one-broker
    """
    _topics(asked, one_broker=one_broker, make=True)


@topics_command.command("check")
@_ONE_BROKER
@asks
def topics_check(asked: Asked, one_broker: bool) -> None:
    """
    Check partitions, copies, retention and the rest of every topic of ours; nothing is changed.

    Example: ./backoffice topics check --one-broker
    """
    _topics(asked, one_broker=one_broker, make=False)


def _topics(asked: Asked, *, one_broker: bool, make: bool) -> None:
    import os

    from adapters.kafka.clients import quiet_logs
    from adapters.kafka.topics import Topics
    from adapters.settings import Settings
    from consumers.publishing import wanted_topics

    quiet_logs()
    topics = Topics(brokers_of(Settings.from_environment(os.environ)))
    wanted = wanted_topics(one_broker=one_broker, every=True)
    made = topics.create(wanted) if make else []
    found = sorted(topics.check(wanted).items())
    shown = [TopicShown(topic=name, partitions=each.partitions, made=name in made) for name, each in found]
    rows = [(each.topic, each.partitions, "made" if each.made else "right") for each in shown]
    give(
        TopicsShown(topics=shown),
        lambda: table(("topic", "partitions", ""), rows, right=("partitions",)),
        as_json=asked.as_json,
    )


# --- status -----------------------------------------------------------------------------------------------------------


@click.command("status")
@asks
def status_command(asked: Asked) -> None:
    """
    Say how far the relay and the read models are, who holds the relay, and what it waits for.

    Example: ./backoffice status
    """
    with back_office(asked) as backoffice:
        status = _status(backoffice)
    give(status, lambda: _show(status), as_json=asked.as_json)


def _status(backoffice: Backoffice) -> StatusShown:
    from adapters.postgres.looking import model_statuses, models_begun
    from adapters.postgres.relay_positions import RelayPositions, relays
    from consumers.publishing import LIVE, unopened_feed

    now, last = backoffice.clock.now(), unopened_feed(backoffice.database).high_water()
    models = models_begun(backoffice.database)
    names = [LIVE, *(name for name in relays(backoffice.database) if name != LIVE)]
    shown = []
    for of in (RelayPositions(backoffice.database, name).standing() for name in names):
        oldest = of.oldest_unpublished_at
        shown.append(
            RelayShown(
                relay=of.relay, position=of.position, lag_events=of.lag_events,
                oldest_unpublished_seconds=max(0, int((now - oldest).total_seconds())) if oldest else 0,
                events_per_second=round(of.rate, 1), holder=of.holder or "",
                lease_until=of.lease_until if of.holder else None, waits_for=of.waits_for,
                waits_since=of.waits_since, until=of.until,
            )
        )  # fmt: skip
    projections = [
        ProjectionShown(projection=model.name, position=model.position, lag_events=model.behind)
        for model in model_statuses(backoffice.database, names=models, high_water=last)
    ]
    return StatusShown(last_position=last, relays=shown, projections=projections)


def _show(status: StatusShown) -> None:
    facts([("last recorded position", status.last_position)])
    heading("Relay to Kafka")
    table(
        ("relay", "position", "lag", "oldest", "events/s", "held by", "waits for"),
        [
            (
                each.relay, each.position, each.lag_events,
                f"{each.oldest_unpublished_seconds} s" if each.lag_events else "", each.events_per_second,
                each.holder or "nobody",
                each.waits_for,
            )
            for each in status.relays
        ],
        right=("position", "lag", "oldest", "events/s"),
    )  # fmt: skip
    heading("Read models")
    table(
        ("read model", "position", "lag"),
        [(each.projection, each.position, each.lag_events) for each in status.projections],
        right=("position", "lag"),
    )
