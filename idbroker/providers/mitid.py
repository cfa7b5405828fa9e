"""MitID, through one of three brokers: Nets eID Broker, Idura (formerly Criipto) or Signicat.

All three speak OpenID Connect; how a level, a language or a CPR number is asked for, and under which
names it comes back, is each broker's own and is all that differs here. Sources: their public
documentation; NSIS for the levels.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from idbroker.errors import Cancelled, ConfigError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked, Challenge, Means, Redirect, Tally, _match
from idbroker.providers._oidc import (
    AUTH_METHODS,
    END_SESSION,
    EndsSessions,
    OpenIdClient,
    Proof,
    Upstream,
    ask,
    birthdate,
    is_issuer,
    origins,
    read_secret,
    session_names,
    told,
    words,
)
from idbroker.providers._oidc.id_token import moment

# Brokers forward the browser to MitID itself; both are redirects of the same form post.
_MITID_HOSTS = ("www.mitid.dk", "pp.mitid.dk")
_LONGEST_TEXT = 130
_LONGEST_NUMBER = 64
_COPENHAGEN = ZoneInfo("Europe/Copenhagen")
_PROTECTED = "NAVNE & ADRESSEBESKYTTET"
_LEVEL_URI = "https://data.gov.dk/concept/core/nsis/"
# The broker's words for what happened, where access_denied says too little.
_DENIALS = {"mitid_timeout": "expired", "mitid_user_blocked": "blocked", "mitid_cpr_match_exceeded": "cpr_match_failed"}
# RFC 8176. MitID's app and chip are something held; each also asks for something known or for the body.
_AMR: Mapping[str, tuple[str, ...]] = {
    "password": ("pwd",),
    "code_token": ("otp",),
    "code_reader": ("otp",),
    "code_app": ("swk", "mfa"),
    "code_app_enchanced": ("swk", "mfa"),
    "u2f_token": ("hwk",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[providers.NAME]` with `kind = "mitid"`.

    A service provider of the private sector may only *match* a CPR number: on the broker's page
    (`cpr = "claim"`) or on ours (`cpr = "match"`, Nets only). `scopes` replaces the scopes
    asked for; the one for the number is added when a number is wanted. A public service provider learns
    of a protected name only with `ssn.details_name` among them. `title` is MitID's on every page.

    `end_session` is how signing out here leads to the broker's own: `post`, `get` or `off`. By default Nets and
    Signicat are posted to: they need the ID token as a hint, which does not belong into an address. Idura
    documents an address only and needs no hint; its ID token holds the CPR number, and is not sent there.
    """

    broker: str = "nets"
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    client_secret_file: Path | None = None
    auth_method: str = "client_secret_basic"
    assertion_alg: str = "RS256"
    cpr: str = "claim"
    pushed: bool | None = None
    hosts: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    title: str = "MitID"
    end_session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One broker's way of asking and answering. `userinfo` says whether claims are fetched there.

    `bare_token` says that its ID tokens hold no number, so that one may stand in an address.
    """

    scopes: tuple[str, ...]
    number_scope: str
    ask: Callable[[Asked, bool], Mapping[str, str]]
    level: tuple[str, ...]
    number: str
    has_number: str
    name: str
    birthdate: str
    given_name: str | None
    family_name: str | None
    protected: str
    session: str
    userinfo: bool
    end_session: str = "post"
    bare_token: bool = False


def _nets(asked: Asked, pushed: bool) -> Mapping[str, str]:
    mitid = {"loa_value": asked.loa.word, "action_text": "LOG_ON", "reference_text": _text(asked)}
    if pushed and asked.number_hint is not None:
        mitid["cpr_hint"] = asked.number_hint
    return {"idp_values": "mitid", "idp_params": json.dumps({"mitid": mitid}), "language": _language(asked)}


def _idura(asked: Asked, pushed: bool) -> Mapping[str, str]:
    hints = [f"message:{_text(asked)}"]
    if pushed and asked.number_hint is not None:
        hints.append(f"sub:{asked.number_hint}")
    return {
        "acr_values": f"urn:grn:authn:dk:mitid:{asked.loa.word}",
        "login_hint": " ".join(hints),
        "ui_locales": _language(asked),
    }


def _signicat(asked: Asked, _pushed: bool) -> Mapping[str, str]:
    return {"acr_values": "idp:mitid", "ui_locales": _language(asked)}


DIALECTS: Mapping[str, Dialect] = {
    "nets": Dialect(
        scopes=("openid", "mitid"),
        number_scope="ssn",
        ask=_nets,
        level=("loa", "acr"),
        number="dk.cpr",
        has_number="mitid.has_cpr",
        name="mitid.identity_name",
        birthdate="mitid.date_of_birth",
        given_name="ssn.details.given_name",
        family_name="ssn.details.surname",
        protected="ssn.details.name_address_protected",
        session="neb_sid",
        userinfo=True,
        bare_token=True,
    ),
    "idura": Dialect(
        scopes=("openid",),
        number_scope="ssn",
        ask=_idura,
        level=("loA", "loa"),
        number="cprNumberIdentifier",
        has_number="has_cpr",
        name="name",
        birthdate="birthdate",
        given_name=None,
        family_name=None,
        protected="name_address_protected",
        session="sessionindex",
        userinfo=False,
        end_session="get",
    ),
    "signicat": Dialect(
        scopes=("openid", "profile", "idp-id", "mitid-extra"),
        number_scope="nin",
        ask=_signicat,
        level=("mitid_loa",),
        number="nin",
        has_number="mitid_has_cpr",
        name="name",
        birthdate="birthdate",
        given_name="given_name",
        family_name="family_name",
        protected="mitid_name_and_address_protection",
        session="sid",
        userinfo=True,
    ),
}


class MitID(EndsSessions):
    """Signs people in with MitID."""

    loa = LoA.HIGH

    def __init__(self, name: str, settings: Settings, client: OpenIdClient, tally: Tally) -> None:
        dialect = DIALECTS[settings.broker]
        super().__init__(client, settings.end_session or dialect.end_session, hint_in_address=dialect.bare_token)
        self.title = settings.title
        self.origins = origins(settings.issuer, *settings.hosts, *_MITID_HOSTS)
        self._name, self._settings, self._dialect, self._tally = name, settings, dialect, tally

    def begin(self, asked: Asked) -> Redirect:
        """Send the person to the broker."""
        scope = " ".join(self._scopes(asked))
        # Who may type a number shows first that they are the person whose number it is, and has tries of their own.
        typed = asked.want_number and self._settings.cpr == "match"
        asked = replace(asked, fresh=asked.fresh or typed)
        return self._client.begin(asked, lambda pushed: {"scope": scope, **self._dialect.ask(asked, pushed)})

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Challenge | Identity:
        """Read the broker's answer, or the CPR number typed on our page (field `number`)."""
        if _match.is_matching(state):
            return _match.go_on(asked, state, reply.get("number"), self._matches, self._tally)
        try:
            proof = self._client.finish(asked, state, reply, userinfo=self._dialect.userinfo)
        except Cancelled as cancelled:
            raise _why(reply, cancelled) from cancelled
        identity = self._identity(asked, proof)
        if self._must_match(asked, identity, proof):
            until = identity.proved_at + _match.WINDOW
            return _match.form(_match.Matching(identity=identity, ticket=proof.access_token, until=until))
        return identity

    def _scopes(self, asked: Asked) -> tuple[str, ...]:
        scopes = self._settings.scopes or self._dialect.scopes
        claimed = asked.want_number and self._settings.cpr == "claim"
        return (*scopes, self._dialect.number_scope) if claimed else scopes

    def _identity(self, asked: Asked, proof: Proof) -> Identity:
        level = self._level(proof)
        # Whatever was asked for, what came back counts (ASVS 6.8.4).
        if level < asked.least:
            raise Refused("level_too_low", f"asked {asked.loa.word}, got {level.word}")
        claims, dialect = proof.claims, self._dialect
        identity = Identity(
            provider=self._name,
            issuer=proof.issuer,
            subject=proof.subject,
            loa=level,
            proved_at=proof.proved_at,
            amr=_amr(claims.get("amr")),
            number=_number(words(claims, dialect.number), asked),
            birthdate=birthdate(words(claims, dialect.birthdate)),
            upstream_names=session_names(claims, dialect.session, proof.subject),
            upstream_issued=moment(proof.id_claims, "iat"),
            upstream_logout=proof.id_token,
        )
        return _named(identity, claims, dialect)

    def _level(self, proof: Proof) -> LoA:
        # Only the signed token is asked where it says a level at all; of two answers neither is believed.
        said = self._said(proof.id_claims) or self._said(proof.claims)
        levels = {word.removeprefix(_LEVEL_URI).lower() for word in said}
        known = [loa for loa in LoA if levels == {loa.word}]
        if not known:
            raise Untrusted("level of assurance: missing or unknown")
        return known[0]

    def _said(self, claims: Mapping[str, Any]) -> list[str]:
        return [word for name in self._dialect.level if (word := words(claims, name)) is not None]

    def _must_match(self, asked: Asked, identity: Identity, proof: Proof) -> bool:
        if not asked.want_number or identity.number is not None or self._settings.cpr != "match":
            return False
        return str(proof.claims.get(self._dialect.has_number, "true")).lower() == "true"

    def _matches(self, access_token: str, number: NationalNumber) -> bool:
        response = ask(
            self._client.http,
            "POST",
            self._settings.issuer.rstrip("/") + "/api/v1/mitid/matchCpr",
            json={"cpr": number.value},
            headers={"Authorization": f"Bearer {access_token}"},
        )
        # Four hundred and something is the broker's own limit: three tries, fifteen minutes.
        if response.status_code in (400, 401, 403):
            raise Refused("cpr_match_failed", f"HTTP {response.status_code}")
        answer = told(response).get("cprNumberMatch")
        if not isinstance(answer, bool):
            raise Unreachable("matchCpr: neither yes nor no")
        return answer


