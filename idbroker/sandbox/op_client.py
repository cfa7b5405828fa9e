"""Who may ask a simulated OpenID provider, and how they prove it (OpenID Connect Core, 9)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idbroker.clock import Clock

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class OpError(Exception):
    """The client is told, as JSON (RFC 6749, 5.2)."""

    def __init__(self, code: str, *, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class SimClient:
    """One client of a simulated upstream. No redirect URI listed means any, as a demo client has it.

    `private` is a service provider of the private sector: it may match a CPR number, not read it.
    `backchannel_logout_uri` is where it is told that somebody signed out (Back-Channel Logout 1.0, 2.2).
    """

    id: str
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None
    secret: str | None = field(default=None, repr=False)
    auth_method: str = "client_secret_basic"
    jwks: Callable[[], Mapping[str, Any]] | None = None
    id_token_alg: str = "ES256"
    private: bool = False


class Op(Protocol):
    """What authentication needs of the provider it happens at."""

    issuer: str
    clock: Clock
    clients: Mapping[str, SimClient]
    used_assertions: set[str]
    assertion_audience: str


def authenticate(op: Op, form: Mapping[str, str], authorization: str | None) -> SimClient:
    """Return the client. OpError, always the same, when it did not prove who it is."""
    if "client_assertion" in form:
        return _by_assertion(op, form)
    method = "client_secret_post" if authorization is None else "client_secret_basic"
    name, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization is not None:
        name, secret = _basic(authorization)
    client = op.clients.get(name)
    if client is None or client.secret is None or client.auth_method != method:
        raise OpError("invalid_client", status=401)
    if not hmac.compare_digest(client.secret.encode(), secret.encode()):
        raise OpError("invalid_client", status=401)
    return client


def _basic(authorization: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OpError("invalid_client", status=401) from None
    return unquote_plus(name), unquote_plus(secret)


def _by_assertion(op: Op, form: Mapping[str, str]) -> SimClient:
    client = op.clients.get(form.get("client_id", ""))
    if client is None or client.jwks is None or client.auth_method != "private_key_jwt":
        raise OpError("invalid_client", status=401)
    if form.get("client_assertion_type") != _ASSERTION_TYPE:
        raise OpError("invalid_client", status=401)
    keys = KeySet.import_key_set({"keys": list(client.jwks()["keys"])})
    try:
        claims = jwt.decode(form["client_assertion"], keys, algorithms=["RS256", "ES256", "PS256"]).claims
        _check_assertion(op, client, claims)
    except (JoseError, KeyError, ValueError):
        raise OpError("invalid_client", status=401) from None
    return client


def _check_assertion(op: Op, client: SimClient, claims: Mapping[str, Any]) -> None:
    now = op.clock.now().timestamp()
    good = claims["iss"] == claims["sub"] == client.id and claims["aud"] == op.assertion_audience
    if not good or not now < claims["exp"] <= now + 600 or claims["jti"] in op.used_assertions:
        raise ValueError("assertion")
    op.used_assertions.add(claims["jti"])
