"""Logging out in a real browser: begun at a portal, at our page, at suomi.fi, at the gateway; it ends everywhere."""

from __future__ import annotations

import zlib
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Error, Page, Request, expect

from tests.journeys.moves import Visitor, back, reload
from tests.journeys.neighbours import Neighbour, Neighbours
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

HERE = "main:has(form[action$='/logout']) .svc b"  # whom a portal says that it knows
PARTIAL = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
LOOKS = 60  # at a portal that is told by a message: it is under way for some milliseconds


@dataclass(frozen=True, kw_only=True)
class Eid:
    """One eID, a portal of the sandbox that takes it, and somebody who has it."""

    name: str
    title: str
    portal: str
    door: str
    person: str
    called: str
    ended: str
    unsure: str
    logout_path: str


FINNISH = Eid(
    name="suomifi",
    title="Suomi.fi",
    portal="videovisit",
    door="varaukset",
    person="aino",
    called="Aino Koehenkilö",
    ended="Uloskirjautuminen palvelusta onnistui",
    unsure="Suomi.fi ei ole vahvistanut, että olet kirjautunut ulos myös sieltä. Sulje selain varmuuden vuoksi.",
    logout_path="/idp/profile/Logout",
)
DANISH = Eid(
    name="borgeradgang",
    title="MitID via borgeradgang",
    portal="patientportalen",
    door="tidsbestilling",
    person="anna",
    called="Anna Prøvesen",
    ended="du er logget ud",
    unsure="MitID via borgeradgang har ikke bekræftet, at du også er logget ud der. "
    "Luk browseren for en sikkerheds skyld.",
    logout_path="/logout",
)
EIDS = pytest.mark.parametrize("eid", [FINNISH, DANISH], ids=lambda eid: eid.name)


def log_in(sandbox: Sandbox, visitor: Visitor, eid: Eid, *others: Neighbour) -> str:
    """Log in at the eID's portal, then at others without being asked again; return the eID's own logout page."""
    page = visitor.page
    page.goto(sandbox.portal(eid.portal, eid.door))
    page.locator(f"button[name=provider][value={eid.name}]").click()
    page.locator(f"input[name=person][value={eid.person}]").check()
    origin = "/".join(page.url.split("/")[:3])
    page.locator("form button[type=submit]").first.click()
    _is_about(visitor, eid)
    expect(visitor.arrive(HERE)).to_have_text(eid.called)
    for other in others:
        page.goto(other.door)
        expect(page.locator(HERE)).to_have_text(eid.called)
    return origin + eid.logout_path


def _is_about(visitor: Visitor, eid: Eid) -> None:
    """Say that it is about oneself: the Finnish portal asks, for a visit may be a child's."""
    if eid is FINNISH:
        visitor.for_oneself()


def say_yes_at_the_eid(visitor: Visitor, eid: Eid) -> None:
    """Say yes to suomi.fi, which asks; the gateway does not."""
    if eid is FINNISH:
        visitor.arrive("button[name=confirm]").click()


