"""
Bank statements of our own making: invented people, invented accounts, right check digits. The files in `fixtures/` are
these, written out; nothing in them comes from a bank.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from domain.money import Cents
from domain.payments import Iban, Movement, Ogm, Statement
from formats.coda_writer import header, movement_records, new_balance, old_balance, trailer

FIXTURES = Path(__file__).parent / "fixtures"


def iban(number: int) -> Iban:
    """
    Return a Belgian account with right check digits.
    """
    digits = f"{number:010d}{number % 97 or 97:02d}"
    return Iban.from_text(f"BE{98 - int(digits + '111400') % 97:02d}{digits}")


ACCOUNT = iban(5390075470)
OTHER_ACCOUNT = iban(7775000042)
MOTHER, FATHER, NEIGHBOUR = iban(1030123456), iban(7340099887), iban(3631111112)
DAY_BEFORE, DAY, NEXT_DAY = date(2026, 4, 29), date(2026, 4, 30), date(2026, 5, 1)
OGM = Ogm.from_text("+++090/9337/55493+++")


def movement(ordinal: int, amount_cents: int, **facts: Any) -> Movement:
    days = {"value_date": DAY, "booked_on": DAY}
    return Movement(ordinal=ordinal, amount_cents=Cents(amount_cents), **(days | facts))


def statement(*movements: Movement, **facts: Any) -> Statement:
    opening = facts.pop("opening_cents", 1_000_00)
    usual = {
        "account": ACCOUNT,
        "year": 2026,
        "number": 82,
        "opened_on": DAY_BEFORE,
        "closed_on": DAY,
        "format": "CODA",
    }
    return Statement(
        opening_cents=Cents(opening),
        closing_cents=Cents(opening + sum(one.amount_cents for one in movements)),
        movements=movements,
        **(usual | facts),
    )


#: One of every kind that can stand in both formats.
ALL_KINDS = (
    movement(1, 64_00, communication=str(OGM), communication_kind="structured", counterparty_iban=str(MOTHER),
             counterparty_name="José Désiré-Noël", end_to_end_id="ZP-2026-1", bank_reference="AB12 0001"),
    movement(2, 32_00, communication="zorgpremie 2026", counterparty_iban=str(FATHER), counterparty_name="Ann Voorbeeld"),
    movement(3, -1_25, communication="kosten", value_date=date(2026, 4, 28)),
    movement(4, 64_00, communication="RF18539007547034", communication_kind="creditor_reference",
             counterparty_iban=str(NEIGHBOUR), value_date=NEXT_DAY),
    movement(5, -64_00, communication="domiciliering 2026", mandate_reference="MNDT-7", counterparty_iban=str(MOTHER),
             counterparty_name="Jan Voorbeeld", reversal="refund", reversal_reason="MD06", end_to_end_id="ZP-2025-9"),
)  # fmt: skip

LONG = (
    "Betaling voor mezelf, voor mijn vrouw en voor onze drie kinderen, jaar 2025 en jaar 2026, zie mijn brief van april "
    "en bel als er iets niet klopt"
)

PLAIN = statement(*ALL_KINDS, movement(6, 10_00, communication=LONG))
PLAIN_CAMT = statement(*ALL_KINDS, format="camt.053", first_line=5)
QUIET = statement(opening_cents=-5_00, number=83, opened_on=DAY, closed_on=NEXT_DAY)
SECOND = statement(movement(1, 7_77), account=OTHER_ACCOUNT, number=4, duplicate=True, opening_cents=0)


def _parts(sequence: int, *parts: tuple[int, str, int, str]) -> list[str]:
    records: list[str] = []
    for detail, code, cents, text in parts:
        one = movement(
            sequence, cents, communication=text, communication_kind="structured" if text.isdecimal() else "free"
        )
        records += movement_records(one, statement_number=82, detail=detail, code=code)
    return records


def globalised(*, nested: bool = True) -> list[str]:
    """
    Return the records of a statement with totals of every type: by the customer, by the bank, explained, and nested.
    """
    ogm = [str(Ogm.from_base(number)) for number in range(1, 6)]
    body = [
        *_parts(1, (0, "20150000", 150_00, ""), (1, "60150000", 100_00, ogm[0]), (2, "60150000", 50_00, ogm[1])),
        *_parts(2, (0, "10150000", 30_00, ""), (1, "50150000", 40_00, ogm[2]), (2, "50150000", -10_00, "terug")),
        *_parts(3, (0, "34150000", 95_00, "uit het buitenland"), (1, "84150000", 100_00, ""), (2, "84137000", -5_00, "")),
        *(_parts(4, (0, "20150000", 60_00, ""), (1, "70150000", 45_00, ogm[3]), (2, "90150000", 50_00, ""),
                 (3, "90137000", -5_00, ""), (4, "60150000", 15_00, ogm[4])) if nested else ()),
        *_parts(5, (0, "10150000", 1_00, "een totaal zonder details")),
    ]  # fmt: skip
    total = 336_00 if nested else 276_00
    return [
        header(created_on=DAY),
        old_balance(ACCOUNT, 0, DAY_BEFORE, 82),
        *body,
        new_balance(ACCOUNT, total, DAY, 82),
        trailer(record_count=len(body) + 2, debit=0, credit=total, is_last=True),
    ]


def coda_file(records: list[str], *, encoding: str = "windows-1252") -> bytes:
    return "".join(record + "\n" for record in records).encode(encoding)


def edited(content: bytes, line: int, position: int, text: str) -> bytes:
    """
    Return CODA content with `text` written over `line` from `position`, both counted from 1.
    """
    records = content.decode("windows-1252").split("\n")
    record = records[line - 1]
    records[line - 1] = record[: position - 1] + text + record[position - 1 + len(text) :]
    return "\n".join(records).encode("windows-1252")
