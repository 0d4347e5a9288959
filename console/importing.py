"""
`backoffice import`: files of commands and bank files, each taken whole or not at all, and once under any name.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from console import exits
from console.asking import Asked, asks, back_office, deciding_day
from console.output import count, euros, give, heading, out, progress, say, table
from console.stopping import at_the_end_of_a_part
from domain.errors import BackofficeError, NotFound, Refused, Unavailable, Unreadable

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from application.money_in import StatementReport
    from application.take_commands import Answered
    from console.answers.every import Imported, ImportedFile


@click.command("import")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a line of commands, and stop.")
@click.option("--close", is_flag=True, help="Print the file with its closing line (count and SHA-256), and stop.")
@click.option("--answers", type=click.Path(path_type=Path), help="Write the answer to every command to this file.")
@click.option("--dry-run", is_flag=True, help="Say what would come of it, and record nothing.")
@asks
def import_command(
    asked: Asked, *, files: tuple[Path, ...], schema: bool, close: bool, answers: Path | None, dry_run: bool
) -> None:
    """
    Take files of commands (JSON lines) and bank files (CODA, camt.053); the program sees itself which is which.

    A bank file is taken whole or not at all. A file of commands is read whole before its first line counts; then its
    lines are recorded a thousand at a time, each with an answer of its own. After a crash in the middle the same file
    is given again: what was taken keeps its answer and counts as done before. What was imported before changes nothing.
    A rejected file is kept sealed in quarantine/ under the home.
    With --dry-run all is done as usual and then undone; others who record wait meanwhile.

    Example: ./backoffice import members.jsonl --answers answers.jsonl
    """
    if schema:
        _print_schema()
        return
    if not files:
        raise click.UsageError("Name at least one file", click.get_current_context())
    if close:
        _print_closed(files)
        return
    with back_office(asked) as backoffice:
        taker = _Taker(asked, backoffice, answers, dry_run=dry_run)
        imported = taker.take(files)
    give(imported, lambda: _show(imported), as_json=asked.as_json)
    code = _exit_of(taker)
    if code:
        click.get_current_context().exit(code)


def _print_schema() -> None:
    import msgspec

    from application.commands import json_schema

    out(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode())


def _print_closed(files: Sequence[Path]) -> None:
    from adapters.clock import SystemClock
    from adapters.incoming_files import read_file
    from formats.jsonl import with_closing_line

    for path in files:
        sys.stdout.buffer.write(with_closing_line(read_file(path, clock=SystemClock())))


class AnswersUnwritable(Unreadable):
    """
    The answers cannot be written there; nothing was taken. Name another file, or leave --answers out.
    """


class AnswersNotKept(Unavailable):
    """
    The answers could not be written to their end. Make room, or name another file, and give the same files again: what
    was recorded keeps its answer.
    """


class _AnswersFile:
    """
    Where the answers to all commands of all files go, at the end; that it can be written is known before the beginning.
    """

    def __init__(self, path: Path) -> None:
        self.rows: list[dict[str, Any]] = []
        try:
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise AnswersUnwritable(reason=error.strerror) from None

    def write(self) -> None:
        from adapters.command_files import write_answers

        try:
            with os.fdopen(self._handle, "wb") as file:
                if stat.S_ISREG(os.fstat(self._handle).st_mode):  # a device or a pipe holds nothing to take away
                    file.truncate(0)
                file.writelines(write_answers(self.rows))
        except OSError as error:
            raise AnswersNotKept(reason=error.strerror) from None


class _Taker:
    """
    Takes files one after the other, each by itself: what is wrong with one does not stop the next.
    """

    def __init__(self, asked: Asked, backoffice: Backoffice, answers: Path | None, *, dry_run: bool) -> None:
        self._asked = asked
        self._office = backoffice
        self._answers = _AnswersFile(answers) if answers is not None else None
        self._dry_run = dry_run
        self._day = deciding_day(asked, backoffice)
        self.errors: list[BackofficeError] = []
        self.refused = 0
        self.took_something = False

    def take(self, files: Sequence[Path]) -> Imported:
        from adapters.postgres.exclusive import only_one
        from adapters.wiring import rehearsed

        office = self._office
        with only_one(office.database, "import", actor=office.settings.actor), at_the_end_of_a_part(say) as check:
            if not self._dry_run:
                return self._all(files, check)
            with rehearsed(office) as self._office:
                return self._all(files, check)

    def _all(self, files: Sequence[Path], check: Callable[[], None]) -> Imported:
        from console.answers.every import Imported

        taken: list[ImportedFile] = []
        try:
            for path in files:
                check()
                taken.append(self._one(path, check))
        finally:
            if self._answers is not None:
                self._answers.write()
        if not self._dry_run:
            self._office.catch_up()
        return Imported(files=taken, dry_run=self._dry_run)

    def _one(self, path: Path, check: Callable[[], None]) -> ImportedFile:
        from adapters.incoming_files import read_file, shown
        from console.answers.every import Failed, ImportedFile

        content = b""
        try:
            content = read_file(path, clock=self._office.clock)
            taken = self._taken(shown(path), content, check)
            self.took_something = True
        except (Unreadable, Refused, NotFound) as error:
            self.errors.append(error)
            if content and not self._dry_run:
                self._keep(content, error)
            told = Failed.Error(
                code=error.code or error.name(),
                message=str(error),
                others=getattr(error, "others", ()),
                **exits.details(error),
            )
            return ImportedFile(file=shown(path), kind="unknown", state="rejected", error=told)
        return taken

    def _taken(self, name: str, content: bytes, check: Callable[[], None]) -> ImportedFile:
        from adapters.command_files import read_commands

        start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(b"{"):
            return self._commands(name, read_commands(content), check)
        return self._bank(name, content, check)

    # --- Commands ----------------------------------------------------------------------------------------------------

    def _commands(self, name: str, lines: Sequence[tuple[int, Any]], check: Callable[[], None]) -> ImportedFile:
        from application.take_commands import Sender, take_commands
        from console.answers.every import ImportedFile, answer_line

        answered: list[Answered] = []
        with progress(name) as told:

            def moved(_chunk: int) -> None:
                told(len(answered), len(lines))
                check()

            sender = Sender(self._office.settings.actor, self._day, "import")
            context = self._office.context(self._day)
            answers = take_commands(self._office.store, lines, context=context, sender=sender, progress=moved)
            answered.extend(answers)
        rows = [answer_line(each) for each in answered]
        fresh = [row for row in rows if not row["repeated"]]
        refused = [row for row in fresh if row["outcome"] == "refused"]
        self.refused += len(refused)
        if self._answers is not None:
            self._answers.rows += rows
        reasons: dict[str, int] = {}
        for row in refused:
            reasons[row["code"]] = reasons.get(row["code"], 0) + 1
        return ImportedFile(
            file=name,
            kind="commands",
            state="taken" if fresh or not rows else "already_imported",
            accepted=len(fresh) - len(refused),
            refused=len(refused),
            repeated=len(rows) - len(fresh),
            refusals=reasons,
            answers=rows if self._answers is None and self._asked.as_json else refused,
        )

    # --- Bank files --------------------------------------------------------------------------------------------------

    def _bank(self, name: str, content: bytes, check: Callable[[], None]) -> ImportedFile:
        from adapters.wiring import read_bank_file
        from application.take_commands import Sender
        from console.answers.every import ImportedFile

        file = read_bank_file(content)
        movements = sum(len(statement.movements) for statement in file.statements)
        done = 0
        with progress(name) as told:

            def moved(chunk: int) -> None:
                nonlocal done
                done += chunk
                told(done, movements)
                check()

            sender = Sender(self._office.settings.actor, self._day, "import")
            reports = self._office.money_in.take(file, sender=sender, progress=moved)
        states = {report.state for report in reports}
        state: Literal["taken", "waiting", "already_imported"] = (
            "taken" if "taken" in states else "waiting" if "waiting" in states else "already_imported"
        )
        return ImportedFile(file=name, kind="bank", state=state, statements=reports)

    def _keep(self, content: bytes, error: BackofficeError) -> None:
        from adapters.quarantine import Quarantine, Rejected

        sha256 = hashlib.sha256(content).hexdigest()
        why = Rejected(
            sha256=sha256,
            size=len(content),
            code=error.code or error.name(),
            sentence=str(error),
            rejected_at=self._office.clock.now(),
            by=self._office.settings.actor,
        )
        Quarantine(self._office.settings.home / "quarantine", self._office.master).keep(content, why)


def _exit_of(taker: _Taker) -> int:
    """
    Return the code: of the first rejected file when nothing else was taken, PARTLY when a part was.
    """
    if taker.errors and not taker.took_something:
        return exits.exit_of(taker.errors[0])
    return exits.Exit.PARTLY if taker.errors or taker.refused else exits.Exit.DONE


def _show(imported: Imported) -> None:
    if imported.dry_run:
        out("A dry run: this is what would come of it, and nothing was recorded.")
    for file in imported.files:
        if file.error is not None:
            say(f"{file.file}: rejected. {file.error.message}")
            for other in file.error.others:
                say(f"  {other}")
        elif file.state == "already_imported":
            out(f"{file.file}: already imported, nothing changed.")
        elif file.kind == "commands":
            _show_commands(file)
        else:
            _show_statements(file)


def _show_commands(file: ImportedFile) -> None:
    parts = [f"{count(file.accepted, 'command')} accepted"]
    parts += [f"{file.refused} refused"] if file.refused else []
    parts += [f"{file.repeated} already done before"] if file.repeated else []
    out(f"{file.file}: {', '.join(parts)}.")
    if file.refusals:
        heading("Refused")
        refused = [each for each in file.answers if each.get("outcome") == "refused"]
        rows = [(each["line"], each["code"], each["message"]) for each in refused[:20]]
        table(("line", "code", "why"), rows, right=("line",))
        if len(refused) > 20:
            out(f"... and {len(refused) - 20} more: --answers FILE holds them all")


def _show_statements(file: ImportedFile) -> None:
    for report in file.statements:
        name = f"{file.file}: statement {report.year}/{report.number}"
        if report.state == "waiting":
            out(f"{name} came before its turn; it is kept until statement {report.waits_for} comes.")
        elif report.state == "already_taken":
            out(f"{name} was taken before, nothing changed.")
        else:
            out(f"{name} taken, {count(report.movements, 'movement')}.")
            if report.movements:
                _show_totals(report)


def _show_totals(report: StatementReport) -> None:
    totals = report.totals
    rows = [
        ("allocated", totals.allocated, euros(totals.allocated_cents)),
        ("taken back", totals.reversed, euros(totals.reversed_cents)),
        ("on the worklist", totals.held, euros(totals.held_cents)),
        ("together", report.movements, euros(totals.net_cents)),
    ]
    table(("", "movements", "amount"), [row for row in rows if row[1]], right=("movements", "amount"))
    for reason, times in sorted(totals.by_reason.items()):
        out(f"  on the worklist because {reason.replace('_', ' ')}: {times}")
