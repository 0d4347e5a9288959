"""
An event with what the store knows of it: where it stands, since when we knew, and what it was recorded with.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.events import Event
from domain.ids import StreamId


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is the same for all events of one transaction. `cause` says where it came from, such as `import` or a job's
    name.
    """

    command_id: UUID
    actor: str
    business_date: date
    cause: str
    run: StreamId | None = None


class Envelope(NamedTuple):
    """
    One recorded event. `position` rises over the whole store, `version` counts from 1 within the stream.

    `recorded_at` is aware UTC: the moment we knew. A NamedTuple because feeds make millions of them.
    """

    position: int
    stream: StreamId
    version: int
    type: str
    recorded_at: datetime
    event: Event
    commit: Commit
