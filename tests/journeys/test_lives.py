"""
Lives: what happens to one member over the years, in plain words. The dates are the point.
"""

from __future__ import annotations

from datetime import date

import pytest

from domain import zorgkas_affiliation as zorgkas
from domain.dates import Period
from domain.zorgkas_affiliation import happened as h
from tests.builders import a_member
from tests.life import Life


def test_paid_on_30_april_with_the_statement_on_4_may_is_not_missed_after_all() -> None:
    life = Life()
    assert life.invited_for(2026) == ["AffiliationOpened", "ZorgpremieCharged", "InvitationIssued"]
    assert life.deadline_of(2026) == ["YearMissed"]

    assert life.pays(100, value=date(2026, 4, 30), known=date(2026, 5, 4)) == ["PaymentReceived", "MissCorrected"]

    assert life.missed_years == []
    assert life.last(h.MissCorrected).because == "paid_in_time"
    assert life.last(h.MissCorrected).known_on == date(2026, 5, 4)
    assert life.deadline_of(2026, on=date(2026, 5, 5)) == ["passed over: paid"]


def test_paid_on_1_may_stays_missed_though_nothing_is_owed() -> None:
    life = Life()
    life.invited_for(2026)
    life.deadline_of(2026)

    assert life.pays(100, value=date(2026, 5, 1), known=date(2026, 5, 4)) == ["PaymentReceived"]

    assert life.missed_years == [2026]
    assert life.open_euros == {}


def test_paid_on_1_may_and_known_before_the_deadline_run_is_missed_all_the_same() -> None:
    life = Life()
    life.invited_for(2026)
    life.pays(100, value=date(2026, 5, 1))

    assert life.deadline_of(2026, on=date(2026, 5, 20)) == ["YearMissed"]

    assert life.last(h.YearMissed).missed_on == date(2026, 4, 30)
    assert life.last(h.YearMissed).open_cents == 10000


def test_60_of_100_paid_and_the_rest_on_3_may_is_an_incomplete_year_and_so_missed() -> None:
    life = Life()
    life.invited_for(2026)
    life.pays(60, value=date(2026, 4, 15))

    assert life.deadline_of(2026) == ["YearMissed"]
    assert life.last(h.YearMissed).open_cents == 4000
    assert life.pays(40, value=date(2026, 5, 3)) == ["PaymentReceived"]

    assert life.missed_years == [2026]
    assert life.open_euros == {}


def two_years_open() -> Life:
    life = Life()
    for year in (2024, 2025):
        life.invited_for(year)
        life.deadline_of(year)
    return life


def test_arrears_are_asked_along_with_the_next_invitation() -> None:
    life = two_years_open()
    life.invited_for(2026)
    assert life.last(h.InvitationIssued).amount_cents == (62 + 64 + 100) * 100


def test_the_older_of_two_years_paid_between_plan_and_execution_means_no_letter() -> None:
    assert two_years_open().letter_run(on=date(2025, 6, 1)) == ["RegisteredLetterIssued"]  # what the plan says
    life = two_years_open()
    life.pays(62, value=date(2025, 5, 30))
    assert life.letter_run(on=date(2025, 6, 1)) == ["passed over: too_few_missed_years"]  # what the execution says


def test_the_older_of_two_years_paid_after_the_letter_is_made_and_before_it_is_posted_withdraws_the_letter() -> None:
    life = two_years_open()
    assert life.letter_run(on=date(2025, 6, 1)) == ["RegisteredLetterIssued"]
    letter = life.last(h.RegisteredLetterIssued)
    assert [(share.year, share.amount_cents) for share in letter.years] == [(2024, 6200), (2025, 6400)]

    assert life.pays(62, value=date(2025, 6, 2)) == ["PaymentReceived", "RegisteredLetterWithdrawn"]

    assert life.last(h.RegisteredLetterWithdrawn).because == "paid"
    assert life.report_run(on=date(2025, 10, 8)) == ["passed over: letter_withdrawn"]


