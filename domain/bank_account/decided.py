"""
What is decided about a bank account: its statements form one chain, each is taken once, and only people bridge a gap.
"""

from __future__ import annotations

from datetime import date

from domain.bank_account.happened import (
    BankAccountOpened,
    HappenedToBankAccount,
    StatementDiscarded,
    StatementGapApproved,
    StatementGapDeclared,
    StatementGapExplained,
    StatementHeld,
    StatementTaken,
)
from domain.bank_account.refusals import (
    AccountNotOpened,
    BalanceDoesNotFollow,
    DoesNotFitTheGap,
    NoSuchGap,
    NothingIsMissing,
    NothingWaits,
    OpenedOtherwise,
    OpeningUnknown,
    OpensOtherwise,
    OwnGap,
    StatementContradicts,
    StatementDoesNotAddUp,
    StatementOfAnotherAccount,
    StatementOutOfTurn,
)
from domain.bank_account.remembered import (
    BankAccountState,
    Gap,
    Held,
    Last,
    Seen,
    digests_of,
    follows,
    gap_around,
    is_next,
    same,
)
from domain.money import Cents
from domain.payments import Iban, Statement


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
    BalanceDoesNotFollow, StatementOutOfTurn, DoesNotFitTheGap.
    """
    _must_be_ours_and_add_up(state, statement)
    seen = digests_of(statement.year, statement.number, content_digest, movements_digest)
    if _was_taken(state, statement, seen):
        return []
    fits_a_gap = _fits_a_gap(state, statement)
    waits_for = None if fits_a_gap or is_next(state, statement) else missing_before(state.last, statement)
    held = next((held for held in state.held if same(held, statement)), None)
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
    if last is None or follows(last, statement):
        return None
    if (statement.year, statement.number) == (last.year, last.number + 1):
        raise BalanceDoesNotFollow(year=statement.year, number=statement.number)
    if (statement.year, statement.number) == (last.year + 1, 1):
        return (last.year, last.number + 1)  # the old year had another statement after the last that we have
    return (last.year, last.number + 1) if statement.year == last.year else (last.year + 1, 1)


def discard_statement(
    state: BankAccountState, *, year: int, number: int, reason: str, discarded_by: str, discarded_on: date
) -> list[HappenedToBankAccount]:
    """
    Give up a statement that waits, with all others of its file: the file is one, and is deleted. Raises NothingWaits.
    """
    held = _held_of(state, year, number)
    if held is None:
        raise NothingWaits(year=year, number=number)
    return [
        StatementDiscarded(
            year=each.year, number=each.number, opening_cents=each.opening_cents, content_digest=each.content,
            reason=reason, discarded_by=discarded_by, discarded_on=discarded_on,
        )
        for each in state.held
        if each.content == held.content
    ]  # fmt: skip


def declare_gap(
    state: BankAccountState, *, year: int, number: int, opening_cents: Cents | None, reason: str, declared_by: str,
    declared_on: date,
) -> list[HappenedToBankAccount]:  # fmt: skip
    """
    Say that a statement may follow the last one although others are missing or the balances do not meet.

    `opening_cents` is needed for one that has not come. Saying it again changes nothing. Rule: ZP-14.

    Raises AccountNotOpened, NothingIsMissing, OpeningUnknown, OpensOtherwise.
    """
    if not state.iban:
        raise AccountNotOpened
    last, held = state.last, _held_of(state, year, number)
    if last is None or (year, number) <= (last.year, last.number):
        raise NothingIsMissing(year=year, number=number)
    if held is not None and opening_cents not in {None, held.opening_cents}:
        raise OpensOtherwise(year=year, number=number, opening_cents=held.opening_cents)
    opening = held.opening_cents if held is not None else opening_cents
    if opening is None:
        raise OpeningUnknown(year=year, number=number)
    if is_next(state, Held(year, number, opening, "")):
        raise NothingIsMissing(year=year, number=number)
    if any((gap.year, gap.number, gap.opening_cents) == (year, number, opening) for gap in state.gaps):
        return []
    return [
        StatementGapDeclared(
            year=year, number=number, opening_cents=opening, after_year=last.year, after_number=last.number,
            after_cents=last.closing_cents, reason=reason, declared_by=declared_by, declared_on=declared_on,
        )
    ]  # fmt: skip


def approve_gap(
    state: BankAccountState, *, year: int, number: int, approved_by: str, approved_on: date
) -> list[HappenedToBankAccount]:
    """
    Agree, as a second person, that a statement follows with another balance. Raises NoSuchGap, OwnGap.
    """
    gap = _gap_of(state, year, number)
    if gap.counts:
        return []
    if gap.declared_by == approved_by:
        raise OwnGap
    return [StatementGapApproved(year=year, number=number, approved_by=approved_by, approved_on=approved_on)]


def explain_gap(
    state: BankAccountState, *, year: int, number: int, reason: str, explained_by: str, explained_on: date
) -> list[HappenedToBankAccount]:
    """
    Say what the difference of a gap was, when no statement will say it any more. Raises NoSuchGap.
    """
    gap = _gap_of(state, year, number)
    if not gap.counts:
        raise NoSuchGap(year=year, number=number)
    if not gap.is_open:
        return []
    return [
        StatementGapExplained(
            year=year, number=number, difference_cents=gap.difference_cents, reason=reason,
            explained_by=explained_by, explained_on=explained_on,
        )
    ]  # fmt: skip


def _held_of(state: BankAccountState, year: int, number: int) -> Held | None:
    return next((held for held in state.held if (held.year, held.number) == (year, number)), None)


def _gap_of(state: BankAccountState, year: int, number: int) -> Gap:
    for gap in state.gaps:
        if (gap.year, gap.number) == (year, number):
            return gap
    raise NoSuchGap(year=year, number=number)


def _must_be_ours_and_add_up(state: BankAccountState, statement: Statement) -> None:
    if not state.iban:
        raise AccountNotOpened
    if statement.account != state.iban:
        raise StatementOfAnotherAccount(year=statement.year, number=statement.number)
    moved = sum(movement.amount_cents for movement in statement.movements)
    if statement.opening_cents + moved != statement.closing_cents:
        raise StatementDoesNotAddUp(year=statement.year, number=statement.number)


def _was_taken(state: BankAccountState, statement: Statement, seen: Seen) -> bool:
    known = next((known for known in state.taken if same(known, statement)), None)
    if known is not None:
        if not _is_again(known, seen):
            raise StatementContradicts(year=statement.year, number=statement.number)
        return True
    return False


def _fits_a_gap(state: BankAccountState, statement: Statement) -> bool:
    """
    Say whether a late statement goes on where a declared gap begins. Raises StatementOutOfTurn, DoesNotFitTheGap.
    """
    if state.last is None or (statement.year, statement.number) > (state.last.year, state.last.number):
        return False
    gap = gap_around(state, statement)
    if gap is None:
        raise StatementOutOfTurn(year=statement.year, number=statement.number)
    if not follows(Last(gap.after_year, gap.after_number, gap.after_cents), statement):
        raise DoesNotFitTheGap(after=f"{gap.after_year}/{gap.after_number}", closed_with=gap.after_cents)
    return True


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


def _is_again(known: Seen | Held, seen: Seen) -> bool:
    """
    Say whether two statements of one number are the same: by their content, or by their movements in another file.
    """
    return known.content == seen.content or known.movements == seen.movements
