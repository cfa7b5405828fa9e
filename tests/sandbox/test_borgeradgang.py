"""The simulated Danish gateway speaks OIOSAML 3.0.3, judged by xmlsec1: whom it lets in, and what it says of them."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from lxml import etree

from idbroker.clock import StoppedClock
from idbroker.saml.metadata import Binding, read
from idbroker.sandbox.borgeradgang import LIES
from idbroker.sandbox.saml_lies import MEANINGS
from tests.sandbox.saml_gateway import (
    CONCEPT,
    CORE,
    EID,
    ORIGIN,
    PERSISTENT,
    PLACE,
    POLICY,
    Gateway,
    asking,
    at_least,
)
from tests.sandbox.saml_sp import DS, NS, choose, only, posted, values

pytestmark = pytest.mark.peers

SUBSTANTIAL, HIGH = f"{CONCEPT}nsis/loa/Substantial", f"{CONCEPT}nsis/loa/High"


@pytest.fixture
def gateway(clock: StoppedClock, tmp_path: Path) -> Gateway:
    """Give the gateway with a public service."""
    return Gateway(clock, tmp_path)


def test_response_is_oiosaml(gateway: Gateway) -> None:
    """The response is not signed; the assertion is, and sealed with AES-256-GCM: xmlsec1 opens and verifies it."""
    answer = gateway.sign_in()
    assertion = gateway.told(answer)
    data = only(assertion, ".//saml:SubjectConfirmationData")

    assert answer.root.find(f"{{{DS}}}Signature") is None
    assert gateway.xmlsec1.verifies(etree.tostring(assertion, with_tail=False), gateway.keys.active.certificate)
    assert "aes256-gcm" in answer.octets.decode()
    assert (data.get("Recipient"), data.get("InResponseTo")) == (gateway.service.acs, "_request1")
    assert only(assertion, ".//saml:Audience").text == gateway.service.entity_id
    assert only(assertion, "saml:AuthnStatement").get("SessionIndex")
    assert answer.relay_state == "handle-1"


def test_citizen(gateway: Gateway) -> None:
    """Levels are bare words, the name is a persistent address, and a public service gets the CPR number."""
    assertion = gateway.told(gateway.sign_in())
    told, anna = values(assertion), gateway.people["anna"]

    assert told[f"{CORE}specVersion"] == "OIO-SAML-3.0"
    assert {told[f"{CONCEPT}nsis/{one}"] for one in ("loa", "ial", "aal")} == {"High"}
    assert told[f"{EID}cprNumber"] == anna.number
    assert (told[f"{EID}fullName"], told[f"{EID}firstName"]) == (anna.name, anna.given_name)
    assert (told[f"{EID}age"], told[f"{EID}dateOfBirth"]) == ("41", "14-03-1985")
    assert f"{EID}cprUuid" in told
    assert f"{EID}privilegesIntermediate" not in told
    name = only(assertion, ".//saml:NameID")
    assert name.get("Format") == PERSISTENT
    assert (name.text or "").startswith("https://data.gov.dk/model/core/eid/person/uuid/")


def test_name_is_steady_at_one_service(gateway: Gateway, clock: StoppedClock, tmp_path: Path) -> None:
    """The name is the same at each sign-in, in each run, and another at another service."""
    first = only(gateway.told(gateway.sign_in()), ".//saml:NameID").text
    again = only(gateway.told(gateway.sign_in()), ".//saml:NameID").text
    elsewhere = Gateway(clock, tmp_path, asking(clock, name="other"))
    other = only(elsewhere.told(elsewhere.sign_in()), ".//saml:NameID").text

    assert first == again != other


def test_private_service(clock: StoppedClock, tmp_path: Path) -> None:
    """A service whose metadata does not ask for them gets neither the CPR number nor powers of attorney."""
    gateway = Gateway(clock, tmp_path, asking(clock, public=False))
    told = values(gateway.told(gateway.sign_in("susan")))

    assert not {f"{EID}cprNumber", f"{EID}privilegesIntermediate"} & told.keys()
    assert f"{EID}cprUuid" in told


def test_power_of_attorney(gateway: Gateway) -> None:
    """Who has a power of attorney brings it as OIO-BPP: privileges within the other person's CPR number."""
    told = values(gateway.told(gateway.sign_in("susan")))
    found = etree.fromstring(base64.b64decode(told[f"{EID}privilegesIntermediate"]))
    group = only(found, "PrivilegeGroup")

    assert found.tag == "{http://digst.dk/oiosaml/basic_privilege_profile}PrivilegeList"
    assert group.get("Scope") == f"urn:dk:gov:saml:cprNumberIdentifier:{gateway.people['gerda'].number}"
    assert only(group, "Privilege").text


