"""
Rejected files: kept sealed, because they may hold names and accounts; beside each, in the clear, why it was rejected.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.sealing import MasterKey
from adapters.whole_files import write_whole
from domain.errors import NotFound, Unreadable

_NONCE_BYTES: Final = 12


class NotInQuarantine(NotFound):
    """
    There is no such file in quarantine; its number is the first part of its SHA-256.
    """


class QuarantineBroken(Unreadable):
    """
    The file in quarantine does not open with this master key, or was changed since; ask for the file again.
    """


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """
    Why a file is in quarantine. `sha256` is that of its bytes; nothing here comes out of the file itself.
    """

    sha256: str
    size: int
    code: str
    sentence: str
    rejected_at: datetime
    by: str


class Quarantine:
    """
    A folder of sealed files, readable by its owner only.
    """

    def __init__(self, folder: Path, master: MasterKey) -> None:
        self._folder = folder
        self._cipher = AESGCM(master.blind("quarantine", "key"))

    def keep(self, content: bytes, why: Rejected) -> Path:
        """
        Keep a file under its SHA-256; the same file again replaces only the reason.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, content, why.sha256.encode())
        place = self._folder / f"{why.sha256}.sealed"
        write_whole(place, [sealed])
        write_whole(place.with_suffix(".json"), [msgspec.json.encode(why), b"\n"])
        return place

    def list(self) -> list[Rejected]:
        """
        Return what is kept, oldest first.
        """
        notes = self._folder.glob("*.json") if self._folder.is_dir() else ()
        found = [msgspec.json.decode(note.read_bytes(), type=Rejected) for note in notes]
        return sorted(found, key=lambda each: each.rejected_at)

    def open(self, sha256: str) -> bytes:
        """
        Return the file as it came. Raises NotInQuarantine, QuarantineBroken.
        """
        fits = [each for each in self.list() if each.sha256.startswith(sha256)] if len(sha256) >= 8 else []
        if len(fits) != 1:
            raise NotInQuarantine
        sealed = (self._folder / f"{fits[0].sha256}.sealed").read_bytes()
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], fits[0].sha256.encode())
        except InvalidTag:
            raise QuarantineBroken from None
