"""Single logout at the simulated suomi.fi: asked by a service, or begun on its own page; and its lies about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree, html

from idbroker.clock import StoppedClock
from idbroker.saml.metadata import Binding
from tests.sandbox.saml_sp import Posted, Service, is_signed_query, only, posted, redirected, told
from tests.sandbox.saml_suomifi import ORIGIN, PLACE, VETUMA, House, asking

pytestmark = pytest.mark.peers

SLO = "/idp/profile/SAML2/Redirect/SLO"
SLO_POST = "/idp/profile/SAML2/POST/SLO"
OWN_PAGE = "/idp/profile/Logout"


@pytest.fixture
def house(clock: StoppedClock, tmp_path: Path) -> House:
    """Give suomi.fi with one service."""
    return House(clock, tmp_path)


@pytest.fixture
def other(house: House, clock: StoppedClock) -> Service:
    """Give a second service, where the same person is signed in too."""
    service = asking(clock, name="other", titles={"en": "The other"})
    house.parties[service.entity_id] = service.metadata()
    return service


def join(house: House, service: Service) -> Posted:
    """Sign the browser's person in at a second service, from the session."""
    query = service.query(service.authn(ORIGIN + PLACE, inside=VETUMA.format("en")))
    return posted(house.client.get(f"{PLACE}?{query}"))


def signed_in(house: House) -> tuple[str, str]:
    """Sign somebody in; return the NameID element and the session index that the service was given."""
    assertion = house.told(house.sign_in())
    name = etree.tostring(only(assertion, ".//saml:NameID"), with_tail=False).decode()
    return name, only(assertion, "saml:AuthnStatement").get("SessionIndex", "")


def ask_logout(house: House, name: str, index: str | None, **changes: str) -> Any:
    """Ask for the logout of a name by Redirect."""
    text = house.service.logout_request(ORIGIN + SLO, name, index, **changes)
    return house.client.get(f"{SLO}?{house.service.query(text)}")


def frames(house: House, where: str) -> list[str]:
    """Return the addresses in the hidden frames of a page."""
    page = html.fromstring(house.client.get(where).get_data(as_text=True))
    return [one.get("src", "") for one in page.iterfind(".//iframe[@hidden]")]


def test_asked_by_a_service(house: House) -> None:
    """The person sees a summary and confirms; the answer is signed and says so in words; the session is over."""
    asked = ask_logout(house, *signed_in(house))
    summary = house.client.get(asked.headers["Location"]).get_data(as_text=True)
    answer = house.client.post(asked.headers["Location"])
    place, query, message = redirected(answer)

    assert "The portal" in summary
    assert (place, query["RelayState"]) == (house.service.slo, "handle-1")
    assert is_signed_query(answer.headers["Location"], house.keys.active.certificate)
    assert message.get("InResponseTo") == "_logout1"
    assert message.get("Destination") == house.service.slo
    assert only(message, ".//samlp:StatusCode").get("Value", "").endswith(":Success")
    assert only(message, ".//samlp:StatusMessage").text == "Successfully logged out from service"
    assert house.ask().status_code == 303
    assert "/authn/" in house.ask().headers["Location"]


def test_posted(clock: StoppedClock, tmp_path: Path) -> None:
    """A request may come by POST, and goes back so to a service that has nothing else: xmlsec1 verifies the answer."""
    house = House(clock, tmp_path, asking(clock, bindings=(Binding.POST,)))
    text = house.service.logout_request(ORIGIN + SLO_POST, *signed_in(house))
    asked = house.client.post(SLO_POST, data=house.service.form(text))
    answer = posted(house.client.post(asked.headers["Location"]))

    assert answer.url == house.service.slo
    assert answer.statuses == ["Success"]
    assert house.xmlsec1.verifies(answer.octets, house.keys.active.certificate)


