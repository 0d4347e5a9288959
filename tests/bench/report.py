"""
What was measured, as JSON, as a table for the screen, and as a page of docs/.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.bench.harness import ROOT, Figure


class Page(NamedTuple):
    """
    One page of figures, and the command that writes it.
    """

    file: Path
    title: str
    command: str

    @property
    def memory(self) -> Path:
        """
        Return where the same figures stand for the next run to keep.
        """
        return self.file.with_suffix(".json")


MAIN = Page(ROOT / "docs" / "benchmarks.md", "What it reaches", "./backoffice bench --write")
KAFKA = Page(
    ROOT / "docs" / "benchmarks-kafka.md", "What relay and consumers reach", "./backoffice bench kafka --write"
)


class Taken(msgspec.Struct, kw_only=True):
    """
    All figures of one run.
    """

    figures: list[Figure]
    machine: dict[str, Any]
    commit: str
    seed: int
    quick: bool
    seconds: int


def as_json(taken: Taken) -> str:
    plain = msgspec.to_builtins(taken)
    plain["figures"] = {
        figure.name: {**msgspec.to_builtins(figure), "reached": figure.reached} for figure in taken.figures
    }
    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()


def as_text(taken: Taken) -> str:
    if taken.quick:
        return f"{len(taken.figures)} figures run and their results agree, in {taken.seconds} s: " + ", ".join(
            figure.name for figure in taken.figures
        )
    lines = [f"{'figure':<18}{'ratio':>10}{'asked':>9}{'stretch':>9}  {'ours':>14} {'against':>14}  reached"]
    lines += [
        f"{figure.name:<18}{_ratio(figure, figure.ratio):>10}{_ratio(figure, figure.target):>9}"
        f"{_ratio(figure, figure.stretch):>9}  {figure.ours_value:>14,.0f} {figure.against_value:>14,.0f}  {figure.reached}"
        for figure in taken.figures
    ]
    return "\n".join(lines)


def _ratio(figure: Figure, value: float) -> str:
    return f"{value:.1%}" if figure.name == "sealing" else f"{value:.2f}" if value < 10 else f"{value:.0f}x"


def write(taken: Taken, page: Page) -> None:
    """
    Write the page anew: these figures, and those of earlier runs that this one did not take again.
    """
    again = {figure.name for figure in taken.figures}
    runs = [*_without(_earlier(page), again), taken]
    page.memory.write_bytes(msgspec.json.format(msgspec.json.encode(runs), indent=1) + b"\n")
    page.file.write_text(as_markdown(runs, page), encoding="utf-8")


def _earlier(page: Page) -> list[Taken]:
    return msgspec.json.decode(page.memory.read_bytes(), type=list[Taken]) if page.memory.exists() else []


def _without(runs: Iterable[Taken], again: Container[str]) -> Iterator[Taken]:
    for run in runs:
        left = [figure for figure in run.figures if figure.name not in again]
        if left:
            yield msgspec.structs.replace(run, figures=left)


def as_markdown(runs: Sequence[Taken], page: Page) -> str:
    figures = [figure for run in runs for figure in run.figures]
    lines = [
        f"# {page.title}",
        "",
        f"Written by `{page.command}`; not edited by hand. Each ratio compares sides of one run on one machine, medians of",
        "three turns, the sides taking turns, `fsync` and `synchronous_commit` on for all of them. A figure that is taken again",
        "replaces the one before; the others stay as they were.",
        "",
        *(line for run in runs for line in _where(run)),
        "| figure | ours | against | ratio | at least | stretch | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{figure.name}` {figure.what} | {figure.ours_value:,.0f} {figure.unit} | {figure.against_value:,.0f} {figure.unit} "
        f"| {_ratio(figure, figure.ratio)} | {'at most ' if figure.at_most else ''}{_ratio(figure, figure.target)} "
        f"| {_ratio(figure, figure.stretch)} | {figure.reached} |"
        for figure in figures
    ]
    for figure in figures:
        lines += ["", f"## {figure.name}", "", f"Ours: {figure.ours}. Against: {figure.against}.", ""]
        lines += [f"What limits it: {figure.limit}.", ""] if figure.limit else []
        lines += [f"- {detail}" for detail in figure.details]
        if figure.profile:
            lines += ["", "Our process under the profiler, own time:", "", "```text", *figure.profile, "```"]
    return "\n".join(lines) + "\n"


def _where(run: Taken) -> list[str]:
    machine, names = run.machine, ", ".join(f"`{figure.name}`" for figure in run.figures)
    lines = [
        (
            f"{names}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
            f"Python {machine['python']}; load {machine['load_before']} before the start. Commit {run.commit}, seed {run.seed}, "
            f"{run.seconds} seconds."
        ),
        "",
    ]
    if machine["load_before"] > machine["cores"] / 2:
        lines += ["**The machine was busy with other work: these are too low, take them again on a quiet one.**", ""]
    return lines
