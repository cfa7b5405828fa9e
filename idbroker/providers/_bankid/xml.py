"""A BankID signature as XML: one parser, one shape, one spelling (BankID signature profile; XML Signature 1.1).

The document is an enveloping signature. Everything in it but the inside of `bankIdSignedData` is
known beforehand, so it is compared with a table instead of being interpreted: no reference, no
algorithm and no element of an attacker's choice is ever followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.providers._bankid.strict import decoded, refusing
from idbroker.saml.xml import parser

DS = "http://www.w3.org/2000/09/xmldsig#"
BANKID = "http://www.bankid.com/signature/v1.0.0/types"
SIGNED_DATA = f"{{{BANKID}}}bankIdSignedData"
KEY_INFO = f"{{{DS}}}KeyInfo"

MOST_TEXT = 128 * 1024  # characters of base64; a sign-in takes about 12 thousand
MOST_ELEMENTS = 200  # about 45 are usual
MOST_DEPTH = 12  # 9 are usual
MOST_CERTIFICATES = 5

_PROLOG = re.compile(rb'<\?xml version="1\.0" encoding="UTF-8"(?: standalone="(?:no|yes)")?\?>')
_NEEDLESS = f' xmlns="{DS}"'.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A document of the right shape. Nothing in it is proved: `certificates` (DER, leaf first) are claims."""

    raw: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What the checks look at."""

    raw: bytes = field(repr=False)
    root: etree._Element = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Node:
    """An element as it must be; `children` None leaves open what is in it."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple[_Node, ...] | None = ()
    holds_text: bool = False
    repeats: bool = False


def read(document: str) -> Envelope:
    """Return the document of `completionData.signature` (base64 of UTF-8 XML), its shape checked."""
    raw = decoded(document, most=MOST_TEXT, name="signature")
    _check_text(raw)
    case = _Document(raw=raw, root=parse(raw))
    for check in _CHECKS:
        check(case)
    return Envelope(raw=raw, certificates=certificates(case.root))


def parse(raw: bytes) -> etree._Element:
    """Return the root element. Untrusted when the bytes are not well-formed."""
    with refusing("signature: not well-formed XML"):
        return etree.fromstring(raw, parser())


def certificates(within: etree._Element) -> tuple[bytes, ...]:
    """Return the certificates (DER) named in an element, in its order."""
    found = [element.text or "" for element in within.iter(f"{{{DS}}}X509Certificate")]
    return tuple(decoded(text, most=MOST_TEXT, name="certificate") for text in found)


def attributes(element: etree._Element) -> dict[str, str]:
    """Return the attributes of an element; a name in a namespace is `{namespace}name`."""
    return {str(name): str(value) for name, value in element.attrib.items()}


def text(element: etree._Element) -> str:
    """Return the text of an element that holds nothing else. Untrusted when there is an element in it."""
    if len(element):
        raise Untrusted("signature: an element where text belongs")
    return element.text or ""


def _check_text(raw: bytes) -> None:
    # Before parsing: DOCTYPE, ENTITY, comments and CDATA all begin like this, and no canonical
    # document holds any (XXE, billion laughs, text cut by comments, CVE-2018-0489).
    if b"<!" in raw:
        raise Untrusted("signature: a declaration, a comment or CDATA")
    # signxml takes this out again where lxml put it in by mistake; see signature.py.
    if b'xmlns=""' in raw:
        raise Untrusted("signature: an empty namespace")
    with refusing("signature: not UTF-8"):
        raw.decode("utf-8")


def _check_size(case: _Document) -> None:
    nodes = list(case.root.iter())
    if len(nodes) > MOST_ELEMENTS:
        raise Untrusted("signature: too many elements")
    if any(sum(1 for _ in node.iterancestors()) >= MOST_DEPTH for node in nodes):
        raise Untrusted("signature: nested too deep")


def _check_nodes(case: _Document) -> None:
    # Comments, processing instructions and entities have functions for tags, and all may stand
    # beside the root as well: what a reader skips and a digest covers must not be there at all.
    beside = [*case.root.itersiblings(), *case.root.itersiblings(preceding=True)]
    if beside or any(not isinstance(node.tag, str) for node in case.root.iter()):
        raise Untrusted("signature: something else than elements")
    if case.root.getroottree().docinfo.internalDTD is not None:
        raise Untrusted("signature: a document type")


