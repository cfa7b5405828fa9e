"""The simulated suomi.fi speaks the true wire format, judged by xmlsec1; whom it lets in, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from lxml import etree

from idbroker.clock import StoppedClock
from idbroker.saml.metadata import Binding, read
from idbroker.sandbox.suomifi import METHODS
from tests.sandbox.saml_sp import NS, TRANSIENT, Service, choose, only, posted, values
from tests.sandbox.saml_suomifi import HETU, ORIGIN, PLACE, REGISTER, VERIFIED, VETUMA, House, asking

pytestmark = pytest.mark.peers


@pytest.fixture
def house(clock: StoppedClock, tmp_path: Path) -> House:
    """Give suomi.fi with a service that takes every method and needs the register."""
    return House(clock, tmp_path)


@pytest.fixture
def lax(clock: StoppedClock, tmp_path: Path) -> House:
    """Give suomi.fi with a service that does not need the register."""
    return House(clock, tmp_path, asking(clock, vtj_required=False))


def test_response_is_what_the_real_one_is(house: House) -> None:
    """Response and assertion are signed, the assertion is sealed for us: xmlsec1 verifies, opens, verifies again."""
    answer = house.sign_in()
    opened = house.xmlsec1.decrypted(answer.octets, house.service.opener)
    assertion = only(opened, ".//saml:Assertion")
    algorithms = {one.get("Algorithm") for one in answer.root.iter("{*}EncryptionMethod")}
    active = house.keys.active.certificate

    assert house.xmlsec1.verifies(answer.octets, active)
    assert house.xmlsec1.verifies(_alone(assertion), active)
    assert not house.xmlsec1.verifies(answer.octets, house.keys.next.certificate)
    assert algorithms == {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
        "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    }
    assert (answer.url, answer.relay_state) == (house.service.acs, "handle-1")
    assert answer.root.get("InResponseTo") == "_request1"
    assert answer.root.get("Destination") == house.service.acs


def _alone(assertion: Any) -> bytes:
    # As a document of its own, with the namespaces it was signed with.
    return etree.tostring(assertion, with_tail=False)


def test_assertion_says_who_when_and_to_whom(house: House) -> None:
    """Transient name with both qualifiers, session index, address, five minutes, audience, and the method used."""
    assertion = house.told(house.sign_in(method="card"))
    name, data = only(assertion, ".//saml:NameID"), only(assertion, ".//saml:SubjectConfirmationData")
    conditions, statement = only(assertion, "saml:Conditions"), only(assertion, "saml:AuthnStatement")

    assert name.get("Format") == TRANSIENT
    assert (name.get("NameQualifier"), name.get("SPNameQualifier")) == (house.sim.entity_id, house.service.entity_id)
    assert (data.get("Address"), data.get("Recipient")) == ("127.0.0.1", house.service.acs)
    assert (data.get("InResponseTo"), data.get("NotOnOrAfter")) == ("_request1", "2026-11-22T09:05:00Z")
    assert conditions.get("NotOnOrAfter") == "2026-11-22T09:05:00Z"
    assert only(conditions, ".//saml:Audience").text == house.service.entity_id
    assert statement.get("SessionIndex")
    assert only(statement, ".//saml:AuthnContextClassRef").text == "http://ftn.ficora.fi/2017/loa3"


def test_metadata_is_signed_and_names_two_keys(house: House, clock: StoppedClock) -> None:
    """Metadata verifies with the certificate to pin alone, and names two signing certificates and all addresses."""
    octets = house.client.get("/static/metadata/idp-metadata.xml").data
    signer = x509.load_pem_x509_certificate(house.sim.signer_certificate.read_bytes())
    known = read(octets, signer_certificates=[signer], now=clock.now(), entity_id=house.sim.entity_id)

    assert house.xmlsec1.verifies(octets, signer)
    assert not house.xmlsec1.verifies(octets, house.keys.active.certificate)
    assert known.signing == (house.keys.active.certificate, house.keys.next.certificate)
    assert known.encryption == ()
    assert known.sign_on[Binding.POST] == f"{ORIGIN}/idp/profile/SAML2/POST/SSO"
    assert {one.binding for one in known.logout} == {Binding.REDIRECT, Binding.POST}
    assert known.wants_signed_requests
    assert house.sim.metadata_url == f"{ORIGIN}/static/metadata/idp-metadata.xml"


@pytest.mark.parametrize("cipher", ["aes128_gcm", "aes256_gcm", "aes128_cbc", "aes256_cbc"])
def test_ciphers(house: House, cipher: str) -> None:
    """Asked to, it encrypts in each of the four ways that suomi.fi has been seen to; xmlsec1 opens them all."""
    house.faults.set("suomifi", {"lies": [cipher]})
    answer = house.sign_in()

    assert cipher.replace("_", "-") in answer.octets.decode()
    assert values(house.told(answer))[HETU] == "010280-952L"


def test_next_key(house: House) -> None:
    """Asked to, it signs with the second certificate of its metadata."""
    house.faults.set("suomifi", {"lies": ["next_key"]})
    answer = house.sign_in()

    assert house.xmlsec1.verifies(answer.octets, house.keys.next.certificate)
    assert not house.xmlsec1.verifies(answer.octets, house.keys.active.certificate)


def test_posted_request(house: House) -> None:
    """A request may come by POST, signed inside."""
    place = "/idp/profile/SAML2/POST/SSO"
    page = house.client.post(place, data=house.service.form(house.service.authn(ORIGIN + place)))

    assert posted(choose(house.client, page, person="tessa", outcome="approve")).statuses == ["Success"]


BAD: dict[str, Callable[[Service], str]] = {
    "not_signed": lambda s: s.query(s.authn(ORIGIN + PLACE)).partition("&SigAlg")[0],
    "bad_signature": lambda s: s.query(s.authn(ORIGIN + PLACE)).replace("handle-1", "handle-2"),
    "unknown_service": lambda s: s.query(s.authn(ORIGIN + PLACE, issuer="https://nobody.example.test")),
    "destination": lambda s: s.query(s.authn(ORIGIN)),
    "assertion_consumer": lambda s: s.query(s.authn(ORIGIN + PLACE, AssertionConsumerServiceURL="https://x.test/")),
    "issue_instant": lambda s: s.query(s.authn(ORIGIN + PLACE, IssueInstant="2026-11-22T08:54:00Z")),
    "another_message": lambda s: s.query(s.logout_response(ORIGIN + PLACE, "_1"), name="SAMLResponse"),
    "no_message": lambda _: "",
}


@pytest.mark.parametrize("code", sorted(BAD))
def test_error_pages(house: House, code: str) -> None:
    """What is not a service's own, signed and for here gets an error page, and nothing goes to the service."""
    answer = house.client.get(f"{PLACE}?{BAD[code](house.service)}")

    assert answer.status_code == 400
    assert f"<code>{code}</code>" in answer.get_data(as_text=True)


