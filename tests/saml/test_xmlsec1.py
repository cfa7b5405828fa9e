"""A second opinion, by xmlsec1: what we believe it verifies, what it refuses we refuse; what it seals we open."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from lxml import etree

from idbroker.errors import ProviderError, Untrusted
from idbroker.saml import bindings, decrypting, signing, xml
from idbroker.saml.logout import LogoutResponse
from idbroker.saml.requests import AuthnRequest, vetuma_language
from idbroker.saml.response import read
from tests.saml.idp import (
    ACS,
    DS,
    IDP,
    MORE,
    NOW,
    SAML,
    SAMLP,
    SP,
    XENC,
    XENC11,
    Says,
    certificate,
    enveloped,
    expected,
    key,
    posted,
    seal,
    sign,
)
from tests.saml.test_mutants import mutant
from tests.servers import missing, program

pytestmark = pytest.mark.peers

MESSAGES = ["Response", "AuthnRequest", "LogoutRequest", "LogoutResponse"]
IDS = [f"{SAML}:Assertion", *(f"{SAMLP}:{name}" for name in MESSAGES)]
ROOT = "/*/*[local-name()='Signature']"
INNER = "/*/*[local-name()='Assertion']/*[local-name()='Signature']"


def run(folder: Path, octets: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run xmlsec1 on a document."""
    found = program("xmlsec1", variable="IDBROKER_XMLSEC1")
    if found is None:
        missing("xmlsec1", "install xmlsec1, or name it in IDBROKER_XMLSEC1")
    (folder / "message.xml").write_bytes(octets)
    command = [str(found), *arguments, "message.xml"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=30)


def xmlsec1(folder: Path, octets: bytes, *, by: str = "idp", at: str = ROOT) -> bool:
    """Tell whether xmlsec1 verifies the signature at some place, with the key of a name and no other."""
    public = key(by).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(public)
    ids = [word for one in IDS for word in ("--id-attr:ID", one)]
    keys = ["--pubkey-pem", "key.pem", "--enabled-key-data", "key-name"]
    return run(folder, octets, "--verify", *ids, *keys, "--node-xpath", at).returncode == 0


