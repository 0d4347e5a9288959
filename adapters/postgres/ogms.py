"""
One payment number at a time, for invitations that no run makes. Runs reserve a range (`adapters.postgres.runs`).
"""

from __future__ import annotations

from adapters.postgres.database import WRITER, Database
from domain.payments import Ogm


def take_one(database: Database) -> Ogm:
    """
    Return the next free number and move the counter; a number that is then not used leaves a hole, and does no harm.
    """
    with database.session(WRITER) as session:
        found = session.execute("UPDATE ogm_counter SET next = next + 1 RETURNING next - 1").fetchone()
    if found is None:
        raise RuntimeError("the counter of payment numbers is gone")
    return Ogm.from_base(int(found[0]))
