"""
Exit codes: one table, the same for every command, and the one place where an error becomes a sentence and a code.
"""

from __future__ import annotations

import enum
import errno
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import click
import msgspec

from domain.errors import BackofficeError, Conflict, NotFound, Refused, Unavailable, Unreadable


class Exit(enum.IntEnum):
    """
    What a program that starts us goes by; `MEANING` says each in a sentence.
    """

    DONE = 0
    DIFFERENCES = 1
    USAGE = 2
    REFUSED = 3
    UNREADABLE = 4
    BUSY = 5
    UNAVAILABLE = 6
    NOT_FOUND = 7
    PARTLY = 8
    DEFECT = 70
    OUTPUT_CLOSED = 74
    INTERRUPTED = 130
    TERMINATED = 143


MEANING: Final = {
    Exit.DONE: "done, or there was nothing to do; what runs until told to stop was told so",
    Exit.DIFFERENCES: "done, and control totals, read models or checks differ; each is named",
    Exit.USAGE: "the words of the command are off; nothing was done",
    Exit.REFUSED: "a rule says no; nothing was done",
    Exit.UNREADABLE: "a file or a setting is bad; nothing of it was taken",
    Exit.BUSY: "someone else is doing this now; try again",
    Exit.UNAVAILABLE: "the database or another part is not there, or is of another version; nothing was done",
    Exit.NOT_FOUND: "there is no such member, run, letter or value of the law",
    Exit.PARTLY: "done, but some lines, items, files or messages were refused; each has its reason",
    Exit.DEFECT: "our mistake: report the number that was printed",
    Exit.OUTPUT_CLOSED: "the output could not be written",
    Exit.INTERRUPTED: "stopped by a person (Ctrl-C); the same command goes on where it was",
    Exit.TERMINATED: "stopped by the system (SIGTERM, SIGHUP); the same command goes on where it was",
}

STOPPED: Final = "Stopped. Give the same command again: it goes on where it was."

_BY_KIND: tuple[tuple[type[BackofficeError], Exit], ...] = (
    (Unreadable, Exit.UNREADABLE),
    (NotFound, Exit.NOT_FOUND),
    (Refused, Exit.REFUSED),
    (Conflict, Exit.BUSY),
    (Unavailable, Exit.UNAVAILABLE),
)

#: Keeps the trace of a defect, by its number; the screen never shows it.
KeepTrace = Callable[[str, BaseException], None]


class Terminated(BaseException):
    """
    The system asked this process to stop.
    """


def exit_of(error: BackofficeError) -> Exit:
    return next((code for kind, code in _BY_KIND if isinstance(error, kind)), Exit.DEFECT)


@contextmanager
def said_in_one_sentence(*, as_json: bool, keep_trace: KeepTrace = lambda _number, _error: None) -> Iterator[None]:
    """
    Turn any error of the block into one sentence on stderr (or one JSON object on stdout) and its exit code.

    What is not ours to refuse is a defect: it gets a number, the trace goes to the log file, never to the screen.
    """
    try:
        yield
        sys.stdout.flush()
    except BackofficeError as error:
        _say(error.code or error.name(), str(error), as_json=as_json, **details(error))
        sys.exit(exit_of(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.format_message(), err=True)
        sys.exit(Exit.USAGE)
    except click.UsageError as error:
        say_usage(error, as_json=as_json)
        sys.exit(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt) as stopped:
        _say("Interrupted", str(stopped) or STOPPED, as_json=as_json)
        sys.exit(Exit.INTERRUPTED)
    except Terminated as stopped:
        _say("Terminated", str(stopped) or STOPPED, as_json=as_json)
        sys.exit(Exit.TERMINATED)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} and error.filename:
            _say("Unavailable", f"The disk is full ({error.filename}); make room and try again.", as_json=as_json)
            sys.exit(Exit.UNAVAILABLE)
        if error.errno in {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}:
            _output_closed(error)
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            where = f" ({error.filename}: {error.strerror})" if error.filename else ""
            _say("Unavailable", f"This account may not write there{where}; see who owns it.", as_json=as_json)
            sys.exit(Exit.UNAVAILABLE)
        _defect(error, keep_trace, as_json=as_json)
    except click.exceptions.Exit:
        raise
    except Exception as error:
        unavailable = _from_the_database(error)
        if unavailable:
            _say(unavailable.name(), str(unavailable), as_json=as_json)
            sys.exit(Exit.UNAVAILABLE)
        _defect(error, keep_trace, as_json=as_json)


def say_usage(error: click.UsageError, *, as_json: bool) -> None:
    """
    Say in one line which word of the call is off, and where the help is.
    """
    path = error.ctx.command_path if error.ctx else "backoffice"
    sentence = error.format_message().replace("\n", " ")
    end = "" if sentence.endswith((".", "?")) else "."
    _say("Usage", f"{sentence}{end} See: {path} --help", as_json=as_json)


def details(error: BackofficeError) -> dict[str, Any]:
    """
    Return what a machine may go by besides the code: the rule, and the place in a file.
    """
    found: dict[str, Any] = {"rule": error.rule} if error.rule else {}
    for name in ("line", "column", "field"):
        if value := getattr(error, name, None):
            found[name] = value
    return found


def _from_the_database(error: Exception) -> Unavailable | None:
    """
    Return our own error for what the driver says in the middle of reading; its own text may hold values.
    """
    if not type(error).__module__.startswith("psycopg"):
        return None
    state = getattr(error, "sqlstate", None) or ""
    if state == "25006":
        return Unavailable("The database is read-only; nothing was done. Give the address of the primary server.")
    if state == "42501":
        return Unavailable("The login may not do this in the database; nothing was done. Ask: backoffice doctor")
    if state.startswith("53"):
        from adapters.postgres.database import out_of

        return out_of(state)
    if state.startswith(("08", "57", "55P03")) or type(error).__name__ == "OperationalError":
        return Unavailable(
            "The database stopped answering; give the same command again, what was recorded is not done twice."
        )
    return None


def _defect(error: BaseException, keep_trace: KeepTrace, *, as_json: bool) -> None:
    number = secrets.token_hex(4)
    kept = "the trace is in the log"
    try:
        keep_trace(number, error)
    except OSError:
        kept = "the log could not be written"
    _say("Defect", f"This is a mistake in the program. Report it as number {number}; {kept}.", as_json=as_json)
    sys.exit(Exit.DEFECT)


def _output_closed(error: OSError) -> None:
    if error.errno != errno.EPIPE:
        with suppress(OSError):
            click.echo("backoffice: The output cannot be written: no room or a failing disk.", err=True)
    # The reader left (`| head`). Python would complain once more when it closes the pipe.
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(Exit.OUTPUT_CLOSED)


def _say(code: str, sentence: str, *, as_json: bool, **details: Any) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"error": {"code": code, "message": sentence, **details}}).decode())
    else:
        with suppress(OSError):
            click.echo(f"backoffice: {sentence}", err=True)
