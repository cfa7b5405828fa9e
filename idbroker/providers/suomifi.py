"""suomi.fi e-Identification, the Finnish authorities' own sign-in (SAML 2.0).

Sources: DVV's technical description of the interface and its published service code; Traficom's and
eIDAS' identifiers of levels. Who the person is comes from the population register (VTJ) where it
has been asked; from abroad they come by eIDAS or with the Finnish Authenticator, without a Finnish number.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import assert_never
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from idbroker.errors import ConfigError, Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked, Leaving, Means, Message, Post, Redirect, Summons
from idbroker.providers._saml import CHAINS as SAML_CHAINS
from idbroker.providers._saml import (
    OurMetadata,
    Party,
    SamlSettings,
    Terms,
    Wish,
    logout_of,
    names_of,
    saml_mistakes,
)
from idbroker.saml import names
from idbroker.saml.assertion import Assertion
from idbroker.saml.national import finnish_attributes, finnish_entity_attributes
from idbroker.saml.requests import vetuma_language

_HELSINKI = ZoneInfo("Europe/Helsinki")
_LANGUAGES = ("fi", "sv", "en")
EXTENTS = ("limited", "medium", "large")
EIDAS = ("full", "form", "none")
LANGUAGE_BY = ("vetuma", "locale")
CONTEXTS = ("needed", "always", "never")
CIPHERS = ("AES-GCM", "AES-CBC", "any")
CHAINS = SAML_CHAINS


class Origin(enum.Enum):
    """Whose word it is that a method brings."""

    FINLAND = "finland"
    EIDAS = "eidas"
    AUTHENTICATOR = "authenticator"  # the Finnish Authenticator, for foreigners
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What it proves to sign in by one of suomi.fi's methods."""

    loa: LoA
    origin: Origin
    amr: tuple[str, ...] = ()


