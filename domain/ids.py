"""
Identities. A member's id is random but rises with time; what belongs to the member shares its first 104 bits.

The last 24 bits of a stream's id say what it is: 8 bits for the kind, 16 for which one of that kind. So a family of
streams lies together in the table, and jobs that work in id order read neighbouring pages (docs/decisions/0003).
A national number is never an id, nor hashed into one.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NewType, TypeVar
from uuid import UUID, SafeUUID

from domain.errors import Unreadable

StreamId = NewType("StreamId", UUID)
MemberId = NewType("MemberId", UUID)

Id = TypeVar("Id", bound=UUID)

_NUMBER = attrgetter("int")
_TAIL_BITS = 24
_TAIL_MASK = (1 << _TAIL_BITS) - 1
_ORDINAL_MAX = 0xFFFF


class Kind(enum.IntEnum):
    """
    What a stream is: stored in its id, so the numbers never change and are never used again.
    """

    MEMBER = 0x00
    ZORGKAS_AFFILIATION = 0x01
    # 0x02 policy and 0x03 claim are kept free for the aggregates to come.
    BANK_ACCOUNT = 0x40
    BANK_MOVEMENT = 0x41
    RUN = 0x60


class NotAMemberId(Unreadable):
    """
    A member's id is a version 7 UUID whose last six hexadecimal digits are zero; `backoffice ids` makes them.
    """


def new_member_id(*, moment_ms: int, randomness: Callable[[int], bytes]) -> MemberId:
    """
    Make a member's id from milliseconds since 1970 and a source of random bytes (50 of its bits are random).
    """
    return MemberId(_version_7(moment_ms=moment_ms, random_bits=int.from_bytes(randomness(10), "big"), tail=0))


def member_id_from_text(text: str) -> MemberId:
    """
    Read a member's id; raises NotAMemberId for anything that is not one.
    """
    try:
        candidate = UUID(text)
    except ValueError:
        raise NotAMemberId from None
    if candidate.version != 7 or candidate.int & _TAIL_MASK or str(candidate) != text.lower():
        raise NotAMemberId
    return MemberId(candidate)


def belonging_to(owner: UUID, kind: Kind, ordinal: int = 0) -> StreamId:
    """
    Return the id of the owner's stream of that kind: the same 104 bits, another tail.
    """
    if not 0 <= ordinal <= _ORDINAL_MAX:
        raise ValueError("a member has at most 65,536 streams of one kind")
    return StreamId(_from_int((owner.int & ~_TAIL_MASK) | (kind << 16) | ordinal))


def owner_of(stream: UUID) -> MemberId:
    """
    Return whose stream it is: the member for what belongs to a member, the stream's own family otherwise.
    """
    return MemberId(_from_int(stream.int & ~_TAIL_MASK))


def in_order(ids: Iterable[Id]) -> list[Id]:
    """
    Return ids in id order, as `sorted` would: ids compare in Python, their numbers do not.
    """
    return sorted(ids, key=_NUMBER)


def kind_of(stream: UUID) -> Kind:
    return Kind((stream.int & _TAIL_MASK) >> 16)


def derived_id(kind: Kind, *facts: str) -> StreamId:
    """
    Return the id that these facts always give, such as a bank account by its IBAN: the same facts, the same stream.
    """
    return StreamId(_from_int((_version_8(facts) & ~_TAIL_MASK) | (kind << 16)))


def derived_key(*facts: str) -> UUID:
    """
    Return a deterministic id for an effect or a command, such as one letter of one run: sent twice, it is the same one.
    """
    return _from_int(_version_8(facts))


def _version_8(facts: tuple[str, ...]) -> int:
    """
    Return a UUID of version 8, made by a rule of our own (RFC 9562), as its number.
    """
    number = int.from_bytes(hashlib.sha256("\x1f".join(facts).encode()).digest()[:16], "big")
    number = (number & ~(0xF << 76)) | (0x8 << 76)
    return (number & ~(0x3 << 62)) | (0x2 << 62)


def _from_int(number: int) -> UUID:
    """
    Do what `UUID(int=number)` does, in a third of its time: a run makes two of them for every member.
    """
    made = object.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def _version_7(*, moment_ms: int, random_bits: int, tail: int) -> UUID:
    if not 0 <= moment_ms < 1 << 48:
        raise ValueError("milliseconds since 1970 in 48 bits")
    number = moment_ms << 80
    number |= 0x7 << 76
    number |= (random_bits >> 50 & 0xFFF) << 64
    number |= 0x2 << 62
    number |= (random_bits & ((1 << 38) - 1)) << _TAIL_BITS
    return UUID(int=number | tail)
