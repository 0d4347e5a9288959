"""
Files of commands are taken whole or refused with the line and the reason, never with the value.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.command_files import read_commands
from formats import jsonl
from formats.jsonl import LINE_BYTES_MAX, LINES_MAX, closing_line, read_lines, with_closing_line, write_lines
from formats.rejections import InputRejected
from tests.table import cases

GOOD = b'{"a":1}\n{"b":"twee"}\n'


def closed(body: bytes) -> bytes:
    return body + closing_line(body)


def rejection(content: bytes) -> tuple[str, int | None]:
    with pytest.raises(InputRejected) as caught:
        read_lines(content)
    return caught.value.code, caught.value.line


def test_a_good_file_gives_its_objects_with_their_line_numbers():
    assert read_lines(closed(GOOD)) == [(1, {"a": 1}), (2, {"b": "twee"})]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(GOOD, id="without one"),
        pytest.param(GOOD[:-1], id="without one, and the last line has no end"),
        pytest.param(closed(GOOD), id="with one already"),
        pytest.param(b'{"a":0}\n' + closed(b'{"a":0}\n'), id="with one of another content"),
    ],
)
def test_a_file_gets_the_closing_line_of_what_stands_in_it(written):
    objects = [line for line in written.splitlines() if b"sha256" not in line]
    whole = with_closing_line(written)
    assert len(read_lines(whole)) == len(objects)
    assert with_closing_line(whole) == whole


@pytest.mark.parametrize(
    ("body", "objects"),
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD, 2, id="a byte order mark at the start"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), 2, id="line ends of Windows"),
        pytest.param(b"\n" + GOOD + b"\n\n", 2, id="blank lines"),
        pytest.param('{"a":"x\u2028y"}\n'.encode(), 1, id="a line separator inside a text does not cut it"),
        pytest.param(b'{"a":"\'; DROP TABLE members; --"}\n', 1, id="SQL is just text"),
        pytest.param(
            b'{"a":"=cmd|x"}\n{"a":"<script>"}\n{"a":"../../etc"}\n', 3, id="formulas, tags and paths are text"
        ),
    ],
)
def test_what_is_tolerated(body, objects):
    assert len(read_lines(closed(body))) == objects


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(b'{"amount":1,"amount":9}', "DUPLICATE_KEY", id="a key twice"),
        pytest.param(b'{"deep":{"x":1,"x":1}}', "DUPLICATE_KEY", id="a key twice, deeper"),
        pytest.param(b'{"a":NaN}', "NUMBER", id="NaN"),
        pytest.param(b'{"a":Infinity}', "NUMBER", id="infinity"),
        pytest.param(b'{"a":-Infinity}', "NUMBER", id="minus infinity"),
        pytest.param(b'{"a":1e400}', "NUMBER", id="an exponent"),
        pytest.param(b'{"a":1E2}', "NUMBER", id="a small exponent"),
        pytest.param(b'{"a":12.50}', "NUMBER", id="a fraction"),
        pytest.param(b'{"a":-0.00}', "NUMBER", id="a negative zero with decimals"),
        pytest.param(b'{"a":-0}', "NUMBER", id="a negative zero"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "NUMBER", id="a number of 5,000 digits"),
        pytest.param(b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "LIMIT", id="nested 30,000 deep"),
        pytest.param(b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "LIMIT", id="nested 40 deep"),
        pytest.param(b'{"a":"' + b"x" * LINE_BYTES_MAX + b'"}', "LIMIT", id="a line too long"),
        pytest.param(rb'{"a":"\ud800"}', "TEXT", id="half a character"),
        pytest.param(rb'{"a":"\u0000"}', "TEXT", id="a NUL"),
        pytest.param(rb'{"a":"x\u202ey"}', "TEXT", id="text turned around"),
        pytest.param(rb'{"\ud800":1}', "TEXT", id="half a character in a key"),
        pytest.param(rb'{"a":{"x\u202e":1}}', "TEXT", id="a key turned around, deeper"),
        pytest.param(b'{"a":"\xe9"}', "ENCODING", id="Latin-1"),
        pytest.param('{"a":1}'.encode("utf-16"), "ENCODING", id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "SCHEMA", id="a byte order mark in the middle"),
        pytest.param(b'{"a":1},', "SCHEMA", id="a comma behind"),
        pytest.param(b'{"a":1} // why', "SCHEMA", id="a comment"),
        pytest.param(b'{"a":1}{"b":2}', "SCHEMA", id="two objects on one line"),
        pytest.param(b'{"a":1', "SCHEMA", id="half an object"),
        pytest.param(b"[1]", "SCHEMA", id="not an object"),
        pytest.param(b'{"_type_":"x","_data_":1}', "RESERVED", id="the keys of the store"),
        pytest.param(b'{"a":[{"_data_":1}]}', "RESERVED", id="one of them, deeper"),
    ],
)
def test_what_is_refused_with_its_line(line, code):
    assert rejection(closed(GOOD + line + b"\n")) == (code, 3)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"", None, id="an empty file"),
        pytest.param(GOOD, 2, id="no closing line"),
        pytest.param(closed(GOOD)[:-1], 3, id="no last line end"),
        pytest.param(closed(GOOD).replace(b"twee", b"drie"), 3, id="a line was changed"),
        pytest.param(GOOD[:8] + closing_line(GOOD), 2, id="a line is missing"),
        pytest.param(GOOD + b'{"end":true,"count":true,"sha256":""}\n', 3, id="a count that is no number"),
    ],
)
def test_a_cut_or_changed_file_is_refused_whole(content, line):
    assert rejection(content) == ("TRUNCATED", line)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_is_not_taken_for_a_cut_one(encoding):
    assert rejection(closed(GOOD).decode().encode(encoding)) == ("ENCODING", 1)


def test_a_file_of_too_many_lines_is_refused():
    assert rejection(b"\n" * (LINES_MAX + 1)) == ("LIMIT", None)


def test_a_file_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(jsonl, "BYTES_MAX", 1024 * 1024)
    assert rejection(closed(GOOD) + b"\n" * 1024 * 1024) == ("LIMIT", None)


def test_text_is_brought_to_one_form():
    assert read_lines(closed('{"a":[" Rene\u0301 "]}\n'.encode())) == [(1, {"a": ["Ren\u00e9"]})]


def test_cut_at_every_byte_nothing_is_accepted():
    content = closed(GOOD)
    assert all(rejection(content[:size])[0] in {"TRUNCATED", "SCHEMA"} for size in range(len(content)))


@pytest.mark.parametrize("flip", [0x01, 0x02, 0x08, 0x10, 0x20, 0x80, 0xFF])
def test_no_flipped_byte_changes_what_is_read(flip):
    content = closed(GOOD)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= flip
        try:
            found = read_lines(bytes(damaged))
        except InputRejected:
            continue
        assert found == read_lines(content), f"byte {position}"


def test_a_refusal_never_repeats_the_value():
    with pytest.raises(InputRejected) as caught:
        read_lines(closed(b'{"first_name":"Canary\\u0000Peeters"}\n'))
    assert "Canary" not in str(caught.value)
    assert "first_name" not in str(caught.value)


# --- Lines that are objects, and no commands -------------------------------------------------------------------------

REFUND = {
    "type": "RefundCredit",
    "command_id": "00000000-0000-4000-8000-000000000001",
    "member_id": "01941f29-7c00-7000-8000-000001000000",
    "amount_cents": 6400,
    "refunded_on": "2026-04-30",
    "reference": "R-1",
}


def test_a_line_that_is_a_command_is_read():
    ((line, command),) = read_commands(b"".join(write_lines([REFUND])))
    assert (line, command.amount_cents) == (1, 6400)


@cases("""
    case                            field         value                       refused_field
    true for a number               amount_cents  true                        amount_cents
    text for a number               amount_cents  "6400"                      amount_cents
    nothing for a number            amount_cents  null                        amount_cents
    an amount of zero               amount_cents  0                           amount_cents
    a negative amount               amount_cents  -6400                       amount_cents
    an amount beyond all money      amount_cents  1000000000001               amount_cents
    30 February                     refunded_on   "2026-02-30"                refunded_on
    a week date                     refunded_on   "2026-W18-4"                refunded_on
    a day as Belgians write it      refunded_on   "30/04/2026"                refunded_on
    a day without hyphens           refunded_on   "20260430"                  refunded_on
    a moment for a day              refunded_on   "2026-04-30T00:00:00Z"      refunded_on
    a number for a day              refunded_on   20260430                    refunded_on
    an empty text                   reference     ""                          reference
    a text that is too long         reference     "KANARIEKANARIEKANARIEKANARIEKANARIE1"  reference
    an object for a text            reference     {"a":"KANARIE"}             reference
    an id that is none              command_id    "KANARIE"                   command_id
    a type in other capitals        type          "refundCredit"              type
    a type that is none             type          "KANARIE"                   type
    a list for a type               type          ["RefundCredit"]            type
    a field in other capitals       Reference     "KANARIE"                   ~
    a field that nobody knows       kanarie       "KANARIE"                   ~
