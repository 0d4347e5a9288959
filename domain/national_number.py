"""
The national number (INSZ): of the National Register, or a BIS number for who is not in it.

Eleven digits: two of the year, two of the month, two of the day, a counter of three, two check digits. It identifies a
person, so it is sealed wherever it is kept, is never an id, and no message repeats it.
"""

from __future__ import annotations

import calendar
import re
from typing import Final

import msgspec

from domain.errors import Unreadable

_SHAPE: Final = re.compile(r"[0-9]{11}", re.ASCII)
_SEPARATORS: Final = str.maketrans("", "", " .-")
_COUNTER_MAX: Final = 998
#: What is added to the month of a BIS number: sex unknown, or known, when it was given.
_BIS_SEX_UNKNOWN: Final = 20
_BIS_SEX_KNOWN: Final = 40


class NotANationalNumber(Unreadable):
    """
    A national number has eleven digits: a possible birth date, a counter, and two check digits that fit the rest.
    """


class BirthDate(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a national number says of the day of birth. A part that it does not say is None: unknown when the number was
    given, or replaced because the counter of that day was full. Without a year nothing of the date was known.
    """

    year: int | None
    month: int | None
    day: int | None


class NationalNumber(str):
    """
    A national number as its eleven digits, check digits verified; the century follows from them.
    """

    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> NationalNumber:
        """
        Read "85.07.30-033.28", or the digits with other or no separators. Raises NotANationalNumber.
        """
        candidate = text.strip().translate(_SEPARATORS)
        if not _SHAPE.fullmatch(candidate) or not 1 <= int(candidate[6:9]) <= _COUNTER_MAX:
            raise NotANationalNumber
        number = cls(candidate)
        if number._century() is None or int(candidate[2:4]) - number._month_offset() > 12:
            raise NotANationalNumber
        return number

    @property
    def printed(self) -> str:
        return f"{self[:2]}.{self[2:4]}.{self[4:6]}-{self[6:9]}.{self[9:]}"

    @property
    def is_bis(self) -> bool:
        """
        Say whether it was given to someone who is not in the National Register.
        """
        return self._month_offset() > 0

    @property
    def birth_date(self) -> BirthDate:
        """
        Return the parts of the birth date that the number really says.
        """
        century, month, day = self._century(), int(self[2:4]) - self._month_offset(), int(self[4:6])
        assert century is not None  # verified when it was made
        if self[:2] == "00" and month == 0 and day == 1:
            return BirthDate(year=None, month=None, day=None)  # the made-up date for "nothing known"
        year = century + int(self[:2])
        if month == 0:
            return BirthDate(year=year, month=None, day=None)
        in_month = 1 <= day <= calendar.monthrange(year, month)[1]
        return BirthDate(year=year, month=month, day=day if in_month else None)

    def _month_offset(self) -> int:
        month = int(self[2:4])
        if month >= _BIS_SEX_KNOWN:
            return _BIS_SEX_KNOWN
        return _BIS_SEX_UNKNOWN if month >= _BIS_SEX_UNKNOWN else 0

    def _century(self) -> int | None:
        """
        The check digits are 97 less the remainder of the nine digits; who is born from 2000 on has a 2 before them.

        Both can never hold: 2,000,000,000 is not a multiple of 97.
        """
        digits, check = int(self[:9]), int(self[9:])
        if check == 97 - digits % 97:
            return 1900
        return 2000 if check == 97 - (2_000_000_000 + digits) % 97 else None
