"""
A year at the command line, from the first member to explained money; every JSON answer fits its documented schema.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from adapters.postgres.database import Database
from tests.cli import Cli, settled
from tests.cli_fund import (
    CHOICE,
    FULL,
    PAYER,
    REDUCED,
    WALLOON,
    five_members,
    lines_of,
    newcomer,
    paid,
    write_commands,
    write_statement,
    written_long_ago,
)
from tests.golden_files import Golden


@pytest.fixture
def cli(database: Database, tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "home", database_url=database.url)
    cli("init", "--on", "2025-01-02")
    return cli


@pytest.fixture
def invited(cli: Cli, tmp_path: Path) -> Cli:
    """
    A fund that invited its members in January.
    """
    cli("import", write_commands(tmp_path / "members.jsonl", five_members()), "--on", "2025-01-15")
    do_run(cli, "invitations", "2025-01-20")
    return cli


def do_run(cli: Cli, job: str, day: str) -> None:
    planned = cli.json("run", "plan", job, "--on", day)
    if planned["needs_approval"]:
        cli.json("run", "approve", job, "--hash", planned["digest"], "--as", "bob")
    assert cli.json("run", "execute", job, "--on", day)["phase"] == "executed"
    assert cli.json("run", "settle", job, "--on", day)["agrees"]


def ogm_of(cli: Cli, member: str) -> str:
    letters = cli.json("show", "member", member)["letters"]
    return str(letters[-1]["ogm"])


def test_a_year_at_the_command_line_reads_as_a_story(invited: Cli, tmp_path: Path, golden: Golden) -> None:
    ogm, other = ogm_of(invited, FULL), ogm_of(invited, REDUCED)
    swapped = other[:8] + other[9] + other[8] + other[10:]
    movements = [
        paid(1, ogm, 6400, date(2025, 4, 30)),
        paid(2, f"premie {swapped}", 3200, date(2025, 4, 28)),
        paid(3, "bankkosten", -250, date(2025, 4, 30)),
    ]
    statement = write_statement(tmp_path / "april.cod", 1, date(2025, 4, 30), movements)
    told = [said(invited, "import", statement, "--on", "2025-05-02"), said(invited, "import", statement)]
    do_run(invited, "deadline", "2025-05-02")
    told.append(said(invited, "today", "--on", "2025-05-04"))
    told.append(said(invited, "show", "worklist", "movements"))
    held = {item["amount_cents"]: item["id"] for item in invited.json("show", "worklist", "movements")["items"]}
    told.append(said(invited, "worklist", "suggest", held[3200]))
    given = ("worklist", "allocate", held[3200], REDUCED, "--reason", "two digits swapped", "--on", "2025-05-05")
    told += [said(invited, *given), said(invited, *given)]
    costs = ("worklist", "explain", held[-250], "--what", "bank_costs", "--reason", "charges", "--on", "2025-05-05")
    told.append(said(invited, *costs))
    told.append(said(invited, "explain", REDUCED, "2025"))
    told.append(said(invited, "explain", WALLOON, "2025"))
    told.append(said(invited, "show", "member", FULL))
    told.append(said(invited, "show", "statement", "2025/1"))
    told.append(said(invited, "run", "show", "deadline"))
    told.append(said(invited, "run", "list"))
    golden("cli/year.txt", "\n".join(told).replace(swapped, "<ogm>"))


def said(cli: Cli, *words: object) -> str:
    shown = " ".join(Path(word).name if isinstance(word, Path) else str(word) for word in words)
    return settled(f"$ backoffice {shown}\n{cli(*words)}", cli.home)


def test_every_cent_of_the_bank_has_its_place_and_doctor_says_so(invited: Cli, tmp_path: Path) -> None:
    movements = [paid(1, ogm_of(invited, FULL), 9000, date(2025, 4, 1)), paid(2, "?", 111, date(2025, 4, 1))]
    invited("import", write_statement(tmp_path / "a.cod", 1, date(2025, 4, 1), movements), "--on", "2025-04-02")

    checks = {check["name"]: check for check in invited.json("doctor", code=1)["checks"]}

    assert checks["every cent"]["sentence"].startswith("91.11 on statements, 90.00 with members, 1.11")
    bad = [name for name, check in checks.items() if not check["ok"]]
    assert set(bad) <= {"fsync", "full_page_writes"}  # the tests' own server does not wait for its disk
    assert invited.json("show", "member", FULL)["credit_cents"] == 2600


def test_a_statement_before_its_turn_waits_and_today_says_for_what(invited: Cli, tmp_path: Path) -> None:
    first = write_statement(tmp_path / "1.cod", 1, date(2025, 4, 1), [paid(1, "?", 100, date(2025, 4, 1))])
    second = write_statement(
        tmp_path / "2.cod", 2, date(2025, 4, 2), [paid(1, "?", 100, date(2025, 4, 2))], opening=100
    )
    third = write_statement(tmp_path / "3.cod", 3, date(2025, 4, 3), [paid(1, "?", 100, date(2025, 4, 3))], opening=200)
    invited("import", first, "--on", "2025-04-04")

    assert invited.json("import", third, "--on", "2025-04-04")["files"][0]["state"] == "waiting"
    assert "2025/3 waits: statement 2025/2 is missing" in invited("today", "--on", "2025-04-04")
    accept = (
        "statements",
        "accept",
        "2025/3",
        "--reason",
        "the bank has no other",
        "--as",
        "ann",
        "--on",
        "2025-04-04",
    )
    assert invited.json(*accept)["gap"]["state"] == "to_approve"
    assert "waits for a second person" in invited("today", "--on", "2025-04-04")
    assert [each["number"] for each in invited.json("import", second)["files"][0]["statements"]] == [2, 3]


def test_the_answers_to_a_file_name_every_line_and_hold_nothing_personal(cli: Cli, tmp_path: Path) -> None:
    members = [*five_members(), {**five_members()[0], "command_id": "00000000-0000-4000-8000-000000000009"}]
    answers = tmp_path / "answers.jsonl"
    out = cli(
        "import", write_commands(tmp_path / "m.jsonl", members), "--answers", answers, "--on", "2025-01-15", code=8
    )

    lines = lines_of(answers)
    assert [line["outcome"] for line in lines[:-1]] == ["accepted"] * 5 + ["refused"]
    assert lines[-1]["count"] == 6
    assert answers.stat().st_mode & 0o777 == 0o600
    assert "Peeters" not in answers.read_text() + out
    assert "already imported" in cli("import", tmp_path / "m.jsonl", "--on", "2025-01-15")


def test_the_answers_to_several_files_are_in_one_file_and_what_stood_there_is_gone(cli: Cli, tmp_path: Path) -> None:
    one = write_commands(tmp_path / "1.jsonl", five_members()[:2])
    two = write_commands(tmp_path / "2.jsonl", five_members()[2:])
    answers = tmp_path / "answers.jsonl"
    answers.write_text("x" * 10_000)
    cli("import", one, two, "--answers", answers, "--on", "2025-01-15")
    assert [line["command_id"][-1] for line in lines_of(answers) if "command_id" in line] == ["1", "2", "3", "4", "5"]


def test_answers_that_cannot_be_written_are_said_before_anything_is_taken(cli: Cli, tmp_path: Path) -> None:
    path = write_commands(tmp_path / "m.jsonl", five_members())
    said = cli.refused("import", path, "--answers", tmp_path / "nowhere" / "a.jsonl", "--on", "2025-01-15", code=4)
    assert "nothing was taken" in said
    assert not (cli.home / "quarantine").exists()
    assert cli.json("import", path, "--on", "2025-01-15")["files"][0]["accepted"] == 5


def test_a_command_id_used_for_something_else_is_refused_and_the_rest_is_taken(cli: Cli, tmp_path: Path) -> None:
    first, second, *_ = five_members()
    cli("import", write_commands(tmp_path / "a.jsonl", [first]), "--on", "2025-01-15")
    other = {**first, "last_name": "Janssens"}
    found = cli.json("import", write_commands(tmp_path / "b.jsonl", [other, second]), "--on", "2025-01-15", code=8)
    assert found["files"][0]["refusals"] == {"IdReused": 1}
    assert found["files"][0]["accepted"] == 1


def test_personal_data_are_opened_only_for_a_purpose_that_the_journal_has(invited: Cli) -> None:
    assert "Peeters" not in invited("show", "member", FULL)
    assert "Peeters" in invited("show", "member", FULL, "--reveal", "caller asks about a letter")
    assert (
        invited.json("show", "member", FULL, "--reveal", "caller asks about a letter")["personal"]["last_name"]
        == "Peeters"
    )
    journal = (invited.home / "log" / "backoffice.jsonl").read_text()
    assert '"purpose":"caller asks about a letter"' in journal
    assert FULL in journal
    assert "Peeters" not in journal


def test_a_rejected_file_is_kept_sealed_with_its_reason(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"type":"RegisterMember","last_name":"Peeters"\n')
    written_long_ago(path)
    cli.json("import", path, "--on", "2025-01-15", code=4)

    kept = cli.json("show", "quarantine")["files"]
    assert [file["code"] for file in kept] == ["SCHEMA"]
    sealed = cli.home / "quarantine" / f"{kept[0]['sha256']}.sealed"
    assert b"Peeters" not in sealed.read_bytes()
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert quarantine(cli).open(kept[0]["sha256"][:12]) == path.read_bytes()


def quarantine(cli: Cli):  # type: ignore[no-untyped-def]
    from adapters.quarantine import Quarantine
    from adapters.sealing import MasterKey

    return Quarantine(cli.home / "quarantine", MasterKey.read(cli.home / "master.key"))


def test_all_that_can_be_asked_in_json_fits_its_schema(invited: Cli, tmp_path: Path) -> None:
    letter = invited.json("show", "member", FULL)["letters"][0]["letter_id"]
    invited.json("run", "show", "invitations", "--selected", "--passed-over")
    invited.json("run", "show", "invitations", "--left-out")
    invited.json("show", "run", "invitations", "--member", WALLOON)
    invited.json("run", "list")
    invited.json("show", "letter", letter)
    invited.json("letters", "list", "invitations")
    invited.json("letters", "make", "invitations", "--to", tmp_path / "letters", "--sample", "1")
    invited.json("explain", FULL, "2025")
    invited.json("today", "--on", "2025-05-04")
    invited.json("project", "status")
    invited.json("project", "run")
    assert all(each["swapped"] for each in invited.json("project", "rebuild", "all")["rebuilt"])
    assert all(each["swapped"] for each in invited.json("project", "rebuild", "members", "--workers", "2")["rebuilt"])
    invited.json("ids", "--count", "3")
    invited.json("migrate")
    assert invited.json("schedule", "--once", "--on", "2025-05-02")["did"] == []  # it waits for the bank
    deadline = invited.json("run", "plan", "deadline", "--on", "2025-05-02")
    assert deadline["warning"].startswith("bank statements up to 2025-04-30")
    assert invited.json("run", "show", "deadline")["warning"] == deadline["warning"]
    rang = invited.json("schedule", "--once", "--on", "2025-05-02")
    assert [(each["job"], each["steps"]) for each in rang["did"]] == [("deadline", ["executed", "settled"])]
    letters = ("run", "close", "registered_letters", "2025", "--because", "given_up", "--reason", "nobody to write to")
    invited.json(*letters, "--on", "2025-09-01", code=3)
    assert invited.json(*letters, "--on", "2025-09-02")["because"] == "given_up"
    planned = invited.json("run", "plan", "reminders", "--on", "2025-11-16")
    invited.json("run", "abandon", planned["run"][:12], "--reason", "tried out", "--yes")
    invited.json("run", "execute", "reminders", "--on", "2025-11-16", code=3)


def test_who_is_left_out_of_a_run_is_told_where_it_is_settled_and_today_and_can_be_asked_again(
    cli: Cli, tmp_path: Path
) -> None:
    day = ("--on", "2025-01-20")
    cli("import", write_commands(tmp_path / "members.jsonl", five_members()), "--on", "2025-01-15")
    planned = cli.json("run", "plan", "invitations", *day)
    died = {"type": "RecordDeath", "command_id": "00000000-0000-4000-8000-000000000099", "member_id": FULL}
    cli("import", write_commands(tmp_path / "died.jsonl", [{**died, "died_on": "2025-01-02"}]), *day)
    cli("run", "approve", "invitations", "--hash", planned["digest"], "--as", "bob")
    assert "refused  the member died" in cli("run", "execute", "invitations", *day, code=8)

    told = cli("run", "settle", "invitations", *day)
    assert "1 item left out, each with its reason: backoffice run show" in told
    assert told.endswith("this then looks at them again: backoffice run plan invitations\n")
    assert f"1 left out: backoffice run show {planned['run'][:8]} --left-out" in cli("today", *day)

    later = cli.json("run", "plan", "invitations", "--on", "2025-01-21")
    cli("run", "abandon", "invitations", "--reason", "another day", "--yes")
    again = cli.json("run", "plan", "invitations", *day)
    assert (again["round"], cli.json("run", "show", "invitations")["run"]["run"]) == (2, again["run"])
    assert again["run"] != later["run"]


def test_who_asks_to_join_gets_an_invitation_that_stands_in_no_run(invited: Cli, tmp_path: Path) -> None:
    asks = {"type": "AskToJoin", "command_id": "00000000-0000-4000-8000-000000000099", "member_id": CHOICE}
    command = write_commands(tmp_path / "join.jsonl", [{**asks, "from_year": 2025}])
    invited("import", command, "--on", "2025-02-10")
    (letter,) = invited.json("show", "member", CHOICE)["letters"]
    assert (letter["kind"], letter["run"]) == ("invitation", None)

    made = invited.json("letters", "single", letter["letter_id"])
    again = invited.json("letters", "single", letter["letter_id"], "--to", tmp_path / "again")

    pdf = Path(made["path"])
    assert pdf.read_bytes().startswith(b"%PDF-1.7")
    assert pdf.stat().st_mode & 0o777 == 0o600
    assert Path(again["path"]).read_bytes() == pdf.read_bytes()
    assert invited.json("letters", "single", CHOICE, code=7)["error"]["code"] == "NoSuchLetter"


def test_of_two_who_are_as_likely_none_is_put_in_the_command_to_copy(cli: Cli, tmp_path: Path) -> None:
    two = [newcomer(number, member, iban=PAYER) for number, member in enumerate((FULL, CHOICE), start=1)]
    cli("import", write_commands(tmp_path / "members.jsonl", two), "--on", "2025-01-15")
    do_run(cli, "invitations", "2025-01-20")
    movement = paid(1, "zorgpremie", 6400, date(2025, 4, 1), iban=PAYER)
    cli("import", write_statement(tmp_path / "a.cod", 1, date(2025, 4, 1), [movement]), "--on", "2025-04-02")
    (held,) = cli.json("show", "worklist", "movements")["items"]

    told = cli("worklist", "suggest", held["id"])

    assert (
        f"Several are as likely; to allocate it to one of them:\n  backoffice worklist allocate {held['id']} MEMBER"
        in told
    )


def test_a_reminder_shows_the_day_that_its_letter_names(invited: Cli) -> None:
    do_run(invited, "deadline", "2025-05-02")
    do_run(invited, "reminders", "2025-11-16")
    (reminder,) = [each for each in invited.json("show", "member", FULL)["letters"] if each["kind"] == "reminder"]
    shown = invited.json("show", "letter", reminder["letter_id"])["letter"]
    assert (shown["issued_on"], shown["pay_by"]) == ("2025-11-16", "2025-11-30")


def test_a_posted_letter_is_proved_by_the_file_of_the_post(invited: Cli, tmp_path: Path) -> None:
    letter = invited.json("show", "member", FULL)["letters"][0]["letter_id"]
    unknown = "5f0c2f58-0d3e-8a67-8f20-1b7f7a1d9f10"
    lines = [f"{each},2025-06-02,010{'1' * 27}" for each in (letter, unknown)]
    proof = tmp_path / "post.csv"
    proof.write_text("\n".join(["letter_id,posted_on,barcode", *lines]) + "\n")

    found = invited.json("letters", "proof", proof, "--on", "2025-06-03", code=8)

    assert found["accepted"] == 0  # an invitation is no registered letter
    assert [each["line"] for each in found["refused"]] == [2, 3]


def test_suggestions_know_an_account_and_an_amount(invited: Cli, tmp_path: Path) -> None:
    movements = [paid(1, "geen idee", 5000, date(2025, 4, 1), iban=PAYER), paid(2, "niets", 3200, date(2025, 4, 1))]
    invited("import", write_statement(tmp_path / "a.cod", 1, date(2025, 4, 1), movements), "--on", "2025-04-02")
    held = {item["amount_cents"]: item["id"] for item in invited.json("show", "worklist", "movements")["items"]}

    by_account = invited.json("worklist", "suggest", held[5000])["suggestions"]
    by_amount = invited.json("worklist", "suggest", held[3200])["suggestions"]

    assert [(each["member"], each["why"]) for each in by_account] == [(FULL, ["the account is known for this member"])]
    assert [(each["member"], each["why"]) for each in by_amount] == [(REDUCED, ["the amount is exactly what is open"])]
