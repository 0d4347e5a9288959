"""
How figures are taken: one durable server, fresh databases, sides that take turns, medians of three.

A side measures itself with a `Stopwatch`, so that what it prepares is not counted. A checkpoint before each turn gives
every side the same start. What is compared is compared in one run; figures of two runs are not.
"""

from __future__ import annotations

import cProfile
import gc
import os
import platform
import pstats
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.garbage import rare_collections
from adapters.postgres.database import Database
from adapters.postgres.embedded import EmbeddedServer
from adapters.postgres.migrate import migrate
from adapters.postgres.roles import close_to_public
from tests.servers import SessionFolder

ROOT = Path(__file__).parents[2]


class Took(NamedTuple):
    """
    One turn of one side: how many items in how many seconds; `client` and `server` are seconds of processor time.
    """

    items: int
    seconds: float
    client: float
    server: float

    @property
    def rate(self) -> float:
        return self.items / self.seconds


class Figure(msgspec.Struct, kw_only=True):
    """
    One measured figure. `ratio` is what the target is about; `at_most` when less is better.

    `limit` says in words what limits our side; `profile` are the functions in which it spent its own time.
    """

    name: str
    what: str
    unit: str
    ours: str
    against: str
    ours_value: float
    against_value: float
    ratio: float
    target: float
    stretch: float
    at_most: bool = False
    limit: str = ""
    details: list[str] = msgspec.field(default_factory=list)
    profile: list[str] = msgspec.field(default_factory=list)

    @property
    def reached(self) -> str:
        better = (lambda goal: self.ratio <= goal) if self.at_most else (lambda goal: self.ratio >= goal)
        return "stretch" if better(self.stretch) else "target" if better(self.target) else "missed"


class Disagreement(AssertionError):
    """
    Two sides that must give the same result did not: the measurement is worth nothing.
    """


@dataclass
class Stopwatch:
    """
    Measures the blocks under `timed()`, processor time of this process and of the server's along.
    """

    bench: Bench
    seconds: float = 0.0
    client: float = 0.0
    server: float = 0.0
    laps: dict[str, float] = field(default_factory=dict)
    _lapped: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        gc.collect()
        server, client, start = self.bench.server_seconds(), time.process_time(), time.perf_counter()
        self._lapped = start
        try:
            with rare_collections():  # as the program runs, and for all sides
                yield
        finally:
            self.seconds += time.perf_counter() - start
            self.client += time.process_time() - client
            self.server += self.bench.server_seconds() - server

    def lap(self, name: str) -> None:
        """
        Note how long it took since the last lap, or since the block began.
        """
        now = time.perf_counter()
        self.laps[name], self._lapped = self.laps.get(name, 0.0) + now - self._lapped, now

    def took(self, items: int) -> Took:
        return Took(items, self.seconds, self.client, self.server)


Side = Callable[[Stopwatch], int]


