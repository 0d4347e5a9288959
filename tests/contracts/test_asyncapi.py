"""
docs/subscribers/asyncapi.yaml is AsyncAPI 3.0 by AsyncAPI's own JSON Schema, and says what the schemas say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from formats.asyncapi import as_yaml, document
from formats.contract import SCHEMAS, contract

PAGE = SCHEMAS.parent / "docs" / "subscribers" / "asyncapi.yaml"
#: schemas/3.0.0.json of AsyncAPI's own project, with its keys sorted and no space between them.
OFFICIAL_SHA256 = "ab3a11d9da97e0619e02eb0a2e9f1d259ed45570b0eeccc8df38a0f02dc912ba"


def official() -> Draft7Validator:
    """
    AsyncAPI's schema of a 3.0.0 document, with the Kafka bindings and Avro in it, whoever brought it here.
    """
    carrier = distribution("xstate-statemachine")
    schema = json.loads(Path(str(carrier.locate_file("xstate_statemachine/eda/_asyncapi_schema.json"))).read_bytes())
    plain = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(plain.encode()).hexdigest() == OFFICIAL_SHA256, "this is not the schema that AsyncAPI wrote"
    return Draft7Validator(schema)


VALIDATOR = official()


def wrong_with(made: Any) -> list[str]:
    error = best_match(VALIDATOR.iter_errors(made))
    dangling = [f"{ref} leads nowhere" for ref in refs(made) if found(made, ref) is None]
    return [*([f"{error.json_path}: {error.message}"] if error else []), *dangling]


def refs(part: Any) -> Iterator[str]:
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from refs(value)
    if isinstance(part, dict) and "$ref" in part:
        yield part["$ref"]


def found(made: Any, ref: str) -> Any:
    for step in ref.removeprefix("#/").split("/"):
        made = made.get(step) if isinstance(made, dict) else None
    return made


def test_the_document_that_subscribers_get_is_asyncapi_3_and_all_its_references_lead_somewhere() -> None:
    assert wrong_with(yaml.safe_load(PAGE.read_text(encoding="utf-8"))) == []


def test_the_document_says_what_the_schemas_say() -> None:
    made = document(contract())
    assert PAGE.read_text(encoding="utf-8") == as_yaml(contract()), "run ./backoffice schema pages, and read the diff"
    assert yaml.safe_load(as_yaml(contract())) == made
    assert {channel["address"] for channel in made["channels"].values()} == set(contract().topics)
    released = {schema.record for schema in contract().by_id.values()}
    assert {message["name"] for message in made["components"]["messages"].values()} == released


def small() -> Any:
    """
    The document with one channel and one message, so that each check of it is quick.
    """
    made = document(contract())
    for part in ("channels", "operations"):
        made[part] = {name: each for name, each in made[part].items() if name in ("run", "send.run")}
    for holder in (made["channels"]["run"], made["components"]):
        holder["messages"] = {"RunStarted.v1": holder["messages"]["RunStarted.v1"]}
    made["operations"]["send.run"]["messages"] = [{"$ref": "#/channels/run/messages/RunStarted.v1"}]
    return json.loads(json.dumps(made))


def test_the_small_document_has_nothing_wrong_with_it() -> None:
    assert wrong_with(small()) == []


def message(made: Any) -> Any:
    return made["components"]["messages"]["RunStarted.v1"]


def kafka(made: Any) -> Any:
    return made["channels"]["run"]["bindings"]["kafka"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made.update(asyncapi="2.6.0"),
        lambda made: made.pop("info"),
        lambda made: made.update(servers=[]),
        lambda made: made["channels"]["run"].update(adress="backoffice.run.v1"),
        lambda made: kafka(made).update(partitions=0),
        lambda made: kafka(made).update(bindingVersion="0.6"),
        lambda made: kafka(made)["topicConfiguration"].update({"cleanup.policy": "delete"}),
        lambda made: made["operations"]["send.run"].update(action="publish"),
        lambda made: made["operations"]["send.run"]["channel"].update({"$ref": "#/channels/runs"}),
        lambda made: message(made).update(playload={}),
        lambda made: message(made)["payload"].pop("schemaFormat"),
        lambda made: message(made)["payload"]["schema"].pop("fields"),
        lambda made: message(made)["payload"]["schema"]["fields"][0].pop("name"),
        lambda made: message(made)["bindings"]["kafka"].update(schemaIdLocation="nowhere"),
        lambda made: made["components"]["messages"].pop("RunStarted.v1"),
    ],
)
def test_a_spoilt_document_is_noticed(spoil: Callable[[Any], object]) -> None:
    made = small()
    spoil(made)
    assert wrong_with(made)
