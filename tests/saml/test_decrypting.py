"""Encrypted elements: what is opened, what never, and that failures look alike (XML Encryption 1.1; rows S27, S28)."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import decrypting, names, xml
from idbroker.saml.response import read
from tests.saml.idp import (
    DS,
    XENC,
    XENC11,
    Says,
    Sealing,
    enveloped,
    expected,
    key,
    posted,
    seal,
    sign,
)

MGF1P, OAEP = f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep"
GCM = [f"{XENC11}aes{bits}-gcm" for bits in (128, 192, 256)]
CBC = [f"{XENC}aes{bits}-cbc" for bits in (128, 192, 256)]
FAILED = "^decryption: failed$"


def decrypted(text: str, *by: str, cbc: bool = False) -> etree._Element:
    """Return what is in an EncryptedAssertion, opened with keys by name."""
    keys = [key(name) for name in by or ("sp",)]
    return decrypting.decrypted(xml.parse(text.encode()), keys, cbc=cbc)


def refused(text: str, why: str = FAILED, *by: str, cbc: bool = False) -> None:
    """Assert that a text is not opened, and why."""
    with pytest.raises(Untrusted, match=why):
        decrypted(text, *by, cbc=cbc)


@pytest.mark.parametrize("method", [*GCM, *CBC])
@pytest.mark.parametrize(
    ("transport", "digest", "mask"),
    [
        (MGF1P, None, None),
        (MGF1P, "sha1", None),
        (MGF1P, "sha256", None),
        (MGF1P, "sha512", None),
        (OAEP, None, None),
        (OAEP, "sha256", None),
        (OAEP, "sha256", "sha256"),
        (OAEP, "sha512", "sha1"),
        (OAEP, "sha512", "sha512"),
    ],
)
def test_what_is_opened(method: str, transport: str, digest: str | None, mask: str | None) -> None:
    """RSA-OAEP with SHA-1, SHA-256 and SHA-512 in both places, AES of every size (OIOSAML, OIO-ALG-01)."""
    text = seal(Says().assertion(), method=method, transport=transport, digest=digest, mask=mask)

    assert decrypted(text, cbc=method in CBC).get("ID") == "_assertion1"


def test_where_the_key_is() -> None:
    """The key lies in the KeyInfo, or beside the data with a RetrievalMethod that points at it, and nowhere else."""
    inside, beside = seal(Says().assertion()), seal(Says().assertion(), beside=True)

    assert decrypted(inside).tag == decrypted(beside).tag == names.ASSERTION
    refused(beside.replace('"#_key1"', '"#_data1"'), "a key somewhere else")
    refused(beside.replace('"#_key1"', '"http://evil.example.test/"'), "a key somewhere else")
    refused(beside.replace(f'"{XENC}EncryptedKey"', f'"{XENC}EncryptedData"'), "a key of another type")


def test_hints_are_passed_over() -> None:
    """How a provider names the certificate it sealed for says nothing to us: our keys are tried."""
    token = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    hint = f'<ds:KeyInfo xmlns:ds="{DS}"><o:SecurityTokenReference xmlns:o="{token}"><ds:X509Data><ds:X509SubjectName>x'
    closed = "</ds:X509SubjectName></ds:X509Data></o:SecurityTokenReference></ds:KeyInfo>"
    text = seal(Says().assertion())
    first = text.index("<xenc:CipherData>")

    assert decrypted(text[:first] + hint + closed + text[first:]).tag == names.ASSERTION


def test_several_keys_of_ours() -> None:
    """During a rollover any of our keys opens what was sealed for it."""
    for order in (("sp", "next"), ("next", "sp")):
        assert decrypted(seal(Says().assertion()), *order).tag == names.ASSERTION
    refused(seal(Says().assertion()), FAILED, "next", "other")


@pytest.mark.parametrize(
    "changes",
    [
        {"transport": f"{XENC}rsa-1_5"},
        {"transport": f"{XENC}kw-aes256"},
        {"digest": "sha384"},
        {"transport": OAEP, "mask": "sha384"},
        {"mask": "sha256"},
    ],
)
def test_s27_key_transport(changes: dict[str, Any]) -> None:
    """S27: RSA 1.5 never (Bleichenbacher), nor a digest or a mask that is not on the list."""
    refused(seal(Says().assertion(), **changes), "decryption: a (key transport|digest|mask)", cbc=True)


@pytest.mark.parametrize("method", [f"{XENC}tripledes-cbc", f"{XENC}aes128", f"{XENC11}aes128-ctr", ""])
def test_s27_methods(method: str) -> None:
    """S27: triple DES and whatever else is refused before any key is used."""
    text = seal(Says().assertion()).replace(f'"{GCM[2]}"', f'"{method}"')

    refused(text, "a method that is not allowed", cbc=True)


@pytest.mark.parametrize("method", CBC)
def test_s27_cbc_is_asked_for(method: str) -> None:
    """S27: AES-CBC needs the provider's setting and a response that is signed as a whole, and verified."""
    sealed = seal(sign(Says().assertion()), method=method)

    assert read(posted(sign(enveloped(sealed))), expected(cbc=True)).id
    for text, changes in (
        (sign(enveloped(sealed)), {}),
        (enveloped(sealed), {"cbc": True, "response_signed": False}),
    ):
        with pytest.raises(Untrusted, match="a method that is not allowed"):
            read(posted(text), expected(**changes))
    with pytest.raises(Untrusted, match="not by a key"):
        read(posted(sign(enveloped(sealed), by="evil")), expected(cbc=True))


