"""
A job of the year says of itself what others need of it: on the calendar, in what is told, in what is settled.
"""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest

from adapters.postgres.run_controls import model_that_shows
from application.explaining import TOPICS, Passed, Sources, explain
from application.wording import REASONS
from domain.events import Basis
from domain.ids import Kind, derived_id, new_member_id
from domain.member.happened import MemberDied
from domain.parameters import Parameters
from schedulers.jobs import JOBS
from schedulers.legal_calendar import LEGAL_CALENDAR

ROOT = Path(__file__).resolve().parents[2]
MEMBER = new_member_id(moment_ms=1_767_225_600_000, randomness=bytes)


def sentence_of(job: str) -> str:
    run = derived_id(Kind.RUN, job)
    passed = Passed(job, run, date(2026, 5, 1), "died", Basis(rules=()))
    told = explain(
        MEMBER, 2026, history=(), passed=[passed], not_run=(), sources=Sources(rules={}, law=Parameters({}), jobs=JOBS)
    )  # fmt: skip
    return next(each.text for each in told.sentences if each.cause == job)


def test_every_job_has_its_line_on_the_calendar_and_no_line_is_without_its_job() -> None:
    assert sorted(entry.job for entry in LEGAL_CALENDAR) == sorted(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_what_a_job_does_is_settled_against_a_read_model(job: str) -> None:
    assert model_that_shows(JOBS[job].makes) is not None
    assert model_that_shows(MemberDied) is None


@pytest.mark.parametrize("job", JOBS)
def test_who_a_job_passes_over_is_told_so_in_its_own_words(job: str) -> None:
    assert sentence_of(job) == f"{JOBS[job].when_not} in the run for 2026-05-01, because the member died."
    assert JOBS[job].topic in TOPICS
    assert sentence_of(f"{job}_of_another_house").startswith("Nothing was done by")


def reasons_in(source: str) -> set[str]:
    """
    Return the reason codes that a module of decisions gives: what stands in a `reason=`, and what a `_why_not_` returns.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            found |= _texts(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_passed":
            found |= _texts(node.args[0])
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("_why_not"):
            found |= {text for each in ast.walk(node) if isinstance(each, ast.Return) for text in _texts(each.value)}
        elif isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "reason" for each in node.targets):
            found |= _texts(node.value)
    return found


def _texts(node: ast.expr | None) -> set[str]:
    match node:
        case ast.Constant(value=str() as text) if text:
            return {text}
        case ast.IfExp():
            return _texts(node.body) | _texts(node.orelse)
    return set()


def test_every_reason_that_a_decision_gives_has_its_words_and_no_words_are_left_over() -> None:
    modules = [
        *(ROOT / "domain" / "zorgkas_affiliation").glob("*.py"),
        ROOT / "domain" / "rules" / "affiliation_scope.py",
    ]
    assert set().union(*(reasons_in(path.read_text(encoding="utf-8")) for path in modules)) == set(REASONS)


def test_a_reason_without_words_would_be_found() -> None:
    planted = 'def f():\n    return PassedOver(reason="a" if x else "b", basis=y)\ndef _why_not_z():\n    return "c"\n'
    assert reasons_in(planted) == {"a", "b", "c"}
