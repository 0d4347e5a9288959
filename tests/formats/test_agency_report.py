"""
The report to the Agency: as it looks, as it is read back, and what it refuses.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.money import Cents
from formats.agency_report import LineRefused, ReportHead, ReportLine, ReportUnreadable, read_report, write_report
from tests.golden_files import Golden

HEAD = ReportHead(
    kind="report",
    report_id=UUID("018bcfe5-6800-8000-8000-000000000001"),
    fund="CM-Zorgkas",
    letter_year=2026,
    made_on=date(2026, 10, 6),
)
LINE = ReportLine(
    national_number="70050100189",
    letter_id=UUID("018bcfe5-6800-8000-8000-000000000002"),
    posted_on=date(2026, 6, 3),
    barcode="010000000000000000000000000007",
    years=((2025, Cents(6400)), (2026, Cents(10000))),
)


def written(head: ReportHead = HEAD, *lines: ReportLine) -> bytes:
    return b"".join(write_report(head, lines))


def test_a_report_looks_like_this(golden: Golden) -> None:
    second = replace(LINE, years=((2026, Cents(4000)),), barcode="010000000000000000000000000008")
    golden("agency/report.csv", written(HEAD, LINE, second).decode().replace("\r\n", "\n"))


def test_a_report_about_nobody_is_a_whole_file_too() -> None:
    report = read_report(written())
    assert (report.lines, report.totals.count, report.totals.amount_cents) == ((), 0, 0)


def test_a_correction_names_the_letter_and_no_years() -> None:
    head = replace(HEAD, kind="correction", made_on=date(2026, 10, 16))
    report = read_report(written(head, replace(LINE, years=())))
    assert report.head.kind == "correction"
    assert [line.letter_id for line in report.lines] == [LINE.letter_id]


@given(
    st.lists(
        st.builds(
            ReportLine,
            national_number=st.text("0123456789", min_size=11, max_size=11),
            letter_id=st.uuids(),
            posted_on=st.dates(date(2026, 1, 1), date(2026, 9, 1)),
            barcode=st.just("010000000000000000000000000007"),
            years=st.dictionaries(st.integers(2001, 2026), st.integers(1, 10**6), min_size=1).map(
                lambda years: tuple(sorted(years.items()))
            ),
        ),
        max_size=20,
    )
)
def test_what_is_written_is_read_back_and_adds_up(lines: list[ReportLine]) -> None:
    report = read_report(written(HEAD, *lines))
    assert list(report.lines) == lines
    assert report.totals.amount_cents == sum(line.amount_cents for line in lines)


def test_any_changed_byte_is_found() -> None:
    whole = written(HEAD, LINE)
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] = ord("1") if changed[position] != ord("1") else ord("2")
        with pytest.raises(ReportUnreadable):
            read_report(bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 60, 200, -1, -2, -70])
def test_a_report_that_was_cut_is_refused(length: int) -> None:
    with pytest.raises(ReportUnreadable):
        read_report(written(HEAD, LINE)[:length])


@pytest.mark.parametrize(
    "line",
    [
        replace(LINE, national_number="[erased]"),
        replace(LINE, national_number=""),
        replace(LINE, barcode=""),
        replace(LINE, posted_on=date(2026, 10, 7)),
        replace(LINE, years=()),
        replace(LINE, years=((2025, Cents(0)),)),
        replace(LINE, years=((2026, Cents(1)), (2025, Cents(1)))),
    ],
    ids=["erased", "no number", "no proof", "posted later", "no years", "nothing open", "wrong order"],
)
def test_a_line_that_is_not_complete_is_refused_by_its_number_and_never_by_its_data(line: ReportLine) -> None:
    with pytest.raises(LineRefused, match="line=2") as refusal:
        written(HEAD, LINE, line)
    assert LINE.national_number not in str(refusal.value)


def test_the_name_of_the_fund_cannot_break_the_layout() -> None:
    with pytest.raises(LineRefused):
        written(replace(HEAD, fund="CM;Zorgkas"))
