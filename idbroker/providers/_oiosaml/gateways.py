"""NemLog-in and the health authority's citizen gateway (SEB), as two tables; any of it may be set otherwise.

Sources: NemLog-in's metadata and the authority's reference code for OIOSAML 3.0.3 and 4.0. What the
citizen gateway calls itself is told to those who have an agreement with it, and is a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_CONCEPT = "https://data.gov.dk/concept/core/"
_MODEL = "https://data.gov.dk/model/core/"
_EID = f"{_MODEL}eid/"

PERSON = f"{_EID}person/uuid/"
PROFESSIONAL = f"{_EID}professional/"
LEVEL_4 = f"{_CONCEPT}loa"

# By our word, the names it may come under; all but the level are looked for in this order. A level may
# stand under several, and the lowest counts.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "version": (f"{_MODEL}specVersion",),
    "level": (f"{_CONCEPT}nsis/loa", LEVEL_4),
    "identity_level": (f"{_CONCEPT}nsis/ial",),
    "authenticator_level": (f"{_CONCEPT}nsis/aal",),
    "number": (f"{_EID}cprNumber",),
    "name": (f"{_EID}fullName",),
    "given_name": (f"{_EID}firstName",),
    "family_name": (f"{_EID}lastName",),
    "birthdate": (f"{_EID}dateOfBirth",),
    "privileges": (f"{_EID}privilegesIntermediate",),
}
# Bare words, not addresses (OIOSAML 3.0.3).
LEVELS: Mapping[str, str] = {"Low": "low", "Substantial": "substantial", "High": "high"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One version of OIOSAML: what an assertion may call itself, and how levels are asked for."""

    versions: tuple[str, ...]
    level_uri: str


PROFILES: Mapping[str, Profile] = {
    "3": Profile(versions=("OIO-SAML-3.0",), level_uri=f"{_CONCEPT}nsis/loa/"),
    "4": Profile(versions=("OIO-SAML-4.0", "OIO-SAML-3.0"), level_uri=f"{_CONCEPT}loa/"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One identity provider of OIOSAML, in its environments.

    `idp` is its entity id by environment and profile: NemLog-in's test differs by a slash at the end.
    `hosts` are where its own pages lie beside its metadata's addresses, `cpr_match_url` where a number
    is compared, both by environment.
    """

    idp: Mapping[tuple[str, str], str] = field(default_factory=dict)
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cpr_match_url: Mapping[str, str] = field(default_factory=dict)


_MATCH = "/api/uuidmatch/subjectmatchescpr"
GATEWAYS: Mapping[str, Gateway] = {
    "nemlogin": Gateway(
        idp={
            ("test", "3"): "https://saml.test-nemlog-in.dk/",
            ("test", "4"): "https://saml.test-nemlog-in.dk",
            ("production", "3"): "https://saml.nemlog-in.dk",
            ("production", "4"): "https://saml.nemlog-in.dk",
        },
        hosts={
            "test": ("login.test-nemlog-in.dk",),
            "production": ("login.nemlog-in.dk", "nemlog-in.mitid.dk", "www.mitid.dk"),
        },
        cpr_match_url={
            "test": f"https://services.test-nemlog-in.dk{_MATCH}",
            "production": f"https://services.nemlog-in.dk{_MATCH}",
        },
    ),
    # It sends people on to NemLog-in.
    "seb": Gateway(
        hosts={
            "test": ("login.test-nemlog-in.dk",),
            "production": ("login.nemlog-in.dk", "nemlog-in.mitid.dk", "www.mitid.dk"),
        },
    ),
}
