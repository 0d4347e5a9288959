"""
The procedure for who does not pay: how many missed years, letter by, pay by, report by. Dated, like an amount.
"""

from __future__ import annotations

import re
from datetime import date

from domain.errors import Unreadable
from domain.events import Used
from domain.facts import MemberFacts
from domain.parameters import Parameters
from domain.rules.law import day_of, whole

_BARCODE = re.compile(r"010[0-9]{27}", re.ASCII)


class NotABarcode(Unreadable):
    """
    The post's barcode of a registered letter has 30 digits and starts with 010.
    """

    rule = "ZB-9"


def missed_years_min(*, as_of: date, law: Parameters) -> tuple[int, Used]:
    """
    Return how many missed years bring a registered letter on that day: three until 2018, two since.

    Rules: ZB-2, ZB-13. Law: order of 30 November 2018, art. 74.
    """
    used = law["arrears/missed_years_min"].on(as_of)
    return whole(used), used


def letter_by(*, letter_year: int, law: Parameters) -> tuple[date, Used]:
    """
    Return the last day on which the registered letter of a year may be made and posted.

    Rules: ZB-2, ZB-13. Law: order of 30 November 2018, art. 74.
    """
    return _day("arrears/letter_by", letter_year, law)


def pay_by(*, letter_year: int, law: Parameters) -> tuple[date, Used]:
    """
    Return the last day to pay after the registered letter, that day included.

    Rules: ZB-4, ZB-13. Law: order of 30 November 2018, art. 74 and 81.
    """
    return _day("arrears/pay_by", letter_year, law)


def report_by(*, letter_year: int, law: Parameters) -> tuple[date, Used]:
    """
    Return the last day to report to the Agency. Raises NoValue for the years until 2018.

    Rules: ZB-3, ZB-10. Law: order of 30 November 2018, art. 74.
    """
    return _day("arrears/report_by", letter_year, law)


def corrections_until(*, letter_year: int, law: Parameters) -> tuple[date, Used]:
    """
    Return the last day on which money on the account still prevents the fine, that day included.

    Rules: ZB-4, ZB-10. Law: order of 30 November 2018, art. 82, 7°.
    """
    return _day("arrears/corrections_until", letter_year, law)


def reminder_by(*, year: int, law: Parameters) -> tuple[date, Used]:
    """
    Return the last day for the reminder of a year's premium.

    Rule: ZB-12. Law: order of 30 November 2018, art. 73.
    """
    return _day("arrears/reminder_by", year, law)


def report_unpaid_years_min(*, letter_year: int, law: Parameters) -> tuple[int, Used]:
    """
    Return how many years of the letter must still be unpaid or incomplete for a fine.

    Rules: ZB-4, ZB-10. Law: order of 30 November 2018, art. 81.
    """
    used = law["arrears/report_unpaid_years_min"].on(date(letter_year, 1, 1))
    return whole(used), used


def fine_expected(*, member: MemberFacts, imposed_on: date, law: Parameters) -> Used:
    """
    Return the fine that the law names for a member: less for who had the verhoogde tegemoetkoming the year before.

    Rule: ZB-5. Law: decree of 18 May 2018, art. 47.
    """
    reduced = member.had_verhoogde_tegemoetkoming_on(date(imposed_on.year - 1, 1, 1))
    return law["arrears/fine_verlaagd" if reduced else "arrears/fine_gewoon"].on(imposed_on)


def checked_barcode(text: str) -> str:
    """
    Return the post's barcode; raises NotABarcode.
    """
    if not _BARCODE.fullmatch(text):
        raise NotABarcode
    return text


def _day(name: str, year: int, law: Parameters) -> tuple[date, Used]:
    used = law[name].on(date(year, 1, 1))
    return day_of(used, year=year), used
