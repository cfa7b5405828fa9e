"""The head that every message has, ours written and theirs checked (SAML core, 3.2.1 and 3.2.2)."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names, xml
from idbroker.saml.lexical import instant_text, read_instant


def new_id() -> str:
    """Return the ID of a message: 160 bits nobody guesses (SAML core, 1.3.4), spelt as a name."""
    return f"_{secrets.token_hex(20)}"


def element(tag: str, identifier: str, *, issued: datetime, issuer: str, destination: str) -> etree._Element:
    """Return a message with its head, and nothing else yet."""
    attributes = {
        "ID": identifier,
        "Version": "2.0",
        "IssueInstant": instant_text(issued),
        "Destination": destination,
    }
    made = etree.Element(tag, attributes, nsmap={"samlp": names.SAMLP, "saml": names.SAML})
    etree.SubElement(made, names.ISSUER).text = issuer
    return made


def check_version(message: etree._Element) -> None:
    """Raise Untrusted unless it is SAML 2.0."""
    if message.get("Version") != "2.0":
        raise Untrusted("head: another version")


def check_destination(message: etree._Element, expected: str) -> None:
    """Raise Untrusted unless it was sent to this very address of ours (SAML bindings, 3.4.5.2 and 3.5.5.2).

    A message for another service, forwarded, has that one's.
    """
    if message.get("Destination") != expected:
        raise Untrusted("head: for another address, or none")


def check_issuer(message: etree._Element, expected: str) -> None:
    """Raise Untrusted unless it says that it comes from the one we asked (SAML core, 8.3.6).

    The key is looked up by whom we asked, never by this: two that both have keys with us could else
    speak for each other (S32).
    """
    issuer = xml.only(message, names.ISSUER)
    if xml.text(issuer) != expected:
        raise Untrusted("head: from another issuer")
    if issuer.get("Format", names.ENTITY) != names.ENTITY or set(issuer.keys()) - {"Format"}:
        raise Untrusted("head: an issuer that is no entity")


def check_issued(
    message: etree._Element, *, now: datetime, skew: timedelta, lifetime: timedelta | None = None
) -> datetime:
    """Return when it was issued. Untrusted when that is to come, or longer ago than `lifetime`."""
    issued = read_instant(message.get("IssueInstant"), name="head: IssueInstant")
    if issued > now + skew:
        raise Untrusted("head: from the future")
    if lifetime is not None and issued + lifetime <= now - skew:
        raise Untrusted("head: too old")
    return issued