def _without(attribute: str) -> Callable[[str], str]:
    def change(name: str) -> str:
        element = etree.fromstring(name)
        del element.attrib[attribute]
        return etree.tostring(element).decode()

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_without("NameQualifier"), "no_name_qualifier"),
        (_without("SPNameQualifier"), "no_name_qualifier"),
        (lambda _: "", "no_name"),
    ],
)
def test_incomplete_names(house: House, change: Callable[[str], str], code: str) -> None:
    """A request without the name, or one of its qualifiers, gets an error page, and ends nothing."""
    name, index = signed_in(house)
    answer = ask_logout(house, change(name), index)

    assert (answer.status_code, f"<code>{code}</code>" in answer.get_data(as_text=True)) == (400, True)
    assert house.ask().status_code == 200


def test_no_index_or_signature(house: House) -> None:
    """So does one without a session index, and one that is not signed."""
    name, index = signed_in(house)
    without = ask_logout(house, name, None)
    query = house.service.query(house.service.logout_request(ORIGIN + SLO, name, index)).partition("&SigAlg")[0]
    unsigned = house.client.get(f"{SLO}?{query}")

    assert "no_session_index" in without.get_data(as_text=True)
    assert "not_signed" in unsigned.get_data(as_text=True)
    assert house.ask().status_code == 200


def test_nobody_of_that_name(house: House) -> None:
    """For a name that no session has the answer is UnknownPrincipal."""
    name, _ = signed_in(house)
    _, _, message = redirected(ask_logout(house, name, "_another"))

    assert [one.get("Value", "").rpartition(":")[2] for one in message.iter("{*}StatusCode")] == [
        "Requester",
        "UnknownPrincipal",
    ]


def test_begun_at_suomi_fi(house: House, other: Service) -> None:
    """Its own page loads each service's request in a hidden frame, collects the answers and sums up."""
    name, index = signed_in(house)
    join(house, other)
    run = house.client.get(OWN_PAGE).headers["Location"]
    house.client.post(run)
    hidden = frames(house, run)
    before = house.client.get(f"{run}/status").get_data(as_text=True)
    asked = {place: (query, message) for place, query, message in map(told, hidden)}
    for service in (house.service, other):
        text = service.logout_response(ORIGIN + SLO, asked[service.slo][1].get("ID", ""))
        house.client.get(f"{SLO}?{service.query(text, name='SAMLResponse', relay_state=None)}")
    after = house.client.get(f"{run}/status").get_data(as_text=True)
    message = asked[house.service.slo][1]

    assert all(is_signed_query(url, house.keys.active.certificate) for url in hidden)
    assert message.get("Destination") == house.service.slo
    assert etree.tostring(only(message, "saml:NameID"), method="c14n", with_tail=False, exclusive=True) == (
        etree.tostring(etree.fromstring(name), method="c14n", exclusive=True)
    )
    assert only(message, "samlp:SessionIndex").text == index
    assert ("refresh" in before, "refresh" in after) == (True, False)
    assert after.count("Successfully logged out from service") == 2


def test_others_are_told(house: House, other: Service) -> None:
    """When one service asks, the others are told in frames, and what they say is in the answer: PartialLogout."""
    name, index = signed_in(house)
    join(house, other)
    run = ask_logout(house, name, index).headers["Location"]
    house.client.post(run)
    hidden = frames(house, run)
    request_id = told(hidden[0])[2].get("ID", "")
    failed = other.logout_response(ORIGIN + SLO, request_id, "urn:oasis:names:tc:SAML:2.0:status:Responder")
    house.client.get(f"{SLO}?{other.query(failed, name='SAMLResponse')}")
    _, _, message = redirected(house.client.post(f"{run}/end"))

    assert [told(one)[0] for one in hidden] == [other.slo]
    assert [one.get("Value", "").rpartition(":")[2] for one in message.iter("{*}StatusCode")] == [
        "Responder",
        "PartialLogout",
    ]


