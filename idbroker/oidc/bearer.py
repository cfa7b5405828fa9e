"""Access tokens presented to us: at userinfo, introspection and revocation (RFC 6750, 7662, 7009)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from idbroker.client import Client
from idbroker.errors import OAuthError
from idbroker.grant import SCOPE_CLAIMS, Grant, LiveToken
from idbroker.oidc import jose
from idbroker.oidc.secret import Secret, inside_jwt, read_secret
from idbroker.oidc.token import acting


class BearerError(OAuthError):
    """Refused at a resource; answered with WWW-Authenticate (RFC 6750, 3)."""

    def __init__(self, code: str, description: str, *, status: int, detail: str = "") -> None:
        super().__init__(code, description, status=status, detail=detail)

    @property
    def challenge(self) -> str:
        """Return the header's value. Nothing of the request is echoed."""
        if not self.code:
            return 'Bearer realm="idbroker"'
        return f'Bearer realm="idbroker", error="{self.code}", error_description="{self.description}"'


def from_header(authorization: str | None, *, elsewhere: bool) -> str:
    """Return the token of an Authorization header; nowhere else is accepted (RFC 9700, 4.3.2).

    `elsewhere` tells that the query or body holds an `access_token`: URLs are logged and kept.
    """
    if elsewhere:
        raise BearerError("invalid_request", "The access token belongs in the Authorization header", status=400)
    if authorization is None:
        raise BearerError("", "", status=401, detail="no token")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or "," in token:
        raise BearerError("invalid_request", "One Bearer token is expected", status=400)
    return token.strip()


KeyById = Callable[[str], Any | None]


def read(text: str, find_key: KeyById, issuer: str) -> Secret | None:
    """Return the secret inside an access token, opaque or JWT, or None for what is no token of ours.

    A JWT is only a shell: its `jti` names it, so that both kinds are looked up, expire and are
    revoked alike; the bare `jti` is no token. `typ` must be at+jwt: an ID token is no access token
    (RFC 9068, 4; RFC 8725, 3.12).
    """
    if text.count(".") != 2:
        return read_secret(text)
    try:
        claims = jose.verify(
            text,
            lambda kid, alg: find_key(kid) if kid else None,
            algorithms=("ES256", "RS256"),
            types=("at+jwt",),
        ).claims
    except jose.BadToken:
        return None
    jti = claims.get("jti")
    secret = read_secret(jti) if isinstance(jti, str) and claims.get("iss") == issuer else None
    return inside_jwt(secret) if secret else None


def live_token(grant: Grant | None, secret: Secret, now: datetime) -> LiveToken | None:
    """Return the token if the grant still stands and the token's time is not up."""
    if grant is None:
        return None
    return next((t for t in grant.live if hmac.compare_digest(t.digest, secret.digest) and t.expires_at > now), None)


def userinfo(grant: Grant, token: LiveToken) -> Mapping[str, Any]:
    """Return the userinfo answer: `sub` and the released claims (Core 5.3.2).

    A token that was narrowed at its refresh shows less: a client narrows it to hand it on to
    somebody it trusts less (RFC 6749, 6).
    """
    if "openid" not in token.scopes:
        raise BearerError("insufficient_scope", "The scope openid is required", status=403)
    return {**shown(grant.claims, grant, token.scopes), **acting(grant), "sub": grant.subject}


def shown(claims: Mapping[str, Any], grant: Grant, scopes: tuple[str, ...]) -> Mapping[str, Any]:
    """Return those of a grant's claims that a token of these scopes has not given up."""
    given_up = set(grant.scopes) - set(scopes)
    hidden = {claim for scope in given_up for claim in SCOPE_CLAIMS.get(scope, ())}
    return {name: value for name, value in claims.items() if name not in hidden}


def introspection(grant: Grant, token: LiveToken, client: Client, issuer: str) -> Mapping[str, Any]:
    """Return the answer for an active token (RFC 7662, 2.2).

    `aud` is the audience of the token's client. A resource that asks about another's token is not
    told its own name instead: it would take any token for its own (RFC 9700, 4.10.2).
    """
    audience = {"aud": client.audience or issuer} if client.id == grant.client_id else {}
    return {
        "active": True,
        "iss": issuer,
        **audience,
        "sub": grant.subject,
        "client_id": grant.client_id,
        "scope": " ".join(token.scopes),
        "token_type": "Bearer",
        "iat": int(token.issued_at.timestamp()),
        "exp": int(token.expires_at.timestamp()),
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": list(grant.amr),
        **acting(grant),
    }
