"""
What we remember of a member: only what decisions need, and nothing that says who it is.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from domain.catalogue import Aggregate
from domain.dates import Period, cut_off, joined
from domain.facts import MemberFacts, Residence
from domain.ids import Kind
from domain.member.happened import (
    BankAccountGiven,
    CmMembershipEnded,
    CmMembershipStarted,
    DomicileRecorded,
    EmailAddressConfirmed,
    EmailAddressGiven,
    HappenedToMember,
    MemberDied,
    MemberRegistered,
    VerhoogdeTegemoetkomingEnded,
    VerhoogdeTegemoetkomingGranted,
)

# --- What we remember of it ------------------------------------------------------------------------------------------


class MemberState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The member as decisions need it; nothing in it says who it is. `facts` is what other aggregates are told.
    """

    facts: MemberFacts = MemberFacts()
    email: Literal["none", "given", "confirmed"] = "none"

    @property
    def is_registered(self) -> bool:
        return self.facts.birth_year is not None


def evolve(state: MemberState, event: HappenedToMember) -> MemberState:
    """
    Remember one event.
    """
    match event:
        case EmailAddressGiven():
            return replace(state, email="given")
        case EmailAddressConfirmed():
            return replace(state, email="confirmed")
        case BankAccountGiven():
            return state
        case _:
            return replace(state, facts=_facts_after(state.facts, event))


def _facts_after(
    facts: MemberFacts,
    event: MemberRegistered
    | DomicileRecorded
    | CmMembershipStarted
    | CmMembershipEnded
    | VerhoogdeTegemoetkomingGranted
    | VerhoogdeTegemoetkomingEnded
    | MemberDied,
) -> MemberFacts:
    allowance = facts.verhoogde_tegemoetkoming
    match event:
        case MemberRegistered(birth_year=birth_year):
            return replace(facts, birth_year=birth_year)
        case DomicileRecorded(starts_on=starts_on, region=region):
            return replace(facts, residences=_moved(facts.residences, Residence(starts_on, region)))
        case CmMembershipStarted(starts_on=starts_on):
            return replace(facts, cm_membership=joined(facts.cm_membership, Period(start=starts_on)))
        case CmMembershipEnded(ends_on=ends_on):
            return replace(facts, cm_membership=cut_off(facts.cm_membership, ends_on))
        case VerhoogdeTegemoetkomingGranted(starts_on=starts_on, ends_on=ends_on):
            return replace(facts, verhoogde_tegemoetkoming=joined(allowance, Period(start=starts_on, end=ends_on)))
        case VerhoogdeTegemoetkomingEnded(ends_on=ends_on):
            return replace(facts, verhoogde_tegemoetkoming=cut_off(allowance, ends_on))
        case MemberDied(died_on=died_on):
            return replace(facts, died_on=died_on)


def _moved(residences: tuple[Residence, ...], to: Residence) -> tuple[Residence, ...]:
    others = (residence for residence in residences if residence.starts_on != to.starts_on)
    return tuple(sorted((*others, to), key=lambda residence: residence.starts_on))


MEMBER: Final = Aggregate[MemberState, HappenedToMember](
    context="members",
    kind=Kind.MEMBER,
    happened=HappenedToMember,
    initial=MemberState(),
    evolve=evolve,
    fold_version=1,
)
