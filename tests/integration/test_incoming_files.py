"""
Files that people hand in, and the quarantine of those that were rejected.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.clock import SystemClock
from adapters.incoming_files import MayNotRead, NotAFile, StillGrowing, TooLarge, read_file, shown
from adapters.quarantine import NotInQuarantine, Quarantine, QuarantineBroken, Rejected
from adapters.sealing import MasterKey

KEY = MasterKey(b"k" * 32)
REASON = Rejected(
    sha256="ab" * 32, size=3, code="SCHEMA", sentence="Line 1.", rejected_at=datetime(2025, 1, 1, tzinfo=UTC), by="an"
)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.jsonl"
    path.write_bytes(b"{}\n")

    class GrowsMeanwhile(SystemClock):
        def now(self) -> datetime:
            """
            Asked between the first look at the file and its content.
            """
            with path.open("ab") as file:
                file.write(b"{}\n")
            return super().now()

    with pytest.raises(StillGrowing):
        read_file(path, clock=GrowsMeanwhile())
    assert read_file(path, clock=SystemClock()) == b"{}\n{}\n"


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1_000_001)
    with pytest.raises(TooLarge):
        read_file(path, clock=SystemClock(), bytes_max=1_000_000)


def test_a_device_is_no_file() -> None:
    with pytest.raises(NotAFile):
        read_file(Path("/dev/null"), clock=SystemClock())


def test_a_file_that_the_system_makes_up_while_it_is_read_is_refused() -> None:
    with pytest.raises(StillGrowing):
        read_file(Path("/proc/self/environ"), clock=SystemClock())


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(NotAFile):
        read_file(tmp_path / "link", clock=SystemClock())


def test_a_file_of_another_account_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuses)
    with pytest.raises(MayNotRead):
        read_file(tmp_path / "theirs", clock=SystemClock())


def test_a_name_moves_no_cursor() -> None:
    assert shown(Path("/tmp/a\x1b[2J\nb")) == "a?[2J?b"
    assert shown(Path(os.fsdecode(b"/tmp/caf\xe9"))) == "caf?"


def test_quarantine_gives_the_file_back_only_with_its_key_and_unchanged(tmp_path: Path) -> None:
    kept = Quarantine(tmp_path / "quarantine", KEY)
    place = kept.keep(b"An Peeters", REASON)
    kept.keep(b"An Peeters", REASON)
    assert kept.list() == [REASON]
    assert kept.open("abababab") == b"An Peeters"
    assert b"Peeters" not in place.read_bytes()
    with pytest.raises(QuarantineBroken):
        Quarantine(tmp_path / "quarantine", MasterKey(b"x" * 32)).open("ab" * 32)
    place.write_bytes(place.read_bytes()[:-1] + b"\0")
    with pytest.raises(QuarantineBroken):
        kept.open("ab" * 32)
    for unknown in ("ab", "cd" * 32):
        with pytest.raises(NotInQuarantine):
            kept.open(unknown)
