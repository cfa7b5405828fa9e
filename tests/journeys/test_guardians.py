"""Guardians in a real browser: whom it is about, until which midnight, and who may not (R13-R18, L1, L2, A1, A2)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.journeys.moves import reload
from tests.journeys.patients import Guest, patient
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser

REGION, BOOKED = "minhalsa", "bokade-tider"
COUNTY, VISITS, CHILDS = "videovisit", "varaukset", "visit/4109"  # the last is Eeli's, who is five
CLINEA, TIMES = "patientportalen", "tidsbestilling"
PHONE = "+46 980 31 92 10"
LOOKS, PAUSE_MS = 100, 200  # until a courier has been there: at midnight nobody wakes it
DENMARK = ZoneInfo("Europe/Copenhagen")
LISTED = "label.card"


def _swede(guest: Guest, person: str, door: str = BOOKED) -> Guest:
    """Return a guest who has proved who they are to the region, and is asked whom it is about."""
    swede = replace(guest, country="SE")
    swede.choose(REGION, door)
    swede.by_app(person)
    swede.is_headed("a.h1")
    return swede


def _finn(guest: Guest, person: str, door: str) -> Guest:
    """Return a guest who has proved who they are to the county, and is asked whom it is about."""
    finn = replace(guest, language="fi", country="FI")
    finn.page.goto(finn.sandbox.portal(COUNTY, f"login?door={door}"))
    finn.prove("suomifi", person)
    finn.arrive(LISTED)
    finn.is_headed("a.h1")
    return finn


def _acts(guest: Guest, ward: str) -> None:
    """Wait for the portal to say whom it is about."""
    expect(guest.page.locator("#acting #ward")).to_have_text(ward)


def _changes(guest: Guest, name: str) -> None:
    """Change the person, from the portal, whose language the page has at first."""
    guest.page.locator("#person").click()
    guest.speak(guest.language)
    guest.picks(name)


def _told(guest: Guest) -> None:
    """Wait for the portal to have been told that it is over."""
    for _ in range(LOOKS):
        reload(guest.page)
        if guest.page.locator("#ended").count():
            break
        guest.page.wait_for_timeout(PAUSE_MS)
    expect(guest.page.locator("#ended")).to_be_visible()


def _listed(guest: Guest) -> list[str]:
    return [" ".join(text.split()) for text in guest.page.locator(LISTED).all_inner_texts()]


def _orders(sandbox: Sandbox) -> int:
    return len(sandbox.call("GET", "orders").json())


@pytest.mark.usefixtures("as_they_were")
def test_a_guardian_chooses_a_child(spoken: Guest) -> None:
    """Nobody is chosen beforehand; the portal shows whom it is about, and the person is changed without an eID (A1)."""
    guest = _swede(spoken, "bjorn")
    assert guest.page.locator("input[name=who]:checked").count() == 0
    guest.does("chosen")
    guest.is_told("a.e.none")
    guest.picks("Saga Provsson")
    _acts(guest, "Saga Provsson")
    expect(guest.page.locator("#right")).to_have_text("vårdnadshavare")
    expect(guest.page.locator("section.panel #relation")).to_have_text("custody")
    expect(guest.page).to_have_url(guest.sandbox.portal(REGION, BOOKED))

    signed = _orders(guest.sandbox)
    _changes(guest, "Björn Provsson")
    expect(guest.page.locator("#name")).to_have_text("Björn Provsson")
    assert guest.page.locator("#acting").count() == 0
    _changes(guest, "Saga Provsson")
    _acts(guest, "Saga Provsson")
    expect(guest.page.locator("#guardian")).to_have_text("Björn Provsson")
    assert _orders(guest.sandbox) == signed


@pytest.mark.usefixtures("as_they_were")
def test_the_tokens_name_both(helped: Guest) -> None:
    """`sub` is the child, `act` the guardian: the same in the ID token and in userinfo, asked again too (L2)."""
    guest = _swede(replace(helped, language="nb"), "klara")
    guest.picks("Saga Provsson")
    _acts(guest, "Saga Provsson")
    actor = guest.page.locator("#actor").inner_text()
    guest.page.locator("form[action$='/userinfo'] button").click()
    expect(guest.page.locator("#last h2")).to_have_text("The portal asks who it is")
    guest.page.locator("#last summary").first.click()
    userinfo = guest.page.locator("#last dl.rows").inner_text()
    guest.page.goto(guest.sandbox.portal(REGION, BOOKED))
    guest.page.locator("summary", has_text="All claims").click()
    token = guest.page.locator("dl.rows").first.inner_text()

    for told in (userinfo, token):
        assert f'{{"sub": "{actor}"}}' in told
        assert '"relation": "custody", "basis": "register", "powers": []' in told
    assert token.count(actor) == 1


@pytest.mark.usefixtures("as_they_were")
def test_a_new_proof_asks_anew(helped: Guest) -> None:
    """Who is asked for their eID again is asked whom it is about again, too (prompt=login)."""
    guest = _swede(replace(helped, language="sv"), "bjorn")
    guest.picks("Saga Provsson")
    _acts(guest, "Saga Provsson")
    guest.page.locator("form[action$='/again'] button").click()
    guest.by_app("bjorn")
    guest.picks("Björn Provsson")

    expect(guest.page.locator("#name")).to_have_text("Björn Provsson")


@pytest.mark.usefixtures("as_they_were")
def test_a_number_is_typed(guest: Guest) -> None:
    """Enter in the number's field is its own button: it keeps what was wrong, and finds a child that is theirs."""
    swede = _swede(replace(guest, language="en"), "klara")
    swede.page.locator("details > summary", has_text=swede.words("a.miss")).click()
    swede.page.fill("#pid", "2020")
    swede.page.press("#pid", "Enter")
    swede.is_told("p.e.id")
    expect(swede.page.locator("#pid")).to_have_value("2020")
    swede.page.fill("#pid", "20200504-2383")
    swede.page.press("#pid", "Enter")

    _acts(swede, "Saga Provsson")


