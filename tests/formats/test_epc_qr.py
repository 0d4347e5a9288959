"""
The payment code: its lines, its bounds, and what a scanner makes of it.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.money import Cents
from domain.payments import Iban, Ogm
from formats import epc_qr
from tests.formats.pictures import read_codes
from tests.table import cases

ACCOUNT = Iban.from_text("BE72777594206316")
OGM = Ogm.from_text("090933755493")


def payload(*, name="CM-Zorgkas", cents=10000, ogm=OGM):
    return epc_qr.payload(creditor_name=name, account=ACCOUNT, amount_cents=Cents(cents), ogm=ogm)


def test_the_code_holds_the_ten_lines_of_the_guideline():
    assert payload() == "BCD\n002\n1\nSCT\n\nCM-Zorgkas\nBE72777594206316\nEUR100.00\n\n090933755493"


@cases(
    """
    cents           line
    1               EUR0.01
    3450            EUR34.50
    123450          EUR1234.50
    99999999999     EUR999999999.99
    """
)
def test_the_amount_has_a_point_and_no_thousands(cents, line):
    assert payload(cents=cents).split("\n")[7] == line


@cases(
    """
    cents
    0
    -1
    100000000000
    """
)
def test_an_amount_outside_the_guideline_has_no_code(cents):
    with pytest.raises(epc_qr.NoQrCode):
        payload(cents=cents)


@pytest.mark.parametrize("name", ["", "x" * 71, "a\nb", "a\x00b", "a\u202eb"])
def test_a_creditor_that_would_shift_the_lines_has_no_code(name):
    with pytest.raises(epc_qr.NoQrCode):
        payload(name=name)


def test_a_creditor_of_seventy_characters_fits():
    assert payload(name="x" * 70).split("\n")[5] == "x" * 70


@given(
    base=st.integers(1, 10**10 - 1), cents=st.integers(1, 99_999_999_999), name=st.sampled_from(["CM-Zorgkas", "Crème"])
)
@settings(max_examples=40)
def test_a_scanner_reads_back_what_was_written(base, cents, name):
    text = payload(name=name, cents=cents, ogm=Ogm.from_base(base))
    assert read_codes(drawn(text)) == [text]


def test_the_same_facts_give_the_same_picture():
    assert epc_qr.svg(payload()) == epc_qr.svg(payload())


def drawn(text):
    import typst

    page = (
        b'#set page(width: 40mm, height: 40mm, margin: 5mm)\n#image(bytes(sys.inputs.qr), format: "svg", width: 30mm)'
    )
    return typst.compile(page, format="png", ppi=100, sys_inputs={"qr": epc_qr.svg(text)}, ignore_system_fonts=True)
