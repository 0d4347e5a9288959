"""
Whose money may it be? Suggestions for a person about a movement of the worklist, each with why; nothing is decided.

Looked for: a communication that we gave out somewhere in the free text; one with a wrong digit or two neighbours
swapped; an account that is known for a member; an amount that is exactly what is open. Rule: ZP-14.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from domain.bank_movement import MovementHeld
from domain.ids import Kind, MemberId, StreamId, belonging_to, owner_of
from domain.payments import NotAnOgm, Ogm
from domain.personal import ERASED
from domain.zorgkas_affiliation import AffiliationState

#: Beyond so many members with the same open amount, an amount says nothing.
SAME_AMOUNT_MAX: Final = 3
_SPACED_DIGITS: Final = re.compile(r"(?<![0-9])[0-9](?:[ ./*+-]*[0-9]){11}(?![0-9])", re.ASCII)

_ACCOUNT: Final = "the account is known for this member"
_AMOUNT: Final = "the amount is exactly what is open"
_WEIGHTS: Final[Mapping[str, int]] = {
    "the text holds a communication that we gave this member": 8,
    "one digit away from a communication that we gave this member": 5,
    "two neighbouring digits swapped in a communication that we gave this member": 5,
    _ACCOUNT: 4,
    _AMOUNT: 2,
}
_IN_TEXT, _ONE_DIGIT, _SWAPPED = list(_WEIGHTS)[:3]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """
    One member whose money it may be. `open_cents` is all that is open for them; `why` the most telling first.
    """

    member: MemberId
    open_cents: int
    why: Sequence[str]
    weight: int


class Known(Protocol):
    """
    What is looked up: communications that were given out, accounts that are known, and who opens exactly an amount.
    """

    def affiliations_by_ogm(self, ogms: Sequence[str]) -> Mapping[str, StreamId]: ...

    def members_by_account(self, ibans: Sequence[str]) -> Mapping[str, Sequence[MemberId]]: ...

    def erased(self, members: Collection[MemberId]) -> Collection[MemberId]: ...


def suggest(
    held: MovementHeld,
    *,
    known: Known,
    same_amount: Callable[[int, int], Sequence[StreamId]],
    state_of: Callable[[Sequence[StreamId]], Mapping[StreamId, AffiliationState]],
) -> list[Suggestion]:
    """
    Return suggestions, the most likely first. `same_amount` gives who opens exactly an amount, at most so many.

    Nobody is suggested whose personal data were erased: no payment can be recorded for them.
    """
    why: dict[StreamId, list[str]] = {}
    for reason, stream in _by_communication(held.communication, known):
        _add(why, stream, reason)
    if held.counterparty_iban not in ("", ERASED):
        for member in known.members_by_account([held.counterparty_iban]).get(held.counterparty_iban, ()):
            _add(why, belonging_to(member, Kind.ZORGKAS_AFFILIATION), _ACCOUNT)
    exactly = list(same_amount(held.amount_cents, SAME_AMOUNT_MAX + 1)) if held.amount_cents > 0 else []
    if len(exactly) <= SAME_AMOUNT_MAX:
        why.update({stream: [] for stream in exactly if stream not in why})
    if held.amount_cents > 0:
        gone = known.erased({owner_of(stream) for stream in why})
        why = {stream: reasons for stream, reasons in why.items() if owner_of(stream) not in gone}
    states = state_of(list(why))
    suggestions = [_suggestion(stream, reasons, states[stream], held.amount_cents) for stream, reasons in why.items()]
    return sorted(suggestions, key=lambda each: (-each.weight, each.member))


def _add(why: dict[StreamId, list[str]], stream: StreamId, reason: str) -> None:
    reasons = why.setdefault(stream, [])
    if reason not in reasons:
        reasons.append(reason)


def _suggestion(stream: StreamId, reasons: Sequence[str], state: AffiliationState, amount_cents: int) -> Suggestion:
    opens = [each.open_cents for each in state.open_years()]
    if amount_cents in opens or (opens and sum(opens) == amount_cents):
        reasons = [*reasons, _AMOUNT]
    return Suggestion(
        member=owner_of(stream),
        open_cents=sum(opens),
        why=reasons,
        weight=sum(_WEIGHTS[reason] for reason in reasons),
    )


def _by_communication(text: str, known: Known) -> Iterator[tuple[str, StreamId]]:
    for found in _SPACED_DIGITS.findall(text):
        digits = re.sub(r"[^0-9]", "", found)
        near = {
            digits: _IN_TEXT,
            **dict.fromkeys(_swapped(digits), _SWAPPED),
            **dict.fromkeys(_one_off(digits), _ONE_DIGIT),
        }
        right = {candidate: reason for candidate, reason in near.items() if _is_ogm(candidate)}
        given_out = known.affiliations_by_ogm(sorted(right))
        yield from ((right[ogm], stream) for ogm, stream in sorted(given_out.items()))


def _one_off(digits: str) -> Iterator[str]:
    for place, digit in enumerate(digits):
        for other in "0123456789":
            if other != digit:
                yield digits[:place] + other + digits[place + 1 :]


def _swapped(digits: str) -> Iterator[str]:
    for place in range(len(digits) - 1):
        if digits[place] != digits[place + 1]:
            yield digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]


def _is_ogm(digits: str) -> bool:
    try:
        Ogm.from_text(digits)
    except NotAnOgm:
        return False
    return True
