"""
Proofs over what is recorded: every cent of the bank has its place, and the heads are what replay gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from adapters.postgres.database import READER, Database
from adapters.postgres.self_check import Check
from adapters.postgres.store import PostgresStore
from domain.aggregates import AGGREGATES
from domain.bank_account import BANK_ACCOUNT
from domain.ids import StreamId
from domain.money import Cents, euros_from_cents

#: Pages of streams are looked at from the start and from these places in the range of ids.
_SAMPLES: Final = 4
_SAMPLE_STREAMS: Final = 500

_BALANCE: Final = """
SELECT (SELECT coalesce(sum(credit_cents - debit_cents), 0) FROM rm_bank.statement WHERE state = 'taken')::bigint,
       (SELECT coalesce(sum(received_cents), 0) FROM rm_premium_account.affiliation)::bigint,
       (SELECT coalesce(sum(amount_cents - allocated_cents), 0) FROM rm_bank.held_movement)::bigint
"""
_ACCOUNTS: Final = """
SELECT count(*) FROM rm_premium_account.affiliation
 WHERE received_cents <> allocated_cents + credit_cents + refunded_cents
"""
_YEARS: Final = """
SELECT count(*) FROM rm_premium_account.affiliation a
  LEFT JOIN (SELECT stream, sum(charged_cents)::bigint AS charged, sum(paid_cents)::bigint AS paid
               FROM rm_premium_account.premium_year GROUP BY stream) y USING (stream)
 WHERE a.charged_cents <> coalesce(y.charged, 0) OR a.allocated_cents <> coalesce(y.paid, 0)
"""
_CHAIN: Final = """
SELECT stream, year, number, opening_cents, before FROM (
  SELECT stream, year, number, opening_cents,
         lag(closing_cents) OVER (PARTITION BY stream ORDER BY year, number) AS before
    FROM rm_bank.statement WHERE state = 'taken') AS chain
 WHERE before IS NOT NULL AND opening_cents <> before
"""


def cents_agree(database: Database, store: PostgresStore) -> Iterator[Check]:
    """
    Compare the bank with the members' accounts, over all of them. The read models are up to date.
    """
    with database.session(READER) as session:
        bank, received, held = _row(session, _BALANCE)
        accounts, years = (_row(session, query)[0] for query in (_ACCOUNTS, _YEARS))
        breaks = session.execute(_CHAIN).fetchall()
    same = bank == received + held
    euros = [euros_from_cents(Cents(each)) for each in (bank, received, held)]
    figures = f"{euros[0]} on statements, {euros[1]} with members, {euros[2]} on the worklist or elsewhere"
    yield Check(
        "every cent", same, figures if same else f"Cents are missing or doubled: {figures}; stop, and report it."
    )
    yield _none("received = allocated + credit + refunded", accounts, "member accounts")
    yield _none("account = sum of its years", years, "member accounts")
    yield _chain(breaks, store)


def _chain(breaks: Sequence[tuple[UUID, int, int, int, int]], store: PostgresStore) -> Check:
    """
    Judge statements that do not open as the one before closed: right only at a gap that two people stand by.
    """
    accounts = store.load(BANK_ACCOUNT, sorted({StreamId(stream) for stream, *_ in breaks}))
    agreed = {
        (stream, gap.year, gap.number, gap.opening_cents, gap.after_cents)
        for stream, account in accounts.items()
        for gap in account.state.gaps
        if gap.counts
    }
    wrong = sum(tuple(each) not in agreed for each in breaks)
    if wrong or not breaks:
        return _none("statements follow each other", wrong, "statements")
    declared = f"It holds, but for {len(breaks)} that two people let through: backoffice statements list."
    return Check("statements follow each other", True, declared)


def _none(name: str, wrong: int, what: str) -> Check:
    if wrong:
        return Check(name, False, f"{wrong} {what} do not agree; run: backoffice project rebuild all")
    return Check(name, True, "It holds for all of them.")


def _row(session: Any, query: str) -> tuple[int, ...]:
    found: tuple[int, ...] = session.execute(query).fetchone()
    return found


def heads_agree(store: PostgresStore, *, everything: bool) -> Check:
    """
    Compare head rows with replay: all of them, or pages from several places.
    """
    looked_at, unlike = 0, 0
    for aggregate in AGGREGATES:
        if everything:
            unlike += len(store.heads_unlike_replay(aggregate))
            continue
        streams: set[StreamId] = set()
        for start in _starts():
            streams.update(store.streams(aggregate, after=start, limit=_SAMPLE_STREAMS))
        looked_at += len(streams)
        unlike += len(store.heads_of_unlike_replay(aggregate, sorted(streams)))
    if unlike:
        return Check("heads = replay", False, f"{unlike} head rows are not what replay gives; make them again.")
    return Check("heads = replay", True, "All agree." if everything else f"A sample of {looked_at} agrees.")


def _starts() -> Sequence[StreamId | None]:
    return [None, *(StreamId(UUID(int=(1 << 128) * part // _SAMPLES)) for part in range(1, _SAMPLES))]
