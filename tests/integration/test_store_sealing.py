"""
Keys and boxes: what opens what, and what the master key file must be.
"""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory import MemoryKeys
from adapters.sealing import (
    BadMasterKeyFile,
    Ciphers,
    MasterKey,
    NoMasterKey,
    SealBroken,
    WrongMasterKey,
    place_of,
    places_of,
)
from application.ports import MemberErased
from domain.ids import MemberId
from tests.small_aggregate import counter, member

KEY = MasterKey(b"k" * 32)
PLACE = place_of(counter(1), 1, "tests.Opened/1")


def ciphers_for(*owners: MemberId, table: MemoryKeys | None = None, master: MasterKey | None = KEY) -> Ciphers:
    made = Ciphers(master, MemoryKeys() if table is None else table)
    made.fetch_or_make(owners)
    return made


# --- boxes -----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_and_shows_nothing(personal: bytes) -> None:
    ciphers = ciphers_for(member(1))
    box = ciphers.seal(member(1), PLACE, personal)
    assert ciphers.open(member(1), PLACE, box) == personal
    assert len(box) == 1 + 12 + len(personal) + 16
    assert len(personal) < 4 or personal not in box


def test_the_same_text_is_never_sealed_alike() -> None:
    ciphers = ciphers_for(member(1))
    assert len({ciphers.seal(member(1), PLACE, b"An Peeters") for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "place",
    [
        place_of(counter(2), 1, "tests.Opened/1"),
        place_of(counter(1), 2, "tests.Opened/1"),
        place_of(counter(1), 1, "tests.Opened/2"),
        place_of(counter(1), 1, "tests.Closed/1"),
    ],
    ids=["another stream", "another version", "another version of the type", "another type"],
)
def test_a_box_opens_only_where_it_was_sealed(place: bytes) -> None:
    ciphers = ciphers_for(member(1))
    with pytest.raises(SealBroken):
        ciphers.open(member(1), place, ciphers.seal(member(1), PLACE, b"An Peeters"))


def test_a_box_of_which_any_byte_was_changed_does_not_open() -> None:
    ciphers = ciphers_for(member(1))
    box = ciphers.seal(member(1), PLACE, b"An Peeters")
    for at in range(len(box)):
        changed = box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]
        with pytest.raises(SealBroken):
            ciphers.open(member(1), PLACE, changed)
    for cut in range(len(box)):
        with pytest.raises(SealBroken):
            ciphers.open(member(1), PLACE, box[:cut])


def test_the_key_of_one_member_does_not_open_what_is_anothers() -> None:
    ciphers = ciphers_for(member(1), member(2))
    with pytest.raises(SealBroken):
        ciphers.open(member(2), PLACE, ciphers.seal(member(1), PLACE, b"An Peeters"))


def test_without_key_or_master_key_a_box_stays_shut() -> None:
    table = MemoryKeys()
    box = ciphers_for(member(1), table=table).seal(member(1), PLACE, b"An Peeters")
    without = Ciphers(None, table)
    without.fetch([member(1)])
    assert without.open(member(1), PLACE, box) is None
    with pytest.raises(NoMasterKey):
        without.fetch_or_make([member(1)])
    table.erase(member(1))
    erased = Ciphers(KEY, table)
    erased.fetch([member(1)])
    assert erased.open(member(1), PLACE, box) is None
    with pytest.raises(MemberErased):
        erased.fetch_or_make([member(1)])


def test_another_master_key_is_noticed_and_not_taken_for_an_erasure() -> None:
    table = MemoryKeys()
    ciphers_for(member(1), table=table)
    with pytest.raises(WrongMasterKey):
        ciphers_for(member(1), table=table, master=MasterKey(b"x" * 32))


def test_a_wrapped_key_moved_to_another_member_does_not_unwrap() -> None:
    wrapped = KEY.new_member_key(member(1))
    KEY.cipher(member(1), wrapped)
    with pytest.raises(WrongMasterKey):
        KEY.cipher(member(2), wrapped)


def test_a_blind_value_depends_on_kind_text_and_master_key() -> None:
    same = KEY.blind("iban", "BE68539007547034")
    assert same == KEY.blind("iban", "BE68539007547034")
    others = {
        KEY.blind("iban", "x"),
        KEY.blind("number", "BE68539007547034"),
        MasterKey(b"x" * 32).blind("iban", "BE68539007547034"),
    }
    assert len(others | {same}) == 4


# --- the master key file ---------------------------------------------------------------------------------------------


def test_a_master_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    made = MasterKey.read_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert MasterKey.read_or_make(path).blind("a", "b") == made.blind("a", "b")
    assert [other.name for other in path.parent.iterdir()] == ["master.key"]


def test_of_many_that_make_the_master_key_at_once_all_have_the_same(tmp_path: Path) -> None:
    path, found, start = tmp_path / "master.key", [], threading.Barrier(8)

    def make() -> None:
        start.wait()
        found.append(MasterKey.read_or_make(path).blind("a", "b"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [other.name for other in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_master_key_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    MasterKey.read_or_make(path)
    path.chmod(mode)
    with pytest.raises(BadMasterKeyFile, match="chmod 600"):
        MasterKey.read(path)


@pytest.mark.parametrize(
    "content", ["", "00" * 31, "00" * 33, "zz" * 32, "é"], ids=["empty", "short", "long", "no hex", "no ASCII"]
)
def test_a_file_that_holds_no_key_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(BadMasterKeyFile) as refused:
        MasterKey.read(path)
    assert not content or content not in str(refused.value)


def test_a_missing_master_key_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoMasterKey, match="BACKOFFICE_MASTER_KEY_FILE"):
        MasterKey.read(tmp_path / "master.key")


def test_the_master_key_does_not_show_itself() -> None:
    assert repr(MasterKey(b"\x01" * 32)) == "MasterKey(...)"


def test_places_of_many_are_the_places_of_each() -> None:
    events = [(counter(number // 3), number, f"tests.Opened/{number % 2}") for number in range(9)]
    assert places_of(iter(events)) == [place_of(*event) for event in events]
