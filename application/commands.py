"""
What may be asked from outside, one record per kind: a file of JSON lines, an inbound message, or a person at a desk.

Each command has an id of its own, made by who sends it: sent twice, it has one effect and gets the same answer. Dates
are the days that count; the day of business comes with the import.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.bank_movement import ExplainedAs
from domain.facts import Region
from domain.member import Language
from domain.zorgkas_affiliation import FineOutcome

Name = Annotated[str, Meta(min_length=1, max_length=100)]
#: The post refuses a field of more than 50 characters on a registered letter.
Line = Annotated[str, Meta(max_length=50)]
Reason = Annotated[str, Meta(min_length=3, max_length=200)]
Reference = Annotated[str, Meta(min_length=1, max_length=35)]
Positive = Annotated[int, Meta(gt=0, le=10**12)]
Barcode = Annotated[str, Meta(pattern="^010[0-9]{27}$")]


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True, forbid_unknown_fields=True):
    """
    Something asked. `command_id` is unique for ever; the same id with another content is refused.
    """

    command_id: UUID


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A postal address with the region that the law looks at. `country` is two letters (ISO 3166).
    """

    region: Region
    street: Line
    house_number: Line
    box: Line = ""
    postcode: Line
    town: Annotated[str, Meta(min_length=1, max_length=50)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "BE"


class RegisterMember(Command, frozen=True, kw_only=True):
    """
    A person becomes known. `member_id` may be made beforehand (`backoffice ids`), so that later lines can name it;
    without one it is made here and stands in the answer.
    """

    member_id: str | None = None
    first_name: Name
    last_name: Name
    national_number: Annotated[str, Meta(max_length=15)] = ""
    born_on: date
    language: Language = "nl"
    address: Address
    address_since: date
    cm_member_since: date | None = None
    verhoogde_tegemoetkoming_since: date | None = None
    email: Annotated[str, Meta(max_length=254)] = ""
    iban: Annotated[str, Meta(max_length=42)] = ""


class RecordDomicile(Command, frozen=True, kw_only=True):
    """
    The member's legal residence from a day on.
    """

    member_id: str
    starts_on: date
    address: Address


class StartCmMembership(Command, frozen=True, kw_only=True):
    """
    The member is with CM from that day on.
    """

    member_id: str
    starts_on: date


class EndCmMembership(Command, frozen=True, kw_only=True):
    """
    `ends_on` is the first day without membership.
    """

    member_id: str
    ends_on: date


class GrantVerhoogdeTegemoetkoming(Command, frozen=True, kw_only=True):
    """
    The increased allowance, also with effect in the past: premiums already charged are set right at once.
    """

    member_id: str
    starts_on: date
    ends_on: date | None = None


class EndVerhoogdeTegemoetkoming(Command, frozen=True, kw_only=True):
    """
    `ends_on` is the first day without the increased allowance.
    """

    member_id: str
    ends_on: date


class GiveEmailAddress(Command, frozen=True, kw_only=True):
    """
    An address for letters, not used before it is confirmed.
    """

    member_id: str
    email: Annotated[str, Meta(min_length=3, max_length=254)]


class ConfirmEmailAddress(Command, frozen=True, kw_only=True):
    """
    The member showed that the last given address is theirs.
    """

    member_id: str
    confirmed_on: date


class GiveBankAccount(Command, frozen=True, kw_only=True):
    """
    An account that the member pays from.
    """

    member_id: str
    iban: Annotated[str, Meta(min_length=15, max_length=42)]


class RecordDeath(Command, frozen=True, kw_only=True):
    """
    The member died on that day.
    """

    member_id: str
    died_on: date


class AskToJoin(Command, frozen=True, kw_only=True):
    """
    Someone who may choose asks to be affiliated with CM-Zorgkas from a calendar year on.
    """

    member_id: str
    from_year: Annotated[int, Meta(ge=2001, le=2200)]


class ProveLetterPosted(Command, frozen=True, kw_only=True):
    """
    The post's proof that it took a registered letter; `barcode` is the post's own.
    """

    member_id: str
    letter_id: UUID
    posted_on: date
    barcode: Barcode


class AllocateMovement(Command, frozen=True, kw_only=True):
    """
    A person says whose money a movement on the worklist is: all that is open, or the part of one of a couple.

    For money that the bank took back, `takes_back` is the movement of the payment, needed when more than one fits.
    """

    movement_id: UUID
    member_id: str
    amount_cents: int | None = None
    #: Not said is not the same as none: commands that were sent before this field existed keep their digest.
    takes_back: UUID | msgspec.UnsetType = msgspec.UNSET
    reason: Reason


class ReturnMovement(Command, frozen=True, kw_only=True):
    """
    The money of a movement on the worklist was sent back to where it came from.
    """

    movement_id: UUID
    returned_on: date
    reference: Reference
    reason: Reason


class ExplainMovement(Command, frozen=True, kw_only=True):
    """
    A movement on the worklist is not premium money.
    """

    movement_id: UUID
    as_what: ExplainedAs
    reason: Reason


class RefundCredit(Command, frozen=True, kw_only=True):
    """
    Credit of a member was paid back by bank transfer.
    """

    member_id: str
    amount_cents: Positive
    refunded_on: date
    reference: Reference


class RecordFine(Command, frozen=True, kw_only=True):
    """
    The Agency tells that it imposed a fine on a member whom we reported.
    """

    member_id: str
    letter_id: UUID
    reference: Reference
    years: Annotated[list[int], Meta(min_length=1, max_length=50)]
    amount_cents: Positive
    imposed_on: date


class FollowUpFine(Command, frozen=True, kw_only=True):
    """
    The Agency tells what became of a fine.
    """

    member_id: str
    reference: Reference
    outcome: FineOutcome
    happened_on: date


AnyCommand = (
    RegisterMember
    | RecordDomicile
    | StartCmMembership
    | EndCmMembership
    | GrantVerhoogdeTegemoetkoming
    | EndVerhoogdeTegemoetkoming
    | GiveEmailAddress
    | ConfirmEmailAddress
    | GiveBankAccount
    | RecordDeath
    | AskToJoin
    | ProveLetterPosted
    | AllocateMovement
    | ReturnMovement
    | ExplainMovement
    | RefundCredit
    | RecordFine
    | FollowUpFine
)


def json_schema() -> dict[str, Any]:
    """
    Return the JSON Schema of one line of a file of commands.
    """
    schema = msgspec.json.schema(AnyCommand)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A command", **schema}
