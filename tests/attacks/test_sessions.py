"""Whose browser it is: sign-ons, forms and links from elsewhere (standards 1.5; 2.5 A14, A15, B6; 2.6 O11, O13)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.door import (
    Browser,
    Door,
    answer_of,
    authorize_url,
    claims_of,
    form_of,
    session_cookie,
    words_of,
)

LOW = "https://data.gov.dk/concept/core/nsis/Low"


def id_token(door: Door, browser: Browser, person: str = "anna", **asked: str) -> dict[str, Any]:
    """Sign in and return what the ID token says."""
    return claims_of(door.signed_in(browser, person, **asked)["id_token"])


def silent(browser: Browser, **asked: str) -> dict[str, str]:
    """Ask with prompt=none, or whatever is asked for, and expect no page."""
    page = browser.fetch(authorize_url(**{"prompt": "none", **asked}))
    assert page.status_code == 303
    return answer_of(page)


# ---- prompt, max_age, hints ----------------------------------------------------------------------


def test_prompt_none_without_a_sign_on(door: Door) -> None:
    """1.5: nobody is signed on: login_required, with a 128-character state as it came."""
    answer = silent(door.browser(), state="s" * 128)

    assert (answer["error"], answer["state"], answer["iss"]) == ("login_required", "s" * 128, door.issuer)


def test_prompt_none_with_a_sign_on(door: Door) -> None:
    """1.5: no page, the same person, the same auth_time."""
    browser = door.browser()
    first = id_token(door, browser)
    door.clock.move(timedelta(minutes=5))
    second = claims_of(door.redeem(silent(browser)["code"]).json()["id_token"])

    assert (second["sub"], second["auth_time"], second["sid"]) == (first["sub"], first["auth_time"], first["sid"])


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_prompt_login_asks_again(door: Door, prompt: str) -> None:
    """1.5: the page is shown although a sign-on is there, and auth_time is later; the person's `sub` stays."""
    browser = door.browser()
    first = id_token(door, browser)
    door.clock.move(timedelta(seconds=2))
    page = browser.authorize(prompt=prompt)
    assert page.status_code == 200
    second = id_token(door, browser, prompt=prompt)

    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


def test_max_age_passed(door: Door) -> None:
    """1.5 max-age-1: the sign-on is too old: the person signs in again and auth_time is newer."""
    browser = door.browser()
    first = id_token(door, browser)
    door.clock.move(timedelta(seconds=2))
    assert browser.authorize(max_age="1").status_code == 200
    second = id_token(door, browser, max_age="1")

    assert second["auth_time"] == first["auth_time"] + 2
    assert second["sub"] == first["sub"]


def test_max_age_not_passed(door: Door) -> None:
    """1.5 max-age-10000: no page the second time, the same auth_time."""
    browser = door.browser()
    first = id_token(door, browser, max_age="15000")
    door.clock.move(timedelta(seconds=90))
    second = claims_of(door.redeem(silent(browser, prompt="", max_age="10000")["code"]).json()["id_token"])

    assert (second["auth_time"], second["sub"]) == (first["auth_time"], first["sub"])


def test_max_age_with_prompt_none(door: Door) -> None:
    """1.5: a sign-on that is too old does not answer prompt=none."""
    browser = door.browser()
    browser.sign_in()
    door.clock.move(timedelta(seconds=2))

    assert silent(browser, max_age="1")["error"] == "login_required"


def test_a_hint_of_the_right_person(door: Door) -> None:
    """1.5 id-token-hint: prompt=none with the hint of whom is signed on succeeds, even when it has expired."""
    browser = door.browser()
    tokens = door.signed_in(browser)
    door.clock.move(timedelta(minutes=15))

    assert "code" in silent(browser, id_token_hint=tokens["id_token"])


