"""
What every command is asked with: the business date, who asks, and whether a program or a person reads the answer.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import click

from console.exits import said_in_one_sentence
from console.journal import note_defect
from domain.dates import NotADate, date_from_text
from domain.errors import BackofficeError, NotFound, Refused
from domain.ids import MemberId, member_id_from_text
from domain.money import NotAnAmount, cents_from_euros

if TYPE_CHECKING:
    from adapters.wiring import Backoffice

_ACTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)


class FutureDate(Refused):
    """
    This day has not come yet; nothing can be decided or recorded for it. Choose today or an earlier day.
    """


class BeforeTheBeginning(Refused):
    """
    The back office began later than this day, so nothing is recorded for it; choose a day from its beginning on.
    """


@dataclass(frozen=True, kw_only=True)
class Asked:
    """
    `on` is the business date that was given, if one was; `actor` who asks, if that was said.
    """

    on: date | None = None
    as_json: bool = False
    actor: str = ""
    yes: bool = False


class DateType(click.ParamType[date]):
    """
    A day as YYYY-MM-DD, and nothing else.
    """

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date_from_text(str(value))
        except NotADate as error:
            self.fail(str(error), param, ctx)


class MemberType(click.ParamType[MemberId]):
    """
    A member's id.
    """

    name = "member"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> MemberId:
        try:
            return member_id_from_text(str(value))
        except BackofficeError as error:
            self.fail(str(error), param, ctx)


class EurosType(click.ParamType[int]):
    """
    An amount such as 12.50, as cents.
    """

    name = "euros"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else int(cents_from_euros(str(value)))
        except NotAnAmount as error:
            self.fail(str(error), param, ctx)


class ActorType(click.ParamType[str]):
    """
    Who asks: letters, digits and . _ @ -
    """

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _ACTOR.fullmatch(str(value)):
            self.fail("A name has 1 to 64 letters, digits and . _ @ - and starts with a letter or digit.", param, ctx)
        return str(value)


_OPTIONS: Final = (
    click.option("--on", type=DateType(), help="The business date; without it, today in Brussels."),
    click.option("--json", "as_json", is_flag=True, help="Answer in JSON (docs/schemas)."),
    click.option("--as", "actor", type=ActorType(), help="Who asks; without it BACKOFFICE_ACTOR or your account."),
)


def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """
    Give a group or a command the options that all of them have.
    """
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def asks(function: Callable[..., Any]) -> Callable[..., Any]:
    """
    Make a command of a function that takes an `Asked` first; its refusals become a sentence and an exit code.
    """

    @functools.wraps(function)
    def call(on: date | None, as_json: bool, actor: str | None, **arguments: Any) -> None:
        around = click.get_current_context().find_object(Asked) or Asked()
        asked = Asked(
            on=on or around.on,
            as_json=as_json or around.as_json,
            actor=actor or around.actor,
            yes=bool(arguments.pop("yes", False)) or around.yes,
        )
        with said_in_one_sentence(as_json=asked.as_json, keep_trace=note_defect):
            function(asked, **arguments)

    return with_options(call)


@contextmanager
def back_office(asked: Asked, *, prepare: bool = False) -> Iterator[Backoffice]:
    """
    Open the back office of this environment. Raises EmptyDatabase when there is none yet and we are not making it.
    """
    from adapters.postgres.migrate import EmptyDatabase
    from adapters.run_workers import crew_of
    from adapters.settings import Settings, make_home
    from adapters.wiring import Schedule, opened
    from console.workers import open_runs
    from schedulers.jobs import JOBS
    from schedulers.legal_calendar import LEGAL_CALENDAR

    settings = Settings.from_environment(_environment(asked))
    if settings.embedded and not prepare and not settings.embedded_directory.exists():
        raise EmptyDatabase
    if settings.embedded or prepare:
        make_home(settings.home)
    schedule = Schedule(jobs=JOBS, calendar=LEGAL_CALENDAR)
    with opened(settings, schedule=schedule, crew=crew_of(open_runs), prepare=prepare) as backoffice:
        os.umask(0o077)  # whatever is written from here on is nobody else's to read
        yield backoffice


def _environment(asked: Asked) -> dict[str, str]:
    environment = dict(os.environ)
    if asked.actor:
        environment["BACKOFFICE_ACTOR"] = asked.actor
    return environment


def day_of(asked: Asked, backoffice: Backoffice) -> date:
    """
    Return the business date for looking: the one given, or today in Brussels.
    """
    from adapters.clock import today_in_brussels

    return asked.on or today_in_brussels(backoffice.clock)


def deciding_day(asked: Asked, backoffice: Backoffice) -> date:
    """
    Return the business date for recording. Raises FutureDate, BeforeTheBeginning.
    """
    from adapters.clock import today_in_brussels

    day, today = day_of(asked, backoffice), today_in_brussels(backoffice.clock)
    if day > today:
        raise FutureDate(day=day)
    began = beginning(backoffice)
    if day < began:
        raise BeforeTheBeginning(day=day, began=began)
    return day


def beginning(backoffice: Backoffice) -> date:
    """
    Return the day from which this house does the work itself: when its first account was opened.
    """
    from adapters.postgres.looking import began_on

    found = began_on(backoffice.database)
    if found is None:
        raise NotBegun
    return found


class NotBegun(NotFound):
    """
    The database is prepared, but the fund's account was never opened; run: backoffice init
    """


def confirmed(asked: Asked, question: str) -> None:
    """
    Have a person say yes; `--yes` says it beforehand. Without a terminal and without `--yes` it is a no.
    """
    if not asked.yes:
        click.confirm(question, abort=True, err=True)
