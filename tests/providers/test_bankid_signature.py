"""What is believed of a BankID signature document, and for whom."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from idbroker.errors import Untrusted
from idbroker.providers._bankid import signature
from tests.providers.bankid_papers import (
    BANKID,
    DS,
    LEAF,
    NAME,
    NOW,
    PARTY,
    POLICY,
    VISIBLE,
    Paper,
    b64,
    genuine,
    key,
    make,
    name,
    path,
    refused,
    twisted,
    usage,
    usual,
    verified,
)
from tests.servers import missing, program

SAMPLES = Path(os.environ.get("BANKID_SAMPLES", Path(__file__).parent / "bankid_vectors"))


def test_genuine() -> None:
    """What the right person signed for us, as asked, gives their certificate, its issuer and what was signed."""
    found = verified(b64(genuine()))

    assert (found.leaf, found.issuer) == (usual("leaf"), usual("customers"))
    assert (found.name, found.function, found.relying_party) == (NAME, "Identification", PARTY)
    assert found.policies == (POLICY,)


def test_genuine_names_nobody_in_logs() -> None:
    """What a line of a log would show of the result names nobody."""
    assert NAME not in repr(verified(b64(genuine())))


def test_nothing_shown() -> None:
    """Texts that were not asked for are not in it, and that verifies."""
    assert verified(Paper(visible="", hidden="").document(), visible=None, non_visible=None).name


def test_formatted() -> None:
    """A text that was sent as Markdown must have been shown as Markdown, and no other so."""
    shown = f'<usrVisibleData charset="UTF-8" format="simpleMarkdownV1" visible="wysiwys">{VISIBLE}</usrVisibleData>'
    formatted = Paper(visible=shown).document()

    assert verified(formatted, visible_format="simpleMarkdownV1").name
    refused(formatted, "another format")
    refused(b64(genuine()), "another format", visible_format="simpleMarkdownV1")


def test_plain() -> None:
    """Plain text is plain whether the document says so or not."""
    shown = Paper.visible.replace("visible=", 'format="plaintext" visible=')

    assert verified(Paper(visible=shown).document()).name
    assert verified(b64(genuine()), visible_format="plaintext").name


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"person": "191212121212"}, "another person"),
        ({"person": ""}, "another person"),
        ({"visible": b64("Betala 10 000 kr")}, "another visible text"),
        ({"visible": None}, "another visible text"),
        ({"visible": ""}, "another visible text"),
        ({"non_visible": b64("transaction 2")}, "not shown"),
        ({"non_visible": None}, "not shown"),
        ({"relying_party": PARTY.replace("Broker", "Pizzeria")}, "another relying party"),
        ({"policies": ["1.2.3.4.5", "1.2.752.78.*"]}, "another kind"),
        ({"policies": ["1.2.3.4.2"]}, "another kind"),
        ({"policies": ["1.2.3.4.2*"]}, "another kind"),
        ({"policies": ["1.2.3.4.25.*"]}, "another kind"),
        ({"roots": []}, "no root"),
        ({"now": NOW + timedelta(days=101)}, "not valid now"),
        ({"now": NOW - timedelta(days=101)}, "not valid now"),
    ],
)
def test_asked_otherwise(asked: dict[str, Any], detail: str) -> None:
    """A good signature is of no use for another person, text, party, kind of BankID, root or time."""
    refused(b64(genuine()), detail, **asked)


@pytest.mark.parametrize("policies", [[], ["1.2.3.4.*"], ["1.2.752.78.*", POLICY]])
def test_policies(policies: list[str]) -> None:
    """Any policy will do when none is named; one of several, or a trailing wildcard, matches."""
    assert verified(b64(genuine()), policies=policies).name


def test_any_party() -> None:
    """The relying party is left open only when the caller says so."""
    other = Paper(service=Paper.service.replace(b64(PARTY), b64("cn=X"))).document()

    assert verified(other, relying_party=None).relying_party == "cn=X"
    refused(other, "another relying party")


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ({"client": "<clientInfo><funcId>Signing</funcId></clientInfo>"}, "not made to identify"),
        ({"client": "<clientInfo></clientInfo>"}, "no funcId"),
        ({"client": ""}, "no clientInfo"),
        ({"client": Paper.client * 2}, "more than one clientInfo"),
        ({"client": "<clientInfo><funcId>Identification<b></b></funcId></clientInfo>"}, "where text belongs"),
        ({"service": ""}, "no srvInfo"),
        ({"service": "<srvInfo><name>%%%</name></srvInfo>"}, "srvInfo: not base64"),
        ({"service": "<srvInfo><name>/w==</name></srvInfo>"}, "not UTF-8"),
        ({"visible": Paper.visible * 2}, "more than one usrVisibleData"),
        ({"hidden": Paper.hidden * 2}, "more than one usrNonVisibleData"),
        ({"visible": Paper.visible.replace("wysiwys", "hidden")}, "shown in another way"),
        ({"visible": Paper.visible.replace("UTF-8", "UTF-7")}, "shown in another way"),
    ],
)
def test_signed_but_odd(parts: dict[str, str], detail: str) -> None:
    """What verifies must still say what a sign-in says, once."""
    refused(Paper(**parts).document(), detail)  # type: ignore[arg-type]


def test_leaf_of_no_person() -> None:
    """A leaf that names no number, two of them, or no policy, is nobody's."""
    two = x509.Name([*LEAF, x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, "191212121212")])
    for subject in (name("X"), two):
        refused(Paper(certificates=path(leaf=make("leaf", subject=subject))).document(), "not a person's")

    bare = make("leaf", extensions=[usage("digital_signature")])
    refused(Paper(certificates=path(leaf=bare)).document(), "no policy")


