"""
Facts and people for tests, in the words of the business: `charged(2025, 6400)`, `a_member(birth_year=2000)`, a `Life`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from uuid import UUID

from adapters.parameters import load_parameters
from domain.dates import Period
from domain.events import Basis
from domain.facts import MemberFacts, Region, Residence
from domain.ids import Kind, StreamId, derived_id, derived_key
from domain.money import Cents
from domain.parameters import Parameters
from domain.payments import Ogm
from domain.zorgkas_affiliation import (
    AffiliationKind,
    AffiliationOpened,
    Allocation,
    FineImposed,
    InvitationIssued,
    PaymentReceived,
    RegisteredLetterIssued,
    RegisteredLetterPosted,
    ReportedToAgency,
    YearMissed,
    ZorgpremieCharged,
)

# --- The law ----------------------------------------------------------------------------------------------------------

#: The law as it stands in parameters/, the same that the program uses.
LAW: Parameters = load_parameters(Path(__file__).parents[1] / "parameters")
#: Whole euros per year, full and reduced, written out a second time: a slip in parameters/ fails the tests.
AMOUNTS = {
    2014: (25, 10),
    2015: (50, 25),
    2016: (50, 25),
    2017: (50, 25),
    2018: (51, 26),
    2019: (52, 26),
    2020: (53, 26),
    2021: (54, 27),
    2022: (54, 27),
    2023: (58, 29),
    2024: (62, 31),
    2025: (64, 32),
    2026: (100, 35),
}
ACCOUNT = "BE72777594206316"
#: A reason for events that a test starts from.
GIVEN = Basis(rules=())

# --- People -----------------------------------------------------------------------------------------------------------


def a_member(
    *,
    birth_year: int | None = 1970,
    region: Region = "flanders",
    cm_since: date = date(2000, 1, 1),
    allowance: Iterable[Period] = (),
    died_on: date | None = None,
) -> MemberFacts:
    """
    Return someone who lives in one region and is with CM, both since long ago.
    """
    return MemberFacts(
        birth_year=birth_year,
        residences=(Residence(date(1990, 1, 1), region),),
        cm_membership=(Period(start=cm_since),),
        verhoogde_tegemoetkoming=tuple(allowance),
        died_on=died_on,
    )


AN_OGM = Ogm.from_base(90_933_755)


def movement(number: int) -> StreamId:
    return derived_id(Kind.BANK_MOVEMENT, str(number))


def letter_id(number: int) -> UUID:
    return derived_key("letter", str(number))


def barcode(number: int) -> str:
    return f"010{number:027d}"


# --- What happened ----------------------------------------------------------------------------------------------------


def opened(kind: AffiliationKind = "mandatory", *, from_year: int = 2014) -> AffiliationOpened:
    return AffiliationOpened(kind=kind, from_year=from_year, basis=GIVEN)


def charged(year: int, amount_cents: int, *, reduced: bool = False, window: date | None = None) -> ZorgpremieCharged:
    return ZorgpremieCharged(
        year=year,
        amount_cents=Cents(amount_cents),
        reduced=reduced,
        due_on=date(year, 4, 30),
        window_until=window,
        basis=GIVEN,
    )


def invited(year: int, amount_cents: int) -> InvitationIssued:
    return InvitationIssued(
        year=year,
        letter_id=letter_id(year),
        amount_cents=Cents(amount_cents),
        ogm=AN_OGM,
        account=ACCOUNT,
        due_on=date(year, 4, 30),
        issued_on=date(year, 1, 20),
        basis=GIVEN,
    )


def paid(
    number: int, value_date: date, *shares: tuple[int, int], credit: int = 0, known_on: date | None = None
) -> PaymentReceived:
    """
    A payment that filled these years: `paid(1, date(2025, 3, 1), (2025, 6400))`.
    """
    return PaymentReceived(
        movement=movement(number),
        amount_cents=Cents(sum(cents for _, cents in shares) + credit),
        value_date=value_date,
        booked_on=known_on or value_date,
        matched_by="ogm",
        allocations=tuple(Allocation(year, Cents(cents)) for year, cents in shares),
        credit_cents=Cents(credit),
        payer_iban="",
        basis=GIVEN,
    )


def missed(year: int, open_cents: int, *, on: date | None = None) -> YearMissed:
    return YearMissed(year=year, missed_on=on or date(year, 4, 30), open_cents=Cents(open_cents), basis=GIVEN)


def written(number: int, issued_on: date, *shares: tuple[int, int]) -> RegisteredLetterIssued:
    since_2019 = issued_on.year >= 2019
    return RegisteredLetterIssued(
        letter_id=letter_id(number),
        letter_year=issued_on.year,
        years=tuple(Allocation(year, Cents(cents)) for year, cents in shares),
        amount_cents=Cents(sum(cents for _, cents in shares)),
        ogm=AN_OGM,
        account=ACCOUNT,
        pay_by=date(issued_on.year, 10, 5) if since_2019 else date(issued_on.year, 4, 30),
        issued_on=issued_on,
        basis=GIVEN,
    )


def posted(number: int, posted_on: date) -> RegisteredLetterPosted:
    return RegisteredLetterPosted(
        letter_id=letter_id(number), posted_on=posted_on, barcode=barcode(number), basis=GIVEN
    )


def reported(number: int, reported_on: date, *shares: tuple[int, int]) -> ReportedToAgency:
    return ReportedToAgency(
        letter_id=letter_id(number),
        report_id=derived_key("report", str(reported_on.year)),
        years=tuple(Allocation(year, Cents(cents)) for year, cents in shares),
        amount_cents=Cents(sum(cents for _, cents in shares)),
        reported_on=reported_on,
        basis=GIVEN,
    )


def fined(number: int, imposed_on: date, *years: int) -> FineImposed:
    return FineImposed(
        reference=f"fine {number}",
        letter_id=letter_id(number),
        years=years,
        amount_cents=Cents(25000),
        imposed_on=imposed_on,
        basis=GIVEN,
    )
