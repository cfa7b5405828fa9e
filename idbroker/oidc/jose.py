"""JSON Web Tokens: ours signed, others' verified, with nothing taken from a header but `kid` and `alg`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry

from idbroker.oidc import strict_json

MOST_CHARACTERS = 16 * 1024
ASYMMETRIC = ("ES256", "PS256", "RS256", "EdDSA")
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KNOWN_HEADERS = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256", "jwk", "jku", "x5u", "x5c"})
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class BadToken(Exception):
    """A token that does not verify. One error for every cause: an attacker learns nothing from it."""


class Signer(Protocol):
    """A key to sign with."""

    @property
    def kid(self) -> str:
        """Its name in our key set."""
        ...

    @property
    def alg(self) -> str:
        """The one algorithm it signs by."""
        ...

    @property
    def key(self) -> Any:
        """The key object, parsed once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A token whose signature was verified. Unverified claims have no type of their own: they have no use."""

    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


def sign(claims: Mapping[str, Any], signer: Signer, typ: str = "JWT") -> str:
    """Return a compact JWS of the claims (RFC 7515, 3.1), explicitly typed (RFC 8725, 3.11)."""
    header = {"alg": signer.alg, "kid": signer.kid, "typ": typ}
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    return jws.serialize_compact(header, payload, signer.key, algorithms=[signer.alg])


KeyFinder = Callable[[str | None, str], Any | None]


def verify(token: str, find_key: KeyFinder, *, algorithms: Collection[str], types: Collection[str]) -> Signed:
    """Verify a compact JWS and return its claims; BadToken for every failure.

    `find_key(kid, alg)` returns one of *our configured* keys for that issuer, or None. What a header
    brings along (`jwk`, `jku`, `x5u`, `x5c`) is never used (CVE-2026-27962 and others), `crit` is
    refused (RFC 7515, 4.1.11), `alg` must be allowed and fit the key (no HMAC with a public key),
    and `typ` must be one of `types`, which stops one kind of token from being used as another.
    """
    if len(token) > MOST_CHARACTERS or not _COMPACT.fullmatch(token):
        raise BadToken("not a compact JWS of a reasonable size")
    first, payload, _ = token.split(".")
    header = json_object(first)
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in algorithms or not (kid is None or isinstance(kid, str)):
        raise BadToken("alg is not allowed, or kid is no string")
    if not set(header) <= _KNOWN_HEADERS:
        raise BadToken("a header parameter is not understood")
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in {t.lower() for t in types}:
        raise BadToken("typ is that of another kind of token")
    key = find_key(kid, alg)
    if key is None:
        raise BadToken("no such key")
    try:
        jws.deserialize_compact(token, key, registry=_Registry(algorithms=[alg]))
    except (JoseError, ValueError, TypeError) as error:
        raise BadToken("the signature does not verify") from error
    return Signed(header=header, claims=json_object(payload))


class _Registry(JWSRegistry):
    """Knows EdDSA by its first name, without a warning: RFC 9864 renames it, clients still use it."""

    def get_alg(self, name: str) -> Any:
        """Return an allowed algorithm."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


def json_object(segment: str) -> dict[str, Any]:
    """Decode one base64url segment to a JSON object; BadToken for padding, stray bits, doubles, or no object."""
    try:
        return strict_json.read_object(_octets(segment))
    except ValueError as error:
        raise BadToken("a segment is not a JSON object") from error


def _octets(segment: str) -> bytes:
    try:
        octets = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise BadToken("a segment is not base64url") from error
    if base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != segment:
        raise BadToken("a segment is not canonical base64url")
    return octets


def half_hash(value: str, alg: str) -> str:
    """Return `at_hash` or `c_hash`: the left half of the hash that goes with `alg` (Core 3.1.3.6)."""
    digest = _HASHES[alg[-3:]](value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def seconds(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate claim, None when absent; BadToken when it is no finite number (RFC 7519, 2)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e11 < value < 1e11:
        raise BadToken(f"{name} is no date")
    return float(value)
