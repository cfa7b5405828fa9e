"""From what Freja tells of a person, in either of its protocols, to an identity of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from idbroker.errors import Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked
from idbroker.providers._freja.levels import HIGHEST, Level, Registration

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
_LONGEST_SUBJECT = 255
# RFC 8176: a key in the phone's app, opened by a PIN or the body.
_AMR = ("swk", "mfa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one person. `country` is whose number it is."""

    level: Level
    number: str | None = field(default=None, repr=False)
    country: str | None = None
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who told it, and when the person acted."""

    provider: str
    issuer: str
    subject: str = field(repr=False)
    at: datetime
    id_token: str | None = field(default=None, repr=False)
    app_ip: str | None = field(default=None, repr=False)
    evidence: Mapping[str, str] = field(default_factory=dict, repr=False)


def least_of(asked: Asked) -> Registration:
    """Return the registration that the client's level and the clinic need. Refused for more than there is."""
    if asked.least > HIGHEST:
        raise Refused("level_too_low", f"asked {asked.least.word}")
    required = asked.requirement.get("registration_level")
    # Name, birth date and number need at least Extended.
    by_level = Registration.EXTENDED if asked.least is LoA.LOW else Registration.PLUS
    return max(by_level, Registration[required]) if required else by_level


def make_identity(asked: Asked, source: Source, told: Told, least: Registration) -> Identity:
    """Return the identity. Refused when it is below what was asked, Untrusted when it makes no sense."""
    loa = told.level.loa
    # Whatever was asked for, what came back counts (ASVS 6.8.4).
    if loa is None or loa < asked.least or told.level.registration < least:
        raise Refused("level_too_low", f"asked {asked.least.word}, {least.name}; got {told.level.registration.name}")
    names = [name for name in (told.given_name, told.family_name) if name]
    return Identity(
        provider=source.provider,
        issuer=source.issuer,
        subject=source.subject,
        loa=loa,
        proved_at=source.at,
        amr=_AMR,
        number=_number(asked, told),
        name=" ".join(names) or None,
        given_name=told.given_name,
        family_name=told.family_name,
        birthdate=_birthdate(told.birthdate),
        upstream_logout=source.id_token,
        app_ip=source.app_ip,
        evidence=source.evidence,
    )


def check_subject(subject: object) -> str:
    """Return the person's name at Freja. Untrusted for anything that could not be one."""
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise Untrusted("subject: missing")
    if not subject.isascii() or not subject.isprintable():
        raise Untrusted("subject: not plain text")
    return subject


def _number(asked: Asked, told: Told) -> NationalNumber | None:
    # Freja has customers of many countries: the same digits are another person's number in each.
    if not told.number or told.country != "SE" or not asked.want_number or not told.level.numbered:
        return None
    try:
        return parse(told.number, "SE", now=asked.now.astimezone(_STOCKHOLM).date())
    except NotANumber as error:
        raise Untrusted(f"number: {error.reason}") from error


def _birthdate(told: str | None) -> date | None:
    try:
        return date.fromisoformat(told) if told else None
    except ValueError as error:
        raise Untrusted("birthdate: not a date") from error
