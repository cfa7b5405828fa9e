"""New keys: made, named, and given a certificate where metadata needs one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, RSAKey

from idbroker.errors import OperatorError
from idbroker.keyset import Key, State, Use
from idbroker.rotation import Step

Material = RSAPrivateKey | EllipticCurvePrivateKey | bytes
# How long a certificate is in use. A staged one has to outlive the one in front of it as well.
CERTIFICATE_LIFE = timedelta(days=3 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new key and its secret: a private key, or 32 random bytes."""

    key: Key
    material: Material = field(repr=False)


KeyMaker = Callable[[Step, datetime, int | None, bool], Made]


def make_key(step: Step, now: datetime, number: int | None, sandbox: bool) -> Made:
    """Make the key a step asks for: `number` is a data key's, `sandbox` marks it as not for real people."""
    entry = Key(
        kid="",
        use=step.use,
        alg=step.alg,
        state=step.becomes,
        created_at=now,
        published_at=now,
        active_at=now if step.becomes is State.ACTIVE else None,
        sandbox=sandbox,
        number=number,
    )
    if step.use in {Use.DATA, Use.INDEX, Use.SUBJECT}:
        return Made(key=replace(entry, kid=secrets.token_hex(16)), material=secrets.token_bytes(32))
    private = _private(step.alg)
    # The command line would take a name that begins with a dash for an option.
    while (named := public_jwk(private.public_key()))["kid"].startswith("-"):
        private = _private(step.alg)
    public = {name: value for name, value in named.items() if name != "kid"}
    key = replace(entry, kid=named["kid"], public=public)
    if isinstance(private, RSAPrivateKey) and step.use in {Use.SAML_SIGN, Use.SAML_ENC}:
        key = _certified(key, private, now)
    return Made(key=key, material=private)


def public_jwk(public: RSAPublicKey | EllipticCurvePublicKey) -> dict[str, str]:
    """Return the public JWK with its RFC 7638 thumbprint as `kid`."""
    key: RSAKey | ECKey = RSAKey(public, public) if isinstance(public, RSAPublicKey) else ECKey(public, public)
    members: dict[str, Any] = dict(key.as_dict(private=False))
    return {**{name: str(value) for name, value in members.items()}, "kid": key.thumbprint()}


def public_pem(key: Key) -> str:
    """Return a key's certificate or public key as PEM. OperatorError (exit 2) for a symmetric key: it has none."""
    if key.certificate is not None:
        return key.certificate
    if key.public is None:
        raise OperatorError(f"a {key.use} key has no public part", code="symmetric", exit_code=2)
    jwk: Any = dict(key.public)
    parsed = RSAKey.import_key(jwk) if jwk["kty"] == "RSA" else ECKey.import_key(jwk)
    return parsed.as_pem(private=False).decode()


def _private(alg: str) -> RSAPrivateKey | EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1()) if alg == "ES256" else generate_rsa(65537, 2048)


def _certified(key: Key, private: RSAPrivateKey, now: datetime) -> Key:
    lives = 2 if key.state is State.STAGED else 1
    certificate = _certificate(private, now, now + lives * CERTIFICATE_LIFE)
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return replace(key, certificate=pem, ends_at=certificate.not_valid_after_utc)


def _certificate(private: RSAPrivateKey, now: datetime, ends: datetime) -> x509.Certificate:
    """Return a self-signed certificate: SAML pins it, so that only its key and its end matter."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idbroker")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(ends)
        .sign(private, hashes.SHA256())
    )
