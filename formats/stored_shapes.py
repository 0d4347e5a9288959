"""
The shapes that events have in rows: whole, with a box for what is personal, or only as far as folding reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast

import msgspec

from domain.events import Basis, Event
from domain.personal import ERASED

#: The field in which the sealed box stands.
BOX: Final = "sealed"


class Writing(NamedTuple):
    """
    How a sealed event is taken apart. Records made by position cost half of dicts by name.
    """

    clear: Callable[[Event], tuple[Any, ...]]
    row: Callable[..., msgspec.Struct]
    personal: Callable[[Event], tuple[Any, ...]]
    box: Callable[..., msgspec.Struct]


class EventType(NamedTuple):
    """
    One stored type at its newest version. `sealed` names the fields that go into the box.
    """

    name: str
    event: type[Event]
    sealed: tuple[str, ...]
    clear: tuple[str, ...]
    #: The shape in the row: the event itself, or its clear fields and the box.
    stored: type[msgspec.Struct]
    #: Makes what is written of a sealed event: its clear fields and a box as they stand in the row; and what goes into
    #: the box. None for others.
    written: Writing | None


def event_type(context: str, event: type[Event]) -> EventType:
    """
    Return how an event class is stored. Version 2 and up say so in their tag: `tag="ZorgpremieCharged/2"`.
    """
    tag = cast(str, event.__struct_config__.tag)
    name = f"{context}.{tag}" if "/" in tag else f"{context}.{tag}/1"
    fields = msgspec.structs.fields(event)
    sealed = tuple(field.name for field in fields if _is_sealed(event, field.name))
    clear = tuple(field.name for field in fields if field.name not in sealed)
    if BOX in clear:
        raise ValueError(f"{name} has a field named {BOX}: that is where the box stands")
    stored = _stored_shape(event, tag, clear) if sealed else event
    return EventType(name, event, sealed, clear, stored, _writing(tag, sealed, clear) if sealed else None)


def _writing(tag: str, sealed: tuple[str, ...], clear: tuple[str, ...]) -> Writing:
    row = msgspec.defstruct("Row", [*clear, BOX], frozen=True, tag_field="type", tag=tag, gc=False)
    box = msgspec.defstruct("Box", sealed, frozen=True, gc=False)
    return Writing(_values_of(clear), row, _values_of(sealed), box)


def _values_of(names: tuple[str, ...]) -> Callable[[Event], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda event: tuple([getattr(event, name) for name in names])  # attrgetter gives no tuple of one


def _stored_shape(event: type[Event], tag: str, clear: tuple[str, ...]) -> type[msgspec.Struct]:
    shape: list[Any] = []
    for field in msgspec.structs.fields(event):
        if field.name not in clear:
            continue
        if field.default_factory is not msgspec.NODEFAULT:
            default = msgspec.field(default_factory=field.default_factory)
            shape.append((field.name, field.type, default))
        elif field.default is not msgspec.NODEFAULT:
            shape.append((field.name, field.type, field.default))
        else:
            shape.append((field.name, field.type))
    shape.append((BOX, bytes))
    return msgspec.defstruct(
        event.__name__,
        shape,
        kw_only=True,
        frozen=True,
        tag_field="type",
        tag=tag,
        forbid_unknown_fields=True,
        gc=False,
    )


def folding_shape(of: EventType) -> type[msgspec.Struct]:
    """
    Return what a stored event is read as when it is only folded: the event itself, but its basis stays unread bytes and
    its personal fields read `[erased]`, with the box beside them.

    States never hold why something was decided, nor anything personal; leaving both unread makes loading twice as fast.
    """
    unread: list[Any] = [(BOX, msgspec.Raw)] if of.sealed else []
    unread += [(name, str, ERASED) for name in of.sealed]
    info = cast(msgspec.inspect.StructType, msgspec.inspect.type_info(of.event))
    for field in info.fields:
        if isinstance(field.type, msgspec.inspect.StructType) and field.type.cls is Basis:
            unread.append((field.name, msgspec.Raw) if field.required else (field.name, msgspec.Raw, field.default))
    if not unread:
        return of.event
    return msgspec.defstruct(
        of.event.__name__, unread, bases=(of.event,), kw_only=True, frozen=True, forbid_unknown_fields=True, gc=False,
        tag_field="type", tag=cast(str, of.event.__struct_config__.tag),
    )  # fmt: skip


def _is_sealed(event: type[Event], name: str) -> bool:
    """
    Tell whether a field carries the mark. A mark deeper down, or not on text, would not be sealed: that is refused.
    """
    info = cast(msgspec.inspect.StructType, msgspec.inspect.type_info(event))
    of = next(field.type for field in info.fields if field.name == name)
    if isinstance(of, msgspec.inspect.Metadata) and "sealed" in (of.extra or {}):
        if not isinstance(of.type, msgspec.inspect.StrType):
            raise ValueError(f"{event.__name__}.{name} is marked as personal and must be text")
        return True
    if _mentions_seal(of, set()):
        raise ValueError(f"{event.__name__}.{name} holds a personal part; only whole text fields can be sealed")
    return False


def _mentions_seal(info: object, seen: set[int]) -> bool:
    if id(info) in seen:
        return False
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.Metadata) and "sealed" in (info.extra or {}):
        return True
    if isinstance(info, (tuple, list)):
        return any(_mentions_seal(part, seen) for part in info)
    if isinstance(info, msgspec.Struct):
        return any(_mentions_seal(getattr(info, name), seen) for name in info.__struct_fields__)
    return False
