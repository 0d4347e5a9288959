"""
The words of payments: what a structured communication and an IBAN are, held against independent readers of the same rules.
"""

from __future__ import annotations

from datetime import date
from random import Random

import msgspec
import pytest
import schwifty
from hypothesis import given
from hypothesis import strategies as st
from stdnum.be import ogm_vcs

from domain.money import Cents
from domain.payments import (
    Iban,
    Movement,
    NotAnIban,
    NotAnOgm,
    Ogm,
    bank_account_id,
    bank_movement_id,
)
from tests.table import cases

BASES = st.integers(1, 10**10 - 1)
ACCOUNT = Iban.from_text("BE68 5390 0754 7034")


def is_ogm(text: str) -> bool:
    try:
        Ogm.from_text(text)
    except NotAnOgm:
        return False
    return True


def is_iban(text: str) -> bool:
    try:
        Iban.from_text(text)
    except NotAnIban:
        return False
    return True


def belgian(base: int) -> str:
    digits = f"{base:010d}{base % 97 or 97:02d}"
    return f"BE{98 - int(digits + '111400') % 97:02d}{digits}"


# --- Structured communication -------------------------------------------------------------


@cases("""
    base        printed
    108068171   +++010/8068/17183+++
    909337554   +++090/9337/55493+++
    1           +++000/0000/00101+++
    97          +++000/0000/09797+++   # remainder 0 gives 97
    194         +++000/0000/19497+++
    1212041021  +++121/2041/02125+++
    9999999999  +++999/9999/99948+++
""")
def test_the_check_digits_are_the_remainder_of_97(base: int, printed: str) -> None:
    assert Ogm.from_base(base).printed == printed
    assert Ogm.from_text(printed) == Ogm.from_base(base)


@pytest.mark.parametrize("base", [0, -1, 10**10])
def test_a_base_outside_ten_digits_is_never_issued(base: int) -> None:
    with pytest.raises(NotAnOgm):
        Ogm.from_base(base)


@pytest.mark.parametrize(
    "text",
    ["+++090/9337/55493+++", "***090/9337/55493***", "090/9337/55493", "090933755493", "  090933755493\n"],
)
def test_an_ogm_is_read_as_people_and_banks_write_it(text: str) -> None:
    assert Ogm.from_text(text) == "090933755493"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "09093375549",
        "0909337554930",
        "090933755400",
        "09093375549X",
        "090 9337 55493",
        "090/933/755493",
        "+++090/9337/55493***",
        "+++090/9337/55493",
        "090/9337/55493+++",
        "++090/9337/55493++",
        "٠٩٠٩٣٣٧٥٥٤٩٣",
        "0909337554²3",
        "000000009700",
        "RF18539007547034",
    ],
)
def test_what_is_no_ogm_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(NotAnOgm) as caught:
        Ogm.from_text(text)
    assert not text.strip() or text not in str(caught.value)


@given(BASES)
def test_an_independent_reader_accepts_every_ogm(base: int) -> None:
    made = Ogm.from_base(base)
    assert ogm_vcs.is_valid(made)
    assert ogm_vcs.is_valid(made.printed)
    assert ogm_vcs.calc_check_digits(made[:10]) == made[10:]


@given(st.from_regex(r"[0-9]{12}", fullmatch=True))
def test_an_independent_reader_agrees_on_any_twelve_digits(text: str) -> None:
    assert is_ogm(text) == ogm_vcs.is_valid(text)


@pytest.mark.parametrize("base", [1, 97, 909337554, 1212041021, 9999999999])
def test_every_single_wrong_digit_is_found(base: int) -> None:
    right = Ogm.from_base(base)
    wrong = [
        right[:position] + digit + right[position + 1 :]
        for position in range(12)
        for digit in "0123456789"
        if digit != right[position]
    ]
    assert len(wrong) == 108
    assert not [text for text in wrong if is_ogm(text)]


