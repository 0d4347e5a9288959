"""
The law as data: what held on which day, what nobody may use, and files that are refused with all their problems.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.parameters import PARAMETERS, ParametersUnreadable, load_parameters
from domain.events import Used
from domain.parameters import DatedValue, NotChecked, NoValue, Parameter
from tests.table import cases

LAW = load_parameters(PARAMETERS)


@cases("""
    year  gewoon  verlaagd   # euro cents; the reduced amount is never half of the full one
    2003  2500    1000
    2014  2500    1000
    2015  5000    2500
    2016  5000    2500
    2017  5000    2500
    2018  5100    2600
    2019  5200    2600
    2020  5300    2600
    2021  5400    2700
    2022  5400    2700
    2023  5800    2900
    2024  6200    3100
    2025  6400    3200
    2026  10000   3500
""")
def test_the_zorgpremie_of_a_year_is_its_own_amount(year: int, gewoon: int, verlaagd: int) -> None:
    """
    Rules: ZP-1, ZP-18.
    """
    for day in (date(year, 1, 1), date(year, 12, 31)):
        assert LAW["zorgpremie/gewoon"].on(day) == Used("zorgpremie/gewoon", date(year, 1, 1), gewoon)
        assert LAW["zorgpremie/verlaagd"].on(day) == Used("zorgpremie/verlaagd", date(year, 1, 1), verlaagd)


@cases("""
    name                             until_2018  since_2019   # ZB-13: the procedure is dated like an amount
    arrears/missed_years_min         3           2
    arrears/letter_on                03-01       06-01
    arrears/letter_by                03-31       09-01
    arrears/pay_by                   04-30       10-05
    arrears/report_by                -           10-10
    arrears/corrections_until        -           10-15
    arrears/reminder_on              -           11-15
    arrears/reminder_by              -           11-30
    arrears/reminder_pay_days        -           14
    arrears/report_unpaid_years_min  -           2
    zorgpremie/age_min               26          26
    zorgpremie/due_by                04-30       04-30
    zorgpremie/invitation_on         01-20       01-20
""")
def test_the_procedure_of_a_day_is_the_one_of_its_law(
    name: str, until_2018: int | str | None, since_2019: int | str
) -> None:
    """
    Rule: ZB-13.
    """
    assert LAW[name].on(date(2019, 1, 1)).value == since_2019
    if until_2018 is None:
        with pytest.raises(NoValue):
            LAW[name].on(date(2018, 12, 31))
    else:
        assert LAW[name].on(date(2018, 12, 31)).value == until_2018


@pytest.mark.parametrize("name", sorted(LAW.by_name))
def test_after_the_checked_day_every_parameter_is_refused_by_its_name(name: str) -> None:
    LAW[name].on(date(2026, 12, 31))
    with pytest.raises(NotChecked) as refused:
        LAW[name].on(date(2027, 1, 1))
    assert refused.value.facts["parameter"] == name
    assert name in str(refused.value)


def test_a_year_without_an_amount_is_refused_and_never_last_years() -> None:
    """
    Rule: ZP-1.
    """
    with pytest.raises(NoValue, match="zorgpremie/gewoon"):
        LAW["zorgpremie/gewoon"].on(date(2002, 12, 31))
    gap = a_parameter({date(2024, 1, 1): 6200, date(2026, 1, 1): 10000}, per_calendar_year=True)
    with pytest.raises(NoValue):
        gap.on(date(2025, 6, 1))


def test_a_parameter_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(NoValue, match="zorgpremie/onbekend"):
        LAW["zorgpremie/onbekend"]


def test_the_account_is_the_one_of_the_funds_pages() -> None:
    """
    Rule: ZP-4.
    """
    assert LAW["zorgpremie/account"].on(date(2026, 1, 20)).value == "BE72777594206316"


def test_the_difference_between_the_funds_page_and_the_law_is_named() -> None:
    """
    Rule: ZB-4: the law's dates hold.
    """
    assert "before 5 October" in LAW["arrears/pay_by"].note
    assert LAW["arrears/fine_gewoon"].on(date(2026, 1, 1)).value == 25000
    assert LAW["arrears/fine_verlaagd"].on(date(2026, 1, 1)).value == 10000


def a_parameter(values: dict[date, int | None], *, per_calendar_year: bool = False) -> Parameter:
    return Parameter(
        name="test/value",
        description="A value of a test",
        unit="eur_cent",
        checked_on=date(2026, 1, 5),
        checked_until=date(2026, 12, 31),
        values=tuple(DatedValue(since=since, value=value, source="art. 1") for since, value in values.items()),
        per_calendar_year=per_calendar_year,
    )


@cases("""
    day         value
    2019-12-31  -
    2020-01-01  100
    2021-06-30  100
    2021-07-01  200
    2023-12-31  200
    2024-01-01  -      # abolished
    2025-01-01  300
