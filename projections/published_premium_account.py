"""
The premium account as others can build it: from what is published, without the structured communication.

The same fold as `projections.premium_account`, so that the two can be compared row by row and by hash; only the column
`ogm` stays empty here, because it identifies a person and is not published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from domain.envelope import Envelope
from domain.zorgkas_affiliation import happened as h
from projections.model import Row, StreamRows
from projections.premium_account import YEAR, PremiumAccount

#: Columns that the store's model has and this one cannot have.
NOT_PUBLISHED: Final[Mapping[str, frozenset[str]]] = {"premium_year": frozenset({"ogm"})}


class PublishedPremiumAccount(PremiumAccount):
    """
    Fed with what `formats.published_back` made of the messages of the affiliation topic.
    """

    name = "published_premium_account"

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None:
        super().evolve(rows, envelope)
        if isinstance(envelope.event, h.InvitationIssued):
            rows.row(YEAR, envelope.event.year).ogm = None


def digest_of(rows: Mapping[str, Iterable[Row]]) -> str:
    """
    Return the SHA-256 over the published columns of all rows, by table name: the same for both models, in any order.
    """
    lines = sorted(
        msgspec.json.encode([table, *(getattr(row, name) for name in row.__struct_fields__ if name not in hidden)])
        for table, of_table in rows.items()
        for hidden in [NOT_PUBLISHED.get(table, frozenset())]
        for row in of_table
    )
    return hashlib.sha256(b"\n".join(lines)).hexdigest()
