"""
What the demonstration ends with: what happened, control totals that agree, one member's year, and papers to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from application.explaining import Sources, explain
from console.answers.answer import Answer
from console.demo.fund import DemoFund
from console.demo.topics import TopicTold
from console.output import euros, facts, heading, out, table, thousands
from domain.ids import StreamId, owner_of
from domain.run import Control

_ITEMS: Final = "items: plan = done + refused + parked"
_PLANNED: Final = "cents: plan = done + refused + parked"
_EVENTS: Final = "cents: run = event table"
_READ_MODEL: Final = "cents: run = read model"


class YearTold(msgspec.Struct, frozen=True, kw_only=True):
    """
    One premium year as the read model shows it; amounts in cents.
    """

    year: int
    members: int
    charged_cents: int
    paid_cents: int
    missed: int
    registered_letters: int
    reported: int
    corrected: int
    fined: int
    reminders: int


class MoneyTold(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where every cent of the statements is: on_statements = the sum of all others, in cents. What was explained as
    no premium money (bank costs) is negative.
    """

    on_statements_cents: int
    allocated_cents: int
    credit_cents: int
    refunded_cents: int
    worklist_cents: int
    returned_cents: int
    explained_cents: int


class RunTold(msgspec.Struct, frozen=True, kw_only=True):
    """
    One run, with the same figures from its plan, from the event table and from the read model, in cents.

    None where a run has no such figure: a correction moves no money, a miss has no amount of its own to show.
    """

    run: str
    items: int
    planned_cents: int
    events_cents: int | None
    read_model_cents: int | None


class ControlTold(msgspec.Struct, frozen=True, kw_only=True):
    """
    One control total: two figures from places that do not know each other.
    """

    where: str
    name: str
    expected: int
    actual: int


class Demonstrated(Answer, frozen=True, kw_only=True):
    """
    `demo`: what happened in the made-up fund, and whether all control totals agree.
    """

    home: str
    members: int
    affiliated: int
    events: int
    bank_files: int
    movements: int
    letters: int
    years: Sequence[YearTold]
    runs: Sequence[RunTold]
    money: MoneyTold
    controls: int
    differences: Sequence[ControlTold]
    agrees: bool
    explained_member: str
    sentences: Sequence[str]
    papers: Mapping[str, str]
    seconds: float
    topics: Sequence[TopicTold] = ()


def conclude(fund: DemoFund, *, members: int, letters: int, papers: Mapping[str, Path], seconds: float) -> Demonstrated:
    """
    Take the figures of the whole fund, and compare them once more.
    """
    money = _money(fund)
    _compare_money(fund, money)
    differences = [
        ControlTold(where=where, name=control.name, expected=control.expected, actual=control.actual)
        for where, control in fund.controls
        if control.expected != control.actual
    ]
    member = _somebody(fund)
    return Demonstrated(
        home=str(fund.folder),
        members=members,
        affiliated=int(fund.one("SELECT count(*) FROM rm_premium_account.affiliation")[0]),
        events=sum(fund.happened_since(0).values()),
        bank_files=len(fund.files),
        movements=int(fund.one("SELECT sum(movements) FROM rm_bank.statement")[0]),
        letters=letters,
        years=_years(fund),
        runs=_runs(fund),
        money=money,
        controls=len(fund.controls),
        differences=differences,
        agrees=not differences,
        explained_member=str(member) if member else "",
        sentences=_sentences(fund, member) if member else (),
        papers={what: str(path) for what, path in papers.items()},
        seconds=round(seconds, 1),
    )


