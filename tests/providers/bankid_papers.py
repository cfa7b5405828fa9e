"""Papers of a BankID that never was: certificates, signature documents and OCSP responses, true and false.

Written apart from the simulator in idbroker.sandbox, so that the two do not share a misunderstanding.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from idbroker.errors import Untrusted
from idbroker.providers._bankid import signature
from idbroker.providers._bankid.signature import Signed

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PERSON = "198706192393"
NAME = "Björn Provsson"
POLICY = "1.2.3.4.25"
PARTY = "cn=Broker,name=Test,serialNumber=5566304928,o=Testbank A AB (publ),c=SE"

DS = "http://www.w3.org/2000/09/xmldsig#"
BANKID = "http://www.bankid.com/signature/v1.0.0/types"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
PROLOG = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Extension = tuple[x509.ExtensionType, bool]


@cache
def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of somebody, the same for one run."""
    assert name
    return rsa.generate_private_key(65537, bits)


@cache
def curve_key() -> ec.EllipticCurvePrivateKey:
    """Return a key on P-256, which is not what BankID uses."""
    return ec.generate_private_key(ec.SECP256R1())


def usage(*names: str) -> Extension:
    """Return a keyUsage with these bits set."""
    bits = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{bit: bit in names for bit in bits}), True


def constraints(*, ca: bool, path_length: int | None = None) -> Extension:
    """Return basicConstraints."""
    return x509.BasicConstraints(ca=ca, path_length=path_length), True


def name(common: str, **more: str) -> x509.Name:
    """Return a subject at the bank; `more` are further attributes by their name in NameOID."""
    parts = {"COUNTRY_NAME": "SE", "ORGANIZATION_NAME": "Testbank A AB (publ)", **more, "COMMON_NAME": common}
    return x509.Name([x509.NameAttribute(getattr(NameOID, oid), value) for oid, value in parts.items()])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One certificate to be made: of whom, under whom, and how."""

    subject: x509.Name
    key: Key
    issuer: x509.Name
    signer: Key
    extensions: Sequence[Extension]
    begins: datetime = NOW - timedelta(days=100)
    ends: datetime = NOW + timedelta(days=100)
    serial: int | None = None

    def make(self) -> x509.Certificate:
        """Return the certificate."""
        builder = x509.CertificateBuilder(
            subject_name=self.subject,
            issuer_name=self.issuer,
            public_key=self.key.public_key(),
            serial_number=self.serial or x509.random_serial_number(),
            not_valid_before=self.begins,
            not_valid_after=self.ends,
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.signer, hashes.SHA256())


AUTHORITY = (constraints(ca=True), usage("key_cert_sign", "crl_sign"))
PERSONAL = (
    x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(POLICY), None)]),
    False,
)
ROOT, BANK, CUSTOMERS = name("Test Root"), name("Test Bank CA"), name("Test Customer CA")
LEAF = name(NAME, SERIAL_NUMBER=PERSON)

PLANS: Mapping[str, Callable[[], Plan]] = {
    "root": lambda: Plan(subject=ROOT, key=key("root"), issuer=ROOT, signer=key("root"), extensions=AUTHORITY),
    "bank": lambda: Plan(subject=BANK, key=key("bank"), issuer=ROOT, signer=key("root"), extensions=AUTHORITY),
    "customers": lambda: Plan(
        subject=CUSTOMERS, key=key("customers"), issuer=BANK, signer=key("bank"), extensions=AUTHORITY
    ),
    "leaf": lambda: Plan(
        subject=LEAF,
        key=key("leaf"),
        issuer=CUSTOMERS,
        signer=key("customers"),
        extensions=(PERSONAL, usage("digital_signature")),
    ),
    "responder": lambda: Plan(
        subject=name("Test Customer CA OCSP Signing"),
        key=key("responder"),
        issuer=CUSTOMERS,
        signer=key("customers"),
        extensions=(
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), True),
            usage("content_commitment"),
            (x509.OCSPNoCheck(), False),
        ),
    ),
}


def make(who: str, **changes: object) -> x509.Certificate:
    """Return one of the certificates in PLANS, with some of its plan changed."""
    return replace(PLANS[who](), **changes).make()  # type: ignore[arg-type]


@cache
def usual(who: str) -> x509.Certificate:
    """Return one of the certificates as it should be."""
    return make(who)


SHA256_OID, SHA1_OID = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")  # with RSA
SHA1 = hashes.SHA1()  # noqa: S303 - to be refused


def with_sha1(certificate: x509.Certificate, signer: rsa.RSAPrivateKey) -> x509.Certificate:
    """Return a certificate signed with SHA-1 instead, which cryptography does not make any more."""
    old = certificate.tbs_certificate_bytes
    new = old.replace(SHA256_OID, SHA1_OID)
    der = certificate.public_bytes(Encoding.DER).replace(old, new).replace(SHA256_OID, SHA1_OID)
    signed = signer.sign(new, padding.PKCS1v15(), SHA1)
    return x509.load_der_x509_certificate(der.replace(certificate.signature, signed))


def path(**instead: x509.Certificate) -> tuple[x509.Certificate, ...]:
    """Return leaf, customers and bank, some of them replaced."""
    return tuple(instead.get(who) or usual(who) for who in ("leaf", "customers", "bank"))


def b64(value: bytes | str) -> str:
    """Return base64."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


