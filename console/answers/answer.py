"""
What every answer with `--json` is. Alone here, so that a command may name its answer and load no driver for it.
"""

from __future__ import annotations

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a command answers.
    """
