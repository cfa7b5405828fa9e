"""A password that is forgotten, an address that has changed: the links, the questions, the messages (002, R37, R38)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.moves import reload
from tests.journeys.patients import WORDS, Guest, Patient, Post, patient
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

PORTAL, DOOR = "patientportalen", "tidsbestilling"
NEW = "Kobberkedel7ugle"
NOBODY = "6310420999"  # a Danish replacement number that no account has
THEIRS = "da"  # the language of the accounts, in which people are written to whatever they read a page in


@pytest.fixture
def elsewhere(chromium: Browser, town: Sandbox) -> Iterator[Guest]:
    """Give the same person at another browser."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    yield Guest(page=context.new_page(), script=True, sandbox=town)
    context.close()


def _forgets(guest: Guest, number: str) -> None:
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.does("forgot")
    guest.is_headed("f.h1")
    guest.page.fill("#pid", number)
    guest.page.locator("#mask").check()
    guest.go_on()
    guest.is_headed("f.sent.h1")


def test_forgot_the_password(spoken: Guest, elsewhere: Guest, town: Sandbox) -> None:
    """A link to every address; a new password; the other browser is out; the link is good once (R37, F2, F3)."""
    who = patient(town, "oda")
    assert who.phone is not None
    elsewhere.log_in(who, PORTAL, DOOR)
    elsewhere.is_at(PORTAL, DOOR)

    _forgets(spoken, who.number)
    message = who.email.next()
    assert message["subject"] == spoken.words("m.reset.sub", service="Patientportalen")
    for _ in range(5):
        assert spoken.page.context.request.get(message["link"]).status == 200
    spoken.page.goto(message["link"])
    spoken.is_headed("f.h1")
    for password, error in (("Ab1", "f.e.short"), ("Rabarberkurv", "f.e.mixed"), ("Password1", "f.e.common")):
        spoken.page.fill("#password", password)
        spoken.go_on()
        spoken.is_told(error, n=8)
    spoken.page.fill("#password", NEW)
    spoken.button.dblclick(no_wait_after=True)
    spoken.is_headed("f.done")
    reload(spoken.page)
    spoken.is_headed("f.done")
    told = who.email.next()
    assert told["subject"] == WORDS.say("m.changed.sub", THEIRS, "DK")
    spoken.page.locator("main a.btn").click()
    spoken.by_password()
    spoken.types(who.number, NEW)
    spoken.is_headed("o.h1")
    spoken.types_code(who.email.code())
    spoken.is_at(PORTAL, DOOR)

    assert spoken.page.goto(message["link"]).status == 410  # type: ignore[union-attr]
    spoken.is_headed("f.gone.h1")
    spoken.overlook("410")
    _is_out(elsewhere)


def _is_out(guest: Guest) -> None:
    """See that a browser is asked again who one is."""
    guest.page.goto(guest.sandbox.portal(PORTAL, "login?door=receptfornyelse"))
    guest.is_headed("c.h1")


@pytest.mark.usefixtures("as_they_were")
def test_nobody_is_told_who_is_known(spoken: Guest, town: Sandbox) -> None:
    """For a number that nobody has, the page is the same to the letter, and no message goes anywhere (F1)."""
    who = patient(town, "oda")
    pages = []
    for number in (who.number, NOBODY):
        _forgets(spoken, number)
        pages.append(spoken.page.locator("main").inner_text())
    who.email.next()

    assert pages[0] == pages[1]
    assert who.email.got == 1


@pytest.mark.usefixtures("as_they_were")
def test_the_number_is_taken_along(guest: Guest) -> None:
    """What was typed before the forgotten password is there; a wrong one is said, and the way back works (3.3.7)."""
    guest.choose(PORTAL, DOOR)
    guest.by_password()
    guest.types("631042-0201", "Forkert1kode")
    guest.is_told("p.e.wrong")
    guest.does("forgot")
    guest.is_headed("f.h1")
    expect(guest.page.locator("#pid")).to_have_value("631042-0201")
    guest.page.fill("#pid", "12")
    guest.go_on()
    guest.is_told("p.e.id")
    guest.page.locator("main a.tlink").click()

    guest.is_headed("p.h1")


@pytest.mark.usefixtures("as_they_were")
def test_an_old_link(guest: Guest, town: Sandbox) -> None:
    """After an hour the link is no more, and the page has the way to a new one."""
    who = patient(town, "oda")
    _forgets(guest, who.number)
    link = who.email.next()["link"]
    town.call("PUT", "clock", {"plus": 61 * 60})
    guest.page.goto(link)

    guest.is_headed("f.gone.h1")
    guest.overlook("410")
    expect(guest.page.locator("main a.btn").first).to_be_visible()


def _asked_which(guest: Guest, who: Patient) -> None:
    guest.log_in(who, PORTAL, DOOR)
    guest.is_headed("k.h1")


def test_the_clinic_has_another_address(spoken: Guest, town: Sandbox) -> None:
    """Asked once which is right; the clinic's is proved by a code, and both addresses hear of it (R38)."""
    who = patient(town, "mogens")
    theirs = Post(sandbox=town, address="mogens.ny@example.test")
    _asked_which(spoken, who)
    spoken.go_on()
    spoken.is_told("k.e.choice")
    spoken.page.locator("#choice-clinic").check()
    spoken.go_on()
    spoken.is_headed("o.h1")
    spoken.types_code(theirs.code())
    spoken.is_at(PORTAL, DOOR)
    for post in (who.email, theirs):
        assert post.next()["subject"] == WORDS.say("m.contact.sub", THEIRS, "DK")

    spoken.page.context.clear_cookies()
    spoken.log_in(replace(who, email=theirs), PORTAL, DOOR)
    spoken.is_at(PORTAL, DOOR)


def test_kept_and_not_asked_again(helped: Guest, town: Sandbox) -> None:
    """Who keeps the own address is not asked again about the same difference (R38)."""
    who = patient(town, "mogens")
    _asked_which(helped, who)
    helped.page.locator("#choice").check()
    helped.go_on()
    helped.is_at(PORTAL, DOOR)
    helped.page.context.clear_cookies()
    helped.log_in(who, PORTAL, DOOR)

    helped.is_at(PORTAL, DOOR)


def test_neither_is_right(guest: Guest, town: Sandbox) -> None:
    """Whoever comes by MitID may type a third address, which a code proves (R38)."""
    third = Post(sandbox=town, address="mogens.tredje@example.test")
    guest.choose(PORTAL, DOOR)
    guest.prove("mitid", "mogens")  # a password alone takes no address that nobody knew
    guest.is_headed("k.h1")
    guest.page.locator("#choice-other").check()
    guest.page.fill("#email", "mogens")
    guest.go_on()
    guest.is_told("r.e.mail")
    guest.page.fill("#email", third.address)
    guest.page.fill("#phone", "")
    guest.go_on()
    guest.is_headed("o.h1")
    guest.types_code(third.code())

    guest.is_at(PORTAL, DOOR)


def test_a_landline_is_refused(helped: Guest, town: Sandbox) -> None:
    """The clinic's landline cannot be taken for text messages: it is said, and the own address kept."""
    _asked_which(helped, patient(town, "inger"))
    helped.page.locator("#choice-clinic").check()
    helped.go_on()
    helped.is_told("r.e.mob")
    helped.page.locator("#choice").check()
    helped.go_on()

    helped.is_at(PORTAL, DOOR)
