"""
A year of a member in sentences: why something is owed, what was asked and paid, missed or not, written or not, reported
or not; each with the rule and the value of the law that were used, and since when we knew.

Nothing is decided again: the sentences tell what was recorded, and what a run said of who it passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple, cast

import msgspec

from application.explaining_events import told
from application.jobs import Job
from application.runs.closing import words_of
from application.wording import because, euros
from domain.dates import brussels_day
from domain.envelope import Envelope
from domain.events import Basis, Used
from domain.ids import MemberId, StreamId
from domain.parameters import Parameters
from domain.run import RunDateClosed
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState, HappenedToAffiliation

#: What the sentences are about, in the order in which they are told.
TOPICS: Final = (
    "summary",
    "affiliation",
    "premium",
    "invitation",
    "payment",
    "missed",
    "reminder",
    "letter",
    "report",
    "fine",
)


class RuleText(msgspec.Struct, frozen=True, kw_only=True):
    """
    One rule of the project's catalogue: its number, its sentence, and where the law says so.
    """

    rule: str
    sentence: str = ""
    source: str = ""


class ValueCited(msgspec.Struct, frozen=True, kw_only=True):
    """
    One value of the law as it was used: since when it holds, where it stands, and when a person compared it.
    """

    parameter: str
    value: str
    since: date
    source: str
    checked_on: date | None


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that happened or did not; `day` is the day it counts, `recorded_at` since when we knew.
    """

    topic: str
    day: date | None
    text: str
    rules: Sequence[RuleText] = ()
    values: Sequence[ValueCited] = ()
    recorded_at: datetime | None = None
    by: str = ""
    cause: str = ""
    run: StreamId | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """
    The year as a whole, the summary first.
    """

    member: MemberId
    year: int
    sentences: Sequence[Sentence]


class Passed(NamedTuple):
    """
    That a run of the year looked at this member and did nothing; `left_out` when it was planned and then left out.
    """

    job: str
    run: StreamId
    business_date: date
    reason: str
    basis: Basis
    left_out: bool = False


class Sources(NamedTuple):
    """
    Where rule numbers, parameter names and jobs get their words from.
    """

    rules: Mapping[str, RuleText]
    law: Parameters
    jobs: Mapping[str, Job]


def explain(
    member: MemberId,
    year: int,
    *,
    history: Sequence[Envelope],
    passed: Sequence[Passed],
    not_run: Sequence[str],
    sources: Sources,
    closed: Sequence[RunDateClosed] = (),
) -> Explanation:
    """
    Tell the year from the affiliation's `history`, what runs said (`passed`), and the jobs that were `not_run`.

    `closed` are those of which a person said that they have no run here.
    """
    state = AFFILIATION.fold(cast(HappenedToAffiliation, envelope.event) for envelope in history)
    sentences = [
        *_summary(state, year),
        *_of_events(history, year, sources),
        *(_passed(each, sources) for each in passed),
        *_not_run(not_run, year),
        *(_closed(each) for each in closed),
    ]
    ordered = sorted(sentences, key=lambda each: TOPICS.index(each.topic) if each.topic in TOPICS else len(TOPICS))
    return Explanation(member=member, year=year, sentences=ordered)


def _summary(state: AffiliationState, year: int) -> Iterator[Sentence]:
    yield from _summary_of_year(state, year)
    if state.credit_cents < 0:
        back = euros(-state.credit_cents)
        text = f"Apart from the premiums the member owes back {back} that had been refunded; no letter asks for it."
        yield Sentence(topic="summary", day=None, text=text)


def _summary_of_year(state: AffiliationState, year: int) -> Iterator[Sentence]:
    owed = state.owed(year)
    if owed is None:
        yield Sentence(topic="summary", day=None, text=f"Nothing is owed for {year}.")
        return
    open_cents = state.open_cents(owed)
    paid = f"{euros(state.paid_cents(year))} of {euros(owed.amount_cents)} is paid for {year}"
    rest = f"{euros(open_cents)} is open" if open_cents else "nothing is open"
    missed = "the year counts as missed" if owed.missed else "the year does not count as missed"
    yield Sentence(topic="summary", day=None, text=f"{paid}, {rest}; {missed}.")


def _of_events(history: Sequence[Envelope], year: int, sources: Sources) -> Iterator[Sentence]:
    events = [cast(HappenedToAffiliation, envelope.event) for envelope in history]
    for envelope, event in zip(history, events, strict=True):
        for topic, day, text in told(event, year, events):
            basis = getattr(event, "basis", None) or Basis(rules=())
            yield Sentence(
                topic=topic,
                day=day,
                text=text,
                rules=_rules(basis, sources),
                values=_values(basis, sources),
                recorded_at=envelope.recorded_at,
                by=envelope.commit.actor,
                cause=envelope.commit.cause,
                run=envelope.commit.run,
            )


def _passed(each: Passed, sources: Sources) -> Sentence:
    job = sources.jobs.get(each.job)
    topic, text = (job.topic, job.when_not) if job else ("summary", f"Nothing was done by {each.job}")
    if each.left_out:
        text = (
            f"{text} after all: it was planned for {each.business_date}, and left out because {because(each.reason)}."
        )
    else:
        text = f"{text} in the run for {each.business_date}, because {because(each.reason)}."
    return Sentence(
        topic=topic,
        day=each.business_date,
        text=text,
        rules=_rules(each.basis, sources),
        values=_values(each.basis, sources),
        cause=each.job,
        run=each.run,
    )


def _not_run(jobs: Sequence[str], year: int) -> Iterator[Sentence]:
    if jobs:
        named = ", ".join(job.replace("_", " ") for job in jobs)
        yield Sentence(topic="open", day=None, text=f"Not run for {year} so far: {named}.")


def _closed(date_closed: RunDateClosed) -> Sentence:
    job = date_closed.job.replace("_", " ").capitalize()
    text = f"{job} of {date_closed.year} has no run here: {words_of(date_closed)}."
    return Sentence(topic="open", day=date_closed.closed_on, text=text, by=date_closed.closed_by)


def by_day(sentences: Sequence[Sentence]) -> Sequence[Sentence]:
    """
    Return the sentences in the order of their days; what has none stands on the day we knew it, or at the end.
    """

    def day_of(sentence: Sentence) -> date:
        if sentence.day is not None:
            return sentence.day
        return brussels_day(sentence.recorded_at) if sentence.recorded_at is not None else date.max

    return sorted(sentences, key=day_of)


def _rules(basis: Basis, sources: Sources) -> list[RuleText]:
    return [sources.rules.get(rule) or RuleText(rule=rule) for rule in basis.rules]


def _values(basis: Basis, sources: Sources) -> list[ValueCited]:
    return [_cited(used, sources.law) for used in basis.values]


def _cited(used: Used, law: Parameters) -> ValueCited:
    parameter = law.by_name.get(used.parameter)
    value = str(used.value)
    if parameter is None:
        return ValueCited(parameter=used.parameter, value=value, since=used.since, source="", checked_on=None)
    if parameter.unit == "eur_cent":
        value = euros(int(used.value))
    dated = next((each for each in parameter.values if each.since == used.since), None)
    return ValueCited(
        parameter=used.parameter,
        value=value,
        since=used.since,
        source=dated.source if dated else "",
        checked_on=parameter.checked_on,
    )
