"""Staff of one clinic, or who talks them into it, have a patient's access sent to an address of their own choice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
import requests

from idbroker.accounts.account import Account
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.patients.access import Receipt
from idbroker.patients.patient import Patient, Sheet
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.door import Browser
from tests.fallback_door import CLINIC, FallbackDoor, open_fallback_door

MINE = "mallory@example.org"
HER_PHONE = "+4520999999"
CHOSEN = "otte gule tog i sne"
THEIRS = "ni sorte heste i mosen"
OTHER: Mapping[str, Any] = {**CLINIC, "name": "Den anden klinik", "registration": "off"}


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open two clinics for one attack alone."""
    clients = {"others": {"clinic": "other", "name": "Den anden"}}
    clinics = {"other": {**OTHER, "codes": ["sms", "email", "app"]}}
    mine = {"codes": ["sms", "email", "app"]}
    with open_fallback_door(tmp_path, StoppedClock(NOW), clinic=mine, clinics=clinics, clients=clients) as opened:
        yield opened


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Open two clinics; one of them is talked into sending Anna's access to Mallory."""
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    clients = {"others": {"clinic": "other", "name": "Den anden"}}
    with open_fallback_door(folder, StoppedClock(NOW), clinics={"other": OTHER}, clients=clients) as opened:
        anna = opened.account("anna")
        patient = opened.enrol(anna.person, "other", told={Channel.EMAIL: MINE})
        actor = Actor(id="c0" * 16, clinic="other", role=Role.CARER)
        sent = opened.house.offices.access.send(actor, patient.handle, (Channel.EMAIL,), None, opened.clock.now())
        assert isinstance(sent, Receipt)
        browser = opened.browser()
        browser.press(browser.get(opened.link()), password=CHOSEN)
        opened.deliver()
        yield opened


def mallory(door: FallbackDoor, **asked: str) -> tuple[Browser, requests.Response]:
    """Sign in as Anna with what was chosen, as far as that goes; codes are read in Mallory's mailbox."""
    door.clock.move(timedelta(hours=1))  # codes are sent so many times in one
    browser = door.browser("en")
    page = browser.press(browser.authorize(**asked), provider="fallback")
    page = browser.press(page, number=door.number("anna").display, password=CHOSEN)
    if not page.url.endswith("/code"):
        return browser, page
    page = browser.press(page, do="email")
    return browser, browser.press(page, code=door.code(Channel.EMAIL))


def test_the_clinic_that_sent_it_is_open(door: FallbackDoor) -> None:
    """That clinic speaks for itself: at its own service the password and a code let in."""
    _, page = mallory(door, client_id="others")

    assert page.headers["Location"].startswith("https://portal.test/callback?code=")


def test_no_other_is(door: FallbackDoor) -> None:
    """At every other clinic an eID is asked for: the right password alone opens nothing."""
    _, page = mallory(door)

    assert "Log in with an electronic ID this time" in page.text


@pytest.mark.parametrize("path", ["/authorize", "/me/clinea"])
def test_nor_by_a_sign_on_from_there(door: FallbackDoor, path: str) -> None:
    """With a sign-on at the one clinic, neither another's service nor its My page is opened."""
    browser, _ = mallory(door, client_id="others")

    page = browser.authorize() if path == "/authorize" else browser.get(path)

    assert page.url.endswith("/notaken")
    assert "You are not registered here" in page.text


def test_nor_after_the_persons_own_eid(door: FallbackDoor) -> None:
    """Anna comes with MitID, to the one clinic and the other: it lets her in, and Mallory no further."""
    for client in ("portal", "others"):
        assert "code" in door.browser().sign_in("anna", client_id=client)

    _, page = mallory(door)

    assert "Log in with an electronic ID this time" in page.text


