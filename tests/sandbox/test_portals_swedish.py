"""The Swedish demo portals: two languages, a booked visit, a register, and e-IDs that do not work (001, 003)."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from idbroker.sandbox.portal.doors import Service
from idbroker.sandbox.portal.services import SERVICES
from tests.sandbox.running import Browser, Sandbox

MOST_LOOKS = 20  # the page asks again every two seconds; "I have approved" waits for the eID itself
VISIT = "besok/2031"


def log_in(sandbox: Sandbox, browser: Browser, person: str = "bjorn", eid: str = "bankid") -> Browser:
    """Choose an eID in an app on the login page, approve on somebody's phone, and go on without JavaScript."""
    browser.press(provider=eid)
    order = next(one for one in sandbox.call("GET", "orders").json() if one["provider"] == eid)
    done = sandbox.call("POST", f"orders/{order['id']}", {"person": person, "outcome": "approve"})
    assert done.status_code == 200, done.text
    for _ in range(MOST_LOOKS):
        if not browser.page.url.startswith(sandbox.issuer) or "/wait" not in browser.page.url:
            break
        browser.press("check", do="check")
    # Min Hälsa asks whoever has a child whom it is about.
    return browser.press("who", who="self", do="chosen") if 'name="who"' in browser.page.text else browser


@pytest.mark.parametrize(
    ("portal", "door", "eid"),
    [("minhalsa", VISIT, "bankid"), ("minhalsa", VISIT, "freja"), ("neuroreg", "per", "bankid")],
)
def test_log_in(sandbox: Sandbox, browser: Browser, portal: str, door: str, eid: str) -> None:
    """A person logs in with an app and lands exactly where the link led, known by number (R3, R4, R50)."""
    number = next(one["number"] for one in sandbox.call("GET", "people").json() if one["id"] == "bjorn")
    browser.open(sandbox.portal(portal, door))

    log_in(sandbox, browser, eid=eid)

    assert browser.page.url == sandbox.portal(portal, door)
    assert "Björn Provsson" in browser.text
    assert number in browser.text
    assert 'id="acr" translate="no">substantial<' in browser.page.text


def test_one_login_two_portals(sandbox: Sandbox, browser: Browser) -> None:
    """Who logged in at one portal is let into the other without another login, as somebody else's `sub`."""
    log_in(sandbox, browser.open(sandbox.portal("minhalsa", VISIT)))
    first = _subject(browser)

    browser.open(sandbox.portal("neuroreg", "per"))

    assert browser.page.url == sandbox.portal("neuroreg", "per")
    assert _subject(browser) != first


def test_not_in_the_register(sandbox: Sandbox, browser: Browser) -> None:
    """Whom care staff have not entered is turned away by the broker, with whom to call and the way back (R29)."""
    log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per")), person="samir")

    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")
    assert "+46 980 31 92 20" in browser.text
    assert "Dina formulär" not in browser.text
    way_back = re.search(r'<a class="btn" href="(/t/[^"]+)"', browser.page.text)
    assert way_back is not None
    assert "fråga din vårdenhet" in browser.open(f"{sandbox.issuer}{way_back[1]}").text


def test_entered_in_the_register(sandbox: Sandbox, browser: Browser) -> None:
    """Whom care staff have entered gets in from then on: the portal keeps no list of its own (R29)."""
    wish = {"person": "samir", "clinic": "neuroreg", "email": "samir@example.test"}
    assert sandbox.call("POST", "accounts/invite", wish).status_code == 201

    log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per")), person="samir")

    assert browser.page.url == sandbox.portal("neuroreg", "per")
    assert "Dina formulär" in browser.text


def test_log_out(sandbox: Sandbox, browser: Browser) -> None:
    """Logging out ends the session at the broker too: the visit asks for a login again (R47)."""
    log_in(sandbox, browser.open(sandbox.portal("minhalsa", VISIT))).press("Logga ut")
    assert "Stäng alla webbläsarfönster" in browser.text

    assert browser.open(sandbox.portal("minhalsa", VISIT)).page.url.startswith(f"{sandbox.issuer}/t/")


