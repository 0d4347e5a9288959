"""
The letters about the zorgpremie: what they say, to whom, and what is refused before it is printed.
"""

from __future__ import annotations

import io
import re
from datetime import date

import pytest
from pypdf import PdfReader

from domain.money import Cents
from formats import letters
from formats.fonts import FONTS, printable_characters
from formats.letter_facts import Addressee, Consequence, LetterRefused, facts_sha256
from tests.formats.letter_samples import (
    INVITATION,
    INVITATION_REDUCED,
    REGISTERED,
    REGISTERED_LONG,
    REMINDER,
    SAMPLES,
    addressed_to,
    changed,
    with_years,
    year,
)
from tests.formats.pictures import read_codes


def pages(pdf: bytes) -> list[str]:
    return [page.extract_text().replace("\u00a0", " ") for page in PdfReader(io.BytesIO(pdf)).pages]


def flowing(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def text_of(facts) -> str:
    return flowing("\n".join(pages(letters.render_letter(facts))))


# --- What they say --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_every_word_of_a_letter_was_approved(golden, name):
    golden(f"letters/{name}.txt", "\n\f\n".join(pages(letters.render_letter(SAMPLES[name]))) + "\n")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_payment_code_on_the_page_pays_this_letter(name):
    facts = SAMPLES[name]
    codes = [code for page in letters.pictures(facts, ppi=96) for code in read_codes(page)]
    amount = f"{facts.total_cents // 100}.{facts.total_cents % 100:02d}"
    assert codes == [f"BCD\n002\n1\nSCT\n\nCM-Zorgkas\nBE72777594206316\nEUR{amount}\n\n090933755493"]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "registered_letter_long"])
def test_an_ordinary_letter_is_one_page(name):
    assert len(pages(letters.render_letter(SAMPLES[name]))) == 1


def test_a_long_letter_counts_its_pages_and_leaves_no_heading_alone():
    first, second = pages(letters.render_letter(REGISTERED_LONG))
    assert "Pagina 1 van 2" in first
    assert "Pagina 2 van 2" in second
    assert "Wat gebeurt er als je niet betaalt?" in second


def test_only_who_pays_the_reduced_premium_reads_why():
    reason = "Voor 2026 betaal je de verlaagde zorgpremie, omdat je op 1 januari 2025 recht had op de verhoogde"
    assert reason in text_of(INVITATION_REDUCED)
    assert "verlaagde" not in text_of(INVITATION)


def test_a_voluntary_member_is_not_told_of_a_fine():
    assert "een boete" in text_of(REMINDER)
    assert "boete" not in text_of(changed(REMINDER, mandatory=False))


def test_the_last_day_is_named_only_when_it_lies_after_the_day_to_pay_by():
    assert "15 oktober 2026" in text_of(REGISTERED)
    assert "Komt je geld toch iets later aan" not in text_of(REGISTERED_LONG)


@pytest.mark.parametrize("line", [f"{'W' * 40} {'W' * 29}", "Wijk " * 14, "Burgemeester Vanderveldelaan 12"])
def test_the_longest_address_stays_in_the_window(line):
    heights: dict[str, list[float]] = {"address": [], "subject": []}

    def visit(text, matrix, *_):
        if text.strip():
            kind = "subject" if "Je zorgpremie" in text else "address" if text.strip() in line + line else "other"
            heights.setdefault(kind, []).append(matrix[5])

    facts = addressed_to(INVITATION, line.strip()[:70], *[line.strip()[:70]] * 5)
    PdfReader(io.BytesIO(letters.render_letter(facts))).pages[0].extract_text(visitor_text=visit)
    assert len(heights["address"]) >= 6
    assert max(heights["address"]) < 842 - 49 / 25.4 * 72
    assert min(heights["address"]) > heights["subject"][0] + 14


def test_amounts_and_dates_come_from_the_facts_alone():
    other = changed(
        with_years(REGISTERED, year(2031, 11100), year(2032, 12200)),
        pay_by=date(2032, 9, 28),
        written_on=date(2032, 5, 3),
        consequence=Consequence(fine_cents=Cents(33300), agency="Agentschap Morgen", last_day=date(2032, 10, 8)),
        basis=(),
    )
    text = text_of(other)
    numbers = set(re.findall(r"€ [\d.,]+", text))
    assert numbers == {"€ 111,00", "€ 122,00", "€ 233,00", "€ 0,00", "€ 333,00"}
    assert set(re.findall(r"\d{1,2} [a-z]{3,} 20\d\d", text)) == {"3 mei 2032", "28 september 2032", "8 oktober 2032"}
    assert "Wettelijke basis" not in text


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_facts_give_the_same_bytes(name):
    assert letters.render_letter(SAMPLES[name]) == letters.render_letter(SAMPLES[name])


def test_only_our_own_letter_type_is_used_and_its_licence_lies_beside_it():
    reader = PdfReader(io.BytesIO(letters.render_letter(REGISTERED)))
    fonts = {font["/BaseFont"] for page in reader.pages for font in page["/Resources"]["/Font"].values()}
    assert {re.sub(r"^/[A-Z]{6}\+|-Identity-H$", "", font) for font in fonts} == {
        "SourceSansPro-Regular",
        "SourceSansPro-Semibold",
    }
    assert "SIL Open Font License" in (FONTS / "OFL.txt").read_text()


