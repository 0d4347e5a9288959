"""
camt.053: what is read, and what is refused with line and reason.
"""

from __future__ import annotations

import re
from datetime import date

import pytest

from domain.payments import Movement, Statement
from formats import safe_xml
from formats.bank_file import read_statements
from formats.camt053 import VERSIONS
from formats.camt053_writer import write_camt053
from formats.rejections import InputRejected
from tests.formats.bank_fixtures import (
    ACCOUNT,
    DAY,
    FATHER,
    FIXTURES,
    MOTHER,
    NEXT_DAY,
    PLAIN_CAMT,
    SECOND,
    movement,
    statement,
)
from tests.table import cases

# One statement, 100.00 + 64.00 = 164.00, with a line for everything that a bank may send.
PAPER = """\
<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">
<BkToCstmrStmt>
<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-04-30T18:00:00+02:00</CreDtTm></GrpHdr>
<Stmt>
<Id>S</Id>
<ElctrncSeqNb>82</ElctrncSeqNb>
<Acct><Id><IBAN>ACCOUNT</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-04-29</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">164.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-04-30</Dt></Dt></Bal>
<Ntry>
<Amt Ccy="EUR">64.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd>
<Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-04-30</Dt></BookgDt>
<ValDt><Dt>2026-04-30</Dt></ValDt>
<NtryDtls>
<TxDtls>
<Refs><EndToEndId>E1</EndToEndId></Refs>
<Amt Ccy="EUR">64.00</Amt>
<RmtInf><Ustrd>zorgpremie</Ustrd></RmtInf>
</TxDtls>
</NtryDtls>
</Ntry>
</Stmt>
</BkToCstmrStmt>
</Document>
""".replace("ACCOUNT", ACCOUNT)

BATCH = """\
<NtryDtls><Btch><NbOfTxs>2</NbOfTxs><TtlAmt Ccy="EUR">64.00</TtlAmt></Btch>
<TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs><Amt Ccy="EUR">40.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>
<TxDtls><Refs><EndToEndId>E2</EndToEndId></Refs><Amt Ccy="EUR">24.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>
</NtryDtls>
"""


def changed(*changes: tuple[str, str], paper: str = PAPER) -> bytes:
    for old, new in changes:
        assert old in paper, old
        paper = paper.replace(old, new, 1)
    return paper.encode()


def with_details(details: str) -> str:
    return re.sub(r"<NtryDtls>.*</NtryDtls>\n", details, PAPER, flags=re.DOTALL)


def one(content: bytes) -> Statement:
    (only,) = read_statements(content)
    return only


def only_movement(content: bytes) -> Movement:
    (only,) = one(content).movements
    return only


def refused(content: bytes) -> InputRejected:
    with pytest.raises(InputRejected) as caught:
        read_statements(content)
    return caught.value


# --- What is read -------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_statements_give_what_was_written(version: str) -> None:
    first, second = read_statements((FIXTURES / f"plain_{version.replace('.', '_')}.xml").read_bytes())
    assert first == PLAIN_CAMT
    assert (second.account, second.number, second.duplicate) == (SECOND.account, 4, True)
    assert second.movements == SECOND.movements


@pytest.mark.parametrize("version", VERSIONS)
def test_the_writer_writes_the_same_bytes_as_ever(version: str) -> None:
    written = b"".join(write_camt053([PLAIN_CAMT, SECOND], created_on=NEXT_DAY, version=version))
    assert written == (FIXTURES / f"plain_{version.replace('.', '_')}.xml").read_bytes()


def test_a_statement_knows_its_line_its_number_and_its_days() -> None:
    found = one(PAPER.encode())
    assert (found.first_line, found.year, found.number, found.account) == (5, 2026, 82, ACCOUNT)
    assert (found.opened_on, found.closed_on, found.opening_cents, found.closing_cents) == (
        date(2026, 4, 29), DAY, 100_00, 164_00,
    )  # fmt: skip


def test_a_batch_is_booked_once_by_its_details() -> None:
    found = one(with_details(BATCH).encode()).movements
    assert [(each.ordinal, each.amount_cents, each.end_to_end_id) for each in found] == [
        (1, 40_00, "E1"),
        (2, 24_00, "E2"),
    ]


