"""
Money in on the real store: whole or not at all, once, in order; safe matches by themselves, the rest to a person.
"""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from adapters.postgres.looking import worklist, worklists
from adapters.postgres.unit import PostgresUnit
from application import commands as c
from application.explaining import Sources, explain
from console.show import since_owed_back
from domain.bank_account import AccountNotOpened, BalanceDoesNotFollow, StatementContradicts
from domain.ids import Kind, belonging_to, owner_of
from domain.money import Cents
from domain.payments import Iban, Movement, bank_movement_id
from domain.zorgkas_affiliation import AFFILIATION
from formats.camt053_writer import write_camt053
from tests.world import OUR_ACCOUNT, World, paid

INVITED = date(2025, 1, 20)
SECOND_ACCOUNT = Iban.from_text("BE02068893856340")


@pytest.fixture
def fund(database, tmp_path):
    """
    Three members who were invited to pay 64.00 for 2025.
    """
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.members = sorted(world.register() for _ in range(3))
    world.run("invitations", on=INVITED)
    world.ogms = [ogm for _, _, ogm, _ in world.asked("invitation", 2025)]
    return world


def open_cents(world, member):
    rows = world.rows(
        "SELECT charged_cents - paid_cents FROM rm_premium_account.premium_year WHERE stream = %s",
        belonging_to(member, Kind.ZORGKAS_AFFILIATION),
    )
    return sum(cents for (cents,) in rows)


def held(world):
    return world.rows("SELECT because, state, amount_cents FROM rm_bank.held_movement ORDER BY amount_cents")


def assert_every_cent_has_a_place(world):
    (banked,) = world.rows("SELECT coalesce(sum(credit_cents - debit_cents), 0) FROM rm_bank.statement")[0]
    (received,) = world.rows("SELECT coalesce(sum(received_cents), 0) FROM rm_premium_account.affiliation")[0]
    (waiting,) = world.rows("SELECT coalesce(sum(amount_cents - allocated_cents), 0) FROM rm_bank.held_movement")[0]
    assert banked == received + waiting


# --- Whole, once, in order -------------------------------------------------------------------------------------------


def test_a_statement_is_taken_with_every_movement_and_says_what_became_of_them(fund):
    report = fund.bank(date(2025, 3, 3), [paid(ogm, 6400, value_date=date(2025, 3, 3)) for ogm in fund.ogms])
    assert (report.state, report.totals.allocated, report.totals.allocated_cents) == ("taken", 3, 19200)
    assert [open_cents(fund, member) for member in fund.members] == [0, 0, 0]


def test_the_same_file_again_under_any_name_or_line_end_changes_nothing(fund):
    content = fund.coda(fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))]))
    fund.take(content, on=date(2025, 3, 4))
    events = fund.backoffice.store.feed.high_water()
    for again in (content, content.replace(b"\n", b"\r\n"), content + b"\n"):
        (report,) = fund.take(again, on=date(2025, 3, 5))
        assert report.state == "already_taken"
    assert fund.backoffice.store.feed.high_water() == events


def test_the_banks_copy_of_a_statement_and_the_same_in_the_other_format_change_nothing(fund):
    statement = fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    fund.take(fund.coda(statement), on=date(2025, 3, 4))
    events = fund.backoffice.store.feed.high_water()
    copy = msgspec.structs.replace(statement, duplicate=True)
    for again in (fund.coda(copy), b"".join(write_camt053([copy], created_on=date(2025, 3, 4)))):
        assert [report.state for report in fund.take(again, on=date(2025, 3, 5))] == ["already_taken"]
    assert fund.backoffice.store.feed.high_water() == events


def test_the_same_statement_with_another_amount_is_refused(fund):
    statement = fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    fund.take(fund.coda(statement), on=date(2025, 3, 4))
    other = msgspec.structs.replace(
        statement,
        movements=[paid(fund.ogms[0], 6500, value_date=date(2025, 3, 3))],
        closing_cents=Cents(statement.opening_cents + 6500),
    )
    with pytest.raises(StatementContradicts):
        fund.take(fund.coda(other), on=date(2025, 3, 5))


