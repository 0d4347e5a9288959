"""
Pages as pictures, and what a scanner sees on them.
"""

from __future__ import annotations

import struct
import zlib

import zxingcpp


def read_codes(png: bytes) -> list[str]:
    """
    Return the text of every QR code on a page.
    """
    width, height, grey = _grey(png)
    found = zxingcpp.read_barcodes(memoryview(grey).cast("B", (height, width)), formats=zxingcpp.BarcodeFormat.QRCode)
    return [code.text for code in found]


def _grey(png: bytes) -> tuple[int, int, bytes]:
    """
    Read a PNG of eight-bit RGBA, as typst writes them; one channel is enough. Source: PNG specification, part 9.
    """
    position, data, header = 8, b"", b""
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        chunk = png[position + 8 : position + 8 + length]
        header, data = (chunk if kind == b"IHDR" else header), (data + chunk if kind == b"IDAT" else data)
        position += 12 + length
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    assert (depth, colour) == (8, 6)
    raw = zlib.decompress(data)
    stride = 4 * width
    above = bytearray(width)
    rows = []
    for row in range(height):
        start = row * (stride + 1)
        above = _row(raw[start], raw[start + 2 : start + 1 + stride : 4], above)  # green
        rows.append(bytes(above))
    return width, height, b"".join(rows)


def _row(filter_kind: int, line: bytes, above: bytearray) -> bytearray:
    out = bytearray(line)
    left = upper_left = 0
    for index, value in enumerate(line):
        upper = above[index]
        left = (value + _predicted(filter_kind, left, upper, upper_left)) & 0xFF
        upper_left = upper
        out[index] = left
    return out


def _predicted(filter_kind: int, left: int, upper: int, upper_left: int) -> int:
    match filter_kind:
        case 1:
            return left
        case 2:
            return upper
        case 3:
            return (left + upper) // 2
        case 4:
            guess = left + upper - upper_left
            return min((left, upper, upper_left), key=lambda near: abs(guess - near))  # the first of equals
    return 0