def test_a_withdrawn_letter_that_the_post_took_all_the_same_is_named_for_a_person() -> None:
    life = two_years_open()
    life.letter_run(on=date(2025, 6, 1))
    life.pays(62, value=date(2025, 6, 2))

    assert life.post_proves(date(2025, 6, 3)) == ["RegisteredLetterPosted", "PostedLetterContradicted"]

    assert life.last(h.PostedLetterContradicted).because == "posted_after_withdrawal"


def test_money_from_before_the_posting_that_is_known_after_it_names_the_letter_for_a_person() -> None:
    life = two_years_open()
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))

    events = life.pays(62, value=date(2025, 6, 2), known=date(2025, 6, 5))

    assert events == ["PaymentReceived", "PostedLetterContradicted"]
    assert life.last(h.PostedLetterContradicted).because == "paid_before_posting"


def test_money_on_the_day_of_posting_leaves_the_posted_letter_right() -> None:
    life = two_years_open()
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))
    assert life.pays(62, value=date(2025, 6, 3)) == ["PaymentReceived"]


def test_a_miss_corrected_after_posting_names_the_letter_and_nothing_is_reported() -> None:
    life = two_years_open()
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))

    events = life.pays(126, value=date(2025, 4, 30), known=date(2025, 6, 10))

    assert events == ["PaymentReceived", "MissCorrected", "PostedLetterContradicted"]
    assert life.report_run(on=date(2025, 10, 8)) == ["passed over: letter_contradicted"]


def missed(*years: int) -> Life:
    life = Life()
    for year in years:
        life.invited_for(year)
        life.deadline_of(year)
    return life


def test_until_2018_two_missed_years_bring_no_letter_and_three_do() -> None:
    assert missed(2015, 2016).letter_run(on=date(2017, 3, 1)) == ["passed over: too_few_missed_years"]
    life = missed(2015, 2016, 2017)
    assert life.letter_run(on=date(2018, 3, 31)) == ["RegisteredLetterIssued"]
    letter = life.last(h.RegisteredLetterIssued)
    assert letter.pay_by == date(2018, 4, 30)
    assert [used.value for used in letter.basis.values if used.parameter == "arrears/missed_years_min"] == [3]


def test_until_2018_the_letter_goes_out_by_31_march() -> None:
    with pytest.raises(zorgkas.LetterTooLate, match="letter_by=2018-03-31"):
        missed(2015, 2016, 2017).letter_run(on=date(2018, 4, 1))


def test_since_2019_three_open_years_are_asked_together_in_one_letter_by_1_september() -> None:
    life = missed(2018, 2019, 2020)
    assert life.letter_run(on=date(2020, 9, 1)) == ["RegisteredLetterIssued"]
    letter = life.last(h.RegisteredLetterIssued)
    assert letter.amount_cents == (51 + 52 + 53) * 100
    assert letter.pay_by == date(2020, 10, 5)
    with pytest.raises(zorgkas.LetterTooLate, match="letter_by=2020-09-01"):
        missed(2018, 2019, 2020).letter_run(on=date(2020, 9, 2))


def test_the_years_of_a_letter_need_not_follow_each_other() -> None:
    life = missed(2022)
    life.invited_for(2023)
    life.pays(116, value=date(2023, 2, 1))  # 54 of 2022, then 58 of 2023, and 4 of credit
    assert life.letter_run(on=date(2023, 6, 1)) == ["passed over: too_few_missed_years"]
    later = missed(2022, 2024)
    assert later.letter_run(on=date(2024, 6, 1)) == ["RegisteredLetterIssued"]


def test_a_voluntary_member_with_two_years_open_gets_no_registered_letter() -> None:
    life = Life(a_member(region="brussels"))
    assert life.invited_for(2024) == ["passed over: not_asked"]
    assert life.asks_to_join(2024, on=date(2024, 2, 1)) == [
        "AffiliationOpened",
        "ZorgpremieCharged",
        "InvitationIssued",
    ]
    life.deadline_of(2024)
    assert life.invited_for(2025) == ["ZorgpremieCharged", "InvitationIssued"]
    life.deadline_of(2025)
    assert life.missed_years == [2024, 2025]
    assert life.letter_run(on=date(2025, 6, 1)) == ["passed over: voluntary"]


