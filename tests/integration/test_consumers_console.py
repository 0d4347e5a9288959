"""
`backoffice consume` and `backoffice dead-letters`, as a person uses them, on a real broker and a real database.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner

from console.__main__ import backoffice
from consumers import published_accounts
from tests.cli import as_url
from tests.consumer_material import SOURCE, catch_up, life_of, messages, send
from tests.integration.test_consumers_bad_messages import NotYet
from tests.world import World


@pytest.fixture
def told(database: Any, kafka: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    Give a command and return its exit code and its JSON answer.
    """
    World(database, tmp_path, started_on=date(2025, 1, 2)).backoffice.catch_up()
    for name, value in {
        "DATABASE_URL": as_url(database.url), "KAFKA_BROKERS": kafka.address, "HOME": tmp_path, "ACTOR": "an",
        "MASTER_KEY_FILE": tmp_path / "master.key",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"BACKOFFICE_{name}", str(value))

    def tell(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(backoffice, [*words, "--json"], standalone_mode=False)
        assert done.stdout, done.output
        return done.exit_code, json.loads(done.stdout)

    return tell


def test_letters_are_listed_shown_tried_again_and_given_up(told, kafka, database, make_topic):
    topic = make_topic(kafka)
    send(kafka, topic, messages(life_of(2, payments=1)))
    catch_up(kafka, database, topic, effect=NotYet({1, 4}))
    code, listed = told("dead-letters", "list")
    assert code == 0, listed
    first, second = listed["letters"]
    assert [(each["code"], each["behind"]) for each in (first, second)] == [("SCHEMA", 2), ("SCHEMA", 1)]
    code, shown = told("dead-letters", "show", str(first["number"]))
    assert (code, shown["consumer"], shown["schema_id"]) == (0, "premium-accounts", 8)
    code, done = told("dead-letters", "retry", str(first["number"]))
    assert (code, done["taken"], done["still_waiting"]) == (0, 3, 0)
    code, _ = told("dead-letters", "discard", str(second["number"]), "--reason", "a test message")
    assert code == 0
    _, listed = told("dead-letters", "list", "--consumer", "premium-accounts")
    assert [each["code"] for each in listed["letters"]] == ["BEHIND"]
    assert told("dead-letters", "show", "99999")[0] == 7


def test_consuming_once_takes_what_there_is_and_comparing_says_that_it_differs(
    told, kafka, database, make_topic, monkeypatch
):
    topic = make_topic(kafka)
    monkeypatch.setattr(published_accounts, "TOPIC", topic)
    send(kafka, topic, messages(life_of(2, payments=1)))
    assert SOURCE == published_accounts.SOURCE
    assert told("consume", "compare")[1]["equal"] is True
    code, done = told("consume", "premium-accounts", "--once")
    assert (code, done["messages"], done["letters_waiting"]) == (0, 6, 0)
    code, compared = told("consume", "compare")  # the store knows nothing of these made-up affiliations
    assert (code, compared["equal"], compared["kafka_affiliations"], len(compared["unlike"])) == (1, False, 2, 2)
    assert told("consume", "premium-accounts", "--once", "--afresh")[1]["messages"] == 6
