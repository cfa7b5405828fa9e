"""Powers of attorney, as the gateway tells them: the basic privilege profile (OIO-BPP 1.2), read and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.identity import Power
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.saml import xml
from idbroker.saml.lexical import blank, read_base64

CPR = "cprNumberIdentifier"
SCOPES = (CPR, "cvrNumberIdentifier", "productionUnitIdentifier", "seNumberIdentifier")
MOST_TEXT = 128 * 1024  # of base64
MOST_ELEMENTS = 1000
MOST_PRIVILEGES = 200
LONGEST = 512  # a name, a value
_SCOPE = "urn:dk:gov:saml:"
_NAMESPACES = ("http://digst.dk/oiosaml/basic_privilege_profile", "http://itst.dk/oiosaml/basic_privilege_profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Privilege:
    """One privilege: `scope` is one of SCOPES, and `value` the number it is about, as it came."""

    scope: str
    value: str = field(repr=False)
    name: str
    constraints: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def read(text: str) -> tuple[Privilege, ...]:
    """Return the privileges of an attribute: base64 of XML. Untrusted when it is anything else, or too much."""
    root = xml.parse(read_base64(text, most=MOST_TEXT, name="privileges"), elements=MOST_ELEMENTS)
    space = etree.QName(root).namespace
    if etree.QName(root).localname != "PrivilegeList" or space not in _NAMESPACES:
        raise Untrusted("privileges: not a list of them")
    # The schema leaves what is inside unqualified; some write it in the namespace all the same.
    found = tuple(one for group in _only(root, "PrivilegeGroup") for one in _of_group(group))
    if len(found) > MOST_PRIVILEGES:
        raise Untrusted("privileges: too many")
    return found


def powers_in(text: str, *, today: date) -> tuple[tuple[Power, ...], int]:
    """Return what other people let this one do, and how many privileges are about somebody of no CPR number.

    Privileges in a company are none of ours. Raises Untrusted as `read`.
    """
    told = [one for one in read(text) if one.scope == CPR]
    numbers = [_number(one.value, today) for one in told]
    powers = [
        Power(number=number, what=one.name, constraints=one.constraints)
        for one, number in zip(told, numbers, strict=True)
        if number is not None
    ]
    return tuple(dict.fromkeys(powers)), numbers.count(None)


def _number(text: str, today: date) -> NationalNumber | None:
    try:
        return parse(text, "DK", now=today)
    except NotANumber:
        return None


def _of_group(group: etree._Element) -> Iterator[Privilege]:
    scope, _, value = (group.get("Scope") or "").removeprefix(_SCOPE).partition(":")
    if scope not in SCOPES or not (group.get("Scope") or "").startswith(_SCOPE):
        raise Untrusted("privileges: a scope that is none")
    children = _only(group, "Privilege", "Constraint")
    constraints = tuple((_bounded(one.get("Name")), _text(one)) for one in children if _is(one, "Constraint"))
    for child in children:
        if _is(child, "Privilege"):
            yield Privilege(scope=scope, value=_bounded(value), name=_text(child), constraints=constraints)


def _only(parent: etree._Element, *allowed: str) -> list[etree._Element]:
    """Return the children, which are all of these names. A constraint that was overlooked would be a power more."""
    children = list(parent)
    if not blank("".join([parent.text or "", *(child.tail or "" for child in children)])):
        raise Untrusted("privileges: text where there is none")
    if not all(any(_is(child, name) for name in allowed) for child in children):
        raise Untrusted("privileges: an element that does not belong there")
    return children


def _is(element: etree._Element, name: str) -> bool:
    qualified = etree.QName(element)
    return qualified.localname == name and qualified.namespace in (None, *_NAMESPACES)


def _text(element: etree._Element) -> str:
    return _bounded(xml.text(element))


def _bounded(text: str | None) -> str:
    found = (text or "").strip()
    if not found or len(found) > LONGEST or not found.isprintable():
        raise Untrusted("privileges: a text that is none")
    return found