def test_a_letter_without_proof_of_posting_is_not_reported() -> None:
    life = two_years_open()
    life.letter_run(on=date(2025, 6, 1))
    assert life.report_run(on=date(2025, 10, 8)) == ["passed over: not_posted"]


def test_a_letter_posted_on_2_september_is_recorded_and_not_reported() -> None:
    life = two_years_open()
    life.letter_run(on=date(2025, 9, 1))
    assert life.post_proves(date(2025, 9, 2)) == ["RegisteredLetterPosted"]
    assert life.report_run(on=date(2025, 10, 8)) == ["passed over: posted_too_late"]


def after_the_letter() -> Life:
    life = two_years_open()
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))
    return life


def test_all_paid_on_5_october_is_in_time_also_when_the_statement_comes_later() -> None:
    life = after_the_letter()
    life.pays(126, value=date(2025, 10, 5), known=date(2025, 10, 7))
    assert life.report_run(on=date(2025, 10, 8)) == ["passed over: paid"]


def test_all_paid_on_12_october_is_reported_and_then_corrected() -> None:
    life = after_the_letter()
    assert life.report_run(on=date(2025, 10, 10)) == ["ReportedToAgency"]
    assert life.last(h.ReportedToAgency).amount_cents == 12600
    life.pays(126, value=date(2025, 10, 12), known=date(2025, 10, 14))
    assert life.correction_run(on=date(2025, 10, 16)) == ["ReportCorrected"]
    assert life.correction_run(on=date(2025, 10, 17)) == ["passed over: already_corrected"]


def test_all_paid_on_15_october_with_the_statement_on_20_october_is_corrected() -> None:
    life = after_the_letter()
    life.report_run(on=date(2025, 10, 10))
    life.pays(126, value=date(2025, 10, 15), known=date(2025, 10, 20))
    assert life.correction_run(on=date(2025, 10, 20)) == ["ReportCorrected"]


def test_all_paid_on_16_october_stays_reported_and_the_fine_leaves_nothing_to_ask() -> None:
    life = after_the_letter()
    life.report_run(on=date(2025, 10, 10))
    life.pays(126, value=date(2025, 10, 16))
    assert life.correction_run(on=date(2025, 10, 17)) == ["passed over: still_unpaid"]
    assert life.agency_fines(2024, 2025, on=date(2025, 11, 20)) == ["FineImposed"]
    assert life.open_euros == {}


def test_a_report_is_not_made_before_5_october_is_over_nor_after_10_october() -> None:
    with pytest.raises(zorgkas.ReportTooEarly, match="pay_by=2025-10-05"):
        after_the_letter().report_run(on=date(2025, 10, 5))
    with pytest.raises(zorgkas.ReportTooLate, match="report_by=2025-10-10"):
        after_the_letter().report_run(on=date(2025, 10, 11))


def test_a_fine_for_a_year_of_the_letter_that_was_not_reported_is_for_a_person() -> None:
    life = missed(2023, 2024, 2025)
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))
    life.pays(58, value=date(2025, 7, 1))
    assert life.report_run(on=date(2025, 10, 8)) == ["ReportedToAgency"]
    assert [share.year for share in life.last(h.ReportedToAgency).years] == [2024, 2025]
    with pytest.raises(zorgkas.FineWithoutReport):
        life.agency_fines(2023, 2024, on=date(2025, 11, 20))


def test_a_fine_pays_none_of_the_premiums_which_stay_owed() -> None:
    """
    Rule: ZB-6.
    """
    life = after_the_letter()
    life.report_run(on=date(2025, 10, 8))
    assert life.agency_fines(2024, 2025, on=date(2025, 11, 20)) == ["FineImposed"]
    assert life.open_euros == {2024: 62, 2025: 64}
    assert life.missed_years == [2024, 2025]
    assert life.agency_tells_of_the_fine("paid", on=date(2026, 1, 5)) == ["FineFollowedUp"]
    assert life.open_euros == {2024: 62, 2025: 64}
    assert life.credit_euros == 0
    assert life.pays(126, value=date(2026, 1, 6)) == ["PaymentReceived"]
    assert life.open_euros == {}


