"""
The letters of a run as files for the printer and for e-mail: made once, the same bytes every time, whole or not at all.

Just before hand-over every letter is looked at again: what was withdrawn or posted since is not printed, and is named.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from adapters.agency_files import ReportFile, write_agency_file
from adapters.letter_contents import CREDITOR, contents_of
from adapters.postgres.looking_at_letters import NoSuchLetter
from adapters.whole_files import move_folder, new_folder, one_at_a_time, write_safely
from adapters.wiring import Backoffice
from application.runs.ports import RunKey
from domain.envelope import Envelope
from domain.errors import BackofficeError, Refused
from domain.ids import StreamId, owner_of
from domain.zorgkas_affiliation import InvitationIssued, RegisteredLetterIssued, ReminderIssued
from formats.letter_facts import LetterFacts, LetterRefused
from formats.letters import LettersFile, RefusedLetter, render_letter, render_run
from formats.printer_manifest import FileSummary, file_summary, header, lines, summary

MANIFEST: Final = "manifest.csv"
SUMMARY: Final = "summary.json"
NOT_PRINTED: Final = "not-printed.csv"

_LETTERS: Final = frozenset({InvitationIssued, ReminderIssued, RegisteredLetterIssued})
_PAGE: Final = 250
_OF_RUN_SQL: Final = """
SELECT stream, letter_id, amount_cents, withdrawn_on IS NOT NULL, withdrawn_because, posted_on IS NOT NULL
FROM rm_letters.letter WHERE run = %s AND stream > %s ORDER BY stream LIMIT %s
"""
_COUNT_SQL: Final = "SELECT count(*), coalesce(sum(amount_cents), 0)::bigint FROM rm_letters.letter WHERE run = %s"
_ONE_SQL: Final = "SELECT stream, withdrawn_on IS NOT NULL FROM rm_letters.letter WHERE letter_id = %s"


class NoLetters(Refused):
    """
    This run has no letters: it makes none, or it was not executed to its end.
    """


class LetterWithdrawn(Refused):
    """
    This letter was withdrawn before it was posted, so it is not to be sent; `backoffice show letter` says since when.
    """


class LettersLost(BackofficeError):
    """
    Not every letter of the run was printed or named; nothing was kept. This is a defect: report it.
    """


class NotPrinted(msgspec.Struct, frozen=True, kw_only=True):
    """
    A letter of the run that is in no file, and why.
    """

    letter_id: UUID
    reason: str


class LettersMade(msgspec.Struct, frozen=True, kw_only=True):
    """
    What stands in the folder of a run. `total_cents` is what the printed letters ask; letters = printed, and with
    `refused` and `left_out` all of the run (or of the sample). `digest` is the SHA-256 of all that was written.
    """

    folder: Path
    files: tuple[Path, ...]
    manifest: Path
    letters: int
    pages: int
    refused: tuple[NotPrinted, ...]
    left_out: tuple[NotPrinted, ...]
    total_cents: int
    digest: str
    again: bool


class _Row(NamedTuple):
    stream: StreamId
    letter_id: UUID
    amount_cents: int
    withdrawn: bool
    withdrawn_because: str | None
    posted: bool


class _Place(NamedTuple):
    stream: StreamId
    withdrawn: bool


def make_letters(
    backoffice: Backoffice,
    run: StreamId,
    *,
    directory: Path,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    sample: int | None = None,
) -> LettersMade:
    """
    Make the letters of an executed run in a folder of `directory` that is named after the run.

    Made again, the same folder stays as it is. When letters were withdrawn since, the new folder takes its place and
    the older one stays beside it, named after its digest. `sample` makes only the first letters, in a folder that
    says so. Raises NoLetters.
    """
    registered = backoffice.runs.registered(run)
    if backoffice.runs.job(registered.key.job).makes not in _LETTERS or backoffice.runs.state(run).executed is None:
        raise NoLetters(run=run)
    backoffice.catch_up(("letters",))
    name = folder_name(registered.key) + (f"-sample-{sample}" if sample is not None else "")
    with one_at_a_time(directory):
        half = directory / f".{name}.half"
        new_folder(half)
        try:
            made = _Making(backoffice, run, name=name, folder=half, progress=progress, sample=sample).make()
            return _kept(made, half, directory / name)
        finally:
            shutil.rmtree(half, ignore_errors=True)


def make_letter(backoffice: Backoffice, letter_id: UUID) -> bytes:
    """
    Return one letter as PDF, such as the invitation of who asked to join, which stands in no run.

    Raises NoSuchLetter, LetterWithdrawn, LetterRefused.
    """
    if _place_of(backoffice, letter_id).withdrawn:
        raise LetterWithdrawn
    return render_letter(contents_of_letter(backoffice, letter_id))


def contents_of_letter(backoffice: Backoffice, letter_id: UUID) -> LetterFacts:
    """
    Return what one letter says. Raises NoSuchLetter, LetterRefused.
    """
    stream = _place_of(backoffice, letter_id).stream
    events = _events(backoffice, [stream])
    return contents_of(letter_id, affiliation=events[stream], member=events[_member(stream)], law=backoffice.law)


def _place_of(backoffice: Backoffice, letter_id: UUID) -> _Place:
    backoffice.catch_up(("letters",))
    with backoffice.database.session() as session:
        found: Any = session.execute(_ONE_SQL, [letter_id]).fetchone()
    if found is None:
        raise NoSuchLetter(letter=letter_id)
    return _Place(*found)


def make_agency_file(backoffice: Backoffice, run: StreamId, *, directory: Path) -> ReportFile:
    """
    Write the report to the Agency, or its correction, with count, total and hash. Raises NothingToReport.
    """
    return write_agency_file(backoffice.runs, backoffice.store, run, folder=directory, fund=CREDITOR)


def folder_name(key: RunKey) -> str:
    return f"{key.job}-{key.business_date}-{key.round}"


class _Making:
    """
    One making of one folder.
    """

    def __init__(
        self,
        backoffice: Backoffice,
        run: StreamId,
        *,
        name: str,
        folder: Path,
        progress: Callable[[int, int], None],
        sample: int | None,
    ) -> None:
        self._backoffice, self._run, self._name, self._folder = backoffice, run, name, folder
        self._progress, self._sample = progress, sample
        self._left_out: list[NotPrinted] = []
        self._refused: list[NotPrinted] = []
        self._files: list[FileSummary] = []
        self._looked_at = self._looked_at_cents = self._not_printed_cents = 0

    def make(self) -> LettersMade:
        of_run, of_run_cents = self._all_of_run()
        limit = of_run if self._sample is None else min(self._sample, of_run)
        write_safely(self._folder / MANIFEST, self._manifest(limit))
        printed = sum(file.letters for file in self._files)
        total_cents = self._looked_at_cents - self._not_printed_cents
        if printed + len(self._refused) + len(self._left_out) != limit or self._looked_at != limit:
            raise LettersLost(run=self._run)
        if self._sample is None and self._looked_at_cents != of_run_cents:
            raise LettersLost(run=self._run)
        write_safely(self._folder / NOT_PRINTED, [_not_printed_lines((*self._left_out, *self._refused))])
        told = summary(run=self._name, files=self._files, refused=len(self._refused))
        write_safely(self._folder / SUMMARY, [told])
        return LettersMade(
            folder=self._folder,
            files=tuple(self._folder / file.file for file in self._files),
            manifest=self._folder / MANIFEST,
            letters=printed,
            pages=sum(file.pages for file in self._files),
            refused=tuple(self._refused),
            left_out=tuple(self._left_out),
            total_cents=total_cents,
            digest=digest_of_folder(self._folder),
            again=False,
        )

    def _manifest(self, limit: int) -> Iterator[bytes]:
        """
        Yield the manifest while the files that it speaks of are written, one by one, in constant memory.
        """
        yield header()
        printed = 0
        for made in render_run(self._contents(limit), name=self._name):
            if isinstance(made, RefusedLetter):
                self._refuse(made.facts.letter_id, made.reason, made.facts.total_cents)
                continue
            yield self._keep(made)
            printed += len(made.rows)
            self._progress(printed + len(self._refused) + len(self._left_out), limit)
        self._progress(limit, limit)

    def _keep(self, made: LettersFile) -> bytes:
        write_safely(self._folder / made.name, [made.pdf])
        self._files.append(file_summary(file=made.name, channel=made.channel, pdf=made.pdf, rows=made.rows))
        return lines(made.rows)

    def _contents(self, limit: int) -> Iterator[LetterFacts]:
        law = self._backoffice.law
        for rows in self._pages(limit):
            to_print = [row for row in rows if not self._is_left_out(row)]
            events = _events(self._backoffice, [row.stream for row in to_print])
            for row in to_print:
                try:
                    yield contents_of(
                        row.letter_id, affiliation=events[row.stream], member=events[_member(row.stream)], law=law
                    )
                except LetterRefused as refusal:
                    self._refuse(row.letter_id, refusal.message, row.amount_cents)

    def _is_left_out(self, row: _Row) -> bool:
        """
        The second check just before hand-over: a letter that need not, or must not, go out (any more).
        """
        reason = f"withdrawn: {row.withdrawn_because}" if row.withdrawn else "posted already" if row.posted else ""
        if reason:
            self._left_out.append(NotPrinted(letter_id=row.letter_id, reason=reason))
            self._not_printed_cents += row.amount_cents
        return bool(reason)

    def _refuse(self, letter_id: UUID, reason: str, amount_cents: int) -> None:
        self._refused.append(NotPrinted(letter_id=letter_id, reason=reason))
        self._not_printed_cents += amount_cents

    def _all_of_run(self) -> tuple[int, int]:
        with self._backoffice.database.session() as session:
            found: Any = session.execute(_COUNT_SQL, [self._run]).fetchone()
        return int(found[0]), int(found[1])

    def _pages(self, limit: int) -> Iterator[Sequence[_Row]]:
        after = UUID(int=0)
        while self._looked_at < limit:
            page = min(_PAGE, limit - self._looked_at)
            with self._backoffice.database.session() as session:
                found = session.execute(_OF_RUN_SQL, [self._run, after, page]).fetchall()
            rows = [_Row(*row) for row in found]
            if not rows:
                return
            after = rows[-1].stream
            self._looked_at += len(rows)
            self._looked_at_cents += sum(row.amount_cents for row in rows)
            yield rows


def digest_of_folder(folder: Path) -> str:
    """
    Return one SHA-256 over the names and contents of all files of a folder.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _kept(made: LettersMade, half: Path, place: Path) -> LettersMade:
    """
    Put a finished folder in its place, unless the same one stands there, or all its letters went out already.
    """
    before = digest_of_folder(place) if place.exists() else ""
    again = before == made.digest or (bool(before) and not made.letters)
    if not again:
        if before:
            place.rename(place.with_name(f"{place.name}-replaced-{before[:12]}"))
        move_folder(half, place)
    return msgspec.structs.replace(
        made,
        folder=place,
        files=tuple(sorted(place.glob("*.pdf"))),
        manifest=place / MANIFEST,
        again=again,
    )


def _events(backoffice: Backoffice, affiliations: Sequence[StreamId]) -> dict[StreamId, list[Envelope]]:
    """
    Return all events of these affiliations and of their members, in order of their versions.
    """
    streams = [each for stream in affiliations for each in (_member(stream), stream)]
    found = backoffice.store.feed.of_streams(streams)
    return {stream: list(events) for stream, events in groupby(found, key=lambda envelope: envelope.stream)}


def _member(affiliation: StreamId) -> StreamId:
    return StreamId(owner_of(affiliation))


def _not_printed_lines(not_printed: Sequence[NotPrinted]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("letter_id", "reason"))
    writer.writerows((one.letter_id, one.reason) for one in not_printed)
    return text.getvalue().encode()
