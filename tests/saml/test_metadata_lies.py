"""Hostile metadata (standards S38): nothing but the pinned signer's words about the very party is believed."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml.metadata import MOST_OCTETS, fingerprint, read
from tests.saml.metadata_documents import (
    DS,
    ENTITY_ID,
    MD,
    NOW,
    SIGN_ON,
    certificate,
    described,
    entities,
    entity,
    role,
    signed,
)
from tests.servers import missing, program

EVIL = role(keys=described(certificate("evil")))


def refused(document: bytes | str, match: str, **options: Any) -> None:
    """Require that a document is refused, for this reason; one given as text is signed first."""
    octets = signed(document) if isinstance(document, str) else document
    known = {"signer_certificates": [certificate("federation")], "now": NOW, "entity_id": ENTITY_ID}
    with pytest.raises(Untrusted, match=match):
        read(octets, **{**known, **options})


def tampered(old: str, new: str, text: str | None = None) -> bytes:
    """Return a signed document, changed afterwards."""
    octets = signed(text or entity())
    assert old.encode() in octets
    return octets.replace(old.encode(), new.encode(), 1)


def wrapped(genuine: bytes, evil: str, where: str) -> bytes:
    """Return a document that says something evil, with the genuine one and its signature somewhere in it."""
    inner, outer = etree.fromstring(genuine), etree.fromstring(evil.encode())
    signature = inner.find(f"{{{DS}}}Signature")
    assert signature is not None
    if where == "inside the signature":
        inner.remove(signature)
        etree.SubElement(signature, f"{{{DS}}}Object").append(inner)
        outer.insert(0, signature)
    elif where in {"signature outside", "signature and id outside"}:
        inner.remove(signature)
        outer.insert(0, signature)
        outer.append(inner)
    else:
        outer.insert(0, inner)
    if where in {"the same id", "signature and id outside"}:
        outer.set("ID", "_document")
    if where == "signature and id outside":
        inner.set("ID", "_moved")
    return etree.tostring(outer)


# Who signed.


def test_unsigned() -> None:
    """Metadata without a signature is refused, with a signer configured and without."""
    refused(entity().encode(), "Signature")
    refused(entity().encode(), "nobody we know", signer_certificates=[])


def test_unsigned_but_a_signer_is_configured() -> None:
    """A trusted file must still be signed when a signer is configured: one setting never undoes the other."""
    refused(entity().encode(), "Signature", file_trusted=True)


def test_another_signer() -> None:
    """A signature by somebody else is refused, even where the document brings the pinned certificate along."""
    refused(signed(entity(), "evil"), "not by a key of theirs")
    refused(signed(entity(), "evil", carried=certificate("federation")), "not by a key of theirs")


def test_fingerprint_of_another() -> None:
    """A pinned fingerprint lets in its own certificate only, and only with that certificate's signature."""
    pinned = {"signer_certificates": [], "signer_fingerprints": [fingerprint(certificate("federation"))]}

    refused(signed(entity(), "evil"), "nobody we know", **pinned)
    refused(signed(entity(), "evil", carried=certificate("federation")), "not by a key of theirs", **pinned)
    refused(entity().encode(), "nobody we know", **pinned)


def test_key_of_the_party_itself() -> None:
    """The identity provider's own key does not make it a signer: its metadata would vouch for itself."""
    refused(signed(entity(), "idp"), "not by a key of theirs")


def test_sha1() -> None:
    """A signature with SHA-1 is refused, though it is the pinned signer's (S19)."""
    refused(signed(entity(), digest="sha1"), "not allowed")


@pytest.mark.parametrize("reference", ["#", "#other", "https://evil.example.test/", "#xpointer(/)"])
def test_reference(reference: str) -> None:
    """A signature that refers to anything but the root by its ID is refused (S21; SAML core 5.4.2)."""
    refused(signed(entity(), reference=reference), "refers to something else")


def test_a_signed_part() -> None:
    """A signature on the entity says nothing of the federation's document around it."""
    inside = signed(entity()).decode().partition("?>")[2]
    refused(entities(inside).encode(), "Signature")


# What was changed.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("idp.example.test/post", "evil.example.test/post"),
        (f'entityID="{ENTITY_ID}"', 'entityID="https://evil.example.test"'),
        ("<md:NameIDFormat>", "<md:NameIDFormat> "),
        ('WantAuthnRequestsSigned="true"', 'WantAuthnRequestsSigned="false"'),
    ],
)
def test_changed(old: str, new: str) -> None:
    """Whatever is changed after signing makes the signature fail."""
    refused(tampered(old, new), "not by a key of theirs")