def test_a_forgotten_password_does_not_free_it(door: FallbackDoor) -> None:
    """A link of one's own to that mailbox sets another password, which opens no more than the first."""
    browser = door.browser("en")
    page = browser.press(browser.authorize(), provider="fallback")
    page = browser.press(browser.get(page.url.replace("/password", "/forgot")), number=door.number("anna").display)
    browser.press(browser.get(door.link()), password=CHOSEN + " igen")
    account = door.rooms.counter.records.accounts.find(door.number("anna"))

    assert account is not None
    assert account.only_at == ("other",)


def test_everybody_who_was_reached_is_told(door: FallbackDoor) -> None:
    """Anna's own addresses are told that the password was changed, with whom to call."""
    assert any("adgangskode blev ændret" in text for text in door.sms())
    assert any("nogen@example.org" in to for _, to, _ in door.mail.taken)


# ---- a first link --------------------------------------------------------------------------------


def test_a_first_link_opens_the_clinic_that_sent_it(apart: FallbackDoor) -> None:
    """Both clinics have Anna as somebody who can use no eID; a link to Mallory from one does not open the other."""
    own = entered(apart, "clinea", "nogen@example.org")
    sent(apart, entered(apart, "other", MINE).enrolment.handle, Channel.EMAIL)
    take(apart, CHOSEN)

    _, page = signed_in(apart, CHOSEN, "email")
    assert "Log in with an electronic ID this time" in page.text
    _, page = signed_in(apart, CHOSEN, "email", client_id="others")
    assert page.headers["Location"].startswith("https://portal.test/callback?code=")

    sent(apart, own.enrolment.handle, Channel.EMAIL, "clinea")
    take(apart, THEIRS)
    browser, page = signed_in(apart, THEIRS, "email")
    assert "code=" in settled(browser, page).headers["Location"], "the other speaks for itself"


# ---- what is added while the password opens one clinic alone -------------------------------------


@pytest.mark.parametrize("app", [True, False], ids=["app", "telephone"])
@pytest.mark.parametrize("how", ["sent", "forgotten"])
def test_what_she_added_ends_when_another_clinic_opens(apart: FallbackDoor, how: str, app: bool) -> None:
    """Mallory gives telephone and app; Anna is sent a link by the other clinic, or forgets: nothing of hers is left."""
    secret = mallory_is_in(apart, app=app)

    if how == "sent":
        sent(apart, told(apart, "clinea", {Channel.EMAIL: "nogen@example.org"}), Channel.EMAIL, "clinea")
    else:
        forget(apart)
    take(apart, THEIRS)

    account = kept(apart)
    assert [contact.address for contact in account.reachable] == ["nogen@example.org"]
    assert account.app_secret is None
    assert account.only_at == (("other", "clinea") if how == "sent" else ())
    assert any("adgangskode blev ændret" in text for text in apart.sms()), "Mallory's telephone was theirs so far: told"
    before = len(apart.sms())
    forget(apart)
    assert len(apart.sms()) == before, "no link goes to Mallory"
    browser, page = signed_in(apart, THEIRS, "email")
    assert secret is None or 'value="app"' not in page.text
    assert "code=" in settled(browser, page).headers["Location"], "Anna is in"


def test_her_own_telephone_does_not_free_it(apart: FallbackDoor) -> None:
    """Who forgets, and reads the link at a telephone that came with the one clinic, opens that clinic and no other."""
    mallory_is_in(apart, app=False)
    since = kept(apart).only_since

    forget(apart)
    take(apart, CHOSEN + " to", Channel.SMS)

    account = kept(apart)
    assert (account.only_at, account.only_since) == (("other",), since)
    assert account.contact(Channel.SMS) is not None
    _, page = signed_in(apart, CHOSEN + " to", "sms")
    assert "Log in with an electronic ID this time" in page.text


