"""
Every refusal that an operator can meet, provoked: `docs/errors.md` is what this test saw. Read it in the diff.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.database import Database
from adapters.postgres.exclusive import only_one
from console.exits import MEANING
from domain.payments import Iban
from tests.cli import ROOT, Cli, settled
from tests.cli_fund import FULL, five_members, newcomer, paid, write_commands, write_statement, written_long_ago

DAY = ("--on", "2025-01-15")
NOBODY = "01941f29-7c00-7000-8000-0000ff000000"
SOMETHING = "5f0c2f58-0d3e-8a67-8f20-1b7f7a1d9f10"


class Met(NamedTuple):
    """
    One refusal: the situation in words, what was asked, what was said, and the exit code.
    """

    situation: str
    command: str
    sentence: str
    code: int


class Gallery:
    """
    Collects refusals by chapter, as they are met.
    """

    def __init__(self, cli: Cli, folder: Path) -> None:
        self.cli, self.folder = cli, folder
        self.chapters: dict[str, list[Met]] = {}
        self._chapter = ""

    def chapter(self, name: str) -> None:
        self._chapter = name
        self.chapters[name] = []

    def meets(self, code: int, situation: str, *words: object, **environment: str) -> None:
        said = self.cli.say(*words, **environment)
        assert said.code == code, f"{situation}: {said}"
        command = " ".join(["backoffice", *(self._word(word) for word in words)])
        given = " ".join(f"{name}={self._settled(value)}" for name, value in environment.items())
        sentence = self._settled(said.err or said.out)
        assert "Peeters" not in sentence
        assert "Traceback" not in sentence
        self.chapters[self._chapter].append(Met(situation, f"{given} {command}".strip(), sentence, code))

    def _word(self, word: object) -> str:
        return self._settled(word.name if isinstance(word, Path) else shlex.quote(str(word)))

    def _settled(self, text: str) -> str:
        text = settled(text.strip(), self.cli.home).replace(str(self.folder), "FOLDER")
        return re.sub(r"known=[0-9]+", "known=...", text)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return written_long_ago(path)

    def page(self) -> str:
        lines = ["# What the back office refuses", ""]
        lines += [
            "Made by the tests, which provoke each of these (`pytest --approve`). Ids and hashes are blotted out.",
            "",
        ]
        lines += ["## Exit codes", "", "| code | means |", "|---|---|"]
        lines += [f"| {code.value} | {meaning} |" for code, meaning in MEANING.items()]
        for name, met in self.chapters.items():
            lines += ["", f"## {name}"]
            for each in met:
                lines += ["", f"**{each.situation}** (exit {each.code})", "", "```text", f"$ {each.command}"]
                lines += [each.sentence, "```"]
        return "\n".join(lines) + "\n"


def test_every_refusal_is_one_sentence_with_its_exit_code(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cli = Cli(tmp_path / "home", database_url=database.url)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    gallery = Gallery(cli, inbox)
    for chapter in (words, surroundings, beginnings, files, commands, bank_files, runs, looking, worklists):
        gallery.chapter(str(chapter.__doc__).strip().rstrip("."))
        chapter(gallery, database)
    page = ROOT / "docs" / "errors.md"
    if request.config.getoption("--approve"):
        page.write_text(gallery.page(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == gallery.page()


def words(meet: Gallery, _: Database) -> None:
    """
    The words of a command.
    """
    meet.meets(2, "a command that does not exist", "improt", "members.jsonl")
    meet.meets(2, "an option that does not exist", "today", "--date", "2026-04-30")
    meet.meets(2, "an argument is missing", "run", "plan")
    meet.meets(2, "an option without its value", "today", "--on")
    meet.meets(2, "a secret as an option", "import", "--password", "geheim")
    meet.meets(2, "a day that does not exist", "today", "--on", "2026-02-30")
    meet.meets(2, "a week date", "today", "--on", "2026-W18-4")
    meet.meets(2, "a day written another way", "today", "--on", "30/04/2026")
    meet.meets(2, "a word for a day", "today", "--on", "tomorrow")
    meet.meets(2, "an id that is not a member's", "show", "member", "peeters")
    meet.meets(
        2, "an amount with a comma", "worklist", "allocate", SOMETHING, FULL, "--amount", "12,50", "--reason", "x"
    )
    meet.meets(2, "a name with blanks", "run", "list", "--as", "An Peeters")
    meet.meets(2, "no file", "import")


def surroundings(meet: Gallery, _: Database) -> None:
    """
    The environment and the database.
    """
    meet.meets(4, "a setting with a typing error", "today", BACKOFFICE_HOOM="/tmp")
    meet.meets(4, "a database without its key", "today", BACKOFFICE_MASTER_KEY_FILE="")
    nobody = "postgresql://an:geheim@127.0.0.1:9/fund"
    meet.meets(6, "a database that does not answer", "today", BACKOFFICE_DATABASE_URL=nobody)
    empty = meet.folder / "empty"
    meet.meets(6, "nothing was prepared yet", "today", BACKOFFICE_DATABASE_URL="", BACKOFFICE_HOME=str(empty))
    assert not empty.exists()
    brokers = {"BACKOFFICE_KAFKA_BROKERS": "kafka:9093", "BACKOFFICE_KAFKA_USERNAME": "relay"}
    meet.meets(4, "a login that nothing would use", "topics", "check", **brokers)
    login = {"BACKOFFICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "BACKOFFICE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}
    gone = {"BACKOFFICE_KAFKA_PASSWORD_FILE": str(meet.folder / "password")}
    meet.meets(4, "a password that is not where it should be", "topics", "check", **brokers, **login, **gone)
    in_url = {"BACKOFFICE_SCHEMA_REGISTRY_URL": "https://relay:geheim@registry"}
    meet.meets(4, "a password in the address of the registry", "today", **in_url)
    meet.meets(6, "a home that cannot be made", "init", BACKOFFICE_DATABASE_URL="", BACKOFFICE_HOME="/proc/home")


def beginnings(meet: Gallery, database: Database) -> None:
    """
    The version of the database, and the day.
    """
    changed = "UPDATE backoffice.migration SET sha256 = repeat('0', 64) WHERE number = 2"
    with psycopg.connect(database.url) as session:
        restore = session.execute("SELECT sha256 FROM backoffice.migration WHERE number = 2").fetchone()
        assert restore is not None
        session.execute(changed)
    meet.meets(6, "a migration that was edited afterwards", "today")
    with psycopg.connect(database.url) as session:
        session.execute("UPDATE backoffice.migration SET sha256 = %s WHERE number = 2", list(restore))
        session.execute(
            "INSERT INTO backoffice.migration (number, name, sha256) VALUES (9999, 'to_come', repeat('0', 64))"
        )
    meet.meets(6, "a database of a newer version", "today")
    with psycopg.connect(database.url) as session:
        session.execute("DELETE FROM backoffice.migration WHERE number = 9999")
    meet.meets(7, "prepared, but no account was opened", "today")
    meet.cli("init", "--on", "2025-01-02")
    meet.meets(3, "a day that has not come", "run", "plan", "invitations", "--on", "2199-01-15")
    meet.meets(3, "a day before the beginning", "run", "plan", "invitations", "--on", "2024-01-15")
    with only_reading(database.url):
        meet.meets(6, "a database that may only be read", "run", "plan", "invitations", *DAY)


@contextmanager
def only_reading(url: str) -> Iterator[None]:
    """
    Make a database as a standby is: every session of the block may read, and no more.
    """
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as session:
        name = sql.Identifier(session.info.dbname)
        session.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        yield
        session.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


def files(meet: Gallery, _: Database) -> None:
    """
    Files as such.
    """
    pipe, link = meet.folder / "pipe", meet.folder / "link.jsonl"
    os.mkfifo(pipe)
    link.symlink_to(meet.file("real.jsonl", "{}\n"))
    meet.meets(4, "a file that does not exist", "import", "../nothing.jsonl", *DAY)
    meet.meets(4, "a folder", "import", meet.folder, *DAY)
    meet.meets(4, "a link", "import", link, *DAY)
    meet.meets(4, "a pipe", "import", pipe, *DAY)
    meet.meets(4, "a device", "import", "/dev/zero", *DAY)
    meet.meets(4, "an empty file", "import", meet.file("empty.cod", ""), *DAY)
    meet.meets(4, "a picture", "import", meet.file("picture.png", b"\x89PNG\r\n\x1a\n and so on"), *DAY)
    meet.meets(4, "a name with a line end and an option", "import", meet.file("-rf\nevil", "?"), *DAY)


def commands(meet: Gallery, _: Database) -> None:
    """
    Files of commands.
    """
    first, *others = five_members()
    good = write_commands(meet.folder / "good.jsonl", [first, *others]).read_text()
    meet.meets(4, "no closing line", "import", meet.file("open.jsonl", good[: good.index('{"end"')]), *DAY)
    meet.meets(4, "cut in the middle of a line", "import", meet.file("cut.jsonl", good[:300]), *DAY)
    meet.meets(4, "a key twice", "import", meet.file("twice.jsonl", '{"a":1,"a":2}\n'), *DAY)
    meet.meets(4, "a fraction", "import", meet.file("fraction.jsonl", '{"amount_cents":12.5}\n'), *DAY)
    meet.meets(4, "another encoding", "import", meet.file("latin.jsonl", '{"a":"é"}\n'.encode("latin-1")), *DAY)
    meet.meets(4, "a hidden character", "import", meet.file("hidden.jsonl", '{"a":"\\u202e"}\n'), *DAY)
    for situation, change in (
        ("a field that does not exist", {"middle_name": "Peeters"}),
        ("a field of the wrong kind", {"first_name": None}),
        ("a command that does not exist", {"type": "FireMember"}),
        ("a day that does not exist", {"born_on": "1970-02-30"}),
        ("a field that is too long", {"last_name": "Peeters" * 100}),
    ):
        name = situation.replace(" ", "-")
        meet.meets(4, situation, "import", write_commands(meet.folder / f"{name}.jsonl", [{**first, **change}]), *DAY)
    missing = {name: value for name, value in first.items() if name != "born_on"}
    several = write_commands(meet.folder / "several.jsonl", [missing, others[0], {**first, "language": "en"}])
    meet.meets(4, "several lines at once", "import", several, *DAY)
    refused = [newcomer(21, NOBODY, born_on="1890-01-01"), newcomer(22, FULL, address_since="1960-01-01")]
    meet.cli("import", meet.folder / "good.jsonl", *DAY)
    found = meet.cli.say("import", write_commands(meet.folder / "no.jsonl", refused), *DAY)
    assert found.code == 8
    meet.chapters["Files of commands"].append(
        Met("commands that a rule refuses", "backoffice import no.jsonl --on 2025-01-15", found.out.strip(), 8)
    )
    with only_one(Database(meet.cli.environment["BACKOFFICE_DATABASE_URL"]), "import", actor="bob"):
        meet.meets(5, "somebody else is importing", "import", meet.folder / "good.jsonl", *DAY)


def bank_files(meet: Gallery, _: Database) -> None:
    """
    Bank files.
    """
    day, on = date(2025, 4, 1), ("--on", "2025-04-02")
    whole = write_statement(meet.folder / "whole.cod", 1, day, [paid(1, "?", 100, day)]).read_bytes()
    meet.meets(4, "cut off", "import", meet.file("half.cod", whole[:400]), *on)
    meet.meets(
        4,
        "another balance",
        "import",
        meet.file("sum.cod", whole.replace(b"0000000000000100", b"0000000000000900", 1)),
        *on,
    )
    elsewhere = write_statement(meet.folder / "theirs.cod", 1, day, [], account=Iban.from_text("BE68539007547034"))
    meet.meets(7, "an account that is not ours", "import", elsewhere, *on)
    xml = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    meet.meets(4, "XML with a DTD", "import", meet.file("dtd.xml", xml), *on)
    meet.cli("import", meet.folder / "whole.cod", *on)
    other = write_statement(meet.folder / "other.cod", 1, day, [paid(1, "?", 900, day)])
    meet.meets(3, "the same number with other content", "import", other, *on)
    gap = write_statement(meet.folder / "gap.cod", 2, date(2025, 4, 2), [], opening=5)
    meet.meets(3, "a balance that does not follow", "import", gap, *on)


def runs(meet: Gallery, database: Database) -> None:
    """
    Runs.
    """
    meet.meets(7, "a job that does not exist", "run", "plan", "refunds", *DAY)
    meet.meets(7, "a run that does not exist", "run", "show", "invitations")
    meet.meets(3, "a job before its day", "run", "plan", "deadline", "--on", "2025-04-30")
    meet.meets(3, "a job after its last day", "run", "plan", "invitations", "--on", "2025-05-01")
    meet.meets(3, "a job before the one that comes first", "run", "plan", "registered_letters", "--on", "2025-06-01")
    planned = meet.cli.json("run", "plan", "invitations", "--on", "2025-01-20")
    meet.meets(3, "planning twice", "run", "plan", "invitations", "--on", "2025-01-20")
    meet.meets(3, "executing without approval", "run", "execute", "invitations", "--on", "2025-01-20")
    meet.meets(3, "approving one's own plan", "run", "approve", "invitations", "--hash", planned["digest"])
    meet.meets(3, "a hash that does not fit", "run", "approve", "invitations", "--hash", "0" * 64, "--as", "bob")
    meet.meets(3, "settling before executing", "run", "settle", "invitations")
    meet.meets(130, "giving up without saying yes", "run", "abandon", "invitations", "--reason", "tried")
    meet.cli("run", "approve", "invitations", "--hash", planned["digest"], "--as", "bob")
    meet.meets(3, "executing after the last day", "run", "execute", "invitations", "--on", "2025-05-01")
    what = f"run {planned['run'].replace('-', '')[-24:-8]}"
    with only_one(database, what, actor="bob"):
        meet.meets(5, "somebody else is executing it", "run", "execute", "invitations", "--on", "2025-01-20")
    meet.cli("run", "execute", "invitations", "--on", "2025-01-20")
    meet.meets(3, "giving up after executing", "run", "abandon", "invitations", "--reason", "late", "--yes")
    meet.meets(3, "a file for the Agency of another job", "run", "file", "invitations")
    meet.cli("run", "settle", "invitations")
    meet.meets(3, "doing it all again", "run", "plan", "invitations", "--on", "2025-01-20")
    meet.meets(
        3,
        "registered letters before the deadline is settled",
        "run",
        "plan",
        "registered_letters",
        "--on",
        "2025-06-02",
    )


def looking(meet: Gallery, _: Database) -> None:
    """
    Looking and explaining.
    """
    meet.meets(7, "a member that does not exist", "show", "member", NOBODY)
    meet.meets(7, "explaining a member that does not exist", "explain", NOBODY, "2025")
    meet.meets(3, "personal data without a purpose", "show", "member", FULL, "--reveal", "why not")
    meet.meets(7, "a letter that does not exist", "show", "letter", SOMETHING)
    meet.meets(7, "a statement that does not exist", "show", "statement", "2025/99")
    meet.meets(7, "a read model that does not exist", "project", "rebuild", "premiums")
    meet.meets(2, "a year that cannot be", "explain", FULL, "1999")
    meet.meets(4, "proofs in another layout", "letters", "proof", meet.file("proofs.csv", "letter;day\n"), *DAY)


def worklists(meet: Gallery, _: Database) -> None:
    """
    Money without a place.
    """
    held = meet.cli.json("show", "worklist", "movements")["items"][0]["id"]
    on = ("--on", "2025-04-03")
    meet.meets(7, "a movement that does not exist", "worklist", "suggest", SOMETHING)
    meet.meets(
        3, "more than there is", "worklist", "allocate", held, FULL, "--amount", "99.00", "--reason", "all of it", *on
    )
    meet.meets(2, "a reason of one letter", "worklist", "allocate", held, FULL, "--reason", "x", *on)
    back = (
        "worklist",
        "return",
        held,
        "--returned-on",
        "2025-03-01",
        "--reference",
        "R-1",
        "--reason",
        "not ours",
        *on,
    )
    meet.meets(3, "returned before it was booked", *back)
    meet.cli("worklist", "explain", held, "--what", "other", "--reason", "a test payment", *on)
    meet.meets(3, "a place for money that has one", "worklist", "allocate", held, FULL, "--reason", "again", *on)