def test_a_statement_before_its_turn_waits_and_says_for_what_then_follows_by_itself(fund):
    first = fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    second = fund.statement(date(2025, 3, 4), [paid(fund.ogms[1], 6400, value_date=date(2025, 3, 4))])
    third = fund.statement(date(2025, 3, 5), [paid(fund.ogms[2], 6400, value_date=date(2025, 3, 5))])
    fund.take(fund.coda(first), on=date(2025, 3, 4))
    (waiting,) = fund.take(fund.coda(third), on=date(2025, 3, 6))
    assert (waiting.state, waiting.waits_for) == ("waiting", "2025/2")
    assert open_cents(fund, fund.members[2]) == 6400
    reports = fund.take(fund.coda(second), on=date(2025, 3, 7))
    assert [(report.number, report.state) for report in reports] == [(2, "taken"), (3, "taken")]
    assert [open_cents(fund, member) for member in fund.members] == [0, 0, 0]
    assert_every_cent_has_a_place(fund)


def test_a_balance_that_does_not_follow_the_one_before_is_refused(fund):
    fund.bank(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    fund._chain["balance"] += 1
    with pytest.raises(BalanceDoesNotFollow):
        fund.bank(date(2025, 3, 4), [])


def test_a_file_with_two_statements_is_taken_in_order_in_one_go(fund):
    one = fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    two = fund.statement(date(2025, 3, 4), [paid(fund.ogms[1], 6400, value_date=date(2025, 3, 4))])
    reports = fund.take(fund.coda(one, two), on=date(2025, 3, 5))
    assert [report.state for report in reports] == ["taken", "taken"]


def test_a_file_of_two_accounts_is_taken_when_both_are_ours_and_else_not_at_all(fund):
    ours = fund.statement(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    other = msgspec.structs.replace(
        ours, account=SECOND_ACCOUNT, movements=[paid("?", 6400, value_date=date(2025, 3, 3))]
    )
    before = fund.backoffice.store.feed.high_water()
    with pytest.raises(AccountNotOpened):
        fund.take(fund.coda(ours, other), on=date(2025, 3, 4))
    assert fund.backoffice.store.feed.high_water() == before
    fund.open_account(date(2025, 3, 4), SECOND_ACCOUNT)
    reports = fund.take(fund.coda(ours, other), on=date(2025, 3, 5))
    assert [(report.account, report.state) for report in reports] == [(OUR_ACCOUNT, "taken"), (SECOND_ACCOUNT, "taken")]
    assert_every_cent_has_a_place(fund)


def test_a_failure_in_the_last_movement_leaves_nothing_of_the_file(fund, monkeypatch):
    before = fund.backoffice.store.feed.high_water()
    append, calls = PostgresUnit.append, []

    def fails_late(unit, aggregate, changes):
        calls.append(aggregate.context)
        if aggregate.context == "zorgkas":
            raise OSError("the machine stops here")
        append(unit, aggregate, changes)

    monkeypatch.setattr(PostgresUnit, "append", fails_late)
    with pytest.raises(OSError, match="stops here"):
        fund.bank(date(2025, 3, 3), [paid(ogm, 6400, value_date=date(2025, 3, 3)) for ogm in fund.ogms])
    monkeypatch.undo()
    assert calls == ["bank", "zorgkas"]
    assert fund.backoffice.store.feed.high_water() == before
    assert held(fund) == []


# --- Whose money -----------------------------------------------------------------------------------------------------


def test_money_without_an_ogm_goes_to_the_one_member_known_to_pay_from_that_account_and_owing_exactly_that(fund):
    fund.give(
        c.GiveBankAccount(command_id=fund.command_id(), member_id=str(fund.members[0]), iban="BE68 5390 0754 7034"),
        on=INVITED,
    )
    report = fund.bank(date(2025, 3, 3), [paid("zorgpremie 2025", 6400, value_date=date(2025, 3, 3))])
    assert report.totals.allocated == 1
    assert open_cents(fund, fund.members[0]) == 0


@pytest.mark.parametrize(
    ("communication", "cents", "because"),
    [
        pytest.param("geen mededeling", 6400, "no_ogm", id="an account nobody knows"),
        pytest.param("123456789012", 6400, "wrong_check_digits", id="check digits that are wrong"),
        pytest.param("999999999948", 6400, "unknown_ogm", id="a communication that we never gave out"),
    ],
)
def test_what_is_not_safe_goes_to_the_worklist_with_its_reason(fund, communication, cents, because):
    report = fund.bank(date(2025, 3, 3), [paid(communication, cents, value_date=date(2025, 3, 3))])
    assert report.totals.by_reason == {because: 1}
    assert held(fund) == [(because, "open", cents)]
    assert_every_cent_has_a_place(fund)


def test_money_of_who_was_erased_waits_for_a_person_and_that_of_the_others_is_taken(fund):
    day = date(2025, 3, 3)
    gone, others = owner_of(fund.asked("invitation", 2025)[0][0]), fund.ogms[1:]
    fund.backoffice.store.erase(gone)
    report = fund.bank(day, [paid(ogm, 6400, value_date=day) for ogm in fund.ogms])
    assert (report.totals.allocated, report.totals.by_reason) == (len(others), {"payer_erased": 1})
    assert open_cents(fund, gone) == 6400
    assert held(fund) == [("payer_erased", "open", 6400)]
    assert_every_cent_has_a_place(fund)


def test_money_that_the_bank_takes_back_of_who_was_erased_since_is_taken_back(fund):
    first, later = date(2025, 3, 3), date(2025, 3, 10)
    gone = owner_of(fund.asked("invitation", 2025)[0][0])
    fund.bank(first, [paid(fund.ogms[0], 6400, value_date=first)])
    fund.backoffice.store.erase(gone)
    back = msgspec.structs.replace(
        paid(fund.ogms[0], -6400, value_date=later), reversal="return", reversal_reason="AC04"
    )
    report = fund.bank(later, [back])
    assert (report.totals.reversed, open_cents(fund, gone)) == (1, 6400)
    assert_every_cent_has_a_place(fund)


def test_an_account_that_two_owing_members_share_is_for_a_person(fund):
    for member in fund.members[:2]:
        fund.give(
            c.GiveBankAccount(command_id=fund.command_id(), member_id=str(member), iban="BE68539007547034"), on=INVITED
        )
    report = fund.bank(date(2025, 3, 3), [paid("", 6400, value_date=date(2025, 3, 3))])
    assert report.totals.by_reason == {"several_candidates": 1}


def test_another_amount_than_what_is_open_is_not_guessed(fund):
    fund.give(
        c.GiveBankAccount(command_id=fund.command_id(), member_id=str(fund.members[0]), iban="BE68539007547034"),
        on=INVITED,
    )
    report = fund.bank(date(2025, 3, 3), [paid("", 6300, value_date=date(2025, 3, 3))])
    assert report.totals.by_reason == {"no_ogm": 1}


def test_paid_twice_by_the_same_account_is_credit_by_a_stranger_a_question(fund):
    first = paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))
    fund.bank(date(2025, 3, 3), [first, first])
    stranger = paid(fund.ogms[0], 6400, value_date=date(2025, 3, 4), iban="BE43068999999501")
    report = fund.bank(date(2025, 3, 4), [stranger])
    assert report.totals.by_reason == {"nothing_open": 1}
    (credit,) = fund.rows("SELECT sum(credit_cents) FROM rm_premium_account.affiliation")[0]
    assert credit == 6400
    assert_every_cent_has_a_place(fund)