def _with_value(text: str, octets: bytes, *, last: bool = True) -> str:
    """Return the text with another CipherValue: the data's, or the key's."""
    opened, closed = "<xenc:CipherValue>", "</xenc:CipherValue>"
    start = (text.rindex if last else text.index)(opened) + len(opened)
    return text[:start] + base64.b64encode(octets).decode() + text[text.index(closed, start) :]


def _value(text: str, *, last: bool = True) -> bytes:
    opened = "<xenc:CipherValue>"
    start = (text.rindex if last else text.index)(opened) + len(opened)
    return base64.b64decode(text[start : text.index("<", start)])


def test_s27_one_error_for_all() -> None:
    """S27: wrong key, wrong key size, wrong tag, wrong padding, no XML, two elements: one and the same error."""
    good, cbc = seal(Says().assertion()), seal(Says().assertion(), method=CBC[0])
    value, cbc_value = _value(good), _value(cbc)
    forged = [
        seal(Says().assertion(), to="other"),
        seal(Says().assertion(), method=GCM[0]).replace(GCM[0], GCM[2]),
        _with_value(good, value[:-1] + bytes([value[-1] ^ 1])),
        _with_value(good, bytes([value[0] ^ 1]) + value[1:]),
        _with_value(good, value[:27]),
        _with_value(good, os.urandom(256), last=False),
        _with_value(good, b"\0" * 256, last=False),
        _with_value(good, b"\xff" * 256, last=False),
        _with_value(good, os.urandom(255), last=False),
        _with_value(cbc, cbc_value[:-16]),
        _with_value(cbc, cbc_value[:-1]),
        _with_value(cbc, cbc_value[:16]),
        _with_value(cbc, cbc_value[:-17] + bytes([cbc_value[-17] ^ 0x80]) + cbc_value[-16:]),
        _with_value(cbc, bytes([cbc_value[0] ^ 0x10]) + cbc_value[1:]),
        seal("no xml"),
        seal(""),
        seal("<x/><y/>"),
        seal("<!DOCTYPE x><x/>"),
        seal(b"\xff\xfe"),
        seal("<x>" * 60 + "</x>" * 60),
    ]

    told = {_told(text) for text in forged}

    assert told == {("decryption: failed", None, True)}


def _told(text: str) -> tuple[str, BaseException | None, bool]:
    with pytest.raises(Untrusted) as caught:
        decrypted(text, cbc=True)
    return caught.value.detail, caught.value.__cause__, caught.value.__suppress_context__


def test_s27_every_cbc_padding_looks_alike() -> None:
    """S27: of the 256 last bytes a padding oracle tries, nearly all fail, and all that fail say the same."""
    text = seal("<x/>", method=CBC[0])
    value = _value(text)
    told = []
    for guess in range(256):
        try:
            decrypted(_with_value(text, value[:15] + bytes([guess]) + value[16:]), cbc=True)
        except Untrusted as error:
            told.append(error.detail)

    assert set(told) == {"decryption: failed"}
    assert len(told) > 200


def test_a_key_of_another_size() -> None:
    """A content key that does not fit the method is not cut or filled up."""
    refused(seal(Says().assertion(), Sealing(content_key=os.urandom(16))).replace(GCM[2], GCM[1]))


def test_bombs_are_bounded() -> None:
    """What comes out is bounded like what comes in: depth and number of elements (its size is, by what came)."""
    refused(seal("<x>" + "<y/>" * 2500 + "</x>"))
    refused(seal("<x>" * 24 + "</x>" * 24))


def test_other_kinds_of_content() -> None:
    """Only elements are taken: content and files may stand for anything."""
    text = seal(Says().assertion())

    refused(text.replace(f'Type="{XENC}Element"', f'Type="{XENC}Content"'), "something else than an element")
    assert decrypted(text.replace(f' Type="{XENC}Element"', "")).tag == names.ASSERTION
