"""
`import --dry-run`: the same report as the import itself, and not one row more in the database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from adapters.postgres.database import OWNER, Database
from tests.cli import Cli
from tests.cli_fund import FULL, five_members, newcomer, paid, write_commands, write_statement, written_long_ago

DAY = ("--on", "2025-01-15")


@pytest.fixture
def cli(database: Database, tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "home", database_url=database.url)
    cli("init", "--on", "2025-01-02")
    return cli


@pytest.fixture
def rows(database: Database) -> Callable[[], dict[str, Any]]:
    """
    Count the rows of every table of ours, and say how far the read models and the payment numbers are.
    """

    def count() -> dict[str, Any]:
        found: dict[str, Any] = {}
        with database.session(OWNER) as session:
            places = session.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'backoffice' OR schemaname LIKE 'rm%'"
            ).fetchall()
            for place in places:
                found[".".join(place)] = session.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*place))
                ).fetchone()
            found["positions"] = session.execute("SELECT * FROM projection_positions ORDER BY 1").fetchall()
            found["next number"] = session.execute("SELECT * FROM ogm_counter").fetchall()
        return found

    return count


def told(cli: Cli, *words: object, code: int = 0) -> Any:
    answer = cli.json("import", *words, code=code)
    answer.pop("dry_run")
    return answer


def test_a_dry_run_reports_what_the_import_then_does_and_adds_no_row(
    cli: Cli, rows: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    members = write_commands(tmp_path / "m.jsonl", [*five_members(), newcomer(6, FULL)])
    statement = write_statement(tmp_path / "1.cod", 1, date(2025, 1, 14), [paid(1, "", 6_400, date(2025, 1, 14))])
    before = rows()
    dry = told(cli, members, statement, "--dry-run", *DAY, code=8)
    assert rows() == before
    assert [(file["accepted"], file["refused"]) for file in dry["files"]] == [(5, 1), (0, 0)]
    assert told(cli, members, statement, *DAY, code=8) == dry
    assert rows() != before


def test_later_parts_of_a_file_see_what_earlier_ones_did(
    cli: Cli, rows: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    ids = [f"01941f29-7c00-7000-8000-{number:06x}000000" for number in range(1, 1_201)]
    commands = [newcomer(number, member) for number, member in enumerate(ids, start=1)]
    commands.append({"type": "RecordDeath", "command_id": "00000000-0000-4000-8000-00000000ffff", "member_id": ids[0],
                     "died_on": "2025-01-10"})  # fmt: skip
    path, before = write_commands(tmp_path / "m.jsonl", commands), rows()
    assert told(cli, path, "--dry-run", *DAY)["files"][0]["accepted"] == 1_201
    assert rows() == before


def test_money_is_matched_with_what_is_recorded_and_what_waited_is_taken_along(
    cli: Cli, rows: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    cli("import", write_commands(tmp_path / "m.jsonl", five_members()), *DAY)
    planned = cli.json("run", "plan", "invitations", "--on", "2025-01-20")
    cli("run", "approve", "invitations", "--hash", planned["digest"], "--as", "bob")
    cli("run", "execute", "invitations", "--on", "2025-01-20")
    cli("run", "settle", "invitations", "--on", "2025-01-20")
    ogm = cli.json("show", "member", FULL)["letters"][-1]["ogm"]
    first = write_statement(tmp_path / "1.cod", 1, date(2025, 4, 1), [paid(1, ogm, 6_400, date(2025, 4, 1))])
    second = write_statement(tmp_path / "2.cod", 2, date(2025, 4, 2), [], opening=6_400)
    third = write_statement(tmp_path / "3.cod", 3, date(2025, 4, 3), [], opening=6_400)
    files = (first, third, second, first)  # the third waits for the second, and is taken with it
    before = rows()
    dry = told(cli, *files, "--dry-run", "--on", "2025-04-03")
    assert rows() == before
    assert [file["state"] for file in dry["files"]] == ["taken", "waiting", "taken", "already_imported"]
    assert [each["number"] for each in dry["files"][2]["statements"]] == [2, 3]
    assert dry["files"][0]["statements"][0]["totals"]["allocated_cents"] == 6_400
    assert told(cli, *files, "--on", "2025-04-03") == dry


def test_a_bad_file_is_told_and_not_kept(cli: Cli, rows: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    bad = tmp_path / "bad.cod"
    bad.write_text("0 no")
    before = rows()
    assert "rejected" in cli.refused("import", written_long_ago(bad), "--dry-run", *DAY, code=4)
    assert rows() == before
    assert not (cli.home / "quarantine").exists()


def test_a_person_is_told_that_it_was_dry(cli: Cli, tmp_path: Path) -> None:
    said = cli("import", write_commands(tmp_path / "m.jsonl", five_members()), "--dry-run", *DAY)
    assert said.startswith("A dry run: this is what would come of it, and nothing was recorded.\nm.jsonl: 5 commands")
