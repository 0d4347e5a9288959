"""
What the `letters` commands answer with `--json`; see `console.answers.every`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from adapters.postgres.looking_at_letters import LetterView
from console.answers.answer import Answer


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """
    A letter that is in no file, and why.
    """

    letter_id: UUID
    reason: str


class LettersMade(Answer, frozen=True, kw_only=True):
    """
    `letters make`: the folder, its files and their totals; `again` when the same stood there already.
    """

    run: UUID
    folder: str
    files: Sequence[str]
    letters: int
    pages: int
    total_cents: int
    sha256: str
    again: bool
    left_out: Sequence[LeftOut]


class LetterMade(Answer, frozen=True, kw_only=True):
    """
    `letters single`: the file of one letter and its SHA-256.
    """

    letter_id: UUID
    path: str
    sha256: str


class LetterList(Answer, frozen=True, kw_only=True):
    """
    `letters list`: letters of a run.
    """

    letters: Sequence[LetterView]


class RefusedProof(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line of the post's file that was refused.
    """

    line: int
    code: str
    message: str


class Proved(Answer, frozen=True, kw_only=True):
    """
    `letters proof`: how many letters count as sent now, and which lines were refused.
    """

    accepted: int
    repeated: int
    refused: Sequence[RefusedProof]
