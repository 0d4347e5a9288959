"""
`docker-compose.yml` and the `Dockerfile` keep their promises: pinned, healthy, kept on volumes, no secret inside.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from adapters.kafka import broker, registry
from adapters.postgres.programs import MAJOR_VERSION
from adapters.settings import Settings
from console.__main__ import backoffice

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("relay", "projector", "commands", "schedule", "worker")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE)).splitlines()


def test_it_brings_every_part_of_the_house() -> None:
    assert set(SERVICES) == {"postgres", "kafka", "registry", *OURS}


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert image
    assert re.match(r"\d+\.\d+", tag), f"{name} runs {tag or 'latest'}"


def test_the_versions_are_those_that_come_from_packages() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{broker.VERSION}"
    assert SERVICES["registry"]["image"] == f"apicurio/apicurio-registry:{registry.VERSION}"
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{MAJOR_VERSION}.")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_how_it_is(name: str) -> None:
    if name in OURS:
        assert any(line.startswith("HEALTHCHECK ") for line in INSTRUCTIONS)
    else:
        check = SERVICES[name]["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_what_a_service_keeps_lies_on_a_volume_of_its_own() -> None:
    # The registry keeps its schemas in postgres.
    mounted = {name: service["volumes"][0].split(":")[0] for name, service in SERVICES.items() if "volumes" in service}
    assert set(mounted) == set(SERVICES) - {"registry"}
    assert sorted(mounted.values()) == sorted(COMPOSE["volumes"])
    assert len(set(mounted.values())) == len(mounted)


def test_the_volume_of_postgres_is_mounted_where_version_18_looks() -> None:
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_no_password_stands_in_the_file_and_every_secret_must_be_set() -> None:
    secret = re.compile(r"(?im)^\s*(\w*(?:password|secret_key|token)\w*|file)\s*:\s*(\S.*)$")
    found = secret.findall(TEXT)
    assert len(found) >= 5
    for name, value in found:
        assert re.fullmatch(r"\$\{[A-Z_]+:\?[A-Z][^}]{20,}\}", value), f"{name} is not a variable that must be set"
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", TEXT), "a URL with a password"
    assert not re.search(r"\$\{\w+:?-", TEXT), "a variable with a friendly default"


@pytest.mark.parametrize("name", SERVICES)
def test_only_this_machine_sees_the_ports(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", OURS)
def test_our_processes_wait_for_the_others_and_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert {part: how["condition"] for part, how in service["depends_on"].items()} == {
        "postgres": "service_healthy",
        "kafka": "service_healthy",
        "registry": "service_healthy",
    }
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", OURS)
def test_our_processes_understand_what_they_are_given(name: str) -> None:
    settings = Settings.from_environment(SERVICES[name]["environment"])
    assert settings.kafka_brokers == ("kafka:9092",)
    assert not settings.embedded


def staying(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    """
    Find every command that works until it is told to stop.
    """
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group) and not command.invoke_without_command:
            yield from staying(command, *before, name)
        elif re.search("until told to stop|Ring every minute|Take the commands that others send", str(command.help)):
            yield (*before, name)


def test_every_process_that_a_fund_needs_all_the_time_has_its_service() -> None:
    started = {tuple(word for word in SERVICES[name]["command"] if not word.startswith("--")) for name in OURS}
    assert {words[:2] for words in started} == set(staying(backoffice))


def test_kafka_makes_no_topic_by_accident() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


# ---- what Compose itself says, which comes as a wheel and needs no Docker for it ---------------------------------------

#: Everything that the file says must be set. Compose looks at no file behind them.
GIVEN = dict.fromkeys(re.findall(r"\$\{([A-Z_]+):", TEXT), "/dev/null")


def compose_config(*files: Path, given: dict[str, str], answer: str = "--quiet") -> subprocess.CompletedProcess[str]:
    """
    Run `docker compose config` on files, the later ones on top, with nothing set but `given`.
    """
    program = Path(sysconfig.get_path("scripts")) / "docker-compose"
    named = [word for file in files for word in ("--file", str(file))]
    return subprocess.run(
        [program, *named, "--project-directory", ROOT, "config", answer],
        capture_output=True, text=True, env={"PATH": os.defpath, "HOME": str(files[0].parent), **given}, check=False,
    )  # fmt: skip


def test_compose_itself_takes_the_file_without_a_word() -> None:
    done = compose_config(ROOT / "docker-compose.yml", given=GIVEN)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", GIVEN)
def test_compose_starts_nothing_while_a_secret_is_not_set(name: str) -> None:
    done = compose_config(ROOT / "docker-compose.yml", given={other: "/dev/null" for other in GIVEN if other != name})
    assert done.returncode != 0
    assert f"Set {name} to " in done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("    command: [relay,", "    comand: [relay,", "additional properties 'comand' not allowed"),
        ("\nservices:", "\nservice: {}\nservices:", "additional properties 'service' not allowed"),
        ("  read_only: true", "  read_only: surely", "invalid boolean: surely"),
        ("retries: 6", "retries: often", "retries"),
        ("shm_size: 256mb", "shm_size: [256]", "shm_size"),
        ('volumes: ["relay:/', 'volumes: ["relais:/', "undefined volume relais"),
        ("    kafka: {condition: service_healthy}", "    broker: {condition: service_healthy}", "undefined service"),
        ("condition: service_healthy", "condition: service_well", "condition"),
        ("secrets: [master_key]", "secrets: [mistress_key]", "undefined secret mistress_key"),
        ("source: registry_database", "source: register_database", "undefined config register_database"),
        ("${BACKOFFICE_REGISTRY_PASSWORD:?", "${BACKOFFICE REGISTRY_PASSWORD:?", "invalid interpolation"),
        ("    <<: *backoffice\n    command: [worker]", "    <<: *office\n    command: [worker]", "anchor"),
        ("  relay:\n    <<", "  relay:\n    image: [\n    <<", "yaml"),
    ],
)  # fmt: skip
def test_compose_refuses_a_file_with_a_slip_in_it(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    assert right in TEXT
    spoilt = tmp_path / "docker-compose.yml"
    spoilt.write_text(TEXT.replace(right, wrong), encoding="utf-8")
    done = compose_config(spoilt, given=GIVEN)
    assert done.returncode != 0
    assert said in done.stderr


def test_a_cluster_of_the_funds_own_takes_the_place_of_ours_as_the_head_of_the_file_says(tmp_path: Path) -> None:
    said = dict(re.findall(r"(?m)^#   (BACKOFFICE_[A-Z_]+): (\S+)$", TEXT))
    assert len(said) == 7
    ours: dict[str, Any] = {name: {"environment": said} for name in OURS}
    override = tmp_path / "docker-compose.override.yml"
    override.write_text(
        yaml.safe_dump({"services": {**ours, "kafka": "KAFKA", "registry": "REGISTRY"}})
        .replace(
            "    environment:", "    depends_on: !override {postgres: {condition: service_healthy}}\n    environment:"
        )
        .replace(": KAFKA", ": !reset null")
        .replace(": REGISTRY", ": !reset null"),
        encoding="utf-8",
    )
    done = compose_config(ROOT / "docker-compose.yml", override, given=GIVEN, answer="--format=json")
    assert (done.returncode, done.stderr) == (0, "")
    services = json.loads(done.stdout)["services"]
    assert set(services) == {"postgres", *OURS}
    for name in OURS:
        assert set(services[name]["depends_on"]) == {"postgres"}
        settings = Settings.from_environment(services[name]["environment"])
        assert (settings.kafka_access.protocol, len(settings.kafka_brokers)) == ("SASL_SSL", 3)


# ---- the image ------------------------------------------------------------------------------------------------------


def test_the_image_is_slim_and_does_not_run_as_root() -> None:
    assert all(":3.11-slim" in line for line in INSTRUCTIONS if line.startswith("FROM "))
    user = [line.split()[1] for line in INSTRUCTIONS if line.startswith("USER ")][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_the_image_holds_only_packages_of_the_lock_with_their_hashes() -> None:
    (install,) = [line for line in INSTRUCTIONS if "pip install" in line]
    for option in ("--require-hashes", "--only-binary :all:", "-r /requirements.lock"):
        assert option in install


def test_the_image_takes_folders_by_name_and_never_everything() -> None:
    copied = [line.split()[1] for line in INSTRUCTIONS if line.startswith("COPY ") and "--from" not in line]
    assert "." not in copied
    assert all((ROOT / name).exists() for name in copied)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
