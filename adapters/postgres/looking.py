"""
What people look up in the read models: worklists, the chain of statements, one letter, one member's years.

Every query reads what is committed, as `backoffice_reader`; the caller brings the read models up to date first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from adapters.postgres.database import OWNER, READER, WRITER, Database
from application.chain_views import GapView, Obstacle
from domain.ids import owner_of
from domain.parameters import Parameters

PAGE_MAX: Final = 1_000
#: More years than any affiliation has.
_YEARS_MAX: Final = 100


class Worklist(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that waits for a person: how many, for how much money (cents).
    """

    name: str
    what: str
    items: int
    amount_cents: int


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of a worklist. `id` is what the next command asks for; `day` since when it waits.
    """

    id: UUID
    member: UUID | None
    amount_cents: int
    day: date
    why: str


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """
    One of the fund's accounts: its last taken statement, those that came before their turn with what keeps the first
    back, and the gaps of which something is still to be approved or explained.
    """

    account: str
    purpose: str
    last: str = ""
    closed_on: date | None = None
    closing_cents: int | None = None
    statements: int = 0
    waiting: Sequence[str] = ()
    waits_for: str = ""
    obstacle: Obstacle | None = None
    gaps: Sequence[GapView] = ()


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """
    One bank statement and its movements that were put on the worklist. Amounts in cents.
    """

    account: str
    year: int
    number: int
    state: str
    movements: int
    credit_cents: int
    debit_cents: int
    opening_cents: int | None = None
    closing_cents: int | None = None
    opened_on: date | None = None
    closed_on: date | None = None
    waits_for: str = ""
    held: Sequence[WorkItem] = ()


class YearView(msgspec.Struct, frozen=True, kw_only=True):
    """
    The premium of one year of one member. Amounts in cents.
    """

    year: int
    charged_cents: int
    paid_cents: int
    reduced: bool
    due_on: date | None = None
    invited_on: date | None = None
    reminded_on: date | None = None
    last_value_date: date | None = None
    missed_on: date | None = None
    claimed_by_agency: bool = False


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    One run in a list.
    """

    run: UUID
    job: str
    business_date: date
    round: int
    state: str
    items: int
    passed_over: int
    amount_cents: int
    planned_by: str
    planned_at: datetime
    approved_by: str | None = None
    done: int = 0
    refused: int = 0
    parked: int = 0


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a read model is; `behind` counts positions of the store that it has not read.
    """

    name: str
    version: int
    position: int
    behind: int
    moved_at: datetime | None = None


def began_on(database: Database) -> date | None:
    """
    Return the business date on which the fund's first account was opened.
    """
    with database.session(WRITER) as session:
        found: Any = session.execute(
            "SELECT c.business_date FROM events e JOIN commits c ON e.notification_id BETWEEN c.first_position AND "
            "c.last_position WHERE e.originator_version = 1 AND get_byte(uuid_send(e.originator_id), 13) = 64 "
            "ORDER BY e.notification_id LIMIT 1"
        ).fetchone()
    return found[0] if found else None


# --- Worklists -------------------------------------------------------------------------------------------------------

#: What waits, and its rows: id, member, amount, day, why.
_LISTS: Final[Mapping[str, tuple[str, LiteralString]]] = {
    "movements": (
        "money without a place: backoffice worklist suggest MOVEMENT",
        "SELECT stream, NULL::uuid, open_cents, held_on, because FROM rm_bank.held_movement WHERE state = 'open'",
    ),
    "statements": (
        "statements that came before their turn: backoffice statements list",
        (
            "SELECT stream, NULL::uuid, 0, recorded_on, 'statement ' || year || '/' || number || ' waits for ' || "
            "waits_for_year || '/' || waits_for_number FROM rm_bank.statement WHERE state = 'held'"
        ),
    ),
    "to-approve": (
        "plans that wait for a second person: backoffice run show RUN",
        (
            "SELECT stream, NULL::uuid, amount_cents, business_date, job || ', ' || items || ' items' "
            "FROM rm_runs.run WHERE state = 'planned' AND needs_approval"
        ),
    ),
    "to-post": (
        "registered letters without proof of posting",
        (
            "SELECT letter_id, stream, amount_cents, issued_on, 'registered letter ' || year FROM rm_letters.letter "
            "WHERE kind = 'registered_letter' AND posted_on IS NULL AND withdrawn_on IS NULL"
        ),
    ),
    "contradicted": (
        "letters already posted that turned out wrong",
        (
            "SELECT letter_id, stream, amount_cents, contradicted_on, 'posted on ' || posted_on FROM rm_letters.letter "
            "WHERE contradicted_on IS NOT NULL"
        ),
    ),
    "report-again": (
        "reported, and money known since may take it back: backoffice run plan agency_correction",
        (
            "SELECT r.letter_id, r.stream, sum(p.amount_cents)::bigint, max(p.recorded_on), "
            "'on the account by ' || max(p.value_date) FROM rm_letters.agency_report r "
            "JOIN rm_payments.payment p USING (stream) WHERE r.corrected_on IS NULL AND p.reversed_by IS NULL "
            "AND p.value_date <= (extract(year FROM r.reported_on) || '-' || %(prevents_fine_until)s)::date "
            "AND p.recorded_on > (SELECT max(done.business_date) FROM rm_runs.run done WHERE "
            "done.job = 'agency_correction' AND done.state = 'settled' AND done.business_date > r.reported_on) "
            "GROUP BY r.letter_id, r.stream"
        ),
    ),
    "credit": (
        "members with credit",
        (
            "SELECT a.stream, a.stream, a.credit_cents, coalesce(max(p.value_date), '2001-01-01'), 'credit' "
            "FROM rm_premium_account.affiliation a LEFT JOIN rm_payments.payment p ON p.stream = a.stream "
            "AND p.reversed_by IS NULL WHERE a.credit_cents > 0 GROUP BY a.stream, a.credit_cents"
        ),
    ),
    "owed-back": (
        "members who owe back what was refunded, since the bank took the payment back",
        (
            "SELECT a.stream, a.stream, -a.credit_cents, coalesce(max(p.recorded_on), '2001-01-01'), 'owed back' "
            "FROM rm_premium_account.affiliation a LEFT JOIN rm_payments.payment p ON p.stream = a.stream "
            "AND p.reversed_by IS NOT NULL WHERE a.credit_cents < 0 GROUP BY a.stream, a.credit_cents"
        ),
    ),
}
WORKLISTS: Final = tuple(_LISTS)


def _of_the_law(law: Parameters, as_of: date) -> Mapping[str, object]:
    dated = law["arrears/corrections_until"].dated_on(as_of)
    return {"prevents_fine_until": dated.value if dated else "12-31"}


def worklists(database: Database, *, law: Parameters, as_of: date) -> Sequence[Worklist]:
    """
    Return every worklist with its count and amount, also those that are empty.
    """
    found = []
    with database.session(READER) as session:
        for name, (what, query) in _LISTS.items():
            counted: Any = session.execute(
                "SELECT count(*), coalesce(sum(amount), 0)::bigint FROM ("  # noqa: S608  # from the table above, nothing else
                + query
                + ") AS list (id, member, amount, day, why)",
                _of_the_law(law, as_of),
            ).fetchone()
            found.append(Worklist(name=name, what=what, items=counted[0], amount_cents=counted[1]))
    return found


def worklist(
    database: Database, name: str, *, law: Parameters, as_of: date, limit: int, after: UUID | None = None
) -> Sequence[WorkItem]:
    """
    Return lines of one worklist in id order, those after an id.
    """
    with database.session(READER) as session:
        rows = session.execute(
            "SELECT id, member, amount, day, why FROM ("  # noqa: S608  # from the table above, nothing else
            + _LISTS[name][1]
            + ") AS list (id, member, amount, day, why) WHERE id > %(after)s ORDER BY id LIMIT %(limit)s",
            {**_of_the_law(law, as_of), "after": after or UUID(int=0), "limit": limit},
        ).fetchall()
    return [_work_item(row) for row in rows]


def _work_item(row: tuple[Any, ...]) -> WorkItem:
    item, member, amount, day, why = row
    owner = None if member is None else owner_of(member)
    return WorkItem(id=item, member=owner, amount_cents=amount, day=day, why=why)


# --- The bank --------------------------------------------------------------------------------------------------------


def chains(database: Database) -> Sequence[Chain]:
    """
    Return every account of the fund with its chain of statements.
    """
    with database.session(READER) as session:
        accounts = session.execute("SELECT stream, iban, purpose FROM rm_bank.account ORDER BY iban").fetchall()
        return [_chain(session, *row) for row in accounts]


def _chain(session: Any, stream: UUID, iban: str, purpose: str) -> Chain:
    taken = session.execute(
        "SELECT year, number, closed_on, closing_cents, count(*) OVER () FROM rm_bank.statement "
        "WHERE stream = %s AND state = 'taken' ORDER BY year DESC, number DESC LIMIT 1",
        [stream],
    ).fetchone()
    held = session.execute(
        "SELECT year, number, waits_for_year, waits_for_number FROM rm_bank.statement "
        "WHERE stream = %s AND state = 'held' ORDER BY year, number",
        [stream],
    ).fetchall()
    waits_for = f"{held[0][2]}/{held[0][3]}" if held else ""
    waiting = [f"{year}/{number}" for year, number, _, _ in held]
    if taken is None:
        return Chain(account=iban, purpose=purpose, waiting=waiting, waits_for=waits_for)
    year, number, closed_on, closing_cents, statements = taken
    return Chain(
        account=iban, purpose=purpose, last=f"{year}/{number}", closed_on=closed_on, closing_cents=closing_cents,
        statements=statements, waiting=waiting, waits_for=waits_for,
    )  # fmt: skip


def statement(database: Database, *, year: int, number: int, account: str = "") -> StatementView | None:
    """
    Return one statement, of the account given or of the only one that has it.
    """
    with database.session(READER) as session:
        row: Any = session.execute(
            "SELECT s.stream, a.iban, s.state, s.movements, s.credit_cents, s.debit_cents, s.opening_cents, "
            "s.closing_cents, s.opened_on, s.closed_on, s.waits_for_year || '/' || s.waits_for_number "
            "FROM rm_bank.statement s JOIN rm_bank.account a USING (stream) "
            "WHERE s.year = %s AND s.number = %s AND (%s = '' OR a.iban = %s) ORDER BY a.iban LIMIT 1",
            [year, number, account, account],
        ).fetchone()
        if row is None:
            return None
        held = session.execute(
            "SELECT stream, NULL::uuid, open_cents, held_on, because || ', ' || state FROM rm_bank.held_movement "
            "WHERE account = %s AND year = %s AND number = %s ORDER BY ordinal",
            [row[0], year, number],
        ).fetchall()
    _, iban, state, movements, credit, debit, opening, closing, opened_on, closed_on, waits_for = row
    return StatementView(
        account=iban, year=year, number=number, state=state, movements=movements, credit_cents=credit,
        debit_cents=debit, opening_cents=opening, closing_cents=closing, opened_on=opened_on, closed_on=closed_on,
        waits_for=waits_for or "", held=[_work_item(each) for each in held],
    )  # fmt: skip


# --- Members ---------------------------------------------------------------------------------------------------------


def years(database: Database, stream: UUID) -> Sequence[YearView]:
    with database.session(READER) as session, session.cursor(row_factory=class_row(YearView)) as cursor:
        return cursor.execute(
            "SELECT year, charged_cents, paid_cents, reduced, due_on, invited_on, reminded_on, last_value_date, "
            "missed_on, claimed_by_agency FROM rm_premium_account.premium_year WHERE stream = %s ORDER BY year",
            [stream],
        ).fetchall()


def who_opens_exactly(database: Database, *, amount_cents: int, limit: int) -> Sequence[UUID]:
    """
    Return affiliations of which some year has exactly this amount open, at most `limit`.

    There is no index on what is open. An amount that many owe is found at once, a rare one by one look at all years.
    """
    with database.session(READER) as session:
        rows = session.execute(
            "SELECT stream FROM rm_premium_account.premium_year WHERE paid_cents < charged_cents "
            "AND charged_cents - paid_cents = %s LIMIT %s",
            [amount_cents, limit * _YEARS_MAX],
        ).fetchall()
    return list(dict.fromkeys(row[0] for row in rows))[:limit]


# --- Runs and read models --------------------------------------------------------------------------------------------


def run_lines(database: Database, *, job: str = "", limit: int = 50) -> Sequence[RunLine]:
    """
    Return runs, the newest business date first.
    """
    with database.session(READER) as session, session.cursor(row_factory=class_row(RunLine)) as cursor:
        return cursor.execute(
            "SELECT stream AS run, job, business_date, round, state, items, passed_over, amount_cents, planned_by, "
            "planned_at, approved_by, done, refused, parked FROM rm_runs.run WHERE (%s = '' OR job = %s) "
            "ORDER BY business_date DESC, planned_at DESC LIMIT %s",
            [job, job, limit],
        ).fetchall()


def runs_starting_with(database: Database, prefix: str) -> Sequence[UUID]:
    with database.session(READER) as session:
        rows = session.execute(
            "SELECT stream FROM rm_runs.run WHERE starts_with(replace(stream::text, '-', ''), %s) LIMIT 2", [prefix]
        ).fetchall()
    return [row[0] for row in rows]


def models_begun(database: Database) -> Sequence[str]:
    """
    Return the names of the read models that were ever made, in order.
    """
    with database.session(OWNER) as session:
        rows = session.execute("SELECT projection FROM projection_positions ORDER BY projection").fetchall()
    return [name for (name,) in rows]


def model_statuses(database: Database, *, names: Sequence[str], high_water: int) -> Sequence[ModelStatus]:
    """
    Return how far each read model is; one that was never made stands at 0.
    """
    with database.session(OWNER) as session:
        rows = session.execute("SELECT projection, version, position, moved_at FROM projection_positions").fetchall()
    known = {row[0]: row for row in rows}
    found = []
    for name in names:
        _, version, position, moved_at = known.get(name, (name, 0, 0, None))
        behind = high_water - position
        found.append(ModelStatus(name=name, version=version, position=position, behind=behind, moved_at=moved_at))
    return found
