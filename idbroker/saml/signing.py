"""XML signatures: ours made, theirs verified over the very element that is read (XML Signature 1.1; SAML core, 5.4).

signxml canonicalises, digests and verifies. What it is given is one element as a document of its
own, whose shape is settled, and a key that is pinned; what is read afterwards is what it digested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from idbroker.errors import Untrusted
from idbroker.saml import names, shape, xml
from idbroker.saml.lexical import read_base64, refusing
from idbroker.saml.names import ds

LEAST_BITS = 2048

METHODS: dict[str, type[hashes.HashAlgorithm]] = {
    names.RSA_SHA256: hashes.SHA256,
    names.RSA_SHA384: hashes.SHA384,
    names.RSA_SHA512: hashes.SHA512,
    names.ECDSA_SHA256: hashes.SHA256,
}
_DIGESTS = frozenset({names.SHA256, names.SHA384, names.SHA512})
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MOST_VALUE = 2048  # characters of base64: RSA of 8192 bits takes 1368
# Shibboleth has "xsd" here. Bounded: each prefix is looked for at each element.
_PREFIXES = re.compile(r"[A-Za-z0-9_.#-]{1,40}(?: [A-Za-z0-9_.#-]{1,40}){0,9}", re.ASCII)

SigningKey = rsa.RSAPrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def signed(element: etree._Element, key: SigningKey, certificate: x509.Certificate) -> bytes:
    """Return an element with an ID as a signed document: enveloped, RSA-SHA256, exclusive canonicalisation.

    The signature stands where the schemas want it: after the Issuer, else first. Certificate and key
    must belong together.
    """
    document = etree.fromstring(xml.octets_of(element), xml.parser())
    placeholder = etree.Element(names.SIGNATURE, {"Id": "placeholder"}, nsmap={"ds": names.DS})
    has_issuer = len(document) > 0 and document[0].tag == names.ISSUER
    document.insert(1 if has_issuer else 0, placeholder)
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    made = signer.sign(document, key=key, cert=[certificate], reference_uri=f"#{document.get('ID')}", id_attribute="ID")
    return etree.tostring(made, encoding="UTF-8")


def is_signed(element: etree._Element) -> bool:
    """Tell whether the element has a signature of its own. Nothing is verified."""
    return element.find(names.SIGNATURE) is not None


def verified(
    element: etree._Element, certificates: Sequence[x509.Certificate], *, whole: bool = False
) -> etree._Element:
    """Return the element as it was signed, parsed from the very bytes that were digested, without its signature.

    The signature is the element's own child and covers it by its ID; the key is one of the
    certificates', whatever KeyInfo says. Their validity is not looked at: what pins a key is the
    metadata it came with (SAML metadata interoperability profile, 2.6.1). Read nothing from the
    element that was given, only from the one returned. Untrusted when it does not verify.
    `whole` is for the root of a file: its signature may also cover the document it stands in, by the
    empty URI (suomi.fi signs its metadata for tests so).
    """
    signature = xml.only(element, names.SIGNATURE)
    shape.check(signature, names.SIGNATURE)
    identifier = element.get("ID", "")
    method = _check_signed_info(signature, _references(identifier, whole=whole))
    octets = xml.octets_of(element)
    for certificate in certificates:
        if fits(certificate, method) and (found := _verified_by(certificate, octets)) is not None:
            return _read_back(found, element)
    raise Untrusted("signature: not by a key of theirs, or over something else")


def fits(certificate: x509.Certificate, method: str) -> bool:
    """Tell whether a certificate's key is of the kind the method is for, and long enough.

    A key is used with its own algorithm only: a public key taken for a secret verifies what anybody
    signed with it (key confusion, CVE-2018-7644, CVE-2025-48994).
    """
    with refusing("signature: a pinned certificate's key does not read"):
        key = certificate.public_key()
    if method == names.ECDSA_SHA256:
        return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    return method in METHODS and isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_BITS


def _references(identifier: str, *, whole: bool) -> frozenset[str]:
    # The empty URI means the whole document, and SAML core 5.4.2 wants the ID.
    return frozenset([f"#{identifier}"] * bool(identifier) + [""] * whole)


def _check_signed_info(signature: etree._Element, references: frozenset[str]) -> str:
    # By the one path where they are, never by a search: digests and references lie about elsewhere (CVE-2024-45409).
    signed_info = xml.only(signature, ds("SignedInfo"))
    reference = xml.only(signed_info, ds("Reference"))
    if reference.get("URI") not in references:
        raise Untrusted("signature: refers to something else")
    _check_transforms(xml.only(reference, ds("Transforms")))
    _check_canonical(xml.only(signed_info, ds("CanonicalizationMethod")))
    if xml.only(reference, ds("DigestMethod")).get("Algorithm") not in _DIGESTS:
        raise Untrusted("signature: a digest that is not allowed")
    for holder, name in ((reference, "DigestValue"), (signature, "SignatureValue")):
        read_base64(xml.text(xml.only(holder, ds(name))), most=_MOST_VALUE, name=f"signature: {name}")
    method = xml.only(signed_info, ds("SignatureMethod")).get("Algorithm", "")
    if method not in METHODS:
        raise Untrusted("signature: a method that is not allowed")
    return method


def _check_transforms(transforms: etree._Element) -> None:
    # XSLT, XPath and base64 choose what is digested, and XSLT runs (SAML core, 5.4.4: just these two).
    found = list(transforms)
    if [one.get("Algorithm") for one in found] != [names.ENVELOPED, names.EXC_C14N]:
        raise Untrusted("signature: transforms that are not allowed")
    if len(found[0]):
        raise Untrusted("signature: a transform with parameters")
    _check_canonical(found[1])


def _check_canonical(method: etree._Element) -> None:
    if method.get("Algorithm") != names.EXC_C14N:
        raise Untrusted("signature: a canonicalisation that is not allowed")
    for inclusive in method:
        if _PREFIXES.fullmatch(inclusive.get("PrefixList", "")) is None:
            raise Untrusted("signature: a list of prefixes that is too long, or none")


def _verified_by(certificate: x509.Certificate, octets: bytes) -> VerifyResult | None:
    """Return what was digested, or None when this is not the key."""
    expected = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=frozenset(map(SignatureMethod, METHODS)),
        digest_algorithms=frozenset(map(DigestAlgorithm, _DIGESTS)),
        # KeyInfo is anybody's. The shape has been settled, more narrowly than by signxml's schema.
        ignore_ambiguous_key_info=True,
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        with refusing("signature: does not verify"):
            found = XMLVerifier().verify(
                octets,
                x509_cert=certificate,
                parser=xml.parser(),
                id_attribute="ID",
                validate_schema=False,
                expect_config=expected,
            )
    except Untrusted:
        return None
    return None if isinstance(found, list) else found


def _read_back(found: VerifyResult, element: etree._Element) -> etree._Element:
    # A canonicalisation that failed gives nothing, whose digest is known to all (CVE-2025-66568); and what was
    # digested must be what we asked about, not what its ID led to (signxml alone would take XSW1).
    # `signed_xml` is signxml's parsing, with our parser, of the bytes it digested.
    root = found.signed_xml
    if not found.signed_data or root is None:
        raise Untrusted("signature: over nothing")
    if (root.tag, root.get("ID")) != (element.tag, element.get("ID")):
        raise Untrusted("signature: over another element")
    if is_signed(root):
        raise Untrusted("signature: a second one")
    return root
