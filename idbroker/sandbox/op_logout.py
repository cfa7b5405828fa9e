"""Signing out at a simulated OpenID provider: asked for by a client or done there, and told to the clients.

RP-Initiated Logout 1.0 and Back-Channel Logout 1.0, with every lie of `LOGOUT_LIES`.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
from flask import Flask, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet
from joserfc.util import urlsafe_b64encode
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from idbroker.providers._http import kept_session
from idbroker.sandbox.op import OpenIdProvider, PageError
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.op_lies import ATTACKER, make_token

EVENT = "http://schemas.openid.net/event/backchannel-logout"
SESSIONS = "/connect/sessions"
_LIFE = 120
_HOUR = 3600

Claims = dict[str, Any]


def _without(*names: str) -> Callable[[Claims], Claims]:
    return lambda claims: {name: value for name, value in claims.items() if name not in names}


_CLAIMS: Mapping[str, Callable[[Claims], Claims]] = {
    "logout_wrong_iss": lambda c: {**c, "iss": c["iss"] + "/evil"},
    "logout_wrong_aud": lambda c: {**c, "aud": "somebody-else"},
    "logout_foreign_aud": lambda c: {**c, "aud": [c["aud"], "somebody-else"]},
    "logout_aud_array": lambda c: {**c, "aud": [c["aud"]]},
    "logout_no_event": _without("events"),
    "logout_wrong_event": lambda c: {**c, "events": {"https://example.com/event": {}}},
    "logout_two_events": lambda c: {**c, "events": {**c["events"], "https://example.com/event": {}}},
    "logout_event_true": lambda c: {**c, "events": {EVENT: True}},
    "logout_events_list": lambda c: {**c, "events": [EVENT]},
    "logout_with_nonce": lambda c: {**c, "nonce": "n"},
    "logout_no_jti": _without("jti"),
    "logout_jti_number": lambda c: {**c, "jti": 7},
    "logout_nobody": _without("sub", "sid"),
    "logout_sid_number": lambda c: {**c, "sid": 7},
    "logout_no_sid": _without("sid"),
    "logout_no_sub": _without("sub"),
    "logout_no_iat": _without("iat"),
    "logout_no_exp": _without("exp"),
    "logout_expired": lambda c: {**c, "iat": c["iat"] - 300, "exp": c["exp"] - 300},
    "logout_old": lambda c: {**c, "iat": c["iat"] - 2 * _HOUR, "exp": c["exp"] + 10 * _HOUR},
    "logout_endless": lambda c: {**c, "exp": c["exp"] + 1000 * _HOUR},
    "logout_future": lambda c: {**c, "iat": c["iat"] + _HOUR, "exp": c["exp"] + _HOUR},
}
_HEADERS: Mapping[str, Claims] = {
    "logout_no_typ": {"typ": None},
    "logout_plain_typ": {"typ": "JWT"},
    "logout_access_typ": {"typ": "at+jwt"},
}
_FORGED = ("logout_alg_none", "logout_hs256", "logout_attacker_key", "logout_bad_signature")
LOGOUT_LIES = frozenset((*_CLAIMS, *_HEADERS, *_FORGED, "logout_id_token", "logout_wrong_state", "logout_no_state"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSession:
    """One person's session with one client; `person` is the person of the cast."""

    id: str
    person: str
    subject: str = field(repr=False)
    client: SimClient


