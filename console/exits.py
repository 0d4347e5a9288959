"""
Exit codes: one table, the same for every command, and the one place where an error becomes a sentence and a code.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from domain.errors import BackofficeError, Conflict, NotFound, Refused, Unavailable, Unreadable


class Exit(enum.IntEnum):
    """
    What a program that starts us goes by. The remark is what `docs/errors.md` prints.
    """

    DONE = 0  # done, or nothing to do
    DIFFERENCES = 1  # done, and control totals or read models differ; they are named
    USAGE = 2  # the call's words are off; nothing was done
    REFUSED = 3  # a rule says no; nothing was done
    UNREADABLE = 4  # a file is bad; nothing of it was taken
    BUSY = 5  # someone else is doing this now; try again
    UNAVAILABLE = 6  # the database, the broker or a file is not there
    NOT_FOUND = 7  # no such member, run, letter or value of the law
    PARTLY = 8  # done, but some lines or items were refused; each has its reason
    DEFECT = 70  # our mistake: report the number that was printed
    OUTPUT_CLOSED = 74  # the output could not be written
    INTERRUPTED = 130  # stopped by a person; start it again, it goes on where it was
    TERMINATED = 143


_BY_KIND: tuple[tuple[type[BackofficeError], Exit], ...] = (
    (Unreadable, Exit.UNREADABLE),
    (NotFound, Exit.NOT_FOUND),
    (Refused, Exit.REFUSED),
    (Conflict, Exit.BUSY),
    (Unavailable, Exit.UNAVAILABLE),
)


def exit_of(error: BackofficeError) -> Exit:
    return next((code for kind, code in _BY_KIND if isinstance(error, kind)), Exit.DEFECT)


@contextmanager
def said_in_one_sentence(*, as_json: bool) -> Iterator[None]:
    """
    Turn any error of the block into one sentence on stderr (or one JSON object on stdout) and its exit code.

    What is not ours to refuse is a defect: it gets a number, the trace goes to the log file, never to the screen.
    """
    try:
        yield
    except BackofficeError as error:
        _say(error.name(), str(error), error.rule, as_json=as_json)
        sys.exit(exit_of(error))
    except BrokenPipeError:
        # The reader left (`| head`). Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OUTPUT_CLOSED)
    except KeyboardInterrupt:
        _say("Interrupted", "Stopped. Give the same command again: it goes on where it was.", "", as_json=as_json)
        sys.exit(Exit.INTERRUPTED)


def _say(code: str, sentence: str, rule: str, *, as_json: bool) -> None:
    if as_json:
        answer = {"error": {"code": code, "message": sentence, **({"rule": rule} if rule else {})}}
        click.echo(msgspec.json.encode(answer).decode())
    else:
        click.echo(f"backoffice: {sentence}", err=True)
