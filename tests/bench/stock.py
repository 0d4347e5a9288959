"""
The other side: the same facts kept the way the `eventsourcing` library does by itself.

Its own Application, aggregates with `@event` methods, JSON transcoder, mapper and PostgreSQL recorder, over the same
socket with the same durability. The aggregate keeps the same state and asks the same decision functions, so that only
the storing differs. Events carry the same fields, as plain JSON values: the library's transcoder then has nothing to
do but JSON, which is its fastest way. It gets at most 200 events a call: its pipeline hangs over a Unix socket from
about 2,000 on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.database import Database
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState, HappenedToAffiliation
from domain.zorgkas_affiliation import happened as h
from tests.bench.material import History

EVENTS_A_CALL = 200
_AS_EVENT = HappenedToAffiliation


def plain(happened: HappenedToAffiliation) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(happened))


def typed(data: dict[str, Any]) -> HappenedToAffiliation:
    return cast(HappenedToAffiliation, msgspec.convert(data, _AS_EVENT))  # type: ignore[call-overload]


class StockAffiliation(Aggregate):
    """
    An affiliation as an aggregate of the library.
    """

    def __init__(self, stream: UUID, data: dict[str, Any]) -> None:
        self.affiliation: AffiliationState = AFFILIATION.evolve(AffiliationState(), typed(data))

    @staticmethod
    def create_id(stream: UUID) -> UUID:  # type: ignore[override]
        return stream

    @event("Happened")
    def happens(self, data: dict[str, Any]) -> None:
        self.affiliation = AFFILIATION.evolve(self.affiliation, typed(data))


class StockStore(Application[UUID]):
    """
    The library's application as its manual builds one.
    """

    name = "stock"


def environment(database: Database) -> dict[str, str]:
    known = conninfo_to_dict(database.url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(known["dbname"]),
        "POSTGRES_HOST": str(known["host"]),
        "POSTGRES_PORT": str(known["port"]),
        "POSTGRES_USER": str(known["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_SCHEMA": "stock",
        "POSTGRES_POOL_SIZE": "2",
        "POSTGRES_MAX_OVERFLOW": "4",
    }


@contextmanager
def opened(database: Database) -> Iterator[StockStore]:
    with database.connect(None, autocommit=True) as session:
        session.execute("CREATE SCHEMA IF NOT EXISTS stock")
    app = StockStore(env={**os.environ, **environment(database)})
    try:
        yield app
    finally:
        app.close()


def aggregates(of: Sequence[History]) -> list[StockAffiliation]:
    """
    Make aggregates with these events pending: everything but their saving.
    """
    made = []
    for stream, events in of:
        affiliation = StockAffiliation(stream=stream, data=plain(events[0]))
        for happened in events[1:]:
            affiliation.happens(data=plain(happened))
        made.append(affiliation)
    return made


def save(app: StockStore, made: Sequence[StockAffiliation], *, events_each: int) -> None:
    """
    Save as the library saves, about 200 events a call.
    """
    at_once = max(1, EVENTS_A_CALL // events_each)
    for start in range(0, len(made), at_once):
        app.save(*made[start : start + at_once])


# --- Read models -------------------------------------------------------------------------------------------------------

_CREATE_YEAR = """
CREATE TABLE IF NOT EXISTS stock.premium_year (
    stream uuid NOT NULL, year integer NOT NULL, charged_cents bigint NOT NULL DEFAULT 0,
    paid_cents bigint NOT NULL DEFAULT 0, reduced boolean NOT NULL DEFAULT false, due_on date, missed_on date, ogm text,
    invited_on date, last_value_date date, PRIMARY KEY (stream, year))
"""
_CREATE_AFFILIATION = """
CREATE TABLE IF NOT EXISTS stock.affiliation (
    stream uuid PRIMARY KEY, kind text NOT NULL DEFAULT '', from_year integer NOT NULL DEFAULT 0,
    received_cents bigint NOT NULL DEFAULT 0, allocated_cents bigint NOT NULL DEFAULT 0,
    credit_cents bigint NOT NULL DEFAULT 0, charged_cents bigint NOT NULL DEFAULT 0, version bigint NOT NULL)
"""
_CHARGED = """
INSERT INTO stock.premium_year (stream, year, charged_cents, reduced, due_on) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (stream, year) DO UPDATE SET charged_cents = EXCLUDED.charged_cents, reduced = EXCLUDED.reduced,
    due_on = EXCLUDED.due_on
"""
_ASKED = "UPDATE stock.premium_year SET ogm = %s, invited_on = %s WHERE stream = %s AND year = %s"
_MISSED = "UPDATE stock.premium_year SET missed_on = %s WHERE stream = %s AND year = %s"
_FILLED = """
UPDATE stock.premium_year SET paid_cents = paid_cents + %s, last_value_date = %s WHERE stream = %s AND year = %s
"""
_OPENED = "INSERT INTO stock.affiliation (stream, kind, from_year, version) VALUES (%s, %s, %s, %s)"
_TOTAL_CHARGED = "UPDATE stock.affiliation SET charged_cents = charged_cents + %s, version = %s WHERE stream = %s"
_TOTAL_PAID = """
UPDATE stock.affiliation SET received_cents = received_cents + %s, allocated_cents = allocated_cents + %s,
    credit_cents = credit_cents + %s, version = %s WHERE stream = %s
"""


class StockView(PostgresTrackingRecorder):
    """
    The premium account as a materialised view of the library: one event, one transaction, its tracking in the same.
    """

    def __init__(self, datastore: Any, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.sql_create_statements += [sql.SQL(_CREATE_YEAR), sql.SQL(_CREATE_AFFILIATION)]

    def show(self, stream: UUID, version: int, happened: HappenedToAffiliation, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for statement, values in _statements(stream, version, happened):
                cursor.execute(statement, values, prepare=True)


def _statements(stream: UUID, version: int, happened: HappenedToAffiliation) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    match happened:
        case h.AffiliationOpened():
            yield _OPENED, (stream, happened.kind, happened.from_year, version)
        case h.ZorgpremieCharged():
            yield _CHARGED, (stream, happened.year, happened.amount_cents, happened.reduced, happened.due_on)
            yield _TOTAL_CHARGED, (happened.amount_cents, version, stream)
        case h.InvitationIssued():
            yield _ASKED, (happened.ogm, happened.issued_on, stream, happened.year)
        case h.YearMissed():
            yield _MISSED, (happened.missed_on, stream, happened.year)
        case h.PaymentReceived():
            for share in happened.allocations:
                yield _FILLED, (share.amount_cents, happened.value_date, stream, share.year)
            allocated = sum(share.amount_cents for share in happened.allocations)
            yield _TOTAL_PAID, (happened.amount_cents, allocated, happened.credit_cents, version, stream)


class StockProjection(Projection[StockView]):
    """
    What the library's runner calls for every event.
    """

    name = "premium"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        happened = typed(domain_event.data)
        self.view.show(domain_event.originator_id, domain_event.originator_version, happened, tracking)


def run_projection(database: Database, *, until: int) -> None:
    """
    Let the library's runner project all events up to that position.
    """
    with ProjectionRunner(
        application_class=StockStore,
        projection_class=StockProjection,
        view_class=StockView,
        env={**os.environ, **environment(database)},
    ) as runner:
        runner.wait(until, timeout=600)
