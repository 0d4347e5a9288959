"""
What one bad item, another writer or a hung worker does to a run: it is named, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from adapters.postgres.database import Database
from application.jobs import Candidate, Turn, by_name
from application.runs.execute import Limits
from application.runs.lifecycle import Runs
from application.runs.pages import TooManyReasons
from application.runs.ports import Chunk, Totals
from application.runs.refusals import (
    TooManyParked,
)
from application.runs.show import items_page, not_done_page, passed_over_page, show
from application.wording import because
from domain.decisions import PassedOver, Selected
from domain.envelope import Commit
from domain.errors import Unavailable
from domain.events import Basis
from domain.ids import StreamId, derived_key
from domain.parameters import Parameters
from domain.zorgkas_affiliation import AFFILIATION
from schedulers.jobs.invitations import INVITATIONS
from schedulers.jobs.reminders import REMINDERS
from tests.patience import eventually
from tests.run_house import (
    ANN,
    BERT,
    affiliation,
    approved,
    have_members,
    open_runs,
    owes,
    paid,
    record,
    settle_all,
    store_of,
)

JANUARY = date(2026, 1, 20)
NOVEMBER = date(2026, 11, 2)


@pytest.fixture
def plain(database: Database) -> Iterator[Runs]:
    """
    Runs without a legal calendar: any job on any day.
    """
    with open_runs(database.url, calendar=False) as opened:
        yield opened


# --- One bad item ----------------------------------------------------------------------------------------------------


class Broken(Exception):
    pass


def failing_for(number: int, *, when: list[bool]) -> Any:
    def decision(candidate: Candidate, turn: Turn, law: Parameters) -> Any:
        if when[0] and candidate.stream == affiliation(number):
            raise Broken("with something personal in it")
        return INVITATIONS.decision(candidate, turn, law)

    return by_name([replace(INVITATIONS, decision=decision)])


def test_one_that_cannot_be_decided_is_named_and_the_others_go_on(plain: Runs) -> None:
    have_members(plain, 5)
    broken = [True]
    runs = replace(plain, jobs=failing_for(3, when=broken))
    planned = approved(runs, "invitations", JANUARY)
    assert (planned.items, planned.passed_over, show(runs, planned.run).undecided) == (4, 1, 1)
    (undecided,) = passed_over_page(runs, planned.run)
    assert undecided.reason.startswith("undecided:Broken at tests/integration/test_runs_bad_items.py line ")
    assert because(undecided.reason) == undecided.reason.replace(":", ": ")
    runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    runs.settle(planned.run, actor=ANN)
    broken[0] = False
    again = approved(runs, "invitations", JANUARY)
    assert (again.key.round, again.items) == (2, 1)
    assert runs.execute(again.run, as_of=JANUARY, actor=ANN).done == 1


def test_one_that_fails_when_it_is_decided_again_is_parked(plain: Runs) -> None:
    have_members(plain, 5)
    broken = [False]
    runs = replace(plain, jobs=failing_for(3, when=broken))
    planned = approved(runs, "invitations", JANUARY)
    broken[0] = True
    record(plain, AFFILIATION, {affiliation(3): owes(2024)[:1]})
    totals = runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert (totals.done, totals.parked) == (4, 1)
    (parked,) = not_done_page(runs, planned.run)
    assert parked.outcome == "parked"
    became = {item.ordinal: (item.outcome, item.reason) for item in items_page(runs, planned.run)}
    assert became == dict.fromkeys(range(1, 6), ("", "")) | {parked.ordinal: ("parked", parked.reason)}
    assert parked.reason.startswith("Broken at tests/integration/test_runs_bad_items.py line ")
    assert because(parked.reason) == f"our program failed on it ({parked.reason})"
    assert "personal" not in parked.reason + parked.detail


def test_one_that_cannot_be_written_is_found_by_halving_and_parked_alone(plain: Runs) -> None:
    have_members(plain, 33)

    def heavy(candidate: Candidate, turn: Turn, law: Parameters) -> Any:
        selected = INVITATIONS.decision(candidate, turn, law)
        if candidate.stream == affiliation(20) and isinstance(selected, Selected):
            from msgspec.structs import replace as struct_replace

            events = (*selected.events[:-1], struct_replace(selected.events[-1], account="x" * 3_000_000))
            return Selected(events=events, amount_cents=selected.amount_cents)
        return selected

    runs = replace(plain, jobs=by_name([replace(INVITATIONS, decision=heavy)]))
    planned = approved(runs, "invitations", JANUARY)
    totals = runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert (totals.done, totals.parked) == (32, 1)
    assert not_done_page(runs, planned.run)[0].stream == affiliation(20)
    assert all(control.expected == control.actual for control in runs.settle(planned.run, actor=ANN))


def test_a_run_in_which_too_many_cannot_be_decided_does_not_start(plain: Runs) -> None:
    have_members(plain, 30)

    def broken(_candidate: Candidate, _turn: Turn, _law: Parameters) -> Any:
        raise Broken

    runs = replace(plain, jobs=by_name([replace(INVITATIONS, decision=broken)]))
    planned = approved(runs, "invitations", JANUARY)
    with pytest.raises(TooManyParked):
        runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    allowed = Limits(parked_percent_max=100)
    assert runs.execute(planned.run, as_of=JANUARY, actor=ANN, limits=allowed).done == 0


def test_reasons_are_codes_and_not_sentences_about_one_member(plain: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.runs.pages._REASONS_MAX", 3)

    def talkative(candidate: Candidate, _turn: Turn, _law: Parameters) -> Any:
        return PassedOver(reason=str(candidate.stream), basis=Basis(rules=()))

    have_members(plain, 5)
    runs = replace(plain, jobs=by_name([replace(INVITATIONS, decision=talkative)]))
    with pytest.raises(TooManyReasons):
        runs.plan("invitations", business_date=JANUARY, as_of=JANUARY, actor=ANN)


# --- Others at work meanwhile ----------------------------------------------------------------------------------------


def test_who_writes_to_a_stream_while_its_chunk_is_done_comes_first_and_the_others_are_not_held_up(
    plain: Runs, database: Database
) -> None:
    have_members(plain, 9)
    settle_all(plain, "invitations", JANUARY)
    interrupted: list[bool] = []

    def interrupting(candidate: Candidate, turn: Turn, law: Parameters) -> Any:
        if turn.business_date == NOVEMBER and armed and not interrupted:
            interrupted.append(True)
            record(plain, AFFILIATION, {affiliation(7): [paid(2026, NOVEMBER, number=7, cents=10_000)]})
        return REMINDERS.decision(candidate, turn, law)

    armed: list[bool] = []
    runs = replace(plain, jobs=by_name([replace(REMINDERS, decision=interrupting)]))
    planned = approved(runs, "reminders", NOVEMBER)
    record(plain, AFFILIATION, {affiliation(2): [paid(2026, NOVEMBER, number=2, cents=10_000)]})
    armed.append(True)
    totals = runs.execute(planned.run, as_of=NOVEMBER, actor=ANN)
    assert (totals.done, totals.refused, totals.parked) == (7, 2, 0)
    assert {row.stream for row in not_done_page(runs, planned.run)} == {affiliation(2), affiliation(7)}
    assert all(control.expected == control.actual for control in runs.settle(planned.run, actor=ANN))
    with store_of(database) as store:
        assert store.heads_equal_replay(AFFILIATION)


def test_a_worker_that_hangs_is_ended_by_the_database_and_its_chunk_is_free_again(plain: Runs) -> None:
    have_members(plain, 3)
    planned = approved(plain, "invitations", JANUARY)
    plain.start(planned.run, as_of=JANUARY, actor=ANN, limits=Limits())
    commit = Commit(command_id=derived_key("hung"), actor=ANN, business_date=JANUARY, cause="test")

    def hang() -> None:
        with plain.store.transaction(commit) as unit:
            assert plain.book.claim(unit, planned.run, 1, worker="hung", seconds=2)
            assert plain.book.open_chunk(planned.run) is None
            eventually(lambda: plain.book.open_chunk(planned.run) is not None)  # only when it was let go
            plain.book.chunk_items(unit, planned.run, Chunk(1, 1, 3))

    with pytest.raises(Unavailable):
        hang()
    assert plain.execute(planned.run, as_of=JANUARY, actor=ANN).done == 3


def test_a_refusal_in_a_worker_process_reaches_the_one_who_asked(make_database: Any, template: str) -> None:
    url = make_database(like=template)
    with open_runs(url, calendar=False) as runs:
        have_members(runs, 3)
        planned = runs.plan("invitations", business_date=JANUARY, as_of=JANUARY, actor=ANN)
        runs.approve(planned.run, digest=planned.digest, actor=BERT)
        seen: list[tuple[int, int]] = []
        nobody_may_fail = Limits(parked_percent_max=0, parked_free=-1)
        runs.start(planned.run, as_of=JANUARY, actor=ANN, limits=Limits())
        spoil(runs, planned.run)
        assert runs.crew is not None
        with pytest.raises(TooManyParked) as refusal:
            runs.crew.execute(
                runs.registered(planned.run), actor=ANN, workers=1, limits=nobody_may_fail,
                progress=lambda done, all_: seen.append((done, all_)), meanwhile=lambda _run: None,
            )  # fmt: skip
        assert "Too many items failed" in str(refusal.value)
        assert seen[-1] == (3, 3)


def spoil(runs: Runs, run: StreamId) -> None:
    """
    Do the only chunk as if all of its items had been parked, so that the next worker finds too many.
    """
    commit = Commit(command_id=derived_key("spoil"), actor=ANN, business_date=JANUARY, cause="test")
    with runs.store.transaction(commit) as unit:
        chunk = runs.book.claim(unit, run, 1, worker="spoil", seconds=5)
        assert chunk is not None
        runs.book.finish_chunk(unit, run, chunk, Totals(parked=3), [], worker="spoil")
