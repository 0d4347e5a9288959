"""
The gate before a schema is released: compatible with every version before it, for ever, and in a form nobody misreads.

Compatibility checkers look at names and types. They let pass what costs money: a scale, a unit that changed in a doc,
an enum without default. So these rules are narrower than FULL_TRANSITIVE; `differences_for_avro` asks the Avro
project's own checker as well (a library of development: CI has it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final, NamedTuple

from formats.avro import SchemaUnusable, json_copy, parsed, recursive
from formats.contract import Contract, Schema, canonical

UNKNOWN: Final = "UNKNOWN"
_LOGICAL: Final = {("int", "date"), ("string", "uuid"), ("long", "timestamp-micros")}
_TYPES: Final = frozenset({"null", "boolean", "int", "long", "string", "array", "record", "enum"})
_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MONEY: Final = re.compile(r"(^|_)(amount|price|balance|fee|cost|total|paid|open|owed)($|_)")
_EURO: Final = re.compile(r"\bIn euro|\beuros\b|€")
_DAY: Final = re.compile(r".*_on|.*_date|pay_by|.*_until")
_UNITS: Final = re.compile(r"\b(euro cents?|cents?|euros?|days?|weeks?|months?|years?|percent|seconds?|UTC|count)\b")
_PERSONAL: Final = re.compile(
    r"(^|_)(first_name|last_name|street|house_number|postcode|town|address|email|phone|iban|ogm|communication"
    r"|national_number|insz|rijksregisternummer|born_on|birth|barcode|reference|reason|remark|diagnosis)($|_)"
)


class Problem(NamedTuple):
    """
    One thing that is wrong: in which schema, at which field, by which rule of the gate, and what to do.
    """

    schema: str
    at: str
    rule: str
    sentence: str

    def __str__(self) -> str:
        where = f"{self.schema} {self.at}".strip()
        return f"{where}: {self.sentence} [{self.rule}]"


def problems_in(contract: Contract) -> list[Problem]:
    """
    Return everything that is wrong with a contract; empty when it may be released.
    """
    found: list[Problem] = []
    named: dict[str, tuple[str, str]] = {}
    for versions in contract.records.values():
        for schema in versions:
            personal = contract.topics[schema.topic].direction == "in"
            found += _alone(schema, personal_allowed=personal)
        found += _named_twice(versions[-1], named)
        for older, newer in combinations(versions, 2):
            found += between(older, newer)
            found += differences_for_avro(older, newer)
    return found


def checker_is_here() -> bool:
    """
    Tell whether the Avro project's own checker is installed; the rules of this module need nothing.
    """
    try:
        import avro.compatibility  # noqa: F401  # whether it is there
    except ImportError:
        return False
    return True


# --- One schema -------------------------------------------------------------------------------------------------------


def _alone(schema: Schema, *, personal_allowed: bool) -> Iterator[Problem]:
    def problem(at: str, rule: str, sentence: str) -> Problem:
        return Problem(schema.name, at, rule, sentence)

    if recursive(schema.raw):
        yield problem("", "recursive", "It contains itself, and a short message could end a reader; use an array.")
        return
    try:
        parsed(schema)
    except SchemaUnusable:
        yield problem("", "not-avro", "It is no Avro schema: a name or a type is wrong, or stands there twice.")
        return
    if not schema.raw.get("x-used-by"):
        yield problem("", "no-user", "Say in x-used-by who uses it.")
    first = next(iter(schema.raw["fields"]), {"name": ""})
    if not first["name"].endswith("_id"):
        yield problem(first["name"], "no-key", "The first field is the id that is the key of the message.")
    for at, part in parts_of(schema.raw):
        yield from (problem(at, rule, sentence) for rule, sentence in _part(part))
        if at and "namespace" in part:
            yield problem(at, "name", "A type inside a record has the record's namespace; registries drop it anyway.")
        for field in part.get("fields", ()) if part.get("type") == "record" else ():
            path = f"{at}.{field['name']}".lstrip(".")
            for rule, sentence in _field(field, personal_allowed=personal_allowed):
                yield problem(path, rule, sentence)


def parts_of(schema: Any, at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    Yield every type in a schema with where it stands, the schema itself first; plain names as `{"type": name}`.
    """
    if isinstance(schema, list):
        for branch in schema:
            yield from parts_of(branch, at)
        return
    part: Mapping[str, Any] = {"type": schema} if isinstance(schema, str) else schema
    if isinstance(part["type"], (dict, list)):  # {"type": {"type": "int", ...}}
        yield from parts_of(part["type"], at)
        return
    yield at, part
    if part["type"] == "record":
        for field in part["fields"]:
            yield from parts_of(field["type"], f"{at}.{field['name']}".lstrip("."))
    elif part["type"] == "array":
        yield from parts_of(part["items"], f"{at}[]")