class Sessions:
    """Who is signed in, and what each client was told when they signed out: its address and its answer."""

    def __init__(self, op: OpenIdProvider) -> None:
        self._op = op
        self._lock = threading.Lock()
        self._open: dict[str, SimSession] = {}
        self.told: list[tuple[str, int | None]] = []

    def begin(self, person: str, subject: str, client: SimClient) -> str:
        """Open a session and return its id."""
        session = SimSession(id=secrets.token_urlsafe(12), person=person, subject=subject, client=client)
        with self._lock:
            self._open[session.id] = session
        return session.id

    def people(self) -> tuple[str, ...]:
        """Return who has a session."""
        return tuple(sorted({session.person for session in self._open.values()}))

    def end_of(self, person: str) -> None:
        """End all sessions of a person, and tell the clients."""
        self._end(session for session in list(self._open.values()) if session.person == person)

    def end(self, name: str) -> None:
        """End one session, and tell its client."""
        self._end(session for session in list(self._open.values()) if session.id == name)

    def _end(self, sessions: Iterable[SimSession]) -> None:
        for session in sessions:
            with self._lock:
                gone = self._open.pop(session.id, None)
            if gone is not None and gone.client.backchannel_logout_uri is not None:
                self._tell(gone, gone.client.backchannel_logout_uri)

    def _tell(self, session: SimSession, uri: str) -> None:
        token = self.logout_token(session)
        with kept_session(timeout=(3, 5), sandbox=True) as http:
            try:
                answer: int | None = http.request("POST", uri, data={"logout_token": token}).status_code
            except requests.RequestException:
                answer = None  # who is not there is not told, and the person is signed out all the same (2.7)
        self.told.append((uri, answer))

    def logout_token(self, session: SimSession) -> str:
        """Return a logout token (2.4), or what the lies make of it."""
        now, lies = int(self._op.clock.now().timestamp()), self._op.lies()
        claims: Claims = {
            "iss": self._op.issuer,
            "aud": session.client.id,
            "iat": now,
            "exp": now + _LIFE,
            "jti": secrets.token_urlsafe(16),
            "events": {EVENT: {}},
            "sub": session.subject,
            "sid": session.id,
        }
        for lie in sorted(lies & _CLAIMS.keys()):
            claims = _CLAIMS[lie](claims)
        if "logout_id_token" in lies:
            claims = {**_without("events", "jti")(claims), "nonce": "n", "auth_time": now}
        alg, key = self._op.signing(session.client)
        header: Claims = {"alg": alg, "kid": key.kid, "typ": "logout+jwt"}
        if "logout_id_token" in lies:
            header["typ"] = "JWT"
        for lie in lies & _HEADERS.keys():
            header = {name: value for name, value in {**header, **_HEADERS[lie]}.items() if value is not None}
        return self._op.sealed(_forged(header, claims, key, lies), session.client)


def _forged(header: Claims, claims: Claims, key: Key, lies: frozenset[str]) -> str:
    if "logout_alg_none" in lies:
        return _signed({**header, "alg": "none"}, claims, lambda _: b"")
    if "logout_hs256" in lies:
        public = json.dumps(key.as_dict(private=False)).encode()
        return _signed({**header, "alg": "HS256"}, claims, lambda text: hmac.digest(public, text, "sha256"))
    if "logout_attacker_key" in lies:
        return make_token({**header, "alg": "ES256"}, claims, ATTACKER)
    token = make_token(header, claims, key, header["alg"])
    return token[:-20] + token[-20:].swapcase() if "logout_bad_signature" in lies else token


def _signed(header: Claims, claims: Claims, sign: Callable[[bytes], bytes]) -> str:
    text = urlsafe_b64encode(json.dumps(header).encode()) + b"." + urlsafe_b64encode(json.dumps(claims).encode())
    return (text + b"." + urlsafe_b64encode(sign(text))).decode()


def add_logout_routes(app: Flask, op: OpenIdProvider, sessions: Sessions, claim: str) -> None:
    """Add the end of a session, by GET and POST; `claim` names the session in its ID tokens."""
    app.add_url_rule(
        op.paths.end_session, "end_session", lambda: _end_session(op, sessions, claim), methods=["GET", "POST"]
    )


def _end_session(op: OpenIdProvider, sessions: Sessions, claim: str) -> AnyResponse:
    """Sign out: only with a token of ours, only to where the client said (RP-Initiated Logout, 2)."""
    asked = request.form if request.method == "POST" else request.args
    hinted = _hint(op, asked.get("id_token_hint", ""))
    client, uri = op.clients.get(str(hinted.get("aud"))), asked.get("post_logout_redirect_uri", "")
    if client is None or (client.post_logout_redirect_uris and uri not in client.post_logout_redirect_uris):
        raise PageError("invalid_request")
    sessions.end(str(hinted.get(claim)))
    state = {"state": asked["state"]} if "state" in asked else {}
    if "logout_wrong_state" in op.lies():
        state = {"state": "another"}
    if "logout_no_state" in op.lies():
        state = {}
    return redirect(uri + ("?" + urlencode(state) if state else ""), 303)


def _hint(op: OpenIdProvider, token: str) -> Mapping[str, Any]:
    try:
        keys = KeySet.import_key_set({"keys": op.jwks()["keys"]})
        return dict(jwt.decode(token, keys, algorithms=["ES256", "RS256"]).claims)
    except (JoseError, KeyError, ValueError):
        raise PageError("invalid_request") from None
