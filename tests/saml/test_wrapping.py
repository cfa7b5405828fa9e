"""Signatures wrapped, moved, doubled and misread (standards rows S1 to S16, S23): nobody becomes somebody else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import signing, xml
from idbroker.saml.response import Expected, read
from tests.saml.idp import (
    DS,
    IDP,
    NAMESPACES,
    SAML,
    SAMLP,
    SUCCESS,
    Says,
    certificate,
    enveloped,
    expected,
    loosely,
    plain,
    posted,
    seal,
    sign,
)

ASSERTION, RESPONSE = f"{{{SAML}}}Assertion", f"{{{SAMLP}}}Response"
SIGNATURE, NAME_ID = f"{{{DS}}}Signature", f"{{{SAML}}}NameID"
Tree = etree._Element
RESPONSE_SIGNED = {"assertion_signed": False, "encrypted": False}


def evil(original: Tree, identifier: str | None) -> Tree:
    """Return a copy that names another person, unsigned; with an ID of its own, or the same."""
    forged = copy.deepcopy(original)
    forged.tail = None
    for signature in forged.iter(SIGNATURE):
        parent = signature.getparent()
        if parent is not None and parent is forged:
            forged.remove(signature)
    next(forged.iter(NAME_ID)).text = "evil"
    if identifier:
        forged.set("ID", identifier)
    return forged


def unsigned(original: Tree) -> Tree:
    """Return a copy without its own signature."""
    bare = copy.deepcopy(original)
    bare.remove(signature_of(bare))
    return bare


def signature_of(element: Tree) -> Tree:
    """Return the signature that is the element's own child."""
    found = element.find(SIGNATURE)
    assert found is not None
    return found


def xsw1(response: Tree, identifier: str | None) -> Tree:
    """Put the response, unsigned, into the signature of an evil one."""
    forged = evil(response, identifier)
    signature = copy.deepcopy(signature_of(response))
    signature.append(unsigned(response))
    forged.insert(1, signature)
    return forged


def xsw2(response: Tree, identifier: str | None) -> Tree:
    """Put the response, unsigned, before a signature that is detached from it."""
    forged = evil(response, identifier)
    forged.insert(1, unsigned(response))
    forged.insert(2, copy.deepcopy(signature_of(response)))
    return forged


def _assertion(response: Tree) -> Tree:
    found = response.find(ASSERTION)
    assert found is not None
    return found


def xsw3(response: Tree, identifier: str | None) -> Tree:
    """Put an evil assertion before the original."""
    original = _assertion(response)
    original.addprevious(evil(original, identifier))
    return response


def xsw4(response: Tree, identifier: str | None) -> Tree:
    """Put the original into an evil assertion."""
    original = _assertion(response)
    forged = evil(original, identifier)
    response.replace(original, forged)
    forged.append(original)
    return response


def xsw5(response: Tree, identifier: str | None) -> Tree:
    """Let an evil assertion have the signature, and append the original without it."""
    original = _assertion(response)
    forged = evil(original, identifier)
    forged.insert(1, copy.deepcopy(signature_of(original)))
    response.replace(original, forged)
    response.append(unsigned(original))
    return response


def xsw6(response: Tree, identifier: str | None) -> Tree:
    """Put the original into the signature of an evil assertion."""
    original = _assertion(response)
    forged = evil(original, identifier)
    signature = copy.deepcopy(signature_of(original))
    signature.append(unsigned(original))
    forged.insert(1, signature)
    response.replace(original, forged)
    return response


def xsw7(response: Tree, identifier: str | None) -> Tree:
    """Put an evil assertion into Extensions, where the schema allows anything."""
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(evil(_assertion(response), identifier))
    response.insert(1, extensions)
    return response


def xsw8(response: Tree, identifier: str | None) -> Tree:
    """Put the original into an Object of the signature of an evil assertion."""
    original = _assertion(response)
    forged = evil(original, identifier)
    signature = copy.deepcopy(signature_of(original))
    etree.SubElement(signature, f"{{{DS}}}Object").append(unsigned(original))
    forged.insert(1, signature)
    response.replace(original, forged)
    return response


def refused(text: bytes | str, *wanted: Expected) -> None:
    """Assert that nobody is believed, whatever is wanted of the response."""
    for expecting in wanted or (loosely(), expected(**RESPONSE_SIGNED), expected(encrypted=False)):
        with pytest.raises(Untrusted):
            read(posted(text), expecting)


Twist = Callable[[Tree, str | None], Tree]


@pytest.mark.parametrize("identifier", ["_evil", None], ids=["other-id", "same-id"])
@pytest.mark.parametrize("twist", [xsw1, xsw2])
def test_s1_s2_wrapped_responses(twist: Twist, identifier: str | None) -> None:
    """S1 and S2 (XSW1, XSW2): a signed response hidden in an evil one."""
    signed = etree.fromstring(sign(enveloped(sign(Says().assertion()))))
    forged = twist(signed, identifier)

    refused(etree.tostring(forged))
    with pytest.raises(Untrusted):
        signing.verified(forged, [certificate("idp")])


