"""
A whole zorgpremie year, from the invitations to the report, and what memory a run takes as the fund grows.

Each part is a process of its own, as in life, so that its peak memory is known.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from adapters.garbage import rare_collections
from adapters.postgres.database import Database
from adapters.wiring import BankFile, read_bank_file
from application import commands as c
from application.ports import Change
from application.take_commands import Sender
from domain.ids import derived_key
from domain.member import MEMBER
from domain.payments import Movement
from domain.zorgkas_affiliation import AFFILIATION
from tests.bench import material
from tests.bench.harness import Bench, Figure, agree
from tests.bench.money_figures import iban_of
from tests.bench.run_figures import office
from tests.world import World, paid

_PAGE, _MOVEMENTS_MAX = 2_000, 20_000
STATEMENTS = (date(2026, 2, 27), date(2026, 3, 31), date(2026, 4, 30))
LETTERS_ON, POSTED_ON, PAY_BY, REPORT_ON = date(2026, 6, 1), date(2026, 6, 3), date(2026, 10, 5), date(2026, 10, 6)
#: Of a hundred members, how many have paid 2026 by which statement; the rest does not pay.
_PAYS_BY = (40, 70, 97)


class Part(NamedTuple):
    """
    One part of the year: how many it was about, how long it took, and the peak of its process in MiB.
    """

    name: str
    count: int
    seconds: float
    peak_mib: float


# --- Parts, each in a process of its own ---------------------------------------------------------------------------------


def fill(url: str, home: str, count: int, seed: int) -> int:
    """
    Register members; one in a hundred missed 2025, all others are new in 2026.
    """
    ids = material.members(count, seed=seed)
    with office(url, home) as opened:
        for start in range(0, count, _PAGE):
            people, lives = [], []
            for number, member in enumerate(ids[start : start + _PAGE], start=start):
                facts = material.person(number)
                people.append(Change(material.member_stream(member), 0, facts, MEMBER.fold(facts)))
                if number % 100 == 81:
                    missed = [material.opened(2025), material.charged(2025), material.missed(2025)]
                    lives.append(Change(material.affiliation_of(member), 0, missed, AFFILIATION.fold(missed)))
            with opened.store.transaction(material.commit_of("year", start)) as unit:
                unit.append(MEMBER, people)
                unit.append(AFFILIATION, lives)
    return count


def run(url: str, home: str, job: str, business_date: date, as_of: date, workers: int | None = None) -> int:
    """
    Plan, approve, execute and settle one run, by as many workers as pay; return how many items it had.
    """
    with office(url, home, crew=True) as opened:
        runs = opened.runs
        planned = runs.plan(job, business_date=business_date, as_of=as_of, actor="an", workers=workers)
        if planned.needs_approval:
            runs.approve(planned.run, digest=planned.digest, actor="bob")
        runs.execute(planned.run, as_of=as_of, actor="an", workers=workers)
        for control in runs.settle(planned.run, actor="an"):
            agree(expected=control.expected, actual=control.actual)
    return planned.items


def show(url: str, home: str) -> int:
    with office(url, home) as opened:
        return opened.catch_up()


def take_statements(url: str, home: str) -> int:
    """
    Take the bank's statements: who pays by each of three days, in files of at most 20,000 movements.
    """
    taken = 0
    with Database(url) as database:
        world = World(database, Path(home), started_on=date(2026, 1, 2))
        asked = world.asked("invitation", 2026)
        before = 0
        for day, percent in zip(STATEMENTS, _PAYS_BY, strict=True):
            payments = (
                paid(ogm, cents, value_date=day, iban=iban_of(number))
                for number, (_, _, ogm, cents) in enumerate(asked)
                if before <= number * 37 % 100 < percent
            )
            while some := list(islice(payments, _MOVEMENTS_MAX)):
                (report,) = world.backoffice.money_in.take(_file(world, day, some), sender=Sender("an", day, "bank"))
                taken += report.movements
            before = percent
        world.bank(PAY_BY)
        world.backoffice.close()
    return taken


def _file(world: World, day: date, payments: Sequence[Movement]) -> BankFile:
    return read_bank_file(world.coda(world.statement(day, payments)))


def prove_posted(url: str, home: str) -> int:
    """
    Take the post's proofs of the registered letters.
    """
    with Database(url) as database:
        world = World(database, Path(home), started_on=date(2026, 1, 2))
        proofs = [
            c.ProveLetterPosted(
                command_id=derived_key("proof", str(letter)), member_id=str(material.member_of(stream)), letter_id=letter,
                posted_on=POSTED_ON, barcode=f"010{number:027d}",
            )
            for number, (stream, letter, _, _) in enumerate(world.asked("registered_letter", 2026))
        ]  # fmt: skip
        outcomes = {answered.answer.outcome for answered in world.give(*proofs, on=date(2026, 6, 8))}
        agree(outcomes=outcomes or {"accepted"}, expected={"accepted"})
        world.backoffice.close()
    return len(proofs)


def _in_process(told: Connection, part: Any, arguments: tuple[Any, ...]) -> None:
    start = time.perf_counter()
    with rare_collections():  # as the program runs
        count = part(*arguments)
    peak = _peak_mib()
    told.send(Part(part.__name__, count, time.perf_counter() - start, peak))
    told.close()


def _peak_mib() -> float:
    """
    Return the peak of this process's own memory: `ru_maxrss` of a new process begins at that of the one it was made by.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # not Linux


