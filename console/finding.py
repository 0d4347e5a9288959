"""
Finding what a person means by a word: a run by its id, by its first letters, or by the name of its job.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from domain.errors import NotFound, Refused
from domain.ids import StreamId

if TYPE_CHECKING:
    from adapters.wiring import Backoffice

_PREFIX: Final = re.compile(r"[0-9a-f]{4,32}", re.ASCII)


class SeveralRuns(Refused):
    """
    More than one run starts with these letters; give more of them.
    """


class NotAStatement(NotFound):
    """
    There is no statement with this year and number here; write it as 2026/12.
    """


class SeveralAccounts(Refused):
    """
    The fund has several accounts here; say which one: --account IBAN
    """


class NoSuchMember(NotFound):
    """
    There is no member with this id.
    """


def run_named(backoffice: Backoffice, word: str) -> StreamId:
    """
    Return the run that is meant. Raises NoSuchRun, SeveralRuns.
    """
    from adapters.postgres.looking import run_lines, runs_starting_with
    from application.runs.refusals import NoSuchRun

    backoffice.catch_up(("runs",))
    if word in backoffice.runs.jobs:
        newest = run_lines(backoffice.database, job=word)
        if not newest:
            raise NoSuchRun(run=word)
        return StreamId(next((line.run for line in newest if line.state != "abandoned"), newest[0].run))
    letters = word.lower().replace("-", "")
    found = runs_starting_with(backoffice.database, letters) if _PREFIX.fullmatch(letters) else []
    if not found:
        raise NoSuchRun
    if len(found) > 1:
        raise SeveralRuns
    return StreamId(found[0])


def id_named(word: str) -> UUID | None:
    """
    Return the id that a word is, or None.
    """
    try:
        return UUID(word)
    except ValueError:
        return None