""")
def test_a_value_holds_from_its_first_day_until_the_next_or_its_abolition(day: date, value: int | None) -> None:
    parameter = a_parameter(
        {date(2020, 1, 1): 100, date(2021, 7, 1): 200, date(2024, 1, 1): None, date(2025, 1, 1): 300}
    )
    if value is None:
        with pytest.raises(NoValue):
            parameter.on(day)
    else:
        assert parameter.on(day).value == value


@given(
    st.lists(st.dates(date(2000, 1, 1), date(2026, 1, 1)), unique=True, min_size=1),
    st.dates(date(2000, 1, 1), date(2026, 12, 31)),
)
def test_the_value_of_a_day_is_the_newest_whose_first_day_has_come(firsts: list[date], day: date) -> None:
    parameter = a_parameter({since: index for index, since in enumerate(sorted(firsts))})
    come = [since for since in firsts if since <= day]
    if come:
        assert parameter.on(day).since == max(come)
    else:
        with pytest.raises(NoValue):
            parameter.on(day)


GOOD = """\
description: A value of a test
unit: eur_cent
set_by: law
checked_on: 2026-01-05
checked_until: 2026-12-31
values:
  2025-01-01:
    value: 6400
    source: art. 1
"""


def problems_of(directory: Path, **files: str) -> list[str]:
    for name, content in files.items():
        path = directory / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ParametersUnreadable) as refused:
        load_parameters(directory)
    return list(refused.value.problems)


def test_a_good_file_is_read_under_the_name_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "some_group").mkdir()
    (tmp_path / "some_group" / "value.yaml").write_text(GOOD)
    assert load_parameters(tmp_path)["some_group/value"].on(date(2025, 1, 1)) == Used(
        "some_group/value", date(2025, 1, 1), 6400
    )


@pytest.mark.parametrize(
    ("replaced", "by", "problem"),
    [
        ("unit: eur_cent\n", "", "value.yaml:1: `unit` is missing."),
        ("eur_cent", "euros", "value.yaml:2: `unit` must be one of"),
        ("set_by: law", "set_by: us", "value.yaml:3: `set_by` must be one of law, fund."),
        ("description: A value of a test", "description: ''", "value.yaml:1: `description` is empty"),
        ("checked_on: 2026-01-05\n", "", "value.yaml:1: `checked_on` is missing."),
        ("checked_on: 2026-01-05", "checked_on: yesterday", "value.yaml:4: `checked_on` must be a date"),
        ("checked_until: 2026-12-31", "checked_until: 2025-12-31", "value.yaml:5: `checked_until` lies before"),
        ("2025-01-01:", "2027-01-01:", "value.yaml:5: the newest value begins after `checked_until`"),
        ("    source: art. 1\n", "", "value.yaml:7: `source` is missing: no value without"),
        ("source: art. 1", "source: ''", "value.yaml:9: `source` is empty"),
        ("    value: 6400\n", "", "value.yaml:7: `value` is missing"),
        ("value: 6400", "value: 64.00", "value.yaml:8: `64.00` may be read in two ways"),
        ("value: 6400", "value: 6_400", "value.yaml:8: `6_400` may be read in two ways"),
        ("value: 6400", "value: 06400", "value.yaml:8: `06400` may be read in two ways"),
        ("value: 6400", "value: 1:30", "value.yaml:8: `1:30` may be read in two ways"),
        ("value: 6400", "value: '6400'", "value.yaml:8: a value in eur_cent is a whole number"),
        ("value: 6400", "value: -1", "value.yaml:8: a value in eur_cent is a whole number"),
        ("value: 6400", "value: true", "value.yaml:8: a value in eur_cent is a whole number"),
        ("value: 6400", "value: 6400\n    value: 6500", "value.yaml:9: `value` stands here for the second time"),
        ("unit: eur_cent", "unit: eur_cent\nunit: years", "value.yaml:3: `unit` stands here for the second time"),
        ("source: art. 1", "source: art. 1\n    sauce: x", "value.yaml:10: `sauce` is not known here"),
        ("set_by: law", "set_by: law\ncheckd_on: 2026-01-01", "value.yaml:4: `checkd_on` is not known here"),
        ("2025-01-01:", "2025-02-30:", "value.yaml:7: a value stands under its first day"),
        ("2025-01-01:", "2025:", "value.yaml:7: a value stands under its first day"),
        ("set_by: law", "set_by: law\nper_calendar_year: yes", "value.yaml:4: `yes` may be read in two ways"),
        ("set_by: law", "set_by: law\nper_calendar_year: 1", "value.yaml:4: `per_calendar_year` must be true or false"),
        ("description: A", "description: [A", "value.yaml:2: this is not YAML"),
        ("values:", "values: []\nvalues_:", "value.yaml:6: `values` must hold one value or more"),
        (GOOD, "- a list\n", "value.yaml:1: the file must hold `name: value` lines."),
        (GOOD, "", "value.yaml:1: the file must hold `name: value` lines."),
    ],
)  # fmt: skip
def test_a_file_that_is_not_right_is_refused_with_its_line(
    tmp_path: Path, replaced: str, by: str, problem: str
) -> None:
    assert GOOD.count(replaced) >= 1
    problems = problems_of(tmp_path, value=GOOD.replace(replaced, by, 1))
    assert any(found.startswith(problem) for found in problems), problems


def test_values_out_of_order_or_not_on_1_january_of_a_yearly_parameter_are_refused(tmp_path: Path) -> None:
    later_first = GOOD + "  2024-01-01: {value: 6200, source: art. 1}\n"
    yearly = GOOD.replace("2025-01-01", "2025-02-01").replace("set_by: law", "set_by: law\nper_calendar_year: true")
    assert problems_of(tmp_path, later_first=later_first, yearly=yearly) == [
        "later_first.yaml:10: the values must stand in order of their first day, oldest first.",
        "yearly.yaml:7: a value per calendar year begins on 1 January.",
    ]


@cases("""
    unit       value               fits
    month_day  "04-30"             yes
    month_day  "02-29"             no
    month_day  "04-31"             no
    month_day  "4-30"              no
    iban       "BE72777594206316"  yes
    iban       "BE72777594206317"  no
    text       ""                  no
    years      26                  yes
    years      26.5                no