def _part(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = part["type"]
    if kind not in _TYPES and "." not in kind:
        yield "type", f"`{kind}` is not used here: money is long cents, and there are no fractions, bytes or maps."
    if "logicalType" in part and (kind, part["logicalType"]) not in _LOGICAL:
        yield "type", "Only int date, string uuid and long timestamp-micros are used."
    if kind in {"record", "enum"}:
        if not str(part.get("doc", "")).strip():
            yield "no-doc", "Say in `doc` what it is."
        if part.get("aliases"):
            yield "alias", "Nothing is ever renamed, so nothing has an alias."
        names = [field["name"] for field in part.get("fields", ())]
        if len(set(names)) != len(names):
            yield "not-avro", "A field stands there twice."
        if kind == "record" and not names:
            yield "empty", "A record without fields takes no bytes: an array of it could be endless."
    if kind == "array" and part["items"] == "null":
        yield "empty", "A null takes no bytes: an array of it could be endless."
    if kind == "enum" and (part.get("default") != UNKNOWN or UNKNOWN not in part["symbols"]):
        yield "enum-default", f"An enum has the symbol and default {UNKNOWN}, for readers older than a new symbol."


def _field(field: Mapping[str, Any], *, personal_allowed: bool) -> Iterator[tuple[str, str]]:
    name, kinds = field["name"], _kinds(field["type"])
    doc = str(field.get("doc", "")).strip()
    if not doc:
        yield "no-doc", "Say in `doc` what it means, and its unit."
    if field.get("aliases"):
        yield "alias", "Nothing is ever renamed, so nothing has an alias."
    allowed = {"none", "pseudonym", "personal"} if personal_allowed else {"none", "pseudonym"}
    if field.get("x-data") not in allowed:
        yield "x-data", "Say in x-data whether it is none or pseudonym; anything more personal is not published."
    if not _SNAKE.fullmatch(name):
        yield "name", "Fields are named in small letters with underscores."
    if _PERSONAL.search(name):
        yield "personal", "The name is that of personal data, or of a text that people write; it is not published."
    yield from _named_as_typed(name, kinds, doc, field)
    if isinstance(field["type"], list) and (len(kinds) != 2 or kinds[0] != ("null", None) or "default" not in field):
        yield "union", "A union is null, then one type, with the default null."
    if "default" in field and field["default"] is not None and isinstance(field["type"], list):
        yield "union", "The default of a field that may be empty is null."


def _named_as_typed(
    name: str, kinds: list[tuple[str, str | None]], doc: str, field: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    kind = kinds[-1]
    if name.endswith("_cents"):
        if kind != ("long", None):
            yield "money", "An amount is a long in cents."
        if "euro cents" not in doc:
            yield "money", "Say `In euro cents.` in the doc."
    elif kind[0] in {"int", "long", "float", "double", "string"} and kind[1] is None and _MONEY.search(name):
        yield "money", "An amount is named <what>_cents and is a long."
    elif _EURO.search(doc):
        yield "money", "Its doc speaks of euros, so it is named <what>_cents."
    if _DAY.fullmatch(name) and kind != ("int", "date"):
        yield "day", "A day is an int with logicalType date."
    if name.endswith("_at") and kind != ("long", "timestamp-micros"):
        yield "moment", "A moment is a long with logicalType timestamp-micros."
    if name.endswith("_id") and (kind != ("string", "uuid") or field.get("x-data") != "pseudonym"):
        yield "id", "An id is a string with logicalType uuid, and x-data pseudonym."


def _kinds(of: Any) -> list[tuple[str, str | None]]:
    """
    Return type and logical type; of a union those of its branches.
    """
    if isinstance(of, list):
        return [kind for branch in of for kind in _kinds(branch)]
    if isinstance(of, str):
        return [(of, None)]
    if isinstance(of["type"], (dict, list)):
        return _kinds(of["type"])
    return [(of["type"], of.get("logicalType"))]


def _named_twice(schema: Schema, named: dict[str, tuple[str, str]]) -> Iterator[Problem]:
    for at, part in parts_of(schema.raw):
        if part["type"] in {"record", "enum"} and at:
            full_name = f"{part.get('namespace', schema.record.rpartition('.')[0])}.{part['name']}"
            text = canonical(part)
            other, known = named.setdefault(full_name, (schema.name, text))
            if known != text:
                sentence = f"`{full_name}` is something else in {other}; one name has one meaning."
                yield Problem(schema.name, at, "named-twice", sentence)


# --- Two versions -----------------------------------------------------------------------------------------------------


def between(older: Schema, newer: Schema) -> list[Problem]:
    """
    Return why `newer` may not follow `older`: in both directions, each must read what the other wrote, and mean it.
    """
    name = f"{newer.name} after {older.version}"
    if older.text == newer.text:
        sentence = f"It is version {older.version} again; a version is for a change, so remove the file."
        return [Problem(name, "", "same", sentence)]
    return [Problem(name, at, rule, sentence) for at, rule, sentence in _record(older.raw, newer.raw, "")]


_Found = Iterator[tuple[str, str, str]]


def _record(older: Mapping[str, Any], newer: Mapping[str, Any], at: str) -> _Found:
    before = {field["name"]: field for field in older["fields"]}
    after = {field["name"]: field for field in newer["fields"]}
    if before.keys() & after.keys() and next(iter(before)) != next(iter(after)):
        yield at, "no-key", "Another field is the first one now: the key of the message would be another."
    added = [field for name, field in after.items() if name not in before]
    for name, field in before.items():
        path = f"{at}.{name}".lstrip(".")
        if name in after:
            yield from _field_pair(field, after[name], path)
            continue
        twin = next((each for each in added if canonical(each["type"]) == canonical(field["type"])), None)
        if twin is not None:
            yield path, "renamed", f"It seems to be called `{twin['name']}` now; a field keeps its name for ever."
        else:
            yield path, "removed", "A field is never removed; write no value, or null, when it may be empty."
    for field in added:
        if not isinstance(field["type"], list) or field.get("default", ...) is not None:
            path = f"{at}.{field['name']}".lstrip(".")
            yield path, "added", "An added field may be empty: a union of null and its type, with the default null."


def _field_pair(older: Mapping[str, Any], newer: Mapping[str, Any], at: str) -> _Found:
    if older.get("default", ...) != newer.get("default", ...):
        yield at, "default", "A default keeps its value: readers would see another amount in the same bytes."
    if older.get("x-data") != newer.get("x-data"):
        yield at, "x-data", "How personal a field is does not change; publish another field."
    if older.get("doc") and not newer.get("doc"):
        yield at, "doc-removed", "Its doc was removed; put it back."
    elif _units(older) != _units(newer):
        yield at, "unit", "Its doc speaks of another unit: the same bytes would mean something else. Add a field."
    yield from _type_pair(older["type"], newer["type"], at)


def _units(field: Mapping[str, Any]) -> list[str]:
    return sorted({unit.lower().rstrip("s") for unit in _UNITS.findall(str(field.get("doc", "")))})


def _type_pair(older: Any, newer: Any, at: str) -> _Found:
    if isinstance(older, list) and isinstance(newer, list) and len(older) == len(newer):
        for one, other in zip(older, newer, strict=True):
            yield from _type_pair(one, other, at)
        return
    if isinstance(older, Mapping) and isinstance(newer, Mapping) and older.get("type") == newer.get("type"):
        kind = older["type"]
        if kind == "array":
            yield from _type_pair(older["items"], newer["items"], f"{at}[]")
            return
        if kind in {"record", "enum"} and (older["name"], older.get("namespace")) == (
            newer["name"],
            newer.get("namespace"),
        ):
            if older.get("doc") and not newer.get("doc"):
                yield at, "doc-removed", "Its doc was removed; put it back."
            yield from _record(older, newer, at) if kind == "record" else _enum(older, newer, at)
            return
    if canonical(older) != canonical(newer):
        yield at, "type", "Its type (or logical type, precision or scale) changed; add a field instead."


def _enum(older: Mapping[str, Any], newer: Mapping[str, Any], at: str) -> _Found:
    if newer["symbols"][: len(older["symbols"])] != older["symbols"]:
        yield at, "enum-symbols", "Symbols are only added, at the end; none is removed, renamed or moved."
    if older.get("default") != newer.get("default"):
        yield at, "enum-default", "The default of an enum stays what it is."


def differences_for_avro(older: Schema, newer: Schema) -> list[Problem]:
    """
    Return why the Avro project's own checker finds two versions not FULL compatible; nothing where it is not installed.
    """
    if not checker_is_here():
        return []
    import avro.schema
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
    from avro.errors import AvroException

    found = []
    parse = avro.schema.make_avsc_object
    checker: Any = ReaderWriterCompatibilityChecker
    try:
        schemas = [(each, parse(json_copy(each.raw), validate_names=False)) for each in (older, newer)]
    except AvroException:
        return [Problem(newer.name, "", "not-avro", "It, or the version before it, is no Avro schema.")]
    for (reader, reading), (writer, writing) in (schemas[::-1], schemas):
        result = checker().get_compatibility(reading, writing)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            sentence = f"Version {reader.version} cannot read what version {writer.version} wrote."
            found.append(Problem(newer.name, ", ".join(sorted(result.locations)), "full-transitive", sentence))
    return found
