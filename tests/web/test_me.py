"""My page, through the door: what one sees of oneself, changes, ends and withdraws; and that nobody else can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.accounts.account import Entry
from idbroker.accounts.acted import who_acted
from idbroker.events import Event
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.door import SECRET, form_of
from tests.fallback_door import EMAIL, MOBILE, PASSWORD, FallbackDoor
from tests.web.me_house import (
    ME,
    MINUTE,
    address_of,
    another_day,
    asks_who,
    by_mitid,
    by_password,
    kept,
    part,
    person_of,
    served_for_tests,
)

NEW = "fire grønne cykler i sol"


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


# ---- the way in ------------------------------------------------------------------------------------


def test_one_signs_in_to_it_as_to_any_service(door: FallbackDoor) -> None:
    """Without a sign-on it asks who comes; then it shows what is theirs, addresses masked."""
    door.account("anna")
    browser = door.browser("en")

    assert asks_who(browser.get(ME))
    page = by_password(door, browser)

    assert page.url.endswith(ME)
    assert page.headers["Cache-Control"] == "no-store"
    assert part(page, "contacts") == "Email n•••@e•••.org Change Remove Mobile number ••• 56 Change Remove"
    assert part(page, "clinics") == "Clinea Registered"
    assert "password and code" in part(page, "sessions")
    assert EMAIL not in page.text
    assert MOBILE not in page.text


def test_who_has_an_eid_only_has_no_password_part(door: FallbackDoor) -> None:
    """A person without an account sees sign-ons, consents and clinics; there is nothing else to change."""
    browser = door.browser("en")
    page = by_mitid(browser)

    assert 'id="contacts"' not in page.text
    assert "electronic ID" in part(page, "login")
    assert "MitID" in part(page, "sessions")
    for what in ("email", "phone", "app", "password"):
        assert browser.get(f"{ME}/{what}").url.endswith(ME)


def test_its_code_opens_nothing(door: FallbackDoor) -> None:
    """The code of that sign-in cannot be redeemed, by whoever sees it in an address: the client has no key."""
    browser = door.browser()
    by_mitid(browser)
    came = next(one.url for one in browser.trail if "/me/clinea/back?" in one.url)
    code = re.search(r"[?&]code=([^&]+)", came)
    assert code

    back = f"{door.issuer}{ME}/back"
    refused = [
        door.redeem(code[1], auth, client_id="me.clinea", redirect_uri=back, code_verifier="")
        for auth in (None, ("portal", SECRET))
    ]

    assert {one.status_code for one in refused} <= {400, 401}
    assert not any("access_token" in one.text for one in refused)


def test_who_stops_the_sign_in_is_not_sent_round(door: FallbackDoor) -> None:
    """Cancelled, it says so once, with the way to begin again; no address of anybody's choice is gone on to."""
    browser = door.browser("en")
    choice = browser.get(ME)
    stopped = browser.get(choice.url.replace("/choose", "/cancel"))

    assert "You are not logged in" in stopped.text
    assert 'href="/me/clinea"' in stopped.text
    foreign = browser.fetch(f"{ME}/back?state=https%3A%2F%2Fevil.example")
    assert foreign.headers["Location"] == ME


def test_it_is_found_from_a_finished_sign_in(door: FallbackDoor) -> None:
    """Who goes back into a sign-in that is finished is led to the service, and to their own page; never to it twice."""
    browser = door.browser("en")
    choice = browser.authorize()
    browser.press(browser.press(choice, provider="mitid"), person="anna", outcome="approve")
    asked = next(one.url for one in reversed(browser.trail) if one.url.endswith("/consent"))
    browser.press(browser.get(asked))
    finished = browser.get(choice.url)

    assert f'href="{ME}"' in finished.text
    other = door.browser("en")
    own = other.get(ME)
    other.press(other.press(own, provider="mitid"), person="anna", outcome="approve")
    assert f'href="{ME}"' not in other.get(own.url).text


def test_there_is_no_such_page(door: FallbackDoor) -> None:
    """An unknown clinic or part is not found, before anybody is asked to sign in."""
    browser = door.browser()

    assert browser.get("/me/nowhere").status_code == 404
    assert browser.get(f"{ME}/nothing").status_code == 404


# ---- fresh proofs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["email", "phone", "app", "password"])
def test_changing_asks_for_a_fresh_proof(door: FallbackDoor, what: str) -> None:
    """After 15 minutes one signs in anew before anything can be changed, and lands where one was going (7.5.1)."""
    door.account("anna")
    browser = door.browser("en")
    by_password(door, browser)
    door.clock.move(16 * MINUTE)

    assert browser.get(ME).url.endswith(ME)
    asked = browser.get(f"{ME}/{what}")
    assert asks_who(asked)
    done = by_mitid(browser, path=f"{ME}/{what}")

    assert done.url.endswith(f"{ME}/{what}")


@pytest.mark.parametrize("do", ["forget:email", "noapp", "others", "end:x"])
def test_stale_buttons_ask_for_a_fresh_proof(door: FallbackDoor, do: str) -> None:
    """A sign-on that somebody left open ends no other and forgets no address (ASVS 7.5.1, 7.5.2)."""
    door.account("anna")
    browser = door.browser("en")
    page = by_password(door, browser)
    door.clock.move(16 * MINUTE)

    assert asks_who(browser.press(page, do=do))
    assert address_of(door) == EMAIL


