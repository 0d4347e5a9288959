"""
The member: who someone is, where they live, whether they are with CM, and since when they have the increased allowance.

What a decision needs is in the clear (year of birth, region, periods); who it is, is sealed.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from domain.events import Event
from domain.facts import Region
from domain.personal import Personal

# --- What can have happened ------------------------------------------------------------------------------------------
# These names and fields are the storage format. Add, never rename: docs/decisions/0004.


Language = Literal["nl", "fr", "de"]


class MemberRegistered(Event, frozen=True, kw_only=True):
    """
    A person became known to us. `born_on` is sealed; `birth_year` is what the rules count with (Rule: ZK-1).
    """

    birth_year: int
    language: Language
    first_name: Personal
    last_name: Personal
    national_number: Personal
    born_on: Personal


class DomicileRecorded(Event, frozen=True, kw_only=True):
    """
    The member's legal residence from a day on, until the next one.
    """

    starts_on: date
    region: Region
    street: Personal
    house_number: Personal
    box: Personal
    postcode: Personal
    town: Personal
    country: Personal


class CmMembershipStarted(Event, frozen=True, kw_only=True):
    """
    The member is with CM from that day on (Rule: ZK-9).
    """

    starts_on: date


class CmMembershipEnded(Event, frozen=True, kw_only=True):
    """
    `ends_on` is the first day without membership.
    """

    ends_on: date


class VerhoogdeTegemoetkomingGranted(Event, frozen=True, kw_only=True):
    """
    The increased allowance from `starts_on` up to, not including, `ends_on`; it may be granted late (Rule: ZP-2).
    """

    starts_on: date
    ends_on: date | None = None


class VerhoogdeTegemoetkomingEnded(Event, frozen=True, kw_only=True):
    """
    The running increased allowance stops; `ends_on` is the first day without it.
    """

    ends_on: date


class EmailAddressGiven(Event, frozen=True, kw_only=True):
    """
    An address for letters, not used before it is confirmed (Rule: ZP-15).
    """

    email: Personal


class EmailAddressConfirmed(Event, frozen=True, kw_only=True):
    """
    The member showed that the last given address is theirs.
    """

    confirmed_on: date


class BankAccountGiven(Event, frozen=True, kw_only=True):
    """
    An account that the member pays from or wants to be paid on; known for matching payments (Rule: ZP-14).
    """

    iban: Personal


class MemberDied(Event, frozen=True, kw_only=True):
    """
    The member died; no premium of a later year is due (Rule: ZP-17).
    """

    died_on: date


HappenedToMember = (
    MemberRegistered
    | DomicileRecorded
    | CmMembershipStarted
    | CmMembershipEnded
    | VerhoogdeTegemoetkomingGranted
    | VerhoogdeTegemoetkomingEnded
    | EmailAddressGiven
    | EmailAddressConfirmed
    | BankAccountGiven
    | MemberDied
)
