"""
What a run refuses, beyond what `domain.run` and `application.runs.gates` say: one sentence each.
"""

from __future__ import annotations

from domain.errors import Conflict, NotFound, Refused


class NoSuchJob(NotFound):
    """
    There is no job of that name; `backoffice today` lists them.
    """


class NoSuchRun(NotFound):
    """
    There is no run with that id; `backoffice today` lists the runs of the year.
    """


class AnotherRunOpen(Refused):
    """
    A run of this job is still open; settle or abandon it first.
    """


class NothingToFollowUp(Refused):
    """
    This job was already run for that date and left nothing refused or parked; there is nothing to do again.
    """


class PlannedMeanwhile(Conflict):
    """
    Somebody else planned this job at the same moment; look at their plan.
    """


class LawChanged(Refused):
    """
    A value of the law that this plan rests on was changed since; abandon the run and plan again.
    """


class TooManyParked(Refused):
    """
    Too many items failed; the run stopped before the next part. Find the cause; execute again with a higher limit if it
    is right.
    """
