"""The clinic's tablet in a real browser: handed over, used, handed back, and searched for what it may still know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.wrappers import Request, Response

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clock import StoppedClock
from idbroker.sandbox.people import cast
from idbroker.web.front import make_web
from tests.conftest import NOW
from tests.door import CHALLENGE, CLIENT, SECRET, VERIFIER
from tests.messages.mail_servers import real_server
from tests.office.helping_house import NAME, Clinic
from tests.sandbox.loopback import serve
from tests.web.test_looks import RULES

pytestmark = pytest.mark.browser


@dataclass(kw_only=True)
class Service:
    """A small service: begins sign-ins, says who came, and logs them out."""

    address: str = ""
    issuer: str = ""
    seen: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        pages = {"/start": self._start, "/callback": self._callback}
        return pages.get(request.path, self._front)(request)

    def _front(self, _: Request) -> Response:
        return _page("<h1>The service</h1>")

    def _start(self, _: Request) -> Response:
        asked = {
            "client_id": "portal",
            "response_type": "code",
            "scope": "openid profile",
            "redirect_uri": f"{self.address}/callback",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return Response(status=302, headers={"Location": f"{self.issuer}/authorize?{urlencode(asked)}"})

    def _callback(self, request: Request) -> Response:
        answer = requests.post(
            f"{self.issuer}/token",
            data={
                "grant_type": "authorization_code",
                "code": request.args.get("code", ""),
                "redirect_uri": f"{self.address}/callback",
                "code_verifier": VERIFIER,
            },
            auth=("portal", SECRET),
            timeout=10,
        )
        if answer.status_code != 200:
            return self._front(request)
        tokens = answer.json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        name = requests.get(f"{self.issuer}/userinfo", headers=bearer, timeout=10).json()["name"]
        self.seen.append(name)
        bye = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": f"{self.address}/bye"})
        return _page(f'<h1>{escape(name)}</h1><a href="{self.issuer}/logout?{escape(bye)}">Log out</a>')


def _page(body: str) -> Response:
    return Response(f"<!doctype html><title>Service</title>{body}", content_type="text/html; charset=utf-8",
                    headers={"Cache-Control": "no-store"})  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Serve the service."""
    made = Service()
    with serve(lambda _: Request.application(made.answer)) as address:
        made.address = address
        yield made


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Clinic]:
    """Serve the broker, with the service in front of it."""
    clock = StoppedClock(NOW)
    client = {
        "initiate_login_uri": f"{service.address}/start",
        "redirect_uris": [f"{service.address}/callback"],
        "post_logout_redirect_uris": [f"{service.address}/bye"],
        "start_url": f"{service.address}/",
        "backchannel_logout_uri": None,
    }
    with _served(tmp_path_factory.mktemp("tablet"), clock, client) as opened:
        service.issuer = opened.site.issuer
        yield opened


@contextlib.contextmanager
def _served(folder: Path, clock: StoppedClock, client: dict[str, Any]) -> Iterator[Clinic]:
    """Serve a clinic's house at an address of its own."""
    made: list[tuple[House, Any, Any]] = []
    with real_server(None) as mail:

        def broker(address: str) -> Any:
            document = {
                "server": {"issuer": address, "workers": 1},
                "passwords": {"memory_kib": 19456},
                "email": {"host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "b@example.org"},
                "providers": {"fallback": {}},
                "clinics": {
                    "neuroreg": {
                        "name": "Neuroregistret", "country": "SE", "providers": ["fallback"], "registration": "off",
                    }
                },
                "clients": {
                    "portal": {
                        **CLIENT, "minimum": "low", "clinic": "neuroreg", "assisted": "allowed",
                        **{name: value for name, value in client.items() if value is not None},
                    }
                },
            }  # fmt: skip
            house = open_house(config.read(document), folder, clock=clock, sandbox=True)
            house.durable.migrate()
            vars(house.rooms.counter.messages)["start"] = lambda: None
            site = make_site(house)
            made.append((house, site, make_web(site)))
            return made[0][2]

        with serve(broker), contextlib.ExitStack() as afterwards:
            house, site, app = made[0]
            people = {person.id: person for person in cast(clock.now().date())}
            afterwards.callback(house.close)
            yield Clinic(app=app, house=house, site=site, clock=clock, mail=mail, people=people)


@contextlib.contextmanager
def _screen(chromium: Browser, **how: Any) -> Iterator[tuple[BrowserContext, Page]]:
    """Give a browser of one's own, which complains where a page breaks its policy."""
    context = chromium.new_context(locale="en", **how)
    context.set_default_timeout(15_000)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
    yield context, page
    assert not complaints
    context.close()


def _sound(page: Page) -> None:
    """Check what a machine can: no fault of accessibility."""
    found = Axe().run(page, options=RULES).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found]


