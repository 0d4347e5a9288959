"""
Members, without anything that says who they are: what lists and worklists filter by.
"""

from __future__ import annotations

from datetime import date
from typing import cast
from uuid import UUID

from msgspec.structs import replace

from domain import member
from domain.envelope import Envelope
from domain.ids import Kind
from projections.model import Row, StreamRows, Table


class MemberRow(Row, frozen=True):
    """
    One member as last heard of. `email_state` is none, given or confirmed (Rule: ZP-15).
    """

    stream: UUID
    birth_year: int
    language: str
    region: str | None = None
    region_since: date | None = None
    cm_member: bool = False
    verhoogde_tegemoetkoming: bool = False
    email_state: str = "none"
    died_on: date | None = None


MEMBER = Table(
    name="member",
    row=MemberRow,
    columns="""
    stream uuid NOT NULL, birth_year integer NOT NULL, language text NOT NULL, region text, region_since date,
    cm_member boolean NOT NULL, verhoogde_tegemoetkoming boolean NOT NULL, email_state text NOT NULL, died_on date""",
    key=("stream",),
)


class Members:
    name = "members"
    version = 1
    kinds = frozenset({Kind.MEMBER})
    tables = (MEMBER,)
    reads_personal = False

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        event = envelope.event
        if isinstance(event, member.MemberRegistered):
            rows.put("member", MemberRow(envelope.stream, event.birth_year, event.language))
            return
        row = cast(MemberRow | None, rows.get("member"))
        if row is not None:
            rows.put("member", _changed(row, event))


def _changed(row: MemberRow, event: object) -> MemberRow:
    match event:
        case member.DomicileRecorded() if row.region_since is None or event.starts_on >= row.region_since:
            return replace(row, region=event.region, region_since=event.starts_on)
        case member.CmMembershipStarted():
            return replace(row, cm_member=True)
        case member.CmMembershipEnded():
            return replace(row, cm_member=False)
        case member.VerhoogdeTegemoetkomingGranted():
            return replace(row, verhoogde_tegemoetkoming=event.ends_on is None)
        case member.VerhoogdeTegemoetkomingEnded():
            return replace(row, verhoogde_tegemoetkoming=False)
        case member.EmailAddressGiven():
            return replace(row, email_state="given")
        case member.EmailAddressConfirmed():
            return replace(row, email_state="confirmed")
        case member.MemberDied():
            return replace(row, died_on=event.died_on)
        case _:
            return row
