"""
The import contracts of pyproject.toml: each is broken here on purpose, in a small copy of the house, to see it bite.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.checks import LINTERS
from tests.house.house_rules import ROOT


def contracts_broken_by(tmp_path: Path, module: str, line: str) -> str:
    """
    Copy the names of our modules without their content, plant one import, and return what import-linter says.
    """
    for path in ROOT.glob("*/**/*.py"):
        relative = path.relative_to(ROOT)
        if relative.parts[0] in {
            "domain",
            "application",
            "projections",
            "formats",
            "consumers",
            "schedulers",
            "console",
            "adapters",
        }:
            (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / relative).touch()
    (tmp_path / module).write_text(line + "\n")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = next(step.command for step in LINTERS if step.title == "import contracts")
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": str(Path(sys.executable).parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is ("BROKEN" not in done.stdout), done.stdout + done.stderr
    return "\n".join(line for line in done.stdout.splitlines() if line.endswith("BROKEN"))


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("domain/money.py", "import application.ports", "arrows point down only"),
        ("application/ports.py", "import adapters.checks", "arrows point down only"),
        ("consumers/__init__.py", "import schedulers", "arrows point down only"),
        ("schedulers/__init__.py", "import console", "arrows point down only"),
        ("domain/money.py", "import domain.run", "know each other"),
        ("domain/run.py", "import domain.member", "know each other"),
        ("domain/dates.py", "import yaml", "no clock library"),
        ("application/ports.py", "import psycopg", "never drivers"),
        ("projections/__init__.py", "import kafka", "know no driver"),
    ],
)
def test_an_arrow_that_points_up_is_refused(tmp_path: Path, module: str, line: str, contract: str) -> None:
    assert contract in contracts_broken_by(tmp_path, module, line)


def test_the_copy_without_a_planted_import_keeps_all_contracts(tmp_path: Path) -> None:
    assert contracts_broken_by(tmp_path, "domain/money.py", "") == ""
