"""
`backoffice statements`: bank files that wait for a statement that does not come; gaps that people declared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from console.asking import Asked, EurosType, asks, back_office, day_of, deciding_day
from console.finding import NotAStatement, SeveralAccounts
from console.output import count, euros, give, heading, out, table
from domain.payments import Iban

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from application.chain_views import GapView
    from application.money_in import StatementReport
    from application.statement_gaps import StatementGaps
    from console.answers.of_statements import StatementList, StatementMoved

_NUMBER: Final = re.compile(r"(\d{4})/(\d{1,6})", re.ASCII)
_GAP_IS: Final = {
    "to_approve": "waits for a second person",
    "open": "difference not explained",
    "explained": "explained",
    "closed": "the balances meet",
    "lapsed": "not needed any more",
}


class NumberType(click.ParamType[tuple[int, int]]):
    """
    A statement, as 2026/12.
    """

    name = "statement"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = _NUMBER.fullmatch(str(value))
        if found is None:
            self.fail("A statement is written as its year and number: 2026/12.", param, ctx)
        return int(found[1]), int(found[2])


def _words(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    said = value.strip()
    if not 3 <= len(said) <= 200 or not said.isprintable():
        raise click.BadParameter("it has 3 to 200 characters, on one line")
    return said


_STATEMENT = click.argument("statement", type=NumberType())
_ACCOUNT = click.option("--account", default="", help="Which account, where the fund has several.")
_REASON = click.option("--reason", required=True, callback=_words, help="Why, without names; it is recorded.")


@click.group("statements")
def statements_command() -> None:
    """
    Bank files that wait for an earlier statement: give one up, or say that the chain goes on without.

    Example: ./backoffice statements list
    """


@statements_command.command("list")
@asks
def statements_list(asked: Asked) -> None:
    """
    Show per account what waits and for what, every gap that was ever declared, and what was given up.

    Example: ./backoffice statements list
    """
    from application.chain_views import discarded_of, gaps_of, obstacle
    from console.answers.of_statements import AccountStatements, StatementList, Waiting

    with back_office(asked) as backoffice:
        day_of(asked, backoffice)
        found = []
        for iban, stream in _accounts(backoffice):
            state, history = _standing(backoffice, stream)
            found.append(AccountStatements(
                account=iban,
                last=f"{state.last.year}/{state.last.number}" if state.last else "",
                closing_cents=state.last.closing_cents if state.last else None,
                waiting=[Waiting(statement=f"{each.year}/{each.number}", opening_cents=each.opening_cents)
                         for each in state.held],
                obstacle=obstacle(state),
                gaps=gaps_of(state, history),
                discarded=discarded_of(history),
            ))  # fmt: skip
    answer = StatementList(accounts=found)
    give(answer, lambda: _show(answer), as_json=asked.as_json)


@statements_command.command("discard")
@_STATEMENT
@_ACCOUNT
@_REASON
@asks
def statements_discard(asked: Asked, statement: tuple[int, int], account: str, reason: str) -> None:
    """
    Give up a statement that waits: its kept file is deleted, with whatever else of that file waits. The same file can
    be imported again later.

    Example: ./backoffice statements discard 2026/14 --reason "the bank sends a new file"
    """
    with back_office(asked) as backoffice:
        gaps = _gaps(asked, backoffice, account)
        every = [stream for _, stream in _accounts(backoffice)]
        with _alone(backoffice):
            gaps.discard(year=statement[0], number=statement[1], reason=reason, accounts=every)
        moved = _moved(backoffice, gaps, statement, ())
    give(moved, lambda: out("Given up; the kept file is deleted."), as_json=asked.as_json)


@statements_command.command("accept")
@_STATEMENT
@_ACCOUNT
@click.option("--opening", "opening_cents", type=EurosType(), help="Its opening balance, when it is not here yet.")
@_REASON
@asks
def statements_accept(
    asked: Asked, statement: tuple[int, int], account: str, opening_cents: int | None, reason: str
) -> None:
    """
    Say that a statement follows the last one, though others are missing or the balances do not meet.

    Where the balances meet it is taken at once; where they do not, a second person approves it first, and the
    difference stays on `backoffice today` until a late statement fills it or somebody explains it.

    Example: ./backoffice statements accept 2026/14 --reason "the bank says 2026/13 does not exist"
    """
    from domain.money import Cents

    with back_office(asked) as backoffice:
        gaps = _gaps(asked, backoffice, account)
        opening = None if opening_cents is None else Cents(opening_cents)
        with _alone(backoffice):
            taken = gaps.accept(year=statement[0], number=statement[1], opening_cents=opening, reason=reason)
        moved = _moved(backoffice, gaps, statement, taken)
    give(moved, lambda: _show_moved(moved), as_json=asked.as_json)


@statements_command.command("approve")
@_STATEMENT
@_ACCOUNT
@asks
def statements_approve(asked: Asked, statement: tuple[int, int], account: str) -> None:
    """
    Agree, as a second person, that a statement follows with another balance; it is taken if it is here.

    Example: ./backoffice statements approve 2026/14 --as bob
    """
    with back_office(asked) as backoffice:
        gaps = _gaps(asked, backoffice, account)
        with _alone(backoffice):
            taken = gaps.approve(year=statement[0], number=statement[1])
        moved = _moved(backoffice, gaps, statement, taken)
    give(moved, lambda: _show_moved(moved), as_json=asked.as_json)


@statements_command.command("explain")
@_STATEMENT
@_ACCOUNT
@_REASON
@asks
def statements_explain(asked: Asked, statement: tuple[int, int], account: str, reason: str) -> None:
    """
    Say what the difference at a gap was. It stays in `statements list`, and leaves `today`.

    Example: ./backoffice statements explain 2026/14 --reason "bank costs booked on the closed account"
    """
    with back_office(asked) as backoffice:
        gaps = _gaps(asked, backoffice, account)
        with _alone(backoffice):
            gaps.explain(year=statement[0], number=statement[1], reason=reason)
        moved = _moved(backoffice, gaps, statement, ())
    give(moved, lambda: _show_moved(moved), as_json=asked.as_json)


# --- Together --------------------------------------------------------------------------------------------------------


def _accounts(backoffice: Backoffice) -> list[tuple[str, Any]]:
    from adapters.postgres.looking import chains
    from domain.payments import bank_account_id

    backoffice.catch_up(("bank",))
    return [(each.account, bank_account_id(Iban(each.account))) for each in chains(backoffice.database)]


def _standing(backoffice: Backoffice, stream: Any) -> tuple[Any, Sequence[Any]]:
    from domain.bank_account import BANK_ACCOUNT

    state = backoffice.store.load(BANK_ACCOUNT, [stream])[stream].state
    return state, [envelope.event for envelope in backoffice.store.history(stream)]


def standing_gaps(backoffice: Backoffice, iban: str) -> tuple[Any, Sequence[GapView]]:
    """
    Return what is in the way on an account, and the gaps of which something is still to be said or approved.
    """
    from application.chain_views import gaps_of, obstacle
    from domain.payments import bank_account_id

    state, history = _standing(backoffice, bank_account_id(Iban(iban)))
    waiting = [gap for gap in gaps_of(state, history) if gap.state in {"to_approve", "open"}]
    return obstacle(state), waiting


def _gaps(asked: Asked, backoffice: Backoffice, account: str) -> StatementGaps:
    from application.statement_gaps import StatementGaps
    from application.take_commands import Sender

    day = deciding_day(asked, backoffice)
    wanted = account.replace(" ", "").upper()
    fitting = [stream for iban, stream in _accounts(backoffice) if wanted in {"", iban}]
    if not fitting:
        raise NotAStatement
    if len(fitting) > 1:
        raise SeveralAccounts
    return StatementGaps(backoffice.money_in, fitting[0], Sender(backoffice.settings.actor, day, "desk"))


def _alone(backoffice: Backoffice) -> Any:
    from adapters.postgres.exclusive import only_one

    return only_one(backoffice.database, "import", actor=backoffice.settings.actor)


def _moved(
    backoffice: Backoffice, gaps: StatementGaps, statement: tuple[int, int], taken: Sequence[StatementReport]
) -> StatementMoved:
    from application.chain_views import gaps_of
    from console.answers.of_statements import StatementMoved

    backoffice.catch_up()
    name = f"{statement[0]}/{statement[1]}"
    state, history = _standing(backoffice, gaps.account)
    gap = next((each for each in reversed(gaps_of(state, history)) if each.statement == name), None)
    return StatementMoved(statement=name, gap=gap, taken=taken)


def _show_moved(moved: StatementMoved) -> None:
    gap = moved.gap
    if gap is not None and gap.state == "to_approve":
        out(f"Declared: {moved.statement} follows {gap.after}, a difference of {euros(gap.difference_cents)}.")
        out("A second person looks at it and approves it:")
        out(f"  backoffice statements approve {moved.statement}")
        return
    for report in moved.taken:
        out(f"Statement {report.year}/{report.number} taken, {count(report.movements, 'movement')}.")
    if gap is not None and gap.state == "open":
        out(f"{euros(gap.difference_cents)} between {gap.after} and {gap.statement} is not explained yet.")
    elif not moved.taken:
        out("Done.")


def _show(found: StatementList) -> None:
    for each in found.accounts:
        heading(Iban(each.account).printed)
        out(f"Taken up to {each.last}, {euros(each.closing_cents)}." if each.last and each.closing_cents is not None
            else "No statement yet.")  # fmt: skip
        if each.waiting:
            table(("waits", "opens with"), [(one.statement, euros(one.opening_cents)) for one in each.waiting],
                  right=("opens with",))  # fmt: skip
        if each.obstacle is not None:
            out(way_out(each.obstacle))
        if each.gaps:
            rows = [(gap.statement, gap.after, euros(gap.difference_cents), _GAP_IS[gap.state], _told(gap))
                    for gap in each.gaps]  # fmt: skip
            table(("statement", "after", "difference", "", "said"), rows, right=("difference",))
        for gone in each.discarded:
            out(f"{gone.statement} was given up by {gone.discarded_by} on {gone.discarded_on}: {gone.reason}")


def way_out(obstacle: Any) -> str:
    """
    Say in a sentence what keeps a statement back.
    """
    if obstacle.missing:
        return f"{obstacle.statement} waits: statement {obstacle.missing} is missing"
    return (
        f"{obstacle.statement} waits: it opens with {euros(obstacle.opening_cents)}, "
        f"{obstacle.last} closed with {euros(obstacle.closing_cents)}"
    )


def _told(gap: GapView) -> str:
    parts = [f"{gap.declared_by} on {gap.declared_on}: {gap.reason}"]
    parts += [f"approved by {gap.approved_by} on {gap.approved_on}"] if gap.approved_by else []
    parts += [f"{gap.explained_by} on {gap.explained_on}: {gap.explanation}"] if gap.explained_by else []
    return "; ".join(parts)
