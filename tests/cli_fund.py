"""
A small fund for the command line: five members in a file, and the bank's statements as CODA.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from domain.money import Cents
from domain.payments import Iban, Movement, Statement
from formats.coda_writer import write_coda
from formats.jsonl import write_lines

FULL, REDUCED, CHOICE, WALLOON, YOUNG = (f"01941f29-7c00-7000-8000-00000{number}000000" for number in range(1, 6))
ACCOUNT = Iban.from_text("BE72 7775 9420 6316")
PAYER = "BE68539007547034"


def newcomer(
    number: int, member: str, *, region: str = "flanders", born_on: str = "1970-05-17", **more: Any
) -> dict[str, Any]:
    return {
        "type": "RegisterMember",
        "command_id": f"00000000-0000-4000-8000-{number:012d}",
        "member_id": member,
        "first_name": "An",
        "last_name": "Peeters",
        "born_on": born_on,
        "address": {"region": region, "street": "Kerkstraat", "house_number": "7", "postcode": "9000", "town": "Gent"},
        "address_since": "2010-01-01",
        "cm_member_since": "2010-01-01",
        **more,
    }


def five_members() -> list[dict[str, Any]]:
    return [
        newcomer(1, FULL, iban=PAYER),
        newcomer(2, REDUCED, verhoogde_tegemoetkoming_since="2020-01-01"),
        newcomer(3, CHOICE, region="brussels"),
        newcomer(4, WALLOON, region="wallonia"),
        newcomer(5, YOUNG, born_on="2009-01-01"),
    ]


def write_commands(path: Path, commands: Sequence[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(write_lines(commands)))
    return written_long_ago(path)


def paid(ordinal: int, text: str, cents: int, day: date, *, iban: str = "BE40310123456763") -> Movement:
    structured = len(text) == 12 and text.isdecimal()
    return Movement(
        ordinal=ordinal, amount_cents=Cents(cents), value_date=day, booked_on=day, communication=text,
        communication_kind="structured" if structured else "free", counterparty_iban=iban, counterparty_name="A PAYER",
    )  # fmt: skip


def written_long_ago(path: Path) -> Path:
    """
    Make a file look as if nobody was writing to it any more, so that an import need not wait and look again.
    """
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def write_statement(
    path: Path, number: int, day: date, movements: Sequence[Movement], *, opening: int = 0, account: Iban = ACCOUNT
) -> Path:
    """
    Write one statement as CODA; `number` is the bank's, in the year of `day`.
    """
    closing = opening + sum(movement.amount_cents for movement in movements)
    statement = Statement(
        account=account, year=day.year, number=number, opened_on=day, closed_on=day, opening_cents=Cents(opening),
        closing_cents=Cents(closing), movements=[replace(each, booked_on=day) for each in movements], format="CODA",
    )  # fmt: skip
    path.write_bytes(b"".join(write_coda([statement], created_on=day)))
    return written_long_ago(path)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
