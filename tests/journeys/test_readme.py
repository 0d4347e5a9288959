"""
The README's session, run as it stands in a home of its own; `pytest --approve` writes what it said into the README.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adapters.postgres.embedded import EmbeddedServer
from tests.cli import ROOT, Cli, settled

README = ROOT / "README.md"
_SESSION = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_HASH = re.compile(r"(?<=--hash )[0-9a-f]{16}")
_LINKS = re.compile(r"\]\(([^)#:]+)\)")


def commands_of(session: str) -> list[str]:
    return [line.removeprefix("$ ") for line in session.splitlines() if line.startswith("$ ")]


def run_as_written(session: str, home: Path) -> str:
    """
    Run the commands one after the other and return the session as it went; a plan's own hash is the one approved.
    """
    cli = Cli(home)
    lines: list[str] = []
    for written in commands_of(session):
        planned = _HASH.search("\n".join(lines[-3:]))
        command = _HASH.sub(planned[0], written) if planned else written
        program, *words = shlex.split(command)
        assert program == "./backoffice"
        files = [str(ROOT / word) if word.startswith("docs/") else word for word in words]
        said = cli.process(*files)
        assert said.returncode == 0, f"{command}: {said.stderr}"
        lines += [f"$ {command}", *said.stdout.rstrip("\n").split("\n"), ""]
    return "\n".join(lines[:-1]) + "\n"


def test_the_session_runs_as_it_stands(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = tmp_path / "home"
    text = README.read_text(encoding="utf-8")
    found = _SESSION.search(text)
    assert found is not None
    try:
        session = run_as_written(found[0], home)
    finally:
        EmbeddedServer(home / "postgres").stop()
    shown = session.replace(str(home), "var")
    if request.config.getoption("--approve"):
        text = text[: found.start()] + shown + text[found.end() :]
        README.write_text(text, encoding="utf-8")
        found = _SESSION.search(text)
        assert found is not None
    assert comparable(shown) == comparable(found[0])


def comparable(session: str) -> str:
    """
    Return a session without what may be other every time: ids, hashes, moments, who runs it.
    """
    text = settled(session, Path("var"))
    return re.sub(r"UTC by [\w.@-]+", "...", text)


def test_every_link_leads_somewhere() -> None:
    targets = _LINKS.findall(README.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
