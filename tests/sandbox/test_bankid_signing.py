"""What the simulated BankID signs, verified by hand and by other people's software."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from lxml import etree

from tests import servers
from tests.sandbox.bankid_loopback import Rp, encoded

pytest_plugins = ["tests.sandbox.bankid_fixtures"]

DS = "http://www.w3.org/2000/09/xmldsig#"
BID = "http://www.bankid.com/signature/v1.0.0/types"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
NAMES = {"ds": DS, "bid": BID}
SERVICE = "cn=FP Testcert 5,name=Test av BankID,serialNumber=5566304928,o=Testbank A AB (publ),c=SE"
WISH = {
    "userVisibleData": encoded("Log in at Ålands Klinik"),
    "userVisibleDataFormat": "plaintext",
    "userNonVisibleData": encoded("transaction 7"),
}


@dataclass
class Proof:
    """A completion's evidence, read."""

    text: str
    tree: Any  # lxml's, whose types know nothing of what XPath finds
    certificates: list[x509.Certificate]
    signature: str
    response: ocsp.OCSPResponse

    def cut(self, name: str) -> bytes:
        """Return the bytes of one element as they stand."""
        found = re.search(f"<{name}[ >].*</{name}>", self.text)
        assert found is not None
        return found[0].encode()

    def value(self, path: str) -> str:
        """Return the text of one element."""
        (found,) = self.tree.xpath(path, namespaces=NAMES)
        return str(found.text)


def proof(completion: dict[str, Any]) -> Proof:
    """Read a completion's evidence."""
    document = base64.b64decode(completion["signature"])
    tree: Any = etree.fromstring(document)
    encoded_certificates = tree.xpath("//ds:X509Certificate/text()", namespaces=NAMES)
    return Proof(
        text=document.decode(),
        tree=tree,
        certificates=[x509.load_der_x509_certificate(base64.b64decode(one)) for one in encoded_certificates],
        signature=completion["signature"],
        response=ocsp.load_der_ocsp_response(base64.b64decode(completion["ocspResponse"])),
    )


