"""
What `statements` answers with `--json`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from application.chain_views import Discarded, GapView, Obstacle
from application.money_in import StatementReport
from console.answers.answer import Answer


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """
    A statement that came before its turn; amounts in cents.
    """

    statement: str
    opening_cents: int


class AccountStatements(msgspec.Struct, frozen=True, kw_only=True):
    """
    One account: the end of its chain, what waits and why, and all that people said of it.
    """

    account: str
    last: str
    closing_cents: int | None
    waiting: Sequence[Waiting]
    obstacle: Obstacle | None
    gaps: Sequence[GapView]
    discarded: Sequence[Discarded]


class StatementList(Answer, frozen=True, kw_only=True):
    """
    `statements list`.
    """

    accounts: Sequence[AccountStatements]


class StatementMoved(Answer, frozen=True, kw_only=True):
    """
    `statements accept`, `approve`, `discard`, `explain`: the gap as it stands, and what was taken by it.
    """

    statement: str
    gap: GapView | None = None
    taken: Sequence[StatementReport] = ()
