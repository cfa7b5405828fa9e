"""The care provider under whose rules a person signs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

COUNTRIES = ("DK", "SE", "FI", "NO")
LANGUAGES = ("da", "sv", "fi", "en", "nb")

_LANGUAGE_ORDER = {
    "DK": ("da", "en", "sv", "fi", "nb"),
    "SE": ("sv", "en", "fi", "da", "nb"),
    "FI": ("fi", "sv", "en", "da", "nb"),
    "NO": ("nb", "en", "sv", "da", "fi"),
}
_ZONES = {"DK": "Europe/Copenhagen", "SE": "Europe/Stockholm", "FI": "Europe/Helsinki", "NO": "Europe/Oslo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """Whose rules apply: market, eIDs in the order shown, languages, and where a person gets help.

    `requirements` is what the clinic demands of an eID beyond its level, by provider, in that eID's
    own words: `[clinics.NAME.requirements.bankid]`.
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