def test_answers_of_others_do_not_count(house: House, other: Service) -> None:
    """A service cannot answer for another, nor twice."""
    signed_in(house)
    run = house.client.get(OWN_PAGE).headers["Location"]
    house.client.post(run)
    request_id = told(frames(house, run)[0])[2].get("ID", "")
    answer = house.client.get(
        f"{SLO}?{other.query(other.logout_response(ORIGIN + SLO, request_id), name='SAMLResponse')}"
    )

    assert "answer_of_another" in answer.get_data(as_text=True)


def test_post_in_a_frame(clock: StoppedClock, tmp_path: Path) -> None:
    """A service that takes POST only gets its request by a form in the frame, which only we may frame."""
    house = House(clock, tmp_path, asking(clock, bindings=(Binding.POST,)))
    signed_in(house)
    run = house.client.get(OWN_PAGE).headers["Location"]
    house.client.post(run)
    page = house.client.get(frames(house, run)[0])

    assert posted(page).url == house.service.slo
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    assert house.xmlsec1.verifies(posted(page).octets, house.keys.active.certificate)


def test_without_a_session(house: House) -> None:
    """Who is not signed in is told so."""
    assert "logged out" in house.client.get(OWN_PAGE + "?locale=en").get_data(as_text=True)


def lied_request(house: House, lie: str) -> tuple[str, etree._Element]:
    """Return the request that a service gets with a lie, and its address."""
    house.faults.set("suomifi", {"lies": [lie] if lie else []})
    signed_in(house)
    run = house.client.get(OWN_PAGE).headers["Location"]
    house.client.post(run)
    url = frames(house, run)[0]
    return url, told(url)[2]


def head(message: etree._Element) -> dict[str, str]:
    """Return what a logout message says, but for what is new each time."""
    said = {name: value for name, value in message.attrib.items() if name != "ID"}
    return {str(name): str(value) for name, value in said.items()} | {
        "issuer": only(message, "saml:Issuer").text or "",
        "name": "somebody-else" if b"somebody-else<" in etree.tostring(message) else "",
        "index": "none" if b"_no-such-session" in etree.tostring(message) else "",
    }


LIED = {
    "logout_wrong_name": {"name"},
    "logout_other_session": {"index"},
    "logout_expired": {"IssueInstant", "NotOnOrAfter"},
    "logout_wrong_destination": {"Destination"},
    "logout_other_issuer": {"issuer"},
    "logout_unsigned_request": set(),
    "logout_unknown_key": set(),
}


@pytest.mark.parametrize("lie", sorted(LIED))
def test_lies_in_requests(house: House, lie: str) -> None:
    """A lie in a logout request is the only thing that differs, and but for those about it the signature is true."""
    _, truth = lied_request(house, "")
    url, lied = lied_request(house, lie)
    differs = {name for name, value in head(truth).items() if head(lied)[name] != value}

    assert differs == LIED[lie]
    assert is_signed_query(url, house.keys.active.certificate) == (
        lie not in {"logout_unsigned_request", "logout_unknown_key"}
    )
    assert is_signed_query(url, house.keys.stranger.certificate) == (lie == "logout_unknown_key")


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("logout_response_to_another", ("_another-request", "slo", "Success", True)),
        ("logout_response_wrong_destination", ("_logout1", "acs", "Success", True)),
        ("logout_partial", ("_logout1", "slo", "PartialLogout", True)),
        ("logout_unsigned_response", ("_logout1", "slo", "Success", False)),
    ],
)
def test_lies_in_responses(house: House, lie: str, said: tuple[str, str, str, bool]) -> None:
    """A lie in a logout response is the only thing that differs."""
    asked = ask_logout(house, *signed_in(house))
    house.faults.set("suomifi", {"lies": [lie]})
    answer = house.client.post(asked.headers["Location"])
    _, _, message = redirected(answer)
    codes = [one.get("Value", "").rpartition(":")[2] for one in message.iter("{*}StatusCode")]
    found = (message.get("InResponseTo"), message.get("Destination", "").rpartition("/")[2], codes[-1])

    assert (*found, is_signed_query(answer.headers["Location"], house.keys.active.certificate)) == said
