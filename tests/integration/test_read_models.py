"""
Read models say the same live, rebuilt and after a crash; a rebuild is compared before it is swapped in, and sends nothing.
"""

from __future__ import annotations

from datetime import date

import pytest

from adapters.postgres import rows as rows_of_tables
from adapters.postgres.database import OWNER
from adapters.postgres.projector import Fenced, MadeByAnotherVersion, Projector
from adapters.postgres.rows import schema_of
from domain.errors import Unavailable
from projections.premium_account import PremiumAccount
from tests.world import World, paid


@pytest.fixture
def fund(database, tmp_path):
    """
    A fund of 60 members after one year in which most, not all, paid; some paid the wrong number, some twice.
    """
    world = World(database, tmp_path)
    world.register_many(60)
    world.run("invitations", on=date(2025, 1, 20))
    asked = world.asked("invitation", 2025)
    money = [paid(ogm, cents, value_date=date(2025, 3, 3)) for _, _, ogm, cents in asked if world.random.random() < 0.7]
    money += [
        paid(money[0].communication, 500, value_date=date(2025, 3, 4)),
        paid("hallo", 900, value_date=date(2025, 3, 4)),
    ]
    world.bank(date(2025, 3, 5), money)
    world.bank(date(2025, 5, 2))
    world.run("deadline", on=date(2025, 5, 4))
    world.run("reminders", on=date(2025, 11, 15))
    return world


def content_of(world, name):
    model = world.backoffice.models[name]
    return {
        table.name: sorted(world.rows(f"SELECT * FROM {schema_of(model)}.{table.name}"), key=str)
        for table in model.tables
    }


@pytest.mark.parametrize("name", ["premium_account", "letters", "payments", "bank", "members", "runs"])
def test_a_rebuild_gives_the_rows_that_stand_and_changes_no_event(fund, name):
    before, events = content_of(fund, name), fund.backoffice.store.feed.high_water()
    rebuild = fund.backoffice.rebuild(name)
    folded = rebuild.build(streams=fund.backoffice.pages, moved=lambda _: None)
    assert folded > 0
    assert all(difference.none for difference in rebuild.differences())
    rebuild.swap()
    assert content_of(fund, name) == before
    assert any(before.values())
    assert fund.backoffice.store.feed.high_water() == events


def test_what_is_recorded_while_a_rebuild_runs_is_in_it_once(fund):
    rebuild = fund.backoffice.rebuild("premium_account")
    asked = fund.asked("invitation", 2025)

    def somebody_pays(_):
        if not somebody_pays.done:
            somebody_pays.done = True
            fund.bank(date(2025, 12, 1), [paid(asked[0][2], 100, value_date=date(2025, 12, 1))])

    somebody_pays.done = False
    rebuild.build(streams=fund.backoffice.pages, moved=somebody_pays)
    rebuild.swap()
    (received,) = fund.rows("SELECT sum(received_cents) FROM rm_premium_account.affiliation")[0]
    (banked,) = fund.rows("SELECT sum(credit_cents) FROM rm_bank.statement")[0]
    (held,) = fund.rows("SELECT sum(amount_cents) FROM rm_bank.held_movement")[0]
    assert received == banked - held


def test_a_difference_is_counted_by_table_before_anything_is_swapped(fund):
    with fund.backoffice.database.connect(OWNER) as session:
        session.execute(
            "UPDATE rm_premium_account.affiliation SET received_cents = received_cents + 1 WHERE received_cents > 0"
        )
        session.execute("DELETE FROM rm_premium_account.premium_year WHERE paid_cents = 0")
        session.commit()
    rebuild = fund.backoffice.rebuild("premium_account")
    rebuild.build(streams=fund.backoffice.pages, moved=lambda _: None)
    found = {difference.table: difference for difference in rebuild.differences()}
    assert found["affiliation"].changed > 0
    assert found["premium_year"].extra > 0
    assert found["premium_year"].missing == 0
    rebuild.drop()
    assert {(row.how, *row.columns) for row in found["affiliation"].examples} == {("changed", "received_cents")}
    assert len(found["premium_year"].examples) == min(5, found["premium_year"].extra)
    assert {row.how for row in found["premium_year"].examples} == {"extra"}