def test_a_hint_of_another_person(door: Door) -> None:
    """Core 3.1.2.1: when another than the hinted person is signed on, or signs in, the answer is login_required."""
    hint = door.signed_in(person="susan")["id_token"]
    browser = door.browser()
    browser.sign_in("anna")

    assert silent(browser, id_token_hint=hint)["error"] == "login_required"
    assert browser.sign_in("anna", id_token_hint=hint)["error"] == "login_required"
    assert "code" in browser.sign_in("susan", id_token_hint=hint)


def test_a_named_person(door: Door) -> None:
    """Core 5.5.1: a `sub` asked for in `claims` is the only one that may sign in."""
    browser = door.browser()
    subject = id_token(door, browser)["sub"]
    named = {name: json.dumps({"id_token": {"sub": {"value": name}}}) for name in (subject, "somebody-else")}

    assert "code" in silent(browser, claims=named[subject])
    assert silent(browser, claims=named["somebody-else"])["error"] == "login_required"


def test_a_hint_that_is_not_ours(door: Door) -> None:
    """1.5: a hint of another client, or an access token for a hint, is an error, not a hint."""
    tokens = door.signed_in()

    assert silent(door.browser(), client_id="legacy", id_token_hint=tokens["id_token"])["error"] == "invalid_request"
    assert silent(door.browser(), id_token_hint=tokens["access_token"])["error"] == "invalid_request"


def test_an_essential_level_that_is_not_reached(door: Door) -> None:
    """Core 5.5.1.1: an essential acr above what the person has is unmet_authentication_requirements."""
    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": ["high"]}}})
    answer = door.browser().sign_in("susan", claims=claims)
    reached = door.signed_in(person="anna", claims=claims)

    assert (answer["error"], answer["state"]) == ("unmet_authentication_requirements", "s-1")
    assert claims_of(reached["id_token"])["acr"] == "high"


def test_a_wished_level_that_is_not_reached(door: Door) -> None:
    """Core 3.1.2.1: acr_values are a wish: who does not have that level comes in with the level they have."""
    tokens = door.signed_in(person="susan", acr_values="high")

    assert claims_of(tokens["id_token"])["acr"] == "substantial"


def test_a_sign_on_below_the_level_asks_again(door: Door) -> None:
    """A15: single sign-on does not carry a lower level into a service that needs a higher one; the `sub` stays."""
    browser = door.browser()
    low = id_token(door, browser)
    page = browser.fetch(authorize_url(client_id="strict", prompt="none"))

    assert low["acr"] == "substantial"
    assert answer_of(page)["error"] == "login_required"


# ---- the browser that began ----------------------------------------------------------------------


def test_a_link_opened_in_another_browser_signs_nobody_in(door: Door) -> None:
    """A15: an attacker's link into a sign-in under way is useless: only the browser that began it may (ASVS 7.2.4)."""
    attacker, victim = door.browser(), door.browser()
    choice = attacker.authorize()
    victim.authorize()  # has cookies of its own
    form = form_of(choice)
    shown = victim.fetch(choice.url)
    posted = victim.fetch(form.action, "POST", data={**form.hidden, "provider": "mitid"})

    for page in (shown, posted):
        assert (page.status_code, page.headers.get("Location")) == (400, None)


def test_an_answer_brought_to_another_browser_signs_nobody_in(door: Door) -> None:
    """A15, B6: the attacker's MitID answer in the victim's browser does not sign the victim in as the attacker."""
    attacker, victim = door.browser(), door.browser("en")
    victim.authorize()
    mitid = attacker.press(attacker.authorize(), provider="mitid")
    form = form_of(mitid)
    back = attacker.fetch(
        mitid.url if not form.action else requests.compat.urljoin(mitid.url, form.action),
        "POST",
        data={**form.hidden, "person": "anna", "outcome": "approve"},
    )
    stolen = victim.fetch(back.headers["Location"])

    assert stolen.status_code == 400
    assert "We do not recognise your browser" in words_of(stolen)
    assert session_cookie(victim) is None
    assert "code" in answer_of(attacker.fetch(back.headers["Location"]))


