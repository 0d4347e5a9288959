"""
The one contract of every read model: events of a stream in, rows of that stream out.

A read model is a pure fold. Fed live, it gets the rows a stream has now and the stream's next events; rebuilt, it
gets no rows and the whole stream. Both run the same `evolve`, so they cannot differ. Nothing here causes an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from domain.envelope import Envelope
from domain.events import Event
from domain.ids import Kind


class Row(msgspec.Struct, frozen=True, gc=False):
    """
    One row. Its fields are the table's columns, in the table's order, and the first one is `stream`.
    """


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, kw_only=True)
class Table:
    """
    One table of a read model.

    `columns` is the column list of CREATE TABLE, in the order of the row's fields; `key` names the key columns, of
    which the first is `stream`. Indexes are made after a rebuild has filled the table; `{table}` stands for its name.

    `looks_at` says which rows of its stream an event is about, by the key columns after `stream`: live, no others are
    fetched, and `evolve` finds no others. Without it, all of the stream's rows are.
    """

    name: str
    row: type[Row]
    columns: str
    key: tuple[str, ...]
    indexes: tuple[str, ...] = ()
    looks_at: Callable[[Event], Iterable[tuple[Any, ...]]] | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return self.row.__struct_fields__

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in self.key)


class StreamRows:
    """
    The rows of one stream, by table and by the key columns after `stream`. `evolve` reads and replaces them.
    """

    __slots__ = ("changed", "rows")

    def __init__(self) -> None:
        self.rows: dict[tuple[str, tuple[Any, ...]], Row] = {}
        self.changed: dict[tuple[str, tuple[Any, ...]], Row | None] = {}

    def get(self, table: str, *key: Any) -> Row | None:
        return self.rows.get((table, key))

    def of(self, table: str) -> list[Row]:
        return [row for (name, _), row in self.rows.items() if name == table]

    def put(self, table: str, row: Row, *key: Any) -> None:
        self.rows[(table, key)] = row
        self.changed[(table, key)] = row

    def drop(self, table: str, *key: Any) -> None:
        if self.rows.pop((table, key), None) is not None:
            self.changed[(table, key)] = None

    def already(self, table: str, row: Row, *key: Any) -> None:
        """
        Put a row that stands in the table as it is: known, not changed.
        """
        self.rows[(table, key)] = row


class ReadModel(Protocol):
    """
    One read model. `version` rises when its tables or the meaning of a column change: it is then rebuilt beside the
    old.

    `reads_personal` is true only where `evolve` needs personal fields opened; all others never see them.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def kinds(self) -> frozenset[Kind]: ...
    @property
    def tables(self) -> tuple[Table, ...]: ...
    @property
    def reads_personal(self) -> bool: ...

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None: ...


def by_name(models: Iterable[ReadModel]) -> Mapping[str, ReadModel]:
    return {model.name: model for model in models}
