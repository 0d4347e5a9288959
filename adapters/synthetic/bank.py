"""
A made-up bank: members pay as members do, and the bank's statements come as CODA and camt.053 files in turn.

Who pays how follows from member, year and seed alone: most exactly and in time, some late, in part, twice, with a wrong
communication or none, from somebody else's account, on the last day itself, or not at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from adapters.synthetic.people import account_of, another_account_of, mix, name_of, part_of_one
from domain.dates import first_on_or_after, is_target_day
from domain.ids import owner_of
from domain.money import Cents
from domain.payments import Iban, Movement, Statement
from formats.camt053_writer import write_camt053
from formats.coda_writer import write_coda

_DAY: Final = timedelta(days=1)
_COSTS_CENTS: Final = 1875
_COSTS_MONTHS: Final = frozenset({3, 6, 9, 12})
#: Who never pays an invitation; a registered letter moves about half of them.
_NEVER: Final = 0.024


class Asked(NamedTuple):
    """
    One letter that asks for money: the affiliation's stream, the OGM, the amount, and when it was written.
    """

    stream: UUID
    ogm: str
    amount_cents: int
    written_on: date
    pay_by: date


class Payment(NamedTuple):
    """
    Money that somebody will send, or take back, on a day.
    """

    booked_on: date
    amount_cents: int
    communication: str
    structured: bool
    iban: str
    name: str
    stream: UUID
    reversal: bool = False


class SentFile(NamedTuple):
    """
    A file of the bank. `payers` is what the bank knows and the fund does not: whose money each movement is.
    """

    name: str
    content: bytes
    statement: Statement
    payers: Mapping[int, UUID]


class Bank:
    """
    One account of the fund at the made-up bank. It keeps the chain of statements.
    """

    def __init__(self, account: Iban, *, opened_on: date, seed: int) -> None:
        self.account = account
        self.seed = seed
        self._last = opened_on
        self._year = self._number = 0
        self._balance = 0
        self._waiting: list[tuple[date, int, Payment]] = []
        self._sent = 0

    def will_pay(self, payments: Iterable[Payment]) -> int:
        """
        Take orders for later; return how many. Those of closed days come with the next statement.
        """
        before = self._sent
        for payment in payments:
            self._sent += 1
            heapq.heappush(self._waiting, (payment.booked_on, self._sent, payment))
        return self._sent - before

    @property
    def balance_cents(self) -> int:
        return self._balance

    def close(self, day: date) -> SentFile:
        """
        Make the statement up to and including a day, as a file.
        """
        if self._year != day.year:
            self._year, self._number = day.year, 0
        self._number += 1
        movements: list[Movement] = []
        payers: dict[int, UUID] = {}
        while self._waiting and self._waiting[0][0] <= day:
            _, order, payment = heapq.heappop(self._waiting)
            payers[len(movements) + 1] = payment.stream
            movements.append(_movement(payment, ordinal=len(movements) + 1, order=order))
        if day.month in _COSTS_MONTHS and self._last.month != day.month:
            movements.append(_costs(day, ordinal=len(movements) + 1))
        opening = self._balance
        self._balance += sum(movement.amount_cents for movement in movements)
        uses_coda = bool(self._number % 2)
        statement = Statement(
            account=self.account,
            year=day.year,
            number=self._number,
            opened_on=self._last,
            closed_on=day,
            opening_cents=Cents(opening),
            closing_cents=Cents(self._balance),
            movements=movements,
            format="CODA" if uses_coda else "camt.053",
        )
        self._last = day
        write = write_coda if uses_coda else write_camt053
        name = f"{day.year}-{self._number:03d}-{day}.{'cod' if uses_coda else 'xml'}"
        return SentFile(name, b"".join(write([statement], created_on=day)), statement, payers)


def answers_to_invitations(asked: Iterable[Asked], *, seed: int) -> Iterator[Payment]:
    """
    Yield what members do with the invitation of a year.
    """
    for letter in asked:
        key, year = mix(seed, owner_of(letter.stream).int >> 24), letter.written_on.year
        if part_of_one(key, 1) < _NEVER:
            continue
        yield from _habit(part_of_one(key, year, 2))(letter, part_of_one(key, year, 3))


def answers_to_registered_letters(asked: Iterable[Asked], *, seed: int) -> Iterator[Payment]:
    """
    Yield what members do with a registered letter: half pay in time, some a few days late, the others do nothing.
    """
    for letter in asked:
        key, year = mix(seed, owner_of(letter.stream).int >> 24), letter.written_on.year
        does, when = part_of_one(key, year, 4), part_of_one(key, year, 5)
        if does < 0.48:
            yield _order(letter, _between(letter.written_on + 9 * _DAY, letter.pay_by, when))
        elif does < 0.62:
            yield _order(letter, _between(letter.pay_by + _DAY, letter.pay_by + 10 * _DAY, when))


def answers_to_reminders(asked: Iterable[Asked], *, seed: int) -> Iterator[Payment]:
    """
    Yield what members do with a reminder: a good third pays within the month.
    """
    for letter in asked:
        key, year = mix(seed, owner_of(letter.stream).int >> 24), letter.written_on.year
        if part_of_one(key, year, 6) < 0.4:
            yield _order(letter, _between(letter.written_on + 2 * _DAY, letter.written_on + 30 * _DAY, 0.5))


Habit = Callable[[Asked, float], Iterator[Payment]]


def _in_time(letter: Asked, when: float) -> Iterator[Payment]:
    yield _order(letter, _in_good_time(letter, when))


def _on_the_last_day(letter: Asked, _when: float) -> Iterator[Payment]:
    yield _order(letter, letter.pay_by)


def _late(letter: Asked, when: float) -> Iterator[Payment]:
    yield _order(letter, _between(letter.pay_by + 3 * _DAY, letter.pay_by + 120 * _DAY, when))


def _in_part(letter: Asked, when: float) -> Iterator[Payment]:
    first = letter.amount_cents * 3 // 500 * 100 or 1
    yield _order(letter, _in_good_time(letter, when), amount_cents=first)
    if when < 0.5:
        rest = letter.amount_cents - first
        yield _order(letter, _between(letter.pay_by + 3 * _DAY, letter.pay_by + 60 * _DAY, when), amount_cents=rest)


def _twice(letter: Asked, when: float) -> Iterator[Payment]:
    first = _in_good_time(letter, when * 0.8)
    yield _order(letter, first)
    yield _order(letter, _between(first + 4 * _DAY, first + 12 * _DAY, when))


def _wrong_communication(letter: Asked, when: float) -> Iterator[Payment]:
    wrong = letter.ogm[:4] + str((int(letter.ogm[4]) + 1) % 10) + letter.ogm[5:]
    yield _order(letter, _in_good_time(letter, when))._replace(communication=wrong)


def _no_communication(letter: Asked, when: float) -> Iterator[Payment]:
    text = f"zorgpremie {letter.written_on.year}" if when < 0.6 else ""
    yield _order(letter, _in_good_time(letter, when))._replace(communication=text, structured=False)


def _by_somebody_else(letter: Asked, when: float) -> Iterator[Payment]:
    other = another_account_of(owner_of(letter.stream))
    yield _order(letter, _in_good_time(letter, when))._replace(iban=other, name="Boekhouding Vandewalle bv")


def _taken_back(letter: Asked, when: float) -> Iterator[Payment]:
    paid = _order(letter, _in_good_time(letter, when * 0.7))
    back = _between(paid.booked_on + 5 * _DAY, paid.booked_on + 14 * _DAY, when)
    yield paid
    yield paid._replace(booked_on=back, amount_cents=-paid.amount_cents, reversal=True)


def _forgotten(_letter: Asked, _when: float) -> Iterator[Payment]:
    yield from ()


#: Of how many payers (in parts of 1,000); the last habit is that of all the others.
_HABITS: Final[tuple[tuple[int, Habit], ...]] = (
    (26, _late),
    (16, _in_part),
    (8, _twice),
    (10, _wrong_communication),
    (12, _no_communication),
    (14, _by_somebody_else),
    (4, _taken_back),
    (14, _on_the_last_day),
    (22, _forgotten),
    (1000, _in_time),
)


def _habit(part: float) -> Habit:
    number = int(part * 1000)
    for share, habit in _HABITS:
        if number < share:
            return habit
        number -= share
    return _in_time


def _order(letter: Asked, day: date, *, amount_cents: int | None = None) -> Payment:
    member = owner_of(letter.stream)
    amount = letter.amount_cents if amount_cents is None else amount_cents
    return Payment(day, amount, letter.ogm, True, account_of(member), name_of(member), letter.stream)


def _in_good_time(letter: Asked, when: float) -> date:
    """
    Return a bank day between the letter and a few days before its last day; most pay early.
    """
    return _between(letter.written_on + 3 * _DAY, letter.pay_by - 6 * _DAY, when**1.6)


def _between(first: date, last: date, part: float) -> date:
    day = first_on_or_after(first + int(part * max((last - first).days, 0)) * _DAY, is_target_day)
    return day if day <= last else _bank_day_until(last)


def _bank_day_until(day: date) -> date:
    while not is_target_day(day):
        day -= _DAY
    return day


def _movement(payment: Payment, *, ordinal: int, order: int) -> Movement:
    return Movement(
        ordinal=ordinal,
        amount_cents=Cents(payment.amount_cents),
        value_date=payment.booked_on,
        booked_on=payment.booked_on,
        communication=payment.communication,
        communication_kind="structured" if payment.structured else "free",
        counterparty_iban=payment.iban,
        counterparty_name=payment.name[:35],
        bank_reference=f"{order:012d}",
        reversal="return" if payment.reversal else None,
        reversal_reason="AC04" if payment.reversal else "",
    )


def _costs(day: date, *, ordinal: int) -> Movement:
    return Movement(
        ordinal=ordinal,
        amount_cents=Cents(-_COSTS_CENTS),
        value_date=day,
        booked_on=day,
        communication="Kosten rekeningbeheer",
    )
