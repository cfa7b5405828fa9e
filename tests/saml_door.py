"""The whole broker on loopback between suomi.fi, the Danish gateway and portals that want to hear of logouts."""

from __future__ import annotations

import contextlib
import html
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import requests

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clock import StoppedClock
from idbroker.providers import Described
from idbroker.sandbox import borgeradgang, suomifi
from idbroker.sandbox.borgeradgang import SimGateway, make_borgeradgang
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.sandbox.suomifi import SimSuomiFi, make_suomifi
from idbroker.web.front import make_web
from tests.door import CLIENT, SECRET, VERIFIER, Browser, answer_of, form_of
from tests.keystores import started
from tests.sandbox.loopback import serve


@dataclass(kw_only=True)
class Ear:
    """A portal's server that hears of logouts: every token it was sent, by path; answers as it is told."""

    address: str = ""
    status: int = 200
    heard: list[tuple[str, str]] = field(default_factory=list)
    change: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        """Take a logout token."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        with self.change:
            self.heard.append((environ["PATH_INFO"], parse_qs(body).get("logout_token", [""])[0]))
            self.change.notify_all()
        start(f"{self.status} x", [("Content-Length", "0")])
        return [b""]

    def wait_for(self, count: int) -> list[tuple[str, str]]:
        """Return what was heard once there are so many, or after ten seconds."""
        with self.change:
            self.change.wait_for(lambda: len(self.heard) >= count, timeout=10)
            return list(self.heard)


@dataclass(frozen=True, kw_only=True)
class SamlDoor:
    """What the tests go through and what they may break."""

    issuer: str
    house: House
    clock: StoppedClock
    faults: Faults
    suomifi: SimSuomiFi
    gateway: SimGateway
    ear: Ear

    def browser(self, language: str = "en") -> SamlBrowser:
        """Return a new browser."""
        return SamlBrowser(issuer=self.issuer, language=language)

    def redeem(self, code: str, client: str = "portal") -> dict[str, Any]:
        """Redeem a code as the portal would."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CLIENT["redirect_uris"][0],
            "code_verifier": VERIFIER,
        }
        response = requests.post(f"{self.issuer}/token", data=fields, auth=(client, SECRET), timeout=10)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def is_active(self, tokens: Mapping[str, Any]) -> bool:
        """Tell whether an access token still works."""
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        return requests.get(f"{self.issuer}/userinfo", headers=bearer, timeout=10).status_code == 200

    def log_out_at(self, browser: SamlBrowser, eid: str) -> list[requests.Response]:
        """Log out on the eID's own page, and load what its frames load; return every answer there was."""
        before = len(browser.trail)
        page = browser.get((self.suomifi if eid == "suomifi" else self.gateway).logout_url)
        if 'method="post"' in page.text:
            page = browser.press(page)
        for source in re.findall(r'<iframe[^>]*src="([^"]+)"', page.text):
            browser.get(urljoin(page.url, html.unescape(source)))
        return browser.trail[before:]


@dataclass(kw_only=True)
class SamlBrowser(Browser):
    """Goes on by itself where a page does, on this machine."""

    def _follow(self, response: requests.Response) -> requests.Response:
        page = super()._follow(response)
        for _ in range(10):
            if page.status_code != 200 or "submit.js" not in page.text:
                return page
            form = form_of(page)
            target = urljoin(page.url, form.action)
            if urlsplit(target).hostname not in ("127.0.0.1", "localhost"):
                return page
            page = super()._follow(self.session.post(target, data=form.hidden, allow_redirects=False, timeout=10))
        raise AssertionError("too many pages that go on by themselves")

    def prove(
        self, provider: str, person: str, outcome: str = "approve", method: str = "", **asked: str
    ) -> requests.Response:
        """Choose an eID and act there; return where that leads."""
        page = self.authorize(**{"client_id": "portal", **asked})
        if "Location" in page.headers:
            return page
        page = self.press(page, provider=provider)
        if 'name="person"' not in page.text:
            return page  # the eID answered from its own session
        return self.press(page, person=person, outcome=outcome, **({"method": method} if method else {}))

    def sign_in_by(self, provider: str, person: str, **asked: str) -> dict[str, str]:
        """Go the whole way; return what the portal's callback got."""
        return answer_of(self.prove(provider, person, **asked))

    def silent(self, client: str = "portal") -> dict[str, str]:
        """Ask whether anybody is signed on, without a page."""
        return answer_of(self.authorize(prompt="none", client_id=client))


