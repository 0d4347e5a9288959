"""
Files of commands: one JSON object a line, and a last line that says how many there were and what they hash to.

The reader is strict, because Python's own is not: a key written twice, `NaN`, a fraction, a half line or a hidden
character would otherwise become a wrong payment without a word. Nothing is handed on before the whole file has passed.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NoReturn

from formats.rejections import InputRejected

BYTES_MAX: Final = 512 * 1024 * 1024
LINES_MAX: Final = 1_000_000
LINE_BYTES_MAX: Final = 64 * 1024
DEPTH_MAX: Final = 32
DIGITS_MAX: Final = 18
_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\r"
_RESERVED: Final = frozenset({"_type_", "_data_"})
_CLOSING: Final = frozenset({"end", "count", "sha256"})
# Characters that hide or reorder text: C0 and C1 controls, zero-width and bidirectional marks, lone surrogates.
_HIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

Line = tuple[int, Mapping[str, Any]]


class _Fault(Exception):
    """
    What is wrong with the line that is being read; the line number is added by who knows it.
    """

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(problem)
        self.code = code
        self.problem = problem


def read_lines(content: bytes) -> list[Line]:
    """
    Return the objects with their line numbers, the closing line checked and left out. Raises InputRejected.

    Text is brought to one form: NFC, without blanks at its ends.
    """
    if len(content) > BYTES_MAX:
        raise InputRejected("LIMIT", f"it is larger than {BYTES_MAX // 1024 // 1024} MB")
    if b"\x00" in content[:4]:  # UTF-16 without a mark; it would only seem cut
        raise InputRejected("ENCODING", "it is not UTF-8", line=1)
    lines = list(_numbered(content.removeprefix(_BOM)))
    if not lines:
        raise InputRejected("TRUNCATED", "it is empty")
    if not content.endswith(b"\n"):
        raise InputRejected("TRUNCATED", "the last line has no end", line=lines[-1][0])
    objects = [(number, _object(number, line)) for number, line in lines]
    _check_closing_line(lines, objects)
    return objects[:-1]


def read_object(content: bytes) -> Mapping[str, Any]:
    """
    Return one object that came by itself, checked as a line of a file is. Raises InputRejected.
    """
    if len(content) > LINE_BYTES_MAX:
        raise InputRejected("LIMIT", f"it is longer than {LINE_BYTES_MAX} bytes")
    return _object(1, content.strip(_BLANKS))


def write_lines(objects: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """
    Yield the lines of a file that `read_lines` accepts, the closing line included.
    """
    digest, count = hashlib.sha256(), 0
    for item in objects:
        line = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        digest.update(line)
        count += 1
        yield line
    yield json.dumps({"end": True, "count": count, "sha256": digest.hexdigest()}).encode() + b"\n"


def closing_line(content: bytes) -> bytes:
    """
    Return the closing line for a file that a person wrote without one.
    """
    lines = [stripped for line in content.removeprefix(_BOM).split(b"\n") if (stripped := line.strip(_BLANKS))]
    closing = {"end": True, "count": len(lines), "sha256": _digest(lines)}
    return json.dumps(closing).encode() + b"\n"


def with_closing_line(content: bytes) -> bytes:
    """
    Return the file with the closing line of what stands in it now, in the place of one that it had before.
    """
    body = content if content.endswith(b"\n") or not content else content + b"\n"
    before, _, last = body.rstrip(_BLANKS + b"\n").rpartition(b"\n")
    if _closes(last):
        body = before + b"\n" if before else b""
    return body + closing_line(body)


def _closes(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.keys() == _CLOSING


def _numbered(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if number > LINES_MAX:
            raise InputRejected("LIMIT", f"it has more than {LINES_MAX} lines")
        if len(line) > LINE_BYTES_MAX:
            raise InputRejected("LIMIT", f"the line is longer than {LINE_BYTES_MAX} bytes", line=number)
        if stripped := line.strip(_BLANKS):
            yield number, stripped


def _digest(lines: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line + b"\n")
    return digest.hexdigest()


def _object(number: int, line: bytes) -> Mapping[str, Any]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputRejected("ENCODING", "the line is not UTF-8", line=number, column=error.start + 1) from None
    try:
        found = json.loads(
            text, object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_no_fraction, parse_int=_whole
        )
        return _cleaned(found)
    except _Fault as fault:
        raise InputRejected(fault.code, fault.problem, line=number) from None
    except json.JSONDecodeError as error:
        problem = "it is not one complete JSON object"
        raise InputRejected("SCHEMA", problem, line=number, column=error.colno) from None
    except RecursionError:
        raise InputRejected("LIMIT", "it is nested too deeply", line=number) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Fault("DUPLICATE_KEY", "a key stands there twice")
    if _RESERVED & found.keys():
        raise _Fault("RESERVED", "a key is reserved for the store")
    if _HIDDEN.search("".join(found)):
        raise _Fault("TEXT", "a key holds a control character or half a character")
    return found


def _no_constant(_: str) -> NoReturn:
    raise _Fault("NUMBER", "NaN and Infinity are no numbers")


def _no_fraction(_: str) -> NoReturn:
    raise _Fault("NUMBER", "numbers are whole (amounts are in cents), without point or exponent")


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX or digits == "-0":
        raise _Fault("NUMBER", f"a number has at most {DIGITS_MAX} digits and no minus before zero")
    return int(digits)


def _cleaned(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise _Fault("SCHEMA", "a line is one JSON object")
    return {key: _clean(value, depth=1) for key, value in found.items()}


def _clean(value: Any, *, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise _Fault("LIMIT", f"it is nested deeper than {DEPTH_MAX}")
    if isinstance(value, str):
        if _HIDDEN.search(value):
            raise _Fault("TEXT", "a text holds a control character or half a character")
        return unicodedata.normalize("NFC", value).strip()
    if isinstance(value, dict):
        return {key: _clean(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, depth=depth + 1) for item in value]
    return value


def _check_closing_line(lines: list[tuple[int, bytes]], objects: list[Line]) -> None:
    number, closing = objects[-1]
    if closing.keys() != _CLOSING or closing["end"] is not True:
        raise InputRejected(
            "TRUNCATED", 'the closing line {"end":true,"count":...,"sha256":...} is missing', line=number
        )
    if closing["count"] != len(objects) - 1 or isinstance(closing["count"], bool):
        raise InputRejected("TRUNCATED", "the closing line counts another number of lines", line=number)
    if closing["sha256"] != _digest(line for _, line in lines[:-1]):
        raise InputRejected("TRUNCATED", "the closing line has another SHA-256 than the lines before it", line=number)