@pytest.mark.parametrize(
    ("person", "outcome", "method", "asked", "level"),
    [
        ("anna", "approve", "app", HIGH, "High"),
        ("anna", "approve", "code_display", SUBSTANTIAL, "Substantial"),
        ("susan", "approve", "app", SUBSTANTIAL, "Substantial"),
        ("anna", "lower_level", "app", SUBSTANTIAL, "Substantial"),
        ("anna", "approve", "app", f"{CONCEPT}loa/High", "High"),
        ("ludvig", "approve", "app", "https://data.gov.dk/eid/Person", "Low"),
    ],
)
def test_level_is_reached(gateway: Gateway, person: str, outcome: str, method: str, asked: str, level: str) -> None:
    """Whoever can gives at least the level that was asked for, and says which."""
    answer = gateway.sign_in(person, outcome, at_least(asked), method=method)

    assert values(gateway.told(answer))[f"{CONCEPT}nsis/loa"] == level


@pytest.mark.parametrize(
    ("person", "outcome", "method", "asked"),
    [
        ("susan", "approve", "app", HIGH),
        ("anna", "approve", "code_display", HIGH),
        ("ludvig", "approve", "app", SUBSTANTIAL),
        ("anna", "lower_level", "app", HIGH),
    ],
)
def test_level_is_not_reached(gateway: Gateway, person: str, outcome: str, method: str, asked: str) -> None:
    """Whoever cannot gets NoAuthnContext, and no assertion."""
    answer = gateway.sign_in(person, outcome, at_least(asked), method=method)

    assert answer.statuses == ["Responder", "NoAuthnContext"]
    assert answer.root.find("saml:EncryptedAssertion", NS) is None


@pytest.mark.parametrize(
    "inside",
    [at_least(SUBSTANTIAL, comparison="exact"), at_least("https://data.gov.dk/eid/Professional")],
)
def test_nobody_can(gateway: Gateway, inside: str) -> None:
    """Levels are compared by minimum only, and professionals do not sign in here."""
    assert posted(gateway.ask(inside)).statuses[1] == "NoAuthnContext"


@pytest.mark.parametrize(("person", "outcome"), [("anna", "cancel"), ("carl", "approve"), ("bodil", "approve")])
def test_cancelled_or_blocked(gateway: Gateway, person: str, outcome: str) -> None:
    """Whoever cancels, or is blocked, gets AuthnFailed."""
    assert gateway.sign_in(person, outcome).statuses == ["Responder", "AuthnFailed"]


def test_cancel_button(gateway: Gateway) -> None:
    """The button beside is the same as the outcome."""
    assert gateway.sign_in("anna", "approve", cancel="yes").statuses == ["Responder", "AuthnFailed"]


@pytest.mark.parametrize(("person", "outcome"), [("nora", "approve"), ("anna", "no_cpr")])
def test_no_cpr(gateway: Gateway, person: str, outcome: str) -> None:
    """Without a CPR number there is neither the number nor its identifier."""
    told = values(gateway.told(gateway.sign_in(person, outcome)))

    assert not {f"{EID}cprNumber", f"{EID}cprUuid"} & told.keys()


def test_oiosaml_4(gateway: Gateway) -> None:
    """Asked to, it has the attribute names of 4.0."""
    gateway.faults.set("borgeradgang", {"lies": ["oiosaml_4"]})
    told = values(gateway.told(gateway.sign_in()))

    assert (told[f"{CORE}specVersion"], told[f"{CONCEPT}loa"]) == ("OIO-SAML-4.0", "High")
    assert f"{CONCEPT}nsis/loa" not in told


@pytest.mark.parametrize("cipher", ["aes128_gcm", "aes128_cbc", "aes256_cbc"])
def test_ciphers(gateway: Gateway, cipher: str) -> None:
    """Asked to, it encrypts in another way of OIO-ALG-01; xmlsec1 opens it."""
    gateway.faults.set("borgeradgang", {"lies": [cipher]})
    answer = gateway.sign_in()

    assert cipher.replace("_", "-") in answer.octets.decode()
    assert f"{EID}fullName" in values(gateway.told(answer))


def test_lower_than_said(gateway: Gateway) -> None:
    """The lie about the level is told in the attribute and in the context, signed well."""
    gateway.faults.set("borgeradgang", {"lies": ["lower_context"]})
    assertion = gateway.told(gateway.sign_in(inside=at_least(HIGH)))

    assert values(assertion)[f"{CONCEPT}nsis/loa"] == "Low"
    assert (only(assertion, ".//saml:AuthnContextClassRef").text or "").endswith("/Low")


def test_lies_are_those_of_the_room(gateway: Gateway) -> None:
    """It can tell all lies that suomi.fi can, and speak 4.0."""
    assert LIES - MEANINGS.keys() == {"oiosaml_4"}
    assert MEANINGS.keys() <= LIES


