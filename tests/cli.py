"""
The command line in tests: in this process for most, as a real process where signals, pipes and rights matter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from click.testing import CliRunner
from jsonschema import Draft202012Validator
from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "docs" / "schemas"


class Said(NamedTuple):
    """
    What a command answered.
    """

    code: int
    out: str
    err: str


class Cli:
    """
    The `backoffice` command on one database and one home. `json` also holds the answer against its documented schema.
    """

    #: What processes are started with.
    python: Sequence[str] = (sys.executable,)

    def __init__(self, home: Path, *, database_url: str = "", actor: str = "an") -> None:
        self.home = home
        key = home / "master.key"
        if database_url and not key.exists():
            home.mkdir(parents=True, exist_ok=True)
            handle = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(handle, b"5e" * 32 + b"\n")
            os.close(handle)
        self.environment = {
            "BACKOFFICE_HOME": str(home),
            "BACKOFFICE_ACTOR": actor,
            **(
                {"BACKOFFICE_DATABASE_URL": as_url(database_url), "BACKOFFICE_MASTER_KEY_FILE": str(key)}
                if database_url
                else {}
            ),
        }

    def say(self, *words: object, **environment: str) -> Said:
        from console.__main__ import backoffice

        before = os.umask(0o022)
        try:
            result = CliRunner().invoke(
                backoffice,
                [str(word) for word in words],
                prog_name="backoffice",
                env={**self.environment, **environment},
            )
        finally:
            os.umask(before)
        return Said(result.exit_code, result.stdout, result.stderr)

    def __call__(self, *words: object, code: int = 0) -> str:
        said = self.say(*words)
        assert said.code == code, f"{words} gave {said}"
        return said.out

    def refused(self, *words: object, code: int) -> str:
        said = self.say(*words)
        assert said.code == code, f"{words} gave {said}"
        return said.err

    def json(self, *words: object, code: int = 0) -> Any:
        answer = json.loads(self(*words, "--json", code=code))
        command = [str(word) for word in words if not str(word).startswith("-")]
        name = "error" if "error" in answer else next(
            name for name in (" ".join(command[:2]), command[0]) if schema_path(name).exists()
        )  # fmt: skip
        validator = Draft202012Validator(json.loads(schema_path(name).read_text(encoding="utf-8")))
        problems = [error.message for error in validator.iter_errors(answer)]
        assert problems == [], f"{name}: {problems}"
        return answer

    def process(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_of(words, self.python),
            env=self.surroundings(**environment),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )

    def start(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command_of(words, self.python), env=self.surroundings(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd="/", start_new_session=True,
        )  # fmt: skip

    def surroundings(self, **environment: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), **self.environment, **environment}


def as_url(conninfo: str) -> str:
    """
    Write a connection string the way people give it.
    """
    known = conninfo_to_dict(conninfo)
    login = ":".join(quote(str(known[name]), safe="") for name in ("user", "password") if known.get(name))
    rest = {name: known[name] for name in ("host", "port") if known.get(name)}
    return f"postgresql://{login}@/{known['dbname']}?{urlencode(rest)}"


def command_of(words: Sequence[object], python: Sequence[str] = (sys.executable,)) -> list[str]:
    return [*python, "-m", "console", *(str(word) for word in words)]


def schema_path(command: str) -> Path:
    return SCHEMAS / f"{command.replace(' ', '-')}.json"


_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_HASH = re.compile(r"\b[0-9a-f]{64}\b|(?<=--hash )[0-9a-f]{12,16}\b|(?<=as number )[0-9a-f]{8}")
_MOMENT = re.compile(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9.]+)?")


def settled(text: str, home: Path) -> str:
    """
    Return an answer with what is other every time (ids, hashes, moments, the home) blotted out, in the same width.
    """
    for pattern in (_MOMENT, _ID, _HASH):
        text = pattern.sub(lambda found: re.sub(r"[0-9a-f]", "x", found[0]), text)
    return text.replace(str(home), "HOME")
