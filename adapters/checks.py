"""
What must hold before a change lands: format, lint, types, import contracts and tests, each by its own tool.

`./backoffice test` and `.ci/run` come through here, so a machine that builds and a person who writes see the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_BESIDE_PYTHON = Path(sys.executable).parent


class Step(NamedTuple):
    """
    One tool with its arguments; `title` is what a reader of the build log sees.
    """

    title: str
    command: tuple[str, ...]


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


#: The quick ones first; pytest last, so that its closing line closes the log.
LINTERS: tuple[Step, ...] = (
    Step("lint", _module("ruff", "check", "--quiet", ".")),
    Step("format", _module("ruff", "format", "--check", "--quiet", ".")),
    Step("types", _module("mypy")),
    Step("import contracts", (str(_BESIDE_PYTHON / "lint-imports"), "--no-cache")),
)
#: A process per processor, each with servers of its own; the tests of a file stay together, in the order of collection.
SIDE_BY_SIDE: tuple[str, ...] = (
    "--numprocesses=logical", "--maxprocesses=4", "--dist=loadfile", "--no-loadscope-reorder", "--durations=15",
)  # fmt: skip


def check(*, pytest_arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """
    Run every step, also after one that failed, and return 0 only when all passed. `say` gets one line per step.

    With arguments for pytest only those tests run: that is how one works, not how a change lands.
    """
    tests = Step("tests", _module("pytest", *(pytest_arguments or SIDE_BY_SIDE)))
    steps = (tests,) if pytest_arguments else (*LINTERS, tests)
    failed = [step.title for step in steps if not _passes(step, say)]
    if failed:
        say(f"Not passed: {', '.join(failed)}.")
    return 1 if failed else 0


def _passes(step: Step, say: Callable[[str], None]) -> bool:
    say(f"== {step.title}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": os.environ.get("COLUMNS", "120")}
    return subprocess.run(step.command, cwd=ROOT, env=environment, check=False).returncode == 0
