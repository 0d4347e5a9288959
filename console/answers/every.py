"""
What `--json` answers, one record per command; `docs/schemas/` is made from these, and a test keeps it so.

Amounts are whole cents (`_cents`), dates YYYY-MM-DD, ids UUIDs. Fields are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from adapters.postgres.differences import Difference
from adapters.postgres.looking import (
    Chain,
    ModelStatus,
    StatementView,
    WorkItem,
    Worklist,
    YearView,
)
from adapters.postgres.looking_at_letters import LetterView
from application.explaining import Explanation
from application.money_in import StatementReport
from application.suggesting import Suggestion
from application.take_commands import Answered
from console.answers.answer import Answer
from console.answers.of_kafka import ANSWERS_OF_KAFKA
from console.answers.of_letters import LetterList, LetterMade, LettersMade, Proved
from console.answers.of_runs import (
    AgencyFile,
    DateClosed,
    Executed,
    Planned,
    RunList,
    RunMoved,
    RunShown,
    Settled,
    Worked,
)
from console.answers.of_statements import StatementList, StatementMoved
from console.demo.end import Demonstrated


class Failed(Answer, frozen=True, kw_only=True):
    """
    What every command answers when it could not do what was asked; the exit code says which kind it is.
    """

    class Error(msgspec.Struct, frozen=True, kw_only=True):
        """
        `code` is stable; `message` is for people. `line`, `column` and `field` say where in a file; `others` what
        else is wrong with it.
        """

        code: str
        message: str
        rule: str = ""
        line: int | None = None
        column: int | None = None
        field: str = ""
        others: Sequence[str] = ()

    error: Error


class Prepared(Answer, frozen=True, kw_only=True):
    """
    `init`, `migrate`: the migrations that were applied now, and the accounts that are open.
    """

    migrations: Sequence[str]
    accounts: Sequence[str]
    home: str


class ImportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    One file: taken, already imported, waiting for an earlier statement, or rejected (`error`).

    `answers` has one entry per command, or per command that was refused when all answers go to a file.
    """

    file: str
    kind: Literal["commands", "bank", "unknown"]
    state: Literal["taken", "already_imported", "waiting", "rejected"]
    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    refusals: Mapping[str, int] = {}
    statements: Sequence[StatementReport] = ()
    answers: Sequence[Mapping[str, Any]] = ()
    error: Failed.Error | None = None


class Imported(Answer, frozen=True, kw_only=True):
    """
    `import`: every file with what became of it; in a `dry_run` with what would have, and nothing was recorded.
    """

    files: Sequence[ImportedFile]
    dry_run: bool = False


class CalendarLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    One job of one year. `planned` is its day, `latest` the last lawful one, `waits_for` what stands in the way.
    """

    job: str
    year: int
    status: str
    planned: date
    latest: date | None
    phase: str
    waits_for: str
    left_over: int
    run: UUID | None = None
    rules: Sequence[str] = ()


class Today(Answer, frozen=True, kw_only=True):
    """
    `today`: the legal calendar, the worklists and the chains of statements, as they stand on a day.
    """

    on: date
    since: date
    calendar: Sequence[CalendarLine]
    worklists: Sequence[Worklist]
    accounts: Sequence[Chain]
    alarm_lived_at: datetime | None = None


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """
    Days from `start` up to, not including, `end`.
    """

    start: date
    end: date | None = None


class MemberShown(Answer, frozen=True, kw_only=True):
    """
    `show member`: what rules see of a member. `personal` is filled only with `--reveal`, which is logged.
    """

    member: UUID
    birth_year: int | None
    residences: Sequence[tuple[date, str]]
    cm_membership: Sequence[Period]
    verhoogde_tegemoetkoming: Sequence[Period]
    email: str
    died_on: date | None
    affiliation: str
    years: Sequence[YearView]
    credit_cents: int
    letters: Sequence[LetterView]
    personal: Mapping[str, str] = {}


class LetterShown(Answer, frozen=True, kw_only=True):
    """
    `show letter`.
    """

    letter: LetterView


class StatementShown(Answer, frozen=True, kw_only=True):
    """
    `show statement`.
    """

    statement: StatementView


class WorklistShown(Answer, frozen=True, kw_only=True):
    """
    `show worklist`: one page.
    """

    name: str
    items: Sequence[WorkItem]


class Suggested(Answer, frozen=True, kw_only=True):
    """
    `worklist suggest`: whose money it may be, the most likely first, each with why.
    """

    movement: UUID
    amount_cents: int
    open_cents: int
    value_date: date
    because: str
    suggestions: Sequence[Suggestion]


class Decided(Answer, frozen=True, kw_only=True):
    """
    `worklist allocate`, `return`, `explain`: the answer to the command, as an import would give it.
    """

    command_id: UUID
    outcome: str
    repeated: bool
    detail: Mapping[str, Any]


class Explained(Answer, frozen=True, kw_only=True):
    """
    `explain`: the year of a member in sentences.
    """

    explanation: Explanation


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """
    One read model: what was folded, what differs, and whether the new one is in use now.
    """

    name: str
    events: int
    differences: Sequence[Difference]
    swapped: bool


class Projected(Answer, frozen=True, kw_only=True):
    """
    `project`: how far each read model is; after `run` how many events were read, after `rebuild` what came of it.
    """

    models: Sequence[ModelStatus]
    read: int = 0
    rebuilt: Sequence[Rebuilt] = ()


class Rang(Answer, frozen=True, kw_only=True):
    """
    `schedule --once`: what the alarm clock did about each line of the calendar.
    """

    class Did(msgspec.Struct, frozen=True, kw_only=True):
        """
        The steps taken for one job of one year, and the sentence that stopped it, if one did.
        """

        job: str
        year: int
        business_date: date | None
        steps: Sequence[str]
        stopped: str

    on: date
    did: Sequence[Did]


class CheckLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    One check of `doctor`.
    """

    name: str
    ok: bool
    sentence: str


