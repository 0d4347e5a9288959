"""
Reads camt.053, the ISO 20022 bank statement, versions 001.02 and 001.08: strictly, with line numbers and reasons.

A file is taken whole or not at all. What holds, holds by `raise`: balances, counts, sums, one page, one currency.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from domain.money import Cents
from domain.payments import Iban, Movement, NotAnIban, Statement
from formats.bank_text import BookedDays
from formats.camt053_entries import day, is_debit, movements_of, number, plain_cents, signed_cents, yes_or_no
from formats.rejections import InputRejected
from formats.safe_xml import Node, read_xml

#: The versions that are read. The ones between are not sent by Belgian banks; another one is refused, not guessed at.
VERSIONS: Final = ("001.02", "001.08")
NAMESPACES: Final = frozenset(f"urn:iso:std:iso:20022:tech:xsd:camt.053.{version}" for version in VERSIONS)

_NOT_BOOKED: Final = frozenset({"PDNG", "INFO", "FUTR"})
_COPIES: Final = frozenset({"DUPL", "COPY", "CODU"})


def read_camt053(content: bytes) -> tuple[Statement, ...]:
    """
    Read every statement of a camt.053 file. Raises InputRejected, and nothing else.
    """
    reader = _Reader()
    root = read_xml(
        content,
        namespaces=NAMESPACES,
        takers={(3, "GrpHdr"): reader.group_header, (4, "Ntry"): reader.entry, (3, "Stmt"): reader.statement},
        open_elements={"SplmtryData"},
    )
    message = root.at("Document", "BkToCstmrStmt")
    if message is None or not reader.statements:
        raise InputRejected("XML", "it holds no statement", field="Stmt")
    return tuple(reader.statements)


class _Reader:
    """
    Takes entries as they come; what is open is the statement whose end has not been seen.
    """

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.open: _Open | None = None

    def group_header(self, header: Node, _message: Node) -> None:
        _refuse_pages(header, "MsgPgntn")

    def entry(self, entry: Node, statement: Node) -> None:
        if statement.name != "Stmt":
            raise InputRejected("XML", "it does not stand in a statement", line=entry.line, field="Ntry")
        if self.open is None:
            self.open = _Open(statement)
        self.open.add(entry)

    def statement(self, statement: Node, message: Node) -> None:
        if message.name != "BkToCstmrStmt":
            raise InputRejected("NAMESPACE", "this is no bank statement", line=statement.line, field="Stmt")
        opened = self.open or _Open(statement)
        self.open = None
        self.statements.append(opened.close(statement))


class _Open:
    """
    One statement while it is read: the account stands before the entries, the rest is looked at when it ends.
    """

    def __init__(self, statement: Node) -> None:
        _refuse_pages(statement, "StmtPgntn")
        self.account = _account(statement)
        opening = _balance(statement, "OPBD") or _balance(statement, "PRCD")
        closing = _balance(statement, "CLBD")
        if opening is None or closing is None:
            problem = "the booked balances (OPBD or PRCD, and CLBD) must stand before the entries"
            raise InputRejected("BALANCE", problem, line=statement.line, field="Bal")
        self.opening, self.closing = signed_cents(opening), signed_cents(closing)
        self.closing_line = closing.line
        self.closed_on = _balance_day(closing)
        self.days = BookedDays(opened_on=_balance_day(opening), field="BookgDt")
        self.movements: list[Movement] = []
        self.pending_count = 0
        self.booked = _Totals()
        self.all = _Totals()

    def add(self, entry: Node) -> None:
        cents = signed_cents(entry)
        self.all.add(cents)
        status = entry.need("Sts")
        code = status.value_at("Cd") if status.children else status.value()
        if code in _NOT_BOOKED:
            self.pending_count += 1
            return
        if code != "BOOK":
            raise InputRejected("FIELD", "it is not BOOK, PDNG, INFO or FUTR", line=status.line, field="Sts")
        self.booked.add(cents)
        movements = movements_of(entry, account=self.account, first_ordinal=len(self.movements) + 1)
        self.days.add(movements[0].booked_on, movements[0].value_date, line=entry.line)
        self.movements += movements

    def close(self, statement: Node) -> Statement:
        self.days.close(self.closed_on, line=self.closing_line, field="Bal")
        if self.opening + self.booked.net != self.closing:
            problem = "opening balance and entries do not add up to the closing balance"
            raise InputRejected("BALANCE", problem, line=self.closing_line, field="Bal")
        self._check_summary(statement.one("TxsSummry"))
        sequence = statement.one("ElctrncSeqNb") or statement.one("LglSeqNb")
        if sequence is None:
            raise InputRejected("FIELD", "it has no ElctrncSeqNb", line=statement.line, field="Stmt")
        copy = statement.one("CpyDplctInd")
        if copy is not None and copy.value() not in _COPIES:
            raise InputRejected("FIELD", "it is not DUPL, COPY or CODU", line=copy.line, field=copy.name)
        return Statement(
            account=self.account,
            year=self.closed_on.year,
            number=number(sequence),
            opened_on=self.days.opened_on,
            closed_on=self.closed_on,
            opening_cents=self.opening,
            closing_cents=self.closing,
            movements=tuple(self.movements),
            format="camt.053",
            duplicate=copy is not None,
            first_line=statement.line,
            pending_count=self.pending_count,
        )

    def _check_summary(self, summary: Node | None) -> None:
        """
        Compare what the bank counted. Whether it counts what is only announced is not laid down: both are right.
        """
        if summary is None:
            return
        for name in ("TtlNtries", "TtlCdtNtries", "TtlDbtNtries"):
            total = summary.one(name)
            if total is not None and not any(_fits(total, seen, name) for seen in (self.booked, self.all)):
                raise InputRejected("BALANCE", "the entries add up to something else", line=total.line, field=name)


class _Totals:
    """
    Count and sum of the entries of a statement, by side.
    """

    __slots__ = ("counts", "sums")

    def __init__(self) -> None:
        self.counts = {False: 0, True: 0}
        self.sums = {False: 0, True: 0}

    def add(self, cents: Cents) -> None:
        self.counts[cents < 0] += 1
        self.sums[cents < 0] += abs(cents)

    @property
    def net(self) -> int:
        return self.sums[False] - self.sums[True]


def _fits(total: Node, seen: _Totals, name: str) -> bool:
    sides = {"TtlNtries": (False, True), "TtlCdtNtries": (False,), "TtlDbtNtries": (True,)}[name]
    count, added, net = total.one("NbOfNtries"), total.one("Sum"), total.one("TtlNetNtry")
    if count is not None and number(count) != sum(seen.counts[side] for side in sides):
        return False
    if added is not None and plain_cents(added) != sum(seen.sums[side] for side in sides):
        return False
    if net is not None:  # 001.08
        return signed_cents(net) == seen.net
    flat = total.one("TtlNetNtryAmt")  # 001.02, its side stands beside it
    if flat is None:
        return True
    return (-plain_cents(flat) if is_debit(total) else plain_cents(flat)) == seen.net


def _refuse_pages(node: Node, name: str) -> None:
    pages = node.one(name)
    if pages is None:
        return
    page, last = pages.need("PgNb"), pages.need("LastPgInd")
    if number(page) != 1 or not yes_or_no(last):
        raise InputRejected("PAGES", "it is one page of several", line=pages.line, field=name)


def _account(statement: Node) -> Iban:
    account = statement.need("Acct")
    text = account.value_at("Id", "IBAN")
    if not text:
        raise InputRejected("ACCOUNT", "the account has no IBAN", line=account.line, field="Acct")
    currency = account.one("Ccy")
    if currency is not None and currency.value() != "EUR":
        raise InputRejected("CURRENCY", "the account is not kept in euro", line=currency.line, field="Ccy")
    try:
        return Iban.from_text(text)
    except NotAnIban:
        problem = "its check digits are wrong, or it is no IBAN"
        raise InputRejected("ACCOUNT", problem, line=account.line, field="IBAN") from None


def _balance(statement: Node, code: str) -> Node | None:
    found = [node for node in statement.all("Bal") if node.value_at("Tp", "CdOrPrtry", "Cd") == code]
    if len(found) > 1:
        raise InputRejected("XML", "this balance may stand here only once", line=found[1].line, field="Bal")
    return found[0] if found else None


def _balance_day(balance: Node) -> date:
    return day(balance.need("Dt"))
