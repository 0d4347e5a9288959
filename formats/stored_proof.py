"""
Which events surely come back from their row as they were: told by the types of the values they hold.

Annotations promise a type; nothing looks at what is really there. A value of exactly the promised type comes back from
JSON, one of another type may not. Looking at a column at a time takes a quarter of the time of reading rows back.
What is not surely so (a kind of field not known here, a subclass) is not refused: whoever asks reads those rows back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import inspect

#: Tells whether all these values come back as they were. False means: not surely.
Proof = Callable[[Sequence[Any]], bool]

#: Kinds of fields whose values come back whenever they are of exactly this type and the row could be written at all.
_PLAIN: Final[Mapping[type[inspect.Type], type[Any]]] = {
    inspect.BoolType: bool,
    inspect.DateType: date,
    inspect.IntType: int,
    inspect.NoneType: type(None),
    inspect.StrType: str,
    inspect.UUIDType: UUID,
}


def proof_of(struct: type[msgspec.Struct]) -> Proof:
    """
    Return what tells of records of exactly this class whether all of them surely come back.
    """
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        return _never
    proofs = [_proof_of_field(field.type) for field in info.fields]

    def proves(records: Sequence[Any]) -> bool:
        columns = zip(*map(msgspec.structs.astuple, records), strict=True)
        return all(proof(column) for proof, column in zip(proofs, columns, strict=False))

    return proves


def _proof_of_field(info: inspect.Type) -> Proof:
    match info:
        case inspect.Metadata(type=of):
            return _proof_of_field(of)
        case inspect.UnionType(types=options) if all(_is_plain(option) for option in options):
            return _all_of(frozenset(_PLAIN[type(option)] for option in options))
        case inspect.LiteralType(values=literals) if all(type(literal) is str for literal in literals):
            return _both(_all_of(frozenset({str})), frozenset(literals).issuperset)
        case inspect.VarTupleType(item_type=item) if _unconstrained(info):
            items = _proof_of_field(item)
            return _both(_all_of(frozenset({tuple})), lambda column: items(list(chain.from_iterable(column))))
        case inspect.StructType(cls=cls):
            records = proof_of(cls)
            return _both(_all_of(frozenset({cls})), lambda column: records(_each_once(column)))
        case _ if _is_plain(info):
            return _all_of(frozenset({_PLAIN[type(info)]}))
        case _:
            return _never


def _all_of(types: frozenset[type[Any]]) -> Proof:
    return lambda column: types.issuperset(map(type, column))


def _both(first: Proof, then: Proof) -> Proof:
    return lambda column: first(column) and then(column)


def _never(_: Sequence[Any]) -> bool:
    return False


def _each_once(records: Sequence[Any]) -> Sequence[Any]:
    """
    Return the records without those that are the very same one, as the basis of all events of a run often is.
    """
    return list(dict(zip(map(id, records), records, strict=True)).values())


def _is_plain(info: inspect.Type) -> bool:
    return type(info) in _PLAIN and _unconstrained(info)


def _unconstrained(info: inspect.Type) -> bool:
    """
    Tell whether a value of the right type is all that is asked: no smallest, no longest, no pattern.
    """
    return all(getattr(info, name) is None for name in info.__struct_fields__ if name != "item_type")
