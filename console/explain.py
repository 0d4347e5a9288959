"""
`backoffice explain`: a year of a member in sentences, each with its rule, the value of the law, and since when we knew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from console.asking import Asked, MemberType, asks, back_office
from console.finding import NoSuchMember
from console.output import give, heading, out, wrapped
from domain.ids import Kind, MemberId, StreamId, belonging_to

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from application.explaining import Explanation, Passed, Sentence

_LABEL: Final = 12
_TITLES: Final = {"open": "Not yet"}


@click.command("explain")
@click.argument("member", type=MemberType())
@click.argument("year", type=click.IntRange(2001, 2200))
@click.option("--brief", is_flag=True, help="Only the sentences, in the order of their days.")
@asks
def explain_command(asked: Asked, member: MemberId, year: int, brief: bool) -> None:
    """
    Tell why a member owes a year, what was asked and paid, missed or not, written or not, reported or not.

    Example: ./backoffice explain 01963f2e-8c00-7a51-b1c2-9d4e5f000000 2026
    """
    from adapters.rule_catalogue import load_rules
    from application.explaining import RuleText, Sources, explain
    from application.runs.closing import closing_of
    from console.answers.every import Explained
    from domain.member import MEMBER

    texts = {
        number: RuleText(rule=number, sentence=rule.sentence, source=rule.source)
        for number, rule in load_rules().items()
    }
    with back_office(asked) as backoffice:
        stream = StreamId(member)
        if not backoffice.store.load(MEMBER, [stream])[stream].state.is_registered:
            raise NoSuchMember
        affiliation = belonging_to(member, Kind.ZORGKAS_AFFILIATION)
        passed, not_run = _runs_of(backoffice, affiliation, year)
        closed = [each for job in not_run if (each := closing_of(backoffice.store, job, year)) is not None]
        explanation = explain(
            member,
            year,
            history=backoffice.store.history(affiliation),
            passed=passed,
            not_run=[job for job in not_run if job not in {each.job for each in closed}],
            sources=Sources(texts, backoffice.law, backoffice.runs.jobs),
            closed=closed,
        )
    give(Explained(explanation=explanation), lambda: _show(explanation, brief=brief), as_json=asked.as_json)


def _runs_of(backoffice: Backoffice, affiliation: StreamId, year: int) -> tuple[list[Passed], list[str]]:
    """
    Return what the runs of the year said of this affiliation, and the jobs that were not run.
    """
    from datetime import date

    from application.explaining import Passed
    from application.runs.show import not_done_page, passed_over_page
    from domain.events import Basis
    from domain.ids import owner_of

    found: list[Passed] = []
    jobs: set[str] = set()
    runs = backoffice.runs
    for run in runs.book.between(date(year, 1, 1), date(year, 12, 31)):
        if runs.state(run.run).phase in {"none", "planned", "abandoned"}:
            continue
        job, day = run.key.job, run.key.business_date
        jobs.add(job)
        found += [
            Passed(job, run.run, day, each.reason, each.basis)
            for each in passed_over_page(runs, run.run, member=owner_of(affiliation))
        ]
        item = next(iter(runs.book.items(run.run, after=0, limit=1, stream=affiliation)), None)
        if item is not None:
            found += [
                Passed(job, run.run, day, each.reason.removeprefix("now_passed_over:"), Basis(rules=()), left_out=True)
                for each in not_done_page(runs, run.run, after=item.ordinal - 1, limit=1)
                if each.ordinal == item.ordinal
            ]
    return found, [job for job in runs.jobs if job not in jobs]


def _show(explanation: Explanation, *, brief: bool) -> None:
    from application.explaining import by_day

    summary, *by_topic = explanation.sentences
    rest = by_day(by_topic) if brief else by_topic
    out(click.style(summary.text, bold=True))
    topic, seen = "", set[str]()
    for sentence in rest:
        if sentence.topic != topic and not brief:
            topic = sentence.topic
            heading(_TITLES.get(topic, topic.capitalize()))
        wrapped(sentence.text, label=str(sentence.day or ""), width=_LABEL)
        for line in () if brief else _because(sentence, seen):
            wrapped(line, label="", width=_LABEL, dim=True)


def _because(sentence: Sentence, seen: set[str]) -> Iterator[str]:
    """
    Give a rule's words the first time; after that its number is enough.
    """
    known = [rule.rule for rule in sentence.rules if rule.rule in seen]
    for rule in sentence.rules:
        if rule.rule not in seen:
            yield f"{rule.rule}: {rule.sentence} ({rule.source})" if rule.sentence else rule.rule
    if known:
        yield f"also {', '.join(known)}"
    seen.update(rule.rule for rule in sentence.rules)
    for value in sentence.values:
        yield f"{value.parameter} is {value.value} since {value.since}"
        if value.parameter not in seen:
            checked = f"; compared on {value.checked_on}" if value.checked_on else ""
            yield f"  {value.source}{checked}"
        seen.add(value.parameter)
    if sentence.recorded_at is not None:
        yield f"recorded {sentence.recorded_at:%Y-%m-%d %H:%M} UTC by {sentence.by}: {sentence.cause}"
