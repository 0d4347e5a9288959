"""
Thousands of random lives, lived twice: by the program and by a model that shares no code with it. They must agree.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from domain.dates import Period
from domain.money import Cents
from domain.zorgkas_affiliation import AffiliationState, consequences
from tests.builders import AMOUNTS, a_member
from tests.decisions.model_of_one_life import ModelOfOneLife
from tests.life import Life

STEPS = 20_000
_CENTS = {year: (full * 100, reduced * 100) for year, (full, reduced) in AMOUNTS.items()}


class Disagree(AssertionError):
    """
    The program and the model do not say the same.
    """


class TwoLives:
    """
    The same life in the program and in the model; `told` gives the value date that the program is told.
    """

    def __init__(self, chance: random.Random, told: Callable[[date, date], date]) -> None:
        self.chance, self.told, self.steps = chance, told, 0
        mandatory = chance.random() < 0.85
        self.first_year = chance.choice((2015, 2016, 2018, 2019, 2021, 2022))
        turns_26_in = self.first_year if chance.random() < 0.3 else 1996
        self.life = Life(a_member(birth_year=turns_26_in - 26, region="flanders" if mandatory else "brussels"))
        self.model = ModelOfOneLife(_CENTS, mandatory, turns_26_in)

    def live(self) -> None:
        for year in range(self.first_year, self.first_year + 5):
            self._year(year)

    def _year(self, year: int) -> None:
        on = date(year, 1, 20)
        if self.model.mandatory or year > self.first_year:
            self.life.invited_for(year, on=on)
        else:
            self.life.asks_to_join(year, on=on)
        self.model.charge(year)
        self._agree()
        last_letter_day = date(year, 3, 31) if year < 2019 else date(year, 9, 1)
        letter_on = date(year, 2, 1) + timedelta(self.chance.randrange((last_letter_day - date(year, 2, 1)).days + 1))
        acts: dict[date, Callable[[date], None]] = {letter_on: self._letter, date(year, 5, 1): self._close}
        acts[letter_on + timedelta(self.chance.choice((1, 2, 9, 40)))] = self._post
        if year >= 2019:
            acts[date(year, 10, self.chance.randint(6, 10))] = self._report
            acts[date(year, 10, 16) + timedelta(self.chance.randrange(40))] = self._correct
        for _ in range(self.chance.choice((0, 0, 1, 2, 3))):
            acts[self._some_day(year)] = self._pay
        if self.chance.random() < 0.1:
            acts[self._some_day(year)] = self._grant
        for day in sorted(acts):
            acts[day](day)
            self._agree()

    def _some_day(self, year: int) -> date:
        near = self.chance.choice((date(year, 4, 30), date(year, 6, 1), date(year, 10, 5), date(year, 10, 15)))
        if self.chance.random() < 0.3:
            near = date(year, 2, 1) + timedelta(self.chance.randrange(330))
        return near + timedelta(self.chance.randint(0, 6))

    def _pay(self, on: date) -> None:
        owed = self.model.open()
        value = on - timedelta(self.chance.choice((0, 0, 1, 2, 3, 4, 5, 30, 200)))
        usual = [sum(owed.values()), *owed.values(), 2 * sum(owed.values()), 6400, 10000]
        euros = max(1, self.chance.choice([*usual, self.chance.randint(1, 15_000)]) // 100)
        self.life.pays(euros, value=self.told(value, on), known=on)
        self.model.receive(euros * 100, value)

    def _grant(self, on: date) -> None:
        starts_on = date(on.year - self.chance.randint(1, 4), 1, self.chance.choice((1, 1, 2)))
        if self.model.allowance_from is None:
            self.life.allowance_known(Period(start=starts_on), on=on)
            self.model.grant(starts_on)

    def _close(self, on: date) -> None:
        self.life.deadline_of(on.year, on=on)
        self.model.close(on.year, on)

    def _letter(self, on: date) -> None:
        self._same_answer(self.life.letter_run(on=on), self.model.write(on))

    def _post(self, on: date) -> None:
        letters = self.model.letters
        if letters and letters[-1].posted_on is None and letters[-1].made_on <= on and self.chance.random() < 0.85:
            posted_on = max(letters[-1].made_on, on - timedelta(self.chance.choice((0, 1, 3))))
            self.life.post_proves(posted_on, known=on)
            self.model.post(posted_on)

    def _report(self, on: date) -> None:
        self._same_answer(self.life.report_run(on=on), self.model.report(on))

    def _correct(self, on: date) -> None:
        self._same_answer(self.life.correction_run(on=on), self.model.correct(on))

    def _same_answer(self, told: list[str], expected: bool) -> None:
        if told[0].startswith("passed over") is expected:
            raise Disagree(f"the program says {told}, the model {expected}")

    def _agree(self) -> None:
        self.steps += 1
        state, model = self.life.state, self.model
        program: dict[str, Any] = {
            "paid": {owed.year: state.paid_cents(owed.year) for owed in state.years} | {0: state.credit_cents},
            "missed": self.life.missed_years,
            "letters": [
                (list(each.years), each.withdrawn, each.contradicted, each.report_id is not None, each.corrected)
                for each in state.letters
            ],
        }
        expected: dict[str, Any] = {
            "paid": model.paid(),
            "missed": model.missed(),
            "letters": [
                (each.years, each.withdrawn, each.contradicted, each.reported, each.corrected) for each in model.letters
            ],
        }
        if program != expected:
            raise Disagree(f"program {program}, model {expected}")


def _live(steps: int, *, seed: int, told: Callable[[date, date], date] = lambda value, known: value) -> int:
    chance = random.Random(seed)
    done = lives = 0
    while done < steps:
        two = TwoLives(chance, told)
        try:
            two.live()
        except Disagree as difference:
            raise Disagree(f"seed {seed}, life {lives}, step {done + two.steps}: {difference}") from None
        done += two.steps
        lives += 1
    return lives


def test_the_program_and_the_model_agree_on_every_step_of_many_lives() -> None:
    assert _live(STEPS, seed=2026) > 300


def test_deciding_by_the_day_of_import_instead_of_the_value_date_is_caught() -> None:
    with pytest.raises(Disagree):
        _live(STEPS, seed=2026, told=lambda value, known: known)


def test_not_counting_the_last_day_itself_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = AffiliationState.paid_cents

    def too_strict(state: AffiliationState, year: int, *, until: date = date.max) -> Cents:
        return right(state, year, until=until - timedelta(days=1))

    monkeypatch.setattr(AffiliationState, "paid_cents", too_strict)
    with pytest.raises(Disagree):
        _live(STEPS, seed=2026)


def test_leaving_money_in_the_order_of_its_statements_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consequences, "moves_by_value_date", lambda *_, **__: [])
    with pytest.raises(Disagree):
        _live(STEPS, seed=2026)


def test_letters_that_lose_their_ground_and_are_left_standing_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consequences, "_withdraw_if_groundless", lambda *_, **__: None)
    with pytest.raises(Disagree):
        _live(STEPS, seed=2026)
