"""
The house rules hold in the whole tree, and each bites when it is broken on purpose.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from tests.house import house_rules as rules
from tests.house.house_rules import ROOT, Rule, problems_of, python_files, text_files

PYTHON_RULES: list[Rule] = [
    rules.no_float_near_money,
    rules.one_file_reads_the_clock,
    rules.no_today_in_tests,
    rules.tests_wait_with_patience,
    rules.an_exception_has_its_reason,
    rules.only_the_console_prints,
    rules.functions_and_files_are_short,
    rules.every_module_says_what_it_is,
    rules.public_words_are_explained,
]
TEXT_RULES: list[Rule] = [
    rules.no_banned_words,
    rules.no_paths_of_a_machine,
    rules.one_title,
    rules.documents_that_are_named_exist,
]


@pytest.mark.parametrize("rule", PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_house_rule(rule: Rule) -> None:
    assert problems_of(rule, python_files()) == []


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_code_and_papers_keep_the_house_rule(rule: Rule) -> None:
    assert problems_of(rule, text_files()) == []


def given_twice(codes: list[str]) -> list[str]:
    return sorted({code for code in codes if codes.count(code) > 1})


def test_every_error_has_a_code_of_its_own() -> None:
    """
    Programs go by the code: two errors with one code would have two remedies for it.
    """
    ours = [path for path in python_files() if ROOT / "tests" not in path.parents]
    codes = rules.codes_of_errors(path.read_text(encoding="utf-8") for path in ours)
    assert "NoSuchLetter" in codes
    assert given_twice(codes) == []


def test_two_errors_with_one_code_are_seen_also_through_a_kind_of_their_own() -> None:
    one = "class Unknown(NotFound): ...\nclass NotFound(BackofficeError): ...\n"
    other = "class Strange(errors.NotFound):\n    code = 'Unknown'\nclass Unknown: ...\n"
    assert given_twice(rules.codes_of_errors([one, other])) == ["Unknown"]


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 40
SKIPPED = "@pytest." + "mark." + "skip"


@pytest.mark.parametrize(
    ("rule", "path", "planted"),
    [
        (rules.no_float_near_money, "domain/a.py", "share = 0.5\n"),
        (rules.no_float_near_money, "domain/a.py", "share = amount / 2\n"),
        (rules.no_float_near_money, "application/a.py", "amount /= 2\n"),
        (rules.no_float_near_money, "projections/a.py", "share = round(amount, 2)\n"),
        (rules.no_float_near_money, "domain/a.py", "share = float(amount)\n"),
        (rules.one_file_reads_the_clock, "domain/a.py", "from datetime import date\nday = date.today()\n"),
        (rules.one_file_reads_the_clock, "adapters/a.py", "import datetime\nnow = datetime.datetime.now(tz)\n"),
        (rules.one_file_reads_the_clock, "console/a.py", "import time\nnow = time.time()\n"),
        (rules.one_file_reads_the_clock, "domain/a.py", "import uuid\nid = uuid.uuid4()\n"),
        (rules.one_file_reads_the_clock, "application/a.py", "from uuid import uuid4\nid = uuid4()\n"),
        (rules.no_today_in_tests, "tests/a.py", "day = date.today()\n"),
        (rules.tests_wait_with_patience, "tests/a.py", "eventually(done, within_s=60)\n"),
        (rules.tests_wait_with_patience, "tests/a.py", "process.communicate(timeout=30)\n"),
        (rules.tests_wait_with_patience, "tests/a.py", "thread.join(20)\n"),
        (rules.an_exception_has_its_reason, "adapters/a.py", "x = y  # type: " + "ignore[misc]\n"),
        (rules.an_exception_has_its_reason, "adapters/a.py", "x = y  # no" + "qa: S608\n"),
        (rules.only_the_console_prints, "adapters/a.py", "print('here')\n"),
        (rules.functions_and_files_are_short, "domain/a.py", LONG_FUNCTION),
        (rules.functions_and_files_are_short, "adapters/a.py", "def f():\n" + "    x = 1\n" * 70),
        (rules.functions_and_files_are_short, "adapters/a.py", "x = 1\n" * 401),
        (rules.every_module_says_what_it_is, "domain/a.py", "x = 1\n"),
        (rules.public_words_are_explained, "domain/a.py", "class Refund:\n    amount: int\n"),
        (rules.no_banned_words, "domain/a.py", "# " + "TO" + "DO later\n"),
        (rules.no_banned_words, "tests/a.py", SKIPPED + "\ndef test_x(): ...\n"),
        (rules.no_paths_of_a_machine, "adapters/a.py", 'FILE = "/home/' + 'an/keys"\n'),
        (rules.no_paths_of_a_machine, "docs/a.md", "Look in `/wo" + "rk/main`.\n"),
        (rules.one_title, "docs/a.md", "# One\n\n# Two\n"),
        (rules.one_title, "docs/a.md", "No title\n"),
        (rules.one_title, "docs/a.md", "```sh\n# a remark\n```\n"),
        (rules.documents_that_are_named_exist, "domain/a.py", "# see docs/decisions/" + "9999\n"),
        (rules.documents_that_are_named_exist, "README.md", "See docs/no" + "where.md.\n"),
    ],
)
def test_a_house_rule_bites(rule: Rule, path: str, planted: str) -> None:
    assert len(list(rule(PurePosixPath(path), planted))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "allowed"),
    [
        (rules.no_float_near_money, "adapters/a.py", "wait_s = 0.5\n"),
        (rules.no_float_near_money, "domain/a.py", "share, rest = divmod(amount, 2)\nhalf = amount // 2\n"),
        (rules.one_file_reads_the_clock, "adapters/clock.py", "now = datetime.now(UTC)\n"),
        (rules.one_file_reads_the_clock, "adapters/a.py", "import time\nuntil = time.monotonic() + 5\n"),
        (rules.tests_wait_with_patience, "tests/a.py", "thread.join(PATIENCE_S)\n', '.join(names)\n"),
        (rules.tests_wait_with_patience, "adapters/a.py", "process.communicate(timeout=30)\n"),
        (rules.an_exception_has_its_reason, "adapters/a.py", "x = y  # no" + "qa: S608  # from the table above\n"),
        (rules.only_the_console_prints, "console/a.py", "print('here')\n"),
        (rules.functions_and_files_are_short, "adapters/a.py", LONG_FUNCTION),
        (rules.functions_and_files_are_short, "domain/a.py", 'def f():\n    """\n' + "    Say.\n" * 40 + '    """\n    x = 1\n'),
        (rules.one_title, "docs/a.md", "# One\n\n```sh\n# a remark\n```\n"),
        (rules.every_module_says_what_it_is, "tests/__init__.py", ""),
    ],
)  # fmt: skip
def test_a_house_rule_lets_be_what_is_right(rule: Rule, path: str, allowed: str) -> None:
    assert list(rule(PurePosixPath(path), allowed)) == []


@pytest.mark.parametrize(
    ("subject", "wrong"),
    [
        ("The registered letter names every year that is owed", ""),
        ("psutil is asked for, not only brought along", ""),
        ("2027 has its own amounts, compared with the order's new text", ""),
        ("feat: letters for everyone who is late", "no tag before the sentence"),
        ("fix(bank)!: statements are read once more", "no tag before the sentence"),
        ("[WIP] statements are read once more", "no tag before the sentence"),
        ("the letter names every year", "a sentence begins with a capital"),
        ("The letter names every year.", "no point at the end"),
        ("Fix typo", "say what changed, for whom"),
        ("The letter " + "very " * 40 + "long", "at most 150 characters"),
    ],
)
def test_the_subject_of_a_commit_is_a_plain_sentence(subject: str, wrong: str) -> None:
    assert rules.what_is_wrong_with_the_subject(subject) == wrong


def test_the_subjects_of_this_history_are_plain_sentences() -> None:
    """
    Outside a clone, such as in an unpacked archive, there is no history to read.
    """
    log = subprocess.run(
        ["git", "log", "--no-merges", "--format=%s", "-200"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    subjects = log.stdout.splitlines() if log.returncode == 0 else []
    assert [
        f"{subject}: {wrong}" for subject in subjects if (wrong := rules.what_is_wrong_with_the_subject(subject))
    ] == []


def never_to_be_tracked(listing: str) -> list[str]:
    """
    Read lines of `git ls-files -s`; return links, and the environment's own folders: a clone would get a dead end.
    """
    entries = (line.partition("\t") for line in listing.splitlines())
    return [
        path for mode, _, path in entries if mode.startswith("120000") or path.split("/")[0] in {".venv", "var", "venv"}
    ]


def test_a_clone_brings_no_environment_of_another_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert never_to_be_tracked(listed.stdout) == []


@pytest.mark.parametrize(
    "line", ["120000 a229513 0\t.venv", "100644 a229513 0\tvar/key", "120000 a229513 0\tdocs/link"]
)
def test_an_environment_or_a_link_in_the_tree_is_seen(line: str) -> None:
    assert never_to_be_tracked(f"100644 a229513 0\tREADME.md\n{line}\n") == [line.partition("\t")[2]]


def misnumbered(names: list[str]) -> list[str]:
    """
    A decision has four digits of its own before its name; a number is never used again.
    """
    numbers = [name[:4] for name in names]
    return [name for name in names if not re.fullmatch(r"[0-9]{4}-[a-z0-9-]+\.md", name) or numbers.count(name[:4]) > 1]


def test_every_decision_has_a_number_of_its_own() -> None:
    assert misnumbered([path.name for path in (ROOT / "docs" / "decisions").glob("*")]) == []


@pytest.mark.parametrize("names", [["0001-layout.md", "0001-law.md"], ["layout.md"], ["12-law.md"], ["0001-Law.txt"]])
def test_a_decision_without_a_number_of_its_own_is_seen(names: list[str]) -> None:
    assert misnumbered(names) == names


def test_types_are_checked_strictly_in_every_part_of_the_house() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert checked["strict"]
    assert sorted([*checked["files"], "tests"]) == sorted(rules.TOP)


def test_the_build_is_the_same_command_as_a_persons() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert "./backoffice test" in (ROOT / ".ci" / "run").read_text()
    assert Path(ROOT / "backoffice").stat().st_mode & 0o111
