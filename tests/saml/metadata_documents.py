"""Metadata of identity providers, made and signed for one run by lxml and cryptography, not by what it tests."""

from __future__ import annotations

import base64
import functools
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ENTITY_ID = "https://saml.example.test/idp"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
SOON = "2026-11-29T09:00:00Z"

_ALGORITHMS = {
    "sha256": ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"),
    "sha1": ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1"),
}
_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"


def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of a name."""
    return _key(name, bits)


@functools.cache
def _key(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def certificate(name: str, bits: int = 2048, *, pss: bool = False) -> x509.Certificate:
    """Return a self-signed certificate of the key of a name; long expired, for only keys count."""
    private = key(name, bits)
    used = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH) if pss else padding.PKCS1v15()
    return _builder(name, private.public_key()).sign(private, hashes.SHA256(), rsa_padding=used)


@functools.cache
def curved(name: str) -> x509.Certificate:
    """Return a self-signed certificate of an elliptic-curve key."""
    private = ec.generate_private_key(ec.SECP256R1())
    return _builder(name, private.public_key()).sign(private, hashes.SHA256())


def _builder(name: str, public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=900))
        .not_valid_after(NOW - timedelta(days=100))
    )


def described(*certificates: x509.Certificate | str, use: str | None = "signing") -> str:
    """Return one KeyDescriptor; a certificate as text goes in as it is."""
    texts = [one if isinstance(one, str) else base64_of(one) for one in certificates]
    inside = "".join(f"<ds:X509Certificate>{text}</ds:X509Certificate>" for text in texts)
    attribute = "" if use is None else f' use="{use}"'
    return (
        f"<md:KeyDescriptor{attribute}><ds:KeyInfo><ds:X509Data>{inside}</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def base64_of(one: x509.Certificate) -> str:
    """Return a certificate as metadata carries it, in lines of 64."""
    text = base64.b64encode(one.public_bytes(Encoding.DER)).decode()
    return "\n".join(text[at : at + 64] for at in range(0, len(text), 64))


SIGN_ON = (
    f'<md:SingleSignOnService Binding="{REDIRECT}" Location="https://idp.example.test/redirect"/>'
    f'<md:SingleSignOnService Binding="{POST}" Location="https://idp.example.test/post"/>'
)
LOGOUT = (
    f'<md:SingleLogoutService Binding="{POST}" Location="https://idp.example.test/out"'
    ' ResponseLocation="https://idp.example.test/out/answer"/>'
    f'<md:SingleLogoutService Binding="{REDIRECT}" Location="https://idp.example.test/out"/>'
)
NAME_IDS = "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>"


def role(
    *, keys: str | None = None, logout: str = LOGOUT, sign_on: str = SIGN_ON, attributes: str = "",
    protocol: str = PROTOCOL, kind: str = "IDPSSODescriptor",
) -> str:  # fmt: skip
    """Return one role of an entity."""
    keys = described(certificate("idp")) if keys is None else keys
    return (
        f'<md:{kind} protocolSupportEnumeration="{protocol}" WantAuthnRequestsSigned="true" {attributes}>'
        f"{keys}{logout}{NAME_IDS}{sign_on}</md:{kind}>"
    )


def entity(*roles: str, entity_id: str = ENTITY_ID, attributes: str = "", first: str = "") -> str:
    """Return one EntityDescriptor, to stand alone or in others."""
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="{DS}" entityID="{entity_id}" {attributes}>'
        f"{first}{''.join(roles or (role(),))}</md:EntityDescriptor>"
    )


def entities(*inside: str, attributes: str = "") -> str:
    """Return an EntitiesDescriptor."""
    return f'<md:EntitiesDescriptor xmlns:md="{MD}" {attributes}>{"".join(inside)}</md:EntitiesDescriptor>'


def signed(
    text: str, signer: str = "federation", *, digest: str = "sha256", identifier: str | None = "_document",
    reference: str | None = None, carried: x509.Certificate | None = None,
) -> bytes:  # fmt: skip
    """Return a document with an enveloped signature of its root as the first child (XML Signature; SAML core 5.4).

    `reference` None is to the root's own ID, `carried` None is the signer's certificate. Without an
    `identifier` the root has no ID.
    """
    root = etree.fromstring(text.encode())
    if identifier is not None:
        root.set("ID", identifier)
    method, digest_method = _ALGORITHMS[digest]
    algorithm = hashes.SHA256() if digest == "sha256" else hashes.SHA1()  # noqa: S303 - to be refused
    info = _signed_info(
        method, digest_method, f"#{identifier}" if reference is None else reference, _hashed(root, algorithm)
    )
    value = key(signer).sign(etree.tostring(info, method="c14n", exclusive=True), padding.PKCS1v15(), algorithm)
    signature = etree.Element(f"{{{DS}}}Signature", nsmap={"ds": DS})
    signature.append(info)
    etree.SubElement(signature, f"{{{DS}}}SignatureValue").text = base64.b64encode(value).decode()
    data = etree.SubElement(etree.SubElement(signature, f"{{{DS}}}KeyInfo"), f"{{{DS}}}X509Data")
    etree.SubElement(data, f"{{{DS}}}X509Certificate").text = base64_of(carried or certificate(signer))
    root.insert(0, signature)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _hashed(root: etree._Element, algorithm: hashes.HashAlgorithm) -> str:
    digest = hashes.Hash(algorithm)
    digest.update(etree.tostring(root, method="c14n", exclusive=True, with_comments=False))
    return base64.b64encode(digest.finalize()).decode()


def _signed_info(method: str, digest_method: str, reference: str, digest: str) -> etree._Element:
    return etree.fromstring(
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{_C14N}"/>'
        f'<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{reference}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{_ENVELOPED}"/><ds:Transform Algorithm="{_C14N}"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{digest_method}"/><ds:DigestValue>{digest}</ds:DigestValue>'
        "</ds:Reference></ds:SignedInfo>"
    )
