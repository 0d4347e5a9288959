"""
One member's affiliation told in dates, for tests that read as a story.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from domain import zorgkas_affiliation as zorgkas
from domain.dates import Period
from domain.decisions import PassedOver, Selected
from domain.facts import MemberFacts
from domain.ids import derived_key
from domain.money import Cents
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState, FineOutcome, HappenedToAffiliation
from domain.zorgkas_affiliation import happened as h
from tests.builders import AN_OGM, LAW, a_member, barcode, movement


class Life:
    """
    One member's affiliation told in dates: each method is one thing that the fund does, or learns, on a day.

    Every method gives the names of what happened, or "passed over: reason". The invariants are checked at each step.
    """

    def __init__(self, member: MemberFacts | None = None) -> None:
        self.member = member or a_member()
        self.state: AffiliationState = AFFILIATION.initial
        self.happened: list[HappenedToAffiliation] = []
        self._movements = 0

    def _tell(self, answer: Any) -> list[str]:
        if isinstance(answer, PassedOver):
            return [f"passed over: {answer.reason}"]
        events = list(answer.events) if isinstance(answer, Selected) else answer
        for event in events:
            self.state = AFFILIATION.evolve(self.state, event)
            self.happened.append(event)
            check_invariants(self.state, self.happened)
        return [type(event).__name__ for event in events]

    def invited_for(self, year: int, *, on: date | None = None) -> list[str]:
        on = on or date(year, 1, 20)
        return self._tell(
            zorgkas.invite(
                self.state,
                member=self.member,
                year=year,
                as_of=on,
                law=LAW,
                ogm=AN_OGM,
                letter_id=derived_key("invitation", str(year)),
            )
        )

    def asks_to_join(self, year: int, *, on: date) -> list[str]:
        return self._tell(
            zorgkas.ask_to_join(
                self.state,
                member=self.member,
                year=year,
                as_of=on,
                law=LAW,
                ogm=AN_OGM,
                letter_id=derived_key("invitation", str(year)),
            )
        )

    def pays(self, euros: int, *, value: date, known: date | None = None) -> list[str]:
        self._movements += 1
        return self.pays_again(self._movements, euros, value=value, known=known)

    def pays_again(self, number: int, euros: int, *, value: date, known: date | None = None) -> list[str]:
        """
        The movement with that number is told, for the first time or once more.
        """
        return self._tell(
            zorgkas.receive_payment(
                self.state,
                movement=movement(number),
                amount_cents=Cents(euros * 100),
                value_date=value,
                booked_on=value,
                matched_by="ogm",
                payer_iban="",
                as_of=known or value,
                law=LAW,
            )
        )

    def bank_takes_back(self, payment: int, *, euros: int, on: date) -> list[str]:
        return self._tell(
            zorgkas.reverse_payment(
                self.state,
                movement=movement(payment),
                reversed_by=movement(10_000 + payment),
                amount_cents=Cents(euros * 100),
                value_date=on,
                as_of=on,
                law=LAW,
            )
        )

    def bank_takes_back_all(self, payment: int, *, on: date) -> list[str]:
        left = sum(piece.amount_cents for piece in self.state.pieces if piece.movement == movement(payment))
        refunded = self.state.refunded_cents(movement(payment))
        return self.bank_takes_back(payment, euros=(left + refunded) // 100, on=on)

    def deadline_of(self, year: int, *, on: date | None = None) -> list[str]:
        on = on or date(year, 5, 1)
        return self._tell(zorgkas.close_year(self.state, member=self.member, year=year, as_of=on, law=LAW))

    def letter_run(self, *, on: date) -> list[str]:
        return self._tell(
            zorgkas.write_registered_letter(
                self.state,
                member=self.member,
                as_of=on,
                law=LAW,
                ogm=AN_OGM,
                letter_id=derived_key("letter", on.isoformat()),
            )
        )

    def post_proves(self, posted_on: date, *, known: date | None = None) -> list[str]:
        return self._tell(
            zorgkas.post_letter(
                self.state,
                letter_id=self.state.letters[-1].letter_id,
                posted_on=posted_on,
                barcode=barcode(posted_on.toordinal()),
                as_of=known or posted_on,
                law=LAW,
            )
        )

    def report_run(self, *, on: date) -> list[str]:
        return self._tell(
            zorgkas.report(
                self.state, member=self.member, as_of=on, law=LAW, report_id=derived_key("report", str(on.year))
            )
        )

    def correction_run(self, *, on: date) -> list[str]:
        return self._tell(zorgkas.correct_report(self.state, member=self.member, as_of=on, law=LAW))

    def reminder_run(self, year: int, *, on: date) -> list[str]:
        return self._tell(
            zorgkas.remind(
                self.state,
                member=self.member,
                year=year,
                as_of=on,
                law=LAW,
                ogm=AN_OGM,
                letter_id=derived_key("reminder", str(year)),
            )
        )

    def agency_fines(self, *years: int, on: date, euros: int = 250) -> list[str]:
        return self._tell(
            zorgkas.record_fine(
                self.state,
                reference=f"fine of {on.isoformat()}",
                letter_id=self.state.letters[-1].letter_id,
                years=years,
                amount_cents=Cents(euros * 100),
                imposed_on=on,
                member=self.member,
                as_of=on,
                law=LAW,
            )
        )

    def agency_tells_of_the_fine(self, outcome: FineOutcome, *, on: date) -> list[str]:
        reference = self.state.fines[-1].reference
        return self._tell(zorgkas.follow_up_fine(self.state, reference=reference, outcome=outcome, happened_on=on))

    def agency_annuls(self, *, on: date) -> list[str]:
        if not self.state.fines:
            return []
        return self.agency_tells_of_the_fine("annulled", on=on)

    def allowance_known(self, *periods: Period, on: date) -> list[str]:
        """
        We learn on a day which periods of increased allowance the member has had.
        """
        self.member = MemberFacts(
            birth_year=self.member.birth_year,
            residences=self.member.residences,
            cm_membership=self.member.cm_membership,
            verhoogde_tegemoetkoming=periods,
            died_on=self.member.died_on,
        )
        return self._tell(zorgkas.apply_late_allowance(self.state, member=self.member, as_of=on, law=LAW))

    def refunded(self, euros: int, *, on: date) -> list[str]:
        return self._tell(
            zorgkas.refund_credit(
                self.state, amount_cents=Cents(euros * 100), refunded_on=on, reference=f"refund of {on.isoformat()}"
            )
        )

    @property
    def missed_years(self) -> list[int]:
        return [owed.year for owed in self.state.years if owed.missed]

    @property
    def open_euros(self) -> dict[int, int]:
        return {each.year: each.open_cents // 100 for each in self.state.open_years()}

    @property
    def credit_euros(self) -> int:
        return self.state.credit_cents // 100

    def last(self, kind: type[Any]) -> Any:
        return next(event for event in reversed(self.happened) if isinstance(event, kind))


def check_invariants(state: AffiliationState, happened: Iterable[HappenedToAffiliation]) -> None:
    """
    What is true after every event: received = on years + credit + refunded; nothing negative; no year has too much.
    """
    received = refunded = 0
    for event in happened:
        match event:
            case h.PaymentReceived():
                received += event.amount_cents
                assert event.amount_cents == sum(share.amount_cents for share in event.allocations) + event.credit_cents
            case h.PaymentReversed():
                received -= event.amount_cents
            case h.CreditRefunded():
                refunded += event.amount_cents
            case _:
                pass
    on_years = sum(piece.amount_cents for piece in state.pieces if piece.year)
    assert received == on_years + state.credit_cents + refunded
    assert state.owed_back_cents >= 0
    assert all(piece.amount_cents >= 0 for piece in state.pieces)
    for owed in state.years:
        assert 0 <= state.paid_cents(owed.year) <= owed.amount_cents
    assert [owed.year for owed in state.years] == sorted({owed.year for owed in state.years})