@contextmanager
def open_saml_door(
    folder: Path,
    clock: StoppedClock,
    *,
    provider: Mapping[str, Mapping[str, Any]] | None = None,
    clients: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[SamlDoor]:
    """Serve everything; `provider` changes provider tables, `clients` adds portals."""
    faults = Faults({"suomifi": suomifi.LIES, "borgeradgang": borgeradgang.LIES})
    people, ear = cast(clock.now().date()), Ear()
    built: list[House] = []
    made: dict[str, Any] = {}

    def described() -> dict[str, bytes]:
        house: House = built[0]
        ours = {name: one for name, one in house.providers.items() if isinstance(one, Described)}
        return {f"{house.settings.server.issuer}/metadata/{n}": one.metadata(clock.now()) for n, one in ours.items()}

    def finland(address: str) -> WSGIApplication:
        made["fi"] = make_suomifi(people, clock, faults, address, described, folder=_made(folder / "suomifi"))
        return made["fi"].app  # type: ignore[no-any-return]

    def denmark(address: str) -> WSGIApplication:
        made["dk"] = make_borgeradgang(people, clock, faults, address, described, folder=_made(folder / "gateway"))
        return made["dk"].app  # type: ignore[no-any-return]

    def broker(address: str) -> WSGIApplication:
        house = open_house(
            settings(address, made["fi"], made["dk"], ear.address, provider or {}, clients or {}),
            started(folder, clock, sandbox=True),
            clock=clock,
            sandbox=True,
        )
        house.durable.migrate()
        built.append(house)
        return make_web(make_site(house))

    with contextlib.ExitStack() as stack:
        stack.enter_context(serve(finland))
        stack.enter_context(serve(denmark))
        ear.address = stack.enter_context(serve(lambda _: ear))
        issuer = stack.enter_context(serve(broker))
        stack.callback(built[0].close)
        yield SamlDoor(
            issuer=issuer,
            house=built[0],
            clock=clock,
            faults=faults,
            suomifi=made["fi"],
            gateway=made["dk"],
            ear=ear,
        )


def settings(
    issuer: str,
    finland: SimSuomiFi,
    denmark: SimGateway,
    ear: str,
    provider: Mapping[str, Mapping[str, Any]],
    clients: Mapping[str, Mapping[str, Any]],
) -> config.Settings:
    """Return the settings of two clinics with three portals: two that hear by their server, one in a frame."""
    more = provider or {}
    return config.read(
        {
            "server": {"issuer": issuer, "workers": 1},
            "providers": {
                "suomifi": {
                    "environment": "test",
                    "idp": finland.entity_id,
                    "metadata_url": finland.metadata_url,
                    "metadata_signer_file": str(finland.signer_certificate),
                    **more.get("suomifi", {}),
                },
                "borgeradgang": {
                    "environment": "test",
                    "idp": denmark.entity_id,
                    "metadata_url": denmark.metadata_url,
                    "metadata_signer_file": str(denmark.signer_certificate),
                    **more.get("borgeradgang", {}),
                },
            },
            "clinics": {
                "both": {
                    "name": "Test Clinic",
                    "country": "FI",
                    "providers": ["suomifi", "borgeradgang"],
                    "phone": "+358 10 000 0000",
                }
            },
            "clients": {
                "portal": {**_client("Portalen"), "backchannel_logout_uri": f"{ear}/portal"},
                "other": {**_client("Toinen"), "backchannel_logout_uri": f"{ear}/other"},
                "framed": {**_client("Rammen"), "frontchannel_logout_uri": "https://portal.test/framed"},
                **{name: {**_client(name), **table} for name, table in clients.items()},
            },
        }
    )


def _client(name: str) -> dict[str, Any]:
    return {**CLIENT, "name": name, "clinic": "both", "sector": "portal.test"}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
