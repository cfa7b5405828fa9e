"""Several tabs, browsers, double clicks and Back: nobody meets a dead end (pages 0.5, G13 to G18)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests

from tests.door import SECRET, Door, answer_of, at_once, authorize_url, form_of, words_of
from tests.web.walking import approved, at_mitid, language_of, name_of


@pytest.mark.parametrize("visited", [True, False])
def test_back_in_another_browser(door: Door, visited: bool) -> None:
    """B6, 1.12, D4: the answer in another browser: words for it, the way back, no code; the first still completes."""
    first, second = door.browser("en"), door.browser("en")
    if visited:
        second.authorize()
    back = approved(first, at_mitid(first, client_id="another"))
    page = second.fetch(back)

    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert "If the other one is still open, go back to it. Otherwise start again." in words_of(page)
    assert "https://record.test/start" in page.text
    assert "code" in answer_of(first.fetch(back))
    assert words_of(second.fetch(back)) == words_of(page)  # whoever was sent the address does not see how far it is


def test_cookies_blocked(door: Door) -> None:
    """G18, D4: a browser that keeps no cookies gets words for it at once, and no loop; the service is a press away."""
    browser = door.browser("en")
    begun = browser.fetch(authorize_url(client_id="another"))
    browser.session.cookies.clear()
    page = browser.fetch(begun.headers["Location"])

    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert "The cookies of this login are gone, or you started in another browser." in words_of(page)
    assert "Log in to The record again" in words_of(page)
    assert "https://record.test/start" in page.text


def test_the_address_of_a_sign_in_tells_a_stranger_nothing(door: Door) -> None:
    """E1, 0014: whoever was sent it learns the service: not the language, the door, or how far its person is."""
    browser, stranger = door.browser("da"), door.browser("en")
    page = browser.authorize(client_id="another", door="visits")
    seen = [words_of(stranger.fetch(page.url))]
    browser.press(page, provider="mitid")
    seen.append(words_of(stranger.fetch(page.url)))
    browser.fetch(f"/t/{name_of(page)}/cancel")
    seen.append(words_of(stranger.fetch(page.url)))

    assert len(set(seen)) == 1
    assert "The record" in seen[0]


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
    for page in (browser.get(choice.url), browser.fetch(back), browser.get(f"/t/{name_of(choice)}/cancel")):
        assert (page.status_code, language_of(page)) == (410, "sv")
        assert "https://record.test/start" in page.text
        assert "The record" in words_of(page)


def test_a_link_to_nothing(door: Door) -> None:
    """G17: a transaction nobody knows is gone, without a guess at a service."""
    page = door.browser("en").get("/t/aaaaaaaaaaaaaaaaaaaaaa/choose")

    assert page.status_code == 410
    assert "portal.test" not in page.text
