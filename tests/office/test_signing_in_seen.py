"""The way in, in a real browser: with a passkey, without script, on every screen and in every language."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.staff.member import Role
from idbroker.staff.roster import OPERATOR, Linked, Newcomer
from tests.conftest import NOW
from tests.office.test_signing_in import PASSWORD, code_of, with_password
from tests.office_door import Office, open_office
from tests.sandbox.loopback import serve
from tests.web.test_looks import RULES, TOO_WIDE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Open an office at an address of this machine that browsers take passkeys for: by name, and not by number."""
    with contextlib.ExitStack() as stack:
        made: list[Office] = []

        def broker(address: str) -> Flask:
            issuer = f"http://localhost:{urlsplit(address).port}"
            server = {"issuer": issuer, "workers": 1, "test_people": True}
            folder = tmp_path_factory.mktemp("office")
            opened = open_office(folder, StoppedClock(NOW), more={"server": server}, sandbox=True)
            made.append(stack.enter_context(opened))
            return made[0].app

        stack.enter_context(serve(broker))
        yield made[0]


@pytest.fixture
def office(served: Office) -> Office:
    """Give it, hours later than the test before."""
    served.clock.move(timedelta(hours=2))
    return served


@contextmanager
def opened(chromium: Browser, **options: object) -> Iterator[Page]:
    """Give a page of a browser's own context."""
    context: BrowserContext = chromium.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(10_000)
    yield page
    context.close()


def invite(office: Office, login: str) -> str:
    """Add a colleague; return the link."""
    newcomer = Newcomer(login=login, name="Dorte Testsen", email="d@example.org", roles={"clinea": Role.CARER})
    done = office.house.offices.roster.add(newcomer, OPERATOR, office.clock.now())
    assert isinstance(done, Linked)
    return done.address


def with_authenticator(page: Page) -> None:
    """Give the browser a built-in authenticator whose owner presses a finger on it."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def issuer_of(office: Office) -> str:
    """Return our address."""
    return office.site.issuer


def test_a_passkey_is_made_and_used(chromium: Browser, office: Office) -> None:
    """From the link to a password and a passkey, and in with the passkey alone: no user name, no code."""
    with opened(chromium) as page:
        with_authenticator(page)
        page.goto(invite(office, "with-key"))
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_role("status").first).to_contain_text("You can log in now")

        page.get_by_role("button", name="Log in with a passkey").click()

        page.wait_for_url("**/staff/clinea")
        assert office.events("staff.signed_in")[-1].detail["how"] == "passkey"
        page.goto(f"{issuer_of(office)}/staff/me")
        page.locator("#name").fill("Second key")
        expect(page.get_by_role("heading", level=1)).to_have_text("My own login")


@pytest.mark.parametrize("script", [True, False])
def test_password_and_code_by_hand(chromium: Browser, office: Office, script: bool) -> None:
    """With and without script: user name, password, code, the page that was asked for; and out again."""
    secret = with_password(office)
    with opened(chromium, java_script_enabled=script, viewport={"width": 360, "height": 740}) as page:
        page.goto(f"{issuer_of(office)}/staff/me")
        page.get_by_label("User name").fill("anna")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Code from your app").fill(code_of(office, secret))
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("My own login")
        page.goto(f"{issuer_of(office)}/staff")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("status").first).to_contain_text("You are logged out")

        page.go_back()
        page.reload()

        expect(page.get_by_role("heading", level=1)).to_have_text("Log in as staff")


def test_a_link_from_elsewhere_keeps_the_sign_in(chromium: Browser, office: Office) -> None:
    """Who is signed in and follows a link in a mail comes to its page: a page of ours goes on, with the cookie."""
    with opened(chromium) as page:
        signed_in(office, page)
        page.route("https://mail.example/", lambda route: route.fulfill(
            status=200, content_type="text/html", body=f'<a href="{issuer_of(office)}/staff/me">my page</a>'
        ))  # fmt: skip
        page.goto("https://mail.example/")
        page.get_by_role("link", name="my page").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("My own login")


def signed_in(office: Office, page: Page, name: str = "cecilia") -> None:
    """Have a colleague signed in in a browser."""
    _, secret = office.house.offices.entrance.admit(office.member(name), "app", office.clock.now())
    cookie = {"name": "w", "value": secret, "url": issuer_of(office), "sameSite": "Strict", "httpOnly": True}
    page.context.add_cookies([cookie])  # type: ignore[list-item]


def each_page(office: Office, page: Page, language: str) -> Iterator[str]:
    """Go to each page of signing in and of colleagues; give its name."""
    root = issuer_of(office)
    login = f"seen-{language}-{office.clock.now():%d%H}"
    for name, path in (("sign-in", "/staff/sign-in?clinic=clinea"), ("gone", "/staff/set/gone")):
        page.goto(f"{root}{path}{'&' if '?' in path else '?'}lang={language}")
        yield name
    page.goto(f"{root}/staff/sign-in?clinic=clinea")
    page.locator("#login").fill("nobody")
    page.locator("#f button").click()
    page.locator(".sum").wait_for()
    yield "wrong"
    page.goto(invite(office, login))
    yield "first-password"
    page.locator("#password").fill(PASSWORD)
    page.locator("#f button").click()
    page.locator("#dots").wait_for()
    yield "first-factor"
    with_password(office, "cecilia")
    signed_in(office, page)
    colleague = office.member("anna").id
    for path in ("/staff", "/staff/me", "/staff/clinea/colleagues", f"/staff/clinea/colleagues/{colleague}"):
        page.goto(f"{root}{path}?lang={language}")
        yield path
    page.goto(f"{root}/staff/me")
    page.locator("button[value=app-new]").click()
    page.locator("#dots").wait_for()
    yield "new-app"


@pytest.mark.parametrize("dark", [False, True])
def test_every_page_is_accessible(chromium: Browser, office: Office, dark: bool) -> None:
    """Axe finds nothing to mend, in the light and in the dark (G1; EN 301 549)."""
    found = {}
    with opened(chromium, color_scheme="dark" if dark else "light") as page:
        for name in each_page(office, page, "en"):
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            report = Axe().run(page, options=RULES).response
            found[name] = [(v["id"], [n["target"] for n in v["nodes"]]) for v in report["violations"]]
    assert not {name: violations for name, violations in found.items() if violations}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_fits_a_small_screen(chromium: Browser, office: Office, language: str) -> None:
    """At 320 px nothing is cut off or scrolls sideways, in any language (WCAG 1.4.10; G2)."""
    found = {}
    with opened(chromium, viewport={"width": 320, "height": 640}) as page:
        for name in each_page(office, page, language):
            assert page.locator("html").get_attribute("lang") == language, name
            found[name] = page.evaluate(TOO_WIDE)
    assert not {name: elements for name, elements in found.items() if elements}
