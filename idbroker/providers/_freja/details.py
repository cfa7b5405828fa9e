"""Freja's signed answer, `details`: a compact JWS (RFC 7515) whose signer is one of the configured certificates.

It names neither issuer nor audience, and no nonce: it is ours by its `authRef` alone, which only the
holder of our TLS certificate was told.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from idbroker.errors import Untrusted
from idbroker.providers._freja.levels import Registration
from idbroker.providers._oidc import SKEW
from idbroker.providers._oidc.upstream import json_object, same

ALGORITHMS = ("RS256", "RS384", "RS512")
INFERRED = "INFERRED"  # begun by whoever scans the code or follows the link
BY_NUMBER = "SSN"
_LONGEST = 32768
_SMALLEST_KEY = 2048
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_VERIFIER = jwt.PyJWS()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One certificate Freja signs with, between two moments."""

    key: RSAPublicKey
    begins: datetime
    ends: datetime


Signers = Mapping[str, Signer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What we know of this order. `kind` is how it was begun, in Freja's word."""

    reference: str = field(repr=False)
    least: Registration
    made_at: datetime
    now: datetime
    kind: str = INFERRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What Freja signed, verified: when the person acted, and the attributes that were asked for."""

    at: datetime
    attributes: Mapping[str, Any] = field(repr=False)


def read_signers(pem: bytes) -> dict[str, Signer]:
    """Return the certificates of a PEM file by their x5t (RFC 7515, 4.1.7).

    Raises ValueError for one that is no certificate of a strong RSA key for signing.
    """
    return {x5t(certificate): _signer(certificate) for certificate in x509.load_pem_x509_certificates(pem)}


def x5t(certificate: x509.Certificate) -> str:
    """Return the thumbprint a header names it by. SHA-1 does no harm: it only picks one of ours."""
    digest = certificate.fingerprint(hashes.SHA1())  # noqa: S303 - the standard's; it is a name here, not a proof
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _signer(certificate: x509.Certificate) -> Signer:
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < _SMALLEST_KEY:
        raise ValueError(f"not of an RSA key of {_SMALLEST_KEY} bits or more")
    usages = [extension.value for extension in certificate.extensions if isinstance(extension.value, x509.KeyUsage)]
    if not all(usage.digital_signature for usage in usages):
        raise ValueError("not for signing")
    return Signer(key=key, begins=certificate.not_valid_before_utc, ends=certificate.not_valid_after_utc)


def verified(token: Any, signers: Signers, algorithms: Sequence[str], expected: Expected) -> Details:
    """Return what was signed for this order. Untrusted, saying which check it failed."""
    payload = _payload(token, signers, algorithms, expected.now)
    _check_order(payload, expected)
    at = _moment(payload, expected)
    attributes = payload.get("requestedAttributes")
    if not isinstance(attributes, dict):
        raise Untrusted("details: no attributes")
    return Details(at=at, attributes=attributes)


def _payload(token: Any, signers: Signers, algorithms: Sequence[str], now: datetime) -> dict[str, Any]:
    # Size and shape go before any parsing: one spelling only, nothing that a decoder would skip.
    if not isinstance(token, str) or len(token) > _LONGEST or not _COMPACT.fullmatch(token):
        raise Untrusted("details: not a compact JWS")
    alg, signer = _read_header(token, signers, algorithms)
    if not signer.begins <= now <= signer.ends:
        raise Untrusted("details: signed with a certificate whose time is over or has not come")
    try:
        return json_object(_VERIFIER.decode_complete(token, signer.key, algorithms=[alg])["payload"])
    except jwt.PyJWTError as error:
        raise Untrusted("details: a signature that does not verify") from error
    except ValueError as error:
        raise Untrusted("details: a payload that does not read") from error


def _read_header(token: str, signers: Signers, algorithms: Sequence[str]) -> tuple[str, Signer]:
    try:
        header = json_object(jwt.utils.base64url_decode(token.partition(".")[0]))
    except ValueError as error:
        raise Untrusted("details: a header that does not read") from error
    # `crit` names rules we do not know; `b64` changes what is signed (RFC 7515, 4.1.11; RFC 7797).
    if "crit" in header or "b64" in header:
        raise Untrusted("details: a critical header")
    # Ours to choose, not the token's: else `none`, or a MAC with the public key as its secret (RFC 8725, 3.1).
    alg, name = header.get("alg"), header.get("x5t")
    if not isinstance(alg, str) or alg not in algorithms:
        raise Untrusted("details: an algorithm we do not take")
    # Its kid, jwk, jku, x5c and x5u are never looked at: whoever forges a token writes its header.
    signer = signers.get(name.rstrip("=")) if isinstance(name, str) else None
    if signer is None:
        raise Untrusted("details: signed with a certificate that is not configured")
    return alg, signer


def _check_order(payload: Mapping[str, Any], expected: Expected) -> None:
    # A true answer about another order, replayed: of another person, another service, another day.
    if not same(payload.get("authRef"), expected.reference):
        raise Untrusted("details: of another order")
    if payload.get("status") != "APPROVED":
        raise Untrusted("details: not of an approval")
    # Started by a number or an address, an order lands in the app of whoever an attacker names (E2): that of
    # somebody on the telephone signs nobody in, nor does a sign-in say who is on the telephone.
    if payload.get("userInfoType") != expected.kind:
        raise Untrusted("details: of an order begun in another way")
    least = payload.get("minRegistrationLevel")
    if not isinstance(least, str) or Registration.__members__.get(least, 0) < expected.least:
        raise Untrusted("details: of an order at a lower level")


def _moment(payload: Mapping[str, Any], expected: Expected) -> datetime:
    stamp = payload.get("timestamp")
    if not isinstance(stamp, int) or isinstance(stamp, bool):
        raise Untrusted("details: no time")
    try:
        at = datetime.fromtimestamp(stamp / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Untrusted("details: no time") from error
    if not expected.made_at - SKEW <= at <= expected.now + SKEW:
        raise Untrusted("details: not made for this order")
    # By our clock the person acted between the order and now, whatever Freja's says.
    return min(max(at, expected.made_at), expected.now)