@pytest.mark.parametrize("wrapped", ["plain", "encrypted", "in-signed"])
@pytest.mark.parametrize("identifier", ["_evil", None], ids=["other-id", "same-id"])
@pytest.mark.parametrize("twist", [xsw3, xsw4, xsw5, xsw6, xsw7, xsw8])
def test_s3_to_s8_wrapped_assertions(twist: Twist, identifier: str | None, wrapped: str) -> None:
    """S3 to S8 (XSW3 to XSW8): a signed assertion hidden beside or in an evil one, clear or encrypted for us."""
    forged = twist(etree.fromstring(plain()), identifier)

    if wrapped == "plain":
        return refused(etree.tostring(forged))
    if wrapped == "in-signed":  # a provider that would sign what it did not make
        return refused(sign(etree.tostring(forged).decode()), expected(encrypted=False))
    inside = [seal(etree.tostring(one)) for one in forged.iterchildren(ASSERTION)]
    return refused(enveloped("".join(inside)), *_encrypted(changed=len(inside) == 1 and twist is not xsw7))


def _encrypted(*, changed: bool) -> tuple[Expected, ...]:
    # What XSW7 adds stands outside the assertion, and is gone when that alone is encrypted: it is tried clear.
    return (expected(response_signed=False),) if changed else (expected(),)


def test_wrapping_starts_from_something_good() -> None:
    """What is twisted above is believed as long as it is straight."""
    assert read(posted(plain()), loosely()).name_id.value == "AAdzZWNyZXQx"
    assert read(posted(sign(enveloped(sign(Says().assertion())))), expected(encrypted=False)).id
    assert read(posted(sign(enveloped(sign(Says().assertion())))), expected(**RESPONSE_SIGNED)).id


def test_s9_digests_elsewhere() -> None:
    """S9 (CVE-2024-45409): a DigestValue in StatusDetail, for the one to be found who searches the document."""
    digest = f'<ds:DigestValue xmlns:ds="{DS}">AAAA</ds:DigestValue>'
    text = enveloped(sign(Says().assertion()), status=SUCCESS + f"<samlp:StatusDetail>{digest}</samlp:StatusDetail>")
    harmless = enveloped(
        sign(Says().assertion()), status=SUCCESS + '<samlp:StatusDetail><x xmlns="urn:x"/></samlp:StatusDetail>'
    )

    refused(text, loosely())
    assert read(posted(harmless), loosely()).id
    inside = sign(Says().assertion(), in_signed_info=digest)
    refused(enveloped(inside), loosely())


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE response SYSTEM 'x\"><!--'>",
        '<!DOCTYPE r [<!ENTITY a "b">]>',
        "<!DOCTYPE r>",
        "<?pi x?>",
        "<!-- -->",
        "\ufeff<!DOCTYPE r>",
    ],
)
def test_s10_doctypes(prolog: str) -> None:
    """S10 (CVE-2025-25291): what two parsers read in two ways is refused before one of them has to choose."""
    refused(prolog + plain(), loosely())
    refused(enveloped(seal(prolog + sign(Says().assertion()))), expected(response_signed=False))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<saml:NameID ", f'<x:NameID xmlns:x="{SAML}x" '),
        ("<saml:Subject>", '<saml:Subject xmlns:saml="urn:evil">'),
        (' ID="_assertion1"', f' ID="_assertion1" xmlns:s="{SAML}" s:ID="_evil"'),
        (' ID="_assertion1"', ' ID="_assertion1" xml:id="_evil"'),
        (' ID="_assertion1"', ' ID="_assertion1" Id="_evil"'),
        (' ID="_assertion1"', ' ID="_assertion1" id="_evil"'),
        (' Version="2.0"', ' Version="2.0" samlp:Version="1.1"'),
    ],
)
def test_s11_s12_namespaces(old: str, new: str) -> None:
    """S11 and S12: prefixes bound anew, attributes polluted with others of the same name: refused, even signed."""
    changed = Says().assertion().replace(old, new, 1)
    assert changed != Says().assertion()
    closed = changed.replace("</saml:NameID>", "</x:NameID>") if "<x:" in new else changed

    refused(enveloped(sign(closed)), loosely())
    refused(sign(enveloped(closed)), expected(**RESPONSE_SIGNED))


@pytest.mark.parametrize("declared", ['xmlns:r="relative"', "xmlns:r='../x'", 'xmlns:r = "1"'])
def test_s12_void_canonicalisation(declared: str) -> None:
    """S12 (CVE-2025-66568): where canonicalisation would fail, and leave nothing to digest, nothing is believed."""
    empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    text = plain().replace("<saml:Assertion ", f"<saml:Assertion {declared} ", 1)

    refused(text, loosely())
    with pytest.raises(Untrusted, match="relative"):
        xml.parse(text.encode())
    start, end = text.index("<ds:DigestValue>") + len("<ds:DigestValue>"), text.index("</ds:DigestValue>")
    refused(plain().replace(plain()[start:end], empty), loosely())
    with pytest.raises(Untrusted):
        signing.verified(etree.fromstring(text)[-1], [certificate("idp")])


