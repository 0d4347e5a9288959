"""
The EPC QR code on a letter: a banking app reads it and fills in the transfer.

Source: European Payments Council, EPC069-12, version 002 (no BIC needed within the EEA). The structured communication
stands in the reference line, as its twelve digits; in the free text line banking apps take it for free text
(docs/decisions/0011).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import segno

from domain.errors import Refused
from domain.money import Cents, euros_from_cents
from domain.payments import Iban, Ogm

_NAME_MAX: Final = 70
_AMOUNT_CENTS_MAX: Final = 99_999_999_999
_BYTES_MAX: Final = 331
#: Trying all eight masks costs five times as much, and any mask is valid; the same facts give the same picture.
_MASK: Final = 3
_DARK: Final = re.compile(rb"\x01+")


class NoQrCode(Refused):
    """
    A payment code needs a creditor of 1 to 70 printable characters and an amount of 0.01 to 999,999,999.99 euros.
    """


def payload(*, creditor_name: str, account: Iban, amount_cents: Cents, ogm: Ogm) -> str:
    """
    Return the ten lines that the code holds; nothing after the reference, so no empty lines at the end.

    Raises NoQrCode. Source: EPC069-12, chapter 2.
    """
    name = unicodedata.normalize("NFC", creditor_name)
    if not 1 <= len(name) <= _NAME_MAX or not name.isprintable() or not 0 < amount_cents <= _AMOUNT_CENTS_MAX:
        raise NoQrCode
    text = "\n".join(
        (
            "BCD",  # service tag
            "002",  # version
            "1",  # UTF-8
            "SCT",  # SEPA credit transfer
            "",  # BIC
            name,
            account,
            f"EUR{euros_from_cents(amount_cents)}",
            "",  # purpose
            ogm,  # reference
        )
    )
    if len(text.encode()) > _BYTES_MAX:
        raise NoQrCode
    return text


def svg(text: str) -> str:
    """
    Draw a payload as SVG, black on nothing, one unit per module, without the quiet zone (the letter leaves it).

    Error correction M, as the guideline asks.
    """
    code = segno.make(text, error="m", mask=_MASK, boost_error=False, micro=False, encoding="utf-8")
    size = len(code.matrix)
    # One stroke per run of dark modules; the library's own writer does the same at five times the cost.
    strokes = "".join(
        f"M{run.start()} {row}.5h{run.end() - run.start()}"
        for row, modules in enumerate(code.matrix)
        for run in _DARK.finditer(modules)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}">'
        f'<path d="{strokes}" stroke="#000"/></svg>'
    )