def test_another_key() -> None:
    """Only the key of the first certificate may have signed."""
    refused(Paper(key=key("somebody")).document(), "does not verify")
    refused(Paper(certificates=path(leaf=make("leaf", key=key("somebody")))).document(), "does not verify")


def test_leaf_swapped() -> None:
    """A certificate of the same key for somebody else cannot be slipped in: KeyInfo is digested too."""
    other = make("leaf", subject=name("X", SERIAL_NUMBER="191212121212"))
    document = twisted(*(b64(one.public_bytes(Encoding.DER)) for one in (usual("leaf"), other)))

    refused(document, "does not verify", person="191212121212")


# What a changed letter makes of a certificate may be a warning of the library's before it is an error.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize(
    "tag", ["DigestValue", "SignatureValue", "X509Certificate", "usrVisibleData", "usrNonVisibleData", "name", "funcId"]
)
def test_each_region(tag: str) -> None:
    """A changed letter is noticed in every value of the document."""
    for match in re.finditer(f"<{tag}(?: [^>]*)?>([^<]+)<", genuine()):
        at = match.start(1) + len(match[1]) // 2
        letter = "A" if genuine()[at] != "A" else "B"
        refused(b64(genuine()[:at] + letter + genuine()[at + 1 :]), "does not verify|not valid now|does not read")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=250, deadline=None, derandomize=True)
@given(where=st.integers(0, 9_000), byte=st.integers(0, 255))
def test_any_byte(where: int, byte: int) -> None:
    """No byte of the document can be another."""
    document = bytearray(genuine().encode())
    where %= len(document)
    if document[where] != byte:
        document[where] = byte
        refused(b64(bytes(document)), ".")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=150, deadline=None, derandomize=True)
@given(where=st.integers(0, 12_000), letter=st.characters(codec="ascii"))
def test_any_letter(where: int, letter: str) -> None:
    """No letter of its base64 can be another."""
    document = b64(genuine())
    where %= len(document)
    if document[where] != letter:
        refused(document[:where] + letter + document[where + 1 :], ".")


def test_party() -> None:
    """The subject of our certificate is spelt as BankID spells it: most specific first, in its letters."""
    subject = x509.Name(
        x509.NameAttribute(x509.ObjectIdentifier(oid), value)
        for oid, value in [
            ("2.5.4.6", "SE"),
            ("2.5.4.10", "Testbank A AB (publ)"),
            ("2.5.4.5", "5566304928"),
            ("2.5.4.41", "Test av BankID"),
            ("2.5.4.3", "FP Testcert 4"),
        ]
    )

    assert signature.party(make("leaf", subject=subject)) == (
        "cn=FP Testcert 4,name=Test av BankID,serialNumber=5566304928,o=Testbank A AB (publ),c=SE"
    )


