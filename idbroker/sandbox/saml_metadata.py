"""What a simulated identity provider publishes about itself, and its lies about that (SAML metadata 2.0)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.saml import names
from idbroker.saml.lexical import instant_text
from idbroker.saml.metadata import MD
from idbroker.saml.names import ds
from idbroker.sandbox.saml_keys import IdpKeys
from idbroker.sandbox.saml_says import new_id
from idbroker.sandbox.saml_signing import signed

_LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """Who the identity provider is and where it is found, addresses by binding."""

    entity_id: str
    sign_on: Mapping[str, str]
    logout: Mapping[str, str]
    name_formats: tuple[str, ...]
    refers_to_all: bool  # the signature refers to the document by the empty URI


def publish(described: Described, keys: IdpKeys, now: datetime, lies: frozenset[str]) -> bytes:
    """Return the metadata, signed, with both signing certificates; or what the lies make of it."""
    entity_id = described.entity_id + ("/other" if "metadata_other_entity" in lies else "")
    ends = now - timedelta(hours=1) if "metadata_expired" in lies else now + _LIFE
    root = etree.Element(
        f"{{{MD}}}EntityDescriptor",
        {"ID": new_id(), "entityID": entity_id, "validUntil": instant_text(ends), "cacheDuration": "PT1H"},
        nsmap={"md": MD, "ds": names.DS},
    )
    root.append(_role(described, [keys.active.certificate, keys.next.certificate]))
    signer = keys.stranger if "metadata_other_signer" in lies else keys.metadata
    if "metadata_unsigned" not in lies:
        root = signed(root, signer, whole=described.refers_to_all)
    if "metadata_extra_key" in lies:
        root.findall(f".//{{{MD}}}KeyDescriptor")[0].addprevious(_key(keys.stranger.certificate))
    octets = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return octets[: len(octets) // 2] if "metadata_not_xml" in lies else octets


def _role(described: Described, certificates: Sequence[x509.Certificate]) -> etree._Element:
    wanted = {"protocolSupportEnumeration": names.SAMLP, "WantAuthnRequestsSigned": "true"}
    role = etree.Element(f"{{{MD}}}IDPSSODescriptor", wanted, nsmap={"md": MD, "ds": names.DS})
    role.extend([_key(one) for one in certificates])
    role.extend([_endpoint("SingleLogoutService", *one) for one in described.logout.items()])
    for name_format in described.name_formats:
        etree.SubElement(role, f"{{{MD}}}NameIDFormat").text = name_format
    role.extend([_endpoint("SingleSignOnService", *one) for one in described.sign_on.items()])
    return role


def _key(certificate: x509.Certificate) -> etree._Element:
    made = etree.Element(f"{{{MD}}}KeyDescriptor", {"use": "signing"}, nsmap={"md": MD, "ds": names.DS})
    carried = etree.SubElement(etree.SubElement(made, names.KEY_INFO), ds("X509Data"))
    told = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")
    etree.SubElement(carried, ds("X509Certificate")).text = told
    return made


def _endpoint(name: str, binding: str, location: str) -> etree._Element:
    return etree.Element(f"{{{MD}}}{name}", {"Binding": binding, "Location": location})
