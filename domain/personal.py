"""
Personal data: fields with this mark are sealed per member before they reach a disk.

Without the key they read `[erased]`; so sealed fields are always text, and an erased value has somewhere to stand.
Decisions never read them: what a decision needs of a person (the year of birth, the region, periods) is an ordinary
field.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, get_type_hints

import msgspec

ERASED: Final = "[erased]"

#: The mark. `adapters.postgres.sealing` seals every field whose type carries it.
SEALED_IDENTITY: Final = msgspec.Meta(extra={"sealed": "identity"})

Personal = Annotated[str, SEALED_IDENTITY]


@cache
def personal_fields(record: Any) -> tuple[str, ...]:
    """
    Return the names of the fields of a record's class that carry the mark.
    """
    hints = get_type_hints(record, include_extras=True)
    return tuple(name for name, hint in hints.items() if SEALED_IDENTITY in getattr(hint, "__metadata__", ()))
