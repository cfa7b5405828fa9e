"""Becoming a patient of a clinic: by oneself, for a child, by staff's link, at one more clinic (002, R14-R28)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.journeys.moves import back, reload
from tests.journeys.patients import ANY, Guest, Post, patient
from tests.sandbox.running import Sandbox
from tests.sandbox.test_api_accounts import number, standing

pytestmark = pytest.mark.browser

PORTAL, OPEN, DOOR = "patientportalen", "havnens", "tidsbestilling"  # the second takes who registers at once
CLINIC = "Test klinik 2"
NEW = "Kobberkedel7ugle"
ADDRESS = "nikolaj@example.test"
MOBILE = "+46701740630"


def _begins(guest: Guest, portal: str, person: str = "nikolaj", wish: str = "register") -> None:
    """Press one of the buttons for new people, and prove who one is."""
    guest.choose(portal, DOOR)
    guest.does(wish)
    guest.is_headed("r.prove")
    assert guest.page.locator("button[value=fallback]").count() == 0
    guest.prove("mitid", person)


def _gives(guest: Guest, email: str = "", phone: str = "") -> None:
    guest.is_headed("r.contact")
    guest.page.fill("#email", email)
    guest.page.fill("#phone", phone)
    guest.go_on()


def test_and_waits_for_the_clinic(spoken: Guest, town: Sandbox) -> None:
    """MitID, an address and its code, a password, a last look; then the clinic lets one in (R19-R23)."""
    post = Post(sandbox=town, address=ADDRESS)
    _begins(spoken, PORTAL)
    _gives(spoken, ADDRESS)
    spoken.is_headed("o.h1")
    spoken.types_code(post.code())
    spoken.is_headed("r.pw.h1")
    spoken.page.fill("#password", NEW)
    spoken.go_on()
    spoken.is_headed("r.check")
    expect(spoken.page.locator("dl.rows")).to_contain_text("Nikolaj Nybegyndersen")
    expect(spoken.page.locator("dl.rows")).to_contain_text(ADDRESS)
    spoken.page.locator("main details > summary").click()
    expect(spoken.page.locator("main details .lines").first).to_be_visible()
    spoken.go_on()
    spoken.is_headed("r.wait.h1")
    assert standing(town, "nikolaj") == {"clinea": "asked"}

    assert town.call("POST", "enrolments/clinea/nikolaj", {"answer": "approve"}).json()["first"] is True
    told = post.next()
    assert told["subject"] == spoken.words("m.approved.sub", service="Patientportalen")
    spoken.page.goto(told["link"])
    expect(spoken.page).to_have_url(town.portal(PORTAL))
    spoken.log_in(patient(town, "nikolaj", NEW), PORTAL, DOOR, post)
    spoken.is_at(PORTAL, DOOR)


def test_and_is_declined(helped: Guest, town: Sandbox) -> None:
    """Who is declined gets an e-mail that says whom to call, without a reason and without a link (R23)."""
    post = Post(sandbox=town, address=ADDRESS)
    _begins(helped, PORTAL)
    _gives(helped, ADDRESS)
    helped.types_code(post.code())
    helped.does("skip")
    helped.is_headed("r.check")
    helped.go_on()
    helped.is_headed("r.wait.h1")
    answer = town.call("POST", "enrolments/clinea/nikolaj", {"answer": "decline", "reason": "lives elsewhere"})
    assert answer.json()["standing"] == "declined"
    told = post.next()

    assert helped.words("m.declined", clinic=CLINIC, service="Patientportalen", phone="+45 70 00 00 02") in told["text"]
    assert told.get("link") is None
    assert "elsewhere" not in told["text"]


def test_and_is_in_at_once(spoken: Guest, town: Sandbox) -> None:
    """At a clinic that approves nobody, a code to each address, and one is at the door one came for (R20, R24)."""
    mail = Post(sandbox=town, address=ADDRESS)
    phone = Post(sandbox=town, address=MOBILE)
    _begins(spoken, OPEN)
    _gives(spoken, ADDRESS, "070-174 06 30" if spoken.language == "sv" else MOBILE)
    if spoken.language == "sv":  # the clinic is Danish: a number without its country is one of Denmark's
        spoken.is_told("r.e.phone")
        expect(spoken.page.locator("#email")).to_have_value(ADDRESS)
        _gives(spoken, ADDRESS, MOBILE)
    for post in (mail, phone):
        spoken.is_headed("o.h1")
        spoken.types_code(post.code())
    spoken.is_headed("r.pw.h1")
    spoken.does("skip")
    spoken.is_headed("r.check")
    spoken.go_on()

    spoken.is_at(OPEN, DOOR)
    assert standing(town, "nikolaj") == {"havnens": "approved"}


@pytest.mark.usefixtures("as_they_were")
def test_mistakes_are_said(guest: Guest, town: Sandbox) -> None:
    """Nothing, no address, a landline, a weak password: each is said at its field, and nothing else is lost (R1)."""
    post = Post(sandbox=town, address=ADDRESS)
    _begins(guest, OPEN)
    _gives(guest)
    guest.is_told("r.e.one")
    _gives(guest, "nikolaj", "+46 980 31 92 31")
    guest.is_told("r.e.mail")
    guest.is_told("r.e.mob")
    expect(guest.page.locator("#phone")).to_have_value("+46 980 31 92 31")
    _gives(guest, ADDRESS)
    guest.types_code("000000")
    guest.is_told("o.e.wrong")
    guest.types_code(post.code())
    for password, error in (("Ab1", "f.e.short"), ("nikolajnikolaj", "f.e.mixed"), ("Password1", "f.e.common")):
        guest.page.fill("#password", password)
        guest.go_on()
        guest.is_told(error, n=8)
    guest.page.fill("#password", NEW)
    guest.go_on()
    guest.is_headed("r.check")


def test_change_of_mind(helped: Guest, town: Sandbox) -> None:
    """From the last look each answer can be changed, and comes back filled in."""
    post, other = Post(sandbox=town, address=ADDRESS), Post(sandbox=town, address="nik@example.test")
    _begins(helped, OPEN)
    _gives(helped, ADDRESS)
    helped.types_code(post.code())
    helped.does("skip")
    helped.is_headed("r.check")
    helped.does("contact")
    expect(helped.page.locator("#email")).to_have_value(ADDRESS)
    _gives(helped, other.address)
    helped.is_headed("o.h1")
    helped.types_code(other.code())
    helped.is_headed("r.check")
    expect(helped.page.locator("dl.rows")).to_contain_text(other.address)
    helped.does("password")
    helped.is_headed("r.pw.h1")
    helped.page.fill("#password", NEW)
    helped.go_on()
    helped.sees("r.pwyes")
    helped.go_on()

    helped.is_at(OPEN, DOOR)


def test_double_clicks_back_and_reload(guest: Guest, town: Sandbox) -> None:
    """Double clicks, reloads and Back make one account and one message of each kind (G13-G15)."""
    post = Post(sandbox=town, address=ADDRESS)
    _begins(guest, PORTAL)
    guest.page.fill("#email", ADDRESS)
    guest.button.dblclick(no_wait_after=True)
    guest.is_headed("o.h1")
    reload(guest.page)
    guest.page.fill("#code", post.code())
    guest.button.dblclick(no_wait_after=True)
    guest.is_headed("r.pw.h1")
    back(guest.page)
    expect(guest.page.locator(ANY)).not_to_have_count(0)
    guest.page.go_forward()
    guest.is_headed("r.pw.h1")
    guest.page.fill("#password", NEW)
    guest.button.dblclick(no_wait_after=True)
    guest.is_headed("r.check")
    reload(guest.page)
    guest.button.dblclick(no_wait_after=True)
    guest.is_headed("r.wait.h1")
    reload(guest.page)
    guest.is_headed("r.wait.h1")

    assert post.got == 1
    assert standing(town, "nikolaj") == {"clinea": "asked"}


@pytest.mark.usefixtures("as_they_were")
def test_who_is_registered_already(guest: Guest) -> None:
    """Who is a patient already and presses register is told so, and goes in."""
    _begins(guest, PORTAL, "anna")
    guest.is_headed("r.have.h1")
    guest.go_on()

    guest.is_at(PORTAL, DOOR)


def test_known_at_another_clinic(spoken: Guest, town: Sandbox) -> None:
    """Whom another clinic knows is asked once here, keeps the same password, and is not asked again (R27, R28)."""
    who = patient(town, "tove")
    spoken.log_in(who, PORTAL, DOOR)
    spoken.is_headed("k.clinic", service="Patientportalen", clinic=CLINIC)
    spoken.does("no")
    expect(spoken.page).to_have_url(town.portal(PORTAL, "failed"))
    assert standing(town, "tove") == {"havnens": "approved"}

    spoken.log_in(who, PORTAL, DOOR)
    spoken.is_headed("k.clinic", service="Patientportalen", clinic=CLINIC)
    spoken.go_on()
    spoken.is_headed("r.wait.h1")
    assert town.call("POST", "enrolments/clinea/tove", {"answer": "approve"}).status_code == 200
    spoken.log_in(who, PORTAL, DOOR)
    spoken.is_headed("n.terms.h1", clinic=CLINIC)
    spoken.go_on()

    spoken.is_at(PORTAL, DOOR)


def _is_set_up(guest: Guest, post: Post) -> None:
    """Fill in what is asked for a child: the guardian's address, its code, a password for the child."""
    guest.sees("r.guardian")
    _gives(guest, post.address)
    guest.is_headed("o.h1")
    guest.types_code(post.code())
    guest.is_headed("r.own.h1")
    guest.does("yes")
    guest.is_headed("f.act.h1")
    guest.page.fill("#password", NEW)
    guest.go_on()
    guest.is_headed("r.check")
    expect(guest.page.locator("dl.rows")).to_contain_text("Emil")
    guest.go_on()


