"""
The project's own catalogue of the rules, read from `docs/rules.yaml`: number, sentence, source, and whether it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, cast, get_args

import msgspec

from adapters.yaml_with_lines import Lined, Problems, read_yaml, unknown_keys
from domain.errors import Unreadable

RULES: Final = Path(__file__).resolve().parents[1] / "docs" / "rules.yaml"

Status = Literal["in_force", "partly", "planned"]
_NUMBER: Final = re.compile(r"[A-Z]{2}-[1-9][0-9]?")
_KEYS: Final = ("status", "source", "sentence")


class CatalogueUnreadable(Unreadable):
    """
    The catalogue of the rules cannot be used; correct what is named.
    """


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """
    One rule in our own words. `in_force` means that code and tests name it, `partly` that some of it is still to come.
    """

    number: str
    status: Status
    source: str
    sentence: str


def load_rules(path: Path = RULES) -> Mapping[str, Rule]:
    """
    Return the rules by number, in the order of the file. Raises CatalogueUnreadable, with all problems.
    """
    problems = Problems(path.name)
    content = read_yaml(path, problems) or {}
    rules = [_rule(number, entry, problems) for number, entry in content.items()]
    if problems.found:
        raise CatalogueUnreadable("\n".join([str(CatalogueUnreadable()), *problems.found]))
    return {rule.number: rule for rule in rules if rule is not None}


def _rule(number: str, entry: Lined, problems: Problems) -> Rule | None:
    if not _NUMBER.fullmatch(number) or not isinstance(entry.value, Mapping):
        problems.add(entry.line, "a rule stands under its number, such as ZB-2.")
        return None
    unknown_keys(entry.value, _KEYS, problems)
    texts = {key: entry.value[key].value for key in _KEYS if key in entry.value}
    if len(texts) < len(_KEYS) or not all(isinstance(text, str) and text.strip() for text in texts.values()):
        problems.add(entry.line, f"{number} needs {', '.join(_KEYS)}.")
        return None
    if texts["status"] not in get_args(Status):
        problems.add(entry.line, f"the status of {number} is one of {', '.join(get_args(Status))}.")
        return None
    status = cast(Status, texts["status"])
    return Rule(number=number, status=status, source=texts["source"], sentence=texts["sentence"])


def rules_page(rules: Mapping[str, Rule]) -> str:
    """
    Return `docs/rules.md`: the same catalogue as tables for people.
    """
    lines = ["# The rules", "", "Made from `rules.yaml` by the tests (`pytest --approve`); change it there.", ""]
    group = ""
    for rule in rules.values():
        if rule.number[:2] != group:
            group = rule.number[:2]
            lines += ["", f"## {group}: {_GROUPS[group]}", ""]
            lines += ["| number | rule | source | status |", "|---|---|---|---|"]
        lines.append(f"| {rule.number} | {rule.sentence} | {rule.source} | {rule.status.replace('_', ' ')} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


_GROUPS: Final = {
    "ZK": "CM-Zorgkas, who belongs to it",
    "ZP": "the zorgpremie and its payment",
    "ZB": "arrears, registered letter, fine",
    "IP": "insurance premiums",
    "WT": "waiting periods",
    "HF": "what CM-Hospitaalfix pays",
    "HP": "what CM-Hospitaalplan pays",
    "MK": "what CM-MediKo pays and when",
    "RF": "refunds and My CM",
}
