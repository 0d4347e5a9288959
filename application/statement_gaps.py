"""
Bank files that wait for a statement that does not come: a person gives them up, or says that the chain goes on.

A gap never disappears: who declared it, who approved and who explained it, and why, stands on the account for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from application.money_in import MoneyIn, StatementReport
from application.ports import Commit
from application.take_commands import Sender
from application.work import Work
from domain import bank_account
from domain.bank_account import BANK_ACCOUNT, BankAccountState, HappenedToBankAccount, StatementDiscarded
from domain.ids import StreamId, derived_key
from domain.money import Cents

Decide = Callable[[BankAccountState], list[HappenedToBankAccount]]


class StatementGaps(NamedTuple):
    """
    What people decide about one account's chain; `sender` says who, and on which business date.
    """

    money: MoneyIn
    account: StreamId
    sender: Sender

    def discard(self, *, year: int, number: int, reason: str, accounts: Sequence[StreamId]) -> None:
        """
        Give up a statement that waits, with all of its file on any of the fund's accounts; the sealed copy is deleted.

        Raises NothingWaits.
        """
        by, day = self.sender.actor, self.sender.business_date
        with self.money.store.transaction(self._commit("discard", year, number, reason), lock_first=True) as unit:
            work = Work(unit)
            events = bank_account.discard_statement(
                work.state(BANK_ACCOUNT, self.account), year=year, number=number, reason=reason, discarded_by=by,
                discarded_on=day,
            )  # fmt: skip
            work.record(BANK_ACCOUNT, self.account, events)
            (file,) = {event.content_digest for event in cast(list[StatementDiscarded], events)}
            for other in sorted(set(accounts) - {self.account}):
                state = work.state(BANK_ACCOUNT, other)
                of_file = next((held for held in state.held if held.content == file), None)
                if of_file is not None:
                    work.record(BANK_ACCOUNT, other, bank_account.discard_statement(
                        state, year=of_file.year, number=of_file.number, reason=reason, discarded_by=by,
                        discarded_on=day,
                    ))  # fmt: skip
            work.keep()
            work.save()
            self.money.waiting.forget(unit, digest_start=file)

    def accept(self, *, year: int, number: int, opening_cents: Cents | None, reason: str) -> Sequence[StatementReport]:
        """
        Say that a statement follows all the same; where the balances meet it is taken at once, with those behind it.

        Raises what `bank_account.declare_gap` refuses.
        """
        return self._decide("accept", year, number, reason, lambda state: bank_account.declare_gap(
            state, year=year, number=number, opening_cents=opening_cents, reason=reason,
            declared_by=self.sender.actor, declared_on=self.sender.business_date,
        ))  # fmt: skip

    def approve(self, *, year: int, number: int) -> Sequence[StatementReport]:
        """
        Agree as a second person; the statement is taken, if it is here. Raises NoSuchGap, OwnGap.
        """
        return self._decide("approve", year, number, "", lambda state: bank_account.approve_gap(
            state, year=year, number=number, approved_by=self.sender.actor, approved_on=self.sender.business_date
        ))  # fmt: skip

    def explain(self, *, year: int, number: int, reason: str) -> None:
        """
        Say what the difference of a gap was. Raises NoSuchGap.
        """
        self._decide("explain", year, number, reason, lambda state: bank_account.explain_gap(
            state, year=year, number=number, reason=reason, explained_by=self.sender.actor,
            explained_on=self.sender.business_date,
        ))  # fmt: skip

    def _decide(self, what: str, year: int, number: int, reason: str, decide: Decide) -> Sequence[StatementReport]:
        with self.money.store.transaction(self._commit(what, year, number, reason), lock_first=True) as unit:
            work = Work(unit)
            work.record(BANK_ACCOUNT, self.account, decide(work.state(BANK_ACCOUNT, self.account)))
            work.keep()
            state = work.state(BANK_ACCOUNT, self.account)
            work.save()
        return self.money.take_waiting([] if state.next_held is None else [state.next_held], sender=self.sender)

    def _commit(self, what: str, year: int, number: int, reason: str) -> Commit:
        sender = self.sender
        return Commit(
            command_id=derived_key(
                "statement gap", str(self.account), what, str(year), str(number), reason, sender.actor,
                str(sender.business_date),
            ),
            actor=sender.actor,
            business_date=sender.business_date,
            cause=sender.cause,
        )  # fmt: skip
