"""Single logout at the simulated Danish gateway: one service after the other, at the first address of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from idbroker.clock import StoppedClock
from tests.sandbox.saml_gateway import ORIGIN, POST_FIRST, REDIRECT_FIRST, Gateway, asking
from tests.sandbox.saml_sp import Service, is_signed_query, only, posted, redirected

pytestmark = pytest.mark.peers


@pytest.fixture(params=[False, True], ids=["gateway", "nemlogin"])
def gateway(clock: StoppedClock, tmp_path: Path, request: pytest.FixtureRequest) -> Gateway:
    """Give the gateway, and NemLog-in, with one service."""
    return Gateway(clock, tmp_path, asking(clock, bindings=REDIRECT_FIRST), nemlogin=request.param)


@pytest.fixture
def other(gateway: Gateway, clock: StoppedClock) -> Service:
    """Give a second service, whose first logout address is by POST."""
    service = asking(clock, name="other", bindings=POST_FIRST)
    gateway.parties[service.entity_id] = service.metadata()
    return service


def ask_logout(gateway: Gateway) -> Any:
    """Sign somebody in, and ask for the logout by the name that came."""
    assertion = gateway.told(gateway.sign_in())
    name = etree.tostring(only(assertion, ".//saml:NameID"), with_tail=False).decode()
    index = only(assertion, "saml:AuthnStatement").get("SessionIndex", "")
    return gateway.service.logout_request(ORIGIN + gateway.slo, name, index)


def test_asked_by_a_service(gateway: Gateway) -> None:
    """Asked by Redirect it answers at once, signed, at the first address of the service's metadata."""
    answer = gateway.client.get(f"{gateway.slo}?{gateway.service.query(ask_logout(gateway))}")
    place, query, message = redirected(answer)

    assert (place, query["RelayState"]) == (gateway.service.slo, "handle-1")
    assert is_signed_query(answer.headers["Location"], gateway.keys.active.certificate)
    assert message.get("InResponseTo") == "_logout1"
    assert only(message, ".//samlp:StatusCode").get("Value", "").endswith(":Success")
    assert "/authn/" in gateway.ask().headers["Location"]


def test_first_binding(clock: StoppedClock, tmp_path: Path) -> None:
    """Where POST comes first the answer goes by POST, however it was asked: xmlsec1 verifies it."""
    gateway = Gateway(clock, tmp_path, asking(clock, bindings=POST_FIRST))
    answer = posted(gateway.client.get(f"{gateway.slo}?{gateway.service.query(ask_logout(gateway))}"))

    assert answer.url == gateway.service.slo
    assert gateway.xmlsec1.verifies(answer.octets, gateway.keys.active.certificate)


def test_asked_by_post(gateway: Gateway) -> None:
    """A request may come by POST."""
    answer = gateway.client.post(gateway.slo, data=gateway.service.form(ask_logout(gateway)))

    assert redirected(answer)[2].get("InResponseTo") == "_logout1"


def test_others_first(gateway: Gateway, other: Service) -> None:
    """The other services are told before the one that asked is answered; one that fails makes it partial."""
    text = ask_logout(gateway)
    posted(gateway.ask(service=other))
    asked = posted(gateway.client.get(f"{gateway.slo}?{gateway.service.query(text)}"))
    failed = other.logout_response(
        ORIGIN + gateway.slo, asked.root.get("ID", ""), "urn:oasis:names:tc:SAML:2.0:status:Responder"
    )
    _, query, message = redirected(gateway.client.post(gateway.slo, data=other.form(failed, name="SAMLResponse")))

    assert asked.url == other.slo
    assert gateway.xmlsec1.verifies(asked.octets, gateway.keys.active.certificate)
    assert query["RelayState"] == "handle-1"
    assert [one.get("Value", "").rpartition(":")[2] for one in message.iter("{*}StatusCode")] == [
        "Responder",
        "PartialLogout",
    ]


def test_begun_at_the_gateway(gateway: Gateway) -> None:
    """Its own page asks, tells each service, and says at the end that the person is logged out."""
    gateway.sign_in()
    run = gateway.client.get("/logout?locale=en").headers["Location"]
    question = gateway.client.get(run).get_data(as_text=True)
    place, _, message = redirected(gateway.client.post(run))
    text = gateway.service.logout_response(ORIGIN + gateway.slo, message.get("ID", ""))
    end = gateway.client.get(f"{gateway.slo}?{gateway.service.query(text, name='SAMLResponse')}")

    assert "The portal" in question
    assert place == gateway.service.slo
    assert only(message, "samlp:SessionIndex").text
    assert (end.status_code, "logged out" in end.get_data(as_text=True)) == (200, True)


def test_answer_twice(gateway: Gateway) -> None:
    """An answer counts once."""
    gateway.sign_in()
    run = gateway.client.get("/logout").headers["Location"]
    _, _, message = redirected(gateway.client.post(run))
    text = gateway.service.logout_response(ORIGIN + gateway.slo, message.get("ID", ""))
    url = f"{gateway.slo}?{gateway.service.query(text, name='SAMLResponse')}"

    assert [gateway.client.get(url).status_code for _ in range(2)] == [200, 400]
