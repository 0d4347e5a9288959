"""
The composition root: the one place that builds things and joins them. Everything else is told what it works with.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, Final

from adapters.clock import SystemClock
from adapters.garbage import rare_collections
from adapters.parameters import load_parameters
from adapters.postgres import heads
from adapters.postgres.database import OWNER, Database
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.feed import StoreFeed
from adapters.postgres.lookups import PostgresLookups
from adapters.postgres.migrate import migrate, require_schema
from adapters.postgres.ogms import take_one
from adapters.postgres.projector import Fenced, Projector
from adapters.postgres.rebuild import Rebuild
from adapters.postgres.rehearsal import Rehearsal
from adapters.postgres.run_controls import model_that_shows, read_model_controls
from adapters.postgres.runs import PostgresRunBook
from adapters.postgres.store import PostgresStore
from adapters.postgres.waiting_files import PostgresWaitingFiles
from adapters.sealing import MasterKey
from adapters.settings import PROJECT, Settings
from application.deciding import Context
from application.jobs import Job
from application.money_in import BankFile, MoneyIn
from application.ports import Clock
from application.runs.crew import Crew
from application.runs.gates import Calendar
from application.runs.lifecycle import Runs
from application.runs.pages import Members
from application.runs.ports import Registered
from application.runs.settle import ControlSource
from domain.aggregates import AGGREGATES
from domain.ids import Kind, MemberId, StreamId, new_member_id
from domain.member import MEMBER
from domain.parameters import Parameters
from domain.payments import Ogm
from formats.bank_file import canonical_digest, read_statements
from projections.bank import Bank
from projections.letters import Letters
from projections.members import Members as MembersModel
from projections.model import ReadModel
from projections.payments import Payments
from projections.premium_account import PremiumAccount
from projections.runs import Runs as RunsModel

_AGGREGATES_BY_KIND: Final = {aggregate.kind: aggregate for aggregate in AGGREGATES}
_ATTEMPTS_MAX: Final = 5
_PAGE: Final = 2_000


def read_bank_file(content: bytes) -> BankFile:
    """
    Read a bank file of any known format. Raises formats.rejections.InputRejected.
    """
    return BankFile(read_statements(content), content, canonical_digest(content))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """
    What the legal year consists of; it is written in `schedulers/`, and handed in by who starts the program.
    """

    jobs: Mapping[str, Job]
    calendar: Calendar


class Backoffice:
    """
    The whole program on one database. Use `opened(...)`; parts are made when first asked for.
    """

    def __init__(
        self, *, settings: Settings, database: Database, schedule: Schedule, clock: Clock, crew: Crew | None = None
    ) -> None:
        self.settings = settings
        self.database = database
        self.schedule = schedule
        self.clock = clock
        self._crew = crew

    @cached_property
    def law(self) -> Parameters:
        return load_parameters(PROJECT / "parameters")

    @cached_property
    def master(self) -> MasterKey:
        if self.settings.embedded:
            return MasterKey.read_or_make(self.settings.master_key_file)
        return MasterKey.read(self.settings.master_key_file)

    @cached_property
    def store(self) -> PostgresStore:
        return PostgresStore(self.database, aggregates=AGGREGATES, master=self.master)

    @cached_property
    def book(self) -> PostgresRunBook:
        return PostgresRunBook(self.database, stored=self.store.stored)

    @cached_property
    def runs(self) -> Runs:
        return Runs(
            store=self.store,
            book=self.book,
            members=Members(MEMBER, attrgetter("facts")),
            jobs=self.schedule.jobs,
            law=self.law,
            calendar=self.schedule.calendar,
            statements_cover=self.statements_cover,
            controls=self.controls,
            crew=self._crew,
            meanwhile=self._show_meanwhile,
            threads=not isinstance(self.database, Rehearsal),
        )

    @cached_property
    def controls(self) -> Sequence[ControlSource]:
        return (read_model_controls(self.database, self.schedule.jobs, catch_up=self.catch_up),)

    def _show_meanwhile(self, run: Registered) -> None:
        """
        Bring the read model of a run that others execute up to what they did; settling it does the rest.
        """
        model = model_that_shows(self.schedule.jobs[run.key.job].makes)
        if model is not None:
            with suppress(Fenced):
                self.catch_up((model,))

    # --- Taking things in --------------------------------------------------------------------------------------------

    def context(self, business_date: date) -> Context:
        """
        Return what commands are decided with on that business date.
        """
        return Context(as_of=business_date, law=self.law, new_member_id=self.new_member_id, new_ogm=self.new_ogm)

    def new_member_id(self) -> MemberId:
        moment_ms = int(self.clock.now().timestamp() * 1000)
        return new_member_id(moment_ms=moment_ms, randomness=secrets.token_bytes)

    def new_ogm(self) -> Ogm:
        return take_one(self.database)

    @cached_property
    def money_in(self) -> MoneyIn:
        return MoneyIn(
            store=self.store,
            lookups=PostgresLookups(
                self.database, catch_up=lambda: self.catch_up(("letters", "payments")), blind=self.store.blind
            ),
            waiting=PostgresWaitingFiles(self.database, self.master),
            law=self.law,
            read=read_bank_file,
        )

    # --- Read models -------------------------------------------------------------------------------------------------

    @cached_property
    def models(self) -> Mapping[str, ReadModel]:
        every: tuple[ReadModel, ...] = (
            PremiumAccount(), Letters(), Payments(self.store.blind), Bank(), MembersModel(), RunsModel(),
        )  # fmt: skip
        return {model.name: model for model in every}

    def feed_for(self, model: ReadModel) -> StoreFeed:
        """
        Return the feed with personal fields opened only for a model that says it reads them.
        """
        stored, personal = self.store.stored, model.reads_personal
        return StoreFeed(
            self.database, stored=stored, master=self.master, open_personal=personal, for_folding=not personal
        )

    def catch_up(self, names: Sequence[str] = (), *, moved: Callable[[int], None] | None = None) -> int:
        """
        Bring read models up to the last recorded event (all of them, without names); return how many events were read.

        Raises Unavailable when the database goes away or is full.
        """
        read = 0
        with self.database.answering(), ExitStack() as sessions:
            connection, ahead = sessions.enter_context(self.database.connect(OWNER)), None
            if not isinstance(self.database, Rehearsal):  # that has one session, for one thread
                ahead = sessions.enter_context(self.database.connect(OWNER))
            for name in names or self.models:
                model = self.models[name]
                projector = Projector(connection=connection, feed=self.feed_for(model), model=model, ahead=ahead)
                read += _persistently(partial(projector.catch_up, moved=moved))
        return read

    def rebuild(self, name: str) -> Rebuild:
        """
        Return what builds a read model again beside the one in use.
        """
        model = self.models[name]
        return Rebuild(self.database, feed=self.feed_for(model), model=model)

    def pages(self, kind: Kind) -> Iterator[Sequence[StreamId]]:
        """
        Give the ids of all streams of a kind, in id order.
        """
        aggregate = _AGGREGATES_BY_KIND[kind]
        return heads.pages(lambda after: self.store.streams(aggregate, after=after, limit=_PAGE))

    def statements_cover(self, day: date) -> date | None:
        """
        Return the last day that an unbroken chain of statements covers on every account of the fund, if it is `day` or
        later; otherwise None.
        """
        self.catch_up(("bank",))
        with self.database.session() as session:
            found: Any = session.execute(
                "SELECT min(closed_on) FROM (SELECT a.stream, max(s.closed_on) AS closed_on FROM rm_bank.account a "
                "LEFT JOIN rm_bank.statement s ON s.stream = a.stream AND s.state = 'taken' GROUP BY a.stream) AS last "
                "HAVING bool_and(closed_on IS NOT NULL)"
            ).fetchone()
        return found[0] if found and found[0] >= day else None

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()
        self.database.close()


@contextmanager
def rehearsed(backoffice: Backoffice) -> Iterator[Backoffice]:
    """
    Give the same back office on a database that undoes everything at the end of the block, for `--dry-run`.
    """
    with Rehearsal(backoffice.database) as database:
        yield Backoffice(
            settings=backoffice.settings, database=database, schedule=backoffice.schedule, clock=backoffice.clock
        )


def _persistently(work: Callable[[], int]) -> int:
    for _ in range(_ATTEMPTS_MAX - 1):
        try:
            return work()
        except Fenced:
            continue  # another projector was quicker: read its position and go on from there
    return work()


@contextmanager
def opened(
    settings: Settings,
    *,
    schedule: Schedule,
    clock: Clock | None = None,
    crew: Crew | None = None,
    prepare: bool = False,
) -> Iterator[Backoffice]:
    """
    Open the back office that the settings name, starting the embedded database when it is that.

    With `prepare` the database is migrated (`backoffice init`); without, one of another version is refused.
    """
    if settings.database_url is None:
        server = EmbeddedServer(settings.embedded_directory)
        server.start()
        url = server.url
    else:
        url = settings.database_url
    database = Database(url)
    try:
        if prepare:
            migrate(database)
        else:
            require_schema(database)
        backoffice = Backoffice(
            settings=settings, database=database, schedule=schedule, clock=clock or SystemClock(), crew=crew
        )
        with rare_collections():
            yield backoffice
        backoffice.close()
    finally:
        database.close()
