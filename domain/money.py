"""
Money is integer euro cents, always, everywhere; the wire's decimals are turned into cents at the edge.

There is no division here: a split names its parts, a percentage names its rounding.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NewType

from domain.errors import Unreadable

Cents = NewType("Cents", int)

ZERO = Cents(0)
#: No single amount in this house is larger (10 million million euros would be a typing error).
CENTS_MAX = 10**15

_EUROS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)


class NotAnAmount(Unreadable):
    """
    An amount is written as 12 digits at the most, a point and at the most two decimals.
    """


def cents_from_euros(text: str) -> Cents:
    """
    Read "12.50" as 1250 cents. Only plain ASCII digits with a point: no exponent, no thousands, no third decimal.

    Raises NotAnAmount; its message never repeats the text.
    """
    if not _EUROS.fullmatch(text):
        raise NotAnAmount
    return Cents(int(Decimal(text).scaleb(2)))


def euros_from_cents(amount: Cents) -> str:
    """
    Write 1250 cents as "12.50", for machines. Papers for people are written by `formats.wording`.
    """
    sign = "-" if amount < 0 else ""
    euros, cents = divmod(abs(amount), 100)
    return f"{sign}{euros}.{cents:02d}"


def split_over(amount: Cents, parts: int) -> tuple[Cents, ...]:
    """
    Split an amount into `parts` shares that differ by one cent at the most and add up to it exactly; larger ones first.
    """
    if parts < 1 or amount < 0:
        raise ValueError("an amount of zero or more is split over one part or more")
    share, rest = divmod(amount, parts)
    return tuple(Cents(share + 1 if index < rest else share) for index in range(parts))


def percent_half_up(amount: Cents, percent: int) -> Cents:
    """
    Return `percent` percent of an amount, rounded half-up at the cent (away from zero), once.
    """
    hundredths = abs(amount) * percent
    rounded = (hundredths + 50) // 100
    return Cents(rounded if amount >= 0 else -rounded)