def test_another_persons_fresh_proof_changes_nothing_of_mine(door: FallbackDoor) -> None:
    """Who proves to be somebody else is on their own page, and the form of the tab before does nothing there."""
    door.account("anna")
    door.account("karen")
    browser = door.browser("en")
    mine = by_password(door, browser)
    form = browser.get(f"{ME}/email")
    browser.session.cookies.clear()
    his = by_password(door, browser, "karen")

    for page, fields in ((mine, {"do": "forget:email"}), (form, {"address": "evil@example.org"})):
        browser.press(page, **fields)

    assert "n•••@e•••.org" in his.text
    assert [address_of(door, Channel.EMAIL, who) for who in ("anna", "karen")] == [EMAIL, EMAIL]
    assert browser.get(f"{ME}/email").text.count("evil@example.org") == 0


@pytest.mark.parametrize("nonce", ["", "x.y", None])
def test_forms_of_other_sites_do_nothing(door: FallbackDoor, nonce: str | None) -> None:
    """A form without this sign-on's own value changes nothing (CSRF), another browser's neither."""
    door.account("anna")
    browser, other = door.browser(), door.browser()
    by_password(door, browser)
    foreign = form_of(by_mitid(other, "karen")).hidden["_n"] if nonce is None else nonce

    browser.post(ME, {"do": "forget:email", "_n": foreign})
    browser.post(f"{ME}/email", {"address": "evil@example.org", "_n": foreign})
    browser.post(f"{ME}/password", {"current": PASSWORD, "password": NEW, "_n": foreign})

    assert address_of(door) == EMAIL
    assert door.rooms.counter.hasher.verify(kept(door).password, PASSWORD)


# ---- languages -------------------------------------------------------------------------------------


def test_the_language_is_kept_from_page_to_page(door: FallbackDoor) -> None:
    """Switched on one page with a field filled in, the words change, what was typed stays, and so on the next page."""
    door.account("anna")
    browser = door.browser("da")
    page = by_password(door, browser)
    assert "<h1>Mine oplysninger" in page.text

    finnish = browser.press(browser.get(f"{ME}/email"), address="halvt", lang="fi")

    assert 'lang="fi"' in finnish.text[:40]
    assert 'value="halvt"' in finnish.text
    assert 'lang="fi"' in browser.get(ME).text[:40]
    assert address_of(door) == EMAIL


def test_a_disabled_account_is_not_changed(door: FallbackDoor) -> None:
    """Who signs in with an eID while their account is closed sees no part of it, and changes none."""
    account = door.account("anna")
    browser = door.browser("en")
    by_mitid(browser)
    door.rooms.counter.records.accounts.change(account.person, lambda one: replace(one, disabled=True))

    page = browser.get(ME)

    assert 'id="contacts"' not in page.text
    assert browser.press(page, do="forget:email").url.endswith(ME)
    assert address_of(door) == EMAIL


def test_what_others_did_stays(door: FallbackDoor) -> None:
    """The attack: a colleague looks, and waits until the person's own sign-ins have pushed it off the page (S1)."""
    door.account("anna")
    person, events, at = person_of(door), door.house.durable.events, door.clock.now()
    seen = Event(at=at, kind="patient.viewed", clinic="clinea", person=person, detail={"by": "m-1", "role": "carer"})
    events.record(seen)
    for _ in range(400):
        events.record(replace(seen, kind="signin.granted", provider="mitid", detail={}))

    others = part(by_password(door, door.browser("en")), "others")

    assert "looked at your details" in others
    assert "Logged in" not in others


def test_many_looks_are_one_line(door: FallbackDoor) -> None:
    """The attack: a first look that nobody shall see is followed by so many that it falls off the end."""
    door.account("anna")
    person, events, at = person_of(door), door.house.durable.events, door.clock.now()
    seen = Event(at=at, kind="patient.viewed", clinic="clinea", person=person, detail={"by": "m-1", "role": "carer"})
    events.record(replace(seen, kind="patient.found", at=at - timedelta(days=1)))
    for _ in range(300):
        events.record(seen)

    others = part(by_password(door, door.browser("en")), "others")

    assert "found you in a search" in others
    assert others.count("300 times that day") == 1
    assert others.count("looked at your details") < 5


def test_a_guardian_reads_no_other_s_name(door: FallbackDoor) -> None:
    """The attack: a parent reads, by the password they chose for the child, what the other one is called now."""
    records = door.rooms.counter.records
    child = door.account("anna").person
    other = door.account("karen", given_name="Karen", family_name="Nytnavn").person
    door.enrol(other, "clinea")
    said = {"guardian": other}
    acted = Event(at=door.clock.now(), kind="acting.granted", clinic="clinea", person=child, detail=said)
    by_password(door, door.browser("en"))
    session = door.house.signout.of_person(child)[0]
    assert who_acted(records, session, acted) == "Karen Nytnavn"

    records.accounts.change(child, lambda account: replace(account, guardian="f" * 32))
    assert who_acted(records, session, acted) == ""
    records.accounts.change(child, lambda account: replace(account, guardian=None))
    hidden = Entry(family_name="Nytnavn", protected=True, entered_at=NOW, by="staff")
    records.enrolments.change(other, "clinea", lambda one: one and replace(one, entry=hidden))
    assert who_acted(records, session, acted) == ""


def test_who_acted_is_named(door: FallbackDoor) -> None:
    """A ward reads who acted for them, as their clinic knows the name; a stranger to the clinic stays unnamed."""
    door.account("anna")
    karen = door.account("karen", given_name="Karen", family_name="Testsen").person
    door.enrol(karen, "clinea")
    events, at = door.house.durable.events, door.clock.now()
    acted = Event(at=at, kind="acting.granted", clinic="clinea", person=person_of(door), detail={"guardian": karen})
    events.record(acted)
    events.record(replace(acted, clinic="clineb"))

    others = part(by_password(door, door.browser("en")), "others")

    assert others.count("Somebody logged in on your behalf") == 2
    assert others.count("Done by Karen Testsen") == 1
