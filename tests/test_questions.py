"""What is asked between the proof and the grant, through the whole broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Agreed, Contact
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.door import Browser, answer_of, claims_of, session_cookie, words_of
from tests.fallback_door import PASSWORD, FallbackDoor, open_fallback_door

TERMS = {"version": "2", "texts": {"da": "Vilkår for klinikken.", "en": "Terms of the clinic."}}
ASKS = {"asks": {"consent": "ask", "sector": "asks", "purpose": {"da": "at vise din tid"}}}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Serve a clinic that asks nothing, one that takes registrations, one whose terms come first."""
    clinics: dict[str, dict[str, Any]] = {
        "open": {"name": "Åben", "country": "DK", "providers": ["mitid", "fallback"], "registration": "automatic"},
        "first": {"name": "Først", "country": "DK", "providers": ["mitid"], "terms": {**TERMS, "before": True}},
    }
    clients: dict[str, dict[str, Any]] = {
        **ASKS,
        "strict": {"minimum": "substantial"},
        "open": {"clinic": "open", "sector": "open"},
        "first": {"clinic": "first", "sector": "first"},
    }
    folder = tmp_path_factory.mktemp("questions")
    with open_fallback_door(folder, StoppedClock(NOW), clinics=clinics, clients=clients) as opened:
        opened.account("anna")
        yield opened


def test_a_password_and_a_code_sign_in_at_level_low(door: FallbackDoor) -> None:
    """Number, password and a code lead to the service, whose token says how weak that is (requirements R7, L5)."""
    answer = answer_of(door.by_password(door.browser()))
    claims = claims_of(door.redeem(answer["code"]).json()["id_token"])
    assert (claims["acr"], claims["amr"][0]) == ("low", "pwd")


def test_an_eid_at_a_lenient_service_is_asked_for_more_than_low(door: FallbackDoor) -> None:
    """A service that takes a password does not take a weaker MitID for it: what it usually proves is asked for."""
    tokens = door.signed_in(person="karen")
    assert claims_of(tokens["id_token"])["acr"] == "substantial"


def test_a_service_that_wants_more_is_not_offered_the_password(door: FallbackDoor) -> None:
    """The password is neither offered nor taken where the service's least level is above it (L5)."""
    browser = door.browser()
    page = browser.authorize(client_id="strict")
    assert 'value="fallback"' not in page.text
    assert browser.press(page, provider="fallback").status_code == 404


def test_a_sign_on_by_password_does_not_open_a_stricter_service(door: FallbackDoor) -> None:
    """A sign-on at low is no answer to a service that wants substantial: single sign-on raises no level."""
    browser = door.browser()
    door.by_password(browser)
    page = browser.authorize(client_id="strict")
    assert page.status_code == 200
    assert page.url.endswith("/choose")


def test_an_essential_level_takes_the_password_away(door: FallbackDoor) -> None:
    """An acr that must be met leaves only the ways that reach it (Core 5.5.1.1, L5)."""
    wanted = '{"id_token":{"acr":{"essential":true,"values":["high"]}}}'
    page = door.browser().authorize(claims=wanted)
    assert 'value="fallback"' not in page.text


def test_consent_is_asked_in_the_sign_on_that_is_there(door: FallbackDoor) -> None:
    """Who is signed on is asked by a new service without a new proof, once, and the sign-on stays the same one."""
    browser = door.browser()
    browser.sign_in("anna")
    before = session_cookie(browser)
    page = browser.authorize(client_id="asks")
    assert page.url.endswith("/consent")
    answer = answer_of(browser.press(page))
    assert "code" in answer
    assert session_cookie(browser) == before
    assert "code" in answer_of(browser.authorize(client_id="asks"))


def test_no_consent_is_access_denied(door: FallbackDoor) -> None:
    """No leads back to the service with access_denied and its state, and releases nothing (checks N1)."""
    browser = door.browser()
    browser.sign_in("karen")
    answer = answer_of(browser.press(browser.authorize(client_id="asks"), do="no"))
    assert (answer["error"], answer["state"]) == ("access_denied", "s-1")


def test_a_question_without_a_page_is_interaction_required(door: FallbackDoor) -> None:
    """With prompt=none a question that is due is interaction_required, and no code (Core 3.1.2.6)."""
    browser = door.browser()
    browser.sign_in("nikolaj")
    answer = answer_of(browser.authorize(client_id="asks", prompt="none"))
    assert answer["error"] == "interaction_required"


