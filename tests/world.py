"""
A small fund on a real database, for journeys: members register, runs run, the bank sends statements.

Everything goes through the same doors as in real life; only the clock stands still and the randomness has a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.clock import FixedClock
from adapters.command_files import read_commands
from adapters.postgres.database import OWNER, Database
from adapters.settings import Settings
from adapters.wiring import Backoffice, Schedule, read_bank_file
from application import commands as c
from application.money_in import StatementReport
from application.runs.lifecycle import Planned
from application.take_commands import Answered, Sender, take_commands
from application.work import Work
from domain import bank_account
from domain.bank_account import BANK_ACCOUNT
from domain.envelope import Commit
from domain.ids import Kind, MemberId, StreamId, belonging_to, derived_key, member_id_from_text
from domain.money import Cents
from domain.payments import Iban, Movement, Statement, bank_account_id
from formats.coda_writer import write_coda
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR

OUR_ACCOUNT = Iban.from_text("BE72 7775 9420 6316")
PAYER = "BE68539007547034"


class World:
    """
    One fund. `an` does the work, `bob` approves. `opened` joins a fund that another process has begun.
    """

    def __init__(
        self,
        database: Database,
        home: Path,
        *,
        seed: int = 1,
        started_on: date = date(2024, 1, 2),
        opened: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        settings = Settings(home=home, actor="an", master_key_file=home / "master.key")
        schedule = Schedule(jobs=JOBS, calendar=LEGAL_CALENDAR)
        clock = FixedClock(datetime(2026, 11, 1, 8, tzinfo=UTC))
        self.backoffice = Backoffice(settings=settings, database=database, schedule=schedule, clock=clock)
        self._chain: dict[str, Any] = {"year": 0, "number": 0, "balance": 0, "last": started_on}
        if not opened:
            self.open_account(started_on)

    def open_account(self, day: date, iban: Iban = OUR_ACCOUNT) -> None:
        commit = Commit(command_id=derived_key("open account", iban), actor="an", business_date=day, cause="init")
        stream = bank_account_id(iban)
        with self.backoffice.store.transaction(commit) as unit:
            work = Work(unit)
            state = work.state(BANK_ACCOUNT, stream)
            work.record(BANK_ACCOUNT, stream, bank_account.open_account(state, iban=iban, purpose="zorgpremie"))
            work.keep()
            work.save()

    # --- Members -----------------------------------------------------------------------------------------------------

    def command_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128))

    def give(self, *commands: c.AnyCommand, on: date) -> list[Answered]:
        lines = list(enumerate(commands, start=1))
        context = self.backoffice.context(on)
        sender = Sender("an", on, "import")
        return list(take_commands(self.backoffice.store, lines, context=context, sender=sender))

    def take_file(self, content: bytes, *, on: date, moved: Callable[[int], None] = lambda _: None) -> list[Answered]:
        """
        Take a file of commands; `moved` is told after each part.
        """
        context, sender = self.backoffice.context(on), Sender("an", on, "import")
        lines = read_commands(content)
        return list(take_commands(self.backoffice.store, lines, context=context, sender=sender, progress=moved))

    def register(self, *, on: date = date(2024, 1, 2), **facts: Any) -> MemberId:
        """
        Register someone who lives in Ghent and is with CM, unless the facts say otherwise.
        """
        (answered,) = self.give(self.newcomer(**facts), on=on)
        assert answered.answer.outcome == "accepted", answered.answer.detail
        return member_id_from_text(answered.answer.detail["member_id"])

    def newcomer(self, **facts: Any) -> c.RegisterMember:
        region = facts.pop("region", "flanders")
        address = c.Address(region=region, street="Kerkstraat", house_number="7", postcode="9000", town="Gent")
        usual: dict[str, Any] = {
            "command_id": self.command_id(),
            "first_name": "An",
            "last_name": "Peeters",
            "born_on": date(1970, 5, 17),
            "address": address,
            "address_since": date(2010, 1, 1),
            "cm_member_since": date(2010, 1, 1),
        }
        return c.RegisterMember(**{**usual, **facts})

    def register_many(self, count: int, *, on: date = date(2024, 1, 2)) -> None:
        commands = [self.newcomer(born_on=date(1940 + self.random.randrange(60), 3, 4)) for _ in range(count)]
        assert {answered.answer.outcome for answered in self.give(*commands, on=on)} == {"accepted"}

    # --- Runs --------------------------------------------------------------------------------------------------------

    def plan(self, job: str, *, on: date) -> Planned:
        runs = self.backoffice.runs
        return runs.plan(job, business_date=runs.business_date_for(job, as_of=on), as_of=on, actor="an")

    def execute(self, planned: Planned, *, on: date) -> None:
        runs = self.backoffice.runs
        if planned.needs_approval:
            runs.approve(planned.run, digest=planned.digest, actor="bob")
        runs.execute(planned.run, as_of=on, actor="an")
        controls = runs.settle(planned.run, actor="an")
        assert all(control.expected == control.actual for control in controls), controls
        self.backoffice.catch_up()

    def run(self, job: str, *, on: date) -> Planned:
        planned = self.plan(job, on=on)
        self.execute(planned, on=on)
        return planned

    # --- The bank ----------------------------------------------------------------------------------------------------

    def statement(self, day: date, movements: Iterable[Movement] = ()) -> Statement:
        """
        Make the account's next statement; its movements are numbered here.
        """
        chain = self._chain
        if chain["year"] != day.year:
            chain.update(year=day.year, number=0)
        chain["number"] += 1
        numbered = [_numbered(movement, ordinal) for ordinal, movement in enumerate(movements, start=1)]
        opening = chain["balance"]
        chain["balance"] += sum(movement.amount_cents for movement in numbered)
        statement = Statement(
            account=OUR_ACCOUNT, year=day.year, number=chain["number"], opened_on=chain["last"], closed_on=day,
            opening_cents=Cents(opening), closing_cents=Cents(chain["balance"]), movements=numbered, format="CODA",
        )  # fmt: skip
        chain["last"] = day
        return statement

    def coda(self, *statements: Statement) -> bytes:
        return b"".join(write_coda(statements, created_on=statements[-1].closed_on))

    def take(self, content: bytes, *, on: date) -> Sequence[StatementReport]:
        reports = self.backoffice.money_in.take(read_bank_file(content), sender=Sender("an", on, "bank"))
        self.backoffice.catch_up()
        return reports

    def bank(self, day: date, movements: Iterable[Movement] = (), *, known_on: date | None = None) -> StatementReport:
        (report,) = self.take(self.coda(self.statement(day, movements)), on=known_on or day)
        return report

    # --- Looking -----------------------------------------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.backoffice.database.connect(OWNER) as session:
            return session.execute(query, list(values)).fetchall()  # type: ignore[arg-type]

    def asked(self, kind: str, year: int) -> list[tuple[UUID, UUID, str, int]]:
        """
        Return stream, letter, OGM and amount of the letters of a kind and year, in id order.
        """
        return self.rows(
            "SELECT stream, letter_id, ogm, amount_cents FROM rm_letters.letter WHERE kind = %s AND year = %s "
            "ORDER BY stream",
            kind,
            year,
        )  # type: ignore[return-value]

    def events_of(self, member: MemberId) -> list[str]:
        stream = belonging_to(member, Kind.ZORGKAS_AFFILIATION)
        return [type(envelope.event).__name__ for envelope in self.backoffice.store.history(StreamId(stream))]


def paid(
    ogm: str, amount_cents: int, *, value_date: date, booked_on: date | None = None, iban: str = PAYER
) -> Movement:
    """
    Return money in with a structured communication (or free text, when it is none).
    """
    structured = len(ogm) == 12 and ogm.isdecimal()
    return Movement(
        ordinal=1, amount_cents=Cents(amount_cents), value_date=value_date, booked_on=booked_on or value_date,
        communication=ogm, communication_kind="structured" if structured else "free", counterparty_iban=iban,
        counterparty_name="A PAYER",
    )  # fmt: skip


def _numbered(movement: Movement, ordinal: int) -> Movement:
    import msgspec

    return msgspec.structs.replace(movement, ordinal=ordinal)
