"""
What five million events in the table do to the rates of one million.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.postgres import heads
from adapters.postgres.store import PostgresStore
from application.ports import Change
from domain.ids import MemberId
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState
from tests.bench import material
from tests.bench.harness import Bench, Figure, Stopwatch, Took, agree, cost, median_rate, spread
from tests.bench.store_figures import store_on

_STREAMS_A_COMMIT = 2_500


def growth(bench: Bench) -> None:
    """
    The same work, in id order, with one and with five million events in the table.

    Fifty thousand affiliations get two events each, turn after turn, until there are a million; then as many turns for
    two hundred thousand others. What is measured are further turns of the first ones, and loading ten thousand of them.
    """
    first, others = bench.size(50_000, 500), bench.size(200_000, 2_000)
    ids = material.members(first + others, seed=bench.seed)
    took: dict[str, list[Took]] = {}
    with bench.database() as database, store_on(database) as store:
        measured = _Fund(bench, store, ids[:first])
        rest = _Fund(bench, store, ids[first:])
        for fund, events in ((measured, "one"), (rest, "five")):
            bench.say(f"growth: filling up to {events} million events")
            for _ in range(10):
                fund.turn(Stopwatch(bench))
            bench.admin("VACUUM ANALYZE")
            bench.admin("CHECKPOINT")  # what is measured pays for itself, not for writing what was filled
            took[f"append {events}"] = [bench.turn(measured.turn) for _ in range(bench.rounds)]
            took[f"load {events}"] = [bench.turn(measured.load) for _ in range(bench.rounds)]
        in_table = store.feed.high_water()
        agree(events=in_table, expected=2 * 10 * (first + others) + 2 * 2 * bench.rounds * first)
    for work, target, stretch in (("append", 0.75, 0.90), ("load", 0.65, 0.80)):
        now, before = took[f"{work} five"], took[f"{work} one"]
        rate_now, rate_before = median_rate(now), median_rate(before)
        bench.add(Figure(
            name=f"growth_{work}", what=f"rate of {work} with 5,000,000 events in the table against 1,000,000, work in id order",
            unit="events/s", ours=f"{in_table:,} events in the table at the end", against="a fifth of it",
            ours_value=rate_now, against_value=rate_before, ratio=rate_now / rate_before, target=target, stretch=stretch,
            limit="the depth of the indexes and how far apart a stream's pages lie",
            details=[f"five million: {cost(now)}; rates {spread(now)}", f"one million: {cost(before)}; rates {spread(before)}"],
        ))  # fmt: skip


class _Fund:
    """
    Some affiliations that get two events each at every turn.
    """

    def __init__(self, bench: Bench, store: PostgresStore, ids: Sequence[MemberId]) -> None:
        self._store = store
        self._streams = [material.affiliation_of(member) for member in ids]
        self._versions = 0
        self._few = self._streams[: bench.size(10_000, 100)]
        self._state = AffiliationState(kind="mandatory", from_year=2020)  # folding is not what is measured

    def turn(self, watch: Stopwatch) -> int:
        year = 2020 + self._versions // 2 % 7
        for start in range(0, len(self._streams), _STREAMS_A_COMMIT):
            changes = [
                Change(
                    stream,
                    self._versions,
                    [material.charged(year), material.invited(year, start + number)],
                    self._state,
                )
                for number, stream in enumerate(self._streams[start : start + _STREAMS_A_COMMIT])
            ]
            commit = material.commit_of("growth", self._streams[start], self._versions)
            with watch.timed(), self._store.transaction(commit) as unit:
                unit._versions.update(dict.fromkeys((change.stream for change in changes), self._versions))
                unit.append(AFFILIATION, changes)
        self._versions += 2
        return 2 * len(self._streams)

    def load(self, watch: Stopwatch) -> int:
        """
        Read whole streams in chunks of 1,000, as `heads.replay` does, without decoding what came.
        """
        with watch.timed(), self._store._database.session() as session, session.cursor() as cursor:
            for start in range(0, len(self._few), 1_000):
                cursor.execute(heads._REPLAY_SQL, (self._few[start : start + 1_000],), binary=True)
                cursor.fetchall()
        return self._versions * len(self._few)
