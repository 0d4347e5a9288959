"""
Read models say the same whether events come one by one, or all at once; and write only what an event changed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from domain.aggregates import AGGREGATES
from domain.catalogue import Aggregate
from domain.envelope import Envelope
from domain.ids import derived_key
from domain.money import Cents
from domain.zorgkas_affiliation import AFFILIATION, Allocation
from formats.stored_shapes import event_type, folding_shape
from projections.bank import Bank
from projections.letters import Letters
from projections.members import Members
from projections.model import ByEvent, ReadModel, Row, StreamRows, Table, folded
from projections.payments import Payments
from projections.premium_account import AFFILIATION as TOTALS
from projections.premium_account import YEAR, PremiumAccount
from projections.published_premium_account import PublishedPremiumAccount
from projections.runs import Runs
from tests.builders import charged, opened
from tests.contracts.published_samples import envelope, sample


def digest(name: str, value: str) -> bytes:
    return hashlib.sha256(f"{name}:{value}".encode()).digest()


IDS = [derived_key("letter or movement", str(number)) for number in range(3)]
MODELS: list[ReadModel] = [
    PremiumAccount(), PublishedPremiumAccount(), Letters(), Payments(digest), Bank(), Members(), Runs(),
]  # fmt: skip
OF_MODELS = [
    pytest.param(model, aggregate, id=f"{model.name} of {aggregate.context}.{aggregate.kind.name}")
    for model in MODELS
    for aggregate in AGGREGATES
    if aggregate.kind in model.kinds
]


def a_life(aggregate: Aggregate[Any, Any], *, seed: int) -> list[Envelope]:
    """
    Return every kind of event several times, about few letters and movements, in no sensible order after the first.
    """
    of = random.Random(seed)
    first, *others = aggregate.events
    events = [_about(of, sample(event, words=words)) for event in others for words in range(3)]
    of.shuffle(events)
    return [
        envelope(aggregate, event, position=version, version=version)
        for version, event in enumerate([sample(first), *events], start=1)
    ]


def _about(of: random.Random, event: Any) -> Any:
    which = {name: of.choice(IDS) for name in ("letter_id", "movement", "reversed_by") if hasattr(event, name)}
    return replace(event, **which)


def one_by_one(model: ReadModel, envelopes: Sequence[Envelope]) -> dict[str, list[Row]]:
    """
    Fold each event into what the tables then have of it, as a projector does that is never behind.
    """
    stands: dict[tuple[Table[Any], tuple[Any, ...]], tuple[Any, ...]] = {}
    for each in envelopes:
        rows = StreamRows(each.stream)
        for (table, key), values in stands.items():
            if table.looks_at is None or key in set(table.looks_at(each.event)):
                rows.standing[table, key] = table.row(*values)
        model.evolve(rows, each)
        for place, row in rows.standing.items():
            assert place in rows.changed or astuple(row) == stands[place], "changed, and would not be written"
        stands.update({place: astuple(row) for place, row in rows.changed.items()})
    return {
        table.name: [table.row(*values) for (of, _), values in stands.items() if of is table] for table in model.tables
    }


@pytest.mark.parametrize(("model", "aggregate"), OF_MODELS)
@pytest.mark.parametrize("seed", range(5))
def test_one_by_one_gives_what_all_at_once_gives(model: ReadModel, aggregate: Aggregate[Any, Any], seed: int) -> None:
    life = a_life(aggregate, seed=seed)
    apart, together = one_by_one(model, life), folded(model, life)
    for table in model.tables:
        assert sorted(apart[table.name], key=repr) == sorted(together[table.name], key=repr)
    assert any(together.values())


@pytest.mark.parametrize("event", AFFILIATION.events, ids=lambda event: event.__name__)
def test_what_is_read_for_folding_only_does_what_the_event_does(event: Any) -> None:
    shape = folding_shape(event_type(AFFILIATION.context, event))
    by_event = ByEvent[str]({event: "this one"}, otherwise="another")
    assert by_event[shape] == "this one"
    assert by_event[type(opened()) if event is not type(opened()) else type(charged(2025, 1))] == "another"


def test_rows_that_are_only_looked_at_are_not_written() -> None:
    rows = StreamRows(envelope(AFFILIATION, opened()).stream)
    rows.standing[YEAR, (2025,)] = YEAR.row(rows.stream, 2025)
    assert [row.year for row in rows.of(YEAR)] == [2025]
    assert rows.known(YEAR, 2024) is None
    assert not rows.changed
    rows.row(YEAR, 2025).paid_cents = 5
    assert [row.paid_cents for row in rows.of(YEAR)] == [5]
    assert list(rows.changed) == [(YEAR, (2025,))]


def test_a_row_that_is_not_there_is_made_with_its_key() -> None:
    rows = StreamRows(envelope(AFFILIATION, opened()).stream)
    assert astuple(rows.row(YEAR, 2026))[:3] == (rows.stream, 2026, 0)
    assert rows.row(YEAR, 2026) is rows.known(YEAR, 2026)
    assert rows.known(TOTALS) is None


@pytest.mark.parametrize("key", [("year", "stream"), ("stream", "charged_cents"), ("year",)])
def test_a_table_whose_first_columns_are_not_its_key_is_refused(key: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="its key"):
        Table(name="premium_year", row=YEAR.row, columns=YEAR.columns, key=key)


def test_money_that_was_taken_back_or_moved_leaves_no_value_date_behind() -> None:
    paid, back = (a_payment_of(2025, name) for name in ("PaymentReceived", "PaymentReversed"))
    story = [envelope(AFFILIATION, event, position=at, version=at) for at, event in enumerate((paid, back), start=1)]
    for model in (PremiumAccount(), PublishedPremiumAccount()):
        (standing,) = folded(model, story[:1])["premium_year"]
        (after,) = folded(model, story)["premium_year"]
        assert (standing.last_value_date, after.last_value_date) == (paid.value_date, None)  # type: ignore[attr-defined]
        assert (standing.paid_cents, after.paid_cents) == (6400, 0)  # type: ignore[attr-defined]


def a_payment_of(year: int, name: str) -> Any:
    event = next(each for each in AFFILIATION.events if each.__name__ == name)
    return replace(sample(event), amount_cents=6400, credit_cents=0, allocations=(Allocation(year, Cents(6400)),))
