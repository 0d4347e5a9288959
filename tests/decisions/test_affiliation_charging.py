"""
Who is charged and invited, for how much, and what a late allowance changes.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain import zorgkas_affiliation as zorgkas
from domain.dates import Period
from domain.parameters import NotChecked
from domain.zorgkas_affiliation import AFFILIATION
from domain.zorgkas_affiliation import happened as h
from tests.builders import (
    ACCOUNT,
    AN_OGM,
    LAW,
    a_member,
    charged,
    fined,
    invited,
    letter_id,
    missed,
    opened,
    paid,
    reported,
    written,
)
from tests.given_when_then import given, like
from tests.table import cases

JANUARY = date(2026, 1, 20)


def invitation(**facts: Any) -> dict[str, Any]:
    usual = {"member": a_member(), "year": 2026, "as_of": JANUARY, "law": LAW, "ogm": AN_OGM, "letter_id": letter_id(1)}
    return usual | facts


def test_a_new_member_in_flanders_is_affiliated_charged_and_invited() -> None:
    events = (
        given(AFFILIATION)
        .when(zorgkas.invite, **invitation())
        .then(
            like(h.AffiliationOpened, kind="mandatory", from_year=2026),
            like(h.ZorgpremieCharged, year=2026, amount_cents=10000, reduced=False, due_on=date(2026, 4, 30)),
            like(
                h.InvitationIssued,
                year=2026,
                amount_cents=10000,
                ogm=AN_OGM,
                account=ACCOUNT,
                due_on=date(2026, 4, 30),
                issued_on=JANUARY,
            ),
        )
    )
    basis = events[1].basis  # type: ignore[attr-defined]
    assert {"ZP-1", "ZP-2", "ZP-3", "ZP-18"} <= set(basis.rules)
    assert [(used.parameter, used.value) for used in basis.values] == [
        ("zorgpremie/gewoon", 10000),
        ("zorgpremie/due_by", "04-30"),
    ]


@pytest.mark.parametrize(
    ("member", "reason", "rule"),
    [
        (a_member(birth_year=2001), "under_age", "ZK-10"),
        (a_member(region="wallonia"), "other_region", "ZK-1"),
        (a_member(region="brussels"), "not_asked", "ZK-12"),
        (a_member(cm_since=date(2026, 1, 21)), "not_cm_member", "ZK-9"),
        (a_member(died_on=date(2025, 12, 31)), "died", "ZP-17"),
        (a_member(birth_year=None), "birth_year_unknown", "ZK-1"),
    ],
)
def test_who_is_not_invited_and_why(member: Any, reason: str, rule: str) -> None:
    given(AFFILIATION).when(zorgkas.invite, **invitation(member=member)).then_passed_over(reason, rule=rule)


def test_a_year_is_invited_once() -> None:
    given(AFFILIATION, opened(), charged(2026, 10000), invited(2026, 10000)).when(
        zorgkas.invite, **invitation()
    ).then_passed_over("already_invited", rule="ZP-4")


def test_a_year_that_credit_pays_in_full_is_charged_and_not_asked() -> None:
    given(AFFILIATION, opened(), charged(2025, 6400), paid(1, date(2025, 2, 1), (2025, 6400), credit=10000)).when(
        zorgkas.invite, **invitation()
    ).then(
        like(h.ZorgpremieCharged, year=2026),
        like(h.CreditAllocated, allocations=(h.Allocation(2026, 10000),)),
    )


def test_arrears_that_the_agency_claims_with_a_fine_are_not_asked_along_until_the_fine_is_annulled() -> None:
    history = [
        *(opened(), charged(2023, 5800), missed(2023, 5800), charged(2024, 6200), missed(2024, 6200)),
        written(1, date(2024, 6, 1), (2023, 5800), (2024, 6200)),
        reported(1, date(2024, 10, 8), (2023, 5800), (2024, 6200)),
        fined(1, date(2024, 11, 20), 2023, 2024),
        charged(2025, 6400),
    ]
    given(AFFILIATION, *history).when(zorgkas.invite, **invitation()).then(
        like(h.ZorgpremieCharged), like(h.InvitationIssued, amount_cents=6400 + 10000)
    )
    annulled = h.FineFollowedUp(
        reference="fine 1", outcome="annulled", happened_on=date(2025, 3, 1), basis=opened().basis
    )
    given(AFFILIATION, *history, annulled).when(zorgkas.invite, **invitation()).then(
        like(h.ZorgpremieCharged), like(h.InvitationIssued, amount_cents=5800 + 6200 + 6400 + 10000)
    )


@cases("""
    as_of       made   # ZP-3, ZP-4: in the year itself, not after the last day to pay
    2025-12-31  no
    2026-01-01  yes
    2026-04-30  yes
    2026-05-01  no
