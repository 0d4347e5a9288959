"""
`backoffice explain`: a year of a member in sentences, each with its rule, the value of the law, and since when we knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from console.asking import Asked, MemberType, asks, back_office
from console.finding import NoSuchMember
from console.output import give, heading, out
from domain.ids import Kind, MemberId, StreamId, belonging_to

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from application.explaining import Explanation, Passed, Sentence


@click.command("explain")
@click.argument("member", type=MemberType())
@click.argument("year", type=click.IntRange(2001, 2200))
@asks
def explain_command(asked: Asked, member: MemberId, year: int) -> None:
    """
    Tell why a member owes a year, what was asked and paid, missed or not, written or not, reported or not.

    Example: ./backoffice explain 01963f2e-8c00-7a51-b1c2-9d4e5f000000 2026
    """
    from adapters.rule_catalogue import load_rules
    from application.explaining import RuleText, Sources, explain
    from console.answers import Explained
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
        explanation = explain(
            member,
            year,
            history=backoffice.store.history(affiliation),
            passed=passed,
            not_run=not_run,
            sources=Sources(texts, backoffice.law),
        )
    give(Explained(explanation=explanation), lambda: _show(explanation), as_json=asked.as_json)


def _runs_of(backoffice: Backoffice, affiliation: StreamId, year: int) -> tuple[list[Passed], list[str]]:
    """
    Return what the runs of the year said of this affiliation, and the jobs that were not run.
    """
    from datetime import date

    from application.explaining import Passed
    from application.runs_show import not_done_page, passed_over_page
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


def _show(explanation: Explanation) -> None:
    summary, *rest = explanation.sentences
    out(click.style(summary.text, bold=True))
    topic = ""
    for sentence in rest:
        if sentence.topic != topic:
            topic = sentence.topic
            heading(topic.capitalize())
        out(f"{sentence.day or ' ' * 10}  {sentence.text}")
        for line in _because(sentence):
            out(f"            {click.style(line, dim=True)}")


def _because(sentence: Sentence) -> Sequence[str]:
    lines = [f"{rule.rule}: {rule.sentence}" if rule.sentence else rule.rule for rule in sentence.rules]
    for value in sentence.values:
        checked = f", compared on {value.checked_on}" if value.checked_on else ""
        lines.append(f"{value.parameter} is {value.value} since {value.since} ({value.source}{checked})")
    if sentence.recorded_at is not None:
        lines.append(f"recorded {sentence.recorded_at:%Y-%m-%d %H:%M} UTC by {sentence.by}, {sentence.cause}")
    return lines
