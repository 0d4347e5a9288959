"""
Made-up members, as the commands that would register them: any number, in constant memory, the same for the same seed.

What the made-up bank must know of a payer (account and name) follows from the member's id alone, so that a million
payers need no table.
"""

from __future__ import annotations

import random
import unicodedata
from array import array
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from adapters.synthetic.names import (
    BANK_CODES,
    BRUSSELS,
    ELSEWHERE,
    EMAIL_HOSTS,
    FLANDERS,
    MEN,
    STREETS,
    SURNAMES,
    WOMEN,
    Place,
)
from application.commands import Address, AskToJoin, ConfirmEmailAddress, RegisterMember
from domain.ids import MemberId, new_member_id
from domain.payments import Iban

_MASK: Final = (1 << 64) - 1
_FIRST_BIRTH: Final = date(1925, 1, 1)
#: A made-up household gets its ids a second after the one before it, from this moment on (milliseconds since 1970).
_FIRST_ID_MS: Final = 1_704_182_400_000
_SHARE_ACCOUNT: Final = 1
#: Person 0 and 1 of a household are a couple; the others are children.
_COUPLE: Final = 2


class Newcomer(NamedTuple):
    """
    One made-up member. `confirms` an e-mail address and `joins` a fund for who may choose (Brussels), or does not.
    """

    command: RegisterMember
    confirms: bool
    joins: bool

    @property
    def member_id(self) -> str:
        return self.command.member_id or ""

    def confirmation(self, on: date) -> ConfirmEmailAddress:
        """
        Return the command by which the address is confirmed.
        """
        return ConfirmEmailAddress(
            command_id=_command_id(self.command.command_id.int >> 64, 1), member_id=self.member_id, confirmed_on=on
        )

    def joining(self, year: int) -> AskToJoin:
        """
        Return the command by which a member in Brussels asks to be affiliated from a year on.
        """
        command_id = _command_id(self.command.command_id.int >> 64, year)
        return AskToJoin(command_id=command_id, member_id=self.member_id, from_year=year)


def members(count: int, *, seed: int, known_on: date) -> Iterator[RegisterMember]:
    """
    Yield the commands that register `count` made-up members, who all live and are insured on `known_on`.
    """
    return (newcomer.command for newcomer in newcomers(count, seed=seed, known_on=known_on))


def newcomers(count: int, *, seed: int, known_on: date) -> Iterator[Newcomer]:
    """
    Yield `count` made-up members by household, in the order of their ids; national numbers are unique.
    """
    chance = random.Random(seed)  # noqa: S311  made-up people need no secrecy, but the same people every time
    numbers = _NationalNumbers(known_on)
    made = household = 0
    while made < count:
        for newcomer in _household(household, seed=seed, chance=chance.random, numbers=numbers, known_on=known_on):
            yield newcomer
            made += 1
            if made == count:
                return
        household += 1


def account_of(member: UUID) -> Iban:
    """
    Return the account that a made-up member pays from; some couples share one.
    """
    key, person = _family(member)
    return _iban(mix(key, 0 if person == 1 and key & _SHARE_ACCOUNT else person))


def another_account_of(member: UUID) -> Iban:
    """
    Return an account that the fund does not know: of a partner, a parent, a bookkeeper.
    """
    key, person = _family(member)
    return _iban(mix(key, person + 100))


def name_of(member: UUID) -> str:
    """
    Return the name as a bank writes it: the surname first, and only the letters that all banks have.
    """
    first, last = _name(*_family(member))
    plain = unicodedata.normalize("NFKD", f"{last} {first}".replace("ı", "i"))
    return plain.encode("ascii", "ignore").decode().upper()


def mix(*numbers: int) -> int:
    """
    Return 64 bits that look random and always follow from the same numbers.
    """
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = ((state ^ number) * 0xBF58476D1CE4E5B9) & _MASK
        state ^= state >> 29
        state = (state * 0x94D049BB133111EB) & _MASK
        state ^= state >> 32
    return state


def part_of_one(*numbers: int) -> float:
    """
    Return a number from 0 up to 1 that always follows from the same numbers.
    """
    return mix(*numbers) / 2.0**64


def _household(
    number: int, *, seed: int, chance: Callable[[], float], numbers: _NationalNumbers, known_on: date
) -> Iterator[Newcomer]:
    key = mix(seed, number) >> 28  # 36 bits of the id; the lowest says whether a couple shares an account
    home = _home(chance)
    age = 19 + int(76 * chance() ** 1.2)
    adults = 1 + (chance() < 0.55)
    children = int(chance() * 2.9) if 26 <= age <= 58 else 0
    poor = chance() < 0.17
    since = known_on.replace(year=known_on.year - 1 - int(chance() * 12), month=1 + int(chance() * 12), day=1)
    for index in (*range(adults), *range(_COUPLE, _COUPLE + children)):
        is_adult = index < _COUPLE
        own_age = max(18, age + int(chance() * 7) - 3) if is_adult else max(0, age - 26 - int(chance() * 8))
        born_on, national_number = numbers.take(own_age, is_woman=_is_woman(key, index), chance=chance)
        yield _person(
            key, index, number=number, born_on=born_on, national_number=national_number, home=home, chance=chance,
            since=max(since, born_on), poor=poor, pays=own_age >= 18,
        )  # fmt: skip


