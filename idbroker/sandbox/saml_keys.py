"""The keys of a simulated identity provider: the one in use, the next one, its metadata's, and a stranger's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from idbroker.sandbox.pki import named, write_certificates

_LIFE = timedelta(days=730)
_BACKDATED = timedelta(days=1)  # machines and moved clocks disagree


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A private key with its certificate."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate


class IdpKeys:
    """All keys of one identity provider, new in every world. A stranger's is made when first lied with."""

    def __init__(self, name: str, now: datetime) -> None:
        self._name, self._now = name, now
        self.active = new_signer(f"{name} signing 1 (simulated)", now)
        self.next = new_signer(f"{name} signing 2 (simulated)", now)
        self.metadata = new_signer(f"{name} metadata (simulated)", now)

    @cached_property
    def stranger(self) -> Signer:
        """Return a key that no metadata names, under the active one's name."""
        return new_signer(f"{self._name} signing 1 (simulated)", self._now)

    def write(self, folder: Path) -> Path:
        """Write the metadata signer's certificate in PEM, for a broker to pin; return its path."""
        return write_certificates(folder / "metadata-signer.pem", self.metadata.certificate)


def new_signer(name: str, now: datetime) -> Signer:
    """Return a new RSA key of 2048 bits in a certificate of its own making, good for two years."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
    )
    return Signer(key=key, certificate=builder.sign(key, hashes.SHA256()))
