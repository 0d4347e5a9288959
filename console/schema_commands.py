"""
`backoffice schema`: what is promised to subscribers, whether it may be released, and the act of releasing it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from adapters.kafka.schema_registry import Difference, Registered, SchemaRegistry
from domain.errors import Refused
from formats.contract import SCHEMAS, Contract, Schema, load
from formats.schema_gate import Problem, checker_is_here, problems_in
from formats.subscriber_pages import pages

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
    Give every schema that has no id the next one, by adding to ids.yaml; return them. Raises GateClosed.
    """
    contract = load(folder)
    fresh = not_released(contract)
    if not fresh:
        return []
    if problems_in(contract) or not checker_is_here():
        raise GateClosed(checker="installed" if checker_is_here() else "not installed, see pyproject.toml")
    path = folder / "ids.yaml"
    first = max(contract.by_id, default=0) + 1
    pinned = [schema._replace(id=number) for number, schema in enumerate(fresh, start=first)]
    lines = [
        f"  {each.id}: {{record: {each.record}, version: {each.version}, sha256: {each.sha256}}}" for each in pinned
    ]
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return pinned


def register(contract: Contract, url: str) -> list[Registered]:
    """
    Register all released schemas. Raises GateClosed and what `SchemaRegistry.register` raises.
    """
    if problems_in(contract):
        raise GateClosed
    return SchemaRegistry(url).register(contract.by_id.values())


def check(contract: Contract, url: str | None) -> tuple[list[Problem], list[Difference]]:
    """
    Return what the gate finds, and what a registry says otherwise than we do.
    """
    differences = SchemaRegistry(url).differences(contract.by_id.values()) if url else []
    return problems_in(contract), differences


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
    help="A registry, as Confluent's clients take it.",
)


@click.group()
def schema() -> None:
    """
    What is promised to subscribers: records, versions, ids.
    """


@schema.command("list")
def list_schemas() -> None:
    """
    Show every record with its versions and ids, by topic.
    """
    contract = load(SCHEMAS)
    for topic in contract.topics.values():
        click.echo(topic.name)
        for schema in _of_topic(contract, topic.name):
            click.echo(f"  {schema.id or 'not released':>12}  {schema.name}")


def _of_topic(contract: Contract, topic: str) -> Iterable[Schema]:
    return (each for versions in contract.records.values() for each in versions if each.topic == topic)


@schema.command("show")
@click.argument("name")
def show_schema(name: str) -> None:
    """
    Show one schema: backoffice schema show backoffice.zorgkas.ZorgpremieCharged/1
    """
    click.echo(json.dumps(load(SCHEMAS).schema(name).raw, indent=2, ensure_ascii=False))


@schema.command("check")
@_REGISTRY
def check_schemas(url: str | None) -> None:
    """
    Check what is in schemas/: may it be released, and does a registry say the same?
    """
    contract = load(SCHEMAS)
    problems, differences = check(contract, url)
    for problem in problems:
        click.echo(str(problem))
    for difference in differences:
        click.echo(f"registry: {difference.schema.name}: {difference.problem}")
    stale = sorted(stale_pages(contract))
    for page in stale:
        click.echo(f"docs/subscribers/{page} is not what the schemas say; run `backoffice schema pages`")
    if not checker_is_here():
        click.echo("The Avro project's own checker is not installed; only our own rules were held.", err=True)
    wrong = len(problems) + len(differences) + len(stale)
    fresh = len(not_released(contract))
    click.echo(f"{len(contract.by_id)} released, {fresh} not released yet, {wrong} problems.")
    if wrong:
        raise SystemExit(1)


@schema.command("publish")
@_REGISTRY
def publish_schemas(url: str | None) -> None:
    """
    Release what is new: give it an id for ever, and register everything when a registry is given.
    """
    for each in pin(SCHEMAS):
        click.echo(f"{each.name} is id {each.id} for ever; commit schemas/ids.yaml")
    if url is None:
        click.echo("No registry was given (--registry), so nothing was registered.")
        return
    done = register(load(SCHEMAS), url)
    click.echo(f"{sum(each.new for each in done)} registered now, {sum(not each.new for each in done)} were there.")


@schema.command("pages")
def write_pages() -> None:
    """
    Write docs/subscribers/ again from the schemas.
    """
    stale = stale_pages(load(SCHEMAS))
    for name, text in stale.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    click.echo(f"{len(stale)} pages written.")
