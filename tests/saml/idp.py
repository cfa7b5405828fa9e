"""A small identity provider of the tests' own: messages as text, signed and encrypted by other code than the engine's.

lxml canonicalises, cryptography signs and encrypts; signxml, which the engine verifies with, is not used here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.saml.response import Expected

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
IDP = "https://idp.example.test/idp1"
SP = "https://broker.example.test/saml"
ACS = "https://broker.example.test/saml/acs"
REQUEST = "_0123456789abcdef0123456789abcdef01234567"
LOA2 = "http://ftn.ficora.fi/2017/loa2"
LOA3 = "http://ftn.ficora.fi/2017/loa3"

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
NAMESPACES = f'xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"'
ENVELOPED = f"{DS}enveloped-signature"
SUCCESS = '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>'

HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
DIGESTS = {"sha1": f"{DS}sha1", "sha256": f"{XENC}sha256", "sha384": f"{MORE}sha384", "sha512": f"{XENC}sha512"}


def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of a name, made once for the run."""
    return _key(name, bits)


@functools.cache
def _key(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def curve_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the elliptic-curve key of a name."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def certificate(name: str, bits: int = 2048, *, curved: bool = False) -> x509.Certificate:
    """Return the certificate of the key of a name: long expired, for metadata pins keys and not dates."""
    private: Any = curve_key(name) if curved else key(name, bits)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2022, 1, 1, tzinfo=UTC))
        .sign(private, hashes.SHA256())
    )


def expected(**changes: Any) -> Expected:
    """Return what the engine is to expect: of `idp`, in answer to REQUEST, with the `sp` key, levels 2 and 3."""
    usual: dict[str, Any] = {
        "entity_id": SP,
        "acs_url": ACS,
        "idp": IDP,
        "certificates": (certificate("idp"),),
        "request_id": REQUEST,
        "contexts": frozenset({LOA2, LOA3}),
        "now": NOW,
        "keys": (key("sp"),),
    }
    return Expected(**(usual | changes))


def posted(text: str | bytes) -> str:
    """Return a message as it stands in the form."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def at(moment: datetime) -> str:
    """Return a moment with milliseconds, as Shibboleth spells it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


ATTRIBUTES = {
    "urn:oid:1.2.246.21": "010280-952L",
    "urn:oid:2.5.4.3": "Testila Tessa",
    "urn:oid:1.2.246.517.3002.111.2": "true",
}


