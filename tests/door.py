"""The whole broker on loopback with a simulated MitID behind it, and a portal and a browser in front."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import jwt
import requests

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.client import secret_digest
from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, SimClient, make_mitid
from idbroker.sandbox.people import SimPerson, cast
from idbroker.web.front import make_web
from tests.keystores import started
from tests.sandbox.loopback import serve

SECRET = "portal-secret"
CALLBACK = "https://portal.test/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENT: Mapping[str, Any] = {
    "name": "Portalen",
    "clinic": "clinea",
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": ["https://portal.test/bye"],
    "secret_digests": [secret_digest(SECRET)],
    "scopes": ["openid", "profile", "national_number", "offline_access"],
    "national_number": True,
    "refresh": "keep",
}


@dataclass(frozen=True, kw_only=True)
class Door:
    """What the tests go through and what they may break."""

    issuer: str
    house: House
    folder: Path
    clock: StoppedClock
    faults: Faults
    people: Mapping[str, SimPerson]

    def browser(self, language: str = "da") -> Browser:
        """Return a new browser."""
        return Browser(issuer=self.issuer, language=language)

    def post(self, path: str, fields: Mapping[str, str], **more: Any) -> requests.Response:
        """Call an endpoint as the portal's server, by client_secret_basic."""
        options: dict[str, Any] = {"auth": ("portal", SECRET), **more}
        return requests.post(f"{self.issuer}{path}", data=fields, timeout=10, **options)

    def redeem(self, code: str, auth: tuple[str, str] | None = ("portal", SECRET), **changed: str) -> requests.Response:
        """Redeem a code as the portal would; a field set to "" is left out."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changed,
        }
        return self.post("/token", {k: v for k, v in fields.items() if v}, auth=auth)

    def refresh(self, token: str, auth: tuple[str, str] | None = ("portal", SECRET), **more: str) -> requests.Response:
        """Use a refresh token."""
        return self.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **more}, auth=auth)

    def userinfo(self, token: str, **headers: str) -> requests.Response:
        """Ask with an access token who the person is."""
        headers = {"Authorization": f"Bearer {token}", **headers}
        return requests.get(f"{self.issuer}/userinfo", headers=headers, timeout=10)

    def raw(self, octets: bytes) -> bytes:
        """Send octets that no client library would, and return the answer."""
        parts = urlsplit(self.issuer)
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as wire:
            wire.sendall(octets)
            return b"".join(iter(lambda: wire.recv(65536), b""))

    def stored(self) -> dict[str, int]:
        """Count the rows of every table in both stores."""
        counts = {}
        for file in sorted(self.folder.glob("var/*.db")):
            with contextlib.closing(sqlite3.connect(file)) as store:
                names = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                for (name,) in names:
                    counts[f"{file.name}:{name}"] = store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
        return counts

    def signed_in(self, browser: Browser | None = None, person: str = "anna", **asked: str) -> dict[str, Any]:
        """Sign a person in and return the token response."""
        browser = browser or self.browser()
        answer = browser.sign_in(person, **asked)
        response = self.redeem(answer["code"])
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens


@dataclass(kw_only=True)
class Browser:
    """Keeps cookies, follows redirects within this machine, and stops where the portal begins."""

    issuer: str
    language: str = "da"
    session: requests.Session = field(default_factory=requests.Session)
    trail: list[requests.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Speak the language."""
        self.session.headers["Accept-Language"] = self.language
        self.session.trust_env = False

    def get(self, url: str) -> requests.Response:
        """Get a page, following redirects until one leaves this machine."""
        return self._follow(self.session.get(urljoin(self.issuer, url), allow_redirects=False, timeout=10))

    def fetch(self, url: str, method: str = "GET", **more: Any) -> requests.Response:
        """Ask once, following nothing."""
        options: dict[str, Any] = {"allow_redirects": False, "timeout": 10, **more}
        return self.session.request(method, urljoin(self.issuer, url), **options)

    def post(self, url: str, fields: Mapping[str, str]) -> requests.Response:
        """Post a form."""
        response = self.session.post(urljoin(self.issuer, url), data=fields, allow_redirects=False, timeout=10)
        return self._follow(response)

    def _follow(self, response: requests.Response) -> requests.Response:
        for _ in range(10):
            self.trail.append(response)
            onward = response.headers.get("Location") if response.status_code in (302, 303) else refreshed(response)
            target = urljoin(response.url, onward or "")
            if onward is None or urlsplit(target).hostname not in ("127.0.0.1", "localhost"):
                return response
            response = self.session.get(target, allow_redirects=False, timeout=10)
        raise AssertionError("too many redirects")

    def authorize(self, **asked: str) -> requests.Response:
        """Come from the portal with a request; a parameter set to "" is left out."""
        return self.get(authorize_url(**asked))

    def press(self, page: requests.Response, **fields: str) -> requests.Response:
        """Send the page's form with these fields."""
        form = form_of(page)
        return self.post(urljoin(page.url, form.action), {**form.hidden, **fields})

    def sign_in(self, person: str = "anna", outcome: str = "approve", **asked: str) -> dict[str, str]:
        """Go the whole way with MitID; return what the portal's callback got."""
        page = self.authorize(**asked)
        if "Location" not in page.headers:
            page = self.press(self.press(page, provider="mitid"), person=person, outcome=outcome)
        return answer_of(page)


