"""
Money in, in orders that nobody hopes for: statements that wait for each other, a wrong one that waits, parts by hand.
"""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from application import commands as c
from application.work import Work
from domain.bank_account import BANK_ACCOUNT, BankAccountState
from domain.bank_movement import BANK_MOVEMENT, BankMovementState
from domain.envelope import Commit
from domain.ids import Kind, belonging_to, derived_key
from domain.money import Cents
from domain.payments import Movement, bank_account_id, bank_movement_id
from tests.world import OUR_ACCOUNT, World, paid

INVITED = date(2025, 1, 20)


@pytest.fixture
def fund(database, tmp_path):
    """
    Two members who were invited to pay 64.00 for 2025, and an empty first statement.
    """
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.members = sorted(world.register() for _ in range(2))
    world.run("invitations", on=INVITED)
    world.ogms = [ogm for _, _, ogm, _ in world.asked("invitation", 2025)]
    world.bank(date(2025, 3, 1))
    return world


def account_of(world, member):
    (row,) = world.rows(
        "SELECT received_cents, allocated_cents, credit_cents FROM rm_premium_account.affiliation WHERE stream = %s",
        belonging_to(member, Kind.ZORGKAS_AFFILIATION),
    )
    return row


def states(reports):
    return [(report.number, report.state) for report in reports]


def pays(world, index, day):
    return paid(world.ogms[index], 6400, value_date=day)


def test_two_statements_that_wait_follow_by_themselves_in_whatever_order_they_came(fund):
    days = [date(2025, 3, day) for day in (3, 4, 5, 6)]
    second, third, fourth, fifth = (fund.coda(fund.statement(day)) for day in days)
    for early in (fifth, third, fourth):
        assert [report.state for report in fund.take(early, on=date(2025, 3, 7))] == ["waiting"]
    assert states(fund.take(second, on=date(2025, 3, 8))) == [
        (2, "taken"), (3, "taken"), (4, "taken"), (5, "taken"),
    ]  # fmt: skip


def test_a_statement_that_waits_and_comes_again_still_waits_and_says_for_what(fund):
    fund.statement(date(2025, 3, 3))
    early = fund.coda(fund.statement(date(2025, 3, 4)))
    for day in (5, 6):
        (report,) = fund.take(early, on=date(2025, 3, day))
        assert (report.state, report.waits_for) == ("waiting", "2025/2")


def test_a_wrong_statement_that_waits_does_not_keep_the_right_one_out(fund):
    second = fund.statement(date(2025, 3, 3), [pays(fund, 0, date(2025, 3, 3))])
    third = fund.statement(date(2025, 3, 4), [pays(fund, 1, date(2025, 3, 4))])
    wrong = msgspec.structs.replace(
        third, opening_cents=Cents(third.opening_cents + 1), closing_cents=Cents(third.closing_cents + 1)
    )
    fund.take(fund.coda(wrong), on=date(2025, 3, 4))

    assert states(fund.take(fund.coda(second), on=date(2025, 3, 5))) == [(2, "taken")]
    assert states(fund.take(fund.coda(third), on=date(2025, 3, 6))) == [(3, "taken")]
    assert states(fund.take(fund.coda(fund.statement(date(2025, 3, 7))), on=date(2025, 3, 7))) == [(4, "taken")]
    assert account_of(fund, fund.members[1]) == (6400, 6400, 0)


def kept(fund):
    return fund.rows("SELECT count(*) FROM waiting_files")[0][0]