def _staff(clinic: Clinic, context: BrowserContext) -> None:
    """Sign a colleague in."""
    member = clinic.house.offices.members.by_login("anna") or clinic.hire("anna")
    _, secret = clinic.house.offices.entrance.admit(member, "app", clinic.clock.now())
    context.add_cookies([{"name": "w", "value": secret, "url": clinic.site.issuer, "sameSite": "Strict"}])


def _code(clinic: Clinic, page: Page) -> str:
    """Get a code, as a colleague does."""
    page.goto(clinic.site.issuer + clinic.help_path(clinic.patient()))
    _sound(page)
    for choice in ("Passport", "Has forgotten the password"):
        page.get_by_label(choice).check()
    page.get_by_role("button", name="Get a code for the tablet").click()
    _sound(page)
    return "".join(figure for figure in page.locator(".pairing").inner_text() if figure.isdigit())


def _names(context: BrowserContext) -> set[str]:
    return {str(cookie.get("name")) for cookie in context.cookies()}


@pytest.mark.parametrize("script", [True, False])
def test_handed_over_and_back(chromium: Browser, clinic: Clinic, service: Service, script: bool) -> None:
    """S2, S3: from the code to the thank-you; then neither Back, history nor fields know who it was, nor any cookie."""
    tall = {"viewport": {"width": 800, "height": 1280}, "java_script_enabled": script}
    with _screen(chromium) as (theirs, staff), _screen(chromium, **tall) as (context, tablet):
        _staff(clinic, theirs)
        code = _code(clinic, staff)
        how = staff.frame_locator(".how").get_by_role("status")

        tablet.goto(f"{clinic.site.issuer}/tablet")
        tablet.get_by_label("The code, 6 digits").fill(code)
        tablet.get_by_role("button", name="Continue").click()
        expect(tablet.get_by_role("heading", level=1)).to_have_text(f"Give the tablet to {NAME}, born 1987")
        expect(how).to_contain_text("has used the code")
        tablet.get_by_role("button", name="Yes, that is me. Start").click()
        expect(tablet.get_by_role("heading", level=1)).to_have_text(NAME)
        assert _names(context) == {"s", "p"}
        expect(how).to_contain_text("The patient is logged in")

        tablet.get_by_role("link", name="Log out").click()
        expect(tablet.get_by_role("heading", level=1)).to_have_text("Thank you. Give the tablet back to the staff.")
        assert tablet.url == f"{clinic.site.issuer}/tablet/done"
        assert _names(context) == set()
        expect(how).to_have_text("Ended at 10:00.")

        for _ in range(6):
            tablet.go_back()
            assert NAME not in tablet.content()
            assert code not in tablet.content()
        tablet.goto(f"{clinic.site.issuer}/tablet")
        assert tablet.get_by_label("The code, 6 digits").input_value() == ""
        assert _names(context) == {"p"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sound_to_everybody(chromium: Browser, clinic: Clinic, scheme: Any) -> None:
    """G1: the tablet's pages have no fault that a machine finds, in light and dark, with an error and at the end."""
    with _screen(chromium) as (theirs, staff), _screen(chromium, color_scheme=scheme) as (_, tablet):
        _staff(clinic, theirs)
        code = _code(clinic, staff)
        tablet.goto(f"{clinic.site.issuer}/tablet")
        _sound(tablet)
        tablet.get_by_label("The code, 6 digits").fill(f"{(int(code) + 1) % 10**6:06d}")
        tablet.get_by_role("button", name="Continue").click()
        expect(tablet.get_by_role("alert")).to_contain_text("The code does not work here.")
        _sound(tablet)
        tablet.get_by_label("The code, 6 digits").fill(code)
        tablet.get_by_role("button", name="Continue").click()
        expect(tablet.get_by_role("button", name="No, that is not me")).to_be_visible()
        _sound(tablet)
        tablet.goto(f"{clinic.site.issuer}/tablet/done")
        _sound(tablet)
        tablet.goto(f"{clinic.site.issuer}/tablet/give")
        tablet.get_by_role("button", name="No, that is not me").click()
        staff.get_by_role("button", name="End now").click()
        expect(staff.get_by_role("link", name="Get a new code")).to_be_visible()