def refreshed(page: requests.Response) -> str | None:
    """Return where a page goes on to by itself, if it does."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)
    return html.unescape(found[1]) if found else None


@dataclass(frozen=True)
class Form:
    """A page's form."""

    action: str
    hidden: Mapping[str, str]


def form_of(page: requests.Response) -> Form:
    """Return the form of a page."""
    found = re.search(r'<form[^>]*method="post"[^>]*>', page.text)
    assert found, page.text[:2000]
    action = re.search(r'action="([^"]*)"', found[0])
    hidden = {}
    for tag in re.findall(r'<input[^>]*type="hidden"[^>]*>', page.text):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name:
            hidden[html.unescape(name[1])] = html.unescape(value[1]) if value else ""
    return Form(html.unescape(action[1]) if action else page.url, hidden)


def answer_of(response: requests.Response) -> dict[str, str]:
    """Return the parameters that go to the portal, by query or by a form that posts itself."""
    if response.status_code == 200:
        return dict(form_of(response).hidden)
    return {k: v[0] for k, v in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def authorize_url(**asked: str) -> str:
    """Return the portal's authorization request."""
    usual = {
        "client_id": "portal",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile",
        "state": "s-1",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return "/authorize?" + urlencode({k: v for k, v in {**usual, **asked}.items() if v})


@contextmanager
def open_door(
    folder: Path,
    clock: StoppedClock,
    *,
    clients: Mapping[str, Mapping[str, Any]] | None = None,
    store: Mapping[str, str] | None = None,
    provider: Mapping[str, Any] | None = None,
) -> Iterator[Door]:
    """Serve the simulator and the broker; more `clients` by id, other stores, other provider settings."""
    faults, people = Faults({"mitid": LIES}), cast(clock.now().date())
    upstream: dict[str, SimClient] = {}
    built: list[House] = []
    with serve(lambda address: make_mitid(people, clock, faults, address, upstream)) as mitid:

        def broker(address: str) -> Any:
            upstream["idbroker"] = SimClient(
                id="idbroker", redirect_uris=(f"{address}/callback/mitid",), secret="upstream-secret"
            )
            house = open_house(
                settings(address, mitid, clients or {}, store or {}, provider or {}),
                started(folder, clock, sandbox=True),
                clock=clock,
                sandbox=True,
            )
            house.durable.migrate()
            built.append(house)
            return make_web(make_site(house))

        with serve(broker) as issuer, contextlib.ExitStack() as afterwards:
            afterwards.callback(built[0].close)
            yield Door(
                issuer=issuer,
                house=built[0],
                folder=folder,
                clock=clock,
                faults=faults,
                people={person.id: person for person in people},
            )


def settings(
    issuer: str,
    mitid: str,
    clients: Mapping[str, Mapping[str, Any]],
    store: Mapping[str, str],
    provider: Mapping[str, Any],
) -> config.Settings:
    """Return a small clinic's settings."""
    return config.read(
        {
            "server": {"issuer": issuer, "workers": 1},
            "store": dict(store),
            "providers": {
                "mitid": {
                    "issuer": mitid,
                    "client_id": "idbroker",
                    "client_secret": "upstream-secret",
                    "end_session": "off",
                    **provider,
                }
            },
            "clinics": {
                "clinea": {"name": "Clinea", "country": "DK", "providers": ["mitid"], "phone": "+45 70 10 00 00"}
            },
            "clients": {"portal": CLIENT, **{name: {**CLIENT, **more} for name, more in clients.items()}},
        }
    )


def session_cookie(browser: Browser) -> str | None:
    """Return the secret of the sign-on a browser holds."""
    return browser.session.cookies.get("s")


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says, unverified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def words_of(page: requests.Response) -> str:
    """Return a page's text without its tags, in one line."""
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"</?(?:a|b|span)\b[^>]*>", "", page.text))
    return re.sub(r"\s+", " ", html.unescape(bare))


def at_once(count: int, act: Any) -> list[Any]:
    """Do something so many times at the same moment; return what came of each."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(index: int) -> None:
        barrier.wait()
        results[index] = act()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
