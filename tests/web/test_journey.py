"""The journey of a person: languages, tabs, double clicks, Back, failures at the eID (pages 0.5, 1.12, G11 to G18)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.door import SECRET, Browser, Door, answer_of, at_once, authorize_url, claims_of, form_of, open_door, words_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
REF = re.compile(r"\b[A-HJ-NP-Z2-9]{6}\b")
CLIENTS: dict[str, dict[str, Any]] = {
    "high": {"minimum": "high"},
    "another": {"name": {"da": "Journalen", "en": "The record"}, "start_url": "https://record.test/start"},
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Open the broker once."""
    with open_door(tmp_path_factory.mktemp("journey"), StoppedClock(NOW), clients=CLIENTS) as door:
        yield door


@pytest.fixture
def door(opened: Door) -> Iterator[Door]:
    """Give the broker, healed afterwards."""
    yield opened
    opened.faults.clear()


def name_of(page: requests.Response) -> str:
    """Return the transaction of a page."""
    return urlsplit(page.url).path.split("/")[2]


def at_mitid(browser: Browser, **asked: str) -> requests.Response:
    """Return MitID's page."""
    return browser.press(browser.authorize(**asked), provider="mitid")


def approved(browser: Browser, page: requests.Response, person: str = "anna", outcome: str = "approve") -> str:
    """Press at MitID and return where it sends the browser, without going there."""
    form = form_of(page)
    url = urljoin(page.url, form.action)
    answer = browser.fetch(url, "POST", data={**form.hidden, "person": person, "outcome": outcome})
    return answer.headers["Location"]


# ---- languages -----------------------------------------------------------------------------------


def language_of(page: requests.Response) -> str:
    """Return the page's language."""
    found = re.search(r'<html lang="([^"]*)"', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("browser_says", "portal_says", "spoken"),
    [
        ("da", "", "da"), ("sv-SE,sv;q=0.9", "", "sv"), ("fi", "", "fi"), ("en-GB", "", "en"), ("nb-NO", "", "nb"),
        ("no", "", "nb"), ("nn", "", "nb"), ("se,fi;q=0.5", "", "fi"), ("da", "sv", "sv"), ("da", "xx fi", "fi"),
        ("da", "no", "nb"), ("", "", "da"), ("tlh", "", "da"), ("*;q=0", "", "da"), (";;q=x,\u0000"[:5], "", "da"),
    ],
)  # fmt: skip
def test_the_language_is_the_persons(door: Door, browser_says: str, portal_says: str, spoken: str) -> None:
    """G11: what the portal asks for, else what the browser speaks, else the clinic's own; "no" is Norwegian."""
    page = door.browser(browser_says).authorize(ui_locales=portal_says)

    assert language_of(page) in ((spoken, "en") if browser_says in ("", "tlh", "*;q=0", ";;q=x") else (spoken,))


def test_switching_the_language_keeps_everything(door: Door) -> None:
    """G11: two switches, the same transaction, the same step; the sign-in ends as it would have."""
    browser = door.browser("da")
    first = browser.authorize()
    second = browser.press(first, lang="fi")
    third = browser.press(second, lang="en")
    answer = answer_of(browser.press(browser.press(third, provider="mitid"), person="anna", outcome="approve"))

    assert [language_of(page) for page in (first, second, third)] == ["da", "fi", "en"]
    assert {name_of(page) for page in (first, second, third)} == {name_of(first)}
    assert (answer["state"], "code" in answer) == ("s-1", True)


def test_the_language_is_kept_for_the_next_time(door: Door) -> None:
    """G11: after a sign-in the device remembers the language that was used."""
    browser = door.browser("da")
    page = browser.press(browser.authorize(), lang="sv")
    browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve")

    assert language_of(browser.authorize(prompt="login")) == "sv"


def test_the_service_has_its_name_in_each_language(door: Door) -> None:
    """1.1: the service is called as it calls itself in the person's language."""
    browser = door.browser("da")
    page = browser.authorize(client_id="another")

    assert "Journalen" in words_of(page)
    assert "The record" in words_of(browser.press(page, lang="en"))


