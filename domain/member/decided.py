"""
What we decide about a member, each decision with its own ways to say no.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from domain.dates import Period, joined
from domain.errors import NotFound, Refused, Unreadable
from domain.facts import Region
from domain.member.happened import (
    BankAccountGiven,
    CmMembershipEnded,
    CmMembershipStarted,
    DomicileRecorded,
    EmailAddressConfirmed,
    EmailAddressGiven,
    HappenedToMember,
    Language,
    MemberDied,
    MemberRegistered,
    VerhoogdeTegemoetkomingEnded,
    VerhoogdeTegemoetkomingGranted,
)
from domain.member.remembered import MemberState
from domain.national_number import NationalNumber
from domain.payments import Iban

# --- What we decide --------------------------------------------------------------------------------------------------

_BIRTH_YEAR_MIN: Final = 1900
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]+")
_EMAIL_LENGTH_MAX: Final = 254
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


class NotRegistered(NotFound):
    """
    There is no member with this id; register the member first.
    """


class AlreadyRegistered(Refused):
    """
    This member was registered before; record what changed instead.
    """


class NameMissing(Unreadable):
    """
    A member has a first name and a last name; fill in a name, or `-` for who has only one.
    """


class ImpossibleBirth(Refused):
    """
    The day of birth lies before 1900 or after today; correct it and send it again.
    """


class NationalNumberContradictsBirth(Refused):
    """
    The national number says another birth date than the one given; find out which is right and send it again.
    """


class AddressIncomplete(Unreadable):
    """
    An address has a town, and a country as two capital letters such as BE.
    """


class RegionContradictsCountry(Refused):
    """
    Someone who lives in Belgium lives in a region of it, and someone who lives elsewhere lives abroad; correct the
    region or the country.
    """


class BeforeBirth(Refused):
    """
    This would have happened before the member's year of birth; correct the day.
    """


class AfterDeath(Refused):
    """
    This would begin after the member's death; correct the day, or the death.
    """


class EndsBeforeStart(Refused):
    """
    This would end before it started; correct the day.
    """


class CmMembershipOverlaps(Refused):
    """
    The member is or was with CM on or after that day already; end that membership first, or correct the day.
    """


class NoCmMembershipRunning(Refused):
    """
    The member has no membership of CM that could end on that day.
    """


class NoVerhoogdeTegemoetkomingRunning(Refused):
    """
    The member has no increased allowance that could end on that day.
    """


class NotAnEmailAddress(Unreadable):
    """
    An e-mail address has one @ with a name before it and a domain with a point after it.
    """


class NoEmailAddressGiven(Refused):
    """
    The member has given no e-mail address that could be confirmed.
    """

    rule = "ZP-15"


class OtherDeathRecorded(Refused):
    """
    Another day of death was recorded before; find out which is right.
    """


class DeathToCome(Refused):
    """
    A day of death cannot lie in the future; correct it.
    """


def register(
    state: MemberState,
    *,
    first_name: str,
    last_name: str,
    national_number: NationalNumber | None,
    born_on: date,
    language: Language,
    as_of: date,
) -> list[HappenedToMember]:
    """
    Register a person. `national_number` is None for who has none yet.

    Raises AlreadyRegistered, NameMissing, ImpossibleBirth, NationalNumberContradictsBirth.
    """
    if state.is_registered:
        raise AlreadyRegistered
    if not first_name.strip() or not last_name.strip():
        raise NameMissing
    if born_on.year < _BIRTH_YEAR_MIN or born_on > as_of:
        raise ImpossibleBirth
    if national_number is not None and not _may_be_born_on(national_number, born_on):
        raise NationalNumberContradictsBirth
    return [
        MemberRegistered(
            birth_year=born_on.year,
            language=language,
            first_name=first_name.strip(),
            last_name=last_name.strip(),
            national_number=str(national_number or ""),
            born_on=born_on.isoformat(),
        )
    ]


def _may_be_born_on(national_number: NationalNumber, born_on: date) -> bool:
    says = national_number.birth_date
    return says.year in {None, born_on.year} and says.month in {None, born_on.month} and says.day in {None, born_on.day}


def record_domicile(
    state: MemberState,
    *,
    starts_on: date,
    region: Region,
    street: str,
    house_number: str,
    box: str,
    postcode: str,
    town: str,
    country: str,
) -> list[HappenedToMember]:
    """
    Record where the member lives from a day on, also late; the same first day again replaces what stood there.

    We remember no address, so the same address again is an event again; a command sent twice is stopped by its id.
    Raises NotRegistered, AddressIncomplete, RegionContradictsCountry, BeforeBirth, AfterDeath.
    """
    _must_be_possible_on(state, starts_on)
    if not town.strip() or not _COUNTRY.fullmatch(country):
        raise AddressIncomplete
    if (country == "BE") == (region == "abroad"):
        raise RegionContradictsCountry(region=region)
    return [
        DomicileRecorded(
            starts_on=starts_on,
            region=region,
            street=street.strip(),
            house_number=house_number.strip(),
            box=box.strip(),
            postcode=postcode.strip(),
            town=town.strip(),
            country=country,
        )
    ]


def start_cm_membership(state: MemberState, *, starts_on: date) -> list[HappenedToMember]:
    """
    Start the membership of CM, without which nobody affiliates with CM-Zorgkas (Rule: ZK-9).

    Raises NotRegistered, BeforeBirth, AfterDeath, CmMembershipOverlaps.
    """
    _must_be_possible_on(state, starts_on)
    if Period(start=starts_on) in state.facts.cm_membership:
        return []
    if any(period.end is None or period.end > starts_on for period in state.facts.cm_membership):
        raise CmMembershipOverlaps(starts_on=starts_on)
    return [CmMembershipStarted(starts_on=starts_on)]


def end_cm_membership(state: MemberState, *, ends_on: date) -> list[HappenedToMember]:
    """
    End the running membership; `ends_on` is the first day without it. Raises NotRegistered, NoCmMembershipRunning,
    EndsBeforeStart.
    """
    _must_be_registered(state)
    if not state.facts.cm_membership:
        raise NoCmMembershipRunning
    running = state.facts.cm_membership[-1]
    if running.end == ends_on:
        return []
    if running.end is not None:
        raise NoCmMembershipRunning
    if ends_on < running.start:
        raise EndsBeforeStart(ends_on=ends_on)
    return [CmMembershipEnded(ends_on=ends_on)]


def grant_verhoogde_tegemoetkoming(
    state: MemberState, *, starts_on: date, ends_on: date | None = None
) -> list[HappenedToMember]:
    """
    Grant the increased allowance, also with effect in the past; it decides the premium of the year after (Rule: ZP-2).

    Days that the member had it already may be among them; when all were, nothing happens. Raises NotRegistered,
    BeforeBirth, AfterDeath, EndsBeforeStart.
    """
    _must_be_possible_on(state, starts_on)
    if ends_on is not None and ends_on <= starts_on:
        raise EndsBeforeStart(ends_on=ends_on)
    had = state.facts.verhoogde_tegemoetkoming
    if joined(had, Period(start=starts_on, end=ends_on)) == had:
        return []
    return [VerhoogdeTegemoetkomingGranted(starts_on=starts_on, ends_on=ends_on)]


def end_verhoogde_tegemoetkoming(state: MemberState, *, ends_on: date) -> list[HappenedToMember]:
    """
    End the latest increased allowance earlier than it would; `ends_on` is the first day without it.

    Raises NotRegistered, NoVerhoogdeTegemoetkomingRunning, EndsBeforeStart.
    """
    _must_be_registered(state)
    if not state.facts.verhoogde_tegemoetkoming:
        raise NoVerhoogdeTegemoetkomingRunning
    latest = state.facts.verhoogde_tegemoetkoming[-1]
    if latest.end == ends_on:
        return []
    if latest.end is not None and latest.end < ends_on:
        raise NoVerhoogdeTegemoetkomingRunning
    if ends_on < latest.start:
        raise EndsBeforeStart(ends_on=ends_on)
    return [VerhoogdeTegemoetkomingEnded(ends_on=ends_on)]


def give_email_address(state: MemberState, *, email: str) -> list[HappenedToMember]:
    """
    Note an address; letters go to it only once it is confirmed (Rule: ZP-15). Raises NotRegistered, NotAnEmailAddress.
    """
    _must_be_registered(state)
    address = email.strip()
    if len(address) > _EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(address):
        raise NotAnEmailAddress
    return [EmailAddressGiven(email=address)]


def confirm_email_address(state: MemberState, *, confirmed_on: date) -> list[HappenedToMember]:
    """
    Note that the last given address is the member's. Raises NotRegistered, NoEmailAddressGiven.
    """
    _must_be_registered(state)
    if state.email == "none":
        raise NoEmailAddressGiven
    return [] if state.email == "confirmed" else [EmailAddressConfirmed(confirmed_on=confirmed_on)]


def give_bank_account(state: MemberState, *, iban: Iban) -> list[HappenedToMember]:
    """
    Note an account of the member; earlier ones stay known for matching payments (Rule: ZP-14). Raises NotRegistered.
    """
    _must_be_registered(state)
    return [BankAccountGiven(iban=str(iban))]


def record_death(state: MemberState, *, died_on: date, as_of: date) -> list[HappenedToMember]:
    """
    Record the death, once. Raises NotRegistered, BeforeBirth, DeathToCome, OtherDeathRecorded.
    """
    _must_be_registered(state)
    if state.facts.died_on == died_on:
        return []
    if state.facts.died_on is not None:
        raise OtherDeathRecorded
    if died_on > as_of:
        raise DeathToCome
    _must_be_possible_on(state, died_on)
    return [MemberDied(died_on=died_on)]


def _must_be_registered(state: MemberState) -> None:
    if not state.is_registered:
        raise NotRegistered


def _must_be_possible_on(state: MemberState, day: date) -> None:
    _must_be_registered(state)
    facts = state.facts
    if facts.birth_year is not None and day.year < facts.birth_year:
        raise BeforeBirth
    if facts.died_on is not None and day > facts.died_on:
        raise AfterDeath
