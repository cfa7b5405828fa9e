"""Signing out: who may send the person where (standards 1.6 rp-initiated; 2.5 A14, A22)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from joserfc import jwt as jose_jwt
from joserfc.jwk import ECKey

from tests.attacks.conftest import OTHER_CALLBACK
from tests.attacks.test_codes import OTHER
from tests.attacks.test_sessions import silent
from tests.door import SECRET, Browser, Door, claims_of, form_of, session_cookie, words_of

BYE = "https://portal.test/bye"
STATE = "q" * 128


@pytest.fixture
def browser(door: Door) -> Browser:
    """Give a browser that speaks English."""
    return door.browser("en")


def leave(browser: Browser, **asked: str) -> requests.Response:
    """Ask for a logout by GET, following nothing."""
    return browser.fetch(f"/logout?{urlencode(asked)}")


def assert_gone(door: Door, browser: Browser, tokens: dict[str, Any]) -> None:
    """Check that the person is signed out and what they signed in for is dead."""
    assert silent(browser)["error"] == "login_required"
    assert door.userinfo(tokens["access_token"]).status_code == 401
    assert session_cookie(browser) is None


def assert_here(door: Door, browser: Browser, tokens: dict[str, Any]) -> None:
    """Check that nothing happened."""
    assert "code" in silent(browser)
    assert door.userinfo(tokens["access_token"]).status_code == 200


def test_a_hint_an_address_and_a_state(door: Door, browser: Browser) -> None:
    """1.6 rp-initiated-logout: back to the registered address with exactly `state`; then nobody is signed on."""
    tokens = door.signed_in(browser)
    answer = leave(browser, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state=STATE)

    assert (answer.status_code, answer.headers["Location"]) == (303, f"{BYE}?state={STATE}")
    assert_gone(door, browser, tokens)


def test_no_state(door: Door, browser: Browser) -> None:
    """1.6 no-state: back without one."""
    tokens = door.signed_in(browser)
    answer = leave(browser, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)

    assert answer.headers["Location"] == BYE
    assert_gone(door, browser, tokens)


def foreign(token: str) -> str:
    """Return the hint signed by another's key."""
    return jose_jwt.encode({"alg": "ES256", "kid": "k"}, claims_of(token), ECKey.generate_key("P-256"))


def unsigned(token: str) -> str:
    """Return the hint with alg none and no signature."""
    return f"eyJhbGciOiJub25lIn0.{token.split('.')[1]}."


BAD: dict[str, dict[str, Any]] = {
    "bad-post-logout-redirect-uri": {"post_logout_redirect_uri": "https://portal.test/other"},
    "foreign address": {"post_logout_redirect_uri": "https://evil.test/"},
    "callback as address": {"post_logout_redirect_uri": "https://portal.test/callback"},
    "address of another client": {"post_logout_redirect_uri": "https://other.test/bye"},
    "query-added-to-post-logout-redirect-uri": {"post_logout_redirect_uri": f"{BYE}?foo=bar"},
    "script as address": {"post_logout_redirect_uri": "javascript:alert(1)"},
    "modified-id-token-hint": {"id_token_hint": unsigned},
    "bad-id-token-hint": {"id_token_hint": foreign},
    "rubbish hint": {"id_token_hint": lambda _: "x"},
    "no-id-token-hint": {"id_token_hint": None},
    "client_id alone": {"id_token_hint": None, "client_id": "portal"},
    "client_id of another": {"client_id": "other"},
}


@pytest.mark.parametrize("changed", BAD.values(), ids=BAD)
def test_what_does_not_fit_redirects_nowhere(door: Door, browser: Browser, changed: dict[str, Any]) -> None:
    """1.6: an address that is not registered, or a hint that is not ours: an error page, no redirect, no logout."""
    tokens = door.signed_in(browser)
    usual = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": STATE}
    made = {name: value(tokens["id_token"]) if callable(value) else value for name, value in changed.items()}
    page = leave(browser, **{name: value for name, value in {**usual, **made}.items() if value})

    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert_here(door, browser, tokens)


@pytest.mark.parametrize(
    "asked", [{}, {"state": STATE}, {"client_id": "portal"}], ids=["no-params", "only-state", "client"]
)
def test_without_a_hint_the_person_is_asked(door: Door, browser: Browser, asked: dict[str, str]) -> None:
    """1.6 no-params, only-state; A22: any page could have sent the browser: asked first, then out, and not away."""
    tokens = door.signed_in(browser)
    question = leave(browser, **asked)
    assert "Do you want to log out?" in words_of(question)
    assert_here(door, browser, tokens)
    done = browser.press(question, confirm="yes")

    assert (done.status_code, done.headers.get("Location")) == (200, None)
    assert "You are logged out" in words_of(done)
    assert_gone(door, browser, tokens)


def test_no_post_logout_redirect_uri(door: Door, browser: Browser) -> None:
    """1.6 no-post-logout-redirect-uri: with a hint alone the person is out, and a page says so."""
    tokens = door.signed_in(browser)
    page = leave(browser, id_token_hint=tokens["id_token"], state=STATE)

    assert (page.status_code, page.headers.get("Location")) == (200, None)
    assert "You are logged out" in words_of(page)
    assert_gone(door, browser, tokens)