def measured(name: str, part: Any, *arguments: Any) -> Part:
    spawn = multiprocessing.get_context("spawn")
    hears, told = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_in_process, args=(told, part, arguments))
    process.start()
    told.close()
    try:
        found: Part = hears.recv()
    except EOFError:
        raise RuntimeError(f"{name} did not end well; its error stands above") from None
    finally:
        process.join()
    return found._replace(name=name)


# --- Figures -------------------------------------------------------------------------------------------------------------


@contextmanager
def _fund(bench: Bench, members: int) -> Iterator[tuple[str, str]]:
    with bench.database() as database:
        home = str(bench.folder)
        bench.say(f"year: registering {members:,} members")
        measured("register", fill, database.url, home, members, bench.seed)
        bench.admin("VACUUM ANALYZE")
        yield database.url, home


def memory(bench: Bench) -> None:
    """
    The peak memory of a run of invitations over a million members against a hundred thousand.
    """
    peaks: dict[int, Part] = {}
    for members in (bench.size(bench.members // 10, 300), bench.size(bench.members, 3_000)):
        with _fund(bench, members) as (url, home):
            part = measured("invitations", run, url, home, "invitations", date(2026, 1, 20), date(2026, 1, 20), 1)
            bench.say(f"    {members:,} members: {part.seconds:.0f} s, peak {part.peak_mib:.0f} MiB")
            agree(items=part.count, expected=members)
            peaks[members] = part
    (few, small), (many, large) = sorted(peaks.items())
    bench.add(Figure(
        name="memory", what=f"peak memory of a run (plan, approve, execute, settle, all in one process) over {many:,} members against {few:,}",
        unit="MiB", ours=f"{many:,} members", against=f"{few:,} members", ours_value=large.peak_mib,
        against_value=small.peak_mib, ratio=large.peak_mib / small.peak_mib, target=1.1, stretch=1.0, at_most=True,
        limit="the read model that the run is settled against: 20,000 events at a time, and the next ones read meanwhile; plan and execution hold two pages of 2,000 members and need 40 MiB less; nothing grows with the fund",
        details=[f"{many / large.seconds:,.0f} members/s with {many:,}, {few / small.seconds:,.0f} with {few:,}"],
    ))  # fmt: skip


def million(bench: Bench) -> None:
    """
    One zorgpremie year, invitations to report, statements and read models included.
    """
    members = bench.size(bench.members, 400)
    parts: list[Part] = []
    with _fund(bench, members) as (url, home):

        def part(name: str, of: Any, *arguments: Any) -> int:
            took = measured(name, of, url, home, *arguments)
            parts.append(took)
            bench.say(f"    {took.name}: {took.count:,} in {took.seconds:.1f} s, peak {took.peak_mib:.0f} MiB")
            return took.count

        part("read models of the fund as it stands", show)
        invited = part("invitations", run, "invitations", date(2026, 1, 20), date(2026, 1, 20))
        part("read models", show)
        received = part("bank statements", take_statements)
        missed = part("deadline", run, "deadline", date(2026, 4, 30), date(2026, 5, 4))
        part("read models, after the deadline", show)
        letters = part("registered letters", run, "registered_letters", LETTERS_ON, LETTERS_ON)
        part("read models, after the letters", show)
        part("proofs of posting", prove_posted)
        reported = part("report to the Agency", run, "agency_report", REPORT_ON, REPORT_ON)
        part("read models, at the end", show)
    seconds = sum(each.seconds for each in parts)
    agree(invited=invited, members=members)
    agree(missed=missed, unpaid=invited - received)
    bench.add(Figure(
        name="million", what=f"one zorgpremie year of {members:,} members, invitations to report, statements and read models included",
        unit="members/s", ours=f"{seconds / 60:.1f} minutes, one process after another", against="ten minutes, the aim",
        ours_value=members / seconds, against_value=members / 600, ratio=600 / seconds * members / 1_000_000,
        target=0.5, stretch=1.0, limit="the parts in order of their time below",
        details=[
            f"{each.name}: {each.count:,} in {each.seconds:.1f} s ({each.count / each.seconds:,.0f}/s), peak {each.peak_mib:.0f} MiB"
            for each in parts
        ] + [f"{letters:,} registered letters, {reported:,} reported"],
    ))  # fmt: skip
