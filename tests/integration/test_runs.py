"""
Runs on the real database: plan, show, approve, execute, settle, and every way in which each of them says no.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest

from adapters.postgres.database import OWNER, READER, WRITER, Database
from adapters.postgres.ogms import take_one
from adapters.run_workers import Processes
from application.jobs import Candidate, Turn, by_name
from application.runs.execute import Tampered
from application.runs.lifecycle import Runs
from application.runs.pages import Planning, Reached
from application.runs.ports import RunKey
from application.runs.refusals import (
    AnotherRunOpen,
    LawChanged,
    NoSuchJob,
    NoSuchRun,
    NothingToFollowUp,
)
from application.runs.show import PageTooLong, items_page, not_done_page, passed_over_page, show
from domain.decisions import Selected
from domain.envelope import Commit
from domain.ids import StreamId, derived_key
from domain.member import MEMBER
from domain.member.happened import MemberDied
from domain.parameters import NotChecked, NoValue, Parameters
from domain.payments import Ogm
from domain.run import Control, NotApproved, OtherDigest, OwnPlan
from domain.zorgkas_affiliation import AFFILIATION
from schedulers.jobs.invitations import INVITATIONS
from tests.patience import PATIENCE_S
from tests.run_house import (
    ANN,
    BERT,
    LAW,
    affiliation,
    approved,
    events_of_members,
    have_members,
    member_id,
    open_runs,
    owes,
    paid,
    record,
    settle_all,
)

JANUARY = date(2026, 1, 20)
NOVEMBER = date(2026, 11, 2)


@pytest.fixture
def runs(database: Database) -> Iterator[Runs]:
    with open_runs(database.url) as opened:
        yield opened


@pytest.fixture
def plain(database: Database) -> Iterator[Runs]:
    """
    Runs without a legal calendar: any job on any day.
    """
    with open_runs(database.url, calendar=False) as opened:
        yield opened


def plan_invitations(runs: Runs, **changes: Any) -> Any:
    return runs.plan("invitations", **{"business_date": JANUARY, "as_of": JANUARY, "actor": ANN} | changes)


# --- From plan to settlement -----------------------------------------------------------------------------------------


def test_a_run_goes_from_plan_to_settlement_and_every_control_agrees(runs: Runs) -> None:
    have_members(runs, 5)
    planned = plan_invitations(runs)
    assert (planned.items, planned.passed_over, planned.amount_cents) == (5, 0, 50_000)
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    totals = runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert (totals.done, totals.refused, totals.parked, totals.events) == (5, 0, 0, 15)
    controls = runs.settle(planned.run, actor=ANN)
    figures = [(control.expected, control.actual) for control in controls]
    assert figures == [(5, 5), (50_000, 50_000), (15, 15), (50_000, 50_000)]
    assert runs.state(planned.run).phase == "settled"


def test_planning_changes_nothing_but_the_plan(runs: Runs, database: Database) -> None:
    have_members(runs, 3)
    before = events_of_members(database.url)
    plan_invitations(runs)
    assert events_of_members(database.url) == before


def test_the_same_facts_give_the_same_plan_and_the_same_events_with_one_worker_or_three(
    make_database: Any, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.runs.plan.PAGE_STREAMS", 300)
    told = []
    for workers in (1, 3):
        url = make_database(like=template)
        with open_runs(url) as opened:
            assert isinstance(opened.crew, Processes)
            runs = replace(opened, crew=opened.crew._replace(wait_seconds=PATIENCE_S))
            have_members(runs, 4_500)
            # Some are passed over, for two reasons, so that payment numbers do not go by the place in the page.
            record(runs, AFFILIATION, {affiliation(n): owes(2026) for n in range(0, 4_500, 7)})
            children = [StreamId(member_id(n)) for n in range(1, 4_500, 11)]
            died = MemberDied(died_on=date(2025, 6, 1))
            record(runs, MEMBER, {stream: [died] for stream in children})
            planned = runs.plan("invitations", business_date=JANUARY, as_of=JANUARY, actor=ANN, workers=workers)
            runs.approve(planned.run, digest=planned.digest, actor=BERT)
            totals = runs.execute(planned.run, as_of=JANUARY, actor=ANN, workers=workers)
            assert (totals.done, totals.refused, totals.parked) == (planned.items, 0, 0)
            assert runs.store.heads_equal_replay(AFFILIATION)  # type: ignore[attr-defined]
            reasons = [(reason.reason_no, reason.reason, reason.times) for reason in runs.book.reasons(planned.run)]
            told.append((planned[:6], reasons, events_of_members(url)))
    (plan, reasons, events), (other_plan, other_reasons, other_events) = told
    assert plan == other_plan
    assert reasons == other_reasons
    assert len(reasons) > 1
    # Names are sealed under a key of each database; what the run wrote is in the clear and the same to the byte.
    assert [row for row in events if b'"sealed"' not in row[3] and row[2].startswith("zorgkas")] == [
        row for row in other_events if b'"sealed"' not in row[3] and row[2].startswith("zorgkas")
    ]


def test_a_helper_that_reads_another_law_plans_nothing(plain: Runs) -> None:
    assert isinstance(plain.crew, Processes)
    have_members(plain, 20)
    key = RunKey(job="deadline", business_date=NOVEMBER, round=1)
    planning = Planning(run=StreamId(derived_key("none")), key=key, first_ogm=0, law_used=())
    crew, pages = plain.crew._replace(wait_seconds=PATIENCE_S), iter([[affiliation(0)]])
    with pytest.raises(LawChanged):
        next(crew.plan(planning, here=None, pages=pages, reached=Reached(), workers=2))  # type: ignore[arg-type]


def test_a_run_for_nobody_says_so_and_why(runs: Runs) -> None:
    planned = plan_invitations(runs)
    assert show(runs, planned.run).sentence == "0 selected: there was nobody to look at."
    runs.abandon(planned.run, reason="members first", actor=ANN)
    have_members(runs, 2, birth_year=2010)
    planned = plan_invitations(runs)
    view = show(runs, planned.run)
    assert (view.items, view.round) == (0, 2)
    assert view.sentence.startswith("0 of 2 selected; most were passed over because: ")
    runs.approve(planned.run, digest=planned.digest, actor=BERT)
    assert runs.execute(planned.run, as_of=JANUARY, actor=ANN).done == 0
    assert runs.settle(planned.run, actor=ANN)
    assert runs.state(planned.run).phase == "settled"


# --- Who looks at it -------------------------------------------------------------------------------------------------


def test_a_plan_shows_who_and_why_and_who_not_and_why_not_and_what_is_other_than_last_time(plain: Runs) -> None:
    have_members(plain, 4)
    record(plain, AFFILIATION, {affiliation(0): owes(2025), affiliation(1): owes(2025, cents=3200)})
    settle_all(plain, "deadline", date(2025, 4, 30))
    record(plain, AFFILIATION, {affiliation(1): owes(2026)[1:], affiliation(2): owes(2026, cents=10_000)})
    view = show(plain, plain.plan("deadline", business_date=date(2026, 4, 30), as_of=date(2026, 5, 1), actor=ANN).run)
    assert (view.items, view.passed_over, view.amount_cents) == (2, 2, 16_400)
    assert [(item.ordinal, item.member, item.amount_cents) for item in view.largest] == [
        (2, member_id(2), 10_000),
        (1, member_id(1), 6_400),
    ]
    assert view.largest[0].rules == ["ZB-1", "ZP-3", "ZP-5"]
    assert [(reason.reason, reason.times) for reason in view.reasons] == [("not_charged", 2)]
    assert view.difference is not None
    assert view.difference.previous.business_date == date(2025, 4, 30)
    assert (view.difference.new, view.difference.gone, view.difference.other_amount) == (1, 1, 1)
    (passed,) = passed_over_page(plain, view.run, member=member_id(0))
    assert (passed.reason, passed.basis.rules) == ("not_charged", ("ZP-1",))
    (selected,) = items_page(plain, view.run, member=member_id(2))
    assert selected.events[0]["type"] == "YearMissed"
    assert items_page(plain, view.run, member=member_id(0)) == []


def test_pages_follow_each_other_and_have_a_limit(runs: Runs) -> None:
    have_members(runs, 5)
    run = plan_invitations(runs).run
    first = items_page(runs, run, limit=2)
    second = items_page(runs, run, limit=2, after=first[-1].ordinal)
    assert [item.member for item in (*first, *second)] == [member_id(number) for number in range(4)]
    with pytest.raises(PageTooLong):
        items_page(runs, run, limit=1_001)


class Listening:
    """
    A run book that notes what it is asked.
    """

    def __init__(self, book: Any) -> None:
        self._book, self.asked = book, list[str]()

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._book, name)


def test_a_page_asks_as_much_of_the_database_however_long_it_is(runs: Runs) -> None:
    have_members(runs, 5)
    run = plan_invitations(runs).run
    asked = []
    for limit in (1, 5):
        book: Any = Listening(runs.book)
        assert len(items_page(replace(runs, book=book), run, limit=limit)) == limit
        asked.append(book.asked)
    assert asked[0] == asked[1]


# --- Who says no -----------------------------------------------------------------------------------------------------


def test_planning_twice_is_refused_while_the_first_is_open_and_when_nothing_is_left(runs: Runs) -> None:
    have_members(runs, 2)
    plan_invitations(runs)
    with pytest.raises(AnotherRunOpen, match="A run of this job is still open"):
        plan_invitations(runs, actor=BERT)
    run = runs.book.last("invitations")
    assert run is not None
    runs.approve(run.run, digest=run.digest, actor=BERT)
    with pytest.raises(AnotherRunOpen):
        plan_invitations(runs)
    runs.execute(run.run, as_of=JANUARY, actor=ANN)
    runs.settle(run.run, actor=ANN)
    with pytest.raises(NothingToFollowUp):
        plan_invitations(runs)


def test_only_a_second_person_approves_and_only_the_hash_that_is_there(runs: Runs) -> None:
    have_members(runs, 1)
    planned = plan_invitations(runs)
    for myself in (ANN, " ANN "):
        with pytest.raises(OwnPlan):
            runs.approve(planned.run, digest=planned.digest, actor=myself)
    with pytest.raises(OtherDigest):
        runs.approve(planned.run, digest="0" * 64, actor=BERT)
    with pytest.raises(NotApproved):
        runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert runs.approve(planned.run, digest=planned.digest, actor=BERT)
    assert not runs.approve(planned.run, digest=planned.digest, actor="carl"), (
        "one approval is enough, and it is Bert's"
    )
    assert [envelope.type for envelope in runs.store.history(planned.run)] == [
        "runs.RunPlanned/1",
        "runs.RunApproved/1",
    ]


@pytest.mark.parametrize(
    ("digest", "planned_by", "approved_by"),
    [("right", ANN, ANN), ("right", "carl", BERT), ("other", ANN, BERT)],
    ids=["the planner", "another planner", "another hash"],
)
def test_the_database_itself_refuses_an_approval_that_is_not_right(
    runs: Runs, database: Database, digest: str, planned_by: str, approved_by: str
) -> None:
    have_members(runs, 1)
    planned = plan_invitations(runs)
    row = [planned.run, planned.digest if digest == "right" else "0" * 64, planned_by, approved_by]
    with pytest.raises(psycopg.errors.IntegrityError), database.session(WRITER) as session:
        session.execute("INSERT INTO run_approvals (run, digest, planned_by, approved_by) VALUES (%s, %s, %s, %s)", row)


@pytest.mark.parametrize("role", [WRITER, OWNER])
def test_what_was_planned_cannot_be_changed_or_removed(runs: Runs, database: Database, role: Any) -> None:
    have_members(runs, 1)
    plan_invitations(runs)
    for statement in ("UPDATE run_items SET amount_cents = 1", "DELETE FROM run_items", "TRUNCATE run_reasons"):
        with pytest.raises(psycopg.Error, match=r"permission denied|never changed"), database.session(role) as session:
            session.execute(statement.encode())


def test_a_plan_whose_rows_were_changed_all_the_same_is_not_executed(runs: Runs, database: Database) -> None:
    have_members(runs, 3)
    planned = approved(runs, "invitations", JANUARY)
    with database.session(OWNER) as session:
        session.execute("ALTER TABLE run_items DISABLE TRIGGER append_only")
        session.execute("UPDATE run_items SET decision = replace(decision, '10000', '10001') WHERE ordinal = 2")
    with pytest.raises(Tampered):
        runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert runs.state(planned.run).phase == "approved"


def test_a_parameter_that_is_missing_or_not_checked_stops_the_plan_by_its_name(plain: Runs) -> None:
    have_members(plain, 1)
    with pytest.raises(NotChecked, match="zorgpremie/gewoon"):
        plain.plan("invitations", business_date=date(2028, 1, 20), as_of=date(2028, 1, 20), actor=ANN)
    without = Parameters({name: one for name, one in LAW.by_name.items() if name != "zorgpremie/account"})
    with pytest.raises(NoValue, match="zorgpremie/account"):
        plan_invitations(replace(plain, law=without))
    assert plain.book.last("invitations") is None


def test_a_plan_does_not_survive_a_change_of_the_law_it_rests_on(runs: Runs) -> None:
    have_members(runs, 1)
    planned = approved(runs, "invitations", JANUARY)
    due_by = LAW.by_name["zorgpremie/due_by"]
    later = replace_value(due_by, "05-31")
    changed = Parameters({**LAW.by_name, "zorgpremie/due_by": later})
    with pytest.raises(LawChanged, match="zorgpremie/due_by"):
        replace(runs, law=changed).execute(planned.run, as_of=JANUARY, actor=ANN)


def replace_value(parameter: Any, value: str) -> Any:
    from msgspec.structs import replace as struct_replace

    return struct_replace(parameter, values=tuple(struct_replace(one, value=value) for one in parameter.values))


def test_what_is_not_there_is_said_in_one_sentence(runs: Runs) -> None:
    with pytest.raises(NoSuchJob):
        runs.plan("pensions", business_date=JANUARY, as_of=JANUARY, actor=ANN)
    with pytest.raises(NoSuchRun):
        runs.execute(affiliation(1), as_of=JANUARY, actor=ANN)


# --- The world moves -------------------------------------------------------------------------------------------------


def test_who_pays_between_plan_and_execution_is_named_and_left_out(plain: Runs, database: Database) -> None:
    have_members(plain, 3)
    settle_all(plain, "invitations", JANUARY)
    planned = approved(plain, "reminders", NOVEMBER)
    assert planned.items == 3
    record(plain, AFFILIATION, {affiliation(1): [paid(2026, date(2026, 11, 2), number=1, cents=10_000)]})
    record(plain, AFFILIATION, {affiliation(2): [paid(2026, date(2026, 11, 2), number=2, cents=4_000)]})
    totals = plain.execute(planned.run, as_of=NOVEMBER, actor=ANN)
    assert (totals.done, totals.refused, totals.amount_cents) == (1, 2, 10_000)
    full, part = not_done_page(plain, planned.run)
    assert (full.stream, full.outcome, full.reason) == (affiliation(1), "refused", "now_passed_over:paid")
    assert (part.reason, part.detail) == ("other_amount", "ReminderIssued.amount_cents")
    assert all(control.expected == control.actual for control in plain.settle(planned.run, actor=ANN))
    assert show(plain, planned.run).not_done == {"refused/now_passed_over:paid": 1, "refused/other_amount": 1}


def test_a_follow_up_round_looks_only_at_what_was_left(plain: Runs) -> None:
    have_members(plain, 3)
    settle_all(plain, "invitations", JANUARY)
    planned = approved(plain, "reminders", NOVEMBER)
    record(plain, AFFILIATION, {affiliation(2): [paid(2026, NOVEMBER, number=2, cents=4_000)]})
    plain.execute(planned.run, as_of=NOVEMBER, actor=ANN)
    plain.settle(planned.run, actor=ANN)
    again = approved(plain, "reminders", NOVEMBER)
    assert (again.key.round, again.items, again.passed_over, again.amount_cents) == (2, 1, 0, 6_000)
    assert plain.execute(again.run, as_of=NOVEMBER, actor=ANN).done == 1


def test_a_change_of_the_member_alone_makes_the_decision_again(plain: Runs) -> None:
    have_members(plain, 2)
    planned = approved(plain, "invitations", JANUARY)
    record(plain, MEMBER, {StreamId(member_id(0)): [MemberDied(died_on=date(2025, 12, 1))]})
    totals = plain.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert (totals.done, totals.refused) == (1, 1)
    assert not_done_page(plain, planned.run)[0].reason == "now_passed_over:died"


def test_an_event_that_changes_nothing_for_the_decision_does_not_refuse_it(plain: Runs) -> None:
    have_members(plain, 1)
    record(plain, AFFILIATION, {affiliation(0): owes(2026)})
    planned = plain.plan("deadline", business_date=date(2026, 4, 30), as_of=date(2026, 5, 1), actor=ANN)
    late = [paid(2026, date(2026, 5, 3), number=0)]
    record(plain, AFFILIATION, {affiliation(0): late})
    assert plain.execute(planned.run, as_of=date(2026, 5, 4), actor=ANN).done == 1


def test_where_nothing_moved_the_frozen_decision_is_the_decision_and_is_not_made_again(plain: Runs) -> None:
    asked: list[StreamId] = []

    def counting(candidate: Candidate, turn: Turn, law: Parameters) -> Any:
        asked.append(candidate.stream)
        return INVITATIONS.decision(candidate, turn, law)

    have_members(plain, 6)
    runs = replace(plain, jobs=by_name([replace(INVITATIONS, decision=counting)]))
    planned = approved(runs, "invitations", JANUARY)
    assert len(asked) == 6
    record(plain, AFFILIATION, {affiliation(4): owes(2024)[:1]})
    runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    assert asked[6:] == [affiliation(4)]


@pytest.mark.parametrize(
    ("job", "day"),
    [("invitations", JANUARY), ("deadline", date(2026, 4, 30)), ("registered_letters", date(2026, 6, 1))],
)
def test_deciding_again_on_the_same_versions_gives_the_frozen_bytes(plain: Runs, job: str, day: date) -> None:
    """
    The proof behind the short cut: every decision of every item, made again, is the one that was frozen.
    """
    from application.runs.digest import encode_decision
    from application.runs.pages import load_page, ogm_of, turn_of

    have_members(plain, 40)
    streams = {affiliation(n): owes(2024, 2025, missed=(2024, 2025) if n % 3 else (2024,)) for n in range(40)}
    record(plain, AFFILIATION, streams)
    if job == "deadline":
        settle_all(plain, "invitations", JANUARY)
    run = plain.plan(job, business_date=day, as_of=day, actor=ANN).run
    registered, work = plain.registered(run), plain.job(job)
    items = plain.book.items(run, after=0, limit=100)
    assert len(items) >= 20
    commit = Commit(command_id=derived_key("look"), actor=ANN, business_date=day, cause="test")
    with plain.store.transaction(commit) as unit:
        for item, (stream, member, known) in zip(
            items, load_page(unit.load, plain.members, work, [item.stream for item in items]), strict=True
        ):
            turn = turn_of(
                run, registered.key, stream=stream, ogm=ogm_of(first_ogm=registered.first_ogm, ordinal=item.ordinal)
            )
            again = work.decide(Candidate(stream, member.state.facts, known.state), turn=turn, law=LAW)
            assert (known.version, member.version) == (item.version, item.member_version)
            assert isinstance(again, Selected)
            assert encode_decision(again) == item.decision


# --- Payment numbers, control totals ---------------------------------------------------------------------------------


def test_payment_numbers_follow_each_other_without_a_gap_also_after_a_plan_that_failed(
    plain: Runs, database: Database
) -> None:
    have_members(plain, 3)
    settle_all(plain, "invitations", JANUARY)

    def broken_at_the_end(done: int, _selected: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain.plan("reminders", business_date=NOVEMBER, as_of=NOVEMBER, actor=ANN, seen=broken_at_the_end)
    settle_all(plain, "reminders", NOVEMBER)
    with database.session(READER) as session:
        ranges = session.execute("SELECT first, count FROM ogm_ranges ORDER BY first").fetchall()
    assert ranges == [(1, 3), (4, 3)]
    issued = [
        envelope.event.ogm  # type: ignore[attr-defined]
        for number in range(3)
        for envelope in plain.store.history(affiliation(number))
        if envelope.type == "zorgkas.ReminderIssued/1"
    ]
    assert issued == [f"{base:010d}{base % 97:02d}" for base in (4, 5, 6)]


def test_while_a_plan_is_made_a_member_who_joins_and_another_plan_have_their_numbers_at_once(
    plain: Runs, database: Database
) -> None:
    have_members(plain, 6)
    record(plain, AFFILIATION, {affiliation(n): owes(2026) for n in range(3)})  # to be reminded; the others are invited
    joined, reminded = list[int](), list[StreamId]()

    def meanwhile(done: int, _selected: int) -> None:
        if done and not joined:
            joined.append(int(take_one(database)[:10]))  # who had to wait for the plan would be refused after a while
            reminded.append(plain.plan("reminders", business_date=NOVEMBER, as_of=NOVEMBER, actor=BERT).run)

    invited = plan_invitations(plain, seen=meanwhile).run
    runs = [plain.registered(run) for run in (invited, *reminded)]
    given = [number for run in runs for number in range(run.first_ogm, run.first_ogm + run.items)]
    assert len(given) == 6
    assert len({*given, *joined}) == 7


def test_what_a_plan_did_not_use_of_its_numbers_goes_back_and_an_abandoned_plan_keeps_its_own(
    plain: Runs, database: Database
) -> None:
    have_members(plain, 3)
    first = plan_invitations(plain).run
    plain.abandon(first, reason="too early", actor=ANN)
    again = plan_invitations(plain).run
    assert [plain.registered(run).first_ogm for run in (first, again)] == [1, 4]
    assert take_one(database) == Ogm.from_base(7)


def test_a_figure_of_somebody_else_that_differs_is_named_and_can_be_settled_later(plain: Runs) -> None:
    have_members(plain, 2)
    behind = [1]
    source = lambda run, totals: [Control(name="letters", expected=totals.done, actual=totals.done - behind[0])]  # noqa: E731
    runs = replace(plain, controls=(source,))
    planned = approved(runs, "invitations", JANUARY)
    runs.execute(planned.run, as_of=JANUARY, actor=ANN)
    differing = [control.name for control in runs.settle(planned.run, actor=ANN) if control.expected != control.actual]
    assert differing == ["letters"]
    behind[0] = 0
    runs.settle(planned.run, actor=ANN)
    settled = runs.state(planned.run).settled
    assert settled is not None
    assert settled.agrees