class Examined(Answer, frozen=True, kw_only=True):
    """
    `doctor`: every check, good and bad.
    """

    ok: bool
    checks: Sequence[CheckLine]


class Ids(Answer, frozen=True, kw_only=True):
    """
    `ids`: new member ids.
    """

    ids: Sequence[UUID]


class QuarantinedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    One rejected file; nothing here comes out of the file itself.
    """

    sha256: str
    size: int
    code: str
    sentence: str
    rejected_at: datetime
    by: str


class Quarantined(Answer, frozen=True, kw_only=True):
    """
    `show quarantine`: rejected files, oldest first.
    """

    files: Sequence[QuarantinedFile]


#: Which record each command answers with `--json`.
ANSWERS: Final[Mapping[str, type[Answer]]] = {
    "error": Failed,
    "init": Prepared,
    "migrate": Prepared,
    "import": Imported,
    "run plan": Planned,
    "run show": RunShown,
    "run approve": RunMoved,
    "run abandon": RunMoved,
    "run close": DateClosed,
    "run execute": Executed,
    "run settle": Settled,
    "run file": AgencyFile,
    "run list": RunList,
    "worker": Worked,
    "letters make": LettersMade,
    "letters single": LetterMade,
    "letters list": LetterList,
    "letters proof": Proved,
    "today": Today,
    "show member": MemberShown,
    "show run": RunShown,
    "show letter": LetterShown,
    "show statement": StatementShown,
    "show worklist": WorklistShown,
    "show quarantine": Quarantined,
    "worklist suggest": Suggested,
    "worklist allocate": Decided,
    "worklist return": Decided,
    "worklist explain": Decided,
    "statements list": StatementList,
    "statements accept": StatementMoved,
    "statements approve": StatementMoved,
    "statements discard": StatementMoved,
    "statements explain": StatementMoved,
    "explain": Explained,
    "project status": Projected,
    "project run": Projected,
    "project rebuild": Projected,
    "projector": Projected,
    "schedule": Rang,
    "doctor": Examined,
    "ids": Ids,
    "demo": Demonstrated,
    **ANSWERS_OF_KAFKA,
}


def json_schema(command: str) -> dict[str, Any]:
    """
    Return the JSON Schema of what a command answers with `--json`.
    """
    schema = msgspec.json.schema(ANSWERS[command])
    title = f"The answer of: backoffice {command}" if command != "error" else "The answer of any command that failed"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def answer_line(answered: Answered) -> dict[str, Any]:
    """
    Return one line of a file of answers.
    """
    return {
        "line": answered.line,
        "command_id": str(answered.answer.command_id),
        "outcome": answered.answer.outcome,
        "repeated": answered.repeated,
        **answered.answer.detail,
    }
