"""A forgotten password and a first one, through the door: pages, links from real messages, and the way on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from idbroker.accounts.activation import Invitation, Invited
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.door import Browser, answer_of, form_of
from tests.fallback_door import EMAIL, PASSWORD, FallbackDoor, open_fallback_door

NEW = "fire grønne cykler i sol"
HOUR = timedelta(hours=1)
CLIENT: Mapping[str, Any] = {"start_url": "https://portal.test/start"}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open the whole broker, its courier staying until a test sends him."""
    with open_fallback_door(tmp_path, StoppedClock(NOW), client=CLIENT) as opened:
        vars(opened.rooms.counter.messages)["start"] = lambda: None
        yield opened


def forgot(door: FallbackDoor, browser: Browser, number: str) -> requests.Response:
    """Go to the page and type a number."""
    page = door.at_password(browser)
    return browser.press(browser.get(page.url.replace("/password", "/forgot")), number=number)


def linked(door: FallbackDoor, browser: Browser, person: str = "anna") -> str:
    """Forget somebody's password; return the path of the link that came."""
    forgot(door, browser, door.number(person).display)
    return urlsplit(door.link()).path


def test_all_the_way_back_into_the_sign_in(door: FallbackDoor) -> None:
    """Forgotten, asked for, chosen by the link in the e-mail, and on into the very sign-in that it began in (R37)."""
    door.account("anna")
    browser = door.browser()
    sent = forgot(door, browser, door.number("anna").display)
    assert sent.url.endswith("/sent")

    page = browser.get(door.link())
    assert "Clinea" in page.text
    done = browser.press(page, password=NEW)

    assert "/set/done/" in done.url
    onward = re.search(r'href="(/t/[^"]+/choose)"', done.text)
    assert onward, done.text
    choice = browser.get(onward[1])
    door.deliver()
    code = browser.press(browser.press(choice, provider="fallback"), number=door.number("anna").display, password=NEW)
    assert answer_of(browser.press(code, code=door.code(Channel.SMS)))["code"]


def test_a_link_names_no_child(door: FallbackDoor) -> None:
    """A link shows who reads a mailbox, and no more: the page says that it is for a child, and not for which."""
    kid = door.account("frida", guardian=door.rooms.counter.records.accounts.person(door.number("karen"), NOW))
    door.enrol(kid.person, "clinea", guardian=kid.guardian)

    page = door.browser("en").get(linked(door, door.browser(), "frida"))

    assert "Adgangskoden er til et barn" in page.text
    assert (kid.given_name or "Frida") not in page.text


def test_in_another_browser_the_way_on_is_the_service(door: FallbackDoor) -> None:
    """Chosen on the telephone, it leads to the service: that sign-in is another browser's."""
    door.account("anna")
    path = linked(door, door.browser())
    phone = door.browser()

    done = phone.press(phone.get(path), password=NEW)

    assert "/t/" not in done.text
    assert 'href="https://portal.test/start"' in done.text


def test_a_scanner_takes_nothing_from_the_person(door: FallbackDoor) -> None:
    """GET and HEAD five times: it still works for the person; after that it says that it is gone (F2)."""
    door.account("anna")
    browser = door.browser()
    path = linked(door, browser)
    for _ in range(5):
        assert door.browser().fetch(path).status_code == 200
        assert door.browser().fetch(path, "HEAD").status_code == 200

    assert "/set/done/" in browser.press(browser.get(path), password=NEW).url

    gone = browser.fetch(path)
    assert gone.status_code == 410
    assert re.search(r'href="/t/[^"]+/forgot"', gone.text)


def test_a_dead_link_leads_to_a_new_one(door: FallbackDoor) -> None:
    """Where the sign-in is over, a link that is too old leads to the service; of an unknown one nothing is known."""
    door.account("anna")
    path = linked(door, door.browser())
    door.clock.move(HOUR)

    old, unknown = (door.browser().fetch(one) for one in (path, f"/set/{'A' * 43}"))

    assert (old.status_code, unknown.status_code) == (410, 410)
    assert 'href="https://portal.test/start"' in old.text
    assert "portal.test" not in unknown.text


def test_known_or_not_the_page_is_the_same(door: FallbackDoor) -> None:
    """The answer to a number is the same bytes and the same status, whoever it is (F1; O7)."""
    door.account("anna")
    answers = []
    for person in ("anna", "lars"):
        page = forgot(door, door.browser(), door.number(person).display)
        answers.append((page.status_code, _without_names(page)))

    assert answers[0] == answers[1]
    assert len(door.emails()) == 1


def _without_names(page: requests.Response) -> str:
    """Return a page without what differs between any two sign-ins."""
    return page.text.replace(page.url.split("/")[-2], "ID")


@pytest.mark.parametrize("spelling", ["{0}-{1}", "{0}{1}", "{0} {1}", " {0}.{1} "])
def test_any_spelling(door: FallbackDoor, spelling: str) -> None:
    """A number is taken as it is written (P1)."""
    door.account("anna")
    value = door.number("anna").value

    assert forgot(door, door.browser(), spelling.format(value[:6], value[6:])).url.endswith("/sent")
    assert len(door.emails()) == 1


