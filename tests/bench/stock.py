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
from eventsourcing.persistence import IntegrityError, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.database import Database
from domain.zorgkas_affiliation.happened import HappenedToAffiliation
from domain.zorgkas_affiliation.remembered import AFFILIATION, Affiliation
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
        self.affiliation: Affiliation = AFFILIATION.evolve(Affiliation(), typed(data))

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
