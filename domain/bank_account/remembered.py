"""
What we remember of a bank account: the end of its chain, what waits, and where the chain goes on at a person's word.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

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
from domain.catalogue import Aggregate
from domain.ids import Kind
from domain.money import Cents
from domain.payments import Statement

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


class Gap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    A place where the chain goes on at a person's word: statement `number` of `year` opens with `opening_cents`, after
    one that closed with `after_cents`. Statements that turn up late move `after_*` on, until the balances meet.
    """

    year: int
    number: int
    opening_cents: Cents
    after_year: int
    after_number: int
    after_cents: Cents
    declared_by: str
    counts: bool
    explained: bool = False

    @property
    def difference_cents(self) -> Cents:
        """
        Return what came in (below zero: went out) between the two, of which we have no statement.
        """
        return Cents(self.opening_cents - self.after_cents)

    @property
    def is_open(self) -> bool:
        return self.counts and not self.explained and self.difference_cents != 0


class BankAccountState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The account, the end of its chain, the newest statements that were taken, those that wait (by year and number), and
    the gaps that a person declared.
    """

    iban: str = ""
    purpose: str = ""
    last: Last | None = None
    taken: tuple[Seen, ...] = ()
    held: tuple[Held, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def next_held(self) -> Held | None:
        """
        Return the held statement whose turn has come: its file is to be taken again.
        """
        return next((held for held in self.held if self.last is not None and is_next(self, held)), None)


def evolve(state: BankAccountState, event: HappenedToBankAccount) -> BankAccountState:
    """
    Remember one event.
    """
    match event:
        case BankAccountOpened(iban=iban, purpose=purpose):
            return replace(state, iban=iban, purpose=purpose)
        case StatementTaken():
            return _taken_in(state, event)
        case StatementHeld():
            seen = digests_of(event.year, event.number, event.content_digest, event.movements_digest)
            held = Held(event.year, event.number, event.opening_cents, seen.content, seen.movements)
            return replace(state, held=tuple(sorted((*state.held, held), key=lambda each: (each.year, each.number))))
        case StatementDiscarded():
            return replace(state, held=tuple(held for held in state.held if not same(held, event)))
        case StatementGapDeclared():
            gap = Gap(
                event.year, event.number, event.opening_cents, event.after_year, event.after_number, event.after_cents,
                event.declared_by, counts=event.opening_cents == event.after_cents,
            )  # fmt: skip
            return replace(state, gaps=(*(each for each in state.gaps if _is_used(state, each)), gap))
        case StatementGapApproved():
            return _with_gap(state, event, counts=True)
        case StatementGapExplained():
            return _with_gap(state, event, explained=True)


def _taken_in(state: BankAccountState, event: StatementTaken) -> BankAccountState:
    """
    Return the chain with a statement at its end, or in a gap. What was declared after another last one has lapsed.
    """
    seen = digests_of(event.year, event.number, event.content_digest, event.movements_digest)
    state = replace(
        state,
        taken=(*state.taken, seen)[-_RECOGNISED_MAX:],
        held=tuple(held for held in state.held if not same(held, event)),
    )
    gap = gap_around(state, event)
    if gap is None:
        last = Last(event.year, event.number, event.closing_cents)
        return replace(state, last=last, gaps=tuple(gap for gap in state.gaps if _reaches(gap, last)))
    return _with_gap(
        state, gap, after_year=event.year, after_number=event.number, after_cents=event.closing_cents
    )  # fmt: skip


def _is_used(state: BankAccountState, gap: Gap) -> bool:
    return state.last is not None and _reaches(gap, state.last)


def _reaches(gap: Gap, last: Last) -> bool:
    """
    Say whether the chain went on over the gap; one that it did not has lapsed.
    """
    return gap.counts and (gap.year, gap.number) <= (last.year, last.number)


def gap_around(state: BankAccountState, other: Statement | StatementTaken) -> Gap | None:
    """
    Return the gap behind us in which a statement belongs by its number.
    """
    place, last = (other.year, other.number), state.last
    if last is None or place > (last.year, last.number):
        return None
    around = (gap for gap in state.gaps if (gap.after_year, gap.after_number) < place < (gap.year, gap.number))
    return next((gap for gap in around if gap.counts), None)


def _with_gap(
    state: BankAccountState, of: Gap | StatementGapApproved | StatementGapExplained, **changes: Any
) -> BankAccountState:
    gaps = (replace(gap, **changes) if (gap.year, gap.number) == (of.year, of.number) else gap for gap in state.gaps)
    return replace(state, gaps=tuple(gaps))


def digests_of(year: int, number: int, content_digest: str, movements_digest: str) -> Seen:
    return Seen(year, number, content_digest[:_DIGEST_KEPT], movements_digest[:_DIGEST_KEPT])


def same(known: Seen | Held, other: Statement | StatementTaken | StatementDiscarded) -> bool:
    return (known.year, known.number) == (other.year, other.number)


def follows(last: Last, other: Held | Statement) -> bool:
    """
    Say whether `other` is the next: one more in the same year or the first of the next year, and the balance goes on.
    """
    is_next = (other.year, other.number) in {(last.year, last.number + 1), (last.year + 1, 1)}
    return is_next and other.opening_cents == last.closing_cents


def is_next(state: BankAccountState, other: Held | Statement) -> bool:
    """
    Say whether `other` follows the last statement: by number and balance, or since people said that it does.
    """
    last = state.last
    if last is None or follows(last, other):
        return True
    return any(
        gap.counts
        and (gap.year, gap.number, gap.opening_cents) == (other.year, other.number, other.opening_cents)
        and (gap.after_year, gap.after_number, gap.after_cents) == (last.year, last.number, last.closing_cents)
        for gap in state.gaps
    )


BANK_ACCOUNT: Final = Aggregate[BankAccountState, HappenedToBankAccount](
    context="bank",
    kind=Kind.BANK_ACCOUNT,
    happened=HappenedToBankAccount,
    initial=BankAccountState(),
    evolve=evolve,
    fold_version=3,
)