def test_a_question_dies_with_the_sign_on_it_is_asked_in(door: FallbackDoor) -> None:
    """Who signed out while being asked is not let in by the answer: the choice is there again (O13)."""
    browser = door.browser()
    browser.sign_in("sten")
    page = browser.authorize(client_id="asks")
    kept = door.house.sessions
    key = next(iter(kept_sessions(door, browser)))
    kept.take(key)
    after = browser.press(page)
    assert after.url.endswith("/choose")


def test_an_answer_to_a_question_is_this_browsers_alone(door: FallbackDoor) -> None:
    """Another browser that has the address of a question gets nothing, and answers nothing (E1)."""
    browser, stranger = door.browser(), door.browser()
    browser.sign_in("mogens")
    page = browser.authorize(client_id="asks")
    assert stranger.get(page.url).status_code == 400
    assert stranger.press(page).status_code == 400


def test_nobody_registers_by_password(door: FallbackDoor) -> None:
    """Who registers proves who they are with an eID: the password is neither offered nor taken (R19)."""
    browser = door.browser()
    page = browser.press(browser.authorize(client_id="open"), do="register")
    assert 'value="fallback"' not in page.text
    assert browser.press(page, provider="fallback").status_code == 404


def test_nobody_registers_where_nobody_is_asked_to(door: FallbackDoor) -> None:
    """A clinic that takes no registrations offers none, whatever is posted (R22)."""
    browser = door.browser()
    assert browser.press(browser.authorize(), do="register").status_code == 404


def test_a_stranger_to_the_clinic_is_asked_before_anything_is_granted(door: FallbackDoor) -> None:
    """Somebody whom the clinic does not know registers first; nothing is granted before the last page (R19, R28)."""
    browser = door.browser()
    page = browser.press(browser.authorize(client_id="open"), provider="mitid")
    page = browser.press(page, person="susan", outcome="approve")
    assert page.url.endswith("/contact")
    assert session_cookie(browser) is None


def test_the_number_is_asked_for_and_not_told(door: FallbackDoor) -> None:
    """A clinic that knows people by their number has the eID asked for it; a service without the scope is not told."""
    tokens = door.signed_in(person="anna", scope="openid profile")
    assert "national_number" not in door.userinfo(tokens["access_token"]).json()


def test_terms_come_before_the_eid(door: FallbackDoor) -> None:
    """Where nothing may begin without, no page, post or hint leads past the terms (R41)."""
    browser = door.browser()
    page = browser.authorize(client_id="first")
    assert page.url.endswith("/terms")
    assert "Vilkår for klinikken." in words_of(page)
    assert browser.get(page.url.replace("/terms", "/choose")).url.endswith("/terms")
    moved = browser.post(page.url.replace("/terms", "/choose"), {"_n": _nonce(page.text), "provider": "mitid"})
    assert moved.url.endswith("/terms")


def test_terms_are_kept_with_the_person_and_remembered_by_the_browser(door: FallbackDoor) -> None:
    """What was accepted before the eID is noted with whoever then signs in; this browser is not asked again (R41)."""
    browser = door.browser()
    page = browser.press(browser.authorize(client_id="first"))
    page = browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve")
    assert "code" in answer_of(page)
    records = door.rooms.counter.records
    person = records.accounts.person(door.number("anna"), door.clock.now())
    kept = records.consents.current(person, Agreed.TERMS, "first")
    assert kept is not None
    assert kept.version == "2"
    assert "code" in answer_of(browser.authorize(client_id="first"))


def test_declined_terms_end_the_sign_in(door: FallbackDoor) -> None:
    """Who does not accept goes back to the service with access_denied; nobody was identified (R41)."""
    browser = door.browser()
    answer = answer_of(browser.press(browser.authorize(client_id="first"), do="no"))
    assert answer["error"] == "access_denied"


def test_what_was_typed_outlives_another_language(door: FallbackDoor) -> None:
    """Another language, or a forgotten password, keeps the number that was typed, and no password (WCAG 3.3.7, D3)."""
    browser = door.browser()
    page = browser.press(door.at_password(browser), number="740385-0101", password=PASSWORD, lang="sv")
    assert 'value="740385-0101"' in page.text
    assert PASSWORD not in page.text
    page = browser.press(page, number="7403850101", do="forgot")
    assert 'value="7403850101"' in page.text


