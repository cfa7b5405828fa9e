"""My page, through the door: addresses, the code app, the password, sign-ons, consents, and what is told of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pyotp
import pytest
import requests

from idbroker.accounts.account import Agreed
from idbroker.messages.message import Channel
from idbroker.web.mine import TOLD
from tests.door import Browser, answer_of
from tests.fallback_door import EMAIL, MOBILE, PASSWORD, FallbackDoor
from tests.web.me_house import (
    ME,
    MINUTE,
    address_of,
    another_day,
    buttons,
    by_mitid,
    by_password,
    kept,
    kinds,
    part,
    person_of,
    served_for_tests,
)

NEW = "fire grønne cykler i sol"
OTHER = "en.anden@example.org"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Open the whole broker once."""
    with served_for_tests(tmp_path_factory.mktemp("me")) as opened:
        yield opened


@pytest.fixture
def door(served: FallbackDoor) -> Iterator[FallbackDoor]:
    """Give it to one test."""
    with another_day(served) as given:
        yield given


def typed(door: FallbackDoor, browser: Browser, address: str = OTHER, what: str = "email") -> requests.Response:
    """Sign in, and type a new address; return the page that asks for its code."""
    by_password(door, browser)
    return browser.press(browser.get(f"{ME}/{what}"), address=address)


def portal(door: FallbackDoor, browser: Browser) -> requests.Response:
    """Go on to the portal with the sign-on that is here, which asks for consent once."""
    page = browser.authorize()
    return browser.press(page) if page.status_code == 200 and "/consent" in page.url else page


# ---- addresses -------------------------------------------------------------------------------------


def test_a_new_address_is_taken_on_by_its_code(door: FallbackDoor) -> None:
    """Its code takes a new address on; both addresses are told, and other sign-ons may be ended (6.3.7, 7.4.3)."""
    door.account("anna")
    elsewhere, browser = door.browser(), door.browser("en")
    by_password(door, elsewhere)
    page = typed(door, browser)
    assert "e•••@e•••.org" in page.text
    door.deliver()
    told = len(door.mail.taken)

    done = browser.press(page, code=door.code())

    assert done.url.endswith(ME)
    assert "Your change has been saved" in done.text
    assert "others" in buttons(done, "others")
    assert address_of(door) == OTHER
    door.deliver()
    assert {envelope for _, to, _ in door.mail.taken[told:] for envelope in to} == {EMAIL, OTHER}
    assert "account.contact_changed" in kinds(door)
    assert "Your change" not in browser.get(ME).text


def test_pressed_twice_it_is_one_change(door: FallbackDoor) -> None:
    """The code's form posted again, by a double click or from another tab, does nothing more and says nothing wrong."""
    door.account("anna")
    browser = door.browser("en")
    page = typed(door, browser)
    code = door.code()
    browser.press(page, code=code)
    door.deliver()
    sent = len(door.mail.taken)

    again = browser.press(page, code=code)

    assert again.url.endswith(ME)
    assert address_of(door) == OTHER
    door.deliver()
    assert len(door.mail.taken) == sent


def test_a_wrong_code_costs_a_try_once(door: FallbackDoor) -> None:
    """A wrong code says how many tries are left; a reload asks nothing again, and what is no code costs none."""
    door.account("anna")
    browser = door.browser("en")
    page = typed(door, browser)
    right = door.code()
    wrong = "000000" if right != "000000" else "111111"

    short = browser.press(page, code="12")
    said = browser.press(page, code=wrong)

    assert "code is not right" in short.text
    assert "tries left" not in short.text
    assert said.request.method == "GET"
    assert browser.get(said.url).text.count("tries left") == said.text.count("tries left") == 1
    assert browser.press(said, code=right).url.endswith(ME)


def test_an_old_code_brings_a_new_one(door: FallbackDoor) -> None:
    """A code that was right once is said to be old, and another is on its way."""
    door.account("anna")
    browser = door.browser("en")
    page = typed(door, browser)
    old = door.code()
    door.clock.move(6 * MINUTE)

    said = browser.press(page, code=old)

    assert "no longer works. We have sent a new one" in said.text
    assert browser.press(said, code=door.code()).url.endswith(ME)
    assert address_of(door) == OTHER


@pytest.mark.parametrize(
    ("what", "address", "says"),
    [
        ("email", "nogen", "name@example.com"),
        ("email", "", "name@example.com"),
        ("email", EMAIL, "already have"),
        ("phone", "33 12 34", "not a mobile"),
        ("phone", "", "not a mobile"),
        ("phone", MOBILE, "already have"),
    ],
)
def test_what_is_no_new_address_is_said(door: FallbackDoor, what: str, address: str, says: str) -> None:
    """A mistake is named and what was typed stands there; nothing is sent."""
    door.account("anna")
    browser = door.browser("en")
    by_password(door, browser)
    door.deliver()
    sent = len(door.mail.taken) + len(door.texts.heard)

    page = browser.press(browser.get(f"{ME}/{what}"), address=address)

    assert says in unescape(page.text)
    assert f'value="{address}"' in page.text
    door.deliver()
    assert len(door.mail.taken) + len(door.texts.heard) == sent