# ---- no, not now, not so -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_cancel_goes_back_to_the_service(door: Door, mode: str) -> None:
    """1.1: the link "cancel" tells the service access_denied, with its state and our name; again the same."""
    browser = door.browser()
    page = browser.authorize(response_mode=mode)
    cancelled = browser.fetch(f"/t/{name_of(page)}/cancel")
    answer = answer_of(cancelled)

    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "s-1", door.issuer)
    assert "already" not in words_of(cancelled)


NOT_SIGNED_IN = {
    "cancel": ("You came back from MitID without logging in. Nothing was sent.", False),
    "timeout": ("Too much time passed at MitID.", True),
    "blocked": ("MitID says that your ID is blocked.", True),
    "lower_level": ("needs a stronger way to log in.", True),
}


@pytest.mark.parametrize(("outcome", "words", "ref"), [(o, *said) for o, said in NOT_SIGNED_IN.items()])
def test_what_went_wrong_is_said_and_another_try_works(door: Door, outcome: str, words: str, ref: bool) -> None:
    """1.12: back at the choice with words for what happened, in the person's language; the next try succeeds."""
    browser = door.browser("en")
    page = browser.press(at_mitid(browser, client_id="high"), person="anna", outcome=outcome)
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert words in words_of(page)
    assert ("Give the code" in words_of(page)) is ref
    assert (answer["state"], "code" in answer) == ("s-1", True)


def test_the_words_are_in_the_persons_language(door: Door) -> None:
    """1.12, G11: the notice follows a switch of language."""
    browser = door.browser("da")
    page = browser.press(at_mitid(browser), person="anna", outcome="cancel")
    swedish = browser.press(page, lang="sv")

    assert "Du kom tilbage fra MitID uden at logge ind." in words_of(page)
    assert "utan att logga in" in words_of(swedish)


def test_a_reload_shows_the_notice_again(door: Door) -> None:
    """G13: F5 after a failure shows the same page; nothing is sent again."""
    browser = door.browser("en")
    page = browser.press(at_mitid(browser), person="anna", outcome="cancel")
    again = browser.get(page.url)

    assert words_of(again) == words_of(page)


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 500}, {"status": 404}, {"lies": ["not_json"]}], ids=str)
def test_mitid_out_of_order_when_it_answers(door: Door, fault: dict[str, Any]) -> None:
    """C2: MitID fails between approval and answer: words, a code to tell us, an event with it; later it works."""
    browser = door.browser("en")
    back = approved(browser, at_mitid(browser))
    door.faults.set("mitid", fault)
    page = browser.get(back)
    door.faults.clear()
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert page.status_code == 200
    assert urlsplit(page.url).path.endswith("/choose")
    assert "MitID is not answering right now" in words_of(page)
    events = door.house.durable.events.since(door.clock.now() - timedelta(seconds=1), kind="provider.failed")
    assert (events[-1].detail["code"], events[-1].provider) == ("unreachable", "mitid")
    assert REF.fullmatch(events[-1].ref or "")
    assert "code" in answer


def test_mitid_down_before_it_begins(tmp_path_factory: pytest.TempPathFactory) -> None:
    """C2: MitID was never reached: the choice says so, and works once MitID does."""
    with open_door(tmp_path_factory.mktemp("down"), StoppedClock(NOW)) as fresh:
        fresh.faults.set("mitid", {"down": True})
        browser = fresh.browser("en")
        page = browser.press(browser.authorize(), provider="mitid")
        hinted = browser.get(authorize_url(idp="mitid"))
        fresh.faults.clear()
        fresh.clock.move(timedelta(minutes=2))
        answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert "MitID is not answering right now" in words_of(page)
    assert "MitID is not answering right now" in words_of(hinted)
    assert "code" in answer


