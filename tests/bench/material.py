"""
What is measured with: affiliations as they are after years of premiums, made from a seed, the same every time.

The events have the shapes, bases and sizes of real ones; ids rise, as those of members do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from application.ports import Change
from domain import member as m
from domain.envelope import Commit
from domain.events import Basis, Used
from domain.ids import Kind, MemberId, StreamId, belonging_to, derived_key, new_member_id, owner_of
from domain.money import Cents
from domain.payments import Ogm
from domain.zorgkas_affiliation import (
    AFFILIATION,
    AffiliationOpened,
    AffiliationState,
    Allocation,
    HappenedToAffiliation,
    InvitationIssued,
    PaymentReceived,
    YearMissed,
    ZorgpremieCharged,
)

ACCOUNT = "BE72777594206316"
CENTS = {2020: 5300, 2021: 5400, 2022: 5400, 2023: 5800, 2024: 6200, 2025: 6400, 2026: 10000}
_FIRST_MS = 1_577_836_800_000  # 1 January 2020


class History(NamedTuple):
    """
    One affiliation: its stream and everything that happened to it.
    """

    stream: StreamId
    events: list[HappenedToAffiliation]


def members(count: int, *, seed: int) -> list[MemberId]:
    """
    Return member ids, rising, one every ten seconds since 2020.
    """
    of = random.Random(seed)
    return [new_member_id(moment_ms=_FIRST_MS + number * 10_000, randomness=of.randbytes) for number in range(count)]


def affiliation_of(member: UUID) -> StreamId:
    return belonging_to(member, Kind.ZORGKAS_AFFILIATION)


def member_stream(member: UUID) -> StreamId:
    return belonging_to(member, Kind.MEMBER)


def member_of(stream: UUID) -> MemberId:
    return owner_of(stream)


# --- Events ------------------------------------------------------------------------------------------------------------

_OPENED = Basis(rules=("ZK-1", "ZK-9", "ZK-12"), values=(Used("zorgpremie/age_min", date(2002, 1, 1), 26),))
_CHARGED = {
    year: Basis(
        rules=("ZP-1", "ZP-2", "ZP-3", "ZP-5", "ZP-18"),
        values=(
            Used("zorgpremie/gewoon", date(year, 1, 1), cents),
            Used("zorgpremie/due_by", date(2019, 1, 1), "04-30"),
        ),
    )
    for year, cents in CENTS.items()
}
_INVITED = Basis(
    rules=("ZP-3", "ZP-4", "ZP-5", "ZK-12"), values=(Used("zorgpremie/account", date(2019, 1, 1), ACCOUNT),)
)
_PAID = Basis(rules=("ZP-14", "ZP-16", "ZB-1"))


def opened(year: int) -> AffiliationOpened:
    return AffiliationOpened(kind="mandatory", from_year=year, basis=_OPENED)


def charged(year: int) -> ZorgpremieCharged:
    return ZorgpremieCharged(
        year=year, amount_cents=Cents(CENTS[year]), reduced=False, due_on=date(year, 4, 30), basis=_CHARGED[year]
    )


def invited(year: int, number: int) -> InvitationIssued:
    return InvitationIssued(
        year=year,
        letter_id=derived_key("letter", str(year), str(number)),
        amount_cents=Cents(CENTS[year]),
        ogm=str(Ogm.from_base(1 + (year - 2020) * 100_000_000 + number)),
        account=ACCOUNT,
        due_on=date(year, 4, 30),
        issued_on=date(year, 1, 20),
        basis=_INVITED,
    )


def paid(year: int, number: int) -> PaymentReceived:
    movement = StreamId(UUID(int=derived_key("movement", str(year), str(number)).int & ~0xFFFFFF | 0x410000))
    return PaymentReceived(
        movement=movement,
        amount_cents=Cents(CENTS[year]),
        value_date=date(year, 3, 1 + number % 28),
        booked_on=date(year, 3, 1 + number % 28),
        matched_by="ogm",
        allocations=(Allocation(year, Cents(CENTS[year])),),
        credit_cents=Cents(0),
        payer_iban="BE68539007547034",
        basis=_PAID,
    )


def missed(year: int) -> YearMissed:
    return YearMissed(
        year=year, missed_on=date(year, 4, 30), open_cents=Cents(CENTS[year]), basis=Basis(rules=("ZB-1", "ZP-5"))
    )


def twenty(number: int) -> list[HappenedToAffiliation]:
    """
    Return twenty events: six years charged, asked and paid, and 2026 charged. Three in ten have paid 2026 too.
    """
    if number % 10 < 3:
        earlier = [charged(2020), paid(2020, number)]
        later = [
            event for year in range(2021, 2026) for event in (charged(year), invited(year, number), paid(year, number))
        ]
        return [opened(2020), *earlier, *later, charged(2026), paid(2026, number)]
    years = [
        event for year in range(2020, 2026) for event in (charged(year), invited(year, number), paid(year, number))
    ]
    return [opened(2020), *years, charged(2026)]


def histories(ids: Sequence[MemberId]) -> list[History]:
    return [History(affiliation_of(member), twenty(number)) for number, member in enumerate(ids)]


def asked(ids: Sequence[MemberId], year: int) -> list[History]:
    """
    Return the two events that a run of invitations records for each.
    """
    return [
        History(affiliation_of(member), [charged(year), invited(year, number)]) for number, member in enumerate(ids)
    ]


def person(number: int) -> list[m.HappenedToMember]:
    """
    Return a member as registered: born, lives in Flanders, with CM.
    """
    born = date(1940 + number % 60, 3, 4)
    return [
        m.MemberRegistered(
            birth_year=born.year, language="nl", first_name="An", last_name=f"Peeters {number}", national_number="",
            born_on=born.isoformat(),
        ),
        m.DomicileRecorded(
            starts_on=date(2010, 1, 1), region="flanders", street="Kerkstraat", house_number=str(1 + number % 300), box="",
            postcode="9000", town="Gent", country="BE",
        ),
        m.CmMembershipStarted(starts_on=date(2010, 1, 1)),
    ]  # fmt: skip


# --- To the store ------------------------------------------------------------------------------------------------------


def changes(of: Sequence[History], *, after: int = 0) -> list[Change[AffiliationState, HappenedToAffiliation]]:
    """
    Return the histories as changes of streams that stand at version `after`, with their states folded.
    """
    return [Change(stream, after, events, AFFILIATION.fold(events)) for stream, events in of]


def commit_of(*facts: object, cause: str = "bench") -> Commit:
    return Commit(
        command_id=derived_key("bench", *map(str, facts)), actor="bench", business_date=date(2026, 1, 20), cause=cause
    )


def batches(items: Sequence[History], size: int) -> Iterator[Sequence[History]]:
    """
    Give the histories in batches of about `size` events.
    """
    batch: list[History] = []
    events = 0
    for item in items:
        batch.append(item)
        events += len(item.events)
        if events >= size:
            yield batch
            batch, events = [], 0
    if batch:
        yield batch
