"""
Read models: kept up to date live, and built again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from adapters.postgres import heads
from adapters.postgres.database import OWNER, Database
from adapters.postgres.feed import StoreFeed
from adapters.postgres.projector import Projector
from adapters.postgres.rebuild import Rebuild
from adapters.postgres.store import PostgresStore
from adapters.rebuild_workers import filled_by
from application.ports import Change
from domain.ids import Kind, StreamId
from domain.zorgkas_affiliation import AFFILIATION
from projections.premium_account import PremiumAccount
from tests.bench import material, stock
from tests.bench.harness import Bench, Figure, Stopwatch, Took, agree, cost, dbname, median_rate, spread
from tests.bench.store_figures import MASTER, store_on

_LIVE_EVENTS = 5_000
_PAGE = 2_000
_YEARS = "SELECT count(*), sum(charged_cents), sum(paid_cents), count(ogm), max(last_value_date) FROM {} WHERE stream = ANY(%s)"
_TOTALS = "SELECT count(*), sum(received_cents), sum(allocated_cents), sum(charged_cents), max(version) FROM {} WHERE stream = ANY(%s)"


def projection(bench: Bench) -> None:
    """
    The premium account, live and rebuilt, against the library's runner on the same events.
    """
    of_live = material.histories(material.members(bench.size(20_000, 300), seed=bench.seed))
    of_rebuild = material.histories(material.members(bench.size(50_000, 300), seed=bench.seed))
    few = of_live[: bench.size(150, 20)]
    results: dict[str, Any] = {}
    with bench.database() as filled, bench.database() as large, bench.database() as stocked:
        for database, histories in ((filled, of_live), (large, of_rebuild)):
            with store_on(database) as store:
                _fill_by_turn(store, histories)
        with stock.opened(stocked) as app:
            _fill_stock_by_turn(app, few)
            stock_events = app.recorder.max_notification_id() or 0
        bench.admin("VACUUM ANALYZE")
        filled.close()
        large.close()
        stocked.close()

        def live(watch: Stopwatch, batch_events: int | None = _LIVE_EVENTS) -> int:
            with (
                bench.database(dbname(filled)) as database,
                store_on(database) as store,
                database.connect(OWNER) as session,
                database.connect(OWNER) as ahead,
            ):
                projector = Projector(
                    connection=session, feed=_feed(database, store), model=PremiumAccount(), batch_events=batch_events,
                    ahead=ahead,
                )  # fmt: skip
                with watch.timed():
                    read = projector.catch_up()
                results["live"] = _shown(database, "rm_premium_account", few)
            agree(read=read, events=_count(of_live))
            return read

        def rebuilt(watch: Stopwatch, workers: int = 1) -> int:
            with bench.database(dbname(large)) as database, store_on(database) as store:
                rebuild = Rebuild(database, feed=_feed(database, store), model=PremiumAccount())
                fill = filled_by(partial(open_rebuild, database.url), workers=workers) if workers > 1 else None
                with watch.timed():
                    folded = rebuild.build(streams=lambda kind: _pages(store, kind), moved=lambda _: None, fill=fill)
                    rebuild.swap()
                agree(folded=folded, events=_count(of_rebuild))
                results["rebuilt"] = _shown(database, "rm_premium_account", few)
            return folded

        def library(watch: Stopwatch) -> int:
            with bench.database(dbname(stocked)) as database:
                with watch.timed():
                    stock.run_projection(database, until=stock_events)
                results["stock"] = _shown(database, "stock", few)
            return stock_events

        bench.say(
            f"projection: {_count(of_live):,} events, in the order of the years, rebuild {_count(of_rebuild):,}; "
            f"stock {stock_events:,}"
        )
        took = bench.turns(
            {
                "live": live,
                "catch-up": partial(live, batch_events=None),
                "rebuild": rebuilt,
                "two workers": partial(rebuilt, workers=2),
                "stock runner": library,
            }
        )
        live_profile, rebuild_profile = bench.profile(live), bench.profile(rebuilt)
    agree(**results)
    _add(bench, took, (live_profile, rebuild_profile))


def _count(histories: Sequence[material.History]) -> int:
    return sum(len(history.events) for history in histories)


def _add(bench: Bench, took: Mapping[str, list[Took]], profiles: tuple[list[str], list[str]]) -> None:
    stock_events = took["stock runner"][0].items
    live_profile, rebuild_profile = profiles
    rate = {name: median_rate(turns) for name, turns in took.items()}
    against = (
        f"stock: {cost(took['stock runner'])}; rates {spread(took['stock runner'])}; {stock_events:,} events a turn"
    )
    bench.add(Figure(
        name="live_projection", what="live projection (premium_account) against the library's runner", unit="events/s",
        ours="Projector, batches of 5,000 events of 2,500 streams, the next one read and its rows looked up meanwhile",
        against="ProjectionRunner, one event a transaction",
        ours_value=rate["live"], against_value=rate["stock runner"], ratio=rate["live"] / rate["stock runner"],
        target=50, stretch=100,
        limit="more than half is the server's: it looks up and changes the rows of two tables, one by one; "
        "what is done ahead shares two cores and one interpreter lock with it",
        details=[
            f"ours: {cost(took['live'])}; rates {spread(took['live'])}",
            against,
            f"catching up with far behind (batches of 20,000): {rate['catch-up']:,.0f} events/s",
        ],
        profile=live_profile,
    ))  # fmt: skip
    bench.add(Figure(
        name="rebuild", what="rebuild of a per-member read model (premium_account) against the library's runner", unit="events/s",
        ours="Rebuild, by stream in id order, two worker processes, their start, indexes and swap included",
        against="ProjectionRunner from the first event",
        ours_value=rate["two workers"], against_value=rate["stock runner"],
        ratio=rate["two workers"] / rate["stock runner"],
        target=200, stretch=400, limit="decoding and folding in Python; then indexes and swap, which are one process's",
        details=[
            f"ours: {cost(took['two workers'])}, without the workers' own; rates {spread(took['two workers'])}",
            (f"one process: {rate['rebuild']:,.0f} events/s, {rate['rebuild'] / rate['stock runner']:.0f} times the library's "
            f"runner; two are {rate['two workers'] / rate['rebuild']:.2f} times one; {cost(took['rebuild'])}"),
            against,
        ],
        profile=rebuild_profile,
    ))  # fmt: skip


@contextmanager
def open_rebuild(url: str) -> Iterator[Rebuild]:
    """
    Open the rebuild for a worker process.
    """
    with Database(url, application="backoffice-bench") as database, store_on(database) as store:
        yield Rebuild(database, feed=_feed(database, store), model=PremiumAccount())


def _feed(database: Database, store: PostgresStore) -> StoreFeed:
    return StoreFeed(database, stored=store.stored, master=MASTER, open_personal=False, for_folding=True)


def _pages(store: PostgresStore, kind: Kind) -> Iterator[Sequence[StreamId]]:
    if kind is not AFFILIATION.kind:
        return iter(())
    return heads.pages(lambda after: store.streams(AFFILIATION, after=after, limit=_PAGE))


def _turns(histories: Sequence[material.History]) -> Iterator[tuple[int, list[material.History]]]:
    """
    Give two events of every stream, then the next two of every stream: as the years go by.
    """
    for start in range(0, 20, 2):
        yield start, [material.History(stream, events[start : start + 2]) for stream, events in histories]


def _fill_by_turn(store: PostgresStore, histories: Sequence[material.History]) -> None:
    states = {history.stream: AFFILIATION.initial for history in histories}
    for start, turn in _turns(histories):
        for number, batch in enumerate(material.batches(turn, 5_000)):
            changes = []
            for stream, events in batch:
                states[stream] = AFFILIATION.fold(events, state=states[stream])
                changes.append(Change(stream, start, events, states[stream]))
            with store.transaction(material.commit_of("turn", start, number)) as unit:
                unit.load(AFFILIATION, [history.stream for history in batch])
                unit.append(AFFILIATION, changes)


def _fill_stock_by_turn(app: stock.StockStore, histories: Sequence[material.History]) -> None:
    made: dict[StreamId, stock.StockAffiliation] = {}
    for _, turn in _turns(histories):
        for stream, events in turn:
            for happened in events:
                if stream in made:
                    made[stream].happens(data=stock.plain(happened))
                else:
                    made[stream] = stock.StockAffiliation(stream=stream, data=stock.plain(happened))
        stock.save(app, list(made.values()), events_each=2)


def _shown(database: Database, schema: str, few: Sequence[material.History]) -> Any:
    streams = [history.stream for history in few]
    with database.connect(OWNER if schema != "stock" else None) as session:
        years = session.execute(_YEARS.format(f"{schema}.premium_year"), [streams]).fetchone()  # type: ignore[arg-type]
        totals = session.execute(_TOTALS.format(f"{schema}.affiliation"), [streams]).fetchone()  # type: ignore[arg-type]
    return years, totals