def test_two_details_with_the_same_reference_are_two_movements() -> None:
    found = one(with_details(BATCH.replace("E2", "E1")).encode()).movements
    assert [(each.amount_cents, each.end_to_end_id) for each in found] == [(40_00, "E1"), (24_00, "E1")]


def test_a_batch_without_amounts_of_its_details_is_one_movement() -> None:
    without_amounts = re.sub(r"</Refs><Amt.*?</CdtDbtInd>", "</Refs>", BATCH)
    found = only_movement(with_details(without_amounts).encode())
    assert (found.amount_cents, found.end_to_end_id) == (64_00, "")


def test_details_in_another_currency_do_not_count() -> None:
    found = only_movement(changed(('<Amt Ccy="EUR">64.00</Amt>\n<RmtInf>', '<Amt Ccy="USD">71.11</Amt>\n<RmtInf>')))
    assert found.amount_cents == 64_00


def test_the_amount_of_a_detail_in_the_older_version_stands_deeper() -> None:
    old = PAPER.replace("001.08", "001.02").replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>")
    detail = '<Amt Ccy="EUR">64.00</Amt>\n<RmtInf>'
    right = '<AmtDtls><TxAmt><Amt Ccy="EUR">64.00</Amt></TxAmt></AmtDtls><RmtInf>'
    assert only_movement(changed((detail, right), paper=old)).amount_cents == 64_00
    assert refused(changed((detail, right.replace("64.00", "63.00")), paper=old)).code == "BALANCE"


@pytest.mark.parametrize("code", ["PDNG", "INFO", "FUTR"])
def test_what_is_announced_is_not_booked_and_counted(code: str) -> None:
    entry = PAPER[PAPER.index("<Ntry>") : PAPER.index("</Stmt>")]
    found = one(changed(("</Stmt>", entry.replace("BOOK", code) + "</Stmt>")))
    assert (len(found.movements), found.pending_count) == (1, 1)


@pytest.mark.parametrize("counted", [1, 2])
def test_a_bank_may_count_what_is_announced_or_not(counted: int) -> None:
    entry = PAPER[PAPER.index("<Ntry>") : PAPER.index("</Stmt>")]
    summary = f"<TxsSummry><TtlNtries><NbOfNtries>{counted}</NbOfNtries></TtlNtries></TxsSummry>\n"
    content = changed(("<Ntry>", summary + "<Ntry>"), ("</Stmt>", entry.replace("BOOK", "PDNG") + "</Stmt>"))
    assert one(content).pending_count == 1


@pytest.mark.parametrize("mark", ["DUPL", "COPY", "CODU"])
def test_a_copy_is_marked(mark: str) -> None:
    assert one(changed(("<Acct>", f"<CpyDplctInd>{mark}</CpyDplctInd><Acct>"))).duplicate
    assert not one(PAPER.encode()).duplicate


def test_the_balance_of_the_day_before_opens_a_statement_too() -> None:
    assert one(changed(("OPBD", "PRCD"))).opening_cents == 100_00


def test_an_overdrawn_account_has_negative_balances() -> None:
    content = changed(
        (">100.00</Amt><CdtDbtInd>CRDT", ">100.00</Amt><CdtDbtInd>DBIT"),
        (">164.00</Amt><CdtDbtInd>CRDT", ">36.00</Amt><CdtDbtInd>DBIT"),
    )
    assert (one(content).opening_cents, one(content).closing_cents) == (-100_00, -36_00)


@cases("""
    booked_at                           booked_on
    <Dt>2026-04-30</Dt>                 2026-04-30
    <Dt>2026-04-30+02:00</Dt>           2026-04-30
    <DtTm>2026-04-30T23:59:59</DtTm>    2026-04-30
    <DtTm>2026-04-29T22:00:00Z</DtTm>   2026-04-30   # summer time in Brussels
    <DtTm>2026-04-29T21:59:59Z</DtTm>   2026-04-29
    <DtTm>2026-04-30T13:15:00.123+02:00</DtTm>  2026-04-30
""")
def test_a_moment_counts_as_its_day_in_brussels(booked_at: str, booked_on: date) -> None:
    assert only_movement(changed(("<BookgDt><Dt>2026-04-30</Dt>", f"<BookgDt>{booked_at}"))).booked_on == booked_on


def test_without_a_value_date_the_day_of_booking_counts() -> None:
    assert only_movement(changed(("<ValDt><Dt>2026-04-30</Dt></ValDt>\n", ""))).value_date == DAY


