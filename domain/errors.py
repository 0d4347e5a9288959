"""
The four kinds of "no". Concrete ones stand next to the decision that says them; their docstring is the message.

Everything else is a bug: it crashes, alerts, and is fixed. No message ever holds a name, an account or a national
number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class BackofficeError(Exception):
    """
    Something was refused.
    """

    #: The rule of `docs/rules` that says so, when a rule does.
    rule: ClassVar[str] = ""
    #: A stable code for machines; the class name, unless the kind says better.
    code: ClassVar[str] = ""

    def __init__(self, message: str | None = None, **facts: object) -> None:
        self.facts: Mapping[str, object] = facts
        self.message = message or " ".join((type(self).__doc__ or "").split())
        super().__init__(self.message)

    def __str__(self) -> str:
        parts = [self.message]
        if self.rule:
            parts.append(f"[{self.rule}]")
        if self.facts:
            parts.append("(" + ", ".join(f"{name}={value}" for name, value in self.facts.items()) + ")")
        return " ".join(parts)

    @classmethod
    def name(cls) -> str:
        return cls.code or cls.__name__


class Refused(BackofficeError):
    """
    A rule says no; asking again will not help.
    """


class NotFound(BackofficeError):
    """
    There is no such thing, or no value for that day.
    """


class Conflict(BackofficeError):
    """
    Someone wrote first; decide again.
    """


class Unreadable(BackofficeError):
    """
    A file or a message is bad; nothing of it was taken.
    """


class Unavailable(BackofficeError):
    """
    The database, the broker or another part is not there; nothing was done.
    """
