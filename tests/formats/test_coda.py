"""
CODA: what is read, and what is refused with line and reason.
"""

from __future__ import annotations

import io
from datetime import date

import coda as oracle
import msgspec
import pytest

from domain.payments import Statement
from formats.bank_file import read_statements
from formats.coda_writer import header, new_balance, old_balance, trailer, write_coda
from formats.rejections import InputRejected
from tests.formats.bank_fixtures import (
    ACCOUNT,
    DAY,
    DAY_BEFORE,
    FIXTURES,
    LONG,
    NEXT_DAY,
    PLAIN,
    QUIET,
    SECOND,
    coda_file,
    edited,
    globalised,
    movement,
    statement,
)
from tests.table import cases

CONTENT = (FIXTURES / "plain.cod").read_bytes()
GLOBALISED = (FIXTURES / "globalised.cod").read_bytes()
THREE = (FIXTURES / "three_statements.cod").read_bytes()


def one(content: bytes) -> Statement:
    (only,) = read_statements(content)
    return only


def refused(content: bytes) -> InputRejected:
    with pytest.raises(InputRejected) as caught:
        read_statements(content)
    return caught.value


def without(content: bytes, *lines: int) -> bytes:
    records = content.decode("windows-1252").splitlines(keepends=True)
    return "".join(record for number, record in enumerate(records, start=1) if number not in lines).encode(
        "windows-1252"
    )


# --- What is read -------------------------------------------------------------------------


def test_a_statement_gives_what_was_written() -> None:
    assert one(CONTENT) == PLAIN


def test_the_writer_writes_the_same_bytes_as_ever() -> None:
    assert b"".join(write_coda([PLAIN], created_on=DAY)) == CONTENT


def test_three_statements_in_one_file_are_three_statements() -> None:
    third = msgspec.structs.replace(QUIET, first_line=26)
    second = msgspec.structs.replace(SECOND, first_line=21 - 2)
    found = read_statements(THREE)
    assert [msgspec.structs.replace(each, first_line=1) for each in found] == [PLAIN, SECOND, QUIET]
    assert [each.first_line for each in found] == [1, second.first_line, third.first_line - 2]


def test_the_mark_of_the_bank_for_a_copy_is_kept() -> None:
    assert [each.duplicate for each in read_statements(THREE)] == [False, True, False]


def test_a_total_is_booked_once_by_its_details() -> None:
    found = one(GLOBALISED)
    assert coda_file(globalised()) == GLOBALISED
    assert [each.amount_cents for each in found.movements] == [100_00, 50_00, 40_00, -10_00, 95_00, 45_00, 15_00, 1_00]
    assert [each.ordinal for each in found.movements] == list(range(1, 9))
    assert [each.communication_kind for each in found.movements].count("structured") == 5
    assert found.closing_cents == 336_00


def test_one_payment_that_is_explained_by_parts_stays_one_payment() -> None:
    explained = one(GLOBALISED).movements[4]
    assert (explained.amount_cents, explained.communication) == (95_00, "uit het buitenland")


@cases("""
    file              movements
    plain             6
    three_statements  7
""")
def test_an_independent_reader_sees_the_same_totals(file: str, movements: int) -> None:
    content = (FIXTURES / f"{file}.cod").read_bytes()
    seen = oracle.CODA(io.StringIO(content.decode("windows-1252"))).statements
    ours = read_statements(content)
    assert sum(len(each.moves) for each in seen) == movements
    assert [(each.account, int(each.old_balance * 100), int(each.new_balance * 100)) for each in seen] == [
        (each.account, each.opening_cents, each.closing_cents) for each in ours
    ]


def test_an_independent_reader_books_totals_at_the_same_amounts() -> None:
    content = coda_file(globalised(nested=False))  # of a detail of a detail, that reader makes an error of its own
    seen = oracle.CODA(io.StringIO(content.decode("windows-1252"))).statements[0]
    assert [int(each.amount * 100) for each in seen.moves] == [150_00, 30_00, 95_00, 1_00]
    assert sum(each.amount_cents for each in one(content).movements) == int(
        sum(each.amount for each in seen.moves) * 100
    )


