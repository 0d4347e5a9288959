"""
What a run refuses: one sentence each, what is wrong and what to do.
"""

from __future__ import annotations

from domain.errors import NotFound, Refused


class NotPlanned(NotFound):
    """
    There is no such run; plan it first.
    """


class AlreadyPlanned(Refused):
    """
    This run was planned before; approve that plan, or abandon it and plan a new one.
    """


class NeedsNoApproval(Refused):
    """
    This run moves no money and sends nothing legal, so it needs no approval; execute it.
    """


class NoName(Refused):
    """
    Who approves a run or gives it up says who they are.
    """


class OwnPlan(Refused):
    """
    Who planned a run cannot approve it; a second person looks at it and approves.
    """


class OtherDigest(Refused):
    """
    The digest is not that of this plan; look at the plan again and approve what it shows.
    """


class NotApproved(Refused):
    """
    The plan is not approved yet; a second person looks at it and approves it before it is executed.
    """


class NotStarted(Refused):
    """
    The run has not started; execute it first.
    """


class AlreadyExecuted(Refused):
    """
    The run was executed before, with what its record says; look at it with `backoffice run show`.
    """


class TotalsDoNotAddUp(Refused):
    """
    What was done, refused and parked is not what was planned; nothing was recorded, find the difference first.
    """


class NotExecuted(Refused):
    """
    The run is not executed to its end yet; execute it before it is settled.
    """


class NoControls(Refused):
    """
    A run is settled against at least one control total; none was given.
    """


class AlreadySettled(Refused):
    """
    The run was settled before and everything agreed; its record stays as it is.
    """


class TooLateToAbandon(Refused):
    """
    The run has started, so it cannot be given up; execute it to its end, what it did is corrected by later facts.
    """


class RunIsAbandoned(Refused):
    """
    This run was given up; plan a new one.
    """


class AnotherClosing(Refused):
    """
    This date was closed before with another ground; its record stays as it is.
    """


class ClosedWithoutReason(Refused):
    """
    Who closes a date of the calendar says why.
    """