def strd(reference: str, *, scheme: str = "SCOR", issuer: str = "BBA") -> str:
    issued = f"<Issr>{issuer}</Issr>" if issuer else ""
    kind = f"<Tp><CdOrPrtry><Cd>{scheme}</Cd></CdOrPrtry>{issued}</Tp>"
    return f"<Strd><CdtrRefInf>{kind}<Ref>{reference}</Ref></CdtrRefInf></Strd>"


@pytest.mark.parametrize(
    ("remittance", "kind", "communication"),
    [
        (strd("090933755493"), "structured", "090933755493"),
        (strd("090933755400"), "structured", "090933755400"),
        (strd("090933755493") + "<Ustrd>***090/9337/55493***</Ustrd>", "structured", "090933755493"),
        (strd("RF18539007547034", issuer=""), "creditor_reference", "RF18539007547034"),
        (strd("RF18539007547034", issuer="ISO"), "creditor_reference", "RF18539007547034"),
        (strd("090933755493", issuer=""), "free", "090933755493"),
        (strd("090933755493", issuer="KID"), "free", "090933755493"),
        (strd("090933755493", scheme="RPIN"), "free", "090933755493"),
        (strd("090933755493") + strd("010806817183"), "free", "090933755493 / 010806817183"),
        ("<Ustrd>een</Ustrd><Ustrd>twee</Ustrd>", "free", "een twee"),
        ("<Ustrd>+++090/9337/55493+++</Ustrd>", "free", "+++090/9337/55493+++"),
        ("<Ustrd> twee\n regels </Ustrd>", "free", "twee  regels"),
        ("<Ustrd>R&amp;D &lt;b&gt; &#233;</Ustrd>", "free", "R&D <b> é"),
    ],
)
def test_communications_are_told_apart(remittance: str, kind: str, communication: str) -> None:
    found = only_movement(changed(("<Ustrd>zorgpremie</Ustrd>", remittance)))
    assert (found.communication_kind, found.communication) == (kind, communication)


@pytest.mark.parametrize("reference", ["", "NOTPROVIDED", "notprovided"])
def test_a_reference_that_is_none_is_none(reference: str) -> None:
    assert only_movement(changed(("<EndToEndId>E1", f"<EndToEndId>{reference}"))).end_to_end_id == ""


def test_an_entry_without_details_says_what_the_bank_says() -> None:
    content = with_details("<AddtlNtryInf>rente</AddtlNtryInf>").encode()
    assert only_movement(content).communication == "rente"


def parties(debtor: str, creditor: str) -> str:
    return (
        f"<RltdPties><Dbtr><Pty><Nm>Debtor</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>{debtor}</IBAN></Id></DbtrAcct>"
        f"<Cdtr><Pty><Nm>Creditor</Nm></Pty></Cdtr><CdtrAcct><Id><IBAN>{creditor}</IBAN></Id></CdtrAcct></RltdPties><RmtInf>"
    )


@pytest.mark.parametrize(
    ("debtor", "creditor", "name", "iban"),
    [
        (MOTHER, ACCOUNT, "Debtor", MOTHER),
        (ACCOUNT, FATHER, "Creditor", FATHER),
        ("DE00 1234", ACCOUNT, "Debtor", ""),
        (ACCOUNT, ACCOUNT, "Creditor", ""),
    ],
)
def test_the_counterparty_is_the_side_that_we_are_not(debtor: str, creditor: str, name: str, iban: str) -> None:
    found = only_movement(changed(("<RmtInf>", parties(debtor, creditor))))
    assert (found.counterparty_name, found.counterparty_iban) == (name, iban)


def returned(reason: str, sub_family: str) -> bytes:
    code = f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>IDDT</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly></Domn></BkTxCd>"
    information = f"<RtrInf><Rsn><Cd>{reason}</Cd></Rsn></RtrInf>" if reason else ""
    return changed(("<NtryDtls>", f"{code}<NtryDtls>"), ("</RmtInf>", f"</RmtInf>{information}"))


@cases("""
    reason  sub_family  kind
    AC04    UPDD        return
    MD06    UPDD        refund
    AM05    PRDD        reversal
    CUST    RCDD        cancellation
    MS03    ESDD        return
""")
def test_an_r_transaction_says_what_it_is(reason: str, sub_family: str, kind: str) -> None:
    found = only_movement(returned(reason, sub_family))
    assert (found.reversal, found.reversal_reason) == (kind, reason)