# --- Odd text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        '#panic("x")',
        "#sys.inputs",
        "<script>alert(1)</script>",
        "*ster* _lijn_ `code` $x$",
        "// weg /* weg */",
        "Jan \\ Piet ~ [x] {y}",
        "'t Serstevens-de l'Épinois",
        "Łukasz Ștefănescu-Ångström",
        "Σωκράτης Пётр",
    ],
)
def test_text_that_looks_like_a_program_is_printed_as_it_stands(name):
    assert name in text_of(addressed_to(INVITATION, name))


def test_letters_and_accents_apart_are_printed_as_one_and_give_the_same_bytes():
    apart, together = "Rene\u0301e Noe\u0308l", "Ren\u00e9e No\u00ebl"
    assert together in text_of(addressed_to(INVITATION, apart))
    assert letters.render_letter(addressed_to(INVITATION, apart)) == letters.render_letter(
        addressed_to(INVITATION, together)
    )


@pytest.mark.parametrize(
    "name",
    [
        "Jan\nPeeters", "Jan\tPeeters", "Jan\x00", "Jan\x1b[0m", "Jan\u0085", "Jan\u2028Piet",  # control, line ends
        "Jan\u202ePiet", "Jan\u2066Piet", "\ufeffJan", "Ja\u200bn", "Ja\u00adn",  # directions, marks without width
        "Jan 😀", "Jan \U0001f469\u200d\U0001f4bb", "محمد", "דוד", "王芳", "Jan \ue000", "Jan \ud800",  # not in our letter type
        "", "   ", "=1+1", "+32", "-Jan", "@jan",  # nothing, and what a spreadsheet would compute
        "x" * 41, "xxx " * 18,
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_printed_is_refused_without_being_repeated(name):
    with pytest.raises(LetterRefused) as refusal:
        letters.render_letter(addressed_to(INVITATION, name))
    assert str(INVITATION.letter_id) in str(refusal.value)
    assert not name.strip() or name not in str(refusal.value)


def test_every_character_that_passes_can_be_printed():
    characters = sorted(printable_characters() - {" ", "\u00a0"})
    lines = ["a" + "".join(characters[start : start + 30]) for start in range(0, len(characters), 30)]
    for start in range(0, len(lines), 5):
        letters.render_letter(addressed_to(INVITATION, "Jan", *lines[start : start + 5]))


# --- Facts that do not fit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (changed(INVITATION, total_cents=Cents(9999)), "total"),
        (changed(INVITATION, total_cents=Cents(0), years=(year(2026, 0),)), "total"),
        (changed(INVITATION, years=()), "years"),
        (with_years(INVITATION, year(2026, 100), year(2025, 100)), "oldest first"),
        (with_years(INVITATION, year(2026, 100), year(2026, 100)), "each once"),
        (with_years(INVITATION, year(2025, 100, 200), year(2026, 300)), "add up"),
        (changed(INVITATION, pay_by=date(2026, 1, 19)), "day to pay by"),
        (changed(INVITATION, channel="registered"), "registered post"),
        (changed(REGISTERED, channel="post"), "registered post"),
        (changed(REGISTERED, consequence=None), "what follows"),
        (changed(INVITATION, consequence=REGISTERED.consequence), "what follows"),
        (changed(REGISTERED, mandatory=False), "voluntary"),
        (changed(REGISTERED, consequence=Consequence(fine_cents=Cents(0), agency="A", last_day=date(2026, 10, 5))), "fine"),
        (changed(REGISTERED, consequence=Consequence(fine_cents=Cents(1), agency="A", last_day=date(2026, 10, 4))), "last day"),
        (changed(REGISTERED, barcode="01054128850045262122123456789"), "barcode"),
        (changed(REGISTERED, barcode="110541288500452621221234567890"), "barcode"),
        (changed(INVITATION, barcode="010541288500452621221234567890"), "barcode"),
        (changed(INVITATION, reference=""), "reference"),
        (changed(INVITATION, basis=("art. 1\n",)), "Legal source"),
        (changed(INVITATION, addressee=Addressee(name="Jan", lines=())), "lines"),
        (changed(INVITATION, addressee=Addressee(name="Jan", lines=("a",) * 6)), "lines"),
        (addressed_to(REGISTERED, "J" * 51), "50 characters"),
    ],
)  # fmt: skip
def test_facts_that_contradict_each_other_are_refused_by_name(facts, word):
    with pytest.raises(LetterRefused, match=word):
        letters.render_letter(facts)


def test_a_registered_letter_may_have_fields_of_fifty_characters_and_the_day_itself_may_be_the_last():
    letters.render_letter(addressed_to(REGISTERED, "Jan " * 12 + "Ja"))
    letters.render_letter(changed(INVITATION, written_on=INVITATION.pay_by))


def test_any_changed_fact_changes_its_proof():
    hashes = {facts_sha256(facts) for facts in (*SAMPLES.values(), changed(INVITATION, pay_by=date(2026, 5, 1)))}
    assert len(hashes) == len(SAMPLES) + 1
