"""What a simulated identity provider says, as values that lies can change, and as XML (SAML core)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from idbroker.saml import names
from idbroker.saml.lexical import instant_text
from idbroker.saml.names import saml, samlp
from idbroker.sandbox.saml_keys import Signer
from idbroker.sandbox.saml_sealing import Sealing, sealed
from idbroker.sandbox.saml_signing import signed

_XSD = "http://www.w3.org/2001/XMLSchema"
_URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"


def new_id() -> str:
    """Return the ID of a message or an assertion."""
    return f"_{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one product writes: its prefixes, and whether the values of attributes are typed."""

    protocol: str = "samlp"
    assertion: str = "saml"
    typed: bool = False

    @property
    def nsmap(self) -> dict[str, str]:
        """Return the namespaces of a message."""
        return {self.protocol: names.SAMLP, self.assertion: names.SAML}

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Return what is canonicalised inclusively: a prefix that stands in values only."""
        return ("xsd",) if self.typed else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """By what name the person is known to one service (SAML core, 2.2.3)."""

    value: str = field(repr=False)
    format: str
    qualifier: str | None = None
    sp_qualifier: str | None = None

    def element(self, dialect: Dialect) -> etree._Element:
        """Return the NameID."""
        made = etree.Element(names.NAME_ID, nsmap={dialect.assertion: names.SAML})
        told = {"Format": self.format, "NameQualifier": self.qualifier, "SPNameQualifier": self.sp_qualifier}
        for name, value in told.items():
            if value is not None:
                made.set(name, value)
        made.text = self.value
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute. `cut` puts a comment into the middle of its value, which no signature covers."""

    name: str
    value: str = field(repr=False)
    friendly: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """What one assertion says. None leaves out the attribute or the element."""

    id: str
    issued: datetime
    issuer: str
    name: Name
    recipient: str | None
    in_response_to: str | None
    address: str | None
    not_before: datetime
    not_on_or_after: datetime
    confirmed_until: datetime
    audience: str | None
    authenticated_at: datetime
    session_index: str
    session_ends: datetime | None
    context: str
    attributes: tuple[Attribute, ...] = field(repr=False)

    def element(self, dialect: Dialect) -> etree._Element:
        """Return the assertion, unsigned."""
        head = {"ID": self.id, "Version": "2.0", "IssueInstant": instant_text(self.issued)}
        typed = {"xsd": _XSD} if dialect.typed else {}
        made = etree.Element(names.ASSERTION, head, nsmap={dialect.assertion: names.SAML, **typed})
        etree.SubElement(made, names.ISSUER).text = self.issuer
        made.append(self._subject(dialect))
        made.append(self._conditions())
        made.append(self._statement())
        told = etree.SubElement(made, saml("AttributeStatement"))
        for attribute in self.attributes:
            told.append(_attribute(attribute, dialect))
        return made

    def _subject(self, dialect: Dialect) -> etree._Element:
        made = etree.Element(saml("Subject"))
        made.append(self.name.element(dialect))
        confirmation = etree.SubElement(made, saml("SubjectConfirmation"), {"Method": names.BEARER})
        told = {
            "Address": self.address,
            "InResponseTo": self.in_response_to,
            "NotOnOrAfter": instant_text(self.confirmed_until),
            "Recipient": self.recipient,
        }
        _sub(confirmation, saml("SubjectConfirmationData"), told)
        return made

    def _conditions(self) -> etree._Element:
        told = {"NotBefore": instant_text(self.not_before), "NotOnOrAfter": instant_text(self.not_on_or_after)}
        made = etree.Element(saml("Conditions"), told)
        if self.audience is not None:
            restriction = etree.SubElement(made, saml("AudienceRestriction"))
            etree.SubElement(restriction, saml("Audience")).text = self.audience
        return made

    def _statement(self) -> etree._Element:
        made = etree.Element(saml("AuthnStatement"), {"AuthnInstant": instant_text(self.authenticated_at)})
        made.set("SessionIndex", self.session_index)
        if self.session_ends is not None:
            made.set("SessionNotOnOrAfter", instant_text(self.session_ends))
        if self.address is not None:
            etree.SubElement(made, saml("SubjectLocality"), {"Address": self.address})
        context = etree.SubElement(made, saml("AuthnContext"))
        etree.SubElement(context, saml("AuthnContextClassRef")).text = self.context
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One assertion of a response: who signs it, by which method, and how it is encrypted, if at all."""

    says: Says
    signer: Signer | None
    sealing: Sealing | None
    method: str = names.RSA_SHA256

    def element(self, dialect: Dialect) -> etree._Element:
        """Return it as it stands in the response."""
        made = self.says.element(dialect)
        if self.signer is not None:
            made = signed(made, self.signer, method=self.method, prefixes=dialect.prefixes)
        if self.sealing is None:
            return made
        return sealed(made, self.sealing, tag=names.ENCRYPTED_ASSERTION, nsmap={dialect.assertion: names.SAML})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one response says: `statuses` outermost first, and the assertions, of which an honest one has one."""

    id: str
    issued: datetime
    issuer: str
    destination: str | None
    in_response_to: str | None
    signer: Signer | None
    dialect: Dialect
    statuses: tuple[str, ...] = (names.SUCCESS,)
    message: str | None = None
    told: tuple[Told, ...] = ()

    def octets(self) -> bytes:
        """Return the message, signed if it is to be."""
        made = _message(names.RESPONSE, self, self.dialect)
        _status(made, self.statuses, self.message)
        made.extend([one.element(self.dialect) for one in self.told])
        return _finished(made, self.signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutAsked:
    """A request to end a session, of a service."""

    id: str
    issued: datetime
    issuer: str
    destination: str | None
    name: Name
    session_indexes: tuple[str, ...]
    not_on_or_after: datetime
    dialect: Dialect
    in_response_to: None = None

    def octets(self, signer: Signer | None) -> bytes:
        """Return the message; POST has the signature inside, Redirect none."""
        made = _message(names.LOGOUT_REQUEST, self, self.dialect)
        made.set("NotOnOrAfter", instant_text(self.not_on_or_after))
        made.append(self.name.element(self.dialect))
        for index in self.session_indexes:
            etree.SubElement(made, samlp("SessionIndex")).text = index
        return _finished(made, signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutTold:
    """An answer to a service's request to end a session."""

    id: str
    issued: datetime
    issuer: str
    destination: str | None
    in_response_to: str | None
    dialect: Dialect
    statuses: tuple[str, ...] = (names.SUCCESS,)
    message: str | None = None

    def octets(self, signer: Signer | None) -> bytes:
        """Return the message; POST has the signature inside, Redirect none."""
        made = _message(names.LOGOUT_RESPONSE, self, self.dialect)
        _status(made, self.statuses, self.message)
        return _finished(made, signer)


def _message(tag: str, head: Answer | LogoutAsked | LogoutTold, dialect: Dialect) -> etree._Element:
    made = etree.Element(tag, {"ID": head.id, "Version": "2.0"}, nsmap=dialect.nsmap)
    made.set("IssueInstant", instant_text(head.issued))
    if head.destination is not None:
        made.set("Destination", head.destination)
    if head.in_response_to is not None:
        made.set("InResponseTo", head.in_response_to)
    etree.SubElement(made, names.ISSUER).text = head.issuer
    return made


def _status(made: etree._Element, statuses: Iterable[str], message: str | None) -> None:
    status = within = etree.SubElement(made, samlp("Status"))
    for code in statuses:
        within = etree.SubElement(within, samlp("StatusCode"), {"Value": code})
    if message is not None:
        etree.SubElement(status, samlp("StatusMessage")).text = message


def _finished(made: etree._Element, signer: Signer | None) -> bytes:
    return etree.tostring(made if signer is None else signed(made, signer), encoding="UTF-8")


def _sub(parent: etree._Element, tag: str, attributes: dict[str, str | None]) -> None:
    etree.SubElement(parent, tag, {name: value for name, value in attributes.items() if value is not None})


def _attribute(attribute: Attribute, dialect: Dialect) -> etree._Element:
    made = etree.Element(saml("Attribute"), {"Name": attribute.name, "NameFormat": _URI})
    if attribute.friendly is not None:
        made.set("FriendlyName", attribute.friendly)
    nsmap = {"xsi": names.XSI} if dialect.typed else {}
    value = etree.SubElement(made, saml("AttributeValue"), nsmap=nsmap)
    if dialect.typed:
        value.set(f"{{{names.XSI}}}type", "xsd:string")
    half = len(attribute.value) // 2 if attribute.cut else len(attribute.value)
    value.text = attribute.value[:half]
    if attribute.cut:
        comment = etree.Comment("")
        comment.tail = attribute.value[half:]
        value.append(comment)
    return made
