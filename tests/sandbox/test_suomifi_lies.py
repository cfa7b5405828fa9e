"""Each lie of the simulated suomi.fi differs from the truth in what it says, and in nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from lxml import etree

from idbroker.clock import StoppedClock
from idbroker.errors import Untrusted
from idbroker.saml.metadata import read
from idbroker.sandbox.saml_lies import MANNERS, MEANINGS
from idbroker.sandbox.suomifi import LIES
from tests.sandbox.saml_sp import NS, XENC, Posted, only, posted, values
from tests.sandbox.saml_suomifi import HETU, House

pytestmark = pytest.mark.peers


@pytest.fixture
def house(clock: StoppedClock, tmp_path: Path) -> House:
    """Give suomi.fi with one service."""
    return House(clock, tmp_path)


def spelt(element: etree._Element) -> str:
    """Return a message without what differs at each one: IDs, names, and what follows from them."""
    copy = etree.fromstring(etree.tostring(element))
    for one in copy.iter("*"):
        for name in ("ID", "URI", "Id", "SessionIndex", "PrefixList"):
            if name in one.attrib:
                one.set(name, "")
        if etree.QName(one).localname in {"DigestValue", "SignatureValue", "NameID"}:
            one.text = ""
    return etree.tostring(copy).decode()


def lines(text: str) -> set[str]:
    """Return the tags and texts of a message, one by one."""
    return set(re.findall(r"<[^>]+>|[^<]+", text))


def differences(house: House, lie: str, *, opened: bool) -> tuple[set[str], set[str]]:
    """Return what the truth says that the lie does not, and the other way."""
    look: Callable[[Posted], Any] = house.told if opened else outside
    truth = lines(spelt(look(house.sign_in())))
    house.faults.set("suomifi", {"lies": [lie]})
    lied = lines(spelt(look(house.sign_in())))
    return truth - lied, lied - truth


def outside(answer: Posted) -> etree._Element:
    """Return the response without what is sealed."""
    root = answer.root
    for sealed in root.findall("saml2:EncryptedAssertion", {"saml2": NS["saml"]}):
        sealed.clear()
    return root


IN_ASSERTION = {
    "wrong_audience": (r"https://portal.example.test/metadata", r"https://somebody-else.example"),
    "no_audience": (
        r"https://portal.example.test/metadata|</?saml2:Audience(Restriction)?>|</?saml2:Conditions.*>",
        r"<saml2:Conditions .*/>",
    ),
    "wrong_recipient": (
        r"<saml2:SubjectConfirmationData .*/>",
        r".* Recipient=\"https://somebody-else.example/acs\"/>",
    ),
    "no_recipient": (r"<saml2:SubjectConfirmationData .*/>", r"(?!.*Recipient).*"),
    "assertion_to_another": (r"<saml2:SubjectConfirmationData .*/>", r".* InResponseTo=\"_other\" .*"),
    "expired": (r".*(T09:00|T09:05).*", r".*(T08:00|T08:05).*"),
    "future": (r".*(T09:00|T09:05).*", r".*(T10:00|T10:05).*"),
    "confirmation_expired": (
        r"<saml2:SubjectConfirmationData .*T09:05.*",
        r"<saml2:SubjectConfirmationData .*T08:05.*",
    ),
    "old_authn_instant": (r"<saml2:AuthnStatement .*T09:00:00Z.*", r"<saml2:AuthnStatement .*T23:00:00Z.*"),
    "future_authn_instant": (r"<saml2:AuthnStatement .*T09:00:00Z.*", r"<saml2:AuthnStatement .*T10:00:00Z.*"),
    "session_over": (r"<saml2:AuthnStatement .*", r"<saml2:AuthnStatement .*SessionNotOnOrAfter=\"2026-11-22T08.*"),
    "lower_context": (r"http://ftn.ficora.fi/2017/loa2", r"urn:oid:1.2.246.517.3002.110.999"),
    "duplicated_attribute": (r"", r"010150-994.|<saml2:Attribute (?!.*Friendly).*>"),
    "comment_in_number": (r"010280-952L", r"01028|0-952L|<!---->"),
    "no_number": (r"010280-952L|<saml2:Attribute .*nationalIdentificationNumber.*", r""),
    "assertion_other_issuer": (r"https://suomifi.example.test/idp1", r"https://other-idp.example/idp"),
    "sha1": (r"<ds:SignatureMethod .*rsa-sha256\"/>", r"<ds:SignatureMethod .*rsa-sha1\"/>"),
    "hmac": (r"<ds:SignatureMethod .*rsa-sha256\"/>", r"<ds:SignatureMethod .*hmac-sha256\"/>"),
    "unsigned_assertion": (r"<(/ds:|ds:|ec:).*|[A-Za-z0-9+/=\n]{40,}", r""),
}


@pytest.mark.parametrize("lie", sorted(IN_ASSERTION))
def test_lies_in_the_assertion(house: House, lie: str) -> None:
    """What the lie says is told in the opened assertion, all else there is as in the truth."""
    missing, added = differences(house, lie, opened=True)

    assert missing | added
    assert not [one for one in missing if not re.fullmatch(IN_ASSERTION[lie][0], one, re.DOTALL)]
    assert not [one for one in added if not re.fullmatch(IN_ASSERTION[lie][1], one, re.DOTALL)]


IN_RESPONSE = {
    "wrong_destination": (
        r"<saml2p:Response .*",
        r"<saml2p:Response .*Destination=\"https://somebody-else.example/acs\".*",
    ),
    "no_destination": (r"<saml2p:Response .*", r"<saml2p:Response (?!.*Destination).*"),
    "in_response_to_another": (
        r"<saml2p:Response .*",
        r"<saml2p:Response .*To=\"_somebody-elses-request\".*",
    ),
    "unsolicited": (r"<saml2p:Response .*", r"<saml2p:Response (?!.*InResponseTo).*"),
    "other_issuer": (r"https://suomifi.example.test/idp1", r"https://other-idp.example/idp"),
    "unsigned_response": (r"<(/ds:|ds:).*|[A-Za-z0-9+/=\n]{40,}", r""),
    "nested_failure": (r"<saml2p:StatusCode .*Success\"/>", r"</?saml2p:StatusCode.*"),
    "failure_with_assertion": (r"<saml2p:StatusCode .*Success\"/>", r"</?saml2p:StatusCode.*"),
    "no_assertion": (r"<saml2:EncryptedAssertion/>", r""),
}


@pytest.mark.parametrize("lie", sorted(IN_RESPONSE))
def test_lies_in_the_response(house: House, lie: str) -> None:
    """What the lie says is told around the assertion, all else there is as in the truth."""
    missing, added = differences(house, lie, opened=False)

    assert missing | added
    assert not [one for one in missing if not re.fullmatch(IN_RESPONSE[lie][0], one, re.DOTALL)]
    assert not [one for one in added if not re.fullmatch(IN_RESPONSE[lie][1], one, re.DOTALL)]


@pytest.mark.parametrize("lie", ["in_response_to_another", "unsolicited"])
def test_both_answer_another_request(house: House, lie: str) -> None:
    """The confirmation says of the request what the response says."""
    house.faults.set("suomifi", {"lies": [lie]})
    answer = house.sign_in()
    data = only(house.told(answer), ".//saml:SubjectConfirmationData")

    assert data.get("InResponseTo") == answer.root.get("InResponseTo")


@pytest.mark.parametrize("lie", sorted((IN_ASSERTION.keys() | IN_RESPONSE.keys()) - {"unsigned_response"}))
def test_liars_sign_well(house: House, lie: str) -> None:
    """A lie about anything but the signature is signed with the true key: only reading shows it."""
    house.faults.set("suomifi", {"lies": [lie]})

    assert house.xmlsec1.verifies(house.sign_in().octets, house.keys.active.certificate)


def test_unknown_key(house: House) -> None:
    """Signed by a stranger, who carries a certificate of the very same name."""
    house.faults.set("suomifi", {"lies": ["unknown_key"]})
    answer = house.sign_in()
    known = [house.keys.active.certificate, house.keys.next.certificate, house.keys.metadata.certificate]

    assert house.xmlsec1.verifies(answer.octets, house.keys.stranger.certificate)
    assert not [one for one in known if house.xmlsec1.verifies(answer.octets, one)]
    assert house.keys.stranger.certificate.subject == house.keys.active.certificate.subject


def test_plain_assertion(house: House) -> None:
    """The assertion lies open in the response, signed well, in a response that is signed well."""
    house.faults.set("suomifi", {"lies": ["plain_assertion"]})
    answer = house.sign_in()
    inner = "/*/*[local-name()='Assertion']/*[local-name()='Signature']"

    assert values(answer.root)[HETU] == "010280-952L"
    assert house.xmlsec1.verifies(answer.octets, house.keys.active.certificate)
    assert house.xmlsec1.verifies(answer.octets, house.keys.active.certificate, at=inner)


@pytest.mark.parametrize(
    ("lie", "tags"),
    [
        ("two_assertions", ["EncryptedAssertion", "EncryptedAssertion"]),
        ("unsigned_assertion_first", ["EncryptedAssertion", "EncryptedAssertion"]),
        ("plain_assertion_appended", ["EncryptedAssertion", "Assertion"]),
    ],
)
def test_more_than_one_assertion(house: House, lie: str, tags: list[str]) -> None:
    """Beside the true assertion there is another of a stranger, in a response that is signed well."""
    house.faults.set("suomifi", {"lies": [lie]})
    answer = house.sign_in()
    found = [etree.QName(one).localname for one in answer.root]

    assert [one for one in found if one.endswith("Assertion")] == tags
    assert house.xmlsec1.verifies(answer.octets, house.keys.active.certificate)


def test_rsa_1_5(house: House) -> None:
    """The content key is sealed the old way (Bleichenbacher), everything else as ever."""
    house.faults.set("suomifi", {"lies": ["rsa_1_5"]})
    answer = house.sign_in()

    assert f'Algorithm="{XENC}rsa-1_5"' in answer.octets.decode()
    assert values(house.told(answer))[HETU] == "010280-952L"


def test_replayed(house: House) -> None:
    """The response is the one before to the letter, with the RelayState of this request."""
    first = house.sign_in()
    house.faults.set("suomifi", {"lies": ["replayed"]})
    again = house.sign_in()

    assert again.octets == first.octets
    assert again.relay_state == "handle-1"


@pytest.mark.parametrize(("lie", "state"), [("other_relay_state", "somebody-elses-handle"), ("no_relay_state", None)])
def test_relay_state(house: House, lie: str, state: str | None) -> None:
    """The handle that comes back is another, or none."""
    house.faults.set("suomifi", {"lies": [lie]})

    assert house.sign_in().relay_state == state


def test_no_sso(house: House) -> None:
    """Without sessions everybody acts at each sign-in."""
    house.faults.set("suomifi", {"lies": ["no_sso"]})
    house.sign_in()

    assert house.ask().status_code == 303


@pytest.mark.parametrize("lie", sorted(lie for lie in LIES if lie.startswith("metadata_")))
def test_metadata(house: House, clock: StoppedClock, lie: str) -> None:
    """Each lie in the metadata is one that who pins its signer does not believe."""
    house.faults.set("suomifi", {"lies": [lie]})
    signer = x509.load_pem_x509_certificate(house.sim.signer_certificate.read_bytes())
    octets = house.client.get("/static/metadata/idp-metadata.xml").data

    with pytest.raises(Untrusted):
        read(octets, signer_certificates=[signer], now=clock.now(), entity_id=house.sim.entity_id)


def test_refusals_have_nothing_to_lie_about(house: House) -> None:
    """With every lie about assertions a cancelled sign-in stays one, and falls over nothing."""
    house.faults.set("suomifi", {"lies": sorted(IN_ASSERTION)})

    assert house.sign_in("tessa", "cancel").statuses == ["Requester", "AuthnFailed"]


def test_every_lie_is_told() -> None:
    """The words that can be set are those that have a meaning, and each is in a test of this room."""
    folder = Path(__file__).parent
    tests = "".join(path.read_text(encoding="utf-8") for path in folder.glob("test_suomifi*.py"))

    assert MEANINGS.keys() == LIES
    assert not [lie for lie in LIES if f'"{lie}"' not in tests and not lie.startswith("metadata_")]
    assert MANNERS.keys() <= LIES


def test_silence(house: House) -> None:
    """Nothing is lied when nothing is asked for: two sign-ins are alike but for their names."""
    first, second = house.told(house.sign_in()), house.told(posted(house.ask()))

    assert spelt(first) == spelt(second)
