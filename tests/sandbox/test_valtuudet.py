"""Suomi.fi e-Authorizations in the running sandbox: from the login at the video visits to a token that acts."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.running import PATIENCE, Browser, Sandbox
from tests.sandbox.test_videovisit import prove

DOOR = "varaukset"
OURS = "Kenen asioita hoidat?"
THEIRS = "Kenen puolesta asioit?"


def arrive(sandbox: Sandbox, browser: Browser, person: str = "aino") -> Browser:
    """Prove who one is at the video visits: the page asks whom it is about."""
    return prove(browser.open(sandbox.portal("videovisit", f"login?door={DOOR}")), person)


def choose(browser: Browser, ward: str) -> Browser:
    """Choose somebody at Suomi.fi."""
    return browser.press("elsewhere", do="elsewhere").press(person=ward)


def claims(browser: Browser) -> dict[str, Any]:
    """Return the claims that the portal was told, in ID token and userinfo."""
    pairs = re.findall(r" (\w+) (\{[^}]*\}|\S+)", browser.text.split("All claims", 1)[1])
    return {name: json.loads(value) if value.startswith("{") else value for name, value in pairs}


def told(sandbox: Sandbox, browser: Browser, words: str) -> Browser:
    """Look at the portal's page until it says so: the messenger is under way."""
    deadline = time.monotonic() + PATIENCE
    while words not in browser.open(sandbox.portal("videovisit", DOOR)).text and time.monotonic() < deadline:
        pass
    assert words in browser.text
    return browser


def test_the_whole_way(sandbox: Sandbox, browser: Browser) -> None:
    """A mother chooses her child at Suomi.fi: `sub` and claims are the child's, `act` and `guardianship` say whose."""
    people = {one["id"]: one for one in sandbox.call("GET", "people").json()}
    arrive(sandbox, browser)
    assert OURS in browser.text

    browser.press("elsewhere", do="elsewhere")
    asked = parse_qs(urlsplit(browser.page.url).query)
    assert (asked["lang"], asked["redirect_uri"]) == (["fi"], [f"{sandbox.issuer}/callback/valtuudet"])
    assert THEIRS in browser.text
    browser.press(person="onni")

    assert browser.page.url == sandbox.portal("videovisit", DOOR)
    said = claims(browser)
    assert said["national_number"] == people["onni"]["number"]
    assert said["given_name"] == "Onni"
    assert set(said["act"]) == {"sub"}
    assert said["act"]["sub"] != said["sub"]
    assert {name: said["guardianship"][name] for name in ("relation", "basis", "powers")} == {
        "relation": "custody",
        "basis": "register",
        "powers": [],
    }
    assert said["guardianship"]["until"] > int(said["iat"])


def test_number_is_in_no_address(sandbox: Sandbox, browser: Browser) -> None:
    """Of all addresses that the browser sees on the way, none holds a number or a name."""
    people = {one["id"]: one for one in sandbox.call("GET", "people").json()}
    choose(arrive(sandbox, browser), "onni")

    seen = " ".join([browser.page.url, *(one.url for one in browser.page.history)])

    assert "code=" in seen
    for one in ("aino", "onni"):
        assert people[one]["number"] not in seen
        assert people[one]["number"][:6] not in seen


def test_for_oneself(sandbox: Sandbox, browser: Browser) -> None:
    """Who comes for themselves says so, and no token acts."""
    arrive(sandbox, browser).press("who", who="self", do="chosen")

    assert browser.page.url == sandbox.portal("videovisit", DOOR)
    assert "guardianship" not in claims(browser)


def test_cancelled_there(sandbox: Sandbox, browser: Browser) -> None:
    """Who cancels at Suomi.fi is asked again, and may still come for themselves."""
    arrive(sandbox, browser).press("elsewhere", do="elsewhere").press(cancel="yes")

    assert OURS in browser.text
    assert browser.page.status_code == 200
    browser.press("who", who="self", do="chosen")
    assert browser.page.url == sandbox.portal("videovisit", DOOR)


def test_refused(sandbox: Sandbox) -> None:
    """No custody, a child of fourteen, a child in care: one page, byte for byte; the reason is only in the trail."""
    said = set()
    for guardian, ward in (("jaana", "onni"), ("aino", "veera"), ("kirsi", "noel")):
        browser = choose(arrive(sandbox, Browser(), guardian), ward)
        assert browser.page.url.endswith("/whono")
        said.add(re.sub(r'name="_n" value="[^"]*"|(/t/|t=)[\w-]{22}', "", browser.page.text))

    assert len(said) == 1
    assert not [name for name in ("Onni", "Veera", "Noel") if name in min(said)]


