"""The one parser: what never gets past it (standards rows S10, S22 to S24)."""

from __future__ import annotations

import pytest

from idbroker.errors import Untrusted
from idbroker.saml import lexical, xml
from idbroker.saml.response import read
from tests.saml.idp import loosely, plain, posted


def refused(octets: bytes, why: str) -> None:
    """Assert that a document is refused, why, and that the reason holds nothing of it."""
    with pytest.raises(Untrusted, match=why) as caught:
        xml.parse(octets)
    assert b"secret" not in caught.value.detail.encode()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "octets",
    [
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        b'<!DOCTYPE r SYSTEM "http://evil.example.test/x.dtd"><r/>',
        b'<!DOCTYPE r PUBLIC "x" "http://evil.example.test/x.dtd"><r/>',
        b'<!DOCTYPE r [<!ENTITY % p SYSTEM "http://evil.example.test/x">%p;]><r/>',
        b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><r>&b;&b;&b;&b;</r>',
        b"<r><![CDATA[x]]></r>",
        b"<r><!-- x --></r>",
        b"<!-- x --><r/>",
        b"<r/><!-- x -->",
    ],
)
def test_s24_declarations(octets: bytes) -> None:
    """S24: XXE, external and parameter entities, billion laughs, CDATA, comments: refused unparsed."""
    refused(octets, "a declaration, CDATA or a comment")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"])
def test_s24_other_encodings(encoding: str) -> None:
    """S24: a document type spelt in another encoding is not read in that encoding."""
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE r [<!ENTITY x "secret">]><r>&x;</r>'

    refused(text.encode(encoding), "xml: ")


def test_another_encoding_is_not_obeyed() -> None:
    """What the declaration says about the encoding counts for nothing: it is UTF-8."""
    octets = '<?xml version="1.0" encoding="ISO-8859-1"?><r>é</r>'.encode()

    assert xml.text(xml.parse(octets)) == "é"


def test_s24_size() -> None:
    """S24: 256 KiB, 24 levels and 2,000 elements are the most."""
    refused(b"<r>" + b"x" * xml.MOST_OCTETS + b"</r>", "too long")
    assert len(xml.text(xml.parse(b"<r>" + b"x" * (xml.MOST_OCTETS - 7) + b"</r>"))) == xml.MOST_OCTETS - 7
    refused(b"<r>" * 25 + b"</r>" * 25, "nested too deep")
    assert xml.parse(b"<r>" * 24 + b"</r>" * 24).tag == "r"
    refused(b"<r>" * 40_000, "not well-formed")
    refused(b"<r>" + b"<x/>" * 2000 + b"</r>", "too many elements")
    assert len(xml.parse(b"<r>" + b"<x/>" * 1999 + b"</r>")) == 1999
    with pytest.raises(Untrusted, match="too long"):
        read("A" * 400_000, loosely())


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "not well-formed"),
        (b"<r>", "not well-formed"),
        (b"<r/><r/>", "not well-formed"),
        (b"<r>&secret;</r>", "not well-formed"),
        (b"<p:r/>", "not well-formed"),
        (b'<r a="1" a="2"/>', "not well-formed"),
        (b"<r>\0</r>", "not well-formed"),
        (b"<r>&#0;</r>", "not well-formed"),
        (b"<r>\xff</r>", "not UTF-8"),
        (b"<r>\xc0\xbc</r>", "not UTF-8"),
        (b"<r>\xed\xa0\x80</r>", "not UTF-8"),
        (b"<?pi x?><r/>", "a processing instruction"),
        (b"<r><?pi x?></r>", "a processing instruction"),
        (b"<r/><?pi x?>", "a processing instruction"),
        (b'<r xmlns="secret"/>', "a relative namespace"),
        (b"<r xmlns:x='secret'/>", "a relative namespace"),
        (b'<r ID="a"><r ID="a"/></r>', "one ID twice"),
        (b'<r ID="a"><r Id="a"/></r>', "one ID twice"),
        (b'<r ID="a" Id="a"/>', "one ID twice"),
        (b'<r xml:id="a"/>', "an ID of another name"),
        (b'<r id="a"/>', "an ID of another name"),
        (b'<r iD="a"/>', "an ID of another name"),
        (b'<r xmlns:x="urn:x" x:ID="a"/>', "an ID of another name"),
        (b'<r ID=""/>', "no name"),
        (b'<r ID="a b"/>', "no name"),
        (b'<r ID="1"/>', "no name"),
        (b'<r ID="a&#10;"/>', "no name"),
    ],
)
def test_s23_and_malformed(octets: bytes, why: str) -> None:
    """S23, and whatever is not well-formed: refused, with one short reason."""
    refused(octets, why)


