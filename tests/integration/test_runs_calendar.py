"""
The legal calendar: what may be planned when, what today says, and an alarm clock that slept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from adapters.postgres.database import Database
from adapters.postgres.runs import one_alarm
from application.runs.closing import HasARun, NotOver, close_date
from application.runs.gates import (
    EarlierJobMissing,
    NotToday,
    OtherDate,
    StatementsMissing,
    TooEarly,
    TooLate,
    line_of,
    short_of_statements,
)
from application.runs.lifecycle import Runs
from application.runs.today import run_due, today
from domain.parameters import NotChecked
from domain.run import Closing, RunDateClosed
from domain.run_refusals import AnotherClosing
from domain.zorgkas_affiliation import AFFILIATION
from schedulers.alarm import AlarmClock, scheduler_of
from schedulers.legal_calendar import LEGAL_CALENDAR
from tests.run_house import (
    ANN,
    BERT,
    LAW,
    affiliation,
    events_of_members,
    have_members,
    open_runs,
    owes,
    record,
    settle_all,
)
from tests.table import cases

SINCE = date(2026, 1, 1)


@pytest.fixture
def runs(database: Database) -> Iterator[Runs]:
    with open_runs(database.url) as opened:
        yield opened


def plan(runs: Runs, job: str, business_date: date, as_of: date | None = None) -> Any:
    return runs.plan(job, business_date=business_date, as_of=as_of or business_date, actor=ANN)


# --- The table -------------------------------------------------------------------------------------------------------


@cases("""
    job                 year  earliest    planned     latest      records     until
    invitations         2026  2026-01-01  2026-01-20  2026-04-30  -           -
    deadline            2026  2026-05-01  2026-05-01  -           2026-04-30  -
    registered_letters  2026  2026-05-01  2026-06-01  2026-09-01  -           2026-04-30
    registered_letters  2018  2018-01-01  2018-03-01  2018-03-31  -           2017-04-30   # the procedure until 2018
    agency_report       2026  2026-10-06  2026-10-06  2026-10-10  -           2026-10-05
    agency_correction   2026  2026-10-16  2026-10-16  2027-09-01  -           2026-10-15   # open question 25
    reminders           2026  2026-05-01  2026-11-15  2026-11-30  -           -
""")
def test_the_days_of_the_year_are_those_of_the_law(
    job: str, year: int, earliest: date, planned: date, latest: date | None, records: date | None, until: date | None
) -> None:
    line = line_of(LEGAL_CALENDAR, job, year=year, law=LAW)
    assert line is not None
    assert (line.earliest, line.planned, line.latest) == (earliest, planned, latest)
    assert (line.records, line.statements_until) == (records, until)
    assert line.values


def test_a_year_that_nobody_checked_has_no_calendar() -> None:
    with pytest.raises(NotChecked, match="zorgpremie/invitation_on"):
        line_of(LEGAL_CALENDAR, "invitations", year=2028, law=LAW)


# --- The gates -------------------------------------------------------------------------------------------------------


@cases("""
    job                 business_date  as_of       refused
    invitations         2025-12-31     2025-12-31  TooLate      # of 2025; those of 2026 start on 1 January
    invitations         2026-01-01     2026-01-01  -
    invitations         2026-04-30     2026-04-30  -
    invitations         2026-05-01     2026-05-01  TooLate
    invitations         2026-01-20     2026-01-21  NotToday     # nothing is dated back
    invitations         2026-01-21     2026-01-20  NotToday     # nor ahead
    deadline            2026-04-30     2026-04-30  TooEarly     # the day is not over
    deadline            2026-04-30     2026-05-01  -
    deadline            2026-04-30     2026-08-01  -            # what was so on 30 April stays so
    deadline            2026-05-01     2026-05-01  OtherDate
    registered_letters  2026-04-30     2026-04-30  TooEarly
    registered_letters  2026-09-02     2026-09-02  TooLate
    agency_report       2026-10-05     2026-10-05  TooEarly
    agency_report       2026-10-11     2026-10-11  TooLate
    agency_correction   2026-10-15     2026-10-15  TooEarly
    agency_correction   2026-09-02     2026-09-02  TooEarly     # of 2025 too late, of 2026 too early
    agency_correction   2027-01-10     2027-01-11  NotToday
    reminders           2026-12-01     2026-12-01  TooLate
