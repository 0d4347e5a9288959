"""
What the command line promises stands in docs/, made from the program itself: the commands, and the JSON answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from jsonschema import Draft202012Validator

from adapters.postgres.looking import WORKLISTS
from console.__main__ import backoffice
from console.answers.every import ANSWERS, json_schema
from tests.cli import ROOT, schema_path

DOCS = ROOT / "docs"


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, **command.context_settings)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from commands(command, inner)


def every_command() -> list[tuple[str, click.Command, click.Context]]:
    top = click.Context(backoffice, info_name="backoffice", **backoffice.context_settings)
    return [("backoffice", backoffice, top), *commands(backoffice, top)]


def reference() -> str:
    lines = [
        "# The command line",
        "",
        "Made from the program by the tests (`pytest --approve`); exit codes: `errors.md`.",
        "",
    ]
    for path, command, context in every_command():
        context.terminal_width = 100
        command._help_option = None  # click keeps the first it made, also one made without the front door
        lines += [f"## {path}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(lines)


def held_against(path: Path, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--approve"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"docs/{path.name} was never approved; run pytest --approve and read the diff"
    assert path.read_text(encoding="utf-8") == text


def test_the_reference_is_what_help_says(request: pytest.FixtureRequest) -> None:
    held_against(DOCS / "cli.md", reference(), request)


def test_no_command_takes_a_secret_as_a_word() -> None:
    """
    What is typed stands in the list of processes, where every account reads it.
    """
    words = {word.lower() for _, command, _ in every_command() for each in command.params for word in each.opts}
    assert {"--on", "files"} <= words
    secrets = ("password", "passphrase", "secret", "token", "key", "url", "login", "credential")
    assert [word for word in sorted(words) if any(secret in word for secret in secrets)] == []


def test_every_worklist_there_is_can_be_shown() -> None:
    """
    The names are written in the command too, which must not load the database's driver to say them.
    """
    show = next(command for path, command, _ in every_command() if path == "backoffice show worklist")
    name = next(each for each in show.params if each.name == "name")
    assert isinstance(name.type, click.Choice)
    assert tuple(name.type.choices) == WORKLISTS


@pytest.mark.parametrize("name", ANSWERS)
def test_the_schema_of_an_answer_is_what_the_program_gives(name: str, request: pytest.FixtureRequest) -> None:
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"
    held_against(schema_path(name), text, request)
    assert json.loads(text)["title"].endswith(name) or name == "error"


def test_no_schema_stands_there_without_a_command() -> None:
    assert {path.name for path in (DOCS / "schemas").glob("*.json")} == {schema_path(name).name for name in ANSWERS}


@pytest.mark.parametrize(
    ("path", "command"),
    [(path, command) for path, command, _ in every_command()],
    ids=lambda each: str(each) if isinstance(each, str) else "",
)
def test_every_help_has_an_example_and_says_first_what_it_does(path: str, command: click.Command) -> None:
    help_text = command.help or ""
    assert f"Example: ./{path.split(maxsplit=1)[0]}" in help_text, path
    assert help_text.strip().split("\n")[0], path
