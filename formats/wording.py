"""
Amounts, dates and lists as Belgians write them in a Dutch letter.

For people only: machines get `domain.money.euros_from_cents` and ISO dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel.core import Locale
from babel.dates import format_date
from babel.numbers import format_currency

from domain.money import Cents
from domain.payments import Iban, Ogm

_LOCALE: Final = Locale("nl", "BE")
#: Keeps an amount, a date or an account on one line.
NO_BREAK: Final = "\u00a0"


@lru_cache(maxsize=4096)
def amount(cents: Cents) -> str:
    """
    Write 123450 cents as `€ 1.234,50`, and what is owed to the member as `€ -12,00`. The blank does not break.
    """
    return format_currency(Decimal(cents).scaleb(-2), "EUR", locale=_LOCALE)


@lru_cache(maxsize=1024)
def day(when: date) -> str:
    """
    Write a date as `30 april 2026`, without a leading zero. The blanks do not break.
    """
    return format_date(when, "d MMMM y", locale=_LOCALE).replace(" ", NO_BREAK)


def ogm(communication: Ogm) -> str:
    """
    Write a structured communication as `+++090/9337/55493+++`.
    """
    return communication.printed


def iban(account: Iban) -> str:
    """
    Write an account in groups of four, `BE72 7775 9420 6316`. The blanks do not break.
    """
    return account.printed.replace(" ", NO_BREAK)


def enumeration(parts: Sequence[str]) -> str:
    """
    Write `2023, 2024 en 2025`: Dutch has no comma before "en".
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} en {parts[-1]}"
