"""What an identity provider asserts about a person, as a value; made of verified elements only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names, xml
from idbroker.saml.names import saml


@dataclass(frozen=True, slots=True, kw_only=True)
class NameID:
    """By what name they know the person (SAML core, 2.2.3). Logout names them by just this, qualifiers and all."""

    value: str = field(repr=False)
    format: str = names.UNSPECIFIED
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None

    def element(self) -> etree._Element:
        """Return the element, as they sent it."""
        qualifiers = {"NameQualifier": self.name_qualifier, "SPNameQualifier": self.sp_name_qualifier}
        made = etree.Element(names.NAME_ID, nsmap={"saml": names.SAML})
        for name, value in {"Format": self.format, **qualifiers}.items():
            if value is not None:
                made.set(name, value)
        made.text = self.value
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What was proved, to us, in answer to our request.

    `not_on_or_after` is when nobody would take it any more, but for the clocks' skew: remember `id` with
    `issuer` until then, and refuse it the second time (replay). `attributes` are texts by name, as
    they came; an attribute without a value is an empty tuple. `session_not_on_or_after` is how long
    they say our session may last.
    """

    id: str
    issuer: str
    issued: datetime
    name_id: NameID = field(repr=False)
    context: str
    authenticated_at: datetime
    not_on_or_after: datetime
    session_index: str | None = field(default=None, repr=False)
    session_not_on_or_after: datetime | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def one(self, name: str) -> str | None:
        """Return an attribute's value; None when it is not there. Untrusted when it has several."""
        values = self.attributes.get(name, ())
        if len(values) > 1:
            raise Untrusted("assertion: several values where there is one")
        return values[0] if values else None


def read_name_id(element: etree._Element) -> NameID:
    """Return the value of a NameID element. Untrusted when it names nobody."""
    value = xml.text(element)
    if not value.strip():
        raise Untrusted("assertion: a name of nobody")
    return NameID(
        value=value,
        format=element.get("Format", names.UNSPECIFIED),
        name_qualifier=element.get("NameQualifier"),
        sp_name_qualifier=element.get("SPNameQualifier"),
    )


def read_attributes(statements: Sequence[etree._Element]) -> Mapping[str, tuple[str, ...]]:
    """Return the attributes of the AttributeStatements. Untrusted when one is there twice.

    Whoever takes the first and whoever takes the last would see two people.
    """
    found: dict[str, tuple[str, ...]] = {}
    for attribute in (one for statement in statements for one in statement):
        name = attribute.get("Name", "")
        if name in found:
            raise Untrusted("assertion: an attribute twice")
        found[name] = tuple(xml.text(value) for value in attribute.findall(saml("AttributeValue")))
    return found
