"""How we prove who we are to an upstream (OpenID Connect Core, 9; RFC 7523), with Authlib's methods."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from authlib.integrations.requests_client.oauth2_session import OAuth2ClientAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign

from idbroker.providers import Means
from idbroker.providers._oidc.upstream import Upstream

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_ASSERTION_LIFE = timedelta(seconds=60)

auth_type = OAuth2ClientAuth


def auth_methods(upstream: Upstream, means: Means, now: datetime | None, token_endpoint: str = "") -> tuple[Any, ...]:
    """Return the methods to register with Authlib's client. Without `now`, nothing is to be signed."""
    basic = ("client_secret_basic", _basic)
    if upstream.auth_method != "private_key_jwt" or now is None:
        return (basic,)
    return (basic, _Assertion(upstream, means, now, token_endpoint))


def _basic(client: Any, _method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    # RFC 6749, 2.3.1: both are form-encoded first. Authlib leaves that out.
    text = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(text.encode()).decode()}"
    return uri, headers, body


class _Assertion(PrivateKeyJWT):  # type: ignore[misc]  # Authlib ships no types
    """Signs with the key as it is now, by our clock, for the issuer.

    With a token endpoint as the audience one upstream could pass our assertion on to another
    (audience injection, RFC 7523bis): only for those that know no other way, and an endpoint elsewhere
    than at the issuer's own hosts is never believed.
    """

    def __init__(self, upstream: Upstream, means: Means, now: datetime, token_endpoint: str) -> None:
        super().__init__(token_endpoint if upstream.assertion_audience == "token_endpoint" else upstream.issuer)
        self._upstream, self._means, self._now = upstream, means, now

    def sign(self, auth: Any, token_endpoint: str) -> str:
        key = self._means.keys.client_key(self._upstream.assertion_alg)
        header: Mapping[str, str] = {"kid": key.kid, "typ": "JWT"}
        return str(
            private_key_jwt_sign(
                key.key,
                client_id=auth.client_id,
                token_endpoint=token_endpoint,
                alg=key.alg,
                header=dict(header),
                issued_at=int(self._now.timestamp()),
                expires_in=int(_ASSERTION_LIFE.total_seconds()),
            )
        )