def test_premiums_that_the_agency_claims_with_its_fine_are_not_asked_again() -> None:
    life = after_the_letter()
    life.report_run(on=date(2025, 10, 8))
    life.agency_fines(2024, 2025, on=date(2025, 11, 20))
    life.invited_for(2026)
    assert life.last(h.InvitationIssued).amount_cents == 10000
    life.deadline_of(2026)
    assert life.letter_run(on=date(2026, 6, 1)) == ["passed over: too_few_missed_years"]


def test_an_amount_paid_twice_is_credit_and_pays_the_next_year() -> None:
    life = Life()
    life.invited_for(2025)
    life.pays(64, value=date(2025, 2, 1))
    life.pays(64, value=date(2025, 2, 3))
    assert life.credit_euros == 64

    events = life.invited_for(2026)

    assert events == ["ZorgpremieCharged", "CreditAllocated", "InvitationIssued"]
    assert life.last(h.InvitationIssued).amount_cents == 3600
    assert life.credit_euros == 0


def test_an_amount_paid_twice_can_go_back_and_is_not_counted_again() -> None:
    life = Life()
    life.invited_for(2025)
    life.pays(64, value=date(2025, 2, 1))
    life.pays(64, value=date(2025, 2, 3))
    assert life.refunded(64, on=date(2025, 3, 1)) == ["CreditRefunded"]
    assert life.credit_euros == 0
    with pytest.raises(zorgkas.MoreThanCredit):
        life.refunded(1, on=date(2025, 3, 2))
    assert life.deadline_of(2025) == ["passed over: paid"]


def test_paid_late_and_again_in_time_by_a_late_statement_was_in_time() -> None:
    life = Life()
    life.invited_for(2026)
    life.deadline_of(2026)
    life.pays(100, value=date(2026, 5, 5))

    events = life.pays(100, value=date(2026, 4, 29), known=date(2026, 5, 8))

    assert events == ["PaymentReceived", "AllocationsReordered", "MissCorrected"]
    assert life.credit_euros == 100


def test_the_26th_birthday_on_31_december_makes_the_whole_year_due_and_the_first_two_payable_until_27() -> None:
    life = Life(a_member(birth_year=1999))  # turns 26 on 31 December 2025
    assert life.invited_for(2024) == ["passed over: under_age"]
    assert life.invited_for(2025) == ["AffiliationOpened", "ZorgpremieCharged", "InvitationIssued"]
    assert life.last(h.ZorgpremieCharged).amount_cents == 6400
    assert life.deadline_of(2025) == ["passed over: first_premiums"]
    life.invited_for(2026)
    assert life.deadline_of(2026) == ["passed over: first_premiums"]
    assert life.letter_run(on=date(2026, 6, 1)) == ["passed over: too_few_missed_years"]

    life.pays(164, value=date(2026, 12, 31), known=date(2027, 1, 4))

    assert life.deadline_of(2026, on=date(2027, 1, 5)) == ["passed over: paid"]


def test_the_first_two_premiums_unpaid_after_31_december_of_27_are_both_missed() -> None:
    life = Life(a_member(birth_year=1997))
    life.invited_for(2023)
    life.invited_for(2024)
    assert life.deadline_of(2024, on=date(2024, 12, 31)) == ["passed over: first_premiums"]
    assert life.deadline_of(2024, on=date(2025, 1, 1)) == ["YearMissed", "YearMissed"]
    assert {event.missed_on for event in life.happened if isinstance(event, h.YearMissed)} == {date(2024, 12, 31)}
    assert life.letter_run(on=date(2025, 6, 1)) == ["RegisteredLetterIssued"]


def test_the_deadline_run_of_the_next_year_judges_the_first_premiums_along() -> None:
    life = Life(a_member(birth_year=1997))
    for year in (2023, 2024, 2025):
        life.invited_for(year)
    assert life.deadline_of(2025) == ["YearMissed", "YearMissed", "YearMissed"]