@dataclass(frozen=True, kw_only=True)
class Says:
    """What the identity provider says, and how. Every part may be a lie."""

    id: str = "_assertion1"
    issuer: str = IDP
    name_id: str = "AAdzZWNyZXQx"
    subject: str | None = None  # instead of the NameID element
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    data: Mapping[str, str] = field(default_factory=dict)  # changes to SubjectConfirmationData
    conditions: Mapping[str, str] = field(default_factory=dict)
    audience: str | None = SP
    restrictions: str | None = None  # instead of the AudienceRestriction
    authenticated: datetime = NOW - timedelta(seconds=30)
    session_end: str | None = None
    context: str = LOA2
    attributes: Mapping[str, str] = field(default_factory=lambda: ATTRIBUTES)
    more: str = ""  # at the end of the assertion
    issued: datetime = NOW

    def assertion(self) -> str:
        """Return the assertion, unsigned."""
        return (
            f'<saml:Assertion {NAMESPACES} ID="{self.id}" Version="2.0" IssueInstant="{at(self.issued)}">'
            f"<saml:Issuer>{self.issuer}</saml:Issuer>{self._subject()}{self._conditions()}{self._statement()}"
            f"<saml:AttributeStatement>{''.join(map(_attribute, *zip(*self.attributes.items(), strict=True)))}"
            f"</saml:AttributeStatement>{self.more}</saml:Assertion>"
        )

    def _subject(self) -> str:
        name = (
            f'<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient" NameQualifier="{IDP}" '
            f'SPNameQualifier="{SP}">{self.name_id}</saml:NameID>'
        )
        usual = {
            "Address": "192.0.2.1",
            "InResponseTo": REQUEST,
            "NotOnOrAfter": at(NOW + timedelta(minutes=5)),
            "Recipient": ACS,
        }
        return (
            f'<saml:Subject>{name if self.subject is None else self.subject}<saml:SubjectConfirmation Method="'
            f'{self.method}"><saml:SubjectConfirmationData {_spelt(usual, self.data)}/></saml:SubjectConfirmation>'
            f"</saml:Subject>"
        )

    def _conditions(self) -> str:
        usual = {"NotBefore": at(NOW), "NotOnOrAfter": at(NOW + timedelta(minutes=5))}
        restriction = (
            ""
            if self.audience is None
            else f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
        )
        inside = restriction if self.restrictions is None else self.restrictions
        return f"<saml:Conditions {_spelt(usual, self.conditions)}>{inside}</saml:Conditions>"

    def _statement(self) -> str:
        end = "" if self.session_end is None else f' SessionNotOnOrAfter="{self.session_end}"'
        return (
            f'<saml:AuthnStatement AuthnInstant="{at(self.authenticated)}" SessionIndex="_session1"{end}>'
            f'<saml:SubjectLocality Address="192.0.2.1"/><saml:AuthnContext><saml:AuthnContextClassRef>{self.context}'
            f"</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        )


def _spelt(usual: Mapping[str, str], changes: Mapping[str, str]) -> str:
    """Return attributes; one that is changed to nothing is left out."""
    return " ".join(f'{name}="{value}"' for name, value in {**usual, **changes}.items() if value)


def _attribute(name: str, value: str) -> str:
    return (
        f'<saml:Attribute Name="{name}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">'
        f'<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">{value}</saml:AttributeValue>'
        f"</saml:Attribute>"
    )


def enveloped(assertion: str, *, status: str = SUCCESS, **changes: str) -> str:
    """Return a response around an assertion, unsigned."""
    usual = {
        "ID": "_response1",
        "Version": "2.0",
        "IssueInstant": at(NOW),
        "Destination": ACS,
        "InResponseTo": REQUEST,
    }
    issuer = changes.pop("issuer", f"<saml:Issuer>{IDP}</saml:Issuer>")
    return (
        f"<samlp:Response {NAMESPACES} {_spelt(usual, changes)}>{issuer}<samlp:Status>{status}</samlp:Status>"
        f"{assertion}</samlp:Response>"
    )


@dataclass(frozen=True, kw_only=True)
class Signing:
    """How a signature is made. Every part may be a lie."""

    by: str = "idp"
    algorithm: str = f"{MORE}rsa-sha256"
    hash: str = "sha256"
    digest: str = "sha256"
    digest_method: str | None = None
    canonical: str = EXC
    transforms: tuple[str, ...] = (ENVELOPED, EXC)
    prefixes: str | None = "xs"
    uri: str | None = None
    prefix: str = "ds"
    keyinfo: bool = True
    beside: str = ""  # after KeyInfo
    in_signed_info: str = ""  # after the reference

    def algorithm_for(self, octets: bytes) -> bytes:
        """Return the signature value of some bytes."""
        if "hmac" in self.algorithm:
            secret = certificate(self.by).public_bytes(Encoding.PEM)
            return _hmac(secret, octets)
        if "ecdsa" in self.algorithm:
            r, s = utils.decode_dss_signature(curve_key(self.by).sign(octets, ec.ECDSA(HASHES[self.hash]())))
            return r.to_bytes(32) + s.to_bytes(32)
        return key(self.by).sign(octets, padding.PKCS1v15(), HASHES[self.hash]())


def _hmac(secret: bytes, octets: bytes) -> bytes:
    block = secret if len(secret) <= 64 else hashlib.sha256(secret).digest()
    outer, inner = (bytes(b ^ pad for b in block.ljust(64, b"\0")) for pad in (0x5C, 0x36))
    return hashlib.sha256(outer + hashlib.sha256(inner + octets).digest()).digest()


def sign(text: str, how: Signing | None = None, **changes: Any) -> str:
    """Return a document whose root is signed, the signature after its Issuer."""
    how = replace(how or Signing(), **changes)
    root = etree.fromstring(text)
    prefixes = how.prefixes.split() if how.prefixes else None
    octets = etree.tostring(root, method="c14n", exclusive=how.canonical == EXC, inclusive_ns_prefixes=prefixes)
    digest = base64.b64encode(hashlib.new(how.digest, octets).digest()).decode()
    end = text.index("</saml:Issuer>") + len("</saml:Issuer>")
    return text[:end] + signature(how, how.uri if how.uri is not None else f"#{root.get('ID')}", digest) + text[end:]


def signature(how: Signing, uri: str, digest: str) -> str:
    """Return a Signature over a digest."""
    p = f"{how.prefix}:" if how.prefix else ""
    declared = f'xmlns:{how.prefix}="{DS}"' if how.prefix else f'xmlns="{DS}"'
    listed = f'<ec:InclusiveNamespaces xmlns:ec="{EXC}" PrefixList="{how.prefixes}"/>' if how.prefixes else ""
    transforms = "".join(
        f'<{p}Transform Algorithm="{one}">{listed if one == EXC else ""}</{p}Transform>' for one in how.transforms
    )
    info = (
        f'<{p}SignedInfo><{p}CanonicalizationMethod Algorithm="{how.canonical}"/>'
        f'<{p}SignatureMethod Algorithm="{how.algorithm}"/><{p}Reference URI="{uri}"><{p}Transforms>{transforms}'
        f'</{p}Transforms><{p}DigestMethod Algorithm="{how.digest_method or DIGESTS[how.digest]}"/>'
        f"<{p}DigestValue>{digest}</{p}DigestValue></{p}Reference>{how.in_signed_info}</{p}SignedInfo>"
    )
    parsed = etree.fromstring(f"<{p}Signature {declared}>{info}</{p}Signature>")[0]
    octets = etree.tostring(parsed, method="c14n", exclusive=how.canonical == EXC)
    value = base64.encodebytes(how.algorithm_for(octets)).decode()
    told = certificate(how.by, curved="ecdsa" in how.algorithm).public_bytes(Encoding.DER)
    shown = base64.b64encode(told).decode()
    keyinfo = (
        f"<{p}KeyInfo><{p}X509Data><{p}X509Certificate>{shown}</{p}X509Certificate></{p}X509Data></{p}KeyInfo>"
        if how.keyinfo
        else ""
    )
    return (
        f"<{p}Signature {declared}>{info}<{p}SignatureValue>\n{value}</{p}SignatureValue>{keyinfo}{how.beside}"
        f"</{p}Signature>"
    )


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """How an element is encrypted."""

    to: str = "sp"
    method: str = f"{XENC11}aes256-gcm"
    transport: str = f"{XENC}rsa-oaep-mgf1p"
    digest: str | None = "sha1"
    mask: str | None = None
    beside: bool = False
    around: str = "saml:EncryptedAssertion"
    content_key: bytes | None = None


def seal(plain: str | bytes, how: Sealing | None = None, **changes: Any) -> str:
    """Return the plaintext encrypted, in an EncryptedAssertion."""
    how = replace(how or Sealing(), **changes)
    octets = plain if isinstance(plain, bytes) else plain.encode()
    content_key = how.content_key or os.urandom(int(how.method.split("aes")[1][:3]) // 8)
    wrapped = base64.b64encode(_wrap(content_key, how)).decode()
    value = base64.b64encode(_encrypt(octets, content_key, how.method)).decode()
    digest = f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{DIGESTS[how.digest]}"/>' if how.digest else ""
    mask = f'<x11:MGF xmlns:x11="{XENC11}" Algorithm="{XENC11}mgf1{how.mask}"/>' if how.mask else ""
    wrapping = (
        f'<xenc:EncryptedKey xmlns:xenc="{XENC}" Id="_key1"><xenc:EncryptionMethod Algorithm="{how.transport}">{digest}'
        f"{mask}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{wrapped}</xenc:CipherValue>"
        f"</xenc:CipherData></xenc:EncryptedKey>"
    )
    pointer = f'<ds:RetrievalMethod Type="{XENC}EncryptedKey" URI="#_key1"/>'
    return (
        f'<{how.around} {NAMESPACES}><xenc:EncryptedData xmlns:xenc="{XENC}" Type="{XENC}Element" Id="_data1">'
        f'<xenc:EncryptionMethod Algorithm="{how.method}"/><ds:KeyInfo xmlns:ds="{DS}">'
        f"{pointer if how.beside else wrapping}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{value}"
        f"</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>{wrapping if how.beside else ''}</{how.around}>"
    )


def _wrap(content_key: bytes, how: Sealing) -> bytes:
    public = key(how.to).public_key()
    if how.transport.endswith("rsa-1_5"):
        return public.encrypt(content_key, padding.PKCS1v15())
    digest, mask = HASHES[how.digest or "sha1"](), HASHES[how.mask or "sha1"]()
    return public.encrypt(content_key, padding.OAEP(padding.MGF1(mask), digest, None))


def _encrypt(octets: bytes, content_key: bytes, method: str) -> bytes:
    if method.endswith("gcm"):
        nonce = os.urandom(12)
        encryptor = Cipher(algorithms.AES(content_key), modes.GCM(nonce)).encryptor()
        return nonce + encryptor.update(octets) + encryptor.finalize() + encryptor.tag
    iv, count = os.urandom(16), 16 - len(octets) % 16
    blocks = Cipher(algorithms.AES(content_key), modes.CBC(iv)).encryptor()
    return iv + blocks.update(octets + os.urandom(count - 1) + bytes([count])) + blocks.finalize()


def response(says: Says | None = None, **changes: str) -> str:
    """Return a response as suomi.fi makes them: assertion signed, encrypted, response signed."""
    return sign(enveloped(seal(sign((says or Says()).assertion())), **changes))


def plain(says: Says | None = None, **changes: str) -> str:
    """Return a response with a signed assertion in it, not encrypted, and not signed itself."""
    return enveloped(sign((says or Says()).assertion()), **changes)


def loosely(**changes: Any) -> Expected:
    """Return what to expect of `plain`: one signature, the assertion's, and nothing encrypted."""
    return expected(**({"response_signed": False, "encrypted": False} | changes))
