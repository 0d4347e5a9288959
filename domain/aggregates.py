"""
All aggregates. Stores, feeds and tests go by this list; what is not in it cannot be stored.
"""

from __future__ import annotations

from typing import Any, Final

from domain.bank_account import BANK_ACCOUNT
from domain.bank_movement import BANK_MOVEMENT
from domain.catalogue import Aggregate
from domain.member import MEMBER
from domain.run import RUN
from domain.zorgkas_affiliation import AFFILIATION

AGGREGATES: Final[tuple[Aggregate[Any, Any], ...]] = (MEMBER, AFFILIATION, BANK_ACCOUNT, BANK_MOVEMENT, RUN)