def test_parties_are_asked_anew(house: House) -> None:
    """A service that is installed while it runs is known at once, and one that is taken away is not."""
    house.parties.clear()
    gone = house.ask().status_code
    house.parties[house.service.entity_id] = house.service.metadata()

    assert (gone, house.ask().status_code) == (400, 303)


@pytest.mark.parametrize(
    ("person", "outcome", "method"),
    [
        ("tessa", "cancel", ""),
        ("kalle", "approve", ""),
        ("pekka", "approve", ""),
        ("tessa", "deceased", ""),
        ("tessa", "unknown_hetu", ""),
        ("aino", "approve", "card"),
        ("elena", "approve", "bank"),
    ],
)
def test_refused(house: House, person: str, outcome: str, method: str) -> None:
    """Whoever cancels, is dead, unknown, or lacks the method gets one and the same answer, signed, of nobody."""
    answer = house.sign_in(person, outcome, method=method)

    assert answer.statuses == ["Requester", "AuthnFailed"]
    assert only(answer.root, ".//samlp:StatusMessage").text == "An error occurred."
    assert answer.root.find(".//saml:EncryptedAssertion", NS) is None
    assert house.xmlsec1.verifies(answer.octets, house.keys.active.certificate)


def test_ordinary_person(house: House) -> None:
    """Names are in suomi.fi's orders, the register was asked, and addresses are there."""
    told = values(house.told(house.sign_in("joni")))

    assert told[VERIFIED] == "true"
    assert (told["urn:oid:2.5.4.3"], told["urn:oid:2.5.4.42"]) == ("Kiviniitty Joni Kristian", "Joni")
    assert told["urn:oid:2.16.840.1.113730.3.1.241"] == "Joni Kiviniitty"
    assert told["http://eidas.europa.eu/attributes/naturalperson/CurrentGivenName"] == "Joni Kristian"
    assert (told[f"{REGISTER}18"], told[f"{REGISTER}6"]) == ("091", "00099")
    assert f"{REGISTER}27" not in told


@pytest.mark.parametrize(("person", "outcome"), [("silja", "approve"), ("tessa", "protected")])
def test_protection_order(house: House, person: str, outcome: str) -> None:
    """With a protection order .27 is 1, and neither address nor municipality is told."""
    told = values(house.told(house.sign_in(person, outcome)))

    assert told[f"{REGISTER}27"] == "1"
    assert not [name for name in told if name.startswith(REGISTER) and name[len(REGISTER) :] not in {"26", "27"}]


def test_register_not_asked(house: House) -> None:
    """Where the register could not be asked, vtjVerified is false and nothing of it is told."""
    told = values(house.told(house.sign_in("tessa", "vtj_false")))

    assert told[VERIFIED] == "false"
    assert told[HETU]
    assert not [name for name in told if name.startswith(REGISTER)]


@pytest.mark.parametrize(
    ("person", "outcome"), [("pekka", "approve"), ("tessa", "deceased"), ("tessa", "unknown_hetu")]
)
def test_without_the_register(lax: House, person: str, outcome: str) -> None:
    """A service that does not need the register gets the dead and the unknown too, not verified."""
    assert values(lax.told(lax.sign_in(person, outcome)))[VERIFIED] == "false"


