"""
Planning: everyone is looked at once, in id order, and what would happen to each is frozen; nothing else changes.

It is one transaction, written page by page by one process: a planner that is killed leaves nothing, and memory does not
grow with the fund. Others may make the pages (`application.runs.crew`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from application.jobs import Job
from application.ports import EventStore, Unit
from application.runs.digest import PlanDigest, item_digest
from application.runs.pages import Members, PagePlan, Planning, Reached
from application.runs.ports import Item, Reason, Registered, RunBook, RunKey
from domain.events import Used
from domain.ids import Kind, StreamId, belonging_to, derived_id

PAGE_STREAMS: Final = 2_000

Seen = Callable[[int, int], None]


class Frozen(NamedTuple):
    """
    What planning found: counts, the total in cents, and the hash over all of it.
    """

    items: int
    passed_over: int
    amount_cents: int
    digest: str
    reasons: Sequence[Reason]


def run_id(key: RunKey) -> StreamId:
    return derived_id(Kind.RUN, key.job, key.business_date.isoformat(), str(key.round))


def candidates_of(
    store: EventStore, book: RunBook, members: Members, job: Job, follows: StreamId | None
) -> Iterator[Sequence[StreamId]]:
    """
    Yield the streams to look at, page by page in id order: those of every member, or what an earlier round left.
    """
    after: StreamId | None = None
    while True:
        if follows is not None:
            page = book.to_follow_up(follows, after=after, limit=PAGE_STREAMS)
            streams = page
        else:
            page = store.streams(members.aggregate, after=after, limit=PAGE_STREAMS)
            streams = [belonging_to(member, job.aggregate.kind) for member in page]
        if not page:
            return
        yield streams
        after = page[-1]


class Planner:
    """
    Freezes one run inside a transaction. `seen` is told how many were looked at and how many of them selected.
    """

    def __init__(self, *, unit: Unit, book: RunBook, planning: Planning, seen: Seen) -> None:
        self._unit, self._book, self._run, self._seen = unit, book, planning.run, seen
        self._digest = PlanDigest(planning.key, planning.law_used)
        self._items = self._passed_over = self._amount_cents = 0
        self._times: dict[int, int] = {}

    def freeze(self, pages: Iterable[PagePlan], reached: Reached) -> Frozen:
        """
        Write pages in the order of their streams; `reached` has moved with them when the last one is there.
        """
        for page in pages:
            self._write(page)
            self._seen(self._items + self._passed_over, self._items)
        reasons = [
            Reason(number, reason, basis, self._times[number])
            for number, (reason, basis) in enumerate(reached.reasons, start=1)
        ]
        return Frozen(self._items, self._passed_over, self._amount_cents, self._digest.result(reasons), reasons)

    def _write(self, page: PagePlan) -> None:
        if page.items:
            self._digest.items(page.item_digests)
            self._book.add_items(self._unit, page.item_rows)
        if page.passed_over:
            self._digest.passed_over(page.passed_over_facts)
            self._book.add_passed_over(self._unit, page.passed_over_rows)
        self._items += page.items
        self._passed_over += page.passed_over
        self._amount_cents += page.amount_cents
        for number, times in page.times.items():
            self._times[number] = self._times.get(number, 0) + times


def digest_again(book: RunBook, run: Registered, law_used: Sequence[Used]) -> str:
    """
    Take the hash of a plan from its rows as they stand now; every item's own hash is taken again too.
    """
    digest = PlanDigest(run.key, law_used)
    for digests in book.item_digests(run.run):
        digest.items(digests)
    for facts in book.passed_over_facts(run.run):
        digest.passed_over(facts)
    return digest.result(book.reasons(run.run))


def digest_of(item: Item) -> bytes:
    return item_digest(
        ordinal=item.ordinal, stream=item.stream, version=item.version, member_version=item.member_version,
        amount_cents=item.amount_cents, decision=item.decision,
    )  # fmt: skip