def test_key_put_in() -> None:
    """A KeyDescriptor that was put in after signing is not believed (S38)."""
    refused(tampered("<md:NameIDFormat>", described(certificate("evil")) + "<md:NameIDFormat>"), "not by a key")


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("inside the signature", "does not belong there"),
        ("signature outside", "refers to something else"),
        ("signature and id outside", "not by a key of theirs"),
        ("first child", "no Signature"),
        ("the same id", "one ID twice"),
    ],
)
def test_wrapped(where: str, reason: str) -> None:
    """The genuine document inside an evil one does not make the evil one genuine (S1 to S8)."""
    refused(wrapped(signed(entity()), entity(EVIL), where), reason)


@pytest.mark.parametrize("where", ["inside the signature", "signature outside", "first child"])
def test_wrapped_whole(where: str) -> None:
    """A signature of a whole document is of that document, not of the one it was moved to."""
    whole = signed(entity(), reference="", identifier=None)

    refused(wrapped(whole, entity(EVIL), where), "does not belong there|not by a key of theirs|no Signature")
    refused(whole.replace(b"idp.example.test/post", b"evil.example.test/post"), "not by a key of theirs")


def test_wrapped_in_a_federation() -> None:
    """An evil federation around a genuine, signed entity is not believed."""
    refused(wrapped(signed(entity()), entities(entity(EVIL)), "first child"), "no Signature")


@pytest.mark.parametrize("extensions", ["md:Extensions", "md:Organization"])
def test_entity_elsewhere(extensions: str) -> None:
    """An entity that lies where entities do not belong is nobody's description."""
    hidden = f"<{extensions}>{entity(EVIL)}</{extensions}>"
    refused(entity(entity_id="https://other.example.test", first=hidden), "no entity of that id")


# When.


def test_expired() -> None:
    """Metadata is refused from the very second of validUntil on (metadata 2.3.1)."""
    document = signed(entity(attributes=f'validUntil="{NOW:%Y-%m-%dT%H:%M:%SZ}"'))

    refused(document, "expired")
    assert read(
        document,
        signer_certificates=[certificate("federation")],
        now=NOW - timedelta(seconds=1),
        entity_id=ENTITY_ID,
    ).valid_until == NOW  # fmt: skip


def test_expired_federation() -> None:
    """An entity cannot outlive the document that holds it."""
    inside = entity(attributes='validUntil="2027-01-01T00:00:00Z"')
    refused(entities(inside, attributes='validUntil="2026-11-01T00:00:00Z"'), "expired")


@pytest.mark.parametrize("until", ["", "tomorrow", "2026-13-01T00:00:00Z", "2027-01-01T00:00:00", "2027-01-01"])
def test_no_time(until: str) -> None:
    """A validUntil that is none is refused; it is not taken for the lack of one."""
    refused(entity(attributes=f'validUntil="{until}"'), "no such day|not a moment")


@pytest.mark.parametrize("duration", ["", "P", "PT", "P1DT", "-PT5M", "1 day", "P99999999Y", "PT1.5H"])
def test_no_duration(duration: str) -> None:
    """A cacheDuration that is none is refused."""
    refused(entity(attributes=f'cacheDuration="{duration}"'), "duration")


# Whom.


@pytest.mark.parametrize("asked", [f"{ENTITY_ID}/", ENTITY_ID.upper(), f" {ENTITY_ID}", ENTITY_ID[:-1], ""])
def test_another_id(asked: str) -> None:
    """An id is the same or another: a slash, a case, a space make the difference."""
    refused(entity(), "no entity of that id", entity_id=asked)


def test_two_of_one_id() -> None:
    """Two descriptions of one id are refused: one would be read, and one displayed."""
    refused(entities(entity(), entity(EVIL)), "two entities")
    refused(entities(entity(), entities(entity(EVIL))), "two entities")


def test_service_provider_only() -> None:
    """A party that is no identity provider is refused, whatever keys it has."""
    refused(entity(role(kind="SPSSODescriptor", sign_on="")), "not one identity provider")
    refused(entity(role(kind="AttributeAuthorityDescriptor", sign_on="")), "not one identity provider")


@pytest.mark.parametrize(
    "protocol", ["urn:oasis:names:tc:SAML:1.1:protocol", "", "urn:oasis:names:tc:SAML:2.0:protocolx"]
)
def test_another_protocol(protocol: str) -> None:
    """An identity provider of another protocol is refused (metadata 2.4.1)."""
    refused(entity(role(protocol=protocol)), "not one identity provider")