def test_a_reversal_opens_the_year_again(fund):
    fund.bank(date(2025, 3, 3), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))])
    back = Movement(
        ordinal=1, amount_cents=Cents(-6400), value_date=date(2025, 3, 6), booked_on=date(2025, 3, 6),
        communication=fund.ogms[0], communication_kind="structured", reversal="return", reversal_reason="AC04",
    )  # fmt: skip
    report = fund.bank(date(2025, 3, 6), [back])
    assert (report.totals.reversed, report.totals.reversed_cents) == (1, -6400)
    assert open_cents(fund, fund.members[0]) == 6400
    assert_every_cent_has_a_place(fund)


def test_the_same_reversal_twice_a_part_of_one_and_one_of_nothing_are_for_a_person(fund):
    day = date(2025, 3, 6)
    fund.bank(date(2025, 3, 3), [paid(ogm, 6400, value_date=date(2025, 3, 3)) for ogm in fund.ogms[:2]])
    takes_back = [(fund.ogms[0], 6400), (fund.ogms[0], 6400), (fund.ogms[1], 3000), (fund.ogms[2], 6400)]
    report = fund.bank(day, [
        Movement(
            ordinal=1, amount_cents=Cents(-cents), value_date=day, booked_on=day, communication=ogm,
            communication_kind="structured", reversal="return", reversal_reason="AC04",
        )
        for ogm, cents in takes_back
    ])  # fmt: skip
    assert (report.totals.reversed, report.totals.by_reason) == (1, {"reversal_without_original": 3})
    assert [open_cents(fund, member) for member in fund.members] == [6400, 0, 6400]
    assert_every_cent_has_a_place(fund)


