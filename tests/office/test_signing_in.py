"""Staff sign in: user name, password and a second factor, and what a stranger cannot do at that door."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from werkzeug.test import TestResponse

from idbroker.office.doorway import onward
from idbroker.staff.member import Role
from tests.office_door import ISSUER, Office, StaffBrowser, text_of

PASSWORD = "tre blå cykler i regn"
MINUTE = timedelta(minutes=1)
WRONG = "The user name or password is not right"


def with_password(office: Office, name: str = "anna", **changed: Any) -> str:
    """Give a colleague a password and an authenticator app; return the app's secret."""
    secret = pyotp.random_base32()
    hashed = office.house.rooms.counter.hasher.hash(PASSWORD)
    given = {"password": hashed, "app_secret": secret, **changed}
    office.house.offices.members.change(office.member(name).id, lambda one: replace(one, **given))
    return secret


def code_of(office: Office, secret: str) -> str:
    """Return what the app shows now."""
    return pyotp.TOTP(secret).at(office.clock.now())


def first(
    office: Office, browser: StaffBrowser, login: str = "anna", password: str = PASSWORD, to: str = ""
) -> TestResponse:
    """Type a user name and a password; return the page that follows."""
    page = "/staff/sign-in" + (f"?to={to}" if to else "")
    fields = {"login": login, "password": password, "to": to}
    return office.go(browser, office.post(browser, "/staff/sign-in", page, **fields))


def second(office: Office, browser: StaffBrowser, code: str) -> TestResponse:
    """Type a code; return the answer."""
    return office.post(browser, "/staff/sign-in/code", code=code)


def is_in(office: Office, browser: StaffBrowser) -> bool:
    """Tell whether somebody is signed in in a browser."""
    return browser.get("/staff/me").status_code == 200


# ---- the way in ----------------------------------------------------------------------------------


def test_password_and_code_let_a_colleague_in(office: Office) -> None:
    """Two factors let a colleague in, and lead to the page that was asked for."""
    secret, browser = with_password(office), office.browser()
    assert "Code from your app" in first(office, browser, to="/staff/clinea/approvals").text
    assert not is_in(office, browser), "a password alone opens nothing"
    answer = second(office, browser, code_of(office, secret))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/staff/clinea/approvals")
    assert is_in(office, browser)
    assert [event.detail["how"] for event in office.events("staff.signed_in")] == ["app"]


def test_a_page_asks_who_it_is_and_leads_back(office: Office) -> None:
    """A page of the office leads whom it does not know to the sign-in, and remembers itself."""
    answer = office.browser().get("/staff/clinea/colleagues?lang=da")
    assert answer.headers["Location"] == "/staff/sign-in?to=%2Fstaff%2Fclinea%2Fcolleagues%3Flang%3Dda"


def test_the_user_name_is_taken_however_it_is_written(office: Office) -> None:
    """Capitals, wide letters and blanks around a user name do not matter."""
    with_password(office)
    assert "Code from your app" in first(office, office.browser(), login=" ＡNNA ").text


def test_the_cookie_is_strict_and_new_at_every_sign_in(office: Office) -> None:
    """A sign-in gets a secret of its own, whatever the browser brought (session fixation; ASVS 7.2.4)."""
    secret, browser = with_password(office), office.browser()
    browser.set_cookie("__Host-w", "x" * 43, domain="broker.test", secure=True)
    first(office, browser)
    answer = second(office, browser, code_of(office, secret))
    cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("__Host-w="))
    assert "x" * 43 not in cookie
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"))


def test_signing_out_ends_the_sign_in_here(office: Office) -> None:
    """After signing out the cookie of before opens nothing (ASVS 7.4.1)."""
    browser = office.client("anna")
    kept = browser.get_cookie("__Host-w", domain="broker.test")
    assert kept is not None
    answer = office.go(browser, office.post(browser, "/staff/sign-out", "/staff"))
    assert "You are logged out" in answer.text
    browser.set_cookie("__Host-w", kept.value, domain="broker.test", secure=True)
    assert not is_in(office, browser)
    assert office.events("staff.signed_out")


