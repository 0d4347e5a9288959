"""
`backoffice demo`: a made-up fund lives through a zorgpremie year on the real database, in a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from console.asking import Asked, asks
from console.exits import Exit, Terminated
from console.output import count, give, thousands
from domain.errors import Refused

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from console.demo.end import Demonstrated
    from console.demo.telling import Teller

_MARK: Final = "MADE-BY-BACKOFFICE-DEMO"
_SAYS: Final = "Everything in this folder is made up. `backoffice demo` wipes it and begins again.\n"
_STOPPED: Final = "Stopped. The next demonstration begins again, with a clean database."
_BEGINS: Final = date(2024, 1, 5)
_YEARS_BEFORE: Final = (2024, 2025)
_YEAR_SHOWN: Final = 2026


class NotADemoFolder(Refused):
    """
    The folder of the demonstration holds something else; move it away, or choose another BACKOFFICE_HOME.
    """


@click.command("demo")
@click.option("--members", type=click.IntRange(20, 200_000), default=3_000, show_default=True, help="How many members.")
@click.option("--seed", type=int, default=7, show_default=True, help="Other people, other payments.")
@click.option("--kafka", is_flag=True, help="With a broker and the relay beside it, so that the topics fill.")
@asks
def demo_command(asked: Asked, members: int, seed: int, kafka: bool) -> None:
    """
    Show a zorgpremie year of a made-up fund, with real letters, bank files and a report to look at.

    It lives in demo/ under the home and starts clean each time; your own data are never touched.

    Example: ./backoffice demo --kafka
    """
    from adapters.settings import Settings, make_home
    from console.demo.end import show

    home = Settings.from_environment({"BACKOFFICE_HOME": os.environ.get("BACKOFFICE_HOME", "")}).home
    make_home(home)
    try:
        told = demonstrate(home / "demo", members=members, seed=seed, kafka=kafka)
    except (KeyboardInterrupt, Terminated) as stopped:
        raise type(stopped)(_STOPPED) from None
    give(told, lambda: show(told), as_json=asked.as_json)
    if not told.agrees:
        click.get_current_context().exit(Exit.DIFFERENCES)


def demonstrate(folder: Path, *, members: int, seed: int, kafka: bool = False) -> Demonstrated:
    """
    Let the made-up fund live from January 2024 to November 2026, and tell what came of it. Raises NotADemoFolder.
    """
    from adapters.whole_files import one_at_a_time
    from console.demo.telling import Teller
    from console.demo.topics import topics_that_fill

    began = time.monotonic()
    teller = Teller()
    _check_ours(folder)
    folder.mkdir(parents=True, exist_ok=True)
    teller.chapter("A fund that does not exist", f"{members} members, embedded PostgreSQL, in {folder}")
    with one_at_a_time(folder), _clean_fund(folder, teller) as backoffice:
        if not kafka:
            return _live(backoffice, folder, teller, members=members, seed=seed, began=began)
        with topics_that_fill(backoffice, folder, teller) as topics:
            told = _live(backoffice, folder, teller, members=members, seed=seed, began=began)
            with teller.step(None, "Published") as step:
                topics.wait_until_published()
                step.says("every event is on its topic, in order per member, without a name or an account")
            return msgspec.structs.replace(told, topics=topics.told())


def _live(
    backoffice: Backoffice, folder: Path, teller: Teller, *, members: int, seed: int, began: float
) -> Demonstrated:
    from adapters.synthetic.people import newcomers
    from console.demo.end import conclude
    from console.demo.fund import DemoFund
    from console.demo.year import Year

    fund = DemoFund(backoffice, folder, seed=seed, opened_on=_BEGINS)
    people = list(newcomers(members, seed=seed, known_on=_BEGINS))
    with teller.step(_BEGINS, "Members") as step:
        taken = fund.take_file("members.jsonl", (person.command for person in people), on=_BEGINS)
        confirmed = [person.confirmation(_BEGINS) for person in people if person.confirms]
        fund.take_file("confirmed-addresses.jsonl", confirmed, on=_BEGINS)
        step.says(
            f"{count(taken.accepted, 'member')} registered from members.jsonl, {thousands(len(confirmed))} confirmed "
            "an e-mail address; names, addresses and accounts are sealed"
        )
    for year in _YEARS_BEFORE:
        Year(fund, teller, year, people).passes()
    teller.chapter(
        f"The zorgpremie year {_YEAR_SHOWN}", "each job a run: planned, approved by a second person, settled"
    )
    shown = Year(fund, teller, _YEAR_SHOWN, people)
    shown.is_shown()
    papers = {"all members": taken.path, **shown.papers, "a statement (CODA)": _last(fund.files, ".cod"),
              "a statement (camt.053)": _last(fund.files, ".xml")}  # fmt: skip
    letters = sum(made.letters for made in shown.letters)
    return conclude(fund, members=members, letters=letters, papers=papers, seconds=time.monotonic() - began)


@contextmanager
def _clean_fund(folder: Path, teller: Teller) -> Iterator[Backoffice]:
    """
    Open a new, empty back office in the folder, and stop its database at the end.
    """
    from adapters.clock import FixedClock
    from adapters.postgres.embedded import EmbeddedServer
    from adapters.settings import Settings
    from adapters.wiring import Schedule, opened
    from schedulers.jobs import JOBS
    from schedulers.legal_calendar import LEGAL_CALENDAR

    settings = Settings(home=folder, actor="els", master_key_file=folder / "keys" / "master.key")
    schedule = Schedule(jobs=JOBS, calendar=LEGAL_CALENDAR)
    clock = FixedClock(datetime(_BEGINS.year, _BEGINS.month, _BEGINS.day, 8, tzinfo=UTC))
    with ExitStack() as stack:
        with teller.step(None, "A clean database") as step:
            _wipe(folder)
            stack.callback(EmbeddedServer(settings.embedded_directory).stop)
            fresh = opened(settings, schedule=schedule, clock=clock, prepare=True)
            backoffice = stack.enter_context(fresh)
            step.says("the earlier demonstration is gone, your own data are elsewhere")
        os.umask(0o077)
        yield backoffice


def _check_ours(folder: Path) -> None:
    """
    Raise NotADemoFolder unless the folder is an earlier demonstration, empty, or not there.
    """
    is_empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if folder.is_symlink() or not (is_empty or (folder / _MARK).is_file()):
        raise NotADemoFolder(folder=folder)


def _wipe(folder: Path) -> None:
    """
    Throw an earlier demonstration away, its database included.
    """
    from adapters.postgres.embedded import EmbeddedServer
    from adapters.postgres.programs import SYSTEM_PLACE

    mark = folder / _MARK
    mark.write_text(_SAYS, encoding="utf-8")
    server = EmbeddedServer(folder / "postgres")
    place = server.status().place
    server.stop()
    if place.parent == SYSTEM_PLACE:  # root's embedded data lie there; the folder only says where
        shutil.rmtree(place)
    for inside in folder.iterdir():
        if inside != mark:
            shutil.rmtree(inside) if inside.is_dir() and not inside.is_symlink() else inside.unlink()


def _last(files: list[Path], ending: str) -> Path:
    return next(path for path in reversed(files) if path.name.endswith(ending))
