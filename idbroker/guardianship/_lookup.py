"""What a register says in the lookup protocol, read with one reading only (docs/registers.md)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from idbroker.errors import Untrusted
from idbroker.guardianship.tie import CUSTODY, MANDATE, Tie
from idbroker.numbers import NationalNumber, NotANumber, parse

LARGEST = 256 * 1024
MOST_WARDS = 100
MOST_DOUBTFUL = 1
LONGEST_LIFE = 3600  # seconds; what a court said an hour ago is asked for again
_STRICT = ConfigDict(strict=True, extra="ignore")
_FIRST_BORN = date(1850, 1, 1)  # nobody who lives was born before
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Word = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
_Power = Annotated[str, Field(min_length=1, max_length=200)]
_Day = Annotated[str, Field(max_length=10)]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _Ward:
    """One ward, as it is written. Words for why somebody is barred that we do not know are not guessed at."""

    country: Literal["DK", "SE", "FI"]
    number: Annotated[str, Field(max_length=64)] = field(repr=False)
    given_name: _Name | None = field(default=None, repr=False)
    family_name: _Name | None = field(default=None, repr=False)
    birthdate: _Day | None = field(default=None, repr=False)
    relation: _Word = CUSTODY
    powers: Annotated[list[_Power], Field(max_length=50)] = field(default_factory=list)
    until: _Day | None = None
    protected: bool = False
    deceased: bool = False
    barred: Literal["", "care_order", "no_custody", "withdrawn", "shared_out"] = ""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    wards: Annotated[list[_Ward], Field(max_length=MOST_WARDS)]
    expires_in: Annotated[int, Field(ge=0, le=LONGEST_LIFE)]


_said = TypeAdapter(_Said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an answer says: its ties, of whom it says nothing that can be believed, and how long it is good."""

    ties: tuple[Tie, ...]
    doubtful: tuple[NationalNumber, ...] = field(repr=False)
    life: timedelta


def read(body: bytes, day: date) -> Told:
    """Return what an answer says. `day` is today where the clinic is.

    Untrusted, without a word of what stood there, for whatever two programs could read differently. One ward whose
    birth date is none, or not its number's, is `doubtful` alone: somebody has mistyped it, and the others stand. Two
    make a register that mixes up its lines: then nobody knows whose no stands where, and nothing it says is believed.
    """
    if len(body) > LARGEST:
        raise Untrusted("an answer that is too large")
    try:
        _check_json(body)
        said = _said.validate_json(body)
        read_ones = tuple(_tie(ward, day) for ward in said.wards)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
        raise Untrusted(f"not as the protocol says: {place}") from None
    except NotANumber as error:
        raise Untrusted("a ward's number is none") from error
    except (ValueError, RecursionError) as error:
        raise Untrusted("not the JSON of the protocol") from error
    if len({number.key for number, _ in read_ones}) != len(read_ones):
        raise Untrusted("a ward stands twice")
    doubtful = tuple(number for number, tie in read_ones if tie is None)
    if len(doubtful) > MOST_DOUBTFUL:
        raise Untrusted("birth dates that are not the numbers'")
    ties = tuple(tie for _, tie in read_ones if tie is not None)
    return Told(ties=ties, doubtful=doubtful, life=timedelta(seconds=said.expires_in))


def _check_json(body: bytes) -> None:
    """Refuse what parsers read differently: a member twice, other encodings, NaN. ValueError."""
    json.loads(body.decode("utf-8"), object_pairs_hook=_no_doubles, parse_constant=_no_constant)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("no JSON number")


def _tie(ward: _Ward, day: date) -> tuple[NationalNumber, Tie | None]:
    """Return whom it is about, and what is said; None where the birth date is not theirs.

    The attack: the register is wrong, or bought, and a grown person is a child by its word. Its no is not believed of
    such a ward either: it would end for good what a clinic has approved, of whom nobody knows who was meant.
    """
    number, born = parse(ward.number, ward.country, now=day), _read_day(ward.birthdate)
    tie = Tie(
        number=number,
        given_name=None if ward.given_name is None else _text(ward.given_name),
        family_name=None if ward.family_name is None else _text(ward.family_name),
        birthdate=born,
        relation=ward.relation,
        basis="power_of_attorney" if ward.relation == MANDATE else "register",
        powers=tuple(map(_text, ward.powers)),
        until=_read_day(ward.until),
        protected=ward.protected,
        deceased=ward.deceased,
        barred=ward.barred,
    )
    return number, tie if born is None or _is_theirs(born, number, day) else None


def _is_theirs(born: date, number: NationalNumber, day: date) -> bool:
    """Tell whether somebody who lives may have a birth date, and this one, by their number, where that tells it."""
    return _FIRST_BORN <= born <= day and number.birthdate in (None, born)


def _text(value: str) -> str:
    """Return a text that stands on pages and in tokens as it is: no control characters, nothing that turns it round."""
    if not value.isprintable():
        raise ValueError("not printable")
    return value


def _read_day(text: str | None) -> date | None:
    if text is None:
        return None
    if not _DAY.fullmatch(text):
        raise ValueError("not a day")
    return date.fromisoformat(text)
