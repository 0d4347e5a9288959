"""
Money in: a bank file is taken whole or not at all, once under any name, and only in the order of the bank's statements.

One transaction under the store's append lock: nobody changes a member between the decision and its record. Every
movement becomes a payment, the reversal of one, or an item of the worklist; the cents are counted before anything is
kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from application.matching import Known, Match, match_money_in, match_reversal, ogm_of
from application.ports import Commit, Unit
from application.take_commands import Sender
from application.work import Work
from domain import bank_account, bank_movement
from domain import zorgkas_affiliation as zorgkas
from domain.bank_account import BANK_ACCOUNT
from domain.bank_movement import BANK_MOVEMENT
from domain.errors import BackofficeError
from domain.ids import Kind, MemberId, StreamId, belonging_to, derived_key, owner_of
from domain.money import Cents
from domain.parameters import Parameters
from domain.payments import Movement, Statement, bank_account_id, bank_movement_id
from domain.zorgkas_affiliation import AFFILIATION, AffiliationState

CHUNK_MOVEMENTS: Final = 5_000


class CentsLost(BackofficeError):
    """
    The decisions on a statement do not add up to its movements; nothing was taken. This is a defect: report it.
    """


class Lookups(Protocol):
    """
    What matching looks up, as the store stands now: `refresh` first brings it up to the last recorded event.
    """

    def refresh(self) -> None: ...

    def affiliations_by_ogm(self, ogms: Sequence[str]) -> Mapping[str, StreamId]: ...

    def members_by_account(self, ibans: Sequence[str]) -> Mapping[str, Sequence[MemberId]]: ...

    def erased(self, members: Collection[MemberId]) -> Collection[MemberId]:
        """
        Return those of them whose personal data were erased.
        """


class WaitingFiles(Protocol):
    """
    Files whose statement came before its turn; kept sealed, by the digest of their content. `content` finds one by the
    first digits of that digest; None when it cannot be opened any more. `forget` deletes one when nothing of it waits.
    """

    def keep(self, unit: Unit, *, account: StreamId, digest: str, content: bytes) -> None: ...

    def content(self, digest_start: str) -> bytes | None: ...

    def forget(self, unit: Unit, *, digest_start: str) -> None: ...


class MoneyStore(Protocol):
    """
    The store as imports use it: with the append lock taken before the first look.
    """

    def transaction(self, commit: Commit, *, lock_first: bool = False) -> AbstractContextManager[Unit]: ...


class Totals(msgspec.Struct, kw_only=True):
    """
    What became of the movements of a statement; counts, and amounts in cents.
    """

    allocated: int = 0
    allocated_cents: int = 0
    reversed: int = 0
    reversed_cents: int = 0
    held: int = 0
    held_cents: int = 0
    by_reason: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def net_cents(self) -> int:
        return self.allocated_cents + self.reversed_cents + self.held_cents


class StatementReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What happened to one statement of a file: taken, already taken before, or waiting for an earlier one.
    """

    account: str
    year: int
    number: int
    state: Literal["taken", "already_taken", "waiting"]
    movements: int
    waits_for: str = ""
    totals: Totals = msgspec.field(default_factory=Totals)


class BankFile(NamedTuple):
    """
    A file that its reader accepted: the statements in it, its bytes, and the digest of its canonical content.
    """

    statements: Sequence[Statement]
    content: bytes
    digest: str


