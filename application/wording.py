"""
Amounts, years and codes as sentences on a screen say them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_CODE: Final = re.compile(r"[a-z_]+")
_DEFECT: Final = re.compile(r"[A-Za-z]+ at [\w./-]+ line [0-9]+")  # as `application.defects.error_code` writes them

#: What a run calls each reason for passing somebody over, as a clause after "because".
REASONS: Final[Mapping[str, str]] = {
    "already_corrected": "the report was corrected before",
    "already_invited": "the invitation of that year was made before",
    "already_missed": "the year was recorded as missed before",
    "already_reminded": "the reminder of that year was made before",
    "already_reported": "the member was reported before",
    "already_written": "the registered letter of that year was made before",
    "asked_by_registered_letter": "a registered letter asked for it already",
    "birth_year_unknown": "the year of birth is not known",
    "claimed_by_agency": "the Agency claims the premium of that year itself, with its fine",
    "died": "the member died",
    "first_premiums": "the first two premiums may still be paid",
    "letter_contradicted": "the posted letter turned out wrong, and a person has to decide",
    "letter_withdrawn": "the registered letter was withdrawn",
    "no_letter": "no registered letter was made that year",
    "not_affiliated": "the member is not affiliated",
    "not_asked": "the member may choose, and did not ask to join",
    "not_charged": "no premium is owed for that year",
    "not_cm_member": "the member was not with CM",
    "not_due_yet": "the last day to pay had not passed",
    "not_posted": "no proof came that the letter was posted",
    "not_reported": "the member was not reported",
    "other_region": "the member lived neither in Flanders nor in Brussels",
    "paid": "the premium was paid in full by then",
    "posted_too_late": "the letter was posted after its last day",
    "still_unpaid": "it was still unpaid",
    "too_few_missed_years": "fewer missed years were open than the law asks",
    "under_age": "the member does not turn 26 by then",
    "voluntary": "the member is affiliated voluntarily",
}


def because(reason: str) -> str:
    """
    Return a reason code as a clause; an unknown one is shown as it is, a word of ours with blanks.
    """
    if _DEFECT.fullmatch(reason):
        return f"our program failed on it ({reason})"
    parts = (part.replace("_", " ") if _CODE.fullmatch(part) else part for part in reason.split(":", maxsplit=1))
    return REASONS.get(reason) or ": ".join(parts)


def euros(cents: int) -> str:
    """
    Write 123450 as `€ 1.234,50`, as Belgians do.
    """
    whole, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    return f"€ {sign}{whole:,}".replace(",", ".") + f",{rest:02d}"


def listed(years: Iterable[int]) -> str:
    """
    Write `2023, 2024 and 2025`.
    """
    *first, last = [str(year) for year in sorted(years)] or [""]
    return f"{', '.join(first)} and {last}" if first else last
