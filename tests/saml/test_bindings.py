"""How messages travel: signed queries, forms, handles (SAML bindings, 3.4 and 3.5; rows S25, S35, S37, S40)."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import bindings, signing, xml
from idbroker.saml.bindings import REQUEST, RESPONSE, Query
from tests.saml.idp import DS, HASHES, MORE, certificate, curve_key, key

TEXT = '<x xmlns="urn:x" ID="_1">' + "y" * 100 + "</x>"
RSA = f"{MORE}rsa-sha256"


def deflated(octets: bytes) -> str:
    """Return bytes as they stand in a query, before percent-encoding."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(squeezer.compress(octets) + squeezer.flush()).decode()


def query(
    *parameters: tuple[str, str], by: str = "idp", algorithm: str = RSA, hash_name: str = "sha256", safe: str = ""
) -> str:
    """Return a signed query of the tests' own making."""
    text = "&".join(f"{name}={quote(value, safe=safe)}" for name, value in [*parameters, ("SigAlg", algorithm)])
    return f"{text}&Signature={quote(base64.b64encode(_signature(text.encode(), by, algorithm, hash_name)).decode())}"


def _signature(octets: bytes, by: str, algorithm: str, hash_name: str) -> bytes:
    if "ecdsa" in algorithm:
        r, s = utils.decode_dss_signature(curve_key(by).sign(octets, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
    return key(by).sign(octets, padding.PKCS1v15(), HASHES[hash_name]())


def usual(**changes: Any) -> str:
    """Return a signed query with a message and a relay state."""
    return query((REQUEST, deflated(TEXT.encode())), ("RelayState", "handle"), **changes)


def verified(text: str, *by: str) -> Query:
    """Return the message of a query, verified."""
    return bindings.verified_query(text.encode(), [certificate(name) for name in by or ("idp",)])


def refused(text: str, why: str, *by: str) -> None:
    """Assert that a query is refused, and why."""
    with pytest.raises(Untrusted, match=why):
        verified(text, *by)


def test_queries() -> None:
    """A signed query is read: which message, its bytes, what goes with it, by any key of theirs."""
    assert verified(usual()) == Query(name=REQUEST, octets=TEXT.encode(), relay_state="handle")
    assert verified(usual(), "next", "idp").relay_state == "handle"
    assert verified(query((RESPONSE, deflated(TEXT.encode())))) == Query(
        name=RESPONSE, octets=TEXT.encode(), relay_state=None
    )


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_algorithms(name: str) -> None:
    """RSA with SHA-2 verifies."""
    assert verified(usual(algorithm=f"{MORE}rsa-{name}", hash_name=name)).octets


def test_ecdsa() -> None:
    """ECDSA verifies, its two numbers one after the other (XML Signature 1.1, 6.4.3)."""
    text = usual(by="curve", algorithm=f"{MORE}ecdsa-sha256")
    by = certificate("curve", curved=True)

    assert bindings.verified_query(text.encode(), [certificate("idp"), by]).octets
    cut = text.replace("RelayState=handle", "RelayState=handlf")
    with pytest.raises(Untrusted):
        bindings.verified_query(cut.encode(), [by])


def test_s37_the_octets_that_came() -> None:
    """S37: lower-case percent-encoding (Microsoft's) is verified as it came; spelt anew it does not verify."""
    low = "&".join(
        f"{name}={re.sub('%[0-9A-F]{2}', lambda spelt: spelt[0].lower(), quote_plus(value))}"
        for name, value in [(REQUEST, deflated(TEXT.encode())), ("SigAlg", RSA)]
    )
    signature = base64.b64encode(_signature(low.encode(), "idp", RSA, "sha256")).decode()
    text = f"{low}&Signature={quote(signature)}"

    assert verified(text).octets == TEXT.encode()
    refused(text.replace("%3a", "%3A").replace("%2f", "%2F"), "the signature is not by")


def test_s37_the_signature_may_stand_anywhere() -> None:
    """S37: the order in which parameters come changes nothing: one order is what is signed (3.4.4.1)."""
    parts = usual().split("&")

    assert verified("&".join(parts[::-1])) == verified(usual())
    assert verified(usual() + "&other=1").relay_state == "handle"


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text + "&" + text.split("&")[0],
        lambda text: text.split("&")[0] + "&" + text,
        lambda text: text + "&SAMLResponse=AAAA",
        lambda text: text + "&RelayState=evil",
        lambda text: "RelayState=evil&" + text,
        lambda text: text + "&%52elayState=evil",
        lambda text: text + "&SAML%52equest=evil",
        lambda text: text.replace("SAMLRequest", "%53AMLRequest"),
        lambda text: text + "&SigAlg=x",
        lambda text: text + "&Signature=x",
        lambda text: text + "&SAMLEncoding=urn:x",
        lambda text: text.replace("SAMLRequest=", "SAMLResponse="),
        lambda text: text.replace("RelayState=handle", "RelayState=handl%65"),
        lambda text: text.replace("RelayState=handle", "RelayState=evil"),
        lambda text: text.replace("&RelayState=handle", ""),
        lambda text: text.replace("SAMLRequest=", "Other="),
        lambda text: text[: text.index("&Signature")],
        lambda text: text[: text.index("&SigAlg")],
        lambda text: text.replace("rsa-sha256", "rsa-sha512"),
        lambda text: text.replace("rsa-sha256", "hmac-sha256"),
        lambda text: text.replace("rsa-sha256", "ecdsa-sha256"),
        lambda text: text.replace("&Signature=", "&Signature=AAAA"),
        lambda text: text.replace("handle", "%ff"),
        lambda text: "",
        lambda text: "&&&",
        lambda text: text + "&" + "x" * 70_000,
    ],
)
def test_s37_changed_queries(changed: Any) -> None:
    """S37: doubled, renamed, spelt otherwise, left out, swapped: no message comes of it."""
    assert changed(usual()) != usual()
    refused(changed(usual()), "^binding: ")


