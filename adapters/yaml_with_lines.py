"""
Strict YAML: the safe subset, no key twice, and every value with the line that it stands on.

The reader collects problems instead of stopping at the first, so that a person corrects a file once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_STRING, _INT, _BOOL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool"
_DATE, _NULL = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:null"


class Lined(NamedTuple):
    """
    A value and its line: text, a whole number, a boolean, a date, None, a mapping or a sequence of these.
    """

    value: Any
    line: int


class Problems:
    """
    What is wrong in one file; each problem is a sentence that begins with file and line.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[str] = []

    def add(self, line: int, sentence: str) -> None:
        self.found.append(f"{self.file}:{line}: {sentence}")


def read_yaml(path: Path, problems: Problems) -> Mapping[str, Lined] | None:
    """
    Return the mapping that a file holds, or None after adding to `problems` why it cannot be read.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(mark.line + 1 if mark else 1, f"this is not YAML ({error.problem or error.context}).")
        return None
    except (yaml.YAMLError, UnicodeDecodeError):
        problems.add(1, "this is not UTF-8 text that YAML allows.")
        return None
    if not isinstance(node, yaml.MappingNode):
        problems.add(1, "the file must hold `name: value` lines.")
        return None
    return _mapping(node, problems)


def _value(node: yaml.Node, problems: Problems) -> Lined:
    line = node.start_mark.line + 1
    match node:
        case yaml.MappingNode():
            return Lined(_mapping(node, problems), line)
        case yaml.SequenceNode():
            return Lined([_value(each, problems) for each in node.value], line)
        case _:
            return Lined(_scalar(node, line, problems), line)


def _mapping(node: yaml.MappingNode, problems: Problems) -> Mapping[str, Lined]:
    mapping: dict[str, Lined] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.add(line, "a key is one word or one date.")
        elif key.value in mapping:
            problems.add(line, f"`{key.value}` stands here for the second time; keep one.")
        else:
            # The line of the key: for a value that is missing there is no other.
            mapping[key.value] = _value(value, problems)._replace(line=line)
    return mapping


def _scalar(node: yaml.Node, line: int, problems: Problems) -> object:
    text = str(node.value)
    match node.tag:
        case tag if tag == _STRING:
            return text
        case tag if tag == _NULL:
            return None
        case tag if tag == _BOOL and text in {"true", "false"}:
            return text == "true"
        case tag if tag == _INT and _WHOLE_NUMBER.fullmatch(text):
            return int(text)
        case tag if tag == _DATE and (day := date_of(text)) is not None:
            return day
    problems.add(line, f"`{text}` may be read in two ways; write a plain whole number, a YYYY-MM-DD or quoted text.")
    return None


def date_of(text: str) -> date | None:
    """
    Return the date that is written as YYYY-MM-DD, or None.
    """
    try:
        return date.fromisoformat(text) if len(text) == 10 and text[4] == text[7] == "-" else None
    except ValueError:
        return None


def unknown_keys(mapping: Mapping[str, Lined], allowed: Sequence[str], problems: Problems) -> None:
    """
    Add a problem for every key that is not allowed, such as a spelling mistake.
    """
    for key, lined in mapping.items():
        if key not in allowed:
            problems.add(lined.line, f"`{key}` is not known here; allowed are {', '.join(allowed)}.")
