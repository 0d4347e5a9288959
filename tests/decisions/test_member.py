"""
What is decided about a member: right events, says no, stays quiet.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import member
from domain.dates import Period, cut_off, joined
from domain.errors import BackofficeError
from domain.facts import Residence
from domain.member import MEMBER
from domain.national_number import NationalNumber
from domain.payments import Iban
from tests.decisions.given import given
from tests.table import cases

AN = {
    "first_name": "An",
    "last_name": "Peeters",
    "national_number": NationalNumber.from_text("85.07.30-033.28"),
    "born_on": date(1985, 7, 30),
    "language": "nl",
    "as_of": date(2026, 1, 5),
}
REGISTERED = member.MemberRegistered(
    birth_year=1985,
    language="nl",
    first_name="An",
    last_name="Peeters",
    national_number="85073003328",
    born_on="1985-07-30",
)
HASSELT = {
    "starts_on": date(2020, 3, 1),
    "region": "flanders",
    "street": "Grote Markt",
    "house_number": "1",
    "box": "",
    "postcode": "3500",
    "town": "Hasselt",
    "country": "BE",
}
WITH_CM = member.CmMembershipStarted(starts_on=date(2010, 1, 1))
DIED = member.MemberDied(died_on=date(2025, 6, 1))


def granted(starts_on: date, ends_on: date | None = None) -> member.VerhoogdeTegemoetkomingGranted:
    return member.VerhoogdeTegemoetkomingGranted(starts_on=starts_on, ends_on=ends_on)


def test_a_person_is_registered_with_the_year_of_birth_in_the_clear() -> None:
    given(MEMBER).when(member.register, **AN).then(REGISTERED)


def test_who_has_no_national_number_yet_is_registered_without_one() -> None:
    events = member.register(MEMBER.initial, **(AN | {"national_number": None}))
    assert [event.national_number for event in events if isinstance(event, member.MemberRegistered)] == [""]


def test_a_person_is_registered_once() -> None:
    given(MEMBER, REGISTERED).when(member.register, **AN).then_refused(member.AlreadyRegistered)


@cases("""
    number           born_on     fits
    85.07.30-033.28  1985-07-30  yes
    85.07.30-033.28  1985-07-31  no
    85.07.30-033.28  1985-06-30  no
    85.07.30-033.28  1984-07-30  no
    17.07.30-033.84  2017-07-30  yes   # the century follows from the check digits
    98.47.28-997.65  1998-07-28  yes   # BIS
    85.00.00-001.38  1985-11-02  yes   # the number says the year alone
    85.00.00-001.38  1986-11-02  no
    00.00.01-001.66  1972-05-04  yes   # the number says nothing
""")
def test_the_birth_date_must_be_one_that_the_national_number_may_mean(number: str, born_on: date, fits: bool) -> None:
    facts = AN | {"national_number": NationalNumber.from_text(number), "born_on": born_on}
    if fits:
        assert len(member.register(MEMBER.initial, **facts)) == 1
    else:
        given(MEMBER).when(member.register, **facts).then_refused(member.NationalNumberContradictsBirth)


@cases("""
    born_on     as_of       possible
    1899-12-31  2026-01-05  no
    1900-01-01  2026-01-05  yes
    2026-01-05  2026-01-05  yes
    2026-01-06  2026-01-05  no
