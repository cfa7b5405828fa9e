"""The pages of signing out: words, languages, the way on (pages.md 1.16; standards 1.6)."""

from __future__ import annotations

import pytest

from tests.door import Door, form_of, session_cookie, words_of
from tests.web.walking import language_of

BYE = "https://portal.test/bye"


def test_the_question_can_be_read_in_every_language(door: Door) -> None:
    """G11: switching the language at the question keeps the question, and signs nobody out."""
    browser = door.browser("da")
    browser.sign_in()
    question = browser.get("/logout?client_id=portal&state=kept")
    for language in ("sv", "fi", "en", "nb"):
        question = browser.press(question, lang=language)
        assert (question.status_code, language_of(question)) == (200, language)
        assert form_of(question).hidden["state"] == "kept"
        assert "lang" not in form_of(question).hidden
    done = browser.press(question, confirm="yes")

    assert session_cookie(browser) is None
    assert "Portalen" in words_of(done)
    assert language_of(done) == "nb"


def test_the_portal_chooses_the_language_of_the_question(door: Door) -> None:
    """RP-Initiated Logout 2: `ui_locales` goes before the browser's language."""
    browser = door.browser("da")
    browser.sign_in()

    assert language_of(browser.get("/logout?ui_locales=xx%20fi")) == "fi"


def test_the_way_on_is_the_services_own(door: Door) -> None:
    """1.16: after the logout a button leads to the service, and the person is told to mind a shared computer."""
    browser = door.browser("en")
    tokens = door.signed_in(browser)
    done = browser.get(f"/logout?id_token_hint={tokens['id_token']}")

    assert "You are logged out" in words_of(done)
    assert "Is this a shared computer?" in words_of(done)
    assert 'href="https://portal.test/"' in done.text


def test_the_question_may_lead_to_the_portal(door: Door) -> None:
    """G26: the question's policy names the origin its answer will redirect to, or the browser would stop it."""
    theirs = door.signed_in(person="susan")
    browser = door.browser("en")
    browser.sign_in()
    question = browser.get(f"/logout?id_token_hint={theirs['id_token']}&post_logout_redirect_uri={BYE}")

    assert "form-action 'self' https://portal.test" in question.headers["Content-Security-Policy"]


def test_a_double_click_is_no_error(door: Door) -> None:
    """G15: the yes pressed twice says twice that one is out."""
    browser = door.browser("en")
    browser.sign_in()
    question = browser.get("/logout")
    pages = [browser.press(question, confirm="yes") for _ in range(2)]

    assert ["You are logged out" in words_of(page) for page in pages] == [True, True]


@pytest.mark.parametrize("answer", ["", "no", "Yes", "perhaps"])
def test_only_yes_is_yes(door: Door, answer: str) -> None:
    """A22: Enter without a button, or any other word, signs nobody out."""
    browser = door.browser("en")
    browser.sign_in()
    page = browser.press(browser.get("/logout"), **({"confirm": answer} if answer else {}))

    assert "You are still logged in" in words_of(page)
    assert session_cookie(browser) is not None


def test_a_logout_is_in_the_trail(door: Door) -> None:
    """A22: that a sign-on ended is recorded."""
    browser = door.browser()
    tokens = door.signed_in(browser)
    browser.get(f"/logout?id_token_hint={tokens['id_token']}")

    events = door.house.durable.events.since(door.clock.now(), kind="session.ended")
    assert events
    assert events[-1].person


def test_log_out_in_one_tab_act_in_the_other(door: Door) -> None:
    """G16: signed out in one tab, the sign-in that waits in the other still ends at its portal."""
    browser = door.browser("en")
    browser.sign_in()
    waiting = browser.authorize(prompt="login")
    browser.press(browser.get("/logout"), confirm="yes")
    done = browser.press(browser.press(waiting, provider="mitid"), person="anna", outcome="approve")

    assert done.headers["Location"].startswith("https://portal.test/callback?code=")