def test_going_back_asks_for_another_address(door: FallbackDoor) -> None:
    """From the code's page one can go back to the field, and a new code can be asked for."""
    door.account("anna")
    browser = door.browser("en")
    page = typed(door, browser)
    first = door.code()
    door.clock.move(MINUTE)
    again = browser.press(page, do="again")
    assert "We sent a new code" in again.text
    assert door.code() != first

    back = browser.press(again, do="back")

    assert 'name="address"' in back.text
    assert OTHER not in back.text


def test_the_last_way_is_not_forgotten(door: FallbackDoor) -> None:
    """An address can be forgotten while codes can still come; the last has no button, an old page's is refused."""
    door.account("anna")
    browser = door.browser("en")
    page = by_password(door, browser)
    assert buttons(page, "forget") == ["forget:email", "forget:phone"]

    after = browser.press(page, do="forget:email")
    assert buttons(after, "forget") == []
    refused = browser.press(page, do="forget:phone")

    assert "We need a way to send you codes" in refused.text
    assert address_of(door, Channel.SMS) == MOBILE
    assert address_of(door) is None


def test_codes_sent_to_a_forgotten_address_are_of_no_use(door: FallbackDoor) -> None:
    """A sign-in that waits for a code sent before an address was changed does not take it (O4, O13)."""
    door.account("anna")
    browser, thief = door.browser(), door.browser()
    mine = by_password(door, browser)
    door.clock.move(MINUTE)
    waits = door.at_code(thief)
    code = door.code(Channel.SMS)

    browser.press(mine, do="forget:email")

    assert "/code" in thief.press(waits, code=code).url


# ---- the code app ----------------------------------------------------------------------------------


def test_an_app_is_added_by_its_code(door: FallbackDoor) -> None:
    """The secret is drawn and shown in fours, the same in each tab; a right code takes it on, and one is told."""
    door.account("anna")
    browser = door.browser("en")
    by_password(door, browser)
    page = browser.get(f"{ME}/app")
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert secret
    assert {len(four) for four in secret[1].split()} == {4}
    assert secret[1] in browser.get(f"{ME}/app").text
    assert "<svg" in page.text
    code = pyotp.TOTP(secret[1].replace(" ", "")).at(door.clock.now())
    wrong = browser.press(page, code="000000" if code != "000000" else "111111")
    assert "Wait for the next code" in wrong.text

    done = browser.press(page, code=code)
    twice = browser.press(page, code=code)

    assert "In use" in part(done, "login")
    assert twice.url.endswith(ME)
    assert kept(door).app_secret == secret[1].replace(" ", "")
    assert "godkendelsesapp" in door.emails()[-1]
    removed = browser.press(done, do="noapp")
    assert "Not in use" in part(removed, "login")
    assert {"account.app_removed", "account.app_added"} <= {*kinds(door)[:4]}


# ---- the password ----------------------------------------------------------------------------------


def test_the_password_is_changed_with_the_current_one(door: FallbackDoor) -> None:
    """With the current password a new one is set; every other sign-on ends, this one stays (6.2.2, 6.2.3, 7.4.3)."""
    door.account("anna")
    elsewhere, browser = door.browser("en"), door.browser("en")
    by_mitid(elsewhere)
    by_password(door, browser)
    page = browser.get(f"{ME}/password")
    wrong = browser.press(page, current="forkert", password=NEW)
    assert "current password is not right" in wrong.text
    assert "tries left" in wrong.text
    weak = browser.press(page, current=PASSWORD, password="kort")
    assert "too short" in weak.text
    assert PASSWORD not in weak.text

    done = browser.press(page, current=PASSWORD, password=NEW)

    assert "logged out everywhere else" in done.text
    assert door.rooms.counter.hasher.verify(kept(door).password, NEW)
    assert "/t/" in elsewhere.get(ME).url
    assert browser.get(ME).url.endswith(ME)


def test_a_first_password_is_chosen_with_an_eid(door: FallbackDoor) -> None:
    """Who has an account and no password chooses one on My page, right after an eID: no link has to be sent."""
    door.account("anna", password=None, password_set_at=None)
    browser = door.browser()
    by_mitid(browser)

    page = browser.get(f"{ME}/password")
    assert 'name="current"' not in page.text
    done = browser.press(page, password=NEW)

    assert done.url.endswith(ME)
    assert door.rooms.counter.hasher.verify(kept(door).password, NEW)
    assert 'name="current"' in browser.get(f"{ME}/password").text


