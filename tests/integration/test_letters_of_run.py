"""
The letters of a run: files for the printer and for e-mail, frozen words, nothing doubled, nothing half.
"""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from adapters import letters as module
from adapters.letters import (
    MANIFEST,
    NOT_PRINTED,
    SUMMARY,
    LetterWithdrawn,
    NoLetters,
    NoSuchLetter,
    contents_of_letter,
    make_agency_file,
    make_letter,
    make_letters,
)
from application import commands as c
from domain.ids import Kind, MemberId, belonging_to, owner_of
from domain.money import Cents
from formats.agency_report import read_report
from formats.letter_facts import LetterRefused, facts_sha256
from tests.table import cases
from tests.world import OUR_ACCOUNT, World, paid

JANUARY = date(2026, 1, 20)


@pytest.fixture
def fund(database, tmp_path):
    return World(database, tmp_path / "home")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "letters"


def letters_of(fund: World, member: MemberId) -> list[tuple[UUID, str]]:
    return fund.rows(
        "SELECT letter_id, kind FROM rm_letters.letter WHERE stream = %s ORDER BY version",
        belonging_to(member, Kind.ZORGKAS_AFFILIATION),
    )


def manifest_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / MANIFEST).read_text(encoding="utf-8"))))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_arrears(fund: World, count: int = 3) -> list[MemberId]:
    """
    Members who pay nothing in 2025 and 2026, up to their registered letter of 1 June 2026.
    """
    members = [fund.register(born_on=date(1960 + number, 2, 3), on=date(2025, 1, 2)) for number in range(count)]
    for year in (2025, 2026):
        fund.run("invitations", on=date(year, 1, 20))
        fund.bank(date(year, 5, 4))
        fund.run("deadline", on=date(year, 5, 5))
    return members


# --- What is made -----------------------------------------------------------------------------------------------------


def test_a_run_becomes_one_file_for_the_printer_with_a_manifest_and_a_summary(fund, folder):
    fund.register_many(5)
    run = fund.run("invitations", on=JANUARY).run
    made = make_letters(fund.backoffice, run, directory=folder)
    assert made.folder == folder / "invitations-2026-01-20-1"
    assert [path.name for path in made.files] == ["invitations-2026-01-20-1-0001-post.pdf"]
    assert (made.letters, made.refused, made.left_out, made.total_cents) == (5, (), (), 50000)
    assert len(manifest_of(made.folder)) == 5
    told = json.loads((made.folder / SUMMARY).read_bytes())
    assert (told["letters"], told["refused"], told["run"]) == (5, 0, "invitations-2026-01-20-1")
    assert sum(file["letters"] for file in told["files"]) == 5


def test_letters_are_for_the_owner_s_eyes_only(fund, folder):
    fund.register_many(2)
    made = make_letters(fund.backoffice, fund.run("invitations", on=JANUARY).run, directory=folder)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()} == {0o600}


def test_made_again_nothing_changes_and_nothing_is_doubled(fund, folder):
    fund.register_many(3)
    run = fund.run("invitations", on=JANUARY).run
    first = make_letters(fund.backoffice, run, directory=folder)
    before = content(first.folder)
    again = make_letters(fund.backoffice, run, directory=folder)
    assert (first.again, again.again) == (False, True)
    assert again.digest == first.digest
    assert content(again.folder) == before
    assert [path.name for path in folder.iterdir()] == [first.folder.name]


def test_the_same_letters_made_elsewhere_and_later_have_the_same_bytes(fund, folder, tmp_path):
    member = fund.register(born_on=date(1970, 1, 1))
    run = fund.run("invitations", on=JANUARY).run
    first = content(make_letters(fund.backoffice, run, directory=folder).folder)
    moved = c.Address(region="flanders", street="Nieuwstraat", house_number="99", postcode="2000", town="Antwerpen")
    fund.give(
        c.RecordDomicile(
            command_id=fund.command_id(), member_id=str(member), starts_on=date(2025, 12, 1), address=moved
        ),
        c.GrantVerhoogdeTegemoetkoming(command_id=fund.command_id(), member_id=str(member), starts_on=date(2024, 6, 1)),
        on=date(2026, 3, 1),
    )
    _, letter, ogm, amount = fund.asked("invitation", 2026)[0]
    fund.bank(date(2026, 3, 2), [paid(ogm, amount, value_date=date(2026, 3, 1))])
    assert letter
    assert content(make_letters(fund.backoffice, run, directory=tmp_path / "other").folder) == first


def test_a_sample_says_that_it_is_one(fund, folder):
    fund.register_many(5)
    run = fund.run("invitations", on=JANUARY).run
    made = make_letters(fund.backoffice, run, directory=folder, sample=2)
    assert (made.folder.name, made.letters) == ("invitations-2026-01-20-1-sample-2", 2)
    assert not (folder / "invitations-2026-01-20-1").exists()