def _check_namespaces(case: _Document) -> None:
    # One name for one thing: prefixes are where two readers come to differ (CVE-2025-25292).
    for node in case.root.iter():
        namespace = etree.QName(node).namespace
        if namespace not in {DS, BANKID} or dict(node.nsmap) != {None: namespace}:
            raise Untrusted("signature: another namespace, or a prefix")


def _check_shape(case: _Document) -> None:
    _match(case.root, _SIGNATURE)


def _check_ids(case: _Document) -> None:
    # Signature wrapping: a second element of the same id, for the digest to find and us to read the other.
    named = [item for node in case.root.iter() for item in attributes(node).items()]
    ids = [value for name, value in named if name.rpartition("}")[2].lower() == "id"]
    if sorted(ids) != ["bidKeyInfo", "bidSignedData"]:
        raise Untrusted("signature: other ids than the two")


def _check_values(case: _Document) -> None:
    # Decoders skip what is not base64: the value would have as many spellings as one likes.
    for name in ("SignatureValue", "DigestValue"):
        for element in case.root.iter(f"{{{DS}}}{name}"):
            decoded(text(element), most=MOST_TEXT, name=name)


def _check_spelling(case: _Document) -> None:
    # BankID sends it canonical but for repeating the namespace. Any other spelling (character
    # references, other quotes, spaces in tags) is somebody else's work, and unsigned.
    canonical = etree.tostring(case.root, method="c14n", with_comments=False)
    if _bare(_PROLOG.sub(b"", case.raw, count=1)) != _bare(canonical):
        raise Untrusted("signature: not in its canonical spelling")


def _bare(spelt: bytes) -> bytes:
    return spelt.replace(_NEEDLESS, b"")


def _match(element: etree._Element, node: _Node) -> None:
    name = etree.QName(node.tag).localname
    if element.tag != node.tag:
        raise Untrusted(f"signature: another element where {name} belongs")
    if attributes(element) != node.attributes:
        raise Untrusted(f"signature: other attributes of {name}")
    if not node.holds_text and node.children is not None and _loose_text(element):
        raise Untrusted(f"signature: text in {name}")
    if node.children is not None:
        _match_children(element, node.children, name)


def _loose_text(element: etree._Element) -> bool:
    return bool(element.text) or any(child.tail for child in element)


def _match_children(element: etree._Element, expected: tuple[_Node, ...], name: str) -> None:
    if len(expected) == 1 and expected[0].repeats:
        if not 1 <= len(element) <= MOST_CERTIFICATES:
            raise Untrusted(f"signature: too few or too many elements in {name}")
        expected = expected * len(element)
    if len(element) != len(expected):
        raise Untrusted(f"signature: too few or too many elements in {name}")
    for child, node in zip(element, expected, strict=True):
        _match(child, node)


def _ds(name: str, *children: _Node, **attributes: str) -> _Node:
    return _Node(f"{{{DS}}}{name}", attributes, children)


def _text(name: str, *, repeats: bool = False) -> _Node:
    return _Node(f"{{{DS}}}{name}", holds_text=True, repeats=repeats)


def _reference(**attributes: str) -> _Node:
    return _ds(
        "Reference",
        _ds("Transforms", _ds("Transform", Algorithm=_C14N)),
        _ds("DigestMethod", Algorithm=_SHA256),
        _text("DigestValue"),
        **attributes,
    )


# SHA-1, which the profile still names, exclusive canonicalisation and every other transform are not here.
_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

_SIGNATURE = _ds(
    "Signature",
    _ds(
        "SignedInfo",
        _ds("CanonicalizationMethod", Algorithm=_C14N),
        _ds("SignatureMethod", Algorithm=_RSA_SHA256),
        _reference(Type=BANKID, URI="#bidSignedData"),
        _reference(URI="#bidKeyInfo"),
    ),
    _text("SignatureValue"),
    _ds("KeyInfo", _ds("X509Data", _text("X509Certificate", repeats=True)), Id="bidKeyInfo"),
    _ds("Object", _Node(SIGNED_DATA, {"Id": "bidSignedData"}, None)),
)


_CHECKS: tuple[Callable[[_Document], None], ...] = (
    _check_nodes,
    _check_size,
    _check_namespaces,
    _check_shape,
    _check_ids,
    _check_values,
    _check_spelling,
)
