"""Logout that ends everything: begun at a portal, at our page, at suomi.fi, at the gateway (SAML profiles, 4.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests

from idbroker.clock import StoppedClock
from tests.conftest import NOW
from tests.door import claims_of, session_cookie, words_of
from tests.saml_door import SamlBrowser, SamlDoor, open_saml_door

BYE = "https://portal.test/bye"
EIDS = pytest.mark.parametrize(("eid", "person"), [("suomifi", "tessa"), ("borgeradgang", "anna")])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlDoor]:
    """Open the door once: making its eight RSA keys takes seconds."""
    with open_saml_door(tmp_path_factory.mktemp("saml"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture
def door(opened: SamlDoor) -> SamlDoor:
    """Give the door as new: nothing is broken, nothing was heard."""
    opened.faults.clear()
    opened.ear.heard.clear()
    return opened


def begun(door: SamlDoor, browser: SamlBrowser, eid: str, person: str, **asked: str) -> dict[str, Any]:
    """Sign somebody in and return the tokens."""
    return door.redeem(browser.sign_in_by(eid, person, **asked)["code"], asked.get("client_id", "portal"))


def confirmed(browser: SamlBrowser, page: requests.Response) -> requests.Response:
    """Say yes at suomi.fi's own page, if it is there, and go where its page of frames leads at the end."""
    if "/logout/" in page.url and page.status_code == 200 and 'method="post"' in page.text:
        page = browser.press(page)
    return page


def there(door: SamlDoor, browser: SamlBrowser, eid: str) -> bool:
    """Tell whether the eID still knows the browser: it would answer a new request from its own session."""
    page = browser.press(browser.authorize(client_id="portal", prompt=""), provider=eid)
    return 'name="person"' not in page.text


@EIDS
def test_begun_at_the_portal(door: SamlDoor, eid: str, person: str) -> None:
    """RP-Initiated Logout 2, SAML profiles 4.4: it ends here and at the eID, then the portal has its person back."""
    browser = door.browser()
    tokens = begun(door, browser, eid, person)
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": "kept"})
    page = confirmed(browser, browser.get(f"/logout?{query}"))

    assert page.headers["Location"] == f"{BYE}?state=kept"
    assert session_cookie(browser) is None
    assert not door.is_active(tokens)
    assert browser.silent()["error"] == "login_required"
    assert not there(door, browser, eid)


@EIDS
def test_begun_at_our_page(door: SamlDoor, eid: str, person: str) -> None:
    """The page at the end names every service that was ended, and the eID."""
    browser = door.browser()
    tokens = [begun(door, browser, eid, person), begun(door, browser, eid, person, client_id="other")]
    page = confirmed(browser, browser.press(browser.get("/logout"), confirm="yes"))
    title = door.house.providers[eid].title

    assert "You are logged out" in words_of(page)
    assert f"You are logged out of Portalen, Toinen, {title}." in words_of(page)
    assert not any(map(door.is_active, tokens))
    assert not there(door, browser, eid)


@EIDS
def test_begun_at_the_eid(door: SamlDoor, eid: str, person: str) -> None:
    """SAML profiles 4.4.3.2: their page tells us, without our cookie, and our sign-on and all its tokens end."""
    browser = door.browser()
    tokens = [begun(door, browser, eid, person), begun(door, browser, eid, person, client_id="other")]
    door.log_out_at(browser, eid)

    assert browser.silent()["error"] == "login_required"
    assert not any(map(door.is_active, tokens))
    assert {path for path, _ in door.ear.wait_for(2)} == {"/portal", "/other"}


@EIDS
def test_the_services_are_told(door: SamlDoor, eid: str, person: str) -> None:
    """Back-Channel Logout 2.4: each service that was reached gets its own token, with the `sub` and `sid` it knows."""
    browser = door.browser()
    tokens = {name: begun(door, browser, eid, person, client_id=name) for name in ("portal", "other")}
    confirmed(browser, browser.press(browser.get("/logout"), confirm="yes"))
    heard = dict(door.ear.wait_for(2))

    assert set(heard) == {"/portal", "/other"}
    for name, given in tokens.items():
        told, known = claims_of(heard[f"/{name}"]), claims_of(given["id_token"])
        assert {k: told[k] for k in ("iss", "aud", "sub", "sid")} == {k: known[k] for k in ("iss", "aud", "sub", "sid")}
        assert told["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert jwt.get_unverified_header(heard[f"/{name}"])["typ"] == "logout+jwt"
    assert tokens["portal"]["id_token"] != tokens["other"]["id_token"]


def test_a_service_is_told_in_a_frame(door: SamlDoor) -> None:
    """Front-Channel Logout 3: a frame with exactly `iss` and `sid`, allowed by our policy; then on to the eID."""
    browser = door.browser()
    tokens = begun(door, browser, "suomifi", "tessa", client_id="framed")
    page = browser.press(browser.get("/logout"), confirm="yes")
    source = re.findall(r'<iframe[^>]*src="([^"]+)"', page.text)[0].replace("&amp;", "&")

    assert source.partition("?")[0] == "https://portal.test/framed"
    assert parse_qs(urlsplit(source).query) == {"iss": [door.issuer], "sid": [claims_of(tokens["id_token"])["sid"]]}
    assert "frame-src https://portal.test;" in page.headers["Content-Security-Policy"]
    assert session_cookie(browser) is None
    on = re.findall(r'id="on"[^>]*href="([^"]+)"', page.text)[0]
    assert "You are logged out of Rammen, Suomi.fi." in words_of(confirmed(browser, browser.get(on)))


def test_whom_no_frame_reached_is_said(door: SamlDoor) -> None:
    """SAML core 3.7.3.2: from within the eID's frame no other frame can tell a service, and we say so."""
    browser = door.browser()
    begun(door, browser, "borgeradgang", "anna", client_id="framed")
    door.log_out_at(browser, "borgeradgang")
    answers = [r.headers["Location"] for r in browser.trail if "SAMLResponse=" in r.headers.get("Location", "")]

    assert answers
    assert browser.silent("framed")["error"] == "login_required"


@pytest.mark.parametrize(
    "lie",
    [
        "logout_response_to_another",
        "logout_response_wrong_destination",
        "logout_unsigned_response",
        "logout_unknown_key",
        "logout_partial",
    ],
)
def test_an_answer_that_is_none(door: SamlDoor, lie: str) -> None:
    """S36: what does not verify ends nothing at the eID that we could vouch for, and the page says how to be safe."""
    browser = door.browser()
    tokens = begun(door, browser, "suomifi", "tessa")
    door.faults.set("suomifi", {"lies": [lie]})
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE})
    page = confirmed(browser, browser.get(f"/logout?{query}"))

    assert not door.is_active(tokens)
    assert session_cookie(browser) is None
    assert "Suomi.fi has not confirmed that you are logged out there too." in words_of(page)
    assert f'href="{BYE}"' in page.text