def test_comments_where_they_are_allowed() -> None:
    """Metadata files have comments; also there none cuts a text in two (S22)."""
    root = xml.parse(b"<!-- a --><r><!-- b --><x>text</x> <!-- c --></r>", comments=True)

    assert xml.text(xml.only(root, "x")) == "text"
    for octets in (b"<r>te<!-- -->xt</r>", b"<r><x>text<!-- --></x></r>", b"<r><!DOCTYPE x></r>"):
        with pytest.raises(Untrusted):
            xml.parse(octets, comments=True)


def test_finding() -> None:
    """A child is asked for by its tag: none and two are errors, and so is an element where text belongs."""
    root = xml.parse(b"<r><a/><b/><b/><c>x<d/></c></r>")

    assert xml.only(root, "a").tag == "a"
    assert xml.at_most_one(root, "z") is None
    for name, why in (("z", "no z"), ("b", "more than one b")):
        with pytest.raises(Untrusted, match=why):
            xml.only(root, name)
    with pytest.raises(Untrusted, match="where text belongs"):
        xml.text(xml.only(root, "c"))


@pytest.mark.parametrize("text", ["", " ", "AA=A", "AB==", "AAA", "A-_A", "AAAA=", "ÄAAA", "AAAA\x0b", "AAAA\0"])
def test_base64_has_one_spelling(text: str) -> None:
    """Whatever a lenient decoder would skip or fill up is refused (S15)."""
    with pytest.raises(Untrusted):
        lexical.read_base64(text, most=100, name="x")


def test_base64_is_bounded() -> None:
    """More characters than are allowed are not decoded."""
    assert lexical.read_base64("A" * 100, most=100, name="x") == b"\0" * 75
    with pytest.raises(Untrusted, match="too long"):
        lexical.read_base64("A" * 104, most=100, name="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T09:00:00",
        "2026-11-22T09:00:00+00:00",
        "2026-11-22T24:00:00Z",
        "2026-11-22T09:00:60Z",
        "2026-11-22 09:00:00Z",
        "2026-11-22T09:00:00.Z",
        "٢٠٢٦-11-22T09:00:00Z",
        "2026-11-22T09:00:00Z\n",
        "1999-01-01T00:00:00Z",
    ],
)
def test_moments_have_one_spelling(text: str) -> None:
    """Moments are in UTC, spelt Z (SAML core, 1.3.3), and of this century: nothing overflows."""
    with pytest.raises(Untrusted):
        lexical.read_instant(text, name="x")


def test_moments() -> None:
    """Fractions of any length are read, to the microsecond."""
    read_instant = lexical.read_instant

    assert read_instant("2026-11-22T09:00:00.1234567Z", name="x").microsecond == 123456
    assert read_instant("2026-11-22T09:00:00.5Z", name="x").microsecond == 500_000
    assert lexical.instant_text(read_instant("2026-11-22T09:00:00.9Z", name="x")) == "2026-11-22T09:00:00Z"


def test_a_message_with_a_byte_order_mark() -> None:
    """A byte order mark before a good message harms nothing: it is no part of the document."""
    assert read(posted("\ufeff" + plain()), loosely()).id == "_assertion1"
