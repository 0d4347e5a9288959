"""
A yearly run: who had not paid by 30 April, over everyone, with one worker and with two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.clock import FixedClock
from adapters.garbage import rare_collections
from adapters.postgres.database import OWNER, Database
from adapters.run_workers import crew_of
from adapters.settings import Settings
from adapters.wiring import Backoffice, Schedule
from application.ports import Change
from application.runs.lifecycle import Runs
from domain.decisions import Selected
from domain.member import MEMBER
from domain.zorgkas_affiliation import AFFILIATION, close_year
from schedulers.jobs import JOBS
from tests.bench import material, stock
from tests.bench.harness import Bench, Figure, Stopwatch, Took, agree, cost, dbname, median_rate, spread
from tests.bench.store_figures import EVENTS_A_COMMIT
from tests.builders import LAW

LAST_DAY, RUN_ON = date(2026, 4, 30), date(2026, 5, 5)
_MISSED = "SELECT count(*), count(missed_on), sum(charged_cents), sum(paid_cents) FROM rm_premium_account.premium_year"


@contextmanager
def office(url: str, home: str, *, crew: bool = False) -> Iterator[Backoffice]:
    """
    Open the program on a database of the bench. No calendar: the law's order of the year is not what is measured.
    """
    with Database(url, application="backoffice-bench") as database, rare_collections():
        place = Path(home)
        settings = Settings(home=place, actor="an", master_key_file=place / "master.key")
        workers = crew_of(partial(open_runs, url, home)) if crew else None
        yield Backoffice(
            settings=settings, database=database, schedule=Schedule(jobs=JOBS, calendar=()),
            clock=FixedClock(datetime(2026, 5, 5, 8, tzinfo=UTC)), crew=workers,
        )  # fmt: skip


@contextmanager
def open_runs(url: str, home: str) -> Iterator[Runs]:
    """
    Open the runs for a worker process.
    """
    with office(url, home) as opened:
        yield opened.runs


def fill_fund(opened: Backoffice, ids: Sequence[UUID]) -> None:
    """
    Register these members, give each twenty events, and bring the premium account up to date.
    """
    store = opened.store
    for start in range(0, len(ids), 1_000):
        page = ids[start : start + 1_000]
        people, lives = [], []
        for number, member in enumerate(page, start=start):
            facts, events = material.person(number), material.twenty(number)
            people.append(Change(material.member_stream(member), 0, facts, MEMBER.fold(facts)))
            lives.append(Change(material.affiliation_of(member), 0, events, AFFILIATION.fold(events)))
        with store.transaction(material.commit_of("fund", start)) as unit:
            unit.append(MEMBER, people)
        for some in range(0, len(lives), EVENTS_A_COMMIT // 20):
            with store.transaction(material.commit_of("lives", start, some)) as unit:
                unit.append(AFFILIATION, lives[some : some + EVENTS_A_COMMIT // 20])
    rebuild = opened.rebuild("premium_account")
    rebuild.build(streams=opened.pages, moved=lambda _: None)
    rebuild.swap()


def deadline(bench: Bench) -> None:
    """
    The deadline run: plan, execute, read model; one process, two workers, and the library one by one.
    """
    ids = material.members(bench.size(100_000, 400), seed=bench.seed)
    few = material.histories(ids[: bench.size(600, 40)])
    found: dict[str, Any] = {}
    home = str(bench.folder)
    with bench.database() as fund, bench.database() as stocked:
        with office(fund.url, home) as opened:
            bench.say(f"deadline: making {len(ids):,} members with 20 events each")
            fill_fund(opened, ids)
        with stock.opened(stocked) as app:
            stock.save(app, stock.aggregates(few), events_each=20)
        bench.admin("VACUUM ANALYZE")
        fund.close()
        stocked.close()

        def run(watch: Stopwatch, workers: int = 1) -> int:
            with bench.database(dbname(fund)) as database, office(database.url, home, crew=True) as opened:
                runs = opened.runs
                opened.catch_up(("premium_account",))
                with watch.timed():
                    planned = runs.plan("deadline", business_date=LAST_DAY, as_of=RUN_ON, actor="an", workers=workers)
                    watch.lap("plan")
                    runs.execute(planned.run, as_of=RUN_ON, actor="an", workers=workers)
                    watch.lap("execute")
                    opened.catch_up(("premium_account",))
                    watch.lap("read model")
                controls = runs.settle(planned.run, actor="an")
                agree(expected=[each.expected for each in controls], actual=[each.actual for each in controls])
                with database.connect(OWNER) as session:
                    found[f"{workers} workers"] = (planned.items, session.execute(_MISSED).fetchone())
            return len(ids)

        def library(watch: Stopwatch) -> int:
            missed = 0
            facts = MEMBER.fold(material.person(0)).facts
            with bench.database(dbname(stocked)) as database, stock.opened(database) as app:
                app.repository.get(few[0].stream)
                with watch.timed():
                    for history in few:
                        affiliation: stock.StockAffiliation = app.repository.get(history.stream)
                        decided = close_year(affiliation.affiliation, member=facts, year=2026, as_of=RUN_ON, law=LAW)
                        if isinstance(decided, Selected):
                            for happened in decided.events:
                                affiliation.happens(data=stock.plain(happened))
                            app.save(affiliation)
                            missed += 1
            found["stock"] = missed
            return len(few)

        took = bench.turns({"one process": run, "two workers": partial(run, workers=2), "stock": library})
        laps = {"one": bench.laps(run), "two": bench.laps(partial(run, workers=2))}
        profile = bench.profile(run, lines=14)
    agree(one=found["1 workers"], two=found["2 workers"])
    agree(selected=found["1 workers"][0], expected=sum(number % 10 >= 3 for number in range(len(ids))))
    agree(stock=found["stock"], expected=sum(number % 10 >= 3 for number in range(len(few))))
    _add(bench, took, laps, profile)


def _add(
    bench: Bench, took: Mapping[str, list[Took]], laps: Mapping[str, Mapping[str, float]], profile: list[str]
) -> None:
    one, two = laps["one"], laps["two"]
    rate = {name: median_rate(turns) for name, turns in took.items()}
    bench.add(Figure(
        name="run", what=f"the deadline run over {took['one process'][0].items:,} affiliations of 20 events: plan, execute, read model, one process",
        unit="affiliations/s", ours="plan, execute and premium_account, with the members loaded, every decision frozen and hashed",
        against="get, decide, save one by one; no plan, no members, no read model",
        ours_value=rate["one process"], against_value=rate["stock"], ratio=rate["one process"] / rate["stock"],
        target=30, stretch=60, limit="one process's Python, which two threads take in turns while the other waits for the server; the profile sees the first of them",
        details=[
            f"ours: {cost(took['one process'])}; rates {spread(took['one process'])}",
            "laps of one turn: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in one.items()),
            f"stock: {cost(took['stock'])}; rates {spread(took['stock'])}; {took['stock'][0].items:,} affiliations a turn",
        ],
        profile=profile,
    ))  # fmt: skip
    bench.add(Figure(
        name="two_workers", what="the same run with two workers against one process", unit="affiliations/s",
        ours="two worker processes plan, then execute while this one projects", against="one process",
        ours_value=rate["two workers"], against_value=rate["one process"], ratio=rate["two workers"] / rate["one process"],
        target=1.3, stretch=1.8, limit="two workers, the process that projects and the server have two cores; one process by itself already uses both, as its threads work while the server does: what makes `run` better makes this less",
        details=[
            f"rates {spread(took['two workers'])}; two processes start anew in each run",
            (f"execution alone, the part that workers share: {one['execute'] / two['execute']:.2f} times "
            f"({one['execute']:.1f} s against {two['execute']:.1f} s)"),
        ],
    ))  # fmt: skip