""")
def test_both_sides_of_every_boundary_day(
    runs: Runs, job: str, business_date: date, as_of: date, refused: str | None
) -> None:
    kinds = {kind.__name__: kind for kind in (TooEarly, TooLate, OtherDate, NotToday)}
    if refused is None:
        assert plan(runs, job, business_date, as_of).items == 0
    else:
        with pytest.raises(kinds[refused]):
            plan(runs, job, business_date, as_of)
        assert runs.book.last(job) is None


def test_letters_wait_for_the_deadline_and_for_the_statements_of_its_day(runs: Runs) -> None:
    june = date(2026, 6, 1)
    with pytest.raises(EarlierJobMissing, match="first=deadline"):
        plan(runs, "registered_letters", june)
    settle_all(runs, "deadline", date(2026, 5, 1))
    until_29_april = replace(runs, statements_cover=lambda day: day if day <= date(2026, 4, 29) else None)
    with pytest.raises(StatementsMissing, match="2026-04-30"):
        plan(until_29_april, "registered_letters", june)
    until_30_april = replace(runs, statements_cover=lambda day: day if day <= date(2026, 4, 30) else None)
    assert plan(until_30_april, "registered_letters", june).items == 0


def test_the_report_waits_for_the_statements_of_5_october(runs: Runs) -> None:
    settle_all(runs, "deadline", date(2026, 5, 1))
    settle_all(runs, "registered_letters", date(2026, 6, 1))
    until_4_october = replace(runs, statements_cover=lambda day: day if day <= date(2026, 10, 4) else None)
    with pytest.raises(StatementsMissing, match="2026-10-05"):
        plan(until_4_october, "agency_report", date(2026, 10, 6))
    assert plan(runs, "agency_report", date(2026, 10, 6)).items == 0


def test_what_was_approved_in_time_is_not_executed_too_late(runs: Runs) -> None:
    settle_all(runs, "deadline", date(2026, 5, 1))
    planned = plan(runs, "registered_letters", date(2026, 9, 1))
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    with pytest.raises(TooLate):
        runs.execute(planned.run, as_of=date(2026, 9, 2), actor=ANN)
    assert runs.execute(planned.run, as_of=date(2026, 9, 1), actor=ANN).done == 0


# --- Today -----------------------------------------------------------------------------------------------------------


def test_today_says_what_is_next_due_late_waiting_done_and_impossible(runs: Runs) -> None:
    have_members(runs, 2)
    told = lambda day: {line.job: line.status for line in today(runs, as_of=day, since=SINCE)}  # noqa: E731
    assert told(date(2026, 1, 19))["invitations"] == "next"
    assert told(date(2026, 1, 20))["invitations"] == "due"
    assert told(date(2026, 1, 21))["invitations"] == "late"
    planned = plan(runs, "invitations", date(2026, 1, 21))
    assert told(date(2026, 1, 21))["invitations"] == "waiting"
    assert told(date(2026, 5, 1))["invitations"] == "impossible"
    (line,) = [each for each in today(runs, as_of=date(2026, 5, 1), since=SINCE) if each.job == "invitations"]
    assert line.waits_for.endswith(f"nothing is dated back; backoffice run abandon {str(planned.run)[:8]}")
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    runs.execute(planned.run, as_of=date(2026, 1, 22), actor=ANN)
    runs.settle(planned.run, actor=ANN)
    assert told(date(2026, 5, 1)) == {
        "invitations": "done", "deadline": "due", "registered_letters": "next", "agency_report": "next",
        "agency_correction": "next", "reminders": "next",
    }  # fmt: skip
    assert told(date(2026, 9, 1))["registered_letters"] == "waiting"
    assert told(date(2026, 9, 2))["registered_letters"] == "impossible"


def test_today_names_what_a_line_waits_for(runs: Runs) -> None:
    silent = replace(runs, statements_cover=lambda _day: None)
    settle_all(runs, "deadline", date(2026, 5, 1))
    letters = next(
        line for line in today(silent, as_of=date(2026, 6, 1), since=SINCE) if line.job == "registered_letters"
    )
    assert letters.status == "waiting"
    assert "until=2026-04-30" in letters.waits_for


def test_today_shows_a_year_whose_law_is_not_known_as_refused_and_names_the_parameter(runs: Runs) -> None:
    lines = [line for line in today(runs, as_of=date(2028, 1, 20), since=date(2028, 1, 1)) if line.job == "invitations"]
    assert lines[0].status == "refused"
    assert "zorgpremie/" in lines[0].waits_for


def test_a_date_that_has_no_run_here_is_closed_with_a_reason_and_what_follows_it_goes_on(runs: Runs) -> None:
    june = date(2026, 6, 1)

    def close(job: str, as_of: date, because: Closing = "done_elsewhere") -> RunDateClosed:
        return close_date(
            runs, job, year=2026, because=because, reason="by the old program", as_of=as_of, actor=ANN
        )  # fmt: skip

    with pytest.raises(NotOver):
        close("invitations", date(2026, 4, 30))
    with pytest.raises(NotOver):
        close("deadline", date(2026, 5, 1))
    assert close("deadline", date(2026, 5, 2)).closed_by == ANN
    told = {line.job: line for line in today(runs, as_of=june, since=SINCE)}
    assert (told["invitations"].status, told["deadline"].status) == ("impossible", "closed")
    assert told["deadline"].waits_for == "it was done elsewhere, said ann on 2026-05-02: by the old program"
    assert told["registered_letters"].status == "due"
    assert [did.job for did in run_due(runs, as_of=june, since=SINCE)] == ["registered_letters"]

    with pytest.raises(HasARun):
        close("registered_letters", date(2026, 9, 2))
    assert close("deadline", june).closed_on == date(2026, 5, 2)  # the same again is nothing
    with pytest.raises(AnotherClosing):
        close("deadline", june, "given_up")


def test_closed_dates_of_earlier_years_are_shown_on_request_and_a_run_all_the_same_goes_before(runs: Runs) -> None:
    since, day = date(2025, 1, 1), date(2026, 1, 5)
    close_date(runs, "deadline", year=2025, because="not_ours", reason="we began later", as_of=day, actor=ANN)
    seen = [(line.job, line.year) for line in today(runs, as_of=day, since=since)]
    assert ("deadline", 2025) not in seen
    (closed,) = [line for line in today(runs, as_of=day, since=since, everything=True) if line.status == "closed"]
    assert (closed.job, closed.year) == ("deadline", 2025)
    planned = plan(runs, "deadline", date(2025, 4, 30), day)
    (line,) = [line for line in today(runs, as_of=day, since=since) if (line.job, line.year) == ("deadline", 2025)]
    assert (line.status, line.run) == ("waiting", planned.run)


def test_the_alarm_clock_waits_for_the_statements_of_30_april_and_a_person_is_warned(runs: Runs) -> None:
    have_members(runs, 1)
    until_29 = replace(runs, statements_cover=lambda day: date(2026, 4, 29) if day <= date(2026, 4, 29) else None)
    none_yet = replace(runs, statements_cover=lambda _day: None)
    may = date(2026, 5, 4)
    (line,) = [line for line in today(until_29, as_of=may, since=SINCE) if line.job == "deadline"]
    assert line.status == "waiting"
    assert line.waits_for == "bank statements up to 2026-04-30: the last one of every account is of 2026-04-29"
    assert [did.job for did in run_due(until_29, as_of=may, since=SINCE)] == []
    deadline = line_of(LEGAL_CALENDAR, "deadline", year=2026, law=LAW)
    assert deadline is not None
    assert short_of_statements(deadline, none_yet.statements_cover).endswith("an account has none yet")
    assert short_of_statements(deadline, runs.statements_cover) == ""
    assert plan(until_29, "deadline", date(2026, 4, 30), may).items == 0  # a person may: later money sets it right
    (did,) = run_due(until_29, as_of=may, since=SINCE)
    assert did.steps == ("executed", "settled")


# --- The alarm clock -------------------------------------------------------------------------------------------------


def test_the_alarm_clock_records_the_deadline_by_itself_and_only_plans_what_is_legal(runs: Runs) -> None:
    have_members(runs, 3)
    record(runs, AFFILIATION, {affiliation(0): owes(2025, 2026, missed=(2025,)), affiliation(1): owes(2026)})
    (deadline,) = [did for did in run_due(runs, as_of=date(2026, 5, 1), since=SINCE) if did.job == "deadline"]
    assert (deadline.steps, deadline.business_date) == (("planned", "executed", "settled"), date(2026, 4, 30))
    (letters,) = [did for did in run_due(runs, as_of=date(2026, 6, 1), since=SINCE) if did.job == "registered_letters"]
    assert letters.steps == ("planned",)
    assert run_due(runs, as_of=date(2026, 6, 2), since=SINCE) == []
    run = runs.book.last("registered_letters")
    assert run is not None
    assert (run.items, runs.state(run.run).phase) == (1, "planned")


def test_a_machine_that_slept_over_30_april_records_the_same_as_one_that_did_not(
    make_database: Callable[..., str], template: str
) -> None:
    told = []
    for woke_on in (date(2026, 5, 1), date(2026, 6, 9)):
        url = make_database(like=template)
        with open_runs(url) as runs:
            have_members(runs, 3)
            record(runs, AFFILIATION, {affiliation(number): owes(2026) for number in range(3)})
            run_due(runs, as_of=woke_on, since=SINCE)
        told.append([row for row in events_of_members(url) if row[2].startswith("zorgkas.YearMissed")])
    assert len(told[0]) == 3
    assert told[0] == told[1]


def test_the_alarm_clock_goes_on_with_a_run_that_a_person_started_and_that_stopped_half_way(runs: Runs) -> None:
    have_members(runs, 3)
    planned = plan(runs, "invitations", date(2026, 1, 20))
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    assert run_due(runs, as_of=date(2026, 1, 20), since=SINCE) == []
    runs.start(planned.run, as_of=date(2026, 1, 20), actor=ANN, limits=runs.limits)
    (did,) = run_due(runs, as_of=date(2026, 1, 21), since=SINCE)
    assert did.steps == ("executed", "settled")
    assert runs.book.totals(planned.run).done == 3


class SetClock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def test_it_is_already_1_may_in_brussels_when_it_is_30_april_in_utc(runs: Runs) -> None:
    said: list[str] = []
    clock = AlarmClock(
        runs=runs, clock=SetClock(datetime(2026, 4, 30, 21, 59, tzinfo=UTC)), since=SINCE,
        only_one=lambda: nullcontext(True), tell=said.append,
    )  # fmt: skip
    assert [did.job for did in clock.ring()] == ["invitations"]
    later = replace(clock, clock=SetClock(datetime(2026, 4, 30, 22, 0, tzinfo=UTC)))
    assert [did.job for did in later.ring()] == ["deadline"]
    assert said[-1] == "2026-05-01: deadline 2026 for 2026-04-30: planned, executed, settled"


def test_of_two_alarm_clocks_one_rings_and_the_effect_is_one(runs: Runs, database: Database) -> None:
    have_members(runs, 200)
    record(runs, AFFILIATION, {affiliation(number): owes(2026) for number in range(200)})
    said: list[str] = []
    barrier = threading.Barrier(3)

    def ring() -> None:
        with open_runs(database.url) as mine:
            clock = AlarmClock(
                runs=mine, clock=SetClock(datetime(2026, 5, 1, 10, tzinfo=UTC)), since=SINCE,
                only_one=partial(one_alarm, database), tell=said.append,
            )  # fmt: skip
            barrier.wait()
            clock.ring()

    clocks = [threading.Thread(target=ring) for _ in range(3)]
    for clock in clocks:
        clock.start()
    for clock in clocks:
        clock.join()
    assert [line for line in said if "deadline" in line] == [
        "2026-05-01: deadline 2026 for 2026-04-30: planned, executed, settled"
    ]
    missed = [row for row in events_of_members(database.url) if row[2].startswith("zorgkas.YearMissed")]
    assert len(missed) == 200


def test_while_one_clock_rings_another_does_nothing_and_takes_over_when_it_is_gone(database: Database) -> None:
    with one_alarm(database) as first, one_alarm(database) as second:
        assert (first, second) == (True, False)
    with one_alarm(database) as third:
        assert third


def test_however_late_the_scheduler_wakes_up_it_rings_once() -> None:
    scheduler = scheduler_of(lambda: None)
    scheduler._configure({})
    (job,) = [pending[0] for pending in scheduler._pending_jobs]
    assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, None)
    assert job.trigger.interval == timedelta(minutes=1)