def test_an_entry_that_the_bank_calls_a_reversal_is_no_payment() -> None:
    assert only_movement(changed(("<Sts>", "<RvslInd>true</RvslInd><Sts>"))).reversal == "other"
    assert only_movement(changed(("<Sts>", "<RvslInd>false</RvslInd><Sts>"))).reversal is None


def test_the_payer_of_a_refund_is_the_debtor_of_the_collection() -> None:
    content = changed(
        ("<RmtInf>", parties(MOTHER, ACCOUNT)), ("<Sts>", "<RvslInd>true</RvslInd><Sts>"),
        ("<CdtDbtInd>CRDT</CdtDbtInd>\n", "<CdtDbtInd>DBIT</CdtDbtInd>\n"), (">164.00<", ">36.00<"),
    )  # fmt: skip
    assert (only_movement(content).counterparty_iban, only_movement(content).amount_cents) == (MOTHER, -64_00)


def test_comments_beside_values_are_passed_over() -> None:
    assert one(changed(("<Ntry>", "<!-- an entry --><Ntry><!-- in it -->"))) == one(PAPER.encode())


def test_what_a_bank_adds_of_its_own_is_passed_over() -> None:
    addition = (
        '<SplmtryData><Envlp><x:own xmlns:x="urn:of-a-bank"><Amt>1</Amt>text</x:own></Envlp></SplmtryData></Stmt>'
    )
    assert one(changed(("</Stmt>", addition))) == one(PAPER.encode())


def test_a_prefix_a_mark_and_other_line_ends_make_no_difference() -> None:
    prefixed = re.sub(r"<(/?)([A-Z])", r"<\1c:\2", PAPER).replace("xmlns=", "xmlns:c=")
    for content in (prefixed.encode(), b"\xef\xbb\xbf" + PAPER.encode(), PAPER.replace("\n", "\r\n").encode()):
        assert one(content) == one(PAPER.encode())


# --- What is refused ----------------------------------------------------------------------


