"""
Whose money it is, where one account pays for many: a public welfare centre pays for thousands (Rule: ZP-14).
"""

from __future__ import annotations

from datetime import date

import pytest

from application.matching import Known, Match, match_money_in, match_reversal
from domain.events import Basis
from domain.ids import Kind, StreamId, derived_id
from domain.money import Cents
from domain.payments import CommunicationKind, Movement, Ogm, ReversalKind
from domain.zorgkas_affiliation import (
    AFFILIATION,
    AffiliationOpened,
    AffiliationState,
    Allocation,
    PaymentReceived,
    ZorgpremieCharged,
)
from tests.world import PAYER, paid

DAY = date(2026, 4, 1)
WHY = Basis(rules=("ZP-1",))
THOUSANDS = [StreamId(derived_id(Kind.ZORGKAS_AFFILIATION, str(number))) for number in range(3_000)]
OGM = Ogm.from_base(12)


def owing(cents: int) -> AffiliationState:
    return AFFILIATION.fold([
        AffiliationOpened(kind="mandatory", from_year=2026, basis=WHY),
        ZorgpremieCharged(year=2026, amount_cents=Cents(cents), reduced=False, due_on=date(2026, 4, 30), basis=WHY),
    ])  # fmt: skip


def one_account_for_all() -> Known:
    return Known(by_ogm={OGM: THOUSANDS[7]}, by_account={PAYER: dict.fromkeys(THOUSANDS)})


def test_a_number_that_we_gave_out_decides_without_a_look_at_all_others_of_the_account() -> None:
    asked: list[StreamId] = []

    def state_of(stream: StreamId) -> AffiliationState:
        asked.append(stream)
        return owing(10_000)

    movement, known = paid(OGM, 10_000, value_date=DAY), one_account_for_all()
    assert list(known.candidates(movement)) == [THOUSANDS[7]]
    assert match_money_in(movement, known, state_of) == Match(THOUSANDS[7], "ogm")
    assert set(asked) <= {THOUSANDS[7]}


def test_without_a_number_all_of_the_account_are_looked_at_and_one_that_fits_is_safe() -> None:
    movement, known = paid("zorgpremie", 5_300, value_date=DAY), one_account_for_all()
    assert list(known.candidates(movement)) == THOUSANDS

    def state_of(stream: StreamId) -> AffiliationState:
        return owing(5_300 if stream == THOUSANDS[2_999] else 10_000)

    assert match_money_in(movement, known, state_of) == Match(THOUSANDS[2_999], "amount_and_iban")
    assert match_money_in(movement, known, lambda _stream: owing(5_300)) == "several_candidates"


def test_money_of_who_was_erased_is_for_a_person_by_number_or_account() -> None:
    named, exact = paid(OGM, 10_000, value_date=DAY), paid("zorgpremie", 5_300, value_date=DAY)
    known = one_account_for_all()._replace(erased={THOUSANDS[7], THOUSANDS[8]})
    assert match_money_in(named, known, lambda _stream: owing(10_000)) == "payer_erased"

    def state_of(stream: StreamId) -> AffiliationState:
        return owing(5_300 if stream in THOUSANDS[8:10] else 10_000)

    assert match_money_in(exact, known, state_of) == Match(THOUSANDS[9], "amount_and_iban")


# --- What a bank may send instead of a communication that we gave out -------------------------------------------------

STRANGER = "BE43068999999501"


def from_a_stranger(communication: str, kind: CommunicationKind, *, end_to_end_id: str = "") -> Movement:
    return Movement(
        ordinal=1, amount_cents=Cents(10_000), value_date=DAY, booked_on=DAY, communication=communication,
        communication_kind=kind, counterparty_iban=STRANGER, end_to_end_id=end_to_end_id,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("communication", "kind", "because"),
    [
        pytest.param(str(Ogm.from_base(13)), "structured", "unknown_ogm", id="one that we never gave out"),
        pytest.param("090933755400", "structured", "wrong_check_digits", id="wrong check digits"),
        pytest.param("00", "structured", "wrong_check_digits", id="two zeros"),
        pytest.param("000000000000", "structured", "wrong_check_digits", id="twelve zeros"),
        pytest.param("", "structured", "wrong_check_digits", id="blanks"),
        pytest.param("09093375549X", "structured", "wrong_check_digits", id="a letter"),
        pytest.param(OGM, "free", "no_ogm", id="in the free field"),
        pytest.param(f"{OGM} {Ogm.from_base(13)}", "free", "no_ogm", id="two of them"),
        pytest.param("RF18539007547034", "creditor_reference", "no_ogm", id="a reference of ISO 11649"),
        pytest.param("", "free", "no_ogm", id="nothing at all"),
    ],
)
@pytest.mark.parametrize("end_to_end_id", ["", "E1"])
def test_what_is_not_marked_by_the_bank_as_ours_is_for_a_person(
    communication: str, kind: CommunicationKind, because: str, end_to_end_id: str
) -> None:
    movement = from_a_stranger(communication, kind, end_to_end_id=end_to_end_id)
    assert match_money_in(movement, one_account_for_all(), lambda _stream: owing(10_000)) == because


# --- What the bank takes back -----------------------------------------------------------------------------------------


def having_paid(*amounts: int) -> AffiliationState:
    payments = [
        PaymentReceived(
            movement=StreamId(derived_id(Kind.BANK_MOVEMENT, str(number))), amount_cents=Cents(cents), value_date=DAY,
            booked_on=DAY, matched_by="ogm", allocations=(Allocation(year=2026, amount_cents=Cents(cents)),),
            credit_cents=Cents(0), payer_iban=PAYER, basis=WHY,
        )
        for number, cents in enumerate(amounts)
    ]  # fmt: skip
    return AFFILIATION.fold(payments, state=owing(10_000))


@pytest.mark.parametrize(
    ("paid_before", "taken_back", "is_found"),
    [
        pytest.param((10_000,), 10_000, True, id="all of one payment"),
        pytest.param((), 10_000, False, id="no payment"),
        pytest.param((10_000,), 4_000, False, id="a part of one"),
        pytest.param((6_000, 4_000), 10_000, False, id="two payments at once"),
        pytest.param((5_000, 5_000), 5_000, False, id="one of two alike"),
    ],
)
@pytest.mark.parametrize("kind", ["reject", "return", "refund", "reversal", "cancellation", "other"])
def test_only_one_whole_payment_is_taken_back_by_itself(
    paid_before: tuple[int, ...], taken_back: int, is_found: bool, kind: ReversalKind
) -> None:
    movement = Movement(
        ordinal=1, amount_cents=Cents(-taken_back), value_date=DAY, booked_on=DAY, communication=OGM,
        communication_kind="structured", reversal=kind, reversal_reason="",
    )  # fmt: skip
    found = match_reversal(movement, one_account_for_all(), lambda _stream: having_paid(*paid_before))
    assert (found is not None) == is_found