def test_an_independent_reader_sees_the_same_movements() -> None:
    seen = oracle.CODA(io.StringIO(CONTENT.decode("windows-1252"))).statements[0].moves
    for theirs, ours in zip(seen, one(CONTENT).movements, strict=True):
        assert int(theirs.amount * 100) == ours.amount_cents
        assert (theirs.value_date, theirs.entry_date) == (ours.value_date, ours.booked_on)
        assert theirs.communication.strip() == ours.communication
        assert (theirs.counterparty_account or "")[:34].strip() == ours.counterparty_iban
        assert (theirs.counterparty_name or "") == ours.counterparty_name
        assert (theirs.customer_reference or "") == ours.end_to_end_id


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "\n", "\r\n\r\n\r\n"])
def test_encoding_and_line_ends_make_no_difference(encoding: str, line_end: str, tail: str) -> None:
    text = CONTENT.decode("windows-1252").rstrip("\n").replace("\n", line_end)
    assert one((text + tail).encode(encoding)) == PLAIN


def test_a_free_communication_runs_over_three_records() -> None:
    assert one(CONTENT).movements[5].communication == LONG
    assert len(LONG) > 53 + 53


@cases("""
    communication_type  text                     kind                communication
    1101                '090933755493'           structured          '090933755493'
    1102                '090933755493'           structured          '090933755493'
    1101                '090933755400'           structured          '090933755400'     # wrong check digits: to the worklist
    1101                '00'                     structured          '00'
    1101                '09093375549X'           structured          '09093375549X'
    1101                '090 9337 554'           structured          '090 9337 554'
    1101                ''                       structured          ''
    1100                'RF18539007547034'       creditor_reference  'RF18539007547034'
    1113                'card 1234'              free                'card 1234'
    0+++                '090/9337/55493+++'      free                '+++090/9337/55493+++'
""")
def test_communications_are_told_apart(communication_type: int | str, text: str, kind: str, communication: str) -> None:
    content = edited(CONTENT, 3, 62, f"{communication_type}{text.strip(chr(39))}".ljust(53))
    found = one(content).movements[0]
    assert (found.communication_kind, found.communication) == (kind, communication.strip("'"))


def test_two_communications_in_one_free_text_stay_free_text() -> None:
    content = edited(CONTENT, 3, 62, "0+++090/9337/55493+++ +++010/8068/17183+++".ljust(53))
    assert one(content).movements[0].communication_kind == "free"


@cases("""
    type  reason  kind
    1     AC04    reject
    2     AC04    return
    3     MD06    refund
    4     AM05    reversal
    5     CUST    cancellation
    7     MS03    other
""")
def test_an_r_transaction_says_what_it_is(type: int, reason: str, kind: str) -> None:
    found = one(edited(CONTENT, 12, 113, f"{type}{reason}")).movements[4]
    assert (found.reversal, found.reversal_reason) == (kind, reason)


def test_an_r_transaction_inside_the_direct_debit_communication_is_seen() -> None:
    content = edited(edited(CONTENT, 12, 113, "     "), 13, 83 + 38, "2MD07")
    found = one(content).movements[4]
    assert (found.reversal, found.reversal_reason, found.mandate_reference) == ("return", "MD07", "MNDT-7")


def test_an_unpaid_collection_without_r_type_is_still_no_payment() -> None:
    content = edited(edited(CONTENT, 12, 113, "     "), 11, 54, "00503000")
    assert one(content).movements[4].reversal == "other"


def test_an_unknown_value_date_is_the_day_of_booking() -> None:
    assert one(edited(CONTENT, 8, 48, "000000")).movements[2].value_date == DAY


@cases("""
    file  line  closed_on
    plain  17    2026-04-30   # the last booking
""")
def test_a_new_balance_without_date_closes_with_the_last_booking(file: str, line: int, closed_on: date) -> None:
    assert one(edited((FIXTURES / f"{file}.cod").read_bytes(), line, 58, "000000")).closed_on == closed_on


