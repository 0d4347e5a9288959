"""
`backoffice letters`: the files of a run for the printer, and the post's proofs that came back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from console.asking import Asked, asks, back_office, deciding_day
from console.exits import Exit
from console.finding import run_named
from console.output import count, euros, facts, give, heading, out, progress, say, table
from console.stopping import at_the_end_of_a_part

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from application.commands import ProveLetterPosted
    from application.take_commands import Answered
    from console.answers.of_letters import LettersMade
    from formats.posting_proofs import Proof


@click.group("letters")
def letters_command() -> None:
    """
    Make the letters of a run for the printer, list them, and take the post's proofs.

    Example: ./backoffice letters make registered_letters
    """


@letters_command.command("make")
@click.argument("run")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder; without it letters/ under the home.")
@click.option("--sample", type=click.IntRange(1, 10_000), help="Make only the first letters, to look at.")
@asks
def letters_make(asked: Asked, run: str, folder: Path | None, sample: int | None) -> None:
    """
    Make the letters of an executed run: merged PDF/A files and a manifest. Made again, the bytes are the same.

    A letter that was withdrawn or posted since is left out, and named.

    Example: ./backoffice letters make invitations --sample 10
    """
    from adapters.letters import make_letters
    from console.answers.of_letters import LeftOut, LettersMade

    with back_office(asked) as backoffice, at_the_end_of_a_part(say) as check, progress("letters") as told:

        def moved(done: int, of_all: int) -> None:
            told(done, of_all)
            check()

        stream = run_named(backoffice, run)
        directory = folder or backoffice.settings.home / "letters"
        made = make_letters(backoffice, stream, directory=directory, progress=moved, sample=sample)
    answer = LettersMade(
        run=stream, folder=str(made.folder), files=[path.name for path in made.files], letters=made.letters,
        pages=made.pages, total_cents=made.total_cents, sha256=made.digest, again=made.again,
        left_out=[LeftOut(letter_id=each.letter_id, reason=each.reason) for each in (*made.left_out, *made.refused)],
    )  # fmt: skip
    give(answer, lambda: _show_made(answer), as_json=asked.as_json)
    if made.refused:
        click.get_current_context().exit(Exit.PARTLY)


def _show_made(made: LettersMade) -> None:
    out("Made before; the files are the same." if made.again else "Made.")
    facts([
        ("folder", made.folder),
        ("letters", f"{count(made.letters, 'letter')}, {count(made.pages, 'page')}"),
        ("they ask", euros(made.total_cents)),
        ("files", ", ".join(made.files)),
        ("SHA-256", made.sha256),
    ])  # fmt: skip
    if made.left_out:
        heading("Not printed")
        table(("letter", "because"), [(each.letter_id, each.reason) for each in made.left_out[:50]])


@letters_command.command("single")
@click.argument("letter", type=click.UUID)
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder; without it letters/ under the home.")
@asks
def letters_single(asked: Asked, letter: UUID, folder: Path | None) -> None:
    """
    Make one letter, such as the invitation of who asked to join: it stands in no run. Made again, the bytes are the
    same.

    Example: ./backoffice letters single 5f0c2f58-0d3e-8a67-8f20-1b7f7a1d9f10
    """
    from adapters.letters import make_letter
    from adapters.whole_files import write_whole
    from console.answers.of_letters import LetterMade

    with back_office(asked) as backoffice:
        pdf = make_letter(backoffice, letter)
        path = (folder or backoffice.settings.home / "letters") / f"{letter}.pdf"
        write_whole(path, [pdf])
    made = LetterMade(letter_id=letter, path=str(path), sha256=hashlib.sha256(pdf).hexdigest())
    give(made, lambda: facts([("file", made.path), ("SHA-256", made.sha256)]), as_json=asked.as_json)


@letters_command.command("list")
@click.argument("run")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@asks
def letters_list(asked: Asked, run: str, limit: int) -> None:
    """
    List the letters of a run.

    Example: ./backoffice letters list registered_letters
    """
    from adapters.postgres.looking_at_letters import letters_of_run
    from console.answers.of_letters import LetterList

    with back_office(asked) as backoffice:
        stream = run_named(backoffice, run)
        backoffice.catch_up(("letters",))
        letters = letters_of_run(backoffice.database, stream, limit=limit)

    def show() -> None:
        if not letters:
            out("This run has no letters.")
            return
        rows = [(each.letter_id, each.member, each.kind.replace("_", " "), euros(each.amount_cents), each.posted_on,
                 each.withdrawn_on) for each in letters]  # fmt: skip
        table(("letter", "member", "kind", "asks", "posted on", "withdrawn on"), rows, right=("asks",))

    give(LetterList(letters=letters), show, as_json=asked.as_json)


@letters_command.command("proof")
@click.argument("file", type=click.Path(path_type=Path))
@asks
def letters_proof(asked: Asked, file: Path) -> None:
    """
    Take the post's proofs: a CSV with letter_id,posted_on,barcode. Only a proved letter counts as sent.

    Example: ./backoffice letters proof bpost-2026-06-02.csv
    """
    from adapters.incoming_files import read_file
    from adapters.postgres.looking_at_letters import NoSuchLetter
    from application.take_commands import Sender, take_commands
    from console.answers.of_letters import Proved, RefusedProof
    from formats.posting_proofs import read_proofs

    with back_office(asked) as backoffice:
        day = deciding_day(asked, backoffice)
        proofs = read_proofs(read_file(file, clock=backoffice.clock))
        commands, unknown = _commands(backoffice, proofs)
        sender = Sender(backoffice.settings.actor, day, "proof of posting")
        answered: list[Answered] = []
        with at_the_end_of_a_part(say) as check:
            context = backoffice.context(day)
            for each in take_commands(backoffice.store, commands, context=context, sender=sender):
                check()
                answered.append(each)
        backoffice.catch_up()
    refused = [
        RefusedProof(line=each.line, code=each.answer.detail["code"], message=each.answer.detail["message"])
        for each in answered
        if each.answer.outcome == "refused"
    ]
    no_such = NoSuchLetter()
    refused += [RefusedProof(line=line, code=no_such.name(), message=no_such.message) for line in unknown]
    repeated = sum(each.repeated for each in answered)
    accepted = sum(each.answer.outcome == "accepted" and not each.repeated for each in answered)
    answer = Proved(accepted=accepted, repeated=repeated, refused=sorted(refused, key=lambda each: each.line))

    def show() -> None:
        before = f", {repeated} known already" if repeated else ""
        out(f"{count(accepted, 'letter')} proved as posted{before}.")
        if answer.refused:
            heading("Refused")
            table(("line", "why"), [(each.line, each.message) for each in answer.refused[:50]], right=("line",))

    give(answer, show, as_json=asked.as_json)
    if answer.refused:
        click.get_current_context().exit(Exit.PARTLY)


def _commands(backoffice: Backoffice, proofs: Sequence[Proof]) -> tuple[list[tuple[int, ProveLetterPosted]], list[int]]:
    """
    Turn proofs into commands with an id made from what they say; also return the lines of letters that we do not know.
    """
    from adapters.postgres.looking_at_letters import members_of_letters
    from application.commands import ProveLetterPosted
    from domain.ids import derived_key

    backoffice.catch_up(("letters",))
    members = members_of_letters(backoffice.database, [proof.letter_id for proof in proofs])
    commands = [
        (
            proof.line,
            ProveLetterPosted(
                command_id=derived_key("proof", str(proof.letter_id), str(proof.posted_on), proof.barcode),
                member_id=str(members[proof.letter_id]),
                letter_id=proof.letter_id,
                posted_on=proof.posted_on,
                barcode=proof.barcode,
            ),
        )
        for proof in proofs
        if proof.letter_id in members
    ]
    return commands, [proof.line for proof in proofs if proof.letter_id not in members]
