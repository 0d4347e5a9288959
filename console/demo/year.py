"""
One zorgpremie year of the demonstration, from the invitations to the reminders. Earlier years pass quickly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import UUID

from adapters.letters import LettersMade
from adapters.synthetic.bank import (
    Asked,
    Payment,
    answers_to_invitations,
    answers_to_registered_letters,
    answers_to_reminders,
)
from adapters.synthetic.people import Newcomer, account_of, name_of
from application import commands as c
from application.wording import euros
from console.demo.fund import DemoFund, RunDone
from console.demo.telling import Teller
from console.output import count, thousands
from domain.ids import StreamId, derived_key, owner_of
from domain.member import MEMBER
from domain.rules.arrears import fine_expected
from domain.rules.law import cents
from domain.zorgkas_affiliation import ReportedToAgency

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
#: How many invitations of the main year are made as PDF; the registered letters and the reminders are all made.
INVITATIONS_SHOWN: Final = 500


class _Held(NamedTuple):
    """
    A movement on the worklist.
    """

    movement: UUID
    year: int
    number: int
    ordinal: int
    open_cents: int
    because: str


class Year:
    """
    A year of the fund. `papers` keeps what was made, to be shown at the end.
    """

    def __init__(self, fund: DemoFund, teller: Teller, year: int, people: Sequence[Newcomer]) -> None:
        self._fund, self._teller, self._year, self._people = fund, teller, year, people
        self.papers: dict[str, Path] = {}
        self.letters: list[LettersMade] = []

    # --- An earlier year ---------------------------------------------------------------------------------------------

    def passes(self) -> None:
        """
        Let the year pass quickly: the same runs, fewer statements, no papers.
        """
        with self._teller.step(None, f"The year {self._year}") as step:
            before = self._fund.position()
            invited = self._invite()
            self._join(self._people[::2])
            self._close(self._on(2, 27), self._on(4, 30))
            self._fund.run("deadline", on=self._on(5, 4))
            self._close(self._on(5, 31))
            letters = self._fund.run("registered_letters", on=self._on(6, 1))
            self._prove_posting(letters, on=self._on(6, 5))
            self._fund.bank.will_pay(answers_to_registered_letters(self._fund.asked(letters), seed=self._fund.seed))
            self._close(self._on(8, 31), self._on(10, 5))
            report = self._fund.run("agency_report", on=self._on(10, 6))
            self._close(self._on(10, 15))
            self._fund.run("agency_correction", on=self._on(10, 16))
            reminders = self._fund.run("reminders", on=self._on(11, 15))
            self._fund.bank.will_pay(answers_to_reminders(self._fund.asked(reminders), seed=self._fund.seed))
            self._close(self._on(12, 31))
            events = sum(self._fund.happened_since(before).values())
            step.says(
                f"{thousands(invited.totals.done)} invited, {letters.totals.done} registered letters, "
                f"{report.totals.done} reported, {thousands(events)} events"
            )

    # --- The year that is shown --------------------------------------------------------------------------------------

    def is_shown(self) -> None:
        """
        Go through the year step by step, with all its papers.
        """
        self._january()
        self._until_the_deadline()
        self._autumn(self._registered_letters())

    def _january(self) -> None:
        with self._teller.step(self._on(1, 20), "Invitations") as step:
            invited = self._invite()
            step.says(
                f"{count(invited.totals.done, 'member')} asked for {euros(invited.totals.amount_cents)}, "
                f"{count(invited.planned.passed_over, 'member')} not, each with a reason",
                f"planned by els, approved by bart: {invited.planned.digest[:16]}...",
            )
        with self._teller.step(self._on(1, 20), "Letters") as step:
            made = self._fund.letters(invited, progress=step.at, sample=INVITATIONS_SHOWN)
            self._keep("an invitation", made)
            step.says(f"{made.letters} invitations as PDF/A with QR code, {_channels(made)}")
        with self._teller.step(self._on(2, 10), "Brussels") as step:
            step.says(f"{self._join(self._people[1::2])} members in Brussels choose to be affiliated, and are invited")

    def _until_the_deadline(self) -> None:
        with self._teller.step(self._on(4, 24), "The bank, week by week") as step:
            days = list(_weeks(self._on(1, 23), self._on(4, 24)))
            step.says(self._money(days))
        late = self._fund.bank.close(self._on(4, 30))
        with self._teller.step(self._on(5, 1), "30 April has passed") as step:
            missed = self._fund.run("deadline", on=self._on(5, 1))
            step.says(f"{missed.totals.done} members had not paid in full, as far as we know")
        with self._teller.step(self._on(5, 4), "The late statement") as step:
            before = self._fund.position()
            report = self._fund.take_bank_file(late, on=self._on(5, 4))
            corrected = self._fund.happened_since(before)["MissCorrected"]
            step.says(
                f"{count(report.movements, 'payment')} on the account by 30 April: "
                f"{count(corrected, 'miss', 'misses')} corrected, the value date decides"
            )
        with self._teller.step(self._on(5, 8), "The worklist") as step:
            step.says(self._clear_the_worklist(self._on(5, 8)), self._refund(self._on(5, 8)))

    def _registered_letters(self) -> RunDone:
        with self._teller.step(self._on(5, 29), "The bank, week by week") as step:
            step.says(self._money(_weeks(self._on(5, 8), self._on(5, 29))))
        with self._teller.step(self._on(6, 1), "Registered letters") as step:
            letters = self._fund.run("registered_letters", on=self._on(6, 1))
            step.says(
                f"{count(letters.totals.done, 'member')} with two years open "
                f"asked for {euros(letters.totals.amount_cents)}"
            )
        with self._teller.step(self._on(6, 3), "Second check, letters") as step:
            asked = self._fund.asked(letters)
            in_time = [_by_transfer(each, self._on(6, 2)) for each in asked[: min(2, len(asked) // 3)]]
            self._fund.bank.will_pay(in_time)
            self._fund.statement(self._on(6, 2))
            made = self._fund.letters(letters, progress=step.at)
            self._keep("a registered letter", made)
            step.says(
                f"{made.letters} registered letters as PDF/A; {len(made.left_out)} left out: paid on 2 June, "
                "so withdrawn before posting"
            )
        with self._teller.step(self._on(6, 5), "Proof of posting") as step:
            proved, without = self._prove_posting(letters, on=self._on(6, 5))
            step.says(f"{proved} proved with the barcode of the post, {without} without proof: that one does not count")
        return letters

    def _autumn(self, letters: RunDone) -> None:
        self._fund.bank.will_pay(answers_to_registered_letters(self._fund.asked(letters), seed=self._fund.seed))
        with self._teller.step(self._on(10, 5), "The bank, to 5 October") as step:
            step.says(self._money([*_weeks(self._on(6, 12), self._on(9, 25)), self._on(10, 5)]))
        with self._teller.step(self._on(10, 6), "Report to the Agency") as step:
            report = self._fund.run("agency_report", on=self._on(10, 6))
            self.papers["the report to the Agency"] = self._fund.agency_file(report)
            step.says(
                f"{count(report.totals.done, 'member')} reported for {euros(report.totals.amount_cents)}; "
                "the file has count, total and hash"
            )
        with self._teller.step(self._on(10, 16), "Correction") as step:
            self._fund.statement(self._on(10, 15), known_on=self._on(10, 16))
            correction = self._fund.run("agency_correction", on=self._on(10, 16))
            self.papers["its correction"] = self._fund.agency_file(correction)
            step.says(f"{count(correction.totals.done, 'member')} taken back: the money was there by 15 October")
        with self._teller.step(self._on(11, 6), "Fines come back") as step:
            fines = self._fund.take_file(f"fines-{self._year}.jsonl", self._fines(), on=self._on(11, 6))
            step.says(f"the Agency imposed {fines.accepted} fines; it claims these premiums itself now")
        with self._teller.step(self._on(11, 15), "Reminders") as step:
            reminders = self._fund.run("reminders", on=self._on(11, 15))
            made = self._fund.letters(reminders, progress=step.at)
            self._keep("a reminder", made)
            step.says(f"{made.letters} letters for {euros(made.total_cents)}, {_channels(made)}")
        with self._teller.step(self._on(11, 20), "The bank") as step:
            self._fund.bank.will_pay(answers_to_reminders(self._fund.asked(reminders), seed=self._fund.seed))
            money = self._money(_weeks(self._on(10, 23), self._on(11, 20)))
            step.says(money, self._clear_the_worklist(self._on(11, 20)))

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _on(self, month: int, day: int) -> date:
        return date(self._year, month, day)

    def _invite(self) -> RunDone:
        invited = self._fund.run("invitations", on=self._on(1, 20))
        self._fund.bank.will_pay(answers_to_invitations(self._fund.asked(invited), seed=self._fund.seed))
        return invited

    def _join(self, people: Sequence[Newcomer]) -> int:
        """
        Let those in Brussels who want to be affiliated ask for it; asked in a later year again, it changes nothing.
        """
        on = self._on(2, 10)
        joining = [person.joining(self._year) for person in people if person.joins and _is_of_age(person, self._year)]
        taken = self._fund.take_file(f"joining-{self._year}.jsonl", joining, on=on)
        invited_apart = self._fund.asked_apart(on)
        self._fund.bank.will_pay(answers_to_invitations(invited_apart, seed=self._fund.seed))
        return taken.accepted and len(invited_apart)

    def _close(self, *days: date) -> None:
        for day in days:
            self._fund.statement(day)

    def _money(self, days: Iterable[date]) -> str:
        files = movements = received = held = 0
        for day in days:
            report = self._fund.statement(day)
            files += 1
            movements += report.movements
            received += report.totals.allocated_cents
            held += report.totals.held
        return (
            f"{count(files, 'file')} (CODA, camt.053), {count(movements, 'movement')}: {euros(received)} allocated, "
            f"{held} on the worklist"
        )

    def _clear_the_worklist(self, on: date) -> str:
        """
        Do what people do: give back what is nobody's, explain the bank's costs, allocate what a telephone call settled.
        """
        rows = self._fund.rows(
            "SELECT stream, year, number, ordinal, open_cents, because FROM rm_bank.held_movement "
            "WHERE state = 'open' ORDER BY booked_on, stream"
        )
        held = [_Held(*row) for row in rows]
        decided = (self._by_hand(index, each, on=on) for index, each in enumerate(held))
        commands = [command for command in decided if command is not None]
        taken = self._fund.take_file(f"worklist-{on}.jsonl", commands, on=on)
        return f"{taken.accepted} of {len(rows)} movements got their place by hand"

    def _by_hand(self, index: int, held: _Held, *, on: date) -> c.AnyCommand | None:
        payer = self._fund.payers.get((held.year, held.number, held.ordinal))
        command_id = derived_key("demo worklist", str(held.movement))
        if held.because == "money_out":
            what: Literal["bank_costs", "refund_paid"] = "bank_costs" if payer is None else "refund_paid"
            reason = "costs of the account" if payer is None else "our own transfer"
            return c.ExplainMovement(command_id=command_id, movement_id=held.movement, as_what=what, reason=reason)
        if payer is None or held.open_cents < 0 or index % 5 == 0:
            return None  # nobody knows yet: it stays on the worklist
        if index % 5 == 1:
            reference = f"RET-{held.movement.hex[:8].upper()}"
            self._fund.bank.will_pay([_back_to(payer, held.open_cents, reference, on=on + 4 * _DAY)])
            return c.ReturnMovement(
                command_id=command_id, movement_id=held.movement, returned_on=on, reference=reference,
                reason="the payer did not answer our letter",
            )  # fmt: skip
        return c.AllocateMovement(
            command_id=command_id, movement_id=held.movement, member_id=str(owner_of(payer)),
            reason="the payer named the member on the telephone",
        )  # fmt: skip

    def _refund(self, on: date) -> str:
        """
        Pay credit back to the first ones who have some; the bank shows it a few days later.
        """
        rows = self._fund.rows(
            "SELECT stream, credit_cents FROM rm_premium_account.affiliation WHERE credit_cents > 0 "
            "ORDER BY stream LIMIT 10"
        )
        commands = []
        for stream, credit_cents in rows:
            reference = f"CRED-{stream.hex[:8].upper()}-{on.year}"
            self._fund.bank.will_pay([_back_to(stream, credit_cents, reference, on=on + 4 * _DAY)])
            commands.append(c.RefundCredit(
                command_id=derived_key("demo refund", str(stream), str(on)), member_id=str(owner_of(stream)),
                amount_cents=credit_cents, refunded_on=on, reference=reference,
            ))  # fmt: skip
        taken = self._fund.take_file(f"refunds-{on}.jsonl", commands, on=on)
        return f"{count(taken.accepted, 'member')} who paid twice had {euros(sum(row[1] for row in rows))} paid back"

    def _prove_posting(self, letters: RunDone, *, on: date) -> tuple[int, int]:
        """
        Return how many letters have their proof, and how many have none: the post lost one.
        """
        rows = self._fund.rows(
            "SELECT stream, letter_id FROM rm_letters.letter WHERE run = %s AND withdrawn_on IS NULL ORDER BY stream",
            letters.planned.run,
        )
        lost = 1 if len(rows) > 3 else 0
        proofs = [
            c.ProveLetterPosted(
                command_id=derived_key("demo proof", str(letter)), member_id=str(owner_of(stream)), letter_id=letter,
                posted_on=on - 2 * _DAY, barcode=f"0105412885{self._year}{number:016d}",
            )
            for number, (stream, letter) in enumerate(rows[lost:], start=1)
        ]  # fmt: skip
        if not proofs:
            return 0, lost
        return self._fund.take_file(f"proofs-of-posting-{self._year}.jsonl", proofs, on=on).accepted, lost

    def _fines(self) -> Iterable[c.RecordFine]:
        store, law = self._fund.backoffice.store, self._fund.backoffice.law
        rows = self._fund.rows(
            "SELECT stream FROM rm_letters.agency_report WHERE corrected_on IS NULL AND fine_reference IS NULL "
            "AND extract(year FROM reported_on) = %s ORDER BY stream",
            self._year,
        )
        imposed_on = self._on(11, 3)
        members = [StreamId(owner_of(stream)) for (stream,) in rows]
        states = store.load(MEMBER, members) if members else {}
        for number, (stream,) in enumerate(rows, start=1):
            reported = _last_report(self._fund, stream)
            facts = states[StreamId(owner_of(stream))].state.facts
            yield c.RecordFine(
                command_id=derived_key("demo fine", str(stream), str(self._year)),
                member_id=str(owner_of(stream)),
                letter_id=reported.letter_id,
                reference=f"AVSB-{self._year}-{number:05d}",
                years=[share.year for share in reported.years],
                amount_cents=cents(fine_expected(member=facts, imposed_on=imposed_on, law=law)),
                imposed_on=imposed_on,
            )

    def _keep(self, what: str, made: LettersMade) -> None:
        self.letters.append(made)
        for path in sorted(made.files, key=lambda path: path.name.endswith("-email.pdf"))[:1]:
            self.papers[what] = path


def _last_report(fund: DemoFund, stream: UUID) -> ReportedToAgency:
    history = fund.backoffice.store.history(StreamId(stream))
    return next(each.event for each in reversed(history) if isinstance(each.event, ReportedToAgency))


def _by_transfer(asked: Asked, day: date) -> Payment:
    member = owner_of(asked.stream)
    return Payment(day, asked.amount_cents, asked.ogm, True, account_of(member), name_of(member), asked.stream)


def _back_to(stream: UUID, amount_cents: int, reference: str, *, on: date) -> Payment:
    member = owner_of(stream)
    return Payment(on, -amount_cents, reference, False, account_of(member), name_of(member), stream)


def _is_of_age(person: Newcomer, year: int) -> bool:
    return person.command.born_on.year + 26 <= year


def _weeks(first: date, last: date) -> Iterable[date]:
    day = first
    while day <= last:
        yield day
        day += _WEEK


def _channels(made: LettersMade) -> str:
    by_mail = sum(path.name.endswith("-email.pdf") for path in made.files)
    return f"{made.letters - by_mail} for the printer, {by_mail} by e-mail"