def test_every_sign_on_of_a_person_can_be_ended(door: FallbackDoor) -> None:
    """All browsers of one person are signed out at once, and nobody else's (ASVS 7.4.2)."""
    one, two, other = door.browser(), door.browser(), door.browser()
    for browser, person in ((one, "anna"), (two, "anna"), (other, "susan")):
        browser.sign_in(person)
    person = door.rooms.counter.records.accounts.person(door.number("anna"), door.clock.now())
    assert door.house.signout.end_person(person, "test") >= 2
    assert [b.authorize().status_code for b in (one, two, other)] == [200, 200, 303]


def test_a_refresh_token_does_not_outlive_its_person(door: FallbackDoor) -> None:
    """Ending a person ends refresh tokens whose sign-on is long over, and nobody else's (ASVS 7.4.2, O13)."""
    ended, other = (door.signed_in(person=who, scope="openid offline_access") for who in ("karen", "sten"))
    person = door.rooms.counter.records.accounts.person(door.number("karen"), door.clock.now())
    for key in door.house.index.of_person(person):
        door.house.sessions.take(key)

    door.house.signout.end_person(person, "disabled")

    assert door.refresh(ended["refresh_token"]).status_code == 400
    assert door.userinfo(ended["access_token"]).status_code == 401
    assert door.refresh(other["refresh_token"]).status_code == 200


def test_a_dead_channel_is_said_at_the_next_look(door: FallbackDoor) -> None:
    """A code that could not be sent is said when the page is looked at again, and the other channel is offered."""
    door.account("carl")
    browser = door.browser()
    door.texts.status = 400
    page = door.at_code(browser, "carl")
    door.deliver()
    door.texts.status = 200
    again = browser.get(page.url)
    assert 'class="note warn"' in again.text
    assert 'value="email"' in again.text


def test_who_is_locked_out_is_told(door: FallbackDoor) -> None:
    """Somebody whose password is locked by guesses hears of it once; a number that nobody has tells nobody (6.3.5)."""
    door.account("tove")
    before = len(door.emails())
    for who in ("tove", "petra"):
        for _ in range(6):
            browser = door.browser()
            browser.press(door.at_password(browser), number=door.number(who).display, password="forkert kode her")
    told = door.emails()[before:]
    assert len(told) == 1
    assert "10.15" in told[0]


def test_a_proof_that_waits_ends_with_the_password(door: FallbackDoor) -> None:
    """The attack: a thief stops at a question; the owner's new password, or staff, end that proof too (O13)."""
    thief = door.browser()
    mobile = Contact(channel=Channel.SMS, address="+4520123499", verified_at=NOW)
    account = door.account("mogens", contacts=(mobile,))
    page = door.at_code(thief, "mogens", client_id="asks")
    page = thief.press(page, code=door.code(Channel.SMS))
    assert page.url.endswith("/consent")
    door.clock.move(timedelta(seconds=1))

    door.house.signout.end_person(account.person, "disabled")

    assert thief.press(page).url.endswith("/choose")
    assert session_cookie(thief) is None


def test_a_proof_that_waits_ends_with_its_account(door: FallbackDoor) -> None:
    """The attack: a proof held at a question outlives the account: closed, or given back to whose it is (O13)."""
    held = door.browser()
    mobile = Contact(channel=Channel.SMS, address="+4520123498", verified_at=NOW)
    account = door.account("nikolaj", contacts=(mobile,))
    page = door.at_code(held, "nikolaj", client_id="asks")
    page = held.press(page, code=door.code(Channel.SMS))
    door.rooms.counter.records.accounts.change(account.person, lambda one: replace(one, disabled=True))

    assert held.press(page).url.endswith("/choose")


def test_an_eid_confirms_no_password_of_somebody_else(door: FallbackDoor) -> None:
    """The attack: an invitation read by another, who chose a password; the person's own MitID must not confirm it."""
    theirs = Contact(channel=Channel.SMS, address="+4520123497", verified_at=NOW)
    account = door.account("karen", contacts=(theirs,), confirmed_at=None)
    assert door.at_code(door.browser(), "karen").url.endswith("/choose")
    door.signed_in(person="karen")
    kept = door.rooms.counter.records.accounts.of(account.person)
    assert kept is not None
    assert (kept.password, kept.contacts) == (None, ())


def test_an_eid_confirms_the_password_that_was_just_typed(door: FallbackDoor) -> None:
    """Who typed the password and then shows an eID, in one sign-in, has confirmed it, and it is taken now (R26)."""
    browser = door.browser()
    own = Contact(channel=Channel.SMS, address="+4520123496", verified_at=NOW)
    account = door.account("sten", contacts=(own,), confirmed_at=None)
    page = door.at_code(browser, "sten")
    page = browser.press(browser.press(page, provider="mitid"), person="sten", outcome="approve")
    assert "code" in answer_of(page)
    kept = door.rooms.counter.records.accounts.of(account.person)
    assert kept is not None
    assert kept.confirmed_at is not None
    assert kept.password is not None
    assert door.at_code(door.browser(), "sten").url.endswith("/code")


