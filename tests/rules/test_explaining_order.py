"""
A year told briefly stands in the order of its days; what has no day stands where we knew it, or at the end.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from application.explaining import Sentence, by_day
from application.runs.closing import words_of
from domain.run import RunDateClosed


def test_the_sentences_of_a_brief_account_stand_in_the_order_of_their_days() -> None:
    told = [
        Sentence(topic="payment", day=date(2025, 5, 3), text="paid"),
        Sentence(topic="payment", day=None, text="moved", recorded_at=datetime(2025, 5, 4, 23, 30, tzinfo=UTC)),
        Sentence(topic="missed", day=date(2025, 4, 30), text="missed"),
        Sentence(topic="letter", day=date(2025, 5, 5), text="letter"),
        Sentence(topic="missed", day=date(2025, 5, 4), text="corrected"),
        Sentence(topic="open", day=None, text="not yet"),
    ]
    assert [each.text for each in by_day(told)] == ["missed", "paid", "corrected", "moved", "letter", "not yet"]


def test_a_closed_date_says_who_closed_it_and_why() -> None:
    closed = RunDateClosed(
        job="deadline", year=2024, because="given_up", reason="no statements", closed_by="an",
        closed_on=date(2025, 2, 1),
    )  # fmt: skip
    assert words_of(closed) == "it was given up, said an on 2025-02-01: no statements"
