"""
`backoffice stack`: the real parts on this machine, up and down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.asking import Asked, asks
from console.output import give, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from adapters.stack import Part, PartStatus


@click.group("stack")
def stack_command() -> None:
    """
    Start, stop and look at PostgreSQL, Kafka and the schema registry on this machine.

    Example: ./backoffice stack up
    """


@stack_command.command("up")
@asks
def stack_up(asked: Asked) -> None:
    """
    Start what does not run yet, and wait until every part answers.

    Example: ./backoffice stack up
    """
    from adapters import stack

    say("Starting the parts; the first time they are fetched, which takes a minute ...")
    folder, parts = _folder_and_parts()
    _show(asked, stack.up(folder, parts))


@stack_command.command("down")
@asks
def stack_down(asked: Asked) -> None:
    """
    Stop every part; the data stay.

    Example: ./backoffice stack down
    """
    from adapters import stack

    folder, parts = _folder_and_parts()
    _show(asked, stack.down(folder, parts))


@stack_command.command("status")
@asks
def stack_status(asked: Asked) -> None:
    """
    Say how each part is; nothing is started.

    Example: ./backoffice stack status
    """
    from adapters import stack

    folder, parts = _folder_and_parts()
    _show(asked, stack.status(folder, parts))


def _folder_and_parts() -> tuple[Path, Sequence[Part]]:
    import os

    from adapters.postgres.embedded import EmbeddedServer
    from adapters.settings import Settings
    from adapters.stack import PostgresPart, default_parts

    settings = Settings.from_environment(os.environ)
    folder = settings.home / "stack"
    postgres: list[Part] = [PostgresPart(EmbeddedServer(settings.embedded_directory))] if settings.embedded else []
    return folder, [*postgres, *default_parts(folder)]


def _show(asked: Asked, found: Sequence[PartStatus]) -> None:
    from console.answers.of_kafka import StackPart, StackShown

    parts = [
        StackPart(name=part.name, state=str(part.state), address=part.address, version=part.version, pid=part.pid)
        for part in found
    ]
    rows = [(part.name, part.state, part.version, part.address) for part in parts]
    give(StackShown(parts=parts), lambda: table(("part", "state", "version", "address"), rows), as_json=asked.as_json)
