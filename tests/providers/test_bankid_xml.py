"""A BankID signature document that is not in the one shape and spelling is refused before anything is verified.

S1-S24 are the attacks on signed XML, as the SAML world numbers them in "On Breaking SAML" and after.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.bankid_papers import (
    BANKID,
    C14N,
    DS,
    HIDDEN,
    PROLOG,
    VISIBLE,
    Paper,
    b64,
    genuine,
    refused,
    twisted,
    verified,
)

HIDES = f"<usrNonVisibleData>{HIDDEN}"


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("?><Signature", "?><!DOCTYPE Signature><Signature", "a declaration"),
        ("?><Signature", '?><!DOCTYPE S [<!ENTITY a "b">]><Signature', "a declaration"),
        ("?><Signature", '?><!DOCTYPE S SYSTEM "file:///etc/passwd"><Signature', "a declaration"),
        ("<funcId>Identi", "<funcId>Identi<!-- -->", "a comment"),
        (VISIBLE, VISIBLE[:4] + "<!-- -->" + VISIBLE[4:], "a comment"),
        (VISIBLE, f"<![CDATA[{VISIBLE}]]>", "CDATA"),
        ("</Signature>", "</Signature><!-- -->", "a comment"),
        ("<funcId>", "<funcId><?php?>", "something else than elements"),
        ("?><Signature", "?><?php?><Signature", "something else than elements"),
        ("</Signature>", "</Signature><?php?>", "something else than elements"),
        ("<funcId>", "<funcId>&a;", "not well-formed"),
        ("<funcId>I", "<funcId>&#73;", "canonical spelling"),
        ("<Object>", "<Object >", "canonical spelling"),
        ("></SignatureMethod>", "/>", "canonical spelling"),
        ('Id="bidKeyInfo"', "Id='bidKeyInfo'", "canonical spelling"),
        ("</Signature>", "</Signature>\n", "canonical spelling"),
        (PROLOG, PROLOG + "\n", "canonical spelling"),
        (PROLOG, PROLOG.replace("1.0", "1.1"), "canonical spelling|well-formed"),
        (PROLOG, PROLOG.replace("UTF-8", "UTF-16"), "canonical spelling|well-formed"),
        (PROLOG, "\ufeff" + PROLOG, "canonical spelling|well-formed"),
        ("</Signature>", "", "well-formed"),
        ("</Signature>", "</Signature><Signature></Signature>", "well-formed"),
        ("<funcId>", '<funcId xmlns="">', "empty namespace"),
        ("<funcId>", "<funcId xmlns=''>", "another namespace"),
        ("<funcId>", '<funcId xmlns="urn:x">', "another namespace"),
        ("<Object>", '<Object xmlns:x="urn:x">', "or a prefix"),
        ("<Object><", f'<x:Object xmlns:x="{DS}"></x:Object><Object><', "or a prefix"),
        (HIDES, "<a>" * 20 + "</a>" * 20 + HIDES, "nested too deep"),
        (HIDES, "<a></a>" * 200 + HIDES, "too many elements"),
        (HIDES, "<a>" * 5000 + "</a>" * 5000 + HIDES, "too many|well-formed"),
        (HIDES, "x" * 200_000 + HIDES, "longer than"),
    ],
)
def test_another_spelling(old: str, new: str, detail: str) -> None:
    """No DTD, entity, comment, CDATA, prefix, depth or bulk: only elements, spelt canonically (S10-S13, S22, S24)."""
    refused(twisted(old, new), detail)


def test_without_declaration() -> None:
    """The XML declaration says nothing, and may be left out."""
    assert verified(twisted(PROLOG, "")).name


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (lambda: "", "well-formed"),
        (lambda: "%", "not base64"),
        (lambda: "é", "not base64"),
        (lambda: f"{b64(genuine())}\n", "not base64"),
        (lambda: f" {b64(genuine())}", "not base64"),
        (lambda: b64(genuine())[:100] + "\n" + b64(genuine())[100:], "not base64"),
        (lambda: b64("x" * 200_000), "longer than"),
        (lambda: b64(genuine().encode("utf-16")), "not UTF-8"),
        (lambda: b64(genuine().encode() + b"\xff"), "not UTF-8"),
    ],
)
def test_not_a_document(text: Callable[[], str], detail: str) -> None:
    """What is not base64 of UTF-8 is refused, not a crash."""
    refused(text(), detail)


def test_one_base64() -> None:
    """Base64 of the document, and of the signature value, has one spelling: set padding bits are refused."""
    padded = next(text for spaces in range(3) if (text := b64(genuine() + " " * spaces)).endswith("="))
    last = len(padded.rstrip("=")) - 1
    refused(padded[:last] + _next(padded[last]) + padded[last + 1 :], "signature: not the one spelling")

    value = re.findall("<SignatureValue>(.*)</SignatureValue>", genuine())[0]
    other = f"{value[:-3]}{_next(value[-3])}=="
    assert base64.b64decode(other) == base64.b64decode(value)
    refused(twisted(value, other), "SignatureValue: not the one spelling")


def _next(letter: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(letter) + 1]


def _forged() -> Paper:
    return Paper(client=Paper.client.replace("dg==", "dw=="))


Around = Callable[[str, str], str]


@pytest.mark.parametrize(
    ("around", "detail"),
    [
        (lambda bad, good: f"<Object>{bad}</Object><Object>{good}</Object>", "elements in Signature"),
        (lambda bad, good: f"<Object>{good}</Object><Object>{bad}</Object>", "elements in Signature"),
        (lambda bad, good: f"<Object>{bad}{good}</Object>", "elements in Object"),
        (lambda bad, good: "<Object>" + bad.replace("</bank", f"{good}</bank") + "</Object>", "other ids"),
        (lambda bad, good: f"<Object><Object>{good}</Object></Object>", "where bankIdSignedData belongs"),
        (lambda bad, good: "<Object>" + bad.replace("Id=", "ID=") + "</Object>", "attributes of bankIdSignedData"),
        (lambda bad, good: "<Object>" + bad.replace(' Id="bidSignedData"', "") + "</Object>", "attributes of"),
        (lambda bad, good: "<Object>" + good.replace("<srvInfo", '<srvInfo id="bidSignedData"'), "well-formed"),
        (
            lambda bad, good: "<Object>" + bad.replace("<srvInfo", '<srvInfo id="bidSignedData"') + "</Object>",
            "other ids",
        ),
        (lambda bad, good: "<Object>" + bad.replace("<srvInfo", '<srvInfo xml:id="x"') + "</Object>", "other ids"),
        (lambda bad, good: f'<Object Id="x">{good}</Object>', "attributes of Object"),
        (lambda bad, good: f"<Object>text{good}</Object>", "text in Object"),
        (lambda bad, good: f"<Object>{good}text</Object>", "text in Object"),
        (lambda bad, good: "<Object></Object>", "elements in Object"),
        (lambda bad, good: "", "elements in Signature"),
        (lambda bad, good: f"<Object>{bad}</Object>", "does not verify"),
    ],
)
def test_wrapping(around: Around, detail: str) -> None:
    """Forged data beside, around, inside or instead of the signed is refused (S1-S8, S23)."""
    refused(twisted(f"<Object>{Paper().data}</Object>", around(_forged().data, Paper().data)), detail)


def test_enveloped() -> None:
    """A whole good document inside another, or in place of the root, is refused (S1, S8)."""
    inner = genuine().removeprefix(PROLOG)

    refused(b64(f'{PROLOG}<Signature xmlns="{DS}"><Object>{inner}</Object></Signature>'), "elements in Signature")
    refused(b64(PROLOG + Paper().data), "where Signature belongs")


def test_other_order() -> None:
    """Parts in another order are refused."""
    key_info = Paper().key_info
    moved = genuine().replace(key_info, "").replace("<SignatureValue>", f"{key_info}<SignatureValue>")

    refused(b64(moved), "where SignatureValue belongs")


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("<KeyInfo", "<Object></Object><KeyInfo", "elements in Signature"),
        ("<SignedInfo", f'<SignedInfo xmlns="{DS}"></SignedInfo><SignedInfo', "elements in Signature"),
        ("<X509Data>", "<KeyName>x</KeyName><X509Data>", "elements in KeyInfo"),
        ("<X509Data>", "<KeyValue></KeyValue><X509Data>", "elements in KeyInfo"),
        ("</X509Data>", "</X509Data><X509Data></X509Data>", "elements in KeyInfo"),
        ("<X509Data>", "<X509Data><X509SubjectName>x</X509SubjectName>", "where X509Certificate belongs"),
        ("</X509Data>", "<X509Certificate>AAAA</X509Certificate>" * 3 + "</X509Data>", "elements in X509Data"),
        ("<DigestValue>", "<DigestValue><a></a>", "elements in DigestValue|text belongs"),
    ],
)
def test_more_parts(old: str, new: str, detail: str) -> None:
    """Parts that are none of the profile's are refused (S9, S15, S18)."""
    refused(twisted(old, new), detail)


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ({"method": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, "attributes of SignatureMethod"),
        ({"method": "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"}, "attributes of SignatureMethod"),
        ({"digest": "http://www.w3.org/2000/09/xmldsig#sha1"}, "attributes of DigestMethod"),
        ({"canonicalisation": "http://www.w3.org/2001/10/xml-exc-c14n#"}, "attributes of CanonicalizationMethod"),
        ({"canonicalisation": f"{C14N}#WithComments"}, "attributes of CanonicalizationMethod"),
        ({"transforms": ""}, "elements in Transforms"),
        ({"transforms": Paper.transforms * 2}, "elements in Transforms"),
        ({"transforms": Paper.transforms.replace(C14N, "http://www.w3.org/TR/1999/REC-xslt-19991116")}, "Transform"),
        ({"references": lambda both: both[:1]}, "elements in SignedInfo"),
        ({"references": lambda both: both[1:]}, "elements in SignedInfo"),
        ({"references": lambda both: both[::-1]}, "attributes of Reference"),
        ({"references": lambda both: [*both, both[1]]}, "elements in SignedInfo"),
        ({"references": lambda both: [both[0], both[0]]}, "attributes of Reference"),
        ({"references": lambda both: [one.replace("#bidSignedData", "") for one in both]}, "attributes of Reference"),
        ({"references": lambda both: [one.replace("#bid", "http://x/#bid") for one in both]}, "attributes of"),
        ({"references": lambda both: [one.replace(f'Type="{BANKID}" ', "") for one in both]}, "attributes of"),
        ({"references": lambda both: [re.sub("<DigestV.*Value>", "", one) for one in both]}, "elements in Reference"),
        ({"references": lambda both: [re.sub(">[^<]*</DigestV", "></DigestV", one) for one in both]}, "not verify"),
    ],
)
def test_algorithms_and_references(parts: dict[str, Any], detail: str) -> None:
    """However well it is signed: SHA-1, HMAC, other transforms and other references are refused (S9, S17-S21)."""
    refused(Paper(**parts).document(), detail)
