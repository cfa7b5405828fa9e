"""What a logout token must say before a session ends because of it (OpenID Connect Back-Channel Logout 1.0, 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from idbroker.errors import Untrusted
from idbroker.providers import Summons
from idbroker.providers._oidc.id_token import moment
from idbroker.providers._oidc.upstream import SKEW

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(hours=1)
_LONGEST_NAME = 255

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Who may send one, to whom, and when it is now."""

    issuer: str
    client_id: str
    now: datetime


def read_logout_token(claims: Claims, expected: Expected) -> Summons:
    """Return what a token whose signature was verified says, or raise Untrusted naming the claim that is wrong."""
    for check in CHECKS:
        check(claims, expected)
    session, subject = claims.get("sid"), claims.get("sub")
    return Summons(
        id=f"{expected.issuer} {claims['jti']}",
        issued=moment(claims, "iat") or expected.now,
        until=_ends(claims) + SKEW,
        # With a session named, only that one is meant (2.7).
        names=(f"sub:{subject}",) if session is None else (f"sid:{session}",),
        for_good=session is not None,
    )


def _check_issuer(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise Untrusted("logout token: another issuer")


def _check_audience(claims: Claims, expected: Expected) -> None:
    # A token for another client, passed on by it, must not sign anybody out here.
    if claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise Untrusted("logout token: not for us alone")


def _check_kind(claims: Claims, _: Expected) -> None:
    # An ID token or any other JWT of the same signer is no order to end a session (2.4; RFC 8725, 2.8).
    events = claims.get("events")
    if not isinstance(events, dict) or events.keys() != {EVENT} or not isinstance(events[EVENT], dict):
        raise Untrusted("logout token: no such event")


def _check_no_nonce(claims: Claims, _: Expected) -> None:
    # The other way round too: with a nonce it could pass for an ID token (2.4).
    if "nonce" in claims:
        raise Untrusted("logout token: with a nonce")


def _check_lifetime(claims: Claims, expected: Expected) -> None:
    made, ends = moment(claims, "iat"), moment(claims, "exp")
    if made is None or ends is None:
        raise Untrusted("logout token: iat, exp missing")
    # Its `jti` is remembered until it is over: one that never is could be replayed some day.
    if ends <= expected.now - SKEW or made <= expected.now - LIFE:
        raise Untrusted("logout token: over")
    if made > expected.now + SKEW:
        raise Untrusted("logout token: of the future")


def _check_id(claims: Claims, _: Expected) -> None:
    if not _is_name(claims.get("jti")):
        raise Untrusted("logout token: no jti")


def _check_whom(claims: Claims, _: Expected) -> None:
    named = [claims[name] for name in ("sub", "sid") if name in claims]
    if not named or not all(map(_is_name, named)):
        raise Untrusted("logout token: nobody named")


CHECKS: tuple[Callable[[Claims, Expected], None], ...] = (
    _check_issuer,
    _check_audience,
    _check_kind,
    _check_no_nonce,
    _check_lifetime,
    _check_id,
    _check_whom,
)


def _is_name(claim: Any) -> bool:
    return isinstance(claim, str) and 0 < len(claim) <= _LONGEST_NAME and claim.isascii() and claim.isprintable()


def _ends(claims: Claims) -> datetime:
    made, ends = moment(claims, "iat"), moment(claims, "exp")
    if made is None or ends is None:
        raise Untrusted("logout token: iat, exp missing")
    return min(ends, made + LIFE)
