"""The pages of the simulated suomi.fi and gateway in a real browser: languages, both schemes, without JavaScript."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask, Response, request
from lxml import etree
from playwright.sync_api import Browser, Page

from idbroker.clock import StoppedClock
from idbroker.saml.decrypting import decrypted
from idbroker.sandbox.borgeradgang import make_borgeradgang
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.sandbox.suomifi import make_suomifi
from tests.sandbox.loopback import serve
from tests.sandbox.saml_gateway import POLICY
from tests.sandbox.saml_gateway import asking as asking_danish
from tests.sandbox.saml_sp import Service, only, told
from tests.sandbox.saml_suomifi import VETUMA
from tests.sandbox.saml_suomifi import asking as asking_finnish

pytestmark = pytest.mark.browser

PLACES = {"suomifi": "/idp/profile/SAML2/Redirect/SSO", "borgeradgang": "/runtime/saml2/issue.idp"}
OWN_LOGOUT = {"suomifi": "/idp/profile/Logout", "borgeradgang": "/logout"}
SLO = {"suomifi": "/idp/profile/SAML2/Redirect/SLO", "borgeradgang": "/runtime/saml2auth/logout.idp"}
LANGUAGES = [("suomifi", one) for one in ("fi", "sv", "en")] + [("borgeradgang", one) for one in ("da", "en")]


@dataclass(frozen=True, kw_only=True)
class Local(Service):
    """A service at an address of this machine, which answers logout requests."""

    origin: str = ""
    idp: str = ""
    provider: str = ""

    @property
    def acs(self) -> str:
        """Return where responses go."""
        return f"{self.origin}/acs"

    @property
    def slo(self) -> str:
        """Return where logout messages go."""
        return f"{self.origin}/slo"

    def app(self) -> Flask:
        """Return the application: it shows what came, and answers each logout request."""
        app = Flask("portal")
        app.add_url_rule("/acs", "acs", lambda: f"<h1>{sorted(request.form)}</h1>", methods=["POST"])
        app.add_url_rule("/slo", "slo", self._logout)
        return app

    def _logout(self) -> Response:
        if "SAMLResponse" in request.args:
            return Response("<h1>ended</h1>", mimetype="text/html")
        message = told(request.url)[2]
        destination = f"{self.idp}{SLO[self.provider]}"
        text = self.logout_response(destination, message.get("ID", ""))
        return Response(status=303, headers={"Location": f"{destination}?{self.query(text, name='SAMLResponse')}"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """A simulator that is served, with a service."""

    provider: str
    origin: str
    service: Local

    def address(self, language: str = "en") -> str:
        """Return where a sign-in begins."""
        url = self.origin + PLACES[self.provider]
        inside = VETUMA.format(language) if self.provider == "suomifi" else POLICY
        return f"{url}?{self.service.query(self.service.authn(url, inside=inside))}&locale={language}"


@pytest.fixture
def places(clock: StoppedClock, tmp_path: Path) -> Iterator[dict[str, Place]]:
    """Serve both simulators, each with a service of its country."""
    with ExitStack() as stack:
        yield {
            "suomifi": _served(stack, "suomifi", asking_finnish(clock), clock, tmp_path),
            "borgeradgang": _served(stack, "borgeradgang", asking_danish(clock), clock, tmp_path),
        }


def _served(stack: ExitStack, provider: str, like: Service, clock: StoppedClock, folder: Path) -> Place:
    local = Local(
        clock=clock, attributes=like.attributes, traits=like.traits, titles={"en": "The portal"}, provider=provider
    )
    apps: dict[str, Flask] = {}

    def later(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        # It has to know the simulator's address, which has to know its own.
        return apps["portal"](environ, start)

    portal = stack.enter_context(serve(lambda _: later))
    parties: dict[str, bytes] = {}
    make = make_suomifi if provider == "suomifi" else make_borgeradgang
    people, faults = cast(clock.now().date()), Faults()
    origin = stack.enter_context(
        serve(lambda own: make(people, clock, faults, own, lambda: parties, folder=folder / provider).app)
    )
    local = replace(local, origin=portal, idp=origin)
    apps["portal"] = local.app()
    parties[local.entity_id] = local.metadata()
    return Place(provider=provider, origin=origin, service=local)


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong."""
    return [found["id"] for found in Axe().run(page).response["violations"]]


