"""The Finnish Trust Network, through one of its brokers, over OpenID Connect.

Requests are signed, and what comes back is signed and encrypted (Traficom's recommendation 213/2023 S, the
network's OpenID Connect profile); which names the brokers give to what they say is each one's own and is all that
differs here. Sources: that recommendation; the public documentation of the brokers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from idbroker.errors import ConfigError, Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.keyset import Chain, Use
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked, Means, Redirect
from idbroker.providers._oidc import (
    CONTENT_ALGORITHMS,
    END_SESSION,
    KEY_ALGORITHMS,
    Encryption,
    EndsSessions,
    OpenIdClient,
    Proof,
    Upstream,
    birthdate,
    is_issuer,
    json_object,
    origins,
    parse_keys,
    session_names,
    words,
)
from idbroker.providers._oidc.id_token import moment

# Its tokens are encrypted to us: this key is made at the first start with this provider.
CHAINS = (Chain(Use.OIDC_ENC, "RSA-OAEP"),)
AUDIENCES = ("issuer", "token_endpoint")
LONGEST_NAME = 40
_LANGUAGES = ("fi", "sv", "en")
_HELSINKI = ZoneInfo("Europe/Helsinki")
_REPEATABLE = ("scope", "response_type")
_FTN = "http://ftn.ficora.fi/2017/"
_EIDAS = "http://eidas.europa.eu/LoA/"
LEVELS: Mapping[str, LoA] = {
    _FTN + "loa2": LoA.SUBSTANTIAL,
    _FTN + "loa3": LoA.HIGH,
    _EIDAS + "low": LoA.LOW,
    _EIDAS + "substantial": LoA.SUBSTANTIAL,
    _EIDAS + "high": LoA.HIGH,
}
# What a broker's test environment says instead: anybody may be anybody there.
TEST_LEVELS: Mapping[str, LoA] = {_FTN + "loatest2": LoA.SUBSTANTIAL}
# An `acr` that begins so names a method, which is no level.
_METHODS = ("idp:", "urn:grn:authn:fi:")
# RFC 8176's own words pass; the network's names for banks say nothing of how.
_AMR = frozenset({"face", "fpt", "hwk", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "sc", "sms", "swk", "user"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[providers.NAME]` with `kind = "ftn"`.

    `broker` is telia, op, signicat or idura; `issuer`, `client_id` and `hosts` (where its endpoints are besides the
    issuer's own host) are from the broker. `test` says that this is its test environment, where nobody is proved.
    `name` is shown to the person as who asks, 40 characters at most; without it, the name of the clinic's service.

    Requests are signed; `pushed = true` pushes them (RFC 9126). `repeat` names parameters (scope, response_type)
    to say beside the signed request too. `assertion_audience` is what the broker calls itself where we prove who
    we are: issuer or token_endpoint (by default as it documents). `scopes` and `acr_values` replace what is
    asked for; `userinfo` says whether to fetch claims there.

    `key_encryption` and `content_encryption` are the `alg` and `enc` we take. The broker's signature keys are at
    its `jwks_uri`, in the file `jwks_file`, or in a key set at `signed_jwks_uri` that a key of `trust_jwks_file`
    signs (its entity's key, got from the broker by another way). `end_session` is how signing out here leads to
    the broker's own, if it has one: post (default, for the ID token holds the number), get (without it) or off.
    `title` is on every page.
    """

    broker: str
    issuer: str
    client_id: str
    test: bool = False
    name: str | None = None
    pushed: bool = False
    repeat: tuple[str, ...] = ()
    assertion_audience: str | None = None
    scopes: tuple[str, ...] = ()
    acr_values: str | None = None
    userinfo: bool | None = None
    hosts: tuple[str, ...] = ()
    key_encryption: tuple[str, ...] = ("RSA-OAEP", "RSA-OAEP-256")
    content_encryption: tuple[str, ...] = ("A128CBC-HS256", "A128GCM", "A256GCM")
    jwks_file: Path | None = None
    signed_jwks_uri: str | None = None
    trust_jwks_file: Path | None = None
    end_session: str = "post"
    title: str = "Suomalainen tunnistus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One broker's way of asking and answering.

    `number_scope` is asked for with a number. `lasting` says that its `sub` is the same at every sign-in. `acr` is
    asked for instead of a level, by brokers who do not tell one either: `network` is the claim, and how it begins,
    by which those say that the network proved the person, and nothing in the network is less than substantial.
    """

    scopes: tuple[str, ...]
    number_scope: str | None
    service: str
    number: str
    birthdate: str
    name: str
    given_name: str
    family_name: str
    session: str
    lasting: bool
    acr: str | None = None
    network: tuple[str, str] | None = None
    audience: str = "issuer"
    userinfo: bool = False


DIALECTS: Mapping[str, Dialect] = {
    "telia": Dialect(
        scopes=("openid",),
        number_scope=None,
        service="ftn_spname",
        number="urn:oid:1.2.246.21",
        birthdate="urn:oid:1.3.6.1.5.5.7.9.1",
        name="urn:oid:2.16.840.1.113730.3.1.241",
        given_name="urn:oid:1.2.246.575.1.14",
        family_name="urn:oid:2.5.4.4",
        session="session_index",
        lasting=False,
        audience="token_endpoint",
    ),
    "op": Dialect(
        scopes=("openid", "profile", "strong"),
        number_scope="personal_identity_code",
        service="ftn_spname",
        number="personal_identity_code",
        birthdate="birthdate",
        name="name",
        given_name="given_name",
        family_name="family_name",
        session="sid",
        lasting=False,
        audience="token_endpoint",
    ),
    "signicat": Dialect(
        scopes=("openid", "profile", "ftn-extra"),
        number_scope="nin",
        service="ftn_sp_name",
        number="ftn_hetu",
        birthdate="birthdate",
        name="name",
        given_name="given_name",
        family_name="family_name",
        session="sid",
        lasting=True,
        acr="idp:ftn",
        network=("ftn_idp", "fi-"),
        userinfo=True,
    ),
    "idura": Dialect(
        scopes=("openid",),
        number_scope=None,
        service="ftn_spname",
        number="hetu",
        birthdate="birthdate",
        name="name",
        given_name="given_name",
        family_name="family_name",
        session="sessionindex",
        lasting=True,
        acr="urn:grn:authn:fi:all",
        network=("identityscheme", "fitupas"),
    ),
}


class FinnishTrust(EndsSessions):
    """Signs people in with their bank or their mobile certificate."""

    loa = LoA.HIGH

    def __init__(self, name: str, settings: Settings, client: OpenIdClient) -> None:
        super().__init__(client, settings.end_session, hint_in_address=False)
        self.title = settings.title
        self.origins = origins(settings.issuer, *settings.hosts)
        self._name, self._settings, self._dialect = name, settings, DIALECTS[settings.broker]
        self._levels = {**LEVELS, **(TEST_LEVELS if settings.test else {})}

    def begin(self, asked: Asked) -> Redirect:
        """Send the person to the broker."""
        parameters = {
            "scope": " ".join(self._scopes(asked)),
            "acr_values": self._settings.acr_values or self._dialect.acr or self._level_asked(asked),
            "ui_locales": asked.language if asked.language in _LANGUAGES else "en",
            self._dialect.service: (self._settings.name or asked.service)[:LONGEST_NAME],
        }
        return self._client.begin(asked, lambda _pushed: parameters)

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Identity:
        """Read the broker's answer."""
        fetches = self._settings.userinfo
        fetches = self._dialect.userinfo if fetches is None else fetches
        proof = self._client.finish(asked, state, reply, userinfo=fetches)
        level = self._level(proof)
        # Whatever was asked for, what came back counts (ASVS 6.8.4).
        if level < asked.least:
            raise Refused("level_too_low", f"asked {asked.loa.word}, got {level.word}")
        return self._identity(asked, proof, level)

    def _scopes(self, asked: Asked) -> tuple[str, ...]:
        scopes, number = self._settings.scopes or self._dialect.scopes, self._dialect.number_scope
        # Where nothing else lasts, the number is what a person is known by.
        wanted = asked.want_number or not self._dialect.lasting
        return (*scopes, number) if wanted and number and number not in scopes else scopes

    def _level_asked(self, asked: Asked) -> str:
        if asked.loa is LoA.HIGH:
            return _FTN + "loa3"
        return _FTN + ("loatest2" if self._settings.test else "loa2")

    def _level(self, proof: Proof) -> LoA:
        said = words(proof.id_claims, "acr") or ""
        level = self._levels.get(said)
        if level is None and (not said or said.startswith(_METHODS)) and self._is_of_network(proof):
            return LoA.SUBSTANTIAL
        if level is None:
            raise Untrusted("level of assurance: missing or unknown")
        return level

    def _is_of_network(self, proof: Proof) -> bool:
        if self._dialect.network is None:
            return False
        claim, beginning = self._dialect.network
        return (words(proof.claims, claim) or "").startswith(beginning)

    def _identity(self, asked: Asked, proof: Proof, level: LoA) -> Identity:
        claims, dialect = proof.claims, self._dialect
        number = _number(words(claims, dialect.number), asked)
        given, family = words(claims, dialect.given_name), words(claims, dialect.family_name)
        born = birthdate(words(claims, dialect.birthdate))
        return Identity(
            provider=self._name,
            issuer=proof.issuer,
            subject=self._subject(proof, number),
            loa=level,
            proved_at=proof.proved_at,
            amr=_amr(claims.get("amr")),
            number=number,
            name=words(claims, dialect.name) or " ".join(filter(None, (given, family))) or None,
            given_name=given,
            family_name=family,
            birthdate=born or (number.birthdate if number else None),
            upstream_names=session_names(claims, dialect.session, proof.subject),
            upstream_issued=moment(proof.id_claims, "iat"),
            upstream_logout=proof.id_token,
        )

    def _subject(self, proof: Proof, number: NationalNumber | None) -> str:
        """Return what the person is known by there, again and again.

        Some brokers' `sub` is another at every sign-in: taken for a name it would make a stranger of each.
        """
        if self._dialect.lasting:
            return proof.subject
        if number is None:
            raise Refused("eid_refused", "no identity code, and nothing else that lasts")
        return number.key


