"""
What a person sees: stdout is the answer, stderr is progress and sentences. A pipe gets plain aligned text.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import click
import msgspec

from application import wording

Show = Callable[[], None]


def give(answer: msgspec.Struct, show: Show, *, as_json: bool) -> None:
    """
    Print the answer: as JSON, or the way `show` prints it for a person.
    """
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer, enc_hook=_plain), indent=2).decode())
    else:
        show()


def _plain(value: object) -> str:
    """
    Return a text that is more than a text, such as an account number, as the text that it is.
    """
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def out(text: str = "") -> None:
    click.echo(text)


def say(sentence: str) -> None:
    click.echo(sentence, err=True)


def heading(text: str) -> None:
    out()
    out(click.style(text, bold=True))


def euros(cents: int | None) -> str:
    """
    Write an amount; nothing for one that is not there.
    """
    return "" if cents is None else wording.euros(cents)


def count(number: int, one: str, many: str = "") -> str:
    """
    Write `1 member`, `1.200 members`.
    """
    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


def thousands(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def text_of(value: object) -> str:
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case date():
            return value.isoformat()
        case int():
            return thousands(value)
        case _:
            return str(value)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """
    Print rows in columns; those named in `right` stand to the right. On a terminal the header is set apart.
    """
    cells = [[text_of(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _on_a_terminal(headers, cells, right)
        return
    cells = [[click.unstyle(cell) for cell in row] for row in cells]
    widths = [max(len(header), *(len(row[index]) for row in cells), 0) for index, header in enumerate(headers)]
    for row in [list(headers), *cells]:
        padded = [
            cell.rjust(width) if header in right else cell.ljust(width)
            for cell, width, header in zip(row, widths, headers, strict=True)
        ]
        out("  ".join(padded).rstrip())


def _on_a_terminal(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False)
    for header in headers:
        shown.add_column(header, justify="right" if header in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text.from_ansi(cell) for cell in row))
    Console(markup=False, highlight=False, emoji=False).print(shown)


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """
    Print names and values below each other; what has no value is left out.
    """
    shown = [(name, text_of(value)) for name, value in pairs if text_of(value)]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        out(f"{name.ljust(width)}  {value}")


def wrapped(text: str, *, label: str, width: int, dim: bool = False) -> None:
    """
    Print a sentence beside a label, in lines that fit the screen (a pipe gets lines of 100).
    """
    columns = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    indent = " " * (width + len(text) - len(text.lstrip()))
    lines = textwrap.wrap(text.strip(), max(40, columns), initial_indent=indent, subsequent_indent=indent,
                          break_long_words=False, break_on_hyphens=False)  # fmt: skip
    for number, line in enumerate(lines):
        shown = f"{label.ljust(width)}{line[width:]}" if number == 0 else line
        out(click.style(shown, dim=True) if dim else shown)


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """
    Yield a function that is told how much is done of how much; a bar on stderr when that is a terminal, else nothing.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None)

        def told(done: int, of_all: int) -> None:
            shown.update(task, completed=done, total=of_all or None)

        yield told