def test_a_child(spoken: Guest, town: Sandbox) -> None:
    """A parent picks a child of theirs, with a login; the clinic approves; the child signs in (R9, R14, R15, R18)."""
    post = Post(sandbox=town, address="anna@example.test")
    _begins(spoken, PORTAL, "anna", "child")
    spoken.is_headed("c.regchild", age=15)
    spoken.go_on()
    spoken.is_told("r.e.who")
    spoken.page.locator("label.card", has_text="Emil").click()
    spoken.go_on()
    _is_set_up(spoken, post)
    spoken.is_headed("r.wait.h1")
    spoken.sees("r.wait.child", clinic=CLINIC, date=_day(spoken, "r.wait.child"))
    assert standing(town, "emil") == {"clinea": "asked"}

    assert town.call("POST", "enrolments/clinea/emil", {"answer": "approve"}).status_code == 200
    assert post.next()["link"] == town.portal(PORTAL)
    spoken.page.context.clear_cookies()
    spoken.log_in(patient(town, "emil", NEW), PORTAL, DOOR, post)
    spoken.is_headed("n.terms.h1", clinic=CLINIC)
    spoken.go_on()
    spoken.is_at(PORTAL, DOOR)
    expect(spoken.page.locator("#name")).to_have_text("Emil Prøvesen")


