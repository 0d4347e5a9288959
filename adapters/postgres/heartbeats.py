"""
When the alarm clock last lived, beside when something was last recorded: a clock is trusted by both.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from adapters.postgres.database import READER, WRITER, Database
from adapters.postgres.self_check import Check

ALARM: Final = "alarm clock"
SILENT_MAX: Final = timedelta(hours=26)


class Heartbeats:
    """
    The port `schedulers.alarm.SignsOfLife` of one process.
    """

    def __init__(self, database: Database, process: str = ALARM) -> None:
        self._database, self._process = database, process

    def beat(self, moment: datetime, said: str) -> None:
        """
        Record that the process lives; `said` is what it did.
        """
        with self._database.session(WRITER) as session:
            session.execute(
                "INSERT INTO heartbeats (process, beaten_at, said) VALUES (%s, %s, %s) "
                "ON CONFLICT (process) DO UPDATE SET beaten_at = excluded.beaten_at, said = excluded.said",
                [self._process, moment, said],
            )

    def last_beat(self) -> datetime | None:
        return self._one("SELECT max(beaten_at) FROM heartbeats WHERE process = %s", [self._process])

    def last_recorded(self) -> datetime | None:
        return self._one("SELECT recorded_at FROM commits ORDER BY first_position DESC LIMIT 1", [])

    def _one(self, query: Any, values: list[object]) -> datetime | None:
        with self._database.session(READER) as session:
            found: Any = session.execute(query, values).fetchone()
        return found[0] if found else None


def alarm_lives(database: Database, *, now: datetime) -> Check:
    """
    Tell whether the alarm clock, where there is one, lived in the last 26 hours.
    """
    last = Heartbeats(database).last_beat()
    if last is None:
        return Check(name="alarm clock", ok=True, sentence="None has run on this database.")
    lives = now - last <= SILENT_MAX
    since = f"It last lived on {last:%Y-%m-%d at %H:%M %Z}"
    return Check(
        name="alarm clock",
        ok=lives,
        sentence=f"{since}." if lives else f"{since}; start it again: backoffice schedule.",
    )
