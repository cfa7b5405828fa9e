"""Whether the tokens are right: a sign-in counts only then."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec


class Wrong(Exception):
    """A visit that does not count, and why."""


class Judge:
    """Checks the claims of every ID token and the signature of one in `every`."""

    def __init__(self, issuer: str, client_id: str, keys: Mapping[str, Any], *, every: int = 10) -> None:
        self._issuer, self._client_id, self._keys, self._every = issuer, client_id, keys, every
        self._seen = 0
        self.verified = 0

    def judge(self, tokens: Mapping[str, Any], nonce: str) -> str:
        """Return the subject. Raises Wrong."""
        text = str(tokens.get("id_token", ""))
        claims = _claims(text)
        wrong = (
            claims.get("iss") != self._issuer,
            claims.get("aud") not in (self._client_id, [self._client_id]),
            claims.get("nonce") != nonce,
            not isinstance(claims.get("exp"), int) or claims["exp"] <= time.time(),
            claims.get("at_hash", _half(tokens["access_token"])) != _half(tokens["access_token"]),
        )
        if any(wrong):
            raise Wrong(f"id_token: {', '.join(n for n, w in zip(_NAMES, wrong, strict=True) if w)}")
        self._seen += 1
        if self._seen % self._every == 0:
            self._verify(text)
        return str(claims["sub"])

    def _verify(self, text: str) -> None:
        try:
            kid = jwt.get_unverified_header(text)["kid"]
            jwt.decode(text, self._keys[kid], algorithms=["ES256"], audience=self._client_id, issuer=self._issuer)
        except (jwt.PyJWTError, KeyError) as error:
            raise Wrong(f"id_token: {type(error).__name__}") from error
        self.verified += 1


_NAMES = ("iss", "aud", "nonce", "exp", "at_hash")


def keys_of(jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the EC keys of a key set by their id."""
    return {jwk["kid"]: jwt.PyJWK(jwk).key for jwk in jwks["keys"] if jwk["kty"] == "EC"}


def foreign(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return other keys under the same ids: whoever accepts a signature by these verifies nothing."""
    return {kid: ec.generate_private_key(ec.SECP256R1()).public_key() for kid in keys}


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        raise Wrong("id_token: missing")
    value = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    return value if isinstance(value, dict) else {}


def _half(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()
