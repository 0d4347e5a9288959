"""
In which partition a key stands: murmur2 over the key's bytes, as Java's default partitioner does it.

Ours and explicit, so that no client library, and no upgrade of one, can move a member to another partition.
"""

from __future__ import annotations

import struct
from functools import lru_cache

_M = 0x5BD1E995
_SEED = 0x9747B28C
_32 = 0xFFFFFFFF


@lru_cache(maxsize=8_192)
def murmur2(key: bytes) -> int:
    """
    Return MurmurHash2 of a key, 32 bits, with Kafka's seed.
    """
    length = len(key)
    whole = length & ~3
    digest = _SEED ^ length
    for word in struct.unpack(f"<{whole >> 2}I", key[:whole]):
        mixed = word * _M & _32
        mixed ^= mixed >> 24
        digest = (digest * _M & _32) ^ (mixed * _M & _32)
    if rest := key[whole:]:
        digest = (digest ^ int.from_bytes(rest, "little")) * _M & _32
    digest ^= digest >> 13
    digest = digest * _M & _32
    return digest ^ (digest >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """
    Return the partition (from 0) of a key on a topic with that many partitions.
    """
    if partitions < 1:
        raise ValueError("a topic has one partition or more")
    return (murmur2(key) & 0x7FFFFFFF) % partitions