def test_what_is_no_number_is_said_and_kept(door: FallbackDoor) -> None:
    """A wrong number comes back with the error beside it, and can be put right; nothing was asked."""
    browser = door.browser()

    page = forgot(door, browser, "12345678")

    assert page.url.endswith("/forgot")
    assert 'value="12345678"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert browser.press(page, number=door.number("anna").display).url.endswith("/sent")
    assert 'aria-invalid="true"' not in browser.get(page.url).text


def test_a_number_of_another_country(door: FallbackDoor) -> None:
    """Another country is chosen without losing what was typed, and its numbers are taken."""
    browser = door.browser()
    page = browser.get(door.at_password(browser).url.replace("/password", "/forgot"))

    chosen = browser.press(page, number="131052-308T", country="FI", do="country")

    assert 'value="131052-308T"' in chosen.text
    assert 'aria-invalid="true"' not in chosen.text
    assert browser.press(chosen, number="131052-308T", country="FI").url.endswith("/sent")


def test_a_number_typed_at_the_sign_in_stands_there(door: FallbackDoor) -> None:
    """Nobody types the number twice (WCAG 3.3.7)."""
    door.account("anna")
    browser = door.browser()
    wrong = browser.press(door.at_password(browser), number=door.number("anna").display, password="not this one")

    page = browser.get(wrong.url.replace("/password", "/forgot"))

    assert f'value="{door.number("anna").display}"' in page.text


def test_pressed_twice_it_is_one_letter(door: FallbackDoor) -> None:
    """The same form again asks once; the page is the same."""
    door.account("anna")
    browser = door.browser()
    page = browser.get(door.at_password(browser).url.replace("/password", "/forgot"))

    again = [browser.press(page, number=door.number("anna").display) for _ in range(3)]

    assert all(one.url.endswith("/sent") for one in again)
    assert len(door.emails()) == 1


def test_a_form_of_another_browser_asks_nothing(door: FallbackDoor) -> None:
    """A post that our page did not make does nothing (CSRF), and another browser's cookie opens no page of it."""
    door.account("anna")
    browser = door.browser()
    url = door.at_password(browser).url.replace("/password", "/forgot")

    forged = browser.post(url, {"number": door.number("anna").display, "_n": "forged.value"})

    assert forged.url.endswith("/forgot")
    assert not door.emails()
    assert door.browser().fetch(urlsplit(url).path).status_code == 400


def test_a_weak_password_is_said_and_may_be_another(door: FallbackDoor) -> None:
    """What may not be chosen is said beside the field, by GET; the link works on, and the page in another language."""
    door.account("anna")
    browser = door.browser()
    page = browser.get(linked(door, browser))

    short = browser.press(page, password="kort")

    assert short.history == []
    assert 'aria-invalid="true"' in short.text
    assert "kort" not in short.text.split("<main", 1)[0]
    swedish = browser.press(short, lang="sv")
    assert 'lang="sv"' in swedish.text
    assert "/set/done/" in browser.press(swedish, password=NEW).url


def test_no_text_of_anybodys_choice_is_shown(door: FallbackDoor) -> None:
    """What an address says is wrong is one of our own words, or nothing."""
    door.account("anna")
    browser = door.browser()
    path = linked(door, browser)

    page = browser.get(f"{path}?e=x.500&lang=%3Cscript%3E")

    assert page.status_code == 200
    assert 'aria-invalid="true"' not in page.text
    assert "script>" not in page.text.replace("</script>", "").replace("<script ", "")


def test_double_click(door: FallbackDoor) -> None:
    """The same form twice is done once, and both times it is said that it is done."""
    door.account("anna")
    browser = door.browser()
    page = browser.get(linked(door, browser))

    done = [browser.press(page, password=NEW) for _ in range(2)]

    assert done[0].url == done[1].url
    assert "/set/done/" in done[0].url
    assert [one.split("\n")[0] for one in door.emails()].count("Din adgangskode er ændret") == 1


def test_it_counts_for_nobody_else(door: FallbackDoor) -> None:
    """A page that lay open while somebody else used the link is told that it is gone, not that it is done."""
    door.account("anna")
    path = linked(door, door.browser())
    theirs, mine = door.browser(), door.browser()
    page = mine.get(path)
    theirs.press(theirs.get(path), password=NEW)

    late = mine.press(page, password="seks lilla cykler i sne")

    assert late.status_code == 410


def test_sign_ons_end(door: FallbackDoor) -> None:
    """Whoever sat signed in with the old password is out, refresh tokens too (O13; ASVS 7.4.3)."""
    door.account("anna")
    thief = door.browser()
    page = door.by_password(thief, scope="openid offline_access")
    tokens = door.redeem(answer_of(page)["code"]).json()
    assert door.refresh(tokens["refresh_token"]).status_code == 200
    browser = door.browser()

    browser.press(browser.get(linked(door, browser)), password=NEW)

    assert door.refresh(tokens["refresh_token"]).status_code == 400
    assert "error" in answer_of(thief.authorize(prompt="none"))


