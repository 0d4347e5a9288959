"""
Kill a process that may just have come to its end.
"""

from __future__ import annotations

import os
import signal
from typing import Any


def kill_if_there(process: Any) -> bool:
    """
    Kill a process with SIGKILL; say whether it was there to be killed.

    Between a look whether it lives and the kill it may end, and the fork server then has taken its number back.
    """
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