def test_two_identity_providers_in_one() -> None:
    """An entity with two roles of SAML 2.0 is refused: their keys would be one another's."""
    refused(entity(role(), EVIL), "not one identity provider")


# What it says.


@pytest.mark.parametrize("keys", ["", described(certificate("secret"), use="encryption"), described(use="signing")])
def test_no_signing_certificate(keys: str) -> None:
    """Without a certificate to verify with there is no identity provider."""
    refused(entity(role(keys=keys)), "no signing certificate")


def test_short_key() -> None:
    """A key that is too short is not believed, so alone it is none."""
    refused(entity(role(keys=described(certificate("short", 1024)))), "no signing certificate")


def test_chain() -> None:
    """Several certificates for one key are refused: who issues certificates must not sign assertions."""
    refused(entity(role(keys=described(certificate("idp"), certificate("authority")))), "several certificates")


@pytest.mark.parametrize("text", ["bm8gY2VydGlmaWNhdGU=", "not base64!", "", "AAAA<md:x/>AAAA"])
def test_broken_certificate(text: str) -> None:
    """A certificate that does not parse is refused, not passed over: somebody meant something by it."""
    refused(entity(role(keys=described(certificate("idp")) + described(text))), "certificate|text belongs")


@pytest.mark.parametrize(
    "location",
    [
        "javascript:alert(1)", "http://idp.example.test/post", "//evil.example.test", "/post", "", "https://",
        "https://idp@evil.example.test/", "https://idp.example.test/&#10;x", "https://[", "data:text/html,x",
        "http://127.0.0.1.evil.example.test/", "https://idp.example.test/#x",
    ],
)  # fmt: skip
def test_location(location: str) -> None:
    """An address that is not plain https is refused: it becomes a redirect and a form's target."""
    refused(entity(role(sign_on=SIGN_ON.replace("https://idp.example.test/post", location))), "https address")


def test_nowhere_to_sign_on() -> None:
    """Without an endpoint that we speak there is nowhere to send a person."""
    refused(entity(role(sign_on="")), "nowhere")


# What it is made of.


def test_document_type() -> None:
    """A DOCTYPE is refused before anything is parsed (XXE, billion laughs: S24)."""
    declared = b'<!DOCTYPE md:EntityDescriptor [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    body = entity().replace("transient", "&x;").encode()

    refused(declared + body, "declaration", signer_certificates=[], file_trusted=True)


def test_huge() -> None:
    """A document past the limit is refused unread, and one with too many or too deep elements unbelieved."""
    refused(b" " * (MOST_OCTETS + 1), "too long")
    many = entities(*["<md:Extensions/>"] * 10_001)
    refused(many.encode(), "too many")
    deep = entity()
    for _ in range(30):
        deep = entities(deep)
    refused(deep.encode(), "too deep")


@pytest.mark.parametrize("octets", [b"", b"<", b"{}", b"\xff\xfe<\x00a\x00/\x00>\x00", b"<?xml version='1.0'?>"])
def test_no_xml(octets: bytes) -> None:
    """What is no XML in UTF-8 is refused."""
    refused(octets, "xml")


def test_another_document() -> None:
    """A document that is no metadata is refused, signed or not."""
    refused(b"<html/>", "not a metadata document")
    refused(f'<md:IDPSSODescriptor xmlns:md="{MD}"/>', "not a metadata document")


@pytest.mark.peers
def test_xmlsec1(tmp_path: Path) -> None:
    """What we believe xmlsec1 verifies too, and what was changed it refuses too."""
    binary = program("xmlsec1", variable="TEST_XMLSEC1_BIN")
    if binary is None:
        missing("xmlsec1", "install xmlsec1, or name its program in TEST_XMLSEC1_BIN")
    (tmp_path / "signer.pem").write_bytes(certificate("federation").public_bytes(Encoding.PEM))

    def verifies(document: bytes, name: str) -> bool:
        (tmp_path / "document.xml").write_bytes(document)
        ids = ["--id-attr:ID", f"{MD}:{name}", "--pubkey-cert-pem", "signer.pem"]
        command = [str(binary), "--verify", *ids, "document.xml"]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=30).returncode == 0

    assert verifies(signed(entity()), "EntityDescriptor")
    assert verifies(signed(entities(entity())), "EntitiesDescriptor")
    assert not verifies(tampered("idp.example.test/post", "evil.example.test/post"), "EntityDescriptor")
    assert not verifies(signed(entity(), "evil"), "EntityDescriptor")
