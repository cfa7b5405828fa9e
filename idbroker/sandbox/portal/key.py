"""A portal's own key, for signing in to the token endpoint (RFC 7523, 2.2)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalKey:
    """A private key with its id, and the key set to register."""

    kid: str
    private: EllipticCurvePrivateKey = field(repr=False)
    jwks: Mapping[str, Any]


def new_portal_key() -> PortalKey:
    """Make a key; its id is its thumbprint (RFC 7638)."""
    private = generate_private_key(SECP256R1())
    public: dict[str, Any] = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    members = {name: public[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    kid = urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    jwks = {"keys": [{**members, "kid": kid, "use": "sig", "alg": "ES256"}]}
    return PortalKey(kid=kid, private=private, jwks=jwks)