_DVV = "urn:oid:1.2.246.517.3002.110."
LOA2, LOA3 = "http://ftn.ficora.fi/2017/loa2", "http://ftn.ficora.fi/2017/loa3"
EIDAS2, EIDAS3 = "http://eidas.europa.eu/LoA/substantial", "http://eidas.europa.eu/LoA/high"
AUTHENTICATOR, TEST_TOKEN, TEST_IDP = f"{_DVV}7", f"{_DVV}999", f"{_DVV}995"
# Both as FinnishAuthMethod and as AuthnContextClassRef. RFC 8176: substantial and high take two factors
# (Regulation 2015/1502, 2.2.1); which two a bank or an operator asked for suomi.fi does not say.
METHODS: Mapping[str, Method] = {
    LOA2: Method(loa=LoA.SUBSTANTIAL, origin=Origin.FINLAND, amr=("mfa",)),
    LOA3: Method(loa=LoA.HIGH, origin=Origin.FINLAND, amr=("mfa",)),
    EIDAS2: Method(loa=LoA.SUBSTANTIAL, origin=Origin.EIDAS, amr=("mfa",)),
    EIDAS3: Method(loa=LoA.HIGH, origin=Origin.EIDAS, amr=("mfa",)),
    f"{_DVV}996": Method(loa=LoA.HIGH, origin=Origin.EIDAS, amr=("mfa",)),
    f"{_DVV}997": Method(loa=LoA.SUBSTANTIAL, origin=Origin.EIDAS, amr=("mfa",)),
    f"{_DVV}998": Method(loa=LoA.LOW, origin=Origin.EIDAS),
    AUTHENTICATOR: Method(loa=LoA.LOW, origin=Origin.AUTHENTICATOR),
    TEST_TOKEN: Method(loa=LoA.SUBSTANTIAL, origin=Origin.TEST),
    TEST_IDP: Method(loa=LoA.SUBSTANTIAL, origin=Origin.TEST),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One of suomi.fi's two worlds: `hosts` are those whose pages the way to it leads through."""

    idp: str
    metadata_url: str
    hosts: tuple[str, ...]


ENVIRONMENTS: Mapping[str, Environment] = {
    "production": Environment(
        idp="https://tunnistautuminen.suomi.fi/idp1",
        metadata_url="https://tunnistus.suomi.fi/static/metadata/idp-metadata.xml",
        hosts=("tunnistus.suomi.fi",),
    ),
    "test": Environment(
        idp="https://testi.apro.tunnistus.fi/idp1",
        metadata_url="https://static.apro.tunnistus.fi/static/metadata/idp-metadata.xml",
        hosts=(),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SamlSettings):
    """`[providers.NAME]` with `kind = "suomifi"`.

    `environment` is production or test; it gives `idp` and `metadata_url` where these are not set.
    `methods` are the accepted ones, by suomi.fi's names for them, and so stand in our metadata: loa2 and
    loa3 by default, with what `eidas`, `foreign` and the test environment add. A stronger method than one
    accepted is accepted. `extent` is what DVV has permitted us to be told: limited, medium or large.
    `eidas` lets in people of other countries: full, form or none; `foreign` those with the Finnish
    Authenticator (low). `vtj_required`: only who is found alive in the population register.

    `language_by` is how suomi.fi learns the language: vetuma (an extension) or locale (a query parameter).
    `contexts` is when a request names the methods: needed (where the service wants more than some of
    them prove; DVV advises against it otherwise), always or never. `cipher` is what our metadata asks to
    be encrypted with: AES-GCM, AES-CBC or any. `hosts` are further ones whose pages the way leads through.
    """

    idp: str = ""
    environment: str = "production"
    methods: tuple[str, ...] = ()
    extent: str = "limited"
    eidas: str = "none"
    foreign: bool = False
    vtj_required: bool = True
    language_by: str = "vetuma"
    contexts: str = "needed"
    cipher: str = "AES-GCM"
    hosts: tuple[str, ...] = ()
    title: str = "Suomi.fi"


class SuomiFi:
    """Signs people in with suomi.fi."""

    def __init__(self, name: str, settings: Settings, means: Means) -> None:
        self.title = settings.title
        self.origins = _origins(settings)
        self._name, self._settings = name, settings
        self._accepted = _accepted(settings)
        self.loa = max(METHODS[method].loa for method in self._accepted)
        self._party = Party(name, settings, means)
        self._metadata = OurMetadata(
            self._party,
            name_id=names.TRANSIENT,
            attributes=finnish_attributes(settings.extent, eidas=settings.eidas != "none", foreign=settings.foreign),
            entity_attributes=finnish_entity_attributes(
                settings.methods,
                vtj_required=settings.vtj_required,
                eidas=settings.eidas,
                cipher=None if settings.cipher == "any" else settings.cipher,
            ),
        )

    # ---- signing in ------------------------------------------------------------------------------

    def begin(self, asked: Asked) -> Redirect | Post:
        """Send the person to suomi.fi."""
        language = asked.language if asked.language in _LANGUAGES else "en"
        by_extension = self._settings.language_by == "vetuma"
        wish = Wish(
            contexts=self._contexts(asked),
            attribute_index=0,
            extensions=(vetuma_language(language),) if by_extension else (),
        )
        challenge = self._party.begin(asked, wish)
        return challenge if by_extension else _located(challenge, language)

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Identity:
        """Read suomi.fi's answer."""
        # A method that was never accepted is a lie about the deal (Untrusted); an accepted one that is too
        # weak for this service is what an honest person may have chosen (Refused).
        assertion = self._party.finish(asked, state, reply, Terms(contexts=self._accepted))
        method = METHODS[assertion.context]
        if method.loa < asked.least:
            raise Refused("level_too_low", f"asked {asked.least.word}, got {method.loa.word}")
        return _identity(self._name, self._settings, assertion, method, asked.now)

    def _contexts(self, asked: Asked) -> tuple[str, ...]:
        """Return the methods to name in the request, the wished ones first: exact, in order of preference."""
        enough = [method for method in self._accepted if METHODS[method].loa >= asked.least]
        all_do = all(METHODS[method].loa >= asked.least for method in self._settings.methods)
        if self._settings.contexts == "never" or (self._settings.contexts == "needed" and all_do):
            return ()
        return tuple(sorted(enough, key=lambda method: (METHODS[method].loa < asked.loa, list(METHODS).index(method))))

    # ---- signing out, and our metadata -----------------------------------------------------------

    def leave(self, leaving: Leaving) -> Redirect | Post | None:
        """Send the person to suomi.fi's page that ends its session."""
        return self._party.leave(leaving)

    def left(self, _leaving: Leaving, state: bytes, message: Message) -> bool:
        """Read suomi.fi's answer to that."""
        return self._party.left(state, message)

    def summoned(self, message: Message) -> Summons:
        """Read that suomi.fi's session is over; this comes in a hidden frame, without our cookies."""
        return self._party.summoned(message)

    def dismissed(self, summons: Summons, now: datetime, *, complete: bool) -> Redirect | Post | None:
        """Return the answer for that frame."""
        return self._party.dismissed(summons, now, complete=complete)

    def metadata(self, now: datetime) -> bytes:
        """Return what DVV installs at suomi.fi."""
        return self._metadata.get(now)


def make(name: str, settings: Settings, means: Means) -> SuomiFi:
    """Return the provider. ConfigError, with every mistake, when the settings cannot work."""
    complete = _completed(settings)
    mistakes = [(f"providers.{name}", what) for what in [*_mistakes(complete), *saml_mistakes(complete, means)]]
    if mistakes:
        raise ConfigError(mistakes)
    return SuomiFi(name, complete, means)


def _completed(settings: Settings) -> Settings:
    """Return the settings with what the environment adds to them."""
    usual = ENVIRONMENTS.get(settings.environment)
    if usual is None:
        return settings
    fetched = settings.metadata_url or (usual.metadata_url if settings.metadata_file is None else None)
    methods = settings.methods or _usual_methods(settings)
    return replace(settings, idp=settings.idp or usual.idp, metadata_url=fetched, methods=methods)


def _usual_methods(settings: Settings) -> tuple[str, ...]:
    return (
        LOA2,
        LOA3,
        *((EIDAS2, EIDAS3) if settings.eidas != "none" else ()),
        *((AUTHENTICATOR,) if settings.foreign else ()),
        *((TEST_TOKEN,) if settings.environment == "test" else ()),
    )


def _mistakes(settings: Settings) -> list[str]:
    origins = {METHODS[method].origin for method in settings.methods if method in METHODS}
    checks = {
        f"environment: one of {', '.join(ENVIRONMENTS)}": settings.environment in ENVIRONMENTS,
        f"methods: among {', '.join(METHODS)}": set(settings.methods) <= METHODS.keys(),
        # Anybody can be anybody with the test token.
        "methods: the test token is for environment test": Origin.TEST not in origins or settings.environment == "test",
        "methods: those of eIDAS need eidas": Origin.EIDAS not in origins or settings.eidas != "none",
        "methods: the Finnish Authenticator needs foreign": Origin.AUTHENTICATOR not in origins or settings.foreign,
        f"extent: one of {', '.join(EXTENTS)}": settings.extent in EXTENTS,
        f"eidas: one of {', '.join(EIDAS)}": settings.eidas in EIDAS,
        f"language_by: one of {', '.join(LANGUAGE_BY)}": settings.language_by in LANGUAGE_BY,
        f"contexts: one of {', '.join(CONTEXTS)}": settings.contexts in CONTEXTS,
        f"cipher: one of {', '.join(CIPHERS)}": settings.cipher in CIPHERS,
        "cipher: AES-CBC needs cbc": settings.cipher != "AES-CBC" or settings.cbc,
        "idp: an address": not settings.idp or bool(urlsplit(settings.idp).netloc),
    }
    return [what for what, good in checks.items() if not good]


def _accepted(settings: Settings) -> frozenset[str]:
    """Return the contexts that will do: what is accepted, and what is of the same origin and stronger.

    suomi.fi itself takes loa3 where loa2 is asked for.
    """
    given = [METHODS[method] for method in settings.methods]
    return frozenset(
        name
        for name, method in METHODS.items()
        if any(method.origin is one.origin and method.loa >= one.loa for one in given)
    )


def _origins(settings: Settings) -> tuple[str, ...]:
    parts = urlsplit(settings.idp)
    usual = ENVIRONMENTS[settings.environment]
    hosts = (*(usual.hosts if settings.idp == usual.idp else ()), *settings.hosts)
    return tuple(dict.fromkeys([f"{parts.scheme}://{parts.netloc}", *(f"https://{host}" for host in hosts)]))


def _located(challenge: Redirect | Post, language: str) -> Redirect | Post:
    """Add the language to the address, last of all: it is no part of what was signed."""
    match challenge:
        case Redirect():
            return replace(challenge, url=f"{challenge.url}&locale={language}")
        case Post():
            mark = "&" if "?" in challenge.action else "?"
            return replace(challenge, action=f"{challenge.action}{mark}locale={language}")
        case _:
            assert_never(challenge)


# ---- who it is: attributes by name, in DVV's list ----------------------------------------------------

_HETU, _SATU = "urn:oid:1.2.246.21", "urn:oid:1.2.246.22"
_EIDAS_PERSON = "http://eidas.europa.eu/attributes/naturalperson/"
_FOREIGN_ID = "urn:oid:1.2.246.517.3002.111.17"
_VTJ_VERIFIED = "urn:oid:1.2.246.517.3002.111.2"
_PROTECTION = "urn:oid:1.2.246.517.2002.2.27"
_DISPLAY_NAME = "urn:oid:2.16.840.1.113730.3.1.241"  # the name one is called by, and the surname
_WHOLE_NAME = "urn:oid:2.5.4.3"  # surname, then all first names
_CALL_NAME, _SURNAME = "urn:oid:2.5.4.42", "urn:oid:2.5.4.4"
_FIRST_NAMES = f"{_EIDAS_PERSON}CurrentGivenName"


def _identity(name: str, settings: Settings, assertion: Assertion, method: Method, now: datetime) -> Identity:
    """Return who it is. Address, municipality, e-mail and the rest of what may be sent are not read at all."""
    today = now.astimezone(_HELSINKI).date()
    number = _number(_one(assertion, _HETU), today)
    _check_register(assertion, settings, method, number)
    given = _one(assertion, _FIRST_NAMES) or _one(assertion, _CALL_NAME)
    family = _one(assertion, _SURNAME) or _one(assertion, f"{_EIDAS_PERSON}CurrentFamilyName")
    parts = " ".join(part for part in (_one(assertion, _CALL_NAME) or given, family) if part)
    return Identity(
        provider=name,
        issuer=assertion.issuer,
        subject=_subject(assertion, number),
        loa=method.loa,
        proved_at=assertion.authenticated_at,
        amr=method.amr,
        number=number,
        name=_one(assertion, _DISPLAY_NAME) or parts or _one(assertion, _WHOLE_NAME),
        given_name=given,
        family_name=family,
        birthdate=_born(_one(assertion, f"{_EIDAS_PERSON}DateOfBirth"), number, today),
        # Sent only to those it protects; whatever else it may say, nobody is to be less protected for it.
        protected=_one(assertion, _PROTECTION) not in (None, "0"),
        upstream_names=names_of(assertion),
        upstream_logout=logout_of(assertion),
        upstream_issued=assertion.issued,
        upstream_until=assertion.session_not_on_or_after,
    )


def _check_register(assertion: Assertion, settings: Settings, method: Method, number: NationalNumber | None) -> None:
    # People from abroad are in no Finnish register; but a Finnish number that it does not know is nobody's.
    concerned = number is not None or method.origin in (Origin.FINLAND, Origin.TEST)
    if settings.vtj_required and concerned and _one(assertion, _VTJ_VERIFIED) != "true":
        raise Refused("vtj_not_verified", "the population register did not confirm")


def _subject(assertion: Assertion, number: NationalNumber | None) -> str:
    """Return what is always the same for this person at suomi.fi: its NameID is another every time.

    The steadiest goes first: a SATU outlives a change of number. Each kind has its prefix, so that no
    other country's identifier can read as a Finnish one.
    """
    known = {
        "satu": _one(assertion, _SATU),
        "hetu": None if number is None else number.value,
        "eidas": _one(assertion, f"{_EIDAS_PERSON}PersonIdentifier"),
        "foreign": _one(assertion, _FOREIGN_ID),
    }
    found = next((f"{kind}:{value}" for kind, value in known.items() if value), None)
    if found is None:
        raise Untrusted("assertion: nothing that says who it is")
    return found


def _one(assertion: Assertion, name: str) -> str | None:
    return (assertion.one(name) or "").strip() or None


def _number(text: str | None, today: date) -> NationalNumber | None:
    if text is None:
        return None
    try:
        return parse(text, "FI", now=today)
    except NotANumber as error:
        raise Untrusted(f"number: {error.reason}") from error


def _born(text: str | None, number: NationalNumber | None, today: date) -> date | None:
    if text is None:
        return None if number is None else number.birthdate
    try:
        born = date.fromisoformat(text)
    except ValueError as error:
        raise Untrusted("birth date: not a date") from error
    if born > today:
        raise Untrusted("birth date: in the future")
    return born
