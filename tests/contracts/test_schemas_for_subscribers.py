"""
What subscribers are given says what the schemas say: pages, the gap detector, and `backoffice schema`.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from console import schema_commands
from console.schema_commands import GateClosed, check, not_released, pin, register, stale_pages
from domain.zorgkas_affiliation import AFFILIATION
from formats.contract import SCHEMAS, ReleasedTopic, contract, load
from formats.published import publish
from formats.subscriber_pages import pages
from tests.builders import charged
from tests.contracts.published_samples import SOURCE, envelope

SUBSCRIBERS = SCHEMAS.parent / "docs" / "subscribers"

# --- Pages ------------------------------------------------------------------------------------------------------------


def test_the_pages_are_what_the_schemas_say() -> None:
    assert stale_pages(contract()) == {}, "run ./backoffice schema pages, and read the diff"
    assert {path.name for path in SUBSCRIBERS.iterdir()} == {
        *pages(contract()),
        "promises.md",
        "gap-detector.md",
        "examples",
    }


def test_every_record_and_field_is_on_the_page_of_its_topic() -> None:
    made = pages(contract())
    for versions in contract().records.values():
        schema = versions[-1]
        page = made[f"{schema.topic}.md"]
        assert f"## {schema.raw['name']}\n" in page
        assert all(field["doc"] in page for field in schema.raw["fields"])
    assert "How the payment found its member. For: data warehouse. |" in made["backoffice.zorgkas-affiliation.v1.md"]
    assert all(reason in made["README.md"] for reason in contract().not_published.values())


# --- The gap detector that subscribers copy ---------------------------------------------------------------------------


def headers(sequence: int, previous: int | None, *, epoch: str = "1") -> list[tuple[str, bytes]]:
    event = envelope(AFFILIATION, charged(2026, 10000), position=sequence)
    message = publish(event, source=SOURCE, epoch=epoch, previous_sequence=previous)
    assert message is not None
    return message.headers


@pytest.fixture
def detector() -> Any:
    page = (SUBSCRIBERS / "promises.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["GapDetector"]()


def test_the_gap_detector_of_the_promises_finds_what_is_missing_or_double(detector: Any) -> None:
    look = detector.look
    assert look("t", 0, headers(5, None)) == "next"
    assert look("t", 0, headers(9, 5)) == "next"  # 6, 7 and 8 are in other partitions
    assert look("t", 0, headers(9, 5)) == "duplicate"
    assert look("t", 0, headers(5, None)) == "duplicate"
    assert look("t", 0, headers(20, 14)) == "gap"
    assert look("t", 0, headers(14, 9)) == "next"
    assert look("t", 0, headers(20, 14)) == "next"
    assert look("t", 1, headers(6, None)) == "next"
    assert look("t", 2, headers(7, 3)) == "gap"  # the first one it sees says that there was one before
    assert look("t", 0, headers(30, 14, epoch="2")) == "epoch"  # 20 never happened there
    assert look("t", 0, headers(18, 14, epoch="2")) == "epoch"
    assert look("t", 0, headers(21, 20, epoch="2")) == "next"  # only the database server is another one


# --- backoffice schema ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def add_version(folder: Path, field: dict[str, Any]) -> None:
    raw = json.loads((folder / "run/RunStarted.v1.avsc").read_text())
    raw["fields"].append(field)
    (folder / "run/RunStarted.v2.avsc").write_text(json.dumps(raw, indent=2) + "\n")


WORKERS = {"name": "workers", "type": ["null", "long"], "doc": "How many. A count.", "x-data": "none", "default": None}


def test_a_new_version_is_released_by_a_deliberate_act_once(folder: Path) -> None:
    add_version(folder, WORKERS)
    before = load(folder)
    assert [schema.name for schema in not_released(before)] == ["backoffice.run.RunStarted/2"]
    highest = max(before.by_id)
    assert [schema.id for schema in pin(folder)] == [highest + 1]
    assert pin(folder) == []
    assert (folder / "released-topics.yaml").read_text() == (SCHEMAS / "released-topics.yaml").read_text()
    after = load(folder)
    assert after.by_id[highest + 1].name == "backoffice.run.RunStarted/2"
    assert not not_released(after)
    assert (folder / "ids.yaml").read_text().startswith((SCHEMAS / "ids.yaml").read_text())  # nothing before it moved
    assert sorted(stale_pages(after, SUBSCRIBERS)) == ["asyncapi.yaml", "backoffice.run.v1.md"]


def test_a_new_topic_is_pinned_with_its_first_record(folder: Path) -> None:
    topics = (folder / "topics.yaml").read_text()
    (folder / "topics.yaml").write_text(topics + topics[topics.index("  backoffice.run.v1") : topics.index("  backoffice.commands.v1")]
                                        .replace("run", "claim"))  # fmt: skip
    raw = json.loads((folder / "inbound/CommandSent.v1.avsc").read_text())
    raw["fields"].pop()
    (folder / "claim").mkdir()
    (folder / "claim/CommandNoted.v1.avsc").write_text(json.dumps({**raw, "name": "CommandNoted"}))
    assert len(pin(folder)) == 1
    pinned = load(folder).released_topics
    assert pinned["backoffice.claim.v1"] == ReleasedTopic.of(load(folder).topics["backoffice.claim.v1"])
    assert list(pinned)[:-1] == list(contract().released_topics)  # nothing before it moved


def test_what_the_gate_refuses_gets_no_id_and_is_not_registered(folder: Path) -> None:
    add_version(folder, {**WORKERS, "type": "long", "default": 0})
    with pytest.raises(GateClosed):
        pin(folder)
    assert (folder / "ids.yaml").read_text() == (SCHEMAS / "ids.yaml").read_text()
    with pytest.raises(GateClosed):
        register(load(folder), "http://127.0.0.1:9")
    problems, differences = check(load(folder), None)
    assert {problem.rule for problem in problems} == {"added"}
    assert differences == []


def test_the_command_lists_shows_and_checks() -> None:
    run = CliRunner().invoke
    listed = run(schema_commands.schema_command, ["list"])
    assert listed.exit_code == 0
    assert len(listed.output.splitlines()) == 1 + len(contract().by_id)
    shown = run(schema_commands.schema_command, ["show", "backoffice.zorgkas.ZorgpremieCharged"])
    assert json.loads(shown.output)["name"] == "ZorgpremieCharged"
    checked = run(schema_commands.schema_command, ["check"])
    assert (checked.exit_code, checked.output) == (
        0,
        f"{len(contract().by_id)} released, 0 not released yet, 0 problems.\n",
    )
    nothing = run(schema_commands.schema_command, ["show", "nothing"])
    assert (nothing.exit_code, "backoffice schema list" in nothing.output) == (7, True)
    published = run(schema_commands.schema_command, ["publish"], env={"BACKOFFICE_SCHEMA_REGISTRY_URL": ""})
    assert "nothing was registered" in published.output


def test_check_names_what_is_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_version(folder, {**WORKERS, "doc": ""})
    monkeypatch.setattr(schema_commands, "SCHEMAS", folder)
    checked = CliRunner().invoke(schema_commands.schema_command, ["check"])
    assert checked.exit_code == 1
    assert "backoffice.run.RunStarted/2 workers: Say in `doc`" in checked.output
