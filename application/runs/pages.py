"""
Planning one page: some streams in id order, what would happen to each, ready to be written.

Any process can do it. What depends on the pages before it is told: how many were selected, which reasons were given. So
a plan is the same to the byte, however many processes made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from application.defects import error_code
from application.jobs import Candidate, Job, Turn
from application.ports import EventStore, Loaded
from application.runs.digest import encode_basis, encode_decision, item_digest, passed_over_facts
from application.runs.ports import Item, NotSelected, RunBook, RunKey
from application.threads import made_ahead
from domain.catalogue import Aggregate
from domain.decisions import PassedOver, Selected
from domain.errors import Refused
from domain.events import Basis, Used
from domain.facts import MemberFacts
from domain.ids import StreamId, owner_of
from domain.parameters import Parameters
from domain.payments import Ogm

#: Everyone without a decision of their own is passed over with a reason that starts so; a follow-up round asks again.
UNDECIDED: Final = "undecided:"
_REASONS_MAX: Final = 10_000

#: A reason with the rule and the values behind it as JSON; its place in `Reached.reasons`, from 1, is its number.
Because = tuple[str, bytes]


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


class Planning(msgspec.Struct, frozen=True, kw_only=True):
    """
    The run that is being planned, as everybody who plans pages of it must know it.
    """

    run: StreamId
    key: RunKey
    first_ogm: int
    law_used: tuple[Used, ...]


class OnePage(NamedTuple):
    """
    One stream of a page with its member, both as they stand.
    """

    stream: StreamId
    member: Loaded[Any]
    known: Loaded[Any]


class Decided(NamedTuple):
    """
    A decision to do something to a stream, with the versions that it rests on.
    """

    stream: StreamId
    version: int
    member_version: int
    selected: Selected[Any]


class DecidedPage(NamedTuple):
    """
    A page with every decision made; the first of those selected gets the ordinal `first`.
    """

    first: int
    selected: Sequence[Decided]
    passed_over: Sequence[NotSelected]


class PagePlan(NamedTuple):
    """
    A page as it is written: rows for the book, and what the hash of the plan covers of them. `times` counts the
    numbers of the reasons given.
    """

    items: int
    amount_cents: int
    item_rows: bytes
    item_digests: bytes
    passed_over: int
    passed_over_rows: bytes
    passed_over_facts: bytes
    times: Mapping[int, int]


class Reached:
    """
    How far the plan has come: what the next page must know of all before it.
    """

    def __init__(self) -> None:
        self.items = 0
        self.reasons: list[Because] = []
        self._numbers: dict[Because, int] = {}

    def number_of(self, because: Because) -> int:
        known = self._numbers.get(because)
        return self.learn((because,)) if known is None else known

    def learn(self, reasons: Iterable[Because]) -> int:
        """
        Add reasons that nobody gave before, in this order; return the number of the last one.
        """
        for because in reasons:
            if len(self.reasons) >= _REASONS_MAX:
                raise TooManyReasons
            self.reasons.append(because)
            self._numbers[because] = len(self.reasons)
        return len(self.reasons)


class PagePlanner:
    """
    Plans pages of one run. Only `decide` must be done in the order of the pages; the rest is the greater part of the
    work, and is any process's own. With `ahead`, a thread looks at the next page while the present one is decided.
    """

    def __init__(
        self, *, store: EventStore, book: RunBook, members: Members, job: Job, law: Parameters, planning: Planning,
        ahead: bool = False,
    ) -> None:  # fmt: skip
        self._ahead = ahead
        self._store, self._book, self._members = store, book, members
        self._job, self._law = job, law
        self._run, self._key, self._first_ogm = planning.run, planning.key, planning.first_ogm

    def plans(self, pages: Iterable[Sequence[StreamId]], reached: Reached) -> Iterator[PagePlan]:
        looked_at = (list(self.look_at(streams)) for streams in pages)
        for page in made_ahead(looked_at) if self._ahead else looked_at:
            yield self.freeze(self.decide(page, reached))

    def plan(self, streams: Sequence[StreamId], reached: Reached) -> PagePlan:
        return self.freeze(self.decide(list(self.look_at(streams)), reached))

    def look_at(self, streams: Sequence[StreamId]) -> Iterator[OnePage]:
        return load_page(self._store.load, self._members, self._job, streams)

    def decide(self, page: Sequence[OnePage], reached: Reached) -> DecidedPage:
        """
        Make every decision of a page; `reached` moves on with it.
        """
        first = reached.items + 1
        selected: list[Decided] = []
        passed_over: list[NotSelected] = []
        facts_of = self._members.facts_of
        for stream, member, known in page:
            outcome = self._decide(
                Candidate(stream, facts_of(member.state), known.state), ordinal=first + len(selected)
            )
            if isinstance(outcome, Selected):
                selected.append(Decided(stream, known.version, member.version, outcome))
            else:
                number = reached.number_of((outcome.reason, encode_basis(outcome.basis)))
                passed_over.append(NotSelected(stream, number))
        reached.items += len(selected)
        return DecidedPage(first, selected, passed_over)

    def _decide(self, candidate: Candidate, *, ordinal: int) -> Selected[Any] | PassedOver:
        ogm = ogm_of(first_ogm=self._first_ogm, ordinal=ordinal)
        turn = turn_of(self._run, self._key, stream=candidate.stream, ogm=ogm)
        try:
            return self._job.decide(candidate, turn=turn, law=self._law)
        except Exception as error:
            return PassedOver(reason=UNDECIDED + error_code(error), basis=Basis(rules=self._job.rules))

    def freeze(self, page: DecidedPage) -> PagePlan:
        """
        Return a decided page as it is written. Raises PersonalInPlan.
        """
        items = [_item(ordinal, decided) for ordinal, decided in enumerate(page.selected, start=page.first)]
        times: dict[int, int] = {}
        for one in page.passed_over:
            times[one.reason_no] = times.get(one.reason_no, 0) + 1
        return PagePlan(
            items=len(items),
            amount_cents=sum(item.amount_cents for item in items),
            item_rows=self._book.item_rows(self._run, items) if items else b"",
            item_digests=b"".join([item.digest for item in items]),
            passed_over=len(page.passed_over),
            passed_over_rows=self._book.passed_over_rows(self._run, page.passed_over) if page.passed_over else b"",
            passed_over_facts=passed_over_facts(page.passed_over),
            times=times,
        )


def _item(ordinal: int, decided: Decided) -> Item:
    stream, version, member_version, selected = decided
    decision = encode_decision(selected)
    digest = item_digest(
        ordinal=ordinal, stream=stream, version=version, member_version=member_version,
        amount_cents=selected.amount_cents, decision=decision,
    )  # fmt: skip
    return Item(ordinal, stream, version, member_version, selected.amount_cents, decision, digest)


Load = Callable[[Aggregate[Any, Any], Sequence[StreamId]], Mapping[StreamId, Loaded[Any]]]


def load_page(load: Load, members: Members, job: Job, streams: Sequence[StreamId]) -> Iterator[OnePage]:
    """
    Load some streams and their members at once; yield them in the order asked.
    """
    owners = [StreamId(owner_of(stream)) for stream in streams]
    of_members = load(members.aggregate, owners)
    of_streams = load(job.aggregate, streams)
    for stream, owner in zip(streams, owners, strict=True):
        yield OnePage(stream, of_members[owner], of_streams[stream])


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