def test_no_means_no(door: Door, browser: Browser) -> None:
    """A22: who answers no stays signed on, everywhere."""
    tokens = door.signed_in(browser)
    page = browser.press(leave(browser), confirm="no")

    assert "You are still logged in" in words_of(page)
    assert_here(door, browser, tokens)


@pytest.mark.parametrize("nonce", ["", "x", "a.b", "foreign"])
def test_a_confirmation_from_elsewhere_is_none(door: Door, browser: Browser, nonce: str) -> None:
    """A14, A22: the yes of a form that this browser was not given signs nobody out (CSRF)."""
    tokens = door.signed_in(browser)
    if nonce == "foreign":
        other = door.browser()
        other.sign_in()
        nonce = form_of(leave(other)).hidden["_n"]
    answer = browser.fetch("/logout", "POST", data={"_n": nonce, "confirm": "yes"} if nonce else {"confirm": "yes"})

    assert "You are logged out" not in words_of(answer)
    assert_here(door, browser, tokens)


def test_another_persons_hint_asks_first(door: Door, browser: Browser) -> None:
    """A22: a hint for somebody else, or for an earlier sign-on, does not sign out who is here without a question."""
    theirs = door.signed_in(person="susan")
    mine = door.signed_in(browser)
    page = leave(browser, id_token_hint=theirs["id_token"], post_logout_redirect_uri=BYE)

    assert "Do you want to log out?" in words_of(page)
    assert_here(door, browser, mine)
    assert door.userinfo(theirs["access_token"]).status_code == 200


def test_an_old_hint_of_the_same_sign_on_is_good(door: Door, browser: Browser) -> None:
    """A22: the ID token of the first of several sign-ins still names this sign-on: no question."""
    first = door.signed_in(browser)
    second = door.signed_in(browser, prompt="login")
    answer = leave(browser, id_token_hint=first["id_token"], post_logout_redirect_uri=BYE)

    assert answer.headers["Location"] == BYE
    assert_gone(door, browser, second)


def test_a_question_carries_its_address(door: Door, browser: Browser) -> None:
    """1.6: after the yes the person comes to the registered address with the state."""
    theirs = door.signed_in(person="susan")
    door.signed_in(browser)
    page = leave(browser, id_token_hint=theirs["id_token"], post_logout_redirect_uri=BYE, state=STATE)
    done = browser.press(page, confirm="yes")

    assert done.headers["Location"] == f"{BYE}?state={STATE}"


def test_the_hidden_fields_are_checked_again(door: Door, browser: Browser) -> None:
    """A22: the address in the confirmation form is not trusted because it came from a form of ours."""
    tokens = door.signed_in(browser)
    question = leave(browser)
    answer = browser.press(question, confirm="yes", post_logout_redirect_uri="https://evil.test/")

    assert (answer.status_code, answer.headers.get("Location")) == (400, None)
    assert_here(door, browser, tokens)


def test_a_posted_request_is_the_same(door: Door, browser: Browser) -> None:
    """RP-Initiated Logout 2: a portal may post its request; the sign-on is found by the GET that follows."""
    tokens = door.signed_in(browser)
    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": STATE}
    posted = requests.post(f"{door.issuer}/logout", data=asked, allow_redirects=False, timeout=5)
    answer = browser.fetch(posted.headers["Location"])

    assert (posted.status_code, answer.headers["Location"]) == (303, f"{BYE}?state={STATE}")
    assert_gone(door, browser, tokens)


def test_a_parameter_sent_twice_is_refused(door: Door, browser: Browser) -> None:
    """A9: of two addresses neither is followed, in a query or in a form."""
    tokens = door.signed_in(browser)
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE})
    twice = f"{query}&post_logout_redirect_uri=https%3A%2F%2Fevil.test%2F"
    by_get = browser.fetch(f"/logout?{twice}")
    by_post = browser.fetch(
        "/logout", "POST", data=twice, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert [(page.status_code, page.headers.get("Location")) for page in (by_get, by_post)] == [(400, None)] * 2
    assert_here(door, browser, tokens)


def test_all_clients_of_the_sign_on_are_out(door: Door, browser: Browser) -> None:
    """1.6: one logout ends what every client got in this sign-on."""
    tokens = door.signed_in(browser)
    code = browser.sign_in(client_id="other", redirect_uri=OTHER_CALLBACK)["code"]
    others = door.redeem(code, auth=OTHER, redirect_uri=OTHER_CALLBACK).json()
    pending = browser.sign_in()["code"]
    leave(browser, id_token_hint=tokens["id_token"])

    assert_gone(door, browser, others)
    assert door.redeem(pending, auth=("portal", SECRET)).json()["error"] == "invalid_grant"


def test_nobody_signed_on_is_told_so(door: Door, browser: Browser) -> None:
    """1.6: a logout without a sign-on says that one is out; a second click is no error."""
    for _ in range(2):
        page = leave(browser)
        assert (page.status_code, "You are logged out" in words_of(page)) == (200, True)


def test_an_access_token_is_no_hint(door: Door, browser: Browser) -> None:
    """J13: tokens of another kind, signed by us, are no hints."""
    code = browser.sign_in(client_id="jwt")["code"]
    signed = door.redeem(code, auth=("jwt", SECRET)).json()["access_token"]
    page = leave(browser, id_token_hint=signed, post_logout_redirect_uri=BYE)

    assert (page.status_code, page.headers.get("Location")) == (400, None)
