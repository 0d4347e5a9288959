"""
Commands from outside: each has one effect and one answer, however often and in whatever company it is sent.
"""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from application import commands as c
from application.deciding import HANDLERS
from domain.ids import Kind, belonging_to
from tests.world import World

TODAY = date(2026, 1, 5)


@pytest.fixture
def fund(database, tmp_path):
    return World(database, tmp_path)


def outcomes(answered):
    return [(each.answer.outcome, each.answer.detail.get("code", "")) for each in answered]


def events(fund):
    return fund.backoffice.store.feed.high_water()


def test_every_command_there_is_has_a_handler():
    assert set(HANDLERS) == set(c.AnyCommand.__args__)


def test_a_command_sent_again_gets_the_same_answer_and_changes_nothing(fund):
    command = fund.newcomer()
    (first,) = fund.give(command, on=TODAY)
    before = events(fund)
    again = fund.give(command, command, on=date(2026, 2, 1))
    assert [each.answer for each in again] == [first.answer, first.answer]
    assert [each.repeated for each in again] == [True, True]
    assert events(fund) == before


def test_a_command_twice_in_one_file_has_one_effect(fund):
    command = fund.newcomer()
    one, two = fund.give(command, command, on=TODAY)
    assert one.answer == two.answer
    assert (one.repeated, two.repeated) == (False, True)
    assert len(next(iter(fund.backoffice.pages(Kind.MEMBER)))) == 1


def test_the_same_id_with_another_content_is_refused(fund):
    command = fund.newcomer()
    fund.give(command, on=TODAY)
    answered = fund.give(msgspec.structs.replace(command, last_name="Janssens"), on=TODAY)
    assert outcomes(answered) == [("refused", "IdReused")]


def test_a_command_about_who_was_erased_is_refused_by_itself_and_the_others_are_taken(fund):
    gone, other = fund.register(), fund.register()
    fund.backoffice.store.erase(gone)
    given = [
        c.GiveEmailAddress(command_id=fund.command_id(), member_id=str(member), email="an@example.org")
        for member in (gone, other)
    ]
    died = c.RecordDeath(command_id=fund.command_id(), member_id=str(gone), died_on=date(2026, 1, 4))
    answered = fund.give(*given, died, on=TODAY)
    assert outcomes(answered) == [("refused", "MemberErased"), ("accepted", ""), ("accepted", "")]
    before = events(fund)
    assert [each.repeated for each in fund.give(*given, died, on=TODAY)] == [True, True, True]
    assert events(fund) == before


def test_a_refused_command_leaves_no_trace_and_does_not_stop_the_others(fund):
    member = str(fund.register())
    answered = fund.give(
        c.EndCmMembership(command_id=fund.command_id(), member_id=member, ends_on=date(2001, 1, 1)),
        c.RecordDeath(command_id=fund.command_id(), member_id=member, died_on=date(2026, 6, 1)),
        c.GiveBankAccount(command_id=fund.command_id(), member_id=member, iban="BE00 0000 0000 0000"),
        c.GiveBankAccount(command_id=fund.command_id(), member_id="not an id, really", iban="BE68539007547034"),
        c.RecordDeath(command_id=fund.command_id(), member_id=member, died_on=date(2026, 1, 4)),
        on=TODAY,
    )
    assert outcomes(answered) == [
        ("refused", "EndsBeforeStart"),
        ("refused", "DeathToCome"),
        ("refused", "NotAnIban"),
        ("refused", "NotAMemberId"),
        ("accepted", ""),
    ]
    history = fund.backoffice.store.history(belonging_to(fund_member(member), Kind.MEMBER))
    assert [type(envelope.event).__name__ for envelope in history][-1] == "MemberDied"


def fund_member(text):
    from domain.ids import member_id_from_text

    return member_id_from_text(text)


def test_a_half_made_registration_leaves_nothing(fund):
    before = events(fund)
    answered = fund.give(fund.newcomer(iban="BE00 0000 0000 0000"), on=TODAY)
    assert outcomes(answered) == [("refused", "NotAnIban")]
    assert events(fund) == before


