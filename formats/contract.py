"""
What we promised others, as it stands in `schemas/`: records and their versions, pinned ids, topics, and the catalogue.

Read once from the files that ship with the program; nothing of it comes from a registry (docs/decisions/0021).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import yaml

from domain.errors import NotFound, Unreadable

SCHEMAS: Final = Path(__file__).parent.parent / "schemas"
#: Beside these, `schemas/` holds a folder of records for each topic, and nothing else.
FILES: Final = frozenset({"catalogue.yaml", "ids.yaml", "released-topics.yaml", "topics.yaml"})


class ContractUnreadable(Unreadable):
    """
    The published contract in schemas/ cannot be read or contradicts itself; correct the file that is named.
    """


class Released(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What `ids.yaml` says of one id: it stands for this record and version, and its schema hashes to this.
    """

    record: str
    version: int
    sha256: str


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    One topic as it is made and checked. `retention_ms` -1 means for ever; `folder` holds its records.
    """

    direction: Literal["in", "out"]
    folder: str
    about: str
    key: str
    order: str
    partitions: int
    replication: int
    min_insync_replicas: int
    retention_ms: int
    cleanup_policy: Literal["delete", "compact"]
    name: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """
        Return the broker's settings of this topic, by their Kafka names.
        """
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": "-1",
            "min.insync.replicas": str(self.min_insync_replicas),
            "message.timestamp.type": "CreateTime",
            "unclean.leader.election.enable": "false",
        }


class ReleasedTopic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What `released-topics.yaml` says of a topic that others read: none of it is ever changed.
    """

    folder: str
    key: str
    partitions: int
    cleanup_policy: str
    retention_ms: int

    @classmethod
    def of(cls, topic: Topic) -> ReleasedTopic:
        return cls(*(getattr(topic, name) for name in cls.__struct_fields__))


class Schema(NamedTuple):
    """
    One record in one version. `id` is 0 until it is released; `raw` is the file as JSON.
    """

    record: str
    version: int
    id: int
    topic: str
    raw: Mapping[str, Any]
    path: str

    @property
    def name(self) -> str:
        return f"{self.record}/{self.version}"

    @property
    def text(self) -> str:
        """
        Return the one form in which a schema is hashed and registered: docs and all attributes included.
        """
        return canonical(self.raw)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Contract(NamedTuple):
    """
    The whole promise. `published` and `not_published` are by stored event type (`zorgkas.ZorgpremieCharged/1`);
    `used_by` says of fields (`backoffice.zorgkas.PaymentReceived.matched_by`) that fewer need than their record.
    `strays` are files in the folder that are no part of it.
    """

    records: Mapping[str, tuple[Schema, ...]]
    by_id: Mapping[int, Schema]
    released: Mapping[int, Released]
    topics: Mapping[str, Topic]
    released_topics: Mapping[str, ReleasedTopic]
    strays: tuple[str, ...]
    published: Mapping[str, str]
    not_published: Mapping[str, str]
    used_by: Mapping[str, list[str]]

    def schema(self, name: str) -> Schema:
        """
        Return a schema by `backoffice.zorgkas.ZorgpremieCharged/1`, or the newest of a record without its version.
        """
        record, _, version = name.partition("/")
        found: list[Schema] = [
            each for each in self.records.get(record, ()) if not version or str(each.version) == version
        ]
        if not found:
            raise NoSuchSchema(name=name[:100])
        return found[-1]

    def newest_released(self, record: str) -> Schema:
        found: Schema = next(each for each in reversed(self.records[record]) if each.id)
        return found


class NoSuchSchema(NotFound):
    """
    There is no such record or version; `backoffice schema list` shows them.
    """


