"""
Whose money it is, where one account pays for many: a public welfare centre pays for thousands (Rule: ZP-14).
"""

from __future__ import annotations

from datetime import date

from application.matching import Known, Match, match_money_in
from domain.events import Basis
from domain.ids import Kind, StreamId, derived_id
from domain.money import Cents
from domain.payments import Ogm
from domain.zorgkas_affiliation.happened import AffiliationOpened, ZorgpremieCharged
from domain.zorgkas_affiliation.remembered import AFFILIATION, Affiliation
from tests.world import PAYER, paid

DAY = date(2026, 4, 1)
WHY = Basis(rules=("ZP-1",))
THOUSANDS = [StreamId(derived_id(Kind.ZORGKAS_AFFILIATION, str(number))) for number in range(3_000)]
OGM = Ogm.from_base(12)


def owing(cents: int) -> Affiliation:
    return AFFILIATION.fold([
        AffiliationOpened(kind="mandatory", from_year=2026, basis=WHY),
        ZorgpremieCharged(year=2026, amount_cents=Cents(cents), reduced=False, due_on=date(2026, 4, 30), basis=WHY),
    ])  # fmt: skip


def one_account_for_all() -> Known:
    return Known(by_ogm={OGM: THOUSANDS[7]}, by_account={PAYER: dict.fromkeys(THOUSANDS)})


def test_a_number_that_we_gave_out_decides_without_a_look_at_all_others_of_the_account() -> None:
    asked: list[StreamId] = []

    def state_of(stream: StreamId) -> Affiliation:
        asked.append(stream)
        return owing(10_000)

    movement, known = paid(OGM, 10_000, value_date=DAY), one_account_for_all()
    assert list(known.candidates(movement)) == [THOUSANDS[7]]
    assert match_money_in(movement, known, state_of) == Match(THOUSANDS[7], "ogm")
    assert set(asked) <= {THOUSANDS[7]}


def test_without_a_number_all_of_the_account_are_looked_at_and_one_that_fits_is_safe() -> None:
    movement, known = paid("zorgpremie", 5_300, value_date=DAY), one_account_for_all()
    assert list(known.candidates(movement)) == THOUSANDS

    def state_of(stream: StreamId) -> Affiliation:
        return owing(5_300 if stream == THOUSANDS[2_999] else 10_000)

    assert match_money_in(movement, known, state_of) == Match(THOUSANDS[2_999], "amount_and_iban")
    assert match_money_in(movement, known, lambda _stream: owing(5_300)) == "several_candidates"
