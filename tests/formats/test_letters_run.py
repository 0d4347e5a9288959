"""
The letters of a run: files for the printer and for e-mail, and the manifest that goes with them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re

import pytest
from pypdf import PdfReader
from pypdf.generic import NameObject, StreamObject

from formats import letters, printer_manifest
from formats.letter_facts import facts_sha256
from tests.formats.letter_samples import (
    INVITATION,
    REGISTERED,
    REGISTERED_LONG,
    REMINDER,
    addressed_to,
    changed,
    numbered,
)


def page_texts(pdf: bytes) -> list[str]:
    """
    Return the text of each page, without its order on the page: drawings left out, it reads three times faster.
    """
    pages = PdfReader(io.BytesIO(pdf)).pages
    for page in pages:
        words = StreamObject()
        words.set_data(b"".join(re.findall(rb"BT .*?\nET\n", page.get_contents().get_data(), re.DOTALL)))
        page[NameObject("/Contents")] = words
    return [page.extract_text() for page in pages]


@pytest.fixture(scope="module")
def thousand():
    return list(letters.render_run((numbered(number) for number in range(1000)), name="uitnodigingen-2026"))


def test_no_page_of_a_thousand_letters_holds_a_word_of_another_member(thousand):
    seen = []
    for file in thousand:
        texts = page_texts(file.pdf)
        for row in file.rows:
            own = f"{int(row.letter_id) - 1:06d}"
            mine = texts[row.first_page - 1 : row.first_page - 1 + row.pages]
            assert set(re.findall(r"(?<=[KNS])\d{6}", "".join(mine))) == {own}
            assert all(f"K{own}" in text for text in mine)
            assert f"N{own}" in mine[0]
            assert f"S{own}" in mine[0]
            seen.append(own)
    assert sorted(seen) == [f"{number:06d}" for number in range(1000)]


def test_the_pages_of_a_file_belong_to_its_letters_without_gap_or_overlap(thousand):
    for file in thousand:
        expected = 1
        for row in file.rows:
            assert row.first_page == expected
            expected += row.pages
        assert expected - 1 == len(PdfReader(io.BytesIO(file.pdf)).pages)


def test_each_channel_has_files_of_its_own_and_the_sequence_runs_through(thousand):
    assert [(file.name, len(file.rows)) for file in thousand] == [
        ("uitnodigingen-2026-0001-post.pdf", 250),
        ("uitnodigingen-2026-0002-post.pdf", 250),
        ("uitnodigingen-2026-0003-post.pdf", 250),
        ("uitnodigingen-2026-0004-registered.pdf", 250),
    ]
    assert [row.sequence for file in thousand for row in file.rows] == list(range(1, 1001))
    assert all({row.channel for row in file.rows} == {file.channel} for file in thousand)
    assert all(row.file == file.name for file in thousand for row in file.rows)


def test_letters_by_email_are_one_file_each():
    by_email = [changed(INVITATION, channel="email"), changed(REMINDER, channel="email")]
    files = list(letters.render_run([by_email[0], INVITATION, by_email[1]], name="run"))
    assert [(file.channel, len(file.rows)) for file in files] == [("email", 1), ("email", 1), ("post", 1)]
    assert files[0].pdf == letters.render_letter(by_email[0])


def test_one_bad_letter_does_not_stop_the_others():
    bad = addressed_to(INVITATION, "Jan \u202e")
    results = list(letters.render_run([INVITATION, bad, REMINDER], name="run"))
    (refused,) = [result for result in results if isinstance(result, letters.RefusedLetter)]
    (file,) = [result for result in results if isinstance(result, letters.LettersFile)]
    assert refused.facts is bad
    assert refused.reason.startswith("The name of the addressee")
    assert len(file.rows) == 2


def test_a_run_without_letters_has_no_files():
    assert list(letters.render_run([], name="run")) == []


def test_the_same_run_gives_the_same_bytes():
    def run():
        return list(letters.render_run([numbered(number) for number in range(8)], name="run", letters_per_file=3))

    assert run() == run()


def test_the_manifest_names_people_only_where_the_post_wants_them_announced():
    files = list(letters.render_run([INVITATION, REGISTERED, REGISTERED_LONG], name="run"))
    rows = [row for file in files for row in file.rows]
    table = list(
        csv.DictReader(io.StringIO((printer_manifest.header() + printer_manifest.lines(rows)).decode(), newline=""))
    )
    assert [(row["channel"], row["first_page"], row["pages"]) for row in table] == [
        ("post", "1", "1"), ("registered", "1", "1"), ("registered", "2", "2"),
    ]  # fmt: skip
    assert (table[0]["name"], table[0]["address_1"], table[0]["barcode"]) == ("", "", "")
    assert table[1]["name"] == "Marie-Thérèse Vandenbroucke-Peeters"
    assert (table[1]["address_1"], table[1]["address_2"]) == ("Lange Leemstraat 212 bus 4", "2018 Antwerpen")
    assert table[1]["barcode"] == "010541288500452621221234567890"
    assert table[1]["facts_sha256"] == facts_sha256(REGISTERED)


def test_commas_and_quotes_in_an_address_stay_in_their_column():
    facts = addressed_to(REGISTERED, 'Jan "de Lange", Peeters', "Straat 1, bus 2", "2000 Antwerpen")
    (file,) = letters.render_run([facts], name="run")
    manifest = printer_manifest.header() + printer_manifest.lines(file.rows)
    (row,) = csv.DictReader(io.StringIO(manifest.decode(), newline=""))
    assert (row["name"], row["address_1"]) == ('Jan "de Lange", Peeters', "Straat 1, bus 2")


def test_the_summary_adds_up_and_proves_the_files():
    files = list(letters.render_run([numbered(number) for number in range(8)], name="run"))
    summaries = [
        printer_manifest.file_summary(file=file.name, channel=file.channel, pdf=file.pdf, rows=file.rows)
        for file in files
    ]
    summary = json.loads(printer_manifest.summary(run="run", files=summaries, refused=1))
    assert (summary["letters"], summary["pages"], summary["refused"]) == (8, 9, 1)
    assert [file["sha256"] for file in summary["files"]] == [hashlib.sha256(file.pdf).hexdigest() for file in files]