""")
def test_a_value_fits_its_unit(tmp_path: Path, unit: str, value: object, fits: bool) -> None:
    content = GOOD.replace("eur_cent", unit).replace("value: 6400", f"value: {value}")
    if fits:
        (tmp_path / "value.yaml").write_text(content)
        assert load_parameters(tmp_path)["value"].unit == unit
    else:
        assert len(problems_of(tmp_path, value=content)) == 1


def test_abolition_is_written_as_null_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "value.yaml").write_text(GOOD + "  2026-01-01: {value: null, source: art. 2}\n")
    parameter = load_parameters(tmp_path)["value"]
    assert parameter.on(date(2025, 12, 31)).value == 6400
    with pytest.raises(NoValue):
        parameter.on(date(2026, 1, 1))
    assert parameter.dated_on(date(2026, 1, 1)) == DatedValue(since=date(2026, 1, 1), value=None, source="art. 2")


def test_all_problems_of_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "broken.yaml").write_bytes(b"description: \xff\n")
    first = GOOD.replace("unit: eur_cent\n", "").replace("    source: art. 1\n", "")
    problems = problems_of(tmp_path, first=first, premium_2026=GOOD)
    assert [problem.split(": ")[0] for problem in problems] == [
        "broken.yaml:1",
        "first.yaml:1",
        "first.yaml:6",
        "notes.txt:1",
        "premium_2026.yaml:1",  # no year in any name
    ]


def test_an_empty_folder_is_no_law(tmp_path: Path) -> None:
    assert "no parameter here" in problems_of(tmp_path)[0]


def test_every_value_was_checked_in_the_year_before_its_last_day() -> None:
    for parameter in LAW.by_name.values():
        assert parameter.checked_until - parameter.checked_on <= timedelta(days=365), parameter.name
