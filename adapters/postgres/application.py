"""
The event store as an application of the `eventsourcing` library, through its documented extension points.

Its repository, event store and notification log work on the same table as our bulk surface (`adapters.postgres.store`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, cast
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory, Mapper, TrackingRecorder
from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.database import SCHEMA, WRITER, Database
from adapters.postgres.mapper import EventMapper
from adapters.postgres.recorder import LOCK_SECONDS
from adapters.sealing import Ciphers
from domain.errors import Refused
from formats.stored import StoredEvents

_CONNECTION: Final = ("host", "port", "user", "password", "dbname")


class DatabaseFunctionsOn(Refused):
    """
    POSTGRES_ENABLE_DB_FUNCTIONS is on: events would be lost for readers. Take it out of the environment and start
    again.
    """


class StoreApplication(Application[UUID]):
    """
    One application, one events table, one order. Close it when done.
    """

    name = "store"

    def __init__(self, database: Database, *, stored: StoredEvents, ciphers: Callable[[], Ciphers]) -> None:
        self._database = database
        self._stored = stored
        self._ciphers = ciphers
        known = conninfo_to_dict(database.url)
        super().__init__(
            {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "APPLICATION_RECORDER_TOPIC": "adapters.postgres.recorder:Recorder",
                "CREATE_TABLE": "no",
                "IS_SNAPSHOTTING_ENABLED": "no",
                "POSTGRES_SCHEMA": SCHEMA,
                "POSTGRES_DBNAME": str(known.get("dbname") or ""),
                "POSTGRES_HOST": str(known.get("host") or ""),
                "POSTGRES_PORT": str(known.get("port") or "5432"),
                "POSTGRES_USER": str(known.get("user") or ""),
                "POSTGRES_PASSWORD": str(known.get("password") or ""),
                "POSTGRES_LOCK_TIMEOUT": str(LOCK_SECONDS),
                "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": "120",
                "POSTGRES_POOL_SIZE": "0",
                "POSTGRES_MAX_OVERFLOW": "4",
                "POSTGRES_PRE_PING": "yes",
            }
        )

    def construct_factory(self, env: Environment) -> InfrastructureFactory[TrackingRecorder]:
        factory = super().construct_factory(env)
        if not isinstance(factory, PostgresFactory):
            raise TypeError("the store stands on PostgreSQL")
        if factory.datastore.enable_db_functions:
            raise DatabaseFunctionsOn
        # The library knows five of the connection's settings; role, schema and the rest of the URL go along.
        sessions = factory.datastore.pool.kwargs
        if not isinstance(sessions, dict):
            raise TypeError("the library's pool takes its connection settings from a dictionary")
        known = {name: value for name, value in conninfo_to_dict(self._database.url).items() if value is not None}
        for name in _CONNECTION:
            if name not in known:
                sessions.pop(name, None)
        sessions.update(known)
        sessions.update(self._database.parameters(WRITER))
        return cast(InfrastructureFactory[TrackingRecorder], factory)

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper(stored=self._stored, ciphers=self._ciphers)


def refuse_database_functions() -> None:
    """
    Raise DatabaseFunctionsOn when the environment turns them on, before anything is opened.
    """
    for name, value in os.environ.items():
        if name.endswith("POSTGRES_ENABLE_DB_FUNCTIONS") and value.strip().lower() in {
            "y",
            "yes",
            "t",
            "true",
            "on",
            "1",
        }:
            raise DatabaseFunctionsOn
