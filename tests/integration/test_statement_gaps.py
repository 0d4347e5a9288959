"""
A bank file that waits for a statement that never comes: given up, or let through at the word of two people.
"""

from __future__ import annotations

from datetime import date

import pytest

from adapters.postgres.database import OWNER
from adapters.postgres.proofs import cents_agree
from application.chain_views import gaps_of, obstacle
from application.statement_gaps import StatementGaps
from application.take_commands import Sender
from domain.bank_account import BANK_ACCOUNT, NothingWaits
from domain.payments import bank_account_id
from tests.integration.test_money_in import (
    assert_every_cent_has_a_place,
    fund,  # noqa: F401  a fixture
    open_cents,
)
from tests.world import OUR_ACCOUNT, paid

DAY = date(2025, 3, 7)
ACCOUNT = bank_account_id(OUR_ACCOUNT)


def desk(world, actor="ann"):
    return StatementGaps(world.backoffice.money_in, ACCOUNT, Sender(actor, DAY, "desk"))


def standing(world):
    state = world.backoffice.store.load(BANK_ACCOUNT, [ACCOUNT])[ACCOUNT].state
    return state, [each.event for each in world.backoffice.store.history(ACCOUNT)]


def gaps(world):
    return [(gap.state, gap.difference_cents) for gap in gaps_of(*standing(world))]


def kept_files(world):
    return world.rows("SELECT count(*) FROM waiting_files")[0][0]


@pytest.fixture
def waiting(fund):  # noqa: F811
    """
    Statements 1, 3 and 4 are here, 2 is not; three members paid in 1, 2 and 3.
    """
    fund.statements = [
        fund.coda(fund.statement(date(2025, 3, 2 + n), [paid(ogm, 6400, value_date=date(2025, 3, 2 + n))]))
        for n, ogm in enumerate(fund.ogms, start=1)
    ]
    fund.statements.append(fund.coda(fund.statement(date(2025, 3, 6), [])))
    for place in (0, 2, 3):
        fund.take(fund.statements[place], on=DAY)
    return fund


def test_a_file_that_was_given_up_is_deleted_and_can_be_handed_in_again(waiting):
    assert kept_files(waiting) == 2
    desk(waiting).discard(year=2025, number=3, reason="a new file comes", accounts=[ACCOUNT])
    waiting.backoffice.catch_up()
    assert kept_files(waiting) == 1
    states = "SELECT number, state FROM rm_bank.statement ORDER BY number"
    assert waiting.rows(states) == [(1, "taken"), (3, "discarded"), (4, "held")]
    with pytest.raises(NothingWaits):
        desk(waiting).discard(year=2025, number=3, reason="a new file comes", accounts=[ACCOUNT])
    (again,) = waiting.take(waiting.statements[2], on=DAY)
    assert (again.state, again.waits_for) == ("waiting", "2025/2")
    reports = waiting.take(waiting.statements[1], on=DAY)
    assert [(report.number, report.state) for report in reports] == [(2, "taken"), (3, "taken"), (4, "taken")]
    assert kept_files(waiting) == 0
    assert_every_cent_has_a_place(waiting)


def test_a_gap_that_two_people_stand_by_lets_the_files_through_and_shows_its_difference(waiting):
    assert obstacle(standing(waiting)[0]).missing == "2025/2"
    assert desk(waiting).accept(year=2025, number=3, opening_cents=None, reason="the bank has no 2") == []
    assert gaps(waiting) == [("to_approve", 6400)]
    reports = desk(waiting, "bob").approve(year=2025, number=3)
    assert [(report.number, report.state) for report in reports] == [(3, "taken"), (4, "taken")]
    waiting.backoffice.catch_up()
    assert gaps(waiting) == [("open", 6400)]
    assert kept_files(waiting) == 0
    assert [open_cents(waiting, member) for member in waiting.members] == [0, 6400, 0]
    assert_every_cent_has_a_place(waiting)


def test_the_statement_that_turns_up_after_all_gives_its_money_a_place_and_closes_the_gap(waiting):
    desk(waiting).accept(year=2025, number=3, opening_cents=None, reason="the bank has no 2")
    desk(waiting, "bob").approve(year=2025, number=3)
    (late,) = waiting.take(waiting.statements[1], on=DAY)
    assert (late.number, late.state) == (2, "taken")
    assert gaps(waiting) == [("closed", 0)]
    assert [open_cents(waiting, member) for member in waiting.members] == [0, 0, 0]
    assert_every_cent_has_a_place(waiting)


def test_a_difference_that_was_explained_stays_in_the_list_with_who_said_what(waiting):
    desk(waiting).accept(year=2025, number=3, opening_cents=None, reason="the bank has no 2")
    desk(waiting, "bob").approve(year=2025, number=3)
    desk(waiting).explain(year=2025, number=3, reason="booked on the closed account")
    (gap,) = gaps_of(*standing(waiting))
    assert (gap.state, gap.declared_by, gap.approved_by, gap.explanation) == (
        "explained", "ann", "bob", "booked on the closed account",
    )  # fmt: skip


def chain_check(world):
    checks = cents_agree(world.backoffice.database, world.backoffice.store)
    (check,) = [check for check in checks if check.name == "statements follow each other"]
    return check.ok, check.sentence


def test_doctor_finds_nothing_wrong_with_a_gap_that_two_people_stand_by_and_still_sees_another(waiting):
    desk(waiting).accept(year=2025, number=3, opening_cents=None, reason="the bank has no 2")
    desk(waiting, "bob").approve(year=2025, number=3)
    waiting.backoffice.catch_up()
    assert chain_check(waiting) == (
        True,
        "It holds, but for 1 that two people let through: backoffice statements list.",
    )
    with waiting.backoffice.database.connect(OWNER) as session:
        session.execute("UPDATE rm_bank.statement SET opening_cents = opening_cents + 1 WHERE number = 4")
    assert chain_check(waiting) == (False, "1 statements do not agree; run: backoffice project rebuild all")
