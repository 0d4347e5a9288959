"""
What the Dockerfile puts into the image, in a folder: the same files of ours, and of the packages only those it installs.
"""

from __future__ import annotations

import compileall
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from tests.cli import ROOT

DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
_INSTRUCTIONS: Final = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE))
#: Without `-S` the packages of development would be found, too.
PYTHON: Final = (getattr(sys, "_base_executable", sys.executable), "-S")


def image(folder: Path) -> dict[str, str]:
    """
    Make that folder; return the environment that the image has, with its paths in it.
    """
    app, packages = folder / "app", folder / "packages"
    app.mkdir(parents=True)
    packages.mkdir()
    for source, target in re.findall(r"(?m)^COPY (?!--from)(\S+) \./(\S*)$", _INSTRUCTIONS):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, app / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, app / (target or source))
    assert "RUN python -m compileall -q /app" in _INSTRUCTIONS
    compileall.compile_dir(app, quiet=1)
    for name in installed():
        _link(name, packages)
    (environment,) = re.findall(r"(?m)^ENV (.+)$", _INSTRUCTIONS)
    found = dict(pair.split("=", 1) for pair in environment.split() if not pair.startswith("PATH="))
    found = {name: value.replace("/app", str(app)) for name, value in found.items()}
    return {**found, "PYTHONPATH": f"{found['PYTHONPATH']}:{packages}", "PYTHONNOUSERSITE": "1"}


def installed() -> set[str]:
    """
    Return the packages of the lock that are left in the image.
    """
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (removed,) = re.findall(r"pip uninstall --quiet --yes (.+)", _INSTRUCTIONS)
    return set(re.findall(r"(?m)^([A-Za-z0-9._-]+)==", lock)) - set(removed.split())


def _link(name: str, packages: Path) -> None:
    try:
        files = distribution(name).files or ()
    except PackageNotFoundError:  # one that the lock names for another system
        return
    for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(distribution(name).locate_file(top))))
