"""
Every rule of the gate catches the schema that was planted for it, and what passes is FULL_TRANSITIVE for Avro's checker.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from formats.catalogue_gate import problems_in_catalogue
from formats.contract import SCHEMAS, Contract, ContractUnreadable, Schema, contract, load
from formats.schema_gate import between, checker_is_here, differences_for_avro, problems_in

DATE = {"type": "int", "logicalType": "date"}
UUID = {"type": "string", "logicalType": "uuid"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}


def a_field(name: str, type: Any, doc: str = "What it is.", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type, "doc": doc, "x-data": "none", **more}


def a_schema() -> dict[str, Any]:
    kind = {"type": "enum", "name": "Kind", "doc": "Kinds.", "symbols": ["UNKNOWN", "A"], "default": "UNKNOWN"}
    part = {"type": "record", "name": "Part", "doc": "A part.", "fields": [a_field("year", "int", "Calendar year.")]}
    return {
        "type": "record",
        "name": "Thing",
        "namespace": "test",
        "doc": "A thing.",
        "x-used-by": ["ledger"],
        "fields": [
            a_field("thing_id", UUID, **{"x-data": "pseudonym"}),
            a_field("amount_cents", "long", "What is owed. In euro cents."),
            a_field("due_on", DATE, "Last day. A day in Europe/Brussels."),
            a_field("kind", kind),
            a_field("parts", {"type": "array", "items": part}),
            a_field("later_on", ["null", DATE], "Another day.", default=None),
        ],
    }


def version(raw: dict[str, Any], number: int = 1) -> Schema:
    return Schema("test.Thing", number, number, "backoffice.member.v1", raw, "")


def with_versions(*raws: dict[str, Any], topic: str = "backoffice.member.v1") -> Contract:
    versions = tuple(version(raw, number)._replace(topic=topic) for number, raw in enumerate(raws, start=1))
    return contract()._replace(records={"test.Thing": versions})


def rules_broken(*raws: dict[str, Any], topic: str = "backoffice.member.v1") -> set[str]:
    return {problem.rule for problem in problems_in(with_versions(*raws, topic=topic))}


def planted(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    raw = a_schema()
    change(raw)
    return raw


def field_of(raw: dict[str, Any], name: str) -> dict[str, Any]:
    return next(field for field in raw["fields"] if field["name"] == name)


def set_field(name: str, **values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda raw: field_of(raw, name).update(values)


def add_field(field: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["fields"].append(field)


def drop(name: str, key: str | None = None) -> Callable[[dict[str, Any]], object]:
    def change(raw: dict[str, Any]) -> None:
        if key is None:
            raw["fields"].remove(field_of(raw, name))
        else:
            del field_of(raw, name)[key]

    return change


def test_what_is_released_passes_the_gate() -> None:
    assert problems_in(contract()) == []


def test_the_checker_of_the_avro_project_is_part_of_the_build() -> None:
    assert checker_is_here()


def test_a_good_schema_and_a_good_next_version_pass() -> None:
    newer = planted(add_field(a_field("more_on", ["null", DATE], default=None)))
    field_of(newer, "kind")["type"]["symbols"].append("B")
    field_of(newer, "due_on")["doc"] = "The last day to pay. A day in Europe/Brussels."
    assert problems_in(with_versions(a_schema(), newer)) == []


ALONE = [
    ("no-doc", lambda raw: raw.pop("doc")),
    ("no-doc", drop("due_on", "doc")),
    ("no-doc", set_field("due_on", doc="  ")),
    ("no-doc", lambda raw: field_of(raw, "kind")["type"].pop("doc")),
    ("no-doc", lambda raw: field_of(raw, "parts")["type"]["items"]["fields"][0].pop("doc")),
    ("no-user", lambda raw: raw.pop("x-used-by")),
    ("no-key", lambda raw: raw["fields"].insert(0, a_field("year", "int"))),
    ("recursive", add_field(a_field("next", ["null", "test.Thing"], default=None))),
    ("recursive", add_field(a_field("next", {"type": "array", "items": "Thing"}))),
    ("x-data", drop("due_on", "x-data")),
    ("x-data", set_field("due_on", **{"x-data": "identity"})),
    ("x-data", set_field("due_on", **{"x-data": "personal"})),
    ("x-data", lambda raw: field_of(raw, "parts")["type"]["items"]["fields"][0].pop("x-data")),
    ("type", add_field(a_field("rate", "double"))),
    ("type", add_field(a_field("owed_cents", DECIMAL, "In euro cents."))),
    ("type", add_field(a_field("seen", {"type": "map", "values": "long"}))),
    ("type", add_field(a_field("clock", {"type": "int", "logicalType": "time-millis"}))),
    ("money", set_field("amount_cents", type="int")),
    ("money", set_field("amount_cents", doc="What is owed.")),
    ("money", add_field(a_field("amount", "long"))),
    ("money", add_field(a_field("total", DATE, "In euros."))),
    ("day", set_field("due_on", type="string")),
    ("day", add_field(a_field("value_date", "int"))),
    ("moment", add_field(a_field("seen_at", "string"))),
    ("id", set_field("thing_id", type="string")),
    ("id", set_field("thing_id", **{"x-data": "none"})),
    ("enum-default", lambda raw: field_of(raw, "kind")["type"].pop("default")),
    ("enum-default", lambda raw: field_of(raw, "kind")["type"].update(default="A")),
    ("union", add_field(a_field("maybe", ["null", "long", "string"], default=None))),
    ("union", add_field(a_field("maybe", ["long", "null"], default=1))),
    ("union", add_field(a_field("maybe", ["null", "long"]))),
    ("empty", lambda raw: field_of(raw, "parts")["type"]["items"].update(fields=[])),
    ("empty", add_field(a_field("many", {"type": "array", "items": "null"}))),
    ("not-avro", add_field(a_field("due_on", DATE))),
    ("not-avro", add_field(a_field("what", "no.such.Type"))),
    ("not-avro", lambda raw: field_of(raw, "kind")["type"].update(symbols=["UNKNOWN", "A", "A"])),
    ("alias", lambda raw: raw.update(aliases=["Other"])),
    ("alias", set_field("due_on", aliases=["pay_by"])),
    ("name", add_field(a_field("dueDay", DATE))),
    ("name", lambda raw: field_of(raw, "kind")["type"].update(namespace="other")),
    ("personal", add_field(a_field("payer_iban", "string"))),
    ("personal", add_field(a_field("birth_year", "int"))),
    ("personal", add_field(a_field("reason", "string"))),
]


@pytest.mark.parametrize(("rule", "change"), ALONE, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(ALONE)])
def test_a_bad_schema_is_caught(rule: str, change: Callable[[dict[str, Any]], object]) -> None:
    assert rule in rules_broken(planted(change))


PAIRS = [
    ("removed", drop("due_on")),
    ("renamed", lambda raw: [drop("due_on")(raw), add_field(a_field("last_on", DATE))(raw)]),
    ("added", add_field(a_field("more_on", DATE))),
    ("added", add_field(a_field("count", "long", default=0))),
    ("type", set_field("amount_cents", type="int")),
    ("type", set_field("due_on", type="int")),
    ("type", set_field("due_on", type=["null", DATE], default=None)),
    ("type", lambda raw: field_of(raw, "parts")["type"]["items"]["fields"][0].update(type="long")),
    ("unit", set_field("amount_cents", doc="What is owed. In euros.")),
    ("unit", set_field("due_on", doc="Last month.")),
    ("doc-removed", drop("due_on", "doc")),
    ("doc-removed", lambda raw: field_of(raw, "kind")["type"].pop("doc")),
    ("default", drop("later_on", "default")),
    ("x-data", set_field("due_on", **{"x-data": "pseudonym"})),
    ("enum-symbols", lambda raw: field_of(raw, "kind")["type"].update(symbols=["UNKNOWN", "B"])),
    ("enum-symbols", lambda raw: field_of(raw, "kind")["type"].update(symbols=["UNKNOWN"])),
    ("enum-symbols", lambda raw: field_of(raw, "kind")["type"].update(symbols=["A", "UNKNOWN"])),
    ("enum-default", lambda raw: field_of(raw, "kind")["type"].update(default="A")),
    ("no-key", lambda raw: raw["fields"].insert(0, raw["fields"].pop(1))),
    ("full-transitive", add_field(a_field("more_on", DATE))),
    ("full-transitive", set_field("amount_cents", type="string")),
]


@pytest.mark.parametrize(("rule", "change"), PAIRS, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(PAIRS)])
def test_a_bad_next_version_is_caught(rule: str, change: Callable[[dict[str, Any]], object]) -> None:
    assert rule in rules_broken(a_schema(), planted(change))


@pytest.mark.parametrize("what", [{"scale": 3}, {"precision": 14}])
def test_a_scale_or_precision_that_changes_is_caught_although_avro_finds_it_compatible(what: dict[str, int]) -> None:
    older = planted(add_field(a_field("rate", DECIMAL)))
    newer = planted(add_field(a_field("rate", {**DECIMAL, **what})))
    assert differences_for_avro(version(older), version(newer, 2)) == []
    assert "type" in {problem.rule for problem in between(version(older), version(newer, 2))}


def test_a_version_that_says_the_same_again_is_caught_and_one_that_says_it_better_is_not() -> None:
    """
    A version may say more of what stays the same: in a doc, or who uses it.
    """
    assert rules_broken(a_schema(), a_schema()) == {"same"}
    for better in ({"doc": "A thing that is owed."}, {"x-used-by": ["ledger", "member portal"]}):
        assert rules_broken(a_schema(), planted(lambda raw, said=better: raw.update(said))) == set()


def test_the_third_version_is_held_against_the_first_one_too() -> None:
    second = planted(set_field("due_on", default=5))
    found = problems_in(with_versions(a_schema(), second, a_schema()))
    assert {problem.schema for problem in found if problem.rule == "default"} == {
        "test.Thing/2 after 1",
        "test.Thing/3 after 2",
    }


def test_personal_data_may_only_come_in() -> None:
    personal = planted(add_field(a_field("command_json", "string", **{"x-data": "personal"})))
    assert rules_broken(personal, topic="backoffice.commands.v1") == set()
    assert rules_broken(personal) == {"x-data"}


def test_one_name_has_one_meaning() -> None:
    other = planted(lambda raw: field_of(raw, "kind")["type"].update(symbols=["UNKNOWN", "Z"]))
    other["name"] = "Other"
    two = with_versions(a_schema())
    records = {**two.records, "test.Other": (version(other)._replace(record="test.Other"),)}
    found = problems_in(two._replace(records=records))
    assert [problem.rule for problem in found] == ["named-twice"]


CHANGES = [change for _, change in PAIRS] + [
    add_field(a_field("more_on", ["null", DATE], default=None)),
    add_field(a_field("more_cents", ["null", "long"], "In euro cents.", default=None)),
    lambda raw: field_of(raw, "kind")["type"]["symbols"].append("C"),
    lambda raw: field_of(raw, "parts")["type"]["items"]["fields"].append(
        a_field("month", ["null", "int"], default=None)
    ),
    lambda raw: raw.update(doc="A thing, said better."),
]


SOME_CHANGES = st.lists(st.sampled_from(CHANGES), max_size=4, unique_by=id)


@given(SOME_CHANGES, SOME_CHANGES)
def test_what_our_rules_let_pass_avros_checker_lets_pass(first: list[Any], second: list[Any]) -> None:
    older, newer = a_schema(), a_schema()
    for raw, changes in ((older, first), (newer, second)):
        for change in copy.copy(changes):
            try:
                change(raw)
            except (KeyError, StopIteration):  # what it changes was changed away
                continue
    names = [[field["name"] for field in raw["fields"]] for raw in (older, newer)]
    if any(len(set(each)) != len(each) for each in names):
        return
    if not between(version(older), version(newer, 2)):
        assert differences_for_avro(version(older), version(newer, 2)) == []


# --- What was released stays ------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


RELEASED = "run/RunStarted.v1.avsc"


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_released_schema_that_was_touched_is_named(folder: Path) -> None:
    edited(folder / RELEASED, "The first worker began", "Some worker began")
    with pytest.raises(ContractUnreadable, match="RunStarted"):
        load(folder)


def test_white_space_is_not_a_change(folder: Path) -> None:
    edited(folder / RELEASED, "  ", "      ")
    assert load(folder).by_id.keys() == contract().by_id.keys()


def test_a_released_schema_that_is_gone_is_named(folder: Path) -> None:
    (folder / RELEASED).unlink()
    with pytest.raises(ContractUnreadable, match="RunStarted"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("ids.yaml", "record: backoffice.run.RunStarted, version: 1", "record: backoffice.run.RunPlanned, version: 1"),
        ("ids.yaml", "sha256:", "sha265:"),
        ("ids.yaml", "ids:", "ids: ["),
        ("ids.yaml", "  2: {", "  1: {"),
        ("topics.yaml", "cleanup_policy: delete", "cleanup_policy: never"),
        ("topics.yaml", "partitions: 12", "partitions: twelve"),
        ("catalogue.yaml", "not_published:", "unpublished:"),
        ("catalogue.yaml", "  runs.RunPlanned/1:", "  runs.RunStarted/1:"),
        (RELEASED, '"name": "RunStarted"', '"name": "RunBegun"'),
        (RELEASED, '"doc"', '"name": "RunStarted", "doc"'),
        (RELEASED, "{", ""),
    ],
)
def test_a_contract_that_contradicts_itself_is_not_read(folder: Path, file: str, old: str, new: str) -> None:
    edited(folder / file, old, new)
    with pytest.raises(ContractUnreadable):
        load(folder)


def test_a_version_that_was_left_out_is_named(folder: Path) -> None:
    shutil.copy(folder / RELEASED, folder / "run/RunStarted.v3.avsc")
    with pytest.raises(ContractUnreadable, match="misses a version"):
        load(folder)


MATCHED = "backoffice.zorgkas.PaymentReceived.matched_by"
RUNS = "backoffice.run.v1"
STARTED = "  runs.RunStarted/1: backoffice.run.RunStarted/1\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "says"),
    [
        ("catalogue.yaml", STARTED, "", "runs.RunStarted/1", "Nothing says whether"),
        ("catalogue.yaml", STARTED, "", "backoffice.run.RunStarted", "No event is published as this record"),
        ("catalogue.yaml", "runs.RunStarted/1", "runs.RunDreamt/1", "runs.RunDreamt/1", "There is no such event"),
        ("catalogue.yaml", "run.RunStarted/1", "run.RunStarted/2", "runs.RunStarted/1", "which has no schema"),
        ("catalogue.yaml", "run.RunStarted/1", "run.RunPlanned/1", "backoffice.run.RunPlanned/1", "2 events"),
        ("catalogue.yaml", "not_published:\n", "not_published:\n  runs.RunStarted/1: So.\n", "runs.RunStarted/1", "both"),
        ("catalogue.yaml", "It holds nothing but an e-mail address.", '""', "members.EmailAddressGiven/1", "Say why"),
        ("catalogue.yaml", f"{MATCHED}: [data", f"{MATCHED}: [treasury, data", MATCHED, "nobody else"),
        ("catalogue.yaml", MATCHED, f"{MATCHED}s", f"{MATCHED}s", "No published record has this field"),
        ("ids.yaml", "  35: {", "  99: {", "99", "Here 35 stood"),
        ("topics.yaml", "partitions: 1\n", "partitions: 2\n", RUNS, "Partitions are never changed"),
        ("topics.yaml", "partitions: 12", "partitions: 24", "backoffice.member.v1", "new topic (.v2)"),
        ("topics.yaml", "key: run_id", "key: job", RUNS, "A key is never changed"),
        ("topics.yaml", "cleanup_policy: delete", "cleanup_policy: compact", "backoffice.member.v1", "subscribers count"),
        ("topics.yaml", "retention_ms: -1", "retention_ms: 1000", "backoffice.member.v1", "released as `-1`"),
        ("released-topics.yaml", f"  {RUNS}:", "  backoffice.dream.v1:", RUNS, "put its line back"),
        ("released-topics.yaml", f"  {RUNS}:", "  backoffice.dream.v1:", "backoffice.dream.v1", "is gone; put it back"),
    ],
)  # fmt: skip
def test_a_slip_in_the_catalogue_or_the_ids_is_named(
    folder: Path, file: str, old: str, new: str, at: str, says: str
) -> None:
    edited(folder / file, old, new)
    assert [each for each in problems_in_catalogue(load(folder)) if each.at == at and says in each.sentence]


def test_records_that_change_topic_are_named(folder: Path) -> None:
    text = (folder / "topics.yaml").read_text()
    swapped = {"run": "bank", "bank": "run"}
    for old, new in swapped.items():
        text = text.replace(f"folder: {old}\n", f"folder: {new}_\n")
    (folder / "topics.yaml").write_text(text.replace("_\n", "\n"))
    found = {each.at for each in problems_in_catalogue(load(folder)) if "Records never change topic" in each.sentence}
    assert found == {RUNS, "backoffice.bank.v1"}


@pytest.mark.parametrize(
    "place", ["run/RunStarted.v2.avsc.bak", "runs/RunStarted.v2.avsc", "RunStarted.v2.avsc", "run/a/b.avsc"]
)
def test_a_file_that_nothing_reads_is_named(folder: Path, place: str) -> None:
    (folder / place).parent.mkdir(exist_ok=True)
    shutil.copy(folder / RELEASED, folder / place)
    (found,) = problems_in_catalogue(load(folder))
    assert (found.at, found.rule) == (place, "stray")


def test_the_catalogue_and_the_ids_that_are_released_have_no_slip() -> None:
    assert problems_in_catalogue(contract()) == []


#: Over the first ids, as many as stand before it. A release adds a line and changes none: who changes an id that stands
#: in messages, or lets two change places, changes this too, and is asked why.
PINNED = {43: "f0344fcaa99942dd2284476e8d1bca81e01b1ee02a697149005ddd20ddfc3108"}


@pytest.mark.parametrize("many", PINNED)
def test_an_id_that_was_released_means_the_same_for_ever(many: int) -> None:
    lines = [f"{number} {one.record}/{one.version}\n" for number, one in contract().released.items() if number <= many]
    assert (len(lines), hashlib.sha256("".join(lines).encode()).hexdigest()) == (many, PINNED[many])


#: The same for topics: a partition count, a key or a retention that changes in both files is asked why here.
PINNED_TOPICS = {6: "f103788e524ca94b3678cc3994235b36212bed7aa90faa4e3e5f05c54d4e0ba4"}


@pytest.mark.parametrize("many", PINNED_TOPICS)
def test_what_was_released_of_a_topic_stays_for_ever(many: int) -> None:
    lines = [f"{name} {astuple(one)}\n" for name, one in contract().released_topics.items()][:many]
    assert (len(lines), hashlib.sha256("".join(lines).encode()).hexdigest()) == (many, PINNED_TOPICS[many])
