"""
The letter type that we ship (Source Sans Pro, SIL Open Font License), and which characters it can print.

Only these files are used, never what a machine has installed: the same facts give the same bytes everywhere.
"""

from __future__ import annotations

import struct
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Final

FONTS: Final = Path(__file__).parent / "letters" / "fonts"
_SEGMENTED_COVERAGE: Final = 12


@lru_cache(maxsize=1)
def printable_characters() -> frozenset[str]:
    """
    Return the characters that every one of our fonts has, without control, format and private ones.

    A character without a glyph would be an empty box on paper, and PDF/A forbids it.
    """
    covered = [_characters(path.read_bytes()) for path in sorted(FONTS.glob("*.otf"))]
    common = frozenset.intersection(*covered)
    return frozenset(character for character in common if unicodedata.category(character)[0] != "C")


def _characters(font: bytes) -> frozenset[str]:
    """
    Read the character map of an OpenType font. Source: OpenType specification, tables `cmap`, format 12.
    """
    tables = struct.unpack_from(">H", font, 4)[0]
    records = (struct.unpack_from(">4sIII", font, 12 + 16 * index) for index in range(tables))
    start = next(offset for tag, _, offset, _ in records if tag == b"cmap")
    for index in range(struct.unpack_from(">H", font, start + 2)[0]):
        subtable = start + struct.unpack_from(">I", font, start + 8 + 8 * index)[0]
        if struct.unpack_from(">H", font, subtable)[0] == _SEGMENTED_COVERAGE:
            groups = struct.unpack_from(">I", font, subtable + 12)[0]
            ranges = (struct.unpack_from(">II", font, subtable + 16 + 12 * group) for group in range(groups))
            return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))
    raise ValueError("a font of ours has no character map that we read")