def _money(fund: DemoFund) -> MoneyTold:
    (statements,) = fund.one("SELECT coalesce(sum(credit_cents - debit_cents), 0)::bigint FROM rm_bank.statement")
    allocated, credit, refunded = fund.one(
        "SELECT coalesce(sum(allocated_cents), 0)::bigint, coalesce(sum(credit_cents), 0)::bigint, "
        "coalesce(sum(refunded_cents), 0)::bigint FROM rm_premium_account.affiliation"
    )
    still_open, returned, explained = fund.one(
        "SELECT coalesce(sum(open_cents), 0)::bigint, coalesce(sum(returned_cents), 0)::bigint, "
        "coalesce(sum(amount_cents - open_cents - allocated_cents - returned_cents), 0)::bigint "
        "FROM rm_bank.held_movement"
    )
    return MoneyTold(
        on_statements_cents=statements,
        allocated_cents=allocated,
        credit_cents=credit,
        refunded_cents=refunded,
        worklist_cents=still_open,
        returned_cents=returned,
        explained_cents=explained,
    )


def _compare_money(fund: DemoFund, money: MoneyTold) -> None:
    placed = (
        money.allocated_cents
        + money.credit_cents
        + money.refunded_cents
        + money.worklist_cents
        + money.returned_cents
        + money.explained_cents
    )
    paid, charged = fund.one(
        "SELECT coalesce(sum(paid_cents), 0)::bigint, coalesce(sum(charged_cents), 0)::bigint "
        "FROM rm_premium_account.premium_year"
    )
    (owed,) = fund.one("SELECT coalesce(sum(charged_cents), 0)::bigint FROM rm_premium_account.affiliation")
    bank = fund.bank.balance_cents
    fund.compared("money", [
        Control(name="cents: bank = statements taken", expected=bank, actual=money.on_statements_cents),
        Control(name="cents: statements = places", expected=money.on_statements_cents, actual=placed),
        Control(name="cents: allocated = paid per year", expected=money.allocated_cents, actual=paid),
        Control(name="cents: charged to members = charged per year", expected=owed, actual=charged),
    ])  # fmt: skip


def _years(fund: DemoFund) -> list[YearTold]:
    rows = fund.rows(
        """
        SELECT y.year, count(*), sum(y.charged_cents)::bigint, sum(y.paid_cents)::bigint,
               count(y.missed_on),
               (SELECT count(*) FROM rm_letters.letter l WHERE l.year = y.year AND l.kind = 'registered_letter'),
               (SELECT count(*) FROM rm_letters.agency_report r WHERE extract(year FROM r.reported_on) = y.year),
               (SELECT count(*) FROM rm_letters.agency_report r
                WHERE extract(year FROM r.reported_on) = y.year AND r.corrected_on IS NOT NULL),
               (SELECT count(*) FROM rm_letters.agency_report r
                WHERE extract(year FROM r.reported_on) = y.year AND r.fine_reference IS NOT NULL),
               (SELECT count(*) FROM rm_letters.letter l WHERE l.year = y.year AND l.kind = 'reminder')
        FROM rm_premium_account.premium_year y GROUP BY y.year ORDER BY y.year
        """
    )
    return [YearTold(**dict(zip(YearTold.__struct_fields__, row, strict=True))) for row in rows]


def _runs(fund: DemoFund) -> list[RunTold]:
    """
    Return what was compared when each run was settled.
    """
    by_run: dict[str, dict[str, Control]] = {}
    for where, control in fund.controls:
        by_run.setdefault(where, {})[control.name] = control
    return [
        RunTold(
            run=run,
            items=told[_ITEMS].expected,
            planned_cents=told[_PLANNED].expected,
            events_cents=told[_EVENTS].actual if _EVENTS in told else None,
            read_model_cents=told[_READ_MODEL].actual if _READ_MODEL in told else None,
        )
        for run, told in by_run.items()
        if _ITEMS in told
    ]


def _somebody(fund: DemoFund) -> UUID | None:
    """
    Return a member with a year worth telling: reported and taken back, else reported, else written to, else anyone.
    """
    queries = (
        "SELECT stream FROM rm_letters.agency_report WHERE corrected_on IS NOT NULL ORDER BY reported_on DESC LIMIT 1",
        "SELECT stream FROM rm_letters.agency_report ORDER BY reported_on DESC LIMIT 1",
        "SELECT stream FROM rm_letters.letter ORDER BY kind = 'registered_letter' DESC, issued_on DESC LIMIT 1",
    )
    for query in queries:
        for (stream,) in fund.rows(query):
            return owner_of(stream)
    return None


