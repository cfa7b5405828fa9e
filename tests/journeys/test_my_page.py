"""My page: one's addresses, password, code app, sign-ons, consents and clinics, and nobody else's (R37-R43, R47)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pyotp
import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.moves import back, reload
from tests.journeys.patients import WORDS, Guest, Patient, Post, patient
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

PORTAL, DOOR, OTHER = "patientportalen", "tidsbestilling", "receptfornyelse"
CLINIC = "clinea"
NEW = "Kobberkedel7ugle"
HERS = "da"  # Oda's own language, in which she is written to whatever she reads a page in


@pytest.fixture
def elsewhere(chromium: Browser, town: Sandbox) -> Iterator[Guest]:
    """Give the same person at another browser."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    yield Guest(page=context.new_page(), script=True, sandbox=town)
    context.close()


def _opens(guest: Guest, who: Patient, post: Post | None = None) -> None:
    """Sign in to My page without an eID."""
    guest.page.goto(f"{guest.sandbox.issuer}/me/{CLINIC}")
    guest.speak(guest.language)
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    guest.types_code((post or who.email).code())
    guest.is_headed("me.h1")


def _goes_to(guest: Guest, part: str) -> None:
    guest.page.locator(f"main a[href$='/me/{CLINIC}/{part}']").click()


def test_another_address(spoken: Guest, town: Sandbox) -> None:
    """A new address is proved by a code; the old one and the new one hear of it; codes go to the new one (R38)."""
    who = patient(town, "oda")
    new = Post(sandbox=town, address="oda.ny@example.test")
    _opens(spoken, who)
    _goes_to(spoken, "email")
    spoken.is_headed("me.contact.h1")
    spoken.page.fill("#address", "oda")
    spoken.go_on()
    spoken.is_told("r.e.mail")
    expect(spoken.page.locator("#address")).to_have_value("oda")
    spoken.page.fill("#address", new.address)
    spoken.button.dblclick(no_wait_after=True)
    spoken.is_headed("o.h1")
    spoken.types_code("000000")
    spoken.is_told("o.e.wrong")
    spoken.types_code(new.code())
    spoken.sees("me.saved")
    for post in (who.email, new):
        assert post.next()["subject"] == WORDS.say("m.contact.sub", HERS, "DK")

    spoken.page.context.clear_cookies()
    spoken.log_in(who, PORTAL, DOOR, new)
    spoken.is_at(PORTAL, DOOR)


def test_another_password(spoken: Guest, elsewhere: Guest, town: Sandbox) -> None:
    """With the current password a new one is set; every other browser is out, this one is not; the old one is over."""
    who = patient(town, "oda")
    elsewhere.log_in(who, PORTAL, DOOR)
    elsewhere.is_at(PORTAL, DOOR)
    _opens(spoken, who)
    _goes_to(spoken, "password")
    spoken.page.fill("#current", "Forkert1kode")
    spoken.page.fill("#password", NEW)
    spoken.go_on()
    spoken.is_told("me.e.current")
    spoken.page.fill("#current", who.password)
    spoken.page.fill("#password", "Ab1")
    spoken.go_on()
    spoken.is_told("f.e.short", n=8)
    spoken.page.fill("#current", who.password)
    spoken.page.fill("#password", NEW)
    spoken.button.dblclick(no_wait_after=True)
    spoken.sees("me.saved.password")
    assert who.email.next()["subject"] == WORDS.say("m.changed.sub", HERS, "DK")
    reload(spoken.page)
    spoken.is_headed("me.h1")
    elsewhere.page.goto(town.portal(PORTAL, f"login?door={OTHER}"))
    elsewhere.is_headed("c.h1")

    elsewhere.by_password()
    elsewhere.types(who.number, who.password)
    elsewhere.is_told("p.e.wrong")
    elsewhere.types(who.number, NEW)
    elsewhere.is_headed("o.h1")


def test_a_code_app(spoken: Guest, town: Sandbox) -> None:
    """An app is added by its key and a code of the right time, told of by e-mail; an e-mail does not remove it."""
    who = patient(town, "ejnar")
    _opens(spoken, who)
    _goes_to(spoken, "app")
    spoken.is_headed("me.app.h1")
    secret = spoken.page.locator("main code").inner_text().replace(" ", "")
    spoken.page.fill("#code", "000000")
    spoken.go_on()
    spoken.is_told("me.app.e.code")
    assert spoken.page.locator("main code").inner_text().replace(" ", "") == secret
    now = datetime.fromisoformat(town.call("GET", "clock").json()["now"])
    spoken.page.fill("#code", pyotp.TOTP(secret).at(now))
    spoken.button.dblclick(no_wait_after=True)
    spoken.sees("me.app.on")
    assert who.email.next()["subject"] == WORDS.say("m.app.sub", HERS, "DK")
    spoken.does("noapp")
    spoken.sees("me.e.weak")


