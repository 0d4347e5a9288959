"""
`backoffice consume` and `backoffice dead-letters`: messages from Kafka, and those that could not be taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from console.answers.of_kafka import Compared, Consumed, DeadLetter, DeadLetters, Retried
from console.asking import Asked, asks, back_office
from console.exits import Exit
from console.output import count, facts, give, out, say, table
from console.relay_commands import brokers_of
from console.stopping import until_told
from domain.errors import NotFound

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from consumers.batch import Effect
    from consumers.dead_letters import Shown
    from consumers.loop import Loop

_AFRESH = click.option("--afresh", is_flag=True, help="Forget where it stood; begin at the start of the topic.")
_UNTIL_CAUGHT_UP = click.option(
    "--once",
    is_flag=True,
    help="Stop when everything is taken that the topic holds; exit code 8 while dead letters of it wait.",
)
_NUMBER = click.argument("number", type=click.IntRange(1))


class NoSuchConsumer(NotFound):
    """
    This release has no consumer of that name, so its letters cannot be tried again; only looked at and discarded.
    """


# --- consume ----------------------------------------------------------------------------------------------------------


@click.group("consume")
def consume_command() -> None:
    """
    Take messages from Kafka until told to stop; started again, it goes on where it was.

    Example: ./backoffice consume premium-accounts
    """


@consume_command.command("premium-accounts")
@_AFRESH
@_UNTIL_CAUGHT_UP
@asks
def consume_premium_accounts(asked: Asked, afresh: bool, once: bool) -> None:
    """
    Build the premium account from what is published, beside the one from the store; `consume compare` compares them.

    Example: ./backoffice consume premium-accounts --once
    """
    from consumers import published_accounts

    with back_office(asked) as backoffice:
        published_accounts.prepare(backoffice.database)
        if afresh:
            published_accounts.begin_afresh(backoffice.database)
        effect = published_accounts.PremiumAccounts()
        _run(asked, backoffice, _loop(backoffice, effect, published_accounts.TOPIC, once=once))


@consume_command.command("commands")
@_AFRESH
@_UNTIL_CAUGHT_UP
@asks
def consume_commands(asked: Asked, afresh: bool, once: bool) -> None:
    """
    Take the commands that others send by Kafka, and answer each; the same command again has no second effect.

    Example: ./backoffice consume commands --as member-system
    """
    from consumers import inbound

    with back_office(asked) as backoffice, _commands(backoffice) as effect:
        if afresh:
            inbound.begin_afresh(backoffice.database)
        _run(asked, backoffice, _loop(backoffice, effect, inbound.TOPIC, once=once))


@consume_command.command("compare")
@asks
def consume_compare(asked: Asked) -> None:
    """
    Compare the premium account from Kafka with the one from the store, by hash.

    Example: ./backoffice consume compare
    """
    from consumers import published_accounts

    with back_office(asked) as backoffice:
        published_accounts.prepare(backoffice.database)
        backoffice.catch_up(("premium_account",))
        found = published_accounts.compare(backoffice.database)
    unlike = [str(stream) for stream in found.unlike]
    answer = Compared(**{**found._asdict(), "unlike": unlike}, equal=found.equal)

    def show() -> None:
        rows = [("store", found.store_affiliations, found.store_sha256),
                ("Kafka", found.kafka_affiliations, found.kafka_sha256)]  # fmt: skip
        table(("from", "affiliations", "SHA-256"), rows, right=("affiliations",))
        out("They are the same." if found.equal else "They differ; what was published may not be taken yet.")
        for stream in unlike:
            out(f"  {stream}")

    give(answer, show, as_json=asked.as_json)
    if not found.equal:
        click.get_current_context().exit(Exit.DIFFERENCES)


def _loop(backoffice: Backoffice, effect: Effect, topic: str, *, once: bool) -> Loop:
    from consumers.loop import Loop

    return Loop(
        bootstrap=brokers_of(backoffice.settings),
        topics=[topic],
        effect=effect,
        database=backoffice.database,
        now_ms=lambda: _now_ms(backoffice),
        says=say,
        until_caught_up=once,
    )


def _run(asked: Asked, backoffice: Backoffice, loop: Loop) -> None:
    from adapters.kafka.clients import quiet_logs
    from consumers import dead_letters

    quiet_logs()
    say(f"The consumer {loop.effect.name} runs; Ctrl-C stops it after what is under way.")
    with until_told(loop.stop):
        loop.run()
    waiting = len(dead_letters.find(backoffice.database, loop.effect.name))
    answer = Consumed(consumer=loop.effect.name, messages=loop.taken, letters_waiting=waiting)

    def show() -> None:
        out(f"{count(loop.taken, 'message')} taken.")
        if waiting:
            out(f"{count(waiting, 'message')} could not be taken; see: backoffice dead-letters list")

    give(answer, show, as_json=asked.as_json)
    if waiting and loop.until_caught_up:
        click.get_current_context().exit(Exit.PARTLY)


@contextmanager
def _commands(backoffice: Backoffice) -> Iterator[Effect]:
    """
    Make the effect of the inbound topic, with a producer for its answers.
    """
    from adapters.clock import today_in_brussels
    from adapters.kafka.relay import Pages
    from adapters.postgres.dead_letters import Sealed
    from consumers.inbound import ANSWERS, Answers, Commands
    from formats.contract import contract

    with Pages(brokers_of(backoffice.settings)) as pages:
        yield Commands(
            store=backoffice.store,
            context=backoffice.context,
            today=lambda: today_in_brussels(backoffice.clock),
            now=backoffice.clock.now,
            actor=backoffice.settings.actor,
            answers=Answers(pages, partitions=contract().topics[ANSWERS].partitions),
            keeper=Sealed(backoffice.master),
        )


def _now_ms(backoffice: Backoffice) -> int:
    return int(backoffice.clock.now().timestamp() * 1000)


# --- dead-letters -----------------------------------------------------------------------------------------------------


@click.group("dead-letters")
def dead_letters_command() -> None:
    """
    Messages that could not be taken: look at them, try again, or give one up with a reason.

    Example: ./backoffice dead-letters list
    """


@dead_letters_command.command("list")
@click.option("--consumer", help="Of this consumer only.")
@asks
def dead_letters_list(asked: Asked, consumer: str | None) -> None:
    """
    List what waits, one line for each key, with how many wait behind it.

    Example: ./backoffice dead-letters list --consumer premium-accounts
    """
    from consumers import dead_letters

    with back_office(asked) as backoffice:
        found = dead_letters.find(backoffice.database, consumer)

    def show() -> None:
        if not found:
            out("Nothing waits.")
            return
        rows = [(each.number, each.consumer, f"{each.topic}/{each.partition}", each.offset, each.code, each.behind,
                 each.parked_at) for each in found]  # fmt: skip
        headers = ("number", "consumer", "topic", "offset", "code", "behind it", "parked (UTC)")
        table(headers, rows, right=("number", "offset", "behind it"))

    give(DeadLetters(letters=[_letter(each) for each in found]), show, as_json=asked.as_json)


@dead_letters_command.command("show")
@_NUMBER
@asks
def dead_letters_show(asked: Asked, number: int) -> None:
    """
    Show where a letter comes from and why it was not taken; never what it says.

    Example: ./backoffice dead-letters show 12
    """
    from consumers import dead_letters

    with back_office(asked) as backoffice:
        found = dead_letters.show(backoffice.database, number)
    give(_letter(found), lambda: facts(list(found._asdict().items())), as_json=asked.as_json)


@dead_letters_command.command("retry")
@_NUMBER
@asks
def dead_letters_retry(asked: Asked, number: int) -> None:
    """
    Take a letter and those behind it, in order, now that the cause is repaired; all that is taken in one transaction.

    Example: ./backoffice dead-letters retry 12
    """
    from consumers import dead_letters

    with back_office(asked) as backoffice, _effect_of(backoffice, number) as effect:
        done = dead_letters.retry(
            backoffice.database, number, effect=effect, now_ms=_now_ms(backoffice), by=backoffice.settings.actor
        )

    def show() -> None:
        out(f"{count(done.taken, 'letter')} taken.")
        if done.stopped_at is not None:
            out(f"Letter {done.stopped_at} still cannot be taken, {done.still_waiting} wait. {done.problem}")

    give(Retried(**done._asdict()), show, as_json=asked.as_json)
    if done.stopped_at is not None:
        click.get_current_context().exit(Exit.PARTLY)


@dead_letters_command.command("discard")
@_NUMBER
@click.option("--reason", required=True, help="Why; it is recorded with who and when.")
@asks
def dead_letters_discard(asked: Asked, number: int, reason: str) -> None:
    """
    Give up the first letter of its key, for good; those behind it are taken by `retry` of the next one.

    Example: ./backoffice dead-letters discard 12 --reason "a test message of another team"
    """
    from consumers import dead_letters

    with back_office(asked) as backoffice:
        found = dead_letters.discard(backoffice.database, number, by=backoffice.settings.actor, reason=reason)

    def show() -> None:
        out(f"Letter {number} is given up.")
        if found.behind:
            out(f"{count(found.behind, 'letter')} of its key still wait; see: backoffice dead-letters list")

    give(_letter(found), show, as_json=asked.as_json)


@contextmanager
def _effect_of(backoffice: Backoffice, number: int) -> Iterator[Effect]:
    from consumers import dead_letters
    from consumers.inbound import Commands
    from consumers.published_accounts import PremiumAccounts

    consumer = dead_letters.consumer_of(backoffice.database, number)
    if consumer == PremiumAccounts.name:
        yield PremiumAccounts()
    elif consumer == Commands.name:
        with _commands(backoffice) as effect:
            yield effect
    else:
        raise NoSuchConsumer(consumer=consumer)


def _letter(shown: Shown) -> DeadLetter:
    values: dict[str, Any] = shown._asdict()
    return DeadLetter(**values)
