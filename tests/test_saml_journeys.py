"""Signing in through SAML, portal to portal: what the person sees and what the portal is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from idbroker.clock import StoppedClock
from tests.conftest import NOW
from tests.door import claims_of, words_of
from tests.saml_door import SamlDoor, open_saml_door


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlDoor]:
    """Open the door once, with suomi.fi asked by POST."""
    more = {"suomifi": {"binding": "post", "vtj_required": True}, "borgeradgang": {"public": True, "gateway": "seb"}}
    with open_saml_door(tmp_path_factory.mktemp("saml"), StoppedClock(NOW), provider=more) as opened:
        yield opened


@pytest.fixture
def door(opened: SamlDoor) -> SamlDoor:
    """Give the door as new."""
    opened.faults.clear()
    return opened


NUMBER = "openid profile national_number"


def test_suomifi_by_post(door: SamlDoor) -> None:
    """SAML bindings 3.5: the request goes by a form that posts itself, and the portal gets the number and the level."""
    browser = door.browser("fi")
    tokens = door.redeem(browser.sign_in_by("suomifi", "tessa", scope=NUMBER, acr_values="substantial")["code"])
    sent = next(answer for answer in browser.trail if 'name="SAMLRequest"' in answer.text)

    assert "/go" in sent.url
    assert (
        f"form-action 'self' {door.suomifi.entity_id.removesuffix('/idp1')}" in sent.headers["Content-Security-Policy"]
    )
    assert claims_of(tokens["id_token"])["acr"] == "substantial"
    assert userinfo(door, tokens)["national_number"] == "010280-952L"
    assert userinfo(door, tokens)["national_number_country"] == "FI"


def test_the_page_in_between_can_be_loaded_again(door: SamlDoor) -> None:
    """Back and reload at the page that posts itself: the same request goes again, and the sign-in works."""
    browser = door.browser()
    page = browser.authorize(client_id="portal")
    action = page.url.replace("/choose", "/go")
    browser.press(page, provider="suomifi")
    again = browser.get(action)

    assert 'name="person"' in again.text
    assert "Location" in browser.press(again, person="tessa", outcome="approve").headers


def test_the_gateway(door: SamlDoor) -> None:
    """A citizen of Denmark by the gateway: CPR by attribute for a public service, level by the bare word."""
    browser = door.browser("da")
    tokens = door.redeem(browser.sign_in_by("borgeradgang", "anna", scope=NUMBER)["code"])

    assert claims_of(tokens["id_token"])["acr"] in ("substantial", "high")
    assert userinfo(door, tokens)["national_number_country"] == "DK"


@pytest.mark.parametrize(
    ("eid", "person", "outcome", "says"),
    [
        ("suomifi", "tessa", "cancel", "You came back from"),
        ("borgeradgang", "anna", "cancel", "You came back from"),
    ],
)
def test_back_at_the_choice(door: SamlDoor, eid: str, person: str, outcome: str, says: str) -> None:
    """Who is not signed in is back at the choice with a sentence, and can take another way at once."""
    browser = door.browser()
    page = browser.prove(eid, person, outcome)

    assert page.status_code == 200
    assert says in words_of(page), words_of(page)
    assert "Location" in browser.press(browser.press(page, provider=eid), person=person, outcome="approve").headers


def test_the_register_did_not_confirm(door: SamlDoor) -> None:
    """Who the population register does not confirm is told so in words, and the portal is told nothing."""
    page = door.browser().prove("suomifi", "tessa", "vtj_false")

    assert "The population register could not confirm who you are." in words_of(page)


def test_asked_anew(door: SamlDoor) -> None:
    """prompt=login is ForceAuthn: the eID's own session does not answer for the person."""
    browser = door.browser()
    browser.sign_in_by("suomifi", "tessa")
    page = browser.press(browser.authorize(client_id="portal", prompt="login"), provider="suomifi")

    assert 'name="person"' in page.text


def userinfo(door: SamlDoor, tokens: dict[str, str]) -> dict[str, str]:
    """Return what userinfo says."""
    browser = door.browser()
    answer = browser.fetch(f"{door.issuer}/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    claims: dict[str, str] = answer.json()
    return claims