def make(name: str, settings: Settings, means: Means) -> FinnishTrust:
    """Return the provider. ConfigError, with every mistake, when the settings cannot work."""
    if mistakes := _mistakes(settings, means):
        raise ConfigError([(f"providers.{name}", what) for what in mistakes])
    upstream = Upstream(
        issuer=settings.issuer,
        client_id=settings.client_id,
        auth_method="private_key_jwt",
        assertion_audience=settings.assertion_audience or DIALECTS[settings.broker].audience,
        pushed=settings.pushed,
        hosts=settings.hosts,
        signed_requests=True,
        repeated=settings.repeat,
        algorithms=("RS256",),
        encryption=Encryption(keys=settings.key_encryption, contents=settings.content_encryption),
        jwks=_key_set(settings.jwks_file),
        signed_jwks_uri=settings.signed_jwks_uri,
        trusted=_key_set(settings.trust_jwks_file) or {},
    )
    return FinnishTrust(name, settings, OpenIdClient(upstream, means))


def _mistakes(settings: Settings, means: Means) -> list[str]:
    uri, trust = settings.signed_jwks_uri, settings.trust_jwks_file
    checks = {
        f"broker: one of {', '.join(DIALECTS)}": settings.broker in DIALECTS,
        "issuer: an https address without query": is_issuer(settings.issuer, sandbox=means.sandbox),
        "client_id: missing": bool(settings.client_id),
        f"name: 1 to {LONGEST_NAME} characters": settings.name is None or 0 < len(settings.name) <= LONGEST_NAME,
        f"repeat: of {', '.join(_REPEATABLE)}": set(settings.repeat) <= set(_REPEATABLE),
        f"assertion_audience: one of {', '.join(AUDIENCES)}": settings.assertion_audience in (None, *AUDIENCES),
        "scopes: openid is missing": not settings.scopes or "openid" in settings.scopes,
        f"key_encryption: of {', '.join(KEY_ALGORITHMS)}": _chosen(settings.key_encryption, KEY_ALGORITHMS),
        f"content_encryption: of {', '.join(CONTENT_ALGORITHMS)}": _chosen(
            settings.content_encryption, CONTENT_ALGORITHMS
        ),
        "jwks_file: not a set of public signature keys": _reads(settings.jwks_file),
        "jwks_file, signed_jwks_uri: one at most": settings.jwks_file is None or uri is None,
        "signed_jwks_uri: an https address": uri is None or is_issuer(uri, sandbox=means.sandbox),
        "signed_jwks_uri, trust_jwks_file: one needs the other": (uri is None) == (trust is None),
        "trust_jwks_file: not a set of public signature keys": _reads(trust),
        f"end_session: one of {', '.join(END_SESSION)}": settings.end_session in END_SESSION,
    }
    return [what for what, good in checks.items() if not good]


def _chosen(chosen: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return bool(chosen) and set(chosen) <= set(known)


def _reads(file: Path | None) -> bool:
    try:
        document = _key_set(file)
        return document is None or bool(parse_keys(document))
    except (OSError, ValueError, Untrusted):
        return False


def _key_set(file: Path | None) -> Mapping[str, Any] | None:
    return None if file is None else json_object(file.read_bytes())


def _number(claim: str | None, asked: Asked) -> NationalNumber | None:
    if not claim:
        return None
    try:
        return parse(claim, "FI", now=_today(asked))
    except NotANumber as error:
        raise Untrusted(f"number: {error.reason}") from error


def _today(asked: Asked) -> date:
    return asked.now.astimezone(_HELSINKI).date()


def _amr(claim: Any) -> tuple[str, ...]:
    said = claim if isinstance(claim, list) else []
    return tuple(dict.fromkeys(word for word in said if isinstance(word, str) and word in _AMR))
