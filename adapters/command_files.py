"""
Files of commands: every line becomes a command or the whole file is refused, before anything is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from application.commands import AnyCommand
from formats.jsonl import read_lines, read_object, write_lines
from formats.rejections import InputRejected

#: Problems beyond these are not looked for: who gets so many sends the file again anyway.
PROBLEMS_MAX: Final = 20
_PLACE: Final = re.compile(r" - at `\$\.?(?P<place>[^`]*)`$")
_FIELD: Final = re.compile(r"required field `(?P<field>\w+)`")
_TYPES: Final = re.compile(r"Expected `(?P<wanted>[\w |]+)`, got `(?P<given>\w+)`$")
_LENGTH: Final = re.compile(r"Expected `\w+` (?:of length )?(?P<limit>(?:[<>]=? [0-9]+)|matching regex .*)$")


class LinesUnfit(InputRejected):
    """
    Lines of a file do not fit the schema. The first is the refusal itself; `others` are the sentences of the next ones.
    """

    def __init__(self, problems: Sequence[InputRejected]) -> None:
        first = problems[0]
        super().__init__(first.code, first.problem, line=first.line, field=first.field)
        self.others = [
            f"Line {each.line}{f', {each.field}' if each.field else ''}: {each.problem}." for each in problems[1:]
        ]


def read_commands(content: bytes) -> list[tuple[int, AnyCommand]]:
    """
    Return all commands of a file with their line numbers. Raises InputRejected; its text never holds a value.
    """
    commands: list[tuple[int, AnyCommand]] = []
    problems: list[InputRejected] = []
    for number, line in read_lines(content):
        try:
            commands.append((number, msgspec.convert(line, AnyCommand)))
        except msgspec.ValidationError as error:
            problems.append(_unfit(number, str(error)))
            if len(problems) == PROBLEMS_MAX:
                break
    if problems:
        raise LinesUnfit(problems)
    return commands


def read_command(content: bytes) -> AnyCommand:
    """
    Return one command that came by itself. Raises InputRejected; its text never holds a value.
    """
    found = read_object(content)
    try:
        command: AnyCommand = msgspec.convert(found, AnyCommand)
    except msgspec.ValidationError as error:
        raise _unfit(1, str(error)) from None
    return command


def write_answers(answers: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    """
    Yield the lines of a file of answers, in the form of the files that came in.
    """
    return write_lines(answers)


def _unfit(line: int, said: str) -> InputRejected:
    """
    Say it in our words: the library's sentence may hold what somebody wrote.
    """
    place = _PLACE.search(said)
    field = place["place"] if place else ""
    said = said[: place.start()] if place else said
    if missing := _FIELD.search(said):
        return InputRejected("SCHEMA", "the field is missing", line=line, field=_joined(field, missing["field"]))
    if "unknown field" in said:
        return InputRejected("SCHEMA", "it has a field that this command does not know", line=line, field=field)
    if field == "type" or said.startswith("Invalid value"):
        return InputRejected("SCHEMA", "there is no command of that type", line=line, field=field)
    if said.startswith("Invalid enum value"):
        return InputRejected("SCHEMA", "this is not one of the words it may be", line=line, field=field)
    if types := _TYPES.search(said):
        return InputRejected("SCHEMA", f"it is {types['given']}, not {types['wanted']}", line=line, field=field)
    if limit := _LENGTH.search(said):
        wanted = "has another form" if limit["limit"].startswith("matching") else f"must be {limit['limit']}"
        return InputRejected("SCHEMA", f"its length or size {wanted}", line=line, field=field)
    if "RFC3339" in said or "date" in said.lower():
        return InputRejected("SCHEMA", "a date is written as YYYY-MM-DD", line=line, field=field)
    if "UUID" in said:
        return InputRejected("SCHEMA", "this is not an id (a UUID)", line=line, field=field)
    return InputRejected("SCHEMA", "it does not fit the schema (backoffice import --schema)", line=line, field=field)


def _joined(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field
