"""
The made-up fund: people that could exist, the same for the same seed, and a bank whose files our own readers take.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from datetime import date, timedelta
from itertools import islice, pairwise
from uuid import UUID

import pytest

from adapters.synthetic.bank import (
    Asked,
    Bank,
    answers_to_invitations,
    answers_to_registered_letters,
    answers_to_reminders,
)
from adapters.synthetic.people import account_of, another_account_of, members, name_of, newcomers
from domain.dates import is_target_day
from domain.ids import Kind, belonging_to, member_id_from_text, owner_of
from domain.national_number import NationalNumber
from domain.payments import Iban, NotAnOgm, Ogm
from formats.bank_file import read_statements
from tests.world import World

KNOWN_ON = date(2024, 1, 5)
ACCOUNT = Iban.from_text("BE72 7775 9420 6316")


@pytest.fixture(scope="module")
def people():
    return list(newcomers(5_000, seed=3, known_on=KNOWN_ON))


@pytest.fixture(scope="module")
def asked(people):
    return [
        Asked(
            belonging_to(member_id_from_text(person.member_id), Kind.ZORGKAS_AFFILIATION),
            Ogm.from_base(number),
            10_000,
            date(2026, 1, 20),
            date(2026, 4, 30),
        )
        for number, person in enumerate(people, start=1)
    ]


# --- People -----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_people_and_another_seed_others(people):
    again = list(newcomers(5_000, seed=3, known_on=KNOWN_ON))
    others = list(newcomers(5_000, seed=4, known_on=KNOWN_ON))
    assert again == people
    assert not {each.member_id for each in others} & {each.member_id for each in people}


def test_national_numbers_fit_the_day_of_birth_and_are_unique(people):
    numbers = [NationalNumber.from_text(person.command.national_number) for person in people]
    for person, number in zip(people, numbers, strict=True):
        said = number.birth_date
        assert (said.year, said.month, said.day) == (
            person.command.born_on.year,
            person.command.born_on.month,
            person.command.born_on.day,
        )
    assert len(set(numbers)) == len(people)


def test_ids_rise_and_commands_have_an_id_of_their_own(people):
    ids = [person.member_id for person in people]
    commands = [person.command.command_id for person in people]
    later = [
        command.command_id for person in people for command in (person.confirmation(KNOWN_ON), person.joining(2026))
    ]
    assert ids == sorted(set(ids))
    assert len({*commands, *later}) == 3 * len(people)


def test_nobody_lives_or_is_insured_before_birth(people):
    for person in people:
        command = person.command
        assert command.born_on <= KNOWN_ON
        assert command.address_since >= command.born_on
        assert command.cm_member_since is not None
        assert command.cm_member_since >= command.born_on


def test_the_fund_is_like_a_fund(people):
    regions = Counter(person.command.address.region for person in people)
    turning_26 = [person for person in people if person.command.born_on.year == 2000]
    poor = sum(person.command.verhoogde_tegemoetkoming_since is not None for person in people)
    assert regions["flanders"] > 0.9 * len(people)
    assert regions["brussels"] > 0.03 * len(people)
    assert regions["wallonia"] > 0
    assert regions["abroad"] > 0
    assert 0.1 < poor / len(people) < 0.25
    assert turning_26
    assert any(person.joins for person in people)
    assert all(person.command.address.region == "brussels" for person in people if person.joins)
    assert all(person.command.email for person in people if person.confirms)


def test_a_couple_may_share_an_account_and_households_share_an_address(people):
    with_account = [person for person in people if person.command.iban]
    shared = Counter(person.command.iban for person in with_account)
    assert all(Iban.from_text(person.command.iban) for person in with_account)
    assert 0 < sum(count == 2 for count in shared.values()) < len(with_account) / 2
    assert (
        len({(p.command.address.street, p.command.address.house_number, p.command.address.town) for p in people})
        < 4_000
    )


def test_what_the_bank_knows_of_a_payer_follows_from_the_id(people):
    for person in people[:500]:
        member = UUID(person.member_id)
        assert person.command.iban in {"", account_of(member)}
        assert another_account_of(member) != account_of(member)
        assert name_of(member).isascii()


def test_a_fund_of_any_size_needs_the_same_memory():
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in members(count, seed=1, known_on=KNOWN_ON):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(8_000) < peak(1_000) * 1.5


def test_the_real_store_takes_every_one_of_them(database, tmp_path):
    fund = World(database, tmp_path)
    people = list(newcomers(400, seed=9, known_on=KNOWN_ON))
    registered = fund.give(*(person.command for person in people), on=KNOWN_ON)
    confirmed = fund.give(*(person.confirmation(KNOWN_ON) for person in people if person.confirms), on=KNOWN_ON)
    assert {each.answer.outcome for each in (*registered, *confirmed)} == {"accepted"}


# --- The bank ---------------------------------------------------------------------------------------------------------


def test_its_files_are_read_back_to_the_cent_in_both_formats_and_one_chain(asked):
    bank = Bank(ACCOUNT, opened_on=date(2026, 1, 2), seed=3)
    ordered = bank.will_pay(answers_to_invitations(asked, seed=3))
    read, names = [], []
    for week in range(40):
        sent = bank.close(date(2026, 1, 23) + week * timedelta(days=7))
        (statement,) = read_statements(sent.content)
        assert list(statement.movements) == list(sent.statement.movements)
        assert (statement.year, statement.number) == (2026, week + 1)
        read.append(statement)
        names.append(sent.name)
    assert {statement.format for statement in read} == {"CODA", "camt.053"}
    assert all(one.closing_cents == next_.opening_cents for one, next_ in pairwise(read))
    assert read[-1].closing_cents == bank.balance_cents
    costs = sum(not movement.counterparty_iban for statement in read for movement in statement.movements)
    assert sum(len(statement.movements) for statement in read) == ordered + costs
    assert len(set(names)) == 40


def test_numbers_begin_again_with_the_year():
    bank = Bank(ACCOUNT, opened_on=date(2025, 12, 1), seed=1)
    numbers = [bank.close(day).statement.number for day in (date(2025, 12, 19), date(2025, 12, 31), date(2026, 1, 9))]
    assert numbers == [1, 2, 1]


def test_people_pay_as_people_do(asked):
    payments = list(answers_to_invitations(asked, seed=3))
    by_stream = Counter(payment.stream for payment in payments)
    exact = [payment for payment in payments if payment.amount_cents == 10_000 and payment.structured]
    assert (
        0.8 < len({payment.stream for payment in exact if payment.booked_on <= date(2026, 4, 30)}) / len(asked) < 0.95
    )
    assert any(payment.booked_on == date(2026, 4, 30) for payment in payments)
    assert any(payment.booked_on > date(2026, 4, 30) for payment in payments)
    assert any(payment.reversal and payment.amount_cents < 0 for payment in payments)
    assert any(0 < payment.amount_cents < 10_000 for payment in payments)
    assert any(not payment.structured for payment in payments)
    assert any(payment.iban == another_account_of(owner_of(payment.stream)) for payment in payments)
    assert max(by_stream.values()) == 2
    assert any(_is_wrong(payment.communication) for payment in payments if payment.structured)
    assert len(by_stream) < len(asked)


def test_money_moves_on_bank_days_only(asked):
    payments = [
        *answers_to_invitations(asked, seed=3),
        *answers_to_registered_letters(asked, seed=3),
        *answers_to_reminders(asked, seed=3),
    ]
    assert all(is_target_day(payment.booked_on) for payment in payments)


def test_a_registered_letter_moves_about_half_in_time_and_some_too_late(asked):
    letters = [
        letter._replace(written_on=date(2026, 6, 1), pay_by=date(2026, 10, 5)) for letter in islice(asked, 2_000)
    ]
    days = [payment.booked_on for payment in answers_to_registered_letters(letters, seed=3)]
    assert 0.4 < sum(day <= date(2026, 10, 5) for day in days) / len(letters) < 0.56
    assert 0.05 < sum(date(2026, 10, 5) < day <= date(2026, 10, 15) for day in days) / len(letters) < 0.25
    assert max(days) <= date(2026, 10, 15)


def _is_wrong(communication: str) -> bool:
    try:
        Ogm.from_text(communication)
    except NotAnOgm:
        return True
    return False
