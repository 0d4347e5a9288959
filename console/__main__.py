"""
The `backoffice` command.
"""

from __future__ import annotations

import sys

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def backoffice() -> None:
    """
    The back office of a Belgian health-insurance fund.
    """


@backoffice.command(context_settings={"ignore_unknown_options": True})
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(pytest_arguments: tuple[str, ...]) -> None:
    """
    Check everything that must hold before a change lands; with arguments, run only those tests.

    Example: ./backoffice test tests/rules -k money
    """
    from adapters.checks import check

    sys.exit(check(pytest_arguments=pytest_arguments, say=lambda line: click.echo(line, err=True)))


if __name__ == "__main__":
    backoffice(prog_name="backoffice")
