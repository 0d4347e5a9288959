"""
Letters keep the standard that they are labelled with, says the reference validator.
"""

from __future__ import annotations

from adapters import verapdf
from adapters.verapdf import Verdict
from formats import letters
from tests.formats.letter_samples import SAMPLES, numbered


def test_every_kind_of_letter_and_a_merged_file_is_pdf_a_2b():
    (post, registered) = letters.render_run([numbered(number) for number in range(8)], name="run")
    pdfs = [*(letters.render_letter(facts) for facts in SAMPLES.values()), post.pdf, registered.pdf]
    assert verapdf.check(pdfs, flavour="2b") == [Verdict(passed=True)] * len(pdfs)


def test_a_letter_on_a_screen_can_be_read_aloud():
    pdfs = [letters.render_letter(facts) for facts in SAMPLES.values()]
    assert verapdf.check(pdfs, flavour="ua1") == [Verdict(passed=True)] * len(pdfs)


def test_the_validator_names_what_a_file_breaks():
    good = letters.render_letter(SAMPLES["invitation"])
    bad = good.replace(b"/ID[(", b"/XX[(")  # the trailer must identify the file
    assert bad != good
    verdicts = verapdf.check([good, bad], flavour="2b")
    assert verdicts == [Verdict(passed=True), Verdict(passed=False, broken_rules=("6.1.3-1",))]
