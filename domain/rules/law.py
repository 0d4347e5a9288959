"""
The values of the law as the words of the program: a count, an amount, a day of a year. A value of another kind crashes.
"""

from __future__ import annotations

from datetime import date

from domain.dates import MonthDay
from domain.events import Used
from domain.money import Cents


def whole(used: Used) -> int:
    if not isinstance(used.value, int):
        raise TypeError(f"{used.parameter} is a whole number")
    return used.value


def cents(used: Used) -> Cents:
    return Cents(whole(used))


def text(used: Used) -> str:
    if not isinstance(used.value, str):
        raise TypeError(f"{used.parameter} is text")
    return used.value


def day_of(used: Used, *, year: int) -> date:
    """
    Return the day in a year that "04-30" means. Legal days are literal: a Sunday does not move (open question 1).
    """
    month, day = text(used).split("-")
    return MonthDay(int(month), int(day)).in_(year)
