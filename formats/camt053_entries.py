"""
What an entry of camt.053 says: amounts, days, who, why, and whether it undoes another. For 001.02 and 001.08 alike.

Source: ISO 20022 message definitions camt.053.001.02 and .08; Febelfin, standard camt.053 with AOS1 (OGM-VCS).
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final, NamedTuple

from domain.dates import brussels_day
from domain.money import Cents
from domain.payments import CommunicationKind, Iban, Movement, ReversalKind
from formats.bank_text import day_in_this_century, iban_or_nothing, reference_or_nothing
from formats.rejections import InputRejected
from formats.safe_xml import Node

_AMOUNT: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?", re.ASCII)
_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII)
_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII
)
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

# Sub-family of the bank transaction code, for payments that undo another.
_REVERSAL_SUB_FAMILIES: Final[dict[str, ReversalKind]] = {
    "UPDD": "return",
    "RRTN": "return",
    "ARET": "return",
    "PRDD": "reversal",
    "RCDD": "cancellation",
    "RPCR": "cancellation",
}
#: The reason with which a debtor asks a collection back.
REFUND_REASON: Final = "MD06"


class _Told(NamedTuple):
    communication: str = ""
    kind: CommunicationKind = "free"


def unsigned_cents(node: Node) -> Cents:
    """
    Read an amount in euro, not negative. Raises InputRejected CURRENCY, AMOUNT.
    """
    if node.attributes.get("Ccy") != "EUR":
        raise InputRejected("CURRENCY", "it is not in euro", line=node.line, field=node.name)
    return plain_cents(node)


def plain_cents(node: Node) -> Cents:
    """
    Read a sum that carries no currency of its own. Raises InputRejected AMOUNT.
    """
    found = _AMOUNT.fullmatch(node.value())
    if not found:
        problem = "an amount has at most twelve digits, a point and two decimals"
        raise InputRejected("AMOUNT", problem, line=node.line, field=node.name)
    return Cents(int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0")))


def is_debit(node: Node) -> bool:
    """
    Tell whether an amount leaves the account. Raises InputRejected FIELD when the element does not say.
    """
    side = node.need("CdtDbtInd")
    match side.value():
        case "CRDT":
            return False
        case "DBIT":
            return True
    raise InputRejected("FIELD", "it is neither CRDT nor DBIT", line=side.line, field=side.name)


def signed_cents(node: Node) -> Cents:
    """
    Read `Amt` and `CdtDbtInd` of an element; money out is negative.
    """
    amount = unsigned_cents(node.need("Amt"))
    return Cents(-amount) if is_debit(node) else amount


def number(node: Node) -> int:
    """
    Read digits only. Raises InputRejected FIELD.
    """
    if not _NUMBER.fullmatch(node.value()):
        raise InputRejected("FIELD", "this is a number of at most 18 digits", line=node.line, field=node.name)
    return int(node.value())


def yes_or_no(node: Node | None) -> bool:
    if node is None:
        return False
    match node.value():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise InputRejected("FIELD", "it is neither true nor false", line=node.line, field=node.name)


def day(node: Node) -> date:
    """
    Read `Dt`, or the day in Brussels of `DtTm`. Raises InputRejected DATE.
    """
    moment = node.one("DtTm")
    found = _day_of_moment(moment.value()) if moment is not None else _day(node.value_at("Dt"))
    if found is None:
        raise InputRejected("DATE", "this is no day of the calendar", line=node.line, field=node.name)
    return found


def _day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    return day_in_this_century(int(found[1]), int(found[2]), int(found[3])) if found else None


def _day_of_moment(text: str) -> date | None:
    found = _MOMENT.fullmatch(text)
    if not found or _day(text[:10]) is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1] + (found[2] or ""))
    except ValueError:
        return None
    return brussels_day(moment) if moment.tzinfo else moment.date()


def movements_of(entry: Node, *, account: Iban, first_ordinal: int) -> list[Movement]:
    """
    Turn a booked entry into movements: its details when they add up to it, else the entry as one.

    Raises InputRejected BALANCE when details or batch totals say something else than the entry.
    """
    cents = signed_cents(entry)
    details = [detail for group in entry.all("NtryDtls") for detail in group.all("TxDtls")]
    amounts = [_detail_cents(detail, default_debit=cents < 0) for detail in details]
    known = [amount for amount in amounts if amount is not None]
    if details and len(known) == len(details) and sum(known) != cents:
        raise InputRejected("BALANCE", "its details add up to another amount", line=entry.line, field="Ntry")
    _check_batches(entry, cents)
    if len(details) > 1 and len(known) == len(details):
        booked: list[tuple[Cents, Node | None]] = list(zip(known, details, strict=True))
    else:
        booked = [(cents, details[0] if len(details) == 1 else None)]
    return [
        _movement(entry, detail, cents=amount, account=account, ordinal=first_ordinal + index)
        for index, (amount, detail) in enumerate(booked)
    ]


def _detail_cents(detail: Node, *, default_debit: bool) -> Cents | None:
    """
    Return the amount of a detail, or None when it gives none in euro.
    """
    amount = detail.one("Amt") or detail.at("AmtDtls", "TxAmt", "Amt")
    if amount is None or amount.attributes.get("Ccy") != "EUR":
        return None
    debit = is_debit(detail) if detail.one("CdtDbtInd") is not None else default_debit
    cents = unsigned_cents(amount)
    return Cents(-cents) if debit else cents


def _check_batches(entry: Node, cents: Cents) -> None:
    groups = entry.all("NtryDtls")
    for group in groups:
        batch, details = group.one("Btch"), group.all("TxDtls")
        if batch is None:
            continue
        count, total = batch.one("NbOfTxs"), batch.one("TtlAmt")
        if count is not None and details and number(count) != len(details):
            raise InputRejected("BALANCE", "the batch holds another number", line=count.line, field="NbOfTxs")
        if total is None or total.attributes.get("Ccy") != "EUR":
            continue
        amounts = [_detail_cents(detail, default_debit=cents < 0) for detail in details]
        known = [amount for amount in amounts if amount is not None]
        expected = abs(sum(known)) if details and len(known) == len(details) else abs(cents)
        if (len(groups) == 1 or known) and unsigned_cents(total) != expected:
            raise InputRejected("BALANCE", "the batch adds up to another amount", line=total.line, field="TtlAmt")


def _movement(entry: Node, detail: Node | None, *, cents: Cents, account: Iban, ordinal: int) -> Movement:
    if cents == 0:
        raise InputRejected("AMOUNT", "a movement has an amount", line=entry.line, field="Amt")
    booking = entry.one("BookgDt")
    if booking is None:
        raise InputRejected("DATE", "the day of booking is missing", line=entry.line, field="BookgDt")
    booked_on, value = day(booking), entry.one("ValDt")
    reversal, reason = _reversal(entry, detail)
    told = _communication(detail) if detail is not None else _Told()
    if not told.communication:
        told = _Told(entry.value_at("AddtlNtryInf"))
    name, iban = _counterparty(detail, account=account, from_debtor=(cents > 0) is (reversal is None))
    bank_reference = detail.value_at("Refs", "AcctSvcrRef") if detail is not None else ""
    return Movement(
        ordinal=ordinal,
        amount_cents=cents,
        value_date=day(value) if value is not None else booked_on,
        booked_on=booked_on,
        communication=told.communication,
        communication_kind=told.kind,
        counterparty_iban=iban,
        counterparty_name=name,
        end_to_end_id=reference_or_nothing(detail.value_at("Refs", "EndToEndId")) if detail is not None else "",
        bank_reference=bank_reference or entry.value_at("AcctSvcrRef"),
        reversal=reversal,
        reversal_reason=reason,
        mandate_reference=detail.value_at("Refs", "MndtId") if detail is not None else "",
    )


def _counterparty(detail: Node | None, *, account: Iban, from_debtor: bool) -> tuple[str, str]:
    """
    Return name and IBAN of the other side; in an R-transaction the roles are those of the original payment.
    """
    parties = detail.one("RltdPties") if detail is not None else None
    if parties is None:
        return "", ""
    sides = ("Dbtr", "Cdtr") if from_debtor else ("Cdtr", "Dbtr")
    ibans = [iban_or_nothing(parties.value_at(f"{side}Acct", "Id", "IBAN")) for side in sides]
    here = 1 if ibans[0] == account else 0
    side = sides[here]
    name = parties.value_at(side, "Pty", "Nm") or parties.value_at(side, "Nm")
    return name, ibans[here] if ibans[here] != account else ""


def _communication(detail: Node) -> _Told:
    """
    Return what the payer said. Two structured references are none: a person looks at them.
    """
    remittance = detail.one("RmtInf")
    if remittance is None:
        return _Told()
    references = []
    for structured in remittance.all("Strd"):
        information = structured.one("CdtrRefInf")
        reference = information.value_at("Ref") if information is not None else ""
        if information is not None and reference:
            references.append(_Told(reference, _reference_kind(information, reference)))
    if len(references) == 1:
        return references[0]
    if references:
        return _Told(" / ".join(told.communication for told in references))
    return _Told(" ".join(filter(None, (node.value() for node in remittance.all("Ustrd")))))


def _reference_kind(information: Node, reference: str) -> CommunicationKind:
    scheme, issuer = information.value_at("Tp", "CdOrPrtry", "Cd"), information.value_at("Tp", "Issr")
    if scheme == "SCOR" and issuer == "BBA":
        return "structured"
    if scheme == "SCOR" and issuer in {"", "ISO"} and reference.startswith("RF"):
        return "creditor_reference"
    return "free"


def _reversal(entry: Node, detail: Node | None) -> tuple[ReversalKind | None, str]:
    returned = detail.one("RtrInf") if detail is not None else None
    reason = returned.value_at("Rsn", "Cd") or returned.value_at("Rsn", "Prtry") if returned is not None else ""
    codes = [node.value_at("BkTxCd", "Domn", "Fmly", "SubFmlyCd") for node in (detail, entry) if node is not None]
    kinds = [_REVERSAL_SUB_FAMILIES[code] for code in codes if code in _REVERSAL_SUB_FAMILIES]
    if reason == REFUND_REASON:
        return "refund", reason
    if kinds:
        return kinds[0], reason
    if returned is not None:
        return "return", reason
    return ("other" if yes_or_no(entry.one("RvslInd")) else None), reason