def _person(
    key: int,
    person: int,
    *,
    number: int,
    born_on: date,
    national_number: str,
    home: Address,
    since: date,
    poor: bool,
    pays: bool,
    chance: Callable[[], float],
) -> Newcomer:
    member_id = _member_id(number, key, person)
    first, last = _name(key, person)
    has_email = pays and chance() < 0.6
    command = RegisterMember(
        command_id=_command_id(mix(key, person, 4), 0),
        member_id=str(member_id),
        first_name=first,
        last_name=last,
        national_number=national_number,
        born_on=born_on,
        address=home,
        address_since=since,
        cm_member_since=max(born_on, since),
        verhoogde_tegemoetkoming_since=max(born_on, since) if poor else None,
        email=f"{first[0].lower()}{number:07d}{person}@{EMAIL_HOSTS[number % len(EMAIL_HOSTS)]}" if has_email else "",
        iban=str(account_of(member_id)) if pays and chance() < 0.55 else "",
    )
    joins = home.region == "brussels" and chance() < 0.45
    return Newcomer(command, has_email and chance() < 0.6, joins)


def _home(chance: Callable[[], float]) -> Address:
    where = chance()
    places: tuple[Place, ...] = FLANDERS if where < 0.93 else BRUSSELS if where < 0.98 else ELSEWHERE
    place = places[int(chance() * len(places))]
    return Address(
        region=place.region,
        street=STREETS[int(chance() * len(STREETS))],
        house_number=str(1 + int(180 * chance() ** 2)),
        box=str(1 + int(chance() * 24)) if chance() < 0.18 else "",
        postcode=place.postcode,
        town=place.town,
        country=place.country,
    )


class _NationalNumbers:
    """
    Gives out national numbers: per day of birth one counter for women (even) and one for men (odd).
    """

    def __init__(self, known_on: date) -> None:
        self._known_on = known_on
        days = (known_on - _FIRST_BIRTH).days + 1
        self._next = (array("H", [1] * days), array("H", [2] * days))

    def take(self, age: int, *, is_woman: bool, chance: Callable[[], float]) -> tuple[date, str]:
        """
        Return a day of birth at about that age, and a number that nobody else has.
        """
        day = (self._known_on - _FIRST_BIRTH).days - int((age + chance()) * 365.25)
        counters = self._next[is_woman]
        day = min(max(day, 0), len(counters) - 1)
        while counters[day] > 996 + is_woman:
            day = (day + 1) % len(counters)
        counter = counters[day]
        counters[day] += 2
        born_on = _FIRST_BIRTH + timedelta(days=day)
        digits = f"{born_on.year % 100:02d}{born_on.month:02d}{born_on.day:02d}{counter:03d}"
        base = int(digits) + (2_000_000_000 if born_on.year >= 2000 else 0)
        return born_on, f"{digits}{97 - base % 97:02d}"


def _member_id(number: int, key: int, person: int) -> MemberId:
    """
    Return an id whose random part is the household's key and which of its persons it is.
    """
    low, high = (key << 2 | person) & ((1 << 38) - 1), number & 0xFFF
    random_part = (high << 50 | low).to_bytes(10, "big")
    return new_member_id(moment_ms=_FIRST_ID_MS + number * 1000, randomness=lambda _: random_part)


def _family(member: UUID) -> tuple[int, int]:
    low = member.int >> 24 & ((1 << 38) - 1)
    return low >> 2, low & 3


def _is_woman(key: int, person: int) -> bool:
    if person == 1 and mix(key, 7) % 12:  # most couples are a woman and a man
        return not _is_woman(key, 0)
    return bool(mix(key, person, 1) & 1)


def _name(key: int, person: int) -> tuple[str, str]:
    first_names = WOMEN if _is_woman(key, person) else MEN
    family = 1 if person == 1 else 0  # a couple has two surnames, children have the first
    return first_names[mix(key, person, 2) % len(first_names)], SURNAMES[mix(key, family, 3) % len(SURNAMES)]


def _iban(key: int) -> Iban:
    base = BANK_CODES[key % len(BANK_CODES)] * 10**7 + (key >> 8) % 10**7
    digits = f"{base:010d}{base % 97 or 97:02d}"
    return Iban(f"BE{98 - int(digits + '111400') % 97:02d}{digits}")


def _command_id(key: int, which: int) -> UUID:
    number = key << 64 | key ^ (which + 1) * 0x9E3779B97F4A7C15 & _MASK
    return UUID(int=(number & ~(0xF << 76) & ~(0x3 << 62)) | (0x8 << 76) | (0x2 << 62))
