"""The Finnish demo portal: a video visit, by the link in an e-mail, with suomi.fi, not before its time (004)."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.running import Browser, Sandbox

LATER = "visit/4107"  # Aino's, a quarter of an hour after the start
NOW = "visit/4108"  # Jaana's


def identify(browser: Browser, person: str, outcome: str = "approve", provider: str = "suomifi") -> Browser:
    """Choose an eID that speaks SAML on the login page, a person and an outcome there, and carry its answer back.

    Where the service asks whom it is about, it is about oneself.
    """
    prove(browser, person, outcome, provider)
    return browser.press("who", who="self", do="chosen") if 'name="who"' in browser.page.text else browser


def prove(browser: Browser, person: str, outcome: str = "approve", provider: str = "suomifi") -> Browser:
    """Go as far as the eID's answer leads."""
    browser.press(provider=provider).press(person=person, outcome=outcome)
    return browser.press("SAMLResponse") if "SAMLResponse" in browser.page.text else browser


def enter(sandbox: Sandbox, browser: Browser, visit: str, person: str) -> Browser:
    """Go in by the link of an invitation, and prove who one is."""
    browser.open(sandbox.portal("videovisit", visit))
    return identify(browser.open(sandbox.portal("videovisit", f"login?door={visit}")), person)


def stage(browser: Browser) -> str:
    """Return how far the visit's page says that the person has come."""
    found = re.search(r'data-stage="(\w+)"', browser.page.text)
    return found[1] if found else ""


def test_invitation(sandbox: Sandbox, browser: Browser) -> None:
    """Everybody who is invited has an e-mail in both languages, whose link leads to the visit's entrance (R50)."""
    for person, visit in (("aino", LATER), ("jaana", NOW)):
        message = sandbox.call("GET", f"inbox?to={person}@example.test").json()[0]
        assert message["link"] == sandbox.portal("videovisit", visit)
        assert "Liity" in message["text"]
        assert "Anslut" in message["text"]
        assert "Videovastaanottosi" in browser.open(message["link"]).text


def test_not_before_the_time(sandbox: Sandbox, browser: Browser) -> None:
    """Entrance and visit say when it opens; the button comes to life then, by the sandbox's clock (R54)."""
    browser.open(sandbox.portal("videovisit", LATER))
    assert stage(browser) == "early"
    enter(sandbox, browser, LATER, "aino")
    assert browser.page.url == sandbox.portal("videovisit", LATER)
    assert "Aino Koehenkilö" in browser.text
    assert stage(browser) == "early"
    assert "disabled>Pyydä päästä mukaan" in browser.page.text

    sandbox.call("PUT", "clock", {"plus": 15 * 60})

    assert stage(browser.open(browser.page.url)) == "open"
    assert "disabled" not in browser.page.text


def test_cannot_be_asked_early(sandbox: Sandbox, browser: Browser) -> None:
    """Whoever sends the form before the time is not let in, whatever the clock says a moment later."""
    enter(sandbox, browser, LATER, "aino")
    origin = {"Origin": sandbox.ready["portals"]["videovisit"].removesuffix("/videovisit/")}

    browser.http.post(sandbox.portal("videovisit", "ask"), data={"door": LATER}, headers=origin, timeout=30)

    sandbox.call("PUT", "clock", {"plus": 20 * 60})
    assert stage(browser.open(sandbox.portal("videovisit", LATER))) == "open"


def test_join(sandbox: Sandbox, browser: Browser) -> None:
    """Who asks waits until a professional lets them in, hangs up, and can come back in by the same link."""
    assert stage(enter(sandbox, browser, NOW, "jaana")) == "open"
    assert stage(browser.press("Pyydä päästä mukaan")) == "waiting"
    sandbox.call("PUT", "clock", {"plus": 10})
    assert stage(browser.open(browser.page.url)) == "inside"

    assert stage(browser.press("Katkaise")) == "open"


def test_somebody_elses_visit(sandbox: Sandbox, browser: Browser) -> None:
    """Who is not invited is told so, cannot ask to be let in, and finds their own visit."""
    enter(sandbox, browser, NOW, "aino")
    assert browser.page.status_code == 403
    assert "jonkun toisen" in browser.text

    browser.open(sandbox.portal("videovisit", "varaukset"))

    assert f'href="/videovisit/{LATER}"' in browser.page.text
    assert f'href="/videovisit/{NOW}"' not in browser.page.text