def make(name: str, settings: Settings, means: Means) -> MitID:
    """Return the provider. ConfigError, with every mistake, when the settings cannot work."""
    if mistakes := _mistakes(settings, means):
        raise ConfigError([(f"providers.{name}", what) for what in mistakes])
    upstream = Upstream(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=read_secret(settings.client_secret, settings.client_secret_file),
        auth_method=settings.auth_method,
        assertion_alg=settings.assertion_alg,
        pushed=settings.pushed,
        hosts=settings.hosts,
    )
    return MitID(name, settings, OpenIdClient(upstream, means), means.tally)


def _mistakes(settings: Settings, means: Means) -> list[str]:
    file, secret = settings.client_secret_file, settings.client_secret
    needed = settings.auth_method != "private_key_jwt"
    checks = {
        f"broker: one of {', '.join(DIALECTS)}": settings.broker in DIALECTS,
        "cpr: claim or match": settings.cpr in ("claim", "match"),
        "cpr: only nets has an interface to match with": settings.cpr != "match" or settings.broker == "nets",
        "issuer: an https address without query": is_issuer(settings.issuer, sandbox=means.sandbox),
        f"end_session: one of {', '.join(END_SESSION)}": settings.end_session in (None, *END_SESSION),
        f"auth_method: one of {', '.join(AUTH_METHODS)}": settings.auth_method in AUTH_METHODS,
        "client_secret or client_secret_file: exactly one": (secret is not None) + (file is not None) == needed,
        "client_secret_file: does not read": file is None or file.is_file(),
    }
    return [what for what, good in checks.items() if not good]


