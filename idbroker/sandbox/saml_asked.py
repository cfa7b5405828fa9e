"""What a service asks of a simulated identity provider: a sign-in or a logout, read strictly (SAML core, 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names
from idbroker.saml.lexical import read_instant
from idbroker.saml.names import saml, samlp
from idbroker.sandbox.saml_party import Misuse, Party
from idbroker.sandbox.saml_says import Name
from idbroker.sandbox.saml_wire import Came

_LIFE = timedelta(minutes=5)
_SKIP = "urn:oid:1.2.246.517.3003.111.4"  # suomi.fi's SkipEndpointValidationWhenSigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A sign-in that a service asks for; `consumer` is where the response goes, an address of its metadata."""

    party: Party
    id: str
    consumer: str
    relay_state: str | None = field(repr=False)
    force: bool
    passive: bool
    contexts: tuple[str, ...]
    comparison: str
    name_format: str | None
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutWanted:
    """A logout that a service asks for."""

    party: Party
    id: str
    relay_state: str | None = field(repr=False)
    name: Name
    indexes: tuple[str, ...]


def read_asked(came: Came, url: str, now: datetime) -> Asked:
    """Return the sign-in asked for at `url`. Misuse for anything an identity provider shows an error page for."""
    message = _headed(came, names.AUTHN_REQUEST, url, now)
    if message.get("ProtocolBinding", names.POST) != names.POST:
        raise Misuse("protocol_binding")
    context = message.find(samlp("RequestedAuthnContext"))
    policy = message.find(samlp("NameIDPolicy"))
    wanted = [] if context is None else [one.text or "" for one in context.findall(saml("AuthnContextClassRef"))]
    return Asked(
        party=came.party,
        id=message.get("ID", ""),
        consumer=_consumer(message, came.party),
        relay_state=came.relay_state,
        force=_flag(message, "ForceAuthn"),
        passive=_flag(message, "IsPassive"),
        contexts=tuple(one.strip() for one in wanted),
        comparison="exact" if context is None else context.get("Comparison", "exact"),
        name_format=None if policy is None else policy.get("Format"),
        language=_language(message),
    )


def read_logout(came: Came, url: str, now: datetime, *, qualified: bool) -> LogoutWanted:
    """Return the logout asked for at `url`. `qualified` wants both qualifiers of the name and a session index."""
    message = _headed(came, names.LOGOUT_REQUEST, url, now)
    named = message.find(names.NAME_ID)
    if named is None or not named.text:
        raise Misuse("no_name")
    name = Name(
        value=named.text,
        format=named.get("Format", names.UNSPECIFIED),
        qualifier=named.get("NameQualifier"),
        sp_qualifier=named.get("SPNameQualifier"),
    )
    indexes = tuple(one.text or "" for one in message.findall(samlp("SessionIndex")))
    if qualified and (name.qualifier is None or name.sp_qualifier is None):
        raise Misuse("no_name_qualifier")
    if qualified and not indexes:
        raise Misuse("no_session_index")
    return LogoutWanted(
        party=came.party, id=message.get("ID", ""), relay_state=came.relay_state, name=name, indexes=indexes
    )


def _headed(came: Came, tag: str, url: str, now: datetime) -> etree._Element:
    message = came.message
    if came.name != "SAMLRequest" or message.tag != tag:
        raise Misuse("another_message")
    if message.get("Version") != "2.0" or not message.get("ID"):
        raise Misuse("version_or_id")
    if message.get("Destination") != url:
        raise Misuse("destination")
    try:
        issued = read_instant(message.get("IssueInstant"), name="IssueInstant")
    except Untrusted:
        raise Misuse("issue_instant") from None
    if abs(now - issued) > _LIFE:
        raise Misuse("issue_instant")
    return message


def _consumer(message: etree._Element, party: Party) -> str:
    asked = message.get("AssertionConsumerServiceURL")
    if asked is None:
        return party.consumers[0]
    if asked not in party.consumers and party.traits.get(_SKIP) != ("true",):
        raise Misuse("assertion_consumer")
    return asked


def _flag(message: etree._Element, name: str) -> bool:
    return message.get(name) in {"true", "1"}


def _language(message: etree._Element) -> str | None:
    # By local names, as suomi.fi's own code looks for it.
    found = message.xpath("./*[local-name()='Extensions']/*[local-name()='vetuma']/*[local-name()='LG']/text()")
    return str(found[0]).strip() if isinstance(found, list) and found else None
