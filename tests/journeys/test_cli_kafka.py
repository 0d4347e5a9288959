"""
From the topics to a dead letter by the command line, as a person or a script does it: each `--json` answer is what its
schema in docs/schemas says (`tests.cli.Cli.json` holds it against that).
"""

from __future__ import annotations

import json
import signal
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from console.answers.every import ANSWERS
from formats.contract import contract
from tests.cli import Cli, schema_path
from tests.consumer_material import Out, send
from tests.journeys.test_cli_docs import every_command
from tests.patience import PATIENCE_S, eventually
from tests.world import World, paid

AFFILIATIONS = "backoffice.zorgkas-affiliation.v1"


def test_every_command_that_answers_in_json_has_a_schema_of_its_answer() -> None:
    answering = {
        path.removeprefix("backoffice ")
        for path, command, _ in every_command()
        if any("--json" in option.opts for option in command.params)
        and (not isinstance(command, click.Group) or command.invoke_without_command)
    }
    # One record for all of a group, or what the group says when it is asked without a word.
    instead = {"project": "project status"}
    nameless = {name for name in answering if not ({name, name.split()[0], instead.get(name)} & set(ANSWERS))}
    assert nameless == set()
    assert len(answering) > 40


@pytest.fixture
def cli(own_kafka: Any, registry: Any, database: Any, tmp_path: Path) -> Cli:
    """
    The command line on a year of a small fund, with a broker that has no topic yet.
    """
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(6, on=date(2025, 1, 3))
    world.run("invitations", on=date(2025, 1, 20))
    asks = world.asked("invitation", 2025)
    world.bank(date(2025, 3, 3), [paid(asks[0][2], asks[0][3], value_date=date(2025, 3, 3))])
    world.backoffice.catch_up()
    cli = Cli(tmp_path, database_url=database.url)
    cli.environment["BACKOFFICE_KAFKA_BROKERS"] = own_kafka.address
    cli.environment["BACKOFFICE_SCHEMA_REGISTRY_URL"] = registry.address
    return cli


def test_topics_relay_consumers_and_dead_letters_answer_as_their_schemas_say(cli, own_kafka):
    made = cli.json("topics", "create", "--one-broker")
    assert [each["topic"] for each in made["topics"]] == sorted(contract().topics)
    assert {each["topic"] for each in made["topics"] if each["made"]} == set(contract().topics)
    assert not any(each["made"] for each in cli.json("topics", "check", "--one-broker")["topics"])
    behind = cli.json("status")
    assert behind["relays"][0]["lag_events"] == behind["last_position"] > 0
    published_while_it_runs(cli)
    assert cli.json("status")["relays"][0]["lag_events"] == 0
    taken = cli.json("consume", "premium-accounts", "--once")
    assert taken["messages"] > 6
    compared = cli.json("consume", "compare")
    assert compared["equal"]
    assert compared["store_sha256"] == compared["kafka_sha256"]
    resent = cli.json("relay", "resend", "--to", "resend.ledger", "--from", "1", "--only", AFFILIATIONS, "--one-broker")
    assert resent["lag_events"] == 0
    assert cli.json("consume", "commands", "--once")["messages"] == 0
    a_letter_is_tried_again_and_given_up(cli, own_kafka)


def published_while_it_runs(cli: Cli) -> None:
    relay = cli.start("relay", "--one-broker", "--json")
    try:
        eventually(lambda: cli.json("status")["relays"][0]["lag_events"] == 0)
    finally:
        relay.send_signal(signal.SIGINT)
        answer, said = relay.communicate(timeout=PATIENCE_S)
    assert relay.returncode == 0, said
    schema = json.loads(schema_path("relay").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(json.loads(answer))
    assert json.loads(answer)["lag_events"] == 0


def a_letter_is_tried_again_and_given_up(cli: Cli, kafka: Any) -> None:
    send(kafka, AFFILIATIONS, [Out(0, b"k", b"\x00not ours", [("ce_sequence", b"1")], 1_768_901_400_123)])
    assert cli.json("consume", "premium-accounts", "--once", code=8)["letters_waiting"] == 1
    assert "dead-letters list" in cli("consume", "premium-accounts", "--once", code=8)  # it waits still
    (letter,) = cli.json("dead-letters", "list")["letters"]
    number = str(letter["number"])
    assert cli.json("dead-letters", "show", number) == letter
    tried = cli.json("dead-letters", "retry", number, code=8)
    assert (tried["taken"], tried["stopped_at"]) == (0, letter["number"])
    assert (
        cli.json("dead-letters", "discard", number, "--reason", "a test of another team")["number"] == letter["number"]
    )
    assert cli.json("dead-letters", "list")["letters"] == []
    assert cli.json("consume", "premium-accounts", "--once")["letters_waiting"] == 0
    assert cli.json("dead-letters", "show", "99999", code=7)["error"]["code"]


def test_schemas_and_the_stack_answer_as_their_schemas_say(registry, tmp_path):
    cli = Cli(tmp_path)
    lines = cli.json("schema", "list")["schemas"]
    assert {each["id"] for each in lines} == set(contract().by_id)
    shown = cli.json("schema", "show", "backoffice.zorgkas.PaymentReceived/1")
    assert (shown["version"], shown["schema"]["name"]) == (1, "PaymentReceived")
    cli.json("schema", "publish", "--registry", registry.address)
    again = cli.json("schema", "publish", "--registry", registry.address)
    assert (again["registered"], again["were_there"]) == (0, len(lines))
    assert cli.json("schema", "check", "--registry", registry.address)["problems"] == []
    assert cli.json("schema", "pages") == {"pages": []}
    assert {each["state"] for each in cli.json("stack", "status")["parts"]} == {"stopped"}
