"""
Runs: how anything happens to many at once. Plan, show, approve that very plan, execute, settle.

Whoever may ask (a person, the alarm clock) asks here; `application.jobs` says what a job is, `domain.run` what may
follow what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import Final, cast

from application.jobs import Job
from application.ports import Change, EventStore, Progress, Unit
from application.runs.closing import closing_of
from application.runs.crew import Crew, Meanwhile, planned_pages, workers_for
from application.runs.execute import CHUNK_ITEMS, Limits, Tampered, Worker, chunks_of
from application.runs.gates import (
    Calendar,
    EarlierJobMissing,
    Line,
    StatementsCover,
    TooLate,
    business_date_for,
    check_dates,
    check_statements,
    line_of,
    line_on,
)
from application.runs.pages import UNDECIDED, Members, PagePlanner, Planning, Reached
from application.runs.plan import Frozen, Planner, Seen, candidates_of, digest_again, run_id
from application.runs.ports import Registered, RunBook, RunKey, Totals
from application.runs.records import Planned, commit_of
from application.runs.records import executed as record_executed
from application.runs.records import planned as record_planned
from application.runs.refusals import (
    AnotherRunOpen,
    LawChanged,
    NoSuchJob,
    NoSuchRun,
    NothingToFollowUp,
    PlannedMeanwhile,
    TooManyParked,
)
from application.runs.settle import ControlSource, own_controls
from application.threads import both
from domain import run as runs
from domain.events import Used
from domain.ids import StreamId
from domain.parameters import Parameters
from domain.run import RUN, Control, RunState

_FINISHED: Final = frozenset({"settled", "abandoned"})


def _nothing_meanwhile(_run: Registered) -> None:
    return None


def _nobody(_done: int, _all: int) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Runs:
    """
    The runs of one back office. `calendar` is empty for jobs that no law dates; `crew` is who works beside this
    process, `meanwhile` what this one does while they execute. Without `threads`, only one thread asks the database.
    """

    store: EventStore
    book: RunBook
    members: Members
    jobs: Mapping[str, Job]
    law: Parameters
    calendar: Calendar = ()
    statements_cover: StatementsCover = field(default=lambda _day: None)
    controls: Sequence[ControlSource] = ()
    limits: Limits = field(default_factory=Limits)
    crew: Crew | None = None
    meanwhile: Meanwhile = _nothing_meanwhile
    threads: bool = True
    chunk_items: int = CHUNK_ITEMS

    # --- Plan --------------------------------------------------------------------------------------------------------

    def plan(
        self, job: str, *, business_date: date, as_of: date, actor: str, workers: int | None = None,
        seen: Seen = _nobody,
    ) -> Planned:  # fmt: skip
        """
        Freeze who is selected and what would happen to each, and why not to the others; nothing else changes.

        The plan is the same whatever the number of workers; without one, as many as pay. Raises what `gates`
        refuses, NoValue or NotChecked for the law, AnotherRunOpen, NothingToFollowUp.
        """
        work = self.job(job)
        self._check_calendar(job, business_date=business_date, as_of=as_of)
        law_used = tuple(work.law_used(self.law, business_date=business_date))
        key, follows = self._next_round(job, business_date)
        run = run_id(key)
        commit = commit_of(run, key, "planned", actor)
        with self.store.transaction(commit) as unit:
            self.book.exclusively(unit, job)
            if self._next_round(job, business_date) != (key, follows):
                raise PlannedMeanwhile(job=job)
            first_ogm = self.book.set_ogms_aside(job) if work.takes_ogm else 0
            planning = Planning(run=run, key=key, first_ogm=first_ogm, law_used=law_used)
            frozen = self._freeze(unit, planning, work, follows, workers=workers, seen=seen)
            registered = Registered(
                run=run, key=key, planned_by=actor, digest=frozen.digest, needs_approval=work.needs_approval,
                items=frozen.items, first_ogm=first_ogm, follows=follows,
            )  # fmt: skip
            return self._register(unit, registered, frozen, law_used)

    def _freeze(
        self, unit: Unit, planning: Planning, job: Job, follows: StreamId | None, *, workers: int | None, seen: Seen
    ) -> Frozen:
        reached = Reached()
        plans = planned_pages(
            planning, here=self.page_planner(planning), reached=reached, crew=self.crew, workers=workers,
            pages=candidates_of(self.store, self.book, self.members, job, follows),
        )  # fmt: skip
        with closing(plans):
            return Planner(unit=unit, book=self.book, planning=planning, seen=seen).freeze(plans, reached)

    def page_planner(self, planning: Planning) -> PagePlanner:
        """
        Return what plans pages of a run, in this process or in one that helps it. Raises LawChanged.
        """
        job = self.job(planning.key.job)
        self._check_law(planning.key, planned=planning.law_used)
        return PagePlanner(
            store=self.store, book=self.book, members=self.members, job=job, law=self.law, planning=planning,
            ahead=self.threads,
        )  # fmt: skip

    def _register(self, unit: Unit, run: Registered, frozen: Frozen, law_used: tuple[Used, ...]) -> Planned:
        """
        Enter a frozen plan in the register, with its reasons and payment numbers, and record it.
        """
        self.book.register(unit, run)
        self.book.add_reasons(unit, run.run, frozen.reasons)
        planned = Planned(
            run.run, run.key, frozen.items, frozen.passed_over, frozen.amount_cents, frozen.digest, run.needs_approval
        )
        rules = self.job(run.key.job).rules
        self._append(unit, run.run, lambda state: record_planned(state, planned, run.planned_by, rules, law_used))
        if run.first_ogm:  # after our turn to append: who has that turn may be waiting for a number
            self.book.take_ogms(unit, run)
        return planned

    def business_date_for(self, job: str, *, as_of: date) -> date:
        """
        Return the business date of a run of the job that is planned on that day.
        """
        return business_date_for(self.calendar, self.job(job).name, as_of=as_of, law=self.law)

    # --- Approve, abandon --------------------------------------------------------------------------------------------

    def approve(self, run: StreamId, *, digest: str, actor: str) -> bool:
        """
        Approve exactly the plan with that hash, as a second person; False when somebody had, and nothing changed.
        """
        registered = self.registered(run)
        with self.store.transaction(commit_of(run, registered.key, "approved", actor)) as unit:
            events = self._append(unit, run, lambda state: runs.approve(state, digest=digest, approved_by=actor))
            if events:
                self.book.approve(unit, run, digest=digest, planned_by=registered.planned_by, approved_by=actor)
        return bool(events)

    def abandon(self, run: StreamId, *, reason: str, actor: str) -> None:
        """
        Give a plan up before it is executed; the next plan for the date is a new round.
        """
        registered = self.registered(run)
        with self.store.transaction(commit_of(run, registered.key, "abandoned", actor)) as unit:
            self._append(unit, run, lambda state: runs.abandon(state, abandoned_by=actor, reason=reason))

    # --- Execute -----------------------------------------------------------------------------------------------------

    def execute(
        self, run: StreamId, *, as_of: date, actor: str, workers: int | None = None, limits: Limits | None = None,
        progress: Progress = _nobody,
    ) -> Totals:  # fmt: skip
        """
        Do what was approved, by so many workers; without a number, by as many as pay. Killed anywhere and started
        again, what is recorded is the same.
        """
        within = limits or self.limits
        self.start(run, as_of=as_of, actor=actor, limits=within)
        registered = self.registered(run)
        several = workers_for(self.crew, registered, workers)
        if several > 1 and self.crew is not None:
            self.crew.execute(
                registered, actor=actor, workers=several, limits=within, progress=progress, meanwhile=self.meanwhile
            )
        else:
            self.work_here(registered, actor=actor, limits=within, progress=progress)
        return self.finish(run, actor=actor)

    def work_here(self, run: Registered, *, actor: str, limits: Limits, progress: Progress) -> None:
        """
        Do a started run in this process: two workers, of which one waits for the database while the other one decides.
        """

        def worker(number: int) -> Callable[[Progress], None]:
            return lambda told: self.work(run.run, actor=actor, name=f"{actor}/{number}", limits=limits, progress=told)

        if self.threads and run.items > self.chunk_items:
            both(worker(1), worker(2), progress=progress)
        else:
            worker(1)(progress)

    def start(self, run: StreamId, *, as_of: date, actor: str, limits: Limits) -> None:
        """
        Check once more all that was approved, and open its chunks. A run that was started already is simply continued.
        """
        registered = self.registered(run)
        if self.state(run).phase == "started":
            return
        self._check_not_too_late(registered, as_of)
        law_used = self._check_law(registered.key, planned=self.plan_of(run).basis.values)
        self._check_undecided(registered, limits)
        if digest_again(self.book, registered, law_used) != registered.digest:
            raise Tampered(run=run)
        chunks = chunks_of(registered.items, size=self.chunk_items)
        with self.store.transaction(commit_of(run, registered.key, "started", actor)) as unit:
            if self._append(unit, run, lambda now: runs.start(now, chunks=len(chunks))):
                self.book.add_chunks(unit, run, chunks)

    def work(
        self, run: StreamId, *, actor: str, name: str, limits: Limits | None = None, progress: Progress = _nobody
    ) -> None:
        """
        Be one worker of a started run until no chunk is free. Raises TooManyParked.
        """
        registered = self.registered(run)
        within = limits or self.limits

        def may_go_on() -> None:
            totals = self.book.totals(run)
            progress(totals.looked_at, registered.items)
            if within.exceeded_by(parked=totals.parked, looked_at=totals.looked_at):
                raise TooManyParked(run=run, parked=totals.parked, looked_at=totals.looked_at)

        Worker(
            store=self.store, book=self.book, members=self.members, job=self.job(registered.key.job), law=self.law,
            run=registered, actor=actor, name=name,
        ).work(may_go_on=may_go_on)  # fmt: skip

    def finish(self, run: StreamId, *, actor: str) -> Totals:
        """
        Record that every item was done, refused or parked, once no chunk is left.
        """
        registered = self.registered(run)
        totals = self.book.totals(run)
        if totals.chunks_done < totals.chunks or self.state(run).phase != "started":
            return totals
        with self.store.transaction(commit_of(run, registered.key, "executed", actor)) as unit:
            self._append(unit, run, lambda state: record_executed(state, totals))
        return totals

    # --- Settle ------------------------------------------------------------------------------------------------------

    def settle(self, run: StreamId, *, actor: str) -> Sequence[Control]:
        """
        Compare the control totals and record them, differences by name.
        """
        registered = self.registered(run)
        totals = self.book.totals(run)
        planned_cents = self.plan_of(run).amount_cents
        job = self.job(registered.key.job)
        controls = list(own_controls(self.book, job, registered, totals, planned_cents=planned_cents))
        for source in self.controls:
            controls.extend(source(registered, totals))
        with self.store.transaction(commit_of(run, registered.key, "settled", actor)) as unit:
            self._append(unit, run, lambda state: runs.settle(state, controls=tuple(controls)))
        return controls

    # --- What is known -----------------------------------------------------------------------------------------------

    def job(self, name: str) -> Job:
        try:
            return self.jobs[name]
        except KeyError:
            raise NoSuchJob(job=name) from None

    def registered(self, run: StreamId) -> Registered:
        found = self.book.registered(run)
        if found is None:
            raise NoSuchRun(run=run)
        return found

    def state(self, run: StreamId) -> RunState:
        return RUN.fold(cast(runs.HappenedToRun, envelope.event) for envelope in self.store.history(run))

    def plan_of(self, run: StreamId) -> runs.RunPlanned:
        """
        Return the event that froze the plan.
        """
        first = next(iter(self.store.history(run)), None)
        if first is None or not isinstance(first.event, runs.RunPlanned):
            raise NoSuchRun(run=run)
        return first.event

    def line(self, job: str, *, year: int) -> Line | None:
        """
        Return the job's line on the legal calendar of a year. Raises NoValue or NotChecked.
        """
        return line_of(self.calendar, job, year=year, law=self.law)

    def run_of(self, line: Line) -> Registered | None:
        """
        Return the newest run of a line that was not abandoned.
        """
        first, last = date(line.year, 1, 1), line.last_business_date
        runs_of_line = [
            found
            for found in self.book.between(first, last)
            if found.key.job == line.job and line.covers(found.key.business_date)
        ]
        return next((run for run in reversed(runs_of_line) if self.state(run.run).phase != "abandoned"), None)

    def check_ready(self, line: Line, *, as_of: date) -> None:
        """
        Raise EarlierJobMissing or StatementsMissing for what has to come first; what became impossible does not.
        """
        for needed in line.needs:
            before = self.line(needed, year=line.year)
            if before is None or (before.latest is not None and as_of > before.latest and not self._is_open(before)):
                continue
            run = self.run_of(before)
            settled = run is not None and self.state(run.run).phase == "settled"
            if not settled and not (run is None and closing_of(self.store, needed, line.year)):
                raise EarlierJobMissing(job=line.job, first=needed, year=line.year)
        check_statements(line, self.statements_cover)

    # --- Checks ------------------------------------------------------------------------------------------------------

    def _check_calendar(self, job: str, *, business_date: date, as_of: date) -> None:
        line = line_on(self.calendar, job, business_date=business_date, law=self.law)
        if line is None:
            return
        check_dates(line, business_date=business_date, as_of=as_of)
        self.check_ready(line, as_of=as_of)

    def _is_open(self, line: Line) -> bool:
        """
        Tell whether a run of the line was started and is not settled: it may be finished after its last day.
        """
        run = self.run_of(line)
        return run is not None and self.state(run.run).phase in {"started", "executed"}

    def _check_not_too_late(self, run: Registered, as_of: date) -> None:
        line = line_on(self.calendar, run.key.job, business_date=run.key.business_date, law=self.law)
        if line is not None and line.latest is not None and as_of > line.latest:
            raise TooLate(job=run.key.job, latest=line.latest)

    def _check_law(self, key: RunKey, *, planned: Sequence[Used]) -> Sequence[Used]:
        used = tuple(self.job(key.job).law_used(self.law, business_date=key.business_date))
        if used != planned:
            changed = sorted({one.parameter for one in set(used) ^ set(planned)})
            raise LawChanged(parameters=", ".join(changed))
        return used

    def _check_undecided(self, run: Registered, limits: Limits) -> None:
        reasons = self.book.reasons(run.run)
        undecided = sum(reason.times for reason in reasons if reason.reason.startswith(UNDECIDED))
        looked_at = run.items + sum(reason.times for reason in reasons)
        if limits.exceeded_by(parked=undecided, looked_at=looked_at):
            raise TooManyParked(run=run.run, parked=undecided, looked_at=looked_at)

    def _next_round(self, job: str, business_date: date) -> tuple[RunKey, StreamId | None]:
        last = self.book.last(job)
        if last is not None and self.state(last.run).phase not in _FINISHED:
            raise AnotherRunOpen(job=job, business_date=last.key.business_date, run=last.run)
        earlier = self.book.of_date(job, business_date)
        done = [found.run for found in earlier if self.state(found.run).phase == "settled"]
        follows = done[-1] if done else None
        if follows is not None and not self.book.to_follow_up(follows, after=None, limit=1):
            raise NothingToFollowUp(job=job, business_date=business_date)
        return RunKey(job=job, business_date=business_date, round=len(earlier) + 1), follows

    # --- Writing -----------------------------------------------------------------------------------------------------

    def _append(
        self, unit: Unit, run: StreamId, decide: Callable[[RunState], Sequence[runs.HappenedToRun]]
    ) -> Sequence[runs.HappenedToRun]:
        known = unit.load(RUN, [run])[run]
        events = decide(known.state)
        if events:
            unit.append(RUN, [Change(run, known.version, events, RUN.fold(events, state=known.state))])
        return events
