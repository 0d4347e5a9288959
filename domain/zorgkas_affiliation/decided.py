"""
The front door of all decisions about an affiliation, by subject: owing, money, arrears, the Agency.
"""

from __future__ import annotations

from domain.zorgkas_affiliation.arrears import (
    LetterTooLate,
    NoLetterOfThisMember,
    PostedOnImpossibleDay,
    PostedOtherwise,
    ReminderTooLate,
    close_year,
    post_letter,
    remind,
    write_registered_letter,
)
from domain.zorgkas_affiliation.charging import (
    CannotJoin,
    InvitationOutOfSeason,
    apply_late_allowance,
    ask_to_join,
    invite,
)
from domain.zorgkas_affiliation.paying import (
    MoreThanCredit,
    NoSuchPayment,
    NotMoneyIn,
    ReversalDoesNotFit,
    receive_payment,
    refund_credit,
    reverse_payment,
)
from domain.zorgkas_affiliation.reporting import (
    FineOnImpossibleDay,
    FineWithoutReport,
    NoSuchFine,
    ReportTooEarly,
    ReportTooLate,
    correct_report,
    follow_up_fine,
    record_fine,
    report,
)

__all__ = [
    "CannotJoin",
    "FineOnImpossibleDay",
    "FineWithoutReport",
    "InvitationOutOfSeason",
    "LetterTooLate",
    "MoreThanCredit",
    "NoLetterOfThisMember",
    "NoSuchFine",
    "NoSuchPayment",
    "NotMoneyIn",
    "PostedOnImpossibleDay",
    "PostedOtherwise",
    "ReminderTooLate",
    "ReportTooEarly",
    "ReportTooLate",
    "ReversalDoesNotFit",
    "apply_late_allowance",
    "ask_to_join",
    "close_year",
    "correct_report",
    "follow_up_fine",
    "invite",
    "post_letter",
    "receive_payment",
    "record_fine",
    "refund_credit",
    "remind",
    "report",
    "reverse_payment",
    "write_registered_letter",
]
