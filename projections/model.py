"""
The one contract of every read model: events of a stream in, rows of that stream out.

A read model is a pure fold. Fed live, it gets the rows a stream has now and the stream's next events; rebuilt, it
gets no rows and the whole stream. Both run the same `evolve`, so they cannot differ. Nothing here causes an effect.

Rows are changed in place: they belong to the fold from the moment they are read until they are written, and what was
only looked at is not written. Copying a row of thirteen columns for each event costs more than all other folding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from domain.envelope import Envelope
from domain.events import Event
from domain.ids import Kind


class Row(msgspec.Struct, gc=False):
    """
    One row. Its fields are the table's columns, in the table's order; the key comes first, and first of all `stream`.

    `StreamRows.row` makes one from its key alone where all other fields have a default.
    """


R = TypeVar("R", bound=Row)
V = TypeVar("V")


@dataclass(frozen=True, kw_only=True, eq=False)
class Table(Generic[R]):
    """
    One table of a read model.

    `columns` is the column list of CREATE TABLE, in the order of the row's fields; `key` names the key columns, which
    are the first ones. Indexes are made after a rebuild has filled the table; `{table}` stands for its name.

    `looks_at` says which rows of its stream an event is about, by the key columns after `stream`: live, no others are
    fetched, and `evolve` finds no others. Without it, all of the stream's rows are.
    """

    name: str
    row: type[R]
    columns: str
    key: tuple[str, ...]
    indexes: tuple[str, ...] = ()
    looks_at: Callable[[Event], Iterable[tuple[Any, ...]]] | None = None

    def __post_init__(self) -> None:
        if self.key[0] != "stream" or self.fields[: len(self.key)] != self.key:
            raise ValueError(f"the first columns of {self.name} are not its key, or do not begin with `stream`")

    @property
    def fields(self) -> tuple[str, ...]:
        return self.row.__struct_fields__


class StreamRows:
    """
    The rows of one stream, by table and by the key columns after `stream`. `evolve` finds, makes and changes them here.
    """

    __slots__ = ("changed", "standing", "stream")

    def __init__(self, stream: UUID) -> None:
        self.stream = stream
        #: What the tables have of this stream, as far as its events are about it.
        self.standing: dict[tuple[Table[Any], tuple[Any, ...]], Row] = {}
        #: What is to be written. A row that is not standing too is new.
        self.changed: dict[tuple[Table[Any], tuple[Any, ...]], Row] = {}

    def row(self, table: Table[R], *key: Any) -> R:
        """
        Return the row, to be changed; where there is none, it is made.
        """
        place = (table, key)
        row = self.changed.get(place)
        if row is None:
            row = self.changed[place] = self.standing.get(place) or table.row(self.stream, *key)
        return row  # type: ignore[return-value]  # under a table stand its rows

    def known(self, table: Table[R], *key: Any) -> R | None:
        """
        Return the row, to be changed, or None where there is none.
        """
        place = (table, key)
        row = self.changed.get(place)
        if row is None:
            row = self.standing.get(place)
            if row is not None:
                self.changed[place] = row
        return row  # type: ignore[return-value]  # under a table stand its rows

    def put(self, table: Table[R], row: R, *key: Any) -> None:
        """
        Put a whole row, in the place of the one that is there, if any.
        """
        self.changed[table, key] = row

    def of(self, table: Table[R]) -> list[R]:
        """
        Return all rows of a table, to look at: to change one, ask for it with `row`.
        """
        rows: dict[Any, Any] = self.standing | self.changed
        return [row for (of, _), row in rows.items() if of is table]


class ByEvent(dict[type[Event], V]):
    """
    One thing per class of events, and `otherwise` for the classes that are not named.

    A subclass counts as the class it was made from: what is only folded is read as one (`formats.stored_shapes`).
    """

    def __init__(self, named: Mapping[type[Event], V], *, otherwise: V) -> None:
        super().__init__(named)
        self._otherwise = otherwise

    def __missing__(self, event: type[Event]) -> V:
        found = self[event] = next((self[base] for base in event.__mro__ if base in self), self._otherwise)
        return found


#: Changes the rows of a stream as an event says. The event is the envelope's, with its own type.
Fold = Callable[[StreamRows, Any, Envelope], None]


def unmoved(_rows: StreamRows, _event: Event, _envelope: Envelope) -> None:
    """
    Change nothing: the event is about something that this read model does not show.
    """


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
    def tables(self) -> tuple[Table[Any], ...]: ...
    @property
    def reads_personal(self) -> bool: ...

    def evolve(self, rows: StreamRows, envelope: Envelope) -> None: ...


def folded(model: ReadModel, envelopes: Iterable[Envelope]) -> Mapping[str, list[Row]]:
    """
    Return the rows that these events give from nothing, by table: what a rebuild would write, without a database.
    """
    streams: dict[UUID, StreamRows] = {}
    for envelope in envelopes:
        rows = streams.get(envelope.stream)
        if rows is None:
            rows = streams[envelope.stream] = StreamRows(envelope.stream)
        model.evolve(rows, envelope)
    return {table.name: [row for rows in streams.values() for row in rows.of(table)] for table in model.tables}