class MoneyIn(NamedTuple):
    """
    Takes bank files. `read` turns kept bytes into a file again, when the statement that they waited for has come.
    """

    store: MoneyStore
    lookups: Lookups
    waiting: WaitingFiles
    law: Parameters
    read: Callable[[bytes], BankFile]

    def take(
        self, file: BankFile, *, sender: Sender, progress: Callable[[int], None] = lambda _: None
    ) -> list[StatementReport]:
        """
        Take a file, then those that waited for it. Raises what `bank_account.take_statement` refuses.
        """
        reports, followers = self._take_one(file, sender, progress)
        return [*reports, *self.take_waiting(followers, sender=sender, progress=progress)]

    def take_waiting(
        self,
        turn_has_come: Sequence[bank_account.Held],
        *,
        sender: Sender,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[StatementReport]:
        """
        Take the files of waiting statements whose turn has come, and those that waited for them.
        """
        reports, followers = list[StatementReport](), [*turn_has_come]
        while followers:
            content = self.waiting.content(followers.pop().content)
            if content is None:
                continue
            again, more = self._take_one(self.read(content), sender, progress)
            taken = [report for report in again if report.state == "taken"]
            reports += taken
            followers += more if taken else ()
        return reports

    def _take_one(
        self, file: BankFile, sender: Sender, progress: Callable[[int], None]
    ) -> tuple[list[StatementReport], list[bank_account.Held]]:
        """
        Take one file, whole or not at all; return with its reports the statements whose turn has come by it.
        """
        commit = Commit(
            command_id=derived_key("bank file", file.digest),
            actor=sender.actor,
            business_date=sender.business_date,
            cause=sender.cause,
        )
        with self.store.transaction(commit, lock_first=True) as unit:
            self.lookups.refresh()
            accounts = sorted({bank_account_id(each.account) for each in file.statements})
            waited = _waiting(unit, accounts)
            seen = dict[str, dict[StreamId, None]]()
            reports = [
                self._take_statement(unit, file, each, seen=seen, sender=sender, progress=progress)
                for each in file.statements
            ]
            if any(report.state == "waiting" for report in reports):
                self.waiting.keep(unit, account=accounts[0], digest=file.digest, content=file.content)
            work = Work(unit)
            states = [work.state(BANK_ACCOUNT, account) for account in accounts]
            for digest_start in sorted(waited - _waiting(unit, accounts)):
                self.waiting.forget(unit, digest_start=digest_start)
        return reports, [state.next_held for state in states if state.next_held is not None]

    def _take_statement(
        self,
        unit: Unit,
        file: BankFile,
        statement: Statement,
        *,
        seen: dict[str, dict[StreamId, None]],
        sender: Sender,
        progress: Callable[[int], None],
    ) -> StatementReport:
        account = bank_account_id(statement.account)
        work = Work(unit)
        events = bank_account.take_statement(
            work.state(BANK_ACCOUNT, account),
            statement=statement,
            content_digest=file.digest,
            movements_digest=movements_digest(statement.movements),
        )
        work.record(BANK_ACCOUNT, account, events)
        work.keep()
        known = work.state(BANK_ACCOUNT, account)
        work.save()
        if not any(isinstance(event, bank_account.StatementTaken) for event in events):
            return _not_taken(known, statement)
        totals = Totals()
        for start in range(0, len(statement.movements), CHUNK_MOVEMENTS):
            chunk = statement.movements[start : start + CHUNK_MOVEMENTS]
            _Chunk(self, unit, statement, totals=totals, seen=seen, sender=sender).take(chunk)
            progress(len(chunk))
        if totals.net_cents != sum(movement.amount_cents for movement in statement.movements):
            raise CentsLost
        return StatementReport(
            account=statement.account,
            year=statement.year,
            number=statement.number,
            state="taken",
            movements=len(statement.movements),
            totals=totals,
        )


class _Chunk:
    """
    Some movements of one statement: looked up together, decided one by one, appended together.
    """

    def __init__(
        self,
        money: MoneyIn,
        unit: Unit,
        statement: Statement,
        *,
        totals: Totals,
        seen: dict[str, dict[StreamId, None]],
        sender: Sender,
    ) -> None:
        self._money = money
        self._statement = statement
        self._totals = totals
        self._seen = seen  # accounts that paid with an OGM earlier in this file, and whose it was
        self._today = sender.business_date
        self._work = Work(unit)

    def take(self, movements: Sequence[Movement]) -> None:
        known = self._look_up(movements)
        streams = {stream for movement in movements for stream in known.candidates(movement)}
        self._work.load((AFFILIATION, stream) for stream in streams)
        for movement in movements:
            self._take(movement, known)
            self._work.keep()
        self._work.save()

    def _look_up(self, movements: Iterable[Movement]) -> Known:
        ogms = {ogm for movement in movements if (ogm := ogm_of(movement))}
        ibans = {movement.counterparty_iban for movement in movements if movement.counterparty_iban}
        members = self._money.lookups.members_by_account(sorted(ibans))
        by_account = {
            iban: dict.fromkeys(belonging_to(each, Kind.ZORGKAS_AFFILIATION) for each in of)
            for iban, of in members.items()
        }
        for iban in ibans & self._seen.keys():
            by_account.setdefault(iban, {}).update(self._seen[iban])
        by_ogm = self._money.lookups.affiliations_by_ogm(sorted(ogms))
        found = {*by_ogm.values(), *(stream for payers in by_account.values() for stream in payers)}
        gone = self._money.lookups.erased({owner_of(stream) for stream in found})
        erased = {belonging_to(member, Kind.ZORGKAS_AFFILIATION) for member in gone}
        return Known(by_ogm=by_ogm, by_account=by_account, erased=erased)

    def _state(self, stream: StreamId) -> AffiliationState:
        return self._work.state(AFFILIATION, stream)

    def _take(self, movement: Movement, known: Known) -> None:
        if movement.amount_cents <= 0 or movement.reversal is not None:
            self._take_back(movement, known)
            return
        found = match_money_in(movement, known, self._state)
        if isinstance(found, Match):
            self._receive(movement, found, known)
        else:
            self._hold(movement, found)

    def _receive(self, movement: Movement, found: Match, known: Known) -> None:
        events = zorgkas.receive_payment(
            self._state(found.affiliation),
            movement=self._id_of(movement),
            amount_cents=movement.amount_cents,
            value_date=movement.value_date,
            booked_on=movement.booked_on,
            matched_by=found.matched_by,
            payer_iban=movement.counterparty_iban,
            as_of=self._today,
            law=self._money.law,
        )
        self._work.record(AFFILIATION, found.affiliation, events)
        if found.matched_by == "ogm" and movement.counterparty_iban:
            self._remember_payer(movement.counterparty_iban, found.affiliation, known)
        self._totals.allocated += 1
        self._totals.allocated_cents += movement.amount_cents

    def _remember_payer(self, iban: str, affiliation: StreamId, known: Known) -> None:
        for payers in (self._seen.setdefault(iban, {}), known.by_account.setdefault(iban, {})):
            payers[affiliation] = None

    def _take_back(self, movement: Movement, known: Known) -> None:
        fits = match_reversal(movement, known, self._state) if movement.reversal is not None else None
        if fits is None:
            self._hold(movement, "money_out" if movement.reversal is None else "reversal_without_original")
            return
        affiliation, payment = fits
        events = zorgkas.reverse_payment(
            self._state(affiliation),
            movement=payment,
            reversed_by=self._id_of(movement),
            amount_cents=Cents(-movement.amount_cents),
            value_date=movement.value_date,
            as_of=self._today,
            law=self._money.law,
        )
        self._work.record(AFFILIATION, affiliation, events)
        self._totals.reversed += 1
        self._totals.reversed_cents += movement.amount_cents

    def _hold(self, movement: Movement, because: bank_movement.HeldBecause) -> None:
        stream = self._id_of(movement)
        self._work.record(BANK_MOVEMENT, stream, bank_movement.hold(
            self._work.state(BANK_MOVEMENT, stream),
            account=bank_account_id(self._statement.account),
            year=self._statement.year,
            number=self._statement.number,
            movement=movement,
            because=because,
        ))  # fmt: skip
        self._totals.held += 1
        self._totals.held_cents += movement.amount_cents
        self._totals.by_reason[because] = self._totals.by_reason.get(because, 0) + 1

    def _id_of(self, movement: Movement) -> StreamId:
        of = self._statement
        return bank_movement_id(account=of.account, year=of.year, number=of.number, ordinal=movement.ordinal)


def _waiting(unit: Unit, accounts: Sequence[StreamId]) -> set[str]:
    """
    Return the files of which some statement waits, by the first digits of their digests.
    """
    work = Work(unit)
    return {held.content for account in accounts for held in work.state(BANK_ACCOUNT, account).held}


def movements_digest(movements: Iterable[Movement]) -> str:
    """
    Return the SHA-256 over the movements as we read them, whatever the format they came in.
    """
    digest = hashlib.sha256()
    encode = msgspec.json.encode
    for movement in movements:
        digest.update(encode(movement) + b"\n")
    return digest.hexdigest()


def _not_taken(known: bank_account.BankAccountState, statement: Statement) -> StatementReport:
    waits = any((held.year, held.number) == (statement.year, statement.number) for held in known.held)
    missing = bank_account.missing_before(known.last, statement) if waits else None
    return StatementReport(
        account=statement.account,
        year=statement.year,
        number=statement.number,
        state="waiting" if missing else "already_taken",
        movements=len(statement.movements),
        waits_for=f"{missing[0]}/{missing[1]}" if missing else "",
    )
