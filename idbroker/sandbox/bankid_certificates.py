"""The certificates of the simulated BankID's mutual TLS, and whom a certificate of a service names."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from idbroker.sandbox.bankid_chain import NAME_OID
from idbroker.sandbox.bankid_orders import Party
from idbroker.sandbox.pki import Authority, Extension, new_authority, write_certificates, write_pair

_POLICY = "1.2.3.4.5"
_MOST_KEPT = 100
# How BankID writes the attributes of a service's name in what it signs.
_ATTRIBUTES = {
    NameOID.COMMON_NAME: "cn",
    NAME_OID: "name",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.ORGANIZATION_NAME: "o",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "ou",
    NameOID.COUNTRY_NAME: "c",
}


class Unauthorized(Exception):
    """No certificate, or none that our authority for services issued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, in files (PEM)."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What mutual TLS needs on both sides, and clients that are to be told apart or turned away."""

    server_root: Path
    client_authority: Path
    server: Pair
    client: Pair
    other_client: Pair
    expired_client: Pair
    unknown_client: Pair


class Parties:
    """Reads client certificates as the web server hands them on."""

    def __init__(self, authority: x509.Certificate) -> None:
        self._authority = authority
        self._known: dict[str, Party] = {}

    def party(self, pem: str | None) -> Party:
        """Return whom a certificate (PEM) names. Raises Unauthorized."""
        if not pem:
            raise Unauthorized("no client certificate")
        known = self._known.get(pem)
        if known is None:
            known = self._read(pem)
            if len(self._known) < _MOST_KEPT:
                self._known[pem] = known
        return known

    def _read(self, pem: str) -> Party:
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            certificate.verify_directly_issued_by(self._authority)
        except (ValueError, TypeError, InvalidSignature):
            raise Unauthorized("unknown client certificate") from None
        return party_of(certificate)


def party_of(certificate: x509.Certificate) -> Party:
    """Return the service that a client certificate names; its subject is written as BankID writes it (RFC 4514)."""
    shown = certificate.subject.get_attributes_for_oid(NAME_OID)
    return Party(
        id=certificate.fingerprint(hashes.SHA256()).hex(),
        name=certificate.subject.rfc4514_string(_ATTRIBUTES),
        display_name=str(shown[0].value) if shown else "",
    )


def make_files(folder: Path, now: datetime) -> tuple[Files, x509.Certificate]:
    """Write all certificates and keys; return where they are, and the authority that issues to services.

    `now` is the machine's time, for TLS knows no other.
    """
    root = new_authority(_name("Test BankID SSL Root CA v1 Test", ou="Infrastructure CA", o=_BANKID), now=now)
    services = new_authority(_name("Testbank A RP CA v1 for BankID Test", serial="111111111111"), now=now)
    stranger = new_authority(_name("Testbank A RP CA v1 for BankID Test", serial="111111111111"), now=now)
    ours = _service("FP Testcert 5", "Test av BankID", "5566304928")
    other = _service("FP Testcert 6", "Test av annan", "5560000001")
    files = Files(
        server_root=write_certificates(folder / "server_root.crt", root.certificate),
        client_authority=write_certificates(folder / "client_authority.crt", services.certificate),
        server=_pair(folder, "server", root, _name("appapi2.test.bankid.com", o=_BANKID), now, extra=_HOSTS),
        client=_pair(folder, "client", services, ours, now, extra=_POLICIES),
        other_client=_pair(folder, "other_client", services, other, now, extra=_POLICIES),
        expired_client=_pair(folder, "expired_client", services, ours, now, days=-1, extra=_POLICIES),
        unknown_client=_pair(folder, "unknown_client", stranger, ours, now, extra=_POLICIES),
    )
    return files, services.certificate


_BANKID = "Finansiell ID-Teknik BID AB"
_BANK = "Testbank A AB (publ)"
_HOSTS: tuple[Extension, ...] = (
    (
        x509.SubjectAlternativeName(
            [
                x509.DNSName("localhost"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("::1")),
            ]
        ),
        False,
    ),
)
_POLICIES: tuple[Extension, ...] = (
    (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(_POLICY), None)]), False),
)


def _pair(
    folder: Path,
    name: str,
    authority: Authority,
    subject: x509.Name,
    now: datetime,
    *,
    days: int = 3650,
    extra: tuple[Extension, ...] = (),
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = authority.issue(subject, key.public_key(), now=now, days=days, extensions=extra)
    certificate, key_file = write_pair(folder, name, issued, key)
    return Pair(certificate=certificate, key=key_file)


def _service(common: str, name: str, serial: str) -> x509.Name:
    return _name(common, name=name, serial=serial)


def _name(
    common: str, *, o: str = _BANK, ou: str | None = None, serial: str | None = None, name: str | None = None
) -> x509.Name:
    parts = [
        (NameOID.COUNTRY_NAME, "SE" if o == _BANK else None),
        (NameOID.ORGANIZATION_NAME, o),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, ou),
        (NameOID.SERIAL_NUMBER, serial),
        (NAME_OID, name),
        (NameOID.COMMON_NAME, common),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value is not None])