@given(BASES, st.integers(0, 11), st.sampled_from("0123456789"))
def test_a_single_wrong_digit_is_found_in_any_ogm(base: int, position: int, digit: str) -> None:
    right = Ogm.from_base(base)
    changed = right[:position] + digit + right[position + 1 :]
    assert is_ogm(changed) == (changed == right)


@given(BASES, st.integers(0, 8))
def test_two_neighbours_that_change_places_are_found(base: int, position: int) -> None:
    right = Ogm.from_base(base)
    swapped = right[:position] + right[position + 1] + right[position] + right[position + 2 :]
    assert is_ogm(swapped) == (swapped == right)


# --- IBAN ---------------------------------------------------------------------------------


@given(BASES)
def test_an_independent_reader_accepts_every_belgian_iban(base: int) -> None:
    made = Iban.from_text(belgian(base))
    assert schwifty.IBAN(made, allow_invalid=True).numeric % 97 == 1
    assert Iban.from_text(made.printed) == made


@pytest.mark.parametrize("country", ["BE", "NL", "DE", "FR", "LU", "GB", "IE", "MT", "PL", "ES", "IT", "AT"])
def test_ibans_that_an_independent_reader_makes_are_read(country: str) -> None:
    for seed in range(20):
        theirs = schwifty.IBAN.random(country_code=country, random=Random(seed))
        assert Iban.from_text(theirs.formatted) == theirs.compact
        assert Iban.from_text(theirs.compact).printed == theirs.formatted


@given(BASES, st.integers(0, 15), st.sampled_from("0123456789"))
def test_a_single_wrong_digit_is_found_in_any_belgian_iban(base: int, position: int, digit: str) -> None:
    right = belgian(base)
    changed = right[:position] + digit + right[position + 1 :]
    assert is_iban(changed) == (changed == right)


def test_the_national_check_of_a_belgian_iban_is_looked_at_too() -> None:
    digits = "539007547035"  # right would be 34
    assert not is_iban(f"BE{98 - int(digits + '111400') % 97:02d}{digits}")


def test_a_national_remainder_of_zero_is_written_97() -> None:
    digits = "000000009797"
    assert is_iban(f"BE{98 - int(digits + '111400') % 97:02d}{digits}")


@pytest.mark.parametrize(
    "text",
    ["", "BE", "BE68", "BE6853900754703", "BE685390075470340", "BE69539007547034", "be68-5390-0754-7034", "539007547034",
     "BE6853900754703O", "٦٨BE539007547034", "BE68539007547034EUR", "XX00AAAAAAAAAAAAAAAA"],
)  # fmt: skip
def test_what_is_no_iban_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(NotAnIban) as caught:
        Iban.from_text(text)
    assert len(text) < 5 or text not in str(caught.value)


def test_blanks_and_small_letters_make_no_difference() -> None:
    assert Iban.from_text("be68 5390 0754 7034") == ACCOUNT == "BE68539007547034"
    assert ACCOUNT.printed == "BE68 5390 0754 7034"


# --- Identities ---------------------------------------------------------------------------


def test_a_movement_keeps_its_identity_whatever_the_file_is_called() -> None:
    again = bank_movement_id(account=Iban.from_text("BE68539007547034"), year=2026, number=82, ordinal=1)
    assert bank_movement_id(account=ACCOUNT, year=2026, number=82, ordinal=1) == again


def test_no_two_movements_share_an_identity() -> None:
    made = {
        bank_movement_id(account=account, year=year, number=number, ordinal=ordinal)
        for account in (ACCOUNT, Iban.from_text(belgian(42)))
        for year in (2025, 2026)
        for number in (1, 11, 111)
        for ordinal in (1, 11, 111)
    }
    assert len(made) == 36
    assert bank_account_id(ACCOUNT) != bank_account_id(Iban.from_text(belgian(42)))


def test_a_movement_survives_being_written_down() -> None:
    move = Movement(ordinal=1, amount_cents=Cents(-1), value_date=date(2026, 4, 30), booked_on=date(2026, 4, 30))
    assert msgspec.json.decode(msgspec.json.encode(move), type=Movement) == move