def test_who_joined_by_choice_after_30_april_and_did_not_pay_in_that_year_missed_it() -> None:
    life = Life(a_member(region="brussels"))
    life.asks_to_join(2023, on=date(2023, 7, 1))
    life.invited_for(2024)
    assert life.deadline_of(2024) == ["YearMissed", "YearMissed"]
    assert [event.missed_on for event in life.happened if isinstance(event, h.YearMissed)] == [
        date(2023, 12, 31),
        date(2024, 4, 30),
    ]


def test_who_joined_by_choice_after_30_april_may_pay_until_31_december() -> None:
    life = Life(a_member(region="brussels"))
    life.asks_to_join(2023, on=date(2023, 7, 1))
    life.pays(58, value=date(2023, 12, 31), known=date(2024, 1, 3))
    life.invited_for(2024)
    life.deadline_of(2024)
    assert life.missed_years == [2024]


@pytest.mark.parametrize("judged_on", [date(2026, 5, 1), date(2026, 5, 20)])
def test_who_paid_in_time_what_was_asked_missed_nothing_when_the_year_became_dearer(judged_on: date) -> None:
    had = Period(start=date(2015, 1, 1))
    life = Life(a_member(birth_year=1998, allowance=[had]))
    for year, euros in ((2024, 31), (2025, 32), (2026, 35)):
        life.invited_for(year)
        life.pays(euros, value=date(year, 3, 1))

    life.allowance_known(Period(start=had.start, end=date(2016, 1, 1)), on=date(2026, 4, 28))

    assert life.open_euros == {2024: 31, 2025: 32, 2026: 65}
    assert life.deadline_of(2026, on=judged_on) == ["passed over: paid"]


def test_who_paid_less_than_was_ever_asked_missed_the_year_that_became_dearer() -> None:
    life = Life(a_member(allowance=[Period(start=date(2015, 1, 1))]))
    life.invited_for(2026)
    life.pays(34, value=date(2026, 3, 1))
    life.allowance_known(on=date(2026, 4, 28))
    assert life.deadline_of(2026) == ["YearMissed"]
    assert life.last(h.YearMissed).open_cents == 6600


def test_an_allowance_granted_late_lowers_the_year_frees_money_and_corrects_the_miss() -> None:
    life = Life()
    life.invited_for(2026)
    life.pays(40, value=date(2026, 4, 10))
    assert life.deadline_of(2026) == ["YearMissed"]

    events = life.allowance_known(Period(start=date(2024, 10, 1)), on=date(2026, 7, 15))

    assert events == ["ZorgpremieAmountChanged", "MissCorrected"]
    changed = life.last(h.ZorgpremieAmountChanged)
    assert (changed.from_cents, changed.to_cents, changed.freed_cents) == (10000, 3500, 500)
    assert life.last(h.MissCorrected).because == "amount_changed"
    assert life.credit_euros == 5
    assert life.missed_years == []


@pytest.mark.parametrize(("starts_on", "changes"), [(date(2025, 1, 1), True), (date(2025, 1, 2), False)])
def test_the_allowance_must_hold_on_1_january_of_the_year_before(starts_on: date, changes: bool) -> None:
    life = Life()
    life.invited_for(2026)
    assert bool(life.allowance_known(Period(start=starts_on), on=date(2026, 3, 1))) is changes


def test_an_allowance_granted_late_withdraws_a_letter_that_is_not_posted_yet() -> None:
    life = Life()
    life.invited_for(2024)
    life.pays(31, value=date(2024, 3, 1))
    life.deadline_of(2024)
    life.invited_for(2025)
    life.deadline_of(2025)
    life.letter_run(on=date(2025, 6, 1))

    events = life.allowance_known(Period(start=date(2023, 1, 1)), on=date(2025, 6, 2))

    assert events == [
        "ZorgpremieAmountChanged",
        "ZorgpremieAmountChanged",
        "MissCorrected",
        "RegisteredLetterWithdrawn",
    ]
    assert life.last(h.RegisteredLetterWithdrawn).because == "amount_changed"


