"""
The front door for bank statements: any bytes come in, and only whole statements or one refusal come out.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payments import Movement, NotAnOgm, Ogm, Statement
from formats import bank_text, safe_xml
from formats.bank_file import canonical_digest, read_statements
from formats.camt053_writer import write_camt053
from formats.coda_writer import write_coda
from formats.rejections import ADVICE, InputRejected
from tests.formats.bank_fixtures import DAY, FIXTURES, PLAIN, iban, movement, statement

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(FIXTURES.glob("*.cod")) + sorted(FIXTURES.glob("*.xml"))
CONTENTS = {path.name: path.read_bytes() for path in FILES}


def refused(content: bytes) -> InputRejected:
    with pytest.raises(InputRejected) as caught:
        read_statements(content)
    return caught.value


# --- The door -----------------------------------------------------------------------------


def test_the_format_is_told_by_the_content() -> None:
    formats = {name: {each.format for each in read_statements(content)} for name, content in CONTENTS.items()}
    assert formats == {name: {"CODA" if name.endswith(".cod") else "camt.053"} for name in CONTENTS}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "TRUNCATED"),
        (b"\r\n \n", "TRUNCATED"),
        (b"\xef\xbb\xbf", "FORMAT"),
        (b"date;amount\n", "FORMAT"),
        (b"{}", "FORMAT"),
        (b"%PDF-1.7", "FORMAT"),
        (b"PK\x03\x04", "FORMAT"),
        ("0000".encode("utf-16"), "ENCODING"),
        ("<Document/>".encode("utf-16-be"), "ENCODING"),
        (b"0\x00\x00", "ENCODING"),
    ],
)
def test_what_is_no_bank_statement_is_refused(content: bytes, code: str) -> None:
    assert refused(content).code == code


def test_a_refusal_says_where_what_and_what_to_do_on_one_line() -> None:
    for code, advice in ADVICE.items():
        error = InputRejected(code, "this is wrong", line=3, column=4, field="amount")
        assert str(error) == f"Line 3, column 4, amount: this is wrong; {advice}. [{code}]"
        assert "\n" not in advice
    assert InputRejected("BALANCE", "it is wrong").message.startswith("The file: it is wrong; nothing was taken")


@pytest.mark.parametrize("start", [b"0", b"<"])
def test_a_file_of_more_than_50_mb_is_refused(start: bytes) -> None:
    assert refused(start * 50_000_001).code == "LIMIT"


# --- The digest ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTENTS)
def test_the_same_file_with_other_line_ends_has_the_same_digest(name: str) -> None:
    content = CONTENTS[name]
    digest = canonical_digest(content)
    assert canonical_digest(content.replace(b"\n", b"\r\n")) == digest
    assert canonical_digest(content + b"\n\n") == digest
    assert canonical_digest(content.rstrip(b"\n")) == digest


def test_the_same_coda_file_in_another_encoding_has_the_same_digest() -> None:
    content = CONTENTS["plain.cod"]
    text = content.decode("windows-1252")
    assert "é" in text
    assert {canonical_digest(text.encode(encoding)) for encoding in ("utf-8", "utf-8-sig")} == {
        canonical_digest(content)
    }


def test_every_change_of_a_character_changes_the_digest() -> None:
    content = CONTENTS["plain.cod"]
    changed = {canonical_digest(content[:at] + b"~" + content[at + 1 :]) for at in range(0, len(content), 7)}
    assert len(changed) == len(range(0, len(content), 7))


def test_a_file_that_is_refused_has_a_digest_too() -> None:
    assert len({canonical_digest(content) for content in (b"", b"x", b"<", b"0", b"\xff\xfe")}) == 5


# --- Damage -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_cut_at_any_byte_is_refused(name: str) -> None:
    content = CONTENTS[name].rstrip(b"\n")
    read_statements(content)
    for end in range(len(content)):
        with pytest.raises(InputRejected):
            read_statements(content[:end])


def test_a_utf8_file_cut_at_any_byte_is_refused() -> None:
    content = CONTENTS["plain.cod"].decode("windows-1252").encode("utf-8").rstrip(b"\n")
    for end in range(len(content)):
        with pytest.raises(InputRejected):
            read_statements(content[:end])


def _is_ogm(text: str) -> bool:
    try:
        Ogm.from_text(text)
    except NotAnOgm:
        return False
    return True


def _money_differs(before: Movement, after: Movement) -> bool:
    if after.amount_cents != before.amount_cents:
        return True
    if after.counterparty_iban not in {before.counterparty_iban, ""}:
        return True
    changed = after.communication != before.communication
    return changed and after.communication_kind == "structured" and _is_ogm(after.communication)


def _days(found: tuple[Statement, ...]) -> list[date]:
    moments = [(each.opened_on, each.closed_on) for each in found]
    booked = [(move.value_date, move.booked_on) for each in found for move in each.movements]
    return [day for pair in moments + booked for day in pair]


def _identity_and_balances(found: tuple[Statement, ...]) -> list[tuple[object, ...]]:
    return [(each.account, each.opening_cents, each.closing_cents, len(each.movements)) for each in found]


_FLIPS = (0x01, 0x10, 0x02, 0x20, 0x04, 0x80, 0x08, 0xFF, 0x40)


@pytest.mark.parametrize(("name", "turn"), [*((name, 0) for name in CONTENTS), ("plain.cod", 3), ("plain.cod", 6)])
def test_no_flipped_byte_changes_money(name: str, turn: int) -> None:
    content = CONTENTS[name]
    original = read_statements(content)
    for position in range(len(content)):
        flip = _FLIPS[(position + turn) % len(_FLIPS)]
        damaged = bytearray(content)
        damaged[position] ^= flip
        try:
            found = read_statements(bytes(damaged))
        except InputRejected:
            continue
        where = f"byte {position}"
        assert _identity_and_balances(found) == _identity_and_balances(original), where
        pairs = [
            pair
            for before, after in zip(original, found, strict=True)
            for pair in zip(before.movements, after.movements, strict=True)
        ]
        assert not any(_money_differs(before, after) for before, after in pairs), where
        if flip >= 0x10:  # what makes another digit of a digit can make another day of a day
            assert _days(found) == _days(original), where


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_and_nothing_else(content: bytes) -> None:
    for start in (b"", b"0", b"<", b"<?xml version='1.0'?><Document "):
        with pytest.raises(InputRejected):
            read_statements(start + content)


@given(st.text(alphabet="012349 D\n2EURBE", min_size=128, max_size=2_000))
def test_random_records_are_refused_and_nothing_else(text: str) -> None:
    ruled = "\n".join(text[start : start + 128].replace("\n", " ").ljust(128) for start in range(0, len(text), 128))
    with pytest.raises(InputRejected):
        read_statements(b"0" + ruled.encode()[1:])


@given(
    st.lists(st.tuples(st.integers(0, 2_300), st.integers(0, 255)), min_size=1, max_size=5),
    st.sampled_from(sorted(CONTENTS)),
)
def test_several_changed_bytes_are_refused_or_read_and_nothing_else(changes: list[tuple[int, int]], name: str) -> None:
    content = bytearray(CONTENTS[name])
    for position, byte in changes:
        content[position] = byte
    try:
        found = read_statements(bytes(content))
    except InputRejected:
        return
    for each in found:
        assert each.opening_cents + sum(move.amount_cents for move in each.movements) == each.closing_cents


# --- What is written is what is read ------------------------------------------------------

_TEXT = st.text(alphabet=st.sampled_from("ABCabc 019+/.,'-&<>\"éèçüñŒ€"), max_size=40).map(
    lambda text: " ".join(text.split())
)
_DAYS = st.integers(0, 30).map(lambda days: DAY - timedelta(days=days))


@st.composite
def movements(draw: st.DrawFn) -> Movement:
    kind = draw(st.sampled_from(["free", "structured", "creditor_reference"]))
    base = draw(st.integers(1, 9 * 10**9 - 1))
    free, references = draw(_TEXT), {"structured": str(Ogm.from_base(base)), "creditor_reference": f"RF18{base}"}
    reversal = draw(st.sampled_from([None, None, None, "return", "refund", "reversal", "cancellation", "other"]))
    reason = {"refund": "MD06", "return": "AC04", "reversal": "AM05", "cancellation": "CUST"}.get(reversal or "", "")
    return movement(
        1,
        draw(st.integers(-(10**11), 10**11).filter(bool)),
        value_date=draw(_DAYS),
        booked_on=draw(_DAYS),
        communication=references.get(kind, free),
        communication_kind=kind,
        counterparty_iban=draw(st.sampled_from(["", str(iban(base))])),
        counterparty_name=draw(_TEXT)[:35].strip(),
        end_to_end_id=draw(st.sampled_from(["", "ZP-1", "A" * 35])),
        bank_reference=draw(st.sampled_from(["", "REF 1"])),
        mandate_reference=draw(st.sampled_from(["", "MNDT-1"])) if kind == "free" else "",
        reversal=reversal,
        reversal_reason=reason,
    )


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    found = [
        msgspec.structs.replace(each, ordinal=number)
        for number, each in enumerate(draw(st.lists(movements(), max_size=6)), 1)
    ]
    return statement(
        *found,
        opening_cents=draw(st.integers(-(10**11), 10**11)),
        number=draw(st.integers(1, 999)),
        opened_on=DAY - timedelta(days=40),
        account=iban(draw(st.integers(9 * 10**9, 10**10 - 1))),
        duplicate=draw(st.booleans()),
    )


def _without_place(found: tuple[Statement, ...]) -> list[Statement]:
    return [msgspec.structs.replace(each, first_line=1, format="CODA") for each in found]


@given(st.lists(statements(), min_size=1, max_size=3), st.sampled_from(["windows-1252", "utf-8"]))
def test_coda_gives_back_what_was_written(written: list[Statement], encoding: str) -> None:
    content = b"".join(write_coda(written, created_on=DAY, encoding=encoding))
    assert _without_place(read_statements(content)) == written


@given(st.lists(statements(), min_size=1, max_size=3), st.sampled_from(["001.02", "001.08"]))
def test_camt053_gives_back_what_was_written(written: list[Statement], version: str) -> None:
    content = b"".join(write_camt053(written, created_on=DAY, version=version))
    assert _without_place(read_statements(content)) == written


def test_both_formats_tell_the_same() -> None:
    coda, camt = read_statements(CONTENTS["plain.cod"])[0], read_statements(CONTENTS["plain_001_08.xml"])[0]
    assert coda.movements[:5] == camt.movements == PLAIN.movements[:5]


# --- Checks that cannot be switched off ---------------------------------------------------

READERS = ["bank_file", "bank_text", "camt053", "camt053_entries", "coda", "coda_records", "rejections", "safe_xml"]


@pytest.mark.parametrize("module", READERS)
def test_no_check_of_a_reader_is_an_assert(module: str) -> None:
    tree = ast.parse((ROOT / "formats" / f"{module}.py").read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def test_a_wrong_total_is_refused_by_python_that_skips_asserts(tmp_path: Path) -> None:
    flipped = bytearray(CONTENTS["plain.cod"])
    flipped[2 * 129 + 31] = ord("1")
    (tmp_path / "flipped.cod").write_bytes(bytes(flipped))
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from formats.bank_file import read_statements; "
        "read_statements(pathlib.Path(sys.argv[2]).read_bytes())"
    )
    command = [sys.executable, "-O", "-c", program, str(ROOT), str(tmp_path / "flipped.cod")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("formats.rejections.InputRejected: Line 17, new balance: ")


def test_the_limits_are_those_that_are_documented() -> None:
    limits = (bank_text.CONTENT_BYTES_MAX, bank_text.VALUE_DATE_DISTANCE_MAX.days, safe_xml.ELEMENTS_MAX)
    assert limits == (50_000_000, 400, 1_000_000)