def test_a_new_balance_without_date_or_movement_closes_on_the_day_of_creation() -> None:
    records = [
        header(created_on=NEXT_DAY),
        old_balance(ACCOUNT, 5_00, DAY_BEFORE, 82),
        new_balance(ACCOUNT, 5_00, DAY, 82),
        trailer(record_count=2, debit=0, credit=0, is_last=True),
    ]
    assert one(edited(coda_file(records), 3, 58, "000000")).closed_on == NEXT_DAY


def test_a_day_without_movements_may_have_no_new_balance() -> None:
    records = [
        header(created_on=DAY),
        old_balance(ACCOUNT, 5_00, DAY_BEFORE, 82),
        trailer(record_count=1, debit=0, credit=0, is_last=True),
    ]
    found = one(coda_file(records))
    assert (found.opening_cents, found.closing_cents, found.closed_on, found.movements) == (5_00, 5_00, DAY, ())


def test_an_account_in_the_old_belgian_notation_is_the_same_account() -> None:
    old = f"{ACCOUNT[4:]} EUR0BE".ljust(37)
    content = edited(edited(edited(CONTENT, 2, 2, "0"), 2, 6, old), 17, 5, old)
    assert one(content).account == ACCOUNT


def test_the_account_of_a_counterparty_that_is_no_iban_matches_nothing() -> None:
    assert one(edited(CONTENT, 5, 11, "BE00")).movements[0].counterparty_iban == ""


def test_a_pipe_and_accents_are_text() -> None:
    assert one(edited(CONTENT, 5, 48, "Zoë | Çelik".ljust(35))).movements[0].counterparty_name == "Zoë | Çelik"


def test_a_free_communication_of_the_bank_is_passed_over() -> None:
    records = CONTENT.decode("windows-1252").splitlines()
    message = f"4 {'':30}{'Onze kantoren zijn gesloten':95}"
    content = coda_file([*records[:16], records[16][:127] + "1", f"{message:127}1", f"{message:127}0", records[17]])
    assert one(content) == PLAIN


def test_the_sequence_number_restarts_with_the_year() -> None:
    new_year = statement(
        movement(1, 1, booked_on=date(2027, 1, 1), value_date=date(2026, 12, 31)),
        number=1, year=2027, opened_on=date(2026, 12, 31), closed_on=date(2027, 1, 1),
    )  # fmt: skip
    assert one(b"".join(write_coda([new_year], created_on=date(2027, 1, 2)))) == new_year


# --- What is refused ----------------------------------------------------------------------


