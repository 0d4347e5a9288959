"""
Amounts, dates, accounts and lists, as a Belgian reads them.
"""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from domain.money import Cents
from domain.payments import Iban, Ogm
from formats import wording
from tests.table import cases


@cases(
    """
    cents           written
    0               €_0,00
    1               €_0,01
    3500            €_35,00
    10000           €_100,00
    99999           €_999,99
    100000          €_1.000,00
    123450          €_1.234,50
    123456789       €_1.234.567,89
    -1200           €_-12,00
    """
)
def test_an_amount_has_a_comma_and_points(cents, written):
    assert wording.amount(Cents(cents)) == written.replace("_", "\u00a0")


@given(st.integers(min_value=0, max_value=10**13))
def test_an_amount_reads_back_as_the_same_cents(cents):
    digits = wording.amount(Cents(cents)).removeprefix("€\u00a0").replace(".", "").replace(",", "")
    assert int(digits) == cents


@cases(
    """
    when          written
    2026-04-30    30_april_2026
    2026-10-05    5_oktober_2026
    2024-02-29    29_februari_2024
    2026-03-01    1_maart_2026
    2026-08-31    31_augustus_2026
    """
)
def test_a_date_is_written_out_and_stays_on_one_line(when: date, written):
    assert wording.day(when) == written.replace("_", "\u00a0")


def test_an_account_is_written_in_groups_of_four():
    assert wording.iban(Iban.from_text("BE72777594206316")) == "BE72\u00a07775\u00a09420\u00a06316"


def test_a_structured_communication_is_written_between_plusses():
    assert wording.ogm(Ogm.from_text("090933755493")) == "+++090/9337/55493+++"


def test_a_list_has_no_comma_before_its_last_word():
    assert wording.enumeration([]) == ""
    assert wording.enumeration(["2024"]) == "2024"
    assert wording.enumeration(["2024", "2025"]) == "2024 en 2025"
    assert wording.enumeration(["2023", "2024", "2025"]) == "2023, 2024 en 2025"