def test_a_payment_that_the_bank_takes_back_after_the_deadline_makes_the_year_missed_again() -> None:
    life = Life()
    life.invited_for(2026)
    life.pays(100, value=date(2026, 4, 20))
    assert life.deadline_of(2026) == ["passed over: paid"]

    assert life.bank_takes_back(1, euros=100, on=date(2026, 5, 6)) == ["PaymentReversed", "MissReinstated"]

    assert life.missed_years == [2026]
    assert life.open_euros == {2026: 100}
    assert life.bank_takes_back(1, euros=100, on=date(2026, 5, 6)) == []


def test_a_reminder_goes_to_who_did_not_pay_and_was_not_asked_by_registered_letter() -> None:
    life = Life()
    life.invited_for(2025)
    life.deadline_of(2025)
    assert life.reminder_run(2025, on=date(2025, 11, 30)) == ["ReminderIssued"]
    assert life.reminder_run(2025, on=date(2025, 11, 30)) == ["passed over: already_reminded"]
    with pytest.raises(zorgkas.ReminderTooLate):
        life.reminder_run(2025, on=date(2025, 12, 1))
    assert after_the_letter().reminder_run(2025, on=date(2025, 11, 15)) == ["passed over: asked_by_registered_letter"]


def test_who_paid_all_that_the_letter_asked_is_not_reported_when_the_years_became_dearer() -> None:
    life = Life(a_member(allowance=[Period(start=date(2020, 1, 1))]))
    for year in (2024, 2025):
        life.invited_for(year)
        life.deadline_of(year)
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))
    life.pays(31 + 32, value=date(2025, 7, 1))

    life.allowance_known(Period(start=date(2020, 1, 1), end=date(2022, 12, 31)), on=date(2025, 8, 1))

    assert life.open_euros == {2024: 31, 2025: 32}
    assert life.report_run(on=date(2025, 10, 6)) == ["passed over: paid"]


def test_missed_years_paid_late_as_asked_bring_no_letter_when_they_became_dearer() -> None:
    life = Life(a_member(allowance=[Period(start=date(2020, 1, 1))]))
    for year, euros in ((2024, 31), (2025, 32)):
        life.invited_for(year)
        life.deadline_of(year)
        life.pays(euros, value=date(year, 5, 10))

    life.allowance_known(Period(start=date(2020, 1, 1), end=date(2022, 12, 31)), on=date(2025, 5, 20))

    assert life.missed_years == [2024, 2025]
    assert life.letter_run(on=date(2025, 6, 1)) == ["passed over: too_few_missed_years"]


def test_who_pays_what_the_letter_of_four_years_asked_is_not_reported_when_they_became_dearer_first() -> None:
    life = Life(a_member(allowance=[Period(start=date(2018, 1, 1))]))
    for year in (2022, 2023, 2024, 2025):
        life.invited_for(year)
        life.deadline_of(year)
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))
    asked = sum(life.open_euros.values())

    life.allowance_known(Period(start=date(2018, 1, 1), end=date(2020, 12, 31)), on=date(2025, 8, 1))
    life.pays(asked, value=date(2025, 9, 1))

    assert life.open_euros == {2024: 55, 2025: 64}  # the oldest years come first, and took what nobody had asked
    assert life.report_run(on=date(2025, 10, 6)) == ["passed over: paid"]


def test_who_pays_a_part_of_what_the_letter_asked_is_reported_though_it_would_have_been_enough_before() -> None:
    life = Life(a_member(allowance=[Period(start=date(2020, 1, 1))]))
    for year in (2024, 2025):
        life.invited_for(year)
        life.deadline_of(year)
    life.allowance_known(Period(start=date(2020, 1, 1), end=date(2022, 12, 31)), on=date(2025, 5, 20))
    life.letter_run(on=date(2025, 6, 1))
    life.post_proves(date(2025, 6, 3))

    life.pays(31, value=date(2025, 7, 1))

    assert life.report_run(on=date(2025, 10, 6)) == ["ReportedToAgency"]
    life.pays(62 + 64 - 31, value=date(2025, 10, 12))
    assert life.correction_run(on=date(2025, 10, 16)) == ["ReportCorrected"]