def test_a_reversal_of_money_that_was_refunded_is_closed_by_a_person_and_the_member_owes_it(fund):
    twice = paid(fund.ogms[0], 6400, value_date=date(2025, 3, 3))
    fund.bank(date(2025, 3, 3), [twice, twice])
    member = str(fund.members[0])
    fund.give(
        c.RefundCredit(
            command_id=fund.command_id(), member_id=member, amount_cents=6400, refunded_on=date(2025, 3, 5),
            reference="R1",
        ),
        on=date(2025, 3, 5),
    )  # fmt: skip
    back = Movement(
        ordinal=1, amount_cents=Cents(-6400), value_date=date(2025, 3, 6), booked_on=date(2025, 3, 6),
        communication=fund.ogms[0], communication_kind="structured", reversal="return", reversal_reason="AC04",
    )  # fmt: skip
    report = fund.bank(date(2025, 3, 6), [back])
    assert report.totals.by_reason == {"reversal_without_original": 1}
    assert_every_cent_has_a_place(fund)

    def allocate(**more):
        asked = c.AllocateMovement(
            command_id=fund.command_id(), member_id=member, reason="the second payment came back",
            movement_id=bank_movement_id(account=OUR_ACCOUNT, year=2025, number=2, ordinal=1), **more,
        )  # fmt: skip
        (answered,) = fund.give(asked, on=date(2025, 3, 7))
        fund.backoffice.catch_up()
        return answered.answer

    assert allocate().detail["code"] == "NoPaymentToTakeBack"  # two payments of that amount: which one?
    payments = [bank_movement_id(account=OUR_ACCOUNT, year=2025, number=1, ordinal=ordinal) for ordinal in (1, 2)]
    affiliation = belonging_to(fund.members[0], Kind.ZORGKAS_AFFILIATION)
    state = fund.backoffice.store.load(AFFILIATION, [affiliation])[affiliation].state
    (second,) = [payment for payment in payments if state.refunded_cents(payment)]
    assert allocate(takes_back=second).outcome == "accepted"

    assert held(fund) == [("reversal_without_original", "allocated", -6400)]
    assert open_cents(fund, fund.members[0]) == 0
    assert fund.rows(
        "SELECT received_cents, allocated_cents, credit_cents, refunded_cents FROM rm_premium_account.affiliation "
        "WHERE received_cents <> 0"
    ) == [(6400, 6400, -6400, 6400)]
    assert_every_cent_has_a_place(fund)
    (owed,) = [
        each
        for each in worklists(fund.backoffice.database, law=fund.backoffice.law, as_of=date(2025, 3, 7))
        if each.name == "owed-back"
    ]
    assert (owed.items, owed.amount_cents) == (1, 6400)
    (line,) = worklist(fund.backoffice.database, "owed-back", law=fund.backoffice.law, as_of=date(2025, 3, 7), limit=9)
    line = since_owed_back(fund.backoffice, line)
    assert (line.member, line.amount_cents, line.day) == (fund.members[0], 6400, date(2025, 3, 7))
    assert "the member owes back € 64,00" in summary_of(fund, fund.members[0], 2025)

    fund.bank(date(2025, 3, 10), [paid(fund.ogms[0], 6400, value_date=date(2025, 3, 10), iban="BE43068999999501")])
    (credit,) = fund.rows("SELECT sum(credit_cents) FROM rm_premium_account.affiliation")[0]
    assert credit == 0
    assert "owes back" not in summary_of(fund, fund.members[0], 2025)