def test_down(sandbox: Sandbox, browser: Browser) -> None:
    """While Suomi.fi's register is down only oneself is offered, with a sentence; the sign-in goes on."""
    arrive(sandbox, browser)
    sandbox.call("PUT", "faults/valtuudet", {"down": True})

    browser.press("elsewhere", do="elsewhere")

    assert browser.page.status_code == 200
    assert "+358 9 000 0000" in browser.text
    assert 'name="register"' not in browser.page.text
    browser.press("who", who="self", do="chosen")
    assert browser.page.url == sandbox.portal("videovisit", DOOR)


def test_down_on_the_way_back(sandbox: Sandbox, browser: Browser) -> None:
    """Down when the person comes back with their choice: nobody acts for anybody."""
    arrive(sandbox, browser).press("elsewhere", do="elsewhere")
    page = browser.page
    sandbox.call("PUT", "faults/valtuudet", {"lies": ["not_json"]})
    browser.page = page

    browser.press(person="onni")

    assert "+358 9 000 0000" in browser.text
    assert browser.page.url.endswith("/who")


def test_the_same_return_twice(sandbox: Sandbox, browser: Browser) -> None:
    """The address of the return, opened again, leads to where the person is by now: they are signed in already."""
    choose(arrive(sandbox, browser), "onni")
    back = next(one.url for one in browser.page.history if "/callback/valtuudet" in one.url)

    browser.open(back)

    assert "Olet jo kirjautunut" in browser.text


def test_return_to_another_browser(sandbox: Sandbox, browser: Browser) -> None:
    """The attack: a return with somebody's code is opened in a browser that began nothing."""
    arrive(sandbox, browser).press("elsewhere", do="elsewhere")
    stranger = Browser()

    stranger.open(f"{sandbox.issuer}/callback/valtuudet?code=anything")

    assert stranger.page.status_code >= 400
    assert OURS not in stranger.text


def test_without_a_finnish_number(sandbox: Sandbox, browser: Browser) -> None:
    """Who comes by eIDAS has no Finnish number: they are not sent to a register that cannot know them."""
    arrive(sandbox, browser, "elena")

    assert browser.page.url == sandbox.portal("videovisit", DOOR)
    assert "guardianship" not in claims(browser)


def test_custody_changes(sandbox: Sandbox, browser: Browser) -> None:
    """Custody that ends in a running session ends it once the register's word has run out; another's is renewed."""
    other = choose(arrive(sandbox, Browser(), "leena"), "eeli")
    choose(arrive(sandbox, browser), "onni")
    sandbox.call("PUT", "custody/aino/onni", {"barred": "care_order"})
    sandbox.call("PUT", "clock", {"plus": 45})

    told(sandbox, browser, "Et voi enää asioida")

    assert "Onni" not in browser.text
    assert "Eeli Kaksostesti" in other.open(sandbox.portal("videovisit", DOOR)).text


def test_page_of_the_simulator(sandbox: Sandbox, browser: Browser) -> None:
    """The page lists whom one may act for, in three languages, and nobody who is protected, dead or in care."""
    arrive(sandbox, browser, "leena").press("elsewhere", do="elsewhere")

    offered = re.findall(r'name="person" value="(\w+)"', browser.page.text)
    assert offered == ["taimi", "eeli", "elsa"]
    for language, words in (("sv", "För vem sköter du ärenden?"), ("en", "On whose behalf do you act?")):
        link = re.search(rf'href="([^"]*)" lang="{language}"', browser.page.text)
        assert link is not None
        address = browser.page.url.split("?")[0] + link[1].replace("&amp;", "&")
        assert words in Browser().open(address).text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"redirect_uri": "https://evil.example/callback"}, "redirect_uri"),
        ({"client_id": "another"}, "invalid_request"),
        ({"response_type": "token"}, "invalid_request"),
        ({"user": "nobody"}, "session_expired"),
    ],
)
def test_wrong_links_to_the_page(sandbox: Sandbox, browser: Browser, change: dict[str, str], code: str) -> None:
    """A link that is not as registered is answered there, and leads nowhere (RFC 6749, 4.1.2.1)."""
    arrive(sandbox, browser).press("elsewhere", do="elsewhere")
    parts = urlsplit(browser.page.url)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()} | change

    answer = browser.http.get(
        f"{parts.scheme}://{parts.netloc}{parts.path}", params=asked, allow_redirects=False, timeout=PATIENCE
    )

    assert answer.status_code == 400
    assert f"<code>{code}</code>" in answer.text