@dataclass
class Bench:
    """
    One session of measurements. `quick` measures little and proves nothing but that it runs and that results agree.
    """

    server: EmbeddedServer
    folder: Path
    quick: bool
    seed: int
    members: int
    say: Callable[[str], None]
    rounds: int = 3
    figures: list[Figure] = field(default_factory=list)
    _template: str = ""

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    # --- Databases ---------------------------------------------------------------------------------------------------

    @property
    def template(self) -> str:
        if not self._template:
            name = f"bench_{secrets.token_hex(4)}"
            self.admin(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            with Database(self.url(name)) as database:
                migrate(database)
            self._template = name
        return self._template

    def url(self, name: str) -> str:
        return make_conninfo(self.server.url, dbname=name)

    def make_database(self, like: str) -> str:
        name = f"bench_{secrets.token_hex(4)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self.admin(statement.format(sql.Identifier(name), sql.Identifier(like)))
        with psycopg.connect(self.url(name), autocommit=True) as session:
            close_to_public(session)
        return name

    def drop_database(self, name: str) -> None:
        self.admin(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def database(self, like: str = "") -> Iterator[Database]:
        """
        Lend a database that is dropped afterwards: migrated and empty, or a copy of the one named `like`.
        """
        name = self.make_database(like or self.template)
        try:
            with Database(self.url(name), application="backoffice-bench") as database:
                yield database
        finally:
            self.drop_database(name)

    def admin(self, statement: sql.Composable | str) -> list[Any]:
        with psycopg.connect(self.server.url, autocommit=True) as session:
            cursor = session.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    # --- Measuring ---------------------------------------------------------------------------------------------------

    def server_seconds(self) -> float:
        """
        Return the processor seconds of the server's processes that live now (sessions stay open while measured).
        """
        pid = self.server.status().pid
        total = 0.0
        for process in psutil.Process(pid).children() if pid else ():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total

    def turns(self, sides: Mapping[str, Side]) -> dict[str, list[Took]]:
        """
        Let the sides take turns, `rounds` times each; return what each turn took.
        """
        took: dict[str, list[Took]] = {name: [] for name in sides}
        for _ in range(self.rounds):
            for name, side in sides.items():
                took[name].append(self.turn(side))
        for name, turns in took.items():
            self.say(f"    {name}: " + ", ".join(f"{turn.rate:,.0f}/s" for turn in turns))
        return took

    def turn(self, side: Side) -> Took:
        self.admin("CHECKPOINT")
        watch = Stopwatch(self)
        items = side(watch)
        return watch.took(items)

    def laps(self, side: Side) -> dict[str, float]:
        """
        Run a side once more; return the seconds of each of its laps.
        """
        watch = Stopwatch(self)
        side(watch)
        return watch.laps

    def profile(self, side: Side, *, lines: int = 8) -> list[str]:
        """
        Run a side once more under the profiler; return where its own time went, in percent of all of it.
        """
        profiler = cProfile.Profile()
        profiled = _Profiled(self, profiler=profiler)
        side(profiled)
        stats: Any = pstats.Stats(profiler)
        total = sum(entry[2] for entry in stats.stats.values()) or 1.0
        worst = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:lines]
        return [f"{100 * own / total:4.1f}% {_place(where)}" for where, (_, _, own, _, _) in worst]

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        if self.quick:
            return  # sizes at which no rate means anything
        goal = "<=" if figure.at_most else ">="
        self.say(f"  {figure.name}: {figure.ratio:.3g} (asked {goal} {figure.target:g}, {figure.stretch:g}): "
                 f"{figure.reached}")  # fmt: skip


@dataclass
class _Profiled(Stopwatch):
    profiler: cProfile.Profile = field(default_factory=cProfile.Profile)

    @contextmanager
    def timed(self) -> Iterator[None]:
        self.profiler.enable()
        try:
            yield
        finally:
            self.profiler.disable()


def _place(where: tuple[str, int, str]) -> str:
    file, _, function = where
    if file == "~":
        return function.strip("<>")
    path = Path(file)
    try:
        return f"{path.relative_to(ROOT)}:{function}"
    except ValueError:
        return f"{path.parent.name}/{path.name}:{function}"


def median_rate(turns: Sequence[Took]) -> float:
    return statistics.median(turn.rate for turn in turns)


def middle(turns: Sequence[Took]) -> Took:
    """
    Return the turn with the median rate.
    """
    return sorted(turns, key=lambda turn: turn.rate)[len(turns) // 2]


def cost(turns: Sequence[Took]) -> str:
    """
    Say what an item of the median turn costs, in microseconds.
    """
    turn = middle(turns)
    each = 1e6 / turn.items
    return (
        f"{turn.seconds * each:.2f} us per item: our process {turn.client * each:.2f}, "
        f"the server {turn.server * each:.2f} us of processor time"
    )


def spread(turns: Sequence[Took]) -> str:
    rates = sorted(turn.rate for turn in turns)
    return f"{rates[0]:,.0f} to {rates[-1]:,.0f}"


def agree(**values: Any) -> None:
    """
    Raise Disagreement unless all values are equal.
    """
    if len({repr(value) for value in values.values()}) > 1:
        raise Disagreement(", ".join(f"{name}: {str(value)[:200]}" for name, value in values.items()))


def machine() -> dict[str, Any]:
    """
    Return what the figures were taken on; the load says whether the machine was ours alone.
    """
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


class Ticks(NamedTuple):
    """
    Processor time of the whole machine so far, in ticks; `stolen` is what its host gave to others.
    """

    stolen: int
    all: int

    def stolen_until(self, later: Ticks) -> float:
        return (later.stolen - self.stolen) / max(1, later.all - self.all)


def ticks() -> Ticks:
    """
    Look at the machine's clock of processor time; zeros where the system does not tell.
    """
    of = [int(each) for each in next(iter(_lines("/proc/stat")), "cpu").split()[1:9]]
    return Ticks(of[7], sum(of)) if len(of) == 8 else Ticks(0, 0)


def commit() -> str:
    """
    Return the commit that is measured, marked where files differ from it; the pages of figures do not count.
    """
    found = _git("describe", "--always", "--abbrev=10")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/benchmarks*")
    return f"{found}{'-dirty' if changed else ''}" or "unknown"


def _git(*asked: str) -> str:
    done = subprocess.run(["git", *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


@contextmanager
def opened(*, quick: bool, seed: int, members: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """
    Start a server with the program's own settings (fsync and synchronous_commit on) and end it afterwards.
    """
    with SessionFolder() as folder:
        server = EmbeddedServer(folder / "postgres")
        server.start()
        try:
            yield Bench(
                server=server, folder=folder, quick=quick, seed=seed, members=members, say=say, rounds=1 if quick else 3
            )
        finally:
            server.stop()


def dbname(database: Database) -> str:
    return str(conninfo_to_dict(database.url)["dbname"])


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
