"""Signing out here and at the organisation's own provider, so that the next one at the desk is not the first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import requests
from flask import Flask
from werkzeug.test import TestResponse

from idbroker.clock import StoppedClock
from idbroker.office.signing_out import SHOWN
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, SimClient, make_mitid, subject_of
from idbroker.sandbox.op import OpenIdProvider
from idbroker.sandbox.op_logout import Sessions
from idbroker.sandbox.people import cast
from tests.conftest import NOW
from tests.office.test_organisation import There
from tests.office.test_signing_in import code_of, first, is_in, second, with_password
from tests.office_door import ISSUER, Office, StaffBrowser, open_office, text_of
from tests.sandbox.loopback import serve

MINUTE = timedelta(minutes=1)
DONE, ON = "/staff/sign-out/done", "/staff/sign-out/on"
OUT, OUT_TOO = "You are logged out.", "You are logged out, from Clinic SSO too."
UNSURE = "Clinic SSO has not confirmed that you are logged out there too"


@dataclass(frozen=True, kw_only=True)
class World(There):
    """The office, the provider, and the sessions that it has."""

    sessions: Sessions
    op: OpenIdProvider


def known_there(office: Office, name: str, subject: str) -> None:
    """Have a colleague known by how the provider calls them."""
    office.house.offices.members.change(office.member(name).id, lambda one: replace(one, subject=subject))


@contextmanager
def world(folder: Path, clock: StoppedClock, **settings: Any) -> Iterator[World]:
    """Open an office whose organisation has a provider; Anna and Bo are known by their subjects."""
    faults, people = Faults({"mitid": LIES}), cast(NOW.date())
    us = SimClient(
        id="us",
        redirect_uris=(f"{ISSUER}/staff/callback",),
        secret="s3cret",
        post_logout_redirect_uris=(f"{ISSUER}{DONE}",),
    )
    made: list[Flask] = []

    def simulator(address: str) -> Flask:
        made.append(make_mitid(people, clock, faults, address, {"us": us}))
        return made[0]

    with serve(simulator) as issuer:
        (folder / "secret").write_text("s3cret\n")
        table = {"issuer": issuer, "client_id": "us", "client_secret_file": str(folder / "secret"), **settings}
        with open_office(folder, clock, more={"staff": {"title": "Clinic SSO", **table}}, sandbox=True) as office:
            for name, person in {"anna": "anna", "bo": "karen"}.items():
                subject = f"{issuer}\n{subject_of(office.people[person])}"
                known_there(office, name, subject)
            known = made[0].extensions
            yield World(office=office, issuer=issuer, faults=faults, sessions=known["sessions"], op=known["op"])


@pytest.fixture
def there(tmp_path: Path, clock: StoppedClock) -> Iterator[World]:
    """Give it as it is without further settings."""
    with world(tmp_path, clock) as opened:
        yield opened


def signed_in(there: World, person: str = "anna") -> StaffBrowser:
    """Give a browser in which somebody has come in through the organisation."""
    browser = there.office.browser()
    there.whole(browser, person)
    assert is_in(there.office, browser)
    return browser


def pressed(there: World, browser: StaffBrowser) -> TestResponse:
    """Press "log out"."""
    return there.office.post(browser, "/staff/sign-out", "/staff")


def form(page: TestResponse) -> tuple[str, dict[str, str]]:
    """Return where a page's form posts itself, and what."""
    action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
    assert action, page.text
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    return unescape(action[1]), {name: unescape(value) for name, value in fields}


def gone(action: str, fields: dict[str, str] | None) -> str:
    """Go to the provider as a browser does; return where it leads back to."""
    with requests.Session() as session:
        session.trust_env = False
        method = "GET" if fields is None else "POST"
        back = session.request(method, action, data=fields, allow_redirects=False, timeout=10)
    assert back.status_code == 303, back.text
    return back.headers["Location"].removeprefix(ISSUER)


def note(there: World, browser: StaffBrowser, answer: TestResponse) -> str:
    """Return what the page says that an answer leads to."""
    return text_of(there.office.go(browser, answer).text)


def test_the_next_one_at_the_desk_is_not_the_first(there: World) -> None:
    """The attack: out here, and still in at the organisation; so its session ends too, by a form and with our token."""
    browser = signed_in(there)
    assert there.sessions.people() == ("anna",)
    page = there.office.go(browser, pressed(there, browser))
    assert not is_in(there.office, browser), "ours is over before anything else"

    action, fields = form(page)
    assert action == f"{there.issuer}/connect/endsession"
    assert set(fields) == {"id_token_hint", "post_logout_redirect_uri", "state"}
    assert f"form-action 'self' {there.issuer}" in page.headers["Content-Security-Policy"]
    back = gone(action, fields)
    assert there.sessions.people() == ()
    assert OUT_TOO in note(there, browser, browser.get(back))
    assert OUT_TOO not in browser.get("/staff/sign-in").text, "said once"
    (event,) = there.office.events("staff.signed_out")
    assert event.detail == {"by": there.office.member("anna").id, "how": "organisation"}