def test_the_old_password_is_none_any_more(door: FallbackDoor) -> None:
    """After the change the old one is wrong."""
    door.account("anna")
    browser = door.browser()
    browser.press(browser.get(linked(door, browser)), password=NEW)
    number = door.number("anna").display

    other = door.browser()
    assert other.press(door.at_password(other), number=number, password=PASSWORD).url.endswith("/password")
    assert other.press(door.at_password(other), number=number, password=NEW).url.endswith("/code")


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}])
def test_a_link_names_our_own_host(door: FallbackDoor, headers: Mapping[str, str]) -> None:
    """Whatever Host somebody asks with, the link leads to the configured address (O14)."""
    door.account("anna")
    browser = door.browser()
    page = browser.get(door.at_password(browser).url.replace("/password", "/forgot"))
    fields = {**form_of(page).hidden, "number": door.number("anna").display}

    # A cookie jar goes by the Host that it is told, and would send none.
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.session.cookies)
    sent = requests.post(
        page.url, data=fields, headers={**headers, "Cookie": cookies}, allow_redirects=False, timeout=10
    )

    assert sent.headers["Location"].endswith("/sent")
    assert door.link().startswith(f"{door.issuer}/set/")


def test_nothing_of_the_link_goes_elsewhere(door: FallbackDoor) -> None:
    """No referrer, no cache, nothing loaded from others; the number is masked (O14)."""
    door.account("anna")
    browser = door.browser()
    page = browser.get(linked(door, browser))

    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert door.number("anna").masked in page.text
    assert door.number("anna").value[-4:] not in page.text
    assert EMAIL not in page.text


def test_a_link_is_in_no_log(door: FallbackDoor, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither asking, opening, failing nor choosing leaves the link's secret in a line or an event."""
    door.account("anna")
    browser = door.browser()
    path = linked(door, browser)
    page = browser.get(path)
    browser.press(page, password="kort")
    browser.post(path, {"_n": "forged", "password": NEW})
    browser.fetch(path, "DELETE")
    browser.press(page, password=NEW)
    browser.get(path)

    written = "".join(capfd.readouterr())
    trail = repr(door.house.durable.events.since(NOW - HOUR))

    token = path.rpartition("/")[2]
    assert token not in written + trail
    assert NEW not in written + trail


def test_staff_invite_and_the_person_begins(door: FallbackDoor) -> None:
    """The link of an invitation: whose clinic, a first password, and on to the service (R25)."""
    clinic, client = door.house.settings.clinics.by_id["clinea"], door.house.clients.find("portal")
    assert client is not None
    invitation = Invitation(
        number=door.number("lars"),
        contacts={Channel.EMAIL: EMAIL},
        clinic=clinic,
        client=client,
        by="staff-7",
        language="da",
        exempt="has none",
    )
    receipt = door.rooms.activation.invite(invitation, door.clock.now())
    assert isinstance(receipt, Invited)
    browser = door.browser()

    done = browser.press(browser.get(door.link()), password=NEW)

    assert 'href="https://portal.test/start"' in done.text
    door.deliver()
    number = door.number("lars").display
    code = browser.press(door.at_password(browser), number=number, password=NEW)
    assert answer_of(browser.press(code, code=door.code(Channel.EMAIL)))["code"]


def test_where_nobody_signs_in_by_password(tmp_path: Path) -> None:
    """A clinic without the fallback has no such page: it leads to the choice."""
    with open_fallback_door(tmp_path, StoppedClock(NOW), clinic={"providers": ["mitid"]}) as door:
        browser = door.browser()
        page = browser.get(browser.authorize().url.replace("/choose", "/forgot"))

        assert page.url.endswith("/choose")


def test_after_the_end_there_is_no_page(door: FallbackDoor) -> None:
    """A sign-in that is finished has no forgotten password."""
    door.account("anna")
    browser = door.browser()
    url = door.at_password(browser).url
    browser.get(url.replace("/password", "/cancel"))

    for page in ("forgot", "sent"):
        assert browser.get(url.replace("/password", f"/{page}")).url.endswith("/choose")
    assert door.browser().fetch("/set/done/nothing").status_code == 404


def test_the_address_that_was_typed_by_staff_is_told_of_nothing_else(door: FallbackDoor) -> None:
    """An unverified address gets no reset link."""
    account = door.account("anna")
    mail = account.contact(Channel.EMAIL)
    assert mail is not None
    door.rooms.counter.records.accounts.change(
        account.person, lambda now: now.with_contact(replace(mail, verified_at=None))
    )

    forgot(door, door.browser(), door.number("anna").display)

    assert not door.emails()
    assert len(door.sms()) == 1
