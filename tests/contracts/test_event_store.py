"""
What every event store does, in memory and on PostgreSQL: one suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from adapters.memory import MemoryStore
from adapters.postgres.database import Database
from adapters.postgres.store import PostgresStore
from adapters.sealing import MasterKey, NoMasterKey
from application.ports import Answer, Change, MarkTaken, MemberErased, WrittenMeanwhile
from domain.errors import Refused
from domain.ids import Kind, belonging_to
from domain.personal import ERASED
from formats.stored import EventTooLarge, UnknownEventType, UnstorableEvent
from tests.small_aggregate import (
    COUNTER,
    ON,
    Counted,
    Counter,
    Described,
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
Store = MemoryStore | PostgresStore


class TickingClock:
    """
    A clock that goes on one second a look, and once back.
    """

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        self._looks += 1
        return datetime(2026, 4, 30, 12, tzinfo=UTC) + timedelta(seconds=-5 if self._looks == 3 else self._looks)


@pytest.fixture(params=["memory", "postgres", "postgres over TCP"])
def make_store(request: pytest.FixtureRequest) -> Iterator[Callable[..., Store]]:
    """
    Make stores on the same events: `make_store(master=None)` is one without the master key.
    """
    made: list[PostgresStore] = []
    memory: list[MemoryStore] = []

    def make(*, master: MasterKey | None = KEY, aggregate: Any = COUNTER) -> Store:
        if request.param == "memory":
            store = MemoryStore(TickingClock(), aggregates=[aggregate], master=master)
            if memory:
                shared = ("keys", "_log", "_streams", "_ids", "_heads", "_answers", "_marks", "_lock")
                vars(store).update({name: vars(memory[0])[name] for name in shared})
            memory.append(store)
            return store
        database: Database = request.getfixturevalue("database" if request.param == "postgres" else "database_over_tcp")
        made.append(PostgresStore(database, aggregates=[aggregate], master=master))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    return make_store()


def record(store: Store, *changes: Any, number: int = 1) -> None:
    with store.transaction(commit(number)) as unit:
        unit.append(COUNTER, changes)


def total(store: Store, number: int = 1) -> int:
    with store.transaction(commit()) as unit:
        return unit.load(COUNTER, [counter(number)])[counter(number)].state.total


# --- appending and loading -------------------------------------------------------------------------------------------


def test_a_stream_without_events_has_the_first_state_at_version_0(store: Store) -> None:
    with store.transaction(commit()) as unit:
        assert unit.load(COUNTER, [counter(1)]) == {counter(1): (Counter(), 0)}


def test_what_was_appended_is_loaded(store: Store) -> None:
    record(store, change(counter(1), 0, opened(), counted(5)), change(counter(2), 0, counted(7)))
    with store.transaction(commit(2)) as unit:
        loaded = unit.load(COUNTER, [counter(1), counter(2), counter(3)])
    assert loaded[counter(1)] == (Counter(total=5, counted=1, opened_on=ON), 2)
    assert loaded[counter(2)] == (Counter(total=7, counted=1), 1)
    assert loaded[counter(3)] == (Counter(), 0)


@pytest.mark.parametrize("streams", [1, 63, 64, 1_200], ids=["one", "last of few", "first of many", "three slices"])
def test_few_and_many_events_are_recorded_alike(store: Store, streams: int) -> None:
    record(store, *(change(counter(n), 0, counted(n), counted(1)) for n in range(streams)))
    envelopes = store.feed.read(after=0, limit=10_000)
    assert [(e.stream, e.version) for e in envelopes] == [(counter(n), v) for n in range(streams) for v in (1, 2)]
    assert [e.event.amount for e in envelopes] == [amount for n in range(streams) for amount in (n, 1)]  # type: ignore[attr-defined]
    assert store.heads_equal_replay(COUNTER)


def test_one_transaction_may_append_twice_and_sees_what_it_appended(store: Store) -> None:
    with store.transaction(commit()) as unit:
        unit.append(COUNTER, [change(counter(1), 0, counted(1))])
        loaded = unit.load(COUNTER, [counter(1)])[counter(1)]
        unit.append(COUNTER, [change(counter(1), loaded.version, counted(2), state=loaded.state)])
    assert total(store) == 3
    first, second = store.feed.read(after=0, limit=10)
    assert first.commit == second.commit
    assert second.position == first.position + 1


def test_states_can_be_looked_at_without_a_transaction(store: Store) -> None:
    record(store, change(counter(1), 0, counted(5)))
    assert store.load(COUNTER, [counter(1), counter(2)]) == {
        counter(1): (Counter(total=5, counted=1), 1),
        counter(2): (Counter(), 0),
    }


def test_a_change_without_events_records_nothing(store: Store) -> None:
    record(store, change(counter(1), 0))
    assert store.feed.high_water() == 0


def test_an_error_in_the_transaction_leaves_nothing(store: Store) -> None:
    def stop_half_way() -> None:
        with store.transaction(commit()) as unit:
            unit.append(COUNTER, [change(counter(1), 0, opened(), counted(5))])
            unit.mark_unique("number", [("85.07.30-033.28", counter(1))])
            unit.answer(Answer(command_id=command_id(1), digest="d", outcome="done"))
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        stop_half_way()
    assert store.feed.read(after=0, limit=10) == []
    assert store.history(counter(1)) == []
    assert store.answers([command_id(1)]) == {}
    with store.transaction(commit()) as unit:
        unit.mark_unique("number", [("85.07.30-033.28", counter(2))])


# --- conflicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [1, 100], ids=["few", "many"])
@pytest.mark.parametrize("after_version", [0, 1, 3], ids=["as if new", "as it was", "as it will be"])
def test_another_version_than_expected_is_written_meanwhile(store: Store, many: int, after_version: int) -> None:
    record(store, change(counter(0), 0, counted(1), counted(1)))
    changes = [change(counter(n), 0, counted(9)) for n in range(1, many)]
    with pytest.raises(WrittenMeanwhile), store.transaction(commit(2)) as unit:
        unit.append(COUNTER, [*changes, change(counter(0), after_version, counted(9))])
    assert [e.event for e in store.feed.read(after=0, limit=1_000)] == [counted(1), counted(1)]


def test_of_two_that_decide_on_the_same_state_one_decides_again(store: Store) -> None:
    record(store, change(counter(1), 0, counted(1)))

    def be_late() -> None:
        with store.transaction(commit(2)) as late:
            late.load(COUNTER, [counter(1)])
            record(store, change(counter(1), 1, counted(2), state=Counter(total=1, counted=1)), number=3)
            late.append(COUNTER, [change(counter(1), 1, counted(4), state=Counter(total=1, counted=1))])

    with pytest.raises(WrittenMeanwhile):
        be_late()
    assert total(store) == 3


def test_who_takes_the_lock_first_reads_what_is_there_and_appends(store: Store) -> None:
    record(store, change(counter(1), 0, counted(1)))
    with store.transaction(commit(2), lock_first=True) as unit:
        loaded = unit.load(COUNTER, [counter(1)])[counter(1)]
        unit.append(COUNTER, [change(counter(1), loaded.version, counted(2), state=loaded.state)])
    assert total(store) == 3


def test_a_stream_of_another_kind_is_a_mistake_of_the_program(store: Store) -> None:
    with pytest.raises(ValueError, match="not a stream of"):
        record(store, change(belonging_to(member(1), Kind.RUN), 0, counted(1)))


# --- answers and unique marks ----------------------------------------------------------------------------------------


def test_a_command_is_answered_once_and_the_answer_is_kept(store: Store) -> None:
    answer = Answer(command_id=command_id(1), digest="a" * 64, outcome="done", detail={"events": 2, "years": [2025]})

    def count(after_version: int) -> None:
        with store.transaction(commit()) as unit:
            unit.append(COUNTER, [change(counter(1), after_version, counted(1))])
            unit.answer(answer)

    count(after_version=0)
    assert store.answers([command_id(1), command_id(2)]) == {command_id(1): answer}
    with pytest.raises(WrittenMeanwhile):
        count(after_version=1)
    assert total(store) == 1


def test_a_command_that_changes_nothing_is_answered_too(store: Store) -> None:
    answers = [Answer(command_id=command_id(n), digest="d", outcome="nothing to do") for n in range(3)]
    with store.transaction(commit()) as unit:
        for answer in answers:
            unit.answer(answer)
    assert list(store.answers([command_id(n) for n in range(3)]).values()) == answers


def test_one_transaction_does_not_answer_a_command_twice(store: Store) -> None:
    def answer_twice() -> None:
        with store.transaction(commit()) as unit:
            unit.append(COUNTER, [change(counter(1), 0, counted(1))])
            unit.answer(Answer(command_id=command_id(1), digest="d", outcome="done"))
            unit.answer(Answer(command_id=command_id(1), digest="d", outcome="done"))

    with pytest.raises(WrittenMeanwhile):
        answer_twice()
    assert store.feed.high_water() == 0


def test_a_unique_value_belongs_to_one_stream(store: Store) -> None:
    with store.transaction(commit()) as unit:
        unit.mark_unique("national number", [("1", counter(1)), ("2", counter(2))])
        unit.mark_unique("national number", [("1", counter(1))])
        unit.mark_unique("iban", [("1", counter(2))])

    def claim_what_is_taken() -> None:
        with store.transaction(commit(2)) as unit:
            unit.append(COUNTER, [change(counter(3), 0, counted(1))])
            unit.mark_unique("national number", [("2", counter(3))])

    with pytest.raises(MarkTaken) as refusal:
        claim_what_is_taken()
    assert str(counter(3)) in str(refusal.value)
    assert total(store, 3) == 0


# --- what cannot be stored -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "refusal"),
    [
        (counted(1, note="\ud800"), UnstorableEvent),
        (Opened(name="half \udfff", opened_on=ON), UnstorableEvent),
        (Counted(amount=float("nan")), UnstorableEvent),  # type: ignore[arg-type]
        (Counted(amount=1.5), UnstorableEvent),  # type: ignore[arg-type]
        (Counted(amount="5"), UnstorableEvent),  # type: ignore[arg-type]
        (Opened(name=7, opened_on=ON), UnstorableEvent),  # type: ignore[arg-type]
        (Described(detail={"a": 1}), UnstorableEvent),  # type: ignore[dict-item]
        (counted(1, note="x" * 262_144), EventTooLarge),
        (Opened(name="x" * 262_144, opened_on=ON), EventTooLarge),
    ],
    ids=["half a character", "half a name", "NaN", "float", "text as number", "number as text",
         "number in text", "too large", "too large a name"],
)  # fmt: skip
@pytest.mark.parametrize("many", [0, 100], ids=["alone", "among many"])
def test_what_would_not_come_back_is_refused_before_anything_is_recorded(
    store: Store, event: Any, refusal: type[Refused], many: int
) -> None:
    with pytest.raises(refusal) as refused, store.transaction(commit()) as unit:
        unit.append(
            COUNTER,
            [*(change(counter(n), 0, counted(1)) for n in range(1, many)), Change(counter(0), 0, [event], Counter())],
        )
    assert "name" not in str(refused.value)
    assert store.feed.high_water() == 0


def test_an_event_that_is_not_in_the_catalogue_is_refused(store: Store) -> None:
    class Unheard(Counted, frozen=True, kw_only=True):
        pass

    with pytest.raises(UnknownEventType):
        record(store, Change(counter(1), 0, [Unheard(amount=1)], Counter()))


@pytest.mark.parametrize(
    "note", ["", "\x00", "é€😀", '"\\', "x" * 150_000], ids=["empty", "nul", "wide", "quotes", "long"]
)
def test_any_whole_text_comes_back(store: Store, note: str) -> None:
    record(store, change(counter(1), 0, counted(1, note=note), opened(note or "-")))
    assert [e.event for e in store.history(counter(1))] == [counted(1, note=note), opened(note or "-")]


def test_a_record_that_looks_like_another_encoding_comes_back(store: Store) -> None:
    event = Described(detail={"_type_": "datetime_iso", "_data_": "2026-01-01", "type": "Counted"})
    record(store, change(counter(1), 0, event))
    assert [e.event for e in store.history(counter(1))] == [event]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_feed_gives_events_in_order_with_what_they_were_recorded_with(store: Store) -> None:
    for number in range(1, 5):
        record(store, change(counter(number), 0, counted(number), opened()), number=number)
    envelopes = store.feed.read(after=0, limit=5)
    assert [e.type for e in envelopes[:2]] == ["tests.Counted/1", "tests.Opened/1"]
    assert [e.commit for e in envelopes] == [commit(n) for n in (1, 1, 2, 2, 3)]
    assert all(before.position < after.position for before, after in pairwise(envelopes))
    assert all(before.recorded_at <= after.recorded_at for before, after in pairwise(envelopes))
    assert all(e.recorded_at.utcoffset() == timedelta(0) for e in envelopes)
    rest = store.feed.read(after=envelopes[-1].position, limit=100)
    assert [(e.stream, e.version) for e in rest] == [(counter(3), 2), (counter(4), 1), (counter(4), 2)]
    assert store.feed.high_water() == rest[-1].position
    assert store.feed.read(after=rest[-1].position, limit=100) == []


def test_the_feed_gives_only_the_kinds_asked_for(store: Store) -> None:
    record(store, change(counter(1), 0, counted(1)))
    assert store.feed.read(after=0, limit=10, kinds=[Kind.RUN]) == []
    assert len(store.feed.read(after=0, limit=10, kinds=[Kind.RUN, Kind.ZORGKAS_AFFILIATION])) == 1


def test_a_stream_has_its_history(store: Store) -> None:
    record(store, change(counter(2), 0, counted(1)), change(counter(1), 0, counted(2)), number=1)
    record(store, change(counter(2), 1, opened(), state=Counter(total=1, counted=1)), number=2)
    history = store.history(counter(2))
    assert [(e.version, e.event, e.commit) for e in history] == [(1, counted(1), commit(1)), (2, opened(), commit(2))]
    assert [e.position for e in store.feed.of_streams([counter(1), counter(2)])] == [2, 1, 3]


def test_streams_are_listed_page_by_page_in_id_order(store: Store) -> None:
    record(store, *(change(counter(n), 0, counted(1), counted(1)) for n in (3, 1, 2, 5, 4)))
    assert store.streams(COUNTER, after=None, limit=2) == [counter(1), counter(2)]
    assert store.streams(COUNTER, after=counter(2), limit=10) == [counter(3), counter(4), counter(5)]
    assert store.streams(COUNTER, after=counter(5), limit=10) == []


# --- heads -----------------------------------------------------------------------------------------------------------


def test_heads_equal_replay_and_are_made_again_when_the_fold_changes(make_store: Callable[..., Store]) -> None:
    record(make_store(), change(counter(1), 0, opened(), counted(5)), change(counter(2), 0, counted(7)))

    def twice(state: Counter, event: Any) -> Counter:
        return COUNTER.evolve(state, counted(2 * event.amount) if isinstance(event, Counted) else event)

    changed = type(COUNTER)(
        context="tests", kind=COUNTER.kind, happened=COUNTER.happened, initial=Counter(), evolve=twice, fold_version=2
    )
    store = make_store(aggregate=changed)
    with store.transaction(commit(2)) as unit:
        assert unit.load(changed, [counter(1)])[counter(1)].state.total == 10  # the old head is not used
    assert store.rebuild_heads(changed) == 2
    assert store.heads_equal_replay(changed)
    with store.transaction(commit(2)) as unit:
        assert unit.load(changed, [counter(2)])[counter(2)] == (Counter(total=14, counted=1), 1)


def test_a_head_that_is_not_what_replay_gives_is_found(store: Store) -> None:
    record(store, change(counter(1), 0, counted(5)))
    record(store, change(counter(2), 0, counted(5))._replace(state=Counter(total=6, counted=1)), number=2)
    assert store.heads_unlike_replay(COUNTER) == [counter(2)]
    store.rebuild_heads(COUNTER)
    assert store.heads_equal_replay(COUNTER)


# --- personal data ---------------------------------------------------------------------------------------------------


def test_personal_fields_are_opened_for_the_feed_and_stay_shut_where_nobody_needs_them(store: Store) -> None:
    record(store, change(counter(1), 0, opened("An Peeters")))
    (envelope,) = store.feed.read(after=0, limit=1)
    assert envelope.event == opened("An Peeters")


def test_without_the_master_key_events_load_and_personal_fields_read_erased(make_store: Callable[..., Store]) -> None:
    record(make_store(), change(counter(1), 0, opened("An Peeters"), counted(3)))
    without = make_store(master=None)
    first, second = without.feed.read(after=0, limit=2)
    assert first.event == Opened(name=ERASED, town=ERASED, opened_on=ON)
    assert second.event == counted(3)
    assert total(without) == 3
    with pytest.raises(NoMasterKey):
        record(without, change(counter(2), 0, opened()))


def test_an_erased_member_reads_erased_for_ever_and_the_others_do_not(store: Store) -> None:
    record(store, change(counter(1), 0, opened("An Peeters")), change(counter(2), 0, opened("Jan Janssens")))
    store.erase(member(1))
    assert [e.event.name for e in store.feed.read(after=0, limit=2)] == [ERASED, "Jan Janssens"]  # type: ignore[attr-defined]
    with pytest.raises(MemberErased):
        record(store, change(counter(1), 1, opened("An Peeters")), number=2)
    record(store, change(counter(1), 1, counted(1), state=Counter(opened_on=ON)), number=3)
    store.erase(member(1))
    assert store.heads_equal_replay(COUNTER)


def test_a_member_erased_before_anything_was_recorded_never_gets_a_key(store: Store) -> None:
    store.erase(member(1))
    with pytest.raises(MemberErased):
        record(store, change(counter(1), 0, opened()))
    assert store.feed.high_water() == 0
