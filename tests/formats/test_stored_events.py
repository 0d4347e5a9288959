"""
Stored events: every type ever released can be read, and what is written comes back as it was.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sealing import Ciphers, MasterKey, place_of
from domain.aggregates import AGGREGATES
from domain.catalogue import Aggregate
from domain.events import Event
from domain.ids import Kind, MemberId, owner_of
from domain.personal import ERASED, SEALED_IDENTITY, Personal
from domain.zorgkas_affiliation import ZorgpremieCharged
from formats.stored import Boxed, EventType, MisshapenEvent, StoredEvents, UnknownEventType, event_type
from tests.event_values import events_of, sample_of
from tests.golden_files import GOLDEN
from tests.small_aggregate import counter

SAMPLES = GOLDEN / "stored_events"
KEY = MasterKey(b"s" * 32)
STORED = StoredEvents(AGGREGATES)
EVENTS = sorted(STORED.by_event, key=lambda event: STORED.by_event[event].name)
STREAM, VERSION = counter(1), 3


class SampleKeys:
    """
    The key table that the samples were sealed with: one member, one wrapped key, kept with the samples.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrapped(self, owners: Any) -> dict[MemberId, bytes | None]:
        if not self.path.exists():
            return {}
        return {owner: bytes.fromhex(self.path.read_text().strip()) for owner in owners}

    def add(self, keys: Any) -> None:
        (wrapped,) = keys.values()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(wrapped.hex() + "\n")


def ciphers() -> Ciphers:
    return Ciphers(KEY, SampleKeys(SAMPLES / "member_key.hex"))


def write(event: Event, of: EventType) -> bytes:
    box = None
    if of.sealed:
        of_member = ciphers()
        of_member.fetch_or_make([owner_of(STREAM)])
        personal = STORED.personal_of(event, of)
        box = of_member.seal(owner_of(STREAM), place_of(STREAM, VERSION, of.name), personal)
    return STORED.state_of(event, of, box)


def read(name: str, state: bytes, stored: StoredEvents = STORED) -> Event:
    event = stored.read(name, state)
    if not isinstance(event, Boxed):
        return event
    of_member = ciphers()
    of_member.fetch([owner_of(STREAM)])
    return stored.unbox(event, of_member.open(owner_of(STREAM), place_of(STREAM, VERSION, name), event.box))


def sample_path(name: str) -> Path:
    return SAMPLES / f"{name.replace('/', '.')}.json"


# --- the samples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: STORED.by_event[event].name)
def test_every_stored_type_has_a_kept_sample(event: type[Event], request: pytest.FixtureRequest) -> None:
    of = STORED.by_event[event]
    path = sample_path(of.name)
    sample = sample_of(event)
    if request.config.getoption("--approve") and not path.exists():  # a sample once kept is never written again
        kept = {
            "type": of.name,
            "state": write(sample, of).decode(),
            "reads_as": json.loads(msgspec.json.encode(sample)),
        }
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert path.exists(), f"{of.name} has no sample; run pytest --approve and commit the new file"


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_ever_kept_still_reads_as_it_did(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert path == sample_path(kept["type"])
    event = read(kept["type"], kept["state"].encode())
    now = json.loads(msgspec.json.encode(event))
    assert {name: now[name] for name in kept["reads_as"]} == kept["reads_as"]


def test_stored_names_and_fields_never_change_unseen(golden: Any) -> None:
    lines = [f"{STORED.by_event[event].name}: {', '.join(event.__struct_fields__)}" for event in EVENTS]
    golden("stored_events/names_and_fields.txt", "\n".join(lines) + "\n")


# --- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: STORED.by_event[event].name)
@settings(max_examples=25)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(event: type[Event], data: st.DataObject) -> None:
    of = STORED.by_event[event]
    happened = data.draw(events_of(event))
    state = write(happened, of)
    STORED.check([happened], [of.name], [state])
    assert read(of.name, state) == happened
    assert json.loads(state).keys() == {"type", *of.clear, *(["sealed"] if of.sealed else [])}


def test_a_batch_of_any_length_is_read_in_its_order_and_a_bad_row_is_named_wherever_it_stands() -> None:
    charged = sample_of(ZorgpremieCharged)
    happened = [msgspec.structs.replace(charged, year=1900 + number) for number in range(321)]
    types = STORED.types_of(happened)
    names, states = [of.name for of in types], STORED.states_of(happened, types)
    assert STORED.read_page(names, states) == happened
    assert [event.year for event in STORED.read_page_for_folding(names, states)] == list(range(1900, 2221))  # type: ignore[attr-defined]
    for bad in (0, 99, 100, 320):
        broken = [*states[:bad], b"{}", *states[bad + 1 :]]
        for read_page in (STORED.read_page, STORED.read_page_for_folding):
            with pytest.raises(MisshapenEvent, match=names[bad]):
                read_page(names, broken)


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.context + f"-{aggregate.kind.name}")
def test_a_whole_stream_is_read_in_one_go_for_folding_with_personal_fields_erased(
    aggregate: Aggregate[Any, Any],
) -> None:
    events = [sample_of(event) for event in aggregate.events]
    states = [write(event, STORED.by_event[type(event)]) for event in events]
    found = STORED.read_stream(aggregate, b",".join(states))
    for event, back in zip(events, found, strict=True):
        sealed = STORED.by_event[type(event)].sealed
        assert isinstance(back, type(event))
        erased = msgspec.structs.replace(event, **dict.fromkeys(sealed, ERASED))
        for name in set(event.__struct_fields__) - {"basis"}:
            assert getattr(back, name) == getattr(erased, name)


# --- older versions --------------------------------------------------------------------------------------------------