VISIBLE, HIDDEN = b64("Logga in hos Kliniken"), b64("transaction 1")


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One signature document, before it is signed: each part may be another than it should."""

    certificates: tuple[x509.Certificate, ...] = field(default_factory=path)
    key: Key = field(default_factory=lambda: key("leaf"))
    visible: str = f'<usrVisibleData charset="UTF-8" visible="wysiwys">{VISIBLE}</usrVisibleData>'
    hidden: str = f"<usrNonVisibleData>{HIDDEN}</usrNonVisibleData>"
    service: str = f"<srvInfo><name>{b64(PARTY)}</name><nonce>{b64(bytes(20))}</nonce></srvInfo>"
    client: str = "<clientInfo><funcId>Identification</funcId><version>dg==</version></clientInfo>"
    canonicalisation: str = C14N
    method: str = RSA_SHA256
    digest: str = SHA256
    transforms: str = f'<Transform Algorithm="{C14N}"></Transform>'
    references: Callable[[list[str]], list[str]] = lambda references: references

    @property
    def data(self) -> str:
        """Return bankIdSignedData."""
        inside = self.visible + self.hidden + self.service + self.client
        return f'<bankIdSignedData xmlns="{BANKID}" Id="bidSignedData">{inside}</bankIdSignedData>'

    @property
    def key_info(self) -> str:
        """Return KeyInfo."""
        ders = (b64(one.public_bytes(Encoding.DER)) for one in self.certificates)
        inside = "".join(f"<X509Certificate>{der}</X509Certificate>" for der in ders)
        return f'<KeyInfo xmlns="{DS}" Id="bidKeyInfo"><X509Data>{inside}</X509Data></KeyInfo>'

    @property
    def signed_info(self) -> str:
        """Return SignedInfo."""
        both = [
            self.reference(f'Type="{BANKID}" URI="#bidSignedData"', self.data),
            self.reference('URI="#bidKeyInfo"', self.key_info),
        ]
        return (
            f'<SignedInfo xmlns="{DS}"><CanonicalizationMethod Algorithm="{self.canonicalisation}">'
            f'</CanonicalizationMethod><SignatureMethod Algorithm="{self.method}"></SignatureMethod>'
            f"{''.join(self.references(both))}</SignedInfo>"
        )

    def reference(self, attributes: str, of: str) -> str:
        """Return a Reference to some bytes."""
        algorithm = hashlib.sha1 if self.digest.endswith("sha1") else hashlib.sha256
        return (
            f"<Reference {attributes}><Transforms>{self.transforms}</Transforms>"
            f'<DigestMethod Algorithm="{self.digest}"></DigestMethod>'
            f"<DigestValue>{b64(algorithm(of.encode()).digest())}</DigestValue></Reference>"
        )

    def value(self) -> str:
        """Return the SignatureValue."""
        signed = self.signed_info.encode()
        if isinstance(self.key, rsa.RSAPrivateKey):
            algorithm = SHA1 if self.method.endswith("sha1") else hashes.SHA256()
            return b64(self.key.sign(signed, padding.PKCS1v15(), algorithm))
        return b64(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))

    def text(self) -> str:
        """Return the whole document, signed."""
        return (
            f'{PROLOG}<Signature xmlns="{DS}">{self.signed_info}<SignatureValue>{self.value()}</SignatureValue>'
            f"{self.key_info}<Object>{self.data}</Object></Signature>"
        )

    def document(self) -> str:
        """Return it as BankID sends it: in base64."""
        return b64(self.text())


@cache
def genuine() -> str:
    """Return the text of a document with nothing wrong in it."""
    return Paper().text()


def verified(document: str, **changes: Any) -> Signed:
    """Verify a document against what was asked."""
    asked: dict[str, Any] = {
        "person": PERSON,
        "visible": VISIBLE,
        "visible_format": None,
        "non_visible": HIDDEN,
        "roots": [usual("root")],
        "relying_party": PARTY,
        "policies": [POLICY],
        "now": NOW,
    }
    return signature.verify(document, **{**asked, **changes})


def refused(document: str, detail: str, **changes: Any) -> None:
    """Assert that a document is refused for this, in words that tell nothing of the person."""
    with pytest.raises(Untrusted, match=detail) as caught:
        verified(document, **changes)
    assert PERSON not in caught.value.detail
    assert "Provsson" not in caught.value.detail
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # the library's own words are gone


def twisted(old: str, new: str) -> str:
    """Return the genuine document with something changed after it was signed."""
    assert old in genuine()
    return b64(genuine().replace(old, new, 1))
