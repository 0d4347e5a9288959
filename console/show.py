"""
`backoffice show`: one member, run, letter, statement, worklist, or what is in quarantine.

Nothing here says who a member is, but `show member --reveal`, which is written in the journal first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from console.asking import Asked, MemberType, asks, back_office, day_of
from console.finding import NoSuchMember, NotAStatement, id_named
from console.journal import note
from console.output import count, euros, facts, give, heading, out, table
from console.runs_show import run_show
from domain.errors import Refused, Unavailable
from domain.ids import Kind, MemberId, StreamId, belonging_to

if TYPE_CHECKING:
    from adapters.postgres.looking import StatementView, WorkItem, YearView
    from adapters.postgres.looking_at_letters import LetterView
    from adapters.wiring import Backoffice
    from console.answers.every import MemberShown
    from domain.zorgkas_affiliation import AffiliationState

_LISTS: Final = (
    "movements",
    "statements",
    "to-approve",
    "to-post",
    "contradicted",
    "report-again",
    "credit",
    "owed-back",
)
_PURPOSE_MIN: Final = 10


class PurposeTooShort(Refused):
    """
    Who opens personal data says what for, in ten characters or more; it is kept in the journal.
    """


class JournalClosed(Unavailable):
    """
    The journal cannot be written, so no personal data are opened; make room or rights in log/ under the home.
    """


@click.group("show")
def show_command() -> None:
    """
    Look at one thing: a member, a run, a letter, a bank statement, a worklist, the quarantine.

    Example: ./backoffice show worklist movements
    """


show_command.add_command(run_show, "run")


@show_command.command("member")
@click.argument("member", type=MemberType())
@click.option("--reveal", metavar="PURPOSE", help="Also open personal data, for this purpose; it is logged.")
@asks
def show_member(asked: Asked, member: MemberId, reveal: str | None) -> None:
    """
    Show what the rules see of a member: periods, premiums, letters; never who it is, unless you say what for.

    Example: ./backoffice show member 01963f2e-8c00-7a51-b1c2-9d4e5f000000 --reveal "caller asks about a letter"
    """
    with back_office(asked) as backoffice:
        backoffice.catch_up()
        shown = _member(backoffice, member, reveal)
    give(shown, lambda: _show_member(shown), as_json=asked.as_json)


def _member(backoffice: Backoffice, member: MemberId, reveal: str | None) -> MemberShown:
    from adapters.postgres.looking import years
    from adapters.postgres.looking_at_letters import letters
    from console.answers.every import MemberShown, Period
    from domain.member import MEMBER
    from domain.zorgkas_affiliation import AFFILIATION

    stream = StreamId(member)
    state = backoffice.store.load(MEMBER, [stream])[stream].state
    if not state.is_registered:
        raise NoSuchMember
    affiliation = belonging_to(member, Kind.ZORGKAS_AFFILIATION)
    account = backoffice.store.load(AFFILIATION, [affiliation])[affiliation].state
    known = state.facts
    return MemberShown(
        member=member,
        birth_year=known.birth_year,
        residences=[(each.starts_on, each.region) for each in known.residences],
        cm_membership=[Period(start=each.start, end=each.end) for each in known.cm_membership],
        verhoogde_tegemoetkoming=[Period(start=each.start, end=each.end) for each in known.verhoogde_tegemoetkoming],
        email=state.email,
        died_on=known.died_on,
        affiliation=account.kind or "none",
        years=[_with_last_money(each, account) for each in years(backoffice.database, affiliation)],
        credit_cents=account.credit_cents,
        letters=letters(backoffice.database, stream=affiliation),
        personal={} if reveal is None else _revealed(backoffice, member, reveal),
    )


def _with_last_money(year: YearView, account: AffiliationState) -> YearView:
    """
    Say which money stands on the year now, also after some was taken back or moved: the account itself knows.
    """
    import msgspec

    days = [piece.value_date for piece in account.pieces if piece.year == year.year and piece.amount_cents]
    return msgspec.structs.replace(year, last_value_date=max(days, default=None))


def _revealed(backoffice: Backoffice, member: MemberId, purpose: str) -> dict[str, str]:
    if len(purpose.strip()) < _PURPOSE_MIN:
        raise PurposeTooShort
    try:
        note(
            "Personal data of a member were opened.",
            action="reveal",
            member=str(member),
            by=backoffice.settings.actor,
            purpose=purpose.strip(),
        )
    except OSError:
        raise JournalClosed from None
    found: dict[str, str] = {}
    sealed = backoffice.store.stored.by_event
    for envelope in backoffice.store.history(StreamId(member)):
        for name in sealed[type(envelope.event)].sealed:
            value = getattr(envelope.event, name)
            if value:
                found[name] = value
    return found


def _show_member(shown: MemberShown) -> None:
    out(click.style(f"Member {shown.member}", bold=True))
    facts([
        ("born in", str(shown.birth_year)),
        ("lives in", ", ".join(f"{region} since {day}" for day, region in shown.residences)),
        ("with CM", _periods(shown.cm_membership)),
        ("increased allowance", _periods(shown.verhoogde_tegemoetkoming) or "never"),
        ("e-mail", shown.email),
        ("died on", shown.died_on),
        ("CM-Zorgkas", shown.affiliation),
        ("credit", euros(shown.credit_cents) if shown.credit_cents > 0 else ""),
        ("owes back", euros(-shown.credit_cents) if shown.credit_cents < 0 else ""),
    ])  # fmt: skip
    if shown.personal:
        heading("Personal data (logged)")
        facts([(name.replace("_", " "), value) for name, value in shown.personal.items()])
    if shown.years:
        heading("Premiums")
        rows = [
            (str(year.year), euros(year.charged_cents), euros(year.paid_cents), year.due_on, year.invited_on,
             f"missed on {year.missed_on}" if year.missed_on else "")
            for year in shown.years
        ]  # fmt: skip
        table(("year", "owed", "paid", "due on", "invited on", ""), rows, right=("owed", "paid"))
    if shown.letters:
        heading("Letters")
        letters = [(each.letter_id, each.kind, each.issued_on, euros(each.amount_cents), _fate(each))
                for each in shown.letters]  # fmt: skip
        table(("letter", "kind", "made on", "asks", ""), letters, right=("asks",))


def _periods(periods: Any) -> str:
    return ", ".join(f"{each.start} to {each.end}" if each.end else f"since {each.start}" for each in periods)


def _fate(letter: LetterView) -> str:
    parts = [
        f"posted on {letter.posted_on}" if letter.posted_on else "",
        f"withdrawn on {letter.withdrawn_on}" if letter.withdrawn_on else "",
        "turned out wrong" if letter.contradicted_on else "",
        f"reported on {letter.reported_on}" if letter.reported_on else "",
        f"taken out of the report on {letter.corrected_on}" if letter.corrected_on else "",
        f"fine {letter.fine_outcome}" if letter.fine_outcome else "",
    ]
    return ", ".join(part for part in parts if part)


@show_command.command("letter")
@click.argument("letter")
@asks
def show_letter(asked: Asked, letter: str) -> None:
    """
    Show one letter: what it asks, when it was made and posted, and what followed.

    Example: ./backoffice show letter 5f0c2f58-0d3e-8a67-8f20-1b7f7a1d9f10
    """
    import msgspec

    from adapters.letter_contents import reminder_asks_by
    from adapters.postgres.looking_at_letters import NoSuchLetter, letters
    from console.answers.every import LetterShown
    from domain.payments import Iban, Ogm

    wanted = id_named(letter)
    if wanted is None:
        raise click.UsageError("A letter is named by its id", click.get_current_context())
    with back_office(asked) as backoffice:
        backoffice.catch_up(("letters",))
        found = letters(backoffice.database, letter=wanted)
    if not found:
        raise NoSuchLetter
    one = found[0]
    if one.kind == "reminder":
        one = msgspec.structs.replace(one, pay_by=reminder_asks_by(one.issued_on, backoffice.law))

    def show() -> None:
        out(click.style(f"{one.kind.replace('_', ' ').capitalize()} of {one.year}", bold=True))
        facts([
            ("member", one.member),
            ("asks", euros(one.amount_cents)),
            ("by", one.pay_by),
            ("communication", Ogm(one.ogm).printed),
            ("account", Iban(one.account).printed),
            ("made on", one.issued_on),
            ("in run", one.run),
            ("", _fate(one)),
            ("barcode", one.barcode),
        ])  # fmt: skip

    give(LetterShown(letter=one), show, as_json=asked.as_json)


@show_command.command("statement")
@click.argument("statement", metavar="YEAR/NUMBER")
@click.option("--account", default="", help="The account, when the fund has several.")
@asks
def show_statement(asked: Asked, statement: str, account: str) -> None:
    """
    Show one bank statement: its balances, and the movements that went to the worklist.

    Example: ./backoffice show statement 2026/12
    """
    from adapters.postgres.looking import statement as look_up
    from console.answers.every import StatementShown

    year, _, number = statement.partition("/")
    if not (year.isascii() and year.isdecimal() and number.isascii() and number.isdecimal()) or len(statement) > 20:
        raise NotAStatement
    with back_office(asked) as backoffice:
        backoffice.catch_up(("bank",))
        found = look_up(backoffice.database, year=int(year), number=int(number), account=account.replace(" ", ""))
    if found is None:
        raise NotAStatement
    give(StatementShown(statement=found), lambda: _show_statement(found), as_json=asked.as_json)


def _show_statement(found: StatementView) -> None:
    out(click.style(f"Statement {found.year}/{found.number}: {found.state}", bold=True))
    facts([
        ("opened", f"{found.opened_on}, {euros(found.opening_cents)}" if found.opened_on else ""),
        ("in", euros(found.credit_cents)),
        ("out", euros(found.debit_cents)),
        ("closed", f"{found.closed_on}, {euros(found.closing_cents)}" if found.closed_on else ""),
        ("movements", found.movements),
        ("waits for", found.waits_for),
    ])  # fmt: skip
    if found.held:
        heading("Went to the worklist")
        rows = [(each.id, euros(each.amount_cents), each.why.replace("_", " ")) for each in found.held]
        table(("movement", "open", "because"), rows, right=("open",))


def since_owed_back(backoffice: Backoffice, item: WorkItem) -> WorkItem:
    """
    Date a debt by the day on which we knew that the bank took refunded money back.
    """
    import msgspec

    from domain.zorgkas_affiliation import PaymentReversed

    days = [
        envelope.commit.business_date
        for envelope in backoffice.store.history(StreamId(item.id))
        if isinstance(envelope.event, PaymentReversed) and envelope.event.owed_back_cents
    ]
    return msgspec.structs.replace(item, day=max(days, default=item.day))


@show_command.command("worklist")
@click.argument("name", type=click.Choice(_LISTS), default="movements")
@click.option("--after", help="Go on after this id.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@asks
def show_worklist(asked: Asked, name: str, after: str | None, limit: int) -> None:
    """
    Show the lines of a worklist: what waits for a person, since when, and why.

    Example: ./backoffice show worklist movements --limit 20
    """
    from adapters.postgres.looking import worklist
    from console.answers.every import WorklistShown

    with back_office(asked) as backoffice:
        backoffice.catch_up()
        items = worklist(
            backoffice.database, name, law=backoffice.law, as_of=day_of(asked, backoffice), limit=limit,
            after=id_named(after) if after else None,
        )  # fmt: skip
        if name == "owed-back":
            items = [since_owed_back(backoffice, each) for each in items]

    def show() -> None:
        if not items:
            out("Nothing waits here.")
            return
        rows = [(each.day, each.id, each.member, euros(each.amount_cents), each.why.replace("_", " "))
                for each in items]  # fmt: skip
        table(("since", "id", "member", "amount", "why"), rows, right=("amount",))
        if len(items) == limit:
            out(f"More: backoffice show worklist {name} --after {items[-1].id}")

    give(WorklistShown(name=name, items=items), show, as_json=asked.as_json)


@show_command.command("quarantine")
@asks
def show_quarantine(asked: Asked) -> None:
    """
    List the files that were rejected and kept sealed, each with its reason.

    Example: ./backoffice show quarantine
    """
    from adapters.quarantine import Quarantine
    from console.answers.every import Quarantined, QuarantinedFile

    with back_office(asked) as backoffice:
        kept = Quarantine(backoffice.settings.home / "quarantine", backoffice.master).list()
    files = [
        QuarantinedFile(
            sha256=each.sha256, size=each.size, code=each.code, sentence=each.sentence, rejected_at=each.rejected_at,
            by=each.by,
        )
        for each in kept
    ]  # fmt: skip

    def show() -> None:
        if not files:
            out("No file was rejected.")
            return
        rows = [
            (each.sha256[:12], each.rejected_at, each.by, count(each.size, "byte"), each.sentence) for each in files
        ]
        table(("file", "rejected", "by", "size", "why"), rows, right=("size",))

    give(Quarantined(files=files), show, as_json=asked.as_json)
