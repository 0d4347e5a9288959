"""
What the zorgpremie of a calendar year costs, when it must be paid, and until when it is not missed yet.
"""

from __future__ import annotations

from datetime import date

import msgspec

from domain.events import Used
from domain.facts import MemberFacts
from domain.money import Cents
from domain.parameters import Parameters
from domain.rules.law import cents, day_of, whole


class Zorgpremie(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The premium of one year for one member, with the value of the law that it is.
    """

    amount_cents: Cents
    reduced: bool
    used: Used


def reference_day_for_reduction(year: int) -> date:
    """
    Return the day on which the verhoogde tegemoetkoming must exist to pay the reduced premium of that year.

    Rule: ZP-2. Law: order of 30 November 2018, art. 68.
    """
    return date(year - 1, 1, 1)


def zorgpremie_of(*, year: int, member: MemberFacts, law: Parameters) -> Zorgpremie:
    """
    Return what a calendar year costs a member, never a part of it. Raises NoValue for a year without its amount.

    Rules: ZP-1, ZP-2, ZP-18 (the reduced amount is a value of its own). Law: decree of 18 May 2018, art. 45.
    """
    reduced = member.had_verhoogde_tegemoetkoming_on(reference_day_for_reduction(year))
    used = law["zorgpremie/verlaagd" if reduced else "zorgpremie/gewoon"].on(date(year, 1, 1))
    return Zorgpremie(amount_cents=cents(used), reduced=reduced, used=used)


def due_on(*, year: int, law: Parameters) -> tuple[date, Used]:
    """
    Return the last day on which the premium may reach the account, that day included.

    Rule: ZP-3. Law: order of 30 November 2018, art. 69.
    """
    used = law["zorgpremie/due_by"].on(date(year, 1, 1))
    return day_of(used, year=year), used


def first_premiums_until(*, year: int, birth_year: int, law: Parameters) -> date | None:
    """
    Return the last day for the first two premiums of who turns 26, or None for any other year.

    Both may be paid until 31 December of the year in which the member turns 27.

    Rule: ZK-11. Law: order of 30 November 2018, art. 56 §1.
    """
    age_min = whole(law["zorgpremie/age_min"].on(date(year, 1, 1)))
    first_year = birth_year + age_min
    return date(first_year + 1, 12, 31) if year in (first_year, first_year + 1) else None