@pytest.mark.parametrize(("person", "outcome"), [("elena", "approve"), ("tessa", "eidas")])
def test_eidas(house: House, person: str, outcome: str) -> None:
    """By eIDAS there is an identifier of two countries, and no Finnish number."""
    assertion = house.told(house.sign_in(person, outcome))
    told = values(assertion)

    assert told["http://eidas.europa.eu/attributes/naturalperson/PersonIdentifier"].startswith("ES/FI/")
    assert HETU not in told
    assert only(assertion, ".//saml:AuthnContextClassRef").text == "http://eidas.europa.eu/LoA/substantial"


@pytest.mark.parametrize(("person", "outcome"), [("ivana", "approve"), ("tessa", "foreign")])
def test_foreigner(house: House, person: str, outcome: str) -> None:
    """With the Finnish Authenticator there is a foreign person's identifier, and no Finnish number."""
    assertion = house.told(house.sign_in(person, outcome))
    told = values(assertion)

    assert told["urn:oid:1.2.246.517.3002.111.17"]
    assert HETU not in told
    assert only(assertion, ".//saml:AuthnContextClassRef").text == "urn:oid:1.2.246.517.3002.110.7"


def test_licence(clock: StoppedClock, tmp_path: Path) -> None:
    """A service gets what its metadata asks for: with the limited licence no address."""
    house = House(clock, tmp_path, asking(clock, extent="limited"))

    assert not [name for name in values(house.told(house.sign_in())) if name.startswith(REGISTER)]


def test_only_the_methods_a_service_takes(clock: StoppedClock, tmp_path: Path) -> None:
    """The page lists what the service's metadata takes: loa2 brings loa3, and nothing else."""
    house = House(clock, tmp_path, asking(clock, methods=["http://ftn.ficora.fi/2017/loa2"]))
    page = house.client.get(house.ask().headers["Location"]).get_data(as_text=True)
    refused = house.sign_in("tessa", method="testitunnistaja")

    assert {method for method in METHODS if f'value="{method}"' in page.partition("</fieldset>")[0]} == {
        "bank",
        "mobile",
        "card",
    }
    assert refused.statuses == ["Requester", "AuthnFailed"]


def _exactly(context: str) -> str:
    return (
        '<samlp:RequestedAuthnContext Comparison="exact"><saml:AuthnContextClassRef>'
        f"{context}</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
    )


def test_requested_context(house: House) -> None:
    """A request may name contexts: the usual method is then one of them, and none at all is NoAuthnContext."""
    page = house.ask(_exactly("http://ftn.ficora.fi/2017/loa3"))
    assertion = house.told(posted(choose(house.client, page, person="tessa", outcome="approve")))
    nothing = posted(house.ask(_exactly("urn:nobody:knows")))

    assert only(assertion, ".//saml:AuthnContextClassRef").text == "http://ftn.ficora.fi/2017/loa3"
    assert nothing.statuses == ["Requester", "NoAuthnContext"]


def test_session(house: House, clock: StoppedClock) -> None:
    """For 32 minutes a second request is answered from the session, under the same name; ForceAuthn is heeded."""
    first = house.told(house.sign_in())
    clock.move(timedelta(minutes=31))
    again = house.told(posted(house.ask()))
    forced = house.ask(ForceAuthn="true").status_code
    clock.move(timedelta(minutes=2))
    later = house.ask().status_code

    assert only(again, ".//saml:NameID").text == only(first, ".//saml:NameID").text
    assert only(again, "saml:AuthnStatement").get("AuthnInstant") == "2026-11-22T09:00:00Z"
    assert (forced, later) == (303, 303)


def test_passive(house: House) -> None:
    """Where nobody is signed in and nobody may be asked, the answer is NoPassive."""
    assert posted(house.ask(IsPassive="true")).statuses == ["Responder", "NoPassive"]


@pytest.mark.parametrize(("language", "word"), [("fi", "Verkkopankki"), ("sv", "Nätbank"), ("en", "Online banking")])
def test_language(house: House, language: str, word: str) -> None:
    """The page is in the language of `vetuma`; `locale`, which is not signed, does the same."""
    by_message = house.client.get(house.ask(VETUMA.format(language)).headers["Location"]).get_data(as_text=True)
    query = house.service.query(house.service.authn(ORIGIN + PLACE))
    asked = house.sim.app.test_client()
    by_query = asked.get(asked.get(f"{PLACE}?{query}&locale={language}").headers["Location"]).get_data(as_text=True)

    assert word in by_message
    assert word in by_query


def test_faults(house: House) -> None:
    """Down, it answers 503; with a status, that."""
    house.faults.set("suomifi", {"down": True})
    down = house.ask().status_code
    house.faults.set("suomifi", {"status": 429})

    assert (down, house.ask().status_code) == (503, 429)
