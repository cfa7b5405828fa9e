"""What a message may look like: a table, element by element (SAML core; XML Signature 1.1; XML Encryption 1.1).

Narrower than the schemas: no element where anything may stand (Extensions, Advice, ds:Object), for
that is where wrapped signatures are hidden (XSW7, XSW8), and nothing that we would have to ignore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names
from idbroker.saml.lexical import blank
from idbroker.saml.names import ds, saml, samlp, xenc

_MOST_BESIDE = 200  # attributes of a person, values of an attribute
_MOST_FEW = 10
_OURS = frozenset({names.SAML, names.SAMLP, names.DS, names.EC, names.XENC, names.XENC11})


@dataclass(frozen=True, slots=True)
class _Part:
    """So many children in a row, each of one of these tags."""

    tags: frozenset[str]
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """An element as it must be. `foreign` is the namespace whose attributes it may have beside its own."""

    required: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    parts: tuple[_Part, ...] = ()
    holds_text: bool = False
    is_open: bool = False  # anything may be in it, but nothing of the namespaces we read
    foreign: str | None = None


def check(element: etree._Element, tag: str) -> None:
    """Raise Untrusted unless the element has this tag, and it and all in it are as the table says."""
    if element.tag != tag:
        raise Untrusted("shape: another element than expected")
    _check(element)


def _check(element: etree._Element) -> None:
    kind = _KINDS.get(element.tag)
    if kind is None:
        raise Untrusted("shape: an element that does not belong here")
    _check_attributes(element, kind)
    if kind.is_open:
        return _check_open(element)
    if kind.holds_text:
        return _check_text(element)
    return _check_children(element, kind)


def _check_attributes(element: etree._Element, kind: _Kind) -> None:
    found = {str(name) for name in element.keys()}  # noqa: SIM118 - an element is no mapping
    if not kind.required <= found:
        raise Untrusted(f"shape: {_name(element)} lacks an attribute")
    for name in found - kind.allowed:
        if not (kind.foreign and name.startswith(kind.foreign)):
            raise Untrusted(f"shape: {_name(element)} has another attribute")


def _check_text(element: etree._Element) -> None:
    if len(element):
        raise Untrusted(f"shape: an element in {_name(element)}, where text belongs")


def _check_open(element: etree._Element) -> None:
    # An assertion or a digest in here is there to be found by mistake (CVE-2024-45409: a DigestValue in StatusDetail).
    for inside in element.iterdescendants():
        if etree.QName(inside).namespace in _OURS and inside.tag not in _HARMLESS:
            raise Untrusted(f"shape: an element in {_name(element)} that we would read elsewhere")


def _check_children(element: etree._Element, kind: _Kind) -> None:
    children = list(element)
    if not blank("".join([element.text or "", *(child.tail or "" for child in children)])):
        raise Untrusted(f"shape: text in {_name(element)}")
    at = 0
    for part in kind.parts:
        count = _count(children, at, part)
        if count < part.least:
            raise Untrusted(f"shape: {_name(element)} lacks an element, or has them in another order")
        at += count
    if at < len(children):
        raise Untrusted(f"shape: an element in {_name(element)} that does not belong there, or too many")
    for child in children:
        _check(child)


def _count(children: list[etree._Element], start: int, part: _Part) -> int:
    count = 0
    for child in children[start : start + part.most]:
        if child.tag not in part.tags:
            break
        count += 1
    return count


def _name(element: etree._Element) -> str:
    """Return a name for the log: the table's own names only, never an attacker's text."""
    return etree.QName(element).localname if element.tag in _KINDS else "another element"


def _one(*tags: str) -> _Part:
    return _Part(frozenset(tags), 1, 1)


def _maybe(*tags: str) -> _Part:
    return _Part(frozenset(tags), 0, 1)


def _some(*tags: str, least: int = 0, most: int = _MOST_FEW) -> _Part:
    return _Part(frozenset(tags), least, most)


def _kind(*parts: _Part, required: str = "", allowed: str = "") -> _Kind:
    must = frozenset(required.split())
    return _Kind(required=must, allowed=must | frozenset(allowed.split()), parts=parts)


def _text(required: str = "", allowed: str = "", foreign: str | None = None) -> _Kind:
    must = frozenset(required.split())
    return _Kind(required=must, allowed=must | frozenset(allowed.split()), holds_text=True, foreign=foreign)


def _open(allowed: str = "") -> _Kind:
    return _Kind(allowed=frozenset(allowed.split()), is_open=True)


# What a KeyInfo says about keys is never followed; these may be in it.
_HARMLESS = frozenset(
    ds(name)
    for name in [
        "X509Data",
        "X509Certificate",
        "X509IssuerSerial",
        "X509IssuerName",
        "X509SerialNumber",
        "X509SKI",
        "X509SubjectName",
        "RSAKeyValue",
        "Modulus",
        "Exponent",
    ]
)
# How Microsoft's libraries name the certificate that a key was wrapped for.
_TOKEN = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}SecurityTokenReference"
_QUALIFIERS = "NameQualifier SPNameQualifier"
_HEAD = "ID Version IssueInstant"
_ENCRYPTED = _kind(_one(xenc("EncryptedData")), _some(xenc("EncryptedKey")))
_TYPED = "Id Type MimeType Encoding"

_PROTOCOL: Mapping[str, _Kind] = {
    names.RESPONSE: _kind(
        _maybe(names.ISSUER),
        _maybe(names.SIGNATURE),
        _one(samlp("Status")),
        _some(names.ASSERTION, names.ENCRYPTED_ASSERTION),
        required=_HEAD,
        allowed="InResponseTo Destination Consent",
    ),
    names.LOGOUT_REQUEST: _kind(
        _maybe(names.ISSUER),
        _maybe(names.SIGNATURE),
        _one(names.NAME_ID, names.ENCRYPTED_ID),
        _some(samlp("SessionIndex")),
        required=_HEAD,
        allowed="Destination Consent Reason NotOnOrAfter",
    ),
    names.LOGOUT_RESPONSE: _kind(
        _maybe(names.ISSUER),
        _maybe(names.SIGNATURE),
        _one(samlp("Status")),
        required=_HEAD,
        allowed="InResponseTo Destination Consent",
    ),
    samlp("Status"): _kind(_one(samlp("StatusCode")), _maybe(samlp("StatusMessage")), _maybe(samlp("StatusDetail"))),
    samlp("StatusCode"): _kind(_maybe(samlp("StatusCode")), required="Value"),
    samlp("StatusMessage"): _text(),
    samlp("StatusDetail"): _open(),
    samlp("SessionIndex"): _text(),
}

_ASSERTIONS: Mapping[str, _Kind] = {
    names.ISSUER: _text(allowed="Format NameQualifier SPNameQualifier SPProvidedID"),
    names.NAME_ID: _text(allowed=f"Format {_QUALIFIERS} SPProvidedID"),
    names.ENCRYPTED_ID: _ENCRYPTED,
    names.ENCRYPTED_ASSERTION: _ENCRYPTED,
    names.ASSERTION: _kind(
        _one(names.ISSUER),
        _maybe(names.SIGNATURE),
        _one(saml("Subject")),
        _one(saml("Conditions")),
        _some(saml("AuthnStatement"), saml("AttributeStatement")),
        required=_HEAD,
    ),
    saml("Subject"): _kind(_one(names.NAME_ID, names.ENCRYPTED_ID), _some(saml("SubjectConfirmation"))),
    saml("SubjectConfirmation"): _kind(
        _maybe(names.NAME_ID), _maybe(saml("SubjectConfirmationData")), required="Method"
    ),
    saml("SubjectConfirmationData"): _Kind(
        # A bearer's has a type here and there (xsi:type), and nothing in it.
        allowed=frozenset({"NotBefore", "NotOnOrAfter", "Recipient", "InResponseTo", "Address"}),
        foreign=f"{{{names.XSI}}}",
    ),
    saml("Conditions"): _kind(_some(saml("AudienceRestriction"), saml("OneTimeUse")), allowed="NotBefore NotOnOrAfter"),
    saml("AudienceRestriction"): _kind(_some(saml("Audience"), least=1)),
    saml("Audience"): _text(),
    saml("OneTimeUse"): _kind(),
    saml("AuthnStatement"): _kind(
        _maybe(saml("SubjectLocality")),
        _one(saml("AuthnContext")),
        required="AuthnInstant",
        allowed="SessionIndex SessionNotOnOrAfter",
    ),
    saml("SubjectLocality"): _kind(allowed="Address DNSName"),
    saml("AuthnContext"): _kind(
        _one(saml("AuthnContextClassRef")), _maybe(saml("AuthnContextDeclRef")), _some(saml("AuthenticatingAuthority"))
    ),
    saml("AuthnContextClassRef"): _text(),
    saml("AuthnContextDeclRef"): _text(),
    saml("AuthenticatingAuthority"): _text(),
    saml("AttributeStatement"): _kind(_some(saml("Attribute"), least=1, most=_MOST_BESIDE)),
    saml("Attribute"): _Kind(
        required=frozenset({"Name"}),
        allowed=frozenset({"Name", "NameFormat", "FriendlyName"}),
        parts=(_some(saml("AttributeValue"), most=_MOST_BESIDE),),
        foreign="{urn:oasis:names:tc:SAML:2.0:profiles:attribute:",  # x500:Encoding
    ),
    saml("AttributeValue"): _text(foreign=f"{{{names.XSI}}}"),
}

_SIGNATURES: Mapping[str, _Kind] = {
    names.SIGNATURE: _kind(_one(ds("SignedInfo")), _one(ds("SignatureValue")), _maybe(names.KEY_INFO), allowed="Id"),
    # One SignedInfo with one Reference (CVE-2025-29774), and no HMACOutputLength (CVE-2009-0217).
    ds("SignedInfo"): _kind(
        _one(ds("CanonicalizationMethod")), _one(ds("SignatureMethod")), _one(ds("Reference")), allowed="Id"
    ),
    ds("CanonicalizationMethod"): _kind(_maybe(names.INCLUSIVE_NAMESPACES), required="Algorithm"),
    ds("SignatureMethod"): _kind(required="Algorithm"),
    ds("Reference"): _kind(
        _one(ds("Transforms")), _one(ds("DigestMethod")), _one(ds("DigestValue")), required="URI", allowed="Id Type"
    ),
    ds("Transforms"): _kind(_some(ds("Transform"), least=1, most=2)),
    ds("Transform"): _kind(_maybe(names.INCLUSIVE_NAMESPACES), required="Algorithm"),
    names.INCLUSIVE_NAMESPACES: _kind(required="PrefixList"),
    ds("DigestMethod"): _kind(required="Algorithm"),
    ds("DigestValue"): _text(),
    ds("SignatureValue"): _text(allowed="Id"),
    names.KEY_INFO: _kind(
        _some(
            ds("KeyName"),
            ds("KeyValue"),
            ds("X509Data"),
            ds("RetrievalMethod"),
            xenc("EncryptedKey"),
            _TOKEN,
            least=1,
        ),
        allowed="Id",
    ),
    ds("KeyName"): _text(),
    ds("KeyValue"): _open(),
    _TOKEN: _open(allowed="Id"),
    ds("X509Data"): _open(),
    ds("RetrievalMethod"): _kind(required="URI", allowed="Type"),
}

_ENCRYPTIONS: Mapping[str, _Kind] = {
    xenc("EncryptedData"): _kind(
        _one(xenc("EncryptionMethod")), _maybe(names.KEY_INFO), _one(xenc("CipherData")), allowed=_TYPED
    ),
    xenc("EncryptedKey"): _kind(
        _one(xenc("EncryptionMethod")),
        _maybe(names.KEY_INFO),
        _one(xenc("CipherData")),
        _maybe(xenc("ReferenceList")),
        _maybe(xenc("CarriedKeyName")),
        allowed=f"{_TYPED} Recipient",
    ),
    xenc("EncryptionMethod"): _kind(
        _maybe(xenc("KeySize")), _some(ds("DigestMethod"), names.MGF, most=2), required="Algorithm"
    ),
    xenc("KeySize"): _text(),
    names.MGF: _kind(required="Algorithm"),
    # No CipherReference: nothing is fetched.
    xenc("CipherData"): _kind(_one(xenc("CipherValue"))),
    xenc("CipherValue"): _text(),
    xenc("ReferenceList"): _kind(_some(xenc("DataReference"), least=1)),
    xenc("DataReference"): _kind(required="URI"),
    xenc("CarriedKeyName"): _text(),
}

_KINDS: Mapping[str, _Kind] = {**_PROTOCOL, **_ASSERTIONS, **_SIGNATURES, **_ENCRYPTIONS}