@cases("""
    case                            old                                new                                        code       line
    another message                 camt.053.001.08                    camt.054.001.08                            NAMESPACE     2
    a report within the day         camt.053.001.08                    camt.052.001.08                            NAMESPACE     2
    an older version                001.08                             001.04                                     VERSION       2
    a newer version                 001.08                             001.13                                     VERSION       2
    no namespace                    xmlns                              xmlna                                      NAMESPACE     2
    a foreign element               <Id>S</Id>                         <Id xmlns="urn:x">S</Id>                   NAMESPACE     6
    another encoding                "UTF-8"                            "ISO-8859-1"                               ENCODING      1
    utf-7                           "UTF-8"                            "UTF-7"                                    ENCODING      1
    utf-16                          "UTF-8"                            "UTF-16"                                   ENCODING      1
    a document type                 <Document                          <!DOCTYPE Document><Document               DTD           2
    an entity                       <Document                          <!DOCTYPE d [<!ENTITY a "1">]><Document    DTD           2
    a document type elsewhere       <Document                          <!DOCTYPE d SYSTEM "http://x/d"><Document  DTD           2
    a document type in a file       <Document                          <!DOCTYPE d SYSTEM "file:///etc/passwd"><Document  DTD    2
    a processing instruction        <Ntry>                             <?run it?><Ntry>                           DTD          11
    an included document            <Ntry>                             <include xmlns="http://www.w3.org/2001/XInclude" href="x"/><Ntry>  DTD  11
    an undeclared entity            >64.00                             >&amount;                                  XML          12
    a comment in an amount          >64.00                             >6<!-- -->4.00                             MIXED        12
    a comment before an amount      >64.00                             ><!-- 1 -->64.00                           MIXED        12
    a comment in a name             zorgpremie                         zorg<!-- -->premie                         MIXED        21
    a cdata section                 >64.00<                            ><![CDATA[64.00]]><                        MIXED        12
    an element in a value           >64.00<                            >64<b/>.00<                                MIXED        12
    an element as a value           >64.00<                            ><b/><                                     XML          12
    text between elements           <Ntry>                             <Ntry>text                                 MIXED        24
    a second root                   </Document>                        </Document><Document/>                     XML          27
    bytes after the end             </Document>                        </Document>x                               XML          27
    an element that is not closed   </Ntry>                            -                                          XML          25
    two amounts                     <CdtDbtInd>CRDT</CdtDbtInd>~       <Amt Ccy="EUR">1</Amt><CdtDbtInd>CRDT</CdtDbtInd>~  XML  13
    two bookings                    <ValDt>                            <BookgDt><Dt>2026-04-30</Dt></BookgDt><ValDt>  XML       16
    two references of one payer     <EndToEndId>                       <EndToEndId>E0</EndToEndId><EndToEndId>    XML          19
    two opening balances            CLBD                               OPBD                                       XML          10
    no currency                     <Amt Ccy="EUR">64                  <Amt>64                                    CURRENCY     12
    another currency                <Amt Ccy="EUR">64                  <Amt Ccy="USD">64                          CURRENCY     12
    an account in dollars           <Ccy>EUR                           <Ccy>USD                                   CURRENCY      8
    a balance in dollars            <Amt Ccy="EUR">100                 <Amt Ccy="USD">100                         CURRENCY      9
    no side                         <CdtDbtInd>CRDT</CdtDbtInd>~       ~                                          FIELD        11
    another side                    <CdtDbtInd>CRDT</CdtDbtInd>~       <CdtDbtInd>CREDIT</CdtDbtInd>~             FIELD        13
    the other side                  <CdtDbtInd>CRDT</CdtDbtInd>~       <CdtDbtInd>DBIT</CdtDbtInd>~               BALANCE      10
    a negative amount               >64.00                             >-64.00                                    AMOUNT       12
    an exponent                     >64.00                             >64E0                                      AMOUNT       12
    three decimals                  >64.00                             >64.000                                    AMOUNT       12
    a comma                         >64.00                             >64,00                                     AMOUNT       12
    other digits                    >64.00                             >٦٤.00                                     AMOUNT       12
    an amount of words              >64.00                             >NaN                                       AMOUNT       12
    thirteen digits                 >64.00                             >1234567890123                             AMOUNT       12
    an empty amount                 >64.00                             >                                          AMOUNT       12
    another amount                  >64.00</Amt>~<C                    >64.01</Amt>~<C                            BALANCE      11
    another closing balance         >164.00                            >164.01                                    BALANCE      10
    no closing balance              CLBD                               CLAV                                       BALANCE       5
    no opening balance              OPBD                               OPAV                                       BALANCE       5
    no status                       <Sts><Cd>BOOK</Cd></Sts>           -                                          FIELD        11
    another status                  BOOK                               DONE                                       FIELD        14
    an odd reversal                 <Sts>                              <RvslInd>yes</RvslInd><Sts>                FIELD        14
    an odd copy                     <Acct>                             <CpyDplctInd>NONE</CpyDplctInd><Acct>      FIELD         8
    no day of booking               <BookgDt><Dt>2026-04-30</Dt></BookgDt>  -                                     DATE         11
    a day that does not exist       <BookgDt><Dt>2026-04-30            <BookgDt><Dt>2026-02-30                    DATE         15
    a day of the week               <BookgDt><Dt>2026-04-30            <BookgDt><Dt>2026-W18-4                    DATE         15
    a short day                     <BookgDt><Dt>2026-04-30            <BookgDt><Dt>20260430                      DATE         15
    an hour that does not exist     <BookgDt><Dt>2026-04-30</Dt>       <BookgDt><DtTm>2026-04-30T25:00:00</DtTm>  DATE         15
    a booking to come               <BookgDt><Dt>2026-04-30            <BookgDt><Dt>2026-05-01                    DATE         11
    a booking before the opening    <BookgDt><Dt>2026-04-30            <BookgDt><Dt>2026-04-28                    DATE         11
    a value date in another century  <ValDt><Dt>2026                   <ValDt><Dt>1926                            DATE         16
    a value date forty years on     <ValDt><Dt>2026                    <ValDt><Dt>2066                            DATE         11
    it closes before it opens       <Dt>2026-04-29                     <Dt>2026-05-02                             DATE         11
    a statement without number      <ElctrncSeqNb>82</ElctrncSeqNb>    -                                          FIELD         5
    a number of letters             >82<                               >8x<                                       FIELD         7
    no account                      <IBAN>                             <IBAM>                                     XML           8
    an account that is no IBAN      BE68                               BE69                                       ACCOUNT       8
    the second page                 <ElctrncSeqNb>                     <StmtPgntn><PgNb>2</PgNb><LastPgInd>true</LastPgInd></StmtPgntn><ElctrncSeqNb>   PAGES  7
    the first of two pages          <ElctrncSeqNb>                     <StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn><ElctrncSeqNb>  PAGES  7
    a message of two pages          </GrpHdr>                          <MsgPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></MsgPgntn></GrpHdr>         PAGES  4
""")
def test_what_is_wrong_is_refused_with_its_line(
    case: str, old: str, new: str | int | None, code: str, line: int
) -> None:
    replacement = str("" if new is None else new).replace("~", "\n")
    error = refused(changed((str(old).replace("~", "\n"), replacement)))
    assert (error.code, error.line) == (code, line)


