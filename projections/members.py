"""
Members, without anything that says who they are: what lists and worklists filter by.
"""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from domain import member
from domain.envelope import Envelope
from domain.ids import Kind
from projections.model import ByEvent, Fold, Row, StreamRows, Table, unmoved


class MemberRow(Row):
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
        _FOLDS[type(event)](rows, event, envelope)


def _registered(rows: StreamRows, event: member.MemberRegistered, _envelope: Envelope) -> None:
    rows.put(MEMBER, MemberRow(rows.stream, event.birth_year, event.language))


def _domiciled(rows: StreamRows, event: member.DomicileRecorded, _envelope: Envelope) -> None:
    row = rows.known(MEMBER)
    if row and (row.region_since is None or event.starts_on >= row.region_since):
        row.region = event.region
        row.region_since = event.starts_on


def _joined(rows: StreamRows, _event: member.CmMembershipStarted, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.cm_member = True


def _left(rows: StreamRows, _event: member.CmMembershipEnded, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.cm_member = False


def _increased(rows: StreamRows, event: member.VerhoogdeTegemoetkomingGranted, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.verhoogde_tegemoetkoming = event.ends_on is None


def _no_longer_increased(rows: StreamRows, _event: member.VerhoogdeTegemoetkomingEnded, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.verhoogde_tegemoetkoming = False


def _email_given(rows: StreamRows, _event: member.EmailAddressGiven, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.email_state = "given"


def _email_confirmed(rows: StreamRows, _event: member.EmailAddressConfirmed, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.email_state = "confirmed"


def _died(rows: StreamRows, event: member.MemberDied, _envelope: Envelope) -> None:
    if row := rows.known(MEMBER):
        row.died_on = event.died_on


_FOLDS: Final = ByEvent[Fold](
    {
        member.MemberRegistered: _registered,
        member.DomicileRecorded: _domiciled,
        member.CmMembershipStarted: _joined,
        member.CmMembershipEnded: _left,
        member.VerhoogdeTegemoetkomingGranted: _increased,
        member.VerhoogdeTegemoetkomingEnded: _no_longer_increased,
        member.EmailAddressGiven: _email_given,
        member.EmailAddressConfirmed: _email_confirmed,
        member.MemberDied: _died,
    },
    otherwise=unmoved,
)
