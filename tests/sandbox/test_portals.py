"""The demo portals: real relying parties, whose own checks are a second opinion on our tokens."""

from __future__ import annotations

import pytest

from tests.sandbox.running import Browser, Sandbox

PORTALS = ("aleris", "patientportalen")


@pytest.mark.parametrize("portal", PORTALS)
def test_log_in(sandbox: Sandbox, browser: Browser, portal: str) -> None:
    """A person logs in and is greeted by name, at the level that was reached (R1)."""
    browser.open(sandbox.portal(portal, "login")).log_in()

    assert browser.page.url.startswith(sandbox.portal(portal))
    assert "Anna Prøvesen" in browser.text
    assert 'id="acr" translate="no">substantial<' in browser.page.text


@pytest.mark.parametrize(
    ("portal", "door"),
    [
        ("patientportalen", "tidsbestilling"), ("patientportalen", "e-konsultation"),
        ("patientportalen", "receptfornyelse"), ("aleris", "appointments"), ("aleris", "booking/1042"),
    ],
)  # fmt: skip
def test_doors(sandbox: Sandbox, browser: Browser, portal: str, door: str) -> None:
    """Whoever follows a link into a portal lands exactly there after the login (R49, R50)."""
    browser.open(sandbox.portal(portal, door))
    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")

    browser.log_in()

    assert browser.page.url == sandbox.portal(portal, door)


def test_first_page(sandbox: Sandbox, browser: Browser) -> None:
    """Who named no door lands on the profile at Aleris (R51)."""
    browser.open(sandbox.portal("aleris", "login?door=https://evil.test/")).log_in()

    assert browser.page.url == sandbox.portal("aleris", "profile")


def test_link_again(sandbox: Sandbox, browser: Browser) -> None:
    """The same link works again without another login, and so does one into the other portal (R53)."""
    browser.open(sandbox.portal("patientportalen", "e-konsultation")).log_in()

    again = sandbox.portal("patientportalen", "tidsbestilling")
    assert browser.open(again).page.url == again
    other = sandbox.portal("aleris", "booking/7")
    assert browser.open(other).page.url == other


def test_portals_know_different_people(sandbox: Sandbox, browser: Browser) -> None:
    """Two portals know one person by two different `sub` (OpenID Connect Core 8.1)."""
    subjects = set()
    for portal, door in (("aleris", "profile"), ("patientportalen", "tidsbestilling")):
        browser.open(sandbox.portal(portal, door))
        if browser.page.url.startswith(sandbox.issuer):
            browser.log_in()
        subjects.add(_claim(browser, "sub"))

    assert len(subjects) == 2


def test_number_by_registration_only(sandbox: Sandbox, browser: Browser) -> None:
    """Only the portal that is registered for the CPR number is told it."""
    number = next(p["number"] for p in sandbox.call("GET", "people").json() if p["id"] == "anna")
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()
    assert number in browser.text

    assert number not in browser.open(sandbox.portal("aleris", "profile")).text


@pytest.mark.parametrize(("outcome", "person"), [("cancel", "anna"), ("approve", "carl")])
def test_cancel_at_the_eid(sandbox: Sandbox, browser: Browser, outcome: str, person: str) -> None:
    """Who cancels at MitID is back at the choice, and can log in from there."""
    browser.open(sandbox.portal("aleris", "login")).log_in(person, outcome)
    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")

    assert "Anna Prøvesen" in browser.log_in().text


def test_cancel(sandbox: Sandbox, browser: Browser) -> None:
    """Who cancels at the broker is back at the portal, which says so in words and offers another try."""
    browser.open(sandbox.portal("patientportalen", "e-konsultation"))
    browser.open(browser.page.url.replace("/choose", "/cancel"))

    assert browser.page.url == sandbox.portal("patientportalen", "failed")
    assert "Du loggede ikke ind" in browser.text
    assert "access_denied" in browser.text
    assert f'href="{"/patientportalen/e-konsultation"}"' in browser.page.text


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 429}])
def test_eid_down(sandbox: Sandbox, browser: Browser, fault: dict[str, object]) -> None:
    """While MitID is down the login page says so; when it works again, so does the same page."""
    browser.open(sandbox.portal("aleris", "login"))
    sandbox.call("PUT", "faults/mitid", fault)
    browser.press(provider="mitid")
    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")
    assert "MitID" in browser.text

    sandbox.call("PUT", "faults/mitid", {})
    assert "Anna Prøvesen" in browser.log_in().text