""")
def test_a_birth_lies_between_1900_and_today(born_on: date, as_of: date, possible: bool) -> None:
    facts = AN | {"national_number": None, "born_on": born_on, "as_of": as_of}
    if possible:
        assert member.register(MEMBER.initial, **facts)
    else:
        given(MEMBER).when(member.register, **facts).then_refused(member.ImpossibleBirth)


@pytest.mark.parametrize("name", ["first_name", "last_name"])
def test_a_member_has_two_names(name: str) -> None:
    given(MEMBER).when(member.register, **(AN | {name: "  "})).then_refused(member.NameMissing)


@pytest.mark.parametrize(
    ("decision", "facts"),
    [
        (member.record_domicile, HASSELT),
        (member.start_cm_membership, {"starts_on": date(2010, 1, 1)}),
        (member.end_cm_membership, {"ends_on": date(2010, 1, 1)}),
        (member.grant_verhoogde_tegemoetkoming, {"starts_on": date(2010, 1, 1)}),
        (member.end_verhoogde_tegemoetkoming, {"ends_on": date(2010, 1, 1)}),
        (member.give_email_address, {"email": "an@example.be"}),
        (member.confirm_email_address, {"confirmed_on": date(2026, 1, 5)}),
        (member.give_bank_account, {"iban": Iban.from_text("BE72777594206316")}),
        (member.record_death, {"died_on": date(2025, 6, 1), "as_of": date(2026, 1, 5)}),
    ],
)
def test_nothing_is_decided_about_someone_who_is_not_registered(decision: Any, facts: dict[str, Any]) -> None:
    given(MEMBER).when(decision, **facts).then_refused(member.NotRegistered)


def test_a_domicile_counts_from_its_first_day_also_when_it_comes_late() -> None:
    ghent = HASSELT | {"starts_on": date(2024, 5, 1), "town": "Gent", "postcode": "9000"}
    brussels = HASSELT | {"starts_on": date(2022, 1, 1), "town": "Brussel", "postcode": "1000", "region": "brussels"}
    history = given(MEMBER, REGISTERED).when(member.record_domicile, **ghent).then(member.DomicileRecorded(**ghent))
    history.when(member.record_domicile, **brussels).then(member.DomicileRecorded(**brussels))
    facts = history.state.facts
    assert facts.residences == (Residence(date(2022, 1, 1), "brussels"), Residence(date(2024, 5, 1), "flanders"))
    assert [
        facts.region_on(day) for day in (date(2021, 12, 31), date(2022, 1, 1), date(2024, 4, 30), date(2024, 5, 1))
    ] == [
        None,
        "brussels",
        "brussels",
        "flanders",
    ]


def test_a_domicile_of_the_same_first_day_replaces_the_earlier_one() -> None:
    wrong, right = HASSELT | {"region": "wallonia"}, HASSELT
    state = MEMBER.fold([REGISTERED, member.DomicileRecorded(**wrong), member.DomicileRecorded(**right)])
    assert state.facts.residences == (Residence(date(2020, 3, 1), "flanders"),)


@cases("""
    region    country  outcome
    flanders  BE       -
    abroad    NL       -
    abroad    BE       RegionContradictsCountry
    flanders  NL       RegionContradictsCountry
    flanders  Belgium  AddressIncomplete
    flanders  be       AddressIncomplete
""")
def test_region_and_country_do_not_contradict_each_other(region: str, country: str, outcome: str | None) -> None:
    moved = given(MEMBER, REGISTERED).when(member.record_domicile, **(HASSELT | {"region": region, "country": country}))
    if outcome is None:
        assert len(moved.decide()) == 1
    else:
        facts = {"region": region} if outcome == "RegionContradictsCountry" else {}
        moved.then_refused(getattr(member, outcome), **facts)


def test_an_address_has_a_town() -> None:
    given(MEMBER, REGISTERED).when(member.record_domicile, **(HASSELT | {"town": " "})).then_refused(
        member.AddressIncomplete
    )


@cases("""
    starts_on   outcome
    1984-12-31  BeforeBirth
    1985-01-01  -
    2025-06-01  -
    2025-06-02  AfterDeath
""")
def test_nothing_begins_before_birth_or_after_death(starts_on: date, outcome: str | None) -> None:
    late = given(MEMBER, REGISTERED, DIED).when(member.grant_verhoogde_tegemoetkoming, starts_on=starts_on)
    if outcome is None:
        late.then(granted(starts_on))
    else:
        late.then_refused(getattr(member, outcome))


def test_membership_of_cm_starts_and_ends_once() -> None:
    ended = member.CmMembershipEnded(ends_on=date(2024, 1, 1))
    (
        given(MEMBER, REGISTERED)
        .when(member.start_cm_membership, starts_on=date(2010, 1, 1))
        .then(WITH_CM)
        .when(member.start_cm_membership, starts_on=date(2010, 1, 1))
        .then_nothing()
        .when(member.end_cm_membership, ends_on=date(2024, 1, 1))
        .then(ended)
        .when(member.end_cm_membership, ends_on=date(2024, 1, 1))
        .then_nothing()
    )


@cases("""
    day         with_cm
    2009-12-31  no
    2010-01-01  yes
    2023-12-31  yes
    2024-01-01  no
    2025-01-01  yes
""")
def test_a_member_is_with_cm_from_the_first_day_up_to_the_end(day: date, with_cm: bool) -> None:
    back = member.CmMembershipStarted(starts_on=date(2025, 1, 1))
    state = MEMBER.fold([REGISTERED, WITH_CM, member.CmMembershipEnded(ends_on=date(2024, 1, 1)), back])
    assert state.facts.is_cm_member_on(day) is with_cm


@cases("""
    starts_on   outcome
    2009-01-01  overlaps
    2015-01-01  overlaps
    2023-12-31  overlaps
    2024-01-01  starts