def test_s13_entities() -> None:
    """S13 (CVE-2025-23369): entities are not expanded, looked up, or there at all."""
    doctype = '<!DOCTYPE r [<!ENTITY idx "_assertion1"><!ATTLIST saml:Assertion ID ID #IMPLIED>]>'
    refused(doctype + plain().replace('ID="_assertion1"', 'ID="&idx;"'), loosely())
    refused(plain().replace('ID="_assertion1"', 'ID="&idx;"'), loosely())
    refused(plain().replace("AAdzZWNyZXQx", "&evil;"), loosely())


@pytest.mark.parametrize("first", [True, False])
def test_s14_s16_unsigned_assertion_beside(first: bool) -> None:
    """S14 and S16: an unsigned assertion beside the signed one, in either order; only verified bytes are read."""
    good, bad = sign(Says().assertion()), Says(name_id="evil", id="_evil").assertion()
    both = bad + good if first else good + bad

    refused(enveloped(both))
    refused(enveloped(f"{good}<saml:EncryptedAssertion>{bad}</saml:EncryptedAssertion>"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<ds:DigestValue>", "<ds:DigestValue><!-- x -->"),
        ("</ds:SignedInfo>", "</ds:SignedInfo><ds:SignedInfo/>"),
        ("<ds:Reference ", "<ds:Reference URI='#x'/><ds:Reference "),
        ("</ds:DigestValue>", "</ds:DigestValue><ds:DigestValue>AAAA</ds:DigestValue>"),
        ("</ds:SignatureValue>", "</ds:SignatureValue><ds:SignatureValue>AAAA</ds:SignatureValue>"),
        ("<ds:DigestValue>", "<ds:DigestValue><?x y?>"),
    ],
)
def test_s15_one_signed_info(old: str, new: str) -> None:
    """S15 (CVE-2025-29774, CVE-2025-29775): two SignedInfo, or a comment in the digest."""
    refused(plain().replace(old, new, 1), loosely())


def test_s15_a_whole_second_signed_info() -> None:
    """S15: the attacker's SignedInfo first, the provider's second, each with digests of its own."""
    good, bad = sign(Says().assertion()), sign(Says(name_id="evil").assertion(), by="evil")
    infos = [one[one.index("<ds:SignedInfo>") : one.index("</ds:SignedInfo>") + 16] for one in (good, bad)]

    for pair in (infos, infos[::-1]):
        refused(enveloped(bad.replace(infos[1], "".join(pair))), loosely())


def test_s23_duplicate_ids() -> None:
    """S23: one ID at two elements, whatever its attribute is called."""
    taken = sign(Says().assertion()).replace("<ds:Signature ", '<ds:Signature Id="_assertion1" ', 1)
    refused(enveloped(taken), loosely())
    refused(enveloped(sign(Says().assertion()), ID="_assertion1"), loosely())
    refused(enveloped(sign(Says(id="").assertion(), uri="#")), loosely())
    refused(enveloped(sign(Says(id="a b").assertion())), loosely())


def test_s28_foreign_elements_around_the_encrypted() -> None:
    """S28: an EncryptedAssertion with other things in it, or with two keys, or with a key from elsewhere."""
    good = seal(sign(Says().assertion()))
    key = good[good.index("<xenc:EncryptedKey") : good.index("</xenc:EncryptedKey>") + 20]
    evil_one = Says(name_id="evil").assertion()

    for forged in (
        good.replace("</saml:EncryptedAssertion>", evil_one + "</saml:EncryptedAssertion>"),
        good.replace("</xenc:EncryptedData>", evil_one + "</xenc:EncryptedData>"),
        good.replace("</saml:EncryptedAssertion>", key.replace("_key1", "_key2") + "</saml:EncryptedAssertion>"),
        good.replace(key, key + f'<ds:RetrievalMethod xmlns:ds="{DS}" URI="#_key1"/>'),
        good.replace(key, f'<ds:RetrievalMethod xmlns:ds="{DS}" URI="http://evil.example.test/"/>'),
        good.replace("<xenc:CipherValue>", '<xenc:CipherReference URI="http://x"/><xenc:CipherValue>'),
        seal("<x/>" + sign(Says().assertion())),
        seal(sign(Says().assertion()) + "x"),
        seal("</around><around>" + sign(Says().assertion())),
        seal(enveloped(sign(Says().assertion()))),
        seal(good),
    ):
        refused(enveloped(forged), expected(response_signed=False))


def test_encrypted_plaintext_leans_on_its_surroundings() -> None:
    """A plaintext without its declarations takes them from where it was encrypted (XML Encryption 1.1, 4.3.3)."""
    bare = sign(Says().assertion()).replace(f" {NAMESPACES}", "", 1)
    declared = '<?xml version="1.0" encoding="UTF-8"?>' + sign(Says().assertion())

    assert read(posted(enveloped(seal(bare))), expected(response_signed=False)).issuer == IDP
    assert read(posted(enveloped(seal(declared))), expected(response_signed=False)).issuer == IDP