def test_a_sign_in_ends_after_a_while_of_nothing(office: Office) -> None:
    """Fifteen idle minutes end a sign-in; one that is used goes on, for eight hours at most (ASVS 7.3.1, 7.3.2)."""
    browser = office.client("anna")
    for _ in range(34):
        office.clock.move(14 * MINUTE)
        assert is_in(office, browser)
    office.clock.move(5 * MINUTE)
    assert not is_in(office, browser), "eight hours are over"
    idle = office.client("bo")
    office.clock.move(15 * MINUTE)
    assert not is_in(office, idle)


def test_a_link_from_another_site_does_not_end_a_sign_in(office: Office) -> None:
    """Who follows a link from elsewhere comes without the strict cookie, and is led on by a page of ours."""
    answer = office.browser().get("/staff/sign-in?to=/staff/clinea", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.headers["Refresh"] == "0;url=/staff/sign-in?to=%2Fstaff%2Fclinea"
    assert "Set-Cookie" not in answer.headers


# ---- what is not told ----------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["anna", "nobody", "bo", "", "аnna", "a" * 5000, "<script>"])
def test_one_sentence_for_all_that_is_wrong(office: Office, login: str) -> None:
    """A wrong password, nobody's name, a disabled colleague, a lookalike: one sentence, one status (ASVS 6.3.8)."""
    with_password(office)
    with_password(office, "bo", disabled=True)
    password = PASSWORD if login == "bo" else "something else entirely"
    page = first(office, office.browser(), login, password)
    assert page.status_code == 200
    assert WRONG in page.text
    assert "<script>" not in page.text


def test_an_unknown_name_costs_as_much(office: Office) -> None:
    """A name that nobody has is hashed and locked as any other (timing, enumeration; ASVS 6.3.8)."""
    browser = office.browser()
    pages = [text_of(first(office, browser, "nobody", "wrong").text) for _ in range(6)]
    assert WRONG in pages[3]
    assert "Too many tries. Try again in 15 min." in pages[4]
    assert "Too many tries" in pages[5]


def test_no_event_holds_what_was_typed(office: Office) -> None:
    """The trail says who by an id, never a user name or what was typed as one."""
    with_password(office)
    first(office, office.browser(), "my secret password", "anna")
    told = [(event.kind, dict(event.detail)) for event in office.events("staff.")]
    assert told == [("staff.refused", {"why": "unknown"})]


def test_the_page_says_whom_to_ask(office: Office) -> None:
    """Who has forgotten a password is told to ask an administrator, and the clinic's address where it has one."""
    page = office.browser().get("/staff/sign-in?clinic=clinea").text
    assert "Ask an administrator at your clinic" in page
    assert "it@clinea.example.org" in page
    assert "mailto" not in office.browser().get("/staff/sign-in?clinic=neuroreg").text


# ---- guessing ------------------------------------------------------------------------------------


def test_a_locked_name_is_not_compared(office: Office) -> None:
    """After five wrong passwords the right one is not taken either, for a quarter of an hour (ASVS 6.3.1)."""
    with_password(office)
    browser = office.browser()
    for _ in range(5):
        first(office, browser, password="wrong")
    assert "Too many tries" in first(office, browser).text
    office.clock.move(15 * MINUTE)
    assert "Code from your app" in first(office, browser).text
    assert [event.detail["why"] for event in office.events("staff.locked")] == ["password"]


def test_a_hundred_in_a_row_close_the_password(office: Office) -> None:
    """After a hundred failures in a row only a new link opens it (SP 800-63B-4, 3.2.2)."""
    with_password(office)
    entrance, member = office.house.offices.entrance, office.member()
    for number in range(100):
        if number % 5 == 0:
            office.clock.move(20 * MINUTE)
        entrance.password("anna", "wrong", f"192.0.2.{number}", office.clock.now())
    office.clock.move(timedelta(hours=2))
    assert "is closed after too many tries" in first(office, office.browser()).text
    entrance.reopen(member)
    assert "Code from your app" in first(office, office.browser()).text


def test_many_names_from_one_address_are_stopped(office: Office) -> None:
    """Thirty wrong passwords from one address close it, whatever names they were for (password spraying)."""
    with_password(office)
    browser = office.browser()
    for number in range(30):
        first(office, browser, f"name{number}", "wrong")
    assert "Too many tries" in first(office, browser).text
    other = office.browser()
    other.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    assert "Code from your app" in first(office, other).text


def test_codes_can_be_tried_five_times(office: Office) -> None:
    """Five wrong codes, and none is compared for a while, in any browser (ASVS 6.6.3)."""
    secret, browser = with_password(office), office.browser()
    first(office, browser)
    for _ in range(5):
        office.go(browser, second(office, browser, "000000"))
    page = office.go(browser, second(office, browser, code_of(office, secret)))
    assert "Too many tries" in page.text
    other = office.browser()
    first(office, other)
    assert "Too many tries" in office.go(other, second(office, other, code_of(office, secret))).text


def test_a_code_counts_once(office: Office) -> None:
    """A code that was used lets nobody in again (RFC 6238, 5.2; ASVS 6.5.1)."""
    secret = with_password(office)
    code = code_of(office, secret)
    browsers = [office.browser(), office.browser()]
    for browser in browsers:
        first(office, browser)
        second(office, browser, code)
    assert [is_in(office, browser) for browser in browsers] == [True, False]


# ---- halfway -------------------------------------------------------------------------------------


def test_the_second_factor_cannot_be_left_out(office: Office) -> None:
    """No page opens between the factors, and another browser knows nothing of the first."""
    secret, browser, other = with_password(office), office.browser(), office.browser()
    first(office, browser)
    for path in ("/staff", "/staff/me", "/staff/clinea/colleagues"):
        assert "/staff/sign-in" in browser.get(path).headers["Location"]
    other.get("/staff/sign-in")
    assert other.get("/staff/sign-in/code").headers["Location"] == "/staff/sign-in"
    nonce = other.get("/staff/sign-in").text.split('name="_n" value="')[1].split('"')[0]
    assert other.post("/staff/sign-in/code", data={"_n": nonce, "code": code_of(office, secret)}).status_code == 303
    assert not is_in(office, other)


def test_halfway_lasts_five_minutes(office: Office) -> None:
    """Who types the code too late begins anew."""
    with_password(office)
    browser = office.browser()
    first(office, browser)
    office.clock.move(5 * MINUTE)
    assert "It took too long" in office.go(browser, browser.get("/staff/sign-in/code")).text


@pytest.mark.parametrize("what", ["disabled", "reset"])
def test_who_is_shut_out_halfway_stays_out(office: Office, what: str) -> None:
    """A colleague who is disabled or reset between the factors does not come in with the second."""
    secret, browser = with_password(office), office.browser()
    first(office, browser)
    page = browser.get("/staff/sign-in/code").text
    staff = office.member().id
    if what == "disabled":
        office.house.offices.members.change(staff, lambda one: replace(one, disabled=True))
    else:
        office.house.offices.entrance.end_all(staff, office.clock.now())
    nonce = page.split('name="_n" value="')[1].split('"')[0]
    browser.post("/staff/sign-in/code", data={"_n": nonce, "code": code_of(office, secret)})
    assert not is_in(office, browser)


@pytest.mark.parametrize("what", ["disabled", "ended", "removed"])
def test_a_sign_in_ends_at_once(office: Office, what: str) -> None:
    """Disabling, ending all sign-ins or removing somebody ends what they have open (ASVS 7.4.2)."""
    browser, staff, now = office.client("anna"), office.member().id, office.clock.now()
    assert is_in(office, browser)
    if what == "disabled":
        office.house.offices.members.change(staff, lambda one: replace(one, disabled=True))
    elif what == "ended":
        office.house.offices.entrance.end_all(staff, now)
    else:
        office.house.offices.members.remove(staff)
    assert not is_in(office, browser)


def test_a_role_that_is_taken_away_counts_at_once(office: Office) -> None:
    """The next page asks what the role is now, not what it was at the sign-in."""
    browser = office.client("cecilia")
    assert browser.get("/staff/clinea/colleagues").status_code == 200
    office.house.offices.members.change(office.member("cecilia").id, lambda one: replace(one, roles={}))
    assert browser.get("/staff/clinea/colleagues").status_code == 404


# ---- forged forms and addresses ------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/staff/sign-in", "/staff/sign-in/code", "/staff/sign-in/passkey", "/staff/sign-out"])
def test_a_form_of_another_site_does_nothing(office: Office, path: str) -> None:
    """A form without a nonce of this browser is refused: nobody is signed in as an attacker (login CSRF; A28)."""
    secret = with_password(office)
    attacker, victim = office.browser(), office.client("bo")
    nonce = attacker.get("/staff/sign-in").text.split('name="_n" value="')[1].split('"')[0]
    for value in ("", nonce):
        fields = {"_n": value, "login": "anna", "password": PASSWORD, "code": code_of(office, secret)}
        assert victim.post(path, data=fields).status_code == 400
    assert is_in(office, victim)


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example/staff",
        "/staff@evil.example",
        "/staff\\@evil.example",
        "/staff/..//evil.example",
        "/staff//evil.example",
        "/staff\r\nSet-Cookie: a=b",
        "/staffing",
        "/me/clinea",
        "/staff/sign-in",
        "/staff/sign-out",
        "/staff/set/x",
        "javascript:alert(1)",
        "/staff/" + "a" * 600,
    ],
)
def test_nobody_is_led_elsewhere(office: Office, to: str) -> None:
    """Only a page of the office is gone to after a sign-in (open redirect; ASVS 3.7.2)."""
    assert onward(to) == "/staff"
    secret, browser = with_password(office), office.browser()
    office.post(browser, "/staff/sign-in", login="anna", password=PASSWORD, to=to)
    assert second(office, browser, code_of(office, secret)).headers["Location"] == "/staff"