def _why(reply: Mapping[str, str], cancelled: Cancelled) -> Cancelled | Refused:
    reason = _DENIALS.get(reply.get("error_description", ""))
    return cancelled if reason is None else Refused(reason, cancelled.detail)


def _language(asked: Asked) -> str:
    return "da" if asked.language == "da" else "en"


def _text(asked: Asked) -> str:
    """Return the words the person sees in the app, as base64 of at most 130 characters."""
    text = f"{'Log ind på' if _language(asked) == 'da' else 'Log in to'} {asked.service}"
    return base64.b64encode(text[:_LONGEST_TEXT].encode()).decode()


def _number(claim: str | None, asked: Asked) -> NationalNumber | None:
    if not claim:
        return None
    try:
        return parse("".join(filter(str.isdigit, claim)), "DK", now=_match.today(asked.now))
    except NotANumber as error:
        raise Untrusted(f"number: {error.reason}") from error


def _amr(claim: Any) -> tuple[str, ...]:
    said = claim if isinstance(claim, list) else []
    known = [word for method in said if isinstance(method, str) for word in _AMR.get(method.removeprefix("mitid."), ())]
    return tuple(dict.fromkeys(known))


def _named(identity: Identity, claims: Mapping[str, Any], dialect: Dialect) -> Identity:
    name = words(claims, dialect.name)
    # A protected name is not to reach a client by way of us, whoever of the two was told it.
    if name == _PROTECTED or str(claims.get(dialect.protected, "")).lower() == "true":
        return replace(identity, protected=True)
    given, family = (words(claims, part) if part else None for part in (dialect.given_name, dialect.family_name))
    return replace(identity, name=name, given_name=given, family_name=family)
