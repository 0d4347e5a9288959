"""
What payment matching looks up, in the read models, brought up to the last recorded event first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from adapters.postgres.database import READER, WRITER, Database
from domain.ids import MemberId, StreamId

_BY_OGM = "SELECT ogm, stream FROM rm_letters.letter WHERE ogm = ANY(%s)"
_BY_ACCOUNT = "SELECT DISTINCT digest, member FROM rm_payments.known_account WHERE digest = ANY(%s) ORDER BY member"
_ERASED = "SELECT owner FROM member_keys WHERE owner = ANY(%s) AND erased_at IS NOT NULL"


class PostgresLookups:
    """
    The port `application.money_in.Lookups`. `catch_up` brings the two read models up to date; `blind` is the store's.
    """

    def __init__(
        self, database: Database, *, catch_up: Callable[[], object], blind: Callable[[str, str], bytes]
    ) -> None:
        self._database = database
        self._catch_up = catch_up
        self._blind = blind

    def refresh(self) -> None:
        self._catch_up()

    def affiliations_by_ogm(self, ogms: Sequence[str]) -> Mapping[str, StreamId]:
        if not ogms:
            return {}
        with self._database.session(READER) as session, session.cursor() as cursor:
            return dict(cursor.execute(_BY_OGM, [list(ogms)]).fetchall())

    def members_by_account(self, ibans: Sequence[str]) -> Mapping[str, Sequence[MemberId]]:
        by_digest = {self._blind("iban", iban): iban for iban in ibans}
        if not by_digest:
            return {}
        found: dict[str, list[MemberId]] = {}
        with self._database.session(READER) as session, session.cursor() as cursor:
            for digest, member in cursor.execute(_BY_ACCOUNT, [list(by_digest)]).fetchall():
                found.setdefault(by_digest[bytes(digest)], []).append(member)
        return found

    def erased(self, members: Collection[MemberId]) -> Collection[MemberId]:
        if not members:
            return ()
        with self._database.session(WRITER) as session, session.cursor() as cursor:  # others may not read that table
            return {member for (member,) in cursor.execute(_ERASED, [list(members)]).fetchall()}
