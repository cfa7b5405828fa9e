"""What others may know of our keys: the JWK set, and the certificates of our SAML metadata."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.x509 import Certificate, load_pem_x509_certificate
from joserfc.jwk import ECKey, RSAKey

from idbroker.errors import OperatorError
from idbroker.keyset import Key, KeySet, State, Use


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKeys:
    """The JWK set as it is sent (RFC 7517, 5)."""

    body: bytes = field(repr=False)
    etag: str
    max_age: timedelta


def published(keys: KeySet, max_age: timedelta) -> PublishedKeys:
    """Return the JWK set of the OpenID keys; equal keys give equal bytes.

    First those that verify: staged, active, retiring. Then those to encrypt to: the active one, for whoever
    takes the first it finds, then staged ones. A retiring one is shown no more, so that its use comes to an end.
    """
    signing = [key for key in keys.alive() if key.use is Use.OIDC_SIGN]
    to_us = [key for key in keys.alive() if key.use is Use.OIDC_ENC and key.state in {State.ACTIVE, State.STAGED}]
    shown = [
        *sorted(signing, key=lambda key: (key.alg, key.published_at, key.kid)),
        *sorted(to_us, key=lambda key: (key.state is not State.ACTIVE, key.published_at, key.kid)),
    ]
    jwks = [_jwk(key) for key in shown]
    body = json.dumps({"keys": jwks}, separators=(",", ":")).encode()
    return PublishedKeys(body=body, etag=hashlib.sha256(body).hexdigest()[:32], max_age=max_age)


def saml_certificates(keys: KeySet, use: Use) -> bytes:
    """Return the certificates that our metadata holds for a SAML use, as PEM, in the same order."""
    chosen = keys.described(use)
    if not chosen:
        raise no_key(use)
    return "".join(key.certificate or "" for key in chosen).encode()


def no_key(use: Use) -> OperatorError:
    """Return the error for a use that has no key yet."""
    hint = f"make it: idbroker keys rotate --use {use}, or start idbroker serve with a provider that needs it"
    return OperatorError(f"there is no {use} key", hint=hint, code="no_key")


def public_key(key: Key) -> Any:
    """Return the public key as a joserfc object that knows its `kid` and `alg`."""
    # `alg` is pinned to the key: a token cannot choose how it is verified (RFC 8725, 3.1).
    jwk: Any = _jwk(key)
    return RSAKey.import_key(jwk) if jwk["kty"] == "RSA" else ECKey.import_key(jwk)


def certificate_of(key: Key) -> Certificate:
    """Return a key's certificate, parsed. OperatorError when there is none that reads."""
    try:
        return load_pem_x509_certificate((key.certificate or "").encode())
    except ValueError as error:
        raise OperatorError(f"the certificate of key {key.kid} does not read", code="damaged") from error


def _jwk(key: Key) -> dict[str, str]:
    use = "enc" if key.use is Use.OIDC_ENC else "sig"
    return {**(key.public or {}), "kid": key.kid, "use": use, "alg": key.alg}
