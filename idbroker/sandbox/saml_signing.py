"""XML signatures of a simulated identity provider: lxml canonicalises, cryptography signs (XML Signature 1.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.saml import names
from idbroker.saml.names import ds
from idbroker.sandbox.saml_keys import Signer

RSA_SHA1 = f"{names.DS}rsa-sha1"
HMAC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"


def signed(
    element: etree._Element,
    signer: Signer,
    *,
    method: str = names.RSA_SHA256,
    prefixes: tuple[str, ...] = (),
    whole: bool = False,
) -> etree._Element:
    """Return a copy of an element, which has an ID, signed: the signature stands after its Issuer, else first.

    `prefixes` are canonicalised inclusively, as Shibboleth does with xsd, which stands in values of
    attributes only. `whole` refers to the document by the empty URI, not to the ID.
    """
    root = etree.fromstring(etree.tostring(element, with_tail=False))
    octets = _canonical(root, prefixes)
    uri = "" if whole else f"#{root.get('ID')}"
    signature = _signature(uri, hashlib.sha256(octets).digest(), method, prefixes)
    has_issuer = len(root) > 0 and root[0].tag == names.ISSUER
    root.insert(1 if has_issuer else 0, signature)
    value = _VALUES[method](signer, _canonical(signature[0], ()))
    etree.SubElement(signature, ds("SignatureValue")).text = _text(value)
    _tell(signature, signer)
    return root


def sign_octets(signer: Signer, octets: bytes) -> bytes:
    """Return an RSA-SHA256 signature (PKCS#1 1.5), as the Redirect binding has it over its query."""
    return signer.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())


def _canonical(element: etree._Element, prefixes: tuple[str, ...]) -> bytes:
    # Without comments: what stands between two halves of a text is not signed, which is the trouble with comments.
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes) or None
    )


def _signature(uri: str, digest: bytes, method: str, prefixes: tuple[str, ...]) -> etree._Element:
    signature = etree.Element(names.SIGNATURE, nsmap={"ds": names.DS})
    told = etree.SubElement(signature, ds("SignedInfo"))
    etree.SubElement(told, ds("CanonicalizationMethod"), {"Algorithm": names.EXC_C14N})
    etree.SubElement(told, ds("SignatureMethod"), {"Algorithm": method})
    reference = etree.SubElement(told, ds("Reference"), {"URI": uri})
    transforms = etree.SubElement(reference, ds("Transforms"))
    etree.SubElement(transforms, ds("Transform"), {"Algorithm": names.ENVELOPED})
    exclusive = etree.SubElement(transforms, ds("Transform"), {"Algorithm": names.EXC_C14N})
    if prefixes:
        listed = {"PrefixList": " ".join(prefixes)}
        etree.SubElement(exclusive, names.INCLUSIVE_NAMESPACES, listed, nsmap={"ec": names.EC})
    etree.SubElement(reference, ds("DigestMethod"), {"Algorithm": names.SHA256})
    etree.SubElement(reference, ds("DigestValue")).text = _text(digest)
    return signature


def _tell(signature: etree._Element, signer: Signer) -> None:
    carried = etree.SubElement(etree.SubElement(signature, names.KEY_INFO), ds("X509Data"))
    etree.SubElement(carried, ds("X509Certificate")).text = _text(signer.certificate.public_bytes(Encoding.DER))


def _rsa(digest: hashes.HashAlgorithm) -> Callable[[Signer, bytes], bytes]:
    return lambda signer, octets: signer.key.sign(octets, padding.PKCS1v15(), digest)


def _hmac(signer: Signer, octets: bytes) -> bytes:
    # What is public of a key, taken for a secret (CVE-2025-48994).
    return hmac.digest(signer.certificate.public_bytes(Encoding.PEM), octets, "sha256")


_VALUES: Mapping[str, Callable[[Signer, bytes], bytes]] = {
    names.RSA_SHA256: _rsa(hashes.SHA256()),
    RSA_SHA1: _rsa(hashes.SHA1()),  # noqa: S303 - nobody is to believe it
    HMAC_SHA256: _hmac,
}


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