@pytest.mark.parametrize(
    "name",
    ["'; DROP TABLE events; --", "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "../../etc/passwd", "{{7*7}}"],
)
def test_a_name_that_looks_like_a_program_is_a_name(fund, name):
    member = fund.register(last_name=name, on=TODAY)
    (registered, *_) = fund.backoffice.store.history(belonging_to(member, Kind.MEMBER))
    assert registered.event.last_name == name


def test_a_national_number_belongs_to_one_member_also_within_one_file(fund):
    born = date(1985, 7, 30)
    numbers = [
        fund.newcomer(national_number=number, born_on=born)
        for number in ("85.07.30-033.28", "85073003328", "85.07.30-033 28")
    ]
    answered = fund.give(*numbers, fund.newcomer(), on=TODAY)
    assert sorted(outcomes(answered)) == [
        ("accepted", ""),
        ("accepted", ""),
        ("refused", "MarkTaken"),
        ("refused", "MarkTaken"),
    ]
    repeated = fund.give(*numbers, on=TODAY)
    assert [each.answer for each in repeated] == [each.answer for each in answered[:3]]


def test_later_lines_of_a_file_see_what_earlier_ones_did(fund):
    member = fund.backoffice.new_member_id()
    answered = fund.give(
        fund.newcomer(member_id=str(member)),
        c.GiveEmailAddress(command_id=fund.command_id(), member_id=str(member), email="an@example.be"),
        c.ConfirmEmailAddress(command_id=fund.command_id(), member_id=str(member), confirmed_on=TODAY),
        on=TODAY,
    )
    assert outcomes(answered) == [("accepted", "")] * 3


def test_an_increased_allowance_granted_late_sets_charged_years_right_in_the_same_transaction(fund):
    member = fund.register()
    fund.run("invitations", on=date(2026, 1, 20))
    (answered,) = fund.give(
        c.GrantVerhoogdeTegemoetkoming(
            command_id=fund.command_id(), member_id=str(member), starts_on=date(2024, 12, 1)
        ),
        on=date(2026, 6, 1),
    )
    assert answered.answer.detail == {"premium_years_changed": [2026]}
    assert fund.events_of(member)[-1] == "ZorgpremieAmountChanged"


def test_who_may_choose_joins_by_asking_and_is_invited_at_once(fund):
    member = fund.register(region="brussels")
    fund.run("invitations", on=date(2026, 1, 20))
    assert fund.events_of(member) == []
    (answered,) = fund.give(
        c.AskToJoin(command_id=fund.command_id(), member_id=str(member), from_year=2026), on=date(2026, 2, 2)
    )
    assert answered.answer.outcome == "accepted"
    assert fund.events_of(member) == ["AffiliationOpened", "ZorgpremieCharged", "InvitationIssued"]
    ogms = [ogm for _, _, ogm, _ in fund.asked("invitation", 2026)]
    fund.backoffice.catch_up()
    assert len(set(fund.asked("invitation", 2026)) - set(ogms)) == 1


def test_two_writers_of_one_member_both_succeed_one_after_the_other(fund, monkeypatch):
    member = fund.register()
    store = fund.backoffice.store
    real, interfered = store.transaction, []

    def interfering(commit, **options):
        if not interfered:
            interfered.append(True)
            other = c.GiveEmailAddress(command_id=fund.command_id(), member_id=str(member), email="other@example.be")
            context = real(commit, **options)
            unit = context.__enter__()
            fund.give(other, on=TODAY)
            return _Entered(context, unit)
        return real(commit, **options)

    monkeypatch.setattr(store, "transaction", interfering)
    mine = c.GiveBankAccount(command_id=fund.command_id(), member_id=str(member), iban="BE68539007547034")
    (answered,) = fund.give(mine, on=TODAY)
    assert answered.answer.outcome == "accepted"
    history = store.history(belonging_to(member, Kind.MEMBER))
    assert [type(envelope.event).__name__ for envelope in history][-2:] == ["EmailAddressGiven", "BankAccountGiven"]


@pytest.mark.parametrize(
    "late",
    [
        lambda fund, member: c.RefundCredit(
            command_id=fund.command_id(),
            member_id=member,
            amount_cents=1,
            refunded_on=date(9999, 12, 31),
            reference="R",
        ),
        lambda fund, member: c.FollowUpFine(
            command_id=fund.command_id(), member_id=member, reference="R", outcome="paid", happened_on=date(2026, 1, 6)
        ),
        lambda fund, member: c.ConfirmEmailAddress(
            command_id=fund.command_id(), member_id=member, confirmed_on=date(2026, 1, 6)
        ),
    ],
    ids=["a refund", "news of a fine", "a confirmation"],
)
def test_nothing_is_recorded_before_it_happened(fund, late):
    answered = fund.give(late(fund, str(fund.register())), on=TODAY)
    assert outcomes(answered) == [("refused", "NotYetHappened")]


class _Entered:
    def __init__(self, context, unit):
        self._context, self._unit = context, unit

    def __enter__(self):
        return self._unit

    def __exit__(self, *error):
        return self._context.__exit__(*error)


def test_no_refusal_repeats_what_was_sent(fund):
    answered = fund.give(
        fund.newcomer(first_name="Kanarie", national_number="85.07.30-033.29", born_on=date(1985, 7, 30)),
        fund.newcomer(first_name="Kanarie", email="kanarie at nowhere"),
        fund.newcomer(last_name="Kanarie", iban="BE99 1234 5678 9012"),
        on=TODAY,
    )
    assert {outcome for outcome, _ in outcomes(answered)} == {"refused"}
    said = repr([each.answer for each in answered])
    assert not any(secret in said for secret in ("Kanarie", "kanarie", "033.29", "1234 5678"))
