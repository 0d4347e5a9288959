"""
The catalogue of the rules tells the truth: what is in force is named in code and in a test, and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.rule_catalogue import CatalogueUnreadable, Rule, load_rules, rules_page
from tests.house.house_rules import ROOT, TOP

_NUMBER = re.compile(r"\b(?:ZK|ZP|ZB|IP|WT|HF|HP|MK|RF)-[1-9][0-9]?\b")
_RANGE = re.compile(r"\b([A-Z]{2})-([0-9]+) to (?:[A-Z]{2}-)?([0-9]+)\b")


def numbers_in(text: str) -> set[str]:
    """
    Return the rule numbers that a text names; "ZP-1 to ZP-5" names five.
    """
    ranges = {
        f"{group}-{number}"
        for group, first, last in _RANGE.findall(text)
        for number in range(int(first), int(last) + 1)
    }
    return set(_NUMBER.findall(text)) | ranges


def numbers_below(*folders: str) -> set[str]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    # These two name numbers in order to check them.
    files = [path for path in files if path.parent.name != "house" and path.name != "rule_catalogue.py"]
    return set().union(*(numbers_in(path.read_text(encoding="utf-8")) for path in files))


def contradictions(rules: Mapping[str, Rule], *, in_code: set[str], in_tests: set[str]) -> list[str]:
    found = [f"{number} is not in docs/rules.yaml" for number in sorted((in_code | in_tests) - set(rules))]
    for number, rule in rules.items():
        if rule.status == "in_force" and number not in in_code:
            found.append(f"{number} is in force, but no code names it")
        if rule.status == "in_force" and number not in in_tests:
            found.append(f"{number} is in force, but no test names it")
        if rule.status == "planned" and number in in_code:
            found.append(f"{number} is planned, but code names it: is it kept?")
    return found


def test_every_rule_in_force_is_named_in_code_and_in_a_test_and_no_planned_one_is() -> None:
    code = numbers_below(*(top for top in TOP if top != "tests"))
    assert contradictions(load_rules(), in_code=code, in_tests=numbers_below("tests")) == []


def test_a_catalogue_that_does_not_tell_the_truth_is_seen() -> None:
    def rule(number: str, status: str) -> Rule:
        return Rule(number=number, status=status, source="test", sentence="A rule of a test.")

    rules = {each.number: each for each in (rule("ZP-1", "in_force"), rule("ZP-2", "partly"), rule("ZP-3", "planned"))}
    assert contradictions(rules, in_code={"ZP-1", "ZP-2"}, in_tests={"ZP-1"}) == []
    assert contradictions(rules, in_code=set(), in_tests={"ZP-1"}) == ["ZP-1 is in force, but no code names it"]
    assert contradictions(rules, in_code={"ZP-1"}, in_tests=set()) == ["ZP-1 is in force, but no test names it"]
    assert contradictions(rules, in_code={"ZP-1", "ZP-3"}, in_tests={"ZP-1"}) == [
        "ZP-3 is planned, but code names it: is it kept?"
    ]
    assert contradictions(rules, in_code={"ZP-1"}, in_tests={"ZP-1", "ZP-99"}) == ["ZP-99 is not in docs/rules.yaml"]


def test_a_range_names_every_number_in_it() -> None:
    assert numbers_in("Rules: ZP-1 to ZP-3, ZB-12.") == {"ZP-1", "ZP-2", "ZP-3", "ZB-12"}


def test_the_page_of_the_rules_is_made_from_the_catalogue(request: pytest.FixtureRequest) -> None:
    page = ROOT / "docs" / "rules.md"
    if request.config.getoption("--approve"):
        page.write_text(rules_page(load_rules()), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == rules_page(load_rules())


def test_the_rules_of_a_group_are_numbered_without_a_gap() -> None:
    groups: dict[str, list[int]] = {}
    for number in load_rules():
        group, index = number.split("-")
        groups.setdefault(group, []).append(int(index))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in groups.values()), groups


def test_a_catalogue_that_is_not_right_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    good = '{status: planned, source: "law", sentence: "A rule."}'
    path.write_text(
        f"ZP-1: {good}\nZP-1: {good}\nrule: {good}\nZP-2: {{status: maybe, source: a, sentence: b}}\nZP-3: {{status: planned}}\n"
    )
    with pytest.raises(CatalogueUnreadable) as refused:
        load_rules(path)
    assert [line.split(": ")[0] for line in str(refused.value).splitlines()[1:]] == [
        "rules.yaml:2",
        "rules.yaml:3",
        "rules.yaml:4",
        "rules.yaml:5",
    ]