def _sentences(fund: DemoFund, member: UUID) -> list[str]:
    from domain.ids import Kind, belonging_to

    history = fund.backoffice.store.history(StreamId(belonging_to(member, Kind.ZORGKAS_AFFILIATION)))
    (year,) = fund.one("SELECT max(year) FROM rm_premium_account.premium_year")
    told = explain(
        owner_of(member),
        year,
        history=history,
        passed=(),
        not_run=(),
        sources=Sources({}, fund.backoffice.law, {}),
    )
    return [sentence.text for sentence in told.sentences]


def show(told: Demonstrated) -> None:
    """
    Print the end of the demonstration for a person.
    """
    heading("What happened")
    table(
        ("year", "members", "charged", "paid", "missed", "reg. letters", "reported", "corrected", "fined", "reminders"),
        [
            (str(y.year), y.members, euros(y.charged_cents), euros(y.paid_cents), y.missed, y.registered_letters,
             y.reported, y.corrected, y.fined, y.reminders)
            for y in told.years
        ],
        right=("members", "charged", "paid", "missed", "reg. letters", "reported", "corrected", "fined", "reminders"),
    )  # fmt: skip
    _show_money(told)
    if told.sentences:
        heading(f"One of them: member {told.explained_member}")
        for sentence in told.sentences:
            out(f"  {sentence}")
    if told.topics:
        heading("Published to Kafka")
        table(
            ("topic", "partitions", "records"),
            [(each.topic, each.partitions, thousands(each.records)) for each in told.topics],
            right=("partitions", "records"),
        )
    heading("Look at")
    facts(tuple((what, path) for what, path in told.papers.items()))
    heading("Try next")
    for line in _hints(told):
        out(f"  {line}")


def _show_money(told: Demonstrated) -> None:
    money = told.money
    heading("Every cent has its place")
    rows: list[tuple[str, Any]] = [
        ("on the bank's statements", euros(money.on_statements_cents)),
        ("= allocated to premiums", euros(money.allocated_cents)),
        ("+ credit of members", euros(money.credit_cents)),
        ("+ paid back to members", euros(money.refunded_cents)),
        ("+ on the worklist", euros(money.worklist_cents)),
        ("+ given back to the payer", euros(money.returned_cents)),
        ("+ explained (bank costs, our transfers)", euros(money.explained_cents)),
    ]
    table(("", "amount"), rows, right=("amount",))
    _show_controls(told)
    out(
        f"{thousands(told.members)} members, {thousands(told.events)} events, {thousands(told.movements)} movements in "
        f"{told.bank_files} bank files, {thousands(told.letters)} letters, in {told.seconds:.0f} seconds."
    )


def _show_controls(told: Demonstrated) -> None:
    heading("Control totals")
    year = str(told.years[-1].year)
    table(
        ("run", "items", "plan", "events", "read model"),
        [
            (each.run, each.items, euros(each.planned_cents), euros(each.events_cents), euros(each.read_model_cents))
            for each in told.runs
            if f" {year}-" in each.run
        ],
        right=("items", "plan", "events", "read model"),
    )
    if told.agrees:
        out(f"All {told.controls} control totals agree: plan = events = read model = files = bank.")
    else:
        table(
            ("where", "what", "expected", "actual"),
            [(each.where, each.name, each.expected, each.actual) for each in told.differences],
            right=("expected", "actual"),
        )


def _hints(told: Demonstrated) -> list[str]:
    here = f"BACKOFFICE_HOME={told.home} ./backoffice"
    return [
        f"{here} today --on 2026-11-20",
        f"{here} explain {told.explained_member} 2026",
        f"{here} run list",
        f"{here} show worklist",
        f"{here} doctor",
    ]
