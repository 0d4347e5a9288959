"""
veraPDF, the reference validator of PDF/A: says whether a letter is what its label promises.

A Java program of 18 MB, fetched once (`adapters/jars/verapdf.lock`); for the tests, and for whoever keeps an archive.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from adapters import maven
from domain.errors import Unavailable

Flavour = Literal["1a", "1b", "2a", "2b", "2u", "3a", "3b", "3u", "4", "4e", "4f", "ua1", "ua2"]

LOCK: Final = Path(__file__).parent / "jars" / "verapdf.lock"
_MAIN: Final = "org.verapdf.apps.GreenfieldCliWrapper"
#: One start, a few seconds of work: the quickest compiler and the smallest collector.
_JVM: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true")
_SECONDS_MAX: Final = 600
_SAYS_NO: Final = 1
_VERDICT: Final = re.compile(r"(?P<answer>PASS|FAIL) (?P<file>.+) (?P<flavour>\w+)")
_BROKEN_RULE: Final = re.compile(r"\s+FAIL (?P<rule>\S+)")


class ValidatorUnavailable(Unavailable):
    """
    The PDF/A validator did not answer; nothing is known about the files.
    """


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    Whether one file keeps a standard, and else the clauses that it breaks, such as `6.2.11.8-1`.
    """

    passed: bool
    broken_rules: tuple[str, ...] = ()


def check(pdfs: Sequence[bytes], *, flavour: Flavour = "2b") -> list[Verdict]:
    """
    Return a verdict for each file, in order; one Java start for all of them.

    Raises ValidatorUnavailable, and what `maven.fetch` and `maven.java` raise.
    """
    if not pdfs:
        return []
    jars = maven.fetch(LOCK)
    with tempfile.TemporaryDirectory(prefix="verapdf-") as work:
        files = [Path(work) / f"{number}.pdf" for number in range(len(pdfs))]
        for file, pdf in zip(files, pdfs, strict=True):
            file.write_bytes(pdf)
        command = [
            str(maven.java()), *_JVM, f"-Duser.home={work}", "-cp", os.pathsep.join(map(str, jars)), _MAIN,
            "--format", "text", "--verbose", "--flavour", flavour, *map(str, files),
        ]  # fmt: skip
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False, cwd=work)
        except subprocess.TimeoutExpired:
            raise ValidatorUnavailable(seconds=_SECONDS_MAX) from None
        verdicts = _verdicts(ran.stdout)
        if ran.returncode not in (0, _SAYS_NO) or list(verdicts) != [str(file) for file in files]:
            raise ValidatorUnavailable(exit_code=ran.returncode)
    return list(verdicts.values())


def _verdicts(text: str) -> dict[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    file = ""
    for line in text.splitlines():
        if verdict := _VERDICT.fullmatch(line):
            file = verdict["file"]
            verdicts[file] = Verdict(passed=verdict["answer"] == "PASS")
        elif (broken := _BROKEN_RULE.fullmatch(line)) and file in verdicts:
            rules = (*verdicts[file].broken_rules, broken["rule"])
            verdicts[file] = msgspec.structs.replace(verdicts[file], broken_rules=rules)
    return verdicts