def test_by_an_address(tmp_path: Path, clock: StoppedClock) -> None:
    """`get`: for providers that take no form, or lead on over other hosts, which a page's policy would stop."""
    with world(tmp_path, clock, end_session="get") as there:
        browser = signed_in(there)
        page = there.office.go(browser, pressed(there, browser))
        address = page.headers["Refresh"].removeprefix("0;url=")
        assert 'rel="noreferrer"' in page.text or page.headers["Referrer-Policy"] == "no-referrer"
        assert OUT_TOO in note(there, browser, browser.get(gone(address, None)))
        assert there.sessions.people() == ()


def test_an_organisation_that_wants_it_to_stay(tmp_path: Path, clock: StoppedClock) -> None:
    """`off`: out here alone, and no ID token goes anywhere."""
    with world(tmp_path, clock, end_session="off") as there:
        browser = signed_in(there)
        answer = pressed(there, browser)
        assert OUT in note(there, browser, answer)
        assert there.sessions.people() == ("anna",)
        assert browser.get(ON).headers["Location"] == "/staff/sign-in"


def test_one_that_is_down(there: World) -> None:
    """Nobody is sent to an error page: they are out here, and one sentence says what is not known, and what to do."""
    browser = signed_in(there)
    there.office.clock.move(2 * MINUTE)
    there.faults.set("mitid", {"down": True})
    answer = pressed(there, browser)
    assert answer.headers["Location"] == "/staff/sign-in"
    assert not is_in(there.office, browser)
    said = note(there, browser, answer)
    assert UNSURE in said
    assert "close the browser" in said


def test_one_that_offers_no_such_thing(tmp_path: Path, clock: StoppedClock) -> None:
    """Without an `end_session_endpoint`, or with one elsewhere, staff read that it is not over there (SSRF; leak)."""
    with world(tmp_path, clock) as there:
        there.op.extra_metadata = {"end_session_endpoint": "https://elsewhere.example/end"}
        browser = signed_in(there)
        answer = pressed(there, browser)
        assert answer.headers["Location"] == "/staff/sign-in"
        assert UNSURE in note(there, browser, answer)


@pytest.mark.parametrize(
    "query",
    ["", "state=", "state=another", "state=https://evil.example", "state={state}&error=server_error"],
)
def test_a_forged_return(there: World, query: str) -> None:
    """Another's state, an address in its place, an error: it leads to our sign-in, and nothing is said to be over."""
    browser = signed_in(there)
    _, fields = form(there.office.go(browser, pressed(there, browser)))
    answer = browser.get(f"{DONE}?{query.format(state=fields['state'])}")
    assert answer.headers["Location"] == "/staff/sign-in"
    assert UNSURE in note(there, browser, answer)


def test_a_forged_return_does_not_take_the_true_one(there: World) -> None:
    """The attack: another site's link uses up the way back, and nobody at the desk reads that all is over."""
    browser = signed_in(there)
    action, fields = form(there.office.go(browser, pressed(there, browser)))
    browser.get(f"{DONE}?state=x")
    assert form(browser.get(ON))[1] == fields, "the way there is there, too"
    assert OUT_TOO in note(there, browser, browser.get(gone(action, fields)))
    assert browser.get(f"{DONE}?state={fields['state']}").headers["Location"] == "/staff/sign-in"
    assert OUT_TOO not in browser.get("/staff/sign-in").text, "once"


def left_open(there: World, idle: timedelta) -> tuple[StaffBrowser, TestResponse]:
    """Sign in, leave the page open for so long, and press "log out" on it."""
    browser = signed_in(there)
    nonce = re.findall(r'name="_n" value="([^"]+)"', browser.get("/staff").text)[-1]
    there.office.clock.move(idle)
    return browser, browser.post("/staff/sign-out", data={"_n": nonce})


@pytest.mark.parametrize("idle", [16 * MINUTE, timedelta(hours=8)])
def test_pressed_on_a_page_that_is_over(there: World, idle: timedelta) -> None:
    """The attack: "You are logged out", and the next one at the desk is in by the session that the organisation has."""
    browser, answer = left_open(there, idle)
    action, fields = form(there.office.go(browser, answer))
    back = gone(action, fields)
    assert there.sessions.people() == ()
    assert OUT_TOO in note(there, browser, browser.get(back))
    assert there.office.events("staff.signed_out") == [], "they were out already"


def test_pressed_when_nothing_is_known_any_more(there: World) -> None:
    """So late that the way there is forgotten: what is not known is said, and what to do."""
    browser, answer = left_open(there, timedelta(hours=10))
    assert answer.headers["Location"] == "/staff/sign-in"
    assert UNSURE in note(there, browser, answer)


def test_a_page_that_is_over_opens_nothing(there: World) -> None:
    """What is kept of it for the way out lets nobody in (ASVS 7.3.1)."""
    browser = signed_in(there)
    there.office.clock.move(15 * MINUTE)
    assert not is_in(there.office, browser)


