"""
Which streams each command needs and which decisions it asks: the one table between commands and the domain.

A new command is one record in `commands`, its name in `AnyCommand`, and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import UNSET, UnsetType

from application import commands as c
from application.matching import payments_standing
from application.work import Need, Work
from domain import bank_movement, member
from domain import zorgkas_affiliation as zorgkas
from domain.bank_movement import BANK_MOVEMENT
from domain.errors import NotFound, Refused
from domain.facts import MemberFacts
from domain.ids import Kind, MemberId, StreamId, belonging_to, derived_key, kind_of, member_id_from_text
from domain.member import MEMBER
from domain.money import Cents
from domain.national_number import NationalNumber
from domain.parameters import Parameters
from domain.payments import Iban, Ogm
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState, HappenedToAffiliation, ZorgpremieAmountChanged

Detail = dict[str, Any]


class NotAMovement(NotFound):
    """
    There is no bank movement with this id on the worklist; take the id from `backoffice show worklist`.
    """


class NoPaymentToTakeBack(Refused):
    """
    This member has not exactly one payment of that amount that the bank can have taken back; find out which, and name
    it (`takes_back`).
    """

    rule = "ZP-14"


class NotYetHappened(Refused):
    """
    This day lies after the business date; something is recorded once it has happened. Correct the day.
    """


class Context(NamedTuple):
    """
    What decisions are given besides the command: the business date, the law, and where new member ids come from.
    """

    as_of: date
    law: Parameters
    new_member_id: Callable[[], MemberId]
    new_ogm: Callable[[], Ogm]

    def happened(self, day: date) -> date:
        """
        Return a day on which something happened elsewhere. Raises NotYetHappened when it lies after the business date.
        """
        if day > self.as_of:
            raise NotYetHappened(day=day, as_of=self.as_of)
        return day


class Handler(NamedTuple):
    """
    `needs` names the streams to load beforehand; `decide` records events in the work and returns the answer's detail.
    """

    needs: Callable[[Any], Sequence[Need]]
    decide: Callable[[Any, Work, Context], Detail]


def _member_of(command: Any) -> MemberId:
    return member_id_from_text(command.member_id)


def _member(command: Any) -> list[Need]:
    return [(MEMBER, StreamId(_member_of(command)))]


def _affiliation(command: Any) -> list[Need]:
    return [(AFFILIATION, belonging_to(_member_of(command), Kind.ZORGKAS_AFFILIATION))]


def _both(command: Any) -> list[Need]:
    return [*_member(command), *_affiliation(command)]


def _chosen_member(command: c.RegisterMember) -> list[Need]:
    return _member(command) if command.member_id else []


def _movement(command: Any) -> list[Need]:
    return [(BANK_MOVEMENT, _movement_of(command.movement_id))]


def _movement_of(movement_id: UUID) -> StreamId:
    try:
        known = kind_of(movement_id) is Kind.BANK_MOVEMENT
    except ValueError:
        known = False
    if not known:
        raise NotAMovement
    return StreamId(movement_id)


def _names(events: Sequence[object]) -> Detail:
    return {"events": [type(event).__name__ for event in events]}


def _facts(work: Work, command: Any) -> MemberFacts:
    return work.state(MEMBER, StreamId(_member_of(command))).facts


# --- Members ---------------------------------------------------------------------------------------------------------


def _register(command: c.RegisterMember, work: Work, context: Context) -> Detail:
    stream = StreamId(member_id_from_text(command.member_id) if command.member_id else context.new_member_id())
    if not command.member_id:
        work.begin(MEMBER, stream)
    number = NationalNumber.from_text(command.national_number) if command.national_number else None
    _on_member(work, stream, lambda state: member.register(
        state, first_name=command.first_name, last_name=command.last_name, national_number=number,
        born_on=command.born_on, language=command.language, as_of=context.as_of,
    ))  # fmt: skip
    _on_member(work, stream, lambda state: _domicile(state, command.address_since, command.address))
    if command.cm_member_since:
        since = command.cm_member_since
        _on_member(work, stream, lambda state: member.start_cm_membership(state, starts_on=since))
    if command.verhoogde_tegemoetkoming_since:
        granted = command.verhoogde_tegemoetkoming_since
        _on_member(work, stream, lambda state: member.grant_verhoogde_tegemoetkoming(state, starts_on=granted))
    if command.email:
        _on_member(work, stream, lambda state: member.give_email_address(state, email=command.email))
    if command.iban:
        iban = Iban.from_text(command.iban)
        _on_member(work, stream, lambda state: member.give_bank_account(state, iban=iban))
    if number is not None:
        work.mark_unique("national_number", number, stream)
    return {"member_id": str(stream)}


def _domicile(state: member.MemberState, starts_on: date, address: c.Address) -> list[member.HappenedToMember]:
    return member.record_domicile(
        state, starts_on=starts_on, region=address.region, street=address.street, house_number=address.house_number,
        box=address.box, postcode=address.postcode, town=address.town, country=address.country,
    )  # fmt: skip


def _on_member(
    work: Work, stream: StreamId, decide: Callable[[member.MemberState], list[member.HappenedToMember]]
) -> None:
    work.record(MEMBER, stream, decide(work.state(MEMBER, stream)))


def _changing(
    decide: Callable[[member.MemberState, Any, Context], list[member.HappenedToMember]],
) -> Callable[[Any, Work, Context], Detail]:
    """
    Make the handler of a command that changes one member and nothing else.
    """

    def handle(command: Any, work: Work, context: Context) -> Detail:
        stream = StreamId(_member_of(command))
        events = decide(work.state(MEMBER, stream), command, context)
        work.record(MEMBER, stream, events)
        return _names(events)

    return handle


def _allowance(
    decide: Callable[[member.MemberState, Any], list[member.HappenedToMember]],
) -> Callable[[Any, Work, Context], Detail]:
    """
    Make the handler of a change of the increased allowance: premiums already charged are set right with it (ZP-2).
    """

    def handle(command: Any, work: Work, context: Context) -> Detail:
        stream = StreamId(_member_of(command))
        _on_member(work, stream, lambda state: decide(state, command))
        affiliation = belonging_to(stream, Kind.ZORGKAS_AFFILIATION)
        changed = zorgkas.apply_late_allowance(
            work.state(AFFILIATION, affiliation), member=_facts(work, command), as_of=context.as_of, law=context.law
        )
        work.record(AFFILIATION, affiliation, changed)
        years = sorted({event.year for event in changed if isinstance(event, ZorgpremieAmountChanged)})
        return {"premium_years_changed": years}

    return handle


# --- CM-Zorgkas ------------------------------------------------------------------------------------------------------


def _on_affiliation(
    decide: Callable[[AffiliationState, Any, MemberFacts, Context], list[HappenedToAffiliation]],
) -> Callable[[Any, Work, Context], Detail]:
    """
    Make the handler of a command that changes one affiliation and nothing else.
    """

    def handle(command: Any, work: Work, context: Context) -> Detail:
        stream = belonging_to(_member_of(command), Kind.ZORGKAS_AFFILIATION)
        events = decide(work.state(AFFILIATION, stream), command, _facts(work, command), context)
        work.record(AFFILIATION, stream, events)
        return _names(events)

    return handle


def _join(
    state: AffiliationState, command: c.AskToJoin, facts: MemberFacts, context: Context
) -> list[HappenedToAffiliation]:
    return zorgkas.ask_to_join(
        state, member=facts, year=command.from_year, as_of=context.as_of, law=context.law, ogm=context.new_ogm(),
        letter_id=derived_key("letter", str(command.command_id)),
    )  # fmt: skip


# --- Money -----------------------------------------------------------------------------------------------------------


def _allocate(command: c.AllocateMovement, work: Work, context: Context) -> Detail:
    movement = _movement_of(command.movement_id)
    affiliation = belonging_to(_member_of(command), Kind.ZORGKAS_AFFILIATION)
    held = work.state(BANK_MOVEMENT, movement)
    part = Cents(command.amount_cents) if command.amount_cents is not None else None
    placed = bank_movement.allocate(
        held, affiliation=affiliation, allocated_on=context.as_of, reason=command.reason, amount_cents=part
    )
    work.record(BANK_MOVEMENT, movement, placed)
    amount = Cents(sum(event.amount_cents for event in placed if isinstance(event, bank_movement.MovementAllocated)))
    state = work.state(AFFILIATION, affiliation)
    if amount > 0:
        events = _take_in(state, movement, amount, held, context)
    else:
        events = _take_back(state, movement, amount, held, context, takes_back=command.takes_back)
    work.record(AFFILIATION, affiliation, events)
    return _names(events)


def _take_in(
    state: AffiliationState, movement: StreamId, amount: Cents, held: bank_movement.BankMovementState, context: Context
) -> list[HappenedToAffiliation]:
    assert held.value_date is not None, "a movement that was held has its days"
    assert held.booked_on is not None, "a movement that was held has its days"
    return zorgkas.receive_payment(
        state, movement=movement, amount_cents=amount, value_date=held.value_date, booked_on=held.booked_on,
        matched_by="person", payer_iban="",  # it makes no account known: see projections.payments
        as_of=context.as_of, law=context.law,
    )  # fmt: skip


def _take_back(
    state: AffiliationState, movement: StreamId, amount: Cents, held: bank_movement.BankMovementState, context: Context,
    *, takes_back: UUID | UnsetType,
) -> list[HappenedToAffiliation]:  # fmt: skip
    assert held.value_date is not None, "a movement that was held has its days"
    fits = [
        payment
        for payment, standing in payments_standing(state)
        if standing == -amount and takes_back in (payment, UNSET)
    ]
    if len(fits) != 1:
        raise NoPaymentToTakeBack
    return zorgkas.reverse_payment(
        state, movement=fits[0], reversed_by=movement, amount_cents=Cents(-amount), value_date=held.value_date,
        as_of=context.as_of, law=context.law,
    )  # fmt: skip


def _on_movement(
    decide: Callable[[bank_movement.BankMovementState, Any, Context], list[bank_movement.HappenedToMovement]],
) -> Callable[[Any, Work, Context], Detail]:
    """
    Make the handler of a command that resolves one movement of the worklist.
    """

    def handle(command: Any, work: Work, context: Context) -> Detail:
        movement = _movement_of(command.movement_id)
        events = decide(work.state(BANK_MOVEMENT, movement), command, context)
        work.record(BANK_MOVEMENT, movement, events)
        return _names(events)

    return handle


def _movement_and_affiliation(command: Any) -> list[Need]:
    return [*_movement(command), *_affiliation(command)]


# --- The table -------------------------------------------------------------------------------------------------------

HANDLERS: Final[dict[type[c.Command], Handler]] = {
    c.RegisterMember: Handler(_chosen_member, _register),
    c.RecordDomicile: Handler(_member, _changing(lambda state, command, _: _domicile(
        state, command.starts_on, command.address))),
    c.StartCmMembership: Handler(_member, _changing(lambda state, command, _: member.start_cm_membership(
        state, starts_on=command.starts_on))),
    c.EndCmMembership: Handler(_member, _changing(lambda state, command, _: member.end_cm_membership(
        state, ends_on=command.ends_on))),
    c.GrantVerhoogdeTegemoetkoming: Handler(_both, _allowance(
        lambda state, command: member.grant_verhoogde_tegemoetkoming(
            state, starts_on=command.starts_on, ends_on=command.ends_on))),
    c.EndVerhoogdeTegemoetkoming: Handler(_both, _allowance(
        lambda state, command: member.end_verhoogde_tegemoetkoming(state, ends_on=command.ends_on))),
    c.GiveEmailAddress: Handler(_member, _changing(lambda state, command, _: member.give_email_address(
        state, email=command.email))),
    c.ConfirmEmailAddress: Handler(_member, _changing(lambda state, command, context: member.confirm_email_address(
        state, confirmed_on=context.happened(command.confirmed_on)))),
    c.GiveBankAccount: Handler(_member, _changing(lambda state, command, _: member.give_bank_account(
        state, iban=Iban.from_text(command.iban)))),
    c.RecordDeath: Handler(_member, _changing(lambda state, command, context: member.record_death(
        state, died_on=command.died_on, as_of=context.as_of))),
    c.AskToJoin: Handler(_both, _on_affiliation(_join)),
    c.ProveLetterPosted: Handler(_both, _on_affiliation(lambda state, command, _, context: zorgkas.post_letter(
        state, letter_id=command.letter_id, posted_on=command.posted_on, barcode=command.barcode,
        as_of=context.as_of, law=context.law))),
    c.AllocateMovement: Handler(_movement_and_affiliation, _allocate),
    c.ReturnMovement: Handler(_movement, _on_movement(lambda state, command, context: bank_movement.give_back(
        state, returned_on=context.happened(command.returned_on), reference=command.reference, reason=command.reason))),
    c.ExplainMovement: Handler(_movement, _on_movement(lambda state, command, context: bank_movement.explain(
        state, explained_on=context.as_of, as_what=command.as_what, reason=command.reason))),
    c.RefundCredit: Handler(_both, _on_affiliation(lambda state, command, _, context: zorgkas.refund_credit(
        state, amount_cents=Cents(command.amount_cents), refunded_on=context.happened(command.refunded_on),
        reference=command.reference))),
    c.RecordFine: Handler(_both, _on_affiliation(lambda state, command, facts, context: zorgkas.record_fine(
        state, reference=command.reference, letter_id=command.letter_id, years=tuple(command.years),
        amount_cents=Cents(command.amount_cents), imposed_on=command.imposed_on, member=facts,
        as_of=context.as_of, law=context.law))),
    c.FollowUpFine: Handler(_both, _on_affiliation(lambda state, command, _, context: zorgkas.follow_up_fine(
        state, reference=command.reference, outcome=command.outcome,
        happened_on=context.happened(command.happened_on)))),
}  # fmt: skip