# ---- sign-ons --------------------------------------------------------------------------------------


def test_one_ends_another_sign_on_of_ones_own(door: FallbackDoor) -> None:
    """Each other sign-on has a button, whose name is no key; it ends that one, what it gave, and no other (7.5.2)."""
    door.account("anna")
    phone, tablet, browser = door.browser("en"), door.browser("en"), door.browser("en")
    by_mitid(phone)
    tokens = door.redeem(answer_of(portal(door, phone))["code"]).json()
    by_mitid(tablet)
    page = by_password(door, browser)
    ends = buttons(page, "end:")
    assert len(ends) == 2
    keys = [one.key for one in door.house.signout.of_person(person_of(door))]
    assert not any(key in page.text for key in keys)
    assert "Portalen" in part(page, "sessions")

    done = page
    for _ in range(2):
        done = browser.press(done, do=buttons(done, "end:")[-1])

    assert buttons(done, "end:") == []
    assert "You are logged out there" in done.text
    assert door.userinfo(tokens["access_token"]).status_code == 401
    assert "/t/" in phone.get(ME).url
    assert "/t/" in tablet.get(ME).url
    assert browser.press(page, do=ends[0]).url.endswith(ME)


def test_one_ends_all_others_at_once(door: FallbackDoor) -> None:
    """One button ends all other sign-ons and leaves this one; nobody else's is touched."""
    door.account("anna")
    phone, karen, browser = door.browser(), door.browser(), door.browser("en")
    by_mitid(phone)
    by_mitid(karen, "karen")
    page = by_password(door, browser)
    hers = door.house.signout.of_person(person_of(door, "karen"))

    browser.press(page, do="others")

    assert [len(door.house.signout.of_person(person_of(door, who))) for who in ("anna", "karen")] == [1, 1]
    assert door.house.signout.of_person(person_of(door, "karen")) == hers
    assert "/t/" in phone.get(ME).url


# ---- consents --------------------------------------------------------------------------------------


def test_a_consent_is_withdrawn_and_asked_for_again(door: FallbackDoor) -> None:
    """Withdrawing ends what the service was given, and its next sign-in asks again (ASVS 10.4.9, 10.7.3)."""
    door.account("anna")
    browser = door.browser("en")
    by_password(door, browser)
    asked = browser.authorize()
    assert asked.url.endswith("/consent")
    assert f'href="{ME}#consents"' in asked.text
    tokens = door.redeem(answer_of(browser.press(asked))["code"]).json()
    assert door.userinfo(tokens["access_token"]).status_code == 200
    page = browser.get(ME)
    assert "Portalen" in part(page, "consents")

    done = browser.press(page, do=buttons(page, "withdraw:")[0])

    assert "The consent has been withdrawn" in done.text
    assert "not given any consents" in part(done, "consents")
    assert door.userinfo(tokens["access_token"]).status_code == 401
    assert browser.authorize().url.endswith("/consent")
    assert kinds(door)[0] == "consent.withdrawn"


def test_nobody_withdraws_what_another_agreed_to(door: FallbackDoor) -> None:
    """A consent's id of somebody else does nothing."""
    door.account("anna")
    karen, browser = door.browser(), door.browser()
    by_mitid(karen, "karen")
    portal(door, karen)
    hers = door.rooms.counter.records.consents.of(person_of(door, "karen"))[0]
    page = by_password(door, browser)

    browser.press(page, do=f"withdraw:{hers.id}")

    current = door.rooms.counter.records.consents.current(person_of(door, "karen"), Agreed.RELEASE, "portal")
    assert current == hers


# ---- what happened lately --------------------------------------------------------------------------


def test_only_what_is_ones_own_is_told(door: FallbackDoor) -> None:
    """The newest twenty events of this person, of kinds that have words; nobody else's and no detail (R44)."""
    door.account("anna")
    karen, browser = door.browser(), door.browser("en")
    by_mitid(karen, "karen")
    portal(door, karen)
    browser.press(by_password(door, browser), do="forget:email")

    rows = re.findall(r"<dt>(\S+) at \S+</dt>\s*<dd>(.*?)</dd>", browser.get(ME).text, re.DOTALL)
    told = [text for day, text in rows if day == f"{door.clock.now():%Y-%m-%d}"]

    assert [text.split("\n")[0] for text in told] == ["Contact details changed", "Logged in"]
    assert "My details · password and code" in told[-1]
    for key in TOLD:
        assert door.house.words.knows(f"me.ev.{key}")
