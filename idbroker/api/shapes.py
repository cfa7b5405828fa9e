"""What the API takes: each body's shape, which is checked here and published as it stands in the document."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from idbroker.messages import addresses
from idbroker.patients.noting import MOST_POWERS

MOST_ITEMS = 1000
TAG = "~"  # begins what tells two shapes apart: it is no member, and stands in no pointer
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_POWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Country = Literal["DK", "SE", "FI"]
Language = Literal["da", "sv", "fi", "en", "nb"]
Checked = Literal["passport", "card", "licence", "eid", "known", "relative", "list"]
NoEid = Literal["age", "illness", "no_number", "abroad", "other"]
Relation = Literal["custody", "guardian", "foster", "relative", "mandate"]
Way = Literal["email", "sms"]
News = Literal["enrolled", "contact_changed", "access_revoked", "guardians_changed", "merged"]
Word = TypeVar("Word")


class Mistaken(ValueError):
    """Why a member is not taken: a stable code, which is all that it says."""


def _seen(text: str) -> str:
    """Refuse what nobody sees and what databases break on, and blanks about a name (NUL, direction marks, lines)."""
    if text != text.strip() or any(unicodedata.category(letter) in _UNSEEN for letter in text):
        raise Mistaken("not_plain")
    return text


def _day(said: Any) -> date:
    if isinstance(said, str) and _DAY.fullmatch(said):
        try:
            return date.fromisoformat(said)
        except ValueError:
            pass
    raise Mistaken("not_a_day")


def _email(text: str) -> str:
    try:
        return addresses.email(text)
    except addresses.NotAnAddress:
        raise Mistaken("not_an_address") from None


def _mobile(text: str) -> str:
    if not text.startswith("+"):
        raise Mistaken("not_an_address")
    try:
        return addresses.mobile(text, "DK")
    except addresses.NotAnAddress:
        raise Mistaken("not_an_address") from None


def _plain(text: str) -> str:
    if _POWER.fullmatch(text) is None:
        raise Mistaken("not_plain")
    return text


def _each_once(said: list[Word]) -> list[Word]:
    if len(set(said)) != len(said):
        raise Mistaken("twice")
    return said


def may(**more: Any) -> Any:
    """Return a member that may be left out, which says nothing; it never has a value of its own then."""
    return Field(default_factory=lambda: None, **more)


Name = Annotated[str, Field(min_length=1, max_length=80, json_schema_extra={"format": "name"}), AfterValidator(_seen)]
Reason = Annotated[
    str, Field(min_length=1, max_length=500, json_schema_extra={"format": "line"}), AfterValidator(_seen)
]
Day = Annotated[date, BeforeValidator(_day)]
Email = Annotated[
    str, Field(min_length=3, max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)
]
Mobile = Annotated[
    str,
    Field(min_length=8, max_length=20, description="In E.164", json_schema_extra={"format": "mobile"}),
    AfterValidator(_mobile),
]
Channels = Annotated[
    list[Way], Field(min_length=1, max_length=2, json_schema_extra={"uniqueItems": True}), AfterValidator(_each_once)
]
Power = Annotated[
    str, Field(min_length=1, max_length=100, json_schema_extra={"format": "power"}), AfterValidator(_plain)
]
Powers = Annotated[
    list[Power], Field(max_length=MOST_POWERS, json_schema_extra={"uniqueItems": True}), AfterValidator(_each_once)
]
Kinds = Annotated[
    list[News], Field(min_length=1, max_length=5, json_schema_extra={"uniqueItems": True}), AfterValidator(_each_once)
]


class Shape(BaseModel):
    """A body, or a part of one: a member that is not known is refused, and nothing is taken for something else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    def said(self, name: str) -> Any:
        """Return what was said of a member; None where nothing was."""
        return getattr(self, name) if name in self.model_fields_set else None


class DanishNumber(Shape):
    """A CPR number."""

    country: Literal["DK"]
    value: str = Field(min_length=10, max_length=11, json_schema_extra={"format": "cpr"})


class SwedishNumber(Shape):
    """A personnummer or samordningsnummer, with its century: 12 digits."""

    country: Literal["SE"]
    value: str = Field(min_length=12, max_length=13, json_schema_extra={"format": "personnummer"})