""")
def test_a_line_that_is_no_command_is_refused_with_its_field_and_without_its_value(case, field, value, refused_field):
    line = {**REFUND, field: json.loads(str(value))}
    with pytest.raises(InputRejected) as caught:
        read_commands(b"".join(write_lines([REFUND, line])))
    assert (caught.value.code, caught.value.line) == ("SCHEMA", 2)
    assert caught.value.field == refused_field.strip("~")
    assert "kanarie" not in str(caught.value).lower()


@pytest.mark.parametrize("field", REFUND)
def test_a_field_that_is_missing_is_named(field):
    with pytest.raises(InputRejected) as caught:
        read_commands(b"".join(write_lines([{name: value for name, value in REFUND.items() if name != field}])))
    assert (caught.value.code, caught.value.line, caught.value.field) == ("SCHEMA", 1, field)


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(REFUND)) | st.text(max_size=5), _ANY_JSON, max_size=4))
def test_any_object_is_a_command_or_refused_and_nothing_else_happens(changes):
    line = json.dumps({**REFUND, **changes}).encode() + b"\n"
    try:
        commands = read_commands(closed(line))
    except InputRejected:
        return
    assert len(commands) == 1


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-(10**9), 10**9) | st.sampled_from(["x", "é"]))))
def test_what_is_written_is_read_back(objects):
    content = b"".join(write_lines(objects))
    assert [item for _, item in read_lines(content)] == objects


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_nothing_else_happens(content):
    try:
        lines = read_lines(content)
    except InputRejected:
        return
    assert all(json.dumps(item) for _, item in lines)
