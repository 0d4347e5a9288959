"""
The law as data, read from `parameters/`: one YAML file per parameter, named by its path (`zorgpremie/gewoon`).

Read strictly and whole: a value without unit, source or checked day is refused, with all other problems of all files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, cast, get_args

from adapters.yaml_with_lines import Lined, Problems, date_of, read_yaml, unknown_keys
from domain.errors import Unreadable
from domain.parameters import DatedValue, Parameter, Parameters, Unit
from domain.payments import Iban, NotAnIban

#: The law that comes with the program.
PARAMETERS: Final = Path(__file__).resolve().parents[1] / "parameters"

_REQUIRED: Final = ("description", "unit", "set_by", "checked_on", "checked_until", "values")
_ALLOWED: Final = (*_REQUIRED, "per_calendar_year", "note")
_NAME: Final = re.compile(r"[a-z]+(_[a-z]+)*(/[a-z]+(_[a-z]+)*)*")
_MONTH_DAY: Final = re.compile(r"[0-9]{2}-[0-9]{2}", re.ASCII)
#: Every day of this year exists in every year, so 29 February is no day that comes back.
_YEAR_WITHOUT_LEAP_DAY: Final = 2001


class ParametersUnreadable(Unreadable):
    """
    The law in parameters/ cannot be used; correct what is named, nothing was read.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join([" ".join((type(self).__doc__ or "").split()), *problems]))
        self.problems = problems


def load_parameters(directory: Path) -> Parameters:
    """
    Read every parameter below a directory. Raises ParametersUnreadable, with all problems of all files.
    """
    by_name: dict[str, Parameter] = {}
    problems: list[str] = []
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    for path in files:
        in_file = Problems(path.relative_to(directory).as_posix())
        parameter = _read(path, path.relative_to(directory), in_file)
        problems += in_file.found
        if parameter is not None:
            by_name[parameter.name] = parameter
    if not files:
        problems.append(f"{directory.name}/: there is no parameter here; the program cannot know the law without.")
    if problems:
        raise ParametersUnreadable(tuple(problems))
    return Parameters(by_name)


def _read(path: Path, relative: Path, problems: Problems) -> Parameter | None:
    name = relative.with_suffix("").as_posix()
    if path.suffix != ".yaml" or not _NAME.fullmatch(name):
        problems.add(1, "a parameter is a .yaml file named with small letters and _, without years or numbers.")
        return None
    content = read_yaml(path, problems)
    if content is None:
        return None
    unknown_keys(content, _ALLOWED, problems)
    for missing in (key for key in _REQUIRED if key not in content):
        problems.add(1, f"`{missing}` is missing.")
    unit = _one_of(content, "unit", get_args(Unit), problems)
    values = _dated_values(content.get("values"), unit, problems)
    checked_on = _field(content, "checked_on", date, problems)
    checked_until = _field(content, "checked_until", date, problems)
    per_calendar_year = _field(content, "per_calendar_year", bool, problems, missing=False)
    _check_days(
        content,
        values=values,
        checked_on=checked_on,
        checked_until=checked_until,
        per_calendar_year=per_calendar_year,
        problems=problems,
    )
    parts = {
        "description": _text(content, "description", problems),
        "set_by": _one_of(content, "set_by", ("law", "fund"), problems),
        "note": _text(content, "note", problems) if "note" in content else "",
    }
    if problems.found:
        return None
    return Parameter(
        name=name,
        unit=cast(Unit, unit),
        checked_on=checked_on,
        checked_until=checked_until,
        values=tuple(values),
        per_calendar_year=per_calendar_year,
        **parts,
    )


def _field(content: Mapping[str, Lined], key: str, kind: type, problems: Problems, *, missing: Any = None) -> Any:
    lined = content.get(key)
    if lined is None:
        return missing
    if type(lined.value) is not kind:
        wanted = {date: "a date as YYYY-MM-DD", bool: "true or false", str: "text"}[kind]
        problems.add(lined.line, f"`{key}` must be {wanted}.")
        return missing
    return lined.value


