"""
Whose money is it? Only what is safe is matched by itself; everything else goes to a person, with the reason.

Safe is: a structured communication that we gave out and that still has something open (or a payer known for that
member); or, without one, an amount that is exactly what is open for one, and only one, of those who are known to pay
from that account. Rule: ZP-14.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from domain.bank_movement import HeldBecause
from domain.ids import StreamId
from domain.payments import Movement, NotAnOgm, Ogm
from domain.zorgkas_affiliation import AffiliationState, MatchedBy

StateOf = Callable[[StreamId], AffiliationState]


class Match(NamedTuple):
    """
    The affiliation that the money belongs to, and how we know.
    """

    affiliation: StreamId
    matched_by: MatchedBy


class Known(NamedTuple):
    """
    What was looked up for a batch of movements: affiliations by the OGM given out, and by the payer's account.

    Those of an account are the keys of a dict, in order: one account may pay for thousands. `erased` are the ones for
    whom no payment can be recorded any more, because their personal data were erased (docs/decisions/0007).
    """

    by_ogm: Mapping[str, StreamId]
    by_account: dict[str, dict[StreamId, None]]
    erased: Collection[StreamId] = frozenset()

    def payers(self, movement: Movement) -> Collection[StreamId]:
        return self.by_account.get(movement.counterparty_iban, ()) if movement.counterparty_iban else ()

    def candidates(self, movement: Movement) -> Iterable[StreamId]:
        """
        Return the affiliations whose state decides about a movement: the one it names, else those of its account.
        """
        named = self.by_ogm.get(ogm) if (ogm := ogm_of(movement)) else None
        return self.payers(movement) if named is None else (named,)


def ogm_of(movement: Movement) -> Ogm | None:
    """
    Return the communication when the bank marks it as structured and its check digits are right.
    """
    if movement.communication_kind != "structured":
        return None
    try:
        return Ogm.from_text(movement.communication)
    except NotAnOgm:
        return None


def match_money_in(movement: Movement, known: Known, state_of: StateOf) -> Match | HeldBecause:
    """
    Match one incoming movement, or say why a person must look at it. One number in 97 passes the check digits by
    chance, so a communication alone is not enough: something must be open, or the payer must be known for that member.
    """
    ogm = ogm_of(movement)
    named = known.by_ogm.get(ogm) if ogm else None
    payers = known.payers(movement)
    if named is not None:
        if named in known.erased:
            return "payer_erased"
        if named in payers or state_of(named).open_years() or state_of(named).credit_cents < 0:
            return Match(named, "ogm")
        return "nothing_open"
    amount = movement.amount_cents
    exact = [payer for payer in payers if payer not in known.erased and _opens_exactly(state_of(payer), amount)]
    if len(exact) == 1:
        return Match(exact[0], "amount_and_iban")
    if exact:
        return "several_candidates"
    if ogm is not None:
        return "unknown_ogm"
    return "wrong_check_digits" if movement.communication_kind == "structured" else "no_ogm"


def _opens_exactly(state: AffiliationState, amount_cents: int) -> bool:
    opens = [each.open_cents for each in state.open_years()]
    return amount_cents in opens or (len(opens) > 1 and sum(opens) == amount_cents)


def match_reversal(movement: Movement, known: Known, state_of: StateOf) -> tuple[StreamId, StreamId] | None:
    """
    Return the affiliation and the movement that this one takes back, when exactly one payment fits.

    The payer is who the OGM or the account names; the payment is one of exactly that amount that the bank did not take
    back before. One that was refunded, in part or whole, is for a person: the member will owe what was refunded.
    """
    fits = [
        (affiliation, payment)
        for affiliation in known.candidates(movement)
        for payment, amount_cents in payments_standing(state_of(affiliation))
        if amount_cents == -movement.amount_cents
    ]
    if len(fits) != 1 or state_of(fits[0][0]).refunded_cents(fits[0][1]):
        return None
    return fits[0]


def payments_standing(state: AffiliationState) -> list[tuple[StreamId, int]]:
    """
    Return each payment of the affiliation that was not reversed, as the bank knows it: what was refunded of it counts.
    """
    totals: dict[StreamId, int] = {}
    for piece in state.pieces:
        totals[piece.movement] = totals.get(piece.movement, 0) + piece.amount_cents
    for part in state.refunded:
        totals[part.movement] = totals.get(part.movement, 0) + part.amount_cents
    return [(movement, total) for movement, total in totals.items() if total]
