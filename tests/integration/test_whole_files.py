"""
What is written is there whole or not at all.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

import pytest

from adapters.whole_files import NoRoom, write_safely, write_whole

ROOM_BYTES = 100_000


@pytest.fixture
def little_room() -> Iterator[None]:
    """
    A disk that takes no file of more than `ROOM_BYTES`, for this process alone; Python hears of it as of a full disk.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("write", [write_whole, write_safely])
def test_a_disk_without_room_is_one_sentence_and_leaves_no_half_file(write, tmp_path):
    with pytest.raises(NoRoom, match="Make room and give the same command again"):
        write(tmp_path / "letters.pdf", (bytes(10_000) for _ in range(20)))
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "letters.pdf", [bytes(10_000)])
    assert (tmp_path / "letters.pdf").stat().st_size == 10_000


@pytest.mark.usefixtures("little_room")
def test_what_was_there_stays_when_there_is_no_room_for_the_new(tmp_path):
    write_whole(tmp_path / "report.csv", [b"of yesterday"])
    with pytest.raises(NoRoom):
        write_whole(tmp_path / "report.csv", (bytes(10_000) for _ in range(20)))
    assert (tmp_path / "report.csv").read_bytes() == b"of yesterday"


def test_another_mistake_of_the_disk_is_not_called_a_full_one(tmp_path):
    def breaks() -> Iterator[bytes]:
        yield b"one"
        raise OSError(errno.EINVAL, "something else")

    with pytest.raises(OSError, match="something else"):
        write_safely(tmp_path / "letters.pdf", breaks())
