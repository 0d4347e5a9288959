"""
Take the figures: `python -m tests.bench [names] [--quick] [--json]`, which is what `./backoffice bench` runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tests.bench import (
    growth_figures,
    harness,
    kafka,
    model_figures,
    money_figures,
    report,
    run_figures,
    store_figures,
    year_figures,
)
from tests.bench.harness import Bench

GROUPS: Final[Mapping[str, Callable[[Bench], None]]] = {
    "append": store_figures.append,
    "load": store_figures.load,
    "sealing": store_figures.sealing,
    "projection": model_figures.projection,
    "run": run_figures.deadline,
    "coda": money_figures.coda,
    "growth": growth_figures.growth,
    "kafka": kafka.kafka,
    "memory": year_figures.memory,
    "million": year_figures.million,
}
#: On a page of its own.
PAGES: Final[Mapping[str, report.Page]] = {"kafka": report.KAFKA}
#: Takes minutes, so it is only taken when asked for by name.
ON_REQUEST: Final = frozenset({"million"})


def main(arguments: Sequence[str]) -> int:
    known = argparse.ArgumentParser(prog="./backoffice bench", description=__doc__)
    known.add_argument("names", nargs="*", metavar="name", help=f"which groups: {', '.join(GROUPS)}")
    known.add_argument("--quick", action="store_true", help="small sizes: that it runs and that results agree")
    known.add_argument("--json", action="store_true", help="each figure by name on standard output")
    known.add_argument("--seed", type=int, default=1)
    known.add_argument("--members", type=int, default=1_000_000, help="for `million`")
    known.add_argument("--write", action="store_true", help="write docs/benchmarks.md; kafka: docs/benchmarks-kafka.md")
    given = known.parse_args(arguments)
    unknown = set(given.names) - GROUPS.keys()
    if unknown:
        known.error(f"no figures are called {', '.join(sorted(unknown))}; known: {', '.join(GROUPS)}")
    machine, commit, started = harness.machine(), harness.commit(), time.monotonic()
    of_page: dict[report.Page, list[harness.Figure]] = {}
    with harness.opened(quick=given.quick, seed=given.seed, members=given.members, say=harness.to_stderr) as bench:
        for name in given.names or [name for name in GROUPS if name not in ON_REQUEST]:
            page, known_before = PAGES.get(name, report.MAIN), len(bench.figures)
            before = harness.ticks()
            GROUPS[name](bench)
            stolen = before.stolen_until(harness.ticks())
            for figure in bench.figures[known_before:]:
                figure.details.append(f"meanwhile the machine's host gave {stolen:.0%} of its processors to others")
            taken = report.Taken(
                figures=bench.figures, machine=machine, commit=commit, seed=given.seed, quick=given.quick,
                seconds=round(time.monotonic() - started),
            )  # fmt: skip
            figures = of_page[page] = of_page.get(page, []) + bench.figures[known_before:]
            if given.write and not given.quick:
                # Group by group: what was measured stays when a later one is broken off.
                report.write(msgspec.structs.replace(taken, figures=figures), page)
    print(report.as_json(taken) if given.json else report.as_text(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
