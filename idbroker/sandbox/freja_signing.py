"""The keys Freja eID signs its results with: a certificate for now, the next one, and some that are not to be believed.

A result's `details` is a compact JWS (RFC 7515, 7.1), RS256, whose header names the certificate by its
SHA-1 thumbprint (`x5t`, 4.1.7).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc.util import urlsafe_b64encode

from idbroker.clock import Clock
from idbroker.sandbox.pki import Authority, named, write_certificates

# The sandbox's clock may be moved that far either way; its certificates are to be valid there too.
MOVES = timedelta(days=50 * 366)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key with its certificate, which lies in a file in PEM."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    path: Path

    @property
    def x5t(self) -> str:
        """Return how a header names the certificate (RFC 7515, 4.1.7)."""
        # The standard's choice; the signature does not rest on it.
        return urlsafe_b64encode(self.certificate.fingerprint(hashes.SHA1())).decode()  # noqa: S303

    def rs256(self, text: bytes) -> bytes:
        """Sign (RFC 7518, 3.3)."""
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())


class SigningKeys:
    """The two certificates that services are told of, and which of them signs.

    They are made in the background from the start on, for a service must know both before the first
    result. `expired` is one that was good once, and `unknown` one that no service was told of; those
    are made when asked for.
    """

    def __init__(self, folder: Path, issuer: Authority, clock: Clock) -> None:
        self._folder, self._issuer, self._clock = folder, issuer, clock
        self._signs = 0
        self._lock = threading.Lock()
        self._others: dict[str, SigningKey] = {}
        makers = ThreadPoolExecutor(2)
        self._known = tuple(makers.submit(self._make, name) for name in ("1", "2"))
        makers.shutdown(wait=False)

    @property
    def paths(self) -> list[Path]:
        """Return the certificates' files: the one that signs first, then the next."""
        return [self.current.path, self.next.path]

    @property
    def current(self) -> SigningKey:
        """Return the key that signs now."""
        return self._known[self._signs].result()

    @property
    def next(self) -> SigningKey:
        """Return the key that will sign after a rotation."""
        return self._known[1 - self._signs].result()

    @property
    def expired(self) -> SigningKey:
        """Return a key of Freja's whose certificate has expired."""
        return self._other("expired", days=-1)

    @property
    def unknown(self) -> SigningKey:
        """Return a key of Freja's that no service was told of."""
        return self._other("unknown", days=MOVES.days)

    def rotate(self) -> None:
        """Sign with the other certificate from now on."""
        with self._lock:
            self._signs = 1 - self._signs

    def sign(self, payload: Mapping[str, Any]) -> str:
        """Return the payload as a JWS, as Freja makes it."""
        key = self.current
        return compact({"x5t": key.x5t, "alg": "RS256"}, payload, key.rs256)

    def _other(self, name: str, days: int) -> SigningKey:
        with self._lock:
            if name not in self._others:
                self._others[name] = self._make(name, days)
            return self._others[name]

    def _make(self, name: str, days: int | None = None) -> SigningKey:
        key = rsa.generate_private_key(65537, 2048)
        now = self._clock.now()
        began, lasts = (now - MOVES, 2 * MOVES.days) if days is None else (now, days)
        subject = named(f"Simulated Freja eID JWS Signing {name}")
        certificate = self._issuer.issue(subject, key.public_key(), now=began, days=lasts)
        path = write_certificates(self._folder / f"freja-jws-{name}.crt", certificate)
        return SigningKey(key=key, certificate=certificate, path=path)


def compact(header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return a compact JWS with exactly this header."""
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = urlsafe_b64encode(json.dumps(header).encode()) + b"." + urlsafe_b64encode(content)
    return (text + b"." + urlsafe_b64encode(sign(text))).decode()
