"""
A second, slower way to know what is true of one life: everything is computed again from the bare facts, each time.

It shares no code with the program. No events, no allocation that is kept: a list of payments and a calendar.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass
class ModelLetter:
    made_on: date
    years: list[int]
    posted_on: date | None = None
    withdrawn: bool = False
    contradicted: bool = False
    reported: bool = False
    corrected: bool = False


@dataclass
class ModelOfOneLife:
    """
    `amounts` is (full, reduced) in cents per year; `allowance_from` the first day of the increased allowance.
    """

    amounts: dict[int, tuple[int, int]]
    mandatory: bool
    turns_26_in: int
    allowance_from: date | None = None
    charged: list[int] = field(default_factory=list)
    judged: set[int] = field(default_factory=set)
    payments: list[tuple[date, int]] = field(default_factory=list)
    letters: list[ModelLetter] = field(default_factory=list)

    # -- what is owed and what came in

    def amount(self, year: int) -> int:
        full, reduced = self.amounts[year]
        return reduced if self.allowance_from and self.allowance_from <= date(year - 1, 1, 1) else full

    def last_day(self, year: int) -> date:
        if year - self.turns_26_in in (0, 1):
            return date(self.turns_26_in + 1, 12, 31)
        return date(year, 4, 30)

    def paid(self, until: date = date.max) -> dict[int, int]:
        """
        Pour all money into the years, oldest first; year 0 is what runs over.
        """
        money = sum(cents for day, cents in self.payments if day <= until)
        poured = {}
        for year in sorted(self.charged):
            poured[year] = min(money, self.amount(year))
            money -= poured[year]
        poured[0] = money
        return poured

    def open(self, until: date = date.max) -> dict[int, int]:
        paid = self.paid(until)
        owed = {year: self.amount(year) - paid[year] for year in self.charged}
        return {year: cents for year, cents in owed.items() if cents}

    def missed(self) -> list[int]:
        return [year for year in sorted(self.judged) if year in self.open(until=self.last_day(year))]

    # -- what the fund does

    def charge(self, year: int) -> None:
        self.charged.append(year)

    def receive(self, cents: int, value: date) -> None:
        self.payments.append((value, cents))
        self.look_at_letters()

    def grant(self, starts_on: date) -> None:
        self.allowance_from = starts_on
        self.look_at_letters()

    def close(self, year: int, on: date) -> None:
        for each in self.charged:
            in_window = each < year and self.last_day(each) > date(each, 4, 30)
            if (each == year or in_window) and self.last_day(each) < on:
                self.judged.add(each)

    def years_min(self, year: int) -> int:
        return 3 if year < 2019 else 2

    def with_agency(self) -> set[int]:
        return {year for letter in self.letters if letter.reported and not letter.corrected for year in letter.years}

    def write(self, on: date) -> bool:
        has_one = any(letter.made_on.year == on.year and not letter.withdrawn for letter in self.letters)
        counted = set(self.missed()) & set(self.open()) - self.with_agency()
        if not self.mandatory or has_one or len(counted) < self.years_min(on.year):
            return False
        self.letters.append(ModelLetter(on, [year for year in self.open() if self.last_day(year) < on]))
        return True

    def post(self, posted_on: date) -> None:
        letter = self.letters[-1]
        letter.posted_on = posted_on
        letter.contradicted |= letter.withdrawn
        self.look_at_letters()

    def look_at_letters(self) -> None:
        for letter in self.letters:
            until = letter.posted_on - timedelta(days=1) if letter.posted_on else date.max
            left = set(letter.years) & set(self.missed()) & set(self.open(until=until))
            if not letter.withdrawn and len(left) < self.years_min(letter.made_on.year):
                letter.withdrawn = letter.posted_on is None
                letter.contradicted |= letter.posted_on is not None

    def unpaid_of(self, letter: ModelLetter, until: date) -> list[int]:
        return [year for year in self.missed() if year in letter.years and year in self.open(until=until)]

    def report(self, on: date) -> bool:
        letters = [letter for letter in self.letters if letter.made_on.year == on.year]
        standing = [letter for letter in letters if not letter.withdrawn and not letter.contradicted]
        if not standing or standing[-1] is not letters[-1] or letters[-1].reported:
            return False
        letter = letters[-1]
        in_time = letter.posted_on is not None and letter.posted_on <= date(on.year, 9, 1)
        letter.reported = in_time and len(self.unpaid_of(letter, date(on.year, 10, 5))) >= 2
        return letter.reported

    def correct(self, on: date) -> bool:
        letters = [letter for letter in self.letters if letter.made_on.year == on.year]
        if not letters or not letters[-1].reported or letters[-1].corrected:
            return False
        letters[-1].corrected = len(self.unpaid_of(letters[-1], date(on.year, 10, 15))) < 2
        return letters[-1].corrected
