"""
Tables that a lawyer can read: one row per case, `#` starts a remark, `-` means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest


def cases(table: str) -> Callable[[Any], Any]:
    """
    Parametrize a test with the rows of a table; the header names the arguments, columns are split at two blanks or more.

    `2026-04-30` becomes a date, `6400` an int, `yes` and `no` booleans, `-` None; everything else stays text.
    """
    lines = [line.split("#")[0].rstrip() for line in table.strip("\n").splitlines()]
    rows = [[cell for cell in line.strip().split("  ") if cell] for line in lines if line.strip()]
    header, *body = [[cell.strip() for cell in row] for row in rows]
    for row in body:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells, the header {len(header)}: {row}")
    values = [tuple(_value(cell) for cell in row) for row in body]
    return pytest.mark.parametrize(tuple(header), values, ids=["  ".join(row) for row in body])


def _value(cell: str) -> object:
    match cell:
        case "-":
            return None
        case "yes" | "no":
            return cell == "yes"
    if cell.lstrip("-").isdecimal():
        return int(cell)
    if len(cell) == 10 and cell[4] == cell[7] == "-" and cell.replace("-", "").isdecimal():
        return date.fromisoformat(cell)
    return cell
