"""
What the law says, dated. The values themselves are YAML in `parameters/`; a value has a first day, a unit and a source.

Asking never gives a default: a day before the first value, after abolition, in a year without its own amount, or
later than what a person checked against the source, is refused by the parameter's name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date
from typing import Literal

import msgspec

from domain.errors import NotFound, Refused
from domain.events import Used

Unit = Literal["eur_cent", "years", "count", "month_day", "iban", "text", "days", "percent"]


class NoValue(NotFound):
    """
    The parameter has no value for that day; add it to parameters/ with its source, then plan again.
    """


class NotChecked(Refused):
    """
    Nobody has checked this parameter against its source for that day; compare it, move `checked_until`, then plan
    again.
    """


class DatedValue(msgspec.Struct, frozen=True, kw_only=True):
    """
    One value from its first day on; None is abolition. `source` is where a lawyer finds it.
    """

    since: date
    value: int | str | None
    source: str


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that the law fixes, with all its values, oldest first.

    `checked_on` is the day a person compared the newest value with the source, `checked_until` the last day for which
    that check holds. `per_calendar_year` means that every year needs a value of its own: last year's is never used.
    `set_by` tells what the law fixes from what the fund chose within it; `note` says what a reader must know.
    """

    name: str
    description: str
    unit: Unit
    checked_on: date
    checked_until: date
    values: tuple[DatedValue, ...]
    per_calendar_year: bool = False
    set_by: Literal["law", "fund"] = "law"
    note: str = ""

    def on(self, day: date) -> Used:
        """
        Return the value in force on a day, as an event records it. Raises NoValue or NotChecked, naming the parameter.
        """
        if day > self.checked_until:
            raise NotChecked(parameter=self.name, day=day, checked_until=self.checked_until)
        dated = self.dated_on(day)
        if dated is None or dated.value is None or (self.per_calendar_year and dated.since.year != day.year):
            raise NoValue(parameter=self.name, day=day)
        return Used(self.name, dated.since, dated.value)

    def dated_on(self, day: date) -> DatedValue | None:
        """
        Return the newest value whose first day has come, with its source, whatever it is: what an auditor looks up.
        """
        index = bisect_right(self.values, day, key=lambda dated: dated.since)
        return self.values[index - 1] if index else None


class Parameters(msgspec.Struct, frozen=True):
    """
    All parameters by name, such as `zorgpremie/gewoon`.
    """

    by_name: Mapping[str, Parameter]

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self.by_name[name]
        except KeyError:
            raise NoValue(parameter=name) from None
