"""
Java programs by name and hash: what is fetched, what is refused, and what happens when several ask at once.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from adapters import maven

CONTENT = b"a program"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LINE = f"org.example:program:1.0 {SHA256}"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "backoffice" / "jars"


@pytest.fixture
def depot(monkeypatch):
    """
    A place to fetch from that counts, and that gives `depot.content`, or nothing at all.
    """

    class Depot:
        content: bytes | None = CONTENT
        fetched = 0

        def download(self, item: maven.LockedFile, work: Path) -> Path:
            self.fetched += 1
            if self.content is None:
                raise maven.JarsUnavailable(file=item.file_name)
            (work / "x").write_bytes(self.content)
            return work / "x"

    depot = Depot()
    monkeypatch.setattr(maven, "_download", depot.download)
    return depot


def lock(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "some.lock"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_lock_names_files_with_packaging_and_classifier(tmp_path):
    read = maven.read_lock(lock(tmp_path, "# a remark", "", LINE, f"io.example:app-x:3.3.3:tar.gz:all {SHA256}  # why"))
    assert [item.file_name for item in read] == ["program-1.0.jar", "app-x-3.3.3-all.tar.gz"]


@pytest.mark.parametrize(
    "line",
    [
        "org.example:program:1.0",
        f"org.example:program {SHA256}",
        f"org.example:program:1.0 {SHA256[:-1]}",
        f"org.example:program:1.0 {SHA256.upper()}",
        f"org.example:program:1.0:jar:x:y {SHA256}",
        f"org.example:../program:1.0 {SHA256}",
    ],
)
def test_a_lock_that_is_not_one_is_refused_with_its_line(tmp_path, line):
    with pytest.raises(maven.NotALock) as refusal:
        maven.read_lock(lock(tmp_path, LINE, line))
    assert refusal.value.facts == {"lock": "some.lock", "line": 2}


def test_what_was_fetched_once_is_not_fetched_again(tmp_path, depot):
    first = maven.fetch(lock(tmp_path, LINE))
    depot.content = None  # the network is gone
    assert maven.fetch(lock(tmp_path, LINE)) == first
    assert [path.read_bytes() for path in first] == [CONTENT]
    assert depot.fetched == 1


def test_a_file_with_another_hash_is_refused_and_not_kept(tmp_path, depot, cache):
    depot.content = b"another program"
    with pytest.raises(maven.JarsUnavailable, match="SHA-256 differs"):
        maven.fetch(lock(tmp_path, LINE))
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_a_damaged_cache_is_noticed_and_repaired(tmp_path, depot):
    (path,) = maven.fetch(lock(tmp_path, LINE))
    path.write_bytes(CONTENT[:-1])
    maven.fetch(lock(tmp_path, LINE))
    assert path.read_bytes() == CONTENT


def test_without_a_network_one_sentence_says_which_file_and_what_to_do(tmp_path, depot):
    depot.content = None
    with pytest.raises(maven.JarsUnavailable) as refusal:
        maven.fetch(lock(tmp_path, LINE))
    assert "check the network" in str(refusal.value)
    assert refusal.value.facts == {"file": "program-1.0.jar"}


def test_of_many_who_ask_at_once_one_fetches(tmp_path, depot):
    where = lock(tmp_path, LINE)
    found = []
    threads = [threading.Thread(target=lambda: found.append(maven.fetch(where))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert depot.fetched == 1
    assert len(found) == 8


def test_a_cache_folder_that_cannot_be_made_is_named_with_its_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(maven.JarsUnavailable, match="XDG_CACHE_HOME"):
        maven.cache_folder("jars")


def test_a_relative_cache_folder_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert maven.cache_folder("jars") == tmp_path / ".cache" / "backoffice" / "jars"


def test_the_locks_of_the_project_can_be_read():
    locks = sorted((Path(maven.__file__).parent / "jars").glob("*.lock"))
    assert locks
    assert all(maven.read_lock(path) for path in locks)


def test_there_is_a_java_to_run_them():
    assert maven.java().exists()