# Second opinions.


def xmlsec1(folder: Path, text: bytes, root: bytes, now: datetime) -> bool:
    """Tell whether xmlsec1 verifies a document: digests, signature value and certificates."""
    found = program("xmlsec1", variable="IDBROKER_XMLSEC1")
    if found is None:
        missing("xmlsec1", "install xmlsec1, or name it in IDBROKER_XMLSEC1")
    (folder / "signature.xml").write_bytes(text)
    (folder / "root.pem").write_bytes(root)
    ids = ["--id-attr:Id", f"{DS}:KeyInfo", "--id-attr:Id", f"{BANKID}:bankIdSignedData"]
    trust = ["--trusted-pem", "root.pem", "--verification-gmt-time", now.strftime("%Y-%m-%d %H:%M:%S")]
    command = [str(found), "--verify", *ids, *trust, "signature.xml"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=30).returncode == 0


@pytest.mark.peers
def test_xmlsec1(tmp_path: Path) -> None:
    """xmlsec1 believes what we believe, and refuses what was changed in the data, the keys or the value."""
    root = usual("root").public_bytes(Encoding.PEM)
    assert xmlsec1(tmp_path, genuine().encode(), root, NOW)

    for old, new in [("<funcId>I", "<funcId>J"), ('Id="bidKeyInfo">', 'Id="bidKeyInfo"> '), ("<KeyInfo", "<Keyinfo")]:
        assert not xmlsec1(tmp_path, genuine().replace(old, new, 1).encode(), root, NOW)
        refused(twisted(old, new), ".")
    assert not xmlsec1(tmp_path, Paper(key=key("somebody")).text().encode(), root, NOW)


def of_bankid(name: str) -> bytes:
    """Return a file of BankID's own sample; see bankid_vectors/README.md."""
    file = SAMPLES / name
    if not file.exists():
        pytest.skip("SKIPPED, AND SO NOT PROVED: BankID's own sample is not here, see bankid_vectors/README.md")
    return file.read_bytes()


@pytest.fixture
def sample() -> str:
    """Give the signature of BankID's own sample."""
    return of_bankid("tolvan.signature").decode().strip()


@pytest.fixture
def sample_root() -> bytes:
    """Give the root that BankID's own sample leads to, in PEM."""
    return of_bankid("root.pem")


SAMPLE_TIME = datetime(2022, 9, 13, 14, 9, 20, tzinfo=UTC)
SAMPLE_ASKED: dict[str, Any] = {
    "person": "191212121212",
    "visible": b64("signeringstext"),
    "non_visible": b64("ej synlig"),
    "relying_party": "cn=Finansiell ID-Teknik BID AB,name=Test av BankID,serialNumber=5566304928,"
    "o=Testbank A AB (publ),c=SE",
    "policies": ["1.2.3.4.5"],
    "now": SAMPLE_TIME,
}


def test_sample(sample: str, sample_root: bytes) -> None:
    """BankID's own sample verifies to BankID's own test root, and only as it was asked."""
    asked = {**SAMPLE_ASKED, "roots": [x509.load_pem_x509_certificate(sample_root)]}

    assert verified(sample, **asked).name == "Tolvan Tolvansson"
    refused(sample, "root of ours", **{**asked, "roots": [usual("root")]})
    refused(sample, "another visible text", **{**asked, "visible": None})
    refused(sample, "not valid now", **{**asked, "now": NOW})


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_sample_changed(sample: str, sample_root: bytes) -> None:
    """BankID's own sample does not verify with any of its letters changed."""
    asked = {**SAMPLE_ASKED, "roots": [x509.load_pem_x509_certificate(sample_root)]}
    document = base64.b64decode(sample)

    for where in range(0, len(document), 37):
        changed = document[:where] + bytes([document[where] ^ 1]) + document[where + 1 :]
        with pytest.raises(Untrusted):
            verified(b64(changed), **asked)


@pytest.mark.peers
def test_sample_xmlsec1(sample: str, sample_root: bytes, tmp_path: Path) -> None:
    """xmlsec1 verifies BankID's own sample as well."""
    assert xmlsec1(tmp_path, base64.b64decode(sample), sample_root, SAMPLE_TIME)
