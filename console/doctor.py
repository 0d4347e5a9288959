"""
`backoffice doctor`: is this a database that money may be trusted to, and does every cent and every head row agree?
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.asking import Asked, asks, back_office
from console.exits import Exit
from console.output import give, out, table
from domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.postgres.self_check import Check
    from adapters.settings import Settings
    from adapters.wiring import Backoffice


@click.command("doctor")
@click.option("--all", "everything", is_flag=True, help="Compare every head row with replay, not a sample.")
@asks
def doctor_command(asked: Asked, everything: bool) -> None:
    """
    Look at machine, database, grants, every cent, head rows and Kafka; say what is wrong and what to do.

    Example: ./backoffice doctor
    """
    from console.answers.every import CheckLine, Examined

    with back_office(asked) as backoffice:
        checks = _checks(backoffice, everything=everything)
    lines = [CheckLine(name=each.name, ok=each.ok, sentence=each.sentence) for each in checks]
    answer = Examined(ok=all(each.ok for each in lines), checks=lines)

    def show() -> None:
        table(("", "check", ""), [("ok" if each.ok else "BAD", each.name, each.sentence) for each in lines])
        bad = sum(not each.ok for each in lines)
        out("Everything is in order." if not bad else f"{bad} of {len(lines)} checks are bad.")

    give(answer, show, as_json=asked.as_json)
    if not answer.ok:
        click.get_current_context().exit(Exit.DIFFERENCES)


def _checks(backoffice: Backoffice, *, everything: bool) -> Sequence[Check]:
    from adapters.postgres.embedded import EmbeddedServer
    from adapters.postgres.heartbeats import alarm_lives
    from adapters.postgres.proofs import cents_agree, heads_agree
    from adapters.postgres.self_check import Check, Surroundings, self_check

    settings = backoffice.settings
    data = EmbeddedServer(settings.embedded_directory).status().place if settings.embedded else None
    checks = self_check(backoffice.database, Surroundings(os.environ, backoffice.clock, Path(settings.home), data))
    try:
        backoffice.catch_up()
    except Unavailable as away:  # the disk is full, say: what can be seen without it is what a person asks for now
        return [*checks, Check("read models", False, str(away))]
    return [
        *checks,
        *cents_agree(backoffice.database, backoffice.store),
        heads_agree(backoffice.store, everything=everything),
        alarm_lives(backoffice.database, now=backoffice.clock.now()),
        *_kafka(backoffice.settings),
    ]


def _kafka(settings: Settings) -> Sequence[Check]:
    """
    Ask the brokers that the settings name whether they let us in; without such settings there is nothing to check.
    """
    from adapters.postgres.self_check import Check

    if not settings.kafka_brokers:
        return []
    from adapters.kafka.clients import probe
    from adapters.kafka.line import BrokerUnavailable

    try:
        probe(settings.brokers, within_s=5.0)
    except BrokerUnavailable as problem:
        return [Check("kafka", ok=False, sentence=str(problem))]
    access = settings.kafka_access
    how = f"{access.protocol}, {access.mechanism}" if access.logs_in else access.protocol
    return [Check("kafka", ok=True, sentence=f"The brokers answer ({how}).")]
