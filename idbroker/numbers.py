"""National numbers: CPR, personnummer, samordningsnummer and HETU.

Nothing here looks a number up: it says only that the digits can be such a number. Sources: cpr.dk on
the build of the personnummer; Skatteverket SKV 704 and SKV 707; Finnish decree 128/2010 as amended
by 690/2022.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

CPR = "cpr"
PERSONNUMMER = "personnummer"
SAMORDNINGSNUMMER = "samordningsnummer"
HETU = "hetu"

_LONGEST = 64
_HIDDEN = "••••"
_SHIFT = 60  # added to the day of a samordningsnummer and of a Danish replacement number
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_MINUS_SIGN = "\N{MINUS SIGN}"

_DANISH = re.compile(r"([0-9]{6})([0-9]{4})")
_SWEDISH_CENTURIES = frozenset({"18", "19", "20"})
_SWEDISH = re.compile(r"(?P<century>18|19|20)?(?P<short>[0-9]{6})(?P<sign>[+]?)(?P<last>[0-9]{4})")
_FINNISH = re.compile(r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]")

_HETU_CENTURIES = {"+": 1800, **dict.fromkeys("-YXWVU", 1900), **dict.fromkeys("ABCDEF", 2000)}
_HETU_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"


class NotANumber(ValueError):
    """The text is no national number of that country. It never carries the text.

    `reason` is `shape` (not its letters and digits), `date` (no such day, or not yet), `check` (the
    check digit is another: mistyped) or `country` (we have no rules for it).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a national number ({reason})")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalNumber:
    """One national number: `country` is DK, SE or FI, `kind` its name there, `value` canonical.

    Canonical is 10 digits in Denmark, 12 digits in Sweden, 11 characters in capitals in Finland,
    where the century sign tells people apart and so belongs to the number.
    """

    country: str
    kind: str
    value: str = field(repr=False)

    @property
    def key(self) -> str:
        """Return country and value, what it is indexed by."""
        return f"{self.country}:{self.value}"

    @property
    def birthdate(self) -> date | None:
        """Return the day of birth it tells; None where a samordningsnummer leaves it open.

        What an eID says of the birth date goes before this (`Identity.born`): it knows of numbers that tell another
        day. What anybody else says goes after it (`birthdate_of`).
        """
        year, month, day = _BORN[self.country](self.value)
        return _day(year, month, day % _SHIFT)

    @property
    def display(self) -> str:
        """Return its usual spelling: 010190-1234, 19900101-1234, 010190-123A."""
        return self.value if self.kind == HETU else f"{self.value[:-4]}-{self.value[-4:]}"

    @property
    def masked(self) -> str:
        """Return a spelling for pages, which tells the birth date but not who it is: 010190-••••."""
        return self.display[:-4] + _HIDDEN

    @property
    def is_test(self) -> bool:
        """Tell whether it lies where test numbers lie.

        Finland: individual numbers 900-999, which no register holds. Denmark: day + 60, which CPR
        never gives. Sweden: never, for no range is reserved: real people's numbers lie between those of
        Skatteverket's list (docs/decisions/0012).
        """
        return _IS_TEST[self.country](self.value)


def parse(text: str, country: str, *, now: date) -> NationalNumber:
    """Return the number a person typed or an eID sent, in any of its spellings.

    Spaces, dots, invisible characters, full-width digits, any dash and either case are accepted.
    `now` is today where the number is from: it settles a Swedish century and refuses the unborn.
    Raises NotANumber, which does not repeat the text.
    """
    if len(text) > _LONGEST:
        raise NotANumber("shape")
    rule = _RULES.get(country)
    if rule is None:
        raise NotANumber("country")
    return rule(_plain(text), now)


def birthdate_of(number: NationalNumber | None, *said: date | None) -> date | None:
    """Return when somebody was born: as their number tells, else the first of what is said.

    The attack: a birth date that somebody mistyped, or wrote on purpose, makes a child of a grown person.
    """
    told = None if number is None else number.birthdate
    return next((day for day in (told, *said) if day is not None), None)


def _plain(text: str) -> str:
    return "".join(map(_plain_character, text.translate(_FULL_WIDTH))).upper()


def _plain_character(character: str) -> str:
    # Dashes become the one sign "-", never another: in a HETU the sign tells people apart.
    category = unicodedata.category(character)
    if category == "Pd" or character == _MINUS_SIGN:
        return "-"
    return "" if character == "." or character.isspace() or category == "Cf" else character


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _check_born(birthdate: date | None, now: date) -> None:
    if birthdate is None or _parts(birthdate) > _parts(now):
        raise NotANumber("date")


