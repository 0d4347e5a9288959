"""
Into a cluster that asks for TLS and a login, on a real broker: what works, and one sentence for each thing that is off.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from adapters.kafka import clients
from adapters.kafka.access import AccessFileWrong, BrokerAccess, Brokers, RegistryAccess
from adapters.kafka.line import BrokerAccessRefused, BrokerUnavailable
from adapters.kafka.registry import Registry
from adapters.kafka.schema_registry import RegistryAccessRefused, RegistryUnavailable, SchemaRegistry
from adapters.postgres.database import Database
from formats.contract import contract
from tests.cli import Cli, command_of
from tests.kafka_servers import TEST_SETTINGS
from tests.patience import PATIENCE_S, eventually
from tests.secured_kafka import SCRAM, SECRET, USER, Authority, SecuredKafka, behind_tls, secret_file
from tests.world import World, paid

MakeTopic = Callable[..., str]


@pytest.fixture(scope="module")
def broker(servers_folder: Path) -> Iterator[SecuredKafka]:
    """
    One broker for all of this file; who stops it starts it again.
    """
    server = SecuredKafka(servers_folder / "kafka-secured", extra=TEST_SETTINGS)
    server.start()
    server.set_password(SECRET)
    yield server
    server.stop()


def brokers(broker: SecuredKafka, **changes: Any) -> Brokers:
    return Brokers(broker.secured, broker.access(**changes))


# ---- let in ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_login_over_tls_sends_and_reads(broker: SecuredKafka, make_topic: MakeTopic, mechanism: str) -> None:
    topic = make_topic(broker)
    ours = brokers(broker, mechanism=mechanism)
    with closing(clients.producer(ours)) as producer:
        producer.send(topic, b"value", partition=0).get(5)
    with closing(clients.consumer(ours, group=f"{topic}.readers")) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        found: list[bytes] = []
        eventually(lambda: bool(found.extend(_values(consumer)) or found))
    assert found == [b"value"]
    with closing(clients.admin(ours)) as admin:
        assert admin.describe_topics([topic])[0]["name"] == topic
    assert clients.probe(ours).cluster_id == broker.cluster_id


def _values(consumer: Any) -> list[bytes]:
    return [record.value for records in consumer.poll(timeout_ms=200).values() for record in records]


def test_a_certificate_of_ours_lets_us_in_where_the_broker_asks_for_one(broker: SecuredKafka) -> None:
    certificate, key = broker.authority.client("relay")
    access = BrokerAccess(protocol="SSL", ca_file=broker.authority.file, certificate_file=certificate, key_file=key)
    with closing(clients.admin(Brokers(f"localhost:{broker.certificate_port}", access))) as admin:
        assert admin.describe_topics([]) is not None


# ---- not let in -----------------------------------------------------------------------------------------------------


def _another_authority(broker: SecuredKafka) -> Path:
    return Authority(broker.folder / "certificates", "stranger").file


REFUSED: dict[str, tuple[Callable[[SecuredKafka], Brokers], str]] = {
    "wrong authority": (
        lambda broker: brokers(broker, ca_file=_another_authority(broker)),
        "The certificate of the broker cannot be trusted",
    ),
    "the system's authorities": (
        lambda broker: brokers(broker, ca_file=None),
        "The certificate of the broker cannot be trusted",
    ),
    "host name that is not in the certificate": (
        lambda broker: Brokers(f"127.0.0.1:{broker.login_port}", broker.access()),
        "The certificate of the broker is for another host name",
    ),
    "wrong password": (
        lambda broker: brokers(broker, password_file=secret_file(broker.folder / "wrong", f"{SECRET}-not")),
        "The broker does not take this login; correct BACKOFFICE_KAFKA_USERNAME",
    ),
    "wrong password, PLAIN": (
        lambda broker: brokers(
            broker, mechanism="PLAIN", password_file=secret_file(broker.folder / "wrong", f"{SECRET}-not")
        ),
        "The broker does not take this login",
    ),
    "unknown user": (lambda broker: brokers(broker, username="nobody"), "The broker does not take this login"),
    "mechanism that is not offered": (
        lambda broker: brokers(broker, mechanism="SCRAM-SHA-256"),
        r"does not offer what BACKOFFICE_KAFKA_SASL_MECHANISM says.*offered=PLAIN SCRAM-SHA-512",
    ),
    "no certificate of ours": (
        lambda broker: Brokers(f"localhost:{broker.certificate_port}", broker.access(protocol="SSL")),
        r"may ask for a certificate of ours that it knows \(BACKOFFICE_KAFKA_CERTIFICATE_FILE\)",
    ),
    "file that is gone": (
        lambda broker: brokers(broker, password_file=broker.folder / "gone"),
        "The file of BACKOFFICE_KAFKA_PASSWORD_FILE cannot be used: there is no such file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_let_in_is_told_why_at_once_and_leaves_no_thread(broker: SecuredKafka, case: str) -> None:
    make, sentence = REFUSED[case]
    before = threading.active_count()
    for client in (clients.producer, clients.admin, lambda *a, **k: clients.consumer(*a, group="g", **k)):
        # A minute to wait in, which would be noticed.
        with pytest.raises(BrokerAccessRefused, match=sentence) as refused:
            client(make(broker), within_s=60.0)
        assert SECRET not in f"{refused.value} {refused.value!r} {refused.value.__cause__}"
    assert threading.active_count() == before


@pytest.mark.parametrize(("protocol", "port"), [("PLAINTEXT", "login"), ("SSL", "login"), ("SSL", "open")])
def test_who_asks_in_another_way_than_the_port_wants_is_told_where_to_say_so(
    broker: SecuredKafka, protocol: str, port: str
) -> None:
    address = broker.secured if port == "login" else broker.address.replace("127.0.0.1", "localhost")
    with pytest.raises(BrokerUnavailable, match="whether it wants TLS and a login or neither"):
        clients.producer(Brokers(address, broker.access(protocol=protocol)), within_s=0.1)


def test_a_broker_that_lets_us_in_is_found_behind_one_that_does_not(broker: SecuredKafka) -> None:
    both = Brokers(f"127.0.0.1:{broker.login_port},{broker.secured}", broker.access())
    assert clients.probe(both).cluster_id == broker.cluster_id


def test_no_password_is_in_a_log_however_much_is_logged(broker: SecuredKafka, caplog: pytest.LogCaptureFixture) -> None:
    ours = brokers(broker, mechanism="PLAIN")
    with caplog.at_level(logging.DEBUG, logger="kafka"):
        for make in (clients.admin, clients.producer, lambda to: clients.consumer(to, group="g")):
            make(ours).close()
    assert "SaslHandshakeRequest" in caplog.text
    assert "(hidden)" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in f"{ours!r} {ours.access.read()!r}"


# ---- files ----------------------------------------------------------------------------------------------------------


def _readable_by_others(path: Path) -> Path:
    path = secret_file(path, SECRET)
    path.chmod(0o644)
    return path


def _pipe(path: Path) -> Path:
    os.mkfifo(path, 0o600)
    return path


WRONG_FILES: dict[str, tuple[str, Callable[[Path], dict[str, Path]], str]] = {
    "ca gone": ("CA", lambda at: {"ca_file": at / "no"}, "there is no such file"),
    "ca is a folder": ("CA", lambda at: {"ca_file": at}, "it is not a file|it cannot be read"),
    "ca is no certificate": (
        "CA", lambda at: {"ca_file": secret_file(at / "ca", SECRET)}, "it must hold the certificate of an authority in PEM",
    ),
    "password empty": ("PASSWORD", lambda at: {"password_file": secret_file(at / "p", "\n")}, "on one line"),
    "password of two lines": (
        "PASSWORD", lambda at: {"password_file": secret_file(at / "p", f"{SECRET}\n{SECRET}\n")}, "on one line",
    ),
    "password for everybody": (
        "PASSWORD", lambda at: {"password_file": _readable_by_others(at / "p")}, r"only its owner may read it \(chmod 600\)",
    ),
    "password is a pipe": ("PASSWORD", lambda at: {"password_file": _pipe(at / "p")}, "it is not a file"),
    "key for another certificate": (
        "KEY",
        lambda at: {"certificate_file": Authority(at, "a").client("x")[0], "key_file": Authority(at, "b").client("x")[1]},
        "it is not the key of the certificate",
    ),
    "key with a password": (
        "KEY",
        lambda at: dict(zip(("certificate_file", "key_file"), Authority(at, "a").client("x", password=b"x"), strict=True)),
        "a key without a password",
    ),
    "no key in it": (
        "KEY",
        lambda at: {"certificate_file": Authority(at, "a").client("x")[0], "key_file": secret_file(at / "k", SECRET)},
        "a key without a password",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_cannot_be_used_is_named_with_its_setting(case: str, tmp_path: Path) -> None:
    setting, make, problem = WRONG_FILES[case]
    login = {"mechanism": "PLAIN", "username": USER, "password_file": secret_file(tmp_path / "password", SECRET)}
    access = BrokerAccess(protocol="SASL_SSL", **{**login, **make(tmp_path)})
    with pytest.raises(
        AccessFileWrong, match=f"^The file of BACKOFFICE_KAFKA_{setting}_FILE cannot be used: "
    ) as wrong:
        access.read()
    assert re.search(problem, str(wrong.value))
    assert SECRET not in str(wrong.value)


# ---- over TLS as without it -----------------------------------------------------------------------------------------


def test_abandon_ends_a_producer_over_tls_whose_broker_stands_still(
    broker: SecuredKafka, make_topic: MakeTopic, sockets_left_behind: None
) -> None:
    topic = make_topic(broker)
    producer = clients.producer(brokers(broker))
    producer.send(topic, b"first", partition=0).get(5)
    broker.pause()
    try:
        for _ in range(12):  # 3 MB, more than the sockets between us hold
            producer.send(topic, os.urandom(256 * 1024), partition=0)
        with pytest.raises(KafkaTimeoutError):
            producer.close(timeout=0)
        assert producer._sender.is_alive(), "closing it is not enough, as without TLS"
        assert clients.abandon(producer)
    finally:
        broker.resume()
    with closing(clients.producer(brokers(broker))) as another:
        another.send(topic, b"last", partition=0).get(10)


# ---- the schema registry --------------------------------------------------------------------------------------------


def test_a_registry_behind_tls_and_a_login(registry: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "fund")
    right = RegistryAccess(
        ca_file=authority.file, username=USER, password_file=secret_file(tmp_path / "password", SECRET)
    )
    wrong = RegistryAccess(
        ca_file=authority.file, username=USER, password_file=secret_file(tmp_path / "wrong", f"{SECRET}x")
    )
    path = registry.address.partition("/apis")[2]
    schemas = list(contract().by_id.values())[:1]
    with behind_tls(registry.address, authority.server("registry", "localhost"), user=USER, password=SECRET) as port:
        url = f"https://localhost:{port}/apis{path}"
        assert SchemaRegistry(url, right).schema_by_id(999_999) is None
        for access, address, sentence in (
            (wrong, url, "does not take this login, or does not let it do this; correct BACKOFFICE_SCHEMA_REGISTRY_"),
            (RegistryAccess(ca_file=authority.file), url, "does not take this login"),
            (RegistryAccess(), url, "The certificate of the schema registry cannot be trusted"),
            (right, url.replace("localhost", "127.0.0.1"), "schema registry is for another host name"),
            (right, registry.address.replace("http", "https"), "does not let us in, or is not who it must be"),
            (right, f"http://{USER}:{SECRET}@localhost:{port}", "must hold no password"),
            (right, "http://registry.example", "A login is never sent unencrypted"),
        ):
            with pytest.raises(RegistryAccessRefused, match=sentence) as refused:
                SchemaRegistry(address, access).differences(schemas)
            assert SECRET not in str(refused.value)
        with pytest.raises(RegistryUnavailable):
            SchemaRegistry(url.replace("https", "http")).differences(schemas)
    with pytest.raises(AccessFileWrong, match="BACKOFFICE_SCHEMA_REGISTRY_CA_FILE"):
        SchemaRegistry(url, RegistryAccess(ca_file=tmp_path / "gone"))


# ---- every command of ours ------------------------------------------------------------------------------------------


@pytest.fixture
def cli(broker: SecuredKafka, database: Database, tmp_path: Path) -> Cli:
    """
    The command line on a small fund, with the settings of a cluster that asks for TLS and a login.
    """
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(3, on=date(2025, 1, 3))
    world.run("invitations", on=date(2025, 1, 20))
    cli = Cli(tmp_path, database_url=database.url)
    cli.environment |= broker.environment()
    return cli


def test_every_command_works_with_a_login_and_refuses_with_a_wrong_one(
    broker: SecuredKafka, cli: Cli, database: Database, sockets_left_behind: None
) -> None:
    refused_in_one_sentence(cli, broker)
    cli("topics", "create", "--one-broker")
    cli("topics", "check", "--one-broker")
    with running(cli, "relay", "--one-broker") as relay, running(cli, "consume", "premium-accounts") as consumer:
        eventually(lambda: published(cli) and taken(cli))
        cli("relay", "resend", "--to", "resend.ledger", "--from", "1", "--one-broker")
        cli("consume", "commands", "--once")
        checked = cli.json("doctor", code=1)["checks"]  # the tests' database does without fsync
        assert [each["sentence"] for each in checked if each["name"] == "kafka"] == [
            f"The brokers answer (SASL_SSL, {SCRAM})."
        ]
        a_password_is_changed(broker, cli, database)
        for process in (relay, consumer):
            assert process.poll() is None
            assert SECRET.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert SECRET.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()
    for process in (relay, consumer):
        assert (process.returncode, process.said.count("does not take this login")) == (0, 1), process.said
        assert SECRET not in process.said
    kept = [path for path in cli.home.rglob("*") if path.is_file()]
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []


def refused_in_one_sentence(cli: Cli, broker: SecuredKafka) -> None:
    wrong = {"BACKOFFICE_KAFKA_PASSWORD_FILE": str(secret_file(broker.folder / "wrong", f"{SECRET}-not"))}
    gone = {"BACKOFFICE_KAFKA_PASSWORD_FILE": str(broker.folder / "gone")}
    for words in (
        ("topics", "check"), ("topics", "create", "--one-broker"), ("consume", "premium-accounts", "--once"),
        ("consume", "commands", "--once"), ("relay", "resend", "--to", "resend.x", "--from", "1"),
    ):  # fmt: skip
        said = cli.say(*words, **wrong)
        assert (said.code, said.err.count("does not take this login"), said.out) == (6, 1, ""), said
        assert SECRET not in said.err
    told = cli.say("topics", "check", "--json", **wrong).out
    assert json.loads(told)["error"]["code"] == "BrokerAccessRefused"
    assert SECRET not in told
    for words in (("topics", "check"), ("relay",), ("consume", "commands")):
        said = cli.say(*words, **gone)
        assert (said.code, said.err.count("PASSWORD_FILE cannot be used: there is no such file")) == (4, 1), said
    with running(cli, "relay", "--one-broker", **wrong) as relay:
        heard = [relay.stderr.readline() for _ in range(2)] if relay.stderr else []
        assert relay.poll() is None, "it waits, and says what for"
        eventually(lambda: waits_for(cli) == "access to the broker")
    assert "The relay waits for access to the broker. The broker does not take this login" in heard[1]
    examined = cli.say("doctor", "--json", **wrong)
    assert examined.code == 1
    assert "The broker does not take this login" in examined.out
    assert SECRET not in examined.out + examined.err


def a_password_is_changed(broker: SecuredKafka, cli: Cli, database: Database) -> None:
    """
    First on the brokers, which keep who is in until the connection ends; then in our file, and nobody starts anything.
    """
    broker.set_password(f"{SECRET}-2")
    broker.stop()
    broker.start()
    try:
        eventually(lambda: waits_for(cli) == "access to the broker")
        world = World(database, cli.home, started_on=date(2025, 1, 2))
        asked = world.asked("invitation", 2025)[0]
        world.bank(date(2025, 3, 3), [paid(asked[2], asked[3], value_date=date(2025, 3, 3))])
        broker.password_file.write_text(f"{SECRET}-2\n", encoding="utf-8")
        eventually(lambda: published(cli) and taken(cli) and not waits_for(cli))
    finally:
        broker.set_password(SECRET)
        broker.password_file.write_text(f"{SECRET}\n", encoding="utf-8")


def published(cli: Cli) -> bool:
    return not cli.json("status")["relays"][0]["lag_events"]


def waits_for(cli: Cli) -> str:
    return str(cli.json("status")["relays"][0]["waits_for"])


def taken(cli: Cli) -> bool:
    compared = json.loads(cli.say("consume", "compare", "--json").out)
    return bool(compared["equal"] and compared["kafka_affiliations"] >= 3)


class Running(subprocess.Popen[str]):
    """
    A process of ours, and what it said on stderr when it has ended.
    """

    said = ""


@contextmanager
def running(cli: Cli, *words: str, **environment: str) -> Iterator[Running]:
    process = Running(
        command_of(words),
        env=cli.surroundings(**environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    try:
        yield process
    finally:
        process.terminate()
        process.said = process.communicate(timeout=PATIENCE_S)[1]
