"""
Every event of an affiliation has its sentence, whatever word its fields hold.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from application.explaining_events import told
from domain.ids import derived_key
from domain.zorgkas_affiliation import AFFILIATION
from tests.contracts.published_samples import sample

#: The year of the samples, and more than the words of any field.
YEAR, WORDS = 2026, 6


def about_one_letter(event: Any) -> Any:
    return replace(event, letter_id=derived_key("letter")) if hasattr(event, "letter_id") else event


@pytest.mark.parametrize("event", AFFILIATION.events, ids=lambda event: event.__name__)
def test_an_event_is_told_in_the_account_of_its_year_and_of_no_other(event: Any) -> None:
    history = [about_one_letter(sample(each)) for each in AFFILIATION.events]
    for words in range(WORDS):
        one = about_one_letter(sample(event, words=words))
        sentences = [text for _, _, text in told(one, YEAR, history)]
        assert sentences
        assert all(text.endswith(".") for text in sentences)
    assert list(told(about_one_letter(sample(event)), YEAR - 1, history)) == []
