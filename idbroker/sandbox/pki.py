"""Certificate authorities of our own, for simulated eIDs that know their services by mutual TLS."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
Extension = tuple[x509.ExtensionType, bool]  # with whether it is critical

# Certificates begin a day before: machines and moved clocks disagree.
_BACKDATED = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One certificate authority, which can issue."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    def issue(
        self,
        subject: x509.Name,
        public_key: PublicKey,
        *,
        now: datetime,
        days: int = 365,
        extensions: Sequence[Extension] = (),
    ) -> x509.Certificate:
        """Return an end-entity certificate (RFC 5280, 4.2), valid from a day before `now` until `days` after.

        `extensions` come on top of, or in place of, basicConstraints, keyUsage (digitalSignature) and
        the two key identifiers.
        """
        usual: list[Extension] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True), True),
        ]
        return _certificate(subject, public_key, self, _period(now, days), [*usual, *extensions])


def new_authority(
    name: x509.Name | str,
    *,
    now: datetime,
    issuer: Authority | None = None,
    days: int = 3650,
    key: PrivateKey | None = None,
) -> Authority:
    """Return an authority under `issuer`, or a root. A string is its common name; a new key is on P-256."""
    subject = named(name) if isinstance(name, str) else name
    key = key or ec.generate_private_key(ec.SECP256R1())
    extensions: list[Extension] = [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (_usage(key_cert_sign=True, crl_sign=True), True),
    ]
    certificate = _certificate(subject, key.public_key(), issuer or key, _period(now, days), extensions)
    return Authority(certificate=certificate, key=key)


def named(name: str) -> x509.Name:
    """Return the distinguished name that is nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def write_pair(folder: Path, name: str, certificate: x509.Certificate, key: PrivateKey) -> tuple[Path, Path]:
    """Write `name.crt` and `name.key` in PEM; return their paths. Both are for the owner's eyes only (mode 0600)."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return write_certificates(folder / f"{name}.crt", certificate), _write(folder / f"{name}.key", pem)


def write_certificates(path: Path, *certificates: x509.Certificate) -> Path:
    """Write certificates in PEM, one after the other; return the path."""
    return _write(path, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))


def server_context(certificate_file: Path, key_file: Path, client_authority_file: Path) -> ssl.SSLContext:
    """Return the server's side of mutual TLS: TLS 1.2 or later, and nobody without a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_authority_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate_file, key_file)
    return context


def _write(path: Path, content: bytes) -> Path:
    path.unlink(missing_ok=True)
    # Made with its mode, so that nobody can open it in between.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path


def _period(now: datetime, days: int) -> tuple[datetime, datetime]:
    # A negative number makes one that has expired; it must begin before that all the same.
    return min(now, now + timedelta(days=days)) - _BACKDATED, now + timedelta(days=days)


def _certificate(
    subject: x509.Name,
    public_key: PublicKey,
    issuer: Authority | PrivateKey,
    period: tuple[datetime, datetime],
    extensions: Sequence[Extension],
) -> x509.Certificate:
    signer, key = (issuer.certificate, issuer.key) if isinstance(issuer, Authority) else (None, issuer)
    builder = (
        x509.CertificateBuilder(subject_name=subject, public_key=public_key, serial_number=x509.random_serial_number())
        .issuer_name(signer.subject if signer else subject)
        .not_valid_before(period[0])
        .not_valid_after(period[1])
    )
    identifiers: list[Extension] = [(x509.SubjectKeyIdentifier.from_public_key(public_key), False)]
    if signer:
        identifiers.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False))
    last = {extension.oid: (extension, critical) for extension, critical in [*identifiers, *extensions]}
    for extension, critical in last.values():
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