def test_a_child_at_once(spoken: Guest, town: Sandbox) -> None:
    """At a clinic that approves nobody the register's word is enough; the parent's page keeps the login (R14, R15)."""
    post = Post(sandbox=town, address="anna@example.test")
    _begins(spoken, OPEN, "anna", "child")
    spoken.page.locator("label.card", has_text="Emil").click()
    spoken.go_on()
    _is_set_up(spoken, post)
    spoken.is_headed("r.kid.h1")
    spoken.sees("r.kid.login")
    assert standing(town, "emil") == {"havnens": "approved"}
    post.next()

    spoken.page.goto(f"{town.issuer}/me/havnens")
    if not spoken.page.locator("#kids").count():
        spoken.speak(spoken.language)
        spoken.prove("mitid", "anna")
    spoken.page.locator("main a[href*='/child/']").click()
    spoken.is_headed("me.kid.h1")
    spoken.page.locator("main a[href$='/password']").click()
    spoken.page.fill("#password", f"{NEW}s")
    spoken.go_on()
    spoken.sees("me.kid.saved")
    spoken.page.context.clear_cookies()
    spoken.log_in(patient(town, "emil", f"{NEW}s"), OPEN, DOOR, post)
    spoken.is_headed("n.terms.h1", clinic="Havnens Lægehus")
    spoken.go_on()
    spoken.is_at(OPEN, DOOR)