@pytest.mark.parametrize(
    ("character", "code"), [("&#x85;", "TEXT"), ("&#x202e;", "TEXT"), ("&#0;", "XML"), ("&#x1b;", "XML")]
)
def test_control_characters_are_refused(character: str, code: str) -> None:
    error = refused(changed(("zorgpremie", f"zorg{character}premie")))
    assert (error.code, error.line) == (code, 21)


@cases("""
    case                           old              new                code      line
    details that add up to less    >40.00           >39.00             BALANCE     11
    a detail on the other side     CRDT</CdtDbtInd></TxDtls>  DBIT</CdtDbtInd></TxDtls>  BALANCE  11
    another number of details      >2</NbOfTxs>     >3</NbOfTxs>       BALANCE     17
    a number of letters            >2</NbOfTxs>     >x</NbOfTxs>       FIELD       17
    another total of the batch     <TtlAmt Ccy="EUR">64  <TtlAmt Ccy="EUR">65  BALANCE  17
    a detail of three decimals     >40.00           >40.000            AMOUNT      18
""")
def test_a_batch_and_its_details_must_agree(case: str, old: str, new: str, code: str, line: int) -> None:
    error = refused(changed((old, new), paper=with_details(BATCH)))
    assert (error.code, error.line) == (code, line)


def test_a_detail_of_zero_is_no_movement() -> None:
    zero = BATCH.replace(">40.00", ">64.00").replace(">24.00", ">0.00")
    assert refused(with_details(zero).encode()).code == "AMOUNT"


def test_a_batch_of_details_that_are_not_told_still_has_a_right_total() -> None:
    batch = '<NtryDtls><Btch><NbOfTxs>9</NbOfTxs><TtlAmt Ccy="EUR">64.00</TtlAmt></Btch></NtryDtls>\n'
    assert only_movement(with_details(batch).encode()).amount_cents == 64_00
    assert refused(with_details(batch.replace("64", "63")).encode()).code == "BALANCE"


SUMMARY = """\
<TxsSummry>
<TtlNtries><NbOfNtries>1</NbOfNtries><Sum>64.00</Sum><TtlNetNtry><Amt Ccy="EUR">64.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TtlNetNtry></TtlNtries>
<TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>64.00</Sum></TtlCdtNtries>
<TtlDbtNtries><NbOfNtries>0</NbOfNtries><Sum>0</Sum></TtlDbtNtries>
</TxsSummry>
"""


def test_a_right_summary_is_right_in_both_versions() -> None:
    assert one(changed(("<Ntry>", SUMMARY + "<Ntry>"))).closing_cents == 164_00
    flat = re.sub(
        r"<TtlNetNtry>(.*)</TtlNetNtry>", "<TtlNetNtryAmt>64.00</TtlNetNtryAmt><CdtDbtInd>CRDT</CdtDbtInd>", SUMMARY
    )
    old = PAPER.replace("001.08", "001.02").replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>")
    assert one(changed(("<Ntry>", flat + "<Ntry>"), paper=old)).closing_cents == 164_00
    wrong_side = flat.replace("<CdtDbtInd>CRDT", "<CdtDbtInd>DBIT")
    assert refused(changed(("<Ntry>", wrong_side + "<Ntry>"), paper=old)).code == "BALANCE"


