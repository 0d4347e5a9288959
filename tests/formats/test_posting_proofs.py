"""
The post's proofs: taken whole, or refused with line and reason.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.posting_proofs import HEADER, read_proofs
from formats.rejections import InputRejected

LETTER = "5f0c2f58-0d3e-8a67-8f20-1b7f7a1d9f10"
BARCODE = "010" + "1" * 27
LINE = f"{LETTER},2025-06-02,{BARCODE}"


def test_a_line_says_which_letter_the_post_took_when() -> None:
    (proof,) = read_proofs(f"{HEADER}\n{LINE}\n".encode())
    assert proof == (2, UUID(LETTER), date(2025, 6, 2), BARCODE)


def test_windows_line_ends_and_a_bom_make_no_difference() -> None:
    assert read_proofs(f"\ufeff{HEADER}\r\n{LINE}\r\n".encode()) == read_proofs(f"{HEADER}\n{LINE}\n".encode())


def test_only_a_header_is_no_proof_and_no_mistake() -> None:
    assert read_proofs(f"{HEADER}\n".encode()) == []


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "The file: it is empty; nothing was taken, fetch the complete file again. [TRUNCATED]"),
        (f"{HEADER}\n{LINE}", "The file: the last line has no end; nothing was taken, fetch the complete file again. [TRUNCATED]"),
        (f"letter_id;posted_on;barcode\n{LINE}\n", f"Line 1: the first line must be {HEADER}; nothing was taken"),
        (f"{HEADER}\n{LINE}\n{LINE}\n", "Line 3, letter_id: the letter stands there twice; nothing was taken"),
        (f"{HEADER}\n{LINE},\n", "Line 2: a line has three fields with a comma between them; nothing was taken"),
        (f"{HEADER}\n{LETTER},02/06/2025,{BARCODE}\n", "Line 2, posted_on: a date is written as YYYY-MM-DD; nothing was taken"),
        (f"{HEADER}\n{LETTER},2025-06-02,1.01111E+28\n", "Line 2, barcode: a barcode has 30 digits and starts with 010"),
        (f"{HEADER}\nAn Peeters,2025-06-02,{BARCODE}\n", "Line 2, letter_id: this is not the id of a letter; nothing was taken"),
        (f"{HEADER}\né,2025-06-02,{BARCODE}\n", "The file: it holds other characters than those of ids, dates and barcodes"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused_with_its_place(text: str, refusal: str) -> None:
    with pytest.raises(InputRejected) as refused:
        read_proofs(text.encode())
    assert str(refused.value).startswith(refusal)
    assert "Peeters" not in str(refused.value)


@given(st.binary(max_size=300))
def test_no_bytes_lead_to_another_error(content: bytes) -> None:
    try:
        read_proofs(f"{HEADER}\n".encode() + content)
    except InputRejected:
        return
