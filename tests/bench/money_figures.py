"""
Money in: from a CODA file to allocated money in the read model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from adapters.wiring import Backoffice, read_bank_file
from application.matching import ogm_of
from application.ports import Change
from application.take_commands import Sender
from domain.ids import StreamId
from domain.member import MEMBER
from domain.money import Cents
from domain.payments import Movement, bank_movement_id
from domain.zorgkas_affiliation import AFFILIATION, receive_payment
from tests.bench import material, stock
from tests.bench.harness import Bench, Figure, Stopwatch, Took, agree, cost, dbname, median_rate, spread
from tests.bench.run_figures import office
from tests.builders import LAW
from tests.world import World, paid

PAID_ON, KNOWN_ON = date(2026, 3, 16), date(2026, 3, 17)
_PAID = "SELECT count(*), sum(paid_cents), count(last_value_date) FROM {}.premium_year WHERE stream = ANY(%s) AND paid_cents > 0"
_SHOWN = ("letters", "payments", "bank", "premium_account")


def fill_asked(opened: Backoffice, ids: Sequence[UUID], *, years: Sequence[int]) -> None:
    """
    Register members, charge and ask them these years; what is not of the last year is paid.
    """
    for start in range(0, len(ids), 1_000):
        people, lives = [], []
        for number, member in enumerate(ids[start : start + 1_000], start=start):
            facts = material.person(number)
            people.append(Change(material.member_stream(member), 0, facts, MEMBER.fold(facts)))
            lives_of = asked_years(number, years)
            lives.append(Change(material.affiliation_of(member), 0, lives_of, AFFILIATION.fold(lives_of)))
        with opened.store.transaction(material.commit_of("asked", start)) as unit:
            unit.append(MEMBER, people)
            unit.append(AFFILIATION, lives)


def asked_years(number: int, years: Sequence[int]) -> list[Any]:
    found: list[Any] = [material.opened(years[0])]
    for year in years:
        found += (material.charged(year), material.invited(year, number))
        if year != years[-1]:
            found.append(material.paid(year, number))
    return found


def movements(count: int) -> list[Movement]:
    """
    Return payments of 2026: one in twenty pays too little, one in fifty without its number (a person must look).
    """
    found = []
    for number in range(count):
        asked = material.invited(2026, number)
        cents = 4_000 if number % 20 == 0 else material.CENTS[2026]
        ogm = "zorgpremie" if number % 50 == 7 else asked.ogm
        found.append(paid(ogm, cents, value_date=PAID_ON, iban=iban_of(number)))
    return found


def iban_of(number: int) -> str:
    body = f"539{number % 10_000_000:07d}"
    account = f"{body}{int(body) % 97 or 97:02d}"
    return f"BE{98 - int(account + '111400') % 97:02d}{account}"


def coda(bench: Bench) -> None:
    """
    A bank file: parse, match, allocate, project; against the library one by one.
    """
    count, few = bench.size(20_000, 200), bench.size(400, 40)
    ids = material.members(count, seed=bench.seed)
    found: dict[str, Any] = {}
    home = bench.folder
    with bench.database() as fund, bench.database() as stocked:
        world = World(fund, home, seed=bench.seed, started_on=date(2026, 1, 2))
        fill_asked(world.backoffice, ids, years=(2025, 2026))
        world.backoffice.catch_up()
        file = world.coda(world.statement(KNOWN_ON, movements(count)))
        histories = [
            material.History(material.affiliation_of(member), asked_years(number, (2025, 2026)))
            for number, member in enumerate(ids[:few])
        ]
        small = world.coda(World.statement(_again(world), KNOWN_ON, movements(few)))
        with stock.opened(stocked) as app:
            stock.save(app, stock.aggregates(histories), events_each=6)
            filled = app.recorder.max_notification_id()
        stock.run_projection(stocked, until=filled)
        with stocked.connect(None, autocommit=True) as session:
            session.execute("CREATE INDEX ON stock.premium_year (ogm)")
        bench.admin("VACUUM ANALYZE")
        world.backoffice.close()
        fund.close()
        stocked.close()
        streams = [history.stream for history in histories]

        def ours(watch: Stopwatch, models: Sequence[str] = ("premium_account",)) -> int:
            with bench.database(dbname(fund)) as database, office(database.url, str(home)) as opened:
                opened.catch_up(("letters",))
                with watch.timed():
                    bank_file = read_bank_file(file)
                    watch.lap("parse")
                    (report,) = opened.money_in.take(bank_file, sender=Sender("an", KNOWN_ON, "bank"))
                    watch.lap("match, allocate, record")
                    opened.catch_up(models)
                    watch.lap("project")
                agree(held=report.totals.held, expected=sum(number % 50 == 7 for number in range(count)))
                with database.session() as session:
                    found["ours"] = session.execute(_PAID.format("rm_premium_account"), [streams]).fetchone()
            return count

        def library(watch: Stopwatch) -> int:
            with bench.database(dbname(stocked)) as database:
                with watch.timed():
                    last = _take_stock(database, small)
                    stock.run_projection(database, until=last)
                with database.connect(None) as session:
                    found["stock"] = session.execute(_PAID.format("stock"), [streams]).fetchone()
            return few

        bench.say(f"coda: {count:,} movements, 98 of 100 with a number; stock {few:,}")
        took = bench.turns({"ours": ours, "stock": library})
        laps, profile = bench.laps(ours), bench.profile(ours, lines=14)
    agree(**found)
    _add(bench, took, laps, profile)


def _add(bench: Bench, took: Mapping[str, list[Took]], laps: Mapping[str, float], profile: list[str]) -> None:
    rate = {name: median_rate(turns) for name, turns in took.items()}
    bench.add(Figure(
        name="coda", what="CODA file to allocated money in the read model: parse, match, allocate, project",
        unit="movements/s", ours="money_in.take of one file, then premium_account",
        against="the same parser; look up the number, get, decide, save; the library's runner",
        ours_value=rate["ours"], against_value=rate["stock"], ratio=rate["ours"] / rate["stock"],
        target=20, stretch=40, limit="one process's Python: see the laps and the profile",
        details=[
            f"ours: {cost(took['ours'])}; rates {spread(took['ours'])}",
            "laps of one turn: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in laps.items()),
            f"stock: {cost(took['stock'])}; rates {spread(took['stock'])}; {took['stock'][0].items:,} movements a turn",
        ],
        profile=profile,
    ))  # fmt: skip


def _again(world: World) -> World:
    """
    Take the statement's number back, so that the small file is the same first statement.
    """
    world._chain.update(year=0, number=0, balance=0, last=date(2026, 1, 2))
    return world


def _take_stock(database: Any, content: bytes) -> int:
    """
    Allocate a file's movements the library's way; what has no number is left for a person. Return the last position.
    """
    (statement,) = read_bank_file(content).statements
    with stock.opened(database) as app, database.connect(None, autocommit=True) as session:
        for movement in statement.movements:
            ogm = ogm_of(movement)
            row = session.execute("SELECT stream FROM stock.premium_year WHERE ogm = %s", [ogm and str(ogm)]).fetchone()
            if row is None:
                continue
            affiliation: stock.StockAffiliation = app.repository.get(row[0])
            if not affiliation.affiliation.open_years():
                continue
            of: StreamId = bank_movement_id(
                account=statement.account, year=statement.year, number=statement.number, ordinal=movement.ordinal
            )
            for happened in receive_payment(
                affiliation.affiliation, movement=of, amount_cents=Cents(movement.amount_cents),
                value_date=movement.value_date, booked_on=movement.booked_on, matched_by="ogm",
                payer_iban=movement.counterparty_iban, as_of=KNOWN_ON, law=LAW,
            ):  # fmt: skip
                affiliation.happens(data=stock.plain(happened))
            app.save(affiliation)
        return app.recorder.max_notification_id() or 0
