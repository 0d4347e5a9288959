"""
A machine that is off for 1, 2, 7 or 40 days, from any day of the year: it does the same as one that was never off, or
stops for a person; it never does anything early, twice, out of order or dated back.

The register of runs stands in memory here, so that a whole year takes milliseconds; `BACKOFFICE_TEST_OUTAGES=1460` takes all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from adapters.memory import MemoryStore
from application.runs.lifecycle import Runs
from application.runs.pages import Members
from application.runs.ports import Registered, Totals
from application.runs.today import Did, run_due
from domain.ids import StreamId
from domain.member import MEMBER
from domain.run import RUN
from domain.zorgkas_affiliation import AFFILIATION
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR
from tests.run_house import LAW

SEED = int(os.environ.get("BACKOFFICE_TEST_SEED", "20261121"))
OUTAGES = int(os.environ.get("BACKOFFICE_TEST_OUTAGES", "60"))
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
LENGTHS = (1, 2, 7, 40)
ALL = [(FIRST + timedelta(days=day), length) for day in range(365) for length in LENGTHS]


class MemoryRunBook:
    """
    The register of runs for nobody at all: which runs there are, and when; items there are none.
    """

    def __init__(self) -> None:
        self.all: list[Registered] = []

    def last(self, job: str) -> Registered | None:
        return next((run for run in reversed(self.all) if run.key.job == job), None)

    def of_date(self, job: str, business_date: date) -> Sequence[Registered]:
        return [run for run in self.all if (run.key.job, run.key.business_date) == (job, business_date)]

    def between(self, first: date, last: date) -> Sequence[Registered]:
        return [run for run in self.all if first <= run.key.business_date <= last]

    def registered(self, run: StreamId) -> Registered | None:
        return next((found for found in self.all if found.run == run), None)

    def register(self, _unit: Any, run: Registered) -> None:
        self.all.append(run)

    def exclusively(self, _unit: Any, job: str) -> None: ...
    def add_reasons(self, _unit: Any, _run: StreamId, _reasons: Any) -> None: ...
    def add_chunks(self, _unit: Any, _run: StreamId, _chunks: Any) -> None: ...
    def approve(self, _unit: Any, _run: StreamId, **_facts: str) -> None: ...
    def set_ogms_aside(self, _job: str) -> int:
        return 1

    def take_ogms(self, _unit: Any, _run: Registered) -> None: ...

    def open_chunk(self, _run: StreamId) -> int | None:
        return None

    def totals(self, _run: StreamId) -> Totals:
        return Totals()

    def reasons(self, _run: StreamId) -> Sequence[Any]:
        return []

    def item_digests(self, _run: StreamId) -> Iterator[bytes]:
        return iter(())

    def passed_over_facts(self, _run: StreamId) -> Iterator[bytes]:
        return iter(())

    def not_done_cents(self, _run: StreamId) -> int:
        return 0

    def written(self, _run: StreamId, _counted: Mapping[Any, str]) -> tuple[int, int]:
        return 0, 0


class SteadyClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def a_house() -> Runs:
    return Runs(
        store=MemoryStore(clock=SteadyClock(), aggregates=[MEMBER, AFFILIATION, RUN], master=None),
        book=MemoryRunBook(),  # type: ignore[arg-type]
        members=Members(MEMBER, lambda state: state.facts),
        jobs=JOBS,
        law=LAW,
        calendar=LEGAL_CALENDAR,
        statements_cover=lambda day: day,
    )


def a_year(*, off_from: date | None = None, days: int = 0) -> list[tuple[date, Did]]:
    """
    Live through 2026: the alarm rings every day on which the machine is on, and a person approves what was planned.
    """
    runs, did = a_house(), []
    off = {off_from + timedelta(days=each) for each in range(days)} if off_from else set()
    for day in days_that_matter(off):
        for one in run_due(runs, as_of=day, since=FIRST):
            did.append((day, one))
            approve_and_execute(runs, day, one)
    return did


def days_that_matter(off: set[date]) -> list[date]:
    """
    Every day on which something may begin or end, and the day that the machine is on again.
    """
    lines = [entry.line(LAW, year=2026) for entry in LEGAL_CALENDAR]
    edges = {day for line in lines for day in (line.earliest, line.planned, line.latest) if day}
    days = {edge + timedelta(days=by) for edge in edges for by in (-1, 0, 1)} | {day + timedelta(days=1) for day in off}
    return sorted(day for day in days if FIRST <= day <= LAST and day not in off)


def approve_and_execute(runs: Runs, day: date, did: Did) -> None:
    run = runs.book.last(did.job)
    if run is not None and "planned" in did.steps and run.needs_approval:
        runs.approve(run.run, digest=run.digest, actor="bert")
        runs.execute(run.run, as_of=day, actor="ann")
        runs.settle(run.run, actor="ann")


def planned(did: list[tuple[date, Did]]) -> dict[str, tuple[date, date | None]]:
    return {one.job: (day, one.business_date) for day, one in did if "planned" in one.steps}


@pytest.fixture(scope="module")
def never_off() -> dict[str, tuple[date, date | None]]:
    return planned(a_year())


def test_a_year_without_an_outage_does_each_job_on_its_day(never_off: dict[str, tuple[date, date | None]]) -> None:
    assert never_off == {
        "invitations": (date(2026, 1, 20), date(2026, 1, 20)),
        "deadline": (date(2026, 5, 1), date(2026, 4, 30)),
        "registered_letters": (date(2026, 6, 1), date(2026, 6, 1)),
        "agency_report": (date(2026, 10, 6), date(2026, 10, 6)),
        "agency_correction": (date(2026, 10, 16), date(2026, 10, 16)),
        "reminders": (date(2026, 11, 15), date(2026, 11, 15)),
    }


@pytest.mark.parametrize("part", range(4))
def test_an_outage_changes_nothing_but_the_day_of_what_is_dated_when_it_is_done(
    never_off: dict[str, tuple[date, date | None]], part: int
) -> None:
    chosen = random.Random(SEED).sample(ALL, min(OUTAGES, len(ALL)))[part::4]
    for off_from, days in chosen:
        where = f"off from {off_from} for {days} days"
        did = a_year(off_from=off_from, days=days)
        assert all(not one.stopped for _, one in did), where
        jobs = [one.job for _, one in did if "planned" in one.steps]
        assert len(jobs) == len(set(jobs)), f"{where}: done twice"
        check_each(never_off, planned(did), back_on=off_from + timedelta(days=days), where=where)


def check_each(
    never_off: dict[str, tuple[date, date | None]],
    found: dict[str, tuple[date, date | None]],
    *,
    back_on: date,
    where: str,
) -> None:
    for entry in LEGAL_CALENDAR:
        line = entry.line(LAW, year=2026)
        usual_day, _ = never_off[line.job]
        if line.job not in found:
            too_late = line.latest is not None and back_on > line.latest
            assert too_late or back_on > LAST, f"{where}: {line.job} was lost"
            continue
        day, business_date = found[line.job]
        assert day in {usual_day, back_on}, f"{where}: {line.job} on {day}"
        assert day >= line.planned, f"{where}: {line.job} was early"
        assert line.latest is None or day <= line.latest, f"{where}: {line.job} was too late to be lawful"
        assert business_date == (line.records or day), f"{where}: {line.job} was dated {business_date}"
    order = [found[job][0] for job in ("deadline", "registered_letters", "agency_report") if job in found]
    assert all(before <= after for before, after in pairwise(order)), f"{where}: out of order"


def test_an_outage_over_the_whole_of_the_reporting_days_stops_for_a_person() -> None:
    did = planned(a_year(off_from=date(2026, 10, 1), days=40))
    assert "agency_report" not in did
    assert did["reminders"] == (date(2026, 11, 15), date(2026, 11, 15))