def test_slow_eid(sandbox: Sandbox, browser: Browser) -> None:
    """A MitID that is slow is waited for."""
    sandbox.call("PUT", "faults/mitid", {"slow": 0.3})

    assert "Anna Prøvesen" in browser.open(sandbox.portal("aleris", "login")).log_in().text


def test_what_just_happened(sandbox: Sandbox, browser: Browser) -> None:
    """Every redirect, request and token of a login is shown in order, explained, with a curl command."""
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()

    browser.open(sandbox.portal("patientportalen", "happened"))

    steps = ["sends the browser to the broker", "sends the browser back", "redeems the code", "checks the ID token",
             "asks who it is"]  # fmt: skip
    places = [browser.text.index(step) for step in steps]
    assert places == sorted(places)
    for name in ("code_challenge", "code_verifier", "id_token", "refresh_token", "at_hash", "kid"):
        assert name in browser.text
    assert "Ties the access token to this ID token" in browser.text
    assert "-u patientportalen:" in browser.text


def test_refresh_and_userinfo(sandbox: Sandbox, browser: Browser) -> None:
    """A portal with a refresh token gets new tokens with it, and both portals can ask userinfo again."""
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()
    assert "asks for new tokens" in browser.press("Use the refresh token").text

    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).press("Call userinfo")
    assert browser.text.count("The portal asks who it is") == 2
    assert "Use the refresh token" not in browser.open(sandbox.portal("aleris", "profile")).text


def test_ended_access_token(sandbox: Sandbox, browser: Browser) -> None:
    """Once the access token has ended, the portal says so; the refresh token gives another."""
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in()
    sandbox.call("PUT", "clock", {"plus": 16 * 60})

    browser.press("Call userinfo")
    assert "may have ended" in browser.text

    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).press("Use the refresh token")
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).press("Call userinfo")
    assert browser.page.url.startswith(sandbox.portal("patientportalen", "happened"))


def test_log_in_again(sandbox: Sandbox, browser: Browser) -> None:
    """With prompt=login the person proves who they are again, and is back at the same door (Core 3.1.2.1)."""
    browser.open(sandbox.portal("aleris", "booking/5")).log_in()
    browser.press("prompt=login")
    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")

    assert browser.log_in().page.url == sandbox.portal("aleris", "booking/5")


def test_step_up(sandbox: Sandbox, browser: Browser) -> None:
    """Asking for the level high leads to MitID again; the same person then has the same `sub`, at high."""
    browser.open(sandbox.portal("aleris", "profile")).log_in()
    subject = _claim(browser, "sub")

    browser.press("level high").log_in()

    assert _claim(browser, "acr") == "high"
    assert _claim(browser, "sub") == subject


def test_step_up_that_cannot_be(sandbox: Sandbox, browser: Browser) -> None:
    """An essential level that is not reached is an error of its own, which the portal shows (UAR 1.0)."""
    browser.open(sandbox.portal("aleris", "profile")).log_in("susan")

    browser.press("level high").log_in("susan")

    assert "unmet_authentication_requirements" in browser.text


def test_log_out(sandbox: Sandbox, browser: Browser) -> None:
    """Logging out ends the session at the portal and at the broker: the next login asks MitID again (R47)."""
    browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in().press("Log ud")
    browser.press("post_logout_redirect_uri")  # on the way through MitID, whose session ends too
    assert browser.page.url.startswith(sandbox.portal("patientportalen", "goodbye"))
    assert "Luk alle browservinduer" in browser.text

    browser.open(sandbox.portal("patientportalen", "tidsbestilling"))
    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")


def test_answer_used_again(sandbox: Sandbox, browser: Browser) -> None:
    """Reloading the portal's callback does no harm: the person is where the login led."""
    browser.open(sandbox.portal("aleris", "booking/9")).log_in()
    callback = next(step.url for step in browser.page.history if "/aleris/callback" in step.url)

    assert browser.open(callback).page.url == sandbox.portal("aleris", "booking/9")
    assert "Anna Prøvesen" in browser.text