@pytest.mark.parametrize("algorithm", [f"{DS}rsa-sha1", f"{MORE}rsa-md5", f"{MORE}hmac-sha256", ""])
def test_s19_weak_algorithms(algorithm: str) -> None:
    """S19: SHA-1 and other weak methods are refused in queries too."""
    refused(usual(algorithm=algorithm, hash_name="sha1"), "a method that is not allowed")


def test_s40_keys() -> None:
    """S18 and S40: by a stranger, by a key of another kind, by nobody."""
    refused(usual(by="evil"), "not by a key")
    with pytest.raises(Untrusted, match="not by a key"):
        bindings.verified_query(usual().encode(), [certificate("curve", curved=True)])
    with pytest.raises(Untrusted, match="not by a key"):
        bindings.verified_query(usual().encode(), [])


@pytest.mark.parametrize(
    "octets",
    [
        b"<x>" + b"y" * (xml.MOST_OCTETS + 1),
        b"\0" * 20_000_000,
    ],
)
def test_s25_deflate_bombs(octets: bytes) -> None:
    """S25 (CVE-2025-25293): what inflates to more than a message may be is not inflated to its end."""
    refused(query((REQUEST, deflated(octets))), "deflated from too much")


def test_s25_deflated_badly() -> None:
    """S25: cut off, followed by more, zlib instead of raw, not deflated at all: refused."""
    good = base64.b64decode(deflated(TEXT.encode()))

    for octets in (good[:-2], good + b"more", zlib.compress(TEXT.encode()), TEXT.encode(), b"\xff"):
        refused(query((REQUEST, base64.b64encode(octets).decode())), "deflated")


def test_our_queries() -> None:
    """What we send by Redirect verifies, carries its handle, and no signature inside."""
    element = etree.fromstring(TEXT)
    url = bindings.redirect_url("https://idp.example.test/sso?a=1", REQUEST, element, key=key("sp"), relay_state="h +/")

    parts = urlsplit(url)
    assert url.startswith("https://idp.example.test/sso?a=1&SAMLRequest=")
    assert list(parse_qs(parts.query)) == ["a", REQUEST, "RelayState", "SigAlg", "Signature"]
    found = verified(parts.query, "sp")
    assert found.relay_state == "h +/"
    assert etree.tostring(etree.fromstring(found.octets)) == TEXT.encode()
    assert "?SAMLRequest=" in bindings.redirect_url("https://idp.example.test/sso", REQUEST, element, key=key("sp"))


def test_our_forms() -> None:
    """What we send by POST is signed inside, and goes where it should with its handle."""
    form = bindings.post_form(
        "https://idp.example.test/sso",
        REQUEST,
        etree.fromstring(TEXT),
        key=key("sp"),
        certificate=certificate("sp"),
        relay_state="handle",
    )

    assert (form.action, list(form.fields)) == ("https://idp.example.test/sso", [REQUEST, "RelayState"])
    root = xml.parse(bindings.posted(form.fields[REQUEST]))
    assert signing.verified(root, [certificate("sp")]).get("ID") == "_1"
    assert "handle" not in repr(form)


@pytest.mark.parametrize("relay_state", ["", "x" * 81, "ö" * 41])
def test_s35_relay_states(relay_state: str) -> None:
    """S35: a handle has 1 to 80 bytes, or it is not sent."""
    with pytest.raises(ValueError, match="80 bytes"):
        bindings.signed_query(REQUEST, etree.fromstring(TEXT), key=key("sp"), relay_state=relay_state)


def test_s35_their_relay_states() -> None:
    """S35: what they send along is a text that goes back to them, of bounded length; we read nothing in it."""
    told = "https://evil.example.test/" + "x" * 100
    message = (REQUEST, deflated(TEXT.encode()))

    assert verified(query(message, ("RelayState", told))).relay_state == told
    refused(query(message, ("RelayState", "x" * 1025)), "relay state is too long")
    assert urlencode({"RelayState": told}).startswith("RelayState=https%3A%2F%2F")
