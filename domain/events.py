"""
What every event is: a frozen record in the past tense, that says the day it counts and why it was decided.

Its class name, version and fields are the storage format: add with a default, never rename, never change a meaning. A
new shape is a new version with an upcaster (docs/decisions/0004). When it was recorded, by whom and in which run
stands once per transaction, beside the events.
"""

from __future__ import annotations

from datetime import date

import msgspec


class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True, forbid_unknown_fields=True, gc=False
):
    """
    Something that happened. Fields are plain: text, whole numbers, dates, ids, and records of these.
    """


class Used(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One value of the law as it was used: which parameter, the value's first day, and the value itself.
    """

    parameter: str
    since: date
    value: int | str


class Basis(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Why something was decided: the numbers of the rules, and the dated values they used. Replay never recomputes it.
    """

    rules: tuple[str, ...]
    values: tuple[Used, ...] = ()
