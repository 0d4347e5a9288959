"""
Canaries: values that stand for personal data, and every place where one of them might be seen that should not be.
"""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import sql

from adapters.kafka import clients
from adapters.postgres.database import OWNER, Database
from domain.personal import personal_fields
from formats.avro import read_message
from formats.contract import contract
from tests.cli import ROOT, Cli
from tests.contracts.published_samples import CANARY
from tests.patience import PATIENCE_S, eventually

#: The one topic that holds personal data on purpose: what others send us.
INBOUND = "backoffice.commands.v1"
#: What every process of ours does first when this is found on its path: tell all that its libraries tell.
_TELL_ALL = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, filename={log!r}, format="%(name)s %(message)s %(args)s %(exc_info)s")
"""
_MANY = 30


class Seen(NamedTuple):
    """
    One canary where it should not be.
    """

    canary: str
    place: str


def forms_of(canary: str) -> frozenset[bytes]:
    """
    Return the ways in which a value may be written: as it is, without blanks, as a printed account, a day in our styles.
    """
    forms = {canary, re.sub(r"[ .\-/]", "", canary)}
    if re.fullmatch(r"[A-Z]{2}[0-9]{14}", canary):
        forms.add(" ".join(canary[at : at + 4] for at in range(0, len(canary), 4)))
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", canary):
        day = date.fromisoformat(canary)
        forms |= {f"{day:%d/%m/%Y}", f"{day:%d-%m-%Y}", f"{day:%d.%m.%Y}", f"{day!r}", f"{day:%y%m%d}"}
    return frozenset(form.lower().encode() for form in forms)


def seen(canaries: Mapping[str, str], places: Mapping[str, bytes]) -> list[Seen]:
    """
    Return which canaries (name: value) stand in which places, however they are written.
    """
    found = []
    for place, content in places.items():
        low = content.lower()
        found += [Seen(name, place) for name, value in canaries.items() if any(form in low for form in forms_of(value))]
    return found


class Filled(NamedTuple):
    """
    An event with a canary in each of its texts: those under seal, and those that people write.
    """

    event: Any
    personal: dict[str, str]
    written: dict[str, str]


def filled(event: Any, number: int) -> Filled:
    """
    Give each text of a sample a canary of its own; a day of birth gets a day. Whoever adds a field need do nothing here.
    """
    import msgspec

    name = type(event).__name__
    sealed = personal_fields(type(event))
    changes, personal, written = {}, {}, {}
    for at, field in enumerate(msgspec.structs.fields(event)):
        if getattr(event, field.name) != CANARY:
            continue
        value = str(date(1901 + number, 2, 1 + at)) if field.name.endswith("_on") else f"Kanarie{number:02d}q{at:02d}z"
        changes[field.name] = value
        (personal if field.name in sealed else written)[f"{name}.{field.name}"] = value
    return Filled(msgspec.structs.replace(event, **changes), personal, written)


# --- Where to look ----------------------------------------------------------------------------------------------------


class Telling:
    """
    Processes of ours that tell everything, with all that they said: their output, and the log of all their libraries.
    """

    def __init__(self, cli: Cli, folder: Path) -> None:
        self.cli = cli
        self.said: dict[str, bytes] = {}
        self._log = folder / "debug.log"
        (folder / "tell").mkdir(parents=True)
        (folder / "tell" / "sitecustomize.py").write_text(_TELL_ALL.format(log=str(self._log)))
        self._path = {"PYTHONPATH": f"{folder / 'tell'}:{ROOT}"}

    def give(self, *words: object) -> subprocess.CompletedProcess[str]:
        done = self.cli.process(*words, **self._path)
        self._keep(words, done.stdout, done.stderr)
        return done

    def publish(self) -> None:
        """
        Have the relay publish all there is, and keep what it said and its metrics.
        """
        port = _free_port()
        relay = self.cli.start("relay", "--one-broker", "--metrics-port", port, **self._path)
        try:
            eventually(lambda: b"backoffice_relay_lag_events{" in _metrics(port))
            eventually(lambda: self.cli.json("status")["relays"][0]["lag_events"] == 0)
            self.said["metrics"] = _metrics(port)
        finally:
            relay.terminate()
            self._keep(("relay",), *relay.communicate(timeout=PATIENCE_S))
        assert relay.returncode == 0, self.said

    def places(self) -> dict[str, bytes]:
        return {**self.said, "debug log": self._log.read_bytes()}

    def _keep(self, words: Sequence[object], out: str, err: str) -> None:
        self.said[f"{len(self.said)}: {' '.join(map(str, words[:3]))}"] = f"{out}\n{err}".encode()


def _metrics(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
            return bytes(answer.read())
    except OSError:  # not yet
        return b""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_topics(bootstrap: str, topics: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """
    Yield every record of every topic, but of the one for inbound commands only when it is asked for by name: as bytes, key and headers too, and as it is read.
    """
    from kafka import TopicPartition

    consumer = clients.consumer(bootstrap, group=None)
    try:
        for topic in topics or sorted(set(contract().topics) - {INBOUND}):
            parts = [TopicPartition(topic, number) for number in range(contract().topics[topic].partitions)]
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            ends = consumer.end_offsets(parts)
            while any(consumer.position(part) < ends[part] for part in parts):
                for records in consumer.poll(timeout_ms=200).values():
                    for record in records:
                        yield f"{topic}/{record.partition}/{record.offset}", _whole(record, topic)
    finally:
        consumer.close()


def _whole(record: Any, topic: str) -> bytes:
    raw = b"\n".join([record.key or b"", record.value or b"", repr(record.headers).encode()])
    try:
        read = read_message(record.value, None if topic.endswith("answers.v1") else record.headers, topic=topic)
    except Exception as error:  # one that is not ours; what we say of it is looked at too
        return raw + str(error).encode()
    return raw + repr(read).encode() + "\n".join(str(value) for value in read.fields.values()).encode()


def in_tables(database: Database) -> dict[str, bytes]:
    """
    Return all rows of all tables, as text, and their bytes as they are.
    """
    found = {}
    with database.connect(OWNER) as session:
        tables = session.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'"
        ).fetchall()
        for schema, table in tables:
            rows = session.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))).fetchall()
            found[f"{schema}.{table}"] = b"\n".join(_flat(value) for row in rows for value in row)
    assert len(found) > _MANY
    return found


def _flat(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def in_files(folder: Path, *, but: Sequence[str]) -> dict[str, bytes]:
    """
    Return the files under a folder, without the folders that hold personal data on purpose.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(place): path.read_bytes() + str(place).encode()
        for path in files
        if (place := path.relative_to(folder)).parts[0] not in but
    }
