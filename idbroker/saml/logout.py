"""Single logout, both ways (SAML core, 3.7; SAML profiles, 4.4): requests and responses made and read.

A logout message comes without our cookie, in a frame of the provider's page: who is meant stands in
the message alone, so no message counts that is not signed and for us.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import bindings, decrypting, head, names, shape, signing, xml
from idbroker.saml.assertion import NameID, read_name_id
from idbroker.saml.lexical import instant_text, read_instant
from idbroker.saml.names import samlp

LIFETIME = timedelta(minutes=5)  # of a message, from when it was issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a logout message must be: from `idp` (an entity ID), for `slo_url`, signed with one of `certificates`.

    `keys` decrypt a name that is encrypted; `cbc` allows AES-CBC for that, the message being signed.
    """

    idp: str
    slo_url: str
    certificates: tuple[x509.Certificate, ...]
    now: datetime
    keys: tuple[rsa.RSAPrivateKey, ...] = field(default=(), repr=False)
    skew: timedelta = timedelta(minutes=1)
    cbc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """Somebody's session is to end: theirs of this name and, where there are any, of these session indexes.

    One that was read may come again within its life: `acceptable_until` says how long to remember `id`.
    """

    id: str
    issued: datetime
    issuer: str
    destination: str
    name_id: NameID = field(repr=False)
    session_indexes: tuple[str, ...] = field(default=(), repr=False)
    not_on_or_after: datetime | None = None

    @property
    def acceptable_until(self) -> datetime:
        """Return from when on nobody takes it any more, but for the clocks' skew."""
        lifetime = self.issued + LIFETIME
        return lifetime if self.not_on_or_after is None else min(lifetime, self.not_on_or_after)

    def element(self) -> etree._Element:
        """Return the message, unsigned."""
        made = head.element(
            names.LOGOUT_REQUEST, self.id, issued=self.issued, issuer=self.issuer, destination=self.destination
        )
        if self.not_on_or_after is not None:
            made.set("NotOnOrAfter", instant_text(self.not_on_or_after))
        made.append(self.name_id.element())
        for index in self.session_indexes:
            etree.SubElement(made, samlp("SessionIndex")).text = index
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutResponse:
    """What became of a logout: `statuses` are the status codes, outermost first.

    One that was read answers nothing until the caller finds the request `in_response_to` among those it sent.
    """

    id: str
    issued: datetime
    issuer: str
    destination: str
    in_response_to: str
    statuses: tuple[str, ...] = (names.SUCCESS,)

    @property
    def complete(self) -> bool:
        """Tell whether the session ended everywhere (SAML core, 3.7.3.2: PartialLogout where it did not)."""
        return self.statuses == (names.SUCCESS,)

    def element(self) -> etree._Element:
        """Return the message, unsigned."""
        made = head.element(
            names.LOGOUT_RESPONSE, self.id, issued=self.issued, issuer=self.issuer, destination=self.destination
        )
        made.set("InResponseTo", self.in_response_to)
        within = etree.SubElement(made, samlp("Status"))
        for status in self.statuses:
            within = etree.SubElement(within, samlp("StatusCode"), {"Value": status})
        return made


Message = LogoutRequest | LogoutResponse


def read_query(raw: bytes, expected: Expected) -> tuple[Message, str | None]:
    """Return the message that came by Redirect, and the RelayState it came with.

    `raw` is the query as it stood in the request line. A response to a request goes back with its RelayState.
    """
    query = bindings.verified_query(raw, expected.certificates)
    message = xml.parse(query.octets)
    # The query is signed; a signature inside would be a second truth (SAML bindings, 3.4.4.1).
    if signing.is_signed(message):
        raise Untrusted("logout: signed in the message and in the query")
    return _read(query.name, message, expected), query.relay_state


def read_posted(name: str, text: str, expected: Expected) -> Message:
    """Return the message that came by POST: `name` is the field's, `text` what is in it."""
    message = xml.parse(bindings.posted(text))
    shape.check(message, _tag(name))
    if not signing.is_signed(message):
        raise Untrusted("logout: not signed")
    return _read(name, signing.verified(message, expected.certificates), expected)


def relayed(message: Message) -> str:
    """Return the name of the field or parameter that a message of ours travels in."""
    match message:
        case LogoutRequest():
            return bindings.REQUEST
        case LogoutResponse():
            return bindings.RESPONSE
        case _:
            assert_never(message)


def _tag(name: str) -> str:
    tags = {bindings.REQUEST: names.LOGOUT_REQUEST, bindings.RESPONSE: names.LOGOUT_RESPONSE}
    if name not in tags:
        raise Untrusted("logout: neither a request nor a response")
    return tags[name]


def _read(name: str, message: etree._Element, expected: Expected) -> Message:
    shape.check(message, _tag(name))
    head.check_version(message)
    head.check_destination(message, expected.slo_url)
    head.check_issuer(message, expected.idp)
    issued = head.check_issued(message, now=expected.now, skew=expected.skew, lifetime=LIFETIME)
    if message.tag == names.LOGOUT_REQUEST:
        return _request(message, issued, expected)
    return _response(message, issued, expected)


def _request(message: etree._Element, issued: datetime, expected: Expected) -> LogoutRequest:
    ends = message.get("NotOnOrAfter")
    not_on_or_after = None if ends is None else read_instant(ends, name="logout: NotOnOrAfter")
    # A request of another day, kept and sent again, would end whatever session there is now.
    if not_on_or_after is not None and not_on_or_after <= expected.now - expected.skew:
        raise Untrusted("logout: over")
    return LogoutRequest(
        id=_id(message),
        issued=issued,
        issuer=expected.idp,
        destination=expected.slo_url,
        name_id=_name_id(message, expected),
        session_indexes=tuple(xml.text(one) for one in message.findall(samlp("SessionIndex"))),
        not_on_or_after=not_on_or_after,
    )


def _response(message: etree._Element, issued: datetime, expected: Expected) -> LogoutResponse:
    in_response_to = message.get("InResponseTo")
    if not in_response_to:
        raise Untrusted("logout: a response to nothing")
    return LogoutResponse(
        id=_id(message),
        issued=issued,
        issuer=expected.idp,
        destination=expected.slo_url,
        in_response_to=in_response_to,
        statuses=tuple(one.get("Value", "") for one in message.iter(samlp("StatusCode"))),
    )


def _name_id(message: etree._Element, expected: Expected) -> NameID:
    named = xml.at_most_one(message, names.NAME_ID)
    if named is None:
        named = decrypting.decrypted(xml.only(message, names.ENCRYPTED_ID), expected.keys, cbc=expected.cbc)
        shape.check(named, names.NAME_ID)
    return read_name_id(named)


def _id(message: etree._Element) -> str:
    identifier = message.get("ID")
    if not identifier:
        raise Untrusted("logout: without an ID")
    return identifier
