"""
What every test may use: golden files, and (in `tests/servers.py`) the real database and the real broker.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.golden_files import Golden

pytest_plugins = ["tests.servers", "tests.kafka_servers"]

# The same examples on every machine: a failing build fails again. Nights run more (HYPOTHESIS_PROFILE=night).
settings.register_profile("build", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("night", max_examples=20_000, deadline=None)
settings.load_profile("build")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--approve", action="store_true", help="write the golden files instead of comparing")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Side by side, the files that mostly wait for broken servers begin first, so that none of them is left for the end.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "faults" not in item.path.parts)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """
    Commands called in this process make files for their owner alone; the next test begins as programs do.
    """
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(approve=request.config.getoption("--approve"))
