"""
A back office with members for tests of runs: the real store, the real jobs, the law of `parameters/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Any

from adapters.parameters import PARAMETERS, load_parameters
from adapters.postgres.database import READER, Database
from adapters.postgres.runs import PostgresRunBook
from adapters.postgres.store import PostgresStore
from adapters.run_workers import crew_of
from adapters.sealing import MasterKey
from application.jobs import Job
from application.ports import Change
from application.runs.lifecycle import Planned, Runs
from application.runs.pages import Members
from domain.catalogue import Aggregate
from domain.envelope import Commit
from domain.events import Basis, Event
from domain.ids import Kind, MemberId, StreamId, belonging_to, derived_key, new_member_id
from domain.member import MEMBER
from domain.member.happened import CmMembershipStarted, DomicileRecorded, MemberRegistered
from domain.money import Cents
from domain.run import RUN
from domain.zorgkas_affiliation import (
    AFFILIATION,
    AffiliationOpened,
    Allocation,
    PaymentReceived,
    YearMissed,
    ZorgpremieCharged,
)
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR

LAW = load_parameters(PARAMETERS)
KEY = MasterKey(bytes(range(32)))
WHY = Basis(rules=("ZP-1",))
#: Ann plans, Bert approves.
ANN, BERT = "ann", "bert"


@contextmanager
def open_runs(url: str, *, jobs: Mapping[str, Job] | None = None, calendar: bool = True) -> Iterator[Runs]:
    """
    Open the runs of a database, as a worker process does too. All bank statements are there.
    """
    with Database(url, application="backoffice-tests") as database, store_of(database) as store:
        yield Runs(
            store=store,
            book=PostgresRunBook(database, stored=store.stored),
            members=Members(MEMBER, lambda state: state.facts),
            jobs=JOBS if jobs is None else jobs,
            law=LAW,
            calendar=LEGAL_CALENDAR if calendar else (),
            statements_cover=lambda day: day,
            crew=crew_of(partial(open_runs, url, jobs=jobs, calendar=calendar)),
        )


def store_of(database: Database) -> PostgresStore:
    return PostgresStore(database, aggregates=[MEMBER, AFFILIATION, RUN], master=KEY)


def member_id(number: int) -> MemberId:
    """
    Return the id of member 0, 1, 2, ...: always the same, in order.
    """
    return new_member_id(moment_ms=1_700_000_000_000 + number, randomness=bytes)


def affiliation(number: int) -> StreamId:
    return belonging_to(member_id(number), Kind.ZORGKAS_AFFILIATION)


def record(runs: Runs, aggregate: Aggregate[Any, Any], streams: Mapping[StreamId, Sequence[Event]]) -> None:
    """
    Append events to streams as if someone had decided them.
    """
    known_by = "given " + ",".join(f"{stream}:{len(events)}" for stream, events in list(streams.items())[:2])
    commit = Commit(command_id=derived_key(known_by), actor="test", business_date=date(2024, 1, 1), cause="given")
    with runs.store.transaction(commit) as unit:
        known = unit.load(aggregate, list(streams))
        unit.append(
            aggregate,
            [
                Change(stream, known[stream].version, events, aggregate.fold(events, state=known[stream].state))
                for stream, events in streams.items()
            ],
        )


def registered(*, birth_year: int = 1970) -> Sequence[Event]:
    return [
        MemberRegistered(
            birth_year=birth_year, language="nl", first_name="An", last_name="Peeters", national_number="70050100189",
            born_on=f"{birth_year}-05-01",
        ),
        DomicileRecorded(
            starts_on=date(1990, 1, 1), region="flanders", street="Kerkstraat", house_number="1", box="",
            postcode="3000", town="Leuven", country="BE",
        ),
        CmMembershipStarted(starts_on=date(2000, 1, 1)),
    ]  # fmt: skip


def have_members(runs: Runs, count: int, *, birth_year: int = 1970) -> None:
    """
    Register members 0 up to `count`, who live in Flanders and are with CM.
    """
    for first in range(0, count, 5_000):
        numbers = range(first, min(first + 5_000, count))
        record(runs, MEMBER, {StreamId(member_id(number)): registered(birth_year=birth_year) for number in numbers})


def owes(*years: int, missed: Iterable[int] = (), cents: int = 6400) -> Sequence[Event]:
    """
    Return an affiliation that was charged for years, and missed some of them.
    """
    events: list[Event] = [AffiliationOpened(kind="mandatory", from_year=min(years), basis=WHY)]
    for year in years:
        due_on = date(year, 4, 30)
        events.append(ZorgpremieCharged(year=year, amount_cents=Cents(cents), reduced=False, due_on=due_on, basis=WHY))
        if year in missed:
            events.append(YearMissed(year=year, missed_on=due_on, open_cents=Cents(cents), basis=WHY))
    return events


def paid(year: int, value_date: date, *, number: int, cents: int = 6400) -> Event:
    return PaymentReceived(
        movement=belonging_to(member_id(number), Kind.BANK_MOVEMENT), amount_cents=Cents(cents),
        value_date=value_date, booked_on=value_date, matched_by="ogm",
        allocations=(Allocation(year, Cents(cents)),), credit_cents=Cents(0), payer_iban="", basis=WHY,
    )  # fmt: skip


def events_of_members(url: str) -> list[tuple[Any, ...]]:
    """
    Return every event of a member or an affiliation as it stands in the table, in order of stream: what a run did.
    """
    with Database(url, application="backoffice-tests") as database, database.session(READER) as session:
        return session.execute(
            "SELECT originator_id, originator_version, topic, state FROM events"
            " WHERE get_byte(uuid_send(originator_id), 13) < 64 ORDER BY 1, 2"
        ).fetchall()


def settle_all(runs: Runs, job: str, as_of: date) -> StreamId:
    """
    Plan, approve when that is needed, execute and settle; every control agrees.
    """
    planned = runs.plan(job, business_date=runs.business_date_for(job, as_of=as_of), as_of=as_of, actor=ANN)
    if planned.needs_approval:
        runs.approve(planned.run, digest=planned.digest, actor=BERT)
    runs.execute(planned.run, as_of=as_of, actor=ANN)
    assert all(control.expected == control.actual for control in runs.settle(planned.run, actor=ANN))
    return planned.run


def approved(runs: Runs, job: str, day: date) -> Planned:
    """
    Plan for a day on that day, and let a second person approve it.
    """
    planned = runs.plan(job, business_date=day, as_of=day, actor=ANN)
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    return planned
