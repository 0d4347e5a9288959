"""
A canary in every personal field: it may be read where it stands on purpose (under its seal, in letters, by who reveals a
member), and nowhere else, be it a topic, a key, a header, a log, an answer, a table or an error.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.clock import SystemClock
from application.ports import Change
from domain.envelope import Commit
from domain.events import Basis
from domain.ids import Kind, belonging_to, derived_id, derived_key, new_member_id
from domain.personal import personal_fields
from formats.contract import contract
from tests.canaries import INBOUND, Filled, Telling, filled, forms_of, in_files, in_tables, on_topics, seen
from tests.cli import Cli
from tests.cli_fund import newcomer, paid, write_commands, write_statement, written_long_ago
from tests.consumer_material import Out, send
from tests.contracts.published_samples import event_types, sample
from tests.integration.test_consumers_inbound import sent
from tests.world import World

AFFILIATIONS = "backoffice.zorgkas-affiliation.v1"
DAY = date(2025, 1, 20)
#: What the fund keeps in the clear on purpose in its own database: the words that people give as their reason, the
#: references of transfers and of the Agency, and who did what. They are under no seal (docs/decisions/0007).
WRITTEN_IN_TABLES = {"backoffice.events"}


def test_a_canary_is_found_however_it_is_written() -> None:
    assert b"be68 5390 0754 7034" in forms_of("BE68539007547034")
    assert {b"27/02/1913", b"130227", b"19130227"} <= forms_of("1913-02-27")
    assert [each.place for each in seen({"a": "Kanarie01"}, {"here": b"x KANARIE01", "not": b"kanarie 01"})] == ["here"]


# --- Every event that there is ----------------------------------------------------------------------------------------


def every_event() -> list[tuple[Any, Filled]]:
    found = []
    for number, (aggregate, event) in enumerate(event_types(), start=1):
        one = sample(event)
        if hasattr(one, "basis"):
            one = replace(one, basis=Basis(rules=("ZK-1",)))
        found.append((aggregate, filled(one, number)))
    return found


def test_every_personal_field_of_every_event_gets_a_canary() -> None:
    wanted = {f"{event.__name__}.{name}" for _, event in event_types() for name in personal_fields(event)}
    given = [canary for _, each in every_event() for canary in each.personal.items()]
    assert {name for name, _ in given} == wanted
    assert len({value for _, value in given}) == len(given) > 15
    written = {name for _, each in every_event() for name in each.written}
    assert {"MovementReturned.reason", "FineImposed.reference", "BankAccountOpened.iban"} <= written


@pytest.fixture
def cli(own_kafka: Any, database: Any, tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "home", database_url=database.url)
    cli.environment["BACKOFFICE_KAFKA_BROKERS"] = own_kafka.address
    cli("init", "--on", "2025-01-02")
    cli("topics", "create", "--one-broker")
    return cli


def test_no_event_shows_a_canary_on_the_topics_in_logs_in_answers_or_in_the_clear(cli, own_kafka, database, tmp_path):
    store = World(database, cli.home, opened=True).backoffice.store
    personal: dict[str, str] = {}
    written: dict[str, str] = {}
    for number, (aggregate, each) in enumerate(every_event()):
        member = new_member_id(moment_ms=1_767_225_600_000 + number, randomness=lambda size: b"\x5a" * size)
        of_member = aggregate.kind in {Kind.MEMBER, Kind.ZORGKAS_AFFILIATION}
        stream = belonging_to(member, aggregate.kind) if of_member else derived_id(aggregate.kind, str(number))
        commit = Commit(command_id=derived_key("canary", str(number)), actor="an", business_date=DAY, cause="test")
        with store.transaction(commit) as unit:
            unit.append(aggregate, [Change(stream, 0, [each.event], aggregate.initial)])
        personal |= each.personal
        written |= each.written
    telling = Telling(cli, tmp_path / "telling")
    telling.publish()
    telling.give("consume", "premium-accounts", "--once")
    telling.give("dead-letters", "list", "--json")
    telling.give("status", "--json")
    topics = dict(on_topics(own_kafka.address))
    assert b"kafka" in telling.places()["debug log"]  # they did tell all
    assert len(topics) == len(contract().published)
    assert seen({**personal, **written}, {**topics, **telling.places()}) == []
    tables = in_tables(database)
    assert seen(personal, {**tables, **in_files(cli.home, but=())}) == []
    assert {each.place for each in seen(written, tables)} <= WRITTEN_IN_TABLES


# --- A life at the desk, with files and messages, some of them bad ----------------------------------------------------

MEMBER, OTHER = (f"01941f29-7c00-7000-8000-00000{number}000000" for number in (1, 2))
#: Values that the front doors take, each of them nowhere else in the house.
PERSON = {
    "first name": "Kanariette", "last name": "Vogelaerts", "national number": "13022700158", "birth": "1913-02-27",
    "street": "Kanariestraat", "house number": "K987", "box": "bus Q654", "postcode": "V98761", "town": "Kanarieghem",
    "e-mail": "kanarie@vogel.example", "account": "BE17999123456721",
    "later street": "Zangvogellaan", "later e-mail": "zanger@vogel.example", "later account": "BE81999765432124",
}  # fmt: skip
#: What a bank tells of somebody who pays.
PAYER = {"payer": "KANARIEVADER", "communication": "voor kanariekind", "payer's account": "BE23999111222391"}
#: What is not even taken: a command that is refused, a message that cannot be read, a file that is cut.
BAD = {
    "refused": "Mislukkanarie", "cut": "Knipkanarie", "key": "Sleutelkanarie", "header": "Kopkanarie",
    "stranger": "Vreemdkanarie", "stranger's key": "Vreemdsleutel", "stranger's header": "Vreemdkop", "file": "Bestandkanarie",
    "bank file": "BANKKANARIE",
}  # fmt: skip
REASONS = {"reason": "om een kanariereden", "given up": "weg met de kanariebrief"}


def a_person() -> dict[str, Any]:
    address = {
        "region": "flanders", "street": PERSON["street"], "house_number": PERSON["house number"], "box": PERSON["box"],
        "postcode": PERSON["postcode"], "town": PERSON["town"],
    }  # fmt: skip
    return newcomer(
        1, MEMBER, first_name=PERSON["first name"], last_name=PERSON["last name"], born_on=PERSON["birth"],
        national_number=PERSON["national number"], address=address, email=PERSON["e-mail"], iban=PERSON["account"],
    )  # fmt: skip


def later(number: int, kind: str, **facts: Any) -> dict[str, Any]:
    return {"type": kind, "command_id": f"00000000-0000-4000-8000-{number:012d}", "member_id": MEMBER, **facts}


def the_desk_works(telling: Telling, folder: Path) -> None:
    moved = {**a_person()["address"], "street": PERSON["later street"]}
    commands = [
        a_person(),
        later(2, "RecordDomicile", starts_on="2024-02-01", address=moved),
        later(3, "GiveEmailAddress", email=PERSON["later e-mail"]),
        later(4, "ConfirmEmailAddress", confirmed_on="2024-03-01"),
        later(5, "GiveBankAccount", iban=PERSON["later account"]),
        newcomer(6, OTHER, last_name=BAD["refused"], national_number=PERSON["national number"]),
    ]
    answers = folder / "answers.jsonl"
    done = telling.give(
        "import", write_commands(folder / "m.jsonl", commands), "--answers", answers, "--on", "2025-01-15"
    )
    assert done.returncode == 8, done
    telling.said["answers"] = answers.read_bytes()
    unfit = write_commands(folder / "unfit.jsonl", [newcomer(7, OTHER, last_name=BAD["file"], language=BAD["file"])])
    assert telling.give("import", unfit, "--on", "2025-01-15").returncode == 4
    planned = json.loads(telling.give("run", "plan", "invitations", "--on", "2025-01-20", "--json").stdout)
    telling.give("run", "approve", "invitations", "--hash", planned["digest"], "--as", "bob")
    telling.give("run", "execute", "invitations", "--on", "2025-01-20")
    assert telling.give("run", "settle", "invitations", "--json").returncode == 0
    the_bank_sends_files(telling, folder)


def the_bank_sends_files(telling: Telling, folder: Path) -> None:
    first, second, third = (
        [replace(paid(1, PAYER["communication"], cents, date(2025, 3, 3), iban=PAYER["payer's account"]),
                 counterparty_name=name)]
        for cents, name in ((5_001, PAYER["payer"]), (5_002, BAD["bank file"]), (5_003, PAYER["payer"]))
    )  # fmt: skip
    good = write_statement(folder / "1.cod", 1, date(2025, 3, 3), first)
    assert telling.give("import", good, "--on", "2025-03-04").returncode == 0
    cut = write_statement(folder / "2.cod", 2, date(2025, 3, 4), second, opening=5_001)
    cut.write_bytes(cut.read_bytes().replace(b"\n3", b"\n7", 1)[:-100])
    assert telling.give("import", written_long_ago(cut), "--on", "2025-03-04").returncode == 4
    waits = write_statement(folder / "3.cod", 3, date(2025, 3, 5), third, opening=10_003)
    assert "waiting" in telling.give("import", waits, "--on", "2025-03-06", "--json").stdout
    (held,) = telling.cli.json("show", "worklist", "movements")["items"]
    telling.give("worklist", "suggest", held["id"], "--json")
    given = telling.give(
        "worklist", "allocate", held["id"], MEMBER, "--reason", REASONS["reason"], "--on", "2025-03-07"
    )
    assert given.returncode == 0, given


def others_send_messages(telling: Telling, kafka: Any) -> None:
    good = sent({**a_person(), "command_id": "00000000-0000-4000-8000-0000000000a1", "member_id": OTHER})
    cut = sent({**a_person(), "last_name": BAD["cut"]}, key=BAD["key"].encode())
    bad = cut._replace(value=(cut.value or b"")[:-3], headers=[("trace", BAD["header"].encode())])
    behind = good._replace(key=BAD["key"].encode())
    now_ms = int(SystemClock().now().timestamp() * 1000)  # the broker forgets commands after a week
    outs = [good, bad, behind, sent('{"type": "' + BAD["refused"] + '"}')]
    send(kafka, INBOUND, [out._replace(timestamp_ms=now_ms) for out in outs])
    strange = Out(
        0, BAD["stranger's key"].encode(), BAD["stranger"].encode(), [("x", BAD["stranger's header"].encode())], 1
    )
    send(kafka, AFFILIATIONS, [strange])
    assert telling.give("consume", "commands", "--once", "--json").returncode == 8
    assert telling.give("consume", "premium-accounts", "--once", "--json").returncode == 8


def somebody_looks(telling: Telling) -> None:
    """
    Give every command that looks, but for the one that reveals.
    """
    for words in (
        "status", "today", "doctor", "project", "run show invitations", "run list", "show worklist movements",
        f"show member {MEMBER}", "show statement 2025/1", f"explain {MEMBER} 2025", "statements list", "letters list invitations",
        "dead-letters list", "consume compare",
    ):  # fmt: skip
        for more in ([], ["--json"]):
            telling.give(*words.split(), "--on", "2025-03-08", *more)
    for letter in telling.cli.json("dead-letters", "list")["letters"]:
        number = str(letter["number"])
        telling.give("dead-letters", "show", number, "--json")
        telling.give("dead-letters", "retry", number, "--json")
        telling.give("dead-letters", "discard", number, "--reason", REASONS["given up"], "--json")


def test_a_life_at_the_desk_shows_no_canary_where_it_does_not_belong(cli, own_kafka, database, tmp_path):
    telling = Telling(cli, tmp_path / "telling")
    the_desk_works(telling, tmp_path)
    telling.publish()
    others_send_messages(telling, own_kafka)
    somebody_looks(telling)
    telling.publish()
    everybody = {**PERSON, **PAYER, **BAD}
    inbound = dict(on_topics(own_kafka.address, [INBOUND]))
    sent_whole = {name for name in PERSON if not name.startswith("later")}
    assert {each.canary for each in seen(everybody, inbound)} >= sent_whole, "they would be found"
    ours = {name: said for name, said in on_topics(own_kafka.address) if BAD["stranger"].encode() not in said}
    assert len(ours) > 15
    assert seen({**everybody, **REASONS}, ours) == []
    assert seen(everybody, telling.places()) == []
    # A stranger's message on a topic that is ours alone to write stays readable, as it is on the topic (0023).
    strangers = {name for name in BAD if name.startswith("stranger")}
    in_the_clear = seen(everybody, in_tables(database))
    assert {each for each in in_the_clear if each.canary not in strangers} == set()
    assert {each.place for each in in_the_clear} <= {"backoffice.dead_letters"}
    assert seen(everybody, in_files(cli.home, but=("letters",))) == []