def ours(octets: bytes) -> bool:
    """Tell whether we verify the root's signature."""
    try:
        signing.verified(xml.parse(octets), [certificate("idp")])
    except Untrusted:
        return False
    return True


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prefix": ""},
        {"prefixes": None},
        {"prefixes": "xs saml xsi"},
        {"prefixes": "#default"},
        {"algorithm": f"{MORE}rsa-sha384", "hash": "sha384", "digest": "sha384"},
        {"algorithm": f"{MORE}rsa-sha512", "hash": "sha512", "digest": "sha512"},
        {"keyinfo": False},
    ],
)
def test_both_verify(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Good signatures of many ways of writing are verified by both."""
    text = sign(Says(attributes={"a": "1 \r\n\t &amp; &#xD; é"}).assertion(), **changes).encode()

    assert ours(text)
    assert xmlsec1(tmp_path, text)


@pytest.mark.parametrize(
    "changes",
    [
        {"by": "evil"},
        {"algorithm": f"{DS}rsa-sha1", "hash": "sha1"},
        {"algorithm": f"{MORE}hmac-sha256"},
        {"digest": "sha1"},
        {"uri": ""},
        {"uri": "#other"},
        {"digest_method": f"{XENC}sha512"},
        {"transforms": (f"{DS}enveloped-signature",)},
        {"transforms": ()},
    ],
)
def test_we_refuse_no_less(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What is wrong, or only unwise, we refuse; xmlsec1 never refuses what we believe."""
    text = sign(Says().assertion(), **changes).encode()

    assert not ours(text)
    assert changes.keys() & {"algorithm", "digest", "uri", "transforms"} or not xmlsec1(tmp_path, text)


def test_mutants(tmp_path: Path) -> None:
    """Of mutants of a signed assertion, none is verified by us and refused by xmlsec1."""
    chance = random.Random(2)  # noqa: S311 - the same mutants in every run
    text = sign(Says().assertion()).encode()
    believed = [one for one in (mutant(chance, text) for _ in range(1500)) if ours(one)]

    assert 30 < len(believed) < 500
    assert not [one for one in believed[:50] if not xmlsec1(tmp_path, one)]


def test_mutants_it_refuses(tmp_path: Path) -> None:
    """Of mutants of a signed assertion, each that xmlsec1 refuses is refused by us."""
    chance = random.Random(3)  # noqa: S311 - the same mutants in every run
    text = sign(Says().assertion()).encode()
    mutants = [mutant(chance, text) for _ in range(60)]
    refused = [one for one in mutants if not xmlsec1(tmp_path, one)]

    assert len(refused) > 30
    assert not [one for one in refused if ours(one)]


def test_whole_responses(tmp_path: Path) -> None:
    """Of mutants of a response signed twice, each that we believe xmlsec1 verifies at both places."""
    chance = random.Random(4)  # noqa: S311 - the same mutants in every run
    text = sign(enveloped(sign(Says().assertion()))).encode()
    believed = [text, *(one for one in (mutant(chance, text) for _ in range(400)) if _read(one))]

    assert len(believed) > 20
    for one in believed[:40]:
        assert xmlsec1(tmp_path, one, at=ROOT)
        assert xmlsec1(tmp_path, one, at=INNER)


def _read(octets: bytes) -> bool:
    try:
        read(posted(octets), expected(encrypted=False))
    except ProviderError:
        return False
    return True


def test_ours_are_verified(tmp_path: Path) -> None:
    """What we sign xmlsec1 verifies, and refuses once it is changed."""
    extensions = (vetuma_language("sv"),)
    request = AuthnRequest(id="_1", issued=NOW, issuer=SP, destination=IDP, acs_url=ACS, extensions=extensions)
    answer = LogoutResponse(id="_2", issued=NOW, issuer=SP, destination=IDP, in_response_to="_3")
    for message in (request, answer):
        form = bindings.post_form(IDP, "x", message.element(), key=key("sp"), certificate=certificate("sp"))
        octets = bindings.posted(form.fields["x"])

        assert xmlsec1(tmp_path, octets, by="sp")
        assert not xmlsec1(tmp_path, octets, by="idp")
        assert not xmlsec1(tmp_path, octets.replace(b"broker.example", b"evil.example"), by="sp")


GCM, CBC = f"{XENC11}aes256-gcm", f"{XENC}aes128-cbc"


@pytest.mark.parametrize("method", [GCM, f"{XENC11}aes128-gcm", CBC, f"{XENC}aes256-cbc"])
def test_what_it_seals_we_open(tmp_path: Path, method: str) -> None:
    """What xmlsec1 encrypts we open: it leaves declarations out that were made around it."""
    (tmp_path / "template.xml").write_text(
        f'<EncryptedData xmlns="{XENC}" Type="{XENC}Element"><EncryptionMethod Algorithm="{method}"/>'
        f'<KeyInfo xmlns="{DS}"><EncryptedKey xmlns="{XENC}"><EncryptionMethod Algorithm="{XENC}rsa-oaep-mgf1p"/>'
        f"<CipherData><CipherValue/></CipherData></EncryptedKey></KeyInfo>"
        f"<CipherData><CipherValue/></CipherData></EncryptedData>"
    )
    (tmp_path / "message.xml").write_text(
        f'<saml:EncryptedAssertion xmlns:saml="{SAML}">{sign(Says().assertion())}</saml:EncryptedAssertion>'
    )
    (tmp_path / "sp.pem").write_bytes(certificate("sp").public_bytes(Encoding.PEM))
    size = method.split("aes")[1][:3]
    done = subprocess.run(
        [
            str(program("xmlsec1", variable="IDBROKER_XMLSEC1") or missing("xmlsec1", "install xmlsec1")),
            *["--encrypt", "--session-key", f"aes-{size}", "--pubkey-cert-pem", "sp.pem"],
            *["--xml-data", "message.xml", "--node-name", f"{SAML}:Assertion", "template.xml"],
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr

    found = decrypting.decrypted(xml.parse(done.stdout), [key("sp")], cbc=True)

    assert signing.verified(found, [certificate("idp")]).get("ID") == "_assertion1"


@pytest.mark.parametrize("method", [GCM, CBC])
def test_what_the_tests_seal_it_opens(tmp_path: Path, method: str) -> None:
    """What the tests' own provider encrypts xmlsec1 opens: the tests speak the standard."""
    private = key("sp").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "sp.pem").write_bytes(private)

    done = run(tmp_path, seal(Says().assertion(), method=method).encode(), "--decrypt", "--privkey-pem", "sp.pem")

    assert done.returncode == 0, done.stderr
    assert etree.fromstring(done.stdout)[0].get("ID") == "_assertion1"
