"""
Who must, who may and who cannot be affiliated with CM-Zorgkas in a calendar year.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from domain.events import Basis
from domain.facts import MemberFacts, Region
from domain.parameters import Parameters
from domain.rules.law import whole

WhyNot = Literal["died", "birth_year_unknown", "under_age", "not_cm_member", "other_region"]


class InScope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The member must (mandatory) or may (voluntary) be affiliated.
    """

    kind: Literal["mandatory", "voluntary"]
    basis: Basis


class OutOfScope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The member is not affiliated for this year, and why.
    """

    reason: WhyNot
    basis: Basis


def scope_in(*, year: int, member: MemberFacts, as_of: date, law: Parameters) -> InScope | OutOfScope:
    """
    Return whether a member must or may be affiliated in a calendar year, as known on a day of it.

    Who lived in Flanders on any day of the year so far must be, for the whole year; who lives in Brussels may be.

    Rules: ZK-1, ZK-2, ZK-9, ZK-10, ZP-17. Law: decree of 18 May 2018, art. 42-44.
    """
    if member.has_died_by(as_of):
        return OutOfScope(reason="died", basis=Basis(rules=("ZP-17",)))
    if member.birth_year is None:
        return OutOfScope(reason="birth_year_unknown", basis=Basis(rules=("ZK-1",)))
    age_min = law["zorgpremie/age_min"].on(date(year, 1, 1))
    if year - member.birth_year < whole(age_min):
        return OutOfScope(reason="under_age", basis=Basis(rules=("ZK-1", "ZK-10"), values=(age_min,)))
    if not member.is_cm_member_on(as_of):
        return OutOfScope(reason="not_cm_member", basis=Basis(rules=("ZK-9",)))
    regions = _regions_between(member, first=date(year, 1, 1), last=as_of)
    if "flanders" in regions:
        return InScope(kind="mandatory", basis=Basis(rules=("ZK-1", "ZK-9"), values=(age_min,)))
    if "brussels" in regions:
        return InScope(kind="voluntary", basis=Basis(rules=("ZK-2", "ZK-9"), values=(age_min,)))
    return OutOfScope(reason="other_region", basis=Basis(rules=("ZK-1", "ZK-2")))


def _regions_between(member: MemberFacts, *, first: date, last: date) -> set[Region | None]:
    moved_to = {residence.region for residence in member.residences if first < residence.starts_on <= last}
    return {member.region_on(min(first, last)), *moved_to}