@pytest.mark.parametrize(
    "lie", ["bad_signature", "alg_none", "wrong_nonce", "wrong_aud", "wrong_response_iss", "expired"]
)
def test_an_answer_that_lies_is_not_believed(door: Door, lie: str) -> None:
    """B9, 1.12: a forged answer signs nobody in; the person may try again, and the code helps us find it."""
    browser = door.browser("en")
    page = at_mitid(browser)
    door.faults.set("mitid", {"lies": [lie]})
    page = browser.press(page, person="anna", outcome="approve")
    door.faults.clear()
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert "We could not use the answer from MitID." in words_of(page)
    shown = REF.search(words_of(page).partition("Give the code")[2])
    event = door.house.durable.events.since(door.clock.now() - timedelta(seconds=1), kind="provider.failed")[-1]
    assert shown is not None
    assert (event.ref, event.detail) == (shown[0], {"code": "untrusted"})
    assert "code" in answer


def test_a_script_in_an_error_is_not_shown(door: Door) -> None:
    """B11: what the eID says about its error is not repeated to the person."""
    browser = door.browser("en")
    page = at_mitid(browser)
    door.faults.set("mitid", {"lies": ["script_in_error"]})
    page = browser.press(page, person="anna", outcome="cancel")

    assert "<script>alert" not in page.text
    assert page.status_code == 200


# ---- browsers, tabs, Back ------------------------------------------------------------------------


@pytest.mark.parametrize("visited", [True, False])
def test_back_in_another_browser(door: Door, visited: bool) -> None:
    """B6, 1.12: the answer in another browser: words for it, no code; the first browser still completes."""
    first, second = door.browser("en"), door.browser("en")
    if visited:
        second.authorize()
    back = approved(first, at_mitid(first))
    page = second.fetch(back)

    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert "Go back to the one you started in. It is waiting for you." in words_of(page)
    assert "code" in answer_of(first.fetch(back))


def test_cookies_blocked(door: Door) -> None:
    """G18: a browser that keeps no cookies gets words for it at once, and no loop."""
    browser = door.browser("en")
    begun = browser.fetch(authorize_url())
    browser.session.cookies.clear()
    page = browser.fetch(begun.headers["Location"])

    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert "Your browser does not keep cookies for this page." in words_of(page)


def test_the_answer_again_is_the_same_redirect(door: Door) -> None:
    """0.5.5, B6: a repeated last step gets the same redirect with the same code for a minute, then "already"."""
    browser = door.browser("en")
    back = approved(browser, at_mitid(browser))
    first, second = browser.fetch(back), browser.fetch(back)
    door.clock.move(timedelta(seconds=61))
    late = browser.get(back)

    assert first.status_code == 303
    assert second.headers["Location"] == first.headers["Location"]
    assert "You are already logged in" in words_of(late)
    assert "https://portal.test/" in late.text


def test_a_redeemed_code_is_not_sent_again(door: Door) -> None:
    """0.5.5: once the portal has the tokens, Back does not bring it the code again: that would end them."""
    browser = door.browser("en")
    back = approved(browser, at_mitid(browser))
    tokens = door.redeem(answer_of(browser.fetch(back))["code"]).json()
    page = browser.get(back)

    assert "You are already logged in" in words_of(page)
    assert door.userinfo(tokens["access_token"]).status_code == 200


def test_pages_of_a_finished_sign_in(door: Door) -> None:
    """G14: Back to any earlier page afterwards: no error, the way to the service; a form sent again ends nothing."""
    browser = door.browser("en")
    choice = browser.authorize(client_id="another")
    answer = answer_of(browser.press(browser.press(choice, provider="mitid"), person="anna", outcome="approve"))
    tokens = door.redeem(answer["code"], auth=("another", SECRET)).json()
    for page in (
        browser.get(choice.url),
        browser.press(choice, provider="mitid"),
        browser.press(choice, lang="en"),
        browser.get(f"/t/{name_of(choice)}/cancel"),
    ):
        assert (page.status_code, "You are already logged in" in words_of(page)) == (200, True)
        assert "https://record.test/start" in page.text
    assert door.userinfo(tokens["access_token"]).status_code == 200


