"""
What tests of consumers read: made-up affiliations as messages on a real broker, and what must come of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.postgres.database import OWNER, Database
from adapters.postgres.rows import schema_of
from consumers import published_accounts
from consumers.loop import Loop
from consumers.published_accounts import PremiumAccounts
from domain.envelope import Commit, Envelope
from domain.ids import Kind, MemberId, belonging_to, derived_key, new_member_id
from formats.avro import read_message
from formats.partitions import partition_of
from formats.published import publish
from formats.published_back import to_ledger_facts
from projections.model import folded
from projections.published_premium_account import PublishedPremiumAccount, digest_of
from tests.builders import charged, opened, paid
from tests.patience import PATIENCE_S

SOURCE = "urn:cm:zorgkas:backoffice"
#: All messages of these tests are of that moment, and the consumers' clock stands a day later.
RECORDED = datetime(2026, 1, 20, 9, 30, tzinfo=UTC)
NOW_MS = int(datetime(2026, 1, 21, tzinfo=UTC).timestamp() * 1000)
MODEL = PublishedPremiumAccount()
#: A group's members hear soon of those that come and go; nobody is declared dead because the machine is busy.
QUICK = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 300}


class Out(NamedTuple):
    """
    One message, and where it goes.
    """

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp_ms: int


def member(number: int) -> MemberId:
    return new_member_id(moment_ms=1_767_225_600_000 + number, randomness=lambda size: b"\x5a" * size)


def life_of(members: int, *, payments: int) -> list[Envelope]:
    """
    Each member: opened, charged, and that many payments of some cents; members take turns, as in a batch.
    """
    found: list[Envelope] = []
    for turn in range(payments + 2):
        for number in range(members):
            match turn:
                case 0:
                    event: Any = opened()
                case 1:
                    event = charged(2025, 100_000)
                case _:
                    event = paid(number * 10_000 + turn, date(2025, 3, 1), (2025, turn))
            stream = belonging_to(member(number), Kind.ZORGKAS_AFFILIATION)
            commit = Commit(command_id=derived_key("c"), actor="an", business_date=date(2026, 1, 20), cause="test")
            found.append(Envelope(len(found) + 1, stream, turn + 1, "", RECORDED, event, commit))
    return found


def messages(envelopes: Sequence[Envelope], *, partitions: int = 1, epoch: str = "1") -> list[Out]:
    """
    Translate events as the relay does, each with the sequence of the message before it in its partition.
    """
    sent: dict[int, int] = {}
    outs = []
    for envelope in envelopes:
        key = str(belonging_to(MemberId(envelope.stream), Kind.MEMBER)).encode()
        partition = partition_of(key, partitions)
        message = publish(envelope, source=SOURCE, epoch=epoch, previous_sequence=sent.get(partition))
        assert message is not None
        assert message.partition_key == key
        sent[partition] = envelope.position
        outs.append(Out(partition, key, message.value, message.headers, message.timestamp_ms))
    return outs


def send(kafka: Kafka, topic: str, outs: Sequence[Out]) -> None:
    producer = clients.producer(kafka.address, within_s=PATIENCE_S, max_block_ms=int(PATIENCE_S * 1000))
    try:
        futures = [
            producer.send(
                topic, value=out.value, key=out.key, headers=out.headers, partition=out.partition,
                timestamp_ms=out.timestamp_ms,
            )
            for out in outs
        ]  # fmt: skip
        for future in futures:
            future.get(PATIENCE_S)
    finally:
        producer.close()


def expected(envelopes: Sequence[Envelope]) -> str:
    """
    Return the digest of the rows that these events fold to, without a broker and without a database.
    """
    facts = []
    for out in messages(envelopes):
        fact = to_ledger_facts(read_message(out.value, out.headers))
        assert fact is not None
        facts.append(fact)
    return digest_of(folded(MODEL, facts))


def stands(database: Database) -> str:
    """
    Return the digest of the rows that the consumer made.
    """
    rows = {}
    with database.connect(OWNER) as session:
        for table in MODEL.tables:
            found = session.execute(f"SELECT {', '.join(table.fields)} FROM {schema_of(MODEL)}.{table.name}").fetchall()
            rows[table.name] = [table.row(*values) for values in found]
    return digest_of(rows)


def asked(database: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with database.connect(OWNER) as session:
        return session.execute(query, list(values)).fetchall()


def offsets(database: Database) -> list[tuple[Any, ...]]:
    return asked(database, "SELECT partition, next_offset, high_water FROM consumer_offsets ORDER BY partition")


def codes(database: Database) -> list[str]:
    rows = asked(database, "SELECT code FROM dead_letters WHERE state = 'waiting' ORDER BY partition, \"offset\"")
    return [code for (code,) in rows]


def a_loop(kafka: Kafka, database: Database, topic: str, **changes: Any) -> Loop:
    published_accounts.prepare(database)
    usual: dict[str, Any] = {
        "bootstrap": kafka.address,
        "topics": [topic],
        "effect": PremiumAccounts(),
        "database": database,
        "now_ms": lambda: NOW_MS,
        "settings": QUICK,
        "topic_check_s": 0.3,
    }
    return Loop(**{**usual, **changes})


def catch_up(kafka: Kafka, database: Database, topic: str, **changes: Any) -> Loop:
    """
    Have one member take all that there is, and return it with what it said in `told`.
    """
    loop = a_loop(kafka, database, topic, until_caught_up=True, **changes)
    loop.run()
    return loop


class Running:
    """
    A member in a thread; `error` is what ended it, `told` what it said.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.told: list[str] = []
        self.error: Exception | None = None
        loop.says = self.told.append
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run()
        except Exception as error:
            self.error = error

    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        self.loop.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@contextmanager
def running(make: Callable[[], Loop]) -> Iterator[Running]:
    one = Running(make())
    try:
        yield one
    finally:
        one.stop()
