"""The care provider under whose rules a person signs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from idbroker import ages
from idbroker.ages import AGES, Ages

COUNTRIES = ("DK", "SE", "FI", "NO")
LANGUAGES = ("da", "sv", "fi", "en", "nb")

_LANGUAGE_ORDER = {
    "DK": ("da", "en", "sv", "fi", "nb"),
    "SE": ("sv", "en", "fi", "da", "nb"),
    "FI": ("fi", "sv", "en", "da", "nb"),
    "NO": ("nb", "en", "sv", "da", "fi"),
}
_ZONES = {"DK": "Europe/Copenhagen", "SE": "Europe/Stockholm", "FI": "Europe/Helsinki", "NO": "Europe/Oslo"}


REGISTRATION = ("unneeded", "off", "automatic", "approval")
_LONGEST_TERMS = 20_000
CODE_CHANNELS = ("sms", "email", "app")
ACCESS = ("link", "password")
# Pages of the office that are no clinic's stand where a clinic's name does: /staff/NAME.
_TAKEN = ("me", "set", "sign-in", "sign-out", "callback")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """`[clinics.NAME.password]`: what a new password must be, besides not easily guessed (SP 800-63B-4, 3.1.1).

    `least` is its length in characters; `mixed` demands small and capital letters and a digit, which
    makes passwords no better and is for clinics whose rules say so.
    """

    least: int = 12
    mixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`[clinics.NAME.terms]`: what a person accepts, once for each version; `texts` by language, `en` if no other.

    `before` asks before the eID, for clinics that may begin nothing without.
    """

    version: str
    texts: Mapping[str, str] = field(repr=False)
    before: bool = False

    def spoken(self, language: str) -> str:
        """Return the language that the text is had in: the one wished, else English, else any."""
        return next((one for one in (language, "en", *self.texts) if self.texts.get(one)), language)

    def text(self, language: str) -> str:
        """Return the text in a language, else in English, else in any."""
        return self.texts.get(self.spoken(language), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """Whose rules apply: market, eIDs in the order shown, languages, and where a person gets help.

    `requirements` is what the clinic demands of an eID beyond its level, by provider, in that eID's
    own words: `[clinics.NAME.requirements.bankid]`.

    `registration` says who is taken: everybody that the eIDs know (`unneeded`); whom staff have entered
    (`off`); who registers (`automatic`), or registers and is approved (`approval`), which is promised within
    `answer_days`. `codes` are the ways one-time codes go, in the order offered. `ages` are those that differ from the
    country's (`ages.Ages`); `registers` are asked who may act for whom, besides what the clinic has noted itself, and
    `mandates` are the powers of attorney that it accepts, in the registers' own words.

    `access` is what staff send to a patient who has no password yet, or has lost it: a link to choose one, or a
    lasting password (`password`), which is weaker. `staff_email` is where staff write who have forgotten theirs.
    """

    id: str
    name: str
    country: str
    providers: tuple[str, ...]
    languages: tuple[str, ...] = ()
    phone: str | None = None
    help_url: str | None = None
    privacy_url: str | None = None
    requirements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    registration: str = "unneeded"
    answer_days: int = 3
    codes: tuple[str, ...] = CODE_CHANNELS
    password: PasswordRules = field(default_factory=PasswordRules)
    terms: Terms | None = None
    ages: Mapping[str, int] = field(default_factory=dict)
    registers: tuple[str, ...] = ()
    mandates: tuple[str, ...] = ()
    access: str = "link"
    staff_email: str | None = None

    @property
    def takes_registrations(self) -> bool:
        """Tell whether people may register themselves."""
        return self.registration in ("automatic", "approval")

    @property
    def limits(self) -> Ages:
        """Return the ages that hold here: the clinic's, else the country's."""
        return AGES[self.country].but(self.ages)

    @property
    def grown_up(self) -> int:
        """Return the age from which nobody may register somebody as a child."""
        return self.limits.grown_up

    @property
    def offered_languages(self) -> tuple[str, ...]:
        """Return the languages of the switch, the market's own first."""
        return self.languages or _LANGUAGE_ORDER[self.country]

    @property
    def zone(self) -> tzinfo:
        """Return the zone of the clinic's clock times and birthdays."""
        return ZoneInfo(_ZONES[self.country])


@dataclass(frozen=True, slots=True)
class Clinics:
    """The clinics of the configuration, by id."""

    by_id: Mapping[str, Clinic] = field(default_factory=dict)

    def find(self, clinic_id: str) -> Clinic | None:
        """Return one clinic, or None."""
        return self.by_id.get(clinic_id)


def mistakes_of(clinic: Clinic) -> tuple[str, ...]:
    """Return what is wrong with a clinic's rules for people without an eID."""
    checks = {
        f"registration must be one of {', '.join(REGISTRATION)}": clinic.registration in REGISTRATION,
        f"codes must be some of {', '.join(CODE_CHANNELS)}": bool(clinic.codes) and {*clinic.codes} <= {*CODE_CHANNELS},
        "its id is the name of a page of the staff's": clinic.id not in _TAKEN,
        f"access must be one of {', '.join(ACCESS)}": clinic.access in ACCESS,
        "answer_days must be 1 to 60": 1 <= clinic.answer_days <= 60,
        "password.least must be 8 to 64": 8 <= clinic.password.least <= 64,
        **(_terms_checks(clinic.terms) if clinic.terms is not None else {}),
    }
    return tuple(what for what, good in checks.items() if not good) + ages.mistakes_of(clinic.ages)


def _terms_checks(terms: Terms) -> dict[str, bool]:
    sizes = [len(text.strip()) for text in terms.texts.values()]
    return {
        # It stands in a cookie.
        "terms.version must be letters, digits, dots and hyphens, at most 32": bool(
            re.fullmatch(r"[A-Za-z0-9.-]{1,32}", terms.version)
        ),
        f"terms.texts must be by language: {', '.join(LANGUAGES)}": bool(sizes) and {*terms.texts} <= {*LANGUAGES},
        f"terms.texts must have 1 to {_LONGEST_TERMS} characters each": all(
            0 < size <= _LONGEST_TERMS for size in sizes
        ),
    }