@pytest.mark.parametrize("path", ["visit/1", "visit/x", "visit/", "ask"])
def test_no_such_visit(sandbox: Sandbox, browser: Browser, path: str) -> None:
    """A link that is wrong leads to no login."""
    assert browser.open(sandbox.portal("videovisit", path)).page.status_code == 404


@pytest.mark.parametrize(("language", "words"), [("fi", "Tunnistaudu"), ("sv", "Identifiera dig"), ("en", "Identify")])
def test_languages(sandbox: Sandbox, browser: Browser, language: str, words: str) -> None:
    """The language is switched at the visit's entrance, and the login page and suomi.fi follow (R58)."""
    browser.open(sandbox.portal("videovisit", f"in/{language}?to={NOW}"))
    assert browser.page.url == sandbox.portal("videovisit", NOW)
    assert words in browser.text

    browser.open(sandbox.portal("videovisit", f"login?door={NOW}"))
    asked = next(one.url for one in browser.page.history if "/authorize" in one.url)
    assert parse_qs(urlsplit(asked).query)["ui_locales"] == [language]
    assert f'lang="{language}"' in browser.page.text
    assert f'lang="{language}"' in browser.press(provider="suomifi").page.text


def test_only_suomifi(sandbox: Sandbox, browser: Browser) -> None:
    """The login page of the Finnish county offers suomi.fi and no other country's eID (R6)."""
    browser.open(sandbox.portal("videovisit", "login"))

    assert 'value="suomifi"' in browser.page.text
    assert not [eid for eid in ("mitid", "bankid", "freja", "borgeradgang") if f'value="{eid}"' in browser.page.text]


def test_cancel_at_suomifi(sandbox: Sandbox, browser: Browser) -> None:
    """Who cancels there is back at the choice, and can identify themselves from there."""
    browser.open(sandbox.portal("videovisit", f"login?door={NOW}"))
    identify(browser, "jaana", "cancel")
    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")

    assert identify(browser, "jaana").page.url == sandbox.portal("videovisit", NOW)


def test_children(sandbox: Sandbox, browser: Browser) -> None:
    """What holds for a child is said before the login: a guardian below 12, their own eID from then on (R16, R17)."""
    text = browser.open(sandbox.portal("videovisit", "lapset")).text

    assert "Alle 12-vuotias" in text
    assert "12 vuotta täyttänyt" in text


# ---- the Danish gateway ------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["tidsbestilling", "e-konsultation", "receptfornyelse"])
def test_gateway(sandbox: Sandbox, browser: Browser, door: str) -> None:
    """Patientportalen takes MitID through the health authority's gateway, and knows the person by CPR (R2, 002)."""
    number = next(one["number"] for one in sandbox.call("GET", "people").json() if one["id"] == "anna")

    identify(browser.open(sandbox.portal("patientportalen", door)), "anna", provider="borgeradgang")

    assert browser.page.url == sandbox.portal("patientportalen", door)
    assert "Anna Prøvesen" in browser.text
    assert number in browser.text


def test_same_person_both_ways(sandbox: Sandbox, browser: Browser) -> None:
    """A person who comes through the gateway is the one who comes with MitID itself: one `sub`."""
    door = sandbox.portal("patientportalen", "tidsbestilling")
    identify(browser.open(door), "anna", provider="borgeradgang")
    first = _subject(browser)

    browser.press("Log ud").open(door).press(provider="mitid").press(person="anna", outcome="approve")

    assert _subject(browser) == first


@pytest.mark.parametrize("eid", ["suomifi", "borgeradgang"])
def test_down(sandbox: Sandbox, browser: Browser, eid: str) -> None:
    """While an eID that speaks SAML is down nobody comes in; once it works again, the same login goes on."""
    portal, person = {"suomifi": ("videovisit", "aino"), "borgeradgang": ("patientportalen", "anna")}[eid]
    identify(Browser().open(sandbox.portal(portal, "login")), person, provider=eid)  # its metadata is known from here
    choice = browser.open(sandbox.portal(portal, "login")).page.url
    sandbox.call("PUT", f"faults/{eid}", {"down": True})
    assert browser.press(provider=eid).page.status_code == 503

    sandbox.call("PUT", f"faults/{eid}", {})
    identify(browser.open(choice), person, provider=eid)

    assert browser.page.url.startswith(sandbox.portal(portal))


def _subject(browser: Browser) -> str:
    return browser.text.split("All claims", 1)[1].split(" sub ", 1)[1].split(" ", 1)[0]