@pytest.mark.parametrize("lie", sorted(LIES))
def test_no_lie_breaks_it(gateway: Gateway, lie: str) -> None:
    """With any lie it still answers a sign-in, a question for its metadata, and a refusal (which a replay hides)."""
    gateway.faults.set("borgeradgang", {"lies": [lie]})
    gateway.sign_in()
    refused = ["Success"] if lie == "replayed" else ["Responder", "AuthnFailed"]

    assert gateway.sign_in("anna", "cancel").statuses == refused
    assert gateway.client.get("/runtime/saml2/metadata.idp").status_code == 200


def test_metadata(gateway: Gateway, clock: StoppedClock) -> None:
    """Metadata verifies with the certificate to pin, takes requests by Redirect only, and names two keys."""
    octets = gateway.client.get("/runtime/saml2/metadata.idp").data
    signer = x509.load_pem_x509_certificate(gateway.sim.signer_certificate.read_bytes())
    known = read(octets, signer_certificates=[signer], now=clock.now(), entity_id=f"{ORIGIN}/runtime/")

    assert gateway.xmlsec1.verifies(octets, signer)
    assert known.sign_on == {Binding.REDIRECT: ORIGIN + PLACE}
    assert [one.binding for one in known.logout] == [Binding.REDIRECT, Binding.POST]
    assert len(known.signing) == 2
    assert gateway.client.post(PLACE).status_code == 405


def test_nemlogin(clock: StoppedClock, tmp_path: Path) -> None:
    """NemLog-in itself has its slash at the end, and one address for everything."""
    nemlogin = Gateway(clock, tmp_path, nemlogin=True)
    signer = x509.load_pem_x509_certificate(nemlogin.sim.signer_certificate.read_bytes())
    octets = nemlogin.client.get("/metadata").data
    known = read(octets, signer_certificates=[signer], now=clock.now(), entity_id=f"{ORIGIN}/")

    assert nemlogin.sim.entity_id == f"{ORIGIN}/"
    assert {known.sign_on[Binding.REDIRECT], *(one.location for one in known.logout)} == {f"{ORIGIN}/idp/saml/3.0/"}
    assert nemlogin.sign_in().statuses == ["Success"]


def test_session(gateway: Gateway, clock: StoppedClock) -> None:
    """For 30 minutes others are answered from the session, but not what asks for more than was proved."""
    gateway.sign_in("susan")
    again = posted(gateway.ask()).statuses
    more = gateway.ask(at_least(HIGH)).status_code
    gateway.faults.set("borgeradgang", {"lies": ["no_sso"]})
    without = gateway.ask().status_code
    gateway.faults.clear()
    clock.move(timedelta(minutes=30))

    assert again == ["Success"]
    assert (more, without, gateway.ask().status_code) == (303, 303, 303)


def test_remember_me(gateway: Gateway) -> None:
    """Whoever ticks the box is first on the page the next time."""
    choose(gateway.client, gateway.ask(), person="susan", outcome="approve", remember="yes")
    page = gateway.client.get(gateway.ask(ForceAuthn="true").headers["Location"]).get_data(as_text=True)

    assert page.index('value="susan"') < page.index('value="anna"')


@pytest.mark.parametrize("asked", [{}, [], {"cpr": 1, "subjectNameID": "x", "entityID": "y"}])
def test_match_wants_all(gateway: Gateway, asked: object) -> None:
    """The match service says what it says to nobody's question."""
    assert gateway.client.post("/api/uuidmatch/subjectmatchescpr", json=asked).status_code == 400


def test_match(gateway: Gateway) -> None:
    """A private service learns whether a CPR number is of the person it knows by name: "Match" or "NoMatch"."""
    name = only(gateway.told(gateway.sign_in()), ".//saml:NameID").text
    asked = {"subjectNameID": name, "entityID": gateway.service.entity_id}
    path = "/api/uuidmatch/subjectmatchescpr"
    wrongs = [
        {**asked, "cpr": gateway.people["susan"].number},
        {**asked, "cpr": gateway.people["anna"].number, "entityID": "https://other.example.test"},
    ]

    assert gateway.client.post(path, json={**asked, "cpr": gateway.people["anna"].number}).json == "Match"
    assert [gateway.client.post(path, json=wrong).json for wrong in wrongs] == ["NoMatch", "NoMatch"]
    assert gateway.sim.match_url == ORIGIN + path


def test_transient(gateway: Gateway) -> None:
    """A name may be transient; a format that is neither is InvalidNameIDPolicy."""
    transient = POLICY.replace("persistent", "transient")
    first, again = (only(gateway.told(gateway.sign_in(inside=transient)), ".//saml:NameID").text for _ in range(2))
    refused = posted(gateway.ask(POLICY.replace("persistent", "kerberos")))

    assert first != again
    assert refused.statuses == ["Requester", "InvalidNameIDPolicy"]