@pytest.mark.parametrize(
    ("portal", "offered", "missing"),
    [("minhalsa", ("bankid", "freja"), ()), ("neuroreg", ("bankid", "fallback"), ("freja",))],
)
def test_offered(
    sandbox: Sandbox, browser: Browser, portal: str, offered: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    """The login page offers the eIDs of the portal's clinic and no others, in the portal's language."""
    browser.open(sandbox.portal(portal, "login"))

    assert 'lang="sv"' in browser.page.text
    assert all(f'value="{eid}"' in browser.page.text for eid in offered)
    assert not [eid for eid in (*missing, "mitid") if f'value="{eid}"' in browser.page.text]


@pytest.mark.parametrize(("language", "words"), [("sv", "fungerar inte här"), ("en", "Not every e-ID works here")])
def test_other_eids(sandbox: Sandbox, browser: Browser, language: str, words: str) -> None:
    """Which e-IDs do not work is said before the login, with what to do instead (R5)."""
    browser.open(sandbox.portal("minhalsa", f"in/{language}?to=annan-e-legitimation"))

    assert words in browser.text
    assert "Mobilt SäkerhetsID" in browser.text
    assert "MitID" in browser.text


def test_public_door(sandbox: Sandbox, browser: Browser) -> None:
    """Statistics open without a login (R64)."""
    browser.open(sandbox.portal("neuroreg", "statistik"))

    assert browser.page.url == sandbox.portal("neuroreg", "statistik")
    assert "4 210" in browser.text


@pytest.mark.parametrize("portal", ["minhalsa", "neuroreg"])
def test_languages(sandbox: Sandbox, browser: Browser, portal: str) -> None:
    """The portal speaks Swedish, and English from a press on; the login page follows (R58)."""
    browser.open(sandbox.portal(portal))
    assert '<html lang="sv">' in browser.page.text

    browser.open(sandbox.portal(portal, "in/en"))
    assert '<html lang="en">' in browser.page.text
    assert "Skip to content" in browser.text
    browser.open(sandbox.portal(portal, "login"))
    asked = next(one.url for one in browser.page.history if "/authorize" in one.url)
    assert parse_qs(urlsplit(asked).query)["ui_locales"] == ["en"]
    assert '<html lang="en"' in browser.page.text


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("in/en?to=hjalp", "hjalp"), ("in/en?to=statistik", "statistik"), ("in/en?to=https://evil.test/", ""),
        ("in/en?to=//evil.test", ""), ("in/xx", ""), ("in/en?to=logout", ""),
    ],
)  # fmt: skip
def test_language_keeps_the_page(sandbox: Sandbox, browser: Browser, path: str, where: str) -> None:
    """The language is switched on the page one was at, and leads nowhere else (open redirect)."""
    browser.open(sandbox.portal("neuroreg", path))

    assert browser.page.url == sandbox.portal("neuroreg", where)


def test_link_in_the_invitation(sandbox: Sandbox, browser: Browser) -> None:
    """The front page shows such a link as an invitation holds; it leads to the login first."""
    browser.open(sandbox.portal("minhalsa"))
    assert f'href="/minhalsa/{VISIT}"' in browser.page.text

    assert browser.open(sandbox.portal("minhalsa", VISIT)).page.url.startswith(f"{sandbox.issuer}/t/")


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.id)
def test_translations_are_whole(service: Service) -> None:
    """A portal has the same doors, the same address of its help and the same words in all its languages."""
    for other in service.also:
        assert [(door.path, door.public) for door in other.doors] == [(d.path, d.public) for d in service.doors]
        assert (other.id, other.scope, other.help_path) == (service.id, service.scope, service.help_path)
        assert set(other.words) == set(service.words)
        assert set(other.room) == set(service.room)
        assert bool(other.stranger) is bool(service.stranger)


def _subject(browser: Browser) -> str:
    return browser.text.split("All claims", 1)[1].split(" sub ", 1)[1].split(" ", 1)[0]