def mallory_is_in(apart: FallbackDoor, *, app: bool) -> str | None:
    """Let Mallory be sent Anna's access to a telephone, sign in, and add an app of her own; return its secret."""
    anna = apart.account("anna")
    apart.enrol(anna.person, "clinea")
    sent(apart, told(apart, "other", {Channel.SMS: HER_PHONE}), Channel.SMS)
    take(apart, CHOSEN, Channel.SMS)
    assert kept(apart).only_at == ("other",)
    if not app:
        return None
    browser, _ = signed_in(apart, CHOSEN, "sms", client_id="others")
    page = browser.get("/me/other/app")
    found = re.search(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", page.text)
    assert found, page.url
    secret = found[0].replace(" ", "")
    browser.press(page, code=pyotp.TOTP(secret).at(apart.clock.now()))
    assert kept(apart).app_secret == secret
    return secret


def told(apart: FallbackDoor, clinic: str, addresses: Mapping[Channel, str]) -> str:
    """Let a clinic have other addresses of Anna; return its handle of her."""
    anna = kept(apart)
    enrolments = apart.rooms.counter.records.enrolments
    if enrolments.find(anna.person, clinic) is None:
        apart.enrol(anna.person, clinic)
    there = enrolments.change(anna.person, clinic, lambda one: replace(one, told=dict(addresses)) if one else None)
    assert there is not None
    return there.handle


def entered(apart: FallbackDoor, clinic: str, address: str) -> Patient:
    """Enter Anna as somebody who can use no eID."""
    actor = Actor(id="c0" * 16, clinic=clinic, role=Role.CARER)
    sheet = Sheet(
        number=apart.number("anna"), given_name="Anna", family_name="Berg", exempt="illness", checked="known",
        contacts={Channel.EMAIL: address},
    )  # fmt: skip
    patient = apart.house.offices.register.enter(actor, sheet, apart.clock.now())
    assert isinstance(patient, Patient)
    return patient


def sent(apart: FallbackDoor, handle: str, channel: Channel, clinic: str = "other") -> None:
    """Send access, two hours after whatever was before."""
    apart.clock.move(timedelta(hours=2))
    actor = Actor(id="c0" * 16, clinic=clinic, role=Role.CARER)
    receipt = apart.house.offices.access.send(actor, handle, (channel,), None, apart.clock.now())
    assert isinstance(receipt, Receipt), receipt


def take(apart: FallbackDoor, password: str, channel: Channel = Channel.EMAIL) -> None:
    """Choose a password with the newest link that went by a channel."""
    texts = apart.emails() if channel is Channel.EMAIL else apart.sms()
    link = [found[0] for text in texts if (found := re.search(r"https?://\S+/set/\S+", text))][-1]
    browser = apart.browser("en")
    browser.press(browser.get(link), password=password)
    apart.deliver()


def forget(apart: FallbackDoor) -> None:
    """Say that Anna's password is forgotten, two hours later."""
    apart.clock.move(timedelta(hours=2))
    browser = apart.browser("en")
    page = browser.press(browser.authorize(), provider="fallback")
    browser.press(browser.get(page.url.replace("/password", "/forgot")), number=apart.number("anna").display)
    apart.deliver()


def signed_in(apart: FallbackDoor, password: str, way: str, **asked: str) -> tuple[Browser, requests.Response]:
    """Sign in as Anna, as far as that goes."""
    apart.clock.move(timedelta(hours=1))
    browser = apart.browser("en")
    page = browser.press(browser.authorize(**asked), provider="fallback")
    page = browser.press(page, number=apart.number("anna").display, password=password)
    if not page.url.endswith("/code"):
        return browser, page
    return browser, browser.press(browser.press(page, do=way), code=apart.code(Channel(way)))


def settled(browser: Browser, page: requests.Response) -> requests.Response:
    """Keep one's own addresses, where a clinic's differ."""
    return browser.press(page, choice="mine") if page.url.endswith("/differ") else page


def kept(apart: FallbackDoor) -> Account:
    """Return Anna's account as it is now."""
    account = apart.rooms.counter.records.accounts.find(apart.number("anna"))
    assert account is not None
    return account
