"""
What the surroundings decide: read once from the environment, all problems named together, secrets never shown.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from psycopg import Error as PostgresError
from psycopg.conninfo import conninfo_to_dict

from adapters.kafka import access
from adapters.kafka.access import BrokerAccess, Brokers, RegistryAccess
from domain.errors import Unavailable, Unreadable

PROJECT: Final = Path(__file__).resolve().parents[1]

_KNOWN: Final = frozenset(
    {
        "BACKOFFICE_HOME",
        "BACKOFFICE_DATABASE_URL",
        "BACKOFFICE_MASTER_KEY_FILE",
        "BACKOFFICE_ACTOR",
        "BACKOFFICE_KAFKA_BROKERS",
        "BACKOFFICE_SCHEMA_REGISTRY_URL",
        "BACKOFFICE_ROOT",  # set by the launcher
    }
    | access.NAMES
)
_ACTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", re.ASCII)
_OFF: Final = frozenset({"", "0", "n", "no", "f", "false", "off"})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where the back office keeps and finds its things, and who is asking.

    `database_url` None means the embedded database under `home`. `master_key_file` opens personal data; with a
    database server it must be given, so that keys and data never lie together by accident. `kafka_brokers` empty
    means that nothing is published; `kafka_access` and `registry_access` say how brokers and registry let us in.
    """

    home: Path
    actor: str
    master_key_file: Path
    database_url: str | None = None
    kafka_brokers: tuple[str, ...] = ()
    kafka_access: BrokerAccess = BrokerAccess()
    schema_registry_url: str | None = None
    registry_access: RegistryAccess = RegistryAccess()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """
        Read `BACKOFFICE_...`; raises Unreadable with all problems in one sentence, without any value.
        """
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        problems = [*_unknown(given), *_problems(given), *_dangerous(given)]
        if problems:
            raise Unreadable(f"Set the environment right and try again: {'; '.join(problems)}.")
        home = Path(given.get("BACKOFFICE_HOME", PROJECT / "var")).absolute()
        key = given.get("BACKOFFICE_MASTER_KEY_FILE")
        return cls(
            home=home,
            actor=given.get("BACKOFFICE_ACTOR") or _account(),
            master_key_file=Path(key).absolute() if key else home / "keys" / "master.key",
            database_url=given.get("BACKOFFICE_DATABASE_URL"),
            kafka_brokers=tuple(_brokers(given.get("BACKOFFICE_KAFKA_BROKERS", ""))),
            kafka_access=access.broker_access(given),
            schema_registry_url=given.get("BACKOFFICE_SCHEMA_REGISTRY_URL"),
            registry_access=access.registry_access(given),
        )

    @property
    def embedded(self) -> bool:
        return self.database_url is None

    @property
    def brokers(self) -> Brokers:
        """
        Return where Kafka is, by the settings, and how it lets us in; `kafka_brokers` may be empty.
        """
        return Brokers(",".join(self.kafka_brokers), self.kafka_access)

    @property
    def embedded_directory(self) -> Path:
        """
        Return the folder of the embedded database.
        """
        return self.home / "postgres"

    def __repr__(self) -> str:
        """
        Show no URL: it may hold a password.
        """
        database = "embedded" if self.embedded else "a server"
        return f"Settings(home={str(self.home)!r}, actor={self.actor!r}, database={database})"


class HomeUnusable(Unavailable):
    """
    This account cannot write in the home of the back office; see who owns it, or name another with BACKOFFICE_HOME.
    """


def make_home(home: Path) -> None:
    """
    Make the folder where everything is kept, if it is not there. Raises HomeUnusable when nothing can be kept in it.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnusable(home=home, reason=error.strerror) from None
    if not os.access(home, os.W_OK | os.X_OK):
        raise HomeUnusable(home=home)


def _unknown(given: Mapping[str, str]) -> list[str]:
    return [
        f"{name} is not known (a typing error?)"
        for name in sorted(given)
        if name.startswith("BACKOFFICE_") and not name.startswith("BACKOFFICE_TEST_") and name not in _KNOWN
    ]


def _problems(given: Mapping[str, str]) -> list[str]:
    found = []
    home = given.get("BACKOFFICE_HOME")
    if home and Path(home).exists() and not Path(home).is_dir():
        found.append("BACKOFFICE_HOME must be a folder")
    url = given.get("BACKOFFICE_DATABASE_URL")
    if url and not _is_database_url(url):
        found.append("BACKOFFICE_DATABASE_URL must look like postgresql://user@host:5432/database")
    if url and not given.get("BACKOFFICE_MASTER_KEY_FILE"):
        found.append("BACKOFFICE_MASTER_KEY_FILE must be set when BACKOFFICE_DATABASE_URL is")
    actor = given.get("BACKOFFICE_ACTOR")
    if actor and not _ACTOR.fullmatch(actor):
        found.append("BACKOFFICE_ACTOR must be 1 to 64 letters, digits and . _ @ -")
    brokers = given.get("BACKOFFICE_KAFKA_BROKERS", "")
    if not all(_BROKER.fullmatch(broker) and int(broker.rpartition(":")[2]) < 65536 for broker in _brokers(brokers)):
        found.append("BACKOFFICE_KAFKA_BROKERS must look like host:9092,host:9092")
    found += access.problems(given, hosts=[broker.rpartition(":")[0] for broker in _brokers(brokers)])
    registry = given.get("BACKOFFICE_SCHEMA_REGISTRY_URL")
    if registry and not _is_web_address(registry):
        found.append("BACKOFFICE_SCHEMA_REGISTRY_URL must look like https://host:port")
    elif registry and "@" in urlsplit(registry).netloc:
        found.append(
            f"BACKOFFICE_SCHEMA_REGISTRY_URL must hold no password; use {access.REGISTRY_USER} and "
            f"{access.REGISTRY_PASSWORD}"
        )
    return found


def _dangerous(given: Mapping[str, str]) -> list[str]:
    """
    Name a switch of the event-store library that makes readers miss events and forget their positions.
    """
    if given.get("POSTGRES_ENABLE_DB_FUNCTIONS", "").lower() in _OFF:
        return []
    return ["POSTGRES_ENABLE_DB_FUNCTIONS must not be set: with it events are missed"]


def _is_database_url(url: str) -> bool:
    if not url.startswith(("postgresql://", "postgres://")):
        return False
    try:
        return bool(conninfo_to_dict(url).get("dbname"))
    except PostgresError:
        return False


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _brokers(text: str) -> list[str]:
    return [broker.strip() for broker in text.split(",")] if text else []


def _account() -> str:
    """
    Return the operating-system account; not from the environment, which anybody may set.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container that runs as a number without a name
        return f"uid-{os.geteuid()}"
