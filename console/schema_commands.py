"""
`backoffice schema`: what is promised to subscribers, whether it may be released, and the act of releasing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from console.answers.of_kafka import PagesWritten, SchemaLine, SchemaList, SchemasChecked, SchemaShown, SchemasPublished
from console.asking import Asked, asks
from console.exits import Exit
from console.output import count, give, out, say, table
from domain.errors import Refused
from formats.catalogue_gate import problems_in_catalogue
from formats.contract import SCHEMAS, Contract, ReleasedTopic, Schema, Topic, load
from formats.schema_gate import Problem, checker_is_here, problems_in
from formats.subscriber_pages import pages

if TYPE_CHECKING:
    from adapters.kafka.schema_registry import Difference, Registered, SchemaRegistry

PAGES = SCHEMAS.parent / "docs" / "subscribers"


class GateClosed(Refused):
    """
    The schemas may not be released; `backoffice schema check` says why.
    """


# --- What the commands do, without a screen ---------------------------------------------------------------------------


def not_released(contract: Contract) -> list[Schema]:
    """
    Return the schemas that have no id yet.
    """
    return [schema for versions in contract.records.values() for schema in versions if not schema.id]


def pin(folder: Path) -> list[Schema]:
    """
    Give every schema that has no id the next one, by adding to ids.yaml, and a new topic its line in
    released-topics.yaml; return the schemas. Raises GateClosed.
    """
    contract = load(folder)
    fresh = not_released(contract)
    if not fresh:
        return []
    if _all_problems(contract) or not checker_is_here():
        raise GateClosed(checker="installed" if checker_is_here() else "not installed, it comes with development")
    first = max(contract.by_id, default=0) + 1
    pinned = [schema._replace(id=number) for number, schema in enumerate(fresh, start=first)]
    lines = [f"  {one.id}: {{record: {one.record}, version: {one.version}, sha256: {one.sha256}}}\n" for one in pinned]
    topics = sorted({schema.topic for schema in fresh} - contract.released_topics.keys())
    _add(folder / "released-topics.yaml", [_line(contract.topics[name]) for name in topics])
    _add(folder / "ids.yaml", lines)
    return pinned


def _line(topic: Topic) -> str:
    said = msgspec.structs.asdict(ReleasedTopic.of(topic))
    return f"  {topic.name}: {{{', '.join(f'{name}: {json.dumps(value)}' for name, value in said.items())}}}\n"


def _add(path: Path, lines: Sequence[str]) -> None:
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\n" + "".join(lines), encoding="utf-8")


def register(contract: Contract, url: str) -> list[Registered]:
    """
    Register all released schemas. Raises GateClosed and what `SchemaRegistry.register` raises.
    """
    if _all_problems(contract):
        raise GateClosed
    return registry_at(url).register(contract.by_id.values())


def check(contract: Contract, url: str | None) -> tuple[list[Problem], list[Difference]]:
    """
    Return what the gate finds, and what a registry says otherwise than we do.
    """
    differences = registry_at(url).differences(contract.by_id.values()) if url else []
    return _all_problems(contract), differences


def _all_problems(contract: Contract) -> list[Problem]:
    return [*problems_in(contract), *problems_in_catalogue(contract)]


def registry_at(url: str) -> SchemaRegistry:
    """
    Return the registry of an address, with the login and the authorities that the environment names.
    """
    from adapters.kafka.schema_registry import SchemaRegistry
    from adapters.settings import Settings

    return SchemaRegistry(url, Settings.from_environment(os.environ).registry_access)


def stale_pages(contract: Contract, folder: Path = PAGES) -> dict[str, str]:
    """
    Return the generated pages that do not stand in `folder` as they should, by name.
    """
    return {name: text for name, text in pages(contract).items() if _read(folder / name) != text}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


# --- The commands -----------------------------------------------------------------------------------------------------

_REGISTRY = click.option(
    "--registry",
    "url",
    metavar="URL",
    envvar="BACKOFFICE_SCHEMA_REGISTRY_URL",
    help="A registry, by the address that Confluent's clients take.",
)


@click.group("schema")
def schema_command() -> None:
    """
    Show, check and release what is promised to subscribers: records, versions, ids.

    Example: ./backoffice schema list
    """


@schema_command.command("list")
@asks
def list_schemas(asked: Asked) -> None:
    """
    Show every record with its versions and ids, by topic.

    Example: ./backoffice schema list
    """
    contract = load(SCHEMAS)
    order = list(contract.topics)
    found = [_shown(schema) for versions in contract.records.values() for schema in versions]
    found.sort(key=lambda each: (order.index(each.topic), each.record, each.version))
    rows = [(each.id or "not released", each.record, each.version, each.topic) for each in found]
    give(
        SchemaList(schemas=found),
        lambda: table(("id", "record", "version", "topic"), rows, right=("id", "version")),
        as_json=asked.as_json,
    )


def _shown(schema: Schema) -> SchemaLine:
    return SchemaLine(id=schema.id, record=schema.record, version=schema.version, topic=schema.topic)


@schema_command.command("show")
@click.argument("name")
@asks
def show_schema(asked: Asked, name: str) -> None:
    """
    Show one schema; without a version the newest one.

    Example: ./backoffice schema show backoffice.zorgkas.ZorgpremieCharged/1
    """
    found = load(SCHEMAS).schema(name)
    shown = SchemaShown(id=found.id, record=found.record, version=found.version, topic=found.topic, schema=found.raw)
    give(shown, lambda: out(json.dumps(found.raw, indent=2, ensure_ascii=False)), as_json=asked.as_json)


@schema_command.command("check")
@_REGISTRY
@asks
def check_schemas(asked: Asked, url: str | None) -> None:
    """
    Check what is in schemas/: may it be released, do the pages say the same, and does a registry?

    Example: ./backoffice schema check --registry http://localhost:8081
    """
    contract = load(SCHEMAS)
    problems, differences = check(contract, url)
    checked = SchemasChecked(
        released=len(contract.by_id),
        not_released=len(not_released(contract)),
        problems=[
            *(str(each) for each in problems),
            *(f"registry: {each.schema.name}: {each.problem}" for each in differences),
            *(
                f"docs/subscribers/{page} is not what the schemas say; run `backoffice schema pages`"
                for page in sorted(stale_pages(contract))
            ),
        ],
    )
    if not checker_is_here():
        say("The Avro project's own checker is not installed; only our own rules were held.")
    give(checked, lambda: _show_checked(checked), as_json=asked.as_json)
    if checked.problems:
        click.get_current_context().exit(Exit.DIFFERENCES)


def _show_checked(checked: SchemasChecked) -> None:
    for problem in checked.problems:
        out(problem)
    problems = count(len(checked.problems), "problem")
    out(f"{checked.released} released, {checked.not_released} not released yet, {problems}.")


@schema_command.command("publish")
@_REGISTRY
@asks
def publish_schemas(asked: Asked, url: str | None) -> None:
    """
    Release what is new: give it an id for ever, and register everything when a registry is given.

    Example: ./backoffice schema publish --registry http://localhost:8081
    """
    pinned = pin(SCHEMAS)
    done = register(load(SCHEMAS), url) if url else []
    new = sum(each.new for each in done)
    published = SchemasPublished(new_ids=[_shown(each) for each in pinned], registered=new, were_there=len(done) - new)
    give(published, lambda: _show_published(published, registry=bool(url)), as_json=asked.as_json)


def _show_published(published: SchemasPublished, *, registry: bool) -> None:
    for each in published.new_ids:
        out(f"{each.record}/{each.version} is id {each.id} for ever; commit schemas/ids.yaml and released-topics.yaml.")
    if registry:
        out(f"{count(published.registered, 'schema')} registered now, {published.were_there} were there.")
    else:
        out("No registry was given (--registry), so nothing was registered.")


@schema_command.command("pages")
@asks
def write_pages(asked: Asked) -> None:
    """
    Write docs/subscribers/ again from the schemas.

    Example: ./backoffice schema pages
    """
    stale = stale_pages(load(SCHEMAS))
    for name, text in stale.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    give(PagesWritten(pages=sorted(stale)), lambda: out(f"{count(len(stale), 'page')} written."), as_json=asked.as_json)