def test_the_cookie_of_one_sign_in_opens_no_other(door: Door) -> None:
    """A15: the secret of one's own transaction, planted under another's name, does not fit."""
    attacker, victim = door.browser(), door.browser()
    mine, theirs = attacker.authorize(), victim.authorize()
    their_name = urlsplit(theirs.url).path.split("/")[2]
    secret = next(c.value for c in attacker.session.cookies if c.name.startswith("t-"))
    attacker.session.cookies.set(f"t-{their_name[:8]}", secret or "")

    assert mine.status_code == 200
    assert attacker.fetch(theirs.url).status_code == 400


def test_each_sign_in_makes_a_new_session(door: Door) -> None:
    """A15, O13: the session's secret changes at every proof, and the one before is dead (ASVS 7.2.4)."""
    browser = door.browser()
    browser.sign_in()
    first = session_cookie(browser)
    browser.sign_in(prompt="login")
    second = session_cookie(browser)
    thief = door.browser()
    thief.session.cookies.set("s", first or "")

    assert first != second
    assert silent(thief)["error"] == "login_required"
    assert "code" in silent(browser)


def test_a_planted_session_is_not_adopted(door: Door) -> None:
    """A15: a session cookie set beforehand does not become the victim's (session fixation)."""
    victim, attacker = door.browser(), door.browser()
    victim.session.cookies.set("s", "planted" * 6)
    attacker.session.cookies.set("s", "planted" * 6)
    victim.sign_in()

    assert silent(attacker)["error"] == "login_required"


def test_an_attackers_session_ends_when_the_victim_signs_in(door: Door) -> None:
    """A15: a living session of the attacker's, planted, is replaced and carries nothing of the victim."""
    victim, attacker = door.browser(), door.browser()
    attacker.sign_in("susan")
    planted = session_cookie(attacker) or ""
    victim.session.cookies.set("s", planted, domain="127.0.0.1")
    victim.sign_in("anna", prompt="login")

    assert silent(attacker)["error"] == "login_required"


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "\\000", '"a', "é", "s:{x}", "a" * 43, "null", "[]", "%00"])
def test_a_malformed_session_is_none(door: Door, value: str) -> None:
    """O13: a cookie that is not ours is as good as none: never a fault, never a sign-on."""
    for name in ("s", "l", "t-aaaaaaaa"):
        head = f"{name}={value}".encode()
        page = requests.get(
            f"{door.issuer}{authorize_url(prompt='none')}", headers={"Cookie": head}, allow_redirects=False, timeout=5
        )
        gone = requests.get(f"{door.issuer}/t/aaaaaaaaaaaaaaaaaaaaaa/choose", headers={"Cookie": head}, timeout=5)

        assert answer_of(page)["error"] == "login_required"
        assert gone.status_code == 410


def test_many_odd_cookies_do_no_harm(door: Door) -> None:
    """O13: cookies of others under names like ours are cleared away, never a fault."""
    odd = "; ".join(f"t-{n}é\x7f({n}=1" for n in range(30))
    page = requests.get(
        f"{door.issuer}{authorize_url()}", headers={"Cookie": odd.encode("latin-1")}, allow_redirects=False, timeout=5
    )

    assert page.status_code == 303


def test_a_session_ends_by_itself(door: Door) -> None:
    """O13: after thirty minutes unused, and after eight hours in any case, nobody is signed on (ASVS 7.3)."""
    idle, busy = door.browser(), door.browser()
    idle.sign_in()
    busy.sign_in()
    for _ in range(2):
        door.clock.move(timedelta(minutes=16))
        assert "code" in silent(busy)
    assert silent(idle)["error"] == "login_required"
    answers = []
    for _ in range(29):
        door.clock.move(timedelta(minutes=16))
        answers.append(silent(busy))

    assert "code" in answers[-2]
    assert answers[-1]["error"] == "login_required"