""")
def test_a_second_membership_starts_after_the_first(starts_on: date, outcome: str) -> None:
    ended = member.CmMembershipEnded(ends_on=date(2024, 1, 1))
    again = given(MEMBER, REGISTERED, WITH_CM, ended).when(member.start_cm_membership, starts_on=starts_on)
    if outcome == "starts":
        again.then(member.CmMembershipStarted(starts_on=starts_on))
    else:
        again.then_refused(member.CmMembershipOverlaps, starts_on=starts_on)


def test_a_membership_that_does_not_run_cannot_end() -> None:
    given(MEMBER, REGISTERED).when(member.end_cm_membership, ends_on=date(2024, 1, 1)).then_refused(
        member.NoCmMembershipRunning
    )
    ended = member.CmMembershipEnded(ends_on=date(2024, 1, 1))
    given(MEMBER, REGISTERED, WITH_CM, ended).when(member.end_cm_membership, ends_on=date(2025, 1, 1)).then_refused(
        member.NoCmMembershipRunning
    )


def test_a_membership_cannot_end_before_it_started() -> None:
    given(MEMBER, REGISTERED, WITH_CM).when(member.end_cm_membership, ends_on=date(2009, 12, 31)).then_refused(
        member.EndsBeforeStart, ends_on=date(2009, 12, 31)
    )


def test_a_membership_that_ends_on_its_first_day_never_was() -> None:
    state = MEMBER.fold([REGISTERED, WITH_CM, member.CmMembershipEnded(ends_on=date(2010, 1, 1))])
    assert not state.facts.is_cm_member_on(date(2010, 1, 1))


HAD_2024 = granted(date(2024, 1, 1), date(2025, 1, 1))


@cases("""
    starts_on   ends_on     result
    2024-01-01  2025-01-01  nothing      # the same fact again
    2024-03-01  2024-04-01  nothing      # within what was known
    2023-01-01  2024-01-01  granted      # late, and it meets what was known
    2024-06-01  2026-01-01  granted      # overlaps
    2026-01-01  -           granted
    2026-01-01  2026-01-01  no_days
    2026-01-01  2025-12-31  no_days
""")
def test_the_increased_allowance_is_granted_late_overlapping_or_again(
    starts_on: date, ends_on: date | None, result: str
) -> None:
    again = given(MEMBER, REGISTERED, HAD_2024).when(
        member.grant_verhoogde_tegemoetkoming, starts_on=starts_on, ends_on=ends_on
    )
    match result:
        case "nothing":
            again.then_nothing()
        case "granted":
            again.then(granted(starts_on, ends_on))
        case _:
            again.then_refused(member.EndsBeforeStart, ends_on=ends_on)


def test_allowances_that_meet_are_one() -> None:
    state = MEMBER.fold([REGISTERED, HAD_2024, granted(date(2023, 1, 1), date(2024, 1, 1))])
    assert state.facts.verhoogde_tegemoetkoming == (Period(start=date(2023, 1, 1), end=date(2025, 1, 1)),)


@cases("""
    ends_on     result
    2022-12-31  EndsBeforeStart
    2023-01-01  ended                # taken back from its first day
    2024-06-01  ended
    2025-01-01  nothing              # it ended on that day already
    2025-01-02  NoVerhoogdeTegemoetkomingRunning
""")
def test_the_latest_allowance_ends_earlier_and_never_later(ends_on: date, result: str) -> None:
    ending = given(MEMBER, REGISTERED, granted(date(2023, 1, 1), date(2025, 1, 1))).when(
        member.end_verhoogde_tegemoetkoming, ends_on=ends_on
    )
    match result:
        case "ended":
            ending.then(member.VerhoogdeTegemoetkomingEnded(ends_on=ends_on))
            assert not ending.state.facts.had_verhoogde_tegemoetkoming_on(ends_on)
        case "nothing":
            ending.then_nothing()
        case _:
            facts = {"ends_on": ends_on} if result == "EndsBeforeStart" else {}
            ending.then_refused(getattr(member, result), **facts)


def test_an_allowance_that_was_never_granted_cannot_end() -> None:
    given(MEMBER, REGISTERED).when(member.end_verhoogde_tegemoetkoming, ends_on=date(2024, 1, 1)).then_refused(
        member.NoVerhoogdeTegemoetkomingRunning
    )


@cases("""
    day         had
    2022-12-31  no
    2023-01-01  yes
    2024-12-31  yes
    2025-01-01  no
