"""
`backoffice test`, `bench`: what must hold before a change lands, and how fast it is.
"""

from __future__ import annotations

import sys

import click

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}


@click.command("test", context_settings=_PASS_ON)
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test_command(pytest_arguments: tuple[str, ...]) -> None:
    """
    Check everything that must hold before a change lands; with arguments, run only those tests.

    Example: ./backoffice test tests/rules -k money
    """
    from adapters.checks import check

    sys.exit(check(pytest_arguments=pytest_arguments, say=lambda line: click.echo(line, err=True)))


@click.command("bench", context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_command(arguments: tuple[str, ...]) -> None:
    """
    Measure speed and memory against the library's own path and against raw COPY, all in one run.

    Example: ./backoffice bench --json
    """
    import os
    import subprocess

    from adapters.checks import ROOT

    command = [sys.executable, "-m", "tests.bench", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
