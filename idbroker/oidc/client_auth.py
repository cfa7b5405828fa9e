"""Client authentication at the token endpoint and its like (RFC 6749, 2.3; RFC 7523; Core 9)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from idbroker.client import Client, Clients, secret_digest
from idbroker.errors import OAuthError
from idbroker.oidc import jose
from idbroker.oidc.client_keys import ClientKeys
from idbroker.oidc.parameters import Parameters

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ("ES256", "PS256", "RS256", "EdDSA")
SKEW = timedelta(seconds=10)
LONGEST_ASSERTION = timedelta(hours=1)
# RFC 6749, A.1; nothing else goes to a database: PostgreSQL breaks on NUL, a hash on half a surrogate pair.
_CLIENT_ID = re.compile(r"[\x20-\x7e]{1,200}")


class InvalidClient(OAuthError):
    """The client did not prove who it is; `challenge` tells to answer with WWW-Authenticate (RFC 6749, 5.2)."""

    def __init__(self, detail: str, *, challenge: bool = False) -> None:
        super().__init__("invalid_client", "Client authentication failed", status=401, detail=detail)
        self.challenge = challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Authenticates clients.

    `use_once(name, until)` tells True exactly once per name: it stops an assertion from being replayed.
    """

    clients: Clients
    keys: ClientKeys
    issuer: str
    use_once: Callable[[str, datetime], bool]

    def authenticate(self, authorization: str | None, parameters: Parameters, now: datetime) -> Client:
        """Return the authenticated client.

        Raises OAuthError: invalid_request for two methods at once (RFC 6749, 2.3), InvalidClient else.
        """
        basic = authorization is not None and authorization[:6].lower() == "basic "
        used = [basic, "client_secret" in parameters, "client_assertion" in parameters]
        if sum(used) > 1:
            raise OAuthError("invalid_request", "More than one way of client authentication was used")
        if basic:
            return self._by_basic(authorization or "", parameters)
        if "client_assertion" in parameters:
            return self._by_assertion(parameters, now)
        if "client_secret" in parameters:
            return self._by_post(parameters)
        return self._public(parameters)

    def _registered(self, client_id: str, method: str, *, challenge: bool = False) -> Client:
        client = self.clients.find(client_id) if _CLIENT_ID.fullmatch(client_id) else None
        if client is None or client.disabled or client.auth_method != method:
            # The same work and the same words for an unknown client as for a wrong secret.
            secret_digest(client_id)
            raise InvalidClient("unknown or disabled client, or not its registered method", challenge=challenge)
        return client

    def _by_basic(self, authorization: str, parameters: Parameters) -> Client:
        client_id, secret = _basic_pair(authorization)
        if parameters.get("client_id", client_id) != client_id:
            raise InvalidClient("client_id differs from the authenticated client", challenge=True)
        client = self._registered(client_id, "client_secret_basic", challenge=True)
        if not client.has_secret(secret):
            raise InvalidClient("wrong secret", challenge=True)
        return client

    def _by_post(self, parameters: Parameters) -> Client:
        client = self._registered(parameters.get("client_id", ""), "client_secret_post")
        if not client.has_secret(parameters["client_secret"]):
            raise InvalidClient("wrong secret")
        return client

    def _public(self, parameters: Parameters) -> Client:
        return self._registered(parameters.get("client_id", ""), "none")

    def _by_assertion(self, parameters: Parameters, now: datetime) -> Client:
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClient("client_assertion_type is not jwt-bearer")
        assertion = parameters["client_assertion"]
        client = self._registered(_claimed_client(assertion), "private_key_jwt")
        if parameters.get("client_id", client.id) != client.id:
            raise InvalidClient("client_id differs from the assertion's subject")
        try:
            claims = jose.verify(
                assertion,
                self.keys.finder(client, now),
                algorithms=ASSERTION_ALGORITHMS,
                types=("JWT", "client-authentication+jwt"),
            ).claims
            self._check_assertion(claims, client, now)
        except jose.BadToken as error:
            raise InvalidClient(f"assertion: {error}") from error
        return client

    def _check_assertion(self, claims: Mapping[str, Any], client: Client, now: datetime) -> None:
        """Check RFC 7523, 3, with the audience as FAPI 2.0 and rfc7523bis narrow it.

        The audience is our issuer identifier and nothing else, as a single string: a list, or an
        endpoint's URL, lets another server that the client also uses replay the assertion here.
        """
        exp, nbf, iat = (jose.seconds(claims, name) for name in ("exp", "nbf", "iat"))
        at = now.timestamp()
        skew = SKEW.total_seconds()
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise jose.BadToken("iss or sub is not the client")
        if claims.get("aud") != self.issuer:
            raise jose.BadToken("aud is not our issuer as one string")
        if exp is None or exp <= at or exp > at + LONGEST_ASSERTION.total_seconds():
            raise jose.BadToken("exp is missing, past, or too far ahead")
        if (nbf is not None and nbf > at + skew) or (iat is not None and iat > at + skew):
            raise jose.BadToken("not valid yet")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 512:
            raise jose.BadToken("jti is missing or too long")
        until = datetime.fromtimestamp(exp, tz=now.tzinfo) + SKEW
        if not self.use_once(f"{client.id}\n{jti}", until):
            raise jose.BadToken("jti was used before")


def _basic_pair(authorization: str) -> tuple[str, str]:
    """Return id and secret; both are form-encoded inside the Base64 (RFC 6749, 2.3.1)."""
    try:
        pair = base64.b64decode(authorization[6:].strip(), validate=True).decode("utf-8")
    except ValueError:
        raise InvalidClient("malformed Basic credentials", challenge=True) from None
    client_id, colon, secret = pair.partition(":")
    if not colon or not secret:
        raise InvalidClient("Basic credentials without a secret", challenge=True)
    return unquote_plus(client_id), unquote_plus(secret)


def _claimed_client(assertion: str) -> str:
    """Return the unverified `sub`, only to know whose keys to verify with."""
    parts = assertion.split(".")
    if len(assertion) > jose.MOST_CHARACTERS or len(parts) != 3:
        raise InvalidClient("not a JWT")
    try:
        subject = jose.json_object(parts[1]).get("sub")
    except jose.BadToken as error:
        raise InvalidClient("not a JWT") from error
    return subject if isinstance(subject, str) else ""