@pytest.mark.parametrize("to", ["/staff", "/staff/clinea", "/staff/clinea/patients/AbC-_d?page=2&lang=da"])
def test_pages_of_the_office_are_gone_to(to: str) -> None:
    """A page of ours, its query with it, is kept."""
    assert onward(to) == to


def test_oversized_fields_are_refused_cheaply(office: Office) -> None:
    """A megabyte in a field is refused before it is hashed (ASVS 2.4.1; O12)."""
    browser = office.browser()
    nonce = browser.get("/staff/sign-in").text.split('name="_n" value="')[1].split('"')[0]
    answer = browser.post("/staff/sign-in", data={"_n": nonce, "login": "a" * 900_000, "password": "b"})
    assert answer.status_code in (400, 413)


def test_pages_are_not_kept_and_bring_no_script_of_others(office: Office) -> None:
    """The pages are not stored, not framed, and run our files only."""
    answer = office.browser().get("/staff/sign-in")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert ISSUER not in answer.text


# ---- the first page ------------------------------------------------------------------------------


def test_who_works_at_one_clinic_goes_straight_there(office: Office) -> None:
    """One clinic: its page; several: a choice; none: in words."""
    assert "Clinea" in office.client("anna").get("/staff").text
    assert "Neuroregistret" in office.client("anna").get("/staff").text
    office.house.offices.members.change(office.member().id, lambda one: replace(one, roles={"clinea": Role.CARER}))
    assert office.client("anna").get("/staff").headers["Location"] == "/staff/clinea"
    office.house.offices.members.change(office.member().id, lambda one: replace(one, roles={}))
    assert "You have no role at any clinic" in office.client("anna").get("/staff").text


def test_halfway_in_is_nobody_who_had_the_screen_before(office: Office) -> None:
    """The attack: the cookie of the sign-in page is noted down at a shared desk, and waits for somebody's password."""
    with_password(office)
    browser, mallory = office.browser(), office.browser()
    browser.get("/staff/sign-in")
    planted = browser.get_cookie("__Host-e", domain="broker.test")
    assert planted is not None
    assert "Code from your app" in first(office, browser).text
    mallory.set_cookie("__Host-e", planted.value, domain="broker.test", secure=True, httponly=True)
    assert mallory.get("/staff/sign-in/code").headers["Location"] == "/staff/sign-in"