def test_progress_ends_at_the_number_of_letters(fund, folder):
    fund.register_many(4)
    seen: list[tuple[int, int]] = []
    run = fund.run("invitations", on=JANUARY).run
    make_letters(fund.backoffice, run, directory=folder, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (4, 4)
    assert seen == sorted(seen)


# --- How it goes ------------------------------------------------------------------------------------------------------


@cases("""
    given  confirmed  channel
    no     no         post
    yes    no         post
    yes    yes        email
""")
def test_only_a_confirmed_address_gets_e_mail(fund, folder, given, confirmed, channel):
    """
    Rule: ZP-15.
    """
    member = fund.register(**({"email": "an@example.org"} if given else {}))
    if confirmed:
        confirm = c.ConfirmEmailAddress(
            command_id=fund.command_id(), member_id=str(member), confirmed_on=date(2025, 3, 1)
        )
        fund.give(confirm, on=date(2025, 3, 1))
    made = make_letters(fund.backoffice, fund.run("invitations", on=JANUARY).run, directory=folder)
    assert [row["channel"] for row in manifest_of(made.folder)] == [channel]


def test_an_address_confirmed_after_the_letter_changes_nothing(fund, folder):
    member = fund.register(email="an@example.org")
    run = fund.run("invitations", on=JANUARY).run
    confirm = c.ConfirmEmailAddress(command_id=fund.command_id(), member_id=str(member), confirmed_on=date(2026, 2, 1))
    fund.give(confirm, on=date(2026, 2, 1))
    assert [row["channel"] for row in manifest_of(make_letters(fund.backoffice, run, directory=folder).folder)] == [
        "post"
    ]


def test_who_moved_to_the_coast_in_december_is_written_to_there(fund):
    member = fund.register()
    home = c.Address(region="flanders", street="Zeedijk", house_number="12", box="3", postcode="8400", town="Oostende")
    fund.give(
        c.RecordDomicile(
            command_id=fund.command_id(), member_id=str(member), starts_on=date(2025, 12, 1), address=home
        ),
        on=date(2026, 1, 5),
    )
    fund.run("invitations", on=JANUARY)
    ((letter, _),) = letters_of(fund, member)
    assert contents_of_letter(fund.backoffice, letter).addressee.lines == ("Zeedijk 12 bus 3", "8400 Oostende")


# --- What it says -----------------------------------------------------------------------------------------------------


def test_an_invitation_names_every_year_that_it_asks_and_what_was_paid_of_it(fund):
    member = fund.register(verhoogde_tegemoetkoming_since=date(2024, 6, 1), on=date(2025, 1, 2))
    fund.run("invitations", on=date(2025, 1, 20))
    _, _, ogm, _ = fund.asked("invitation", 2025)[0]
    fund.bank(date(2025, 3, 2), [paid(ogm, 3000, value_date=date(2025, 3, 1))])
    fund.run("invitations", on=JANUARY)
    (_, (letter, _)) = letters_of(fund, member)
    facts = contents_of_letter(fund.backoffice, letter)
    assert [(y.year, y.due_cents, y.paid_cents, y.open_cents, y.reduced, y.allowance_on) for y in facts.years] == [
        (2025, 6400, 3000, 3400, False, None),
        (2026, 3500, 0, 3500, True, date(2025, 1, 1)),
    ]
    assert (facts.total_cents, facts.pay_by, facts.account) == (6900, date(2026, 4, 30), OUR_ACCOUNT)
    assert facts.basis == ("besluit van de Vlaamse Regering van 30 november 2018, art. 68 en 69",)


def test_a_registered_letter_names_the_fine_who_imposes_it_and_the_last_day(fund):
    """
    Rules: ZB-2, ZB-4, ZB-5.
    """
    (member,) = with_arrears(fund, 1)
    fund.run("registered_letters", on=date(2026, 6, 1))
    letter = letters_of(fund, member)[-1][0]
    facts = contents_of_letter(fund.backoffice, letter)
    assert facts.channel == "registered"
    assert [(year.year, year.open_cents) for year in facts.years] == [(2025, 6400), (2026, 10000)]
    assert facts.consequence is not None
    assert facts.consequence.fine_cents == 25000
    assert facts.consequence.last_day == date(2026, 10, 15)
    assert (facts.pay_by, facts.written_on) == (date(2026, 10, 5), date(2026, 6, 1))
    assert facts.basis == (
        "decreet van 18 mei 2018 houdende de Vlaamse sociale bescherming, art. 47",
        "besluit van de Vlaamse Regering van 30 november 2018, art. 74, 81 en 82",
    )


def test_who_has_the_increased_allowance_reads_of_the_lower_fine(fund):
    member = fund.register(verhoogde_tegemoetkoming_since=date(2023, 6, 1), on=date(2025, 1, 2))
    for year in (2025, 2026):
        fund.run("invitations", on=date(year, 1, 20))
        fund.bank(date(year, 5, 4))
        fund.run("deadline", on=date(year, 5, 5))
    fund.run("registered_letters", on=date(2026, 6, 1))
    consequence = contents_of_letter(fund.backoffice, letters_of(fund, member)[-1][0]).consequence
    assert consequence is not None
    assert (consequence.fine_cents, consequence.fine_reduced) == (10000, True)


def test_a_reminder_asks_the_year_that_is_open(fund, folder):
    member = fund.register(on=date(2026, 1, 2))
    fund.run("invitations", on=JANUARY)
    fund.bank(date(2026, 5, 4))
    fund.run("deadline", on=date(2026, 5, 5))
    run = fund.run("reminders", on=date(2026, 11, 15)).run
    made = make_letters(fund.backoffice, run, directory=folder)
    facts = contents_of_letter(fund.backoffice, letters_of(fund, member)[-1][0])
    assert (made.letters, made.total_cents) == (1, 10000)
    assert [(year.year, year.open_cents) for year in facts.years] == [(2026, 10000)]
    assert facts.pay_by == date(2026, 11, 29)  # fourteen days after the letter (ZB-12)


def test_every_printed_letter_proves_what_it_said(fund, folder):
    fund.register_many(3)
    made = make_letters(fund.backoffice, fund.run("invitations", on=JANUARY).run, directory=folder)
    for row in manifest_of(made.folder):
        assert facts_sha256(contents_of_letter(fund.backoffice, UUID(row["letter_id"]))) == row["facts_sha256"]


# --- The second check -------------------------------------------------------------------------------------------------


def test_a_letter_withdrawn_before_hand_over_is_left_out_and_named(fund, folder):
    """
    Rule: ZB-2: who paid the older year before posting gets no letter.
    """
    with_arrears(fund)
    run = fund.run("registered_letters", on=date(2026, 6, 1)).run
    first = make_letters(fund.backoffice, run, directory=folder)
    _, letter, ogm, _ = fund.asked("registered_letter", 2026)[0]
    fund.bank(date(2026, 6, 4), [paid(ogm, 16400, value_date=date(2026, 6, 3))])
    made = make_letters(fund.backoffice, run, directory=folder)
    assert (first.letters, made.letters, made.total_cents) == (3, 2, 2 * 16400)
    assert [(one.letter_id, one.reason) for one in made.left_out] == [(letter, "withdrawn: paid")]
    with pytest.raises(LetterWithdrawn):
        make_letter(fund.backoffice, letter)
    assert str(letter) not in {row["letter_id"] for row in manifest_of(made.folder)}
    assert str(letter) in (made.folder / NOT_PRINTED).read_text()
    assert (folder / f"{made.folder.name}-replaced-{first.digest[:12]}").is_dir()


def test_letters_that_were_posted_are_not_printed_a_second_time(fund, folder):
    with_arrears(fund, 2)
    run = fund.run("registered_letters", on=date(2026, 6, 1)).run
    first = make_letters(fund.backoffice, run, directory=folder)
    for number, (stream, letter, _, _) in enumerate(fund.asked("registered_letter", 2026)):
        proof = c.ProveLetterPosted(
            command_id=fund.command_id(), member_id=str(owner_of(stream)), letter_id=letter,
            posted_on=date(2026, 6, 3), barcode=f"010{number:027d}",
        )  # fmt: skip
        fund.give(proof, on=date(2026, 6, 5))
    again = make_letters(fund.backoffice, run, directory=folder)
    assert (again.letters, {one.reason for one in again.left_out}) == (0, {"posted already"})
    assert again.folder == first.folder
    assert len(manifest_of(first.folder)) == 2


def test_who_was_erased_is_refused_with_the_reason_and_the_others_are_printed(fund, folder):
    gone, _ = fund.register(), fund.register()
    run = fund.run("invitations", on=JANUARY).run
    fund.backoffice.store.erase(gone)
    made = make_letters(fund.backoffice, run, directory=folder)
    assert (made.letters, made.total_cents) == (1, 10000)
    assert [one.reason for one in made.refused] == [
        "The personal data of this member were erased; nobody can be written to."
    ]


def test_a_letter_that_cannot_be_printed_is_named_and_its_money_is_not_counted(fund, folder):
    fund.register(first_name="李")
    fund.register()
    made = make_letters(fund.backoffice, fund.run("invitations", on=JANUARY).run, directory=folder)
    assert (made.letters, made.total_cents, len(made.refused)) == (1, 10000, 1)
    assert "The name of the addressee" in made.refused[0].reason


# --- Stopped in the middle --------------------------------------------------------------------------------------------


def test_a_making_that_is_killed_leaves_nothing_half_and_is_simply_done_again(fund, folder, monkeypatch):
    fund.register_many(3)
    run = fund.run("invitations", on=JANUARY).run

    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(module, "move_folder", cut)
        patched.setattr(module.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(PowerCut):
            make_letters(fund.backoffice, run, directory=folder)
    assert not (folder / "invitations-2026-01-20-1").exists()
    assert os.listdir(folder) == [".invitations-2026-01-20-1.half"]
    made = make_letters(fund.backoffice, run, directory=folder)
    assert made.letters == 3
    assert os.listdir(folder) == ["invitations-2026-01-20-1"]


# --- One letter, and the Agency ---------------------------------------------------------------------------------------


def test_who_asks_to_join_has_an_invitation_of_their_own(fund):
    member = fund.register(region="brussels")
    join = c.AskToJoin(command_id=fund.command_id(), member_id=str(member), from_year=2026)
    fund.give(join, on=date(2026, 2, 10))
    fund.backoffice.catch_up()
    ((letter, kind),) = letters_of(fund, member)
    assert kind == "invitation"
    assert make_letter(fund.backoffice, letter).startswith(b"%PDF-1.7")
    facts = contents_of_letter(fund.backoffice, letter)
    assert (facts.mandatory, facts.total_cents) == (False, Cents(10000))


def test_one_letter_of_who_was_erased_is_refused(fund):
    member = fund.register()
    fund.run("invitations", on=JANUARY)
    ((letter, _),) = letters_of(fund, member)
    fund.backoffice.store.erase(member)
    with pytest.raises(LetterRefused, match="were erased"):
        make_letter(fund.backoffice, letter)


def test_an_unknown_letter_and_a_run_without_letters_are_refused_in_one_sentence(fund, folder):
    fund.register()
    planned = fund.plan("invitations", on=JANUARY)
    with pytest.raises(NoLetters, match="not executed"):
        make_letters(fund.backoffice, planned.run, directory=folder)
    with pytest.raises(NoSuchLetter):
        make_letter(fund.backoffice, UUID(int=7))
    fund.execute(planned, on=JANUARY)
    fund.bank(date(2026, 5, 4))
    with pytest.raises(NoLetters):
        make_letters(fund.backoffice, fund.run("deadline", on=date(2026, 5, 5)).run, directory=folder)


def test_the_file_for_the_agency_says_what_the_run_did(fund, tmp_path):
    fund.register(born_on=date(1975, 4, 5), national_number="75.04.05-001.94", on=date(2025, 1, 2))
    for year in (2025, 2026):
        fund.run("invitations", on=date(year, 1, 20))
        fund.bank(date(year, 5, 4))
        fund.run("deadline", on=date(year, 5, 5))
    fund.run("registered_letters", on=date(2026, 6, 1))
    ((stream, letter, _, _),) = fund.asked("registered_letter", 2026)
    proof = c.ProveLetterPosted(
        command_id=fund.command_id(), member_id=str(owner_of(stream)), letter_id=letter,
        posted_on=date(2026, 6, 3), barcode=f"010{7:027d}",
    )  # fmt: skip
    fund.give(proof, on=date(2026, 6, 5))
    fund.bank(date(2026, 10, 6))
    run = fund.run("agency_report", on=date(2026, 10, 6)).run
    file = make_agency_file(fund.backoffice, run, directory=tmp_path / "agency")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    told = read_report(file.path.read_bytes())
    assert (told.totals.count, told.totals.amount_cents) == (1, 16400)
    assert told.lines[0].letter_id == letter


# --- Control totals ---------------------------------------------------------------------------------------------------


def test_settling_compares_the_run_with_the_read_models(fund):
    fund.register_many(3)
    planned = fund.plan("invitations", on=JANUARY)
    runs = fund.backoffice.runs
    runs.approve(planned.run, digest=planned.digest, actor="bob")
    runs.execute(planned.run, as_of=JANUARY, actor="an")
    told = {control.name: (control.expected, control.actual) for control in runs.settle(planned.run, actor="an")}
    assert told["letters: event table = read model"] == (3, 3)
    assert told["cents: run = read model"] == (30000, 30000)


def test_a_letter_missing_from_the_read_model_is_named_when_the_run_is_settled(fund):
    fund.register_many(3)
    planned = fund.plan("invitations", on=JANUARY)
    runs = fund.backoffice.runs
    runs.approve(planned.run, digest=planned.digest, actor="bob")
    runs.execute(planned.run, as_of=JANUARY, actor="an")
    fund.backoffice.catch_up()
    fund.rows(
        "DELETE FROM rm_letters.letter WHERE stream = (SELECT min(stream::text)::uuid FROM rm_letters.letter) RETURNING 1"
    )
    differ = [control.name for control in runs.settle(planned.run, actor="an") if control.expected != control.actual]
    assert differ == ["letters: event table = read model", "cents: run = read model"]