def overflows(page: Page) -> bool:
    """Tell whether one must scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("provider", "language"), LANGUAGES)
def test_pages_are_accessible(
    chromium: Browser, places: dict[str, Place], provider: str, language: str, scheme: str
) -> None:
    """Axe finds nothing wrong with the choice, the logout question and its end, and nothing is cut off at 390 px."""
    context = chromium.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]  # a literal
        bypass_csp=True,
        viewport={"width": 390, "height": 844},
    )
    page = context.new_page()
    page.goto(places[provider].address(language))
    found, cut = violations(page), overflows(page)
    shown = page.locator("html").get_attribute("lang")
    page.get_by_role("button").first.click()
    page.wait_for_url("**/acs")
    page.goto(places[provider].origin + OWN_LOGOUT[provider])
    found += violations(page)
    page.get_by_role("button").click()
    page.wait_for_load_state("networkidle")
    found += violations(page)
    cut = cut or overflows(page)
    context.close()

    assert (found, cut, shown) == ([], False, language)


@pytest.mark.parametrize("provider", sorted(PLACES))
def test_without_javascript(chromium: Browser, places: dict[str, Place], provider: str) -> None:
    """With no script and by keyboard alone the way ends at the service: one more button, nothing else."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(places[provider].address())
    page.locator("input[name=person]").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/acs")
    came = page.get_by_role("heading").inner_text()
    context.close()

    assert came == "['RelayState', 'SAMLResponse']"


@pytest.mark.parametrize("scripts", [True, False])
def test_frames_collect_the_answers(chromium: Browser, places: dict[str, Place], *, scripts: bool) -> None:
    """The logout page of suomi.fi loads the service in a hidden frame, and sums up what it answered."""
    place = places["suomifi"]
    context = chromium.new_context(java_script_enabled=scripts)
    page = context.new_page()
    _sign_in(page, place, scripts=scripts)
    page.goto(place.origin + OWN_LOGOUT["suomifi"] + "?locale=en")
    page.get_by_role("button", name="Log out").click()
    summary = page.frame_locator("iframe.summary").get_by_text("Successfully logged out from service")
    summary.wait_for(timeout=10_000)
    hidden = page.locator("iframe[hidden]").count()
    context.close()

    assert hidden == 1


def test_logout_goes_back_to_the_service(chromium: Browser, places: dict[str, Place]) -> None:
    """A logout that the service asks for is confirmed at suomi.fi, and ends at the service."""
    place = places["suomifi"]
    context = chromium.new_context()
    page = context.new_page()
    forms: list[str] = []
    page.on("request", lambda one: forms.append(one.post_data or "") if one.url.endswith("/acs") else None)
    _sign_in(page, place, scripts=True)
    name, index = _named(place, forms[-1])
    url = place.origin + SLO["suomifi"]
    page.goto(f"{url}?{place.service.query(place.service.logout_request(url, name, index))}")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/slo?**")
    said = page.get_by_role("heading").inner_text()
    context.close()

    assert said == "ended"


def _sign_in(page: Page, place: Place, *, scripts: bool) -> None:
    page.goto(place.address())
    page.get_by_role("button", name="Continue").click()
    if not scripts:
        page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/acs")


def _named(place: Place, form: str) -> tuple[str, str]:
    octets = base64.b64decode(dict(parse_qsl(form))["SAMLResponse"])
    sealed = only(etree.fromstring(octets), "saml:EncryptedAssertion")
    assertion = decrypted(sealed, [place.service.opener.key], cbc=False)
    name = etree.tostring(only(assertion, ".//saml:NameID"), with_tail=False).decode()
    return name, only(assertion, "saml:AuthnStatement").get("SessionIndex", "")