def test_a_return_of_another_browser(there: World) -> None:
    """The attack: a link that says to somebody that they are out, or signs them out; it does neither."""
    first = signed_in(there)
    _, fields = form(there.office.go(first, pressed(there, first)))
    other = signed_in(there, "karen")
    answer = other.get(f"{DONE}?state={fields['state']}")
    assert answer.headers["Location"] == "/staff/sign-in"
    assert is_in(there.office, other)
    assert OUT_TOO in note(there, first, first.get(f"{DONE}?state={fields['state']}"))


def test_each_leaves_with_their_own_token(there: World) -> None:
    """The token that goes is that of the sign-in in this very browser, whoever else is in (id_token of another)."""
    anna, bo = signed_in(there), signed_in(there, "karen")
    for browser, person in ((bo, "karen"), (anna, "anna")):
        _, fields = form(there.office.go(browser, pressed(there, browser)))
        claims = jwt.decode(fields["id_token_hint"], options={"verify_signature": False})
        assert claims["sub"] == subject_of(there.office.people[person])


def test_a_token_goes_to_nobody_but_its_issuer(there: World, tmp_path: Path) -> None:
    """The settings name another provider since they came in: it is not handed the former one's token."""
    organisation = there.office.house.offices.organisation
    assert organisation is not None
    browser = signed_in(there)
    moved = replace(organisation.settings, issuer="https://other.example")
    object.__setattr__(organisation, "settings", moved)
    answer = pressed(there, browser)
    assert answer.headers["Location"] == "/staff/sign-in"
    assert OUT in note(there, browser, answer)


def test_who_takes_over_the_desk_by_password_ends_it_too(there: World) -> None:
    """Bo signs in over Anna, who never left: when he does, nobody comes in as Anna by the button."""
    office, secret = there.office, with_password(there.office, "bo")
    browser, hers = office.browser(), signed_in(there).get_cookie("__Host-w", domain="broker.test")
    first(office, browser, "bo")
    assert hers is not None
    browser.set_cookie("__Host-w", hers.value, domain="broker.test", secure=True)
    second(office, browser, code_of(office, secret))
    assert office.events("staff.signed_in")[-1].detail == {"by": office.member("bo").id, "how": "app"}
    action, fields = form(office.go(browser, pressed(there, browser)))
    gone(action, fields)
    assert there.sessions.people() == ()


def test_pressed_twice(there: World) -> None:
    """A double click shows the second answer: it leads to the provider as the first one did."""
    browser = signed_in(there)
    cookie = browser.get_cookie("__Host-w", domain="broker.test")
    nonce = re.findall(r'name="_n" value="([^"]+)"', browser.get("/staff").text)[-1]
    assert cookie is not None
    for planted in (cookie.value, cookie.value, None):
        if planted:
            browser.delete_cookie("__Host-e", domain="broker.test")
            browser.set_cookie("__Host-w", planted, domain="broker.test", secure=True)
        answer = browser.post("/staff/sign-out", data={"_n": nonce})
        assert answer.headers["Location"] == ON
    assert form(browser.get(ON))[1]["state"]
    there.office.clock.move(SHOWN)
    assert browser.get(ON).headers["Location"] == "/staff/sign-in", "the token is kept for a minute, no longer"


def test_a_sign_out_without_a_sign_in_gives_no_known_secret(there: World) -> None:
    """The attack: a browser whose next sign-in is bound to a secret that others can work out (fixation)."""
    secrets = set()
    for _ in range(2):
        browser = there.office.browser()
        browser.set_cookie("__Host-w", "planted", domain="broker.test", secure=True)
        nonce = re.findall(r'name="_n" value="([^"]+)"', browser.get("/staff/sign-in").text)[0]
        browser.post("/staff/sign-out", data={"_n": nonce})
        kept = browser.get_cookie("__Host-e", domain="broker.test")
        secrets.add(kept.value if kept else "")
    assert len(secrets) == 2


def test_ending_every_sign_in_goes_there_too(there: World) -> None:
    """At /staff/me: the browser in which they do it is out at the organisation as well."""
    browser = signed_in(there)
    answer = there.office.post(browser, "/staff/me", do="end")
    assert answer.headers["Location"] == ON
    assert not is_in(there.office, browser)


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, {}),
        ({"prompt": "login"}, {"prompt": "login", "max_age": "0"}),
        ({"max_age": "8 h"}, {"max_age": "28800"}),
    ],
)
def test_what_is_asked_of_a_sign_in(
    tmp_path: Path, clock: StoppedClock, settings: dict[str, str], sent: dict[str, str]
) -> None:
    """`prompt` and `max_age` are sent; then an answer from an old session there lets nobody in (Core, 3.1.2.1)."""
    with world(tmp_path, clock, **settings) as there:
        asked = dict(parse_qsl(urlsplit(there.sent(there.office.browser())).query))
        kept = there.op.read(asked).parameters
        assert {name: kept[name] for name in ("prompt", "max_age") if name in kept} == sent
        for lie in ("old_auth_time", "missing_auth_time"):
            there.faults.set("mitid", {"lies": [lie]})
            browser = there.office.browser()
            there.whole(browser)
            assert is_in(there.office, browser) is (not settings), lie
