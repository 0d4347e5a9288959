"""
A subscriber's client in Java, compiled and run as it stands in docs/subscribers/examples/java: Kafka's own client, Avro's
own reader, the registry over HTTP. It shares neither code nor language with ours, and comes to the same cents.
"""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest
from kafka import TopicPartition

from adapters import maven
from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.kafka.schema_registry import SchemaRegistry
from formats.contract import SCHEMAS, Schema, contract
from tests.consumer_material import Out, life_of, messages, send
from tests.integration.test_consumers import publish_all
from tests.patience import PATIENCE_S
from tests.world import World, paid

ROOT = SCHEMAS.parent
SOURCE = ROOT / "docs" / "subscribers" / "examples" / "java" / "PremiumTotals.java"
LOCK = ROOT / "adapters" / "jars" / "java-subscriber.lock"
FIRST = SCHEMAS / "zorgkas-affiliation" / "PaymentReceived.v1.avsc"
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


class Java(NamedTuple):
    """
    The compiled example.
    """

    class_path: str

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        command = [maven.java(), *QUICK, quiet, "-cp", self.class_path, "PremiumTotals", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def totals(self, *arguments: object) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Java:
    compiler, *jars = maven.fetch(LOCK)
    classes = tmp_path_factory.mktemp("classes")
    class_path = os.pathsep.join(map(str, jars))
    done = subprocess.run(
        [maven.java(), *QUICK, "-jar", compiler, "-source", "17", "-target", "17", "-proc:none", "-failOnWarning",
         "-cp", class_path, "-d", classes, SOURCE],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return Java(os.pathsep.join([str(classes), class_path]))


@pytest.fixture
def registered(registry: Any) -> str:
    SchemaRegistry(registry.address).register(contract().by_id.values())
    return str(registry.address)


# --- Three versions of one record -------------------------------------------------------------------------------------


def versions() -> list[dict[str, Any]]:
    """
    PaymentReceived as it is, with a field more, and with another field and a symbol more.
    """
    first = json.loads(FIRST.read_text(encoding="utf-8"))
    second = copy.deepcopy(first)
    second["fields"].append({"name": "channel", "type": ["null", "string"], "default": None, "doc": "Added in 2."})
    third = copy.deepcopy(second)
    third["fields"].append({"name": "hops", "type": ["null", "int"], "default": None, "doc": "Added in 3."})
    (matched_by,) = [field for field in third["fields"] if field["name"] == "matched_by"]
    matched_by["type"]["symbols"].append("TELEPHONE")
    return [first, second, third]


def values_of_version(version: int) -> dict[str, Any]:
    return [{}, {"channel": "mobile"}, {"channel": "mobile", "hops": 3, "matched_by": "TELEPHONE"}][version]


def in_three_versions(outs: Sequence[Out], ids: Sequence[int]) -> list[Out]:
    """
    Write the payments among the messages in turn with the first, the second and the third version.
    """
    schemas, payments = versions(), 0

    def rewritten(out: Out) -> Out:
        nonlocal payments
        if dict(out.headers)["ce_type"] != b"backoffice.zorgkas.PaymentReceived" or out.value is None:
            return out
        version, payments = payments % 3, payments + 1
        fields: Any = fastavro.schemaless_reader(io.BytesIO(out.value[5:]), schemas[0], None)
        written = io.BytesIO()
        fastavro.schemaless_writer(written, schemas[version], {**fields, **values_of_version(version)})
        return out._replace(value=b"\x00" + ids[version].to_bytes(4, "big") + written.getvalue())

    return [rewritten(out) for out in outs]


def registered_versions(url: str) -> list[int]:
    """
    Give the versions to the registry, under a subject of this test's own, and return their ids.
    """
    registry, ids = SchemaRegistry(url), []
    for number, raw in enumerate(versions(), start=1):
        schema = Schema("test.java.PaymentReceived", number, 2_000 + number, "", raw, "")
        ids.append(registry.id_of(schema) or registry._register(schema))
    return ids


def held(kafka: Kafka, topic: str, *, partitions: int) -> list[Out]:
    """
    Return every message of a topic.
    """
    consumer = clients.consumer(kafka.address, group=None)
    try:
        all_of_it = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(all_of_it)
        consumer.seek_to_beginning(*all_of_it)
        missing, found = sum(consumer.end_offsets(all_of_it).values()), []
        while len(found) < missing:
            for records in consumer.poll(timeout_ms=1_000).values():
                found += [Out(each.partition, each.key, each.value, each.headers, each.timestamp) for each in records]
        return found
    finally:
        consumer.close()


def test_java_adds_up_the_premiums_to_the_cent_over_three_versions_of_a_record(
    java, kafka, registered, database, make_topic, tmp_path
):
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(30, on=date(2025, 1, 3))
    world.run("invitations", on=date(2025, 1, 20))
    asks = world.asked("invitation", 2025)
    amounts = [*(cents for _, _, _, cents in asks[:15]), 1234, 9999]
    world.bank(
        date(2025, 3, 3), [paid(asks[at][2], cents, value_date=date(2025, 3, 3)) for at, cents in enumerate(amounts)]
    )
    topic, mixed = make_topic(kafka, partitions=3), make_topic(kafka, partitions=3)
    publish_all(world, kafka, topic, partitions=3)
    ids = registered_versions(registered)
    again = in_three_versions(held(kafka, topic, partitions=3), ids)
    send(kafka, mixed, [*again, *again[-4:]])  # and the last ones twice, as after a crash
    middle = tmp_path / "PaymentReceived.v2.avsc"
    middle.write_text(json.dumps(versions()[1]), encoding="utf-8")
    (charged, received, credit, settled), *_ = world.rows(
        "SELECT sum(charged_cents), sum(received_cents), sum(credit_cents), sum(allocated_cents) "
        "FROM rm_premium_account.affiliation"
    )
    assert received == sum(amounts)
    for reader in (FIRST, middle):
        totals = java.totals(kafka.address, registered, mixed, reader)
        assert totals["schema_ids"]["PaymentReceived"] == sorted(ids)
        assert len(set(ids)) == 3
        assert totals["records"]["PaymentReceived"] == len(amounts)
        assert (totals["charged_cents"], totals["received_cents"]) == (charged, received)
        assert (totals["credit_cents"], totals["paid_cents"]) == (credit, settled)
        assert (totals["refunded_cents"], totals["open_by_year"]) == (0, {"2025": charged - settled})


def other_history(*, after: int) -> list[Out]:
    """
    The last message of a store that was put back to an earlier state: before it came `after`, and its number rises.
    """
    (last,) = messages(life_of(2, payments=2)[-1:], epoch="2")
    return [last._replace(headers=[*last.headers, ("ce_previoussequence", str(after).encode())])]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda outs: [*outs[:3], *outs[4:]], "MessagesMissing"),
        (lambda outs: [*outs, outs[2]._replace(headers=[*outs[2].headers, ("ce_epoch", b"2")])], "OtherHistory"),
        (lambda outs: [*outs[:4], *other_history(after=2)], "OtherHistory"),
        (lambda outs: [*outs[:-1], outs[-1]._replace(value=b"\x01" + outs[-1].value[1:])], "zero byte"),
        (lambda outs: [*outs[:-1], outs[-1]._replace(value=outs[-1].value + b"\x00")], "bytes behind its record"),
    ],
)  # fmt: skip
def test_java_stops_where_its_sums_would_be_wrong(spoil, says, java, kafka, registered, make_topic):
    topic = make_topic(kafka)
    send(kafka, topic, spoil(messages(life_of(2, payments=2))))
    done = java.run(kafka.address, registered, topic)
    assert done.returncode != 0
    assert says in done.stderr
    assert done.stdout == ""


def test_the_java_example_shares_no_code_with_ours():
    imports = {
        line.split()[1] for line in SOURCE.read_text(encoding="utf-8").splitlines() if line.startswith("import ")
    }
    assert {name.split(".")[0] for name in imports} == {"java", "org", "com"}
    assert {".".join(name.split(".")[:3]) for name in imports if not name.startswith("java.")} == {
        "org.apache.avro", "org.apache.kafka", "com.fasterxml.jackson",
    }  # fmt: skip


def test_its_jars_are_those_of_the_broker_where_both_have_one():
    of_the_broker = {one.name: one for one in maven.read_lock(LOCK.parent / "kafka.lock")}
    shared = [one for one in maven.read_lock(LOCK) if one.name in of_the_broker]
    assert len(shared) == 7
    assert all(one == of_the_broker[one.name] for one in shared)
    assert Path(SOURCE).name == "PremiumTotals.java"
