"""
`backoffice today`: the legal calendar, the worklists and the bank, as they stand on a day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from console.asking import Asked, asks, back_office, beginning, day_of
from console.output import euros, give, heading, out, table
from domain.payments import Iban

if TYPE_CHECKING:
    from adapters.postgres.looking import Chain
    from adapters.wiring import Backoffice
    from application.runs.today import TodayLine
    from console.answers.every import CalendarLine, Today

_COLOURS: Final = {
    "late": "red",
    "impossible": "red",
    "due": "yellow",
    "waiting": "yellow",
    "done": "green",
    "closed": "green",
}


@click.command("today")
@click.option("--all", "everything", is_flag=True, help="Also what was done or closed in earlier years.")
@asks
def today_command(asked: Asked, everything: bool) -> None:
    """
    Say which runs are due, late, waiting or impossible on a day, what waits for a person, and how far the bank is.

    Example: ./backoffice today --on 2026-05-04
    """
    from adapters.postgres.heartbeats import Heartbeats
    from adapters.postgres.looking import chains, worklists
    from application.runs.today import today
    from console.answers.every import Today

    with back_office(asked) as backoffice:
        day, since = day_of(asked, backoffice), beginning(backoffice)
        backoffice.catch_up()
        lines = today(backoffice.runs, as_of=day, since=since, everything=everything)
        found = Today(
            on=day,
            since=since,
            calendar=[_line(line) for line in lines],
            worklists=worklists(backoffice.database, law=backoffice.law, as_of=day),
            accounts=[_with_gaps(backoffice, chain) for chain in chains(backoffice.database)],
            alarm_lived_at=Heartbeats(backoffice.database).last_beat(),
        )
    give(found, lambda: _show(found), as_json=asked.as_json)


def _with_gaps(backoffice: Backoffice, chain: Chain) -> Chain:
    import msgspec

    from console.statements import standing_gaps

    obstacle, gaps = standing_gaps(backoffice, chain.account)
    return msgspec.structs.replace(chain, obstacle=obstacle, gaps=gaps)


def _line(line: TodayLine) -> CalendarLine:
    from console.answers.every import CalendarLine

    return CalendarLine(
        job=line.job, year=line.year, status=line.status, planned=line.planned,
        latest=line.line.latest if line.line else None, phase=line.phase, waits_for=line.waits_for,
        left_over=line.left_over, run=line.run, rules=line.line.rules if line.line else (),
    )  # fmt: skip


def _show(found: Today) -> None:
    out(click.style(f"{found.on:%A} {found.on}", bold=True))
    heading("The legal year")
    rows = [(line.planned, f"{line.job} {line.year}" if line.year != found.on.year else line.job, _status(line),
             line.latest, _remark(line)) for line in found.calendar]  # fmt: skip
    table(("day", "run", "", "last day", ""), rows)
    lived = found.alarm_lived_at
    out(f"The alarm clock last lived on {lived:%Y-%m-%d at %H:%M %Z}." if lived else "No alarm clock has run here.")
    heading("Waiting for a person")
    waiting = [each for each in found.worklists if each.items]
    if waiting:
        table(
            ("list", "", "amount", "what"),
            [
                (each.name, each.items, euros(each.amount_cents) if each.amount_cents else "", each.what)
                for each in waiting
            ],
            right=("", "amount"),
        )
        out("The lines of a list: backoffice show worklist LIST")
    else:
        out("Nothing.")
    _show_bank(found)


def _show_bank(found: Today) -> None:
    from console.statements import way_out

    heading("The bank")
    for chain in found.accounts:
        until = f"statements up to {chain.last}, closed on {chain.closed_on}" if chain.last else "no statement yet"
        out(f"{Iban(chain.account).printed}  {until}{f', {euros(chain.closing_cents)}' if chain.last else ''}")
        if chain.waiting and chain.obstacle is not None:
            others = f" (and {len(chain.waiting) - 1} more)" if len(chain.waiting) > 1 else ""
            out(f"  {way_out(chain.obstacle)}{others}: backoffice statements list")
        for gap in chain.gaps:
            what = "waits for a second person" if gap.state == "to_approve" else "is not explained"
            said = f"{euros(gap.difference_cents)} {what} ({gap.declared_by}: {gap.reason})"
            out(f"  between {gap.after} and {gap.statement}: {said}")


def _status(line: CalendarLine) -> str:
    colour = _COLOURS.get(line.status)
    return click.style(line.status, fg=colour) if colour else line.status


def _remark(line: CalendarLine) -> str:
    left = f"{line.left_over} left out: backoffice run show {str(line.run)[:8]} --left-out" if line.left_over else ""
    names_what = line.waits_for and not line.waits_for[0].isupper() and line.status != "closed"
    waits = f"for {line.waits_for}" if names_what else line.waits_for
    return "; ".join(part for part in (waits, left) if part)
