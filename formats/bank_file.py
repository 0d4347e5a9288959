"""
The front door for bank statements: tells CODA from camt.053 itself, whatever the file is called.
"""

from __future__ import annotations

import hashlib
from typing import Final

from domain.payments import Statement
from formats.bank_text import UTF8_BOM
from formats.camt053 import read_camt053
from formats.coda import coda_text, read_coda
from formats.rejections import InputRejected

_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


def read_statements(content: bytes) -> tuple[Statement, ...]:
    """
    Read every statement of a CODA or a camt.053 file, whole or not at all. Raises InputRejected, and nothing else.
    """
    if _is_xml(content):
        return read_camt053(content)
    return read_coda(content)


def canonical_digest(content: bytes) -> str:
    """
    Return the SHA-256 of what a file says: line ends, blank lines at its end and its encoding make no difference.

    Also for a file that is refused, so that it can be kept under this name; then of its bytes.
    """
    try:
        text = _xml_text(content) if _is_xml(content) else coda_text(content)
    except InputRejected:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _is_xml(content: bytes) -> bool:
    """
    Tell XML from CODA. Raises InputRejected TRUNCATED, ENCODING, FORMAT for what is neither.
    """
    start = content[:64].removeprefix(UTF8_BOM).lstrip()
    if not content.strip():
        raise InputRejected("TRUNCATED", "it is empty")
    if content.startswith(_UTF16_BOMS) or b"\x00" in start:
        raise InputRejected("ENCODING", "it is neither UTF-8 nor Windows-1252")
    if start.startswith(b"<"):
        return True
    if start.startswith(b"0"):
        return False
    raise InputRejected("FORMAT", "it is neither CODA nor camt.053", line=1)


def _xml_text(content: bytes) -> str:
    try:
        text = content.removeprefix(UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError:
        raise InputRejected("ENCODING", "it is not UTF-8") from None
    return text.replace("\r\n", "\n").strip()
