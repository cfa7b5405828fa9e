"""Signatures one by one: keys, algorithms, references, transforms (XML Signature 1.1; rows S17 to S22, S40)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names, signing, xml
from idbroker.saml.requests import AuthnRequest
from tests.saml.idp import ACS, DS, ENVELOPED, EXC, IDP, MORE, NOW, SP, XENC, Says, certificate, key, sign

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def verified(text: str, *by: str) -> etree._Element:
    """Return the assertion of a text, its signature verified with keys by name."""
    return signing.verified(xml.parse(text.encode()), [certificate(name) for name in by or ("idp",)])


def refused(text: str, why: str, *by: str) -> None:
    """Assert that a signature is refused, and why."""
    with pytest.raises(Untrusted, match=why):
        verified(text, *by)


def signed(**changes: Any) -> str:
    """Return the usual assertion, signed in some way."""
    return sign(Says().assertion(), **changes)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("hashed", ["sha256", "sha384", "sha512"])
def test_rsa(hashed: str, digest: str) -> None:
    """RSA with SHA-2 verifies, whatever the digest of the same family."""
    found = verified(signed(algorithm=f"{MORE}rsa-{hashed}", hash=hashed, digest=digest))

    assert (found.tag, found.get("ID")) == (names.ASSERTION, "_assertion1")
    assert not signing.is_signed(found)


def test_ecdsa() -> None:
    """ECDSA with SHA-256 on P-256 verifies."""
    text = signed(by="curve", algorithm=f"{MORE}ecdsa-sha256")
    by = certificate("curve", curved=True)

    assert signing.verified(xml.parse(text.encode()), [certificate("idp"), by]).get("ID") == "_assertion1"


@pytest.mark.parametrize("changes", [{"prefix": ""}, {"prefix": "dsig"}, {"prefixes": None}, {"prefixes": "xs saml"}])
def test_ways_of_writing(changes: dict[str, Any]) -> None:
    """Any prefix, none, and lists of prefixes as Shibboleth writes them (exclusive canonicalisation, 3)."""
    assert verified(signed(**changes)).get("ID") == "_assertion1"


def test_what_is_read_is_what_was_digested() -> None:
    """The element comes from the canonical bytes: another tree than the one given, whole, with its whitespace."""
    says = Says(attributes={"a": "1\r\n\t2 é &amp; &#xD; "})
    text = sign(says.assertion())

    found = verified(text)

    assert found.getroottree().getroot() is found
    assert "".join(map(str, found.itertext())).endswith("1\n\t2 é & \r ")


def test_s17_hmac_with_the_certificate() -> None:
    """S17 (CVE-2025-48994): an HMAC keyed with the certificate, which everybody has, is no signature."""
    refused(signed(algorithm=f"{MORE}hmac-sha256"), "a method that is not allowed")


def test_s18_key_info_is_not_believed() -> None:
    """S18 (CVE-2021-21239): a certificate brought along proves nothing; without any, the pinned one is used."""
    refused(signed(by="evil"), "not by a key of theirs")
    assert verified(signed(keyinfo=False)).get("ID")
    stranger = base64.b64encode(b"not a certificate").decode()
    start, end = signed().index("<ds:X509Certificate>") + 20, signed().index("</ds:X509Certificate>")
    assert verified(signed()[:start] + stranger + signed()[end:]).get("ID")
    value = "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus></ds:RSAKeyValue></ds:KeyValue>"
    assert verified(signed(keyinfo=False, beside=f"<ds:KeyInfo>{value}</ds:KeyInfo>")).get("ID")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"algorithm": f"{DS}rsa-sha1", "hash": "sha1"}, "a method"),
        ({"algorithm": f"{MORE}rsa-md5"}, "a method"),
        ({"algorithm": f"{DS}hmac-sha1"}, "a method"),
        ({"algorithm": f"{DS}dsa-sha1"}, "a method"),
        ({"algorithm": ""}, "a method"),
        ({"digest": "sha1"}, "a digest"),
        ({"digest_method": f"{MORE}md5"}, "a digest"),
        ({"digest_method": f"{XENC}sha512"}, "over something else"),
        ({"algorithm": f"{MORE}rsa-sha512"}, "not by a key"),
    ],
)
def test_s19_weak_algorithms(changes: dict[str, Any], why: str) -> None:
    """S19: SHA-1, MD5 and whatever is not on the list are refused, before anything is computed."""
    refused(signed(**changes), why)


def test_s19_truncated_hmac() -> None:
    """S19 (CVE-2009-0217): no HMACOutputLength, nor anything else, stands in a SignatureMethod."""
    opened = f'<ds:SignatureMethod Algorithm="{MORE}rsa-sha256"'
    longer = signed().replace(
        f"{opened}/>", f"{opened}><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>"
    )

    refused(longer, "shape: an element in SignatureMethod")


@pytest.mark.parametrize(
    "changes",
    [
        {"transforms": (ENVELOPED,)},
        {"transforms": (EXC,)},
        {"transforms": (EXC, ENVELOPED)},
        {"transforms": (ENVELOPED, EXC, EXC)},
        {"transforms": ()},
        {"transforms": (ENVELOPED, C14N)},
        {"transforms": (ENVELOPED, EXC + "WithComments")},
        {"transforms": ("http://www.w3.org/TR/1999/REC-xslt-19991116", EXC)},
        {"transforms": ("http://www.w3.org/TR/1999/REC-xpath-19991116", EXC)},
        {"transforms": ("http://www.w3.org/2002/06/xmldsig-filter2", EXC)},
        {"transforms": (f"{DS}base64", EXC)},
        {"canonical": C14N},
        {"canonical": EXC + "WithComments"},
        {"canonical": "http://www.w3.org/2006/12/xml-c14n11"},
        {"prefixes": "x" * 41},
        {"prefixes": " ".join(["x"] * 11)},
    ],
)
def test_s20_transforms(changes: dict[str, Any]) -> None:
    """S20: only enveloped-signature and exclusive canonicalisation, in this order, with few prefixes."""
    refused(signed(**changes), "transforms|canonicalisation|prefixes|shape: Transforms|too many")


@pytest.mark.parametrize(
    "uri", ["", "_assertion1", "#_other", "#", "#xpointer(/)", "http://evil.example.test/", "##_assertion1"]
)
def test_s21_references(uri: str) -> None:
    """S21: the reference is to the ID of the element itself, by name (SAML core, 5.4.2)."""
    refused(signed(uri=uri), "refers to something else")


def test_s21_no_reference() -> None:
    """S21: none, one without a URI, or two: refused."""
    refused(signed().replace(' URI="#_assertion1"', ""), "lacks an attribute")
    start, end = signed().index("<ds:Reference "), signed().index("</ds:Reference>") + len("</ds:Reference>")
    refused(signed()[:start] + signed()[end:], "SignedInfo lacks")
    refused(signed(in_signed_info=signed()[start:end]), "too many")


def test_two_signatures() -> None:
    """Two signatures of one element, good or bad: which is meant is not for us to choose."""
    text = signed()
    start, end = text.index("<ds:Signature "), text.index("</ds:Signature>") + len("</ds:Signature>")

    refused(text[:end] + text[start:end] + text[end:], "more than one Signature")
    refused(text[:start] + text[end:], "no Signature")


@pytest.mark.parametrize("cut", ["<!---->", "<!-- x -->", "<?x y?>", "<![CDATA[]]>"])
def test_s22_cut_texts(cut: str) -> None:
    """S22 (CVE-2018-0489): a text cut in two by something that is not text is refused, not read halfway."""
    text = sign(Says(name_id="user@example.test.evil.test").assertion())

    refused(text.replace("user@example.test", f"user@example.test{cut}"), "comment|instruction")


def test_s40_key_and_algorithm() -> None:
    """S40 (CVE-2018-7644): a key is used with its own algorithm only, and only if it is long enough."""
    curved = certificate("curve", curved=True)
    with pytest.raises(Untrusted, match="not by a key"):
        signing.verified(xml.parse(signed().encode()), [curved])
    with pytest.raises(Untrusted, match="not by a key"):
        signing.verified(xml.parse(signed(by="curve", algorithm=f"{MORE}ecdsa-sha256").encode()), [certificate("idp")])
    assert not signing.fits(certificate("short", 1024), names.RSA_SHA256)
    assert not signing.fits(certificate("idp"), f"{DS}rsa-sha1")


@pytest.mark.parametrize("name", ["SignatureValue", "DigestValue"])
def test_changed_values(name: str) -> None:
    """A value that is changed, cut, empty or spelt in another way is refused."""
    text = signed()
    start, end = text.index(f"<ds:{name}>") + len(name) + 5, text.index(f"</ds:{name}>")

    for value in (
        "",
        "AAAA",
        "=",
        "é",
        text[start:end].strip()[:-4],
        text[start:end].replace("A", "B").replace("z", "A") + "\0",
    ):
        with pytest.raises(Untrusted):
            verified(text[:start] + value + text[end:])
    refused(text[:start] + text[start:end] + "!" + text[end:], "base64")


def test_a_changed_text() -> None:
    """Any other text in the element is another digest."""
    refused(signed().replace("AAdzZWNyZXQx", "AAdzZWNyZXQy"), "over something else")


def test_our_own() -> None:
    """What we sign verifies: after the Issuer, RSA-SHA256, exclusive, our certificate in it, by its ID."""
    request = AuthnRequest(id="_1", issued=NOW, issuer=SP, destination=IDP, acs_url=ACS)
    octets = signing.signed(request.element(), key("sp"), certificate("sp"))
    root = xml.parse(octets)

    assert [etree.QName(child).localname for child in root][:2] == ["Issuer", "Signature"]
    assert etree.tostring(signing.verified(root, [certificate("sp")])).startswith(b"<samlp:AuthnRequest")
    methods = root.xpath("//@Algorithm")
    assert methods == [EXC, f"{MORE}rsa-sha256", ENVELOPED, EXC, f"{XENC}sha256"]
    assert hashlib.sha256(octets).digest() != b""


def test_our_own_without_an_issuer() -> None:
    """Where there is no Issuer the signature stands first (SAML metadata, 2.3.2)."""
    octets = signing.signed(etree.fromstring('<x xmlns="urn:x" ID="_1"><y/></x>'), key("sp"), certificate("sp"))

    root = xml.parse(octets)
    assert root[0].tag == names.SIGNATURE
    assert len(signing.verified(root, [certificate("sp")])) == 1