@pytest.mark.usefixtures("as_they_were")
def test_refusals_are_one_page(helped: Guest) -> None:
    """No custody, somebody else's child, a grown-up, a protected address: the same page to the byte (A1, D11)."""
    guest, pages = replace(helped, language="sv", country="SE"), []
    guest.choose(REGION, BOOKED)
    guest.by_app("hampus")
    guest.page.locator("#person").click()  # who has nobody to act for is not asked unless they wish it
    guest.is_headed("a.h1")
    assert len(_listed(guest)) == 1
    for number in ("202104142381", "202109082384", "198405149280", "201710152396"):
        guest.page.locator("details > summary", has_text=guest.words("a.miss")).click()
        guest.page.fill("#pid", number)
        guest.does("number")
        guest.is_headed("a.no.h1")
        pages.append(re.sub(r'name="_n" value="[^"]*"', "", guest.page.content()))
        guest.does("back")
        guest.is_headed("a.h1")
    guest.picks("Hampus Umgängesson")

    expect(guest.page.locator("#name")).to_have_text("Hampus Umgängesson")
    assert len(set(pages)) == 1


@pytest.mark.usefixtures("as_they_were")
def test_a_register_that_is_down(guest: Guest) -> None:
    """Only oneself may be chosen, with a sentence and whom to call; when it answers again, the child is there."""
    guest.sandbox.call("PUT", "faults/familieregister", {"down": True})
    swede = _swede(replace(guest, language="sv"), "lina")
    assert _listed(swede) == ["Mig själv, Lina Tvillingsson"]
    expect(swede.page.locator("main .note")).to_contain_text(PHONE)
    assert swede.page.locator("#pid").count() == 0
    guest.sandbox.call("PUT", "faults/familieregister", {})
    reload(swede.page)
    swede.picks("Lina Tvillingsson")
    swede.page.locator("#person").click()

    swede.is_headed("a.h1")
    assert [name.partition(",")[0] for name in _listed(swede)[1:]] == ["Tuva Tvillingsson", "Ture Tvillingsson"]


def test_midnight_ends_it(helped: Guest) -> None:
    """Born on a 29 February, 13 on 1 March: at midnight the portal is told, and the child is not offered (L1, R2)."""
    helped.sandbox.call("PUT", "clock", {"now": "2029-02-28T22:50:00Z"})
    guest = _swede(replace(helped, language="sv"), "anders")
    guest.picks("Stina Skottdagsson")
    _acts(guest, "Stina Skottdagsson")
    expect(guest.page.locator("#until")).to_have_attribute("datetime", "2029-02-28T23:00:00+00:00")
    guest.sandbox.call("PUT", "clock", {"plus": 601})
    guest.page.locator("form[action$='/userinfo'] button").click()
    expect(guest.page.locator("#error")).to_have_text("invalid_token")
    guest.overlook("401")
    guest.page.goto(guest.sandbox.portal(REGION, BOOKED))
    _told(guest)

    guest.page.goto(guest.sandbox.portal(REGION, "happened"))
    expect(guest.page.locator("#last h2")).to_have_text("The broker says that the sign-on is over")
    guest.page.goto(guest.sandbox.portal(REGION, f"login?door={BOOKED}&person"))
    guest.is_headed("a.h1")
    assert _listed(guest) == ["Mig själv, Anders Skottdagsson"]


