"""
Values for any event, from its types alone: one fixed sample, and a Hypothesis strategy.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from domain.events import Event

#: Whole characters only: half ones are refused, and tested by themselves.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CENTS = st.integers(-(10**12), 10**12)


def sample_of(event: type[Event]) -> Event:
    """
    Return one event of that type, always the same.
    """
    return msgspec.convert({"type": event.__struct_config__.tag, **_sample_fields(inspect.type_info(event))}, event)


def _sample_fields(info: Any) -> dict[str, Any]:
    return {field.encode_name: _sample(field.type, field.encode_name) for field in info.fields}


def _sample(info: Any, name: str) -> Any:
    match info:
        case inspect.Metadata():
            return _sample(info.type, name)
        case inspect.CustomType() | inspect.AnyType():
            raise TypeError(f"{name} has no plain type")
        case inspect.LiteralType():
            return sorted(info.values, key=str)[0]
        case inspect.UnionType():
            return _sample(next(part for part in info.types if not isinstance(part, inspect.NoneType)), name)
        case inspect.VarTupleType() | inspect.ListType():
            return [_sample(info.item_type, name)]
        case inspect.StructType() if info.array_like:
            return [_sample(field.type, field.name) for field in info.fields]
        case inspect.StructType():
            return _sample_fields(info)
        case inspect.DictType():
            return {"key": _sample(info.value_type, name)}
    return _PLAIN_SAMPLES[type(info)](name)


_PLAIN_SAMPLES: dict[type, Any] = {
    inspect.StrType: lambda name: f"{name} é",
    inspect.IntType: lambda name: 2026 if "year" in name else 6400,
    inspect.BoolType: lambda name: True,
    inspect.DateType: lambda name: date(2026, 4, 30),
    inspect.UUIDType: lambda name: UUID("018f8e1c-0000-7000-8000-000000000001"),
    inspect.NoneType: lambda name: None,
}


@cache
def events_of(event: type[Event]) -> st.SearchStrategy[Any]:
    """
    Return a strategy for events of that type.
    """
    return _values(inspect.type_info(event))


def _values(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case inspect.Metadata():
            return _values(info.type)
        case inspect.LiteralType():
            return st.sampled_from(sorted(info.values, key=str))
        case inspect.UnionType():
            return st.one_of([_values(part) for part in info.types])
        case inspect.VarTupleType():
            return st.lists(_values(info.item_type), max_size=3).map(tuple)
        case inspect.DictType():
            return st.dictionaries(TEXT, _values(info.value_type), max_size=3)
        case inspect.StructType():
            return st.builds(info.cls, **{field.name: _values(field.type) for field in info.fields})
    return _PLAIN[type(info)]


_PLAIN: dict[type, st.SearchStrategy[Any]] = {
    inspect.StrType: TEXT,
    inspect.IntType: CENTS,
    inspect.BoolType: st.booleans(),
    inspect.DateType: st.dates(),
    inspect.UUIDType: st.uuids(),
    inspect.NoneType: st.none(),
}
