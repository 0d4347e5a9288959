"""
What is refused about a bank account and its statements.
"""

from __future__ import annotations

from domain.errors import NotFound, Refused, Unreadable


class AccountNotOpened(NotFound):
    """
    This is none of the accounts that the fund opened here; open the account first, or find out why its file came to us.
    """


class OpenedOtherwise(Refused):
    """
    This account was opened before for another purpose; that cannot be changed here.
    """


class StatementOfAnotherAccount(Refused):
    """
    The statement is of another account than the one it is offered to; nothing was taken.
    """


class StatementDoesNotAddUp(Unreadable):
    """
    Opening balance and movements do not lead to the closing balance; nothing was taken, ask the bank for it again.
    """


class StatementContradicts(Refused):
    """
    A statement of this number came before with other content; nothing was taken, ask the bank which one is right.
    """


class BalanceDoesNotFollow(Refused):
    """
    The statement has the next number, but does not open with the balance that the one before it closed with; nothing
    was taken, ask the bank which one is right. When the bank stands by it: backoffice statements accept
    """


class DoesNotFitTheGap(Refused):
    """
    The statement belongs in a gap that people declared, but does not go on where the gap begins; nothing was taken,
    take the first one that is missing first, or ask the bank which one is right.
    """


class StatementOutOfTurn(Refused):
    """
    Later statements were taken already, and this is none of those that we can compare with; nothing was taken, find out
    whether it was taken long ago.
    """


class NothingIsMissing(Refused):
    """
    Nothing stands in the way of this statement: it was taken, or it follows; import its file.
    """


class OpeningUnknown(Refused):
    """
    This statement has not come yet, so that nobody knows its opening balance here; name it (--opening), or import its
    file first.
    """


class OpensOtherwise(Refused):
    """
    The statement that waits opens with another balance than this one; look at it: backoffice statements list
    """


class NothingWaits(NotFound):
    """
    No statement of that number waits on this account; see: backoffice statements list
    """


class NoSuchGap(NotFound):
    """
    There is no such gap on this account that could be approved or explained; see: backoffice statements list
    """


class OwnGap(Refused):
    """
    Who declared a gap that the balance does not bear out does not approve it; ask a second person.
    """
