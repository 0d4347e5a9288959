"""
Taking commands, many at a time: load, decide each, append once; every command has its answer in the same transaction.

A refused command records nothing but its answer, and does not stop the others. Sent again, it is not decided again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from application.commands import AnyCommand
from application.deciding import HANDLERS, Context
from application.ports import Answer, Commit, EventStore, IdReused, MarkTaken, MemberErased, Unit, WrittenMeanwhile
from application.work import Need, Work
from domain.errors import BackofficeError, Conflict, NotFound, Refused, Unreadable
from domain.ids import derived_key

CHUNK_COMMANDS: Final = 1_000
ATTEMPTS_MAX: Final = 10


class TooManyConflicts(Conflict):
    """
    Other writers kept changing the same member; nothing was done, send the command again.
    """


class Answered(NamedTuple):
    """
    The answer to the command of one line; `repeated` when it was given before and nothing happened now.
    """

    line: int
    answer: Answer
    repeated: bool


class Sender(NamedTuple):
    """
    Who sends commands, for which business date, and through what (such as `import`).
    """

    actor: str
    business_date: date
    cause: str


def digest_of(command: AnyCommand) -> str:
    """
    Return the SHA-256 of a command's content, by which a reused id is recognised.
    """
    return hashlib.sha256(msgspec.json.encode(command)).hexdigest()


def take_commands(
    store: EventStore,
    lines: Sequence[tuple[int, AnyCommand]],
    *,
    context: Context,
    sender: Sender,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Answered]:
    """
    Take the commands in order and yield an answer for each. Stopped anywhere and started again, the answers are the
    same.
    """
    for start in range(0, len(lines), CHUNK_COMMANDS):
        chunk = lines[start : start + CHUNK_COMMANDS]
        yield from _take_chunk(store, chunk, context, sender)
        progress(len(chunk))


def _take_chunk(
    store: EventStore, chunk: Sequence[tuple[int, AnyCommand]], context: Context, sender: Sender
) -> list[Answered]:
    known = dict(store.answers([command.command_id for _, command in chunk]))
    fresh: dict[UUID, AnyCommand] = {}
    for _, command in chunk:
        if command.command_id not in known:
            fresh.setdefault(command.command_id, command)
    given = _decide_all(store, list(fresh.values()), context, sender)
    answered = []
    first_time = set(given)
    for line, command in chunk:
        answer = given.get(command.command_id) or known[command.command_id]
        if answer.digest != digest_of(command):
            answered.append(Answered(line, _refusal(command, IdReused()), repeated=False))
        else:
            answered.append(Answered(line, answer, repeated=command.command_id not in first_time))
            first_time.discard(command.command_id)
    return answered


def _decide_all(
    store: EventStore, commands: Sequence[AnyCommand], context: Context, sender: Sender
) -> dict[UUID, Answer]:
    if not commands:
        return {}
    try:
        return _in_one_transaction(store, commands, context, sender)
    except (WrittenMeanwhile, MarkTaken, MemberErased):
        # One of them met another writer, a number already in use or an erased member: which one shows when each goes
        # alone.
        return {command.command_id: _alone(store, command, context, sender) for command in commands}


def _alone(store: EventStore, command: AnyCommand, context: Context, sender: Sender) -> Answer:
    for _ in range(ATTEMPTS_MAX):
        try:
            return _in_one_transaction(store, [command], context, sender)[command.command_id]
        except WrittenMeanwhile:
            if found := store.answers([command.command_id]).get(command.command_id):
                return found
        except (MarkTaken, MemberErased) as refused:
            answer = _refusal(command, refused)
            with store.transaction(_commit([command], sender)) as unit:
                unit.answer(answer)
            return answer
    raise TooManyConflicts(attempts=ATTEMPTS_MAX)


def _in_one_transaction(
    store: EventStore, commands: Sequence[AnyCommand], context: Context, sender: Sender
) -> dict[UUID, Answer]:
    with store.transaction(_commit(commands, sender)) as unit:
        work = Work(unit)
        work.load(need for command in commands for need in _needs_of(command))
        answers = {command.command_id: _decide(command, work, context) for command in commands}
        work.save()
        _keep(unit, answers.values())
    return answers


def _needs_of(command: AnyCommand) -> Sequence[Need]:
    """
    Return what to load beforehand; nothing for a command with an id that is none, which the decision will refuse.
    """
    try:
        return HANDLERS[type(command)].needs(command)
    except BackofficeError:
        return ()


def _keep(unit: Unit, answers: Any) -> None:
    for answer in answers:
        unit.answer(answer)


def _decide(command: AnyCommand, work: Work, context: Context) -> Answer:
    try:
        detail = HANDLERS[type(command)].decide(command, work, context)
    except (Refused, NotFound, Unreadable) as refused:
        work.forget()
        return _refusal(command, refused)
    work.keep()
    return _answer(command, "accepted", detail)


def _refusal(command: AnyCommand, refused: BackofficeError) -> Answer:
    detail: dict[str, Any] = {"code": refused.name(), "message": str(refused)}
    if refused.rule:
        detail["rule"] = refused.rule
    return _answer(command, "refused", detail)


def _answer(command: AnyCommand, outcome: Literal["accepted", "refused"], detail: dict[str, Any]) -> Answer:
    return Answer(command_id=command.command_id, digest=digest_of(command), outcome=outcome, detail=detail)


def _commit(commands: Sequence[AnyCommand], sender: Sender) -> Commit:
    first, last = commands[0].command_id, commands[-1].command_id
    return Commit(
        command_id=first if first == last else derived_key("commands", str(first), str(last), str(len(commands))),
        actor=sender.actor,
        business_date=sender.business_date,
        cause=sender.cause,
    )
