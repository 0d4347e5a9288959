"""
Money of 12 October that becomes known after the correction run, or only in January: the report is still taken back.
"""

from __future__ import annotations

from datetime import date

import pytest

from adapters.postgres.looking import worklists
from application import commands as c
from application.runs.today import today
from domain.ids import Kind, MemberId, belonging_to
from domain.payments import bank_movement_id
from domain.zorgkas_affiliation import AFFILIATION
from tests.builders import barcode
from tests.world import OUR_ACCOUNT, World, paid

OCTOBER_12 = paid("for two years", 12600, value_date=date(2025, 10, 12))


@pytest.fixture
def fund(database, tmp_path):
    """
    One member who paid neither 2024 nor 2025, got the letter, and was reported on 7 October 2025.
    """
    world = World(database, tmp_path, started_on=date(2024, 1, 2))
    world.member = world.register()
    for year in (2024, 2025):
        world.run("invitations", on=date(year, 1, 20))
        world.bank(date(year, 5, 2))
        world.run("deadline", on=date(year, 5, 3))
    world.run("registered_letters", on=date(2025, 6, 2))
    ((_, letter, _, _),) = world.asked("registered_letter", 2025)
    proof = c.ProveLetterPosted(
        command_id=world.command_id(), member_id=str(world.member), letter_id=letter, posted_on=date(2025, 6, 4),
        barcode=barcode(1),
    )  # fmt: skip
    assert world.give(proof, on=date(2025, 6, 5))[0].answer.outcome == "accepted"
    world.bank(date(2025, 10, 6))
    assert world.run("agency_report", on=date(2025, 10, 7)).items == 1
    return world


def allocate(world, *, number: int, on: date) -> None:
    asked = c.AllocateMovement(
        command_id=world.command_id(), member_id=str(world.member), reason="she called",
        movement_id=bank_movement_id(account=OUR_ACCOUNT, year=on.year if on.month < 3 else 2025, number=number, ordinal=1),
    )  # fmt: skip
    assert world.give(asked, on=on)[0].answer.outcome == "accepted"
    world.backoffice.catch_up()


def report_again(world, on: date) -> int:
    lists = worklists(world.backoffice.database, law=world.backoffice.law, as_of=on)
    return next(each.items for each in lists if each.name == "report-again")


def is_corrected(world, member: MemberId) -> bool:
    affiliation = belonging_to(member, Kind.ZORGKAS_AFFILIATION)
    return world.backoffice.store.load(AFFILIATION, [affiliation])[affiliation].state.letters[-1].corrected


def test_money_that_a_person_places_after_the_correction_run_is_named_and_corrected_by_another_run(fund):
    fund.bank(date(2025, 10, 15), [OCTOBER_12])
    assert fund.run("agency_correction", on=date(2025, 10, 17)).items == 0
    assert report_again(fund, date(2025, 11, 20)) == 0

    allocate(fund, number=3, on=date(2025, 11, 20))
    assert report_again(fund, date(2025, 11, 20)) == 1
    assert fund.run("agency_correction", on=date(2025, 11, 21)).items == 1

    assert report_again(fund, date(2025, 11, 21)) == 0
    assert is_corrected(fund, fund.member)


def test_a_statement_of_october_that_comes_in_january_still_takes_the_report_back(fund):
    def line_of_2025(on: date):
        lines = today(fund.backoffice.runs, as_of=on, since=date(2024, 1, 2))
        return next((each for each in lines if (each.job, each.year) == ("agency_correction", 2025)), None)

    assert line_of_2025(date(2026, 1, 9)).status == "waiting"
    fund.bank(date(2025, 10, 15), [OCTOBER_12], known_on=date(2026, 1, 10))
    allocate(fund, number=3, on=date(2025, 12, 31))
    assert line_of_2025(date(2026, 1, 11)).status == "late"
    assert fund.run("agency_correction", on=date(2026, 1, 12)).items == 1
    assert line_of_2025(date(2026, 1, 13)) is None
    assert is_corrected(fund, fund.member)
