"""A request that nobody can change on its way through the browser: signed (RFC 9101)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt

from idbroker.providers import Means
from idbroker.providers._oidc.upstream import SKEW, Upstream

LIFE = timedelta(minutes=5)
_TYPE = "oauth-authz-req+jwt"


def signed_request(parameters: Mapping[str, str], upstream: Upstream, means: Means, now: datetime) -> dict[str, str]:
    """Return what is sent instead of the parameters: the client, and all of them signed for this issuer alone."""
    key = means.keys.client_key(upstream.assertion_alg)
    times = {"iat": now, "nbf": now - SKEW, "exp": now + LIFE}
    claims: dict[str, Any] = {
        **parameters,
        "iss": upstream.client_id,
        "aud": upstream.issuer,
        "jti": secrets.token_urlsafe(16),
        **{name: int(at.timestamp()) for name, at in times.items()},
    }
    if "max_age" in parameters:
        claims["max_age"] = int(parameters["max_age"])  # a number is one in JSON too (RFC 9101, 4)
    header = {"alg": key.alg, "kid": key.kid, "typ": _TYPE}
    repeated = {name: parameters[name] for name in upstream.repeated if name in parameters}
    signed = jwt.encode(header, claims, key.key, algorithms=[key.alg])
    return {"client_id": upstream.client_id, **repeated, "request": signed}
