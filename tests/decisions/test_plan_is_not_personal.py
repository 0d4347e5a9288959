"""
A plan is read by approvers as it stands, so nothing personal may come into it.
"""

from __future__ import annotations

import pytest

from application.runs.digest import PersonalInPlan, encode_decision
from domain.aggregates import AGGREGATES
from domain.decisions import Selected
from domain.member import BankAccountGiven, CmMembershipStarted, MemberRegistered
from domain.money import ZERO
from domain.personal import personal_fields


def test_a_decision_with_a_personal_field_never_gets_into_a_plan():
    with pytest.raises(PersonalInPlan) as refused:
        encode_decision(Selected(events=(BankAccountGiven(iban="BE68539007547034"),), amount_cents=ZERO))
    assert "5390" not in str(refused.value)


def test_the_personal_fields_of_a_record_are_those_with_the_mark():
    assert personal_fields(MemberRegistered) == ("first_name", "last_name", "national_number", "born_on")
    assert personal_fields(CmMembershipStarted) == ()


def test_the_mark_is_found_wherever_the_store_seals():
    from formats.stored import StoredEvents

    stored = StoredEvents(AGGREGATES)
    for event, of in stored.by_event.items():
        assert set(personal_fields(event)) == set(of.sealed)