@pytest.mark.parametrize(("who", "asked"), [("nikolaj", {"clinea": "asked"}), ("jorn", {})])
def test_a_number_that_is_typed(helped: Guest, town: Sandbox, who: str, asked: dict[str, str]) -> None:
    """A stranger and a father without custody type a child's number: one page; only the first is asked about (A2)."""
    post = Post(sandbox=town, address=f"{who}@example.test")
    _begins(helped, PORTAL, who, "child")
    helped.page.fill("#pid", number(town, "emil"))
    helped.page.fill("#given", "Emil")
    helped.page.fill("#family", "Prøvesen")
    helped.page.locator("#mask").check()
    helped.go_on()
    _is_set_up(helped, post)
    helped.is_headed("r.wait.h1")
    helped.sees("r.wait.child", clinic=CLINIC, date=_day(helped, "r.wait.child"))

    assert standing(town, "emil") == asked


def _day(guest: Guest, key: str) -> str:
    """Return the day that the page names."""
    before, _, after = guest.words(key, clinic=CLINIC, date="\0").partition("\0")
    text = guest.page.locator("main").inner_text()
    return text.partition(before)[2].partition(after)[0]


@pytest.mark.usefixtures("as_they_were")
@pytest.mark.parametrize(("who", "error"), [("nikolaj", "r.e.own"), ("lars", "r.e.age"), (None, "p.e.id")])
def test_a_number_that_is_no_child(helped: Guest, town: Sandbox, who: str | None, error: str) -> None:
    """One's own number, somebody of fifteen, no number at all: each is said, with the names kept (R15)."""
    guest = helped
    _begins(guest, PORTAL, "nikolaj", "child")
    guest.page.fill("#pid", number(town, who) if who else "123")
    guest.page.fill("#given", "Emil")
    guest.page.fill("#family", "Prøvesen")
    guest.go_on()

    guest.is_told(error, age=15)
    expect(guest.page.locator("#given")).to_have_value("Emil")


@pytest.mark.usefixtures("anew")
def test_activation(spoken: Guest, town: Sandbox) -> None:
    """Opened five times by a scanner, staff's link still gives a password; MitID confirms the first time (R25, R26)."""
    post = Post(sandbox=town, address="sten@example.test")
    post.read = 0  # the link was there before the journey
    link = post.next()["link"]
    for _ in range(5):
        assert spoken.page.context.request.get(link).status == 200
    danish = replace(spoken, language="da")  # as staff wrote
    danish.page.goto(link)
    danish.is_headed("f.act.h1")
    danish.page.fill("#password", NEW)
    danish.go_on()
    danish.is_headed("f.act")
    who = patient(town, "sten", NEW)
    spoken.choose(PORTAL, DOOR)
    spoken.by_password()
    spoken.types(who.number, NEW)
    spoken.sees("e.confirm")
    spoken.prove("mitid", "sten")
    spoken.is_headed("n.terms.h1", clinic=CLINIC)
    spoken.go_on()
    spoken.is_at(PORTAL, DOOR)

    spoken.page.context.clear_cookies()
    spoken.log_in(who, PORTAL, DOOR)
    spoken.is_at(PORTAL, DOOR)


@pytest.mark.usefixtures("anew")
def test_activation_of_the_exempt(guest: Guest, town: Sandbox) -> None:
    """Who cannot have MitID is not asked for it: the link and the password are enough (R26)."""
    post = Post(sandbox=town, address="birte@example.test")
    post.read = 0  # the link was there before the journey
    guest.page.goto(post.next()["link"])
    guest.page.fill("#password", NEW)
    guest.button.dblclick(no_wait_after=True)
    guest.is_headed("f.act")
    guest.page.locator("main a.btn").click()
    guest.log_in(patient(town, "birte", NEW), PORTAL, DOOR)
    guest.is_headed("n.terms.h1", clinic=CLINIC)
    guest.go_on()

    guest.is_at(PORTAL, DOOR)
