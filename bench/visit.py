"""What a browser and its portal do in one visit, without any input or output: requests out, answers in.

The load drives these over sockets, the profiler calls the application with them; both go the same way.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from bench.judge import Judge, Wrong

ISSUER = "https://login.bench.test"
PORTAL, PORTAL_SECRET = "portal", "portal-secret"
PORTAL_CALLBACK = "https://portal.bench.test/callback"
SCOPES = "openid profile national_number"
_FORM = "application/x-www-form-urlencoded"
_BASIC = "Basic " + base64.b64encode(f"{PORTAL}:{PORTAL_SECRET}".encode()).decode()
# The proxy in front ends TLS and says who asked; the rest is what browsers send.
_PROXIED = {"Clientaddress": "192.0.2.7", "X-Forwarded-Proto": "https"}
_BROWSER = {
    **_PROXIED,
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "da,en;q=0.7",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Upgrade-Insecure-Requests": "1",
}
_PROGRAM = {**_PROXIED, "User-Agent": "portal/1.0", "Accept": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: `step` is what it is in the journey, `to` whom it goes to (scheme and host)."""

    step: str
    to: str
    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, or nothing."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """What the portal holds at the end."""

    tokens: Mapping[str, Any]
    userinfo: Mapping[str, Any]


Visit = Generator[Call, Answer, SignedIn]


class Wish:
    """What a portal asks once, and how it takes the answer."""

    def __init__(self) -> None:
        self._state, self._nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._verifier = secrets.token_urlsafe(36)

    def address(self, scopes: str = SCOPES, idp: str | None = None) -> str:
        """Return where it sends the browser."""
        asked = {
            "client_id": PORTAL,
            "redirect_uri": PORTAL_CALLBACK,
            "response_type": "code",
            "scope": scopes,
            "state": self._state,
            "nonce": self._nonce,
            "code_challenge": _b64(hashlib.sha256(self._verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **({"idp": idp} if idp else {}),
        }
        return f"{ISSUER}/authorize?{urlencode(asked)}"

    def code_in(self, there: str) -> str:
        """Return the code in the address that the browser was sent back to. Raises Wrong."""
        returned = dict(parse_qsl(urlsplit(there).query))
        ours = there.startswith(f"{PORTAL_CALLBACK}?") and returned.get("state") == self._state
        if not ours or returned.get("iss") != ISSUER or not returned.get("code"):
            raise Wrong("callback: not our answer")
        return returned["code"]

    def redeemed(self, judge: Judge, there: str) -> Visit:
        """Redeem the code, and look up whom it is about. Raises Wrong."""
        fields = {
            "grant_type": "authorization_code",
            "code": self.code_in(there),
            "redirect_uri": PORTAL_CALLBACK,
            "code_verifier": self._verifier,
        }
        tokens = yield from token(fields)
        subject = judge.judge(tokens, self._nonce)
        userinfo = yield from look_up(tokens["access_token"])
        if userinfo.get("sub") != subject:
            raise Wrong("userinfo: somebody else")
        return SignedIn(tokens=tokens, userinfo=userinfo)


class Browser:
    """Keeps cookies by host, not by port (RFC 6265, 8.5). `address` is where the proxy sees it come from."""

    def __init__(self, address: str = "192.0.2.7") -> None:
        self._cookies: dict[str, dict[str, str]] = {}
        self._from = {"Clientaddress": address}

    def get(self, step: str, url: str) -> Generator[Call, Answer, Answer]:
        """Get an address."""
        return self._send(step, "GET", url, {}, b"")

    def post(self, step: str, url: str, fields: Mapping[str, str]) -> Generator[Call, Answer, Answer]:
        """Send a form."""
        return self._send(step, "POST", url, {"Content-Type": _FORM}, urlencode(fields).encode())

    def _send(
        self, step: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Generator[Call, Answer, Answer]:
        parts = urlsplit(url)
        kept = self._cookies.setdefault(parts.hostname or "", {})
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())} if kept else {}
        answer = yield Call(
            step=step,
            to=f"{parts.scheme}://{parts.netloc}",
            target=f"{parts.path}?{parts.query}" if parts.query else parts.path,
            method=method,
            headers={**_BROWSER, **self._from, **headers, **cookie},
            body=body,
        )
        for name, value in answer.headers:
            if name == "set-cookie":
                text, _, value_ = value.partition(";")[0].partition("=")
                kept[text] = value_
        return answer


def sign_in(
    judge: Judge,
    browser: Browser | None = None,
    *,
    with_eid: bool | None = None,
    scopes: str = SCOPES,
    named: bool = False,
) -> Visit:
    """Sign a person in: a new browser by the eID, a given one by the sign-on it has unless said otherwise.

    `named` is a portal that names the eID (`idp`), so that the person sees no page of ours.
    Raises Wrong when anything on the way is not as it must be.
    """
    with_eid = browser is None if with_eid is None else with_eid
    browser, wish = browser or Browser(), Wish()
    address = wish.address(scopes, "mitid" if named else None)
    there = location(303, (yield from browser.get("authorize", address)))
    if with_eid:
        there = yield from _returned(browser, there if named else (yield from _chosen(browser, there)))
    return (yield from wish.redeemed(judge, there))


def _chosen(browser: Browser, choice: str) -> Generator[Call, Answer, str]:
    page = yield from browser.get("choose", ISSUER + choice)
    nonce = re.search(rb'name="_n" value="([^"]+)"', page.body)
    if page.status != 200 or nonce is None:
        raise Wrong(f"choose: HTTP {page.status}")
    fields = {"_n": html.unescape(nonce[1].decode()), "provider": "mitid"}
    return location(303, (yield from browser.post("choose_post", ISSUER + choice, fields)))


def _returned(browser: Browser, there: str) -> Generator[Call, Answer, str]:
    back = location(302, (yield from browser.get("upstream", there)))
    there = location(303, (yield from browser.get("callback", back)))
    if not there.startswith("https://"):
        raise Wrong("callback: back to the choice")
    return there


def token(fields: Mapping[str, str]) -> Generator[Call, Answer, Mapping[str, Any]]:
    """Call the token endpoint."""
    headers = {**_PROGRAM, "Authorization": _BASIC, "Content-Type": _FORM}
    body = urlencode(fields).encode()
    answer = yield Call(step="token", to=ISSUER, target="/token", method="POST", headers=headers, body=body)
    return _object("token", answer)


def look_up(access_token: str) -> Generator[Call, Answer, Mapping[str, Any]]:
    """Call the userinfo endpoint."""
    headers = {**_PROGRAM, "Authorization": f"Bearer {access_token}"}
    answer = yield Call(step="userinfo", to=ISSUER, target="/userinfo", headers=headers)
    return _object("userinfo", answer)


def document(step: str, target: str) -> Generator[Call, Answer, Mapping[str, Any]]:
    """Get a public document."""
    return _object(step, (yield Call(step=step, to=ISSUER, target=target, headers=_PROGRAM)))


def _object(step: str, answer: Answer) -> Mapping[str, Any]:
    if answer.status != 200:
        raise Wrong(f"{step}: HTTP {answer.status}")
    value = json.loads(answer.body)
    if not isinstance(value, dict):
        raise Wrong(f"{step}: not an object")
    return value


def location(status: int, answer: Answer) -> str:
    """Return where an answer leads. Raises Wrong."""
    if answer.status != status:
        raise Wrong(f"HTTP {answer.status} instead of {status}")
    return answer.header("location")


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