class Paid(Event, frozen=True, kw_only=True, tag="Paid/3"):
    """
    Version 1 had euros, version 2 cents and no day, version 3 has cents, the day, and a payer.
    """

    amount_cents: int
    paid_on: date
    payer: Personal = ""


class Noted(Event, frozen=True, kw_only=True):
    text: str


def to_cents(old: dict[str, Any]) -> dict[str, Any]:
    return {"amount_cents": old["euros"] * 100, **{name: old[name] for name in ("payer",) if name in old}}


def with_a_day(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "paid_on": "2020-01-01"}


def folded(state: int, event: Any) -> int:
    return state + event.amount_cents if isinstance(event, Paid) else state


PAYING: Aggregate[int, Any] = Aggregate(
    context="old", kind=Kind.BANK_ACCOUNT, happened=Paid | Noted, initial=0, evolve=folded, fold_version=1
)
UPCASTS = {"old.Paid/1": to_cents, "old.Paid/2": with_a_day}
OLD = StoredEvents([PAYING], UPCASTS)
LATEST = Paid(amount_cents=500, paid_on=date(2020, 1, 1))


def test_each_older_version_is_brought_up_one_step_at_a_time() -> None:
    assert OLD.names == {"old.Paid/1", "old.Paid/2", "old.Paid/3", "old.Noted/1"}
    boxed = StoredEvents([PAYING], UPCASTS).read(
        "old.Paid/3", b'{"type":"Paid/3","amount_cents":5,"paid_on":"2020-02-02","sealed":""}'
    )
    assert isinstance(boxed, Boxed)
    assert OLD.read("old.Paid/1", b'{"type":"Paid","euros":5}') == LATEST
    assert OLD.read("old.Paid/2", b'{"type":"Paid/2","amount_cents":500}') == LATEST


def test_a_stream_of_mixed_versions_is_read_the_slow_way() -> None:
    rows = [
        b'{"type":"Paid","euros":5}',
        b'{"type":"Noted","text":"a, {b}"}',
        b'{"type":"Paid/2","amount_cents":500}',
        b'{"type":"Paid/3","amount_cents":5,"paid_on":"2020-02-02","sealed":"AAAA"}',
    ]
    events = OLD.read_stream(PAYING, b",".join(rows))
    assert events == [
        LATEST,
        Noted(text="a, {b}"),
        LATEST,
        Paid(amount_cents=5, paid_on=date(2020, 2, 2), payer=ERASED),
    ]
    assert PAYING.fold(events) == 1005


def test_an_older_version_with_a_box_opens_with_the_type_it_was_sealed_under() -> None:
    of_member = ciphers()
    of_member.fetch_or_make([owner_of(STREAM)])
    box = of_member.seal(owner_of(STREAM), place_of(STREAM, VERSION, "old.Paid/1"), b'{"payer":"An Peeters"}')
    state = msgspec.json.encode({"type": "Paid", "euros": 5, "sealed": box})
    assert read("old.Paid/1", state, OLD) == msgspec.structs.replace(LATEST, payer="An Peeters")
    assert OLD.read_stream(PAYING, state) == [msgspec.structs.replace(LATEST, payer=ERASED)]


@pytest.mark.parametrize(
    ("name", "state", "refusal"),
    [
        ("old.Paid/4", b'{"type":"Paid/4"}', UnknownEventType),
        ("old.Paid/0", b"{}", UnknownEventType),
        ("old.Paid", b"{}", UnknownEventType),
        ("new.Paid/1", b"{}", UnknownEventType),
        ("old.Paid/1", b'{"type":"Paid/2","euros":5}', MisshapenEvent),
        ("old.Paid/1", b'{"euros":5}', MisshapenEvent),
        ("old.Paid/1", b'{"type":"Paid"}', MisshapenEvent),
        ("old.Paid/1", b'{"type":"Paid","euros":"5"}', MisshapenEvent),
        ("old.Paid/1", b"[]", MisshapenEvent),
        ("old.Paid/2", b'{"type":"Paid/2","amount_cents":"x"}', MisshapenEvent),
    ],
)
def test_what_cannot_be_brought_up_is_refused(name: str, state: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        OLD.read(name, state)


def test_a_version_without_its_upcast_is_found_when_the_program_starts() -> None:
    with pytest.raises(ValueError, match=r"old\.Paid/1 has no upcast to version 2"):
        StoredEvents([PAYING], {"old.Paid/2": with_a_day})


# --- what may be marked as personal ----------------------------------------------------------------------------------


class Inner(msgspec.Struct):
    name: Personal


class Deep(Event, frozen=True, kw_only=True):
    inner: tuple[Inner, ...]


class Number(Event, frozen=True, kw_only=True):
    number: Annotated[int, SEALED_IDENTITY]


class Optional(Event, frozen=True, kw_only=True):
    name: Personal | None


class Named(Event, frozen=True, kw_only=True):
    sealed: str


@pytest.mark.parametrize("event", [Deep, Number, Optional, Named])
def test_a_mark_that_would_not_seal_is_found_when_the_program_starts(event: type[Event]) -> None:
    with pytest.raises(ValueError, match=r"sealed|text"):
        event_type("tests", event)


def test_two_types_of_one_name_are_found_when_the_program_starts() -> None:
    with pytest.raises(ValueError, match=r"two events would be stored as old\.Paid/3"):
        StoredEvents([PAYING, PAYING], UPCASTS)


def test_ids_and_days_are_text_in_the_row() -> None:
    of = STORED.by_event[EVENTS[0]]
    state = json.loads(write(sample_of(EVENTS[0]), of))
    assert state["type"] == of.name.split(".")[1].removesuffix("/1")
    assert not any(isinstance(value, (UUID, date)) for value in state.values())