""")
def test_when_an_invitation_can_be_made(as_of: date, made: bool) -> None:
    asked = given(AFFILIATION).when(zorgkas.invite, **invitation(as_of=as_of))
    if made:
        asked.then(like(h.AffiliationOpened), like(h.ZorgpremieCharged), like(h.InvitationIssued, issued_on=as_of))
    else:
        asked.then_refused(zorgkas.InvitationOutOfSeason, due_on=date(2026, 4, 30))


def test_a_year_without_a_checked_amount_is_refused_and_named() -> None:
    with pytest.raises(NotChecked, match="zorgpremie/"):
        zorgkas.invite(AFFILIATION.initial, **invitation(year=2027, as_of=date(2027, 1, 20)))


def test_a_member_in_brussels_joins_by_asking_and_is_invited_by_itself_the_year_after() -> None:
    brussels = a_member(region="brussels")
    given(AFFILIATION).when(zorgkas.ask_to_join, **invitation(member=brussels)).then(
        like(h.AffiliationOpened, kind="voluntary"), like(h.ZorgpremieCharged), like(h.InvitationIssued)
    )
    given(AFFILIATION, opened("voluntary"), charged(2025, 6400)).when(
        zorgkas.invite, **invitation(member=brussels)
    ).then(like(h.ZorgpremieCharged), like(h.InvitationIssued))


def test_asking_twice_is_nothing_and_asking_without_a_right_is_refused() -> None:
    given(AFFILIATION, opened("voluntary"), charged(2026, 10000)).when(
        zorgkas.ask_to_join, **invitation(member=a_member(region="brussels"))
    ).then_nothing()
    given(AFFILIATION).when(zorgkas.ask_to_join, **invitation(member=a_member(region="wallonia"))).then_refused(
        zorgkas.CannotJoin, reason="other_region"
    )


@cases("""
    as_of       due_on
    2026-04-30  2026-04-30
    2026-05-01  2026-12-31   # open question 9
""")
def test_who_asks_after_30_april_pays_by_the_end_of_the_year(as_of: date, due_on: date) -> None:
    given(AFFILIATION).when(zorgkas.ask_to_join, **invitation(member=a_member(region="brussels"), as_of=as_of)).then(
        like(h.AffiliationOpened), like(h.ZorgpremieCharged, due_on=due_on), like(h.InvitationIssued, due_on=due_on)
    )


def test_a_voluntary_member_who_moves_to_flanders_becomes_mandatory_with_the_next_invitation() -> None:
    given(AFFILIATION, opened("voluntary"), charged(2025, 6400)).when(zorgkas.invite, **invitation()).then(
        like(h.AffiliationOpened, kind="mandatory", from_year=2026), like(h.ZorgpremieCharged), like(h.InvitationIssued)
    )


def test_an_allowance_that_ended_unknown_to_us_opens_the_year_again_without_a_miss() -> None:
    given(AFFILIATION, opened(), charged(2026, 3500, reduced=True), paid(1, date(2026, 3, 1), (2026, 3500))).when(
        zorgkas.apply_late_allowance, member=a_member(), as_of=date(2026, 8, 1), law=LAW
    ).then(like(h.ZorgpremieAmountChanged, from_cents=3500, to_cents=10000, reduced=False, freed_cents=0))


def test_freed_money_goes_to_the_oldest_open_year_first_by_value_date() -> None:
    given(
        AFFILIATION,
        *(opened(), charged(2025, 6400), charged(2026, 10000)),
        paid(1, date(2025, 4, 1), (2025, 6400)),
    ).when(
        zorgkas.apply_late_allowance,
        member=a_member(allowance=[Period(start=date(2024, 1, 1), end=date(2025, 1, 1))]),
        as_of=date(2026, 3, 1),
        law=LAW,
    ).then(
        like(h.ZorgpremieAmountChanged, year=2025, to_cents=3200, freed_cents=3200),
        like(h.CreditAllocated, allocations=(h.Allocation(2026, 3200),)),
    )


def test_an_allowance_that_changes_nothing_is_nothing() -> None:
    given(AFFILIATION, opened(), charged(2026, 10000)).when(
        zorgkas.apply_late_allowance,
        member=a_member(allowance=[Period(start=date(2025, 1, 2))]),
        as_of=date(2026, 3, 1),
        law=LAW,
    ).then_nothing()
