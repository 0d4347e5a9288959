"""
`backoffice init`, `migrate`, `ids`: what comes before the first member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.asking import Asked, asks, back_office, day_of
from console.output import facts, give, out, say

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from domain.payments import Iban

#: The account is a value of the law file, and what is paid there is the zorgpremie.
_ACCOUNT_PARAMETER = "zorgpremie/account"
_PURPOSE = "zorgpremie"


@click.command("init")
@asks
def init_command(asked: Asked) -> None:
    """
    Prepare the database, make the key of personal data, and open the fund's account.

    The business date is the day from which this house does the work itself. Done before: nothing changes.

    Example: ./backoffice init --on 2026-01-05
    """
    _prepare(asked, open_the_account=True)


@click.command("migrate")
@asks
def migrate_command(asked: Asked) -> None:
    """
    Bring the database to this program's version. Make a back-up first; a killed migration goes on where it was.

    Example: ./backoffice migrate
    """
    _prepare(asked, open_the_account=False)


def _prepare(asked: Asked, *, open_the_account: bool) -> None:
    from adapters.postgres.migrate import migrations
    from console.answers.every import Prepared

    say("Preparing the database ...")
    with back_office(asked, prepare=True) as backoffice:
        if open_the_account:
            assert backoffice.master is not None
            _open_account(asked, backoffice)
        backoffice.catch_up()
        accounts = _accounts(backoffice)
        applied = [f"{file.number:04d}_{file.name}" for file in migrations()]
        answer = Prepared(migrations=applied, accounts=accounts, home=str(backoffice.settings.home))
        where = backoffice.database.where

    def show() -> None:
        out("The back office is ready." if answer.accounts else "The database is this program's; run: backoffice init")
        facts([
            ("database", f"{where}, version {applied[-1][:4]}"),
            ("account", ", ".join(answer.accounts)),
            ("home", answer.home),
        ])  # fmt: skip

    give(answer, show, as_json=asked.as_json)


def _open_account(asked: Asked, backoffice: Backoffice) -> None:
    from application.work import Work
    from domain import bank_account
    from domain.bank_account import BANK_ACCOUNT
    from domain.envelope import Commit
    from domain.ids import derived_key
    from domain.payments import bank_account_id

    day = day_of(asked, backoffice)
    iban = _iban(backoffice)
    stream = bank_account_id(iban)
    if backoffice.store.history(stream):
        return
    commit = Commit(
        command_id=derived_key("open account", iban),
        actor=backoffice.settings.actor,
        business_date=day,
        cause="init",
    )
    with backoffice.store.transaction(commit) as unit:
        work = Work(unit)
        opened = bank_account.open_account(work.state(BANK_ACCOUNT, stream), iban=iban, purpose=_PURPOSE)
        work.record(BANK_ACCOUNT, stream, opened)
        work.keep()
        work.save()


def _iban(backoffice: Backoffice) -> Iban:
    """
    Return the newest account of the law file; it holds whatever day the house begins.
    """
    from domain.payments import Iban

    values = [dated.value for dated in backoffice.law[_ACCOUNT_PARAMETER].values if dated.value is not None]
    return Iban.from_text(str(values[-1]))


def _accounts(backoffice: Backoffice) -> list[str]:
    from adapters.postgres.looking import chains
    from domain.payments import Iban

    return [Iban(chain.account).printed for chain in chains(backoffice.database)]


@click.command("ids")
@click.option("--count", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many.")
@asks
def ids_command(asked: Asked, count: int) -> None:
    """
    Make member ids beforehand, so that later lines of a file can name the member. Nothing is recorded.

    Example: ./backoffice ids --count 3
    """
    import secrets

    from adapters.clock import SystemClock
    from console.answers.every import Ids
    from domain.ids import new_member_id

    moment_ms = int(SystemClock().now().timestamp() * 1000)
    ids = sorted(new_member_id(moment_ms=moment_ms, randomness=secrets.token_bytes) for _ in range(count))
    give(Ids(ids=ids), lambda: out("\n".join(str(each) for each in ids)), as_json=asked.as_json)