def test_answer_of_another_browser(sandbox: Sandbox, browser: Browser) -> None:
    """An answer that another browser asked for logs nobody in (login CSRF, RFC 9700 4.7)."""
    browser.open(sandbox.portal("aleris", "profile")).log_in()
    callback = next(step.url for step in browser.page.history if "/aleris/callback" in step.url)
    other = Browser()

    other.open(callback)

    assert other.page.status_code == 400
    assert "did not begin in this browser" in other.text
    other.http.close()


def test_logins_side_by_side(sandbox: Sandbox, browser: Browser) -> None:
    """Two logins that were begun in two tabs both end at their own doors (G16)."""
    first = browser.open(sandbox.portal("patientportalen", "tidsbestilling")).page
    second = browser.open(sandbox.portal("patientportalen", "e-konsultation")).page

    browser.page = first
    assert browser.log_in().page.url == sandbox.portal("patientportalen", "tidsbestilling")
    browser.page = second
    assert browser.log_in().page.url == sandbox.portal("patientportalen", "e-konsultation")


@pytest.mark.parametrize(("portal", "path"), [("aleris", "help"), ("patientportalen", "hjaelp")])
def test_help(sandbox: Sandbox, browser: Browser, portal: str, path: str) -> None:
    """Help explains the login before it, and the portal after it (R57)."""
    before = browser.open(sandbox.portal(portal, path)).text

    browser.open(sandbox.portal(portal, "login")).log_in()

    assert browser.open(sandbox.portal(portal, path)).text != before


@pytest.mark.parametrize("path", ["booking/x", "booking/", "nothing", "booking/1/2", "booking/123456789"])
def test_no_such_door(sandbox: Sandbox, browser: Browser, path: str) -> None:
    """What is no door is not found, and nobody is sent to log in for it."""
    assert browser.open(sandbox.portal("aleris", path)).page.status_code == 404


@pytest.mark.parametrize("portal", PORTALS)
def test_front(sandbox: Sandbox, browser: Browser, portal: str) -> None:
    """The front page has a way past the header and says that this is a sandbox (R63)."""
    browser.open(sandbox.portal(portal))

    assert '<a class="skip" href="#main">' in browser.page.text
    assert "<title>SANDBOX" in browser.page.text


def test_clock_moves_all(sandbox: Sandbox, browser: Browser) -> None:
    """A year later everything still works: broker, simulator and portals share the clock."""
    sandbox.call("PUT", "clock", {"plus": 366 * 86400})

    assert "Anna Prøvesen" in browser.open(sandbox.portal("patientportalen", "tidsbestilling")).log_in().text


def test_rotated_keys(sandbox: Sandbox, browser: Browser) -> None:
    """A portal that meets a key it does not know fetches the key set again."""
    browser.open(sandbox.portal("aleris", "profile")).log_in()
    sandbox.call("POST", "keys/rotate")

    browser.press("prompt=login").log_in()

    assert browser.page.url == sandbox.portal("aleris", "profile")


def _claim(browser: Browser, name: str) -> str:
    """Return a claim as the portal's list of all claims shows it."""
    after = browser.text.split("All claims", 1)[1]
    return after.split(f" {name} ", 1)[1].split(" ", 1)[0]


def test_number_after_another_portal(sandbox: Sandbox, browser: Browser) -> None:
    """A portal that is registered for the CPR number is told it, though the session began at one that is not."""
    number = next(p["number"] for p in sandbox.call("GET", "people").json() if p["id"] == "anna")
    browser.open(sandbox.portal("aleris", "profile")).log_in()

    browser.open(sandbox.portal("patientportalen", "tidsbestilling"))
    if browser.page.url.startswith(sandbox.issuer):
        browser.log_in()

    assert number in browser.text


def test_one_person_with_and_without_number(sandbox: Sandbox, browser: Browser) -> None:
    """Who came to a portal without the number is the same at one that is told it: the first sign-on goes on."""
    browser.open(sandbox.portal("aleris", "profile")).log_in("lars")
    subject = _claim(browser, "sub")
    browser.open(sandbox.portal("patientportalen", "tidsbestilling"))
    if browser.page.url.startswith(sandbox.issuer):
        browser.log_in("lars")

    browser.open(sandbox.portal("aleris", "profile"))

    assert browser.page.url == sandbox.portal("aleris", "profile")
    assert _claim(browser, "sub") == subject