def test_a_row_that_differs_is_named_by_its_key_with_its_columns_and_without_what_stands_in_them(fund):
    ((stream, year),) = fund.rows("SELECT stream, year FROM rm_premium_account.premium_year ORDER BY stream LIMIT 1")
    with fund.backoffice.database.connect(OWNER) as session:
        session.execute(
            "UPDATE rm_premium_account.premium_year SET paid_cents = 123456, reduced = NOT reduced "
            "WHERE stream = %s AND year = %s",
            [stream, year],
        )
        session.commit()
    rebuild = fund.backoffice.rebuild("premium_account")
    rebuild.build(streams=fund.backoffice.pages, moved=lambda _: None)
    found = {difference.table: difference for difference in rebuild.differences()}
    rebuild.drop()
    assert found["affiliation"].none
    assert found["affiliation"].examples == []
    (row,) = found["premium_year"].examples
    assert (row.key, row.how, list(row.columns)) == (f"{stream}/{year}", "changed", ["paid_cents", "reduced"])


def test_a_projector_that_was_overtaken_is_fenced_and_changes_nothing(fund):
    store = fund.backoffice.store
    with fund.backoffice.database.connect(OWNER) as one, fund.backoffice.database.connect(OWNER) as other:
        slow = Projector(connection=one, feed=store.feed, model=PremiumAccount())
        slow.position = slow.stored_position()
        fund.register(born_on=date(1980, 1, 1))
        fund.run("invitations", on=date(2026, 1, 20))
        batch = store.feed.read(after=slow.position, limit=10_000)
        before = content_of(fund, "premium_account")
        with pytest.raises(Fenced):
            slow.apply(batch)
        assert content_of(fund, "premium_account") == before
        assert Projector(connection=other, feed=store.feed, model=PremiumAccount()).catch_up() == 0


def test_a_projector_that_looked_ahead_is_fenced_when_another_moved_on_meanwhile(fund):
    name = "premium_account"
    fund.register(born_on=date(1980, 1, 1))
    planned = fund.plan("invitations", on=date(2026, 1, 20))
    fund.backoffice.runs.approve(planned.run, digest=planned.digest, actor="bob")
    fund.backoffice.runs.execute(planned.run, as_of=date(2026, 1, 20), actor="an")
    with fund.backoffice.database.connect(OWNER) as one, fund.backoffice.database.connect(OWNER) as ahead:
        slow = Projector(
            connection=one, feed=fund.backoffice.feed_for(PremiumAccount()), model=PremiumAccount(), batch_events=1,
            ahead=ahead,
        )  # fmt: skip

        def overtaken(_: int) -> None:
            fund.backoffice.catch_up((name,))

        with pytest.raises(Fenced):
            slow.catch_up(moved=overtaken)
        right = content_of(fund, name)
        assert slow.catch_up() == 0
    assert content_of(fund, name) == right


def test_a_model_of_another_version_says_that_it_is_to_be_made_again_and_moves_on_after_that(fund):
    name = "premium_account"
    with fund.backoffice.database.session(OWNER) as session:
        session.execute("UPDATE projection_positions SET version = version - 1 WHERE projection = %s", [name])
    with pytest.raises(MadeByAnotherVersion, match="project rebuild"):
        fund.backoffice.catch_up((name,))
    rebuild = fund.backoffice.rebuild(name)
    rebuild.build(streams=fund.backoffice.pages, moved=lambda _: None)
    rebuild.swap()
    assert fund.backoffice.catch_up((name,)) == 0


def test_rows_and_position_move_together_or_not_at_all(fund):
    class Breaks(PremiumAccount):
        def evolve(self, rows, envelope):
            super().evolve(rows, envelope)
            if envelope.position == last:
                raise RuntimeError("in the middle of a batch")

    fund.register(born_on=date(1980, 1, 1))
    planned = fund.plan("invitations", on=date(2026, 1, 20))
    fund.backoffice.runs.approve(planned.run, digest=planned.digest, actor="bob")
    fund.backoffice.runs.execute(planned.run, as_of=date(2026, 1, 20), actor="an")
    last = fund.backoffice.store.feed.high_water() - 3
    before = content_of(fund, "premium_account")
    with fund.backoffice.database.connect(OWNER) as session:
        broken = Projector(connection=session, feed=fund.backoffice.store.feed, model=Breaks())
        position = broken.stored_position()
        with pytest.raises(RuntimeError):
            broken.catch_up()
        assert broken.stored_position() == position
    assert content_of(fund, "premium_account") == before
    fund.backoffice.catch_up()
    assert content_of(fund, "premium_account") != before


