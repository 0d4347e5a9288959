"""
Control totals of a run from the read models: what people see must be what the run did.

The event table is counted here by type, the read model by run; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple

from adapters.postgres.database import Database
from application.jobs import Job
from application.runs.ports import Registered, Totals
from application.runs.settle import ControlSource
from domain.events import Event
from domain.run import Control
from domain.zorgkas_affiliation import (
    InvitationIssued,
    RegisteredLetterIssued,
    ReminderIssued,
    ReportCorrected,
    ReportedToAgency,
    YearMissed,
)

_EVENTS_SQL: Final[LiteralString] = """
SELECT count(*) FROM commits
JOIN events ON events.notification_id BETWEEN commits.first_position AND commits.last_position
WHERE commits.run = %(run)s AND split_part(events.topic, '/', 1) = %(type)s
"""
_LETTERS_SQL: Final[LiteralString] = (
    "SELECT count(*), coalesce(sum(amount_cents), 0)::bigint FROM rm_letters.letter WHERE run = %(run)s"
)
_REPORTS_SQL: Final[LiteralString] = (
    "SELECT count(*), coalesce(sum(amount_cents), 0)::bigint FROM rm_letters.agency_report WHERE run = %(run)s"
)
_CORRECTIONS_SQL: Final[LiteralString] = (
    "SELECT count(*), NULL::bigint FROM rm_letters.agency_report WHERE correction_run = %(run)s"
)
_MISSES_SQL: Final[LiteralString] = (
    "SELECT count(*), NULL::bigint FROM rm_premium_account.premium_year WHERE missed_run = %(run)s"
)


class _Shown(NamedTuple):
    """
    Where the events of a run show: the read model, and the query that counts them there (cents or NULL).
    """

    model: str
    words: str
    query: LiteralString


_SHOWN: Final[Mapping[type[Event], _Shown]] = {
    InvitationIssued: _Shown("letters", "letters", _LETTERS_SQL),
    ReminderIssued: _Shown("letters", "letters", _LETTERS_SQL),
    RegisteredLetterIssued: _Shown("letters", "letters", _LETTERS_SQL),
    ReportedToAgency: _Shown("letters", "reported", _REPORTS_SQL),
    ReportCorrected: _Shown("letters", "corrected", _CORRECTIONS_SQL),
    YearMissed: _Shown("premium_account", "missed years", _MISSES_SQL),
}


def model_that_shows(event: type[Event]) -> str | None:
    """
    Return the read model in which a run's events of this type are counted; None for one that shows in none.
    """
    shown = _SHOWN.get(event)
    return None if shown is None else shown.model


def read_model_controls(
    database: Database, jobs: Mapping[str, Job], *, catch_up: Callable[[Sequence[str]], int]
) -> ControlSource:
    """
    Return what compares a run with the read models; they are brought up to the last recorded event first.
    """

    def controls(run: Registered, totals: Totals) -> Sequence[Control]:
        job = jobs[run.key.job]
        shown = _SHOWN.get(job.makes)
        if shown is None:
            return ()
        catch_up((shown.model,))
        with database.session() as session:
            event_type = f"{job.aggregate.context}.{job.makes.__name__}"
            recorded: Any = session.execute(_EVENTS_SQL, {"run": run.run, "type": event_type}).fetchone()
            found: Any = session.execute(shown.query, {"run": run.run}).fetchone()
        told = [Control(name=f"{shown.words}: event table = read model", expected=recorded[0], actual=found[0])]
        if found[1] is not None:
            told.append(Control(name="cents: run = read model", expected=totals.amount_cents, actual=found[1]))
        return told

    return controls
