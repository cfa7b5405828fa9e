"""A service as its metadata describes it to a simulated identity provider (SAML metadata 2.0)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from lxml import etree

from idbroker.saml import names
from idbroker.saml.metadata import MD
from idbroker.saml.names import ds, saml

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_MDUI = "urn:oasis:names:tc:SAML:metadata:ui"
_MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"


class Misuse(Exception):
    """A message or a document that an identity provider answers with an error page: `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutPlace:
    """Where a service takes logout messages of one binding, in its metadata's order."""

    binding: str
    location: str
    answers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One service. `consumers` are the addresses for responses by POST, the default first.

    `wanted` are the names of the attributes it asks for; `traits` its entity attributes, by name.
    """

    entity_id: str
    signing: tuple[x509.Certificate, ...]
    encryption: tuple[x509.Certificate, ...]
    consumers: tuple[str, ...]
    logout: tuple[LogoutPlace, ...]
    ciphers: tuple[str, ...] = ()
    wanted: frozenset[str] = frozenset()
    traits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)

    def title(self, language: str) -> str:
        """Return what to call it on a page, in a language if it has it."""
        return self.titles.get(language) or next(iter(self.titles.values()), self.entity_id)


def parse_xml(octets: bytes) -> etree._Element:
    """Return a document's root; nothing is fetched or expanded. Misuse for what is not well-formed."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError:
        raise Misuse("not_xml") from None
    if b"<!DOCTYPE" in octets:
        raise Misuse("doctype")
    return root


def read_party(document: bytes) -> Party:
    """Return the service of an EntityDescriptor. Misuse when it lacks what a sign-in needs.

    Whoever installs it has seen that it is the right one: its signature is not asked for.
    """
    root = parse_xml(document)
    role = root.find(f"{{{MD}}}SPSSODescriptor")
    if root.tag != f"{{{MD}}}EntityDescriptor" or role is None:
        raise Misuse("metadata_without_service")
    party = Party(
        entity_id=root.get("entityID", ""),
        signing=_certificates(role, "signing"),
        encryption=_certificates(role, "encryption"),
        consumers=_consumers(role),
        logout=_logout(role),
        ciphers=tuple(one.get("Algorithm", "") for one in role.iter(f"{{{MD}}}EncryptionMethod")),
        wanted=frozenset(one.get("Name", "") for one in role.iter(f"{{{MD}}}RequestedAttribute")),
        traits=_traits(root),
        titles=_titles(role),
    )
    if not party.signing or not party.encryption or not party.consumers:
        raise Misuse("metadata_incomplete")
    return party


def _certificates(role: etree._Element, use: str) -> tuple[x509.Certificate, ...]:
    described = [one for one in role.findall(f"{{{MD}}}KeyDescriptor") if one.get("use") in (None, use)]
    texts = [one.text or "" for key in described for one in key.iter(ds("X509Certificate"))]
    try:
        return tuple(x509.load_der_x509_certificate(base64.b64decode(text)) for text in texts)
    except (ValueError, binascii.Error):
        raise Misuse("metadata_certificate") from None


def _consumers(role: etree._Element) -> tuple[str, ...]:
    found = [one for one in role.findall(f"{{{MD}}}AssertionConsumerService") if one.get("Binding") == names.POST]
    ordered = sorted(found, key=lambda one: (one.get("isDefault") != "true", int(one.get("index", "0"))))
    return tuple(one.get("Location", "") for one in ordered)


def _logout(role: etree._Element) -> tuple[LogoutPlace, ...]:
    found = role.findall(f"{{{MD}}}SingleLogoutService")
    return tuple(
        LogoutPlace(
            binding=one.get("Binding", ""),
            location=one.get("Location", ""),
            answers=one.get("ResponseLocation", one.get("Location", "")),
        )
        for one in found
        if one.get("Binding") in (names.REDIRECT, names.POST)
    )


def _traits(root: etree._Element) -> Mapping[str, tuple[str, ...]]:
    found = root.iterfind(f"{{{MD}}}Extensions/{{{_MDATTR}}}EntityAttributes/{saml('Attribute')}")
    return {
        one.get("Name", ""): tuple(value.text or "" for value in one.findall(saml("AttributeValue"))) for one in found
    }


def _titles(role: etree._Element) -> Mapping[str, str]:
    shown = [*role.iter(f"{{{MD}}}ServiceName"), *role.iter(f"{{{_MDUI}}}DisplayName")]
    return {one.get(_LANG, ""): one.text or "" for one in shown}
