"""A link for a first password: what it chooses, and what nobody gets out of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from idbroker.staff.member import Role
from idbroker.staff.roster import OPERATOR, Linked, Newcomer
from tests.office.test_signing_in import PASSWORD, code_of, first, is_in, second
from tests.office_door import ISSUER, Office, StaffBrowser, text_of
from tests.staff.authenticator import Authenticator


def invited(office: Office, login: str = "dorte") -> Linked:
    """Add somebody; return their link."""
    newcomer = Newcomer(login=login, name="Dorte Testsen", email=f"{login}@example.org", roles={"clinea": Role.CARER})
    done = office.house.offices.roster.add(newcomer, OPERATOR, office.clock.now())
    assert isinstance(done, Linked)
    return done


def path_of(link: Linked) -> str:
    """Return where a link leads, on our host."""
    assert link.address.startswith(f"{ISSUER}/staff/set/")
    return link.address.removeprefix(ISSUER)


def at_factor(office: Office, path: str, browser: StaffBrowser) -> str:
    """Choose a password; return the app's secret that the next page shows."""
    page = office.go(browser, office.post(browser, path, password=PASSWORD))
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert found, page.text
    return found[1].replace(" ", "")


def test_a_link_makes_a_sign_in(office: Office) -> None:
    """The link that came by e-mail chooses a password and an app, and both let its reader in."""
    link = invited(office)
    (mail,) = office.emails()
    assert link.address in mail
    assert "Clinea" in mail
    browser = office.browser()
    secret = at_factor(office, path_of(link), browser)
    done = office.go(browser, office.post(browser, path_of(link), code=code_of(office, secret)))
    assert "You can log in now" in done.text
    office.clock.move(timedelta(minutes=1))
    first(office, browser, "dorte")
    second(office, browser, code_of(office, secret))
    assert is_in(office, browser)
    assert any("was changed" in mail for mail in office.emails())


def test_a_passkey_does_as_well(office: Office) -> None:
    """A passkey may be chosen in the place of an app, and lets its owner in with one press."""
    link, browser, device = invited(office), office.browser(), Authenticator(origin=ISSUER)
    at_factor(office, path_of(link), browser)
    page = browser.get(path_of(link))
    answer = device.create(options_of(page.text))
    assert "You can log in now" in office.go(browser, office.post(browser, path_of(link), credential=answer)).text
    page = browser.get("/staff/sign-in")
    office.post(browser, "/staff/sign-in/passkey", "/staff/sign-in", credential=device.get(options_of(page.text)))
    assert is_in(office, browser)


def options_of(page: str) -> str:
    """Return what a page asks an authenticator."""
    found = re.search(r'data-options="([^"]+)"', page)
    assert found, page
    return found[1].replace("&#34;", '"').replace("&quot;", '"').replace("&amp;", "&")


def test_opening_uses_nothing_up(office: Office) -> None:
    """Mail scanners open links, and learn no secret: the app's is made after a password was chosen (F2)."""
    path = path_of(invited(office))
    for _ in range(3):
        page = office.browser().get(path)
        assert page.status_code == 200
        assert "otpauth" not in page.text
        assert '<input type="text" readonly id="login"' in page.text
    assert office.browser().head(path).status_code == 200
    assert at_factor(office, path, office.browser())


def test_a_link_counts_once(office: Office) -> None:
    """After a choice the link is of no use, in this browser or another."""
    path, browser, other = path_of(invited(office)), office.browser(), office.browser()
    secret = at_factor(office, path, browser)
    nonce = re.findall(r'name="_n" value="([^"]+)"', browser.get(path).text)[-1]
    for _ in range(2):
        browser.post(path, data={"_n": nonce, "code": code_of(office, secret)})
    assert browser.get(path).status_code == other.get(path).status_code == 410
    assert len(office.events("staff.changed")) == 1


def test_halfway_another_browser_begins_anew(office: Office) -> None:
    """The app's secret is shown in the browser that chose the password only; another must choose one itself."""
    path, browser, other = path_of(invited(office)), office.browser(), office.browser()
    secret = at_factor(office, path, browser)
    assert "otpauth" not in other.get(path).text
    assert at_factor(office, path, other) != secret
    page = office.go(browser, browser.get(path))
    assert "otpauth" not in page.text, "the earlier choice is overtaken"


@pytest.mark.parametrize("what", ["old", "newer", "disabled", "removed"])
def test_a_link_ends(office: Office, what: str) -> None:
    """After three days, by a newer link, by disabling: gone, and says what to do."""
    link = invited(office)
    staff, members = link.member.id, office.house.offices.members
    if what == "old":
        office.clock.move(timedelta(hours=72))
    elif what == "newer":
        office.house.offices.roster.reset(staff, OPERATOR, office.clock.now())
    elif what == "disabled":
        members.change(staff, lambda one: replace(one, disabled=True))
    else:
        members.remove(staff)
    page = office.browser().get(path_of(link))
    assert page.status_code == 410
    assert "Ask an administrator at your clinic for a new link" in page.text


@pytest.mark.parametrize("password", ["short", "passwordpassword", "dorte testsen 12", "a" * 200, ""])
def test_a_weak_password_is_not_taken(office: Office, password: str) -> None:
    """Short, common, of one's own name, too long: said, and the link is as good as before (ASVS 6.2.4)."""
    path, browser = path_of(invited(office)), office.browser()
    page = office.go(browser, office.post(browser, path, password=password))
    assert "Something needs fixing" in page.text
    assert at_factor(office, path, browser)


def test_a_wrong_code_loses_nothing(office: Office) -> None:
    """A mistyped code is said, and the same app's next one does."""
    path, browser = path_of(invited(office)), office.browser()
    secret = at_factor(office, path, browser)
    page = office.go(browser, office.post(browser, path, code="123"))
    assert "That code is not right" in text_of(page.text)
    assert secret in page.text.replace(" ", "")
    assert "You can log in now" in office.go(browser, office.post(browser, path, code=code_of(office, secret))).text


def test_without_a_password_first_there_is_no_factor(office: Office) -> None:
    """A code or a passkey that is sent before a password was chosen sets nothing."""
    path, browser = path_of(invited(office)), office.browser()
    page = office.go(browser, office.post(browser, path, code=pyotp.TOTP("A" * 32).at(office.clock.now())))
    assert "Ask an administrator" in page.text
    assert office.member("dorte").password is None


def test_a_form_of_another_site_sets_nothing(office: Office) -> None:
    """A form that this browser was not given is refused (CSRF)."""
    path = path_of(invited(office))
    assert office.browser().post(path, data={"_n": "x.y", "password": PASSWORD}).status_code == 400


@pytest.mark.parametrize("token", ["x", "a" * 65, "%00", "..%2f", "å"])
def test_no_token_breaks_it(office: Office, token: str) -> None:
    """A made-up token finds nothing."""
    assert office.browser().get(f"/staff/set/{token}").status_code in (404, 410)


@pytest.mark.parametrize("language", ["da", "sv", "fi", "en", "nb"])
def test_each_page_speaks_five_languages(office: Office, language: str) -> None:
    """Every page of the way in renders in every language."""
    path, browser = path_of(invited(office)), office.browser(language)
    for page in (path, "/staff/sign-in?clinic=clinea", "/staff/set/gone"):
        assert f'<html lang="{language}">' in browser.get(page).text
    at_factor(office, path, browser)
    mine = office.client("cecilia", language=language)
    for page in ("/staff", "/staff/me", "/staff/clinea/colleagues"):
        assert f'<html lang="{language}">' in mine.get(page + f"?lang={language}").text
