"""
What a read model does not show is passed over on purpose: a new event stands in a fold, or in this list.
"""

from __future__ import annotations

from typing import Any

import pytest

from domain.aggregates import AGGREGATES
from projections.model import ReadModel, Row, StreamRows, Table
from tests.contracts.published_samples import envelope, sample
from tests.projections.test_folding import MODELS

_NO_MONEY_OR_DAY_OF_A_YEAR = {
    "FineFollowedUp",
    "PostedLetterContradicted",
    "RegisteredLetterIssued",
    "RegisteredLetterPosted",
    "RegisteredLetterWithdrawn",
    "ReportCorrected",
    "ReportedToAgency",
}
_NOT_A_PAYMENT = {
    "AffiliationOpened",
    "AllocationsReordered",
    "CreditAllocated",
    "CreditRefunded",
    "InvitationIssued",
    "MissCorrected",
    "MissReinstated",
    "ReminderIssued",
    "YearMissed",
    "ZorgpremieAmountChanged",
    "ZorgpremieCharged",
}
PASSED_OVER = {
    "premium_account": _NO_MONEY_OR_DAY_OF_A_YEAR,
    "published_premium_account": _NO_MONEY_OR_DAY_OF_A_YEAR,
    "letters": _NOT_A_PAYMENT - {"InvitationIssued", "ReminderIssued"} | {"PaymentReceived", "PaymentReversed"},
    "payments": _NOT_A_PAYMENT
    | (_NO_MONEY_OR_DAY_OF_A_YEAR | {"FineImposed"})
    | {"MemberRegistered", "DomicileRecorded", "CmMembershipStarted", "CmMembershipEnded", "MemberDied"}
    | {"VerhoogdeTegemoetkomingGranted", "VerhoogdeTegemoetkomingEnded", "EmailAddressGiven", "EmailAddressConfirmed"},
    # A gap stands with the account itself (`application.chain_views`).
    "bank": {"StatementGapDeclared", "StatementGapApproved", "StatementGapExplained"},
    "members": {"BankAccountGiven"},
    "runs": {"RunDateClosed"},  # its stream has no plan
}


class Watched(StreamRows):
    """
    Rows that remember whether anybody asked for one.
    """

    __slots__ = ("asked_for",)

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.asked_for = False

    def row(self, table: Table[Any], *key: Any) -> Any:
        self.asked_for = True
        return super().row(table, *key)

    def known(self, table: Table[Any], *key: Any) -> Any:
        self.asked_for = True
        return super().known(table, *key)

    def put(self, table: Table[Any], row: Row, *key: Any) -> None:
        self.asked_for = True
        super().put(table, row, *key)

    def of(self, table: Table[Any]) -> list[Any]:
        self.asked_for = True
        return super().of(table)


def passed_over_by(model: ReadModel) -> set[str]:
    found = set()
    for aggregate in AGGREGATES:
        for event in aggregate.events if aggregate.kind in model.kinds else ():
            rows = Watched(envelope(aggregate, sample(event)).stream)
            model.evolve(rows, envelope(aggregate, sample(aggregate.events[0])))
            rows.asked_for = False
            model.evolve(rows, envelope(aggregate, sample(event)))
            if not rows.asked_for:
                found.add(event.__name__)
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_read_model_passes_over_what_it_says_and_nothing_else(model: ReadModel) -> None:
    assert passed_over_by(model) == PASSED_OVER[model.name]