@pytest.mark.usefixtures("as_they_were")
def test_other_browsers(helped: Guest, elsewhere: Guest, town: Sandbox) -> None:
    """Where one is signed in is there to be seen and ended, one by one."""
    who = patient(town, "oda")
    elsewhere.log_in(who, PORTAL, DOOR)
    elsewhere.is_at(PORTAL, DOOR)
    _opens(helped, who)
    expect(helped.page.get_by_text(helped.words("me.other"))).to_be_visible()
    helped.page.locator("button[name=do][value^='end:']").click()
    helped.sees("me.saved.ended")
    expect(helped.page.get_by_text(helped.words("me.other"))).to_have_count(0)
    elsewhere.page.goto(town.portal(PORTAL, f"login?door={OTHER}"))

    elsewhere.is_headed("c.h1")


@pytest.mark.usefixtures("as_they_were")
def test_a_change_asks_who_one_is(helped: Guest, town: Sandbox) -> None:
    """A quarter of an hour later one shows again who one is before anything changes, and is at that very page then."""
    who = patient(town, "oda")
    _opens(helped, who)
    town.call("PUT", "clock", {"plus": 16 * 60})
    _goes_to(helped, "password")
    helped.is_headed("c.h1")
    helped.by_password()
    helped.types(who.number, who.password)
    helped.is_headed("o.h1")
    helped.types_code(who.email.code())

    expect(helped.page.locator("#current")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "da"])
def test_consent_withdrawn(guest: Guest, town: Sandbox, language: str) -> None:
    """A consent is there with what it gives, is taken back, and is asked for again the next time (R43)."""
    guest = replace(guest, language=language)
    _gives_consent(guest)
    guest.go_on()
    guest.is_at("alerisapp", "visit")
    guest.page.goto(f"{town.issuer}/me/alerisapp")
    guest.is_headed("me.h1")
    consents = guest.page.locator("#consents + dl")
    expect(consents).to_contain_text("Aleris video")
    expect(consents).to_contain_text(guest.words("me.terms", clinic="Aleris", version="2026-1"))
    release = consents.locator("div", has_text="Aleris video").locator("button")
    release.dblclick(no_wait_after=True)
    guest.sees("me.saved.consent")
    expect(consents).not_to_contain_text("Aleris video")
    guest.page.goto(town.portal("alerisapp", "login?door=visit"))
    guest.speak(language)

    guest.is_headed("n.h1", service="Aleris video")


def _gives_consent(guest: Guest) -> None:
    guest.choose("alerisapp", "visit")
    guest.go_on()
    guest.prove("mitid", "anna")
    guest.is_headed("n.h1", service="Aleris video")


@pytest.mark.usefixtures("as_they_were")
def test_nobody_elses(guest: Guest, town: Sandbox) -> None:
    """The next person at this browser sees their own page only; an old tab's buttons do nothing to either (R47)."""
    oda, ejnar = patient(town, "oda"), patient(town, "ejnar")
    _opens(guest, oda)
    tab = replace(guest, page=guest.page.context.new_page())
    tab.page.goto(f"{town.issuer}/me/{CLINIC}/password")
    guest.page.locator("main a[href*='/logout']").click()
    guest.page.locator("button[value=yes]").click()
    guest.arrive("h1:text('Du er logget ud')")
    back(guest.page)
    expect(guest.page.locator("body")).not_to_contain_text("o•••@e•••.test")
    _opens(guest, ejnar)
    expect(guest.page.locator("main")).to_contain_text("e•••@e•••.test")
    expect(guest.page.locator("main")).not_to_contain_text("o•••@e•••.test")

    tab.page.fill("#current", oda.password)
    tab.page.fill("#password", NEW)
    tab.go_on()
    expect(tab.page.locator("#current")).to_be_visible()
    expect(tab.page.locator("#current")).to_have_value("")
    guest.page.context.clear_cookies()
    guest.log_in(oda, PORTAL, DOOR)
    guest.is_at(PORTAL, DOOR)


@pytest.mark.usefixtures("as_they_were")
def test_by_an_eid(helped: Guest, town: Sandbox) -> None:
    """Who comes by MitID and has no password finds sign-ons, consents and clinics, and nothing to change (R43)."""
    helped.page.goto(f"{town.issuer}/me/{CLINIC}")
    helped.speak(helped.language)
    helped.prove("mitid", "anna")
    helped.is_headed("me.h1")

    helped.sees("me.noaccount")
    expect(helped.page.locator("#clinics + dl")).to_contain_text("Test klinik 2")
    expect(helped.page.locator("#events + dl")).to_contain_text("MitID")
    assert helped.page.locator(f"a[href$='/me/{CLINIC}/password']").count() == 0
