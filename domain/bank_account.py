"""
One of the fund's own bank accounts: the unbroken chain of its statements.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec
from msgspec.structs import replace

from domain.catalogue import Aggregate
from domain.errors import NotFound, Refused, Unreadable
from domain.events import Event
from domain.ids import Kind
from domain.money import Cents
from domain.payments import Iban, Statement

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.


class BankAccountOpened(Event, frozen=True, kw_only=True):
    """
    The fund receives money on this account; only statements of opened accounts are taken. The IBAN is the fund's own.
    """

    iban: str
    purpose: str


class StatementTaken(Event, frozen=True, kw_only=True):
    """
    A whole statement was taken: it follows the one before it and adds up. All its movements are recorded with it.

    `content_digest` is the SHA-256 of the file's canonical content; `movements_digest` of the movements as we read
    them.
    """

    year: int
    number: int
    opened_on: date
    closed_on: date
    opening_cents: Cents
    closing_cents: Cents
    credit_cents: Cents
    debit_cents: Cents
    movements: int
    content_digest: str
    movements_digest: str
    format: str


class StatementHeld(Event, frozen=True, kw_only=True):
    """
    A good statement came before its turn; its file waits until `waits_for_number` of `waits_for_year` has come.
    """

    year: int
    number: int
    opening_cents: Cents
    content_digest: str
    waits_for_year: int
    waits_for_number: int
    movements_digest: str = ""


HappenedToBankAccount = BankAccountOpened | StatementTaken | StatementHeld


# --- What we remember of it ------------------------------------------------------------------------------------------

#: How many statements we can recognise by their content: more than a year of daily ones. The chain is unbroken, so that
#: an older one was certainly taken; only its content can no longer be compared here.
_RECOGNISED_MAX: Final = 400
_DIGEST_KEPT: Final = 16


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A statement that came before, recognisable by the first digits of its two digests.
    """

    year: int
    number: int
    content: str
    movements: str


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A statement that waits for its turn.
    """

    year: int
    number: int
    opening_cents: Cents
    content: str
    movements: str = ""


class Last(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    The end of the chain.
    """

    year: int
    number: int
    closing_cents: Cents