def test_a_mailbox_replaces_no_telephone(door: FallbackDoor) -> None:
    """The attack: who reads somebody's e-mail signs in by it, and makes their own telephone the second factor."""
    contacts = (
        Contact(channel=Channel.EMAIL, address="susan@example.org", verified_at=NOW),
        Contact(channel=Channel.SMS, address="+4520123495", verified_at=NOW),
    )
    door.account("susan", contacts=contacts)
    browser = door.browser()
    page = browser.press(door.at_code(browser, "susan"), do="email")
    assert "code" in answer_of(browser.press(page, code=door.code()))
    texts = len(door.sms())

    page = browser.press(browser.get("/me/clinea/phone"), do="address", address="+4520123494")

    assert "kode på e-mail" in words_of(page)
    assert len(door.sms()) == texts


def test_a_sign_in_ends_after_an_hour(door: FallbackDoor) -> None:
    """The attack: a proof parked at a question and kept alive by switching languages, to be used another day (O13)."""
    browser = door.browser()
    browser.sign_in("petra")
    page = browser.authorize(client_id="asks")
    for language in ("sv", "da"):
        door.clock.move(timedelta(minutes=25))
        page = browser.press(page, lang=language)
    door.clock.move(timedelta(minutes=25))
    late = browser.press(page)
    assert late.url.endswith("/choose")
    records = door.rooms.counter.records
    person = records.accounts.person(door.number("petra"), door.clock.now())
    assert records.consents.current(person, Agreed.RELEASE, "asks") is None


def test_no_answer_is_written_after_a_logout(door: FallbackDoor) -> None:
    """The attack: whoever finds a page left open answers it for somebody who has signed out (F1)."""
    browser = door.browser()
    tokens = door.signed_in(browser, "karen")
    page = browser.authorize(client_id="asks")
    browser.get(f"/logout?id_token_hint={tokens['id_token']}")
    assert browser.press(page).url.endswith("/choose")
    records = door.rooms.counter.records
    person = records.accounts.person(door.number("karen"), door.clock.now())
    assert records.consents.current(person, Agreed.RELEASE, "asks") is None


def test_nobody_registers_on_an_old_proof(door: FallbackDoor) -> None:
    """The attack: a sign-on left for hours makes a password in its person's name (ASVS 7.5.1)."""
    browser = door.browser()
    browser.sign_in("petra")
    for _ in range(2):
        door.clock.move(timedelta(minutes=20))
        browser.authorize()
    assert browser.authorize(client_id="open").url.endswith("/choose")


def test_another_person_reads_the_terms_themselves(door: FallbackDoor) -> None:
    """Terms that one person accepted in a browser are asked of the next one in it, who never saw them (F11)."""
    first = door.browser()
    page = first.press(first.authorize(client_id="first"))
    first.press(first.press(page, provider="mitid"), person="anna", outcome="approve")
    first.session.cookies.pop("s")
    page = first.authorize(client_id="first")
    page = first.press(first.press(page, provider="mitid"), person="sten", outcome="approve")
    assert page.url.endswith("/terms")


def test_a_restart_forgets_no_tries(tmp_path: Path) -> None:
    """A broker that starts again knows how often somebody has guessed (standards 2.6 O3)."""
    clock = StoppedClock(NOW)
    with open_fallback_door(tmp_path, clock) as door:
        door.account("anna")
        for _ in range(4):
            browser = door.browser()
            page = browser.press(
                door.at_password(browser), number=door.number("anna").display, password="forkert kode her"
            )
            assert page.url.endswith("/password")
    with open_fallback_door(tmp_path, clock) as door:
        browser = door.browser()
        page = browser.press(door.at_password(browser), number=door.number("anna").display, password="forkert kode her")
        assert "10.15" in words_of(page)
        clock.move(timedelta(minutes=16))
        assert door.at_code(door.browser()).url.endswith("/code")


def kept_sessions(door: FallbackDoor, browser: Browser) -> list[str]:
    """Return the key of a browser's sign-on."""
    kept = door.house.signout.session(session_cookie(browser))
    return [kept.key] if kept else []


def _nonce(text: str) -> str:
    return text.split('name="_n" value="')[1].split('"', maxsplit=1)[0]
