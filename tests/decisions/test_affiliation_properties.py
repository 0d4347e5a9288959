"""
Whatever is asked of an affiliation, in whatever order: money adds up, and nobody is written to or reported wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dates import Period
from domain.errors import Refused
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState
from domain.zorgkas_affiliation import happened as h
from tests.builders import a_member
from tests.life import Life

#: The days on which the law changes its mind, of five years, in order.
DAYS = [
    date(year, month, day)
    for year in range(2022, 2027)
    for month, day in (
        (1, 20),
        (4, 30),
        (5, 1),
        (6, 1),
        (6, 10),
        (9, 1),
        (10, 5),
        (10, 8),
        (10, 15),
        (10, 16),
        (11, 30),
    )
]

#: What the fund does by itself every year; a test leaves some of it out, and does more in between.
CALENDAR = {
    (1, 20): "invite",
    (5, 1): "close",
    (6, 1): "letter",
    (6, 10): "post",
    (10, 8): "report",
    (10, 16): "correct",
    (11, 30): "fine",
}

_often = ("pay", "pay", "reverse", "refund", "grant")
_seldom = ("join", "invite", "close", "letter", "post", "report", "correct", "remind", "fine", "annul")
_step = st.tuples(
    st.integers(0, len(DAYS) - 1),
    st.sampled_from((*_often, *_often, *_seldom)),
    st.integers(0, 150),
    st.integers(0, 40),
)
_skipped = st.sets(st.integers(0, len(DAYS) - 1), max_size=8)


def _ask(life: Life, what: str, *, on: date, number: int, back: int) -> Any:
    earlier = on - timedelta(days=back)
    asked: dict[str, Callable[[], Any]] = {
        "invite": lambda: life.invited_for(on.year, on=on),
        "join": lambda: life.asks_to_join(on.year, on=on),
        "close": lambda: life.deadline_of(on.year, on=on),
        "letter": lambda: life.letter_run(on=on),
        "post": lambda: life.post_proves(max(earlier, life.state.letters[-1].issued_on), known=on),
        "report": lambda: life.report_run(on=on),
        "correct": lambda: life.correction_run(on=on),
        "pay": lambda: life.pays(1 + number, value=earlier, known=on),
        "reverse": lambda: life.bank_takes_back_all(1 + number % 5, on=on),
        "refund": lambda: life.refunded(max(1, life.credit_euros), on=on),
        "grant": lambda: life.allowance_known(Period(start=date(on.year - 1, 1, 1 + number % 2)), on=on),
        "remind": lambda: life.reminder_run(on.year, on=on),
        "fine": lambda: life.agency_fines(*life.state.letters[-1].years, on=on),
        "annul": lambda: life.agency_annuls(on=on),
    }
    if what in {"post", "fine"} and not life.state.letters:
        return None
    with suppress(Refused):
        return asked[what]()
    return None


def _lived(steps: list[tuple[int, str, int, int]], skipped: set[int], *, brussels: bool) -> Life:
    life = Life(a_member(region="brussels" if brussels else "flanders"))
    if brussels:
        life.asks_to_join(2022, on=date(2022, 1, 5))
    for at, on in enumerate(DAYS):
        own = CALENDAR.get((on.month, on.day))
        if own and at not in skipped:
            _ask(life, own, on=on, number=0, back=0)
        for _, what, number, back in (step for step in steps if step[0] == at):
            _ask(life, what, on=on, number=number, back=back)
            state = life.state
            # Credit only stands where nothing is open (ZP-16).
            assert state.credit_cents <= 0 or not list(state.open_years())
            for owed in state.years:
                assert not (owed.missed and state.is_paid_in_time(owed)), "not missed, and not corrected"
    return life


@settings(max_examples=400)
@given(st.lists(_step, max_size=20), _skipped, st.sampled_from((False, False, False, True)))
def test_whatever_is_asked_money_adds_up_and_the_law_is_kept(
    steps: list[tuple[int, str, int, int]], skipped: set[int], brussels: bool
) -> None:
    life = _lived(steps, skipped, brussels=brussels)
    assert AFFILIATION.fold(life.happened) == life.state
    assert msgspec.json.decode(msgspec.json.encode(life.state), type=AffiliationState) == life.state
    for index, event in enumerate(life.happened):
        before = AFFILIATION.fold(life.happened[:index])
        match event:
            case h.RegisteredLetterIssued():
                assert before.kind == "mandatory"
                assert event.issued_on <= date(event.letter_year, 9, 1)
                assert event.amount_cents == sum(share.amount_cents for share in event.years) > 0
            case h.ReportedToAgency():
                letter = before.letter(event.letter_id)
                assert letter is not None
                assert letter.posted_on is not None
                assert letter.posted_on <= date(letter.letter_year, 9, 1)
                assert date(letter.letter_year, 10, 5) < event.reported_on <= date(letter.letter_year, 10, 10)
                unpaid = [
                    owed
                    for owed in before.years
                    if owed.year in letter.years
                    and owed.missed
                    and before.paid_cents(owed.year, until=date(letter.letter_year, 10, 5)) < owed.amount_cents
                ]
                assert len(unpaid) >= 2
            case h.FineImposed():
                assert any(isinstance(each, h.ReportedToAgency) for each in life.happened[:index])
            case _:
                assert getattr(event, "basis").rules  # noqa: B009  not every event type has a basis for the checker


_payment = st.tuples(st.integers(1, 150), st.integers(-60, 60))


@given(st.lists(_payment, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_in_which_payments_become_known_does_not_change_what_is_owed_or_missed(
    payments: list[tuple[int, int]], chance: Any
) -> None:
    shuffled = list(payments)
    chance.shuffle(shuffled)
    ends = []
    for order in (payments, shuffled):
        life = Life()
        for year in (2024, 2025):
            life.invited_for(year)
            life.deadline_of(year)
        life.invited_for(2026)
        life.deadline_of(2026)
        for euros, days in order:
            life.pays(euros, value=date(2026, 4, 30) + timedelta(days=days), known=date(2026, 8, 1))
        ends.append((life.open_euros, life.credit_euros, life.missed_years))
    assert ends[0] == ends[1]


@given(st.lists(_payment, min_size=1, max_size=5))
def test_the_same_movement_twice_is_nothing(payments: list[tuple[int, int]]) -> None:
    life = Life()
    life.invited_for(2026)
    for euros, days in payments:
        life.pays(euros, value=date(2026, 4, 30) + timedelta(days=days), known=date(2026, 8, 1))
    before = life.state
    for number, (euros, days) in enumerate(payments, start=1):
        assert life.pays_again(number, euros, value=date(2026, 4, 30) + timedelta(days=days)) == []
    assert life.state == before
