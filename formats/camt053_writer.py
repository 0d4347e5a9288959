"""
Writes camt.053 statements (001.02, 001.08) for demonstrations, tests and measurements: same input, same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final
from xml.sax.saxutils import escape

from domain.money import Cents, euros_from_cents
from domain.payments import Movement, ReversalKind, Statement
from formats.camt053 import VERSIONS
from formats.camt053_entries import REFUND_REASON

_CHUNK_ENTRIES: Final = 1_024
_FREE_LENGTH_MAX: Final = 140
_SUB_FAMILIES: Final[dict[ReversalKind | None, str]] = {
    "return": "UPDD",
    "reversal": "PRDD",
    "cancellation": "RCDD",
}


def write_camt053(statements: Iterable[Statement], *, created_on: date, version: str = "001.08") -> Iterator[bytes]:
    """
    Write statements into one file, as chunks of bytes; movements are gone through twice (the summary stands first).

    Raises ValueError for a version that is not read here, and for what camt.053 has no words for.
    """
    if version not in VERSIONS:
        raise ValueError("only the versions that are read are written")
    moment = f"{created_on.isoformat()}T18:00:00+01:00"
    yield _bytes(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.{version}">\n<BkToCstmrStmt>\n'
        f"<GrpHdr><MsgId>STATEMENTS-{created_on.isoformat()}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>\n"
    )
    for statement in statements:
        yield _bytes(_head(statement, moment=moment, version=version))
        entries: list[str] = []
        for movement in statement.movements:
            entries.append(_entry(movement, version=version))
            if len(entries) >= _CHUNK_ENTRIES:
                yield _bytes("".join(entries))
                entries.clear()
        yield _bytes("".join(entries) + "</Stmt>\n")
    yield _bytes("</BkToCstmrStmt>\n</Document>\n")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8")


def _head(statement: Statement, *, moment: str, version: str) -> str:
    pages = "<StmtPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></StmtPgntn>" if version == "001.08" else ""
    copy = "<CpyDplctInd>DUPL</CpyDplctInd>" if statement.duplicate else ""
    balances = _balance("OPBD", statement.opening_cents, statement.opened_on) + _balance(
        "CLBD", statement.closing_cents, statement.closed_on
    )
    return (
        f"<Stmt>\n<Id>{statement.year}-{statement.number}</Id>{pages}<ElctrncSeqNb>{statement.number}</ElctrncSeqNb>"
        f"<CreDtTm>{moment}</CreDtTm>{copy}\n"
        f"<Acct><Id><IBAN>{statement.account}</IBAN></Id><Ccy>EUR</Ccy></Acct>\n{balances}{_summary(statement)}"
    )


def _balance(code: str, cents: Cents, on: date) -> str:
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f"<Bal>{kind}{_amount(cents)}<Dt><Dt>{on.isoformat()}</Dt></Dt></Bal>\n"


def _amount(cents: int) -> str:
    side = "DBIT" if cents < 0 else "CRDT"
    return f'<Amt Ccy="EUR">{euros_from_cents(Cents(abs(cents)))}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def _summary(statement: Statement) -> str:
    counts, sums = [0, 0], [0, 0]
    for movement in statement.movements:
        is_debit = movement.amount_cents < 0
        counts[is_debit] += 1
        sums[is_debit] += abs(movement.amount_cents)
    parts = [
        f"<{name}><NbOfNtries>{count}</NbOfNtries><Sum>{euros_from_cents(Cents(added))}</Sum></{name}>"
        for name, count, added in (
            ("TtlNtries", sum(counts), sum(sums)),
            ("TtlCdtNtries", counts[0], sums[0]),
            ("TtlDbtNtries", counts[1], sums[1]),
        )
    ]
    return f"<TxsSummry>{''.join(parts)}</TxsSummry>\n"


def _entry(movement: Movement, *, version: str) -> str:
    status = "BOOK" if version == "001.02" else "<Cd>BOOK</Cd>"
    reversal = "<RvslInd>true</RvslInd>" if movement.reversal else ""
    return (
        f"<Ntry>{_amount(movement.amount_cents)}{reversal}<Sts>{status}</Sts>\n"
        f"<BookgDt><Dt>{movement.booked_on.isoformat()}</Dt></BookgDt>"
        f"<ValDt><Dt>{movement.value_date.isoformat()}</Dt></ValDt>"
        f"{_tag('AcctSvcrRef', movement.bank_reference)}{_code(movement)}\n"
        f"<NtryDtls><TxDtls>{_references(movement)}{_parties(movement, version=version)}"
        f"{_remittance(movement)}{_return_reason(movement)}</TxDtls></NtryDtls></Ntry>\n"
    )


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""


def _code(movement: Movement) -> str:
    kind = movement.reversal
    if kind == "reject" or (kind == "refund") is not (movement.reversal_reason == REFUND_REASON):
        raise ValueError("camt.053 has no words for a reject, and tells a refund by its reason MD06")
    family = "RCDT" if movement.amount_cents > 0 else "ICDT"
    sub_family = _SUB_FAMILIES.get(kind, "ESCT")
    if sub_family != "ESCT":
        family = "IDDT"
    return (
        f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly></Domn></BkTxCd>"
    )


def _references(movement: Movement) -> str:
    references = f"<EndToEndId>{escape(movement.end_to_end_id or 'NOTPROVIDED')}</EndToEndId>"
    return f"<Refs>{references}{_tag('MndtId', movement.mandate_reference)}</Refs>"


def _parties(movement: Movement, *, version: str) -> str:
    name, iban = _tag("Nm", movement.counterparty_name), movement.counterparty_iban
    if not name and not iban:
        return ""
    side = "Dbtr" if (movement.amount_cents > 0) is (movement.reversal is None) else "Cdtr"
    party = f"<Pty>{name}</Pty>" if name and version == "001.08" else name
    account = f"<{side}Acct><Id><IBAN>{iban}</IBAN></Id></{side}Acct>" if iban else ""
    return f"<RltdPties>{f'<{side}>{party}</{side}>' if name else ''}{account}</RltdPties>"


def _remittance(movement: Movement) -> str:
    text = movement.communication
    if not text:
        return ""
    if movement.communication_kind == "free":
        if len(text) > _FREE_LENGTH_MAX:
            raise ValueError("a SEPA payment carries one free communication of 140 characters at the most")
        return f"<RmtInf>{_tag('Ustrd', text)}</RmtInf>"
    issuer = "<Issr>BBA</Issr>" if movement.communication_kind == "structured" else ""
    kind = f"<Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry>{issuer}</Tp>"
    return f"<RmtInf><Strd><CdtrRefInf>{kind}{_tag('Ref', text)}</CdtrRefInf></Strd></RmtInf>"


def _return_reason(movement: Movement) -> str:
    if not movement.reversal_reason:
        return ""
    return f"<RtrInf><Rsn><Cd>{escape(movement.reversal_reason)}</Cd></Rsn></RtrInf>"