class BankAccountState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The account, the end of its chain, the newest statements that were taken, and those that wait (by year and number).
    """

    iban: str = ""
    purpose: str = ""
    last: Last | None = None
    taken: tuple[Seen, ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def next_held(self) -> Held | None:
        """
        Return the held statement whose turn has come: its file is to be taken again.
        """
        return next((held for held in self.held if self.last is not None and _follows(self.last, held)), None)


def evolve(state: BankAccountState, event: HappenedToBankAccount) -> BankAccountState:
    """
    Remember one event.
    """
    match event:
        case BankAccountOpened(iban=iban, purpose=purpose):
            return replace(state, iban=iban, purpose=purpose)
        case StatementTaken():
            seen = _seen(event.year, event.number, event.content_digest, event.movements_digest)
            return replace(
                state,
                last=Last(event.year, event.number, event.closing_cents),
                taken=(*state.taken, seen)[-_RECOGNISED_MAX:],
                held=tuple(held for held in state.held if not _same(held, event)),
            )
        case StatementHeld():
            seen = _seen(event.year, event.number, event.content_digest, event.movements_digest)
            held = Held(event.year, event.number, event.opening_cents, seen.content, seen.movements)
            return replace(state, held=tuple(sorted((*state.held, held), key=lambda each: (each.year, each.number))))


def _seen(year: int, number: int, content_digest: str, movements_digest: str) -> Seen:
    return Seen(year, number, content_digest[:_DIGEST_KEPT], movements_digest[:_DIGEST_KEPT])


def _same(known: Seen | Held, other: Statement | StatementTaken) -> bool:
    return (known.year, known.number) == (other.year, other.number)


def _is_again(known: Seen | Held, seen: Seen) -> bool:
    """
    Say whether two statements of one number are the same: by their content, or by their movements in another file.
    """
    return known.content == seen.content or known.movements == seen.movements


def _follows(last: Last, other: Held | Statement) -> bool:
    """
    Say whether `other` is the next: one more in the same year or the first of the next year, and the balance goes on.
    """
    is_next = (other.year, other.number) in {(last.year, last.number + 1), (last.year + 1, 1)}
    return is_next and other.opening_cents == last.closing_cents


BANK_ACCOUNT: Final = Aggregate[BankAccountState, HappenedToBankAccount](
    context="bank",
    kind=Kind.BANK_ACCOUNT,
    happened=HappenedToBankAccount,
    initial=BankAccountState(),
    evolve=evolve,
    fold_version=2,
)

# --- What we decide --------------------------------------------------------------------------------------------------


class AccountNotOpened(NotFound):
    """
    This is none of the accounts that the fund opened here; open the account first, or find out why its file came to us.
    """


class OpenedOtherwise(Refused):
    """
    This account was opened before for another purpose; that cannot be changed here.
    """


class StatementOfAnotherAccount(Refused):
    """
    The statement is of another account than the one it is offered to; nothing was taken.
    """


class StatementDoesNotAddUp(Unreadable):
    """
    Opening balance and movements do not lead to the closing balance; nothing was taken, ask the bank for it again.
    """


class StatementContradicts(Refused):
    """
    A statement of this number came before with other content; nothing was taken, ask the bank which one is right.
    """


class BalanceDoesNotFollow(Refused):
    """
    The statement has the next number, but does not open with the balance that the one before it closed with; nothing
    was taken, ask the bank which one is right.
    """


class StatementOutOfTurn(Refused):
    """
    Later statements were taken already, and this is none of those that we can compare with; nothing was taken, find out
    whether it was taken long ago.
    """


def open_account(state: BankAccountState, *, iban: Iban, purpose: str) -> list[HappenedToBankAccount]:
    """
    Begin to take statements of one of the fund's own accounts. Raises OpenedOtherwise.
    """
    if not state.iban:
        return [BankAccountOpened(iban=str(iban), purpose=purpose)]
    if (state.iban, state.purpose) != (iban, purpose):
        raise OpenedOtherwise
    return []


def take_statement(
    state: BankAccountState, *, statement: Statement, content_digest: str, movements_digest: str
) -> list[HappenedToBankAccount]:
    """
    Take a statement that follows the one before it, in number and in balance; hold one that came before its turn.

    The first one begins the chain. One that came before with the same content, or with the same movements (the bank's
    own duplicate, the other file format), is nothing new. One that follows takes the place of another that waits and
    never can. Both digests are SHA-256 in hexadecimal. Rule: ZP-14.

    Raises AccountNotOpened, StatementOfAnotherAccount, StatementDoesNotAddUp, StatementContradicts,
    BalanceDoesNotFollow, StatementOutOfTurn.
    """
    _must_be_ours_and_add_up(state, statement)
    seen = _seen(statement.year, statement.number, content_digest, movements_digest)
    if _was_taken(state, statement, seen):
        return []
    waits_for = missing_before(state.last, statement)
    held = next((held for held in state.held if _same(held, statement)), None)
    could_both_follow = waits_for is not None or held is None or held.opening_cents == statement.opening_cents
    if held is not None and not _is_again(held, seen) and could_both_follow:
        raise StatementContradicts(year=statement.year, number=statement.number)
    if waits_for is None:
        return [_taken(statement, content_digest, movements_digest)]
    if held is not None:
        return []
    return [
        StatementHeld(
            year=statement.year,
            number=statement.number,
            opening_cents=statement.opening_cents,
            content_digest=content_digest,
            waits_for_year=waits_for[0],
            waits_for_number=waits_for[1],
            movements_digest=movements_digest,
        )
    ]


def missing_before(last: Last | None, statement: Statement) -> tuple[int, int] | None:
    """
    Return year and number of the first statement that is certainly missing before this one, or None when it follows.

    Raises BalanceDoesNotFollow for the next number with another balance.
    """
    if last is None or _follows(last, statement):
        return None
    if (statement.year, statement.number) == (last.year, last.number + 1):
        raise BalanceDoesNotFollow(year=statement.year, number=statement.number)
    if (statement.year, statement.number) == (last.year + 1, 1):
        return (last.year, last.number + 1)  # the old year had another statement after the last that we have
    return (last.year, last.number + 1) if statement.year == last.year else (last.year + 1, 1)


def _must_be_ours_and_add_up(state: BankAccountState, statement: Statement) -> None:
    if not state.iban:
        raise AccountNotOpened
    if statement.account != state.iban:
        raise StatementOfAnotherAccount(year=statement.year, number=statement.number)
    moved = sum(movement.amount_cents for movement in statement.movements)
    if statement.opening_cents + moved != statement.closing_cents:
        raise StatementDoesNotAddUp(year=statement.year, number=statement.number)


def _was_taken(state: BankAccountState, statement: Statement, seen: Seen) -> bool:
    known = next((known for known in state.taken if _same(known, statement)), None)
    if known is not None:
        if not _is_again(known, seen):
            raise StatementContradicts(year=statement.year, number=statement.number)
        return True
    if state.last is not None and (statement.year, statement.number) < (state.last.year, state.last.number):
        raise StatementOutOfTurn(year=statement.year, number=statement.number)
    return False


def _taken(statement: Statement, content_digest: str, movements_digest: str) -> StatementTaken:
    amounts = [movement.amount_cents for movement in statement.movements]
    return StatementTaken(
        year=statement.year,
        number=statement.number,
        opened_on=statement.opened_on,
        closed_on=statement.closed_on,
        opening_cents=statement.opening_cents,
        closing_cents=statement.closing_cents,
        credit_cents=Cents(sum(amount for amount in amounts if amount > 0)),
        debit_cents=Cents(-sum(amount for amount in amounts if amount < 0)),
        movements=len(amounts),
        content_digest=content_digest,
        movements_digest=movements_digest,
        format=statement.format,
    )