@cases("""
    case                     old                                 new                                 line
    another count            <TtlNtries><NbOfNtries>1            <TtlNtries><NbOfNtries>2              12
    another sum              1</NbOfNtries><Sum>64.00</Sum><Ttl  1</NbOfNtries><Sum>65.00</Sum><Ttl    12
    another net amount       <Amt Ccy="EUR">64.00                <Amt Ccy="EUR">63.00                  12
    another credit count     <TtlCdtNtries><NbOfNtries>1         <TtlCdtNtries><NbOfNtries>0           13
    another debit sum        <Sum>0</Sum>                        <Sum>64.00</Sum>                      14
""")
def test_a_wrong_summary_is_refused(case: str, old: str, new: str, line: int) -> None:
    assert old in SUMMARY
    error = refused(changed(("<Ntry>", SUMMARY.replace(old, new) + "<Ntry>")))
    assert (error.code, error.line) == ("BALANCE", line)


def test_a_message_without_a_statement_is_refused() -> None:
    empty = PAPER[: PAPER.index("<Stmt>")] + PAPER[PAPER.index("</Stmt>") + len("</Stmt>\n") :]
    assert refused(empty.encode()).code == "XML"


@pytest.mark.parametrize("depth", [33, 300, 200_000])
def test_elements_that_stand_too_deep_are_refused(depth: int) -> None:
    deep = "<a>" * depth + "</a>" * depth
    assert refused(changed(("<Id>S</Id>", deep))).code == "LIMIT"


@pytest.mark.parametrize(
    "many", ["<a/>" * 200, "<a>" + "<b/>" * 20 + "</a>" + "<a><b/></a>" * 100, "<a><b/></a>" * 100]
)
def test_elements_beyond_counting_are_refused(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "ELEMENTS_MAX", 150)
    assert refused(changed(("<Ntry>", many + "<Ntry>"))).code == "LIMIT"
    assert refused(changed(("<RmtInf>", f"<RmtInf>{many}"))).code == "LIMIT"


def test_elements_between_entries_are_counted_and_those_of_entries_that_were_read_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = PAPER[PAPER.index("<Ntry>") : PAPER.index("</Stmt>")]
    announced = entry.replace("BOOK", "PDNG")
    monkeypatch.setattr(safe_xml, "ELEMENTS_MAX", 150)
    assert one(changed(("</Stmt>", announced * 30 + "</Stmt>"))).pending_count == 30
    assert refused(changed(("</Stmt>", ("<a/>" * 5 + announced) * 30 + "</Stmt>"))).code == "LIMIT"


def test_a_value_that_never_ends_is_refused() -> None:
    assert refused(changed(("zorgpremie", "z" * 65_537))).code == "LIMIT"
    assert len(only_movement(changed(("zorgpremie", "z" * 65_536))).communication) == 65_536


def test_a_bomb_of_entities_is_refused_before_it_is_read() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE d [<!ENTITY l0 "ha">{levels}]><Document'
    error = refused(changed(("<Document", bomb), (">64.00", ">&l9;")))
    assert (error.code, error.line) == ("DTD", 2)


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    error = refused(PAPER.encode().replace(b"zorgpremie", b"zorgpr\xe9mie"))
    assert (error.code, error.line) == ("ENCODING", 21)


def test_no_message_holds_what_stood_in_the_file() -> None:
    error = refused(changed((">64.00", ">SECRET")))
    assert str(error) == (
        "Line 12, Amt: an amount has at most twelve digits, a point and two decimals; nothing was taken, ask the bank for "
        "this statement again. [AMOUNT]"
    )


# --- The writer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unfit",
    [
        movement(1, 1, communication="x" * 141),
        movement(1, 1, reversal="reject"),
        movement(1, 1, reversal="refund", reversal_reason="AC04"),
        movement(1, 1, reversal="return", reversal_reason="MD06"),
    ],
)
def test_what_camt_has_no_words_for_is_not_written(unfit: Movement) -> None:
    with pytest.raises(ValueError):
        b"".join(write_camt053([statement(unfit)], created_on=DAY))


def test_another_version_is_not_written() -> None:
    with pytest.raises(ValueError):
        b"".join(write_camt053([], created_on=DAY, version="001.04"))


def test_many_entries_are_written_in_pieces_and_read_back() -> None:
    many = statement(*(movement(number, 1 + number % 9) for number in range(1, 3_001)), format="camt.053", first_line=5)
    pieces = list(write_camt053([many], created_on=DAY))
    assert len(pieces) > 4
    assert one(b"".join(pieces)) == many
