"""
What only the store on PostgreSQL has: the library's surface, rights and triggers, the auditor's view, its hazards.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError, NotSupportedError, ProgrammingError

from adapters.postgres import recorder
from adapters.postgres.application import DatabaseFunctionsOn
from adapters.postgres.commits import StrayEvent, record_commit
from adapters.postgres.database import OWNER, READER, WRITER, Database, Role
from adapters.postgres.feed import StoreFeed
from adapters.postgres.heads import encode_state, state_decoder
from adapters.postgres.mapper import Recorded, folding
from adapters.postgres.recorder import APPEND_LOCK, LOCK_SECONDS, StoreBusy
from adapters.postgres.store import PostgresStore
from adapters.sealing import MasterKey, SealBroken, WrongMasterKey
from application.ports import Loaded, WrittenMeanwhile
from domain.aggregates import AGGREGATES
from domain.personal import ERASED
from formats.stored import MisshapenEvent, UnknownEventType, UnstorableEvent
from tests.patience import PATIENCE_S, eventually
from tests.small_aggregate import (
    COUNTER,
    ON,
    Counter,
    Opened,
    change,
    command_id,
    commit,
    counted,
    counter,
    member,
    opened,
)

KEY = MasterKey(b"k" * 32)


@pytest.fixture
def store(database: Database) -> Iterator[PostgresStore]:
    with PostgresStore(database, aggregates=[COUNTER], master=KEY) as made:
        yield made


def record(store: PostgresStore, *changes: Any, number: int = 1) -> None:
    with store.transaction(commit(number)) as unit:
        unit.append(COUNTER, changes)


def rows_read(database: Database) -> int:
    """
    Return how many rows of the event table were read so far, by index or without, by sessions that have ended.
    """
    with database.connect(OWNER) as session:
        row = session.execute(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'events'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_the_feed_of_some_kinds_reads_each_event_once_however_many_are_left(store: PostgresStore) -> None:
    for start in range(0, 3_000, 1_000):
        record(store, *(change(counter(n), 0, opened()) for n in range(start, start + 1_000)), number=start)
    as_superuser(store._database, "ANALYZE events")
    before, reached, seen = rows_read(store._database), 0, 0
    with Database(store._database.url) as database:
        feed = StoreFeed(database, stored=store.stored, master=KEY)
        while batch := feed.read(after=reached, limit=50, kinds=[COUNTER.kind]):
            reached, seen = batch[-1].position, seen + len(batch)
    assert seen == 3_000
    eventually(lambda: rows_read(store._database) - before >= seen)  # sessions tell what they read when they end
    assert rows_read(store._database) - before < 2 * seen


def as_superuser(database: Database, statement: str, *values: object) -> None:
    """
    Do what an administrator with bad intentions could: with the triggers switched off.
    """
    with psycopg.connect(database.url, options="-c search_path=backoffice") as session:
        session.execute("SET session_replication_role = replica")
        session.execute(statement.encode(), values)


def insert_raw(database: Database, topic: str, state: bytes, version: int = 1) -> None:
    with database.session(WRITER) as session, session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
            [counter(1), version, topic, state],
        )
        record_commit(cursor, commit(), range(version, version + 1))


# --- the library's surface on the same table -------------------------------------------------------------------------


def test_the_librarys_repository_and_log_read_what_the_bulk_surface_recorded(store: PostgresStore) -> None:
    record(store, change(counter(1), 0, opened("An Peeters"), counted(5)))
    loaded: Loaded[Counter] = store.library.repository.get(counter(1), projector_func=folding(COUNTER))  # type: ignore[type-var]
    assert loaded == (Counter(total=5, counted=1, opened_on=ON), 2)
    assert list(store.library.events.get(counter(1))) == [
        Recorded(counter(1), 1, opened("An Peeters")),
        Recorded(counter(1), 2, counted(5)),
    ]
    notifications = store.library.notification_log.select(start=1, limit=10)
    assert [(n.id, n.topic, n.originator_version) for n in notifications] == [
        (1, "tests.Opened/1", 1),
        (2, "tests.Counted/1", 2),
    ]
    assert [store.library.mapper.to_domain_event(n).event for n in notifications] == [opened("An Peeters"), counted(5)]  # type: ignore[attr-defined]


def test_the_bulk_surface_reads_what_the_library_recorded(store: PostgresStore) -> None:
    record(store, change(counter(1), 0, counted(1)))
    recordings = store.library.events.put(
        [Recorded(counter(1), 2, opened("An Peeters")), Recorded(counter(1), 3, counted(5))],  # type: ignore[list-item]
        commit=commit(2),
    )
    assert [recording.notification.id for recording in recordings] == [2, 3]
    with store.transaction(commit(3)) as unit:  # the head stands at version 1: the rest is folded onto it
        assert unit.load(COUNTER, [counter(1)])[counter(1)] == (Counter(total=6, counted=2, opened_on=ON), 3)
    assert [(e.position, e.event, e.commit) for e in store.feed.read(after=1, limit=9)] == [
        (2, opened("An Peeters"), commit(2)),
        (3, counted(5), commit(2)),
    ]
    with store.transaction(commit(4)) as unit:
        state = unit.load(COUNTER, [counter(1)])[counter(1)].state
        unit.append(COUNTER, [change(counter(1), 3, counted(1), state=state)])
    assert store.heads_equal_replay(COUNTER)


def test_the_librarys_surface_refuses_what_ours_refuses(store: PostgresStore) -> None:
    put = store.library.events.put
    with pytest.raises(ProgrammingError, match="commit="):
        put([Recorded(counter(1), 1, counted(1))])  # type: ignore[list-item]
    put([Recorded(counter(1), 1, counted(1))], commit=commit())  # type: ignore[list-item]
    with pytest.raises(IntegrityError):
        put([Recorded(counter(1), 1, counted(1))], commit=commit())  # type: ignore[list-item]
    with pytest.raises(NotSupportedError, match="feed"):
        store.library.recorder.subscribe()
    with pytest.raises(AggregateNotFoundError):
        store.library.repository.get(counter(9), projector_func=folding(COUNTER))
    assert store.feed.high_water() == 1


def test_many_events_through_the_librarys_surface_get_their_positions(store: PostgresStore) -> None:
    events = [Recorded(counter(n), 1, counted(n)) for n in range(200)]
    recordings = store.library.events.put(events, commit=commit())  # type: ignore[arg-type]
    assert [recording.notification.id for recording in recordings] == list(range(1, 201))
    assert [e.stream for e in store.feed.read(after=0, limit=500)] == [counter(n) for n in range(200)]


@pytest.mark.parametrize("name", ["POSTGRES_ENABLE_DB_FUNCTIONS", "STORE_POSTGRES_ENABLE_DB_FUNCTIONS"])
@pytest.mark.parametrize("value", ["y", "TRUE", "1"])
def test_the_store_refuses_to_start_with_database_functions(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(DatabaseFunctionsOn):
        PostgresStore(database, aggregates=[COUNTER], master=KEY)


def test_the_library_itself_refuses_database_functions(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "yes")
    with pytest.raises(DatabaseFunctionsOn):
        _ = store.library


def test_nobody_is_notified_and_nobody_listens(store: PostgresStore, database: Database) -> None:
    with database.connect(None, autocommit=True) as other:
        for channel in ("events", "store_events", "stored_events"):
            other.execute(f"LISTEN {channel}".encode())
        record(store, change(counter(1), 0, counted(1)))
        store.library.events.put([Recorded(counter(2), 1, counted(1))], commit=commit(2))  # type: ignore[list-item]
        assert list(other.notifies(timeout=0.2)) == []
    with store.library.recorder.datastore.get_connection() as session:  # type: ignore[attr-defined]
        assert session.execute("SELECT pg_listening_channels()").fetchall() == []


@pytest.mark.parametrize("events", [2_000, 20_000])
def test_a_large_append_over_the_socket_does_not_hang(store: PostgresStore, events: int) -> None:
    note = "x" * 100
    work = [change(counter(n), 0, *(counted(m, note=note) for m in range(20))) for n in range(events // 20)]
    done = threading.Event()

    def append() -> None:
        record(store, *work)
        done.set()

    threading.Thread(target=append, daemon=True).start()
    assert done.wait(PATIENCE_S), "the append hangs"
    assert store.feed.high_water() == events


@pytest.mark.parametrize(
    ("last", "refusal"),
    [
        (change(counter(5_001), 0, counted(5, note=7)), UnstorableEvent),  # type: ignore[arg-type]
        (change(counter(1), 1, counted(5)), WrittenMeanwhile),
        (change(counter(5_001), 1, counted(5)), WrittenMeanwhile),
    ],
    ids=["would not come back", "version exists", "version before it is missing"],
)
def test_what_the_last_of_many_events_is_refused_for_is_said_and_takes_the_others_with_it(
    store: PostgresStore, last: Any, refusal: type[Exception]
) -> None:
    record(store, change(counter(1), 0, counted(1), counted(2)))
    work = [change(counter(number), 0, counted(number)) for number in range(2, 5_000)]
    with pytest.raises(refusal):
        record(store, *work, last, number=2)
    assert not store.feed.read(after=2, limit=1)
    record(store, *work, number=3)
    assert len(store.feed.read(after=2, limit=10_000)) == len(work)
    assert store.heads_equal_replay(COUNTER)


# --- types in the rows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic", ["tests.Counted/2", "tests.Unheard/1", "other.Counted/1", "eventsourcing.domain:Aggregate", "this:x", ""]
)
def test_an_unknown_or_newer_type_is_named_and_never_imported(
    store: PostgresStore, database: Database, topic: str
) -> None:
    insert_raw(database, topic, b'{"type":"Counted","amount":1}')
    sys.modules.pop("this", None)
    with pytest.raises(UnknownEventType, match="run the version that wrote it"):
        store.feed.read(after=0, limit=1)
    with pytest.raises(UnknownEventType):
        list(store.library.events.get(counter(1)))
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "state",
    [
        b'{"type":"Counted","amount":"1"}',
        b'{"type":"Counted","amount":1,"more":2}',
        b'{"type":"Opened","opened_on":"2026-01-01"}',
        b'{"type":"Counted"',
        b"\xff",
        b"",
    ],
    ids=["wrong value", "another field", "another type", "cut", "no text", "empty"],
)
def test_a_misshapen_row_stops_reading_and_deciding(store: PostgresStore, database: Database, state: bytes) -> None:
    insert_raw(database, "tests.Counted/1", state)
    with pytest.raises(MisshapenEvent):
        store.feed.read(after=0, limit=1)
    if b"Opened" not in state:  # for loading, the row's own tag is what counts
        with pytest.raises(MisshapenEvent), store.transaction(commit()) as unit:
            unit.load(COUNTER, [counter(1)])


def test_a_newer_event_in_a_stream_stops_loading_it(store: PostgresStore, database: Database) -> None:
    insert_raw(database, "tests.Counted/2", b'{"type":"Counted/2","sum":1}')
    with pytest.raises(UnknownEventType, match="Counted/2"), store.transaction(commit()) as unit:
        unit.load(COUNTER, [counter(1)])


# --- rights ----------------------------------------------------------------------------------------------------------

FORBIDDEN_TO_THE_WRITER = [
    "UPDATE events SET state = state",
    "DELETE FROM events",
    "TRUNCATE events",
    "INSERT INTO events SELECT gen_random_uuid(), 1, 't', 's', 999999",
    "SELECT setval('events_notification_id_seq', 999999)",
    "ALTER SEQUENCE events_notification_id_seq RESTART",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "LOCK TABLE events IN EXCLUSIVE MODE",
    "DROP TABLE events",
    "UPDATE commits SET actor = 'x'",
    "DELETE FROM commits",
    "UPDATE answers SET outcome = 'x'",
    "DELETE FROM answers",
    "INSERT INTO answers SELECT gen_random_uuid(), '', '', '{}', '2020-01-01'",
    "UPDATE unique_marks SET stream = gen_random_uuid()",
    "DELETE FROM unique_marks",
    "UPDATE member_keys SET wrapped = NULL, erased_at = now()",
    "DELETE FROM member_keys",
    "INSERT INTO member_keys (owner, erased_at) VALUES (gen_random_uuid(), now())",
    "SET session_replication_role = replica",
]


@pytest.mark.parametrize("statement", FORBIDDEN_TO_THE_WRITER)
def test_the_writer_may_add_and_never_change(store: PostgresStore, database: Database, statement: str) -> None:
    record(store, change(counter(1), 0, opened()))
    with database.connect(WRITER) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement.encode())


def test_the_writer_cannot_copy_positions_of_its_own_choice(database: Database) -> None:
    with (
        database.connect(WRITER) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        session.cursor().copy(
            "COPY events (originator_id, originator_version, topic, state, notification_id) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((counter(1), 1, "t", b"s", 999_999))


@pytest.mark.parametrize("table", ["events", "commits", "answers"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_was_recorded_is_not_changed_by_the_owner_either(
    store: PostgresStore, database: Database, table: str, statement: str
) -> None:
    column = {"events": "state", "commits": "actor", "answers": "outcome"}[table]
    record(store, change(counter(1), 0, counted(1)))
    with database.connect(OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation, match="never changed"):
        session.execute(statement.format(table, column, column).encode())


@pytest.mark.parametrize("role", [WRITER, READER])
def test_only_the_keys_role_reads_and_erases_keys(store: PostgresStore, database: Database, role: Role) -> None:
    record(store, change(counter(1), 0, opened()))
    with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("DELETE FROM member_keys" if role == WRITER else "SELECT wrapped FROM member_keys")


def test_an_erased_key_cannot_come_back(store: PostgresStore, database: Database) -> None:
    record(store, change(counter(1), 0, opened()))
    store.erase(member(1))
    with database.connect(OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation, match="erased once"):
        session.execute("UPDATE member_keys SET wrapped = 'x', erased_at = NULL")
    with database.connect(OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
        session.execute("DELETE FROM member_keys")


def test_an_auditor_reads_events_with_sql_and_no_personal_field(store: PostgresStore, database: Database) -> None:
    record(store, change(counter(1), 0, opened("An Peeters"), counted(5)), number=1)
    record(store, change(counter(1), 2, counted(6)), number=2)
    with database.connect(READER) as session:
        rows = session.execute(
            "SELECT position, version, type, type_version, event, recorded_at, actor, command_id, business_date "
            "FROM events_readable WHERE stream = %s ORDER BY position",
            [counter(1)],
        ).fetchall()
    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        (1, 1, "tests.Opened", 1),
        (2, 2, "tests.Counted", 1),
        (3, 3, "tests.Counted", 1),
    ]
    first = json.loads(rows[0][4])
    assert set(first) == {"type", "opened_on", "note", "sealed"}
    assert first["opened_on"] == "2026-04-30"
    assert json.loads(rows[1][4]) == {"type": "Counted", "amount": 5, "note": ""}
    assert [row[6:] for row in rows] == [("tester", command_id(n), ON) for n in (1, 1, 2)]
    assert all(row[5].tzinfo is not None for row in rows)


# --- order and time --------------------------------------------------------------------------------------------------


def test_recorded_at_never_goes_back_when_the_servers_clock_does(store: PostgresStore, database: Database) -> None:
    record(store, change(counter(1), 0, counted(1)))
    ahead = datetime(2100, 1, 1, tzinfo=UTC)
    as_superuser(database, "UPDATE commits SET recorded_at = %s", ahead)
    record(store, change(counter(1), 1, counted(1), state=Counter(total=1, counted=1)), number=2)
    assert [e.recorded_at for e in store.feed.read(after=0, limit=9)] == [ahead, ahead]


def test_holes_left_by_what_was_rolled_back_are_harmless(store: PostgresStore) -> None:
    record(store, change(counter(1), 0, counted(1)))

    def give_up() -> None:
        with store.transaction(commit(2)) as unit:
            unit.append(COUNTER, [change(counter(n), 0, counted(1)) for n in range(2, 100)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        give_up()
    record(store, change(counter(2), 0, counted(2)), number=3)
    first, second = store.feed.read(after=0, limit=9)
    assert (first.position, second.position) == (1, 100)
    assert second.commit == commit(3)
    assert [e.position for e in store.feed.read(after=50, limit=9)] == [100]


def test_waiting_for_the_lock_ends_in_a_clear_error(
    store: PostgresStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LOCK_SECONDS <= 10
    monkeypatch.setattr(recorder, "_LOCK_SQL", recorder._LOCK_SQL.replace(f"{LOCK_SECONDS}s", "300ms"))
    with database.connect(WRITER) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        began = time.monotonic()
        with pytest.raises(StoreBusy, match="nothing was recorded"):
            record(store, change(counter(1), 0, counted(1)))
        with pytest.raises(StoreBusy), store.transaction(commit(), lock_first=True):
            pass
        assert time.monotonic() - began < 5
        assert store.feed.high_water() == 0  # reading waits for nobody
    record(store, change(counter(1), 0, counted(1)))


def test_work_in_the_same_transaction_stands_or_falls_with_it(store: PostgresStore, database: Database) -> None:
    with database.connect(OWNER) as session:
        session.execute("CREATE TABLE side (n integer)")
        session.execute("GRANT SELECT, INSERT ON side TO backoffice_writer")

    def append(number: int, *, give_up: bool) -> None:
        with store.transaction(commit(number)) as unit:
            unit.append(COUNTER, [change(counter(number), 0, counted(1))])
            unit.cursor.execute("INSERT INTO side VALUES (%s)", [number])
            if give_up:
                raise RuntimeError

    append(1, give_up=False)
    with pytest.raises(RuntimeError):
        append(2, give_up=True)
    with database.connect(WRITER) as session:
        assert session.execute("SELECT n FROM side").fetchall() == [(1,)]


def test_an_event_that_no_transaction_of_ours_recorded_stops_the_feed(store: PostgresStore, database: Database) -> None:
    record(store, change(counter(1), 0, counted(1)))
    with database.session(WRITER) as session:
        session.execute(
            "INSERT INTO events (originator_id, originator_version, topic, state) VALUES (%s, 2, 'tests.Counted/1', %s)",
            [counter(1), b'{"type":"Counted","amount":1}'],
        )
    assert len(store.feed.read(after=0, limit=1)) == 1
    with pytest.raises(StrayEvent):
        store.feed.read(after=0, limit=2)


# --- sealing ---------------------------------------------------------------------------------------------------------


def test_personal_text_is_in_no_table(store: PostgresStore, database: Database) -> None:
    with store.transaction(commit()) as unit:
        unit.append(COUNTER, [change(counter(1), 0, opened("Canary Zwartbaard"))])
        unit.mark_unique("name", [("Canary Zwartbaard", counter(1))])
    with database.connect(None) as session:
        for table in ("events", "heads", "commits", "answers", "unique_marks", "member_keys"):
            dump = session.execute(f"SELECT t::text FROM backoffice.{table} AS t".encode()).fetchall()
            assert b"Zwartbaard".hex() not in str(dump)
            assert "Zwartbaard" not in str(dump)
        (state,) = session.execute("SELECT convert_from(state, 'UTF8') FROM backoffice.events").fetchone() or ("",)
    assert "Zwartbaard" not in state


def test_a_box_moved_to_another_event_does_not_open(store: PostgresStore, database: Database) -> None:
    record(
        store,
        change(counter(1), 0, opened("An Peeters"), opened("An Janssens")),
        change(counter(2), 0, opened("Jan Janssens")),
    )
    swap = "UPDATE events SET state = (SELECT state FROM events WHERE notification_id = %s) WHERE notification_id = %s"
    as_superuser(database, swap, 2, 1)  # within the stream: the same key, another version
    with pytest.raises(SealBroken):
        store.feed.read(after=0, limit=1)
    as_superuser(database, swap, 3, 1)  # from another member
    with pytest.raises(SealBroken):
        store.feed.read(after=0, limit=1)
    assert store.feed.read(after=2, limit=1)[0].event == opened("Jan Janssens")


def test_another_members_key_and_another_master_key_are_refused(store: PostgresStore, database: Database) -> None:
    record(store, change(counter(1), 0, opened()), change(counter(2), 0, opened()))
    other = PostgresStore(database, aggregates=[COUNTER], master=MasterKey(b"x" * 32))
    with pytest.raises(WrongMasterKey):
        other.feed.read(after=0, limit=1)
    as_superuser(
        database,
        "UPDATE member_keys SET wrapped = (SELECT wrapped FROM member_keys WHERE owner = %s) WHERE owner = %s",
        member(2),
        member(1),
    )
    with pytest.raises(WrongMasterKey):
        store.feed.read(after=0, limit=1)


def test_two_that_seal_for_the_same_new_member_use_one_key(store: PostgresStore, database: Database) -> None:
    start = threading.Barrier(4)

    def seal(ordinal: int) -> None:
        start.wait()
        stream = UUID(int=counter(1).int + ordinal)
        record(store, change(stream, 0, opened(f"name {ordinal}")), number=ordinal)  # type: ignore[arg-type]

    threads = [threading.Thread(target=seal, args=[ordinal]) for ordinal in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {e.event.name for e in store.feed.read(after=0, limit=9)} == {f"name {n}" for n in range(4)}  # type: ignore[attr-defined]
    with database.connect(WRITER) as session:
        assert session.execute("SELECT count(*) FROM member_keys").fetchone() == (1,)


def test_a_feed_may_leave_personal_fields_shut(store: PostgresStore, database: Database) -> None:
    record(store, change(counter(1), 0, opened("An Peeters")))
    shut = StoreFeed(database, stored=store.stored, master=KEY, open_personal=False)
    assert shut.read(after=0, limit=1)[0].event == Opened(name=ERASED, town=ERASED, opened_on=ON)


def test_the_products_own_states_stand_in_heads_and_come_back(database: Database) -> None:
    for aggregate in AGGREGATES:
        assert state_decoder(aggregate)(encode_state(aggregate.initial)) == aggregate.initial
