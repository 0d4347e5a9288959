"""
Each event of an affiliation as a sentence about one year: topic, the day it counts, and the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, assert_never

from application.wording import euros, listed
from domain.payments import Ogm
from domain.zorgkas_affiliation import happened as h

Told = tuple[str, date | None, str]

_MATCHED: Final = {
    "ogm": "recognised by its communication",
    "amount_and_iban": "recognised by its account and amount",
    "person": "given its place by a person",
}
_MISS_CORRECTED: Final = {
    "paid_in_time": "the money was on the account in time",
    "amount_changed": "the amount changed",
}
_WITHDRAWN: Final = {
    "paid": "too few missed years were still open",
    "miss_corrected": "a missed year turned out not to be missed",
    "amount_changed": "an amount changed",
}
_CONTRADICTED: Final = {
    "miss_corrected": "a missed year turned out not to be missed",
    "amount_changed": "an amount changed",
    "posted_after_withdrawal": "it was posted after it had been withdrawn",
    "paid_before_posting": "the money was on the account before it was posted",
}
_OUTCOMES: Final = {
    "appealed": "the member objected to it",
    "annulled": "it was annulled",
    "paid": "it was paid",
    "in_instalments": "it is paid in instalments",
}


def told(event: h.HappenedToAffiliation, year: int, all_events: Sequence[h.HappenedToAffiliation]) -> Iterator[Told]:
    """
    Yield what the event says about the year; nothing when it is about other years.
    """
    match event:
        case h.AffiliationOpened() | h.ZorgpremieCharged() | h.ZorgpremieAmountChanged() | h.InvitationIssued():
            yield from _owing(event, year)
        case h.PaymentReceived() | h.PaymentReversed() | h.CreditAllocated() | h.AllocationsReordered():
            yield from _money(event, year)
        case h.CreditRefunded(refunded_on=day) if day.year == year:
            yield "payment", day, f"{euros(event.amount_cents)} of credit was paid back."
        case h.YearMissed() | h.MissCorrected() | h.MissReinstated() if event.year == year:
            yield from _missing(event)
        case h.ReminderIssued() if event.year == year:
            yield "reminder", event.issued_on, f"Reminded to pay {euros(event.amount_cents)}."
        case h.FineImposed() | h.FineFollowedUp():
            yield from _fine(event, year, all_events)
        case h.CreditRefunded() | h.YearMissed() | h.MissCorrected() | h.MissReinstated() | h.ReminderIssued():
            return
        case (
            h.RegisteredLetterIssued()
            | h.RegisteredLetterPosted()
            | h.RegisteredLetterWithdrawn()
            | h.PostedLetterContradicted()
            | h.ReportedToAgency()
            | h.ReportCorrected()
        ):
            yield from _letter(event, year, all_events)
        case _:
            assert_never(event)  # an event without words would be missing in the account of a year


def _owing(
    event: h.AffiliationOpened | h.ZorgpremieCharged | h.ZorgpremieAmountChanged | h.InvitationIssued, year: int
) -> Iterator[Told]:
    match event:
        case h.AffiliationOpened(from_year=from_year, kind=kind) if from_year <= year:
            how = "as the law asks" if kind == "mandatory" else "by choice"
            yield "affiliation", date(from_year, 1, 1), f"Affiliated with CM-Zorgkas from {from_year} on, {how}."
        case h.ZorgpremieCharged() if event.year == year:
            reference = date(year - 1, 1, 1)
            allowance = "had the increased allowance" if event.reduced else "had no increased allowance"
            which = "the reduced amount" if event.reduced else "the full amount"
            text = f"Owes {euros(event.amount_cents)}, {which}, because the member {allowance} on {reference}"
            yield "premium", date(year, 1, 1), f"{text}; to be paid by {event.due_on}."
            if event.window_until:
                yield (
                    "premium",
                    event.window_until,
                    f"Counts as missed only after {event.window_until}: it is one of the first two premiums.",
                )
        case h.ZorgpremieAmountChanged() if event.year == year:
            found = "was found to have" if event.reduced else "was found not to have"
            text = f"Owes {euros(event.to_cents)} instead of {euros(event.from_cents)}: the member {found} had"
            freed = f"; {euros(event.freed_cents)} was paid too much" if event.freed_cents else ""
            yield "premium", date(year, 1, 1), f"{text} the increased allowance on {date(year - 1, 1, 1)}{freed}."
        case h.InvitationIssued() if event.year == year:
            ogm = Ogm(event.ogm).printed
            yield (
                "invitation",
                event.issued_on,
                f"Invited to pay {euros(event.amount_cents)} by {event.due_on}, with communication {ogm}.",
            )
        case _:
            return


def _money(
    event: h.PaymentReceived | h.PaymentReversed | h.CreditAllocated | h.AllocationsReordered, year: int
) -> Iterator[Told]:
    match event:
        case h.PaymentReceived():
            for part in _parts(event.allocations, year):
                whole = "" if part == event.amount_cents else f" of a payment of {euros(event.amount_cents)}"
                text = f"{euros(part)}{whole} was on the account on {event.value_date}, {_MATCHED[event.matched_by]}."
                yield "payment", event.value_date, text
        case h.PaymentReversed():
            for part in _parts(event.allocations, year):
                yield "payment", event.value_date, f"The bank took {euros(part)} back on {event.value_date}."
            if event.owed_back_cents and event.value_date.year == year:
                again = euros(event.owed_back_cents)
                text = f"The bank took back {again} that had been refunded: the member owes it back."
                yield "payment", event.value_date, text
        case h.CreditAllocated():
            for part in _parts(event.allocations, year):
                yield "payment", event.allocated_on, f"{euros(part)} of credit was used."
        case h.AllocationsReordered():
            moved = sum(move.amount_cents for move in event.moves if move.to_year == year)
            if moved:
                yield (
                    "payment",
                    None,
                    f"{euros(moved)} that was on the account earlier took the place of later money.",
                )


def _parts(allocations: Sequence[h.Allocation], year: int) -> list[int]:
    return [allocation.amount_cents for allocation in allocations if allocation.year == year]


def _missing(event: h.YearMissed | h.MissCorrected | h.MissReinstated) -> Iterator[Told]:
    match event:
        case h.YearMissed():
            yield "missed", event.missed_on, f"Missed: {euros(event.open_cents)} was still open on {event.missed_on}."
        case h.MissCorrected():
            yield "missed", event.known_on, f"Not missed after all: {_MISS_CORRECTED[event.because]}."
        case h.MissReinstated():
            text = f"Missed again: the payment was taken back, and {euros(event.open_cents)} is open."
            yield "missed", event.known_on, text


def _letter(
    event: h.RegisteredLetterIssued
    | h.RegisteredLetterPosted
    | h.RegisteredLetterWithdrawn
    | h.PostedLetterContradicted
    | h.ReportedToAgency
    | h.ReportCorrected,
    year: int,
    all_events: Sequence[h.HappenedToAffiliation],
) -> Iterator[Told]:
    letters = {
        each.letter_id for each in all_events if isinstance(each, h.RegisteredLetterIssued) and _about(each, year)
    }
    if event.letter_id not in letters:
        return
    match event:
        case h.RegisteredLetterIssued():
            years = listed(allocation.year for allocation in event.years)
            text = f"A registered letter asks {euros(event.amount_cents)} for {years}, by {event.pay_by}."
            yield "letter", event.issued_on, text
        case h.RegisteredLetterPosted():
            yield "letter", event.posted_on, f"The post proved that it took the letter on {event.posted_on}."
        case h.RegisteredLetterWithdrawn():
            yield "letter", event.withdrawn_on, f"The letter is not to be posted: {_WITHDRAWN[event.because]}."
        case h.PostedLetterContradicted():
            text = f"The posted letter turned out wrong, a person decides: {_CONTRADICTED[event.because]}."
            yield "letter", event.known_on, text
        case h.ReportedToAgency():
            years = listed(allocation.year for allocation in event.years)
            yield "report", event.reported_on, f"Reported to the Agency: {euros(event.amount_cents)} open for {years}."
        case h.ReportCorrected():
            yield "report", event.corrected_on, "Taken out of the report to the Agency again."


def _about(letter: h.RegisteredLetterIssued, year: int) -> bool:
    return letter.letter_year == year or any(part.year == year for part in letter.years)


def _fine(
    event: h.FineImposed | h.FineFollowedUp, year: int, all_events: Sequence[h.HappenedToAffiliation]
) -> Iterator[Told]:
    fined = {each.reference for each in all_events if isinstance(each, h.FineImposed) and year in each.years}
    if event.reference not in fined:
        return
    if isinstance(event, h.FineImposed):
        years = listed(event.years)
        text = f"The Agency imposed a fine of {euros(event.amount_cents)}; it claims the premium of {years} itself."
        yield "fine", event.imposed_on, text
    else:
        yield "fine", event.happened_on, f"The Agency told of the fine: {_OUTCOMES[event.outcome]}."
