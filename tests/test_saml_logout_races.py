"""Logouts that are doubled, late, raced or of two eIDs: whatever the order, nothing lives on that should not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urljoin

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.conftest import NOW
from tests.door import CALLBACK, SECRET, VERIFIER, answer_of, at_once, authorize_url, form_of, session_cookie, words_of
from tests.saml_door import SamlBrowser, SamlDoor, open_saml_door

BYE = "https://portal.test/bye"
EIDS = pytest.mark.parametrize(("eid", "person"), [("suomifi", "tessa"), ("borgeradgang", "anna")])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlDoor]:
    """Open the door once, with the gateway as a private service has it."""
    more = {"borgeradgang": {"gateway": "seb"}}
    with open_saml_door(tmp_path_factory.mktemp("saml"), StoppedClock(NOW), provider=more) as opened:
        yield opened


@pytest.fixture
def door(opened: SamlDoor) -> SamlDoor:
    """Give the door as new, a little later."""
    opened.faults.clear()
    opened.ear.heard.clear()
    opened.clock.move(timedelta(seconds=5))
    return opened


def begun(door: SamlDoor, browser: SamlBrowser, eid: str, person: str, **asked: str) -> dict[str, Any]:
    """Sign somebody in and return the tokens."""
    return door.redeem(browser.sign_in_by(eid, person, **asked)["code"], asked.get("client_id", "portal"))


def asks(tokens: dict[str, Any]) -> str:
    """Return a portal's logout request."""
    return "/logout?" + urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE})


@EIDS
def test_pressed_twice(door: SamlDoor, eid: str, person: str) -> None:
    """On a shared computer: the second press goes on with the same logout, instead of skipping the eID's."""
    browser = door.browser()
    tokens = begun(door, browser, eid, person)
    cookie = session_cookie(browser)
    first = browser.fetch(asks(tokens))
    again = requests.get(
        urljoin(door.issuer, asks(tokens)), cookies={"s": cookie or ""}, allow_redirects=False, timeout=10
    )
    later = browser.fetch(asks(tokens))

    assert first.headers["Location"].startswith("/goodbye/")
    assert again.headers["Location"] == later.headers["Location"] == first.headers["Location"]


def test_a_page_elsewhere_and_an_idle_sign_on(door: SamlDoor) -> None:
    """A22: after half an hour without use a stranger's link still only asks, and ends nothing."""
    browser = door.browser()
    tokens = begun(door, browser, "suomifi", "tessa", scope="openid profile offline_access")
    door.clock.move(timedelta(minutes=31))
    page = browser.get("/logout")
    refreshed = requests.post(
        f"{door.issuer}/token",
        data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]},
        auth=("portal", SECRET),
        timeout=10,
    )

    assert "Do you want to log out?" in words_of(page)
    assert refreshed.status_code == 200


def test_a_silent_sign_on_in_the_same_moment(door: SamlDoor) -> None:
    """Of many silent sign-ons racing one logout no token lives on that the logout has not ended."""
    for _ in range(8):
        browser = door.browser()
        tokens = begun(door, browser, "suomifi", "tessa")
        cookies = {"s": session_cookie(browser) or ""}
        urls = iter([asks(tokens), *[authorize_url(client_id="portal", prompt="none")] * 5])
        taken = [next(urls) for _ in range(6)]
        answers = at_once(6, Fetching(door.issuer, taken, cookies))
        codes = [code for code in (code_of(answer) for answer in answers) if code]

        assert [code for code in codes if is_redeemed(door, code)] == []


class Fetching:
    """Fetches one address after the other, in many threads."""

    def __init__(self, issuer: str, paths: list[str], cookies: dict[str, str]) -> None:
        self._issuer, self._paths, self._cookies = issuer, iter(paths), cookies

    def __call__(self) -> requests.Response:
        """Fetch the next."""
        url = urljoin(self._issuer, next(self._paths))
        return requests.get(url, cookies=self._cookies, allow_redirects=False, timeout=20)


def code_of(answer: requests.Response) -> str | None:
    """Return the code an answer holds, if it is one to the portal."""
    location = answer.headers.get("Location", "")
    return answer_of(answer).get("code") if location.startswith(CALLBACK) else None


def is_redeemed(door: SamlDoor, code: str) -> bool:
    """Tell whether a code still gives tokens."""
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return requests.post(f"{door.issuer}/token", data=fields, auth=("portal", SECRET), timeout=10).status_code == 200


@EIDS
def test_an_answer_after_the_logout(door: SamlDoor, eid: str, person: str) -> None:
    """SAML core 3.7.3.1: an answer that was held back while its session ended signs nobody in."""
    browser = door.browser()
    page = browser.press(browser.authorize(client_id="portal"), provider=eid)
    form = form_of(page)
    acted = browser.fetch(urljoin(page.url, form.action), "POST", data={**form.hidden, "person": person})
    held = form_of(acted)
    begun(door, browser, eid, person, client_id="other")
    door.log_out_at(browser, eid)
    page = browser.post(held.action, dict(held.hidden))

    assert "code=" not in page.headers.get("Location", "")
    assert browser.silent()["error"] == "login_required"


def test_an_eid_that_came_first(door: SamlDoor) -> None:
    """Who showed who they are by two eIDs rests on both: the first one's logout ends it all too."""
    browser = door.browser()
    first = begun(door, browser, "suomifi", "tessa")
    second = door.redeem(stepped_up(browser, "suomifi", "tessa"), "other")
    door.log_out_at(browser, "suomifi")

    assert not door.is_active(first)
    assert not door.is_active(second)
    assert browser.silent()["error"] == "login_required"


def stepped_up(browser: SamlBrowser, eid: str, person: str) -> str:
    """Show anew who one is, for another service; return its code."""
    return browser.sign_in_by(eid, person, client_id="other", prompt="login")["code"]


def test_another_browsers_farewell(door: SamlDoor) -> None:
    """Whoever finds the address of a logout in a history sees nothing there, and is given no message for the eID."""
    browser = door.browser()
    tokens = begun(door, browser, "suomifi", "tessa")
    place = browser.fetch(asks(tokens)).headers["Location"]
    stranger = door.browser()

    assert [stranger.fetch(place + more).status_code for more in ("", "/on")] == [404, 404]
    assert browser.fetch(place).status_code == 200


def test_one_answer_is_kept(door: SamlDoor) -> None:
    """Nobody fills the store with answers to a transaction of their own: the newest takes the place of the last."""
    browser = door.browser()
    page = browser.press(browser.authorize(client_id="portal"), provider="suomifi")
    form = form_of(page)
    acted = browser.fetch(urljoin(page.url, form.action), "POST", data={**form.hidden, "person": "tessa"})
    held = form_of(acted)
    places = {
        browser.fetch(held.action, "POST", data={**held.hidden, "SAMLResponse": "A" * size}).headers["Location"]
        for size in range(1000, 1050)
    }
    strange = browser.fetch(held.action.replace("suomifi", "borgeradgang"), "POST", data=dict(held.hidden))

    assert len(places) == 1
    assert strange.headers["Location"].startswith("/t/")


def test_rows_of_prefixes(door: SamlDoor) -> None:
    """ReDoS: a message of "xmlns:" and nothing else is refused like any other; it once took five seconds."""
    text = base64.b64encode(b"xmlns:" * 3900).decode()
    answer = door.browser().fetch(f"{door.issuer}/logout/suomifi", "POST", data={"SAMLRequest": text})

    assert answer.status_code == 400