def test_a_file_that_waited_is_not_kept_after_it_was_taken_or_when_another_took_its_place(fund):
    second = fund.statement(date(2025, 3, 3), [pays(fund, 0, date(2025, 3, 3))])
    third = fund.statement(date(2025, 3, 4), [pays(fund, 1, date(2025, 3, 4))])
    fourth, fifth = fund.statement(date(2025, 3, 5)), fund.statement(date(2025, 3, 6))
    wrong = msgspec.structs.replace(
        fifth, opening_cents=Cents(fifth.opening_cents + 1), closing_cents=Cents(fifth.closing_cents + 1)
    )
    fund.take(fund.coda(third), on=date(2025, 3, 4))
    fund.take(fund.coda(wrong), on=date(2025, 3, 6))
    assert kept(fund) == 2
    assert states(fund.take(fund.coda(second), on=date(2025, 3, 6))) == [(2, "taken"), (3, "taken")]
    assert kept(fund) == 1
    assert states(fund.take(fund.coda(fourth, fifth), on=date(2025, 3, 7))) == [(4, "taken"), (5, "taken")]
    assert kept(fund) == 0


def allocate(fund, movement, member, cents=None):
    return c.AllocateMovement(
        command_id=fund.command_id(), movement_id=movement, member_id=str(member), amount_cents=cents, reason="a part"
    )


def test_two_parts_of_one_movement_for_the_same_member_are_both_theirs(fund):
    fund.bank(date(2025, 3, 3), [paid("voor An", 6400, value_date=date(2025, 3, 3))])
    movement = bank_movement_id(account=OUR_ACCOUNT, year=2025, number=2, ordinal=1)
    member = fund.members[0]

    parts = [allocate(fund, movement, member, 3000), allocate(fund, movement, member)]

    assert [each.answer.outcome for each in fund.give(*parts, on=date(2025, 3, 5))] == ["accepted", "accepted"]
    fund.backoffice.catch_up()
    assert account_of(fund, member) == (6400, 6400, 0)
    assert fund.rows("SELECT amount_cents FROM rm_payments.payment WHERE movement = %s", movement) == [(6400,)]


def test_two_parts_of_money_taken_back_from_the_same_member_undo_two_payments(fund):
    day = date(2025, 3, 3)
    fund.bank(day, [paid(fund.ogms[0], 3000, value_date=day), paid(fund.ogms[0], 2000, value_date=day)])
    back = Movement(ordinal=1, amount_cents=Cents(-5000), value_date=date(2025, 3, 6), booked_on=date(2025, 3, 6))
    fund.bank(date(2025, 3, 6), [back])
    movement = bank_movement_id(account=OUR_ACCOUNT, year=2025, number=3, ordinal=1)
    member = fund.members[0]

    parts = [allocate(fund, movement, member, -3000), allocate(fund, movement, member, -2000)]

    assert [each.answer.outcome for each in fund.give(*parts, on=date(2025, 3, 7))] == ["accepted", "accepted"]
    fund.backoffice.catch_up()
    assert fund.rows("SELECT open_cents FROM rm_bank.held_movement") == [(0,)]
    assert account_of(fund, member) == (0, 0, 0)


def test_an_account_learned_in_one_statement_of_a_file_is_known_in_the_next(fund):
    first = fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 3000, value_date=date(2025, 3, 3))])
    second = fund.statement(date(2025, 3, 4), [paid("rest", 3400, value_date=date(2025, 3, 4))])
    reports = fund.take(fund.coda(first, second), on=date(2025, 3, 5))
    assert [report.totals.held for report in reports] == [0, 0]


def test_an_account_and_a_movement_are_each_loaded_as_what_they_are(fund):
    account = bank_account_id(OUR_ACCOUNT)
    movement = bank_movement_id(account=OUR_ACCOUNT, year=2025, number=1, ordinal=1)
    looking = Commit(command_id=derived_key("look"), actor="an", business_date=INVITED, cause="test")
    with fund.backoffice.store.transaction(looking) as unit:
        work = Work(unit)
        work.load([(BANK_ACCOUNT, account), (BANK_MOVEMENT, movement)])
        assert isinstance(work.state(BANK_ACCOUNT, account), BankAccountState)
        assert isinstance(work.state(BANK_MOVEMENT, movement), BankMovementState)