def test_two_tabs_both_end_at_their_portal(door: Door) -> None:
    """G16: two sign-ins in one browser do not disturb each other, whichever ends first."""
    browser = door.browser()
    one, two = at_mitid(browser, state="one"), at_mitid(browser, state="two", client_id="another")
    answers = [answer_of(browser.press(page, person="anna", outcome="approve")) for page in (two, one)]

    assert [answer["state"] for answer in answers] == ["two", "one"]
    assert door.redeem(answers[0]["code"], auth=("another", SECRET)).status_code == 200
    assert door.redeem(answers[1]["code"]).status_code == 200


def test_of_nine_tabs_the_oldest_is_dropped(door: Door) -> None:
    """0.5.1: at most eight sign-ins at a time in one browser; the newest eight work on."""
    browser = door.browser("en")
    tabs = []
    for _ in range(9):
        tabs.append(browser.authorize())
        door.clock.move(timedelta(seconds=1))
    shown = [browser.fetch(tab.url).status_code for tab in tabs]

    assert len([c for c in browser.session.cookies if c.name.startswith("t-")]) == 8
    assert shown == [400] + [200] * 8


def test_a_double_click_leads_to_one_place(door: Door) -> None:
    """G15: the same form posted twice, and eight times at once, leads to the same address of MitID's."""
    browser = door.browser()
    for count in (2, 8):
        choice = browser.authorize()
        form = form_of(choice)
        posted = {**form.hidden, "provider": "mitid"}
        cookies = dict(browser.session.cookies)

        def post(url: str = choice.url, fields: dict[str, str] = posted, sent: dict[str, str] = cookies) -> str:
            answer = requests.post(url, data=fields, cookies=sent, allow_redirects=False, timeout=10)
            return f"{answer.status_code} {answer.headers.get('Location')}"

        places = [post(), post()] if count == 2 else at_once(count, post)
        assert len(set(places)) == 1
        assert places[0].startswith("303 http://127.0.0.1:")


def test_a_double_return_loses_nothing(door: Door) -> None:
    """G15: MitID's answer fetched several times at once: nobody is told that it failed, and the person gets in."""
    browser = door.browser("en")
    page = at_mitid(browser)
    back = approved(browser, page)
    cookies = dict(browser.session.cookies)
    answers = at_once(
        4, lambda: requests.get(back, cookies=cookies, allow_redirects=False, timeout=10).headers.get("Location", "")
    )
    after = browser.fetch(back)

    assert len({place for place in answers if "code=" in place}) == 1
    assert answer_of(after)["code"]


def test_choosing_again_makes_the_older_way_worthless(door: Door) -> None:
    """G14: Back to the choice and again to MitID: the first MitID page's answer is not taken, the second's is."""
    browser = door.browser()
    choice = browser.authorize()
    first = browser.press(choice, provider="mitid")
    second = browser.press(browser.get(choice.url), provider="mitid")
    stale = browser.fetch(approved(browser, first))
    answer = answer_of(browser.fetch(approved(browser, second)))

    assert stale.headers["Location"].endswith("/choose")
    assert "code" in answer


def test_an_answer_is_only_taken_at_its_own_address(door: Door) -> None:
    """B1: MitID's answer brought to the return address of another eID is not taken there."""
    browser = door.browser()
    back = approved(browser, at_mitid(browser))

    assert browser.fetch(back.replace("/callback/mitid", "/callback/bankid")).status_code == 404
    assert "code" in answer_of(browser.fetch(back))


def test_an_answer_may_be_posted(door: Door) -> None:
    """1.12: an answer by form post comes without our Lax cookie and is taken by the GET that follows."""
    browser = door.browser()
    back = approved(browser, at_mitid(browser))
    url, _, query = back.partition("?")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = requests.post(url, data=query, headers=form, allow_redirects=False, timeout=5)

    assert "code" in answer_of(browser.fetch(posted.headers["Location"]))


