"""
A stranger's client reads every topic from its start through the registry: nothing is missing, a batch can be seen to be
complete, and the cents of the runs are those of the members.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from adapters.kafka.schema_registry import SchemaRegistry
from consumers.publishing import publish_everything
from formats.contract import contract
from tests.cli import ROOT
from tests.faults.topic_log import Found, check, expected, public_topics, read_all
from tests.world import World, paid

EXAMPLES = ROOT / "docs" / "subscribers" / "examples"
sys.path.insert(0, str(EXAMPLES))


class Told(NamedTuple):
    """
    One message as the stranger understands it.
    """

    topic: str
    record: str
    run: str
    fields: dict[str, Any]


def understood(bootstrap: str, registry_url: str) -> tuple[list[Told], Sequence[Any]]:
    """
    Read all public topics with the stranger's client and deserialiser, and the detector that we give people to copy.
    """
    from gap_detector import GapDetector

    read, detector, told = AvroDeserializer(SchemaRegistryClient({"url": registry_url})), GapDetector(), []
    log = read_all(bootstrap, public_topics())
    for each in log:
        assert detector.is_new(each.topic, each.partition, list(each.headers))
        fields = read(each.value, SerializationContext(each.topic, MessageField.VALUE, list(each.headers)))
        headers = dict(each.headers)
        told.append(Told(each.topic, headers["ce_type"].decode(), headers.get("ce_runid", b"").decode(), fields))
    return told, log


def test_a_stranger_reads_every_topic_and_sees_that_nothing_is_missing(own_kafka, registry, database, tmp_path):
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(20, on=date(2025, 1, 3))
    world.run("invitations", on=date(2025, 1, 20))
    asks = world.asked("invitation", 2025)
    movements = [paid(ogm, cents, value_date=date(2025, 3, 3)) for _, _, ogm, cents in asks[:8]]
    world.bank(date(2025, 3, 3), [*movements, paid("for my mother", 6_400, value_date=date(2025, 3, 3))])
    world.run("deadline", on=date(2025, 5, 2))
    SchemaRegistry(registry.address).register(contract().by_id.values())
    publish_everything(world.backoffice, own_kafka.address)

    told, log = understood(own_kafka.address, registry.address)

    assert check(log, expected(database.url)) == Found()
    assert {each.topic for each in told} == set(public_topics())
    by_record: dict[str, list[Told]] = defaultdict(list)
    for each in told:
        by_record[each.record.rpartition(".")[2]].append(each)
    assert len(by_record["MemberRegistered"]) == 20
    assert len(by_record["MovementHeld"]) == 1
    of_runs = Counter(each.run for each in told if each.topic == "backoffice.zorgkas-affiliation.v1" and each.run)
    executed = {str(each.fields["run_id"]): each.fields for each in by_record["RunExecuted"]}
    assert len(executed) == 2
    assert dict(of_runs) == {run: fields["events"] for run, fields in executed.items() if fields["events"]}
    charged = sum(each.fields["amount_cents"] for each in by_record["ZorgpremieCharged"])
    assert charged == sum(cents for _, _, _, cents in asks)
    assert charged in {fields["amount_cents"] for fields in executed.values()}