def _parts(day: date) -> tuple[int, int, int]:
    return day.year, day.month, day.day


# Denmark. Since 2007 numbers are given that fail the old modulus 11: nobody may be refused by it.


def _cpr(text: str, now: date) -> NationalNumber:
    match = _DANISH.fullmatch(text.replace("-", ""))  # wherever a person puts a hyphen, it says nothing
    if match is None:
        raise NotANumber("shape")
    number = NationalNumber(country="DK", kind=CPR, value="".join(match.groups()))
    _check_born(number.birthdate, now)
    if _cpr_born(number.value)[0] < 1900:  # nobody alive; a mistyped seventh digit is what it is
        raise NotANumber("date")
    return number


def _cpr_born(value: str) -> tuple[int, int, int]:
    short = int(value[4:6])
    return _cpr_century(int(value[6]), short) + short, int(value[2:4]), int(value[:2])


def _cpr_century(seventh: int, short: int) -> int:
    if seventh <= 3 or (seventh in (4, 9) and short >= 37):
        return 1900
    return 1800 if seventh in range(5, 9) and short >= 58 else 2000


def _cpr_is_test(value: str) -> bool:
    return int(value[:2]) > _SHIFT


# Sweden. Ten digits with "+" are those of a person who turns a hundred this year or has.


def _swedish(text: str, now: date) -> NationalNumber:
    match = _SWEDISH.fullmatch(text.replace("-", ""))  # the plus sign says something, a hyphen nothing
    if match is None or match["last"][:3] == "000":
        raise NotANumber("shape")
    ten = match["short"] + match["last"]
    _check_luhn(ten)
    century = match["century"] or _century(ten, elder=match["sign"] == "+", now=now)
    if century not in _SWEDISH_CENTURIES:
        raise NotANumber("date")
    return _swedish_number(century + ten, now)


def _swedish_number(value: str, now: date) -> NationalNumber:
    year, month, day = _swedish_born(value)
    if day < _SHIFT:
        number = NationalNumber(country="SE", kind=PERSONNUMMER, value=value)
        _check_born(number.birthdate, now)
        return number
    # Month 00 and day 60 stand for what was not known, and days are used up: no calendar applies.
    if month > 12 or day > _SHIFT + 31 or (year, month, day - _SHIFT) > _parts(now):
        raise NotANumber("date")
    return NationalNumber(country="SE", kind=SAMORDNINGSNUMMER, value=value)


def _century(ten: str, *, elder: bool, now: date) -> str:
    latest = now.year - (now.year - int(ten[:2])) % 100
    born = (latest, int(ten[2:4]), int(ten[4:6]) % _SHIFT)
    years = latest - 100 if elder or born > _parts(now) else latest
    return f"{years // 100:02}"


def _check_luhn(ten: str) -> None:
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(ten))
    if sum(value // 10 + value % 10 for value in doubled) % 10:
        raise NotANumber("check")


def _swedish_born(value: str) -> tuple[int, int, int]:
    return int(value[:4]), int(value[4:6]), int(value[6:8])


# Finland. All eleven characters count: two people may differ by the sign alone.


def _hetu(text: str, now: date) -> NationalNumber:
    if not _FINNISH.fullmatch(text) or text[7:10] in {"000", "001"}:
        raise NotANumber("shape")
    if _HETU_CHECKS[int(text[:6] + text[7:10]) % 31] != text[10]:
        raise NotANumber("check")
    number = NationalNumber(country="FI", kind=HETU, value=text)
    _check_born(_day(*_hetu_born(text)), now)
    return number


def _hetu_born(value: str) -> tuple[int, int, int]:
    return _HETU_CENTURIES[value[6]] + int(value[4:6]), int(value[2:4]), int(value[:2])


def _hetu_is_test(value: str) -> bool:
    return value[7] == "9"


_RULES: Mapping[str, Callable[[str, date], NationalNumber]] = {"DK": _cpr, "SE": _swedish, "FI": _hetu}
_BORN: Mapping[str, Callable[[str], tuple[int, int, int]]] = {
    "DK": _cpr_born,
    "SE": _swedish_born,
    "FI": _hetu_born,
}
_IS_TEST: Mapping[str, Callable[[str], bool]] = {
    "DK": _cpr_is_test,
    "SE": lambda _: False,
    "FI": _hetu_is_test,
}
