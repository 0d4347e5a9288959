"""
Identities: a member's id rises with time, what belongs to it shares its prefix, and the same facts give the same id.
"""

from __future__ import annotations

import pickle
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import (
    Kind,
    MemberId,
    NotAMemberId,
    belonging_to,
    derived_id,
    derived_key,
    in_order,
    kind_of,
    member_id_from_text,
    new_member_id,
    owner_of,
)

moments = st.integers(min_value=0, max_value=(1 << 48) - 1)
randomness = st.binary(min_size=10, max_size=10)


def member(*, moment_ms: int = 1_790_000_000_000, random: bytes = bytes(range(10))) -> MemberId:
    return new_member_id(moment_ms=moment_ms, randomness=lambda size: random[:size])


@given(moments, randomness)
def test_a_new_member_id_is_read_back_from_its_text(moment_ms: int, random: bytes) -> None:
    identity = member(moment_ms=moment_ms, random=random)
    assert member_id_from_text(str(identity)) == identity
    assert (identity.version, identity.variant) == (7, "specified in RFC 4122")
    assert kind_of(identity) is Kind.MEMBER


@given(moments, moments, randomness, randomness)
def test_a_later_member_sorts_after_an_earlier_one(first: int, second: int, some: bytes, other: bytes) -> None:
    earlier, later = sorted((first, second))
    if earlier != later:
        assert member(moment_ms=earlier, random=some) < member(moment_ms=later, random=other)


def test_fifty_bits_of_a_member_id_are_random() -> None:
    nothing, everything = member(random=bytes(10)), member(random=b"\xff" * 10)
    assert (nothing.int ^ everything.int).bit_count() == 50


@given(moments, randomness, st.sampled_from(Kind), st.integers(min_value=0, max_value=0xFFFF))
def test_what_belongs_to_a_member_shares_its_prefix_and_names_its_kind(
    moment_ms: int, random: bytes, kind: Kind, ordinal: int
) -> None:
    owner = member(moment_ms=moment_ms, random=random)
    stream = belonging_to(owner, kind, ordinal)
    assert owner_of(stream) == owner
    assert kind_of(stream) is kind
    assert str(stream)[:28] == str(owner)[:28]


@pytest.mark.parametrize("ordinal", [-1, 0x10000])
def test_a_member_has_at_most_65536_streams_of_one_kind(ordinal: int) -> None:
    with pytest.raises(ValueError, match="65,536"):
        belonging_to(member(), Kind.ZORGKAS_AFFILIATION, ordinal)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "85.07.30-033.28",
        "not-an-id",
        "018f1b5e-0000-4000-8000-000000000000",  # version 4
        "018f1b5e-0000-7000-8000-000000000001",  # the tail says that it is something else than a member
        "{018f1b5e-0000-7000-8000-000000000000}",
        "018f1b5e000070008000000000000000",
        "urn:uuid:018f1b5e-0000-7000-8000-000000000000",
    ],
)
def test_what_is_not_a_member_id_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(NotAMemberId) as refused:
        member_id_from_text(text)
    assert str(refused.value) == str(NotAMemberId())


def test_an_id_of_another_stream_of_the_member_is_not_a_member_id() -> None:
    with pytest.raises(NotAMemberId):
        member_id_from_text(str(belonging_to(member(), Kind.ZORGKAS_AFFILIATION)))


@pytest.mark.parametrize("moment_ms", [-1, 1 << 48])
def test_a_moment_outside_48_bits_makes_no_id(moment_ms: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        member(moment_ms=moment_ms)


facts = st.lists(st.text(st.characters(exclude_characters="\x1f", codec="utf-8")), min_size=1, max_size=4)


@given(facts, facts)
def test_the_same_facts_give_the_same_id_and_others_another(some: list[str], other: list[str]) -> None:
    assert derived_id(Kind.BANK_ACCOUNT, *some) == derived_id(Kind.BANK_ACCOUNT, *some)
    assert (derived_id(Kind.RUN, *some) == derived_id(Kind.RUN, *other)) is (some == other)
    assert (derived_key(*some) == derived_key(*other)) is (some == other)


@given(facts)
def test_a_derived_id_says_its_kind_and_that_a_rule_of_our_own_made_it(some: list[str]) -> None:
    identity: UUID = derived_id(Kind.BANK_MOVEMENT, *some)
    assert kind_of(identity) is Kind.BANK_MOVEMENT
    assert identity.version == 8
    assert derived_key(*some).version == 8


@given(st.integers(min_value=0, max_value=(1 << 128) - 1))
def test_an_id_made_from_another_is_an_id_like_any(number: int) -> None:
    owner = owner_of(UUID(int=number))
    assert owner == UUID(int=number >> 24 << 24)
    assert (hash(owner), str(owner), owner.is_safe) == (
        hash(UUID(str(owner))),
        str(UUID(str(owner))),
        UUID(str(owner)).is_safe,
    )
    assert pickle.loads(pickle.dumps(owner)) == owner


@given(st.lists(st.uuids()))
def test_ids_in_order_are_sorted_ids(ids: list[UUID]) -> None:
    assert in_order(ids) == sorted(ids)