@cases("""
    case                                        line  position  text               code          refused_line
    another version                                1       128  1                  VERSION                  1
    another application                            1        15  07                 VERSION                  1
    an odd duplicate mark                          1        17  X                  FIELD                    1
    a creation date that does not exist            1         6  '310226'           DATE                     1
    a foreign account                              2         2  3                  ACCOUNT                  2
    an unknown account structure                   2         2  7                  FIELD                    2
    wrong check digits of the account              2         8  99                 ACCOUNT                  2
    another currency                               2        40  USD                CURRENCY                 2
    a sign that is none                            2        43  2                  AMOUNT                   2
    another old balance                            2        55  1                  BALANCE                 17
    an old balance with three decimals             2        58  5                  AMOUNT                   2
    an old balance of letters                      2        50  O                  AMOUNT                   2
    an old balance date of zeros                   2        59  '000000'           DATE                     2
    no sequence number                             2       126  '000'              FIELD                    2
    a sequence number of blanks                    2       126  ' 82'              FIELD                    2
    another amount                                 3        43  7                  BALANCE                 17
    three decimals                                 3        47  1                  AMOUNT                   3
    a letter in the amount                         3        40  O                  AMOUNT                   3
    a superscript in the amount                    3        40  ²                  AMOUNT                   3
    the sign flipped                               3        32  1                  BALANCE                 17
    a sign that is blank                           3        32  ' '                AMOUNT                   3
    an amount of zero                              8        33  '000000000000000'  AMOUNT                   8
    a value date that does not exist               3        48  '310226'           DATE                     3
    a value date of letters                        3        48  30APR6             DATE                     3
    a value date forty years on                    3        48  '300466'           DATE                     3
    no day of booking                              3       116  '000000'           DATE                     3
    a booking before the statement opens           3       116  '280426'           DATE                     3
    a booking after the statement closes           3       116  '010526'           DATE                     3
    a communication type that is none              3        62  2                  FIELD                    3
    a type of movement that is none                3        54  4                  FIELD                    3
    a detail without its total                     3         7  '0001'             RECORD_ORDER             3
    a sequence of letters                          3         3  00A1               FIELD                    3
    a record 22 of another movement                4         6  2                  RECORD_ORDER             4
    a record 23 of another detail                  5        10  1                  RECORD_ORDER             5
    an unknown record                              3         1  5                  RECORD_ORDER             3
    an unknown article                             3         1  24                 RECORD_ORDER             3
    a second old balance                           3         1  1                  RECORD_ORDER             3
    information that continues nothing             4         1  32                 RECORD_ORDER             4
    another account at the end                    17         8  4                  ACCOUNT                 17
    another new balance                           17        55  1                  BALANCE                 17
    the new balance overdrawn                     17        42  1                  BALANCE                 17
    a new balance date that does not exist        17        58  '310426'           DATE                    17
    a statement that closes before it opens       17        58  '280426'           DATE                    17
    free text that is announced and missing       17       128  1                  TRUNCATED               18
    another number of records                     18        21  17                 BALANCE                 18
    a number of records in letters                18        21  1X                 FIELD                   18
    another total debit                           18        37  1                  AMOUNT                  18
    another total debit in cents                  18        36  9                  BALANCE                 18
    another total credit                          18        51  9                  BALANCE                 18
    another statement announced                   18       128  1                  TRUNCATED               18
    an odd multiple file code                     18       128  3                  FIELD                   18
    a trailer in the middle                        6         1  9                  TRUNCATED                6
    a trailer after the old balance                3         1  9                  FIELD                    3
""")
def test_what_is_wrong_is_refused_with_its_line(
    case: str, line: int, position: int, text: object, code: str, refused_line: int
) -> None:
    error = refused(edited(CONTENT, line, position, str(text).strip("'")))
    assert (error.code, error.line) == (code, refused_line)


@cases("""
    case                                  line  position  text               code          refused_line
    details that add up to less              4        43  9                  BALANCE                  3
    details of the customer that do not      8        41  1                  BALANCE                  6
    parts that do not explain               11        43  4                  BALANCE                  9
    parts of a part that do not explain     14        43  4                  BALANCE                 13
    a detail of another kind of total        4        54  5                  RECORD_ORDER             4
    a total that has no details              3        54  0                  RECORD_ORDER             4
    a detail of another movement             4         6  7                  RECORD_ORDER             4
    the same detail twice                    5        10  1                  RECORD_ORDER             5
    a detail of zero that is a payment       8        33  '000000000000000'  BALANCE                  6
""")
def test_a_total_and_its_details_must_agree(
    case: str, line: int, position: int, text: object, code: str, refused_line: int
) -> None:
    error = refused(edited(GLOBALISED, line, position, str(text).strip("'")))
    assert (error.code, error.line) == (code, refused_line)


@cases("""
    case                               removed  code          refused_line
    the header                         1        FORMAT        1
    the old balance                    2        RECORD_ORDER  2
    a movement                         3        RECORD_ORDER  3
    the second record of a movement    4        BALANCE       17
    the new balance                    17       TRUNCATED     17
    the trailer                        18       TRUNCATED     17
""")
def test_a_record_that_is_missing_is_missed(case: str, removed: int, code: str, refused_line: int) -> None:
    error = refused(without(CONTENT, removed))
    assert (error.code, error.line) == (code, refused_line)


def test_a_whole_movement_that_is_missing_is_missed() -> None:
    assert refused(without(CONTENT, 3, 4, 5)).code == "BALANCE"