def test_custody_that_changes(helped: Guest) -> None:
    """What the register takes away ends a running session within a minute, and is not offered again (L15)."""
    guest = _swede(replace(helped, language="sv"), "sara")
    guest.picks("Wilma Växlingsson")
    _acts(guest, "Wilma Växlingsson")
    guest.sandbox.call("PUT", "custody/sara/wilma", {"barred": "withdrawn"})
    guest.sandbox.call("PUT", "clock", {"plus": 60})
    _told(guest)
    guest.page.locator("main a.btn").click()

    guest.page.locator("#name, h1:has-text('Vem gäller det')").first.wait_for()
    assert "Wilma" not in guest.page.content()


@pytest.mark.usefixtures("as_they_were")
def test_a_childs_video_visit(guest: Guest) -> None:
    """A parent proves who they are, chooses the child at Suomi.fi, and joins the child's visit (R16)."""
    finn = _finn(guest, "leena", CHILDS)
    finn.does("elsewhere")
    finn.page.locator("button[name=cancel]").click()
    finn.is_headed("a.h1")
    finn.does("elsewhere")
    finn.page.locator("input[name=person][value=eeli]").check()
    finn.page.locator("form button[type=submit]").first.click()
    _acts(finn, "Eeli Kaksostesti")
    expect(finn.page).to_have_url(finn.sandbox.portal(COUNTY, CHILDS))
    finn.page.locator("form[action$='/ask'] button").click()

    expect(finn.page.locator("#stage[data-stage=waiting]")).to_be_visible()


@pytest.mark.usefixtures("anew")
def test_twelve_years_old(guest: Guest) -> None:
    """From the twelfth birthday no parent comes for a child, who comes with bank codes of their own (R16, R17)."""
    finn = _finn(guest, "leena", VISITS)
    finn.does("elsewhere")
    finn.page.locator("input[name=person][value=taimi]").check()
    finn.page.locator("form button[type=submit]").first.click()
    finn.is_headed("a.no.h1")
    finn.page.locator("main a.btn").click()
    expect(finn.page.locator("#error")).to_have_text("access_denied")

    guest.page.context.clear_cookies()  # suomi.fi knows her mother still
    taimi = _finn(guest, "taimi", VISITS)
    taimi.picks("Taimi Kaksostesti")
    expect(taimi.page.locator("form[action$='/logout']")).to_be_visible()
    expect(taimi.page.locator(".svc b")).to_have_text("Taimi Kaksostesti")


@pytest.mark.usefixtures("anew")
def test_a_danish_child(helped: Guest) -> None:
    """Under 15 no MitID, but number, password and code; at midnight that ends, and MitID opens (R13, R14)."""
    now = datetime.fromisoformat(helped.sandbox.call("GET", "clock").json()["now"]).astimezone(DENMARK)
    birthday = datetime.combine(now.date() + timedelta(days=1), time(), DENMARK)
    helped.sandbox.call("PUT", "clock", {"now": (birthday - timedelta(minutes=10)).astimezone(UTC).isoformat()})
    helped.choose(CLINEA, TIMES)
    helped.prove("mitid", "mie")
    helped.sees("e.young", age=15, eid="MitID")
    helped.log_in(patient(helped.sandbox, "mie"), CLINEA, TIMES)
    helped.is_at(CLINEA, TIMES)
    expect(helped.page.locator("#own-until")).to_have_text(f"{birthday.day}.{birthday.month}.{birthday.year}")

    helped.sandbox.call("PUT", "clock", {"plus": 601})
    _told(helped)
    helped.page.goto(helped.sandbox.portal(CLINEA, f"login?door={TIMES}"))
    helped.prove("mitid", "mie")
    helped.is_at(CLINEA, TIMES)
    assert helped.page.locator("#own-until").count() == 0
