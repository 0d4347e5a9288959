"""
Letters as people look them up: one, all of one member, all of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from adapters.postgres.database import READER, Database
from domain.errors import NotFound
from domain.ids import MemberId, StreamId, owner_of


class NoSuchLetter(NotFound):
    """
    There is no letter with this id; look it up in the manifest of its run, or with `backoffice show member`.
    """


class LetterView(msgspec.Struct, frozen=True, kw_only=True):
    """
    One letter, what became of it, and what the Agency was told after it. Amounts in cents.
    """

    letter_id: UUID
    member: UUID
    kind: str
    year: int
    amount_cents: int
    ogm: str
    account: str
    issued_on: date
    pay_by: date | None = None
    run: UUID | None = None
    posted_on: date | None = None
    barcode: str | None = None
    withdrawn_on: date | None = None
    withdrawn_because: str | None = None
    contradicted_on: date | None = None
    reported_on: date | None = None
    corrected_on: date | None = None
    fine_reference: str | None = None
    fine_cents: int | None = None
    fine_outcome: str | None = None


_LETTER: Final = """
SELECT l.letter_id, l.stream AS member, l.kind, l.year, l.amount_cents, l.ogm, l.account, l.issued_on, l.pay_by, l.run,
       l.posted_on, l.barcode, l.withdrawn_on, l.withdrawn_because, l.contradicted_on, r.reported_on, r.corrected_on,
       r.fine_reference, r.fine_cents, r.fine_outcome
  FROM rm_letters.letter l LEFT JOIN rm_letters.agency_report r USING (stream, letter_id)
"""


def letters(database: Database, *, letter: UUID | None = None, stream: UUID | None = None) -> Sequence[LetterView]:
    """
    Return one letter, or all of one affiliation, oldest first.
    """
    with database.session(READER) as session, session.cursor(row_factory=class_row(LetterView)) as cursor:
        cursor.execute(_LETTER + "WHERE l.letter_id = %s OR l.stream = %s ORDER BY l.issued_on", [letter, stream])
        return [msgspec.structs.replace(each, member=owner_of(each.member)) for each in cursor.fetchall()]


def letters_of_run(database: Database, run: StreamId, *, limit: int) -> Sequence[LetterView]:
    """
    Return letters of a run in id order of their members.
    """
    with database.session(READER) as session, session.cursor(row_factory=class_row(LetterView)) as cursor:
        cursor.execute(_LETTER + "WHERE l.run = %s ORDER BY l.stream LIMIT %s", [run, limit])
        return [msgspec.structs.replace(each, member=owner_of(each.member)) for each in cursor.fetchall()]


def members_of_letters(database: Database, letters: Sequence[UUID]) -> Mapping[UUID, MemberId]:
    """
    Return whose letters these are; one that we do not know is left out.
    """
    with database.session(READER) as session:
        rows = session.execute(
            "SELECT letter_id, stream FROM rm_letters.letter WHERE letter_id = ANY(%s)", [list(letters)]
        ).fetchall()
    return {letter: owner_of(stream) for letter, stream in rows}
