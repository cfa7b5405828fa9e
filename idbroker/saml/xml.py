"""The one parser for everything that comes from outside (XML 1.0; SAML core, 1.3.4 and 5).

One parser, so that no two can differ about what a message says (CVE-2025-25291, CVE-2025-25292).
What no honest message holds is refused before anything is looked at.
"""

from __future__ import annotations

import re

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml.lexical import is_ncname, refusing

MOST_OCTETS = 256 * 1024  # a sign-in takes about 15 thousand
MOST_DEPTH = 24  # 12 are usual
MOST_ELEMENTS = 2000  # about 150 are usual

_IDS = etree.XPath("//@*[translate(local-name(), 'ID', 'id') = 'id']")
_DEPTH = etree.XPath(f"boolean({'/*' * (MOST_DEPTH + 1)})")
_COUNT = etree.XPath("count(//*)")
_INSTRUCTIONS = etree.XPath("boolean(//processing-instruction())")
_COMMENTS = etree.XPath("boolean(//comment())")
_BROKEN_TEXTS = etree.XPath("boolean(//comment()[../text()[normalize-space()]])")
# A prefix ends at the next colon or quote: else a row of "xmlns:" would be read to its end from each of them (ReDoS).
_RELATIVE = re.compile(rb"""xmlns(?::[^\s=:"'<>]*)?\s*=\s*(?:"[^":]+"|'[^':]+')""")


def parser() -> etree.XMLParser:
    """Return a parser that fetches, expands and repairs nothing. A new one each: they keep state."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        strip_cdata=False,
    )


def parse(
    octets: bytes, *, most: int = MOST_OCTETS, elements: int = MOST_ELEMENTS, comments: bool = False
) -> etree._Element:
    """Return the root element of a document that holds elements, attributes and text only.

    `comments` allows them (metadata files have some), but not where they cut a text in two.
    Untrusted says what is there that must not be.
    """
    if len(octets) > most:
        raise Untrusted("xml: too long")
    _check_markup(octets, comments=comments)
    with refusing("xml: not well-formed"):
        root = etree.fromstring(octets, parser())
    _check_document(root, elements=elements, comments=comments)
    _check_ids(root)
    return root


def octets_of(element: etree._Element) -> bytes:
    """Return an element as a document of its own, with the namespaces that are in scope where it stands."""
    return etree.tostring(element, with_tail=False)


def text(element: etree._Element) -> str:
    """Return the text of an element that holds nothing else. Untrusted when there is anything in it.

    With a comment inside, readers see the first half only, and the digest covers both joined
    (CVE-2017-11427, CVE-2018-0489: user@example.com<!---->.attacker.example).
    """
    if len(element):
        raise Untrusted("xml: something else where text belongs")
    return element.text or ""


def only(parent: etree._Element, tag: str) -> etree._Element:
    """Return the one child of this tag. Untrusted when there is none, or another."""
    found = at_most_one(parent, tag)
    if found is None:
        raise Untrusted(f"xml: no {etree.QName(tag).localname}")
    return found


def at_most_one(parent: etree._Element, tag: str) -> etree._Element | None:
    """Return the child of this tag, if there is one. Untrusted when there are two."""
    found = parent.findall(tag)
    if len(found) > 1:
        raise Untrusted(f"xml: more than one {etree.QName(tag).localname}")
    return found[0] if found else None


def _check_markup(octets: bytes, *, comments: bool) -> None:
    # Before parsing: DOCTYPE, ENTITY, CDATA and comments all begin like this (XXE, billion laughs, S10, S22, S24).
    # Whatever encoding a document claims, it is read as UTF-8: in UTF-16 it would be spelt otherwise.
    with refusing("xml: not UTF-8"):
        octets.decode("utf-8")
    declared = octets.replace(b"<!--", b"") if comments else octets
    if b"<!" in declared:
        raise Untrusted("xml: a declaration, CDATA or a comment")
    # Canonicalisation fails at these, and a digest of nothing verifies for anything ("void canonicalization").
    if _RELATIVE.search(octets):
        raise Untrusted("xml: a relative namespace")


def _check_document(root: etree._Element, *, elements: int, comments: bool) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise Untrusted("xml: a document type")
    if _DEPTH(root):
        raise Untrusted("xml: nested too deep")
    count = _COUNT(root)
    if not isinstance(count, float) or count > elements:
        raise Untrusted("xml: too many elements")
    if _INSTRUCTIONS(root):
        raise Untrusted("xml: a processing instruction")
    if (_BROKEN_TEXTS if comments else _COMMENTS)(root):
        raise Untrusted("xml: a comment")


def _check_ids(root: etree._Element) -> None:
    # Two elements of one ID: the digest finds one, the reader the other (signature wrapping). `xml:id` and
    # `samlp:ID` are IDs to some libraries and not to others.
    found = _IDS(root)
    ids = found if isinstance(found, list) else []
    if any(getattr(one, "attrname", "") not in ("ID", "Id") for one in ids):
        raise Untrusted("xml: an ID of another name")
    values = [str(one) for one in ids]
    if len(set(values)) != len(values):
        raise Untrusted("xml: one ID twice")
    if not all(map(is_ncname, values)):
        raise Untrusted("xml: an ID that is no name")
