"""
The demonstration through the real command: it starts clean each time, agrees to the cent, and touches nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.programs import SYSTEM_PLACE
from console.demo.command import demo_command
from console.demo.end import ControlTold, Demonstrated
from formats.agency_report import read_report
from formats.bank_file import read_statements
from formats.jsonl import read_lines

PROJECT = Path(__file__).resolve().parents[2]


def demo(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BACKOFFICE_")}
    return subprocess.run(
        [sys.executable, "-m", "console", "demo", *words],
        cwd=PROJECT,
        env={**environment, "BACKOFFICE_HOME": str(home), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def throw_away(home: Path) -> None:
    """
    Remove what root's embedded database keeps outside the home, because its account may not enter a test's folder.
    """
    server = EmbeddedServer(home / "demo" / "postgres")
    place = server.status().place
    server.stop()
    if place.parent == SYSTEM_PLACE:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    A home in which somebody works already.
    """
    folder: Path = tmp_path_factory.mktemp("house") / "home"
    (folder / "letters" / "invitations-2026-01-20-1").mkdir(parents=True)
    (folder / "letters" / "invitations-2026-01-20-1" / "manifest.csv").write_text("of a real fund")
    (folder / "keys").mkdir()
    (folder / "keys" / "master.key").write_bytes(b"k" * 32)
    yield folder
    throw_away(folder)


@pytest.fixture(scope="module")
def shown(home: Path) -> dict[str, Any]:
    """
    The figures of the second demonstration in a row; what the first one left must not count.
    """
    own = contents(home)
    first = demo(home, "--members", "150", "--json")
    assert first.returncode == 0, first.stderr
    (home / "demo" / "files" / "left over").write_text("from before")
    second = demo(home, "--members", "150", "--json")
    assert second.returncode == 0, second.stderr
    mine = {path: digest for path, digest in contents(home).items() if not path.startswith(("demo/", "log/"))}
    assert mine == own
    told = json.loads(second.stdout)
    comparable = {key: value for key, value in json.loads(first.stdout).items() if key != "seconds"}
    assert {key: value for key, value in told.items() if key != "seconds"} == comparable
    return dict(told)


def test_all_control_totals_agree(shown):
    assert (shown["agrees"], shown["differences"]) == (True, [])
    assert shown["controls"] > 80


def test_plan_events_and_read_model_say_the_same_of_every_run(shown):
    asking = [run for run in shown["runs"] if run["read_model_cents"] is not None]
    assert len(shown["runs"]) == 18
    assert {run["run"].split()[0] for run in asking} == {
        "invitations", "registered_letters", "agency_report", "reminders",
    }  # fmt: skip
    assert all(run["planned_cents"] == run["events_cents"] == run["read_model_cents"] for run in asking)


def test_every_cent_of_the_statements_has_its_place(shown):
    money = dict(shown["money"])
    on_statements = money.pop("on_statements_cents")
    assert on_statements == sum(money.values())
    assert on_statements > 0


def test_the_bank_files_are_what_the_figures_say(shown, home):
    files = sorted((home / "demo" / "bank").iterdir())
    statements = [statement for path in files for statement in read_statements(path.read_bytes())]
    assert len(files) == shown["bank_files"]
    assert sum(len(statement.movements) for statement in statements) == shown["movements"]
    assert {statement.format for statement in statements} == {"CODA", "camt.053"}


def test_the_members_were_really_written_to_a_file(shown, home):
    assert len(read_lines((home / "demo" / "files" / "members.jsonl").read_bytes())) == 150
    assert not (home / "demo" / "files" / "left over").exists()


def test_every_paper_that_is_named_is_there(shown):
    papers = {what: Path(path) for what, path in shown["papers"].items()}
    assert {"an invitation", "a reminder", "the report to the Agency", "its correction"} <= papers.keys()
    assert papers["an invitation"].read_bytes().startswith(b"%PDF-1.7")
    report = read_report(papers["the report to the Agency"].read_bytes())
    assert report.totals.count == shown["years"][-1]["reported"]


def test_three_years_are_told_and_one_member_s_life(shown):
    assert [year["year"] for year in shown["years"]] == [2024, 2025, 2026]
    assert all(year["charged_cents"] >= year["paid_cents"] > 0 for year in shown["years"])
    assert any("2026" in sentence for sentence in shown["sentences"])


def test_the_database_is_stopped_at_the_end(shown, home):
    assert not EmbeddedServer(home / "demo" / "postgres").status().running


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "precious.txt").write_text("mine")
    refused = demo(tmp_path, "--members", "20")
    assert refused.returncode == 3
    assert "holds something else" in refused.stderr
    assert contents(tmp_path / "demo") == {"precious.txt": hashlib.sha256(b"mine").hexdigest()}


def test_a_link_to_a_folder_of_somebody_is_not_followed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "data")
    assert demo(tmp_path, "--members", "20").returncode == 3
    assert contents(tmp_path / "data") == {}


def test_a_difference_is_named_and_is_the_exit_code(shown, monkeypatch, tmp_path):
    """
    The figures of a real demonstration with one control total that does not agree.
    """
    differs = ControlTold(where="money", name="cents: statements = places", expected=100, actual=99)
    told = msgspec.convert({**shown, "agrees": False, "differences": [msgspec.to_builtins(differs)]}, Demonstrated)
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    monkeypatch.setattr("console.demo.command.demonstrate", lambda *_, **__: told)
    result = CliRunner().invoke(demo_command, [])
    assert result.exit_code == 1
    assert "cents: statements = places" in result.stdout


def test_a_person_sees_a_table_and_what_to_try_next(tmp_path):
    told = demo(tmp_path, "--members", "40")
    throw_away(tmp_path)
    assert told.returncode == 0, told.stderr
    for words in (
        "What happened",
        "Every cent has its place",
        "control totals agree: plan = events",
        "Look at",
        "Try next",
    ):
        assert words in told.stdout
    assert "Registered letters" in told.stderr


def test_with_a_broker_every_published_event_is_on_its_topic(tmp_path):
    told = json.loads(demo(tmp_path, "--kafka", "--members", "40", "--json").stdout)
    throw_away(tmp_path)
    assert told["agrees"]
    records = {each["topic"]: each["records"] for each in told["topics"]}
    assert set(records) == {
        "backoffice.member.v1",
        "backoffice.zorgkas-affiliation.v1",
        "backoffice.bank.v1",
        "backoffice.run.v1",
    }
    assert all(records.values())
    # E-mail addresses, accounts and the opening of the fund's account are events that nobody is told of.
    assert 0.5 * told["events"] < sum(records.values()) < told["events"]
