"""
Planning: everyone is looked at once, in id order, and what would happen to each is frozen; nothing else changes.

It is one transaction, page by page: a planner that is killed leaves nothing, and memory does not grow with the fund.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from application.jobs import Candidate, Job, Turn
from application.ports import EventStore, Loaded, Unit
from application.runs_digest import PlanDigest, encode_basis, encode_decision, item_digest
from application.runs_ports import Item, NotSelected, Reason, Registered, RunBook, RunKey
from domain.catalogue import Aggregate
from domain.decisions import PassedOver, Selected
from domain.envelope import Commit
from domain.errors import BackofficeError, Refused
from domain.events import Basis, Used
from domain.facts import MemberFacts
from domain.ids import Kind, StreamId, belonging_to, derived_id, owner_of
from domain.parameters import Parameters
from domain.payments import Ogm

#: Everyone without a decision of their own is passed over with a reason that starts so; a follow-up round asks again.
UNDECIDED: Final = "undecided:"
PAGE_STREAMS: Final = 2_000
_REASONS_MAX: Final = 10_000

Seen = Callable[[int, int], None]


class TooManyReasons(Refused):
    """
    The job gave more than 10,000 different reasons; a reason is a stable code, not a sentence about one member.
    """


class Members(NamedTuple):
    """
    How members are folded, and where in their state the facts stand that other aggregates are told.
    """

    aggregate: Aggregate[Any, Any]
    facts_of: Callable[[Any], MemberFacts]


class Decided(NamedTuple):
    """
    A decision about one stream, with the versions that it rests on.
    """

    stream: StreamId
    version: int
    member_version: int
    outcome: Selected[Any] | PassedOver


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


def turn_of(run: StreamId, key: RunKey, *, stream: StreamId, ogm: Ogm | None) -> Turn:
    """
    Return what the run gives to the decision about a stream: always the same for the same run and stream.
    """
    return Turn(run, stream, key.job, key.business_date, ogm)


def ogm_of(*, first_ogm: int, ordinal: int) -> Ogm | None:
    """
    Return the payment number of the item with that ordinal; None for a job that takes none (its `first_ogm` is 0).
    """
    return Ogm.from_base(first_ogm + ordinal - 1) if first_ogm else None


class OnePage(NamedTuple):
    """
    One stream of a page with its member, both as they stand.
    """

    stream: StreamId
    member: Loaded[Any]
    known: Loaded[Any]


def load_page(unit: Unit, members: Members, job: Job, streams: Sequence[StreamId]) -> Iterator[OnePage]:
    """
    Load some streams and their members at once; yield them in the order asked.
    """
    owners = [StreamId(owner_of(stream)) for stream in streams]
    of_members = unit.load(members.aggregate, owners)
    of_streams = unit.load(job.aggregate, streams)
    for stream, owner in zip(streams, owners, strict=True):
        yield OnePage(stream, of_members[owner], of_streams[stream])


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

    def __init__(
        self, *, store: EventStore, commit: Commit, unit: Unit, book: RunBook, members: Members, job: Job,
        law: Parameters, run: StreamId, key: RunKey, law_used: Sequence[Used], first_ogm: int, seen: Seen,
    ) -> None:  # fmt: skip
        self._store, self._commit = store, commit
        self._unit, self._book, self._members = unit, book, members
        self._job, self._law, self._run, self._key = job, law, run, key
        self._first_ogm, self._seen = first_ogm, seen
        self._digest = PlanDigest(key, law_used)
        self._reasons: dict[tuple[str, bytes], list[int]] = {}
        self._items = self._passed_over = self._amount_cents = 0

    def freeze(self, pages: Iterator[Sequence[StreamId]]) -> Frozen:
        for streams in pages:
            self._freeze_page(streams)
            self._seen(self._items + self._passed_over, self._items)
        reasons = [Reason(number, reason, basis, count) for (reason, basis), (number, count) in self._reasons.items()]
        return Frozen(self._items, self._passed_over, self._amount_cents, self._digest.result(reasons), reasons)

    def _freeze_page(self, streams: Sequence[StreamId]) -> None:
        items: list[Item] = []
        passed_over: list[NotSelected] = []
        for stream, member, known in self._look_at(streams):
            outcome = self._decide(stream, Candidate(stream, self._members.facts_of(member.state), known.state))
            if isinstance(outcome, Selected):
                items.append(self._item(Decided(stream, known.version, member.version, outcome)))
            else:
                passed_over.append(NotSelected(stream, self._reason_no(outcome)))
        if items:
            self._digest.items(items)
            self._book.add_items(self._unit, self._run, items)
        if passed_over:
            self._passed_over += len(passed_over)
            self._digest.passed_over(passed_over)
            self._book.add_passed_over(self._unit, self._run, passed_over)

    def _look_at(self, streams: Sequence[StreamId]) -> Sequence[OnePage]:
        """
        Load a page in a transaction of its own: a unit remembers the version of everything it ever loaded.
        """
        with self._store.transaction(self._commit) as looking:
            return list(load_page(looking, self._members, self._job, streams))

    def _decide(self, stream: StreamId, candidate: Candidate) -> Selected[Any] | PassedOver:
        ogm = ogm_of(first_ogm=self._first_ogm, ordinal=self._items + 1)
        turn = turn_of(self._run, self._key, stream=stream, ogm=ogm)
        try:
            return self._job.decide(candidate, turn=turn, law=self._law)
        except Exception as error:
            return PassedOver(reason=UNDECIDED + error_code(error), basis=Basis(rules=self._job.rules))

    def _item(self, decided: Decided) -> Item:
        selected = decided.outcome
        if not isinstance(selected, Selected):
            raise TypeError("only what is selected becomes an item")
        self._items += 1
        self._amount_cents += selected.amount_cents
        decision = encode_decision(selected)
        digest = item_digest(
            ordinal=self._items, stream=decided.stream, version=decided.version,
            member_version=decided.member_version, amount_cents=selected.amount_cents, decision=decision,
        )  # fmt: skip
        return Item(
            self._items, decided.stream, decided.version, decided.member_version, selected.amount_cents, decision,
            digest,
        )  # fmt: skip

    def _reason_no(self, passed_over: PassedOver) -> int:
        key = (passed_over.reason, encode_basis(passed_over.basis))
        known = self._reasons.get(key)
        if known is None:
            if len(self._reasons) >= _REASONS_MAX:
                raise TooManyReasons
            known = self._reasons[key] = [len(self._reasons) + 1, 0]
        known[1] += 1
        return known[0]


def digest_again(book: RunBook, run: Registered, law_used: Sequence[Used]) -> str:
    """
    Take the hash of a plan from its rows as they stand now; every item's own hash is taken again too.
    """
    digest = PlanDigest(run.key, law_used)
    for items in book.all_items(run.run):
        digest.items([item._replace(digest=digest_of(item)) for item in items])
    for streams in book.all_passed_over(run.run):
        digest.passed_over(streams)
    return digest.result(book.reasons(run.run))


def digest_of(item: Item) -> bytes:
    return item_digest(
        ordinal=item.ordinal, stream=item.stream, version=item.version, member_version=item.member_version,
        amount_cents=item.amount_cents, decision=item.decision,
    )  # fmt: skip


def error_code(error: Exception) -> str:
    """
    Return a stable code for an error: its class, with the number of the rule when a rule refused. Never its facts.
    """
    if isinstance(error, BackofficeError):
        return f"{error.rule}/{error.name()}" if error.rule else error.name()
    return type(error).__name__