def test_too_late(door: Door) -> None:
    """0.5.7, G17: after thirty minutes the page says so, in the person's language, with the way to the service."""
    browser = door.browser("sv")
    choice = browser.authorize(client_id="another")
    back = approved(browser, browser.press(choice, provider="mitid"))
    door.clock.move(timedelta(minutes=31))
    for page in (
        browser.get(choice.url),
        browser.press(choice, provider="mitid"),
        browser.fetch(back),
        browser.get(f"/t/{name_of(choice)}/cancel"),
    ):
        assert (page.status_code, language_of(page)) == (410, "sv")
        assert "https://record.test/start" in page.text
        assert "The record" in words_of(page)


def test_a_link_to_nothing(door: Door) -> None:
    """G17: a transaction nobody knows is gone, without a guess at a service."""
    page = door.browser("en").get("/t/aaaaaaaaaaaaaaaaaaaaaa/choose")

    assert page.status_code == 410
    assert "portal.test" not in page.text


# ---- who -----------------------------------------------------------------------------------------


def told(door: Door, person: str, outcome: str = "approve") -> dict[str, Any]:
    """Sign somebody in and return what the portal learns of them."""
    code = door.browser().sign_in(person, outcome, scope="openid profile national_number")["code"]
    claims: dict[str, Any] = door.userinfo(door.redeem(code).json()["access_token"]).json()
    return claims


def test_somebody_without_a_number(door: Door) -> None:
    """1.13: who has MitID but no CPR number signs in; the portal learns no number."""
    claims = told(door, "nora")

    assert claims["name"] == door.people["nora"].name
    assert not {"national_number", "national_number_country"} & claims.keys()


def test_somebody_with_a_protected_name(door: Door) -> None:
    """A protected name is told as any other to a public health service, and stands in no line of ours."""
    claims = told(door, "petra")

    assert claims["national_number"] == door.people["petra"].number


def test_the_same_person_is_the_same_with_and_without_a_number(door: Door) -> None:
    """B8: the number missing once does not make another person of somebody."""
    assert told(door, "anna")["sub"] == told(door, "anna", "no_number")["sub"]


def test_different_people_are_different(door: Door) -> None:
    """A26: two people never share a `sub`."""
    assert len({told(door, person)["sub"] for person in ("anna", "susan", "petra", "nora")}) == 4


def test_the_service_may_name_the_way(door: Door) -> None:
    """C3: `idp=mitid` skips the choice, and after a cancel the choice is there; another name is only a wish."""
    browser = door.browser("en")
    straight = browser.authorize(idp="mitid")
    back = browser.press(straight, person="anna", outcome="cancel")
    wished = browser.authorize(idp="bankid")

    assert 'name="person"' in straight.text
    assert "How do you want to log in?" in words_of(back)
    assert "How do you want to log in?" in words_of(wished)


def test_enter_means_the_first_way(door: Door) -> None:
    """G9: the form sent without a button goes to the first way offered."""
    browser = door.browser()

    assert 'name="person"' in browser.press(browser.authorize()).text


def test_a_service_removed_meanwhile(door: Door) -> None:
    """G17: a service that was removed while somebody signed in: the page is gone, not broken."""
    registered = door.house.clients.find("portal")
    assert registered is not None
    door.house.clients.save(type(registered)(**{**fields_of(registered), "id": "passing"}))
    browser = door.browser()
    choice = browser.authorize(client_id="passing")
    door.house.clients.remove("passing")

    for page in (browser.get(choice.url), browser.press(choice, provider="mitid")):
        assert page.status_code == 410


def fields_of(value: Any) -> dict[str, Any]:
    """Return a frozen value's fields."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_single_sign_on_shows_no_page(door: Door) -> None:
    """G16: who is signed on comes to a second service without a page, with that service's own `sub`-free code."""
    browser = door.browser()
    first = door.signed_in(browser)
    answer = answer_of(browser.fetch(authorize_url(client_id="another")))
    second = door.redeem(answer["code"], auth=("another", SECRET)).json()

    assert claims_of(second["id_token"])["auth_time"] == claims_of(first["id_token"])["auth_time"]
    assert claims_of(second["id_token"])["sid"] != claims_of(first["id_token"])["sid"]
