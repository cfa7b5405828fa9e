"""The certificates behind a simulated BankID signature: named, tiered and marked like those of BankID's test system."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.pki import Authority, Extension, new_authority

MOBILE_POLICY = "1.2.3.4.25"  # Mobile BankID, in the test system
FOREIGN_POLICY = "1.2.3.4.99"
OCSP_ADDRESS = "http://test.revocationstatus.se"
NAME_OID = x509.ObjectIdentifier("2.5.4.41")
# How old a person's BankID is, and how long it lasts.
_AGE = timedelta(days=200)
_LASTS = timedelta(days=730)
# The sandbox's clock may be moved by decades.
_LONG_AGO = timedelta(days=3650)
_FOR_EVER = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class BankID:
    """One person's BankID: its key, its certificate and the two above, without the root."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificates: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """Return the person's own certificate."""
        return self.certificates[0]


class Chain:
    """A root, a bank under it, the bank's CA for customers, its OCSP responder; RSA all through, made when needed."""

    def __init__(self, now: datetime) -> None:
        self._began = now - _LONG_AGO
        self._lock = threading.Lock()
        self._root = self._authority(_name("Test BankID Root CA v1 Test", ou="BankID Member Banks CA", bank=_BANKID))
        self._tiers: tuple[Authority, Authority] | None = None  # the bank, and its authority for customers
        self._responder: Authority | None = None
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._issued: dict[str, BankID] = {}

    @property
    def root(self) -> x509.Certificate:
        """Return the root, which a relying party is to trust."""
        return self._root.certificate

    def bank_id(self, person: SimPerson, now: datetime) -> BankID:
        """Return a person's Mobile BankID, the same until it expires."""
        with self._lock:
            kept = self._issued.get(person.id)
            if kept is None or not kept.leaf.not_valid_before_utc <= now < kept.leaf.not_valid_after_utc:
                kept = self._issued[person.id] = self._issue(person, now - _AGE, MOBILE_POLICY)
            return kept

    def expired(self, person: SimPerson, now: datetime) -> BankID:
        """Return one that ran out a month ago."""
        with self._lock:
            return self._issue(person, now - _LASTS - timedelta(days=30), MOBILE_POLICY)

    def foreign(self, person: SimPerson, now: datetime) -> BankID:
        """Return one of a policy that is nobody's."""
        with self._lock:
            return self._issue(person, now - _AGE, FOREIGN_POLICY)

    def responder(self) -> Authority:
        """Return the OCSP responder: of the same authority as the people's certificates (RFC 6960, 4.2.2.2)."""
        with self._lock:
            if self._responder is None:
                key, (_, customers) = _new_key(), self._authorities()
                marks: list[Extension] = [
                    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
                    (x509.OCSPNoCheck(), False),
                ]
                subject = _name("Testbank A Customer CA1 v1 for BankID Test OCSP Signing")
                certificate = customers.issue(
                    subject, key.public_key(), now=self._began, days=_FOR_EVER, extensions=marks
                )
                self._responder = Authority(certificate=certificate, key=key)
            return self._responder

    def _issue(self, person: SimPerson, at: datetime, policy: str) -> BankID:
        bank, customers = self._authorities()
        key = self._keys.get(person.id) or self._keys.setdefault(person.id, _new_key())
        leaf = customers.issue(
            _subject(person, at), key.public_key(), now=at, days=_LASTS.days, extensions=_extensions(policy)
        )
        return BankID(key=key, certificates=(leaf, customers.certificate, bank.certificate))

    def _authorities(self) -> tuple[Authority, Authority]:
        if self._tiers is None:
            bank = self._authority(_name("Testbank A CA v1 for BankID Test", serial=_BANK_SERIAL), self._root)
            name = _name("Testbank A Customer CA1 v1 for BankID Test", serial=_BANK_SERIAL)
            self._tiers = bank, self._authority(name, bank)
        return self._tiers

    def _authority(self, name: x509.Name, issuer: Authority | None = None) -> Authority:
        return new_authority(name, now=self._began, issuer=issuer, days=_FOR_EVER, key=_new_key())


_BANK = "Testbank A AB (publ)"
_BANKID = "Finansiell ID-Teknik BID AB"
_BANK_SERIAL = "111111111111"


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _name(common: str, *, ou: str | None = None, serial: str | None = None, bank: str = _BANK) -> x509.Name:
    """Return a name of an authority: a bank's with its country and serial number, BankID's own without."""
    parts = [
        (NameOID.COUNTRY_NAME, "SE" if bank == _BANK else None),
        (NameOID.ORGANIZATION_NAME, bank),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, ou),
        (NameOID.SERIAL_NUMBER, serial),
        (NameOID.COMMON_NAME, common),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value is not None])


def _subject(person: SimPerson, at: datetime) -> x509.Name:
    parts = [
        (NameOID.COUNTRY_NAME, "SE"),
        (NameOID.ORGANIZATION_NAME, _BANK),
        (NameOID.SURNAME, person.family_name),
        (NameOID.GIVEN_NAME, person.given_name),
        (NameOID.SERIAL_NUMBER, str(person.number)),
        (NAME_OID, f"({at:%y%m%d %H.%M}) {person.name} - Mobilt BankID"),
        (NameOID.COMMON_NAME, person.name),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _extensions(policy: str) -> Sequence[Extension]:
    ocsp = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(OCSP_ADDRESS))
    policies = [x509.PolicyInformation(x509.ObjectIdentifier(policy), None)]
    return [(x509.AuthorityInformationAccess([ocsp]), False), (x509.CertificatePolicies(policies), False)]
