"""
What is kept of an error that one item or one message met, while the others go on: a code, never what it was about.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from domain.errors import BackofficeError

_HOUSE: Final = PurePath(__file__).parents[1]


def error_code(error: Exception) -> str:
    """
    Return a stable code for an error: its class, with the number of the rule when a rule refused. Never its facts.

    A defect has no rule, and whoever repairs it needs to know where it happened: the last line of ours that it passed.
    """
    if isinstance(error, BackofficeError):
        return f"{error.rule}/{error.name()}" if error.rule else error.name()
    place = _last_line_of_ours(error)
    return f"{type(error).__name__} at {place}" if place else type(error).__name__


def _last_line_of_ours(error: Exception) -> str:
    """
    Return the file and line of our own code that an error passed last; nothing when it passed none.
    """
    place = ""
    step = error.__traceback__
    while step is not None:
        path = PurePath(step.tb_frame.f_code.co_filename)
        if path.is_relative_to(_HOUSE) and "site-packages" not in path.parts:
            place = f"{path.relative_to(_HOUSE).as_posix()} line {step.tb_lineno}"
        step = step.tb_next
    return place
