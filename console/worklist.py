"""
`backoffice worklist`: money that has no place yet; suggestions, and the same commands as an import gives.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

import click

from console.asking import Asked, DateType, EurosType, MemberType, asks, back_office, deciding_day
from console.exits import Exit
from console.output import euros, facts, give, heading, out, say, table
from domain.bank_movement import ExplainedAs
from domain.ids import MemberId, StreamId, derived_key

if TYPE_CHECKING:
    from adapters.wiring import Backoffice
    from application.commands import AnyCommand
    from console.answers.every import Suggested

_MOVEMENT = click.argument("movement", type=click.UUID)
_REASON = click.option("--reason", required=True, help="Why; it is recorded.")


@click.group("worklist")
def worklist_command() -> None:
    """
    Give money without a place its place: find out whose it is, allocate, return or explain it.

    Example: ./backoffice worklist suggest 0d1f3a52-7c4e-8b11-9a77-21c0de410000
    """


@worklist_command.command("suggest")
@_MOVEMENT
@asks
def worklist_suggest(asked: Asked, movement: UUID) -> None:
    """
    Say whose money a movement may be, the most likely member first, each with why. Nothing is decided.

    Example: ./backoffice worklist suggest 0d1f3a52-7c4e-8b11-9a77-21c0de410000
    """
    with back_office(asked) as backoffice:
        backoffice.catch_up()
        found = _suggested(backoffice, movement)
    give(found, lambda: _show_suggested(found), as_json=asked.as_json)


def _suggested(backoffice: Backoffice, movement: UUID) -> Suggested:
    from adapters.postgres.looking import who_opens_exactly
    from adapters.postgres.lookups import PostgresLookups
    from application.suggesting import suggest
    from console.answers.every import Suggested
    from domain.bank_movement import BANK_MOVEMENT, MovementHeld, NotOnTheWorklist
    from domain.zorgkas_affiliation import AFFILIATION

    stream = StreamId(movement)
    held = next((each.event for each in backoffice.store.history(stream)), None)
    if not isinstance(held, MovementHeld):
        raise NotOnTheWorklist
    state = backoffice.store.load(BANK_MOVEMENT, [stream])[stream].state

    def state_of(streams: Any) -> Any:
        return {each: loaded.state for each, loaded in backoffice.store.load(AFFILIATION, streams).items()}

    def same_amount(amount_cents: int, limit: int) -> Any:
        return who_opens_exactly(backoffice.database, amount_cents=amount_cents, limit=limit)

    known = PostgresLookups(backoffice.database, catch_up=lambda: None, blind=backoffice.store.blind)
    return Suggested(
        movement=movement,
        amount_cents=held.amount_cents,
        open_cents=state.open_cents,
        value_date=held.value_date,
        because=held.because,
        suggestions=suggest(held, known=known, same_amount=same_amount, state_of=state_of),
    )


def _show_suggested(found: Suggested) -> None:
    facts([
        ("movement", found.movement),
        ("amount", euros(found.amount_cents)),
        ("still open", euros(found.open_cents) if found.open_cents != found.amount_cents else ""),
        ("value date", found.value_date),
        ("because", found.because.replace("_", " ")),
    ])  # fmt: skip
    if not found.suggestions:
        out("Nothing that we know fits; ask the bank who paid, or return the money.")
        return
    heading("It may be the money of")
    rows = [(each.member, euros(each.open_cents), "; ".join(each.why)) for each in found.suggestions]
    table(("member", "open", "because"), rows, right=("open",))
    first, *others = found.suggestions
    equal = any(each.weight == first.weight for each in others)
    out("Several are as likely; to allocate it to one of them:" if equal else "To allocate it:")
    member = "MEMBER" if equal else first.member
    out(f'  backoffice worklist allocate {found.movement} {member} --reason "..."')


@worklist_command.command("allocate")
@_MOVEMENT
@click.argument("member", type=MemberType())
@click.option("--amount", "amount_cents", type=EurosType(), help="A part of it, such as 32.50; without it all.")
@click.option("--takes-back", type=click.UUID, help="Of money that the bank took back: the movement of the payment.")
@_REASON
@asks
def worklist_allocate(
    asked: Asked, *, movement: UUID, member: MemberId, amount_cents: int | None, takes_back: UUID | None, reason: str
) -> None:
    """
    Say whose money it is; it is put on the member's years as any payment, by its value date.

    Money that the bank took back undoes its payment; what of it had been refunded, the member then owes back.

    Example: ./backoffice worklist allocate 0d1f3a52-7c4e-8b11-9a77-21c0de410000 \\
    01963f2e-8c00-7a51-b1c2-9d4e5f000000 --reason "communication mistyped"
    """
    given = {"movement_id": str(movement), "member_id": str(member), "amount_cents": amount_cents, "reason": reason}
    if takes_back is not None:
        given["takes_back"] = str(takes_back)
    _give(asked, "AllocateMovement", given)


@worklist_command.command("return")
@_MOVEMENT
@click.option("--returned-on", type=DateType(), required=True, help="The day of the transfer.")
@click.option("--reference", required=True, help="The transfer's reference.")
@_REASON
@asks
def worklist_return(asked: Asked, movement: UUID, returned_on: date, reference: str, reason: str) -> None:
    """
    Record that the money went back to the account it came from.

    Example: ./backoffice worklist return 0d1f3a52-7c4e-8b11-9a77-21c0de410000 --returned-on 2026-05-04 \\
    --reference R-17 --reason "not our member"
    """
    given = {
        "movement_id": str(movement), "returned_on": returned_on.isoformat(), "reference": reference, "reason": reason
    }  # fmt: skip
    _give(asked, "ReturnMovement", given)


@worklist_command.command("explain")
@_MOVEMENT
@click.option("--what", "as_what", type=click.Choice(get_args(ExplainedAs)), required=True, help="What it is.")
@_REASON
@asks
def worklist_explain(asked: Asked, movement: UUID, as_what: str, reason: str) -> None:
    """
    Say that a movement is no premium money, such as bank costs.

    Example: ./backoffice worklist explain 0d1f3a52-7c4e-8b11-9a77-21c0de410000 --what bank_costs --reason "charges"
    """
    _give(asked, "ExplainMovement", {"movement_id": str(movement), "as_what": as_what, "reason": reason})


def _give(asked: Asked, kind: str, given: dict[str, Any]) -> None:
    """
    Give one command. Its id is made from what it says: given twice on one day, it has one effect and one answer.
    """
    import msgspec

    from application.commands import AnyCommand
    from application.take_commands import Sender, take_commands
    from console.answers.every import Decided

    with back_office(asked) as backoffice:
        day = deciding_day(asked, backoffice)
        command_id = derived_key("at the desk", kind, str(day), *(f"{name}={given[name]}" for name in sorted(given)))
        line = {"type": kind, "command_id": str(command_id), **given}
        try:
            command: AnyCommand = msgspec.convert(line, AnyCommand)
        except msgspec.ValidationError:
            raise click.UsageError(
                "--reason has 3 to 200 characters, --reference at most 35", click.get_current_context()
            ) from None
        sender = Sender(backoffice.settings.actor, day, "desk")
        (answered,) = take_commands(backoffice.store, [(1, command)], context=backoffice.context(day), sender=sender)
        backoffice.catch_up()
    answer = answered.answer
    decided = Decided(
        command_id=answer.command_id, outcome=answer.outcome, repeated=answered.repeated, detail=answer.detail
    )
    refused = answer.outcome == "refused"

    def show() -> None:
        if refused:
            say(f"backoffice: {answer.detail['message']}")
        else:
            out("Done before; nothing changed." if answered.repeated else "Done.")

    give(decided, show, as_json=asked.as_json)
    if refused:
        click.get_current_context().exit(Exit.REFUSED)
