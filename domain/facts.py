"""
What decisions about a member's premium need to know of the member: no name, no address, nothing personal but these.

It is folded by `domain.member` and handed to other aggregates by the caller, so that aggregates do not know each other.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from domain.dates import Period

Region = Literal["flanders", "brussels", "wallonia", "abroad"]


class Residence(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """
    Where the member lives from a day on, until the next residence starts.
    """

    starts_on: date
    region: Region


class MemberFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The member as the rules see them. Periods are half-open; residences are in order of their first day.
    """

    birth_year: int | None = None
    residences: tuple[Residence, ...] = ()
    cm_membership: tuple[Period, ...] = ()
    verhoogde_tegemoetkoming: tuple[Period, ...] = ()
    died_on: date | None = None

    def region_on(self, day: date) -> Region | None:
        region: Region | None = None
        for residence in self.residences:
            if residence.starts_on <= day:
                region = residence.region
        return region

    def is_cm_member_on(self, day: date) -> bool:
        return any(day in period for period in self.cm_membership)

    def has_died_by(self, day: date) -> bool:
        return self.died_on is not None and self.died_on <= day

    def had_verhoogde_tegemoetkoming_on(self, day: date) -> bool:
        return any(day in period for period in self.verhoogde_tegemoetkoming)
