"""
How the demonstration speaks while it works: one line a step on stderr, with what is being done in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Final

from rich.console import Console
from rich.text import Text

_MARK: Final = "✓"
_WIDTH: Final = 24


class Step:
    """
    One step; `says` becomes the end of its line.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self.sentence = ""
        self.details: list[str] = []
        self._show = show

    def at(self, done: int, of_all: int) -> None:
        """
        Show how far a long step is.
        """
        self._show(f"{done} of {of_all}")

    def says(self, sentence: str, *details: str) -> None:
        self.sentence = sentence
        self.details += details


class Teller:
    """
    Tells steps on stderr. On a terminal with colours and a spinner, else as plain lines.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet, soft_wrap=True)

    def chapter(self, title: str, remark: str = "") -> None:
        self._console.print()
        self._console.print(Text.assemble((title, "bold"), ("  " + remark if remark else "", "dim")))

    @contextmanager
    def step(self, day: date | None, title: str) -> Iterator[Step]:
        """
        Tell one step when it is done, with the seconds that it took.
        """
        began = time.monotonic()
        shown = f"{day.day:>2} {day:%B %Y}" if day else ""
        if self._console.is_terminal:
            with self._console.status(f"{shown}  {title} ...") as status:
                step = Step(lambda where: status.update(f"{shown}  {title} ... {where}"))
                yield step
        else:
            step = Step(lambda _where: None)
            yield step
        seconds = time.monotonic() - began
        line = Text.assemble(
            (f"{_MARK} ", "green"), (f"{shown:<18}", "cyan"), (f"{title:<{_WIDTH}}", "bold"), f" {step.sentence}",
            (f"  {seconds:.1f}s", "dim"),
        )  # fmt: skip
        self._console.print(line)
        for detail in step.details:
            self._console.print(Text(f"{'':20}{'':{_WIDTH}} {detail}", style="dim"))