def test_a_session_that_ends_under_a_projector_is_said_in_a_sentence_and_the_next_goes_on(fund, monkeypatch):
    take = Projector.apply

    def cut_off(self, *args, **named):
        with fund.backoffice.database.connect(None, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [self._connection.info.backend_pid])
        take(self, *args, **named)

    fund.register(born_on=date(1980, 1, 1))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Projector, "apply", cut_off)
        with pytest.raises(Unavailable, match="was lost"):
            fund.backoffice.catch_up(("members",))
    assert fund.backoffice.catch_up(("members",)) > 0


@pytest.mark.parametrize(("batch_events", "looks_ahead"), [(1, True), (7, True), (7, False), (1_000, True)])
def test_batches_of_any_size_give_the_same_rows(fund, batch_events, looks_ahead):
    for name in ("premium_account", "letters", "members"):
        before = content_of(fund, name)
        model = fund.backoffice.models[name]
        with fund.backoffice.database.connect(OWNER) as session, fund.backoffice.database.connect(OWNER) as ahead:
            session.execute(f"DROP SCHEMA {schema_of(model)} CASCADE")
            session.execute("DELETE FROM projection_positions WHERE projection = %s", [name])
            session.commit()
            again = Projector(
                connection=session, feed=fund.backoffice.feed_for(model), model=model, batch_events=batch_events,
                ahead=ahead if looks_ahead else None,
            )  # fmt: skip
            assert again.catch_up() > 0
            assert again.position == fund.backoffice.store.feed.high_water()
            assert session.execute("SHOW enable_hashjoin").fetchone() == ("on",)  # off for its own transactions only
        assert content_of(fund, name) == before


def test_large_batches_go_by_copy_and_give_the_same_rows(fund, monkeypatch):
    monkeypatch.setattr(rows_of_tables, "STAGED_FROM", 2)
    for name in ("premium_account", "letters", "payments", "members"):
        model, before = fund.backoffice.models[name], content_of(fund, name)
        with fund.backoffice.database.connect(OWNER) as session, fund.backoffice.database.connect(OWNER) as ahead:
            session.execute(f"DROP SCHEMA {schema_of(model)} CASCADE")
            session.execute("DELETE FROM projection_positions WHERE projection = %s", [name])
            session.commit()
            feed = fund.backoffice.feed_for(model)
            Projector(connection=session, feed=feed, model=model, batch_events=50, ahead=ahead).catch_up()
        assert content_of(fund, name) == before


def test_every_cent_of_the_bank_has_a_place(fund):
    (banked,) = fund.rows("SELECT sum(credit_cents - debit_cents) FROM rm_bank.statement")[0]
    (received, allocated, credit, refunded) = fund.rows(
        "SELECT sum(received_cents), sum(allocated_cents), sum(credit_cents), sum(refunded_cents) FROM rm_premium_account.affiliation"
    )[0]
    (held,) = fund.rows("SELECT sum(amount_cents - allocated_cents) FROM rm_bank.held_movement")[0]
    assert received == allocated + credit + refunded
    assert banked == received + held
    assert held == 900


def test_read_models_hold_no_personal_data(fund):
    canary = fund.register(
        first_name="Kanarie", last_name="Vogelzang", iban="BE68 5390 0754 7034", born_on=date(1981, 2, 3)
    )
    assert canary
    fund.backoffice.catch_up()
    everything = repr([content_of(fund, name) for name in fund.backoffice.models])
    for secret in ("Kanarie", "Vogelzang", "539007547034", "Kerkstraat", "A PAYER", "hallo"):
        assert secret not in everything


def test_tables_and_rows_agree_on_their_columns(fund):
    for model in fund.backoffice.models.values():
        for table in model.tables:
            found = fund.rows(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                schema_of(model),
                table.name,
            )
            assert tuple(name for (name,) in found) == table.fields