class FinnishNumber(Shape):
    """A HETU."""

    country: Literal["FI"]
    value: str = Field(min_length=11, max_length=11, json_schema_extra={"format": "hetu"})


def _whose(number: Any) -> str | None:
    country = number.get("country") if isinstance(number, dict) else getattr(number, "country", None)
    return f"{TAG}{country}" if country in ("DK", "SE", "FI") else None


Number = Annotated[
    Annotated[DanishNumber, Tag("~DK")] | Annotated[SwedishNumber, Tag("~SE")] | Annotated[FinnishNumber, Tag("~FI")],
    Discriminator(_whose),
]


class Contacts(Shape):
    """Where messages go, as the clinic has it. Null takes an address away; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.org", "sms": "+4520123456"}]})

    email: Email | None = may()
    sms: Mobile | None = may()


class NewPatient(Shape):
    """A patient to enter, or to bring up to date. What a person has chosen or confirmed is never overwritten."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "number": {"country": "DK", "value": "6101010001"},
                    "given_name": "Ada",
                    "family_name": "Testsen",
                    "language": "da",
                    "checked": "passport",
                    "contacts": {"email": "ada@example.org"},
                }
            ]
        }
    )

    number: Number
    given_name: Name = may()
    family_name: Name
    birthdate: Day = may(description="Where the number does not tell it")
    language: Language = may()
    checked: Checked = may(description="How it was seen who this is")
    exempt: NoEid | None = may(description="Why this patient cannot use an eID; null takes it back")
    takes_part: bool = may(description="False: has declined to be in the clinic's register of quality")
    protected: bool = may(description="True: name and address are protected, so nobody acts for this patient")
    contacts: Contacts = may()


class Change(Shape):
    """What is to be changed: what is left out stays, null takes away (RFC 7396)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"contacts": {"sms": "+4520123456"}, "exempt": None}]})

    given_name: Name = may()
    family_name: Name = may()
    language: Language = may()
    exempt: NoEid | None = may()
    takes_part: bool = may()
    protected: bool = may()
    contacts: Contacts = may()


class Many(Shape):
    """Patients to enter: each as `NewPatient`, judged by itself. What is wrong with one is in its own result."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"patients": [{"number": {"country": "DK", "value": "6101010001"}, "family_name": "Testsen"}]}]
        }
    )

    patients: list[Annotated[Any, WithJsonSchema({"description": "See NewPatient"})]] = Field(
        min_length=1, max_length=MOST_ITEMS
    )


class ByNumber(Shape):
    """A search by national number."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"number": {"country": "DK", "value": "6101010001"}}]})

    number: Number


class ByName(Shape):
    """A search by words of a name, and birth date: neither alone, so that nobody browses."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Testsen", "birthdate": "2001-01-01"}]})

    name: Name
    birthdate: Day


def _by_what(search: Any) -> str:
    return "~number" if isinstance(search, dict) and "number" in search else "~name"


Search = Annotated[
    Annotated[ByNumber, Tag("~number")] | Annotated[ByName, Tag("~name")],
    Discriminator(_by_what),
]


class Sending(Shape):
    """By which channels access is sent, and to which service the link leads."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"channels": ["email"]}]})

    channels: Channels
    service: str = may(min_length=1, max_length=100, json_schema_extra={"format": "service"})


class Death(Shape):
    """The day somebody died."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"on": "2026-11-20"}]})

    on: Day


class Custody(Shape):
    """The day from which somebody else, or nobody, has custody of this child."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"on": "2026-11-20"}]})

    on: Day
    guardian: Number = may(description="The one guardian whose right ends; without it, everybody's here")


class NewGuardian(Shape):
    """Somebody who may act for this patient. `until` is the first day on which it does not hold."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"number": {"country": "DK", "value": "6101800001"}, "relation": "custody"}]}
    )

    number: Number
    relation: Relation
    powers: Powers = may(description="Of a mandate: what it allows, in the words that the clinic's settings have")
    until: Day = may()


class Declining(Shape):
    """Why somebody is not taken. It stays with the clinic: the person is told whom to ask."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Not a patient of ours"}]})

    reason: Reason


class Hook(Shape):
    """Where news goes, by https, and which."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://system.example.org/news", "kinds": ["enrolled"]}]}
    )

    url: str = Field(min_length=9, max_length=500, json_schema_extra={"format": "https-uri"})
    kinds: Kinds
