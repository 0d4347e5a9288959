"""
The command as a real process: exit codes, pipes, signals, locales, rights; what a test inside Python cannot see.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from adapters.ctrl_c import unheard_by_who_is_started
from adapters.postgres.database import Database, DatabaseFull
from adapters.run_workers import WorkersStopped
from console.stopping import at_the_end_of_a_part
from tests.cli import ROOT, Cli, command_of
from tests.cli_fund import FULL, five_members, lines_of, newcomer, write_commands
from tests.patience import PATIENCE_S, eventually


@pytest.fixture
def cli(database: Database, tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "home", database_url=database.url)
    cli("init", "--on", "2025-01-02")
    return cli


def member_ids(count: int) -> list[str]:
    return [f"01941f29-7c00-7000-8000-{number:06x}000000" for number in range(1, count + 1)]


def test_help_reads_no_driver_and_so_comes_at_once() -> None:
    loaded = "import sys; sys.argv = ['backoffice', '--help']; import runpy\ntry: runpy.run_module('console', run_name='__main__')\nexcept SystemExit: pass\nprint(sorted({'psycopg', 'eventsourcing', 'rich', 'lxml', 'typst', 'kafka'} & set(sys.modules)))"
    said = subprocess.run(
        [sys.executable, "-c", loaded],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [(), ("run",), ("letters",), ("stack",)])
def test_a_command_without_a_word_shows_its_help_as_it_is(words: tuple[str, ...]) -> None:
    asked, helped = (
        subprocess.run(command_of([*words, *more]), env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                       text=True, check=False)
        for more in ([], ["--help"])
    )  # fmt: skip
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr == helped.stdout
    assert "\nCommands:\n" in asked.stderr


def test_a_file_written_by_hand_gets_its_closing_line_and_needs_no_database(tmp_path: Path) -> None:
    whole = (ROOT / "docs" / "example" / "members.jsonl").read_bytes()
    written = tmp_path / "members.jsonl"
    written.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    said = subprocess.run(
        command_of(["import", "--close", str(written)]),
        env={**os.environ, "PYTHONPATH": str(ROOT), "BACKOFFICE_HOME": str(tmp_path / "home")},
        capture_output=True,
        check=True,
    )
    assert said.stdout == whole
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("closed", "code", "said"), [(">&-", 74, "backoffice: The output is closed; nothing was done.\n"), ("2>&-", 0, "")]
)
def test_a_closed_output_is_a_reason_not_to_begin_and_a_closed_screen_is_none(
    cli: Cli, closed: str, code: int, said: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command_of(["today", "--on", "2025-01-15"])],
        env=cli.surroundings(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, said)
    assert bool(done.stdout) == (code == 0)


def test_the_same_answer_in_any_locale_zone_and_optimisation(cli: Cli, tmp_path: Path) -> None:
    cli("import", write_commands(tmp_path / "m.jsonl", five_members()), "--on", "2025-01-15")
    cli("run", "plan", "invitations", "--on", "2025-01-20")
    odd = {"LANG": "C", "LC_ALL": "C", "TZ": "America/New_York", "PYTHONOPTIMIZE": "1"}
    usual, elsewhere = (cli.process("run", "show", "invitations", **kept) for kept in ({"LANG": "C.UTF-8"}, odd))
    assert (usual.returncode, elsewhere.returncode) == (0, 0), usual.stderr + elsewhere.stderr
    assert "€ 96,00" in usual.stdout
    assert elsewhere.stdout == usual.stdout


def test_a_closed_pipe_ends_the_command_without_a_word(cli: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    said = subprocess.run(
        command_of(["ids", "--count", "10000"]),
        env=cli.surroundings(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (said.returncode, said.stderr) == (74, "")


def test_a_full_disk_on_the_output_is_said_in_one_sentence(cli: Cli) -> None:
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            command_of(["ids"]), env=cli.surroundings(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (said.returncode, said.stderr) == (
        74,
        "backoffice: The output cannot be written: no room or a failing disk.\n",
    )


def test_answers_that_find_no_room_are_said_and_given_again_with_the_same_file(cli: Cli, tmp_path: Path) -> None:
    path = write_commands(tmp_path / "m.jsonl", five_members())
    said = cli.process("import", path, "--answers", "/dev/full", "--on", "2025-01-15")
    assert said.returncode == 6
    assert said.stderr.startswith("backoffice: The answers could not be written to their end. Make room")
    cli("import", path, "--answers", "/dev/null", "--on", "2025-01-15")
    cli("import", path, "--answers", tmp_path / "answers.jsonl", "--on", "2025-01-15")
    answers = [line for line in lines_of(tmp_path / "answers.jsonl") if "command_id" in line]
    assert [(line["outcome"], line["repeated"]) for line in answers] == [("accepted", True)] * 5


def test_a_file_without_commands_is_not_said_to_have_come_before(cli: Cli, tmp_path: Path) -> None:
    said = cli("import", write_commands(tmp_path / "m.jsonl", []), "--on", "2025-01-15")
    assert said == "m.jsonl: 0 commands accepted.\n"


def test_a_journal_that_takes_half_a_line_opens_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("import", write_commands(tmp_path / "m.jsonl", five_members()), "--on", "2025-01-15")
    monkeypatch.setattr("console.journal.os.write", lambda _handle, line: len(line) - 1)
    said = cli.say("show", "member", FULL, "--reveal", "a test of the rights")
    assert (said.code, said.out) == (6, "")
    assert "The journal cannot be written" in said.err


def test_what_is_written_is_for_its_owner_only_whatever_the_umask(cli: Cli, tmp_path: Path) -> None:
    path = write_commands(tmp_path / "m.jsonl", five_members())
    words = command_of(["import", path, "--answers", tmp_path / "answers.jsonl", "--on", "2025-01-15"])
    subprocess.run(
        ["sh", "-c", 'umask 000; exec "$@"', "sh", *words], env=cli.surroundings(), check=True, capture_output=True
    )
    cli.process("import", tmp_path, "--on", "2025-01-15")
    (tmp_path / "bad.cod").write_text("0 no")
    assert cli.process("import", tmp_path / "bad.cod", "--on", "2025-01-15").returncode == 4
    cli.process("show", "member", FULL, "--reveal", "a test of the rights")
    written = [tmp_path / "answers.jsonl", *(file for file in cli.home.rglob("*") if file.is_file())]
    assert len(written) > 4
    assert {file.stat().st_mode & 0o777 for file in written} == {0o600}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_an_import_that_is_stopped_ends_after_a_part_and_goes_on_where_it_was(
    cli: Cli, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    path = write_commands(
        tmp_path / "m.jsonl", [newcomer(count, member) for count, member in enumerate(member_ids(6_000), start=1)]
    )
    with cli.start("import", path, "--on", "2025-01-15") as process:
        wait_for(cli, 1_000)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, err
    assert err.splitlines()[-1] == "backoffice: Stopped. Give the same command again: it goes on where it was."
    assert "Traceback" not in err
    found = cli.json("import", path, "--on", "2025-01-15")["files"][0]
    assert found["accepted"] + found["repeated"] == 6_000
    assert found["repeated"] % 1_000 == 0
    assert found["repeated"] >= 1_000


def wait_for(cli: Cli, answers: int) -> None:
    with Database(cli.environment["BACKOFFICE_DATABASE_URL"]) as database:

        def has_begun() -> bool:
            with database.session() as session:
                (found,) = session.execute("SELECT count(*) FROM answers").fetchone() or (0,)
            return bool(found >= answers)

        eventually(has_begun)


def test_processes_that_help_do_not_hear_ctrl_c_from_their_first_moment_on() -> None:
    asks = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with unheard_by_who_is_started():
        said = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert said.stdout == "True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_who_asks_to_stop_while_helpers_end_too_is_told_that_it_stopped() -> None:
    def asked_to_stop() -> None:
        with at_the_end_of_a_part(lambda _said: None):
            signal.raise_signal(signal.SIGINT)
            raise WorkersStopped

    with pytest.raises(KeyboardInterrupt):
        asked_to_stop()


def test_who_asks_to_stop_in_the_last_part_hears_what_was_done() -> None:
    with at_the_end_of_a_part(lambda _said: None) as check:
        check()
        signal.raise_signal(signal.SIGTERM)


def test_a_demonstration_that_is_stopped_says_that_it_begins_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("console.demo.command.demonstrate", stopped)
    said = cli.say("demo")
    assert (said.code, said.err) == (
        130,
        "backoffice: Stopped. The next demonstration begins again, with a clean database.\n",
    )


def test_two_workers_do_a_run_and_a_program_reads_the_answer(cli: Cli, tmp_path: Path) -> None:
    cli("import", write_commands(tmp_path / "m.jsonl", five_members()), "--on", "2025-01-15")
    planned = cli.json("run", "plan", "invitations", "--on", "2025-01-20")
    cli("run", "approve", "invitations", "--hash", planned["digest"], "--as", "bob")
    said = cli.process("run", "execute", "invitations", "--on", "2025-01-20", "--workers", "2", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["totals"]["done"] == 2


def test_a_full_disk_of_the_database_is_said_in_the_middle_of_reading_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise psycopg.errors.DiskFull("Peeters")

    monkeypatch.setattr("console.today.day_of", fails)
    said = cli.say("today")
    assert said.code == 6
    assert said.err.startswith("backoffice: The disk of the database is full; this step was not recorded")


def test_doctor_says_what_it_sees_when_the_disk_is_too_full_to_catch_up(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise DatabaseFull

    monkeypatch.setattr("adapters.wiring.Backoffice.catch_up", full)
    found = {each["name"]: each for each in cli.json("doctor", code=1)["checks"]}
    assert found["database"]["ok"]
    assert found["read models"]["sentence"].startswith("The disk of the database is full")


def test_a_mistake_in_the_program_gets_a_number_and_the_trace_stays_in_the_journal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("Peeters")

    monkeypatch.setattr("console.today.day_of", fails)
    said = cli.say("today")
    assert said.code == 70
    assert said.err.startswith("backoffice: This is a mistake in the program. Report it as number ")
    journal = (cli.home / "log" / "backoffice.jsonl").read_text()
    assert "console/today.py" in journal
    assert "Peeters" not in journal + said.err