def _text(content: Mapping[str, Lined], key: str, problems: Problems) -> Any:
    text = _field(content, key, str, problems)
    if text is not None and not text.strip():
        problems.add(content[key].line, f"`{key}` is empty; say it in words.")
    return text.strip() if text else text


def _one_of(content: Mapping[str, Lined], key: str, choices: tuple[str, ...], problems: Problems) -> Any:
    lined = content.get(key)
    if lined is None:
        return None
    if lined.value not in choices:
        problems.add(lined.line, f"`{key}` must be one of {', '.join(choices)}.")
        return None
    return lined.value


def _dated_values(lined: Lined | None, unit: str | None, problems: Problems) -> list[DatedValue]:
    if lined is None:
        return []
    if not isinstance(lined.value, Mapping) or not lined.value:
        problems.add(lined.line, "`values` must hold one value or more, each under its first day.")
        return []
    values: list[DatedValue] = []
    for since, entry in lined.value.items():
        dated = _dated_value(since, entry, unit, problems)
        if dated is None:
            continue
        if values and dated.since <= values[-1].since:
            problems.add(entry.line, "the values must stand in order of their first day, oldest first.")
        values.append(dated)
    return values


def _dated_value(since: str, entry: Lined, unit: str | None, problems: Problems) -> DatedValue | None:
    day = date_of(since)
    if day is None:
        problems.add(entry.line, "a value stands under its first day, written as YYYY-MM-DD.")
        return None
    if not isinstance(entry.value, Mapping):
        problems.add(entry.line, "a value is written as `value:` and `source:`.")
        return None
    unknown_keys(entry.value, ("value", "source"), problems)
    if "value" not in entry.value:
        problems.add(entry.line, "`value` is missing (abolition is written as null).")
        return None
    if not _text(entry.value, "source", problems):
        problems.add(entry.line, "`source` is missing: no value without where a lawyer finds it.")
        return None
    value, line = entry.value["value"]
    wrong = "" if value is None or unit is None else _what_is_wrong(value, unit)
    if wrong:
        problems.add(line, wrong)
        return None
    return DatedValue(since=day, value=value, source=_text(entry.value, "source", problems))


def _what_is_wrong(value: object, unit: str) -> str:
    """
    Return why a value does not fit its unit, or nothing.
    """
    match unit:
        case "eur_cent" | "years" | "count" | "days" | "percent":
            fits = type(value) is int and value >= 0
            return "" if fits else f"a value in {unit} is a whole number of zero or more."
        case "month_day":
            return "" if _is_month_day(value) else 'a day of the year is written as "04-30" and exists in every year.'
        case "iban":
            return "" if _is_iban(value) else "this is not an IBAN without blanks whose check digits fit."
        case _:
            return "" if isinstance(value, str) and value.strip() else "a value in text is quoted text, not empty."


def _is_month_day(value: object) -> bool:
    return (
        isinstance(value, str)
        and _MONTH_DAY.fullmatch(value) is not None
        and date_of(f"{_YEAR_WITHOUT_LEAP_DAY}-{value}") is not None
    )


def _is_iban(value: object) -> bool:
    try:
        return isinstance(value, str) and Iban.from_text(value) == value
    except NotAnIban:
        return False


def _check_days(
    content: Mapping[str, Lined],
    *,
    values: list[DatedValue],
    checked_on: date | None,
    checked_until: date | None,
    per_calendar_year: bool,
    problems: Problems,
) -> None:
    if checked_on is not None and checked_until is not None and checked_until < checked_on:
        problems.add(content["checked_until"].line, "`checked_until` lies before `checked_on`.")
    if checked_until is not None and values and checked_until < values[-1].since:
        problems.add(content["checked_until"].line, "the newest value begins after `checked_until`; nobody checked it.")
    if per_calendar_year and any((value.since.month, value.since.day) != (1, 1) for value in values):
        problems.add(content["values"].line, "a value per calendar year begins on 1 January.")