# ---- forms from elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [None, "", "x", "a.b", "foreign", "é.é"])
def test_a_form_that_is_not_ours_does_nothing(door: Door, nonce: str | None) -> None:
    """A14: a post without our `_n`, or with another browser's, begins nothing (CSRF)."""
    browser = door.browser()
    choice = browser.authorize()
    fields = {"provider": "mitid", **({} if nonce is None else {"_n": nonce})}
    if nonce == "foreign":
        fields["_n"] = form_of(door.browser().authorize()).hidden["_n"]
    before = door.stored()
    answer = browser.fetch(choice.url, "POST", data=fields)

    assert (answer.status_code, answer.headers["Location"]) == (303, urlsplit(choice.url).path)
    assert door.stored() == before


def test_a_post_without_our_cookie_does_nothing(door: Door) -> None:
    """A14: from another site a post comes without the Lax cookie, and is nobody's."""
    choice = door.browser().authorize()
    form = form_of(choice)
    answer = requests.post(choice.url, data={**form.hidden, "provider": "mitid"}, allow_redirects=False, timeout=5)

    assert (answer.status_code, answer.headers.get("Location")) == (400, None)


@pytest.mark.parametrize(
    "page", ["cpr", "code", "who", "consent", "granted", "choose/", "../choose", "%0d%0aX-Evil: 1"]
)
def test_no_step_is_skipped(door: Door, page: str) -> None:
    """O11: the stored stage decides, not the address: asking for a later page shows the one it is at."""
    browser = door.browser()
    choice = browser.authorize()
    hidden = form_of(choice).hidden
    url = f"{choice.url.removesuffix('choose')}{page}"
    shown, posted = browser.fetch(url), browser.fetch(url, "POST", data={**hidden, "number": "0", "lang": "en"})

    for answer in (shown, posted):
        assert answer.status_code in (303, 404)
        assert "X-Evil" not in answer.headers
        assert "code=" not in answer.headers.get("Location", "")


def test_switching_the_language_never_cancels(door: Door) -> None:
    """A14: a language button on whatever page leads back to a page that is shown, not to an act."""
    browser = door.browser()
    choice = browser.authorize()
    hidden = form_of(choice).hidden
    answer = browser.fetch(choice.url.replace("choose", "cancel"), "POST", data={**hidden, "lang": "en"})

    assert answer.headers["Location"].endswith("/choose")


@pytest.mark.parametrize("provider", ["bankid", "", "../mitid", "MITID", "x" * 1000, "fallback"])
def test_only_ways_that_are_offered(door: Door, provider: str) -> None:
    """O11: a way that this clinic does not have cannot be chosen by writing it into the form."""
    browser = door.browser()
    choice = browser.authorize()
    answer = browser.fetch(choice.url, "POST", data={**form_of(choice).hidden, "provider": provider})

    assert answer.status_code in (303, 404)
    if provider:
        assert answer.status_code == 404


def test_another_person_ends_the_one_before(door: Door) -> None:
    """O13: on a shared computer the next person's sign-on ends all that the one before had reached."""
    browser = door.browser()
    before = door.signed_in(browser, "anna", scope="openid profile offline_access")

    after = door.signed_in(browser, "susan", prompt="login")

    assert door.userinfo(before["access_token"]).status_code == 401
    assert door.refresh(before["refresh_token"]).json()["error"] == "invalid_grant"
    assert door.userinfo(after["access_token"]).status_code == 200


def test_the_same_person_goes_on(door: Door) -> None:
    """A step-up is no farewell: what the same person reached before lives on, and ends with the logout."""
    browser = door.browser()
    before = door.signed_in(browser, "anna", scope="openid profile offline_access")

    after = door.signed_in(browser, "anna", prompt="login")

    assert door.userinfo(before["access_token"]).status_code == 200
    assert claims_of(before["id_token"])["sub"] == claims_of(after["id_token"])["sub"]
