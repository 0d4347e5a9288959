"""
One at a time: who does something first does it, who comes second is told since when and by whom.

A session's advisory lock is let go when the program ends, however it ends; nothing is left to clean up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from adapters.postgres.database import Connection, Database
from domain.errors import Conflict

#: Long enough for a small file that another one is importing.
WAIT_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.1
_CLASS: Final = 7_340_022  # the number is ours and means nothing


class AlreadyRunning(Conflict):
    """
    Somebody else is doing this now; look again when they are done.
    """


@contextmanager
def only_one(database: Database, what: str, *, actor: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """
    Do the block as the only one on this database. Raises AlreadyRunning after waiting a moment.
    """
    with database.connect(None, autocommit=True) as session:
        session.execute("SELECT set_config('application_name', %s, false)", [f"{what[:20]} by {actor}"[:63]])
        tries = max(1, round(wait_seconds / _POLL_SECONDS))
        for _ in range(tries):
            if _locked(session, what):
                break
            time.sleep(_POLL_SECONDS)
        else:
            raise AlreadyRunning(None, what=what, **_holder(session, what))
        yield


def _locked(session: Connection, what: str) -> bool:
    found: Any = session.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_CLASS, what]).fetchone()
    return bool(found[0])


def _holder(session: Connection, what: str) -> dict[str, object]:
    found: Any = session.execute(
        "SELECT to_char(a.backend_start AT TIME ZONE 'Europe/Brussels', 'YYYY-MM-DD HH24:MI'), a.application_name "
        "FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.classid = %s::bigint::oid AND l.objid = (hashtext(%s)::bigint & 4294967295)::oid",
        [_CLASS, what],
    ).fetchone()
    if not found or not found[0]:
        return {}
    return {"since": found[0], "by": found[1].rpartition(" by ")[2]}
