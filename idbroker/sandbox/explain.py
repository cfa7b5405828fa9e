"""What parameters and claims mean, in plain words, for the people who connect a portal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One parameter or claim with its value as text, and what it means."""

    name: str
    value: str
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Some rows under a title."""

    title: str
    rows: tuple[Row, ...]


PARAMETERS: Mapping[str, str] = {
    "client_id": "Which portal asks. It must be registered.",
    "redirect_uri": "Where the browser is sent afterwards. It must be registered, letter by letter.",
    "response_type": "The portal wants a code, which it redeems for tokens behind the browser's back.",
    "scope": "What the portal wants to know or do.",
    "state": "The portal's own note. It comes back unchanged and ties the answer to this browser.",
    "nonce": "Comes back inside the ID token: a token of another login would have another one.",
    "code_challenge": "The hash of a secret that only the portal knows (PKCE). A stolen code is useless without it.",
    "code_challenge_method": "How the hash is made: SHA-256.",
    "ui_locales": "The languages the portal would like the pages in, best first.",
    "prompt": "login: the person must prove who they are again, whatever session there is.",
    "acr_values": "The level of assurance wanted.",
    "claims": "Single claims wanted, and which of them the login is worthless without.",
    "max_age": "How many seconds ago the person may have logged in at most.",
    "login_hint": "Whom the portal expects.",
    "id_token_hint": "An ID token from before: it proves that this portal may log this person out.",
    "post_logout_redirect_uri": "Where the browser goes after the logout. It must be registered too.",
    "grant_type": "What the tokens are asked in exchange for.",
    "code": "The code. It works once, for a minute, for this portal only.",
    "code_verifier": "The secret whose hash was the code_challenge.",
    "client_assertion": "A short-lived token signed with the portal's own key, instead of a password.",
    "client_assertion_type": "Says that the assertion is a signed JWT.",
    "refresh_token": "Gives new tokens without the person.",
    "iss": "Which broker answers. A portal that uses several must check it (mix-up attack).",
    "error": "Why there is no login, as a word for programs.",
    "error_description": "The same for developers. Never show it to patients.",
    "access_token": "Opens the userinfo endpoint, for a few minutes.",
    "token_type": "Bearer: whoever has the access token may use it.",
    "expires_in": "Seconds until the access token ends.",
    "id_token": "The signed statement who logged in, when and how. Decoded below.",
    "acting_for": "Whom it is to be about: ask (the person chooses), self, or the sub of somebody chosen before.",
    "request_uri": "Stands for a request that was pushed directly, out of the browser's sight.",
}

CLAIMS: Mapping[str, str] = {
    "iss": "Who signed this: the broker's address.",
    "sub": "The person it is about, as this portal knows them. Always the same here, another one at other portals.",
    "aud": "Whom this is for: the portal's client_id. Refuse tokens for others.",
    "exp": "Do not accept it after this moment.",
    "iat": "When it was signed.",
    "nbf": "Do not accept it before this moment.",
    "auth_time": "When the person proved who they are.",
    "nonce": "The value this portal sent with its request.",
    "acr": "The level of assurance reached.",
    "amr": "How the person proved it.",
    "azp": "The portal this was given to.",
    "at_hash": "Ties the access token to this ID token: half of its SHA-256.",
    "sid": "The sign-on this belongs to. A logout message would name it.",
    "jti": "The token's own number.",
    "events": "What has happened. In a logout token: that this sign-on is over.",
    "name": "The whole name.",
    "given_name": "First names.",
    "family_name": "Last name.",
    "birthdate": "Date of birth.",
    "national_number": "The national number: here because the portal is registered for it and asked for it.",
    "national_number_country": "The country whose number it is.",
    "act": "Who is at the screen, acting for the person: with a sub that this portal knows them by themselves.",
    "guardianship": "By which right they act: the relation, what it rests on, its powers, the second when it ends.",
    "alg": "How it is signed. A portal accepts only what it was registered for.",
    "kid": "Which of the broker's public keys verifies it; they are at jwks_uri.",
    "typ": "What kind of token it is.",
}

LEVELS: Mapping[str, str] = {
    "low": "some confidence, such as a password and a code",
    "substantial": "an eID with two factors",
    "high": "an eID that resists determined attackers",
}

# RFC 8176, 2, as far as they come.
METHODS: Mapping[str, str] = {
    "pwd": "a password",
    "otp": "a one-time code",
    "sms": "a code by text message",
    "mfa": "two factors",
    "hwk": "a key in a device",
    "swk": "a key in an app",
    "pin": "a PIN",
}

_MOMENTS = {"exp", "iat", "nbf", "auth_time", "updated_at"}


def parameters(values: Mapping[str, Any], title: str = "Parameters") -> Table:
    """Return request or response parameters, explained."""
    return Table(title=title, rows=tuple(_rows(values.items(), PARAMETERS)))


def claims(values: Mapping[str, Any], title: str) -> Table:
    """Return the claims of a token or of userinfo, explained."""
    return Table(title=title, rows=tuple(_rows(values.items(), CLAIMS)))


def level(acr: str) -> str:
    """Return a level in words, in whatever spelling it comes."""
    word = acr.rsplit("/", 1)[-1].lower()
    return LEVELS.get(word, acr)


def methods(amr: Iterable[str]) -> str:
    """Return how somebody proved who they are, in words."""
    return ", ".join(METHODS.get(way, way) for way in amr)


def _rows(items: Iterable[tuple[str, Any]], meanings: Mapping[str, str]) -> Iterable[Row]:
    for name, value in items:
        yield Row(name=name, value=_text(name, value), meaning=meanings.get(name, ""))


def _text(name: str, value: Any) -> str:
    if name in _MOMENTS and isinstance(value, int):
        return f"{value} ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
