"""
`backoffice project`: read models, up to date or built again beside the one in use. Nothing is sent.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from console.asking import Asked, asks, back_office
from console.exits import Exit
from console.output import count, give, heading, out, progress, say, table
from console.stopping import at_the_end_of_a_part
from domain.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.postgres.looking import ModelStatus
    from adapters.postgres.rebuild import Fill
    from adapters.wiring import Backoffice
    from console.answers.every import Rebuilt


class NoSuchModel(NotFound):
    """
    There is no read model of that name; `backoffice project` lists them.
    """


@click.group("project", invoke_without_command=True)
@asks
def project_command(asked: Asked) -> None:
    """
    Say how far each read model is; `run` brings them up to date, `rebuild` makes one again.

    Example: ./backoffice project
    """
    if click.get_current_context().invoked_subcommand is None:
        _status(asked)


@project_command.command("status")
@asks
def project_status(asked: Asked) -> None:
    """
    Say how far each read model is.

    Example: ./backoffice project status
    """
    _status(asked)


def _status(asked: Asked) -> None:
    from console.answers.every import Projected

    with back_office(asked) as backoffice:
        models = _statuses(backoffice)
    give(Projected(models=models), lambda: _show_statuses(models), as_json=asked.as_json)


def _statuses(backoffice: Backoffice) -> Sequence[ModelStatus]:
    from adapters.postgres.looking import model_statuses

    high_water = backoffice.store.feed.high_water()
    return model_statuses(backoffice.database, names=list(backoffice.models), high_water=high_water)


def _show_statuses(models: Sequence[ModelStatus]) -> None:
    rows = [(each.name, each.version, each.position, each.behind, each.moved_at) for each in models]
    headers = ("read model", "version", "position", "behind", "moved (UTC)")
    table(headers, rows, right=("version", "position", "behind"))


@project_command.command("run")
@asks
def project_run(asked: Asked) -> None:
    """
    Bring every read model up to the last recorded event.

    Example: ./backoffice project run
    """
    from console.answers.every import Projected

    with back_office(asked) as backoffice, at_the_end_of_a_part(say) as check, progress("events") as told:
        done = 0

        def moved(events: int) -> None:
            nonlocal done
            done += events
            told(done, 0)
            check()

        read = backoffice.catch_up(moved=moved)
        models = _statuses(backoffice)
    answer = Projected(models=models, read=read)
    give(answer, lambda: out(f"Up to date; {count(read, 'event')} read."), as_json=asked.as_json)


@project_command.command("rebuild")
@click.argument("name")
@click.option("--accept", is_flag=True, help="Swap the new one in though it differs.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="How many processes; without it 2 for a million events on two cores, else 1.",
)
@asks
def project_rebuild(asked: Asked, name: str, accept: bool, workers: int | None) -> None:
    """
    Build a read model (or all) again beside the one in use, report what differs, and swap.

    Example: ./backoffice project rebuild premium_account
    """
    from console.answers.every import Projected

    with back_office(asked) as backoffice, at_the_end_of_a_part(say) as check:
        if name != "all" and name not in backoffice.models:
            raise NoSuchModel
        names = list(backoffice.models) if name == "all" else [name]
        rebuilt = [_rebuilt(backoffice, each, accept=accept, workers=workers, check=check) for each in names]
        models = _statuses(backoffice)
    answer = Projected(models=models, rebuilt=rebuilt)
    give(answer, lambda: _show_rebuilt(rebuilt), as_json=asked.as_json)
    if not all(each.swapped for each in rebuilt):
        click.get_current_context().exit(Exit.DIFFERENCES)


def _rebuilt(
    backoffice: Backoffice, name: str, *, accept: bool, workers: int | None, check: Callable[[], None]
) -> Rebuilt:
    from adapters.postgres.exclusive import only_one
    from adapters.postgres.projector import MadeByAnotherVersion
    from console.answers.every import Rebuilt

    actor = backoffice.settings.actor
    with only_one(backoffice.database, f"rebuild {name}", actor=actor), progress(f"rebuilding {name}") as told:
        with suppress(MadeByAnotherVersion):  # then there is nothing to bring up to date, and this makes it anew
            backoffice.catch_up((name,))
        rebuild = backoffice.rebuild(name)
        done = 0

        def moved(streams: int) -> None:
            nonlocal done
            done += streams
            told(done, 0)
            check()

        try:
            events = rebuild.build(streams=backoffice.pages, moved=moved, fill=_fill(backoffice, name, workers))
            differences = rebuild.differences()
        except BaseException:
            rebuild.drop()
            raise
        swapped = accept or all(each.none for each in differences)
        if swapped:
            rebuild.swap()
        else:
            rebuild.drop()
    return Rebuilt(name=name, events=events, differences=differences, swapped=swapped)


def _fill(backoffice: Backoffice, name: str, workers: int | None) -> Fill | None:
    """
    Return what fills the new read model in processes of its own, when there are to be several.
    """
    from adapters.rebuild_workers import filled_by, workers_for
    from console.workers import open_rebuild

    several = workers or workers_for(backoffice.store.feed.high_water())
    return filled_by(partial(open_rebuild, name), workers=several) if several > 1 else None


def _show_rebuilt(rebuilt: Sequence[Rebuilt]) -> None:
    rows = [
        (f"{each.name}.{one.table}", one.old_rows, one.new_rows, one.missing, one.extra, one.changed)
        for each in rebuilt
        for one in each.differences
    ]
    headers = ("table", "rows", "rebuilt", "missing", "extra", "changed")
    table(headers, rows, right=headers[1:])
    named = [
        (f"{each.name}.{one.table}", row.key, row.how, ", ".join(row.columns))
        for each in rebuilt
        for one in each.differences
        for row in one.examples
    ]
    if named:
        heading("The first rows that differ")
        table(("table", "row", "how", "in"), named)
    heading("Result")
    for each in rebuilt:
        if each.swapped:
            out(f"{each.name}: {count(each.events, 'event')} folded, swapped in.")
        else:
            out(f"{each.name}: differs and was not swapped in; read the report, then: "
                f"backoffice project rebuild {each.name} --accept")  # fmt: skip