def canonical(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@cache
def contract() -> Contract:
    """
    Return the contract that ships with this program. Raises ContractUnreadable.
    """
    return load(SCHEMAS)


def load(folder: Path) -> Contract:
    """
    Read a contract from a folder such as `schemas/`. Raises ContractUnreadable, which names the file.
    """
    topics = {
        name: msgspec.structs.replace(topic, name=name)
        for name, topic in _yaml(folder / "topics.yaml", "topics", dict[str, Topic]).items()
    }
    released = _yaml(folder / "ids.yaml", "ids", dict[int, Released])
    ids = {(each.record, each.version): number for number, each in released.items()}
    if len(ids) != len(released):
        raise ContractUnreadable(file="ids.yaml", problem="a record and version stands there twice")
    found: dict[str, list[Schema]] = {}
    for topic in topics.values():
        for path in sorted((folder / topic.folder).glob("*.avsc")):
            schema = _schema(path, topic.name, ids)
            found.setdefault(schema.record, []).append(schema)
    records = {record: tuple(sorted(each, key=lambda one: one.version)) for record, each in sorted(found.items())}
    by_id = {schema.id: schema for versions in records.values() for schema in versions if schema.id}
    _check(folder, records, by_id, released)
    return Contract(
        records=records,
        by_id=by_id,
        released=released,
        topics=topics,
        released_topics=_yaml(folder / "released-topics.yaml", "topics", dict[str, ReleasedTopic]),
        strays=_strays(folder, {topic.folder for topic in topics.values()}),
        published=_yaml(folder / "catalogue.yaml", "published", dict[str, str]),
        not_published=_yaml(folder / "catalogue.yaml", "not_published", dict[str, str]),
        used_by=_yaml(folder / "catalogue.yaml", "used_by", dict[str, list[str]]),
    )


def _strays(folder: Path, folders: Set[str]) -> tuple[str, ...]:
    """
    Return the files that nothing reads: whoever put a schema there may think that it is released.
    """
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    places = [path.relative_to(folder) for path in files]
    known = [
        place.name in FILES if len(place.parts) == 1
        else len(place.parts) == 2 and place.parts[0] in folders and place.suffix == ".avsc"
        for place in places
    ]  # fmt: skip
    return tuple(str(place) for place, is_ours in zip(places, known, strict=True) if not is_ours)


def _schema(path: Path, topic: str, ids: Mapping[tuple[str, int], int]) -> Schema:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_key_twice)
        record = f"{raw['namespace']}.{raw['name']}"
        name, version, _ = path.name.split(".")
        number = int(version.removeprefix("v"))
    except (OSError, ValueError, KeyError, TypeError):
        raise ContractUnreadable(file=path.name, problem="it is not <RecordName>.v<version>.avsc in JSON") from None
    if name != raw["name"] or path.name != f"{name}.v{number}.avsc" or number < 1:
        raise ContractUnreadable(file=path.name, problem="file name, record name and version differ")
    return Schema(record, number, ids.get((record, number), 0), topic, raw, f"{path.parent.name}/{path.name}")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _check(
    folder: Path,
    records: Mapping[str, tuple[Schema, ...]],
    by_id: Mapping[int, Schema],
    released: Mapping[int, Released],
) -> None:
    for record, versions in records.items():
        if [schema.version for schema in versions] != list(range(1, len(versions) + 1)):
            raise ContractUnreadable(file=versions[0].path, problem=f"{record} stands twice or misses a version")
        if len({schema.topic for schema in versions}) != 1:
            raise ContractUnreadable(file=versions[0].path, problem=f"{record} stands in two folders")
    for number, pinned in released.items():
        schema = by_id.get(number)
        if schema is None or not 0 < number < 2**31:
            raise ContractUnreadable(file="ids.yaml", problem=f"id {number} has no schema file: {pinned.record}")
        if schema.sha256 != pinned.sha256:
            problem = "a released schema was changed; put it back, and write the change as the next version"
            raise ContractUnreadable(file=schema.path, problem=problem)
    if not folder.is_dir():
        raise ContractUnreadable(file=str(folder), problem="it is not there")


class _EachKeyOnce(yaml.SafeLoader):
    """
    YAML takes the last of two equal keys without a word; an event or an id would silently get another meaning.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise yaml.constructor.ConstructorError(problem="a key stands there twice")
        return found


def _yaml(path: Path, key: str, kind: Any) -> Any:
    try:
        read = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)  # noqa: S506 - a SafeLoader
        return msgspec.convert(read[key], kind, strict=True)
    except yaml.constructor.ConstructorError as error:
        raise ContractUnreadable(file=path.name, problem=str(error.problem)) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ContractUnreadable(file=path.name, problem=f"no `{key}` can be read ({type(error).__name__})") from None
    except msgspec.ValidationError as error:
        raise ContractUnreadable(file=path.name, problem=str(error)) from None
