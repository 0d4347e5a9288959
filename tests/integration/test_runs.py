"""
Runs on the real database: plan, approve, execute, settle, and every way in which each of them says no.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from adapters.postgres.database import Database
from application.runs import Runs
from tests.run_house import ANN, BERT, affiliation, have_members, open_runs, settle_all

JANUARY = date(2026, 1, 20)


@pytest.fixture
def runs(database: Database) -> Iterator[Runs]:
    with open_runs(database.url) as opened:
        yield opened


def test_a_run_goes_from_plan_to_settlement_and_every_control_agrees(runs: Runs) -> None:
    have_members(runs, 5)
    planned = runs.plan("invitations", business_date=JANUARY, as_of=JANUARY, actor=ANN)
    assert (planned.items, planned.passed_over, planned.amount_cents) == (5, 0, 50_000)
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    totals = runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert (totals.done, totals.refused, totals.parked, totals.events) == (5, 0, 0, 15)
    controls = runs.settle(planned.run, actor=ANN)
    assert [(control.expected, control.actual) for control in controls] == [(5, 5), (50_000, 50_000), (15, 15), (50_000, 50_000)]
    assert runs.state(planned.run).phase == "settled"
