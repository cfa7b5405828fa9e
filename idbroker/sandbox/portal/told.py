"""Being told that a sign-on is over: by the broker's server, or by a frame on its logout page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.sandbox.portal.relying import NotBelieved, Registration, RelyingParty, check_bounds
from idbroker.sandbox.portal.trail import Step, checks, decoded
from idbroker.sandbox.portal.visits import Visits
from idbroker.sandbox.skin import page

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(minutes=5)  # the longest that is believed; two minutes are recommended (2.4)
TYPES = ("logout+jwt", "application/logout+jwt")
_REQUIRED = ["iss", "aud", "iat", "exp", "jti", "events"]


def read_logout_token(
    token: str, ours: Registration, key_of: Callable[[str], jwt.PyJWK], now: datetime
) -> Mapping[str, Any]:
    """Return the claims of a logout token once every check has passed (Back-Channel Logout 1.0, 2.6).

    Raises NotBelieved. `sid` is always in them: this portal ends one session, never all of a person's.
    Nobody keeps `jti`: a token that is sent again ends a session that is over already, since no two
    sign-ons have one `sid`. Whoever ends all sessions of a `sub` must keep it, for the token's life.
    """
    claims = _verified(token, ours, key_of)
    check_bounds(claims, ours.client_id, now, LIFE)
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise NotBelieved("events", "It does not say that a sign-on is over.")
    # An ID token that somebody has caught would have one: it must not log anybody out.
    if "nonce" in claims:
        raise NotBelieved("nonce", "A logout token has no nonce.")
    if not isinstance(claims.get("sid"), str) or not claims["sid"]:
        raise NotBelieved("sid", "It does not say which session is over.")
    if not claims["jti"]:
        raise NotBelieved("jti", "It has no number of its own.")
    return claims


def _verified(token: str, ours: Registration, key_of: Callable[[str], jwt.PyJWK]) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        # Explicit typing: no token that was made for anything else logs anybody out (RFC 8725, 3.11).
        if str(header.get("typ", "")).lower() not in TYPES:
            raise NotBelieved("typ", "This is no logout token.")
        # The sandbox's clock can be moved, so time is checked by that clock afterwards.
        options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        claims: dict[str, Any] = jwt.decode(
            token, key_of(str(header.get("kid"))), algorithms=["ES256"], audience=ours.client_id, issuer=ours.issuer,
            options=options,
        )  # fmt: skip
    except (jwt.PyJWTError, UnicodeError) as error:
        raise NotBelieved("logout_token", f"The logout token does not verify: {error}") from error
    return claims


class Notices:
    """The two addresses of one portal at which the broker says that somebody's sign-on is over."""

    def __init__(self, party: RelyingParty, visits: Visits, cookie: str) -> None:
        self._party, self._visits, self._cookie = party, visits, cookie

    def add_to(self, routes: Blueprint) -> None:
        """Add the addresses that are registered: for messages always, for frames where there are any."""
        if self._party.registration.framed:
            routes.add_url_rule("/frontchannel-logout", "frontchannel", self.frontchannel)
        routes.add_url_rule("/backchannel-logout", "backchannel", self.backchannel, methods=["POST"])

    def backchannel(self) -> Response:
        """Take a logout token: 200 once the session is over, 400 with the reason (Back-Channel Logout 1.0, 2.8)."""
        token = request.form.get("logout_token", "")
        try:
            claims = read_logout_token(token, self._party.registration, self._party.key, self._party.now)
        except NotBelieved as error:
            # Keys that cannot be fetched now say nothing about the token: the broker may try again.
            return _told(error.code, error.words, 503 if error.code == "unreachable" else 400)
        self._visits.end(claims["sid"], self._by_token(token, claims))
        return _told()

    def frontchannel(self) -> Response:
        """End the session of the browser that loads this frame (Front-Channel Logout 1.0, 3).

        `iss` and `sid` must be that very session's: any page could frame this address.
        """
        iss, sid = request.args.get("iss"), request.args.get("sid")
        name = request.cookies.get(self._cookie, "")
        asked = iss == self._party.registration.issuer and bool(sid)
        ended = asked and self._visits.end(sid or "", self._by_frame, name)
        response = page("portal/framed.html", ended=ended)
        policy = response.headers["Content-Security-Policy"]
        response.headers["Content-Security-Policy"] = policy.replace(
            "frame-ancestors 'none'", f"frame-ancestors {self._party.registration.issuer}"
        )
        del response.headers["X-Frame-Options"]  # it can name no other origin
        return response

    def _by_token(self, token: str, claims: Mapping[str, Any]) -> Step:
        passed = [
            ("signature", "by one of the broker's keys"),
            ("typ", TYPES[0]),
            ("iss", self._party.registration.issuer),
            ("aud", self._party.registration.client_id),
            ("exp, iat", "it is of now"),
            ("events", "back-channel logout"),
            ("nonce", "none: this is no ID token"),
            ("sid", str(claims["sid"])),
        ]
        return Step(
            at=self._party.now,
            who="Broker → portal, directly",
            title="The broker says that the sign-on is over",
            words="The person logged out elsewhere, or may act for somebody no more. No browser took part.",
            line=f"POST {request.base_url}",
            tables=(*decoded(token, "Logout token"), checks(passed)),
        )

    @property
    def _by_frame(self) -> Step:
        passed = [("iss", self._party.registration.issuer), ("sid", "of the session that this browser has here")]
        return Step(
            at=self._party.now,
            who="Broker → browser → portal",
            title="The broker says that the sign-on is over",
            words="The broker’s logout page loaded a frame from here: without that browser, nobody would have told us.",
            line=f"GET {request.base_url}",
            tables=(checks(passed),),
        )


def _told(code: str = "", words: str = "", status: int = 200) -> Response:
    body = json.dumps({"error": "invalid_request", "error_description": f"{code}: {words}"}) if code else ""
    response = Response(body, status, content_type="application/json" if code else None)
    response.headers["Cache-Control"] = "no-store"
    return response