def summary_of(fund, member, year):
    history = list(fund.backoffice.store.history(belonging_to(member, Kind.ZORGKAS_AFFILIATION)))
    told = explain(member, year, history=history, passed=(), not_run=(), sources=Sources({}, fund.backoffice.law, {}))
    return " ".join(sentence.text for sentence in told.sentences if sentence.topic == "summary")


def test_money_that_leaves_without_being_a_reversal_is_for_a_person(fund):
    costs = Movement(ordinal=1, amount_cents=Cents(-150), value_date=date(2025, 3, 6), booked_on=date(2025, 3, 6))
    fund._chain["balance"] = 1000
    report = fund.bank(date(2025, 3, 6), [costs])
    assert report.totals.by_reason == {"money_out": 1}


# --- The worklist ----------------------------------------------------------------------------------------------------


def test_a_person_allocates_a_held_movement_in_parts_to_a_couple(fund):
    fund.bank(date(2025, 4, 30), [paid("voor ons twee", 12800, value_date=date(2025, 4, 30))])
    movement = bank_movement_id(account=OUR_ACCOUNT, year=2025, number=1, ordinal=1)
    give = [
        c.AllocateMovement(
            command_id=fund.command_id(),
            movement_id=movement,
            member_id=str(member),
            amount_cents=6400,
            reason="couple",
        )
        for member in fund.members[:2]
    ]
    assert [answered.answer.outcome for answered in fund.give(*give, on=date(2025, 5, 6))] == ["accepted", "accepted"]
    fund.backoffice.catch_up()
    assert held(fund) == [("no_ogm", "allocated", 12800)]
    assert [open_cents(fund, member) for member in fund.members] == [0, 0, 6400]
    assert_every_cent_has_a_place(fund)
    (again,) = fund.give(msgspec.structs.replace(give[0], command_id=fund.command_id()), on=date(2025, 5, 7))
    assert again.answer.detail["code"] == "NothingOpen"


def test_a_movement_explained_or_returned_leaves_the_worklist(fund):
    fund.bank(
        date(2025, 3, 3), [paid("huur", 100, value_date=date(2025, 3, 3)), paid("?", 200, value_date=date(2025, 3, 3))]
    )
    one, two = (bank_movement_id(account=OUR_ACCOUNT, year=2025, number=1, ordinal=n) for n in (1, 2))
    fund.give(
        c.ExplainMovement(command_id=fund.command_id(), movement_id=one, as_what="other", reason="not ours"),
        c.ReturnMovement(
            command_id=fund.command_id(), movement_id=two, returned_on=date(2025, 3, 9), reference="R1", reason="asked"
        ),
        on=date(2025, 3, 10),
    )
    fund.backoffice.catch_up()
    assert held(fund) == [("no_ogm", "explained", 100), ("no_ogm", "returned", 200)]


# --- The law and the bank's delay ------------------------------------------------------------------------------------


def test_paid_on_30_april_with_the_statement_on_4_may_corrects_the_miss(fund):
    fund.run("deadline", on=date(2025, 5, 2))
    fund.bank(date(2025, 5, 4), [paid(fund.ogms[0], 6400, value_date=date(2025, 4, 30), booked_on=date(2025, 4, 30))])
    assert fund.events_of(fund.members[0])[-2:] == ["PaymentReceived", "MissCorrected"]


def test_paid_on_1_may_is_a_miss_that_stays(fund):
    fund.run("deadline", on=date(2025, 5, 2))
    fund.bank(date(2025, 5, 4), [paid(fund.ogms[0], 6400, value_date=date(2025, 5, 1))])
    assert fund.events_of(fund.members[0])[-2:] == ["YearMissed", "PaymentReceived"]
