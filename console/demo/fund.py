"""
The demonstration's fund at work: every step goes through the same doors as in real life, files included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from adapters.agency_files import controls_of_file
from adapters.command_files import read_commands
from adapters.letters import LettersMade, make_agency_file, make_letters
from adapters.postgres.database import OWNER
from adapters.synthetic.bank import Asked, Bank, SentFile
from adapters.whole_files import write_whole
from adapters.wiring import Backoffice, read_bank_file
from application.commands import AnyCommand
from application.money_in import StatementReport
from application.runs.ports import Totals
from application.runs.records import Planned
from application.take_commands import Sender, take_commands
from application.work import Work
from domain import bank_account
from domain.bank_account import BANK_ACCOUNT
from domain.envelope import Commit
from domain.ids import derived_key
from domain.payments import Iban, bank_account_id
from domain.run import Control
from formats.jsonl import write_lines

PLANNER, APPROVER = "els", "bart"


class RunDone(NamedTuple):
    """
    One run from plan to settlement.
    """

    planned: Planned
    totals: Totals


class TakenFile(NamedTuple):
    """
    What became of a file of commands.
    """

    path: Path
    accepted: int
    refused: int


class DemoFund:
    """
    One made-up fund in a folder of its own. `controls` collects every control total that was compared.
    """

    def __init__(self, backoffice: Backoffice, folder: Path, *, seed: int, opened_on: date) -> None:
        self.backoffice = backoffice
        self.folder = folder
        self.seed = seed
        self.controls: list[tuple[str, Control]] = []
        self.files: list[Path] = []
        self.payers: dict[tuple[int, int, int], UUID] = {}
        account = Iban.from_text(str(backoffice.law["zorgpremie/account"].on(opened_on).value))
        self.bank = Bank(account, opened_on=opened_on, seed=seed)
        self._open(account, opened_on)

    def _open(self, account: Iban, day: date) -> None:
        commit = Commit(command_id=derived_key("open account", account), actor=PLANNER, business_date=day, cause="init")
        stream = bank_account_id(account)
        with self.backoffice.store.transaction(commit) as unit:
            work = Work(unit)
            state = work.state(BANK_ACCOUNT, stream)
            work.record(BANK_ACCOUNT, stream, bank_account.open_account(state, iban=account, purpose="zorgpremie"))
            work.keep()
            work.save()

    # --- Files of commands -------------------------------------------------------------------------------------------

    def take_file(self, name: str, commands: Iterable[AnyCommand], *, on: date) -> TakenFile:
        """
        Write commands into a file, read it back as an import does, and take it.
        """
        path = self.folder / "files" / name
        write_whole(path, write_lines(msgspec.to_builtins(command) for command in commands))
        lines = read_commands(path.read_bytes())
        answered = take_commands(
            self.backoffice.store, lines, context=self.backoffice.context(on), sender=Sender(PLANNER, on, "import")
        )
        outcomes = Counter(each.answer.outcome for each in answered)
        self.backoffice.catch_up()
        return TakenFile(path, outcomes["accepted"], outcomes["refused"])

    # --- Runs --------------------------------------------------------------------------------------------------------

    def run(self, job: str, *, on: date) -> RunDone:
        """
        Plan, approve as a second person, execute and settle.
        """
        runs = self.backoffice.runs
        business_date = runs.business_date_for(job, as_of=on)
        planned = runs.plan(job, business_date=business_date, as_of=on, actor=PLANNER)
        if planned.needs_approval:
            runs.approve(planned.run, digest=planned.digest, actor=APPROVER)
        totals = runs.execute(planned.run, as_of=on, actor=PLANNER)
        self.compared(f"{job} {business_date}", runs.settle(planned.run, actor=PLANNER))
        self.backoffice.catch_up()
        return RunDone(planned, totals)

    def letters(self, done: RunDone, *, progress: Callable[[int, int], None], sample: int | None = None) -> LettersMade:
        """
        Make the letters of a run, or the first of them.
        """
        made = make_letters(
            self.backoffice, done.planned.run, directory=self.folder / "letters", progress=progress, sample=sample
        )
        asked = min(sample, self._letters_of(done)) if sample is not None else self._letters_of(done)
        printed = made.letters + len(made.refused) + len(made.left_out)
        self.compared(made.folder.name, [Control(name="letters: run = files + named", expected=asked, actual=printed)])
        return made

    def agency_file(self, done: RunDone) -> Path:
        """
        Write the file for the Agency, and compare it with its run.
        """
        file = make_agency_file(self.backoffice, done.planned.run, directory=self.folder / "agency")
        self.compared(file.path.name, controls_of_file(file, done.totals))
        return file.path

    def _letters_of(self, done: RunDone) -> int:
        return int(self.one("SELECT count(*) FROM rm_letters.letter WHERE run = %s", done.planned.run)[0])

    def compared(self, where: str, controls: Iterable[Control]) -> None:
        self.controls += [(where, control) for control in controls]

    # --- The bank ----------------------------------------------------------------------------------------------------

    def statement(self, day: date, *, known_on: date | None = None) -> StatementReport:
        """
        Let the bank close its books up to a day, and take its file on that day or when it came.
        """
        return self.take_bank_file(self.bank.close(day), on=known_on or day)

    def take_bank_file(self, sent: SentFile, *, on: date) -> StatementReport:
        path = self.folder / "bank" / sent.name
        write_whole(path, [sent.content])
        self.files.append(path)
        of = sent.statement
        self.payers |= {(of.year, of.number, ordinal): stream for ordinal, stream in sent.payers.items()}
        (report,) = self.backoffice.money_in.take(
            read_bank_file(path.read_bytes()), sender=Sender(PLANNER, on, "import")
        )
        self.backoffice.catch_up()
        return report

    def asked(self, done: RunDone) -> Sequence[Asked]:
        """
        Return what the letters of a run ask, in id order; withdrawn ones ask nothing.
        """
        rows = self.rows(
            "SELECT stream, ogm, amount_cents, issued_on, coalesce(pay_by, make_date(year, 12, 31)) "
            "FROM rm_letters.letter WHERE run = %s AND withdrawn_on IS NULL ORDER BY stream",
            done.planned.run,
        )
        return [Asked(*row) for row in rows]

    def asked_apart(self, day: date) -> Sequence[Asked]:
        """
        Return what invitations outside a run ask, made on that day.
        """
        rows = self.rows(
            "SELECT stream, ogm, amount_cents, issued_on, pay_by FROM rm_letters.letter "
            "WHERE run IS NULL AND kind = 'invitation' AND issued_on = %s ORDER BY stream",
            day,
        )
        return [Asked(*row) for row in rows]

    # --- Looking -----------------------------------------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.backoffice.database.connect(OWNER) as session:
            return session.execute(query, list(values)).fetchall()

    def one(self, query: str, *values: Any) -> tuple[Any, ...]:
        return self.rows(query, *values)[0]

    def position(self) -> int:
        return self.backoffice.store.feed.high_water()

    def happened_since(self, position: int) -> Counter[str]:
        """
        Count the events after a position by their type, such as `MissCorrected`.
        """
        rows = self.rows(
            "SELECT split_part(split_part(topic, '/', 1), '.', 2), count(*) FROM events "
            "WHERE notification_id > %s GROUP BY 1",
            position,
        )
        return Counter(dict(rows))
