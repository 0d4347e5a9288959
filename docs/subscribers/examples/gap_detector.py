"""
Notices a message that is missing, and drops one that comes twice. Copy this file; it needs nothing but Python.

Every message of ours carries three headers: `ce_sequence` (a number that rises within a partition, not by one),
`ce_previoussequence` (that of the message before it in its partition; absent on the first) and `ce_epoch` (which
history of the back office counts so).
"""

from __future__ import annotations


class MessagesMissing(Exception):
    """
    A message names one before it that did not come. Stop, and ask for the past again: your sums would be wrong.
    """


class OtherHistory(Exception):
    """
    The back office was put back to an earlier state and counts from there again. Stop, and ask what is still true.
    """


class GapDetector:
    """
    Keep `seen` with your own results, in the same transaction, and begin with it again after a restart.
    """

    def __init__(self, seen: dict[tuple[str, int], tuple[int, str]] | None = None) -> None:
        self.seen = seen if seen is not None else {}

    def is_new(self, topic: str, partition: int, headers: list[tuple[str, bytes]]) -> bool:
        """
        Return whether this message is to be taken; a repeat is not. Raises MessagesMissing and OtherHistory.
        """
        of = dict(headers)
        sequence, epoch = int(of["ce_sequence"]), of["ce_epoch"].decode()
        previous = int(of["ce_previoussequence"]) if "ce_previoussequence" in of else None
        last, last_epoch = self.seen.get((topic, partition), (None, epoch))
        if last is not None and epoch != last_epoch and previous != last:
            raise OtherHistory(f"{topic}/{partition}")
        if last is not None and sequence <= last:
            return False
        if (previous is None) != (last is None) or (previous is not None and last is not None and previous > last):
            raise MessagesMissing(f"{topic}/{partition} before sequence {sequence}")
        self.seen[topic, partition] = (sequence, epoch)
        return True
