"""
How a rebuilt table differs from the one in use: in rows, and the first of them by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from psycopg import Cursor, sql

from adapters.postgres.rows import qualified
from projections.model import Table

#: So many rows are named in a report; the counts are of all.
EXAMPLES: Final = 5

_COUNTS: Final = """
SELECT count(o.row), count(n.row),
    count(*) FILTER (WHERE n.row IS NULL), count(*) FILTER (WHERE o.row IS NULL),
    count(*) FILTER (WHERE o.row IS DISTINCT FROM n.row AND o.row IS NOT NULL AND n.row IS NOT NULL)
FROM (SELECT {keys}, old::text AS row FROM {old} AS old) AS o
FULL JOIN (SELECT {keys}, new::text AS row FROM {new} AS new) AS n USING ({keys})
"""
_FIRST: Final = """
SELECT concat_ws('/', {keys}),
    CASE WHEN n.row IS NULL THEN 'missing' WHEN o.row IS NULL THEN 'extra' ELSE 'changed' END,
    ARRAY(
        SELECT name FROM jsonb_object_keys(o.row || n.row) AS name
        WHERE o.row -> name IS DISTINCT FROM n.row -> name ORDER BY name
    )
FROM (SELECT {keys}, to_jsonb(old) AS row FROM {old} AS old) AS o
FULL JOIN (SELECT {keys}, to_jsonb(new) AS row FROM {new} AS new) AS n USING ({keys})
WHERE o.row IS DISTINCT FROM n.row ORDER BY {keys} LIMIT {limit}
"""


class RowDifference(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row that differs: its key, whether it is only in the one in use (missing), only in the rebuilt one (extra) or in
    both (changed), and then in which columns. What stands in them is not told.
    """

    key: str
    how: Literal["missing", "extra", "changed"]
    columns: Sequence[str] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """
    A rebuilt table beside the one in use, in rows: only in use (missing), only rebuilt (extra), or not the same.

    `examples` names the first rows that differ, in the order of their keys.
    """

    table: str
    old_rows: int
    new_rows: int
    missing: int = 0
    extra: int = 0
    changed: int = 0
    examples: Sequence[RowDifference] = ()

    @property
    def none(self) -> bool:
        return not (self.missing or self.extra or self.changed)


def difference(cursor: Cursor[Any], table: Table[Any], *, live: str, rebuilt: str) -> Difference:
    """
    Compare a table of the read model in use (schema `live`) with the rebuilt one.
    """
    old, new = qualified(live, table), qualified(rebuilt, table)
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{live}.{table.name}"])
    if not (cursor.fetchone() or (False,))[0]:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(new))
        count = (cursor.fetchone() or (0,))[0]
        return Difference(table=table.name, old_rows=0, new_rows=count, extra=count)
    places = {"keys": sql.SQL(", ").join(map(sql.Identifier, table.key)), "old": old, "new": new}
    cursor.execute(sql.SQL(_COUNTS).format(**places))
    old_rows, new_rows, missing, extra, changed = cursor.fetchone() or (0, 0, 0, 0, 0)
    examples: list[RowDifference] = []
    if missing or extra or changed:
        cursor.execute(sql.SQL(_FIRST).format(**places, limit=sql.Literal(EXAMPLES)))
        examples = [
            RowDifference(key=key, how=how, columns=columns if how == "changed" else ())
            for key, how, columns in cursor.fetchall()
        ]
    return Difference(
        table=table.name, old_rows=old_rows, new_rows=new_rows, missing=missing, extra=extra, changed=changed,
        examples=examples,
    )  # fmt: skip
