"""
A stranger's client, which shares no code with ours, reads what we publish through the registry: docs/subscribers/examples.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import pytest

from adapters.kafka.registry import Registry
from adapters.kafka.schema_registry import SchemaRegistry
from formats.contract import Schema, contract
from tests.consumer_material import Out, life_of, messages, send
from tests.integration.test_consumers import publish_all
from tests.patience import PATIENCE_S
from tests.world import World, paid

EXAMPLES = Path(__file__).parents[2] / "docs" / "subscribers" / "examples"
sys.path.insert(0, str(EXAMPLES))


def example(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def registered(registry: Registry) -> str:
    """
    The registry's address, with our schemas under their pinned ids.
    """
    SchemaRegistry(registry.address).register(contract().by_id.values())
    return registry.address


def test_a_stranger_adds_up_the_premiums_to_the_cent(kafka, registered, database, make_topic, tmp_path):
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(30, on=date(2025, 1, 3))
    world.run("invitations", on=date(2025, 1, 20))
    asks = world.asked("invitation", 2025)
    amounts = [*(cents for _, _, _, cents in asks[:15]), 1234, 9999]
    movements = [paid(asks[at][2], cents, value_date=date(2025, 3, 3)) for at, cents in enumerate(amounts)]
    world.bank(date(2025, 3, 3), movements)
    topic = make_topic(kafka, partitions=3)
    publish_all(world, kafka, topic, partitions=3)
    totals = json.loads(example("premium_totals.py", kafka.address, registered, topic))
    (charged, received, credit, settled), *_ = world.rows(
        "SELECT sum(charged_cents), sum(received_cents), sum(credit_cents), sum(allocated_cents) "
        "FROM rm_premium_account.affiliation"
    )
    assert (totals["charged_cents"], totals["received_cents"]) == (charged, received)
    assert (totals["credit_cents"], totals["paid_cents"]) == (credit, settled)
    assert received == sum(amounts)
    assert totals["open_by_year"] == {"2025": charged - settled}
    assert totals["records"]["PaymentReceived"] == len(amounts)


def a_version(number: int, *fields: dict[str, Any]) -> dict[str, Any]:
    of = [{"name": "amount_cents", "type": "long", "doc": "In cents."}, *fields]
    return {"type": "record", "name": "Sample", "namespace": "test.versions", "doc": f"Version {number}.", "fields": of}


NOTE = {"name": "note", "type": ["null", "string"], "default": None, "doc": "Added in 2."}
COUNT = {"name": "count", "type": "int", "default": 7, "doc": "Added in 3."}
OF_SAMPLE = [("ce_type", b"test.versions.Sample")]
VERSIONS = [a_version(1), a_version(2, NOTE), a_version(3, NOTE, COUNT)]


def test_a_stranger_reads_three_versions_of_one_record_in_one_topic(kafka, registered, make_topic, tmp_path):
    registry = SchemaRegistry(registered)
    topic = make_topic(kafka, partitions=2)
    outs = [out._replace(partition=1) for out in messages(life_of(1, payments=0))]  # other records stand there too
    for number, raw in enumerate(VERSIONS, start=1):
        schema = Schema("test.versions.Sample", number, 1_000 + number, topic, raw, "")
        given = registry.id_of(schema) or registry._register(schema)
        fields = {"amount_cents": 100 * number, "note": "a" * number, "count": number}
        outs.append(
            Out(0, b"k", b"\x00" + given.to_bytes(4, "big") + encoded(raw, fields), OF_SAMPLE, 1_768_901_400_123)
        )
    send(kafka, topic, outs)
    for at, wanted in (
        (0, [{"amount_cents": 100}, {"amount_cents": 200}, {"amount_cents": 300}]),
        (2, [{"amount_cents": 100, "note": None, "count": 7}, {"amount_cents": 200, "note": "aa", "count": 7},
             {"amount_cents": 300, "note": "aaa", "count": 3}]),
    ):  # fmt: skip
        reader = tmp_path / f"reader{at}.avsc"
        reader.write_text(json.dumps(VERSIONS[at]))
        said = example("all_versions.py", kafka.address, registered, topic, str(reader))
        assert [json.loads(line) for line in said.splitlines()] == wanted


def encoded(raw: dict[str, Any], fields: dict[str, Any]) -> bytes:
    import io

    written = io.BytesIO()
    fastavro.schemaless_writer(written, raw, {each["name"]: fields[each["name"]] for each in raw["fields"]})
    return written.getvalue()


# --- The gap detector that people copy --------------------------------------------------------------------------------


def detector() -> Any:
    from gap_detector import GapDetector

    return GapDetector()


def told(*numbers: int, of: Any = None, epoch: str = "1") -> list[bool]:
    outs = messages(life_of(3, payments=2), epoch=epoch)
    works = of or detector()
    return [works.is_new("t", 0, outs[number - 1].headers) for number in numbers]


def test_the_gap_detector_takes_each_once_and_drops_repeats():
    assert told(1, 2, 3, 2, 3, 4) == [True, True, True, False, False, True]


@pytest.mark.parametrize("numbers", [(2,), (1, 3), (1, 2, 2, 4)])
def test_the_gap_detector_stops_before_a_missing_message(numbers):
    from gap_detector import MessagesMissing

    with pytest.raises(MessagesMissing):
        told(*numbers)


def test_the_gap_detector_stops_at_another_history():
    from gap_detector import OtherHistory

    works = detector()
    told(1, 2, 3, of=works)
    assert told(4, of=works, epoch="2") == [True]
    with pytest.raises(OtherHistory):
        told(2, of=works, epoch="1")


def test_the_gap_detector_stops_when_the_last_message_never_happened_although_the_numbers_rise():
    from gap_detector import OtherHistory

    works = detector()
    told(1, 2, 3, of=works)
    (later,) = messages(life_of(3, payments=2)[8:9], epoch="2")
    headers = [*later.headers, ("ce_previoussequence", b"2")]
    with pytest.raises(OtherHistory):
        works.is_new("t", 0, headers)


def test_the_examples_share_no_code_with_ours():
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for ours in ("domain", "formats", "adapters", "consumers", "application", "projections"):
            assert f"from {ours}" not in text
            assert f"import {ours}" not in text
