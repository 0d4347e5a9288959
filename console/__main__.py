"""
The `backoffice` command. Each subcommand's module is read when it is asked for, so that help comes at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Final

import click

from console.asking import Asked, with_options
from console.exits import Exit, said_in_one_sentence
from console.journal import note_defect
from console.stopping import obey_the_system

#: Where each command is written; the order is that of the help.
_COMMANDS: Final = {
    "init": "setup",
    "import": "importing",
    "today": "today",
    "run": "runs",
    "letters": "letters",
    "worklist": "worklist",
    "statements": "statements",
    "show": "show",
    "explain": "explain",
    "schedule": "schedule",
    "worker": "processes",
    "project": "project",
    "projector": "processes",
    "doctor": "doctor",
    "migrate": "setup",
    "ids": "setup",
    "stack": "stack",
    "topics": "relay_commands",
    "relay": "relay_commands",
    "status": "relay_commands",
    "consume": "consumer_commands",
    "dead-letters": "consumer_commands",
    "schema": "schema_commands",
    "demo": "demo.command",
    "test": "checking",
    "bench": "checking",
}


class FrontDoor(click.Group):
    """
    Knows its commands by name, reads their modules late, and says every refusal in one sentence.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, module in _COMMANDS.items() if find_spec(f"console.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None or find_spec(f"console.{module}") is None:
            return None
        found: click.Command = getattr(
            importlib.import_module(f"console.{module}"), f"{cmd_name.replace('-', '_')}_command"
        )
        return found

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        named["standalone_mode"] = False
        with said_in_one_sentence(as_json="--json" in words, keep_trace=note_defect):
            code = super().main(words, *rest, **named)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@with_options
@click.pass_context
def backoffice(ctx: click.Context, on: Any, as_json: bool, actor: str | None) -> None:
    """
    The back office of a Belgian health-insurance fund.

    Example: ./backoffice today --on 2026-05-04
    """
    ctx.obj = Asked(on=on, as_json=as_json, actor=actor or "")


def run() -> None:
    """
    Be the command: text in UTF-8 whatever the locale, and the system's signals end it in order.
    """
    _have_all_streams()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]  # else left
    obey_the_system()
    backoffice(prog_name="backoffice")


def _have_all_streams() -> None:
    """
    Begin with all three streams open, or a socket of the database gets the number of the closed one; without an output
    nothing is begun.
    """
    closed = sys.stdout is None
    while os.open(os.devnull, os.O_RDWR) <= 2:  # the lowest free number; past these three, all are taken
        pass
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the program
    if closed:
        click.echo("backoffice: The output is closed; nothing was done.", err=True)
        sys.exit(Exit.OUTPUT_CLOSED)


if __name__ == "__main__":
    run()