""")
def test_the_allowance_of_a_day(day: date, had: bool) -> None:
    state = MEMBER.fold(
        [REGISTERED, granted(date(2023, 1, 1)), member.VerhoogdeTegemoetkomingEnded(ends_on=date(2025, 1, 1))]
    )
    assert state.facts.had_verhoogde_tegemoetkoming_on(day) is had


def test_an_e_mail_address_counts_once_it_is_confirmed_and_a_new_one_must_be_confirmed_again() -> None:
    confirmed = member.EmailAddressConfirmed(confirmed_on=date(2026, 1, 5))
    history = (
        given(MEMBER, REGISTERED)
        .when(member.confirm_email_address, confirmed_on=date(2026, 1, 5))
        .then_refused(member.NoEmailAddressGiven)
        .when(member.give_email_address, email=" an@example.be ")
        .then(member.EmailAddressGiven(email="an@example.be"))
        .when(member.confirm_email_address, confirmed_on=date(2026, 1, 5))
        .then(confirmed)
        .when(member.confirm_email_address, confirmed_on=date(2026, 1, 6))
        .then_nothing()
    )
    assert history.state.email == "confirmed"
    history.when(member.give_email_address, email="an@example.com").then(
        member.EmailAddressGiven(email="an@example.com")
    )
    assert history.state.email == "given"


@pytest.mark.parametrize(
    "email",
    ["", "an", "an@", "@example.be", "an@example", "an@@example.be", "an peeters@example.be", "a@b." + "c" * 260],
)
def test_what_is_no_e_mail_address_is_refused_without_repeating_it(email: str) -> None:
    given(MEMBER, REGISTERED).when(member.give_email_address, email=email).then_refused(member.NotAnEmailAddress)


def test_an_account_of_the_member_is_noted() -> None:
    iban = Iban.from_text("BE72 7775 9420 6316")
    given(MEMBER, REGISTERED).when(member.give_bank_account, iban=iban).then(
        member.BankAccountGiven(iban="BE72777594206316")
    )


@cases("""
    died_on     as_of       outcome
    2025-06-01  2026-01-05  nothing
    2025-06-02  2026-01-05  OtherDeathRecorded
""")
def test_a_death_is_recorded_once(died_on: date, as_of: date, outcome: str) -> None:
    again = given(MEMBER, REGISTERED, DIED).when(member.record_death, died_on=died_on, as_of=as_of)
    if outcome == "nothing":
        again.then_nothing()
    else:
        again.then_refused(member.OtherDeathRecorded)


@cases("""
    died_on     outcome
    2026-01-05  died
    2026-01-06  DeathToCome
    1984-12-31  BeforeBirth
""")
def test_a_death_lies_between_birth_and_today(died_on: date, outcome: str) -> None:
    death = given(MEMBER, REGISTERED).when(member.record_death, died_on=died_on, as_of=date(2026, 1, 5))
    if outcome == "died":
        death.then(member.MemberDied(died_on=died_on))
    else:
        error: type[BackofficeError] = getattr(member, outcome)
        death.then_refused(error)


def test_the_state_of_a_member_holds_nothing_that_says_who_it_is() -> None:
    events = [
        *member.register(MEMBER.initial, **AN),
        member.DomicileRecorded(**HASSELT),
        member.EmailAddressGiven(email="an@example.be"),
        member.BankAccountGiven(iban="BE72777594206316"),
    ]
    remembered = repr(MEMBER.fold(events))
    for personal in (
        "An",
        "Peeters",
        "85073003328",
        "1985-07-30",
        "Grote Markt",
        "3500",
        "Hasselt",
        "example.be",
        "BE72",
    ):
        assert personal not in remembered


days = st.dates(min_value=date(2000, 1, 1), max_value=date(2002, 1, 1))
periods = st.tuples(days, st.none() | days).map(lambda pair: Period(start=pair[0], end=pair[1]))


@for_all(st.lists(periods, max_size=6), days)
def test_joined_periods_hold_exactly_the_days_of_all_in_order_and_apart(several: list[Period], day: date) -> None:
    together: tuple[Period, ...] = ()
    for period in several:
        together = joined(together, period)
    assert any(day in period for period in together) is any(day in period for period in several)
    for earlier, later in pairwise(together):
        assert earlier.end is not None
        assert earlier.start < earlier.end < later.start


@for_all(st.lists(periods, max_size=6), days, days)
def test_periods_cut_off_hold_exactly_the_days_before(several: list[Period], on: date, day: date) -> None:
    assert any(day in period for period in cut_off(several, on)) is (
        day < on and any(day in period for period in several)
    )