def test_a_trailer_that_stands_twice_is_refused() -> None:
    trailer_record = CONTENT[-129:]
    assert (refused(CONTENT + trailer_record).code, refused(CONTENT + trailer_record).line) == ("RECORD_ORDER", 19)


def test_a_statement_after_the_last_is_refused() -> None:
    error = refused(CONTENT + CONTENT)
    assert (error.code, error.line, error.field) == ("RECORD_ORDER", 19, "record")


def test_a_statement_that_begins_before_the_one_before_ended_is_refused() -> None:
    error = refused(without(THREE, 18))
    assert (error.code, error.line) == ("TRUNCATED", 18)


def test_a_file_of_several_statements_is_taken_whole_or_not_at_all() -> None:
    records = THREE.splitlines(keepends=True)
    assert refused(b"".join(records[:18])).code == "TRUNCATED"


@cases("""
    case                       line  code
    one character too few      7     LINE_LENGTH
    one character too many     7     LINE_LENGTH
    a blank line inside        7     LINE_LENGTH
    the last record too short  18    TRUNCATED
""")
def test_a_record_has_128_characters(case: str, line: int, code: str) -> None:
    records = CONTENT.rstrip(b"\n").split(b"\n")
    record = records[line - 1]
    records[line - 1] = {
        "one character too few": record[:-1],
        "one character too many": record + b" ",
        "a blank line inside": b"",
        "the last record too short": record[:-1],
    }[case]
    error = refused(b"\n".join(records))
    assert (error.code, error.line) == (code, line)


@pytest.mark.parametrize("byte", [*range(10), *range(11, 32), 127])
def test_control_characters_are_refused(byte: int) -> None:
    error = refused(edited(CONTENT, 5, 60, chr(byte)))
    assert (error.code, error.line) == ("TEXT", 5)


@pytest.mark.parametrize("byte", [0x81, 0x8D, 0x8F, 0x90, 0x9D])
def test_bytes_that_no_code_page_knows_are_refused(byte: int) -> None:
    content = bytearray(CONTENT)
    content[4 * 129 + 60] = byte
    error = refused(bytes(content))
    assert (error.code, error.line) == ("ENCODING", 5)


def test_a_control_character_written_in_utf8_is_refused() -> None:
    text = CONTENT.decode("windows-1252").replace("Ann", "A\u202en")
    assert (refused(text.encode()).code, refused(text.encode()).line) == ("TEXT", 7)


def test_line_ends_of_an_old_mac_are_refused() -> None:
    error = refused(CONTENT.replace(b"\n", b"\r"))
    assert (error.code, error.line) == ("LINE_LENGTH", 1)


def test_ebcdic_is_refused() -> None:
    assert refused(CONTENT.decode("windows-1252").encode("cp500")).code == "FORMAT"


def test_no_message_holds_what_stood_in_the_file() -> None:
    error = refused(edited(CONTENT, 3, 33, "SECRETNAME12345"))
    assert str(error) == (
        "Line 3, amount: an amount has fifteen digits; nothing was taken, ask the bank for this statement again. [AMOUNT]"
    )


# --- The writer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unfit",
    [
        movement(1, 1, communication="x" * 150),
        movement(1, 1, bank_reference="x" * 22),
        movement(1, 1, end_to_end_id="x" * 36),
        movement(1, 1, mandate_reference="M", communication="x" * 63),
        movement(1, 10**14),
    ],
)
def test_what_does_not_fit_is_not_written(unfit: object) -> None:
    with pytest.raises(ValueError):
        b"".join(write_coda([statement(unfit)], created_on=DAY))  # type: ignore[arg-type]


def test_a_long_name_is_cut_as_banks_do() -> None:
    written = b"".join(write_coda([statement(movement(1, 1, counterparty_name="N" * 50))], created_on=DAY))
    assert one(written).movements[0].counterparty_name == "N" * 35


def test_ten_thousand_movements_are_written_in_pieces_and_read_back() -> None:
    many = statement(*(movement(number, 1 + number % 9) for number in range(1, 10_001)))
    pieces = list(write_coda([many], created_on=DAY))
    assert len(pieces) > 2
    assert one(b"".join(pieces)) == many