def test_digests_are_over_the_bytes_as_they_stand(rp: Rp) -> None:
    """Both digests and the signature verify over cut-out text: the document is canonical already."""
    read = proof(rp.complete(**WISH))
    digests = read.tree.xpath("//ds:DigestValue/text()", namespaces=NAMES)
    key = read.certificates[0].public_key()

    assert [base64.b64decode(one) for one in digests] == [
        hashlib.sha256(read.cut(name)).digest() for name in ("bankIdSignedData", "KeyInfo")
    ]
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    value = base64.b64decode(read.value("//ds:SignatureValue"))
    key.verify(value, read.cut("SignedInfo"), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("name", ["SignedInfo", "KeyInfo", "bankIdSignedData"])
def test_canonical_form_is_the_text(rp: Rp, name: str) -> None:
    """Canonical XML (1.0) of each signed part, taken as a document, is the text as it stands."""
    read = proof(rp.complete(**WISH))
    cut = read.cut(name)

    assert etree.tostring(etree.fromstring(cut), method="c14n") == cut


def test_has_bankids_shape(rp: Rp) -> None:
    """Enveloping; elements, ids, types and algorithms in the order of BankID's profile, and no others."""
    read = proof(rp.complete(**WISH))
    references = read.tree.findall(".//ds:Reference", NAMES)
    algorithms = {one.get("Algorithm") for one in read.tree.iter() if one.get("Algorithm")}

    assert [etree.QName(child).localname for child in read.tree] == [
        "SignedInfo",
        "SignatureValue",
        "KeyInfo",
        "Object",
    ]
    assert [(one.get("Type"), one.get("URI")) for one in references] == [
        (BID, "#bidSignedData"),
        (None, "#bidKeyInfo"),
    ]
    assert algorithms == {
        C14N,
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "http://www.w3.org/2001/04/xmlenc#sha256",
    }
    (signed,) = read.tree.xpath("ds:Object/bid:bankIdSignedData", namespaces=NAMES)
    assert [etree.QName(child).localname for child in signed] == [
        "usrVisibleData",
        "usrNonVisibleData",
        "srvInfo",
        "clientInfo",
    ]
    assert dict(signed[0].attrib) == {"charset": "UTF-8", "format": "plaintext", "visible": "wysiwys"}
    assert read.text.startswith('<?xml version="1.0" encoding="UTF-8" standalone="no"?><Signature xmlns=')


def test_signs_what_was_asked(rp: Rp) -> None:
    """Both texts byte for byte, our certificate's subject, a nonce of 20 bytes, Identification, the device's id."""
    completion = rp.complete(**WISH, requirement={"certificatePolicies": ["1.2.3.4.*", "1.2.3.4.25"]})
    read = proof(completion)

    assert read.value("//bid:usrVisibleData") == WISH["userVisibleData"]
    assert read.value("//bid:usrNonVisibleData") == WISH["userNonVisibleData"]
    assert base64.b64decode(read.value("//bid:srvInfo/bid:name")).decode() == SERVICE
    assert base64.b64decode(read.value("//bid:srvInfo/bid:displayName")).decode() == "Test av BankID"
    assert len(base64.b64decode(read.value("//bid:srvInfo/bid:nonce"))) == 20
    assert read.value("//bid:funcId") == "Identification"
    assert read.value("//bid:uhi") == completion["device"]["uhi"]
    assert read.tree.xpath("//bid:condition/bid:value/text()", namespaces=NAMES) == ["1.2.3.4.*", "1.2.3.4.25"]


def test_signs_without_texts(rp: Rp) -> None:
    """What was not asked to be shown or hidden has no element."""
    read = proof(rp.complete())

    assert "usrVisibleData" not in read.text
    assert "usrNonVisibleData" not in read.text


def test_names_the_person_in_three_tiers(rp: Rp) -> None:
    """Leaf, the bank's CA for customers, the bank; the root is in a file, not in the document."""
    read = proof(rp.complete())
    root = x509.load_pem_x509_certificate(rp.bankid.signing_root.read_bytes())
    bjorn = rp.people["bjorn"]
    attributes = {one.oid.dotted_string: one.value for one in read.certificates[0].subject}

    assert [name_of(one) for one in [*read.certificates, root]] == [
        bjorn.name,
        "Testbank A Customer CA1 v1 for BankID Test",
        "Testbank A CA v1 for BankID Test",
        "Test BankID Root CA v1 Test",
    ]
    for below, above in zip(read.certificates, [*read.certificates[1:], root], strict=True):
        below.verify_directly_issued_by(above)
    assert attributes["2.5.4.5"] == bjorn.number
    assert attributes["2.5.4.41"] == f"(260506 09.00) {bjorn.name} - Mobilt BankID"
    policies = read.certificates[0].extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [one.policy_identifier.dotted_string for one in policies] == list(rp.bankid.policies)


def name_of(certificate: x509.Certificate) -> str:
    """Return the common name."""
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("lies", [[], ["wrapped_nonce"]])
def test_ocsp_response_vouches_for_this_signature(rp: Rp, lies: list[str]) -> None:
    """RFC 6960, 4.2.2.2: good, now by our clock, by a responder of the same authority; nonce of 32 bytes."""
    rp.clock.move(timedelta(days=40))
    rp.faults.set("bankid", {"lies": lies})
    read = proof(rp.complete())
    rp.clock.move(timedelta(days=-40))
    (single,), (responder,) = read.response.responses, read.response.certificates
    asked = ocsp.OCSPRequestBuilder().add_certificate(read.certificates[0], read.certificates[1], hashes.SHA1()).build()  # noqa: S303
    nonce = read.response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce

    assert read.response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert single.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert (single.serial_number, single.issuer_key_hash) == (asked.serial_number, asked.issuer_key_hash)
    assert {read.response.produced_at_utc, single.this_update_utc} == {rp.clock.now() + timedelta(days=40)}
    responder.verify_directly_issued_by(read.certificates[1])
    uses = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.OCSP_SIGNING in uses
    key = responder.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(read.response.signature, read.response.tbs_response_bytes, padding.PKCS1v15(), hashes.SHA256())
    assert len(nonce) == 32
    assert nonce[:20] == hashlib.sha1(read.signature.encode(), usedforsecurity=False).digest()


@pytest.mark.parametrize(("lie", "good"), [(None, True), ("broken_digest", False), ("broken_signature", False)])
def test_another_program_agrees(rp: Rp, tmp_path: Path, lie: str | None, good: bool) -> None:
    """xmlsec1 verifies the document against the root, and refuses one that was changed."""
    binary = servers.program("xmlsec1", variable="TEST_XMLSEC1_BIN")
    if binary is None:
        servers.missing("xmlsec1", "install xmlsec1, or name its program in TEST_XMLSEC1_BIN")
    rp.faults.set("bankid", {"lies": [lie] if lie else []})
    document = tmp_path / "document.xml"
    document.write_bytes(base64.b64decode(rp.complete(**WISH)["signature"]))
    ids = ["--id-attr:Id", f"{BID}:bankIdSignedData", "--id-attr:Id", f"{DS}:KeyInfo"]
    at = ["--verification-gmt-time", f"{rp.clock.now():%Y-%m-%d %H:%M:%S}"]
    done = subprocess.run(
        [binary, "--verify", "--trusted-pem", rp.bankid.signing_root, *ids, *at, document],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert (done.returncode == 0) is good, done.stderr
