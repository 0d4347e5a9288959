"""
Sealing of personal data: AES-256-GCM with a key per member, that key wrapped by the master key.

All personal fields of an event go into one box, bound to the event's stream, version and type; the fields' names are
inside. Who loses the member's key loses the fields, and nothing else of the event (docs/decisions/0007).
"""

from __future__ import annotations

import hmac
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from application.ports import MemberErased
from domain.errors import Unavailable, Unreadable
from domain.ids import MemberId

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORMAT: Final = b"\x01"
_INT: Final = attrgetter("int")  # ids are ordered by this


class SealBroken(Unreadable):
    """
    A sealed field does not belong to the event it stands in; stop, and compare the events with the last good backup.
    """


class WrongMasterKey(Unavailable):
    """
    The master key is not the one that the members' keys of this database were wrapped with; give the right key file.
    """


class NoMasterKey(Unavailable):
    """
    Personal data cannot be recorded without the master key; set BACKOFFICE_MASTER_KEY_FILE.
    """


class BadMasterKeyFile(Unreadable):
    """
    The master key file must hold 64 hexadecimal digits and be readable by its owner only (chmod 600).
    """


class MasterKey:
    """
    The one secret. Never in the database, never in a log; `repr` does not show it.
    """

    def __init__(self, raw: bytes) -> None:
        if len(raw) != _KEY_BYTES:
            raise BadMasterKeyFile
        self._wrapping = AESGCM(_derived(raw, b"wrap member keys"))
        self._blinding = _derived(raw, b"blind look-ups")

    def __repr__(self) -> str:
        return "MasterKey(...)"

    @classmethod
    def read(cls, path: Path) -> MasterKey:
        """
        Read the key file. Raises BadMasterKeyFile when others may read it or it is not a key, NoMasterKey without it.
        """
        try:
            if path.stat().st_mode & 0o077:
                raise BadMasterKeyFile(file=path)
            text = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise NoMasterKey(file=path) from None
        except (UnicodeDecodeError, PermissionError, IsADirectoryError):
            raise BadMasterKeyFile(file=path) from None
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise BadMasterKeyFile(file=path) from None

    @classmethod
    def read_or_make(cls, path: Path) -> MasterKey:
        """
        Read the key file, or make one with a new key if there is none (the embedded default, beside its data).
        """
        if not path.exists():
            make_key_file(path)
        return cls.read(path)

    def new_member_key(self, owner: UUID) -> bytes:
        """
        Return a new random key of that member, wrapped; a wrapped key moved to another member does not open.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, os.urandom(_KEY_BYTES), owner.bytes)

    def cipher(self, owner: UUID, wrapped: bytes) -> AESGCM:
        """
        Unwrap a member's key. Raises WrongMasterKey.
        """
        try:
            return AESGCM(self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], owner.bytes))
        except (InvalidTag, ValueError):
            raise WrongMasterKey from None

    def blind(self, kind: str, text: str) -> bytes:
        """
        Return what a text is looked up by without being stored, such as an IBAN: the same text, the same 32 bytes.
        """
        return hmac.digest(self._blinding, f"{kind}\x1f{text}".encode(), "sha256")


class KeyTable(Protocol):
    """
    Where wrapped member keys stand.
    """

    def wrapped(self, owners: Sequence[MemberId]) -> Mapping[MemberId, bytes | None]:
        """
        Return the wrapped keys of those who have one; None for a member who was erased.
        """

    def add(self, keys: Mapping[MemberId, bytes]) -> None:
        """
        Keep new wrapped keys; a member who has one already, or was erased, keeps what there is.
        """


class Ciphers:
    """
    The ciphers of the members of one chunk of work: keys are fetched for all at once, and unwrapped at first use.
    """

    def __init__(self, master: MasterKey | None, table: KeyTable) -> None:
        self._master = master
        self._table = table
        #: As fetched, unwrapped when first used; None for a member who was erased. By the member's number: a UUID is
        #: hashed and compared in Python, at every look-up.
        self._keys: dict[int, bytes | AESGCM | None] = {}

    def fetch(self, owners: Sequence[MemberId]) -> None:
        """
        Make the keys of these members known to `seal` and `open`.
        """
        self._fetch(owners)

    def fetch_or_make(self, owners: Sequence[MemberId]) -> None:
        """
        The same, with a new key for who has none yet. Raises MemberErased and NoMasterKey.
        """
        if self._master is None:
            raise NoMasterKey
        missing = self._fetch(owners)
        if missing:
            self._table.add({owner: self._master.new_member_key(owner) for owner in missing})
            self._fetch(missing)  # another writer's key, if that came first
        if None in self._keys.values():
            for owner in owners:
                if self._keys[owner.int] is None:
                    raise MemberErased(member=owner)

    def _fetch(self, owners: Sequence[MemberId]) -> Sequence[MemberId]:
        """
        Return who has no key.
        """
        if self._master is None:
            return ()
        by_number = dict(zip(map(_INT, owners), owners, strict=True))
        wanted = [by_number[number] for number in sorted(by_number.keys() - self._keys.keys())]
        if not wanted:
            return ()
        found = self._table.wrapped(wanted)
        self._keys.update(zip(map(_INT, found), found.values(), strict=True))
        for owner in islice((owner for owner, wrapped in found.items() if wrapped is not None), 1):
            self._cipher(owner)  # another master key is noticed before any work
        return [owner for owner in wanted if owner not in found] if len(found) < len(wanted) else ()

    def _cipher(self, owner: MemberId) -> AESGCM | None:
        """
        Return what this member's boxes open with, None when the key is gone (or we have none).
        """
        key = self._keys.get(owner.int)
        if isinstance(key, bytes) and self._master is not None:
            key = self._keys[owner.int] = self._master.cipher(owner, key)
        return key if isinstance(key, AESGCM) else None

    def seal(self, owner: MemberId, place: bytes, personal: bytes) -> bytes:
        """
        Return the box. Raises MemberErased and WrongMasterKey.
        """
        return self.seal_all([owner], [place], [personal])[0]

    def seal_all(self, owners: Sequence[MemberId], places: Sequence[bytes], personal: Sequence[bytes]) -> list[bytes]:
        """
        Do what `seal` does for many; quickest when what is one member's stands together.
        """
        random = os.urandom(_NONCE_BYTES * len(owners))  # asked for once, used once, here
        nonces = [random[start : start + _NONCE_BYTES] for start in range(0, len(random), _NONCE_BYTES)]
        boxes: list[bytes] = []
        before: MemberId | None = None
        cipher: AESGCM | None = None
        for owner, place, text, nonce in zip(owners, places, personal, nonces, strict=True):
            if owner is not before:
                before, cipher = owner, self._cipher(owner)
            if cipher is None:
                raise MemberErased(member=owner)
            boxes.append(_FORMAT + nonce + cipher.encrypt(nonce, text, place))
        return boxes

    def open(self, owner: MemberId, place: bytes, box: bytes) -> bytes | None:
        """
        Return what is in the box, None when the key is gone (or we have none). Raises SealBroken and WrongMasterKey.
        """
        cipher = self._cipher(owner)
        if cipher is None:
            return None
        if box[:1] != _FORMAT:
            raise SealBroken
        try:
            return cipher.decrypt(box[1 : 1 + _NONCE_BYTES], box[1 + _NONCE_BYTES :], place)
        except (InvalidTag, ValueError):
            raise SealBroken from None


def place_of(stream: UUID, version: int, type_name: str) -> bytes:
    """
    Return what a box is bound to; moved to another event it does not open.
    """
    return f"{stream}|{version}|{type_name}".encode()


def places_of(events: Iterable[tuple[UUID, int, str]]) -> list[bytes]:
    """
    Do what `place_of` does for many; quickest when what is of one stream stands together.
    """
    places: list[bytes] = []
    before: UUID | None = None
    text = ""
    for stream, version, type_name in events:
        if stream is not before:
            before, text = stream, str(stream)
        places.append(f"{text}|{version}|{type_name}".encode())
    return places


def make_key_file(path: Path) -> None:
    """
    Write a new random master key, readable by its owner only; an existing file is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(os.urandom(_KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # the first of several makers wins, and no one sees half a key
            os.link(draft, path)
    finally:
        os.unlink(draft)


def _derived(raw: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=_KEY_BYTES, info=purpose).derive(raw)
