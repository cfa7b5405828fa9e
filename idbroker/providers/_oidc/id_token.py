"""What an ID token must say before anything in it is believed (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from idbroker.errors import Untrusted
from idbroker.providers._oidc.upstream import SKEW, same

_LONGEST_SUBJECT = 255

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What we know of this sign-in. `asked` is when we sent the person; `max_age`, how old their act may be."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    access_token: str = field(repr=False)
    code: str = field(repr=False)
    now: datetime
    asked: datetime
    max_age: timedelta | None = None


def check_id_token(claims: Claims, expected: Expected) -> None:
    """Let an ID token pass, or raise Untrusted saying which claim is not what it must be."""
    for check in CHECKS:
        check(claims, expected)


def moment(claims: Claims, name: str) -> datetime | None:
    """Return a time claim, None without one. Untrusted for text, true, infinity or no time of this age."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Untrusted(f"{name} is not a time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Untrusted(f"{name} is not a time") from error


def proved_at(claims: Claims) -> datetime:
    """Return when the person acted: what the upstream says, else when it made the token."""
    at = moment(claims, "auth_time") or moment(claims, "iat")
    if at is None:
        raise Untrusted("no time")
    return at


def _check_issuer(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise Untrusted("iss: another issuer")


def _check_audience(claims: Claims, expected: Expected) -> None:
    # A token for somebody else, replayed to us, or one that somebody else could replay (token
    # recipient confusion): we must be the only one, however it is written.
    if claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise Untrusted("aud: not for us alone")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise Untrusted("azp: made for another client")


def _check_subject(claims: Claims, _: Expected) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isascii():
        raise Untrusted("sub: missing")


def _check_lifetime(claims: Claims, expected: Expected) -> None:
    ends, made = moment(claims, "exp"), moment(claims, "iat")
    if ends is None or made is None:
        raise Untrusted("exp, iat: missing")
    if ends <= expected.now - SKEW:
        raise Untrusted("exp: over")
    # A token made before we asked is a replayed one; one made in the future, a forged one.
    if not expected.asked - SKEW <= made <= expected.now + SKEW:
        raise Untrusted("iat: not made for this request")
    starts = moment(claims, "nbf")
    if starts is not None and starts > expected.now + SKEW:
        raise Untrusted("nbf: not yet")


def _check_nonce(claims: Claims, expected: Expected) -> None:
    # The nonce ties the token to this transaction: a code or token injected from another has another.
    if not same(claims.get("nonce"), expected.nonce):
        raise Untrusted("nonce: another transaction's")


def _check_hash(name: str, value: Callable[[Expected], str]) -> Callable[[Claims, Expected], None]:
    def check(claims: Claims, expected: Expected) -> None:
        if name not in claims:
            return
        # All algorithms we take hash with SHA-256.
        half = hashlib.sha256(value(expected).encode()).digest()[:16]
        right = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        if not same(claims[name], right):
            raise Untrusted(f"{name}: belongs to another token")

    return check


def _check_recent(claims: Claims, expected: Expected) -> None:
    acted = moment(claims, "auth_time")
    if acted is not None and acted > expected.now + SKEW:
        raise Untrusted("auth_time: in the future")
    if expected.max_age is None:
        return
    # An upstream that answers from its own old session did not do what was asked (step-up bypass).
    if acted is None or acted + expected.max_age < expected.asked - SKEW:
        raise Untrusted("auth_time: too long ago")


def _check_kind(claims: Claims, _: Expected) -> None:
    # A logout token is signed with the same key (OpenID Connect Back-Channel Logout, 2.4).
    if "events" in claims:
        raise Untrusted("a logout token")


CHECKS: tuple[Callable[[Claims, Expected], None], ...] = (
    _check_issuer,
    _check_audience,
    _check_subject,
    _check_lifetime,
    _check_nonce,
    _check_hash("at_hash", lambda expected: expected.access_token),
    _check_hash("c_hash", lambda expected: expected.code),
    _check_recent,
    _check_kind,
)