def is_told(page: Page, door: str) -> None:
    """Look at a portal's page until it says that one was logged out."""
    for _ in range(LOOKS):
        page.goto(door)
        if page.locator("#ended").count():
            break
    expect(page.locator("#ended")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("Prøvesen")


def is_over(sandbox: Sandbox, visitor: Visitor, eid: Eid, asker: Neighbour) -> None:
    """See that nobody is signed on here any more, and that the eID asks who one is."""
    page = visitor.page
    answer = page.context.request.get(asker.asking(prompt="none"), max_redirects=0)
    assert "error=login_required" in answer.headers["location"]
    page.goto(sandbox.portal(eid.portal, f"login?door={eid.door}"))
    page.locator(f"button[name=provider][value={eid.name}]").click()
    expect(page.locator("input[name=person]").first).to_be_visible()


@EIDS
def test_the_eid_would_remember(sandbox: Sandbox, scripted: Visitor, eid: Eid) -> None:
    """Without a logout the eID answers from its own session: that it asks afterwards proves something."""
    page = scripted.page
    log_in(sandbox, scripted, eid)
    page.context.clear_cookies(domain="localhost")
    page.goto(sandbox.portal(eid.portal, eid.door))
    page.locator(f"button[name=provider][value={eid.name}]").click()
    _is_about(scripted, eid)

    expect(scripted.arrive(HERE)).to_have_text(eid.called)


@EIDS
def test_begun_at_the_portal(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """One press at a portal, and the others, our sign-on and the eID's session are over; the portal says goodbye."""
    page, told, framed = visitor.page, street.told[eid.name], street.framed[eid.name]
    log_in(sandbox, visitor, eid, told, framed)
    page.goto(sandbox.portal(eid.portal, eid.door))
    page.locator("form[action$='/logout'] button").click()
    say_yes_at_the_eid(visitor, eid)
    visitor.arrive("h1:text('ulos'), h1:text('Du er logget ud')")

    assert page.url.startswith(sandbox.portal(eid.portal, "goodbye"))
    is_told(page, framed.door)
    is_told(page, told.door)
    is_over(sandbox, visitor, eid, told)


@EIDS
def test_begun_at_a_portal_in_a_frame(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """A portal that is told by frames may begin it too."""
    page, told, framed = visitor.page, street.told[eid.name], street.framed[eid.name]
    log_in(sandbox, visitor, eid, told, framed)
    page.locator("form[action$='/logout'] button").click()
    say_yes_at_the_eid(visitor, eid)
    visitor.arrive("h1:text('You are logged out')")

    assert page.url.startswith(f"{framed.address}/goodbye")
    is_told(page, sandbox.portal(eid.portal, eid.door))
    is_told(page, told.door)
    is_over(sandbox, visitor, eid, told)


@EIDS
def test_begun_at_our_page(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """At /logout a yes ends everything, and the page says what: every service, and the eID."""
    page, told, framed = visitor.page, street.told[eid.name], street.framed[eid.name]
    log_in(sandbox, visitor, eid, told, framed)
    page.goto(f"{sandbox.issuer}/logout")
    page.locator("button[name=confirm][value=yes]").click()
    say_yes_at_the_eid(visitor, eid)
    visitor.arrive(f"main p:has-text('{eid.title}')")

    for name in (eid.portal, told.name, framed.name, eid.title):
        expect(page.locator("main p").first).to_contain_text(name, ignore_case=True)
    is_told(page, framed.door)
    is_told(page, told.door)
    is_told(page, sandbox.portal(eid.portal, eid.door))
    is_over(sandbox, visitor, eid, told)


@EIDS
def test_begun_at_the_eid(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """From the eID's own page: our answer reaches it, out of suomi.fi's hidden frame too, and it says so."""
    page, told = visitor.page, street.told[eid.name]
    at_the_eid = log_in(sandbox, visitor, eid, told)
    page.goto(at_the_eid)
    page.locator("button[name=confirm]").click()
    _sums_up(visitor, eid, eid.ended)

    is_told(page, told.door)
    is_told(page, sandbox.portal(eid.portal, eid.door))
    is_over(sandbox, visitor, eid, told)


@EIDS
def test_whom_no_frame_reached_is_said(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """Core 3.2.2.2: a portal that only a frame of ours would tell is not told from there, and our answer says so."""
    page, told, framed = visitor.page, street.told[eid.name], street.framed[eid.name]
    at_the_eid = log_in(sandbox, visitor, eid, told, framed)
    answers: list[str] = []
    page.on("request", lambda request: answers.extend(_answers_in(request)))
    page.goto(at_the_eid)
    page.locator("button[name=confirm]").click()
    _sums_up(visitor, eid, eid.ended)

    assert [PARTIAL in answer for answer in answers] == [True]
    is_told(page, told.door)
    is_over(sandbox, visitor, eid, told)


@EIDS
def test_pressed_twice(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """A double click on our yes is one logout, which ends where one click would (G15)."""
    page, told = visitor.page, street.told[eid.name]
    log_in(sandbox, visitor, eid, told)
    page.goto(f"{sandbox.issuer}/logout")
    page.locator("button[name=confirm][value=yes]").dblclick(no_wait_after=True)
    say_yes_at_the_eid(visitor, eid)
    visitor.arrive(f"main p:has-text('{eid.title}')")

    is_told(page, told.door)
    is_over(sandbox, visitor, eid, told)


@EIDS
def test_back_and_reload(sandbox: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """The last page can be loaded again, and Back from it shows nothing of the person, however far (G13, G14)."""
    page, framed = visitor.page, street.framed[eid.name]
    log_in(sandbox, visitor, eid, framed)
    page.goto(f"{sandbox.issuer}/logout")
    page.locator("button[name=confirm][value=yes]").click()
    say_yes_at_the_eid(visitor, eid)
    visitor.arrive(f"main p:has-text('{eid.title}')")
    words = page.locator("main").inner_text()
    reload(page)
    assert page.locator("main").inner_text() == words

    with suppress(FormAgain):
        for _ in range(5):
            _back(page)
            expect(page.locator("h1").first).to_be_visible()
            if page.locator("input[name=person]").count():
                break  # the simulator's list of everybody
            expect(page.locator("body")).not_to_contain_text(eid.called)


@EIDS
def test_stay(sandbox: Sandbox, visitor: Visitor, eid: Eid) -> None:
    """A no at our page ends nothing."""
    page = visitor.page
    log_in(sandbox, visitor, eid)
    page.goto(f"{sandbox.issuer}/logout")
    page.locator("button[name=confirm][value=no]").click()
    page.goto(sandbox.portal(eid.portal, eid.door))

    expect(page.locator(HERE)).to_have_text(eid.called)


class FormAgain(Exception):
    """The browser asks whether to send a form again: it shows nothing."""


def _back(page: Page) -> None:
    """Press Back; FormAgain at the page that was the answer to a form."""
    try:
        back(page)
    except Error as error:
        if "ERR_CACHE_MISS" not in error.message:
            raise
        raise FormAgain from error


def _sums_up(visitor: Visitor, eid: Eid, words: str) -> None:
    """See the eID's page say how it went: suomi.fi in a frame of its own, beside ours."""
    if eid is FINNISH:
        visitor.page.locator("iframe.summary").wait_for()
        expect(visitor.page.frame_locator("iframe.summary").get_by_role("status")).to_contain_text(words)
    else:
        expect(visitor.arrive("[role=status]")).to_contain_text(words)


def _answers_in(request: Request) -> list[str]:
    """Return the logout answer that a request carries to an eID, if it carries one: by redirect or by post."""
    sent = parse_qs(request.post_data or urlsplit(request.url).query).get("SAMLResponse", [])
    raw = [b64decode(one) for one in sent]
    return [(one if one.startswith(b"<") else zlib.decompress(one, -15)).decode() for one in raw]
